//! What a model or an engine is made of, and whether two of them fit together. Runs neither.

pub mod against;
mod defects;
pub mod engine;
pub mod facts;
pub mod file;
pub mod model;
pub mod page;
mod port;
mod tensorrt;
pub mod types;
mod weights;
