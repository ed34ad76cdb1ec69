//! Settings of a quantiser, and what a QDQ file would be with them: the file edited as if ONNX Runtime's quantiser had made it so,
//! from the ranges that it was calibrated with. Model -> model; which settings help, others try.

use std::collections::{BTreeMap, BTreeSet};

use super::mend::{mend_in, users};
use super::requantise::{self, Way, is_symmetric};
use super::{Float, Pair, Parameters, owners, without};
use crate::compare::to_f64;
use crate::graph::{Graph, graph_at_mut};
use crate::load::Model;
use crate::load::testset::tensor_from_proto;
use crate::onnx::{ModelProto, OperatorSetIdProto};
use crate::tensor::{DType, Tensor};

/// The contrib operators, which quantise to 16 bits before ONNX's own do.
const CONTRIB: &str = "com.microsoft";
/// The opset whose QuantizeLinear has 16 bits.
const HAS_16_BITS: i64 = 21;
/// Codes of a weight of 7 bits go no further.
const SEVEN_BITS: f64 = 64.0;

/// One setting of a quantiser that is not as the file was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `per_channel=True`
    PerChannel,
    /// `WeightSymmetric`
    WeightSymmetric(bool),
    /// `QuantizeBias=False`
    FloatBias,
    /// `ActivationSymmetric=True`
    ActivationSymmetric,
    /// `reduce_range=True`: weights of 7 bits.
    ReduceRange,
    /// `TensorQuantOverrides`: 16 bits for these activations, numbers of pairs.
    Wide(Vec<usize>),
    /// `op_types_to_quantize` without this one.
    WithoutOp(String),
    /// `nodes_to_exclude`: nothing is left of these pairs, by number.
    WithoutPairs(Vec<usize>),
}

/// How a file was quantised, as far as it says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// The type of most activations.
    pub activations: DType,
    /// The type of most weights that are no bias.
    pub weights: DType,
    /// Some weight has several scales.
    pub per_channel: bool,
    /// All weights treat both signs alike.
    pub weights_symmetric: bool,
    /// All activations do.
    pub activations_symmetric: bool,
    /// No code of a weight needs more than 7 bits.
    pub reduced: bool,
    /// Some int32 bias is stored.
    pub bias: bool,
    /// Operators that read quantised values and whose result is quantised.
    pub ops: BTreeSet<String>,
}

impl Base {
    /// Of these pairs of the graph.
    pub fn of(graph: &Graph, pairs: &[Pair]) -> Base {
        let weights: Vec<&Pair> = pairs.iter().filter(|p| is_weight(p)).collect();
        let activations: Vec<&Pair> = pairs.iter().filter(|p| !p.weight).collect();
        let small = |p: &&Pair| {
            let zero = p.zero_point.as_ref().map_or(0.0, |z| to_f64(z)[0]);
            let codes = p.stored.as_ref().map(to_f64).unwrap_or_default();
            codes.iter().all(|c| (c - zero).abs() <= SEVEN_BITS)
        };
        Base {
            activations: most(&activations, DType::Uint8),
            weights: most(&weights, DType::Int8),
            per_channel: weights.iter().any(|p| p.axis.is_some()),
            weights_symmetric: weights.iter().all(|p| is_symmetric(p)),
            activations_symmetric: activations.iter().all(|p| is_symmetric(p)),
            reduced: !weights.is_empty() && weights.iter().all(small),
            bias: pairs.iter().any(is_bias),
            ops: quantised_ops(graph, pairs),
        }
    }
}

/// Is it a stored weight of 8 bits whose scales are by tensor or by channel?
pub fn is_weight(pair: &Pair) -> bool {
    let bytes = matches!(pair.dtype, DType::Int8 | DType::Uint8);
    pair.stored.is_some() && pair.is_pair() && pair.block == 0 && bytes && pair.scale.is_some()
}

fn is_bias(pair: &Pair) -> bool {
    pair.stored.is_some() && pair.is_pair() && pair.dtype == DType::Int32
}

/// May the activation be given 16 bits?
pub fn is_activation(pair: &Pair) -> bool {
    !pair.weight && pair.quantize.is_some() && requantise::in_16_bits(pair).is_some()
}

/// The dimension of output channels of a weight that has one scale.
pub fn channel_axis(pair: &Pair) -> Option<usize> {
    let (op, axis) = pair.channels.as_ref().filter(|_| is_weight(pair) && pair.axis.is_none())?;
    let rank = pair.stored.as_ref()?.shape.len();
    if op == "MatMul" { rank.checked_sub(1).filter(|axis| *axis > 0) } else { Some(*axis).filter(|a| *a < rank) }
}

