//! Below the outer graph: the body of an If, Loop, Scan or function call as a flat case, so that the search can go on over
//! the body's nodes. Values in, values out: no body is unrolled, and of a loop only the first iteration is looked at.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::Case;
use crate::graph::{Graph, call, initializer, node_name};
use crate::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto};
use crate::tensor::{DType, Tensor, Tensors};

/// The body of node `index` of the main graph as a case of its own, with the data that its first iteration sees; `None`
/// where that cannot be told. `value` gives the value of any tensor that is visible in the main graph.
pub fn descend(model: &ModelProto, index: usize, value: &dyn Fn(&str) -> Option<Tensor>) -> Option<Case> {
    let outer = model.graph.as_ref()?;
    let node = outer.node.get(index)?;
    let mut opset_import = model.opset_import.clone();
    let flat = match Holder::of(model, node)? {
        Holder::If { then, otherwise } => {
            let taken = if truth(&value(node.input.first()?)?)? { then } else { otherwise };
            Flat::new(outer, value, GraphProto { output: asked(node, &taken.output), ..taken.clone() })?
        }
        Holder::Loop(body) => {
            let arguments = first_trip(node, body, value)?;
            Flat::new(outer, value, body.clone())?.fed(body, arguments)?
        }
        Holder::Scan(body) => {
            let arguments = first_slice(node, value)?;
            Flat::new(outer, value, body.clone())?.fed(body, arguments)?
        }
        Holder::Call(function) => {
            opset_import = call::opsets(model, function)?;
            let body = call::bound(node, function)?;
            let mut flat = Flat::new(outer, value, GraphProto { output: asked(node, &body.output), ..body })?;
            for (formal, actual) in call::arguments(node, function) {
                flat.bring(formal, actual)?;
            }
            flat
        }
    };
    let (graph, feeds) = flat.closed()?;
    let model = ModelProto {
        // Up to IR version 3 every initializer has to be an input as well; nothing else changed in version 4.
        ir_version: model.ir_version.map(|v| v.max(4)),
        opset_import,
        functions: model.functions.clone(),
        producer_name: Some("layerdiff".to_string()),
        graph: Some(graph),
        ..Default::default()
    };
    Graph::new(&model).ok()?;
    Some(Case { model, feeds, expected: None })
}

/// Could [`descend`] work on this node at all?
pub fn holds_a_body(model: &ModelProto, node: &NodeProto) -> bool {
    Holder::of(model, node).is_some()
}

/// A node that runs other nodes, and those nodes.
enum Holder<'a> {
    If { then: &'a GraphProto, otherwise: &'a GraphProto },
    Loop(&'a GraphProto),
    Scan(&'a GraphProto),
    Call(&'a FunctionProto),
}

impl<'a> Holder<'a> {
    fn of(model: &'a ModelProto, node: &'a NodeProto) -> Option<Holder<'a>> {
        let body = |name: &str| node.attr(name)?.g.as_ref();
        if let Some(function) = call::function(model, node) {
            Some(Holder::Call(function))
        } else if node.is("If") {
            Some(Holder::If { then: body("then_branch")?, otherwise: body("else_branch")? })
        } else if node.is("Loop") {
            Some(Holder::Loop(body("body")?))
        } else if node.is("Scan") && model.opset() >= 9 {
            // Opset 8 has a batch axis and sequence lengths.
            Some(Holder::Scan(body("body")?))
        } else {
            None
        }
    }
}

/// A body on its way to a graph of its own.
struct Flat<'a> {
    outer: &'a GraphProto,
    value: &'a dyn Fn(&str) -> Option<Tensor>,
    graph: GraphProto,
    feeds: Tensors,
}

