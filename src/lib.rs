//! layerdiff: which node of an ONNX model is the first to go wrong, with proof.
//!
//! The journey of a run, and the modules in its order:
//!
//! ```text
//! load -> graph -> mark -> run (reference, candidate) -> compare -> search -> isolate -> diagnose -> reduce -> override -> report
//! ```
//!
//! Imports point down only: `commands` are made of `steps`, which know the `cli` and use `probe`, `isolate`, `diagnose`, `reduce`,
//! `overrides` and `report`; those use `load`, `mark`, `precision`, `run` and `compare`; those use `graph`, `onnx`, `tensor` and
//! `search`. `tests/layers.rs` guards it.

pub mod terminal;

pub mod scratch;

pub mod files;

pub mod names;

pub mod tensor;

pub mod onnx;

pub mod load;

pub mod graph;

pub mod mark;

pub mod precision;

pub mod types;

pub mod spec;

pub mod experiment;

pub mod run;

pub mod compare;

pub mod tolerance;

pub mod search;

pub mod probe;

pub mod isolate;

pub mod diagnose;

pub mod reduce;

pub mod overrides;

pub mod qdq;

pub mod report;

pub mod interrupt;

pub mod cli;

pub mod steps;

pub mod commands;

pub mod supervise;
