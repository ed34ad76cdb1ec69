//! Sound models of any structure, drawn from bytes, and what must hold when they are marked, cut, reduced and converted.

use std::collections::{HashMap, HashSet};

use layerdiff::graph::{Graph, Outputs, Source, boundary, extract};
use layerdiff::load::Model;
use layerdiff::mark::{Types, mark};
use layerdiff::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use layerdiff::precision::convert::{Request, convert};
use layerdiff::reduce::Attempt;
use layerdiff::reduce::nodes::{Whole, among, main_nodes};
use layerdiff::search::Answer;
use layerdiff::tensor::{DType, Tensor};
use prost::Message;

use super::typed;

const FLOAT: DType = DType::Float32;
const INT: DType = DType::Int64;
const TRUTH: DType = DType::Bool;
/// Nodes of the main graph; of a body, an eighth of it.
const MOST: usize = 24;

/// mark, cut, reduce and convert on the model that these bytes draw.
pub fn graph(data: &[u8]) {
    let mut choices = Choices(data);
    let (proto, types) = model(&mut choices);
    let graph = Graph::new(&proto).expect("a sound model is read");
    assert!(typed::check(&proto).is_ok(), "the drawn model is sound: {:?}", typed::check(&proto));
    marked(&proto, &graph, &types, &mut choices);
    cut(&proto, &graph, &types, &mut choices);
    reduced(&proto, &graph, &types, &mut choices);
    converted(&proto, &graph, &types, &mut choices);
}

// ---- what must hold

/// What was marked is handed out, once, and the model stays one.
fn marked(proto: &ModelProto, graph: &Graph, types: &Types, choices: &mut Choices) {
    let tensors: Vec<usize> = (0..graph.tensors.len()).filter(|_| choices.below(2) == 1).collect();
    let marked = mark(proto, graph, &tensors, types);
    let found = Graph::new(&marked).expect("a marked model is read");
    let names: Vec<&str> = found.outputs.iter().map(|(name, _)| name.as_str()).collect();
    let once: HashSet<&str> = names.iter().copied().collect();
    assert_eq!(once.len(), names.len(), "{names:?}");
    graph.keys(&tensors).iter().for_each(|key| assert!(once.contains(key.as_str()), "{key} is not handed out"));
    typed::check(&marked).expect("a marked model is sound");
}

/// A cut asks for what crosses its boundary, and for nothing else.
fn cut(proto: &ModelProto, graph: &Graph, types: &Types, choices: &mut Choices) {
    let scope = &graph.nodes[choices.below(graph.nodes.len())].scope;
    let mut nodes: Vec<usize> = (0..graph.nodes.len()).filter(|n| graph.nodes[*n].scope == *scope).collect();
    nodes.retain(|_| choices.below(3) > 0);
    let which = [Outputs::Leaving, Outputs::All][choices.below(2)];
    let told = |key: &str| Some((*types.get(key)?, vec![1]));
    let Some(cut) = extract(proto, graph, &nodes, which, told) else {
        assert!(nodes.is_empty(), "the cut of {nodes:?} needs more than is known");
        return;
    };
    let fed: HashSet<&str> = cut.feeds.iter().map(|(_, key)| key.as_str()).collect();
    let asked = boundary(proto, graph, &nodes);
    assert_eq!(fed, asked.iter().map(String::as_str).collect());
    let found = Graph::new(&cut.proto).expect("a cut is read");
    let inputs: Vec<&str> = cut.feeds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found.inputs.iter().map(String::as_str).collect::<Vec<_>>(), inputs);
    assert!(!found.outputs.is_empty(), "a cut of {nodes:?} hands out nothing");
    let handed_out: HashSet<usize> = cut.outputs.iter().map(|(_, tensor)| *tensor).collect();
    let outside = (0..graph.nodes.len()).filter(|n| !nodes.contains(n) && graph.nodes[*n].scope == *scope);
    let read = outside.flat_map(|n| &graph.nodes[n].reads).filter_map(|read| match read.source {
        Source::Tensor(tensor) => Some(tensor),
        _ => None,
    });
    let wanted = read.chain(graph.outputs.iter().filter_map(|(_, tensor)| *tensor));
    let missing: Vec<usize> =
        wanted.filter(|t| nodes.contains(&graph.tensors[*t].node) && !handed_out.contains(t)).collect();
    assert!(missing.is_empty(), "a cut of {nodes:?} keeps {missing:?}, which are read outside");
    typed::check(&cut.proto).expect("a cut is sound");
}

