//! Quantisation as a model says it: QuantizeLinear and DequantizeLinear pairs. Finds them, measures what they lose by their
//! own formula, and takes them out. Runs nothing: integer kernels are a backend's business.

mod bias;
pub mod dynamic;
mod exclude;
mod find;
mod formula;
mod loss;
mod mend;
mod operands;
mod requantise;
mod reveal;
mod settings;
mod slots;
mod without;

pub use bias::wrong_bias_scale;
pub use exclude::{Exclusions, exclusions, owners};
pub use find::pairs;
pub use formula::{Codes, Grid, dequantised, round_trip};
pub use loss::{Losses, loss};
pub use mend::{Parameters, mend};
pub use operands::operands;
pub use requantise::{Way, is_symmetric};
pub use reveal::reveal;
pub use settings::{Base, Setting, channel_axis, is_activation, is_weight, with_settings};
pub use slots::name_weights;
pub use without::{Activation, Float, stands_for, stored_as_float, without};

use crate::graph::Node;
use crate::tensor::{DType, Tensor};

/// A DequantizeLinear, and the QuantizeLinear in front of it where the value is not stored quantised.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What is quantised, as the float model calls it: the key of a tensor, the name of an input or of a weight.
    pub tensor: String,
    /// Number of the QuantizeLinear in `graph.nodes`.
    pub quantize: Option<usize>,
    /// Number of the DequantizeLinear, or of the operator that reads a stored weight as integers.
    pub dequantize: usize,
    /// Where that node has the integers, their scale and their zero point: [`Pair::LINEAR`] for a DequantizeLinear.
    pub slots: [usize; 3],
    /// As the DequantizeLinear has them; no scale where it is computed while the model runs.
    pub scale: Option<Tensor>,
    /// `None` where there is none, or where it is computed.
    pub zero_point: Option<Tensor>,
    /// Scale and zero point of the QuantizeLinear where they are others: a fault of the model.
    pub quantizer: Option<(Option<Tensor>, Option<Tensor>)>,
    /// Where there are several scales: the dimension they run along.
    pub axis: Option<i64>,
    /// Elements that share a scale along `axis`; 0 where scales are by tensor or by channel.
    pub block: i64,
    /// The type that values are quantised to.
    pub dtype: DType,
    /// The values of a weight that is stored quantised.
    pub stored: Option<Tensor>,
    /// It is written in the file, not computed.
    pub weight: bool,
    /// Numbers of the nodes that read the result.
    pub consumers: Vec<usize>,
    /// For the weight of a Conv, ConvTranspose, Gemm or MatMul: that operator and the dimension of its output channels.
    pub channels: Option<(String, usize)>,
}

impl Pair {
    /// Where a DequantizeLinear has what it reads.
    pub const LINEAR: [usize; 3] = [0, 1, 2];

    /// Is it the weight of an n-bit product, which is stored transposed?
    pub fn is_blocked(&self) -> bool {
        !self.is_pair() && self.block > 0
    }

    /// Is there a DequantizeLinear that could be taken out?
    pub fn is_pair(&self) -> bool {
        self.slots == Pair::LINEAR
    }
}

/// Does an operator compute with quantised values, or make them? By its name alone.
pub fn quantises(node: &Node) -> bool {
    const WORDS: [&str; 7] = ["QLinear", "Quantize", "NBits", "Bnb4", "MatMulInteger", "ConvInteger", "MatMulFpQ4"];
    let op = node.op_type.as_str();
    let second = op.strip_prefix('Q').and_then(|rest| rest.chars().next());
    let contrib = node.domain == "com.microsoft" && second.is_some_and(char::is_uppercase);
    contrib || WORDS.iter().any(|word| op.contains(word))
}

#[cfg(test)]
mod tests;
