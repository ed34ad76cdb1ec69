//! Real QDQ models, one healthy and one with a scale that is 50 times too small.

use std::path::PathBuf;

use prost::Message;

use super::*;
use crate::graph::Graph;
use crate::load::{Model, npz};
use crate::onnx::NodeProto;

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(case)
}

fn candidate(case: &str) -> (Model, Graph) {
    let model = Model::load(&folder(case).join("candidate.onnx")).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    (model, graph)
}

fn find<'a>(pairs: &'a [Pair], tensor: &str) -> &'a Pair {
    pairs.iter().find(|p| p.tensor == tensor).unwrap_or_else(|| panic!("no pair of {tensor}"))
}

#[test]
fn all_pairs_of_a_model_are_found() {
    let (model, graph) = candidate("qdq_healthy");
    let pairs = pairs(&model, &graph);
    let name = |n: &usize| graph.nodes[*n].name.clone();
    let told = |p: &Pair| {
        let readers: Vec<String> = p.consumers.iter().map(name).collect();
        format!("{} {} {} -> {}", p.tensor, p.dtype, if p.weight { "weight" } else { "tensor" }, readers.join(","))
    };
    let mut got: Vec<String> = pairs.iter().map(told).collect();
    got.sort();
    let want = [
        "conv1_b int32 weight -> conv1",
        "conv1_w int8 weight -> conv1",
        "conv2_b int32 weight -> conv2",
        "conv2_w int8 weight -> conv2",
        "fc_w int8 weight -> fc",
        "logits_QuantizeLinear_Input int8 tensor -> ",
        "pool_out int8 tensor -> flatten",
        "relu1_out int8 tensor -> conv2",
        "relu2_out int8 tensor -> pool",
        "x int8 tensor -> conv1",
    ];
    assert_eq!(got, want);
    assert_eq!(find(&pairs, "conv1_w").channels, Some(("Conv".to_string(), 0)));
    assert!(pairs.iter().all(|p| p.scale.is_some() && p.quantizer.is_none() && p.axis.is_none()));
}

#[test]
fn a_bad_scale_is_told_from_a_good_one() {
    let x = &npz::read(&folder("qdq_healthy").join("inputs.npz")).unwrap()["x"];
    for case in ["qdq_healthy", "qdq_bad_scale"] {
        let (model, graph) = candidate(case);
        let got = loss(find(&pairs(&model, &graph), "x"), x).unwrap();
        assert!(got.clip_fraction < 0.01 && got.quantisation.sqnr_db.0 > 30.0, "{case}: {got:?}");
        // What Relu gives, roughly: the real tensor needs a run.
        let relu = Tensor::f32(&[100], &(0..100).map(|i| i as f32 / 100.0).collect::<Vec<f32>>());
        let got = loss(find(&pairs(&model, &graph), "relu1_out"), &relu).unwrap();
        let bad = case == "qdq_bad_scale";
        assert_eq!((got.clip_fraction > 0.5, got.scale_ratio.unwrap() < 0.5), (bad, bad), "{case}: {got:?}");
        assert_eq!(got.at_qmax > 0.5, bad);
    }
}

