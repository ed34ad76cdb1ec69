//! A model on the terminal.

use super::table::{bindings, row, some, titles};
use crate::inspect::facts::{Computes, Inferred, ModelFacts, NodeFacts, Operand, Quantised, WeightFile, Weights};
use crate::inspect::port::type_text;
use crate::show::text::paint::{Ink, Page, Row, left, right};
use crate::show::text::words::{bytes, clean, count, cut, elide, plural, shell};

/// Subgraphs, functions and metadata told in full.
const IN_DETAIL: usize = 8;

pub fn draw(page: &mut Page, model: &ModelFacts) {
    let inner = if model.subgraphs.is_empty() {
        String::new()
    } else {
        format!(" in {}", plural(model.subgraphs.len() + 1, "graph"))
    };
    let summary = format!("{}, {}{inner}, {}", clean(&model.path), plural(model.nodes, "node"), bytes(model.bytes));
    page.headline(Ink::Bold, "model", &summary);
    page.field(Ink::Dim, "format", &format(model));
    if let Some(producer) = &model.producer {
        page.field(Ink::Dim, "made by", &clean(producer));
    }
    metadata(page, model);
    weights(page, &model.weights);
    page.field(Ink::Dim, "computes in", &computes(&model.computes));
    if let Some(quantised) = model.quantised.as_ref().filter(|q| q.weights + q.activations > 0) {
        quantisation(page, quantised);
    }
    inner_graphs(page, model);
    for (at, defect) in model.defects.iter().enumerate() {
        page.field(Ink::Yellow, if at == 0 { "defects" } else { "" }, &clean(defect));
    }
    if model.unnamed_nodes > 0 {
        let verb = if model.unnamed_nodes == 1 { "has" } else { "have" };
        let text = format!(
            "{} {verb} no name; here they are called node_of_OUTPUT, as TensorRT does",
            plural(model.unnamed_nodes, "node")
        );
        page.field(Ink::Dim, "names", &text);
    }
    tensorrt(page, model);
    bindings(page, &model.inputs, &model.outputs);
    operators(page, model);
    largest(page, &model.weights);
    if let Some(list) = &model.node_list {
        nodes(page, list);
    }
}

fn format(model: &ModelFacts) -> String {
    let named = |domain: &str| if domain.is_empty() { "opset".to_string() } else { clean(domain) };
    let opsets = model.opsets.iter().map(|o| format!("{} {}", named(&o.domain), o.version));
    std::iter::once(format!("IR version {}", model.ir_version)).chain(opsets).collect::<Vec<_>>().join(", ")
}

fn metadata(page: &mut Page, model: &ModelFacts) {
    for (at, (key, value)) in model.metadata.iter().take(IN_DETAIL).enumerate() {
        let value = cut(&clean(value), 80);
        page.field(Ink::Dim, if at == 0 { "metadata" } else { "" }, &format!("{}: {value}", clean(key)));
    }
}

fn weights(page: &mut Page, weights: &Weights) {
    let types =
        weights.by_type.iter().map(|t| format!("{} {} in {}", bytes(t.bytes), clean(&t.dtype), count(t.count as u64)));
    let types = types.collect::<Vec<_>>().join(", ");
    let mut text = match (weights.initializers, weights.by_type.len()) {
        (0, _) => "none".to_string(),
        (n, 1) => {
            format!("{}, {} {}", plural(n, "initializer"), bytes(weights.bytes), clean(&weights.by_type[0].dtype))
        }
        (n, _) => format!("{}, {}: {types}", plural(n, "initializer"), bytes(weights.bytes)),
    };
    if weights.constants > 0 {
        text += &format!("; {} with {}", plural(weights.constants, "Constant node"), bytes(weights.constant_bytes));
    }
    if weights.sparse > 0 {
        text += &format!("; {} sparse", weights.sparse);
    }
    page.field(Ink::Dim, "weights", &text);
    if !weights.files.is_empty() && weights.inline_bytes > 0 {
        page.field(Ink::Dim, "stored", &format!("{} in the model file", bytes(weights.inline_bytes)));
    }
    for file in &weights.files {
        let ink = if file.problem.is_some() { Ink::Yellow } else { Ink::Dim };
        page.field(ink, if file.problem.is_some() { "warning" } else { "stored" }, &stored(file));
    }
}

