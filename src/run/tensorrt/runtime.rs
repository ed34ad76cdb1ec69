//! Turns a plan into an engine. Needs a GPU that the plan was built for.

use super::engine::Engine;
use super::loaded::Library;
use super::{log, sys};
use crate::run::RunError;

/// What makes engines of plans.
pub struct Runtime(sys::Owned<sys::Runtime>);

impl Runtime {
    /// An error where the library gives none; its log has the reason.
    pub fn new(library: &Library) -> Result<Runtime, RunError> {
        let mark = log::mark();
        let runtime = sys::Owned::<sys::Runtime>::create(library);
        runtime.map(Runtime).ok_or_else(|| log::not_run(library, mark, "it makes no runtime"))
    }

    /// An error for a plan of another version, another GPU, or none at all.
    pub fn engine(&self, plan: &[u8]) -> Result<Engine, RunError> {
        let mark = log::mark();
        let engine = self.0.engine(plan)?;
        engine.map(Engine::new).ok_or_else(|| log::not_run(self.0.library(), mark, "it refuses the plan"))
    }
}
