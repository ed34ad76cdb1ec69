//! What is told of the last product before an output: the classifier, where a model is one.

use serde::Serialize;

use super::{Initialisation, Statistics};

/// A product whose result leads to an output of two dimensions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HeadFacts {
    /// Of the model.
    pub output: String,
    /// The product, as users know it.
    pub node: String,
    /// `MatMul`, `Gemm`, `Conv`.
    pub op_type: String,
    /// Columns of the output: classes, where they are classes.
    pub classes: usize,
    /// What each is computed from.
    pub features: usize,
    /// The key of the weight.
    pub weight: String,
    /// The key of the bias, where one is added.
    pub bias: Option<String>,
    /// Operators between the product and the output, in the order of the run.
    pub through: Vec<String>,
    /// Whether it is as some initialisation leaves it.
    pub trained: Trained,
    /// Why, with its numbers.
    pub why: String,
    /// With `--labels`: whether it has as many classes as there are names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits_labels: Option<bool>,
    /// With `--labels`: how many names there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<usize>,
    /// Of the weight; of a quantised one, of what its codes stand for.
    pub statistics: Option<Statistics>,
    /// Of the weight.
    pub initialisation: Option<Initialisation>,
    /// Of the bias.
    pub bias_statistics: Option<Statistics>,
}

/// An opinion on a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trained {
    /// No usual initialisation leaves such values.
    Yes,
    /// An initialisation leaves just such values, and so does barely any training.
    LikelyNot,
    /// It is too small to tell, or cannot be read.
    #[default]
    Unknown,
}
