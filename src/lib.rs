//! layerdiff: which node of an ONNX model is the first to go wrong, with proof.
//!
//! The journey of a run, as the rooms stand in its order:
//!
//! ```text
//! open (models, data, two sides) -> lab -> find (trust, search, isolate, diagnose, rank) -> reduce -> cure -> found -> show
//! ```
//!
//! `commands` are chains of those stages; each takes the lab and gives back a value, and `found` makes the one report of
//! them. Below stand what every stage uses: `run` (backends), `load`, `mark`, `precision`, `judge`, `compare`, `sums`, `graph`,
//! `onnx`, `tensor` and `search`. The cores of `reduce`, `cure`, `diagnose` and `qdq` know no backend; what drives the first
//! two stands in their `drive`. Imports point down only; `tests/layers.rs` guards it.

// Without any knowledge of models.
pub mod failure;
pub mod files;
pub mod interrupt;
pub mod names;
pub mod scratch;
pub mod search;
pub mod tensor;
pub mod terminal;

// Models, and what is said of them.
pub mod compare;
pub mod found;
pub mod graph;
pub mod judge;
pub mod load;
pub mod mark;
pub mod onnx;
pub mod precision;
pub mod show;
pub mod spec;
pub mod sums;
pub mod types;

// Cores that know no backend.
pub mod cure;
pub mod diagnose;
pub mod differ;
pub mod qdq;
pub mod reduce;

// What runs models.
pub mod lab;
pub mod progress;
pub mod run;

// The stages, and who chooses them.
pub mod cli;
pub mod commands;
pub mod find;
pub mod inspect;
pub mod open;
pub mod supervise;
