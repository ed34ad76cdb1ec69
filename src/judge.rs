//! How far apart is too far: the user's numbers, or scale-aware ones for what the candidate does above a tensor and the
//! reference does not. Knows no backend.
//!
//! With `auto`, atol is a(p) times the scale of the reference tensor and rtol is r(p) for a precision p. Deep models leave
//! single elements beyond any such bound without being wrong, so a tensor also agrees while its error as a whole is what
//! rounding explains: see `noise`. Where parts of a tensor have sizes of their own, each is judged by itself: see `groups`.
//! NaN and infinities in other places, integers and strings that are others: no tolerance explains those.

pub mod above;
pub mod allowance;
mod decisions;
mod groups;
mod metric;
pub mod noise;
pub mod parts;
mod rank;
mod rows;
pub mod seen;
mod slices;
pub mod truth;

pub use allowance::Allowance;
pub use decisions::{Labels, Pair};
pub use metric::{NamedMetric, OutputMetric, OutputMetrics};

use std::collections::HashMap;

use crate::compare::{self, Comparison, Scale, Tolerance};
use crate::found::{Metrics, Real, Status, ToleranceInfo};
use crate::spec::Precision;
use crate::tensor::{DType, Tensor};
use allowance::looser;

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
    /// What the candidate computes everything in.
    pub precision: Precision,
    /// How that is known, where it was not asked for.
    pub because: Option<String>,
    /// Nobody says what the candidate computes in: each tensor's values tell.
    pub watch: bool,
    /// What single tensors may be off by besides, by name.
    pub of: HashMap<String, Allowance>,
    /// The candidate's session optimises.
    pub optimised: bool,
    /// `--metric`: judge final outputs in place of the tolerance.
    pub metrics: OutputMetrics,
    /// Only so large a part of what is usually allowed.
    pub share: Option<f64>,
    /// `--labels`: what classes are called. Decisions are told by them; none is judged by them.
    pub labels: Labels,
}

