//! How tensors inside an engine become visible: marks on the network before the build, a listener during the run, and the engine's own
//! names for tensors of the model. Runs nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::onnx::{GraphProto, NodeProto};
use crate::run::cuda::Cuda;
use crate::run::tensorrt::layers::Layer;
use crate::run::tensorrt::{Context, DebugTensor, Network};
use crate::run::{Observe, RunError};
use crate::tensor::{Tensor, Tensors};

/// Catches debug tensors, by the names under which they were asked for.
pub struct Tap {
    /// The engine's name to the model's.
    names: HashMap<String, String>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    values: Tensors,
    problem: Option<String>,
}

/// Marks what was asked for and is no output. What cannot be marked is left out, and so has no value.
pub fn mark(network: &Network, wanted: &[String], observe: Observe) -> Result<(), RunError> {
    match observe {
        Observe::Outputs => {}
        Observe::Debug => {
            let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
            for tensor in network.tensors() {
                let hidden = !tensor.is_output() && !tensor.is_shape_tensor();
                if hidden && wanted.contains(tensor.name().as_str()) {
                    network.mark_debug(&tensor);
                }
            }
        }
        Observe::Unfused => _ = network.mark_unfused()?,
    }
    Ok(())
}

impl Tap {
    /// Listens for `names`, the engine's to the model's.
    pub fn open(
        context: &mut Context,
        cuda: &Cuda,
        observe: Observe,
        names: HashMap<String, String>,
    ) -> Result<Tap, RunError> {
        let tap = Tap { names, heard: Arc::default() };
        let (heard, names, cuda) = (tap.heard.clone(), tap.names.clone(), cuda.clone());
        context.listen(move |tensor| {
            let Some(name) = names.get(tensor.name) else { return true };
            let copied = copy(tensor, &cuda);
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            match copied {
                Ok(Some(value)) => _ = heard.values.insert(name.clone(), value),
                Ok(None) => {}
                Err(why) => _ = heard.problem.get_or_insert(format!("tensor '{name}' was not copied: {why}")),
            }
            true
        })?;
        match observe {
            Observe::Unfused => context.debug_unfused(true)?,
            _ => context.debug_all(true)?,
        }
        Ok(tap)
    }

    /// Forgets an earlier run.
    pub fn clear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Heard::default();
    }

    /// What the last run showed, by the model's names.
    pub fn take(&self) -> Result<Tensors, String> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        heard.problem.map_or(Ok(heard.values), Err)
    }
}

/// The address is good during the call of the listener only. `None` for what is no tensor of ours.
fn copy(tensor: &DebugTensor, cuda: &Cuda) -> Result<Option<Tensor>, String> {
    let shape: Option<Vec<usize>> = tensor.shape.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let (Some(dtype), Some(shape)) = (tensor.dtype, shape) else { return Ok(None) };
    let Some(bytes) = dtype.byte_len(shape.iter().product()) else { return Ok(None) };
    let copied = match tensor.host {
        // SAFETY: TensorRT says that the tensor lies in host memory during this call; the type and shape give its size.
        true if bytes > 0 => unsafe { std::slice::from_raw_parts(tensor.address as *const u8, bytes) }.to_vec(),
        true => Vec::new(),
        // SAFETY: TensorRT says that it lies in device memory, and which stream makes it.
        false => unsafe { cuda.read(tensor.address, bytes, tensor.stream) }.map_err(|e| e.to_string())?,
    };
    Tensor::new(dtype, shape, copied).map(Some).map_err(|e| e.to_string())
}

