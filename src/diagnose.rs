//! Why a culprit goes wrong: evidence -> code and advice. Values in, values out: no backend, no file, no search.
//!
//! Every kind of fault is a small function from a `Case` (the evidence and its statistics, measured once) to a
//! `Finding`. [`diagnose`] asks them all, puts what the numbers show before what is only likely, and keeps three.

mod angle;
mod cancel;
mod case;
mod eps;
mod fit;
mod format;
mod integers;
mod kernel;
pub mod laid;
mod limited;
mod mask;
mod nan;
mod near;
mod norm;
mod overflow;
pub mod pairs;
mod quantised;
mod random;
mod reading;
mod reads;
#[cfg(test)]
mod sample;
mod scale;
mod shape;
mod stats;
mod subnormal;
mod sums;
#[cfg(test)]
mod tests;
mod ties;
mod undefined;
mod whole;
mod words;

use crate::compare::Tolerance;
use crate::found::{Culprit, Diagnosis, Metrics, Sure};
use crate::onnx::NodeProto;
use crate::spec::Precision;
use crate::tensor::{DType, Tensor};
use case::Case;
pub use integers::fits as fits_32_bits;
pub use limited::{CODE as PRECISION_LIMITED, NEAR};
pub use random::draws;
pub use reading::Reading;

/// The code of a cause that is no guess from evidence: it is shown by a trial, or not told.
pub const FP16_ACCUMULATION: &str = "fp16-accumulation";

/// What is known of one culprit. All values are of one sample: the one that the culprit's metrics are from.
#[derive(Clone)]
pub struct Evidence<'a> {
    /// What was measured of it.
    pub culprit: &'a Culprit,
    /// The culprit in the reference's model.
    pub node: &'a NodeProto,
    /// The version of the default operator domain.
    pub opset: i64,
    /// What the candidate computes in.
    pub candidate: Precision,
    /// The candidate is another file (`ort@other.onnx`).
    pub own_model: bool,
    /// One an input slot of the node, omitted inputs too (their names are empty).
    pub inputs: Vec<Operand<'a>>,
    /// The diverging tensor in the reference.
    pub output: Option<&'a Tensor>,
    /// The same tensor in the candidate's run of the whole model.
    pub candidate_output: Option<&'a Tensor>,
    /// How the candidate's file quantises the diverging tensor, where a QuantizeLinear of it reads that.
    pub quantised: Option<Quantised<'a>>,
    /// Something at the node is quantised in the candidate's file: what it reads, what it makes, or the operator itself.
    pub integers: bool,
    /// The node alone in an emulation of the candidate's precision; `None` where there is none, or the candidate is it.
    pub emulated: Option<&'a Metrics>,
    /// Op types up to three steps below the tensor, the nearest first.
    pub readers: Vec<String>,
    /// Op types up to three steps above the node, the nearest first.
    pub makers: Vec<String>,
    /// What else stands around it.
    pub around: Around,
}

/// What a normalisation is made of, around the culprit.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Constants above the node that keep what it reads away from zero, the nearest first.
    pub guards: Vec<Guard>,
    /// What the nearest reduction around the node sums over.
    pub reduced: Option<Reduced>,
}

/// A constant that is added somewhere above the culprit, or bounds a value from below: what is usually called epsilon.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The culprit's input that it leads to.
    pub slot: usize,
    /// The node that reads it, by name.
    pub node: String,
    /// The constant, as that node calls it.
    pub constant: String,
    /// Its value.
    pub value: f64,
    /// The largest magnitude of what the node makes of it, in the reference; `None` where that was not measured.
    pub beside: Option<f64>,
}

/// The axes of a sum or a mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// Counted from the front, ascending.
    pub axes: Vec<usize>,
    /// Of the tensor that is reduced.
    pub rank: usize,
}

impl Reduced {
    /// Are they the last ones, as LayerNormalization has them?
    pub fn is_trailing(&self) -> bool {
        !self.axes.is_empty() && self.axes.iter().copied().eq(self.rank - self.axes.len().min(self.rank)..self.rank)
    }
}

/// How the culprit was judged, and by what kind of candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// What the diverging tensor was allowed to differ by.
    pub tolerance: Option<Tolerance>,
    /// The candidate is itself the emulation of its precision: what the node does alone is what the precision does.
    pub emulation: bool,
    /// The candidate is tensors that somebody stored: no node of it can be run.
    pub stored: bool,
    /// Both sides are the same library on the same device: a difference is not that of two kernels.
    pub alike: bool,
    /// The candidate is an engine, built for shapes and profiles.
    pub engine: bool,
    /// No misreading of the 64-bit integers that enter the node gives what the candidate gave: it was tried.
    pub read_right: bool,
}