impl Rules {
    /// One tensor of one sample.
    pub fn judge(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Comparison {
        self.judge_sum(name, reference, candidate, 0.0)
    }

    /// The same of a tensor that adds up numbers of this size: what cancels leaves their rounding, however small the result.
    pub fn judge_sum(&self, name: &str, reference: &Tensor, candidate: &Tensor, of: f64) -> Comparison {
        let mut allowance = self.seen(name, reference, candidate);
        allowance.made_of = allowance.made_of.max(of * SUMS);
        let (tolerance, sentinels) = self.whole(name, reference, &allowance);
        let verdict = compare::compare(reference, candidate, tolerance);
        self.concluded(name, &allowance, (reference, Some(candidate)), verdict, sentinels)
    }

    /// The last word on a comparison that somebody else made under [`Rules::tolerance`], of values that are not at hand: noise
    /// that rounding explains is no divergence.
    pub fn settled(&self, name: &str, reference: &Tensor, verdict: Comparison) -> Comparison {
        self.concluded(name, &self.allowance(name), (reference, None), verdict, false)
    }

    fn concluded(
        &self,
        name: &str,
        allowance: &Allowance,
        (reference, candidate): (&Tensor, Option<&Tensor>),
        verdict: Comparison,
        sentinels: bool,
    ) -> Comparison {
        let Some(m) = verdict.metrics.as_ref() else { return verdict };
        let number = reference.dtype.is_float() || allowance.counts;
        let apart = sentinels || !allowance.parts.is_empty();
        if m.breaks() || m.max_abs.0 == 0.0 || !number || !self.is_auto(name) {
            return verdict;
        }
        let by_group = candidate.filter(|_| apart).and_then(|c| groups::judged(allowance, reference, c, &verdict));
        let Some(concluded) = by_group.or_else(|| as_noise(allowance, m, &verdict)) else { return verdict };
        let hides = concluded.status == Status::Agrees && concluded.metrics.as_ref().is_some_and(|m| m.mismatched > 0);
        match candidate.filter(|_| hides).and_then(|c| slices::lost(reference, c)) {
            Some(lost) => Comparison { status: Status::Diverges, why: Some(lost.to_string()), ..concluded },
            None => concluded,
        }
    }

    fn is_auto(&self, name: &str) -> bool {
        self.atol.is_none()
            && self.rtol.is_none()
            && !self.atol_of.contains_key(name)
            && !self.rtol_of.contains_key(name)
    }

    /// What a tensor of this name may be off by.
    pub fn allowance(&self, name: &str) -> Allowance {
        let own = self.of.get(name).cloned().unwrap_or_default();
        let precision = looser(self.precision, own.precision);
        let optimised = self.optimised || own.optimised;
        Allowance { precision, share: self.share, optimised, ..own }
    }

    /// The same, by what its values show of what they were computed in.
    fn seen(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Allowance {
        let mut allowance = self.allowance(name);
        if self.watch
            && let Some(precision) = seen::precision(reference, candidate)
        {
            allowance.precision = looser(allowance.precision, precision);
        }
        allowance
    }

    /// What a tensor with this reference value may differ by: where it has parts, what the smallest one may. Integers, truth
    /// values and strings are exact, but for one step of a quantiser.
    pub fn tolerance(&self, name: &str, reference: &Tensor) -> Tolerance {
        let allowance = self.allowance(name);
        let (whole, _) = self.whole(name, reference, &allowance);
        let smallest = groups::smallest(&allowance, reference).filter(|_| self.is_auto(name));
        Tolerance { atol: smallest.map_or(whole.atol, |atol| atol.min(whole.atol)), ..whole }
    }

    /// As one piece; and are there elements of a size of their own?
    fn whole(&self, name: &str, reference: &Tensor, allowance: &Allowance) -> (Tolerance, bool) {
        let (atol, rtol) = (self.atol_of.get(name).copied(), self.rtol_of.get(name).copied());
        if is_exact(reference.dtype) && !allowance.counts {
            let step = allowance.step.unwrap_or(0.0);
            return (Tolerance { atol: atol.unwrap_or(step), rtol: rtol.unwrap_or(0.0) }, false);
        }
        let (atol, rtol) = (atol.or(self.atol), rtol.or(self.rtol));
        if let (Some(atol), Some(rtol)) = (atol, rtol) {
            return (Tolerance { atol, rtol }, false);
        }
        let scale = Scale::of(reference);
        let (a, r) = allowance.tolerance(scale.rms, scale.beyond.is_none());
        (Tolerance { atol: atol.unwrap_or(a), rtol: rtol.unwrap_or(r) }, scale.beyond.is_some())
    }

    /// For the report. `outputs` decide which precision is told: the loosest of theirs.
    pub fn info(&self, outputs: &[String]) -> ToleranceInfo {
        let precision = outputs.iter().fold(self.precision, |p, name| looser(p, self.allowance(name).precision));
        let (a, r) = noise::auto(precision);
        let (atol, rtol) = (self.atol.unwrap_or(a), self.rtol.unwrap_or(r));
        let mut why = match (self.atol, self.rtol) {
            (Some(_), Some(_)) => "given".to_string(),
            (Some(_), None) => format!("atol given, rtol for {precision}"),
            (None, Some(_)) => format!("rtol given, atol for {precision}, times the rms of each reference tensor"),
            (None, None) => format!("auto for {precision}: atol is times the rms of each reference tensor"),
        };
        if let (Some(because), false) = (&self.because, self.atol.is_some() && self.rtol.is_some()) {
            why += &format!(" ({because})");
        }
        if let (None, None) = (self.atol, self.rtol) {
            let floor = Allowance { precision, optimised: self.optimised, ..Allowance::default() }.floor();
            why += &format!(
                "; a tensor also agrees while its SQNR is at least {} dB and no element is further off than {} of its largest value",
                floor.sqnr_db, floor.worst
            );
            why += &self.others(precision);
        }
        let named = self.atol_of.len() + self.rtol_of.len();
        if named > 0 {
            why += &format!("; {named} given for single tensors");
        }
        ToleranceInfo { atol: Real(atol), rtol: Real(rtol), why }
    }

    /// How many tensors are judged by another precision than that of the outputs.
    fn others(&self, precision: Precision) -> String {
        let mut others: Vec<(String, usize)> = Vec::new();
        for own in self.of.values().map(|own| looser(self.precision, own.precision)).filter(|own| *own != precision) {
            match others.iter_mut().find(|(name, _)| *name == own.to_string()) {
                Some((_, count)) => *count += 1,
                None => others.push((own.to_string(), 1)),
            }
        }
        others.sort();
        let told: Vec<String> = others.iter().map(|(name, count)| format!("{count} as {name}")).collect();
        let steps = self.of.values().filter(|own| own.steps.is_some()).count();
        let mut text = String::new();
        if !told.is_empty() {
            text += &format!("; by what is done above them, other tensors are judged otherwise: {}", told.join(", "));
        }
        if steps > 0 {
            text += &format!("; {steps} lie behind quantisers that both sides have: steps may flip there");
        }
        text
    }
}

/// A tensor that diverges by single elements, and is within the noise of its precision as a whole.
fn as_noise(allowance: &Allowance, m: &Metrics, verdict: &Comparison) -> Option<Comparison> {
    let noise = verdict.status == Status::Diverges && allowance.floor().explains(m);
    noise.then(|| {
        let beyond = format!("{} of {} elements beyond atol and rtol", m.mismatched, m.elements);
        let why = format!("{beyond}, but {:.1} dB is what {} explains", m.sqnr_db.0, allowance.told());
        Comparison { status: Status::Agrees, why: Some(why), metrics: verdict.metrics.clone() }
    })
}

/// Roundings of its largest terms that a sum may be off by: their errors, and the order in which they are added.
const SUMS: f64 = 24.0;

/// Nothing but equal is right.
fn is_exact(dtype: DType) -> bool {
    !dtype.is_float() && !matches!(dtype, DType::Complex64 | DType::Complex128)
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