/// Nodes that fail only together are found, and no others.
fn reduced(proto: &ModelProto, graph: &Graph, types: &Types, choices: &mut Choices) {
    let all = main_nodes(graph);
    let faulty: Vec<usize> = all.iter().copied().filter(|_| choices.below(6) == 1).take(3).collect();
    if faulty.is_empty() {
        return;
    }
    let names = |nodes: &[usize]| nodes.iter().map(|n| graph.nodes[*n].name.clone()).collect::<Vec<_>>();
    let wanted = names(&faulty);
    let values = |keys: &[String]| keys.iter().filter_map(|k| Some((k.clone(), one(*types.get(k)?)))).collect();
    let whole = Whole { model: proto, graph, values: &values, told: &|_| None, target: None, label: String::new() };
    let has = |case: &ModelProto| {
        let nodes = case.graph.iter().flat_map(|g| &g.node).map(|n| n.name().to_string());
        let there: HashSet<String> = nodes.collect();
        wanted.iter().all(|name| there.contains(name))
    };
    let test = |attempts: &[Attempt]| -> Result<Vec<Answer>, ()> {
        let one = |attempt: &Attempt| {
            typed::check(&attempt.case.model).expect("what is tried is sound");
            if has(&attempt.case.model) { Answer::Bad } else { Answer::Good }
        };
        Ok(attempts.iter().map(one).collect())
    };
    let found = among(&whole, &all, 1 + choices.below(3), test).expect("no test fails").expect("it is found");
    let found = names(&found.nodes);
    assert!(wanted.iter().all(|name| found.contains(name)), "{found:?} lacks some of {wanted:?}");
    // Every value is one number here; a cut in which a product would get two of them is never tried.
    let product = graph.nodes.iter().any(|n| n.op_type == "MatMul");
    assert!(product || found == wanted, "{found:?}, where {wanted:?} are enough");
}

/// A converted model computes in types that fit each other, whatever stays.
fn converted(proto: &ModelProto, graph: &Graph, types: &Types, choices: &mut Choices) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, proto.encode_to_vec()).expect("a file");
    let model = Model::load(&path).expect("a sound model is read");
    let kept: HashSet<&str> = graph.nodes.iter().filter(|_| choices.below(4) == 1).map(|n| n.name.as_str()).collect();
    let (low, keep_io) = ([DType::Float16, DType::Bfloat16][choices.below(2)], choices.below(2) == 1);
    let keep = |node: &layerdiff::graph::Node| kept.contains(node.name.as_str());
    let request = Request { low, keep: &keep, keep_io, int32_inputs: choices.below(2) == 1 };
    let converted = convert(&model, graph, types, &request).expect("a sound model is converted");
    Graph::new(&converted.model).expect("a converted model is read");
    if let Err(wrong) = typed::check(&converted.model) {
        panic!("the converted model is not sound: {wrong}");
    }
    let main = converted.model.graph.as_ref().expect("a graph");
    let floats = |v: &&ValueInfoProto| matches!(v.dtype(), Some(DType::Float32 | DType::Float16 | DType::Bfloat16));
    let io = main.input.iter().chain(&main.output).filter(floats);
    io.for_each(|v| assert!(!keep_io || v.dtype() == Some(FLOAT), "{} is no longer float32", v.name()));
}

fn one(dtype: DType) -> Tensor {
    Tensor::new(dtype, vec![1], unit(dtype)).expect("one element")
}

/// An integer of 1, since shapes are made of them, and every tensor has one element.
fn unit(dtype: DType) -> Vec<u8> {
    let mut bytes = vec![0; dtype.byte_len(1).unwrap_or(0)];
    bytes.iter_mut().take(1).for_each(|first| *first = 1);
    bytes
}

// ---- drawing a model

/// Decisions made by bytes; when they have run out, always the first.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n.max(1)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A graph that grows: what can be read in it, by name, innermost last.
struct Body {
    nodes: Vec<NodeProto>,
    visible: Vec<(String, DType)>,
    /// In front of the keys of its tensors: the way to the body.
    path: String,
    types: Types,
    made: usize,
}

