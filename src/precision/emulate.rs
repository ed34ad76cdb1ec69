//! A lower precision, emulated exactly on a backend that has none. Graph -> graph.
//!
//! Behind every float input, initializer and node output comes a Round: to the storage type and back to float32. What a
//! node computes is then what a device with that storage type and FP32 accumulation computes: overflow, subnormals and
//! NaN included. A float64 value is rounded as well, on the way through float32: no device with a low precision has more to
//! offer (TensorRT casts it to float first). No weight is rounded in memory. Tensors keep their names: `t` is the rounded
//! value, `t/raw` what the node gave. Where sums are to be taken in FP16, what adds up becomes an operator that does (`summed`).

use std::collections::{HashMap, HashSet};

use super::summed::{self, Constants, ROUND_DOMAIN};
use crate::mark::Types;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::spec::{Accumulate, Arithmetic, Weights};
use crate::tensor::DType;

/// The operator behind every value; `run::ort` implements it.
pub const ROUND: &str = "Round";

/// The attribute of a [`ROUND`] that makes of finite values beyond the range the largest in it.
pub const CLAMP: &str = "clamp";

/// Nodes that stay in float32, each by the key of one of its outputs.
pub type Kept = HashSet<String>;

/// `model` with every float32 and float64 value rounded to `low` ([`DType::Float16`] or [`DType::Bfloat16`]) where it is made; nodes in
/// `kept` compute in float32. `types` must hold the element types of all tensors, inputs and initializers; what it lacks
/// is left alone.
///
/// A kept node reads weights and inputs of the model as they are, and what other kept nodes give unrounded; what it gives
/// to others is rounded on the way. Its tensor `t` is the unrounded value: `t/low` is what others read.
pub fn emulate(model: &ModelProto, types: &Types, how: (DType, Arithmetic), kept: &Kept) -> ModelProto {
    let mut emulated = model.clone();
    if let Some(main) = emulated.graph.as_mut() {
        let (low, arithmetic) = how;
        let rounding = Rounding { types, low, arithmetic, opset: model.opset(), kept };
        rounding.graph(main, "", &Outer::default(), Place::Main);
        import(&mut emulated);
        import_casts(&mut emulated);
    }
    emulated
}

/// What a name is called now: rounded, as nodes in float32 read it, and as it was given.
#[derive(Clone)]
struct Names {
    rounded: String,
    wide: String,
    raw: String,
}

/// What a graph sees of those around it.
#[derive(Clone, Default)]
struct Outer {
    names: HashMap<String, Names>,
    constants: Constants,
}

/// Where a graph is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Main,
    Body,
    /// In a node that is kept: so is all that is inside.
    KeptBody,
}

struct Rounding<'a> {
    types: &'a Types,
    low: DType,
    arithmetic: Arithmetic,
    opset: i64,
    kept: &'a Kept,
}

