//! How far apart is too far: the user's numbers, or scale-aware ones for the candidate's precision. Knows no backend.
//!
//! With `auto`, atol is a(p) times the rms of the reference tensor and rtol is r(p) for the candidate's precision p. Deep
//! models in a low precision leave single elements beyond any such bound without being wrong, so there a tensor also
//! agrees while its error as a whole is what rounding explains: see `Floor`.

mod decisions;
mod metric;
mod rank;
mod rows;

pub use decisions::{Labels, Pair};
pub use metric::{NamedMetric, OutputMetric, OutputMetrics};

use std::collections::HashMap;

use crate::compare::{self, Comparison, Tolerance};
use crate::found::{Metrics, Real, Status, ToleranceInfo};
use crate::spec::Precision;
use crate::tensor::Tensor;

/// The rule for every tensor.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `--atol X`, `--rtol X`; `None` is auto.
    pub atol: Option<f64>,
    /// As `atol`, for the relative part.
    pub rtol: Option<f64>,
    /// `--atol NAME=X`, `--rtol NAME=X`
    pub atol_of: HashMap<String, f64>,
    /// As `atol_of`, for the relative part.
    pub rtol_of: HashMap<String, f64>,
    /// The candidate's: `auto` chooses by it, and it decides what counts as noise.
    pub precision: Precision,
    /// `--metric`: judge final outputs in place of the tolerance.
    pub metrics: OutputMetrics,
    /// `--labels`: what classes are called. Decisions are told by them; none is judged by them.
    pub labels: Labels,
}

/// Noise that a precision explains, for a tensor as a whole.
struct Floor {
    /// Signal to noise of at least this many dB.
    sqnr_db: f64,
    /// No element further off than this share of the largest reference value.
    worst: f64,
}

impl Rules {
    /// One tensor of one sample.
    pub fn judge(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Comparison {
        self.settled(name, reference, compare::compare(reference, candidate, self.tolerance(name, reference)))
    }

    /// The last word on a comparison under [`Rules::tolerance`]: noise that the precision explains is no divergence.
    pub fn settled(&self, name: &str, reference: &Tensor, mut verdict: Comparison) -> Comparison {
        if let (Status::Diverges, true, Some(floor)) = (verdict.status, self.is_auto(name), floor(self.precision))
            && let Some(m) = verdict.metrics.as_ref().filter(|m| floor.explains(m, reference))
        {
            verdict.status = Status::Agrees;
            let beyond = format!("{} of {} elements beyond atol and rtol", m.mismatched, m.elements);
            verdict.why = Some(format!("{beyond}, but {:.1} dB is what {} explains", m.sqnr_db.0, self.precision));
        }
        verdict
    }

    fn is_auto(&self, name: &str) -> bool {
        self.atol.is_none()
            && self.rtol.is_none()
            && !self.atol_of.contains_key(name)
            && !self.rtol_of.contains_key(name)
    }

    /// What a tensor with this reference value may differ by.
    pub fn tolerance(&self, name: &str, reference: &Tensor) -> Tolerance {
        let (a, r) = auto(self.precision);
        let atol = self.atol_of.get(name).copied().or(self.atol);
        let rtol = self.rtol_of.get(name).copied().or(self.rtol);
        Tolerance { atol: atol.unwrap_or_else(|| a * compare::rms(reference)), rtol: rtol.unwrap_or(r) }
    }

    /// For the report.
    pub fn info(&self) -> ToleranceInfo {
        let (a, r) = auto(self.precision);
        let (atol, rtol) = (self.atol.unwrap_or(a), self.rtol.unwrap_or(r));
        let mut why = match (self.atol, self.rtol) {
            (Some(_), Some(_)) => "given".to_string(),
            (Some(_), None) => format!("atol given, rtol for {}", self.precision),
            (None, Some(_)) => {
                format!("rtol given, atol for {}, times the rms of each reference tensor", self.precision)
            }
            (None, None) => format!("auto for {}: atol is times the rms of each reference tensor", self.precision),
        };
        if let (None, None, Some(f)) = (self.atol, self.rtol, floor(self.precision)) {
            why += &format!(
                "; a tensor also agrees while its SQNR is at least {} dB and no element is further off than {} of its largest value",
                f.sqnr_db, f.worst
            );
        }
        let named = self.atol_of.len() + self.rtol_of.len();
        if named > 0 {
            why += &format!("; {named} given for single tensors");
        }
        ToleranceInfo { atol: Real(atol), rtol: Real(rtol), why }
    }
}

/// a(p) and r(p).
fn auto(precision: Precision) -> (f64, f64) {
    match precision {
        Precision::Fp32 => (1e-5, 1e-4),
        Precision::Tf32 => (5e-3, 5e-3),
        Precision::Fp16 => (5e-3, 1e-2),
        Precision::Bf16 => (4e-2, 5e-2),
        Precision::Int8 | Precision::Fp8 => (1e-1, 1e-1),
    }
}

/// Tuned on healthy real models (README, "No false alarm"). TF32 has FP16's mantissa, though in products alone: of those models
/// its worst tensors have 37 dB and are off by 0.06 of their largest value, and devices that cut operands off instead of
/// rounding them err by twice that.
fn floor(precision: Precision) -> Option<Floor> {
    match precision {
        Precision::Fp32 => None,
        Precision::Tf32 | Precision::Fp16 => Some(Floor { sqnr_db: 27.0, worst: 0.3 }),
        Precision::Bf16 => Some(Floor { sqnr_db: 20.0, worst: 0.5 }),
        Precision::Int8 | Precision::Fp8 => Some(Floor { sqnr_db: 14.0, worst: 1.0 }),
    }
}

impl Floor {
    fn explains(&self, m: &Metrics, reference: &Tensor) -> bool {
        let largest = m.ref_max.0.abs().max(m.ref_min.0.abs());
        m.ref_nonfinite == m.cand_nonfinite
            && reference.dtype.is_float()
            && m.sqnr_db.0 >= self.sqnr_db
            && m.max_abs.0 <= self.worst * largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &Rules, reference: &[f32], candidate: &[f32], want: Status) {
        let (r, c) = (Tensor::f32(&[reference.len()], reference), Tensor::f32(&[candidate.len()], candidate));
        assert_eq!(rules.judge("t", &r, &c).status, want, "{reference:?} {candidate:?}");
    }

