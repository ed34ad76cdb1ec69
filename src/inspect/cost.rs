//! What nodes cost where their shapes are known: operations by formula, bytes by element type. Adds up; measures nothing.

mod formula;

use std::collections::HashMap;

use super::facts::{Cost, Dim, NodeFacts, Operand, OperatorCost, Total};
use super::file::Source;
use super::model::each_node;
use crate::cli::NodeFilter;
use crate::found::Real;
use crate::load::samples::InputSpec;
use crate::load::synthetic::{self, Request};
use crate::onnx::NodeProto;
use crate::tensor::Tensors;
use formula::{Shapes, flops};

/// Feeds of the shapes that inputs have: the ones given, or those declared. Without sizes for all of them there are none, which is
/// an error only where some were given.
pub fn feeds(source: &Source, shapes: &[(String, Vec<usize>)]) -> anyhow::Result<Vec<Tensors>> {
    let (Some(main), Ok(graph)) = (source.main(), &source.graph) else { return Ok(Vec::new()) };
    let declared = |name: &String| main.input.iter().find(|v| v.name() == name).and_then(InputSpec::of);
    let Some(specs) = graph.inputs.iter().map(declared).collect::<Option<Vec<InputSpec>>>() else {
        return Ok(Vec::new());
    };
    let request = Request { shapes: shapes.to_vec(), ranges: Vec::new(), dims: Vec::new(), seed: 0, samples: 1 };
    match synthetic::feeds(&specs, &request) {
        Err(_) if shapes.is_empty() => Ok(Vec::new()),
        other => other,
    }
}

/// Gives every node its cost; then only those stay that `filter` means.
pub fn costs(source: &Source, nodes: &mut Vec<NodeFacts>, filter: Option<&NodeFilter>, feeds: &[Tensors]) -> Total {
    let mut protos = Vec::new();
    if let Some(main) = source.main() {
        each_node(main, &mut |node| protos.push(node));
    }
    // Listed in the same order: outer nodes before those inside them.
    for (facts, proto) in nodes.iter_mut().zip(&protos) {
        facts.cost = cost(facts, proto);
    }
    let mut total = Total { shapes: shapes(feeds), ..Total::default() };
    let counted = || nodes.iter().filter(|n| n.op_type != "Constant");
    total.flops = counted().filter_map(|n| n.cost.flops).fold(0, u64::saturating_add);
    total.bytes = counted().filter_map(|n| n.cost.bytes).fold(0, u64::saturating_add);
    total.unknown = counted().filter(|n| n.cost.flops.is_none()).count();
    total.operators = by_operator(counted(), total.flops);
    let all = total.flops;
    for node in nodes.iter_mut() {
        node.cost.share = node.cost.flops.filter(|_| all > 0).map(|n| Real(n as f64 / all as f64));
    }
    if let Some(filter) = filter {
        nodes.retain(|node| filter.means(&node.name, &node.op_type));
        total.filtered = Some(together(&filter.to_string(), nodes.iter(), all));
    }
    total
}

fn shapes(feeds: &[Tensors]) -> Vec<(String, Vec<usize>)> {
    feeds.iter().flatten().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
}

fn cost(facts: &NodeFacts, proto: &NodeProto) -> Cost {
    let shape = |o: &Operand| -> Option<Vec<usize>> {
        let fixed = |d: &Dim| if let Dim::Fixed(n) = d { usize::try_from(*n).ok() } else { None };
        o.shape.as_ref()?.iter().map(fixed).collect()
    };
    let bytes = |o: &Operand| -> Option<u64> {
        if o.name.is_empty() {
            return Some(0);
        }
        let elements = shape(o)?.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
        Some(o.dtype?.byte_len(elements)? as u64)
    };
    let shapes =
        Shapes { reads: facts.inputs.iter().map(shape).collect(), makes: facts.outputs.iter().map(shape).collect() };
    let mut all = facts.inputs.iter().chain(&facts.outputs).map(bytes);
    let bytes = all.try_fold(0u64, |sum, bytes| Some(sum.saturating_add(bytes?)));
    Cost { flops: flops(proto, &shapes), share: None, bytes }
}

fn by_operator<'n>(nodes: impl Iterator<Item = &'n NodeFacts>, all: u64) -> Vec<OperatorCost> {
    let mut by_name: HashMap<&str, Vec<&NodeFacts>> = HashMap::new();
    nodes.for_each(|node| by_name.entry(&node.op_type).or_default().push(node));
    let mut costs: Vec<OperatorCost> =
        by_name.into_iter().map(|(name, nodes)| together(name, nodes.into_iter(), all)).collect();
    costs.sort_by(|a, b| b.flops.cmp(&a.flops).then(b.bytes.cmp(&a.bytes)).then_with(|| a.name.cmp(&b.name)));
    costs
}

fn together<'n>(name: &str, nodes: impl Iterator<Item = &'n NodeFacts>, all: u64) -> OperatorCost {
    let mut sum = OperatorCost { name: name.to_string(), ..OperatorCost::default() };
    for node in nodes {
        sum.nodes += 1;
        sum.flops = sum.flops.saturating_add(node.cost.flops.unwrap_or(0));
        sum.bytes = sum.bytes.saturating_add(node.cost.bytes.unwrap_or(0));
    }
    sum.share = Real(if all > 0 { sum.flops as f64 / all as f64 } else { 0.0 });
    sum
}
