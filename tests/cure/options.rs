//! What the user can ask of the search for overrides, and what it says where there are none.

use std::path::PathBuf;

use layerdiff::load::{npz, testset};
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

use crate::common::{Run, layerdiff, model_of, testdata};
use crate::evaluate::{Job, evaluate};
use crate::{case, found, in_fp16};

/// `y = op(x)` of a few nodes, and samples of eight equal values each.
struct Small {
    folder: tempfile::TempDir,
    samples: Vec<PathBuf>,
}

impl Small {
    fn new(nodes: Vec<NodeProto>, constants: &[(&str, f32)], values: &[f32]) -> Small {
        let folder = tempfile::tempdir().unwrap();
        let tensor = |name| ValueInfoProto::tensor(name, DType::Float32, &[1, 8]);
        let constant = |(name, value): &(&str, f32)| testset::tensor_to_proto(name, &Tensor::f32(&[], &[*value]));
        let graph = GraphProto {
            node: nodes,
            initializer: constants.iter().map(constant).collect(),
            input: vec![tensor("x")],
            output: vec![tensor("y")],
            ..Default::default()
        };
        std::fs::write(folder.path().join("model.onnx"), model_of(graph).encode_to_vec()).unwrap();
        let sample = |(number, value): (usize, &f32)| {
            let path = folder.path().join(format!("{number}.npz"));
            let tensors: Tensors = [("x".to_string(), Tensor::f32(&[1, 8], &[*value; 8]))].into();
            npz::write(&path, &tensors).unwrap();
            path
        };
        let samples = values.iter().enumerate().map(sample).collect();
        Small { folder, samples }
    }

    /// Squares, which overflow from 256 on, and behind them a hundredfold, which overflows from 656 on.
    fn two_limits(values: &[f32]) -> Small {
        let nodes = vec![
            NodeProto::new("Mul", "square", &["x", "x"], &["squared"]),
            NodeProto::new("Sqrt", "root", &["squared"], &["rooted"]),
            NodeProto::new("Mul", "up", &["rooted", "hundred"], &["large"]),
            NodeProto::new("Div", "down", &["large", "hundred"], &["y"]),
        ];
        Small::new(nodes, &[("hundred", 100.0)], values)
    }

    fn run(&self, more: &[&str]) -> Run {
        in_fp16(&self.folder.path().join("model.onnx"), &self.samples, more)
    }
}

#[test]
fn held_back_samples_confirm_or_refute() {
    let check = |values: &[f32], holdout: &str, nodes: &[&str], verified: bool| {
        let run = Small::two_limits(values).run(&["--holdout", holdout]);
        let found = found(&run);
        assert_eq!((found.nodes, found.verified), (nodes.iter().map(|n| n.to_string()).collect(), verified));
        let why = found.why.unwrap_or_default();
        assert_eq!(why.contains("held-back") || why.contains("held back"), !verified, "{why}");
        assert_eq!(run.stdout.contains("verified: yes"), verified, "{}", run.stdout);
        if let Some(list) = found.files.get("nodes") {
            let list: serde_json::Value = serde_json::from_slice(&std::fs::read(list).unwrap()).unwrap();
            assert_eq!(list["verified"], verified);
        }
    };
    check(&[300.0, 400.0], "1", &["square", "root"], true);
    check(&[300.0, 700.0], "1", &["square", "root"], false);
    check(&[2.0, 300.0], "1", &[], false);
    check(&[300.0, 700.0], "0", &["square", "root", "up", "down"], true);
    // One sample at least is left to search with.
    for holdout in ["2", "9"] {
        let run = Small::two_limits(&[300.0, 400.0]).run(&["--holdout", holdout]);
        assert_eq!(run.status, 2, "{}", run.stdout);
        assert!(run.stderr.contains("leaves no sample to search with"), "{}", run.stderr);
    }
}

/// At a half, the sine's argument is exact in FP16; a thousandth beside it, it is off by radians.
#[test]
fn what_agrees_by_chance_is_not_verified() {
    let nodes = vec![
        NodeProto::new("Mul", "up", &["x", "thirty"], &["scaled"]),
        NodeProto::new("Exp", "exp", &["scaled"], &["large"]),
        NodeProto::new("Log", "log", &["large"], &["logged"]),
        NodeProto::new("Div", "down", &["logged", "thirty"], &["same"]),
        NodeProto::new("Mul", "turns", &["x", "many"], &["angle"]),
        NodeProto::new("Sin", "sine", &["angle"], &["wave"]),
        NodeProto::new("Add", "sum", &["same", "wave"], &["y"]),
    ];
    let lucky = Small::new(nodes, &[("thirty", 30.0), ("many", 8192.0)], &[0.5]);
    let run = lucky.run(&[]);
    let cure = found(&run);
    assert!(!cure.verified && cure.nodes == ["exp", "log"], "{cure:?}");
    assert!(cure.error_after.0 < 0.01 && cure.margin.is_some_and(|m| m.0 > 0.1), "{cure:?}");
    let why = cure.why.unwrap();
    assert!(why.contains("with the inputs changed by a thousandth they do not"), "{why}");
    assert!(run.stdout.contains("verified: NO") && !run.stdout.contains("latency"), "{}", run.stdout);
    // The square needs FP32 wherever it is; an emulation's own time is nobody's latency.
    let sound = Small::two_limits(&[300.5]).run(&[]);
    let cure = found(&sound);
    assert!(cure.verified && cure.margin.is_some_and(|m| m.0 < 0.01), "{cure:?}");
    assert!(cure.latency_before.is_none() && cure.latency_after.is_none() && !sound.stdout.contains("latency"));
}

