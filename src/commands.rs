//! One file per subcommand: the visible main path of each. What several share stands beside them.

pub mod bisect;
pub mod compare;
pub mod doctor;
pub mod narrow;
pub mod prepare;
pub mod progress;
pub mod report;
pub mod scan;
pub mod setup;
pub mod sides;
pub mod verdict;
pub mod worker;
