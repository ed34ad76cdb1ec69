//! Outputs that decide something, end to end: what is told of changed classes, of samples and of rows, and who may judge in
//! place of the tolerance.

mod common;

use std::fs;
use std::path::Path;

use common::{Run, case, layerdiff, model_of, root, testdata};
use layerdiff::found::{DecisionKind, Status, Verdict};
use layerdiff::load::npz;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

/// scores = x + bias, class = ArgMax(scores).
fn classifier(bias: [f32; 3]) -> Vec<u8> {
    let mut keep = NodeProto::new("ArgMax", "choose", &["scores"], &["class"]);
    let int = |name: &str, i: i64| layerdiff::onnx::AttributeProto {
        name: Some(name.to_string()),
        r#type: Some(layerdiff::onnx::attribute_type::INT),
        i: Some(i),
        ..Default::default()
    };
    keep.attribute = vec![int("axis", 1), int("keepdims", 0)];
    let shape = [4, 3];
    let graph = GraphProto {
        name: Some("classifier".to_string()),
        node: vec![NodeProto::new("Add", "add", &["x", "bias"], &["scores"]), keep],
        initializer: vec![tensor_to_proto("bias", &Tensor::f32(&[3], &bias))],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &shape)],
        output: vec![
            ValueInfoProto::tensor("scores", DType::Float32, &shape),
            ValueInfoProto::tensor("class", DType::Int64, &[4]),
        ],
        ..Default::default()
    };
    model_of(graph).encode_to_vec()
}

/// A folder with a classifier, one whose second class has `more`, and two samples of four rows.
fn workplace(more: f32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("model.onnx"), classifier([0.0; 3])).unwrap();
    fs::write(at("other.onnx"), classifier([0.0, more, 0.0])).unwrap();
    // Margins between the first and the second class: 1, 0.1, 0.5, 2.
    let rows = [3.0, 2.0, 0.0, 3.0, 2.9, 0.0, 3.0, 2.5, 0.0, 3.0, 1.0, 0.0];
    for (name, times) in [("one.npz", 1.0), ("two.npz", 10.0)] {
        let rows: Vec<f32> = rows.iter().map(|x| x * times).collect();
        npz::write(&at(name), &Tensors::from([("x".to_string(), Tensor::f32(&[4, 3], &rows))])).unwrap();
    }
    fs::write(at("labels.txt"), "cat\ndog\nfish\n").unwrap();
    dir
}

fn compare(dir: &Path, more: &[&str]) -> Run {
    let at = |name: &str| dir.join(name).display().to_string();
    let (other, one, two, labels) =
        (format!("ort@{}", at("other.onnx")), at("one.npz"), at("two.npz"), at("labels.txt"));
    let words = ["-c", &other, "-i", &one, "-i", &two, "--labels", &labels, "--rtol", "0"];
    layerdiff("compare", &dir.join("model.onnx"), &[&words[..], more].concat())
}

