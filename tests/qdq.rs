//! `layerdiff bisect` on QDQ candidates, end to end: which nodes to leave unquantised, the model without their pairs, and
//! the lists that make a real quantiser do the same.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Run, bisect, layerdiff, real_model, root, testdata};
use layerdiff::found::{Overrides, Verdict};
use layerdiff::load::Model;
use prost::Message;
use serde_json::Value;

fn candidate(path: &Path) -> String {
    format!("ort@{}", path.display())
}

fn overrides(run: &Run) -> Overrides {
    run.report().overrides.unwrap_or_else(|| panic!("no overrides\n{}", run.stderr))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Does this model agree with the reference?
fn verdict(model: &Path, quantised: &Path, inputs: &Path, tolerance: &[&str]) -> Verdict {
    let candidate = candidate(quantised);
    let args = [&["-c", &candidate, "-i", inputs.to_str().unwrap()], tolerance].concat();
    let run = layerdiff("compare", model, &args);
    assert!(run.status <= 1, "{}", run.stderr);
    run.report().verdict
}

fn python() -> Command {
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    Command::new(python)
}

fn python_says(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_reader_of_a_bad_pair_is_left_unquantised() {
    let case = testdata("qdq_bad_scale");
    let (model, inputs) = (case.join("model.onnx"), case.join("inputs.npz"));
    let run = bisect(&model, &[&"-c", &candidate(&case.join("candidate.onnx")), &"-i", &inputs]);
    let found = overrides(&run);
    assert_eq!(found.nodes, ["conv2"]);
    assert!(found.verified && found.minimal && found.error_after.0 < 0.01 && found.error_before.0 > 0.5, "{found:?}");
    assert_eq!(found.of, 5);
    let told = found.why.unwrap();
    assert!(told.starts_with("'relu1_out' has a scale 48.2 times too small for its values: calibrate again"), "{told}");

    assert_eq!(verdict(&model, Path::new(&found.files["onnx"]), &inputs, &[]), Verdict::Agreed);
    let mixed = Model::load(Path::new(&found.files["onnx"])).unwrap().proto.graph.unwrap();
    let left = mixed.node.iter().filter(|n| n.op_type() == "DequantizeLinear").count();
    assert_eq!((left, mixed.initializer.iter().any(|t| t.name() == "relu1_out_scale")), (7, false));

    let told = json(&found.files["onnxruntime"]);
    assert_eq!(told["nodes_to_exclude"], serde_json::json!(["conv2"]));
    let arguments = std::fs::read_to_string(&found.files["modelopt"]).unwrap();
    assert!(arguments.ends_with("--nodes_to_exclude\n^conv2\\Z\n"), "{arguments}");
    let listed = json(&found.files["nodes"]);
    assert_eq!(listed["removed"], serde_json::json!(["relu1_out", "conv2_w", "conv2_b"]));
    assert_eq!(
        (&listed["misfits"][0]["tensor"], &listed["misfits"][0]["removed"]),
        (&"relu1_out".into(), &true.into())
    );

    let losses = json(&found.files["qdq_loss"]);
    let losses = losses["tensors"].as_array().unwrap();
    let of = |tensor: &str| losses.iter().find(|row| row["tensor"] == tensor).unwrap();
    assert_eq!((losses.len(), &losses[0]), (10, of("relu1_out")));
    let number = |row: &Value, keys: &[&str]| keys.iter().fold(row, |v, k| &v[*k]).as_f64().unwrap();
    let bad = of("relu1_out");
    assert!(number(bad, &["clip_fraction"]) > 0.4 && number(bad, &["scale_ratio"]) < 0.03, "{bad}");
    // What follows is wrong too, but not by its own pair.
    let next = of("relu2_out");
    assert!(number(next, &["quantisation", "relative_rms"]) < 0.01, "{next}");
    assert!(number(next, &["accumulated", "relative_rms"]) > 0.5, "{next}");
    // An output of the model, which has its name behind the pair only.
    assert_eq!(of("logits_QuantizeLinear_Input")["nodes"], serde_json::json!(["fc"]));
    assert!(of("logits_QuantizeLinear_Input")["quantisation"].is_object());

    let rows = run.report().sensitivity;
    assert_eq!((rows[0].node.as_str(), rows[0].tensor.as_str(), rows.len()), ("conv2", "relu1_out", 5));
    let promoted: Vec<f64> = rows.iter().map(|r| r.promoted.unwrap().0).collect();
    assert!(promoted[0] < 0.01 && promoted[1..].iter().all(|p| *p > 0.5), "{promoted:?}");
}

/// What is kept in FP32 in other models is left unquantised here, and the others are quantised, whatever says so.
#[test]
fn reports_speak_of_quantisation() {
    let case = testdata("qdq_bad_scale");
    let candidate = candidate(&case.join("candidate.onnx"));
    let run = bisect(&case.join("model.onnx"), &[&"-c", &candidate, &"-i", &case.join("inputs.npz"), &"--no-reduce"]);
    let file = |name: &str| std::fs::read_to_string(run.dir.path().join("out").join(name)).unwrap();
    let page = file("report.html");
    let [cure, sensitivity] = ["cure", "sensitivity"].map(|id| {
        let start = page.find(&format!("<section id=\"{id}\">")).unwrap();
        page[start..start + page[start..].find("</section>").unwrap()].to_string()
    });
    // The chart has words of its own.
    let card = cure.split("<svg").next().unwrap();
    let texts = [&run.stdout, &file("report.md"), card, &sensitivity, &file("overrides/README.md")];
    for text in texts {
        assert!(!text.contains("in FP32") && !text.contains("float16") && !text.contains("AutoCast"), "{text}");
    }
    assert!(texts[..4].iter().all(|text| text.contains("left unquantised")), "{texts:#?}");
    assert!(card.contains("all others quantised") && card.contains("without the Q/DQ pairs of these nodes"), "{card}");
    assert!(texts[..3].iter().all(|text| words_of(text).contains("a scale 48.2 times too small")), "{texts:#?}");
}

/// One space between words, wherever a line was broken.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_healthy_one_needs_nothing() {
    let case = testdata("qdq_healthy");
    let (model, inputs) = (case.join("model.onnx"), case.join("inputs.npz"));
    let run = bisect(&model, &[&"-c", &candidate(&case.join("candidate.onnx")), &"-i", &inputs]);
    assert_eq!((run.report().verdict, run.wrote("overrides")), (Verdict::Agreed, false));
    assert!(run.report().overrides.is_none());
}

#[test]
fn a_healthy_one_tells_which_layers_lose_most() {
    let case = testdata("qdq_healthy");
    let candidate = candidate(&case.join("candidate.onnx"));
    let inputs = case.join("inputs.npz");
    let run = bisect(&case.join("model.onnx"), &[&"-c", &candidate, &"-i", &inputs, &"--sensitivity", &"2"]);
    let report = run.report();
    assert_eq!((run.status, report.verdict, report.sensitivity.len()), (0, Verdict::Agreed, 2));
    assert!(report.sensitivity.iter().all(|row| row.promoted.is_some() && row.demoted.is_none()), "{report:?}");
    assert!(run.stdout.contains("alone left unquantised") && !run.stdout.contains("in FP32"), "{}", run.stdout);
}

#[test]
fn what_quantisation_did_not_break_is_not_blamed_on_it() {
    let case = testdata("qdq_healthy");
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Model::load(&case.join("candidate.onnx")).unwrap().proto;
    let relu = wrong.graph.as_mut().unwrap().node.iter_mut().find(|n| n.name() == "relu1").unwrap();
    relu.op_type = Some("Abs".into());
    let path = dir.path().join("wrong.onnx");
    std::fs::write(&path, wrong.encode_to_vec()).unwrap();
    let inputs = case.join("inputs.npz");
    let found = overrides(&bisect(&case.join("model.onnx"), &[&"-c", &candidate(&path), &"-i", &inputs]));
    assert!(found.nodes.is_empty() && !found.verified, "{found:?}");
    assert!(found.why.unwrap().contains("the outputs diverge even with"));
    assert_eq!(found.files.keys().collect::<Vec<_>>(), ["nodes", "qdq_loss", "readme"]);
}

/// A scale of a real model, so many times what it should be.
struct Spoilt<'a> {
    tensor: &'a str,
    factor: &'a str,
}

