//! Who ran the nodes of a side whose execution provider may leave some to the CPU: what the runtime tells becomes what the
//! report says. Judges nothing.

use std::collections::{HashMap, HashSet};

use super::{Side, Work};
use crate::found::{FellBack, OfProvider, Placement, Real};
use crate::graph::Graph;
use crate::onnx::ModelProto;
use crate::run::{self, Kernel, PlacedNode, RunError};
use crate::spec::Place;
use crate::tensor::Tensors;

/// What copies between devices are called.
const COPIES: [&str; 2] = ["MemcpyFromHost", "MemcpyToHost"];

/// Nodes that hold others, whose time is in theirs.
const HOLDERS: [&str; 4] = ["If", "Loop", "Scan", "SequenceMap"];

/// Nodes of a provider that are named one by one.
const FEW: usize = 20;

/// Words of a line that says why a node was not taken, in lower case.
const REFUSALS: [&str; 6] = ["not supported", "unsupported", "not found", "fallback", "fall back", "supported: ["];

impl Side {
    /// Who runs what, in the session that gives the verdict; `None` where nothing can be left to others.
    pub fn placement(&self, feeds: &[Tensors]) -> Result<Option<Placement>, RunError> {
        if !matches!(self.spec.place, Place::Provider(_)) {
            return Ok(None);
        }
        let work: Work = self.work(feeds.get(..1).unwrap_or_default(), &[]);
        let named = named(work.model);
        let work = work.on(&named, &self.types).in_session(self.judged_session().clone());
        let own: HashSet<&str> = named.graph.iter().flat_map(|graph| &graph.node).map(|node| node.name()).collect();
        Ok(self.placed(&work)?.map(|placement| told(placement, &own)))
    }
}

/// The same with a name for each node of the main graph that has none: the one that the report calls it by.
fn named(model: &ModelProto) -> ModelProto {
    let mut model = model.clone();
    let Ok(graph) = Graph::new(&model) else { return model };
    let nodes = model.graph.iter_mut().flat_map(|graph| &mut graph.node);
    let mut names: HashMap<usize, &str> = HashMap::new();
    names.extend(graph.nodes.iter().filter(|n| n.scope.is_empty()).map(|n| (n.index, n.name.as_str())));
    for (index, node) in nodes.enumerate() {
        if let Some(name) = names.get(&index).filter(|_| node.name().is_empty()) {
            node.name = Some(name.to_string());
        }
    }
    model
}

/// What the report says; `own` are the names of the model's nodes.
fn told(of: run::Placement, own: &HashSet<&str>) -> Placement {
    let run::Placement { asked, assigned, kernels, log } = of;
    let (copies, kernels): (Vec<Kernel>, Vec<Kernel>) = kernels.into_iter().partition(is_copy);
    let (nodes, told_by) = match assigned.is_empty() {
        false => (with_forgotten(assigned, &kernels, own), "assignment"),
        true => (kernels.iter().map(|kernel| kernel.node.clone()).collect::<Vec<_>>(), "profile"),
    };
    let mut names = vec![asked.clone()];
    for name in nodes.iter().chain(kernels.iter().map(|kernel| &kernel.node)).map(|node| &node.provider) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let fell_back: Vec<FellBack> =
        nodes.iter().filter(|node| node.provider != asked).map(|node| fell_back(node, &log)).collect();
    let explained = |line: &&String| !fell_back.iter().any(|node| node.why.as_ref() == Some(line));
    Placement {
        told_by: told_by.to_string(),
        nodes: nodes.len(),
        took: nodes.iter().filter(|node| node.provider == asked).count(),
        providers: names.into_iter().map(|name| of_provider(name, &nodes, &kernels)).collect(),
        reference_on_cpu: false,
        copies: copies.len(),
        copied_bytes: copies.iter().map(|copy| copy.bytes).sum(),
        fallback_share: share(&asked, &kernels, &copies).map(Real),
        log: log.iter().filter(explained).filter(|line| of_division(line)).cloned().collect(),
        asked,
        fell_back,
    }
}

