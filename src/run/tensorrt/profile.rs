//! The shapes that an engine is built for: smallest, usual and largest, for each input with a dimension that is not fixed.

use super::log;
use super::sys::{self, Dims, c_text};
use crate::run::RunError;

/// Shapes, input by input.
pub struct Profile(sys::Owned<sys::Profile>);

impl Profile {
    /// TensorRT owns the object: the builder deletes it.
    pub(super) fn new(object: sys::Owned<sys::Profile>) -> Profile {
        Profile(object)
    }

    /// What a configuration is given.
    pub(super) fn object(&self) -> sys::Ref<'_, sys::Profile> {
        self.0.get()
    }

    /// The shapes of one input. An error for more than 8 dimensions, and where TensorRT refuses them.
    pub fn shape(&mut self, input: &str, min: &[i64], opt: &[i64], max: &[i64]) -> Result<(), RunError> {
        if let Some(shape) = [min, opt, max].into_iter().find(|shape| Dims::new(shape).is_none()) {
            let (backend, count) = (self.0.library().name(), shape.len());
            let reason = format!("input '{input}' has {count} dimensions, and TensorRT knows 8 at most");
            return Err(RunError::Build { backend, reason });
        }
        self.set(input, [min, opt, max], |name, which, shape| {
            Ok(Dims::new(shape).is_some_and(|dims| self.0.get().set_dimensions(name, which, &dims)))
        })
    }

    /// For an input whose values are a shape.
    pub fn values(&mut self, input: &str, min: &[i64], opt: &[i64], max: &[i64]) -> Result<(), RunError> {
        self.set(input, [min, opt, max], |name, which, values| self.0.set_values(name, which, values))
    }

    /// Does every shape lie between the smallest and the largest, as far as TensorRT can tell?
    pub fn is_valid(&self) -> bool {
        self.0.get().is_valid()
    }

    fn set(
        &self,
        input: &str,
        of: [&[i64]; 3],
        set: impl Fn(&std::ffi::CStr, i32, &[i64]) -> Result<bool, RunError>,
    ) -> Result<(), RunError> {
        let (mark, name) = (log::mark(), c_text(input));
        for (which, values) in (0..).zip(of) {
            if !set(&name, which, values)? {
                let what = format!("it refuses {values:?} in the shape profile of input '{input}'");
                return Err(log::not_built(self.0.library(), mark, &what));
            }
        }
        Ok(())
    }
}
