//! A neighbour of the inputs that a cure was found with: what only just agrees on one input should agree there too. Makes
//! tensors; runs nothing.

use half::f16;

use crate::tensor::{DType, Tensor, Tensors};

/// Values change by so much of themselves at most: what FP16 would round away, and far below what a model should notice.
const SHARE: f64 = 1.0 / 1024.0;

/// The inputs with every float a little off, all of one tensor by the same factor and always the same one; `None` where there
/// is nothing to change. Integers stay, and so do floats that are whole numbers (zeros, masks, pixels, ids) or not finite: those
/// mean something as they are.
pub fn changed(feed: &Tensors) -> Option<Tensors> {
    let mut any = false;
    let one = |(name, tensor): (&String, &Tensor)| {
        let new = changed_tensor(name, tensor);
        any |= new.is_some();
        (name.clone(), new.unwrap_or_else(|| tensor.clone()))
    };
    let feed = feed.iter().map(one).collect();
    any.then_some(feed)
}

/// `None` where it stays as it is.
fn changed_tensor(name: &str, tensor: &Tensor) -> Option<Tensor> {
    let (shape, factor) = (tensor.shape.clone(), factor(name));
    let new = match tensor.dtype {
        DType::Float64 => {
            let values = tensor.view::<f64>().iter().map(|v| near(*v, factor)).collect::<Vec<_>>();
            Tensor::from_vec(tensor.dtype, shape, values)
        }
        DType::Float32 => {
            let near = |v: &f32| Some(near(f64::from(*v), factor) as f32).filter(|new| new.is_finite()).unwrap_or(*v);
            let values = tensor.view::<f32>().iter().map(near).collect::<Vec<_>>();
            Tensor::from_vec(tensor.dtype, shape, values)
        }
        DType::Float16 => {
            let near =
                |v: &f16| Some(f16::from_f64(near(v.to_f64(), factor))).filter(|new| new.is_finite()).unwrap_or(*v);
            let values = tensor.view::<f16>().iter().map(near).collect::<Vec<_>>();
            Tensor::from_vec(tensor.dtype, shape, values)
        }
        _ => return None,
    };
    (!new.identical(tensor)).then_some(new)
}

/// Whole numbers and what would not be finite stay.
fn near(value: f64, factor: f64) -> f64 {
    let new = value * factor;
    if value.fract() == 0.0 || !new.is_finite() { value } else { new }
}

/// One for all values of an input, so that equal ones stay equal and their order is kept: a constant row of noise would be
/// another question. At least half of [`SHARE`] away from 1, up or down, by the input's name (FNV-1a).
fn factor(name: &str) -> f64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let share = 0.5 + (hash >> 12) as f64 / (1u64 << 53) as f64;
    if hash & 1 == 0 { 1.0 + SHARE * share } else { 1.0 - SHARE * share }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(name: &str, tensor: Tensor) -> Tensors {
        [(name.to_string(), tensor)].into_iter().collect()
    }

    #[test]
    fn floats_are_a_little_off_and_always_in_the_same_way() {
        let values = [0.5f32, -1.25e-3, 3.7e4, f32::MIN_POSITIVE];
        let x = feed("x", Tensor::f32(&[4], &values));
        let (first, again) = (changed(&x).unwrap(), changed(&x).unwrap());
        assert!(first["x"].identical(&again["x"]) && !first["x"].identical(&x["x"]));
        for (new, old) in first["x"].view::<f32>().iter().zip(values) {
            assert!(((new - old) / old).abs() <= 1.01 / 1024.0, "{old} became {new}");
        }
        let other = changed(&feed("y", x["x"].clone())).unwrap();
        assert!(!other["y"].identical(&first["x"]), "each input in a way of its own");
        for name in ["x", "y", "input.1", ""] {
            let off = (factor(name) - 1.0).abs() * 1024.0;
            assert!((0.5..=1.0).contains(&off), "{name}: {off}");
        }
        let row = changed(&feed("row", Tensor::f32(&[3], &[0.3; 3]))).unwrap();
        assert!(row["row"].view::<f32>().windows(2).all(|pair| pair[0] == pair[1]), "equal values stay equal");
    }

    #[test]
    fn what_means_something_as_it_is_stays() {
        let whole = [0.0f32, -0.0, 1.0, 255.0, -3.4028235e38, f32::INFINITY, f32::NEG_INFINITY];
        assert!(changed(&feed("mask", Tensor::f32(&[7], &whole))).is_none());
        let nan = changed(&feed("x", Tensor::f32(&[2], &[f32::NAN, 0.3]))).unwrap();
        assert!(nan["x"].view::<f32>()[0].is_nan());
        assert!(changed(&feed("ids", Tensor::i64(&[2], &[3, 4]))).is_none());
        let mut both = feed("ids", Tensor::i64(&[2], &[3, 4]));
        both.extend(feed("x", Tensor::f32(&[1], &[0.3])));
        let new = changed(&both).unwrap();
        assert!(new["ids"].identical(&both["ids"]) && !new["x"].identical(&both["x"]));
    }
}
