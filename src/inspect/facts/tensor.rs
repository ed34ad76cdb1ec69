//! What is told of one tensor's values: a weight, a constant, or an array of somebody's data.

use serde::Serialize;

use crate::found::Real;

/// An initializer, a Constant's value or an array, and what is in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TensorFacts {
    /// Behind the path of its subgraph, as keys of tensors are (`if_3/then_branch/w`).
    pub name: String,
    /// What holds it: `initializer`, `constant`, `array`.
    pub kind: &'static str,
    /// As NumPy calls it; `type N` for a number that is not known.
    pub dtype: String,
    /// As the file has it.
    pub shape: Vec<i64>,
    /// Of its values; of strings, of their texts.
    pub bytes: u64,
    /// The sample that it belongs to, from 0, where the file holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Nodes that read it, as `name (operator)`; not of arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<String>,
    /// Why there are no values to tell of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// `None` for strings, and where there are no elements.
    pub statistics: Option<Statistics>,
    /// `None` where no element is finite.
    pub histogram: Option<Histogram>,
    /// The first eight elements, row-major.
    pub first: Vec<Element>,
    /// The last eight; none where `first` has them all.
    pub last: Vec<Element>,
    /// By index of the first and of the last axis, where there are two axes or more.
    pub channels: Vec<Channels>,
    /// Of weights: whether they are as some initialisation leaves them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialisation: Option<Initialisation>,
}

/// Numbers about all elements. Those about size are of the finite ones; NaN where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// All elements.
    pub elements: u64,
    /// The smallest.
    pub min: Real,
    /// The largest.
    pub max: Real,
    /// Their mean.
    pub mean: Real,
    /// Their standard deviation, of all of them (not of a sample).
    pub std: Real,
    /// Root of the mean square.
    pub rms: Real,
    /// Fourth central moment by the square of the variance: 3 of a normal distribution, 1.8 of a uniform one.
    pub kurtosis: Real,
    /// Elements that are 0, or -0.
    pub zeros: u64,
    /// Elements that are NaN.
    pub nan: u64,
    /// Elements that are infinite.
    pub inf: u64,
    /// Finite elements of more than 65504, the largest of FP16.
    pub beyond_fp16: u64,
    /// Elements below 2^-14, which FP16 has with fewer digits, or not at all; zeros are not counted.
    pub subnormal_fp16: u64,
    /// Of those, elements that FP16 rounds to 0.
    pub vanish_fp16: u64,
    /// All elements are the same number.
    pub all_equal: bool,
}

/// Finite elements in bins of the same width.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first bin begins.
    pub low: Real,
    /// Where the last bin ends; what lies there is in it.
    pub high: Real,
    /// Elements by bin: sixteen of them, or one where all are the same number.
    pub counts: Vec<u64>,
}

/// One element.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Element {
    /// Of a type of integers or truth values.
    Integer(i128),
    /// Of any other type of numbers.
    Number(Real),
    /// Of strings.
    Text(String),
}

/// Ranges by index of one axis: what scales per channel would have to cover.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Channels {
    /// Which axis.
    pub axis: usize,
    /// Its size.
    pub count: usize,
    /// The channel of the smallest magnitude, of those that are not all zeros.
    pub narrowest: Channel,
    /// The channel of the largest magnitude.
    pub widest: Channel,
    /// The magnitude of the widest by that of the narrowest.
    pub ratio: Real,
    /// Channels of zeros only.
    pub zeros: usize,
}

/// One index of an axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Channel {
    /// Which one.
    pub index: usize,
    /// Its smallest finite element.
    pub min: Real,
    /// Its largest finite element.
    pub max: Real,
}

/// A weight beside the usual ways to initialise one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Initialisation {
    /// Standard deviation, moments and independence are all those of one way, which says little where elements are few.
    pub possible: bool,
    /// The same of a weight that is large enough to tell. Barely trained weights look the same.
    pub likely_untrained: bool,
    /// The way whose standard deviation is the nearest; `None` where none is near.
    pub scheme: Option<String>,
    /// The standard deviation of that way for this shape.
    pub expected_std: Option<Real>,
    /// The kurtosis of that way.
    pub expected_kurtosis: Option<Real>,
    /// How much more rows and columns differ among each other than independent elements would, in standard deviations.
    pub structure: Option<Real>,
    /// The finding, with its numbers.
    pub text: String,
}
