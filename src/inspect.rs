//! What a model, an engine or a file of arrays is made of, and whether two of them fit together. Runs none of them, but a
//! model whose shapes nothing else tells, once, where its layers' cost is asked for.

pub mod against;
mod arrays;
mod constants;
pub mod cost;
pub mod coverage;
pub mod data;
mod defects;
pub mod engine;
pub mod facts;
pub mod file;
pub mod heads;
pub mod lint;
pub mod model;
pub mod page;
pub mod parser;
mod port;
mod refused;
mod statistics;
mod tensorrt;
pub mod tensors;
pub mod types;
mod undo;
mod untrained;
mod weights;
