//! A model: what it is, what it holds, what it computes in, and where a device would stumble.

use super::table::{bindings, some, table};
use super::{cost, coverage, head, headed, lint, parser, tensor, under};
use crate::found::words::{bytes, clean, count, cut, elide, plural, shell};
use crate::inspect::facts::{Computes, Inferred, ModelFacts, NodeFacts, Operand, Quantised, WeightFile, Weights};
use crate::inspect::port::type_text;
use crate::show::page::{Block, ColumnKind, Fact, Role};
use crate::show::report::{Density, placement};

/// Subgraphs, functions and metadata told in full.
const IN_DETAIL: usize = 8;

/// Everything that is known of the model; where some of it was asked for by name, that alone.
pub fn blocks(model: &ModelFacts) -> Vec<Block> {
    let parts = parts(model);
    let mut blocks = match parts.is_empty() || model.node_list.is_some() {
        true => whole(model),
        false => vec![headed(Role::Strong, "model", summary(model), Vec::new())],
    };
    blocks.extend(parts);
    blocks
}

/// What flags ask for.
fn parts(model: &ModelFacts) -> Vec<Block> {
    let tensors = model.tensors.iter().flat_map(tensor::blocks);
    let coverage = model.coverage.iter().flat_map(coverage::blocks);
    let placement = model.placement.iter().flat_map(|placement| placement::blocks(placement, Density::Full));
    let lint = model.lint.iter().flat_map(|found| lint::blocks(found));
    tensors.chain(coverage).chain(placement).chain(lint).chain(parser::blocks(&model.tensorrt)).collect()
}

fn whole(model: &ModelFacts) -> Vec<Block> {
    let mut blocks = vec![headed(Role::Strong, "model", summary(model), facts(model))];
    blocks.extend(bindings(&model.inputs, &model.outputs));
    blocks.extend(operators(model));
    blocks.extend(largest(&model.weights));
    if let Some(list) = &model.node_list {
        blocks.push(Block::Gap);
        blocks.extend(list.iter().map(node));
        blocks.extend(model.cost.iter().flat_map(|total| cost::blocks(list, total)));
    }
    blocks
}

fn summary(model: &ModelFacts) -> String {
    let graphs = match model.subgraphs.len() {
        0 => String::new(),
        inner => format!(" in {}", plural(inner + 1, "graph")),
    };
    format!("{}, {}{graphs}, {}", clean(&model.path), plural(model.nodes, "node"), bytes(model.bytes))
}

fn facts(model: &ModelFacts) -> Vec<Fact> {
    let mut facts = vec![Fact::new("format", format(model))];
    facts.extend(model.producer.iter().map(|producer| Fact::new("made by", producer.clone())));
    let metadata = model.metadata.iter().take(IN_DETAIL);
    facts.extend(under(Role::Dim, "metadata", metadata.map(|(k, v)| format!("{}: {}", clean(k), cut(&clean(v), 80)))));
    facts.extend(weights(&model.weights));
    facts.push(Fact::new("computes in", computes(&model.computes)));
    facts.extend(model.quantised.iter().filter(|q| q.weights + q.activations > 0).flat_map(quantisation));
    facts.extend(head::facts(&model.heads));
    facts.extend(inner_graphs(model));
    facts.extend(under(Role::Doubt, "defects", model.defects.iter().cloned()));
    if model.unnamed_nodes > 0 {
        let verb = if model.unnamed_nodes == 1 { "has" } else { "have" };
        let nodes = plural(model.unnamed_nodes, "node");
        let text = format!("{nodes} {verb} no name; here they are called node_of_OUTPUT, as TensorRT does");
        facts.push(Fact::new("names", text));
    }
    facts.extend(under(Role::Doubt, "TensorRT", model.tensorrt.notes.iter().map(|note| note.text.clone())));
    let profile = |profile: &String| Fact::strong("", shell(&["--profile".to_string(), profile.clone()]));
    facts.extend(model.tensorrt.profile.iter().map(profile));
    facts
}

fn format(model: &ModelFacts) -> String {
    let named = |domain: &str| if domain.is_empty() { "opset".to_string() } else { clean(domain) };
    let opsets = model.opsets.iter().map(|o| format!("{} {}", named(&o.domain), o.version));
    std::iter::once(format!("IR version {}", model.ir_version)).chain(opsets).collect::<Vec<_>>().join(", ")
}

fn weights(weights: &Weights) -> Vec<Fact> {
    let types =
        weights.by_type.iter().map(|t| format!("{} {} in {}", bytes(t.bytes), clean(&t.dtype), count(t.count as u64)));
    let types = types.collect::<Vec<_>>().join(", ");
    let initializers = plural(weights.initializers, "initializer");
    let mut text = match (weights.initializers, weights.by_type.as_slice()) {
        (0, _) => "none".to_string(),
        (_, [only]) => format!("{initializers}, {} {}", bytes(weights.bytes), clean(&only.dtype)),
        _ => format!("{initializers}, {}: {types}", bytes(weights.bytes)),
    };
    if weights.constants > 0 {
        text += &format!("; {} with {}", plural(weights.constants, "Constant node"), bytes(weights.constant_bytes));
    }
    if weights.sparse > 0 {
        text += &format!("; {} sparse", weights.sparse);
    }
    let mut facts = vec![Fact::new("weights", text)];
    if !weights.files.is_empty() && weights.inline_bytes > 0 {
        facts.push(Fact::new("stored", format!("{} in the model file", bytes(weights.inline_bytes))));
    }
    facts.extend(weights.files.iter().map(stored));
    facts
}

