//! What the report says of single tensors: whether they agree, and by how much they do not. [`FIGURES`] is the one list of
//! the numbers that tables show; nothing here lays anything out.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Real;
use super::words::{cosine, count, decibels, index, number};

/// How bad a comparison is, to be put in order: its status, the share of elements beyond the tolerance, the largest error.
pub fn badness(status: Status, metrics: Option<&Metrics>) -> (u8, f64, f64) {
    let rank = match status {
        Status::NotCompared => 0,
        Status::Agrees => 1,
        Status::Diverges => 2,
    };
    let share = metrics.map_or(1.0, |m| m.mismatched as f64 / m.elements.max(1) as f64);
    let worst = |m: &Metrics| if m.max_abs.0.is_nan() { f64::INFINITY } else { m.max_abs.0 };
    (rank, share, metrics.map_or(0.0, worst))
}

impl TensorResult {
    /// Of its numbers: see [`badness`].
    pub fn badness(&self) -> (u8, f64, f64) {
        badness(self.status, self.metrics.as_ref())
    }
}

/// One tensor's row.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TensorResult {
    /// As the reference's graph has it.
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

/// Any of these in a row says that the tensor was measured.
const MEASURED: [&str; 4] = ["max_abs", "rmse", "cosine", "elements"];

/// Flattened metrics that do not parse, because they are malformed or another layerdiff's, would silently become "nothing was
/// measured"; here they are an error.
impl<'de> Deserialize<'de> for TensorResult {
    fn deserialize<D: Deserializer<'de>>(row: D) -> Result<TensorResult, D::Error> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            node: String,
            dtype: String,
            shape: Vec<usize>,
            status: Status,
            #[serde(default)]
            why: Option<String>,
            #[serde(flatten)]
            rest: Map<String, Value>,
        }
        let Row { name, node, dtype, shape, status, why, rest } = Row::deserialize(row)?;
        let measured = MEASURED.iter().any(|key| rest.contains_key(*key));
        let metrics = measured.then(|| serde_json::from_value(rest.into())).transpose().map_err(|e| {
            D::Error::custom(format!("the metrics of tensor '{name}' are incomplete or malformed: {e}"))
        })?;
        Ok(TensorResult { name, node, dtype, shape, status, why, metrics })
    }
}

/// Not compared is a third answer, and never agreement.
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

impl Status {
    /// In words.
    pub fn told(self) -> &'static str {
        match self {
            Status::Agrees => "agrees",
            Status::Diverges => "diverges",
            Status::NotCompared => "not compared",
        }
    }
}

/// How far a candidate tensor c is from a reference tensor r. All sums are accumulated in f64; elements where exactly
/// one side is NaN, or an infinity differs, count as mismatched, and then the errors are NaN: the rest does not stand for
/// the tensor.
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
    /// The worst of its parts, where it was put together of some and one is wrong by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartError>,
}

/// A part of a tensor, judged by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartError {
    /// Which: `'scores' ([4:84] of axis 1)`.
    pub name: String,
    /// As of a tensor.
    pub max_abs: Real,
    /// As of a tensor.
    pub cosine: Real,
    /// As of a tensor.
    pub sqnr_db: Real,
    /// Elements beyond the tolerance of the part.
    pub mismatched: u64,
    /// Of the part.
    pub elements: u64,
}