/// `model`, which has the nodes of the file, as the quantiser would have made it with these settings too. `float` has the values
/// of the weights.
pub fn with_settings(
    model: &ModelProto,
    (file, graph): (&Model, &Graph),
    pairs: &[Pair],
    settings: &[&Setting],
    float: &Float,
) -> ModelProto {
    let with = With { file, graph, pairs, settings, float };
    let gone = with.gone();
    let new = with.parameters(&gone);
    let mut edited = model.clone();
    for (number, parameters) in &new {
        mend_in(&mut edited, graph, &pairs[*number], parameters);
    }
    let wide = new.keys().filter(|n| settings.iter().any(|s| matches!(s, Setting::Wide(wide) if wide.contains(n))));
    let wide: Vec<usize> = wide.flat_map(|n| users(graph, &pairs[*n])).collect();
    in_contrib(&mut edited, graph, &wide);
    let gone: Vec<&Pair> = gone.iter().map(|n| &pairs[*n]).collect();
    if gone.is_empty() { edited } else { without(&edited, graph, &gone, float) }
}

/// 16 bits are the contrib operators' where the model is older than ONNX's own.
fn in_contrib(edited: &mut ModelProto, graph: &Graph, nodes: &[usize]) {
    if nodes.is_empty() || edited.opset() >= HAS_16_BITS {
        return;
    }
    if edited.opset_import.iter().all(|o| o.domain() != CONTRIB) {
        edited.opset_import.push(OperatorSetIdProto { domain: Some(CONTRIB.into()), version: Some(1) });
    }
    let Some(main) = edited.graph.as_mut() else { return };
    for node in nodes.iter().map(|n| &graph.nodes[*n]) {
        if let Some(node) = graph_at_mut(main, &node.scope).and_then(|g| g.node.get_mut(node.index)) {
            node.domain = Some(CONTRIB.into());
        }
    }
}

struct With<'a> {
    file: &'a Model,
    graph: &'a Graph,
    pairs: &'a [Pair],
    settings: &'a [&'a Setting],
    float: &'a Float<'a>,
}

