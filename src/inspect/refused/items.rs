//! The nodes of a model, of all its graphs, under names that occur once, so that a complaint which names one means it.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::Known;
use crate::graph::node_name;
use crate::inspect::types::visible;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Constants up to this size are told apart by their values.
const SMALL: usize = 64;

/// A node of some graph.
pub struct Item {
    /// As users know it, behind the path of its subgraph.
    pub shown: String,
    /// The path alone, `if_3/then_branch/`; empty in the main graph.
    pub prefix: String,
    /// Under its name in [`Items::model`].
    pub node: NodeProto,
    /// The node of the main graph that it is, or is inside of.
    pub main: usize,
}

/// All of them.
pub struct Items {
    /// The model whose nodes have their names here.
    pub model: ModelProto,
    /// Outer ones first.
    pub all: Vec<Item>,
    named: HashMap<String, usize>,
}

impl Items {
    /// Gives each node a name of its own: the user's where it occurs once.
    pub fn of(model: &ModelProto) -> Items {
        let mut items = Items { model: model.clone(), all: Vec::new(), named: HashMap::new() };
        let mut graph = items.model.graph.take().unwrap_or_default();
        for at in 0..graph.node.len() {
            items.add(&mut graph.node[at], "", at);
        }
        items.model.graph = Some(graph);
        items
    }

    fn add(&mut self, node: &mut NodeProto, prefix: &str, main: usize) {
        let shown = format!("{prefix}{}", node_name(node));
        let mut name = shown.clone();
        while self.named.contains_key(&name) {
            name += "'";
        }
        node.name = Some(name.clone());
        let at = self.all.len();
        self.named.insert(name, at);
        self.all.push(Item { shown: shown.clone(), prefix: prefix.to_string(), node: NodeProto::default(), main });
        let attributes: Vec<String> = node.subgraphs().map(|(attribute, _)| attribute.to_string()).collect();
        for (graph, attribute) in node.subgraphs_mut().zip(attributes) {
            let inner = format!("{shown}/{attribute}/");
            graph.node.iter_mut().for_each(|node| self.add(node, &inner, main));
        }
        self.all[at].node = node.clone();
    }

    /// The one that a complaint means.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.named.get(name).copied()
    }

    /// A node of the main graph.
    pub fn main(&self, main: usize) -> &Item {
        // The first of its number is the node itself, those inside follow.
        &self.all[self.all.partition_point(|item| item.main < main)]
    }

    /// Keys of the outputs at these places of nodes of these operators.
    pub fn made_by(&self, operators: &[(&str, usize)]) -> HashSet<String> {
        let of = |item: &Item| {
            let own = operators.iter().filter(|(op, _)| item.node.is(op));
            let outputs = own.filter_map(|(_, at)| item.node.output.get(*at));
            outputs.map(|name| format!("{}{name}", item.prefix)).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }

    /// How many there are in the main graph.
    pub fn in_main(&self) -> usize {
        self.model.graph.as_ref().map_or(0, |graph| graph.node.len())
    }
}

/// What a node reads, its bodies included.
pub fn reads(node: &NodeProto) -> HashSet<String> {
    let mut reads: HashSet<String> = node.input.iter().filter(|name| !name.is_empty()).cloned().collect();
    node.subgraphs().for_each(|(_, graph)| reads.extend(read_outside(graph)));
    reads
}

/// Names that a body reads and does not have.
fn read_outside(graph: &GraphProto) -> HashSet<String> {
    let mut own: HashSet<&str> = graph.given().collect();
    own.extend(graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
    let inner = graph.node.iter().flat_map(reads);
    let handed = graph.output.iter().map(|output| output.name().to_string());
    inner.chain(handed).filter(|name| !name.is_empty() && !own.contains(name.as_str())).collect()
}

/// Equal for nodes of the same operator and attributes on inputs of the same types, shapes and (where they are small) constants.
pub fn kind(item: &Item, known: &Known) -> String {
    let operand = |name: &String| {
        if name.is_empty() {
            return "-".to_string();
        }
        let constant = visible(&item.prefix, name).find_map(|key| known.constants.get(&key));
        if let Some(t) = constant {
            let value = TensorProto { name: None, ..t.clone() };
            let value = if value.encoded_len() <= SMALL { value.encode_to_vec() } else { Vec::new() };
            return format!("constant {} {:?} {value:?}", t.data_type(), t.dims);
        }
        format!("{:?} {:?}", known.typing.of(&item.prefix, name), known.typing.shape(&item.prefix, name))
    };
    let attributes: Vec<String> = item.node.attribute.iter().map(|a| format!("{:?}", a.encode_to_vec())).collect();
    let inputs: Vec<String> = item.node.input.iter().map(operand).collect();
    format!("{} {} {attributes:?} {inputs:?}", item.node.domain(), item.node.op_type())
}
