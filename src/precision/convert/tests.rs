//! Each rule of conversion on a graph of a few nodes, written and read as text.

mod bodies;
mod values;

use super::*;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use prost::Message;

/// A graph of nodes, with x as its input and y as its output.
struct Case {
    opset: i64,
    /// In place of `opset`, where there are any.
    imports: Vec<(&'static str, i64)>,
    ir: i64,
    graph: GraphProto,
    types: Types,
    low: DType,
    keep: &'static [&'static str],
    keep_io: bool,
    int32_inputs: bool,
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto::new(op, &outputs[0].replace('/', "_"), inputs, outputs)
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.to_string()),
        dims: vec![values.len() as i64],
        data_type: Some(DType::Float32.onnx()),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

/// Every tensor is float32, unless `others` says so.
fn case(nodes: Vec<NodeProto>, others: &[(&str, DType)]) -> Case {
    let mut types = Types::new();
    for name in nodes.iter().flat_map(|n| &n.output) {
        types.insert(name.clone(), DType::Float32);
    }
    types.extend(others.iter().map(|(name, dtype)| (name.to_string(), *dtype)));
    let input = vec![ValueInfoProto::tensor("x", DType::Float32, &[2])];
    let output = vec![ValueInfoProto::tensor("y", types.get("y").copied().unwrap_or(DType::Float32), &[2])];
    let graph = GraphProto { node: nodes, input, output, ..Default::default() };
    let low = DType::Float16;
    Case { opset: 17, imports: Vec::new(), ir: 8, graph, types, low, keep: &[], keep_io: false, int32_inputs: false }
}

impl Case {
    fn weight(mut self, name: &str, values: &[f32]) -> Case {
        self.graph.initializer.push(floats(name, values));
        self
    }

