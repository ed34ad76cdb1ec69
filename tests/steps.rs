//! `--steps`: a decoder, fed by the reference and by its own outputs; the first step that fails, and the node.

mod common;

use std::path::Path;

use common::{Run, layerdiff, real_model, run_python};
use layerdiff::found::Verdict;

/// Writes the two models of `tests/steps/decoders.py`; the step that fails and the node that is wrong.
fn faulty(kind: &str, seed: u32, dir: &Path) -> (Option<usize>, String) {
    let said = run_python(["tests/steps/decoders.py", kind, &seed.to_string(), dir.to_str().unwrap()]);
    let (step, node) = said.split_once(' ').unwrap();
    (step.parse().ok(), node.to_string())
}

fn run(command: &str, dir: &Path, candidate: &str, args: &[&str]) -> Run {
    let prompt = dir.join("prompt.npz");
    layerdiff(command, &dir.join("model.onnx"), &[&["-c", candidate, "-i", prompt.to_str().unwrap()], args].concat())
}

fn check(kind: &str, seed: u32) {
    let dir = tempfile::tempdir().unwrap();
    let (step, node) = faulty(kind, seed, dir.path());
    let candidate = format!("ort@{}", dir.path().join("candidate.onnx").display());
    let ran = run("bisect", dir.path(), &candidate, &["--steps", "12", "--no-reduce", "--no-overrides"]);
    let report = ran.report();
    assert_eq!(
        (ran.status, report.culprits[0].node.name.as_str()),
        (1, node.as_str()),
        "{kind} {seed}: {}",
        ran.stdout
    );
    assert_eq!(report.steps.len(), 12);
    assert!(report.decoding.as_ref().unwrap().rules.iter().any(|rule| rule.contains("'logits'")), "{report:?}");
    match step {
        Some(step) => assert_eq!(report.first_bad_step, Some(step), "{kind} {seed}: {}", ran.stdout),
        None => {
            assert!(report.steps.iter().all(|step| step.verdict == Verdict::Agreed), "{}", ran.stdout);
            assert!(report.decoding.unwrap().drifts_from.is_some());
        }
    }
    assert!(ran.stdout.contains(" at step "), "{}", ran.stdout);
}

#[test]
fn a_position_that_is_wrong() {
    check("position", 1);
}

#[test]
fn a_mask_that_is_wrong_from_some_length_on() {
    check("mask", 4);
}

#[test]
fn a_projection_that_is_wrong_from_some_length_on() {
    check("late", 7);
}

/// No step shows it: it grows as it is fed back.
#[test]
fn a_cache_that_drifts() {
    check("drift", 2);
}

/// Without a cache, each step reads the whole text: the tokens are those of a loop by hand.
#[test]
fn a_decoder_without_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (_, tokens) = faulty("plain", 3, dir.path());
    let ran = run("compare", dir.path(), "ort:fp16", &["--steps", "6"]);
    let report = ran.report();
    let said: Vec<String> = report.steps.iter().map(|s| s.tokens.as_ref().unwrap().reference[0].to_string()).collect();
    assert_eq!(said.join(" "), tokens, "{}", ran.stdout);
    let empty = dir.path().join("empty.npz");
    let prompt = dir.path().join("prompt.npz");
    for (inputs, want) in [(vec![&empty], "is empty"), (vec![&prompt, &prompt], "one prompt, and there are 2")] {
        let mut args = vec!["-c", "ort:fp16", "--steps", "3"];
        inputs.iter().for_each(|path| args.extend(["-i", path.to_str().unwrap()]));
        let wrong = layerdiff("compare", &dir.path().join("model.onnx"), &args);
        assert_eq!((wrong.status, wrong.stderr.contains(want)), (2, true), "{}", wrong.stderr);
    }
}

#[test]
fn a_healthy_decoder_agrees_in_fp16_and_the_wiring_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    faulty("position", 1, dir.path());
    let ran = run("compare", dir.path(), "ort:fp16", &["--steps", "6"]);
    let report = ran.report();
    assert_eq!((ran.status, report.first_bad_step, report.steps.len()), (0, None, 6), "{}", ran.stdout);
    let tokens = report.steps[5].tokens.as_ref().unwrap();
    assert_eq!((tokens.reference.len(), &tokens.reference), (1, &tokens.own));
    for (args, want) in [
        (&["--steps", "3", "--feedback", "present_0_kee=past_0_key"][..], "did you mean 'present_0_key'"),
        (&["--steps", "3", "--token", "logits=ids"], "has no input 'ids'"),
        (&["--feedback", "a=b"], "--steps"),
        (&["--steps", "3", "--token", "logits"], "write OUTPUT=INPUT"),
    ] {
        let wrong = run("compare", dir.path(), "ort:fp16", args);
        assert_eq!((wrong.status, wrong.stderr.contains(want)), (2, true), "{args:?}: {}", wrong.stderr);
    }
}

/// There are 64 positions, and the prompt has four tokens: the step of the 65th is no answer, and those before it are.
#[test]
fn a_step_that_the_reference_fails_on_is_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    faulty("position", 1, dir.path());
    let ran = run("compare", dir.path(), "ort:fp16", &["--steps", "80"]);
    let report = ran.report();
    assert_eq!((ran.status, report.steps.len(), report.first_bad_step), (3, 62, None), "{}", ran.stderr);
    let (last, before) = report.steps.split_last().unwrap();
    assert!(before.iter().all(|step| step.verdict == Verdict::Agreed), "{}", ran.stdout);
    assert_eq!((last.step, last.verdict), (61, Verdict::Inconclusive));
    let why = report.why.unwrap();
    assert!(why.starts_with("step 61: the reference fails at this step: ") && why.contains("idx=64"), "{why}");
    // A step before it that is wrong is found all the same.
    let candidate = format!("ort@{}", dir.path().join("candidate.onnx").display());
    let ran = run("bisect", dir.path(), &candidate, &["--steps", "80", "--no-reduce", "--no-overrides"]);
    let report = ran.report();
    assert_eq!((ran.status, report.first_bad_step, report.culprits.len()), (1, Some(3), 1), "{}", ran.stdout);
}

/// A voice detector that hands out its state: nobody has to give the first one.
#[test]
fn a_state_that_nobody_gives_is_zeros() {
    let model = real_model("silero_openvino.onnx");
    let ran = layerdiff("compare", &model, &["-c", "ort:bf16", "--steps", "3"]);
    let report = ran.report();
    assert_eq!((ran.status, report.steps.len()), (0, 3), "{}{}", ran.stdout, ran.stderr);
    let rules = report.decoding.unwrap().rules;
    assert_eq!(rules, ["output 'stateN' becomes input 'state', which begins with zeros"]);
    // Nobody knows how large this one is but the user.
    let model = real_model("silero_half.onnx");
    let shapes = ["-c", "ort:bf16", "--steps", "2", "--shape", "input=1x576"];
    let ran = layerdiff("compare", &model, &shapes);
    assert_eq!((ran.status, ran.report().steps.len()), (0, 2), "{}{}", ran.stdout, ran.stderr);
    let model = real_model("silero_ifless.onnx");
    let ran = layerdiff(
        "compare",
        &model,
        &["-c", "ort", "--steps", "2", "--shape", "input=1x576", "--shape", "state=2x1x128"],
    );
    let rules = ran.report().decoding.unwrap().rules;
    assert_eq!(rules, ["output 'stateN' becomes input 'state', which begins with zeros"]);
}
