//! One file per subcommand: the visible main path of each, a chain of stages.

pub mod bisect;
pub mod compare;
pub mod convert;
pub mod doctor;
mod frame;
mod hand_over;
pub mod inspect;
pub mod merge;
pub mod reduce;
pub mod report;
pub mod setup;
pub mod stages;
pub mod worker;