    fn try_convert(&self) -> anyhow::Result<Converted> {
        let one = |(domain, version): &(&str, i64)| OperatorSetIdProto {
            domain: (!domain.is_empty()).then(|| domain.to_string()),
            version: Some(*version),
        };
        let imports = if self.imports.is_empty() { vec![("", self.opset)] } else { self.imports.clone() };
        let proto = ModelProto {
            ir_version: Some(self.ir),
            graph: Some(self.graph.clone()),
            opset_import: imports.iter().map(one).collect(),
            ..Default::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        std::fs::write(&path, proto.encode_to_vec()).unwrap();
        let model = Model::load(&path).unwrap();
        let graph = Graph::new(&model.proto).unwrap();
        let keep = |node: &Node| self.keep.contains(&node.name.as_str());
        let Case { low, keep_io, int32_inputs, .. } = *self;
        convert(&model, &graph, &self.types, &Request { low, keep: &keep, keep_io, int32_inputs })
    }

    fn convert(&self) -> Converted {
        self.try_convert().unwrap()
    }

    /// The nodes of the converted main graph are these.
    fn check(&self, want: &[&str]) -> Converted {
        let converted = self.convert();
        assert_eq!(text(converted.model.graph.as_ref().unwrap()), want);
        converted
    }
}

fn text(graph: &GraphProto) -> Vec<String> {
    let to = |n: &NodeProto| match n.attr("to").map(|a| a.i()) {
        Some(1) => ":fp32",
        Some(10) => ":fp16",
        Some(16) => ":bf16",
        Some(7) => ":int64",
        _ => "",
    };
    let line = |n: &NodeProto| format!("{}{}({}) {}", n.op_type(), to(n), n.input.join(","), n.output.join(","));
    graph.node.iter().map(line).collect()
}

fn main(converted: &Converted) -> &GraphProto {
    converted.model.graph.as_ref().unwrap()
}

fn weights(graph: &GraphProto) -> Vec<(String, DType)> {
    graph.initializer.iter().map(|t| (t.name().to_string(), t.dtype().unwrap())).collect()
}

fn chain() -> Vec<NodeProto> {
    vec![node("Relu", &["x"], &["a"]), node("Add", &["a", "w"], &["b"]), node("Neg", &["b"], &["y"])]
}

#[test]
fn without_borders_there_is_no_cast() {
    let got = case(chain(), &[]).weight("w", &[1.0, 2.0]).check(&["Relu(x) a", "Add(a,w) b", "Neg(b) y"]);
    assert_eq!((got.casts, got.kept.len()), (0, 0));
    let graph = main(&got);
    assert_eq!((graph.input[0].dtype(), graph.output[0].dtype()), (Some(DType::Float16), Some(DType::Float16)));
    assert_eq!(weights(graph), [("w".to_string(), DType::Float16)]);
}

#[test]
fn a_kept_node_has_a_cast_at_each_border() {
    let case = Case { keep: &["b"], ..case(chain(), &[]).weight("w", &[1.0, 2.0]) };
    let want = ["Relu(x) a", "Cast:fp32(a) a/fp32", "Add(a/fp32,w) b", "Cast:fp16(b) b/fp16", "Neg(b/fp16) y"];
    let got = case.check(&want);
    assert_eq!((got.casts, got.kept), (2, vec!["b".to_string()]));
    assert_eq!(weights(got.model.graph.as_ref().unwrap()), [("w".to_string(), DType::Float32)]);
}

#[test]
fn a_cast_is_shared_and_a_weight_of_both_precisions_exists_twice() {
    let nodes = vec![
        node("Relu", &["x"], &["a"]),
        node("Add", &["a", "w"], &["b"]),
        node("Mul", &["a", "w"], &["c"]),
        node("Sub", &["b", "c"], &["d"]),
        node("Div", &["d", "w"], &["y"]),
    ];
    let case = Case { keep: &["b", "c", "d"], ..case(nodes, &[]).weight("w", &[1.0, 2.0]) };
    let got = case.check(&[
        "Relu(x) a",
        "Cast:fp32(a) a/fp32",
        "Add(a/fp32,w) b",
        "Mul(a/fp32,w) c",
        "Sub(b,c) d",
        "Cast:fp16(d) d/fp16",
        "Div(d/fp16,w/fp16) y",
    ]);
    let both = [("w".to_string(), DType::Float32), ("w/fp16".to_string(), DType::Float16)];
    assert_eq!(weights(main(&got)), both);
}

#[test]
fn outputs_keep_their_names_whatever_makes_them() {
    let case = Case { keep: &["y"], ..case(vec![node("Relu", &["x"], &["y"]), node("Neg", &["y"], &["z"])], &[]) };
    case.check(&["Cast:fp32(x) x/fp32", "Relu(x/fp32) y/fp32", "Cast:fp16(y/fp32) y", "Neg(y) z"]);
}

#[test]
fn kept_inputs_and_outputs_have_casts_inside() {
    let case = Case { keep_io: true, ..case(chain(), &[]).weight("w", &[1.0, 2.0]) };
    let want = ["Cast:fp16(x) x/fp16", "Relu(x/fp16) a", "Add(a,w) b", "Neg(b) y/fp16", "Cast:fp32(y/fp16) y"];
    let got = case.check(&want);
    assert_eq!(main(&got).output[0].dtype(), Some(DType::Float32));
    let all = Case { keep: &["a", "b", "y"], ..case };
    assert_eq!(all.check(&["Relu(x) a", "Add(a,w) b", "Neg(b) y"]).casts, 0);
}

#[test]
fn casts_of_the_model_follow_its_precision() {
    let to = |op: NodeProto, dtype: DType| op.with(AttributeProto::int("to", dtype.onnx().into()));
    let nodes = vec![
        to(node("Cast", &["x"], &["i"]), DType::Int64),
        to(node("Cast", &["i"], &["f"]), DType::Float32),
        to(node("Cast", &["x"], &["d"]), DType::Float64),
        node("Add", &["f", "x"], &["y"]),
    ];
    let other = [("i", DType::Int64), ("d", DType::Float64)];
    case(nodes.clone(), &other).check(&["Cast:int64(x) i", "Cast:fp16(i) f", "Cast(x) d", "Add(f,x) y"]);
    let kept = Case { keep: &["f", "y"], keep_io: true, ..case(nodes, &other) };
    assert_eq!(kept.check(&["Cast:int64(x) i", "Cast:fp32(i) f", "Cast(x) d", "Add(f,x) y"]).casts, 0);
}

#[test]
fn int64_inputs_become_int32() {
    let mut case = case(vec![node("Gather", &["x", "ids"], &["y"])], &[]);
    case.graph.input.push(ValueInfoProto::tensor("ids", DType::Int64, &[2]));
    case.int32_inputs = true;
    let got = case.check(&["Cast:int64(ids) ids/int64", "Gather(x,ids/int64) y"]);
    assert_eq!(main(&got).input[1].dtype(), Some(DType::Int32));
}

#[test]
fn operators_that_the_opset_has_no_low_type_for_stay() {
    let nodes = || vec![node("Relu", &["x"], &["a"]), node("Celu", &["a"], &["b"]), node("Neg", &["b"], &["y"])];
    let got = case(nodes(), &[]).check(&[
        "Relu(x) a",
        "Cast:fp32(a) a/fp32",
        "Celu(a/fp32) b",
        "Cast:fp16(b) b/fp16",
        "Neg(b/fp16) y",
    ]);
    assert_eq!(got.notes, ["1 node stays in FP32 (no float16 for it in this opset): 'b'"]);
    let mut custom = nodes();
    custom[1].domain = Some("com.example".to_string());
    assert!(case(custom, &[]).convert().notes[0].contains("that ONNX does not define"));
}

#[test]
fn bfloat16_needs_a_cast_that_knows_it() {
    let relu = || case(vec![node("Relu", &["x"], &["y"])], &[]);
    let got = Case { low: DType::Bfloat16, keep_io: true, ..relu() };
    got.check(&["Cast:bf16(x) x/bf16", "Relu(x/bf16) y/bf16", "Cast:fp32(y/bf16) y"]);
    let error = Case { low: DType::Bfloat16, opset: 12, ..relu() }.try_convert().err().unwrap().to_string();
    assert!(error.contains("is of opset 12") && error.contains("convert it to opset 13"), "{error}");
}

#[test]
fn shape_arithmetic_stays_and_data_that_meets_it_does_not() {
    let to = |op: NodeProto, dtype: DType| op.with(AttributeProto::int("to", dtype.onnx().into()));
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        to(node("Cast", &["s"], &["f"]), DType::Float32),
        node("Mul", &["f", "half"], &["m"]),
        to(node("Cast", &["m"], &["n"]), DType::Int64),
        node("Reshape", &["x", "n"], &["r"]),
        node("Mul", &["r", "f"], &["y"]),
    ];
    let case = case(nodes, &[("s", DType::Int64), ("n", DType::Int64)]).weight("half", &[0.5]);
    let got = case.check(&[
        "Shape(x) s",
        "Cast:fp32(s) f",
        "Cast:fp16(f) f/fp16",
        "Mul(f,half) m",
        "Cast:int64(m) n",
        "Reshape(x,n) r",
        "Mul(r,f/fp16) y",
    ]);
    assert_eq!(got.kept, ["f", "m", "n"]);
    assert_eq!(weights(main(&got)), [("half".to_string(), DType::Float32)]);
}