impl<'a> Flat<'a> {
    /// The nodes of `body` without inputs, and those of its outputs that its nodes make; `None` if there is no such output.
    fn new(outer: &'a GraphProto, value: &'a dyn Fn(&str) -> Option<Tensor>, body: GraphProto) -> Option<Flat<'a>> {
        let made: HashSet<&str> = body.node.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
        let mut seen = HashSet::new();
        let fresh = |o: &&ValueInfoProto| made.contains(o.name()) && seen.insert(o.name().to_string());
        let output: Vec<ValueInfoProto> = body.output.iter().filter(fresh).cloned().collect();
        let value_info = body.value_info.iter().filter(|v| made.contains(v.name())).cloned().collect();
        let named = |n: &NodeProto| NodeProto { name: Some(node_name(n)), ..n.clone() };
        let graph = GraphProto {
            name: Some("layerdiff".to_string()),
            node: body.node.iter().map(named).collect(),
            output,
            value_info,
            initializer: body.initializer,
            sparse_initializer: body.sparse_initializer,
            quantization_annotation: body.quantization_annotation,
            ..Default::default()
        };
        (!graph.output.is_empty()).then_some(Flat { outer, value, graph, feeds: Tensors::new() })
    }

    /// The formal inputs of `body` take `arguments`, one each.
    fn fed(mut self, body: &GraphProto, arguments: Vec<Tensor>) -> Option<Flat<'a>> {
        if body.input.len() != arguments.len() {
            return None;
        }
        for (formal, tensor) in body.input.iter().zip(arguments) {
            self.feed(formal.name(), tensor);
        }
        Some(self)
    }

    fn feed(&mut self, name: &str, tensor: Tensor) {
        self.graph.input.push(ValueInfoProto::tensor(name, tensor.dtype, &tensor.shape));
        self.feeds.insert(name.to_string(), tensor);
    }

    /// `name` stands for `outside`, a tensor of the main graph. What is constant there stays constant: backends compile
    /// weights and axes differently from inputs, and the failure may depend on it.
    fn bring(&mut self, name: &str, outside: &str) -> Option<()> {
        let named = |t: TensorProto| TensorProto { name: Some(name.to_string()), ..t };
        let is_it = |s: &&SparseTensorProto| s.values.as_ref().is_some_and(|v| v.name() == outside);
        if let Some(tensor) = constant(self.outer, outside) {
            self.graph.initializer.push(named(tensor));
        } else if let Some(sparse) = self.outer.sparse_initializer.iter().find(is_it).cloned() {
            self.graph.sparse_initializer.push(SparseTensorProto { values: sparse.values.map(named), ..sparse });
        } else {
            self.feed(name, (self.value)(outside)?);
        }
        Some(())
    }

    /// With everything that the nodes capture from the main graph.
    fn closed(mut self) -> Option<(GraphProto, Tensors)> {
        let mut seen = HashSet::new();
        let captured: Vec<String> = free(&self.graph).into_iter().map(str::to_string).collect();
        captured.iter().filter(|name| seen.insert(*name)).try_for_each(|name| self.bring(name, name))?;
        Some((self.graph, self.feeds))
    }
}

/// The outputs of a body that `node` hands on.
fn asked(node: &NodeProto, outputs: &[ValueInfoProto]) -> Vec<ValueInfoProto> {
    outputs.iter().zip(&node.output).filter(|(_, o)| !o.is_empty()).map(|(v, _)| v.clone()).collect()
}

/// Names that `graph`, with the graphs inside it, takes from outside.
fn free(graph: &GraphProto) -> Vec<&str> {
    let made = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    let own: HashSet<&str> = graph.given().chain(made).collect();
    let inputs = graph.node.iter().flat_map(|n| n.input.iter().map(String::as_str));
    let inside = graph.node.iter().flat_map(|n| n.subgraphs().flat_map(|(_, body)| free(body)));
    let read = inputs.chain(inside).chain(graph.output.iter().map(|o| o.name()));
    read.filter(|name| !name.is_empty() && !own.contains(name)).collect()
}

