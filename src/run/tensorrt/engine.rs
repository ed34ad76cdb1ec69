//! A ready engine: what goes in and out, the shapes it was built for, and what its inspector says.

use super::builder::Plan;
use super::context::Context;
use super::sys::{self, c_text};
use super::{log, types};
use crate::run::RunError;
use crate::tensor::DType;

/// An engine in this process, built here or read from a file.
pub struct Engine(sys::Owned<sys::Engine>);

/// An input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// As the model called it.
    pub name: String,
    /// Fed by the caller; else handed out.
    pub input: bool,
    /// The type of the buffer to bind.
    pub dtype: DType,
    /// -1 for a dimension that the profile leaves open.
    pub shape: Vec<i64>,
    /// Its memory is the host's: it is a shape.
    pub host: bool,
    /// Its value decides about shapes inside the engine.
    pub shape_inference: bool,
}

/// Which shape of a profile; the numbers are TensorRT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The smallest that may be fed.
    Min = 0,
    /// The one that kernels were chosen for.
    Opt = 1,
    /// The largest that may be fed.
    Max = 2,
}

impl Engine {
    /// Owns the object.
    pub(super) fn new(object: sys::Owned<sys::Engine>) -> Engine {
        Engine(object)
    }

    /// Inputs and outputs in the engine's order; an error for an element type that layerdiff does not know.
    pub fn bindings(&self) -> Result<Vec<Binding>, RunError> {
        let engine = self.0.get();
        (0..engine.binding_count()).map(|i| self.binding(engine.binding_name(i))).collect()
    }

    fn binding(&self, name: String) -> Result<Binding, RunError> {
        let (engine, c_name) = (self.0.get(), c_text(&name));
        let number = engine.dtype(&c_name);
        let dtype = types::dtype(number).ok_or_else(|| RunError::Garbage {
            backend: self.0.library().name(),
            reason: format!("tensor '{name}' of the engine has the unknown element type {number}"),
        })?;
        Ok(Binding {
            input: engine.mode(&c_name) == 1,
            dtype,
            shape: engine.shape(&c_name).shape().unwrap_or_default().to_vec(),
            host: engine.location(&c_name) == 1,
            shape_inference: engine.is_shape_inference(&c_name),
            name,
        })
    }

    /// How many shape profiles it was built with.
    pub fn profiles(&self) -> usize {
        usize::try_from(self.0.get().profile_count()).unwrap_or(0)
    }

    /// `None` for an input that the profile says nothing about.
    pub fn profile_shape(&self, input: &str, profile: usize, which: Selector) -> Option<Vec<i64>> {
        let profile = i32::try_from(profile).ok()?;
        self.0.get().profile_shape(&c_text(input), profile, which as i32).shape().map(<[i64]>::to_vec)
    }

    /// Can a listener hear of this tensor?
    pub fn is_debug(&self, tensor: &str) -> bool {
        self.0.get().is_debug(&c_text(tensor)).unwrap_or(false)
    }

    /// Layers after fusion.
    pub fn layer_count(&self) -> usize {
        usize::try_from(self.0.get().layer_count()).unwrap_or(0)
    }

    /// Bytes of device memory that a context needs besides inputs, outputs and weights.
    pub fn device_memory(&self) -> Option<usize> {
        let engine = self.0.get();
        engine.device_memory_64().ok().and_then(|n| usize::try_from(n).ok()).or_else(|| engine.device_memory().ok())
    }

    /// The bytes of its file.
    pub fn serialise(&self) -> Result<Plan, RunError> {
        let mark = log::mark();
        let plan =
            self.0.plan().ok_or_else(|| log::not_run(self.0.library(), mark, "it does not serialise the engine"))?;
        Ok(Plan::new(plan))
    }

    /// What the engine inspector knows, as JSON: see [`super::layers::read`].
    pub fn information(&self) -> Result<String, RunError> {
        let mark = log::mark();
        let inspector = self.0.inspector();
        let inspector =
            inspector.ok_or_else(|| log::not_run(self.0.library(), mark, "it makes no engine inspector"))?;
        Ok(inspector.get().information(1))
    }

    /// What one run at a time needs: takes [`Engine::device_memory`] of the GPU.
    pub fn context(&self) -> Result<Context, RunError> {
        let mark = log::mark();
        let context =
            self.0.context(0).ok_or_else(|| log::not_run(self.0.library(), mark, "it makes no execution context"))?;
        Ok(Context::new(context))
    }
}
