//! Before the search: which models, which data, which two sides, what may be written where; and the first runs.

pub mod asked;
pub mod autopsy;
mod backends;
pub mod choose;
pub mod crashed;
mod engine;
pub mod named;
pub mod opening;
pub mod prepare;
pub mod sides;
pub mod untouched;