/// The value of `name` as the file holds it: an initializer, or what a Constant node makes.
fn constant(graph: &GraphProto, name: &str) -> Option<TensorProto> {
    let maker = || graph.node.iter().find(|n| n.output.iter().any(|o| o == name));
    initializer(graph, &[], name).cloned().or_else(|| maker()?.constant())
}

/// What the body of a Loop sees in its first iteration: its number, that it runs, the carried values. `None` if it does
/// not run at all.
fn first_trip(node: &NodeProto, body: &GraphProto, value: &dyn Fn(&str) -> Option<Tensor>) -> Option<Vec<Tensor>> {
    let given = |slot: usize| node.input.get(slot).filter(|name| !name.is_empty());
    let trips = given(0).map_or(Some(true), |name| positive(&value(name)?))?;
    let goes = given(1).map_or(Some(true), |name| truth(&value(name)?))?;
    if !(trips && goes) {
        return None;
    }
    // Scalars, unless the body declares vectors of one element, as some exporters do.
    let shape = |slot: usize| match body.input.get(slot).and_then(|v| v.as_tensor()?.shape.as_ref()) {
        Some(declared) if declared.dim.len() == 1 => vec![1],
        _ => vec![],
    };
    let iteration = Tensor::i64(&shape(0), &[0]);
    let condition = Tensor::from_vec(DType::Bool, shape(1), vec![1u8]);
    let carried = node.input.iter().skip(2).map(|name| value(name));
    [Some(iteration), Some(condition)].into_iter().chain(carried).collect()
}

/// What the body of a Scan sees in its first iteration: the state variables, and one slice of each scanned input.
fn first_slice(node: &NodeProto, value: &dyn Fn(&str) -> Option<Tensor>) -> Option<Vec<Tensor>> {
    let scanned = usize::try_from(node.attr("num_scan_inputs")?.i()).ok()?;
    let states = node.input.len().checked_sub(scanned)?;
    let listed = |name: &str, i: usize| node.attr(name).and_then(|a| a.ints.get(i)).copied().unwrap_or(0);
    let argument = |(slot, name): (usize, &String)| {
        let whole = value(name)?;
        let Some(i) = slot.checked_sub(states) else {
            return Some(whole);
        };
        let rank = i64::try_from(whole.shape.len()).ok()?;
        let axis = listed("scan_input_axes", i);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
        let length = *whole.shape.get(axis)?;
        let first = if listed("scan_input_directions", i) == 1 { length.checked_sub(1)? } else { 0 };
        slice(&whole, axis, first)
    };
    node.input.iter().enumerate().map(argument).collect()
}

/// `tensor` at position `index` of `axis`, without that axis. `None` for types of less than a byte.
fn slice(tensor: &Tensor, axis: usize, index: usize) -> Option<Tensor> {
    let length = *tensor.shape.get(axis).filter(|length| index < **length)?;
    let outer: usize = tensor.shape[..axis].iter().product();
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let starts = (0..outer).map(|o| (o * length + index) * inner);
    let mut shape = tensor.shape.clone();
    shape.remove(axis);
    if let Some(strings) = tensor.as_strings() {
        let values = starts.flat_map(|s| strings[s..s + inner].iter().cloned()).collect();
        return Tensor::strings(shape, values).ok();
    }
    let width = tensor.dtype.bits().checked_div(8).filter(|width| *width > 0)?;
    let bytes: Vec<u8> = starts.flat_map(|s| tensor.bytes()[s * width..(s + inner) * width].iter().copied()).collect();
    Tensor::new(tensor.dtype, shape, bytes).ok()
}

fn truth(tensor: &Tensor) -> Option<bool> {
    let first = tensor.bytes().first()?;
    (tensor.dtype == DType::Bool).then_some(*first != 0)
}

fn positive(tensor: &Tensor) -> Option<bool> {
    (tensor.dtype == DType::Int64).then(|| tensor.view::<i64>().first().map(|n| *n > 0))?
}