impl Rounding<'_> {
    fn graph(&self, graph: &mut GraphProto, prefix: &str, outer: &Outer, place: Place) {
        let Rounding { types, kept, .. } = *self;
        let Outer { mut names, mut constants } = outer.clone();
        summed::learn(graph, &mut constants);
        let mut nodes = Vec::with_capacity(graph.node.len() * 3);
        let weights: Vec<(String, DType)> =
            graph.initializer.iter().filter_map(|t| Some((t.name().to_string(), t.dtype().filter(is_wide)?))).collect();
        // The inputs of a loop's body come rounded from outside and shadow outer names.
        for input in &graph.input {
            names.remove(input.name());
        }
        let inputs = graph
            .input
            .iter()
            .filter_map(|v| Some((v.name().to_string(), v.dtype().filter(|d| place == Place::Main && is_wide(d))?)));
        let mut given: Vec<(String, DType)> = inputs.collect();
        given.extend(weights);
        given.sort_by(|a, b| a.0.cmp(&b.0));
        given.dedup_by(|a, b| a.0 == b.0);
        for (name, dtype) in given {
            let rounded = format!("{prefix}{name}/rounded");
            let to = self.storage(graph.initializer.iter().any(|t| t.name() == name));
            round(&name, &rounded, dtype, to, &mut nodes);
            names.insert(name.clone(), Names { rounded, wide: name.clone(), raw: name });
        }
        for mut node in std::mem::take(&mut graph.node) {
            let path = crate::graph::node_name(&node);
            let wide = place == Place::KeptBody || node.output.iter().any(|o| kept.contains(&format!("{prefix}{o}")));
            let body_place = if wide { Place::KeptBody } else { Place::Body };
            reads(&mut node, &names, wide);
            if node.subgraphs().next().is_some() {
                let outer = Outer { names: names.clone(), constants: constants.clone() };
                for attribute in node.attribute.iter_mut() {
                    let inner = format!("{prefix}{path}/{}/", attribute.name());
                    for body in attribute.g.iter_mut().chain(attribute.graphs.iter_mut()) {
                        self.graph(body, &inner, &outer, body_place);
                    }
                }
            }
            let made = node.output.first().and_then(|o| types.get(&format!("{prefix}{o}"))).copied();
            let mut rounds = Vec::new();
            for output in node.output.iter_mut().filter(|o| !o.is_empty()) {
                let name = output.clone();
                let Some(&dtype) = types.get(&format!("{prefix}{name}")).filter(|dtype| is_wide(dtype)) else {
                    names.remove(&name);
                    continue;
                };
                if node.op_type.as_deref() == Some("Constant") && !wide {
                    // As a weight: whoever computes in float32 has it as it is.
                    let raw = format!("{prefix}{name}/raw");
                    *output = raw.clone();
                    round(output, &name, dtype, self.storage(true), &mut rounds);
                    names.insert(name.clone(), Names { rounded: name, wide: raw.clone(), raw });
                } else if wide {
                    let rounded = format!("{prefix}{name}/low");
                    round(&name, &rounded, dtype, self.storage(false), &mut rounds);
                    names.insert(name.clone(), Names { rounded, wide: name.clone(), raw: name });
                } else {
                    *output = format!("{prefix}{name}/raw");
                    round(output, &name, dtype, self.storage(false), &mut rounds);
                    names.insert(name.clone(), Names { rounded: name.clone(), wide: name, raw: output.clone() });
                }
            }
            match made.filter(|_| !wide && self.arithmetic.accumulate == Accumulate::Fp16) {
                Some(dtype) => summed::put(node, (self.opset, dtype), &constants, &mut nodes),
                None => nodes.push(node),
            }
            nodes.append(&mut rounds);
        }
        // An output may be an outer value, handed through.
        for output in &mut graph.output {
            if let (true, Some(known)) = (place != Place::Main, names.get(output.name())) {
                let name = if place == Place::KeptBody { &known.wide } else { &known.rounded };
                output.name = Some(name.clone());
            }
        }
        graph.node = nodes;
    }
}

/// The node reads what stands for its inputs: rounded, or as nodes in float32 read it.
fn reads(node: &mut NodeProto, names: &HashMap<String, Names>, wide: bool) {
    for (slot, input) in node.input.iter_mut().enumerate() {
        let Some(known) = names.get(input.as_str()) else { continue };
        let name = match wide {
            _ if stays(&node.op_type, slot) => &known.raw,
            true => &known.wide,
            false => &known.rounded,
        };
        *input = name.clone();
    }
}

/// What values are stored in.
#[derive(Clone, Copy)]
struct Storage {
    low: DType,
    /// What is beyond its range becomes its largest value, not infinite.
    clamp: bool,
}

impl Rounding<'_> {
    fn storage(&self, weight: bool) -> Storage {
        Storage { low: self.low, clamp: weight && self.arithmetic.weights == Weights::Clamp }
    }
}

/// Types that a low precision has no room for.
fn is_wide(dtype: &DType) -> bool {
    matches!(dtype, DType::Float32 | DType::Float64)
}

/// `to` = `from`, of this type, rounded to how it is stored.
fn round(from: &str, to: &str, dtype: DType, storage: Storage, nodes: &mut Vec<NodeProto>) {
    let rounding = |reads: &[&str], to: &str| {
        let node = rounding(reads, to, AttributeProto::int("to", storage.low.onnx().into()));
        if storage.clamp { node.with(AttributeProto::int(CLAMP, 1)) } else { node }
    };
    if dtype == DType::Float32 {
        return nodes.push(rounding(&[from], to));
    }
    let cast = |from: &str, to: &str, dtype: DType| {
        let cast = NodeProto::new("Cast", &format!("{to}/cast"), &[from], &[to]);
        cast.with(AttributeProto::int("to", dtype.onnx().into()))
    };
    let (single, rounded) = (format!("{to}/single"), format!("{to}/single/rounded"));
    nodes.push(cast(from, &single, DType::Float32));
    nodes.push(rounding(&[&single], &rounded));
    nodes.push(cast(&rounded, to, dtype));
}

/// A node that makes `to` of the first that it reads; `how` says to which bits.
pub(super) fn rounding(reads: &[&str], to: &str, how: AttributeProto) -> NodeProto {
    let mut node = NodeProto::new(ROUND, &format!("{to}/round"), reads, &[to]);
    node.domain = Some(ROUND_DOMAIN.to_string());
    node.with(how)
}

/// Makes the operator known to the model.
pub(super) fn import(model: &mut ModelProto) {
    model.opset_import.push(OperatorSetIdProto { domain: Some(ROUND_DOMAIN.to_string()), version: Some(1) });
}

