//! What one tensor may be off by, and why: what is done above it on one side and not on the other. Made in `above` and
//! `parts`; measures nothing.

use super::noise::{self, Floor};
use super::parts::Cut;
use crate::spec::Precision;

/// Of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowance {
    /// The loosest precision that one side computes in above it and the other does not.
    pub precision: Precision,
    /// Both sides quantise alike above it: a value that lies between two steps may come to either. What that explains.
    pub steps: Option<Floor>,
    /// One step of its own quantiser.
    pub step: Option<f64>,
    /// The size of the numbers that it was made of, however small it is itself: 1 for a sigmoid or a softmax, that of what a sum
    /// adds up. In float32 it is as exact as those.
    pub made_of: f64,
    /// An integer that is a number (a sum of products), not a label.
    pub counts: bool,
    /// How it was put together.
    pub parts: Vec<Cut>,
    /// Only so large a part of all that is allowed: what comes again and again adds up.
    pub share: Option<f64>,
    /// The candidate's session optimises.
    pub optimised: bool,
}

impl Allowance {
    /// What either explains.
    pub fn or(self, other: Allowance) -> Allowance {
        let steps = match (self.steps, other.steps) {
            (Some(a), Some(b)) => Some(a.or(b)),
            (a, b) => a.or(b),
        };
        Allowance {
            precision: looser(self.precision, other.precision),
            steps,
            step: self.step.or(other.step),
            made_of: self.made_of.max(other.made_of),
            counts: self.counts || other.counts,
            parts: if self.parts.is_empty() { other.parts } else { self.parts },
            share: self.share.or(other.share),
            optimised: self.optimised || other.optimised,
        }
    }

    /// Noise for a tensor as a whole.
    pub fn floor(&self) -> Floor {
        let floor = match (self.precision, self.optimised) {
            (Precision::Fp32, true) => noise::OPTIMISED,
            (precision, _) => noise::floor(precision),
        };
        let floor = self.steps.map_or(floor, |steps| floor.or(steps));
        let share = self.share.unwrap_or(1.0);
        Floor { sqnr_db: floor.sqnr_db - 20.0 * share.log10(), worst: floor.worst * share }
    }

    /// atol and rtol of elements of this scale. `alone`: they are all there is, not one group of several.
    pub fn tolerance(&self, scale: f64, alone: bool) -> (f64, f64) {
        let (a, r) = noise::auto(self.precision);
        let exact = self.made_of * f64::from(f32::EPSILON);
        let tiny = if alone { 0.0 } else { noise::tiny(self.precision) };
        let step = self.step.map_or(0.0, |step| step * STEP);
        let share = self.share.unwrap_or(1.0);
        ((a * share * scale).max(exact).max(tiny).max(step), r * share)
    }

    /// What explains an error that is within the floor.
    pub fn told(&self) -> String {
        match (self.precision, self.steps) {
            (Precision::Fp32, Some(_)) => "rounding at the steps of the quantisers".to_string(),
            (precision, _) => precision.to_string(),
        }
    }
}

/// One step, and the rounding of its two ends.
const STEP: f64 = 1.001;

/// The one that explains more.
pub fn looser(a: Precision, b: Precision) -> Precision {
    let rank = |p: Precision| match p {
        Precision::Fp32 => 0,
        Precision::Tf32 => 1,
        Precision::Fp16 => 2,
        Precision::Bf16 => 3,
        Precision::Int8 | Precision::Fp8 => 4,
    };
    if rank(b) > rank(a) { b } else { a }
}
