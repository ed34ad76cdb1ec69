//! Nodes whose partial sums leave FP16's range, by the reference's values.

use std::borrow::Cow;

use crate::find::explain::written;
use crate::graph::{Node, Read, Source};
use crate::lab::{Probe, Side};
use crate::onnx::NodeProto;
use crate::precision::summed;
use crate::spec::Accumulate;
use crate::sums::{self, Values};
use crate::tensor::{DType, Tensor};

/// Multiplications that are done again to see the sums of products: a second or so.
const PRODUCTS: u64 = 4_000_000_000;

/// The nodes that add up, of the reference's graph.
pub struct Sums<'a> {
    side: &'a Side,
    nodes: Vec<(&'a Node, NodeProto)>,
}

impl<'a> Sums<'a> {
    /// None where the candidate adds up in FP16 itself.
    pub fn of(side: &'a Side, accumulate: Accumulate) -> Sums<'a> {
        let nodes = match accumulate {
            Accumulate::Fp32 => side.graph.nodes.iter().filter_map(|node| Some((node, takes(side, node)?))).collect(),
            Accumulate::Fp16 => Vec::new(),
        };
        Sums { side, nodes }
    }

    /// A single node, if it adds up.
    pub fn one(side: &'a Side, node: &'a Node) -> Option<Sums<'a>> {
        Some(Sums { side, nodes: vec![(node, takes(side, node)?)] })
    }

    /// How far the single node goes beyond FP16 in this sample.
    pub fn reach(&self, probe: &Probe, sample: usize) -> Option<f32> {
        let (node, proto) = self.nodes.first()?;
        self.of_sample(probe, node, proto, sample, &mut { PRODUCTS })
    }

    /// What they read.
    pub fn reads(&self) -> impl Iterator<Item = &'a Read> {
        self.nodes.iter().flat_map(|(node, _)| &node.reads)
    }

    /// Those whose sums go beyond FP16 in some sample, and how far.
    pub fn beyond(&self, probe: &Probe) -> Vec<(&'a Node, f32)> {
        let mut most = PRODUCTS;
        let of_node = |(node, proto): &(&'a Node, NodeProto)| {
            let samples = 0..probe.lab.feeds.len();
            let furthest = samples.filter_map(|sample| self.of_sample(probe, node, proto, sample, &mut most));
            Some((*node, furthest.reduce(f32::max)?))
        };
        self.nodes.iter().filter_map(of_node).collect()
    }

    fn of_sample(&self, probe: &Probe, node: &Node, proto: &NodeProto, sample: usize, most: &mut u64) -> Option<f32> {
        let value = |name: &String| -> Option<Option<Cow<Tensor>>> {
            if name.is_empty() {
                return Some(None);
            }
            let read = node.reads.iter().find(|read| read.name == *name)?;
            let value = match read.source {
                Source::Tensor(t) => probe.reference_value(t, sample).map(Cow::Borrowed),
                Source::Input => probe.lab.feeds[sample].get(name).map(Cow::Borrowed),
                Source::Initializer => written(self.side, node, name).map(Cow::Owned),
            };
            value.map(Some)
        };
        let held: Vec<Option<Cow<Tensor>>> = proto.input.iter().map(value).collect::<Option<_>>()?;
        let inputs: Vec<Option<Values>> = held.iter().map(|held| held.as_deref().and_then(Values::of)).collect();
        let all = held.iter().zip(&inputs).all(|(held, input)| held.is_some() == input.is_some());
        if all { sums::beyond(proto, &inputs, most) } else { None }
    }
}

/// The node as its sums are taken, if it adds up.
fn takes(side: &Side, node: &Node) -> Option<NodeProto> {
    let model = &side.model.proto;
    let whole = |name: &str| {
        let tensor = written(side, node, name).filter(|t| t.dtype == DType::Int64)?;
        Some(tensor.view::<i64>().to_vec())
    };
    summed(node.proto(model)?, model.opset(), whole)
}
