//! The methods that TensorRT 8.6 declares otherwise than all later versions, dimensions above all: which form is called is decided here,
//! by the family, and nowhere else.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use super::*;

impl<C: Class> Ref<'_, C> {
    /// The answer in the width that the family has. A method that is not there knows nothing.
    fn wide(
        self,
        narrow: impl FnOnce(Self) -> Result<Dims32, RunError>,
        wide: impl FnOnce(Self) -> Result<Dims, RunError>,
    ) -> Dims {
        let answer = match self.is_8() {
            true => narrow(self).map(Dims::from),
            false => wide(self),
        };
        answer.unwrap_or(Dims::UNKNOWN)
    }

    fn is_8(self) -> bool {
        self.library.family().has_narrow_dims()
    }
}

impl Ref<'_, Tensor> {
    /// -1 for what only a run can tell.
    pub fn dimensions(self) -> Dims {
        self.wide(
            // SAFETY: each form is called where the family has it.
            |t| unsafe { t.dimensions_32() },
            // SAFETY: as above.
            |t| unsafe { t.dimensions_64() },
        )
    }
}

impl Ref<'_, Engine> {
    /// Of an input or output.
    pub fn shape(self, tensor: &CStr) -> Dims {
        self.wide(
            // SAFETY: as above.
            |e| unsafe { e.shape_32(tensor) },
            // SAFETY: as above.
            |e| unsafe { e.shape_64(tensor) },
        )
    }

    /// Of an input, in a profile.
    pub fn profile_shape(self, tensor: &CStr, profile: i32, which: i32) -> Dims {
        self.wide(
            // SAFETY: as above.
            |e| unsafe { e.profile_shape_32(tensor, profile, which) },
            // SAFETY: as above.
            |e| unsafe { e.profile_shape_64(tensor, profile, which) },
        )
    }

    /// `strategy` is a number of `ExecutionContextAllocationStrategy`; 8.6 knows but one.
    pub fn create_context(self, strategy: i32) -> Option<NonNull<c_void>> {
        let made = match self.is_8() {
            // SAFETY: as above.
            true => unsafe { self.create_context_8() },
            // SAFETY: as above.
            false => unsafe { self.create_context_10(strategy) },
        };
        made.ok().flatten()
    }
}

impl Ref<'_, Context> {
    /// Of an input or output, for the shapes that were set.
    pub fn shape(self, tensor: &CStr) -> Dims {
        self.wide(
            // SAFETY: as above.
            |c| unsafe { c.shape_32(tensor) },
            // SAFETY: as above.
            |c| unsafe { c.shape_64(tensor) },
        )
    }

    /// `false`: TensorRT refuses it, or has no room for such a size.
    pub fn set_input_shape(self, input: &CStr, dims: &Dims) -> bool {
        let set = match self.is_8() {
            // SAFETY: as above.
            true => dims.narrow().map_or(Ok(false), |dims| unsafe { self.set_input_shape_32(input, &raw const dims) }),
            // SAFETY: as above.
            false => unsafe { self.set_input_shape_64(input, &raw const *dims) },
        };
        set.unwrap_or(false)
    }
}

impl Ref<'_, Profile> {
    /// `false`: as above.
    pub fn set_dimensions(self, input: &CStr, which: i32, dims: &Dims) -> bool {
        let set = match self.is_8() {
            // SAFETY: as above.
            true => dims.narrow().map_or(Ok(false), |dims| unsafe { self.set_dimensions_32(input, which, dims) }),
            // SAFETY: as above.
            false => unsafe { self.set_dimensions_64(input, which, &raw const *dims) },
        };
        set.unwrap_or(false)
    }
}

impl Ref<'_, Runtime> {
    /// An engine of the plan.
    ///
    /// # Safety
    /// So many bytes lie there.
    pub unsafe fn deserialize(self, plan: *const c_void, size: usize) -> Result<Option<NonNull<c_void>>, RunError> {
        match self.is_8() {
            // SAFETY: as above; there is no factory of plugins.
            true => unsafe { self.deserialize_8(plan, size, null_mut()) },
            // SAFETY: as above.
            false => unsafe { self.deserialize_10(plan, size) },
        }
    }
}