/// What no provider has a kernel for in the types that it has is given to none, and runs on the CPU between Casts.
fn with_forgotten(mut assigned: Vec<PlacedNode>, kernels: &[Kernel], own: &HashSet<&str>) -> Vec<PlacedNode> {
    assigned.retain(|node| !COPIES.contains(&node.op_type.as_str()));
    let known: HashSet<String> = assigned.iter().map(|node| node.name.clone()).collect();
    let ran = kernels.iter().map(|kernel| &kernel.node);
    assigned.extend(ran.filter(|n| own.contains(n.name.as_str()) && !known.contains(&n.name)).cloned());
    assigned
}

fn is_copy(kernel: &Kernel) -> bool {
    COPIES.contains(&kernel.node.op_type.as_str())
}

/// Is a line about the whole graph?
fn of_division(line: &str) -> bool {
    let line = line.to_lowercase();
    ["getcapability", "memcpy nodes are added", "subgraphs running on"].iter().any(|about| line.contains(about))
}

fn of_provider(provider: String, nodes: &[PlacedNode], kernels: &[Kernel]) -> OfProvider {
    let own = || nodes.iter().filter(|node| node.provider == provider);
    let ran = || kernels.iter().filter(|kernel| kernel.node.provider == provider);
    let mut operators: Vec<(String, usize)> = Vec::new();
    for node in own() {
        match operators.iter_mut().find(|(op_type, _)| *op_type == node.op_type) {
            Some((_, count)) => *count += 1,
            None => operators.push((node.op_type.clone(), 1)),
        }
    }
    operators.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let names: Vec<String> = own().map(|node| node.name.clone()).collect();
    let names = if names.len() > FEW { Vec::new() } else { names };
    let (nodes, seconds) = (own().count(), Real(seconds(ran())));
    let kernels = (!kernels.is_empty()).then(|| ran().count());
    OfProvider { provider, nodes, names, operators, kernels, seconds }
}

/// Of those that hold no others.
fn seconds<'k>(kernels: impl Iterator<Item = &'k Kernel>) -> f64 {
    // Not `sum`, whose zero is a negative one.
    kernels.filter(|k| !HOLDERS.contains(&k.node.op_type.as_str())).fold(0.0, |sum, k| sum + k.seconds)
}

/// The part of the time that goes into nodes of other providers, and into copies.
fn share(asked: &str, kernels: &[Kernel], copies: &[Kernel]) -> Option<f64> {
    let copied = seconds(copies.iter());
    let elsewhere = seconds(kernels.iter().filter(|k| k.node.provider != asked)) + copied;
    let all = seconds(kernels.iter()) + copied;
    (all > 0.0).then(|| elsewhere / all)
}

/// With the first line of the log that names it and says why.
fn fell_back(node: &PlacedNode, log: &[String]) -> FellBack {
    let refuses = |line: &&String| {
        let words = line.to_lowercase();
        REFUSALS.iter().any(|refusal| words.contains(refusal))
            && !words.contains("supported: [1]")
            && names(line, &node.name)
    };
    FellBack {
        node: node.name.clone(),
        op_type: node.op_type.clone(),
        provider: node.provider.clone(),
        why: log.iter().find(refuses).cloned(),
    }
}

