//! What PyTorch's exporter wrote beside a node comes back in the report, and stays with the node in the reproducer.

mod common;

use std::path::Path;

use common::{bisect, testdata};
use layerdiff::found::{KnownBy, Report, Torch};
use layerdiff::onnx::{ModelProto, NodeProto, StringStringEntryProto};
use prost::Message;

const CULPRIT: &str = "ln_pow";

fn model(path: &Path) -> ModelProto {
    ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap()
}

/// testdata/layernorm_overflow, its culprit changed; bisected in FP16. Gives the report and the reproducer's nodes.
fn bisected(change: impl Fn(&mut NodeProto)) -> (common::Run, Report, Vec<NodeProto>) {
    let (folder, case) = (tempfile::tempdir().unwrap(), testdata("layernorm_overflow"));
    let mut model_proto = model(&case.join("model.onnx"));
    let nodes = &mut model_proto.graph.as_mut().unwrap().node;
    change(nodes.iter_mut().find(|node| node.name() == CULPRIT).unwrap());
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model_proto.encode_to_vec()).unwrap();
    let inputs = case.join("inputs.npz");
    let run = bisect(&path, &[&"-c", &"ort:fp16", &"-i", &inputs, &"--no-overrides"]);
    let report = run.report();
    let reduced = model(&run.dir.path().join("out/reduced/model.onnx"));
    (run, report, reduced.graph.unwrap().node)
}

#[test]
fn the_exporters_words_are_told_and_kept() {
    let beside = [
        ("pkg.torch.onnx.name_scopes", "['', 'encoder', 'encoder.norm', 'pow_1']"),
        ("pkg.torch.onnx.class_hierarchy", "['net.Net', 'net.Encoder', 'net.RmsNorm', 'aten.pow.Tensor_Scalar']"),
        ("pkg.torch.onnx.stack_trace", "File \"/home/u/net.py\", line 41, in forward\n    x.pow(2)"),
    ];
    let entries: Vec<_> = beside.iter().map(|(key, value)| StringStringEntryProto::new(key, *value)).collect();
    let (run, report, reduced) = bisected(|node| node.metadata_props = entries.clone());
    let expected = Torch {
        scope: "encoder.norm".into(),
        module: Some("RmsNorm".into()),
        source: Some("/home/u/net.py:41 in forward".into()),
        by: KnownBy::Metadata,
    };
    assert_eq!(report.culprits[0].node.torch, Some(expected));
    let line = "in PyTorch   encoder.norm (RmsNorm), net.py:41";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    let kept = reduced.iter().find(|node| node.name() == CULPRIT).unwrap();
    assert_eq!(kept.metadata_props, entries);
}

#[test]
fn a_name_of_the_older_exporter_is_told_as_a_name() {
    let (run, report, _) = bisected(|node| node.name = Some("/encoder/norm/Pow".into()));
    let torch = report.culprits[0].node.torch.clone().unwrap();
    assert_eq!((torch.scope.as_str(), torch.module, torch.by), ("encoder.norm", None, KnownBy::Name));
    assert!(run.stdout.contains("in PyTorch   scope by its name: encoder.norm"), "{}", run.stdout);
}

#[test]
fn other_models_say_nothing_of_pytorch() {
    let (run, report, _) = bisected(|_| {});
    assert_eq!(report.culprits[0].node.torch, None);
    assert!(!run.stdout.contains("PyTorch"), "{}", run.stdout);
    let json = std::fs::read_to_string(run.dir.path().join("out/report.json")).unwrap();
    assert!(!json.contains("\"torch\""));
}
