//! TensorRT 10, 11 and TensorRT-RTX, found and loaded at run time: safe wrappers above the vtables of its C++ classes.
//!
//! [`library`] looks for files, [`Library::open`] loads them, [`Builder`] turns a parsed [`Network`] into a [`Plan`], [`Runtime`] a plan into an
//! [`Engine`], and a [`Context`] runs it. `abi.txt` says where each method lies; `sys` and `callback` hold the unsafe code. Nothing here owns
//! device memory or knows layerdiff's models.

mod abi;
mod backend;
mod builder;
mod callback;
mod config;
mod context;
mod engine;
mod heard;
pub mod layers;
pub mod library;
mod loaded;
pub mod log;
mod network;
mod open;
mod options;
mod parser;
mod profile;
mod runtime;
mod sys;
mod types;

pub use abi::{Family, Flag, Version};
pub use backend::TensorRt;
pub use builder::{Builder, Plan, Typing};
pub use config::{Config, Pool};
pub use context::Context;
pub use engine::{Binding, Engine, Selector};
pub use heard::{DebugTensor, Step};
pub use loaded::Library;
pub use network::{Layer, Network, Tensor};
pub use options::{Options, Range};
pub use parser::{ParseError, refusal};
pub use profile::Profile;
pub use runtime::Runtime;
