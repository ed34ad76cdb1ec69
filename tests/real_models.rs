//! Third-party models as their packages ship them (scripts/models.sh fetches them): loading, planted faults, precisions.

mod common;

use std::path::{Path, PathBuf};

use common::{bisect, real_model};
use layerdiff::found::{Kind, Verdict};
use layerdiff::load::Model;
use layerdiff::onnx::{GraphProto, ModelProto, NodeProto};
use layerdiff::tensor::{DType, Tensor};
use prost::Message;

const MODELS: [&str; 8] = ["det", "rec", "cls", "opennsfw", "nudenet", "magika", "silero_vad", "silero_ifless"];

fn files(name: &str) -> (PathBuf, PathBuf) {
    (real_model(&format!("{name}.onnx")), real_model(&format!("{name}.npz")))
}

#[test]
fn models_survive_a_round_trip_byte_for_byte() {
    for name in MODELS {
        let (path, _) = files(name);
        let bytes = std::fs::read(&path).unwrap();
        let proto = ModelProto::decode(bytes.as_slice()).unwrap();
        assert!(proto.encode_to_vec() == bytes, "{name} changed");
        assert_eq!(Model::load(&path).unwrap().warnings, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn weights_stay_in_their_file_and_can_be_fetched_back() {
    for name in MODELS {
        let (path, _) = files(name);
        let original = ModelProto::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let model = Model::load(&path).unwrap();
        let lean = model.lean(&model.proto).bytes.len();
        let whole = std::fs::metadata(&path).unwrap().len() as usize;
        // Constant nodes (the Paddle models) stay inline; initializers of a kilobyte do not.
        let inline: usize = constants(original.graph.as_ref().unwrap());
        assert!(lean < whole / 4 + inline + 200_000, "{name}: {lean} of {whole} bytes are left");
        let (mut before, mut after) = (Vec::new(), Vec::new());
        original.graph.as_ref().unwrap().each_initializer(&mut |t| before.push(t.clone()));
        model.proto.graph.as_ref().unwrap().each_initializer(&mut |t| after.push(model.inline(t)));
        assert!(before == after, "{name}: an initializer changed");
    }
}

fn constants(graph: &GraphProto) -> usize {
    let own = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_ref()).map(|t| t.encoded_len());
    let inside = graph.node.iter().flat_map(|n| n.subgraphs()).map(|(_, g)| constants(g));
    own.sum::<usize>() + inside.sum::<usize>()
}

/// `model` with the output of its node `index` multiplied by `factor`, as a file in `dir`.
fn with_fault(path: &Path, index: usize, factor: f32, dir: &Path) -> PathBuf {
    let mut proto = ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
    let graph = proto.graph.as_mut().unwrap();
    let name = std::mem::replace(&mut graph.node[index].output[0], "planted/raw".to_string());
    let weight = Tensor::f32(&[], &[factor]);
    graph.initializer.push(layerdiff::load::testset::tensor_to_proto("planted/factor", &weight));
    graph.node.insert(index + 1, NodeProto::new("Mul", "planted", &["planted/raw", "planted/factor"], &[&name]));
    let target = dir.join("candidate.onnx");
    std::fs::write(&target, proto.encode_to_vec()).unwrap();
    target
}

#[test]
fn a_planted_fault_is_found_proven_and_cheap() {
    for (name, op) in [("cls", "Conv"), ("opennsfw", "Relu"), ("nudenet", "Conv"), ("rec", "MatMul")] {
        let (path, inputs) = files(name);
        let model = Model::load(&path).unwrap();
        let nodes = &model.proto.graph.as_ref().unwrap().node;
        let all: Vec<usize> = (0..nodes.len()).filter(|i| nodes[*i].op_type() == op).collect();
        let index = all[all.len() / 2];
        let dir = tempfile::tempdir().unwrap();
        let candidate = format!("ort@{}", with_fault(&path, index, 1.1, dir.path()).display());
        for strategy in [["--strategy", "scan"].as_slice(), &["--strategy", "bisect", "--marks", "8"]] {
            let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-c", &candidate, &"-i", &inputs];
            args.extend([&"--atol" as &dyn AsRef<std::ffi::OsStr>, &"1e-5", &"--rtol", &"1e-3"]);
            strategy.iter().for_each(|s| args.push(s));
            let run = bisect(&path, &args);
            assert_eq!(run.status, 1, "{name}: {}", run.stderr);
            let report = run.report();
            let tensor = &nodes[index].output[0];
            assert_eq!(report.culprits.len(), 1, "{name} {strategy:?}");
            let culprit = &report.culprits[0];
            assert_eq!(
                (&culprit.tensor, culprit.kind, culprit.inputs_agree),
                (tensor, Kind::Introduces, true),
                "{name}"
            );
            assert!(!report.search.perturbed, "{name}: marking changed the outputs");
            let most = ((nodes.len() as f64).ln() / 9f64.ln()).ceil() as usize + 2;
            assert!(report.search.candidate_runs <= most, "{name}: {} runs", report.search.candidate_runs);
        }
    }
}

#[test]
fn precisions_accuse_only_where_the_model_really_breaks() {
    let check = |name: &str, candidate: &str, want: Verdict, culprit: &str| {
        let (path, inputs) = files(name);
        let report = bisect(&path, &[&"-c", &candidate, &"-i", &inputs]).report();
        assert_eq!(report.verdict, want, "{name} {candidate}: {:?} {:?}", report.why, report.outputs);
        if want == Verdict::Diverged {
            assert_eq!(report.culprits[0].node.name, culprit, "{name} {candidate}");
        }
    };
    for name in ["cls", "opennsfw", "nudenet", "silero_vad", "silero_ifless"] {
        check(name, "ort:fp16", Verdict::Agreed, "");
        check(name, "ort:bf16", Verdict::Agreed, "");
    }
    check("rec", "ort:fp16", Verdict::Agreed, "");
    check("magika", "ort:bf16", Verdict::Agreed, "");
    // A sum of squares of 123,068 and a variance of 97,903,600: both are beyond FP16.
    let sum = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/LayerNorm_1/Sum_1";
    check("magika", "ort:fp16", Verdict::Diverged, sum);
    check("det", "ort:fp16", Verdict::Diverged, "node_of_batch_norm_0.w_2");
}

#[test]
fn the_same_model_agrees_with_itself_in_every_bit() {
    for name in MODELS {
        let (path, inputs) = files(name);
        let candidate = format!("ort@{}", path.display());
        let report = bisect(
            &path,
            &[&"-c", &candidate, &"-i", &inputs, &"--atol", &"0", &"--rtol", &"0", &"--optimization", &"off"],
        )
        .report();
        assert_eq!(report.verdict, Verdict::Agreed, "{name}: {:?}", report.why);
        let worst = report.outputs.iter().filter_map(|o| o.metrics.as_ref()).map(|m| m.max_abs.0).fold(0.0, f64::max);
        assert_eq!(worst, 0.0, "{name}");
    }
}

#[test]
fn judging_an_inner_tensor_and_keeping_values() {
    let (path, inputs) = files("opennsfw");
    let model = Model::load(&path).unwrap();
    let inner = &model.proto.graph.as_ref().unwrap().node[10].output[0];
    let run = bisect(&path, &[&"-c", &"ort:fp16", &"-i", &inputs, &"--outputs", inner, &"--save-tensors", &"kept.npz"]);
    let report = run.report();
    assert_eq!((report.outputs.len(), &report.outputs[0].name), (1, inner), "{}", run.stderr);
    let kept = layerdiff::load::npz::read(&run.dir.path().join("kept.npz")).unwrap();
    for side in ["reference", "candidate"] {
        assert_eq!(kept[&format!("{side}/{inner}")].dtype, DType::Float32);
    }
}
