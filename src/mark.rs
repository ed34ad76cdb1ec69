//! Which tensors to observe, and how: graph -> graph. A marked tensor is an extra output of the model, named by its key.
//!
//! A tensor inside an If branch is handed out through the If: the branch gets one more output, the other branch an empty
//! tensor in its place (so an empty value says "this branch did not run"). What is inside Loop and Scan is not observable.

use std::collections::{HashMap, HashSet};

use crate::graph::{Graph, graph_at_mut};
use crate::onnx::{AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::tensor::DType;

/// Element types by tensor key (and, for model inputs and initializers, by name).
pub type Types = HashMap<String, DType>;

/// `model` with `tensors` (numbers in `graph`) as outputs besides its own. Those that cannot be observed are left out:
/// inside a branch a tensor must have a known element type.
pub fn mark(model: &ModelProto, graph: &Graph, tensors: &[usize], types: &Types) -> ModelProto {
    let mut marked = model.clone();
    let Some(main) = marked.graph.as_mut() else { return marked };
    let mut named: HashSet<String> = main.output.iter().map(|o| o.name().to_string()).collect();
    for &tensor in tensors {
        let value = &graph.tensors[tensor];
        if !named.insert(value.key.clone()) {
            continue;
        }
        let scope = &graph.nodes[value.node].scope;
        let surfaced = scope.is_empty()
            || types.get(&value.key).is_some_and(|dtype| hand_out(&mut marked, graph, tensor, *dtype).is_some());
        if let (true, Some(main)) = (surfaced, marked.graph.as_mut()) {
            main.output.push(ValueInfoProto::bare(&value.key));
        }
    }
    marked
}

/// Passes a tensor of an If branch outwards, one If at a time, under its key.
fn hand_out(model: &mut ModelProto, graph: &Graph, tensor: usize, dtype: DType) -> Option<()> {
    let value = &graph.tensors[tensor];
    let scope = &graph.nodes[value.node].scope;
    let main = model.graph.as_mut()?;
    let branch = graph_at_mut(main, scope)?;
    // Under a name of its own: the tensor may already be an output of the branch.
    let copy = NodeProto::new("Identity", &format!("{}/observe", value.key), &[&value.name], &[&value.key]);
    branch.node.push(copy);
    branch.output.push(ValueInfoProto::bare(&value.key));
    for depth in (0..scope.len()).rev() {
        let step = &scope[depth];
        let holder = graph_at_mut(main, &scope[..depth])?;
        let node = holder.node.get_mut(step.node)?;
        node.output.push(value.key.clone());
        for attribute in node.attribute.iter_mut().filter(|a| a.g.is_some() && a.name() != step.attribute) {
            let absent = format!("{}/absent", value.key);
            let other = attribute.g.as_mut()?;
            other.node.push(self::absent(&absent, dtype));
            other.output.push(ValueInfoProto::bare(&absent));
        }
        if depth > 0 {
            holder.output.push(ValueInfoProto::bare(&value.key));
        }
    }
    Some(())
}

/// A Constant node with no element, which stands for a value of a branch that did not run.
pub fn absent(output: &str, dtype: DType) -> NodeProto {
    let empty = TensorProto { dims: vec![0], data_type: Some(dtype.onnx()), ..Default::default() };
    NodeProto::new("Constant", output, &[], &[output]).with(AttributeProto::tensor("value", empty))
}

/// Where the candidate holds what the reference calls `key`: the same key, or, where a QuantizeLinear reads it, the
/// output of the DequantizeLinear behind: marking the float tensor in front would switch the integer kernels off.
pub fn counterpart(candidate: &Graph, key: &str) -> Option<usize> {
    let tensor = candidate.tensor(key)?;
    Some(behind_quantizer(candidate, tensor).unwrap_or(tensor))
}

/// The output of the first DequantizeLinear behind the first QuantizeLinear that reads `tensor`.
pub fn behind_quantizer(graph: &Graph, tensor: usize) -> Option<usize> {
    let reader = |t: usize, op: &str| {
        graph.children(t).into_iter().find(|c| {
            let node = graph.producer(*c);
            let data = node.reads.first().is_some_and(|r| r.name == graph.tensors[t].name);
            node.op_type == op && data
        })
    };
    reader(reader(tensor, "QuantizeLinear")?, "DequantizeLinear")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::GraphProto;

    fn graph_of(nodes: Vec<NodeProto>, output: &str) -> (ModelProto, Graph) {
        let (input, output) = (vec![ValueInfoProto::bare("x")], vec![ValueInfoProto::bare(output)]);
        let main = GraphProto { node: nodes, input, output, ..Default::default() };
        let model = ModelProto { graph: Some(main), ..Default::default() };
        let graph = Graph::new(&model).unwrap();
        (model, graph)
    }

    fn outputs(graph: &GraphProto) -> Vec<&str> {
        graph.output.iter().map(|o| o.name()).collect()
    }

    #[test]
    fn a_mark_is_one_more_output_and_never_a_second_one() {
        let chain = vec![NodeProto::new("Relu", "a", &["x"], &["y"]), NodeProto::new("Relu", "b", &["y"], &["z"])];
        let (model, graph) = graph_of(chain, "z");
        let marked = mark(&model, &graph, &[0, 1], &Types::new());
        assert_eq!(outputs(marked.graph.as_ref().unwrap()), ["z", "y"]);
    }

    #[test]
    fn a_tensor_of_a_branch_is_handed_out_and_the_other_branch_gives_an_empty_one() {
        let branch = |t: &str| GraphProto {
            node: vec![NodeProto::new("Neg", "n", &["x"], &[t])],
            output: vec![ValueInfoProto::bare(t)],
            ..Default::default()
        };
        let attr = |name: &str, g| AttributeProto { name: Some(name.into()), g: Some(g), ..Default::default() };
        let choose = NodeProto::new("If", "if", &["x"], &["z"])
            .with(attr("then_branch", branch("t")))
            .with(attr("else_branch", branch("e")));
        let (model, graph) = graph_of(vec![choose], "z");
        let inside = graph.tensor("if/then_branch/t").unwrap();
        let types = Types::from([("if/then_branch/t".to_string(), DType::Float32)]);
        let marked = mark(&model, &graph, &[inside], &types).graph.unwrap();
        assert_eq!(outputs(&marked), ["z", "if/then_branch/t"]);
        assert_eq!(marked.node[0].output, ["z", "if/then_branch/t"]);
        let branches: Vec<&GraphProto> = marked.node[0].subgraphs().map(|(_, g)| g).collect();
        assert_eq!(outputs(branches[0]), ["t", "if/then_branch/t"]);
        assert_eq!(outputs(branches[1]), ["e", "if/then_branch/t/absent"]);
        let untyped = mark(&model, &graph, &[inside], &Types::new()).graph.unwrap();
        assert_eq!(outputs(&untyped), ["z"], "an unknown element type is not observable");
    }

    #[test]
    fn a_quantised_tensor_is_seen_behind_its_dequantizer() {
        let qdq = vec![
            NodeProto::new("Relu", "a", &["x"], &["y"]),
            NodeProto::new("QuantizeLinear", "q", &["y", "x"], &["y_q"]),
            NodeProto::new("DequantizeLinear", "dq", &["y_q", "x"], &["y_dq"]),
            NodeProto::new("Relu", "b", &["y_dq"], &["z"]),
        ];
        let (_, graph) = graph_of(qdq, "z");
        let key = |k: &str| graph.tensors[counterpart(&graph, k).unwrap()].key.clone();
        assert_eq!((key("y").as_str(), key("z").as_str()), ("y_dq", "z"));
        assert_eq!(counterpart(&graph, "w"), None);
    }
}