impl With<'_> {
    fn has(&self, setting: &Setting) -> bool {
        self.settings.contains(&setting)
    }

    /// Numbers of the pairs that are not there then. A quantiser quantises what an operator makes as well as what it reads.
    fn gone(&self) -> BTreeSet<usize> {
        let out: Vec<&str> = self
            .settings
            .iter()
            .filter_map(|s| if let Setting::WithoutOp(op) = s { Some(op.as_str()) } else { None })
            .collect();
        let bias = self.pairs.iter().enumerate().filter(|(_, p)| self.has(&Setting::FloatBias) && is_bias(p));
        let named = self.settings.iter().filter_map(|s| if let Setting::WithoutPairs(p) = s { Some(p) } else { None });
        let mut gone: BTreeSet<usize> = bias.map(|(n, _)| n).chain(named.flatten().copied()).collect();
        if out.is_empty() {
            return gone;
        }
        let quantised = quantised_ops(self.graph, self.pairs);
        let stays = |op: &str| quantised.contains(op) && !out.contains(&op);
        for (number, owners) in owners(self.graph, self.pairs).iter().enumerate() {
            let pair = &self.pairs[number];
            let op = |n: &usize| self.graph.nodes[*n].op_type.as_str();
            let read = owners.iter().any(|n| !out.contains(&op(n)));
            let made = maker(self.graph, pair).is_some_and(|n| stays(op(&n)));
            if !owners.is_empty() && !read && !made {
                gone.insert(number);
            }
        }
        gone
    }

    /// New parameters by number of the pair.
    fn parameters(&self, gone: &BTreeSet<usize>) -> BTreeMap<usize, Parameters> {
        let mut new = BTreeMap::new();
        for (number, pair) in self.pairs.iter().enumerate().filter(|(n, _)| !gone.contains(n)) {
            let made = if is_weight(pair) { self.weight(pair) } else { self.activation(number, pair) };
            new.extend(made.map(|parameters| (number, parameters)));
        }
        let follow = self.pairs.iter().enumerate().filter(|(n, p)| !gone.contains(n) && is_bias(p));
        let biases: Vec<(usize, Parameters)> = follow.filter_map(|(n, p)| Some((n, self.bias(p, &new)?))).collect();
        new.extend(biases);
        new
    }

    fn weight(&self, pair: &Pair) -> Option<Parameters> {
        let channels = channel_axis(pair).filter(|_| self.has(&Setting::PerChannel));
        let signs = [true, false].into_iter().find(|s| self.has(&Setting::WeightSymmetric(*s)));
        let reduced = self.has(&Setting::ReduceRange);
        if channels.is_none() && signs.is_none() && !reduced {
            return None;
        }
        let float = self.value(pair)?;
        let rank = float.shape.len() as i64;
        let own = pair.axis.map(|axis| if axis < 0 { axis + rank } else { axis });
        let axis = channels.or(own.and_then(|axis| usize::try_from(axis).ok()));
        let symmetric = signs.unwrap_or(channels.is_some() || is_symmetric(pair));
        requantise::weight(pair, &float, Way { axis, symmetric, reduced })
    }

    fn activation(&self, number: usize, pair: &Pair) -> Option<Parameters> {
        if pair.weight || pair.quantize.is_none() {
            return None;
        }
        let wide = self.settings.iter().any(|s| matches!(s, Setting::Wide(wide) if wide.contains(&number)));
        match (wide, self.has(&Setting::ActivationSymmetric)) {
            (true, _) => requantise::in_16_bits(pair),
            (false, true) if !is_symmetric(pair) => requantise::symmetric(pair),
            _ => None,
        }
    }

    /// Where an operand of its reader has another scale, so has the bias.
    fn bias(&self, pair: &Pair, new: &BTreeMap<usize, Parameters>) -> Option<Parameters> {
        let result = self.output(pair)?;
        let reader = pair.consumers.iter().find_map(|n| {
            let proto = self.graph.nodes[*n].proto(&self.file.proto)?;
            (proto.input.get(2).map(String::as_str) == Some(result)).then_some(proto)
        })?;
        let operand = |slot: usize| {
            let name = reader.input.get(slot)?;
            self.pairs.iter().position(|p| self.output(p) == Some(name.as_str()))
        };
        let (input, weight) = (operand(0)?, operand(1)?);
        let now = |n: usize| new.get(&n).map(|p| &p.scale).or(self.pairs[n].scale.as_ref());
        let beta = reader.attr("beta").map_or(1.0, |a| f64::from(a.f()));
        let changed = [input, weight].iter().any(|n| new.contains_key(n) || self.same_tensor(*n, new));
        let float = self.value(pair).filter(|_| changed)?;
        requantise::bias(pair, &float, now(input)?, now(weight)?, beta)
    }

    /// Is the same value behind another DequantizeLinear among those with new parameters?
    fn same_tensor(&self, number: usize, new: &BTreeMap<usize, Parameters>) -> bool {
        new.keys().any(|n| self.pairs[*n].tensor == self.pairs[number].tensor)
    }

    fn output(&self, pair: &Pair) -> Option<&str> {
        let proto = self.graph.nodes[pair.dequantize].proto(&self.file.proto)?;
        proto.output.first().map(String::as_str)
    }

    fn value(&self, pair: &Pair) -> Option<Tensor> {
        tensor_from_proto(&(self.float.weight)(&pair.tensor)?).ok()
    }
}

/// Operators of which some node reads what is dequantised, and makes what is quantised, itself or through a Relu or a Clip.
fn quantised_ops(graph: &Graph, pairs: &[Pair]) -> BTreeSet<String> {
    let readers: BTreeSet<usize> = pairs.iter().flat_map(|p| p.consumers.iter().copied()).collect();
    let mut ops = BTreeSet::new();
    for mut node in pairs.iter().filter(|p| !p.weight).filter_map(|p| maker(graph, p)) {
        while matches!(graph.nodes[node].op_type.as_str(), "Relu" | "Clip") && !readers.contains(&node) {
            let above = graph.nodes[node].writes.iter().flat_map(|t| graph.parents(*t)).next();
            let Some(above) = above else { break };
            node = graph.tensors[above].node;
        }
        if readers.contains(&node) {
            ops.insert(graph.nodes[node].op_type.clone());
        }
    }
    ops
}

fn maker(graph: &Graph, pair: &Pair) -> Option<usize> {
    Some(graph.tensors[graph.tensor(&pair.tensor).filter(|_| !pair.weight)?].node)
}

fn most(pairs: &[&Pair], or: DType) -> DType {
    let count = |dtype: DType| pairs.iter().filter(|p| p.dtype == dtype).count();
    pairs.iter().map(|p| p.dtype).max_by_key(|dtype| count(*dtype)).unwrap_or(or)
}