/// Models of other domains alone need not import ONNX's own operators.
fn import_casts(model: &mut ModelProto) {
    if !model.opset_import.iter().any(|o| matches!(o.domain(), "" | "ai.onnx")) {
        model.opset_import.push(OperatorSetIdProto { domain: None, version: Some(13) });
    }
}

/// Inputs that are float32 in every precision: coordinates and quantisation scales.
fn stays(op_type: &Option<String>, slot: usize) -> bool {
    match op_type.as_deref() {
        Some("Resize") => slot == 1 || slot == 2,
        Some("Upsample" | "QuantizeLinear" | "DequantizeLinear") => slot == 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::ValueInfoProto;

    fn text(graph: &GraphProto) -> Vec<String> {
        let node = |n: &NodeProto| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","));
        graph.node.iter().map(node).collect()
    }

    #[test]
    fn values_are_rounded_where_they_are_made_and_keep_their_names() {
        let nodes = vec![
            NodeProto::new("Relu", "a", &["x"], &["y"]),
            NodeProto::new("Shape", "s", &["y"], &["n"]),
            NodeProto::new("Resize", "r", &["y", "", "scales"], &["z"]),
        ];
        let input = vec![
            ValueInfoProto::tensor("x", DType::Float32, &[1]),
            ValueInfoProto::tensor("scales", DType::Float32, &[4]),
        ];
        let graph = GraphProto { node: nodes, input, output: vec![ValueInfoProto::bare("z")], ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        let types = [("y", DType::Float32), ("n", DType::Int64), ("z", DType::Float32)];
        let types = types.into_iter().map(|(k, d)| (k.to_string(), d)).collect();
        let got = emulate(&model, &types, (DType::Float16, Arithmetic::default()), &Kept::new()).graph.unwrap();
        assert_eq!(
            text(&got),
            [
                "Round(scales) -> scales/rounded",
                "Round(x) -> x/rounded",
                "Relu(x/rounded) -> y/raw",
                "Round(y/raw) -> y",
                "Shape(y) -> n",
                "Resize(y,,scales) -> z/raw",
                "Round(z/raw) -> z",
            ]
        );
    }

    #[test]
    fn doubles_are_rounded_on_the_way_through_float32() {
        let nodes = vec![NodeProto::new("Neg", "n", &["x"], &["y"]), NodeProto::new("Neg", "k", &["y"], &["z"])];
        let input = vec![ValueInfoProto::tensor("x", DType::Float64, &[1])];
        let output = vec![ValueInfoProto::bare("z")];
        let graph = GraphProto { node: nodes, input, output, ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        let types = ["y", "z"].map(|name| (name.to_string(), DType::Float64)).into();
        let got = emulate(&model, &types, (DType::Float16, Arithmetic::default()), &Kept::from(["z".to_string()]));
        let want = [
            "Cast(x) -> x/rounded/single",
            "Round(x/rounded/single) -> x/rounded/single/rounded",
            "Cast(x/rounded/single/rounded) -> x/rounded",
            "Neg(x/rounded) -> y/raw",
            "Cast(y/raw) -> y/single",
            "Round(y/single) -> y/single/rounded",
            "Cast(y/single/rounded) -> y",
            "Neg(y) -> z",
        ];
        assert_eq!(text(got.graph.as_ref().unwrap())[..8], want);
        assert_eq!(got.opset_import.len(), 2, "Casts are ONNX's own");
    }

    #[test]
    fn kept_nodes_read_wide_and_hand_on_rounded() {
        let nodes = vec![
            NodeProto::new("Constant", "k", &[], &["c"]),
            NodeProto::new("Add", "a", &["x", "c"], &["y"]),
            NodeProto::new("Sub", "s", &["y", "c"], &["z"]),
            NodeProto::new("Relu", "r", &["y"], &["w"]),
        ];
        let input = vec![ValueInfoProto::tensor("x", DType::Float32, &[1])];
        let output = vec![ValueInfoProto::bare("z"), ValueInfoProto::bare("w")];
        let graph = GraphProto { node: nodes, input, output, ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        let types = ["c", "y", "z", "w"].map(|name| (name.to_string(), DType::Float32)).into();
        let kept = Kept::from(["y".to_string(), "z".to_string()]);
        assert_eq!(
            text(&emulate(&model, &types, (DType::Float16, Arithmetic::default()), &kept).graph.unwrap()),
            [
                "Round(x) -> x/rounded",
                "Constant() -> c/raw",
                "Round(c/raw) -> c",
                "Add(x,c/raw) -> y",
                "Round(y) -> y/low",
                "Sub(y,c/raw) -> z",
                "Round(z) -> z/low",
                "Relu(y/low) -> w/raw",
                "Round(w/raw) -> w",
            ]
        );
    }
}
