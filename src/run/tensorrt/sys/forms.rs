//! Dimensions, and the methods that TensorRT 8.6 declares otherwise than all later versions: which form is called is decided here, by the
//! family, and nowhere else.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use super::*;

/// Dimensions, as TensorRT passes them from 10 on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Dims {
    count: i32,
    sizes: [i64; 8],
}

/// As 8.6 passes them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Dims32 {
    count: i32,
    sizes: [i32; 8],
}

impl Dims {
    /// Nothing is known, not even how many.
    const UNKNOWN: Dims = Dims { count: -1, sizes: [0; 8] };

    /// `None` for more than the 8 dimensions that TensorRT has.
    pub fn new(shape: &[i64]) -> Option<Dims> {
        let mut dims = Dims { count: i32::try_from(shape.len()).ok()?, sizes: [0; 8] };
        dims.sizes.get_mut(..shape.len())?.copy_from_slice(shape);
        Some(dims)
    }

    /// -1 stands for a dimension that is not known yet. `None`: nothing is known, not even how many.
    pub fn shape(&self) -> Option<&[i64]> {
        usize::try_from(self.count).ok().and_then(|count| self.sizes.get(..count))
    }

    /// `None` for a size that does not fit 32 bits.
    pub fn narrow(&self) -> Option<Dims32> {
        let mut dims = Dims32 { count: self.count, sizes: [0; 8] };
        for (narrow, size) in dims.sizes.iter_mut().zip(self.sizes) {
            *narrow = i32::try_from(size).ok()?;
        }
        Some(dims)
    }
}

impl From<Dims32> for Dims {
    fn from(narrow: Dims32) -> Dims {
        Dims { count: narrow.count, sizes: narrow.sizes.map(i64::from) }
    }
}

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
        // SAFETY: each form is called where the family has it.
        self.wide(|t| unsafe { t.dimensions_32() }, |t| unsafe { t.dimensions_64() })
    }
}

impl Ref<'_, Engine> {
    /// Of an input or output.
    pub fn shape(self, tensor: &CStr) -> Dims {
        // SAFETY: as above.
        self.wide(|e| unsafe { e.shape_32(tensor) }, |e| unsafe { e.shape_64(tensor) })
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
        // SAFETY: as above.
        self.wide(|c| unsafe { c.shape_32(tensor) }, |c| unsafe { c.shape_64(tensor) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_of_32_bits() {
        let dims = Dims::new(&[-1, 3, i64::from(i32::MAX)]).unwrap();
        assert_eq!(Dims::from(dims.narrow().unwrap()), dims);
        assert_eq!(Dims::new(&[1, 1 << 31]).unwrap().narrow(), None);
        assert_eq!(Dims::from(Dims32 { count: -1, sizes: [0; 8] }), Dims::UNKNOWN);
        assert_eq!((size_of::<Dims32>(), size_of::<Dims>()), (36, 72));
    }
}
