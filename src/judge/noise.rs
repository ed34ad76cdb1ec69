//! What a precision explains: tolerances for single elements, and noise for a tensor as a whole. Numbers only.

use crate::found::Metrics;
use crate::spec::Precision;

/// Noise that is no divergence, for a tensor (or a part of one) as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Signal to noise of at least this many dB.
    pub sqnr_db: f64,
    /// No element further off than this share of the largest reference value.
    pub worst: f64,
}

/// a(p) and r(p): atol is a(p) times the scale of the reference tensor.
pub fn auto(precision: Precision) -> (f64, f64) {
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
pub fn floor(precision: Precision) -> Floor {
    match precision {
        Precision::Fp32 => Floor { sqnr_db: 90.0, worst: 5e-4 },
        Precision::Tf32 | Precision::Fp16 => Floor { sqnr_db: 27.0, worst: 0.3 },
        Precision::Bf16 => Floor { sqnr_db: 20.0, worst: 0.5 },
        Precision::Int8 | Precision::Fp8 => Floor { sqnr_db: 14.0, worst: 1.0 },
    }
}

/// What runs the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The same library, in the same kind of session: both round alike where they do the same.
    Same,
    /// Another one, whose fused layers round at other places.
    Elsewhere,
    /// The same library in a session that optimises: other kernels, other layouts, sums in another order.
    Optimised,
}

/// Where both sides quantise alike, rounding turns a step here and there: fewest in the same session. An error of 8 % everywhere is
/// 22 dB. What an optimised session makes of a quantised file was seen 15 dB off, with nothing wrong: the steps that turn turn
/// others behind them; the plain session tells what it hides.
pub fn steps(beside: Beside) -> Floor {
    match beside {
        Beside::Same => Floor { sqnr_db: 40.0, worst: 0.3 },
        Beside::Elsewhere => Floor { sqnr_db: 28.0, worst: 0.3 },
        Beside::Optimised => floor(Precision::Int8),
    }
}

/// float32 in a session that optimises: sums in another order, constants folded into weights. Of 58 healthy models the worst has
/// 89 dB.
pub const OPTIMISED: Floor = Floor { sqnr_db: 80.0, worst: 2e-3 };

/// The loosest of all: what breaks below a larger number is no part of it. A class that never fires, at 1e-8, is 0 in FP16.
pub fn tiny(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 | Precision::Tf32 | Precision::Bf16 => 0.0,
        // Four times the smallest number of FP16.
        Precision::Fp16 => 2f64.powi(-22),
        Precision::Int8 | Precision::Fp8 => 1e-6,
    }
}

impl Floor {
    /// What either allows.
    pub fn or(self, other: Floor) -> Floor {
        Floor { sqnr_db: self.sqnr_db.min(other.sqnr_db), worst: self.worst.max(other.worst) }
    }

    /// Is an error like this noise? NaN and infinities are never.
    pub fn explains(&self, m: &Metrics) -> bool {
        let largest = m.ref_max.0.abs().max(m.ref_min.0.abs());
        !m.breaks() && m.sqnr_db.0 >= self.sqnr_db && m.max_abs.0 <= self.worst * largest
    }
}
