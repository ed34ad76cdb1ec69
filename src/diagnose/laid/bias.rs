//! An int32 bias whose scale is not the product of the input's and the weight's.

use super::fitted::zero_point;
use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::num;
use crate::qdq::Parameters;
use crate::tensor::DType;

/// Undone by the product, and by the integers that the bias is in it.
pub fn scale(seen: &Seen) -> Option<Suspicion> {
    let (pair, product) = (seen.laid.pair, seen.laid.product.as_ref()?);
    let (own, wanted) = (to_f64(pair.scale.as_ref()?), to_f64(product));
    let at = |of: &[f64], i: usize| of.get(i).or(of.first()).copied().unwrap_or(f64::NAN);
    let ratio = |i: &usize| (at(&own, *i) / at(&wanted, *i)).abs();
    let worst = (0..own.len().max(wanted.len())).max_by(|a, b| ratio(a).ln().abs().total_cmp(&ratio(b).ln().abs()))?;
    let bias = to_f64(seen.laid.value);
    let code = |(i, x): (usize, &f64)| (x / at(&wanted, i)).round_ties_even().clamp(i32::MIN.into(), i32::MAX.into());
    let codes: Vec<f64> = bias.iter().enumerate().map(code).collect();
    let parameters = Parameters {
        scale: product.clone(),
        zero_point: zero_point(DType::Int32, &product.shape, &vec![0.0; product.elements()]),
        axis: (product.elements() > 1).then_some(0),
        stored: zero_point(DType::Int32, &seen.laid.value.shape, &codes),
    };
    Some(Suspicion {
        code: "bias-scale",
        evidence: format!(
            "{} has the int32 scale {}, and input scale x weight scale is {}: {} times that",
            seen.laid.place,
            num(at(&own, worst)),
            num(at(&wanted, worst)),
            num(ratio(&worst))
        ),
        advice: format!(
            "store the bias '{}' in steps of input scale x weight scale (a quantiser does so by itself), or leave it in float (QuantizeBias=False)",
            pair.tensor
        ),
        undo: Undo::Parameters(Box::new(parameters)),
    })
}