fn stored(file: &WeightFile) -> String {
    let what = format!("{} of {}", bytes(file.bytes), plural(file.initializers, "initializer"));
    let size = file.size.map_or(String::new(), |size| format!(" ({})", bytes(size)));
    let problem = file.problem.as_ref().map_or(String::new(), |p| format!(": {}", clean(p)));
    format!("{what} in {}{size}{problem}", clean(&file.location))
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

fn quantisation(page: &mut Page, quantised: &Quantised) {
    let types = quantised.types.iter().map(|t| format!("{} {}", t.count, t.name)).collect::<Vec<_>>().join(", ");
    let per_channel =
        if quantised.per_channel > 0 { format!("; {} per channel", quantised.per_channel) } else { String::new() };
    let (weights, activations) = (plural(quantised.weights, "weight"), plural(quantised.activations, "activation"));
    page.field(Ink::Dim, "quantised", &format!("{weights} and {activations} ({types}){per_channel}"));
    if !quantised.unequal.is_empty() {
        let text = format!("scales of the two halves of a pair differ: {}", some(&quantised.unequal, IN_DETAIL));
        page.field(Ink::Yellow, "warning", &text);
    }
}

fn inner_graphs(page: &mut Page, model: &ModelFacts) {
    let subgraphs = model.subgraphs.iter().map(|s| {
        (
            "subgraphs",
            format!(
                "{} \"{}\" {}: {}",
                clean(&s.op_type),
                elide(&clean(&s.node), 60),
                clean(&s.attribute),
                plural(s.nodes, "node")
            ),
        )
    });
    let functions = model.functions.iter().map(|f| {
        (
            "functions",
            format!("{}.{}: {}, called {}", clean(&f.domain), clean(&f.name), plural(f.nodes, "node"), times(f.calls)),
        )
    });
    for all in [subgraphs.collect::<Vec<_>>(), functions.collect()] {
        for (at, (label, text)) in all.iter().take(IN_DETAIL).enumerate() {
            page.field(Ink::Dim, if at == 0 { label } else { "" }, text);
        }
        if all.len() > IN_DETAIL {
            page.field(Ink::Dim, "", &format!("and {} more", all.len() - IN_DETAIL));
        }
    }
}

fn times(n: usize) -> String {
    if n == 1 { "once".to_string() } else { format!("{n} times") }
}

fn tensorrt(page: &mut Page, model: &ModelFacts) {
    for (at, note) in model.tensorrt.notes.iter().enumerate() {
        page.field(Ink::Yellow, if at == 0 { "TensorRT" } else { "" }, &clean(&note.text));
    }
    for profile in &model.tensorrt.profile {
        page.field(Ink::Bold, "", &shell(&["--profile".to_string(), profile.clone()]));
    }
}

fn operators(page: &mut Page, model: &ModelFacts) {
    let foreign = model.operators.iter().any(|o| !o.domain.is_empty());
    let cells = |op: &str, nodes: String, domain: &str| {
        let cells = vec![left(clean(op)), right(nodes)];
        cells.into_iter().chain(foreign.then(|| left(clean(domain)))).collect()
    };
    let mut rows = vec![titles(cells("operator", "nodes".into(), "domain"))];
    rows.extend(model.operators.iter().map(|o| row(cells(&o.op_type, count(o.count as u64), &o.domain))));
    page.blank();
    page.table(&rows, &[0]);
}

fn largest(page: &mut Page, weights: &Weights) {
    if weights.largest.is_empty() {
        return;
    }
    let mut rows: Vec<Row> = vec![titles(vec![left("largest weights"), left("type"), right("size")])];
    rows.extend(weights.largest.iter().map(|w| {
        let dims: Vec<String> = w.shape.iter().map(i64::to_string).collect();
        row(vec![left(clean(&w.name)), left(format!("{}[{}]", clean(&w.dtype), dims.join(","))), right(bytes(w.bytes))])
    }));
    page.blank();
    page.table(&rows, &[0]);
}

/// A node a block: its name and operator, then what goes in and out.
fn nodes(page: &mut Page, list: &[NodeFacts]) {
    page.blank();
    for node in list {
        let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", clean(&node.domain)) };
        let within = node.subgraph.as_ref().map_or(String::new(), |s| format!(" in {}", clean(s)));
        page.headline(Ink::Bold, "node", &format!("{} ({domain}{}){within}", clean(&node.name), clean(&node.op_type)));
        for (label, operands) in [("in", &node.inputs), ("out", &node.outputs)] {
            let texts: Vec<String> = operands.iter().map(operand).collect();
            if !texts.is_empty() {
                page.field(Ink::Dim, label, &texts.join(", "));
            }
        }
    }
}

fn operand(operand: &Operand) -> String {
    match operand.name.as_str() {
        "" => "(none)".to_string(),
        name => format!("{} {}", clean(name), clean(&type_text(operand.dtype, operand.shape.as_deref()))),
    }
}
