//! A sample's tensor in the element type of an engine's binding: by value, never by reinterpretation. What does not fit is an error.

use half::{bf16, f16};

use crate::precision;
use crate::tensor::{DType, Tensor};

/// Can values of one type be converted to the other at all?
pub fn convertible(from: DType, to: DType) -> bool {
    from == to || (is_float(from) && is_float(to)) || (is_integer(from) && is_integer(to))
}

/// The sentence of the error names the value that does not fit.
pub fn convert(tensor: &Tensor, to: DType) -> Result<Tensor, String> {
    let from = tensor.dtype;
    if from == to {
        return Ok(tensor.clone());
    }
    match (is_float(from) && is_float(to), is_integer(from) && is_integer(to)) {
        (true, _) => floats(tensor, to),
        (_, true) => whole(tensor, to),
        _ => Err(format!("it is {from}, which cannot become the engine's {to}")),
    }
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::Float64 | DType::Float32 | DType::Float16 | DType::Bfloat16)
}

/// Of 8 bits or more; truth values are none.
pub fn is_integer(dtype: DType) -> bool {
    use DType::*;
    matches!(dtype, Int64 | Int32 | Int16 | Int8 | Uint64 | Uint32 | Uint16 | Uint8)
}

fn floats(tensor: &Tensor, to: DType) -> Result<Tensor, String> {
    let unknown = || format!("it is {}, which cannot become the engine's {to}", tensor.dtype);
    let converted = precision::cast(tensor, to).ok_or_else(unknown)?;
    let (before, after) = (reals(tensor), reals(&converted));
    match before.iter().zip(&after).find(|(before, after)| before.is_finite() && !after.is_finite()) {
        Some((value, _)) => Err(format!("its value {value} is out of the range of the engine's {to}")),
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

fn whole(tensor: &Tensor, to: DType) -> Result<Tensor, String> {
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

/// The values of a tensor of whole numbers; none of any other.
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
        DType::Uint8 => wide::<u8>(tensor),
        _ => Vec::new(),
    }
}

fn narrow<T>(tensor: &Tensor, values: &[i128], to: DType) -> Result<Tensor, String>
where
    T: TryFrom<i128> + bytemuck::Pod + Send + Sync,
{
    let fit = |value: &i128| {
        T::try_from(*value).map_err(|_| format!("its value {value} is out of the range of the engine's {to}"))
    };
    let values = values.iter().map(fit).collect::<Result<Vec<T>, String>>()?;
    Ok(Tensor::from_vec(to, tensor.shape.clone(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_or_refused() {
        let big = i64::from(i32::MAX) + 1;
        let ints = |values: &[i64]| Tensor::i64(&[values.len()], values);
        let narrow = convert(&ints(&[1, -2, 7]), DType::Int32).unwrap();
        assert_eq!((narrow.dtype, narrow.view::<i32>().into_owned()), (DType::Int32, vec![1, -2, 7]));
        assert_eq!(convert(&narrow, DType::Int64).unwrap().view::<i64>().as_ref(), [1, -2, 7]);
        assert!(convert(&ints(&[1, big]), DType::Int32).unwrap_err().contains("2147483648"));
        assert!(convert(&ints(&[-1]), DType::Uint8).unwrap_err().contains("-1"));
        let half = convert(&Tensor::f32(&[2], &[0.5, f32::INFINITY]), DType::Float16).unwrap();
        assert_eq!(half.view::<f16>().as_ref(), [f16::from_f32(0.5), f16::INFINITY]);
        assert_eq!(convert(&half, DType::Float32).unwrap().view::<f32>().as_ref(), [0.5, f32::INFINITY]);
        assert!(convert(&Tensor::f32(&[1], &[70000.0]), DType::Float16).unwrap_err().contains("70000"));
        assert!(convert(&Tensor::f32(&[1], &[70000.0]), DType::Bfloat16).is_ok());
        assert!(convert(&Tensor::f32(&[1], &[1.0]), DType::Int32).unwrap_err().contains("float32"));
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
