//! A tensor in another element type of its kind: by value, never by reinterpretation. What does not fit is said, the first
//! one first.

use std::fmt;

use half::{bf16, f16};

use crate::tensor::{DType, Tensor};

/// Why a tensor cannot have another element type.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// No value of the one type is one of the other.
    Kind(DType, DType),
    /// This value, the first of those that are out of the other type's range.
    Value {
        /// As text.
        value: String,
        /// Where it is, counted from 0 in row-major order.
        at: usize,
        /// How many are out of range.
        count: usize,
        /// The type that it does not fit.
        to: DType,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unfit::Kind(from, to) => write!(f, "it is {from}, which cannot become {to}"),
            Unfit::Value { value, count: 1, to, .. } => write!(f, "its value {value} is out of the range of {to}"),
            Unfit::Value { value, count, to, .. } => {
                write!(f, "its value {value} is out of the range of {to}, the first of {count} such values")
            }
        }
    }
}

/// Can values of one type be converted to the other at all?
pub fn convertible(from: DType, to: DType) -> bool {
    from == to || (is_float(from) && is_float(to)) || (is_integer(from) && is_integer(to))
}

/// Every value in the other type: floats rounded to nearest even, whole numbers as they are. An error where one is out of its
/// range.
pub fn retyped(tensor: &Tensor, to: DType) -> Result<Tensor, Unfit> {
    let from = tensor.dtype;
    if from == to {
        return Ok(tensor.clone());
    }
    match (is_float(from) && is_float(to), whole(from) && whole(to)) {
        (true, _) => floats(tensor, to),
        (_, true) => integral(tensor, to),
        _ => Err(Unfit::Kind(from, to)),
    }
}

/// A float tensor in another float type, rounded to nearest even (infinite where it is out of range); whole numbers and truth
/// values in another such type, where every value fits. `None` otherwise.
pub fn cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
    round_to(tensor, to).or_else(|| retyped(tensor, to).ok())
}

/// A float tensor in another float type, rounded to nearest even; `None` between other types.
fn round_to(tensor: &Tensor, to: DType) -> Option<Tensor> {
    let wide: Vec<f64> = match tensor.dtype {
        DType::Float64 => tensor.view::<f64>().to_vec(),
        DType::Float32 => tensor.view::<f32>().iter().map(|x| f64::from(*x)).collect(),
        DType::Float16 => tensor.view::<f16>().iter().map(|x| x.to_f64()).collect(),
        DType::Bfloat16 => tensor.view::<bf16>().iter().map(|x| x.to_f64()).collect(),
        _ => return None,
    };
    let shape = tensor.shape.clone();
    Some(match to {
        DType::Float64 => Tensor::from_vec(to, shape, wide),
        DType::Float32 => Tensor::from_vec(to, shape, wide.into_iter().map(|x| x as f32).collect::<Vec<f32>>()),
        DType::Float16 => Tensor::from_vec(to, shape, wide.into_iter().map(f16::from_f64).collect::<Vec<f16>>()),
        DType::Bfloat16 => Tensor::from_vec(to, shape, wide.into_iter().map(bf16::from_f64).collect::<Vec<bf16>>()),
        _ => return None,
    })
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::Float64 | DType::Float32 | DType::Float16 | DType::Bfloat16)
}

/// Of 8 bits or more; truth values are none.
pub fn is_integer(dtype: DType) -> bool {
    use DType::*;
    matches!(dtype, Int64 | Int32 | Int16 | Int8 | Uint64 | Uint32 | Uint16 | Uint8)
}

/// A truth value is a number that is 0 or 1: masks come as both.
fn whole(dtype: DType) -> bool {
    dtype == DType::Bool || is_integer(dtype)
}

fn floats(tensor: &Tensor, to: DType) -> Result<Tensor, Unfit> {
    let converted = round_to(tensor, to).ok_or(Unfit::Kind(tensor.dtype, to))?;
    let (before, after) = (reals(tensor), reals(&converted));
    let lost = |(_, (before, after)): &(usize, (&f64, &f64))| before.is_finite() && !after.is_finite();
    let mut out = before.iter().zip(&after).enumerate().filter(lost);
    match out.next() {
        Some((at, (value, _))) => Err(Unfit::Value { value: value.to_string(), at, count: 1 + out.count(), to }),
        None => Ok(converted),
    }
}

fn reals(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype {
        DType::Float64 => tensor.view::<f64>().to_vec(),
        DType::Float32 => tensor.view::<f32>().iter().map(|x| f64::from(*x)).collect(),
        DType::Float16 => tensor.view::<f16>().iter().map(|x| x.to_f64()).collect(),
        DType::Bfloat16 => tensor.view::<bf16>().iter().map(|x| x.to_f64()).collect(),
        _ => Vec::new(),
    }
}

