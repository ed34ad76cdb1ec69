//! Models as text, for tests: statements apart by `;`.
//! `opset 13` declares, `w: 2x2 = 1 2 3 4` stores float32 (`w: i2 = 1 2` int64, `w: 2x2` zeros), `a, b = Split axis=1 (x, k)` is a node, `com.microsoft.Gelu(x)` of another
//! domain, `body={ i c s -> t = Tanh(s) -> c t }` a graph in an attribute. Nodes are called as their first output.

use crate::load::testset::tensor_to_proto;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, attribute_type,
};
use crate::tensor::{DType, Tensor};

/// A model with the inputs `x` and `z` and the output `y`.
pub fn model(text: &str) -> ModelProto {
    let import = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
    let said = statements(text).into_iter().find_map(|s| s.strip_prefix("opset ").map(str::to_string));
    let opset = said.map_or(17, |version| version.parse().unwrap());
    let mut graph = graph(text);
    graph.input = ["x", "z"].map(|name| ValueInfoProto::tensor(name, DType::Float32, &[2, 3])).into();
    graph.output = vec![ValueInfoProto::bare("y")];
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![import("", opset), import("com.microsoft", 1)],
        graph: Some(graph),
        ..Default::default()
    }
}

fn graph(text: &str) -> GraphProto {
    let mut graph = GraphProto { name: Some("g".into()), ..Default::default() };
    for statement in statements(text) {
        if statement.starts_with("opset ") {
            continue;
        }
        match statement.split_once(" = ") {
            Some((names, made)) if made.ends_with(')') => graph.node.push(node(names, made)),
            _ => graph.initializer.push(stored(&statement)),
        }
    }
    graph
}

/// Apart by `;`, but not within braces.
fn statements(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut all = vec![String::new()];
    for c in text.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ';' if depth == 0 => all.push(String::new()),
            _ => all.last_mut().unwrap().push(c),
        }
    }
    all.iter().map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
}

fn stored(statement: &str) -> TensorProto {
    let (name, rest) = statement.split_once(':').unwrap();
    let (shape, values) = rest.split_once('=').unwrap_or((rest, ""));
    let (integer, shape) = match shape.trim().strip_prefix('i') {
        Some(shape) => (true, shape),
        None => (false, shape.trim()),
    };
    let shape: Vec<usize> = shape.split('x').filter(|d| !d.is_empty()).map(|d| d.parse().unwrap()).collect();
    let mut values: Vec<f32> = values.split_whitespace().map(|v| v.parse().unwrap()).collect();
    values.resize(shape.iter().product(), 0.0);
    let integers: Vec<i64> = values.iter().map(|v| *v as i64).collect();
    tensor_to_proto(name, &if integer { Tensor::i64(&shape, &integers) } else { Tensor::f32(&shape, &values) })
}

fn node(names: &str, made: &str) -> NodeProto {
    let outputs: Vec<&str> = names.split(',').map(str::trim).collect();
    let (head, inputs) = made.trim_end_matches(')').rsplit_once('(').unwrap();
    let inputs: Vec<&str> = inputs.split(',').map(str::trim).filter(|i| !i.is_empty()).collect();
    let inputs: Vec<&str> = inputs.into_iter().map(|i| if i == "-" { "" } else { i }).collect();
    let (kind, attributes) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
    let (domain, op_type) = kind.rsplit_once('.').unwrap_or(("", kind));
    let mut node = NodeProto::new(op_type, outputs[0], &inputs, &outputs);
    node.domain = Some(domain.to_string());
    node.attribute = attributes_of(attributes);
    node
}

fn attributes_of(text: &str) -> Vec<AttributeProto> {
    let mut all = Vec::new();
    let mut left = text.trim();
    while let Some((name, rest)) = left.split_once('=') {
        let end = match rest.starts_with('{') {
            true => closing(rest) + 1,
            false => rest.find(' ').unwrap_or(rest.len()),
        };
        all.push(attribute(name.trim(), &rest[..end]));
        left = rest[end..].trim();
    }
    all
}

fn closing(text: &str) -> usize {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0
    });
    end.unwrap().0
}

fn attribute(name: &str, text: &str) -> AttributeProto {
    let mut a = AttributeProto { name: Some(name.into()), ..Default::default() };
    if let Some(body) = text.strip_prefix('{') {
        let parts: Vec<&str> = body.trim_end_matches('}').splitn(2, "->").collect();
        let (body, outputs) = parts[1].rsplit_once("->").unwrap();
        let infos = |names: &str| names.split_whitespace().map(ValueInfoProto::bare).collect();
        let inner = GraphProto { input: infos(parts[0]), output: infos(outputs), ..graph(body) };
        (a.g, a.r#type) = (Some(inner), Some(attribute_type::GRAPH));
    } else if let Some(list) = text.strip_prefix('[') {
        let list = list.trim_end_matches(']').split(',').map(|i| i.parse().unwrap());
        (a.ints, a.r#type) = (list.collect(), Some(attribute_type::INTS));
    } else if let Ok(i) = text.parse() {
        (a.i, a.r#type) = (Some(i), Some(attribute_type::INT));
    } else if let Ok(f) = text.parse() {
        (a.f, a.r#type) = (Some(f), Some(attribute_type::FLOAT));
    } else {
        (a.s, a.r#type) = (Some(text.as_bytes().to_vec().into()), Some(attribute_type::STRING));
    }
    a
}
