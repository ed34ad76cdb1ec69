//! All units side by side in one model, each for itself: none reads what another makes, and everything that comes from outside is
//! an input. Model -> model; runs nothing.

use std::collections::{HashMap, HashSet};

use super::super::File;
use crate::graph::{Graph, Node, Source, initializer};
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::qdq::dynamic::{Code, Operand, Unit};
use crate::tensor::{Tensor, Tensors};

/// The model, what is fed to it, and what it gives by unit.
pub struct Lone {
    /// Of all units that could be fed.
    pub model: ModelProto,
    /// The reference's values under the names of its inputs.
    pub feed: Tensors,
    /// Unit, and the name of its result.
    pub outputs: Vec<(usize, String)>,
}

/// A unit that is wanted.
pub struct Lot {
    /// Its number.
    pub unit: usize,
    /// The float model has its bias in the same node.
    pub with_bias: bool,
}

/// Of these units; `value` has the value of what a unit reads under this name of the candidate's.
pub fn lone(file: &File, units: &[Lot], value: impl Fn(usize, &str) -> Option<Tensor>) -> Lone {
    let proto = &file.model.proto;
    let graph = GraphProto { name: Some("units".to_string()), ..Default::default() };
    let mut lone = Lone { model: proto.clone_without_graph(), feed: Tensors::new(), outputs: Vec::new() };
    let mut all = graph;
    let mut weights = HashSet::new();
    for lot in units {
        let Some(part) = Part::of(file, lot, &value) else { continue };
        all.node.extend(part.nodes);
        all.input.extend(part.feed.iter().map(|(name, v)| ValueInfoProto::tensor(name, v.dtype, &v.shape)));
        lone.feed.extend(part.feed);
        let held = |name: &String| initializer(proto.graph.as_ref()?, &[], name).cloned();
        all.initializer.extend(part.weights.iter().filter(|w| weights.insert((*w).clone())).filter_map(held));
        all.output.push(ValueInfoProto::bare(&part.output));
        lone.outputs.push((lot.unit, part.output));
    }
    lone.model.graph = Some(all);
    lone
}

/// One unit.
struct Part {
    nodes: Vec<NodeProto>,
    feed: Vec<(String, Tensor)>,
    /// Names of initializers of the file.
    weights: Vec<String>,
    output: String,
}

impl Part {
    /// `None` where something that it reads has no value.
    fn of(file: &File, lot: &Lot, value: &impl Fn(usize, &str) -> Option<Tensor>) -> Option<Part> {
        let number = lot.unit;
        let unit = &file.units[number];
        let bias = if lot.with_bias { biased(&file.graph, unit) } else { Vec::new() };
        let result = &file.graph.tensors[unit.result].name;
        let mut part = Part { nodes: Vec::new(), feed: Vec::new(), weights: Vec::new(), output: String::new() };
        let own = |name: &str| format!("unit{number}/{name}");
        let mut names: HashMap<String, String> = HashMap::new();
        for id in nodes(unit, &bias) {
            let node = &file.graph.nodes[id];
            let mut proto = node.proto(&file.model.proto)?.clone();
            proto.name = Some(own(&node.name));
            for input in proto.input.iter_mut().filter(|name| !name.is_empty()) {
                if !names.contains_key(input) {
                    let new = part.outer(file, (number, unit, node), input, value)?;
                    names.insert(input.clone(), new);
                }
                input.clone_from(&names[input]);
            }
            for output in proto.output.iter_mut().filter(|name| !name.is_empty()) {
                let new = own(output);
                names.insert(std::mem::replace(output, new.clone()), new);
            }
            part.nodes.push(proto);
        }
        part.output = names.get(result)?.clone();
        if let Some(last) = bias.last().and_then(|add| file.graph.nodes[*add].writes.first()) {
            part.output = names.get(&file.graph.tensors[*last].name)?.clone();
        }
        if let Some(code) = &unit.codes {
            let float = own("float");
            let code =
                Code { scale: part.constant(code.scale.clone()), zero_point: part.constant(code.zero_point.clone()) };
            part.nodes.push(linear("DequantizeLinear", &part.output, &code, &float));
            part.output = float;
        }
        Some(part)
    }

    /// The name under which the part reads `name`, which no node in it makes.
    fn outer(
        &mut self,
        file: &File,
        (number, unit, node): (usize, &Unit, &Node),
        name: &str,
        value: &impl Fn(usize, &str) -> Option<Tensor>,
    ) -> Option<String> {
        match &node.reads.iter().find(|r| r.name == name)?.source {
            Source::Initializer => return Some(self.constant(name.to_string())),
            Source::Tensor(t) if file.graph.is_constant(*t) => {
                let new = format!("unit{number}/{name}");
                let value = file.graph.producer(*t).proto(&file.model.proto)?;
                let (output, label) = (vec![new.clone()], Some(new.clone()));
                self.nodes.insert(0, NodeProto { output, name: label, ..value.clone() });
                return Some(new);
            }
            _ => {}
        }
        let new = format!("unit{number}/{name}");
        let code = unit.operands.iter().find_map(|operand| match operand {
            Operand::Codes(codes, code) if codes == name => Some(code),
            _ => None,
        });
        let fed = value(number, name)?;
        let Some(code) = code else {
            self.feed.push((new.clone(), fed));
            return Some(new);
        };
        // The codes of the reference's floats.
        let float = format!("{new}/float");
        let code =
            Code { scale: self.constant(code.scale.clone()), zero_point: self.constant(code.zero_point.clone()) };
        self.nodes.push(linear("QuantizeLinear", &float, &code, &new));
        self.feed.push((float, fed));
        Some(new)
    }

    fn constant(&mut self, name: String) -> String {
        self.weights.push(name.clone());
        name
    }
}

/// The nodes of a unit in the order in which they run, with those of a bias behind them.
fn nodes(unit: &Unit, bias: &[usize]) -> Vec<usize> {
    let mut ids: Vec<usize> = unit.around.iter().chain([&unit.node, &unit.last]).chain(bias).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The Add of a constant that is the only reader of a product, and what brings the constant into shape: the float model has the
/// bias in the product.
fn biased(graph: &Graph, unit: &Unit) -> Vec<usize> {
    let [child] = graph.children(unit.result)[..] else { return Vec::new() };
    let node = graph.producer(child);
    let constant = |source: &Source| match source {
        Source::Initializer => true,
        Source::Tensor(t) => graph.is_constant(*t),
        Source::Input => false,
    };
    let shaped = |source: &Source| match source {
        Source::Tensor(t) if graph.producer(*t).op_type == "Reshape" => {
            graph.producer(*t).reads.iter().all(|r| constant(&r.source)).then_some(graph.tensors[*t].node)
        }
        _ => None,
    };
    let adds = unit.codes.is_none() && node.op_type == "Add" && node.scope.is_empty();
    let reshape = node.reads.iter().find_map(|r| shaped(&r.source));
    let fits = adds && (reshape.is_some() || node.reads.iter().any(|r| constant(&r.source)));
    if fits { reshape.into_iter().chain([graph.tensors[child].node]).collect() } else { Vec::new() }
}

fn linear(op: &str, from: &str, code: &Code, to: &str) -> NodeProto {
    let zero_point = Some(code.zero_point.as_str()).filter(|name| !name.is_empty());
    let inputs: Vec<&str> = [from, &code.scale].into_iter().chain(zero_point).collect();
    NodeProto::new(op, &format!("{to}/made"), &inputs, &[to])
}