#[test]
fn a_spent_budget_is_said_and_the_best_set_so_far_is_kept() {
    let (model, samples) = case("layernorm_overflow");
    let with = |builds: &str| found(&in_fp16(&model, &samples, &["--builds", builds]));
    let one = with("1");
    assert!(one.nodes.is_empty() && !one.verified && one.files.is_empty(), "{one:?}");
    assert!(one.why.as_ref().is_some_and(|why| why.contains("too few")), "{one:?}");
    let (mut most, all) = (usize::MAX, with("200"));
    for builds in [2, 3, 5, 10] {
        let cure = with(&builds.to_string());
        assert!(cure.verified && cure.builds <= builds && cure.nodes.len() <= most, "{cure:?}");
        assert!(cure.minimal == (builds >= all.builds) && cure.nodes.len() >= all.nodes.len(), "{cure:?}");
        let said = cure.why.is_some_and(|why| why.contains("--builds"));
        assert_eq!(said, !cure.minimal);
        // Whatever is offered has been tried.
        let seen = cure.curve.iter().find(|(kept, _)| *kept == cure.nodes.len()).unwrap();
        assert!(seen.1 <= cure.error_after, "{seen:?}");
        most = cure.nodes.len();
    }
}

#[test]
fn nothing_is_looked_for_on_request_or_without_need() {
    let (model, samples) = case("layernorm_overflow");
    let run = in_fp16(&model, &samples, &["--no-overrides"]);
    let report = run.report();
    assert_eq!((run.status, report.culprits.len()), (1, 1), "{}", run.stderr);
    assert!(report.overrides.is_none() && report.sensitivity.is_empty() && !run.wrote("overrides"));
    for name in ["healthy_transformer", "masked_fault"] {
        let (model, samples) = case(name);
        let run = in_fp16(&model, &samples, &[]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.report().overrides.is_none() && !run.wrote("overrides"), "{name}");
    }
    // The candidate is another file: nothing says that precision is to blame.
    let candidate = format!("ort@{}", testdata("wrong_attribute/candidate.onnx").display());
    let (model, samples) = case("wrong_attribute");
    let run = layerdiff("bisect", &model, &["-c", &candidate, "-i", samples[0].to_str().unwrap(), "--no-reduce"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.report().overrides.is_none() && !run.wrote("overrides"));
}

#[test]
fn where_precision_is_not_the_cause_there_is_no_cure() {
    let nodes = vec![
        NodeProto::new("RandomNormalLike", "noise", &["x"], &["drawn"]),
        NodeProto::new("Add", "add", &["x", "drawn"], &["y"]),
    ];
    let run = Small::new(nodes, &[], &[1.0]).run(&[]);
    let found = found(&run);
    assert!(found.nodes.is_empty() && !found.verified && found.files.is_empty() && found.builds <= 2, "{found:?}");
    assert!(found.why.unwrap().contains("even with every node in FP32"));
    assert!(!run.stdout.contains("verified: yes") && !run.wrote("overrides"), "{}", run.stdout);
}

#[test]
fn every_node_alone_is_ranked() {
    let (model, samples) = case("matmul_add_sub_65504");
    let report = in_fp16(&model, &samples, &[]).report();
    let [first, .., last] = report.sensitivity.as_slice() else { panic!("{:?}", report.sensitivity) };
    assert_eq!((report.sensitivity.len(), first.node.as_str(), first.tensor.as_str()), (4, "add", "add_out"));
    let found = report.overrides.unwrap();
    // Alone in FP32, no node cures anything; alone in FP16, only the Add and the Sub do harm.
    for row in &report.sensitivity {
        let (promoted, demoted) = (row.promoted.unwrap().0, row.demoted.unwrap().0);
        assert!(promoted.is_infinite() && (demoted.is_infinite() == found.nodes.contains(&row.node)), "{row:?}");
    }
    assert!(first.local.0.is_infinite() && last.local.0 < 1e-3, "{:?}", report.sensitivity);
    let two = in_fp16(&model, &samples, &["--sensitivity", "2"]).report();
    assert_eq!(two.sensitivity.len(), 2);
}

#[test]
fn a_strict_tolerance_holds_for_every_sample() {
    let (model, first) = case("healthy_transformer");
    let folder = tempfile::tempdir().unwrap();
    let tensors = npz::read(&first[0]).unwrap();
    let scaled = |(number, by): (usize, f32)| {
        let path = folder.path().join(format!("{number}.npz"));
        let times = |t: &Tensor| Tensor::f32(&t.shape, &t.view::<f32>().iter().map(|v| v * by).collect::<Vec<_>>());
        npz::write(&path, &tensors.iter().map(|(name, t)| (name.clone(), times(t))).collect()).unwrap();
        path
    };
    let samples: Vec<PathBuf> = [1.0, -1.0, 0.5].into_iter().enumerate().map(scaled).collect();
    let run = in_fp16(&model, &samples, &["--atol", "1e-3", "--rtol", "0"]);
    let cure = found(&run);
    assert!(cure.verified && cure.minimal && !cure.nodes.is_empty() && cure.nodes.len() < cure.of, "{cure:?}");
    // So near the bound the order of a sum decides.
    let mut job = Job::new(&model, &samples, &run.report(), run.dir.path());
    (job.atol, job.models) = (job.atol * 1.25, job.models[..1].to_vec());
    let [verdicts] = evaluate(&[job]).try_into().unwrap();
    assert!(verdicts[0].agrees, "{verdicts:?}");
}
