//! What the report says of single tensors: whether they agree, and by how much they do not.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One tensor in both runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TensorResult {
    /// As the model's graph calls it, behind the path of its subgraph (`if_3/then_branch/y`).
    pub name: String,
    /// The node that makes it; empty for a graph input.
    pub node: String,
    /// The reference's element type; empty if the reference has no value.
    pub dtype: String,
    /// The reference's; empty for a scalar, and where the reference has no value.
    pub shape: Vec<usize>,
    /// Whether it agrees; not compared is neither.
    pub status: Status,
    /// Why it was not compared, or what differs besides the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Absent when nothing was measured.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// What a comparison says of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every element is within the tolerance, or the error is noise that the precision explains.
    Agrees,
    /// At least one element is beyond the tolerance, and noise does not explain it.
    Diverges,
    /// Nothing can be said: `why` says why.
    NotCompared,
}

/// How far a candidate tensor c is from a reference tensor r. All sums are accumulated in f64; elements where exactly
/// one side is NaN, or an infinity differs, count as mismatched and are left out of the sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// max |c - r|
    pub max_abs: Real,
    /// mean |c - r|
    pub mean_abs: Real,
    /// 99th percentile of |c - r|, read from a histogram with 32 bins per octave: at most 3.2 % above the true value.
    pub p99_abs: Real,
    /// max |c - r| / max(|r|, t), t = 2^-10 for fp16 and bf16, 2^-20 otherwise
    pub max_rel: Real,
    /// mean |c - r| / max(|r|, t), with the same t
    pub mean_rel: Real,
    /// sqrt(mean (c - r)^2)
    pub rmse: Real,
    /// r.c / (|r| |c|); both zero 1, one zero 0
    pub cosine: Real,
    /// 20 log10(|r| / |r - c|); Infinity when equal
    pub sqnr_db: Real,
    /// max |c - r| in units of the last place of r, in the tensor's own format
    pub max_ulp: Real,
    /// Elements beyond the tolerance, non-finite mismatches included.
    pub mismatched: u64,
    /// Of the whole tensor, those left out of the sums too.
    pub elements: u64,
    /// Smallest and largest finite reference value.
    pub ref_min: Real,
    /// Largest finite reference value.
    pub ref_max: Real,
    /// Elements of the reference that are NaN or infinite.
    pub ref_nonfinite: u64,
    /// Elements of the candidate that are NaN or infinite.
    pub cand_nonfinite: u64,
    /// Fraction of reference elements with |r| > 65504.
    pub overflow_fraction: Real,
    /// Fraction of reference elements with 0 < |r| < 2^-14.
    pub subnormal_fraction: Real,
    /// Index of the first mismatched element; empty when there is none.
    pub first_mismatch: Vec<usize>,
    /// The sample these numbers are from: the worst one.
    pub sample: usize,
}

impl Metrics {
    /// RMS of (c - r) over the RMS of r, from the signal-to-noise ratio; infinite where one side alone is not finite.
    pub fn relative(&self) -> f64 {
        if self.cand_nonfinite != self.ref_nonfinite {
            return f64::INFINITY;
        }
        let error = 10f64.powf(-self.sqnr_db.0 / 20.0);
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// A node's own error, alone on reference inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Which of its outputs is worst.
    pub tensor: String,
    /// [`Metrics::relative`]: infinite where it makes NaN or an infinity of its own.
    pub error: f64,
}

/// By number of the node in the candidate's graph.
pub type Locals = HashMap<usize, Local>;

/// An f64 whose JSON is strict: a number, or "NaN", "Infinity", "-Infinity".
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Real(pub f64);

impl From<f64> for Real {
    fn from(x: f64) -> Real {
        Real(x)
    }
}

impl Serialize for Real {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_nan() => s.serialize_str("NaN"),
            f64::INFINITY => s.serialize_str("Infinity"),
            f64::NEG_INFINITY => s.serialize_str("-Infinity"),
            x => s.serialize_f64(x),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Real, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Word(String),
        }
        match Form::deserialize(d)? {
            Form::Number(x) => Ok(Real(x)),
            Form::Word(w) => match w.as_str() {
                "NaN" => Ok(Real(f64::NAN)),
                "Infinity" => Ok(Real(f64::INFINITY)),
                "-Infinity" => Ok(Real(f64::NEG_INFINITY)),
                other => Err(serde::de::Error::custom(format!("'{other}' is not a number"))),
            },
        }
    }
}

impl JsonSchema for Real {
    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
    }
}
