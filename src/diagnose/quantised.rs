//! Saturation: values beyond what the quantised type can hold with its scale.

use super::case::Case;
use super::words::{num, percent, share};
use super::{Finding, Strength};

/// Calibrators clip a few outliers on purpose.
const TOLERABLE: f64 = 0.005;
/// Fewer elements show nothing.
const FEW: u64 = 8;

/// Values beyond what the scale can express: they are cut off.
pub fn int8_saturation(case: &Case) -> Option<Finding> {
    let (strength, evidence) = by_scale(case).or_else(|| by_values(case))?;
    let advice = format!(
        "calibrate '{}' again with data that covers its range, or leave {} unquantised",
        case.e.culprit.tensor,
        case.name()
    );
    Some(Finding { code: "int8-saturation", strength, evidence, advice })
}

/// The scale is known.
fn by_scale(case: &Case) -> Option<(Strength, String)> {
    let fit = case.fit.as_ref()?;
    let fraction = fit.clipped as f64 / fit.elements.max(1) as f64;
    (fraction > TOLERABLE).then(|| {
        let text = format!(
            "{} are beyond {} .. {}, what {} holds with this scale",
            share(fit.clipped, fit.elements, "values"),
            num(fit.low),
            num(fit.high),
            fit.dtype
        );
        (Strength::AtWork, text)
    })
}

/// It is not, but many of the candidate's values stand at one bound that the reference goes beyond.
fn by_values(case: &Case) -> Option<(Strength, String)> {
    let clip = Clip::of(case)?;
    let text = format!(
        "{} of the candidate's values stand at {}, and the reference goes to {}",
        percent(clip.share),
        num(clip.bound),
        num(clip.reach)
    );
    Some((Strength::Fits, text))
}

/// Signs of clipping in the values alone.
pub struct Clip {
    /// The value where the candidate stops.
    pub bound: f64,
    /// How far the reference goes on that side.
    pub reach: f64,
    /// Share of the elements that stand there, 0..=1.
    pub share: f64,
}

impl Clip {
    /// `None` where the scale is known, and where nothing is quantised.
    pub fn of(case: &Case) -> Option<Clip> {
        let device = case.e.candidate == crate::spec::Precision::Int8 && !case.e.own_model;
        let quantised = device || (case.e.own_model && case.e.integers);
        if case.e.quantised.is_some() || !quantised || case.format.is_some() {
            return None;
        }
        let (r, c) = (case.output.as_ref()?, case.candidate.as_ref()?);
        let side = |bound: f64, reach: f64, here: u64, there: u64| {
            let beyond = bound != 0.0 && reach / bound > 1.02;
            let clipped = here.saturating_sub(there);
            let share = clipped as f64 / c.elements.max(1) as f64;
            (beyond && clipped > 1 && share > TOLERABLE).then_some(Clip { bound, reach, share })
        };
        if c.elements < FEW || c.nonfinite() > 0 {
            return None;
        }
        let (high, low) = (side(c.max, r.max, c.at_max, r.at_max), side(c.min, r.min, c.at_min, r.at_min));
        [high, low].into_iter().flatten().max_by(|a, b| a.share.total_cmp(&b.share))
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without, zero};
    use crate::spec::Precision::{Fp32, Int8};
    use crate::tensor::DType;

    fn ramp() -> Vec<f32> {
        (0..100).map(|i| i as f32 / 10.0).collect()
    }

    fn clipped(at: f32) -> Vec<f32> {
        ramp().into_iter().map(|x| x.min(at)).collect()
    }

    #[test]
    fn saturation() {
        let relu = || Sample::new("Relu", &["x"]);
        let scaled = |limit: f32| relu().quantised(&[limit / 127.0], zero(DType::Int8), None);
        check(scaled(5.0).precision(Fp32, &ramp(), &clipped(5.0)), "int8-saturation", "49 of 100 values (49.0 %)");
        without(scaled(10.0).precision(Fp32, &ramp(), &clipped(10.0)), "int8-saturation");
        check(relu().precision(Int8, &ramp(), &clipped(5.0)), "int8-saturation", "stand at 5");
        without(relu().precision(Int8, &ramp(), &clipped(20.0)), "int8-saturation");
        without(relu().precision(Fp32, &ramp(), &clipped(5.0)), "int8-saturation");
        let other = || relu().own_file();
        check(other().integers().precision(Fp32, &ramp(), &clipped(5.0)), "int8-saturation", "goes to 9.9");
        // Two float models: a limit is a limit.
        without(other().precision(Fp32, &ramp(), &clipped(5.0)), "int8-saturation");
        without(other().precision(Fp32, &ramp(), &clipped(1.0)), "scale-mismatch");
    }
}