fn stored(file: &WeightFile) -> Fact {
    let what = format!("{} of {}", bytes(file.bytes), plural(file.initializers, "initializer"));
    let size = file.size.map_or(String::new(), |size| format!(" ({})", bytes(size)));
    let text = format!("{what} in {}{size}", clean(&file.location));
    match &file.problem {
        None => Fact::new("stored", text),
        Some(problem) => Fact::doubtful("warning", format!("{text}: {problem}")),
    }
}

fn computes(computes: &Computes) -> String {
    let types = computes.types.iter().map(|t| format!("{} ({})", t.name, plural(t.count, "tensor")));
    let unknown = (computes.unknown > 0).then(|| format!("unknown ({})", plural(computes.unknown, "tensor")));
    let types: Vec<String> = types.chain(unknown).collect();
    let why = computes.why.as_ref().map_or(String::new(), |why| format!(", not inferred: {}", clean(why)));
    let types = if types.is_empty() { "nothing".to_string() } else { types.join(", ") };
    let source = match computes.source {
        Inferred::Declared => "declared in the file",
        Inferred::Onnxruntime | Inferred::Nothing => "inferred by ONNX Runtime",
    };
    format!("{types}; {source}{why}")
}

fn quantisation(quantised: &Quantised) -> Vec<Fact> {
    let types = quantised.types.iter().map(|t| format!("{} {}", t.count, t.name)).collect::<Vec<_>>().join(", ");
    let per_channel =
        if quantised.per_channel > 0 { format!("; {} per channel", quantised.per_channel) } else { String::new() };
    let (weights, activations) = (plural(quantised.weights, "weight"), plural(quantised.activations, "activation"));
    let mut facts = vec![Fact::new("quantised", format!("{weights} and {activations} ({types}){per_channel}"))];
    if !quantised.unequal.is_empty() {
        let text = format!("scales of the two halves of a pair differ: {}", some(&quantised.unequal, IN_DETAIL));
        facts.push(Fact::doubtful("warning", text));
    }
    facts
}

fn inner_graphs(model: &ModelFacts) -> Vec<Fact> {
    let subgraphs = model.subgraphs.iter().map(|s| {
        let (op, node, nodes) = (clean(&s.op_type), elide(&clean(&s.node), 60), plural(s.nodes, "node"));
        format!("{op} \"{node}\" {}: {nodes}", clean(&s.attribute))
    });
    let functions = model.functions.iter().map(|f| {
        let calls = if f.calls == 1 { "once".to_string() } else { format!("{} times", f.calls) };
        format!("{}.{}: {}, called {calls}", clean(&f.domain), clean(&f.name), plural(f.nodes, "node"))
    });
    let some = |name: &'static str, all: Vec<String>| {
        let more = all.len().saturating_sub(IN_DETAIL);
        let more = (more > 0).then(|| format!("and {more} more"));
        under(Role::Dim, name, all.into_iter().take(IN_DETAIL).chain(more))
    };
    some("subgraphs", subgraphs.collect()).chain(some("functions", functions.collect())).collect()
}

fn operators(model: &ModelFacts) -> [Block; 2] {
    let columns = [(ColumnKind::Name, "operator"), (ColumnKind::Number, "nodes")];
    let rows = model.operators.iter().map(|o| (&o.domain, [o.op_type.clone(), count(o.count as u64)]));
    if model.operators.iter().all(|o| o.domain.is_empty()) {
        return table(columns, rows.map(|(_, cells)| cells));
    }
    let [op, nodes] = columns;
    table([op, nodes, (ColumnKind::Words, "domain")], rows.map(|(domain, [op, n])| [op, n, domain.clone()]))
}

fn largest(weights: &Weights) -> Vec<Block> {
    if weights.largest.is_empty() {
        return Vec::new();
    }
    let columns = [(ColumnKind::Name, "largest weights"), (ColumnKind::Words, "type"), (ColumnKind::Number, "size")];
    let rows = weights.largest.iter().map(|w| {
        let dims: Vec<String> = w.shape.iter().map(i64::to_string).collect();
        [w.name.clone(), format!("{}[{}]", w.dtype, dims.join(",")), bytes(w.bytes)]
    });
    table(columns, rows).into()
}

/// A node: its name and operator, then what goes in and out.
fn node(node: &NodeFacts) -> Block {
    let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", clean(&node.domain)) };
    let within = node.subgraph.as_ref().map_or(String::new(), |s| format!(" in {}", clean(s)));
    let head = format!("{} ({domain}{}){within}", clean(&node.name), clean(&node.op_type));
    let sides = [("in", &node.inputs), ("out", &node.outputs)].into_iter().filter(|(_, all)| !all.is_empty());
    let told =
        |(name, all): (&str, &Vec<Operand>)| Fact::new(name, all.iter().map(operand).collect::<Vec<_>>().join(", "));
    headed(Role::Strong, "node", head, sides.map(told).collect())
}

fn operand(operand: &Operand) -> String {
    match operand.name.as_str() {
        "" => "(none)".to_string(),
        name => format!("{} {}", clean(name), clean(&type_text(operand.dtype, operand.shape.as_deref()))),
    }
}
