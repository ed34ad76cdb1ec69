//! Quantisation scales against the range of the values: too small, too large, or along the wrong axis.

use super::case::{Case, axis};
use super::fit::{Fit, needs, spread};
use super::quantised::Clip;
use super::words::num;
use super::{Finding, Quantised, Strength};
use crate::tensor::Tensor;

/// A scale this many times too small clips more than outliers.
const TOO_SMALL: f64 = 4.0;
/// A range of which only this part is used leaves 5 bits of 8.
const TOO_LARGE: f64 = 1.0 / 8.0;

/// A scale that does not fit the values: along the wrong axis, too small or too large.
pub fn scale_mismatch(case: &Case) -> Option<Finding> {
    let (strength, evidence) = wrong_axis(case).or_else(|| wrong_size(case)).or_else(|| guessed(case))?;
    let advice = format!(
        "calibrate '{}' again with data that covers its range, or leave {} unquantised; a scale per channel must go along the output channels (axis 0 of Conv, 1 of ConvTranspose)",
        case.e.culprit.tensor,
        case.name()
    );
    Some(Finding { code: "scale-mismatch", strength, evidence, advice })
}

fn wrong_size(case: &Case) -> Option<(Strength, String)> {
    let fit = case.fit.as_ref()?;
    let range = format!("the scale {} covers {} .. {}", num(fit.scale), num(fit.low), num(fit.high));
    let reach = format!("the values reach {}", num(fit.reach));
    if fit.need >= TOO_SMALL {
        return Some((Strength::AtWork, format!("{range}, and {reach}: it is {} times too small", num(fit.need))));
    }
    if fit.need > 0.0 && fit.need <= TOO_LARGE {
        return Some((
            Strength::AtWork,
            format!("{range}, but {reach} only: it is {} times too large", num(1.0 / fit.need)),
        ));
    }
    None
}

/// From the values alone.
fn guessed(case: &Case) -> Option<(Strength, String)> {
    let clip = Clip::of(case)?;
    let factor = clip.reach / clip.bound;
    (factor >= TOO_SMALL).then(|| {
        let text = format!("the candidate's values end at {}, the reference's at {}", num(clip.bound), num(clip.reach));
        (Strength::Fits, format!("{text}: the scale is about {} times too small", num(factor)))
    })
}

/// A scale per channel, but not of these channels.
fn wrong_axis(case: &Case) -> Option<(Strength, String)> {
    let (tensor, q) = quantised(case)?;
    let channels = q.scale.elements();
    let given = axis(q.axis.unwrap_or(1), tensor.shape.len());
    let at = given.map_or(0, |a| tensor.shape[a]);
    if channels < 2 {
        return None;
    }
    if at != channels {
        let text = format!("there are {channels} scales, and {at} channels along axis {}", q.axis.unwrap_or(1));
        return Some((Strength::AtWork, text));
    }
    let misfit = |a: usize| Some(spread(&needs(tensor, &q, Some(a))?));
    let given = given?;
    let worse = misfit(given)?;
    let others = (0..tensor.shape.len()).filter(|a| *a != given && tensor.shape[*a] == channels);
    let (better, misfit) = others.filter_map(|a| Some((a, misfit(a)?))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    // Twice off on average against a third: no accident.
    (worse > 2f64.ln() && misfit < 0.5 * worse).then(|| {
        let text = format!("the {channels} scales fit the values along axis {better}, and are used along axis {given}");
        (Strength::Fits, text)
    })
}

/// How the quantised tensor of the case fits into its scale.
pub fn fit(case: &Case) -> Option<Fit> {
    let (tensor, q) = quantised(case)?;
    let along = (q.scale.elements() > 1).then(|| axis(q.axis.unwrap_or(1), tensor.shape.len())).flatten();
    Fit::of(tensor, &q, along)
}

/// The tensor that is quantised and its parameters: the culprit's, or those of a QuantizeLinear that is the culprit.
fn quantised<'a>(case: &Case<'a>) -> Option<(&'a Tensor, Quantised<'a>)> {
    if let Some(q) = case.e.quantised {
        return Some((case.e.output?, q));
    }
    if case.op() != "QuantizeLinear" {
        return None;
    }
    let value = |slot: usize| case.operand(slot).and_then(|o| o.value);
    let axis = super::case::int(case.e.node, "axis");
    Some((value(0)?, Quantised { scale: value(1)?, zero_point: value(2), axis }))
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without, zero};
    use crate::onnx::AttributeProto;
    use crate::spec::Precision::Fp32;
    use crate::tensor::{DType, Tensor};

    const CODE: &str = "scale-mismatch";

    fn relu(limit: f32) -> Sample {
        let y: Vec<f32> = (0..64).map(|i| 2.4 * i as f32 / 63.0).collect();
        let sample = Sample::new("Relu", &["x"]).quantised(&[limit / 127.0], zero(DType::Int8), None);
        sample.precision(Fp32, &y, &y.iter().map(|y| y.min(limit) + 1e-4).collect::<Vec<f32>>())
    }

    #[test]
    fn sizes() {
        check(relu(2.4 / 50.0), CODE, "the values reach 2.4: it is 50 times too small");
        check(relu(2.4 * 20.0), CODE, "20 times too large");
        without(relu(2.4), CODE);
        without(relu(1.5), CODE);
        let codes: Vec<String> = relu(2.4 / 50.0).diagnoses().into_iter().map(|d| d.code).collect();
        assert_eq!(codes, [CODE, "int8-saturation"]);
    }

    #[test]
    fn a_quantizer_itself() {
        let node = Sample::new("QuantizeLinear", &["x", "s", "z"]).input("x", &[0.0, 100.0]).constant("s", &[0.01]);
        let node = node.value("z", zero(DType::Uint8));
        check(node.precision(Fp32, &[0.0, 255.0], &[0.0, 200.0]), CODE, "39.22 times too small");
    }

    #[test]
    fn axes() {
        // Rows of size 1, 10 and 100: the scales are those of the rows.
        let w: Vec<f32> = (0..9).map(|i| 10f32.powi(i / 3) * (1.0 + (i % 3) as f32 / 10.0)).collect();
        let scales = [1.2f32, 12.0, 120.0].map(|x| x / 127.0);
        let sample = |axis: i64, scales: &[f32]| {
            let y = Tensor::f32(&[3, 3], &w);
            let wrong = Tensor::f32(&[3, 3], &w.iter().map(|x| x * 0.5).collect::<Vec<f32>>());
            let points = Tensor::from_vec(DType::Int8, vec![scales.len()], vec![0i8; scales.len()]);
            Sample::new("Relu", &["x"]).quantised(scales, points, Some(axis)).outputs(Fp32, y, wrong)
        };
        check(sample(1, &scales), CODE, "the 3 scales fit the values along axis 0, and are used along axis 1");
        without(sample(0, &scales), CODE);
        check(sample(1, &scales[..2]), CODE, "there are 2 scales, and 3 channels along axis 1");
        let node = Sample::new("QuantizeLinear", &["x", "s"]).shaped("x", &[3, 3], &w).constant("s", &scales);
        let node = node.attribute(AttributeProto::int("axis", 1));
        check(node.precision(Fp32, &[0.0], &[1.0]), CODE, "along axis 0, and are used along axis 1");
    }
}
