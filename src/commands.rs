//! One file per subcommand: the visible main path of each, made of `steps`.

pub mod bisect;
pub mod compare;
pub mod convert;
pub mod doctor;
pub mod inspect;
pub mod reduce;
pub mod report;
pub mod setup;
pub mod worker;