    #[test]
    fn auto_scales_with_the_tensor_and_the_precision() {
        let fp32 = Rules::default();
        let fp16 = Rules { precision: Precision::Fp16, ..Rules::default() };
        check(&fp32, &[1e-6, 1e-6], &[1e-6, 1.1e-6], Status::Diverges);
        check(&fp16, &[1e6, 0.0], &[1e6, 1e3], Status::Agrees);
        check(&fp16, &[1.0, 1.0], &[1.0, f32::INFINITY], Status::Diverges);
        check(&fp32, &[1e6, 0.0], &[1e6, 1e3], Status::Diverges);
    }

    #[test]
    fn rounding_of_a_whole_tensor_accuses_nobody_but_one_wrong_element_does() {
        let fp16 = Rules { precision: Precision::Fp16, ..Rules::default() };
        let mut reference = vec![1.0f32; 10_000];
        reference[0] = 0.0;
        let mut noisy = reference.clone();
        noisy[0] = 0.02;
        check(&fp16, &reference, &noisy, Status::Agrees);
        noisy[0] = 0.5;
        check(&fp16, &reference, &noisy, Status::Diverges);
    }

    #[test]
    fn tf32_is_allowed_the_rounding_of_its_operands() {
        let tf32 = Rules { precision: Precision::Tf32, ..Rules::default() };
        check(&tf32, &[1.0, 1e-3], &[1.0 + 2f32.powi(-10), 0.0], Status::Agrees);
        check(&tf32, &[1.0, 1.0], &[1.0, 1.1], Status::Diverges);
    }

    #[test]
    fn the_users_numbers_win() {
        let mut rules = Rules { precision: Precision::Fp16, atol: Some(0.0), rtol: Some(0.0), ..Rules::default() };
        check(&rules, &[1.0], &[1.0000001], Status::Diverges);
        rules.atol_of.insert("t".into(), 1.0);
        check(&rules, &[1.0], &[1.5], Status::Agrees);
    }
}