impl PartError {
    /// Of a part of this name.
    pub fn of(name: String, m: &Metrics) -> PartError {
        let Metrics { max_abs, cosine, sqnr_db, mismatched, elements, .. } = *m;
        PartError { name, max_abs, cosine, sqnr_db, mismatched, elements }
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

/// A number of [`Metrics`] as every table shows it.
pub struct Figure {
    /// Stands over the column, unit included.
    pub title: &'static str,
    /// Its formula, for whoever points at the title.
    pub meaning: &'static str,
    /// How a number is written.
    pub write: fn(&Metrics) -> String,
    /// The columns of the narrowest terminal that has room for it; a ticket has room for the same ones. `None`: it is told
    /// where there is room for everything.
    pub room: Option<usize>,
}

/// Every number that tables show, in their order.
pub const FIGURES: [Figure; 7] = [
    Figure { title: "max abs", meaning: "largest |c - r|", write: |m| number(m.max_abs.0), room: Some(0) },
    Figure { title: "max rel", meaning: "largest |c - r| / |r|", write: |m| number(m.max_rel.0), room: Some(70) },
    Figure { title: "RMSE", meaning: "root mean square of c - r", write: |m| number(m.rmse.0), room: None },
    Figure {
        title: "cosine",
        meaning: "cosine of the angle between r and c",
        write: |m| cosine(m.cosine.0),
        room: Some(100),
    },
    Figure { title: "SQNR dB", meaning: "20 log10(|r| / |r - c|)", write: |m| decibels(m.sqnr_db.0), room: Some(0) },
    Figure {
        title: "max ULP",
        meaning: "largest |c - r| in units of the last place",
        write: |m| number(m.max_ulp.0),
        room: None,
    },
    Figure {
        title: "beyond tol.",
        meaning: "elements beyond the tolerance, of all elements",
        write: |m| match m.mismatched {
            0 => "0".into(),
            n => format!("{} / {}", count(n), count(m.elements)),
        },
        room: None,
    },
];

impl Metrics {
    /// Has one side NaN or infinities that the other has not, there and of that kind?
    pub fn breaks(&self) -> bool {
        self.cand_nonfinite != self.ref_nonfinite
            || (self.cand_nonfinite > 0 && self.mismatched > 0 && self.sqnr_db.0.is_nan())
    }

    /// [`Metrics::relative_rms`]; infinite where there is none, or one side alone is not finite.
    pub fn relative(&self) -> f64 {
        self.relative_rms().filter(|_| !self.breaks()).unwrap_or(f64::INFINITY)
    }

    /// Of two tensors whose shapes or kinds of value differ: no element of one could be set against the other's, so that no
    /// number stands for them.
    pub fn apart(sample: usize) -> Metrics {
        Metrics { sample, ..Metrics::default() }.without_error()
    }

    /// The counts and the range stay; how far apart the two are has no number.
    pub fn without_error(self) -> Metrics {
        let none = Real(f64::NAN);
        Metrics {
            max_abs: none,
            mean_abs: none,
            p99_abs: none,
            max_rel: none,
            mean_rel: none,
            rmse: none,
            cosine: none,
            sqnr_db: none,
            max_ulp: none,
            ..self
        }
    }

    /// `12 NaN or Inf (reference: 0), max abs 0.82, max rel 1.2, SQNR 11.4 dB`.
    pub fn told(&self) -> String {
        if self.elements == 0 {
            let apart = if self.max_abs.0.is_nan() { ": the shapes or the kinds of value differ" } else { "" };
            return format!("no element was compared{apart}");
        }
        if self.mismatched == 0 && self.max_abs.0 == 0.0 {
            return "none, every value is the same".into();
        }
        let mut text = String::new();
        if self.cand_nonfinite + self.ref_nonfinite > 0 {
            let (bad, reference) = (count(self.cand_nonfinite), count(self.ref_nonfinite));
            text += &format!("{bad} NaN or Inf (reference: {reference})");
            if self.max_abs.0.is_nan() {
                let elsewhere = self.cand_nonfinite == self.ref_nonfinite && self.mismatched > 0;
                return text + if elsewhere { ", in other places or of another kind" } else { "" };
            }
            text += ", ";
        } else if self.max_abs.0.is_nan() {
            return format!("{} of {} elements differ", count(self.mismatched), count(self.elements));
        }
        let (abs, rel, db) = (number(self.max_abs.0), number(self.max_rel.0), decibels(self.sqnr_db.0));
        text + &format!("max abs {abs}, max rel {rel}, SQNR {db} dB")
    }

    /// How many elements are beyond the tolerance, and where the first one is, in one of so many `samples`.
    pub fn extent(&self, samples: usize) -> String {
        match (self.elements, samples) {
            (0, 0..=1) => return "no element was compared".into(),
            (0, _) => return format!("no element of sample {} was compared", self.sample),
            _ => {}
        }
        let mut text = match self.mismatched {
            0 => format!("all {} elements within tolerance", count(self.elements)),
            n => format!("{} of {} elements beyond tolerance", count(n), count(self.elements)),
        };
        if !self.first_mismatch.is_empty() {
            text += &format!(", the first at {}", index(&self.first_mismatch));
        }
        if samples > 1 {
            text += &format!(" of sample {}", self.sample);
        }
        text
    }

    /// NaN or infinities on one side only: worse than any finite error.
    pub fn nonfinite(&self) -> bool {
        self.breaks() || !self.max_abs.0.is_finite()
    }

    /// To sort by, the worst first: SQNR in dB, and what has none is worse than everything.
    pub fn decibels(&self) -> f64 {
        let own = self.part.as_ref().map_or(self.sqnr_db, |part| part.sqnr_db).0;
        if own.is_nan() { f64::NEG_INFINITY } else { own }
    }

    /// The relative error as an RMS ratio |r - c| / |r|, which is what SQNR says in decibels; of a part that is wrong by itself,
    /// that one's. `None` without a number.
    pub fn relative_rms(&self) -> Option<f64> {
        let decibels = self.part.as_ref().map_or(self.sqnr_db, |part| part.sqnr_db);
        let ratio = 10f64.powf(-decibels.0 / 20.0);
        ratio.is_finite().then_some(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extent_of_an_error() {
        let overflow = Metrics {
            max_abs: Real(f64::INFINITY),
            max_rel: Real(1.58),
            sqnr_db: Real(14.1),
            mismatched: 12,
            elements: 4096,
            cand_nonfinite: 12,
            first_mismatch: vec![0, 3, 17],
            ..Metrics::default()
        };
        assert_eq!(overflow.extent(1), "12 of 4,096 elements beyond tolerance, the first at [0,3,17]");
        assert!(overflow.extent(3).ends_with("[0,3,17] of sample 0"));
        assert_eq!(overflow.told(), "12 NaN or Inf (reference: 0), max abs Inf, max rel 1.58, SQNR 14.1 dB");
        assert!(overflow.nonfinite());
        let fine = Metrics { elements: 5, sqnr_db: Real(f64::INFINITY), ..Metrics::default() };
        assert_eq!(fine.extent(1), "all 5 elements within tolerance");
        assert_eq!(fine.told(), "none, every value is the same");
        assert_eq!(fine.relative_rms(), Some(0.0));
        assert_eq!(Metrics { sqnr_db: Real(f64::NAN), ..fine }.relative_rms(), None);
        let apart = Metrics::apart(2);
        assert_eq!(apart.told(), "no element was compared: the shapes or the kinds of value differ");
        assert_eq!(apart.extent(3), "no element of sample 2 was compared");
        assert_eq!((apart.relative(), apart.nonfinite()), (f64::INFINITY, true));
        assert_eq!(Metrics::default().told(), "no element was compared");
    }
}
