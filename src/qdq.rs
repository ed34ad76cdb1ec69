//! Quantisation as a model says it: QuantizeLinear and DequantizeLinear pairs. Finds them, measures what they lose by their
//! own formula, and takes them out. Runs nothing: integer kernels are a backend's business.

mod find;
mod formula;
mod loss;
mod without;

pub use find::pairs;
pub use formula::{dequantised, round_trip};
pub use loss::{Losses, loss};
pub use without::without;

use crate::graph::Graph;
use crate::onnx::ModelProto;
use crate::overrides::export::anchored;
use crate::tensor::{DType, Tensor};

/// A DequantizeLinear, and the QuantizeLinear in front of it where the value is not stored quantised.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What is quantised, as the float model calls it: the key of a tensor, the name of an input or of a weight.
    pub tensor: String,
    /// Number in `graph.nodes`.
    pub quantize: Option<usize>,
    pub dequantize: usize,
    /// As the DequantizeLinear has them; no scale where it is computed while the model runs.
    pub scale: Option<Tensor>,
    pub zero_point: Option<Tensor>,
    /// Scale and zero point of the QuantizeLinear where they are others: a fault of the model.
    pub quantizer: Option<(Option<Tensor>, Option<Tensor>)>,
    /// Where there are several scales: the dimension they run along.
    pub axis: Option<i64>,
    /// Elements that share a scale along `axis`; 0 where scales are by tensor or by channel.
    pub block: i64,
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

/// What to tell a quantiser, so that it leaves some nodes in float.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exclusions {
    /// `nodes_to_exclude` of ONNX Runtime's quantiser: names.
    pub ort: Vec<String>,
    /// `--nodes_to_exclude` of ModelOpt: regular expressions of Python.
    pub modelopt: Vec<String>,
}

/// The nodes that read the pairs' results; where an output of the model is quantised, the node that makes it.
pub fn exclusions(model: &ModelProto, graph: &Graph, pairs: &[&Pair]) -> Exclusions {
    let maker = |pair: &Pair| Some(graph.tensors[graph.tensor(&pair.tensor)?].node);
    let nodes = |pair: &Pair| match &pair.consumers[..] {
        [] => maker(pair).into_iter().collect(),
        consumers => consumers.to_vec(),
    };
    let mut numbers: Vec<usize> = pairs.iter().flat_map(|p| nodes(p)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let name = |n: &usize| graph.nodes[*n].proto(model).map(|p| p.name().to_string()).filter(|name| !name.is_empty());
    let ort: Vec<String> = numbers.iter().filter_map(name).collect();
    let modelopt = ort.iter().map(|name| anchored(name)).collect();
    Exclusions { ort, modelopt }
}

#[cfg(test)]
mod tests;