fn integral(tensor: &Tensor, to: DType) -> Result<Tensor, Unfit> {
    let values = integers(tensor);
    match to {
        DType::Int64 => narrow::<i64>(tensor, &values, to),
        DType::Int32 => narrow::<i32>(tensor, &values, to),
        DType::Int16 => narrow::<i16>(tensor, &values, to),
        DType::Int8 => narrow::<i8>(tensor, &values, to),
        DType::Uint64 => narrow::<u64>(tensor, &values, to),
        DType::Uint32 => narrow::<u32>(tensor, &values, to),
        DType::Uint16 => narrow::<u16>(tensor, &values, to),
        _ => narrow::<u8>(tensor, &values, to),
    }
}

/// The values of a tensor of whole numbers or truth values; none of any other.
pub fn integers(tensor: &Tensor) -> Vec<i128> {
    fn wide<T: bytemuck::Pod + Into<i128>>(tensor: &Tensor) -> Vec<i128> {
        tensor.view::<T>().iter().map(|value| (*value).into()).collect()
    }
    match tensor.dtype {
        DType::Int64 => wide::<i64>(tensor),
        DType::Int32 => wide::<i32>(tensor),
        DType::Int16 => wide::<i16>(tensor),
        DType::Int8 => wide::<i8>(tensor),
        DType::Uint64 => wide::<u64>(tensor),
        DType::Uint32 => wide::<u32>(tensor),
        DType::Uint16 => wide::<u16>(tensor),
        DType::Uint8 | DType::Bool => wide::<u8>(tensor),
        _ => Vec::new(),
    }
}

fn narrow<T>(tensor: &Tensor, values: &[i128], to: DType) -> Result<Tensor, Unfit>
where
    T: TryFrom<i128> + bytemuck::Pod + Send + Sync,
{
    let fit = |value: &i128| match to {
        DType::Bool if !matches!(value, 0 | 1) => None,
        _ => T::try_from(*value).ok(),
    };
    let fitting: Vec<T> = values.iter().map_while(fit).collect();
    match values.get(fitting.len()) {
        Some(value) => {
            let count = values.iter().filter(|value| fit(value).is_none()).count();
            Err(Unfit::Value { value: value.to_string(), at: fitting.len(), count, to })
        }
        None => Ok(Tensor::from_vec(to, tensor.shape.clone(), fitting)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_or_refused() {
        let big = i64::from(i32::MAX) + 1;
        let ints = |values: &[i64]| Tensor::i64(&[values.len()], values);
        let narrow = retyped(&ints(&[1, -2, 7]), DType::Int32).unwrap();
        assert_eq!((narrow.dtype, narrow.view::<i32>().into_owned()), (DType::Int32, vec![1, -2, 7]));
        assert_eq!(retyped(&narrow, DType::Int64).unwrap().view::<i64>().as_ref(), [1, -2, 7]);
        assert!(retyped(&ints(&[1, big]), DType::Int32).unwrap_err().to_string().contains("2147483648"));
        assert!(retyped(&ints(&[-1]), DType::Uint8).unwrap_err().to_string().contains("-1"));
        let half = retyped(&Tensor::f32(&[2], &[0.5, f32::INFINITY]), DType::Float16).unwrap();
        assert_eq!(half.view::<f16>().as_ref(), [f16::from_f32(0.5), f16::INFINITY]);
        assert_eq!(retyped(&half, DType::Float32).unwrap().view::<f32>().as_ref(), [0.5, f32::INFINITY]);
        assert!(retyped(&Tensor::f32(&[1], &[70000.0]), DType::Float16).unwrap_err().to_string().contains("70000"));
        assert!(retyped(&Tensor::f32(&[1], &[70000.0]), DType::Bfloat16).is_ok());
        assert!(retyped(&Tensor::f32(&[1], &[1.0]), DType::Int32).unwrap_err().to_string().contains("float32"));
    }

    #[test]
    fn what_does_not_fit_is_counted_from_the_first() {
        let ids = Tensor::i64(&[4], &[3, 5_000_000_000, 7, -5_000_000_000]);
        let unfit = retyped(&ids, DType::Int32).unwrap_err();
        assert_eq!(unfit, Unfit::Value { value: "5000000000".into(), at: 1, count: 2, to: DType::Int32 });
        assert_eq!(unfit.to_string(), "its value 5000000000 is out of the range of int32, the first of 2 such values");
        let mask = retyped(&Tensor::i64(&[3], &[1, 0, 1]), DType::Bool).unwrap();
        assert_eq!((mask.dtype, mask.bytes()), (DType::Bool, &[1u8, 0, 1][..]));
        assert_eq!(retyped(&mask, DType::Int64).unwrap().view::<i64>().as_ref(), [1, 0, 1]);
        assert!(retyped(&ids, DType::Bool).is_err());
    }

    #[test]
    fn kinds_of_types_do_not_mix() {
        let check = |from, to, expected| assert_eq!(convertible(from, to), expected, "{from} {to}");
        check(DType::Int64, DType::Int32, true);
        check(DType::Float32, DType::Bfloat16, true);
        check(DType::Bool, DType::Bool, true);
        check(DType::Float32, DType::Int8, false);
        check(DType::Bool, DType::Uint8, false);
    }
}