/// Does a line have this very name in it, and not a longer one?
fn names(line: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | ':' | '-');
    let alone = |(at, _): (usize, &str)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let after = after.strip_suffix('.').unwrap_or(after);
        !before.ends_with(inside) && !after.starts_with(inside)
    };
    !name.is_empty() && line.match_indices(name).any(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op_type: &str, provider: &str) -> PlacedNode {
        PlacedNode { name: name.into(), op_type: op_type.into(), provider: format!("{provider}ExecutionProvider") }
    }

    fn kernel(node: PlacedNode, seconds: f64, bytes: u64) -> Kernel {
        Kernel { node, seconds, bytes }
    }

    fn sample() -> run::Placement {
        run::Placement {
            asked: "CUDAExecutionProvider".to_string(),
            assigned: vec![node("a", "Conv", "CUDA"), node("b", "Conv", "CUDA"), node("u", "Unique", "CPU")],
            kernels: vec![
                kernel(node("ab", "Fused", "CUDA"), 6e-3, 8),
                kernel(node("Memcpy", "MemcpyToHost", "CUDA"), 1e-3, 64),
                kernel(node("u", "Unique", "CPU"), 2e-3, 8),
                kernel(node("Memcpy_2", "MemcpyFromHost", "CUDA"), 1e-3, 32),
            ],
            log: vec![
                "CUDA kernel not found in registries for Op type: Unique node name: u2".to_string(),
                "CUDA kernel not found in registries for Op type: Unique node name: u".to_string(),
                "2 Memcpy nodes are added to the graph g for CUDAExecutionProvider.".to_string(),
            ],
        }
    }

    #[test]
    fn nodes_by_provider_copies_and_time() {
        let told = told(sample(), &HashSet::new());
        assert_eq!((told.nodes, told.took, told.told_by.as_str()), (3, 2, "assignment"));
        let counts: Vec<_> = told.providers.iter().map(|p| (p.provider.as_str(), p.nodes, p.kernels)).collect();
        assert_eq!(counts, [("CUDAExecutionProvider", 2, Some(1)), ("CPUExecutionProvider", 1, Some(1))]);
        assert_eq!(told.providers[0].operators, [("Conv".to_string(), 2)]);
        assert_eq!((told.copies, told.copied_bytes), (2, 96));
        assert!((told.fallback_share.unwrap().0 - 0.4).abs() < 1e-9, "{:?}", told.fallback_share);
        assert_eq!(told.fell_back.len(), 1);
        assert!(told.fell_back[0].why.as_ref().unwrap().ends_with("node name: u"), "{:?}", told.fell_back);
        assert_eq!(told.log.len(), 1, "{:?}", told.log);
    }

    #[test]
    fn without_an_assignment_the_profile_tells() {
        let told = told(run::Placement { assigned: Vec::new(), ..sample() }, &HashSet::new());
        assert_eq!((told.nodes, told.took, told.told_by.as_str()), (2, 1, "profile"));
    }

    #[test]
    fn a_provider_that_took_nothing_is_told() {
        let assigned = vec![node("u", "Unique", "CPU")];
        let told = told(run::Placement { assigned, kernels: Vec::new(), ..sample() }, &HashSet::new());
        assert!(told.took_nothing() && told.fallback_share.is_none());
        assert_eq!((told.providers[0].provider.as_str(), told.providers[0].nodes), ("CUDAExecutionProvider", 0));
    }

    /// ONNX Runtime gives a node of float16 without a kernel to nobody, and runs it in float32 between Casts of its own.
    #[test]
    fn a_node_that_was_given_to_nobody_is_among_those_that_fell_back() {
        let mut of = sample();
        of.kernels.push(kernel(node("half", "Relu", "CPU"), 1e-3, 8));
        of.kernels.push(kernel(node("InsertedPrecisionFreeCast_x", "Cast", "CPU"), 1e-3, 8));
        let told = told(of, &HashSet::from(["a", "b", "u", "half"]));
        let names: Vec<&str> = told.fell_back.iter().map(|node| node.node.as_str()).collect();
        assert_eq!((told.nodes, told.took, names), (4, 2, vec!["u", "half"]));
    }

    #[test]
    fn what_a_loop_holds_is_counted_once() {
        let kernels = [kernel(node("l", "Loop", "CPU"), 9.0, 0), kernel(node("a", "Add", "CPU"), 4.0, 0)];
        assert_eq!(seconds(kernels.iter()), 4.0);
    }

    #[test]
    fn a_name_is_no_part_of_a_longer_one() {
        assert!(names("node name: u", "u") && names("name: [u] supported", "u") && names("Op 'u'.", "u"));
        assert!(!names("node name: u2", "u") && !names("node /a/u", "u") && !names("unique", "u") && !names("x", ""));
    }

    #[test]
    fn nodes_without_a_name_get_the_one_that_the_report_has() {
        use crate::onnx::{GraphProto, NodeProto, ValueInfoProto};
        let graph = GraphProto {
            node: vec![NodeProto::new("Relu", "", &["x"], &["y"]), NodeProto::new("Relu", "own", &["y"], &["z"])],
            input: vec![ValueInfoProto::bare("x")],
            output: vec![ValueInfoProto::bare("z")],
            ..GraphProto::default()
        };
        let model = named(&ModelProto { graph: Some(graph), ..ModelProto::default() });
        let names: Vec<String> = model.graph.unwrap().node.iter().map(|n| n.name().to_string()).collect();
        assert_eq!(names, ["node_of_y", "own"]);
    }
}
