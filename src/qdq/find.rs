//! Which pairs a model has. Scales and zero points are constants of the file, or unknown.

use super::Pair;
use crate::graph::{self, Graph, Node, Source};
use crate::load::Model;
use crate::load::testset::tensor_from_proto;
use crate::onnx::NodeProto;
use crate::tensor::{DType, Tensor};

/// Every DequantizeLinear of a stored or a just quantised value, in the graph's order. `graph` is that of `model.proto`.
pub fn pairs(model: &Model, graph: &Graph) -> Vec<Pair> {
    let find = Find { model, graph };
    (0..graph.nodes.len()).filter_map(|number| find.pair(number)).collect()
}

struct Find<'a> {
    model: &'a Model,
    graph: &'a Graph,
}

impl Find<'_> {
    fn pair(&self, number: usize) -> Option<Pair> {
        let node = self.graph.nodes.get(number).filter(|n| is(n, "DequantizeLinear"))?;
        let proto = node.proto(&self.model.proto)?;
        let quantised = proto.input.first()?;
        let before = match source(node, quantised)? {
            Source::Tensor(t) => Some(self.graph.tensors[*t].node),
            _ => None,
        };
        let quantize = before.filter(|n| is(&self.graph.nodes[*n], "QuantizeLinear"));
        let stored = self.constant(node, quantised);
        let (tensor, weight) = match quantize {
            Some(q) => self.float(&self.graph.nodes[q])?,
            // A computed integer, or one that is fed, was never a float.
            None => (stored.as_ref().map(|_| float_name(quantised))?, true),
        };
        let (scale, zero_point) = (self.input(node, proto, 1), self.input(node, proto, 2));
        let quantizer = quantize.and_then(|q| self.other_parameters(q, &scale, &zero_point));
        let output_type = || {
            let attribute = self.graph.nodes[quantize?].proto(&self.model.proto)?.attr("output_dtype")?;
            DType::from_onnx(i32::try_from(attribute.i()).ok()?)
        };
        let dtype = stored.as_ref().or(zero_point.as_ref()).map(|t| t.dtype).or_else(output_type);
        let several = scale.as_ref().is_some_and(|s| s.elements() != 1);
        let consumers = self.consumers(node);
        let result = proto.output.first()?;
        Some(Pair {
            tensor,
            quantize,
            dequantize: number,
            slots: Pair::LINEAR,
            axis: several.then(|| proto.attr("axis").map_or(1, |a| a.i())),
            block: proto.attr("block_size").map_or(0, |a| a.i()),
            dtype: dtype.unwrap_or(DType::Uint8),
            channels: consumers.iter().find_map(|c| self.channels(*c, result)).filter(|_| weight),
            stored: stored.filter(|_| quantize.is_none()),
            scale,
            zero_point,
            quantizer,
            weight,
            consumers,
        })
    }

    /// What a QuantizeLinear reads, and whether the file holds it.
    fn float(&self, node: &Node) -> Option<(String, bool)> {
        let name = node.proto(&self.model.proto)?.input.first()?;
        Some(match source(node, name)? {
            Source::Tensor(t) => (self.graph.tensors[*t].key.clone(), self.graph.is_constant(*t)),
            source => (name.clone(), *source == Source::Initializer),
        })
    }

    /// The parameters of a QuantizeLinear, if not these.
    fn other_parameters(
        &self,
        quantize: usize,
        scale: &Option<Tensor>,
        zero_point: &Option<Tensor>,
    ) -> Option<(Option<Tensor>, Option<Tensor>)> {
        let node = &self.graph.nodes[quantize];
        let proto = node.proto(&self.model.proto)?;
        let own = (self.input(node, proto, 1), self.input(node, proto, 2));
        let same = |a: &Option<Tensor>, b: &Option<Tensor>| match (a, b) {
            (Some(a), Some(b)) => a.dtype == b.dtype && a.bytes() == b.bytes(),
            // A zero point that is not there is zero.
            (Some(one), None) | (None, Some(one)) => one.bytes().iter().all(|b| *b == 0),
            (None, None) => true,
        };
        (!same(&own.0, scale) || !same(&own.1, zero_point)).then_some(own)
    }

    fn input(&self, node: &Node, proto: &NodeProto, slot: usize) -> Option<Tensor> {
        self.constant(node, proto.input.get(slot).filter(|name| !name.is_empty())?)
    }

    /// The value of an initializer or a Constant, under the name that `node` has for it.
    fn constant(&self, node: &Node, name: &str) -> Option<Tensor> {
        constant(self.model, self.graph, node, name)
    }

    /// Those that compute with the result; an If that only hands it to its branches does not.
    fn consumers(&self, node: &Node) -> Vec<usize> {
        let readers = node.writes.iter().flat_map(|t| self.graph.children(*t));
        let mut numbers: Vec<usize> = readers.map(|t| self.graph.tensors[t].node).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|n| self.graph.nodes[*n].results.is_empty());
        numbers
    }

    /// The dimension of a weight that an operator's output channels are.
    fn channels(&self, consumer: usize, weight: &str) -> Option<(String, usize)> {
        let node = &self.graph.nodes[consumer];
        let proto = node.proto(&self.model.proto)?;
        let slot = proto.input.iter().position(|i| i == weight)?;
        let transposed = proto.attr("transB").is_some_and(|a| a.i() != 0);
        let axis = match (node.op_type.as_str(), slot) {
            ("Conv", 1) => 0,
            ("ConvTranspose", 1) => 1,
            ("Gemm", 1) => usize::from(!transposed),
            ("MatMul", 1) => 1,
            _ => return None,
        };
        Some((node.op_type.clone(), axis))
    }
}

/// The value of an initializer or a Constant, under the name that `node` has for it.
pub fn constant(model: &Model, graph: &Graph, node: &Node, name: &str) -> Option<Tensor> {
    let proto = match source(node, name)? {
        Source::Initializer => model.inline(graph::initializer(model.proto.graph.as_ref()?, &node.scope, name)?),
        Source::Tensor(t) if graph.is_constant(*t) => graph.producer(*t).proto(&model.proto)?.constant()?,
        _ => return None,
    };
    tensor_from_proto(&proto).ok()
}

fn is(node: &Node, op_type: &str) -> bool {
    node.op_type == op_type && matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft")
}

fn source<'a>(node: &'a Node, name: &str) -> Option<&'a Source> {
    node.reads.iter().find(|r| r.name == name).map(|r| &r.source)
}

/// The float weight that became this one, by the names of ONNX Runtime's quantiser.
pub fn float_name(quantised: &str) -> String {
    quantised.strip_suffix("_quantized").unwrap_or(quantised).to_string()
}
