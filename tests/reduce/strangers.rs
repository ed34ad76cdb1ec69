//! Models that are attached to public tickets: none of them tells where it was exported, and from what.

use std::path::{Path, PathBuf};

use layerdiff::onnx::{ModelProto, NodeProto, StringStringEntryProto};
use prost::Message;

use crate::common::{layerdiff, testdata};

const SECRET: &str = "/home/somebody/project/model.py";

/// The model at `from`, as an exporter would have written it for somebody.
fn told(from: &Path, to: &Path) {
    let mut model = ModelProto::decode(std::fs::read(from).unwrap().as_slice()).unwrap();
    model.producer_version = Some(SECRET.to_string());
    let stack = StringStringEntryProto::new("pkg.torch.onnx.stack_trace", SECRET);
    let tell = |node: &mut NodeProto| node.metadata_props.push(stack.clone());
    model.graph.iter_mut().flat_map(|graph| &mut graph.node).for_each(tell);
    std::fs::write(to, model.encode_to_vec()).unwrap();
}

/// Every model below `dir` that holds the secret, and how many there are.
fn models(dir: &Path) -> (Vec<PathBuf>, usize) {
    let (mut told, mut all) = (Vec::new(), 0);
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            let (more, count) = models(&path);
            told.extend(more);
            all += count;
        } else if path.extension().is_some_and(|end| end == "onnx") {
            let bytes = std::fs::read(&path).unwrap();
            all += 1;
            told.extend(bytes.windows(SECRET.len()).any(|at| at == SECRET.as_bytes()).then_some(path));
        }
    }
    (told, all)
}

#[test]
fn no_model_that_is_written_tells_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let (model, other) = (dir.path().join("model.onnx"), dir.path().join("candidate.onnx"));
    for (case, candidate, more, least) in [
        ("matmul_add_sub_65504", "ort:fp16".to_string(), &[][..], 2),
        ("wrong_attribute", format!("ort@{}", other.display()), &[][..], 2),
        ("matmul_add_sub_65504", "ort:fp16".to_string(), &["--no-reduce"][..], 1),
    ] {
        let (inputs, own) = (testdata(case).join("inputs.npz"), testdata(case).join("candidate.onnx"));
        told(&testdata(case).join("model.onnx"), &model);
        if own.is_file() {
            told(&own, &other);
        }
        let args = [&["-c", candidate.as_str(), "-i", inputs.to_str().unwrap()][..], more].concat();
        let out = |ran: &crate::common::Run| models(&ran.dir.path().join("out"));
        let ran = layerdiff("bisect", &model, &[&args[..], &["--no-metadata"]].concat());
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        let (telling, all) = out(&ran);
        assert_eq!((ran.status, telling.as_slice()), (1, &[][..]), "{case}: {}", ran.stderr);
        assert!(all >= least, "{case}: {all} models were written");
        assert!(ran.report().culprits.iter().all(|culprit| !culprit.node.op_type.is_empty()));
        let (telling, _) = out(&layerdiff("bisect", &model, &args));
        assert!(!telling.is_empty(), "{case}: without the flag nothing of it is there either");
    }
    let ran = layerdiff("reduce", &model, &["--check", "! grep -q Sub {model}", "--no-metadata"]);
    assert_eq!(models(&ran.dir.path().join("out")), (Vec::new(), 1), "{}", ran.stderr);
}