/// The engine's names for tensors of the model that it has under other names: where a layer was made of certain nodes, and of nothing
/// else, and one tensor leaves these nodes, that is the layer's one output. Nodes that were spread over several layers say nothing.
pub fn aliases(layers: &[Layer], graph: &GraphProto) -> HashMap<String, String> {
    let nodes = by_name(graph);
    let mut layers_of: HashMap<&str, usize> = HashMap::new();
    layers.iter().flat_map(|layer| &layer.onnx_nodes).for_each(|node| *layers_of.entry(node).or_default() += 1);
    let known: HashSet<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    let alias = |layer: &Layer| {
        let [output] = layer.outputs.as_slice() else { return None };
        let alone = layer.onnx_nodes.iter().all(|node| layers_of.get(node.as_str()) == Some(&1));
        let group: Option<HashSet<usize>> = layer.onnx_nodes.iter().map(|node| *nodes.get(node)?).collect();
        let [leaving] = leaving(graph, &group?)[..] else { return None };
        (alone && !known.contains(output.name.as_str())).then(|| (output.name.clone(), leaving.to_string()))
    };
    layers.iter().filter_map(alias).collect()
}

/// Nodes by the names that TensorRT's parser gives them; `None` for a name that several have.
fn by_name(graph: &GraphProto) -> HashMap<String, Option<usize>> {
    let mut nodes = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        let name = match (node.name(), node.output.first()) {
            ("", Some(output)) => format!("node_of_{output}"),
            (name, _) => name.to_string(),
        };
        nodes.entry(name).and_modify(|known| *known = None).or_insert(Some(index));
    }
    nodes
}

/// Tensors made by the nodes of a group that others read.
fn leaving<'g>(graph: &'g GraphProto, group: &HashSet<usize>) -> Vec<&'g str> {
    let mut read: HashSet<&str> = graph.output.iter().map(|output| output.name()).collect();
    for (_, node) in graph.node.iter().enumerate().filter(|(index, _)| !group.contains(index)) {
        add_reads(node, &mut read);
    }
    let made = group.iter().flat_map(|index| &graph.node[*index].output).map(String::as_str);
    made.filter(|name| !name.is_empty() && read.contains(name)).collect()
}

/// A node with branches reads what its branches read.
fn add_reads<'g>(node: &'g NodeProto, read: &mut HashSet<&'g str>) {
    read.extend(node.input.iter().map(String::as_str));
    for (_, body) in node.subgraphs() {
        body.node.iter().for_each(|inner| add_reads(inner, read));
        read.extend(body.output.iter().map(|output| output.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::ValueInfoProto;
    use crate::run::tensorrt::layers;

    #[test]
    fn a_fused_layer_has_the_tensor_that_leaves_its_nodes() {
        let graph = GraphProto {
            node: vec![
                NodeProto::new("MatMul", "mm", &["x", "w"], &["a"]),
                NodeProto::new("Add", "", &["a", "b"], &["c"]),
                NodeProto::new("Relu", "relu", &["c"], &["d"]),
                NodeProto::new("Softmax", "soft", &["d"], &["e"]),
            ],
            output: vec![ValueInfoProto::bare("e")],
            ..Default::default()
        };
        let check = |layers: &[(&str, &str)], expected: &[(&str, &str)]| {
            let layers = layers.iter().map(|(nodes, output)| {
                let nodes: Vec<String> = nodes.split(' ').map(|node| format!("[ONNX Layer: {node}]")).collect();
                serde_json::json!({ "Name": "layer", "Metadata": nodes.join("\x1f"), "Outputs": [{ "Name": output }] })
            });
            let read = layers::read(&serde_json::json!({ "Layers": layers.collect::<Vec<_>>() }).to_string()).unwrap();
            let expected = expected.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
            assert_eq!(aliases(&read, &graph), expected);
        };
        check(&[("mm node_of_c relu", "__bb1"), ("soft", "e")], &[("__bb1", "d")]);
        check(&[("mm node_of_c", "__bb1"), ("relu", "__bb2")], &[("__bb1", "c"), ("__bb2", "d")]);
        // Of two layers of one node, who knows which has the result?
        check(&[("mm", "__bb1"), ("mm relu", "__bb2")], &[]);
        check(&[("mm gone", "__bb1")], &[]);
        check(&[("mm relu", "__bb1")], &[]);
    }
}