#[test]
fn changed_decisions_are_told_by_name() {
    let dir = workplace(0.3);
    let run = compare(dir.path(), &["--atol", "0.31", "--atol", "class=1"]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let report = run.report();
    let [scores, class] = &report.decisions[..] else { panic!("{:?}", report.decisions) };
    assert_eq!((scores.kind, scores.asked, scores.rows, scores.changed), (DecisionKind::Scores, true, 8, 1));
    assert_eq!((class.kind, class.asked, class.rows, class.changed), (DecisionKind::Labels, true, 8, 1));
    let row = &scores.worst[0];
    assert_eq!((row.sample, row.at.as_slice(), row.near_tie), (0, &[1][..], Some(true)));
    assert_eq!(row.told(), "'cat' 3.00 -> 'dog' 3.20");
    let told = "1 of 8 decisions changed in \"scores\": row 1 of sample 0: 'cat' 3.00 -> 'dog' 3.20 (near-tie)";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    assert!(
        run.stdout.contains("1 of 8 labels changed in \"class\": [1] of sample 0: 'cat' -> 'dog'"),
        "{}",
        run.stdout
    );
    for page in ["out/report.html", "out/report.md"] {
        let text = fs::read_to_string(run.dir.path().join(page)).unwrap();
        assert!(text.contains("What the outputs decide") && text.contains("near-tie"), "{page}");
    }
}

#[test]
fn the_worst_sample_and_row_are_named() {
    let dir = workplace(0.6);
    let run = compare(dir.path(), &["--atol", "0.5", "--atol", "class=1"]);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let report = run.report();
    assert_eq!(report.samples.iter().map(|s| s.status).collect::<Vec<_>>(), [Status::Diverges; 2]);
    let rows = report.samples[0].outputs[0].rows.as_ref().unwrap();
    assert_eq!((rows.of, rows.diverge), (4, 4));
    assert!(run.stdout.contains("2 of 2 samples diverge, the worst is sample"), "{}", run.stdout);
    assert!(run.stdout.contains("4 of 4 rows diverge, the worst is row"), "{}", run.stdout);
    // Changed in two rows of the first sample: by a margin of 0.5 and of 0.1, which two tolerances allow.
    assert_eq!((report.decisions[0].changed, report.decisions[0].near_ties), (2, 2));
    let ranked = compare(dir.path(), &["--metric", "scores:topk=1", "--atol", "class=1"]);
    let report = ranked.report();
    assert_eq!((ranked.status, report.metrics.as_slice()), (1, &["scores:topk=1".to_string()][..]));
    let rows: Vec<_> = report.samples.iter().map(|s| s.outputs[0].rows.clone().unwrap()).collect();
    assert_eq!(rows.iter().map(|rows| (rows.diverge, rows.worst)).collect::<Vec<_>>(), [(2, Some(1)), (0, None)]);
    assert_eq!(report.samples[1].status, Status::Agrees);
}

#[test]
fn names_that_fit_nothing_are_told() {
    let dir = workplace(0.0);
    fs::write(dir.path().join("labels.txt"), "{\"cat\": 0}").unwrap();
    let run = compare(dir.path(), &[]);
    assert!(run.status == 2 && run.stderr.contains("labels.txt") && run.stderr.contains("no index"), "{}", run.stderr);
    let labels = dir.path().join("labels.txt");
    fs::write(&labels, "cat\ndog\n").unwrap();
    let words = ["-c", "ort", "--labels", labels.to_str().unwrap(), "--outputs", "scores"];
    let run = layerdiff("compare", &dir.path().join("model.onnx"), &words);
    assert!(run.status == 0 && run.stdout.contains("--labels names 2 classes, and no output"), "{}", run.stdout);
}

/// What judges by the largest difference over all outputs, and tells it.
const LARGEST: &str = "import sys, numpy as np
r, c = np.load(sys.argv[1]), np.load(sys.argv[2])
print(sorted(r.files)); print(max(np.abs(r[k].astype('f8') - c[k]).max() for k in r.files))
sys.exit(float(max(np.abs(r[k].astype('f8') - c[k]).max() for k in r.files)) > float(sys.argv[3]))";

fn largest(dir: &Path, most: f64) -> String {
    let script = dir.join("largest.py");
    fs::write(&script, LARGEST).unwrap();
    let python = root().join("target/venv/bin/python");
    format!("{} {} {{reference}} {{candidate}} {most}", python.display(), script.display())
}

#[test]
fn a_command_judges_all_outputs_together() {
    let dir = workplace(0.3);
    let check = |command: &str, status: i32, verdict: Verdict, value: Option<f64>| {
        let run = compare(dir.path(), &["--metric-command", command]);
        let report = run.report();
        assert_eq!((run.status, report.verdict), (status, verdict), "{command}: {}{}", run.stdout, run.stderr);
        let said = report.metric_command.clone().unwrap();
        assert_eq!((said.command.as_str(), said.value.map(|v| v.0)), (command, value));
        assert!(report.samples.is_empty(), "all samples were judged together");
        report
    };
    let report = check(&largest(dir.path(), 2.0), 0, Verdict::Agreed, Some(1.0));
    assert!(report.outputs.iter().all(|o| o.status == Status::Agrees));
    let report = check(&largest(dir.path(), 0.5), 1, Verdict::Diverged, Some(1.0));
    assert_eq!(report.outputs.iter().map(|o| o.status).collect::<Vec<_>>(), [Status::Diverges; 2]);
    let report = check("exit 5; {reference} {candidate}", 3, Verdict::Inconclusive, None);
    assert!(report.why.unwrap().contains("the --metric-command gave no answer: exit status 5"));
    let run = compare(dir.path(), &["--metric-command", "true {reference}"]);
    assert!(run.status == 2 && run.stderr.contains("it lacks {candidate}"), "{}", run.stderr);
    let run = compare(dir.path(), &["--metric-command", "true {reference} {candidate}", "--metric", "max=1"]);
    assert!(run.status == 2 && run.stderr.contains("cannot be used with"), "{}", run.stderr);
}

/// The outputs are judged as a whole: where every one of them is within the tolerance, all of them diverge, and no node is
/// accused by another measure than that of the tensors inside.
#[test]
fn who_is_judged_by_another_measure_is_not_accused() {
    let dir = workplace(0.3);
    let (other, one) = (dir.path().join("other.onnx"), dir.path().join("one.npz"));
    let bisect = |more: &[&str]| {
        let other = format!("ort@{}", other.display());
        let words = ["-c", &other, "-i", one.to_str().unwrap(), "--atol", "1", "--atol", "class=2", "--no-overrides"];
        layerdiff("bisect", &dir.path().join("model.onnx"), &[&words[..], more].concat())
    };
    for more in [["--metric", "scores:max=0.1"], ["--metric-command", "false {reference} {candidate}"]] {
        let run = bisect(&more);
        let report = run.report();
        assert_eq!((run.status, report.culprits.len()), (1, 0), "{more:?}: {}", run.stdout);
        let why = report.why.unwrap();
        assert!(why.contains("within the tolerance, so that no node is accused"), "{why}");
    }
}

#[test]
fn overrides_are_verified_by_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let largest = largest(dir.path(), 0.1);
    let run = case("layernorm_overflow", &["-c", "ort:fp16", "--no-reduce", "--metric-command", &largest]);
    let report = run.report();
    let cure = report.overrides.as_ref().unwrap();
    assert!(run.status == 1 && cure.verified && !cure.nodes.is_empty(), "{}", run.stdout);
    assert!(report.metric_command.unwrap().value.unwrap().0 > 1.0);
    let never = "exit 1; {reference} {candidate}";
    let never = case("layernorm_overflow", &["-c", "ort:fp16", "--no-reduce", "--metric-command", never]);
    assert!(!never.report().overrides.unwrap().verified, "{}", never.stdout);
}

/// No command is asked about outputs with NaN or infinities that the reference has not.
#[test]
fn nan_comes_before_every_judge() {
    let inputs = testdata("mask_scaled_twice/inputs.npz").display().to_string();
    let model = testdata("mask_scaled_twice/model.onnx");
    let plain = layerdiff("compare", &model, &["-c", "ort:fp16", "-i", &inputs]).report();
    let nan = |report: &layerdiff::found::Report| {
        report.outputs.iter().any(|o| o.metrics.as_ref().is_some_and(|m| m.breaks()))
    };
    assert!(nan(&plain), "the case has no NaN");
    for judge in [["--metric", "max=1e30"], ["--metric-command", "true {reference} {candidate}"]] {
        let run = layerdiff("compare", &model, &[&["-c", "ort:fp16", "-i", &inputs][..], &judge].concat());
        assert_eq!((run.status, run.report().metric_command), (1, None), "{}", run.stdout);
    }
}