#[test]
fn node_names_become_unique() {
    let nodes = vec![
        NodeProto::new("Relu", "n", &["x"], &["a"]),
        NodeProto::new("Relu", "n", &["a"], &["b"]),
        NodeProto::new("Relu", "", &["b"], &["y"]),
    ];
    let got = case(nodes, &[]).convert();
    let names: Vec<&str> = main(&got).node.iter().map(|n| n.name()).collect();
    assert_eq!(names, ["n", "n_1", "node_of_y"]);
}

#[test]
fn a_converter_gives_the_same_as_converting_anew() {
    let case = case(chain(), &[]).weight("w", &[1.0, 2.0]);
    let proto = ModelProto {
        ir_version: Some(8),
        graph: Some(case.graph.clone()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    std::fs::write(&path, proto.encode_to_vec()).unwrap();
    let model = Model::load(&path).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    let options = Options { low: DType::Float16, keep_io: true, int32_inputs: false };
    let converter = Converter::new(&model, &graph, &case.types, options).unwrap();
    for set in 0..8u32 {
        let keep = |node: &Node| set & 1 << node.index != 0;
        let request = Request { low: DType::Float16, keep: &keep, keep_io: true, int32_inputs: false };
        let anew = convert(&model, &graph, &case.types, &request).unwrap();
        let again = converter.convert(&keep).unwrap();
        assert!(again.model == anew.model, "{set:03b}");
        let borders =
            [true, set & 1 != 0, set & 2 != 0, set & 4 != 0, true].windows(2).filter(|w| w[0] != w[1]).count();
        assert_eq!((again.casts, again.kept.len()), (borders, set.count_ones() as usize), "{set:03b}");
    }
}
