//! One file per subcommand: the visible main path of each. What several share stands beside them.

pub mod attempts;
pub mod bisect;
pub mod checked;
pub mod compare;
pub mod convert;
pub mod cure;
pub mod deliver;
pub mod doctor;
pub mod explain;
pub mod judge;
pub mod narrow;
pub mod opening;
pub mod prepare;
pub mod progress;
pub mod reduce;
pub mod report;
pub mod reproduce;
pub mod scan;
pub mod setup;
pub mod sides;
pub mod story;
pub mod trials;
pub mod unquantise;
pub mod verdict;
pub mod worker;