/// Quantises a real model with a spoilt scale; the readers of that tensor are to be found, the scale is to be told of, and
/// the quantiser, told of the readers, leaves it alone.
fn check(name: &str, scales: &str, Spoilt { tensor, factor }: Spoilt, tolerance: &[&str], want: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (model, inputs) = (real_model(&format!("{name}.onnx")), real_model(&format!("{name}.npz")));
    let quantise = |out: &PathBuf, tensor: &str, options: &[&str]| -> Vec<String> {
        let mut command = python();
        command.arg(root().join("tests/qdq/quantise.py")).args([&model, &inputs, out]);
        let printed = python_says(command.args([scales, tensor, factor]).args(options));
        printed.lines().map(str::to_string).collect()
    };
    let spoilt = dir.path().join("spoilt.onnx");
    let before = quantise(&spoilt, tensor, &[]);
    let candidate = candidate(&spoilt);
    let args = [&["-c", &candidate, "-i", inputs.to_str().unwrap(), "--no-reduce"], tolerance].concat();
    let run = layerdiff("bisect", &model, &args);
    let found = overrides(&run);
    assert_eq!(found.nodes, want);
    assert!(found.verified && found.minimal && found.error_after.0 < found.error_before.0 / 3.0, "{found:?}");
    let told = found.why.unwrap_or_default();
    assert!(told.contains(&format!("'{tensor}' has a scale")) && told.contains("calibrate again, and"), "{told}");

    let mixed = Path::new(&found.files["onnx"]);
    assert_eq!(verdict(&model, mixed, &inputs, tolerance), Verdict::Agreed);
    python_says(
        python().args(["-c", "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)"]).arg(mixed),
    );

    let again = dir.path().join("again.onnx");
    let after = quantise(&again, "", &[&found.files["onnxruntime"]]);
    assert!(before.contains(&tensor.to_string()) && !after.contains(&tensor.to_string()));
    assert!(after.len() * 10 > before.len() * 8, "{} of {} tensors are left", after.len(), before.len());
    assert_eq!(verdict(&model, &again, &inputs, tolerance), Verdict::Agreed);
}

fn too_small(tensor: &str) -> Spoilt<'_> {
    Spoilt { tensor, factor: "0.1" }
}

#[test]
fn a_spoilt_scale_of_one_reader() {
    check("cls", "channel", too_small("pool2d_9.tmp_0"), &[], &["GlobalAveragePool@9"]);
}

/// Other sets make the outputs agree as well: errors of quantisation cancel. The one with the spoilt tensor is wanted.
#[test]
fn a_scale_that_is_too_large() {
    let spoilt = Spoilt { tensor: "hardsigmoid_0.tmp_0", factor: "10" };
    check("cls", "channel", spoilt, &["--atol", "0.005", "--rtol", "0.005"], &["Mul@1"]);
}

#[test]
fn a_spoilt_scale_of_two_readers() {
    check("cls", "channel", too_small("elementwise_add_5"), &[], &["Conv@47", "Add@41"]);
}

#[test]
fn a_spoilt_scale_whose_relu_the_quantiser_left_out() {
    let want = ["conv_stage1_block1_branch2a/BiasAdd", "Add_4"];
    check("opennsfw", "tensor", too_small("Relu_12:0"), &["--atol", "0.005", "--rtol", "0.01"], &want);
}