/// One input of the culprit.
#[derive(Clone, Copy, Default)]
pub struct Operand<'a> {
    /// As the node calls it.
    pub name: &'a str,
    /// An initializer or the output of a Constant node.
    pub constant: bool,
    /// The reference's value.
    pub value: Option<&'a Tensor>,
    /// The candidate's: of a constant, the one in its own file; else what it computed in the whole model.
    pub candidate: Option<&'a Tensor>,
    /// Op type of the node that makes it.
    pub maker: Option<&'a str>,
}

/// The parameters of a QuantizeLinear.
#[derive(Clone, Copy)]
pub struct Quantised<'a> {
    /// One number, or one a channel.
    pub scale: &'a Tensor,
    /// Its element type is the quantised one; `None` means uint8 and 0.
    pub zero_point: Option<&'a Tensor>,
    /// Of a scale per channel; `None` means 1, the operator's default.
    pub axis: Option<i64>,
}

/// A cause, and how well the numbers support it. Few numbers show a cause alone: that takes a trial.
struct Finding {
    code: &'static str,
    strength: Strength,
    evidence: String,
    advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// The values are the trial themselves: without what it is about, all of them agree.
    Proven,
    /// The measured values show it at work.
    AtWork,
    /// The conditions are there, and the error is of that kind.
    Fits,
    /// Nothing speaks against it.
    Open,
}

type Detector = fn(&Case) -> Option<Finding>;

/// In the order in which findings of equal strength are told: the cause before its consequences.
const DETECTORS: [Detector; 26] = [
    random::rng,
    shape::dtype_or_shape_mismatch,
    integers::int64_narrowing,
    ties::topk_tie,
    undefined::duplicates,
    undefined::cast_out_of_range,
    undefined::unsorted,
    scale::scale_mismatch,
    quantised::int8_saturation,
    mask::mask_sentinel,
    eps::eps_vanishes,
    overflow::fp16_overflow,
    whole::integer_rounding,
    angle::large_angle,
    near::near_tie,
    subnormal::fp16_subnormal,
    norm::normalization_statistics,
    sums::large_reduction,
    cancel::cancellation,
    nan::nan_source,
    kernel::gain,
    reads::rounded_reads,
    kernel::tf32,
    kernel::kernel_or_fusion,
    kernel::unexplained,
    limited::precision_limited,
];

/// Causes told at most.
const MOST: usize = 3;

/// What may be wrong with the culprit, best first; empty when nothing is known. The tolerance is not known here, and a
/// candidate of a precision that can be emulated is taken for the emulation where nothing was measured with another.
pub fn diagnose(e: &Evidence) -> Vec<Diagnosis> {
    let widened = e.candidate_output.is_some_and(|t| t.dtype == DType::Float32);
    let emulation = e.candidate.low().is_some() && e.emulated.is_none() && widened;
    diagnose_judged(e, &Judged { emulation, ..Judged::default() })
}

/// The same, by a caller who knows how the culprit was judged.
pub fn diagnose_judged(e: &Evidence, judged: &Judged) -> Vec<Diagnosis> {
    let mut case = Case::new(e, judged);
    case.fit = scale::fit(&case);
    let mut found: Vec<Finding> = DETECTORS.iter().filter_map(|detect| detect(&case)).collect();
    let has = |found: &[Finding], code: &str| found.iter().any(|f| f.code == code);
    // That a mask overflows is what makes it one; and with a cause at hand, the unexplained is explained.
    if has(&found, mask::CODE) {
        found.retain(|f| !f.code.ends_with(overflow::SUFFIX) && f.code != nan::CODE);
    }
    // An argument that is zero, and why it is.
    if has(&found, eps::CODE) {
        found.retain(|f| ![nan::CODE, norm::CODE, subnormal::CODE].contains(&f.code));
    }
    // Whole numbers that were rounded lie beside a step wherever they are, and as a count they are a shape.
    if has(&found, whole::CODE) {
        found.retain(|f| ![near::CODE, shape::CODE].contains(&f.code));
    }
    if found.iter().any(|f| f.strength < Strength::Open) {
        found.retain(|f| f.strength < Strength::Open);
    }
    // What explains every element leaves nothing to others.
    if found.iter().any(|f| f.strength == Strength::Proven) {
        found.retain(|f| f.strength == Strength::Proven);
    }
    found.sort_by_key(|f| f.strength);
    found.truncate(MOST);
    let told = |f: Finding| Diagnosis {
        code: f.code.to_string(),
        sure: match f.strength {
            Strength::Proven => Sure::Shown,
            Strength::AtWork | Strength::Fits => Sure::Likely,
            Strength::Open => Sure::Unknown,
        },
        evidence: f.evidence,
        advice: f.advice,
    };
    found.into_iter().map(told).collect()
}

/// The element type of low precision that the candidate computes in, if it does.
fn low_type(e: &Evidence) -> Option<DType> {
    let low = |t: &Tensor| matches!(t.dtype, DType::Float16 | DType::Bfloat16).then_some(t.dtype);
    let own = || e.candidate_output.and_then(low).or_else(|| e.inputs.iter().find_map(|i| i.candidate.and_then(low)));
    e.candidate.storage().or_else(own)
}
