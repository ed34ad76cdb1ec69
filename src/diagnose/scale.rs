//! Quantisation scales against the range of the values: too small, too large, or along the wrong axis.

use super::case::{Case, axis};
use super::quantised::Clip;
use super::stats;
use super::words::num;
use super::{Finding, Quantised, Sure};
use crate::compare;
use crate::tensor::{DType, Tensor};

/// A scale this many times too small clips more than outliers.
const TOO_SMALL: f64 = 4.0;
/// A range of which only this part is used leaves 5 bits of 8.
const TOO_LARGE: f64 = 1.0 / 8.0;

pub fn scale_mismatch(case: &Case) -> Option<Finding> {
    let (sure, evidence) = wrong_axis(case).or_else(|| wrong_size(case)).or_else(|| guessed(case))?;
    let advice = format!(
        "calibrate '{}' again with data that covers its range, or leave {} unquantised; a scale per channel must go along the output channels (axis 0 of Conv, 1 of ConvTranspose)",
        case.e.culprit.tensor,
        case.name()
    );
    Some(Finding { code: "scale-mismatch", sure, evidence, advice })
}

fn wrong_size(case: &Case) -> Option<(Sure, String)> {
    let fit = case.fit.as_ref()?;
    let range = format!("the scale {} covers {} .. {}", num(fit.scale), num(fit.low), num(fit.high));
    let reach = format!("the values reach {}", num(fit.reach));
    if fit.need >= TOO_SMALL {
        return Some((Sure::Shown, format!("{range}, and {reach}: it is {} times too small", num(fit.need))));
    }
    if fit.need > 0.0 && fit.need <= TOO_LARGE {
        return Some((
            Sure::Shown,
            format!("{range}, but {reach} only: it is {} times too large", num(1.0 / fit.need)),
        ));
    }
    None
}

/// From the values alone.
fn guessed(case: &Case) -> Option<(Sure, String)> {
    let clip = Clip::of(case)?;
    let factor = clip.reach / clip.bound;
    (factor >= TOO_SMALL).then(|| {
        let text = format!("the candidate's values end at {}, the reference's at {}", num(clip.bound), num(clip.reach));
        (Sure::Likely, format!("{text}: the scale is about {} times too small", num(factor)))
    })
}