fn model(choices: &mut Choices) -> (ModelProto, Types) {
    let given = [("x", FLOAT), ("y", FLOAT), ("i", INT), ("c", TRUTH)];
    let weights = [("w", FLOAT), ("k", INT), ("scale", FLOAT)];
    let visible: Vec<(String, DType)> = given.iter().chain(&weights).map(|(n, d)| (n.to_string(), *d)).collect();
    let types = visible.iter().cloned().collect();
    let mut body = Body { nodes: Vec::new(), visible, path: String::new(), types, made: 0 };
    let size = 1 + choices.below(MOST);
    while body.nodes.is_empty() || body.nodes.len() < size && !choices.is_empty() {
        body.node(choices, 2);
    }
    let made = &body.visible[given.len() + weights.len()..];
    let outputs: Vec<&(String, DType)> = made.iter().rev().filter(|_| choices.below(3) == 0).take(4).collect();
    let outputs = if outputs.is_empty() { made.last().into_iter().collect() } else { outputs };
    let info = |(name, dtype): &(String, DType)| ValueInfoProto::tensor(name, *dtype, &[1]);
    let graph = GraphProto {
        name: Some("drawn".into()),
        node: body.nodes.clone(),
        input: given.iter().map(|(n, d)| ValueInfoProto::tensor(n, *d, &[1])).collect(),
        output: outputs.into_iter().map(info).collect(),
        initializer: weights.iter().map(|(n, d)| weight(n, *d)).collect(),
        ..Default::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
    let function = FunctionProto {
        name: Some("F".into()),
        domain: Some("own".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![NodeProto::new("Neg", "inside", &["a"], &["b"])],
        opset_import: vec![opset("", 21)],
        ..Default::default()
    };
    let proto = ModelProto {
        ir_version: Some(10),
        graph: Some(graph),
        opset_import: vec![opset("", 21), opset("own", 1)],
        functions: vec![function],
        ..Default::default()
    };
    (proto, body.types)
}

fn weight(name: &str, dtype: DType) -> TensorProto {
    let (name, data_type) = (Some(name.to_string()).filter(|n| !n.is_empty()), Some(dtype.onnx()));
    TensorProto { name, dims: vec![1], data_type, raw_data: Some(unit(dtype).into()), ..Default::default() }
}

impl Body {
    fn node(&mut self, choices: &mut Choices, depth: usize) {
        let (f, i, t) = (FLOAT, INT, TRUTH);
        match choices.below(if depth > 0 { 20 } else { 17 }) {
            0 => drop(self.op("Relu", &[f], &[f], choices)),
            1 => drop(self.op("Add", &[f, f], &[f], choices)),
            2 => drop(self.op("MatMul", &[f, f], &[f], choices)),
            3 => self.op("Cast", &[f], &[i], choices).push(AttributeProto::int("to", i64::from(i.onnx()))),
            4 => self.op("Cast", &[i], &[f], choices).push(AttributeProto::int("to", i64::from(f.onnx()))),
            5 => drop(self.op("Shape", &[f], &[i], choices)),
            6 => drop(self.op("Reshape", &[f, i], &[f], choices)),
            7 => drop(self.op("Greater", &[f, f], &[t], choices)),
            8 => drop(self.op("Where", &[t, f, f], &[f], choices)),
            9 => self.op("Constant", &[], &[f], choices).push(AttributeProto::tensor("value", weight("", f))),
            10 => self.op("Constant", &[], &[i], choices).push(AttributeProto::tensor("value", weight("", i))),
            11 => drop(self.op("Dropout", &[f], &[f, t], choices)),
            12 => drop(self.op("Expand", &[f, i], &[f], choices)),
            13 => drop(self.op("TopK", &[f, i], &[f, i], choices)),
            14 => {
                self.op("Clip", &[f, f, f], &[f], choices);
                let omitted = 1 + choices.below(2);
                self.nodes.last_mut().expect("it was added").input[omitted].clear();
            }
            15 => self.quantised(choices),
            16 => {
                self.op("F", &[f], &[f], choices);
                self.nodes.last_mut().expect("it was added").domain = Some("own".into());
            }
            17 | 18 => self.choice(choices, depth),
            _ => self.repetition(choices, depth),
        }
    }

    /// Adds a node that reads something of these types; gives its attributes.
    fn op(&mut self, op: &str, reads: &[DType], makes: &[DType], choices: &mut Choices) -> &mut Vec<AttributeProto> {
        let inputs: Vec<String> = reads.iter().map(|dtype| self.some(*dtype, choices)).collect();
        let outputs: Vec<String> = makes.iter().map(|dtype| self.fresh(*dtype)).collect();
        let name = format!("{}n{}", self.path.replace('/', "_"), self.nodes.len());
        let (inputs, outputs): (Vec<&str>, Vec<&str>) =
            (inputs.iter().map(String::as_str).collect(), outputs.iter().map(String::as_str).collect());
        self.nodes.push(NodeProto::new(op, &name, &inputs, &outputs));
        &mut self.nodes.last_mut().expect("it was added").attribute
    }

    fn some(&self, dtype: DType, choices: &mut Choices) -> String {
        let fit: Vec<&String> = self.visible.iter().filter(|(_, d)| *d == dtype).map(|(n, _)| n).collect();
        fit[fit.len() - 1 - choices.below(fit.len())].clone()
    }

    fn fresh(&mut self, dtype: DType) -> String {
        self.made += 1;
        // Bodies beside each other have the same names; those around each other have not.
        let name = format!("{}t{}", "b".repeat(self.path.matches('/').count()), self.made);
        self.types.insert(format!("{}{name}", self.path), dtype);
        self.visible.push((name.clone(), dtype));
        name
    }

    /// Through integers and back.
    fn quantised(&mut self, choices: &mut Choices) {
        let data = self.some(FLOAT, choices);
        let number = self.nodes.len();
        let named = |op: &str| format!("{}{op}{number}", self.path.replace('/', "_"));
        let (to, from) = (named("q"), named("dq"));
        let codes = self.fresh(DType::Uint8);
        let result = self.fresh(FLOAT);
        self.nodes.push(NodeProto::new("QuantizeLinear", &to, &[&data, "scale"], &[&codes]));
        self.nodes.push(NodeProto::new("DequantizeLinear", &from, &[&codes, "scale"], &[&result]));
    }

    /// An If of two bodies that capture what is around them.
    fn choice(&mut self, choices: &mut Choices, depth: usize) {
        let at = self.nodes.len();
        let name = format!("{}n{at}", self.path.replace('/', "_"));
        let condition = self.some(TRUTH, choices);
        let bodies = ["then_branch", "else_branch"].map(|branch| {
            let (graph, types) = self.body(&format!("{name}/{branch}"), &[], choices, depth);
            self.types.extend(types);
            graph_attribute(branch, graph)
        });
        let output = self.fresh(FLOAT);
        let mut node = NodeProto::new("If", &name, &[&condition], &[&output]);
        node.attribute = bodies.into();
        self.nodes.push(node);
    }

    /// A Loop that carries one value.
    fn repetition(&mut self, choices: &mut Choices, depth: usize) {
        let name = format!("{}n{}", self.path.replace('/', "_"), self.nodes.len());
        let (count, go_on, start) = (self.some(INT, choices), self.some(TRUTH, choices), self.some(FLOAT, choices));
        let given = [("iteration", INT), ("go_on", TRUTH), ("carried", FLOAT)];
        let given = given.map(|(n, d)| (format!("{n}_{}", self.path.matches('/').count()), d));
        let (mut graph, types) = self.body(&format!("{name}/body"), &given, choices, depth);
        self.types.extend(types);
        graph.node.push(NodeProto::new("Identity", &format!("{name}_go"), &[&given[1].0], &["go_out"]));
        graph.output.insert(0, ValueInfoProto::tensor("go_out", TRUTH, &[1]));
        let output = self.fresh(FLOAT);
        let mut node = NodeProto::new("Loop", &name, &[&count, &go_on, &start], &[&output]);
        node.attribute = vec![graph_attribute("body", graph)];
        self.nodes.push(node);
    }

    /// A body that hands out one float, and the types of its tensors.
    fn body(
        &self,
        way: &str,
        given: &[(String, DType)],
        choices: &mut Choices,
        depth: usize,
    ) -> (GraphProto, HashMap<String, DType>) {
        let visible = self.visible.iter().chain(given).cloned().collect();
        let mut body =
            Body { nodes: Vec::new(), visible, path: format!("{}{way}/", self.path), types: Types::new(), made: 0 };
        for _ in 0..choices.below(MOST / 8) {
            body.node(choices, depth - 1);
        }
        // What is handed out is made here.
        body.op("Relu", &[FLOAT], &[FLOAT], choices);
        let last = body.nodes.last().expect("it was added").output[0].clone();
        let info = |(name, dtype): &(String, DType)| ValueInfoProto::tensor(name, *dtype, &[1]);
        let graph = GraphProto {
            name: Some("body".into()),
            node: body.nodes,
            input: given.iter().map(info).collect(),
            output: vec![ValueInfoProto::tensor(&last, FLOAT, &[1])],
            ..Default::default()
        };
        (graph, body.types)
    }
}

fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), g: Some(graph), r#type: Some(5), ..Default::default() }
}
