//! 1-minimality by an oracle of its own: `layerdiff compare` on what is left of a reproducer without each of its nodes.

use std::path::Path;

use layerdiff::load::{Model, npz};
use layerdiff::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::Tensors;
use prost::Message;

use crate::bundle::Bundle;
use crate::common::{Run, layerdiff, testdata};
use crate::words;

/// Takes each node away from a written reproducer and asks `layerdiff compare` about the rest, fed with what the reference's
/// own nodes give for the reproducer's data. Of tensors that the reference does not have nobody knows the values: nodes
/// between them cannot be taken apart.
fn is_minimal(model: &Path, args: &[&str], tolerance: &[&str], asked: usize) {
    let run = layerdiff("reduce", model, &[args, tolerance].concat());
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.report().reduced.unwrap().minimal);
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    let known = reference_values(&bundle, &Model::load(model).unwrap());

    let nodes = &bundle.graph().node;
    let whole = diverges(&bundle, nodes.clone(), &known, tolerance);
    assert_eq!(whole, Some(true), "this proves nothing: all nodes together do not fail");
    let without = |i: usize| nodes.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, n)| n.clone()).collect();
    let answers: Vec<Option<bool>> =
        (0..nodes.len()).map(|i| diverges(&bundle, without(i), &known, tolerance)).collect();
    assert!(!answers.contains(&Some(true)), "{:?} are too many: {answers:?}", bundle.node_names());
    assert_eq!(answers.iter().flatten().count(), asked, "{answers:?}");
}

/// What the nodes of `source` that are called like the bundle's give for its inputs.
fn reference_values(bundle: &Bundle, source: &Model) -> Tensors {
    let mut known = bundle.inputs.clone();
    let theirs = source.proto.graph.as_ref().unwrap();
    let names = bundle.node_names();
    let nodes: Vec<NodeProto> = theirs.node.iter().filter(|n| names.contains(&n.name())).cloned().collect();
    if nodes.len() < names.len() {
        return known;
    }
    let mine = &bundle.graph().initializer;
    let same = theirs.initializer.iter().filter(|t| mine.iter().any(|m| m.name() == t.name()));
    let initializer: Vec<_> = same.map(|t| source.inline(t)).collect();
    assert!(
        initializer.iter().all(|t| mine.iter().any(|m| m.name() == t.name() && m.dims == t.dims)),
        "sliced weights"
    );
    let graph = GraphProto { node: nodes, initializer, value_info: Vec::new(), ..bundle.graph().clone() };
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.npz");
    let run = compare(bundle, graph, &bundle.inputs, &["-c", "ort", "--save-tensors", kept.to_str().unwrap()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let kept = npz::read(&kept).unwrap().into_iter();
    known.extend(kept.filter_map(|(key, value)| Some((key.strip_prefix("reference/")?.to_string(), value))));
    known
}

/// Do these nodes of the bundle miss its outputs? `None` where they do not make them, or lack a value.
fn diverges(bundle: &Bundle, nodes: Vec<NodeProto>, known: &Tensors, tolerance: &[&str]) -> Option<bool> {
    let graph = bundle.graph();
    let made: Vec<&String> = nodes.iter().flat_map(|n| &n.output).collect();
    if !graph.output.iter().all(|o| made.iter().any(|m| m.as_str() == o.name())) {
        return None;
    }
    let constant = |name: &str| graph.initializer.iter().any(|t| t.name() == name);
    let mut feeds = Tensors::new();
    for name in nodes.iter().flat_map(|n| &n.input).filter(|i| !i.is_empty() && !constant(i) && !made.contains(i)) {
        feeds.insert(name.clone(), known.get(name)?.clone());
    }
    let input = feeds.iter().map(|(name, t)| ValueInfoProto::tensor(name, t.dtype, &t.shape)).collect();
    let initializer = graph.initializer.iter().map(|t| bundle.model.inline(t)).collect();
    let graph = GraphProto { node: nodes, input, initializer, value_info: Vec::new(), ..graph.clone() };
    let reference = format!("saved:{}", bundle.folder.join("test_data_set_0").display());
    let run = compare(bundle, graph, &feeds, &[&["-c", "ort", "--reference", &reference], tolerance].concat());
    assert!(matches!(run.status, 0 | 1), "{}", run.stderr);
    Some(run.status == 1)
}

/// `layerdiff compare` of another graph in the bundle's model.
fn compare(bundle: &Bundle, graph: GraphProto, feeds: &Tensors, args: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let (model, inputs) = (dir.path().join("cut.onnx"), dir.path().join("inputs.npz"));
    let proto = ModelProto { graph: Some(graph), ..bundle.model.proto.clone() };
    std::fs::write(&model, proto.encode_to_vec()).unwrap();
    npz::write(&inputs, feeds).unwrap();
    layerdiff("compare", &model, &[args, &["-i", inputs.to_str().unwrap()]].concat())
}

#[test]
fn no_node_can_go() {
    let strict = ["--atol", "1e-6", "--rtol", "1e-4"];
    let files = |model: &str, candidate: &str, inputs: &str| {
        let text = |p: &str| testdata(p).display().to_string();
        (testdata(model), ["-c".to_string(), format!("ort@{}", text(candidate)), "-i".to_string(), text(inputs)])
    };
    let folder = |name: &str| {
        let file = |kind: &str| format!("{name}/{kind}");
        files(&file("model.onnx"), &file("candidate.onnx"), &file("inputs.npz"))
    };
    let (model, args) = folder("gelu_chain_amplify");
    is_minimal(&model, &words(&args), &strict, 3);
    let (model, args) = files("reduce/amplified.onnx", "reduce/amplified_candidate.onnx", "reduce/amplified.npz");
    is_minimal(&model, &words(&args), &strict, 1);
    // Between these there are only tensors that the reference does not have.
    let (model, args) = folder("renamed_tensors");
    is_minimal(&model, &words(&args), &["--atol", "1e-5", "--rtol", "1e-3"], 0);
}
