//! Dimensions, in the two widths in which TensorRT passes them. Values only.

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
    pub const UNKNOWN: Dims = Dims { count: -1, sizes: [0; 8] };

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