/// A scale per channel, but not of these channels.
fn wrong_axis(case: &Case) -> Option<(Sure, String)> {
    let (tensor, q) = quantised(case)?;
    let channels = q.scale.elements();
    let given = axis(q.axis.unwrap_or(1), tensor.shape.len());
    let at = given.map_or(0, |a| tensor.shape[a]);
    if channels < 2 {
        return None;
    }
    if at != channels {
        let text = format!("there are {channels} scales, and {at} channels along axis {}", q.axis.unwrap_or(1));
        return Some((Sure::Shown, text));
    }
    let misfit = |a: usize| Some(spread(&needs(tensor, &q, Some(a))?));
    let given = given?;
    let worse = misfit(given)?;
    let others = (0..tensor.shape.len()).filter(|a| *a != given && tensor.shape[*a] == channels);
    let (better, misfit) = others.filter_map(|a| Some((a, misfit(a)?))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    // Twice off on average against a third: no accident.
    (worse > 2f64.ln() && misfit < 0.5 * worse).then(|| {
        let text = format!("the {channels} scales fit the values along axis {better}, and are used along axis {given}");
        (Sure::Likely, text)
    })
}

/// How the values fit into what the scale covers.
pub struct Fit {
    pub dtype: DType,
    /// Of the worst channel.
    pub scale: f64,
    pub low: f64,
    pub high: f64,
    pub reach: f64,
    /// The range that is needed / the range there is.
    pub need: f64,
    /// Over all channels.
    pub clipped: u64,
    pub elements: u64,
}

impl Fit {
    pub fn of(case: &Case) -> Option<Fit> {
        let (tensor, q) = quantised(case)?;
        let along = (q.scale.elements() > 1).then(|| axis(q.axis.unwrap_or(1), tensor.shape.len())).flatten();
        let channels = needs(tensor, &q, along)?;
        let clipped = channels.iter().map(|c| c.clipped).sum();
        let worst = channels.into_iter().max_by(|a, b| a.need.total_cmp(&b.need))?;
        let dtype = q.zero_point.map_or(DType::Uint8, |z| z.dtype);
        let Channel { scale, low, high, need, .. } = worst;
        let reach = if worst.max.abs() > worst.min.abs() { worst.max } else { worst.min };
        Some(Fit { dtype, scale, low, high, reach, need, clipped, elements: tensor.elements() as u64 })
    }
}

#[derive(Clone)]
struct Channel {
    scale: f64,
    low: f64,
    high: f64,
    min: f64,
    max: f64,
    need: f64,
    clipped: u64,
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

/// Each channel along `along`, or the whole tensor as one, in one pass.
fn needs(tensor: &Tensor, q: &Quantised, along: Option<usize>) -> Option<Vec<Channel>> {
    let (scales, zeros) = (compare::to_f64(q.scale), q.zero_point.map_or_else(Vec::new, compare::to_f64));
    let (least, most) = limits(q.zero_point.map_or(DType::Uint8, |z| z.dtype))?;
    let zero = |c: usize| zeros.get(c).or(zeros.first()).copied().unwrap_or(0.0);
    let channel = |(c, scale): (usize, &f64)| {
        let (low, high) = ((least - zero(c)) * scale, (most - zero(c)) * scale);
        Channel { scale: *scale, low, high, min: 0.0, max: 0.0, need: 0.0, clipped: 0 }
    };
    let mut channels: Vec<Channel> = scales.iter().enumerate().map(channel).collect();
    let inner: usize = along.map_or(1, |a| tensor.shape[a + 1..].iter().product());
    let fits = along.map_or(channels.len() == 1, |a| tensor.shape[a] == channels.len());
    if !fits || tensor.dtype == DType::String {
        return None;
    }
    let mut at = 0;
    for values in stats::chunks(tensor, 0..tensor.elements()) {
        for x in values {
            let index = if along.is_some() { at / inner.max(1) % channels.len() } else { 0 };
            channels[index].add(x);
            at += 1;
        }
    }
    for c in &mut channels {
        let part = |reach: f64, bound: f64| if reach == 0.0 { 0.0 } else { reach / bound };
        // A side without a bound of its sign is clipped to zero on purpose: a ReLU folded into the scale.
        let high = if c.high > 0.0 { part(c.max, c.high) } else { 0.0 };
        let low = if c.low < 0.0 { part(c.min, c.low) } else { 0.0 };
        c.need = high.max(low);
    }
    Some(channels)
}

impl Channel {
    fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.min = self.min.min(x);
        self.max = self.max.max(x);
        let half = self.scale.abs() / 2.0;
        self.clipped += (x > self.high + half || x < self.low - half) as u64;
    }
}

/// How far the channels' needs are from their common size, as a factor's logarithm.
fn spread(channels: &[Channel]) -> f64 {
    let logs: Vec<f64> = channels.iter().filter(|c| c.need > 0.0).map(|c| c.need.ln()).collect();
    let n = logs.len().max(1) as f64;
    let mean = logs.iter().sum::<f64>() / n;
    logs.iter().map(|l| (l - mean).abs()).sum::<f64>() / n
}

/// The smallest and the largest code of a quantised type.
fn limits(dtype: DType) -> Option<(f64, f64)> {
    Some(match dtype {
        DType::Int8 => (-128.0, 127.0),
        DType::Uint8 => (0.0, 255.0),
        DType::Int16 => (-32768.0, 32767.0),
        DType::Uint16 => (0.0, 65535.0),
        DType::Int4 => (-8.0, 7.0),
        DType::Uint4 => (0.0, 15.0),
        DType::Float8e4m3fn => (-448.0, 448.0),
        DType::Float8e5m2 => (-57344.0, 57344.0),
        _ => return None,
    })
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