#[test]
fn weights_are_near_those_of_the_float_model() {
    let (model, graph) = candidate("qdq_healthy");
    let float = Model::load(&folder("qdq_healthy").join("model.onnx")).unwrap();
    let weights = &float.proto.graph.as_ref().unwrap().initializer;
    let (pairs, mut seen) = (pairs(&model, &graph), 0);
    for weight in weights {
        let value = crate::load::testset::tensor_from_proto(&float.inline(weight)).unwrap();
        let got = loss(find(&pairs, weight.name()), &value).unwrap();
        assert!(got.quantisation.mismatched == 0 && got.clip_fraction == 0.0, "{got:?}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn without_all_pairs_the_float_model_is_left() {
    let (model, graph) = candidate("qdq_bad_scale");
    let float = Model::load(&folder("qdq_bad_scale").join("model.onnx")).unwrap();
    let all = pairs(&model, &graph);
    let own = &float.proto.graph.as_ref().unwrap().initializer;
    let weight = |name: &str| own.iter().find(|t| t.name() == name).map(|t| float.inline(t));
    let known = Float { weight: &weight, activations: &|_| Vec::new() };
    let got = without(&model.proto, &graph, &all.iter().collect::<Vec<_>>(), &known).graph.unwrap();
    let ops: Vec<&str> = got.node.iter().map(|n| n.op_type()).collect();
    assert_eq!(ops, ["Conv", "Relu", "Conv", "Relu", "GlobalAveragePool", "Flatten", "MatMul", "Identity"]);
    assert_eq!(got.initializer.len(), 5);
}

#[test]
fn a_pair_belongs_to_who_reads_or_makes() {
    let (model, graph) = candidate("qdq_healthy");
    let pairs = pairs(&model, &graph);
    let names = |tensor: &str| -> Vec<&str> {
        let number = pairs.iter().position(|p| p.tensor == tensor).unwrap();
        owners(&graph, &pairs)[number].iter().map(|n| graph.nodes[*n].name.as_str()).collect()
    };
    let told = ["relu1_out", "conv2_w", "logits_QuantizeLinear_Input"].map(names);
    assert_eq!(told, [["conv2"], ["conv2"], ["fc"]]);
    let removed = [find(&pairs, "relu1_out"), find(&pairs, "conv2_w")];
    let got = exclusions(&graph, vec!["conv.2".into()], &removed);
    let want = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!((got.ort, got.makers, got.modelopt), (want(&["conv.2"]), want(&["Relu"]), want(&[r"^conv\.2\Z"])));
}

#[test]
fn pairs_in_a_row_and_shapes() {
    // Both read x; a Shape cares for no value; behind the second pair there is another reader.
    let mut proto = candidate("qdq_healthy").0.proto.clone();
    let main = proto.graph.as_mut().unwrap();
    let node = |op: &str, input: &str, output: &str| NodeProto::new(op, output, &[input], &[output]);
    let scale = main.node.iter().find(|n| n.name() == "x_QuantizeLinear").unwrap().input[1].clone();
    main.node.push(NodeProto::new("QuantizeLinear", "q", &["x_DequantizeLinear_Output", &scale], &["q"]));
    main.node.push(NodeProto::new("DequantizeLinear", "d", &["q", &scale], &["d"]));
    main.node.push(node("Neg", "d", "behind"));
    main.node.push(node("Shape", "x_DequantizeLinear_Output", "shape"));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("m.onnx"), proto.encode_to_vec()).unwrap();
    let model = Model::load(&home.path().join("m.onnx")).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    let pairs = pairs(&model, &graph);
    let of_x = &owners(&graph, &pairs)[pairs.iter().position(|p| p.tensor == "x").unwrap()];
    let mut names: Vec<&str> = of_x.iter().map(|n| graph.nodes[*n].name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["behind", "conv1"]);
}

#[test]
fn scales_that_disagree_are_noticed() {
    let (mut model, _) = candidate("qdq_healthy");
    let main = model.proto.graph.as_mut().unwrap();
    let scale = main.node.iter().find(|n| n.name() == "x_QuantizeLinear").unwrap().input[1].clone();
    let mut other = main.initializer.iter().find(|t| t.name() == scale).unwrap().clone();
    other.name = Some("other".into());
    other.raw_data = Some(7f32.to_le_bytes().to_vec().into());
    main.initializer.push(other);
    main.node.iter_mut().find(|n| n.name() == "x_DequantizeLinear").unwrap().input[1] = "other".into();
    let graph = Graph::new(&model.proto).unwrap();
    let pairs = pairs(&model, &graph);
    let got = find(&pairs, "x");
    assert_eq!(got.scale.as_ref().unwrap().view::<f32>().as_ref(), [7.0]);
    assert!(got.quantizer.as_ref().is_some_and(|(scale, _)| scale.is_some()));
}
