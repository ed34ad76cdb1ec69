//! `layerdiff bisect` on QDQ files that a setting of the real quantiser broke: the setting that cures it is found on the file, and
//! the quantiser, called again as the script says, makes a file that agrees.

mod common;

use std::path::Path;

use common::{layerdiff, python, root, run_python};
use layerdiff::found::{Overrides, Sure, Verdict};

/// Makes a model of `kind` and its broken file, wants these settings of it, and quantises the model with them.
fn check(kind: &str, want: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    run_python(["tests/qdq/settings.py", kind, dir.path().to_str().unwrap()]);
    let (model, inputs) = (file("model.onnx"), file("inputs.npz"));
    let inputs = inputs.to_str().unwrap();
    let candidate = format!("ort@{}", file("quantised.onnx").display());
    let run = layerdiff("bisect", &model, &["-c", &candidate, "-i", inputs, "--no-reduce"]);
    let found = run.report().overrides.unwrap_or_else(|| panic!("{}", run.stderr));
    let told: Vec<(&str, &str)> = found.settings.iter().map(|s| (s.setting.as_str(), s.detail.as_str())).collect();
    assert_eq!(told, want, "{found:?}");
    assert!(found.settings.iter().all(|s| s.verified) && found.settings_tried > 0, "{found:?}");
    assert!(run.stdout.contains("every node quantised"), "{}", run.stdout);
    let again = file("again.onnx");
    let [float, quantised] = [&model, &again].map(|path| path.to_str().unwrap());
    run_python([found.files["quantise"].as_str(), float, quantised, inputs]);
    assert_eq!(verdict(&model, &again, inputs), Verdict::Agreed);
    listed(&found);
}

fn verdict(model: &Path, quantised: &Path, inputs: &str) -> Verdict {
    let run = layerdiff("compare", model, &["-c", &format!("ort@{}", quantised.display()), "-i", inputs]);
    assert!(run.status <= 1, "{}", run.stderr);
    run.report().verdict
}

/// In the folder's list and on its page.
fn listed(found: &Overrides) {
    let read = |file: &str| std::fs::read_to_string(&found.files[file]).unwrap();
    let list: serde_json::Value = serde_json::from_str(&read("nodes")).unwrap();
    assert_eq!(list["settings"], serde_json::to_value(&found.settings).unwrap());
    let page = read("readme");
    assert!(page.contains("**quantise.py**") && page.contains(&found.settings[0].setting), "{page}");
}

#[test]
fn one_scale_for_channels_that_differ() {
    check("channel", &[("per_channel", "True: one scale for each output channel of 2 weights")]);
}

#[test]
fn no_setting_alone_is_enough() {
    let wide = ("TensorQuantOverrides", "16 bits for 'c'");
    check("channels", &[("per_channel", "True: one scale for each output channel of 1 weight"), wide]);
}

#[test]
fn a_tensor_that_needs_sixteen_bits() {
    check("wide", &[("TensorQuantOverrides", "16 bits for 'h'")]);
}

/// Bisects a product of integers against a processor without VNNI.
fn without_vnni(kind: &str) -> common::Run {
    let dir = tempfile::tempdir().unwrap();
    run_python(["tests/qdq/settings.py", kind, dir.path().to_str().unwrap()]);
    let double = root().join("tests/qdq/saturating.py");
    let double = format!("exec:'{}' '{}' {{model}} {{inputs}} {{outputs}}", python().display(), double.display());
    let inputs = dir.path().join("inputs.npz");
    let args = ["-c", &double, "-i", inputs.to_str().unwrap(), "--no-reduce", "--no-overrides"];
    layerdiff("bisect", &dir.path().join("model.onnx"), &args)
}

#[test]
fn pairs_that_saturate_are_seen_and_undone() {
    let run = without_vnni("integers");
    let report = run.report();
    let [culprit] = &report.culprits[..] else { panic!("{}", run.stdout) };
    let causes: Vec<(&str, Sure)> = culprit.diagnosis.iter().map(|d| (d.code.as_str(), d.sure)).collect();
    assert_eq!((culprit.node.name.as_str(), causes), ("product", vec![("u8s8-saturation", Sure::Shown)]));
    assert!(
        culprit.diagnosis[0].evidence.contains("with the exact product in its place, 'sums' agrees"),
        "{culprit:?}"
    );
}

/// 7 bits do not saturate: what is advised helps.
#[test]
fn seven_bits_do_not_saturate() {
    assert_eq!(without_vnni("small_integers").report().verdict, Verdict::Agreed);
}
