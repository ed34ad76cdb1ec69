//! Bad input gets one sentence that says what and where, exit status 2 or 3, and never a panic.

mod common;

#[cfg(unix)]
#[path = "bad_input/files.rs"]
mod files;
#[cfg(unix)]
#[path = "bad_input/names.rs"]
mod names;
#[cfg(unix)]
#[path = "bad_input/pipes.rs"]
mod pipes;

use std::path::Path;
use std::process::Command;

use common::{layerdiff, testdata};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    model: String,
    inputs: String,
    exit: Vec<i32>,
    mentions: Vec<String>,
}

fn check(model: &Path, args: &[&str], exit: &[i32], mentions: &[&str]) -> Result<(), String> {
    let run = layerdiff("bisect", model, args);
    let what = format!("{} {args:?}: exit status {}, stderr: {}", model.display(), run.status, run.stderr);
    let one_sentence = run.stderr.lines().count() <= 1 && !run.stderr.contains("panicked");
    let agreed = exit == [0];
    if !exit.contains(&run.status) || (!agreed && !one_sentence) {
        return Err(what);
    }
    match mentions.iter().find(|m| !run.stderr.contains(*m) && !run.stdout.contains(*m)) {
        Some(missing) => Err(format!("{what}\ndoes not mention '{missing}'")),
        None => Ok(()),
    }
}

/// The exit status, and what was said on stderr.
fn outcome(command: &mut Command) -> (i32, String) {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn damaged_files() {
    let text = std::fs::read_to_string(testdata("bad/cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|c| {
            let inputs = testdata("bad").join(&c.inputs).display().to_string();
            let mentions: Vec<&str> = c.mentions.iter().map(String::as_str).collect();
            check(
                &testdata("bad").join(&c.model),
                &["--candidate", "ort:fp16", "--inputs", &inputs],
                &c.exit,
                &mentions,
            )
            .err()
        })
        .collect();
    assert!(cases.len() > 10 && faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
fn wrong_usage() {
    let model = testdata("layernorm_overflow/model.onnx");
    let inputs = testdata("layernorm_overflow/inputs.npz").display().to_string();
    let with = |candidate: &str, exit: i32, mentions: &[&str]| {
        check(&model, &["--candidate", candidate, "--inputs", &inputs], &[exit], mentions).unwrap();
    };
    with("ort:int8", 2, &["int8 cannot be emulated"]);
    with("ort-nowhere", 2, &["'nowhere' is unknown", "--ep-library"]);
    with("ort-cudaa", 2, &["did you mean 'ort-cuda'?"]);
    with("ort-openvino:int8", 2, &["cannot make a model of int8"]);
    with("ort@absent.onnx", 2, &["absent.onnx"]);
    with("saved:absent.npz", 2, &["absent.npz"]);
    with("exec:false {model} {inputs} {outputs}", 3, &["false"]);
    with("exec:cp {inputs} {outputs} # {model}", 3, &["y"]);
    with("exec:kill -SEGV $$; {model} {inputs} {outputs}", 3, &["crashed"]);
    check(&model, &["--candidate", "ort:fp16", "--inputs", "absent.npz"], &[2], &["absent.npz"]).unwrap();
    check(&model, &["--inputs", &inputs, "--outputs", "nothing"], &[2], &["'nothing'"]).unwrap();
    check(&model, &["--inputs", &inputs, "--shape", "x=1"], &[2], &["--shape"]).unwrap();
    check(&model, &["--inputs", &inputs, "--ort-library", "/absent.so"], &[3], &["/absent.so"]).unwrap();
}

#[test]
fn dynamic_dimensions_are_asked_for_by_name() {
    let model = testdata("dynamic_batch/model.onnx");
    check(&model, &["--candidate", "ort:fp16"], &[2], &["--shape"]).unwrap();
}

#[test]
fn nothing_is_written_for_bad_input() {
    let run = layerdiff("bisect", &testdata("bad/cycle.onnx"), &[]);
    assert_eq!((run.status, run.wrote("report.json"), run.wrote("journal.jsonl")), (2, false, false), "{}", run.stderr);
}

/// Names that nobody has, wherever a flag takes one: what may have been meant, and in which model it was looked for.
#[test]
fn unknown_names_lead_to_the_known_ones() {
    let model = testdata("layernorm_overflow/model.onnx");
    let two = testdata("two_faults_two_branches/model.onnx").display().to_string();
    let with = |args: &[&str], mentions: &[&str]| {
        let named = [&["layernorm_overflow"], mentions].concat();
        check(&model, &[&["-c", "ort:fp16"], args].concat(), &[2], &named).unwrap();
    };
    for flag in ["--atol", "--rtol"] {
        with(&[flag, "relu_out=1"], &[flag, "no tensor 'relu_out'", "'relu1_out'"]);
        with(&[flag, "relu1=1"], &["a node of that name, which makes 'relu1_out'"]);
        with(&[flag, "x=1"], &["is an input"]);
        with(&[flag, "nosuch=1"], &["no tensor 'nosuch'", "inspect MODEL --nodes"]);
    }
    with(&["--outputs", "y,fc1_bais_out"], &["--outputs", "did you mean 'fc1_bias_out'"]);
    with(&["--outputs", "ln_pow"], &["which makes 'ln_pow_out'"]);
    with(&["--profile", "X=1:1:1"], &["--profile", "did you mean 'x'?"]);
    with(&["--metric", "yy:max=1"], &["--metric yy:max=1", "no judged output 'yy'", "there are y"]);
    with(&["--metric", "relu1_out:topk=1"], &["no judged output 'relu1_out'"]);
    with(&["--metric", "y:topk=8"], &["rows of 8", "judged by the tolerance"]);
    with(&["--metric", "topk=9"], &["is for no output of", "of 'y', topk=9"]);
    with(&["--metric", "cosine=0.9", "--metric", "y:max=1"], &["--metric cosine=0.9: every output of"]);
    with(&["--shape", "xx=1x2"], &["--shape", "no input 'xx'", "'x'"]);
    with(&["--range", "input=0..1"], &["--range", "no input 'input'", "'x'"]);
    check(&model, &["-c", &format!("ort@{two}"), "--outputs", "fc1_out"], &[2], &["two_faults_two_branches"]).unwrap();
    // What exists is taken.
    check(&model, &["-c", "ort", "--atol", "relu1_out=1", "--rtol", "y=1"], &[0], &[]).unwrap();
    check(&model, &["-c", "ort", "--metric", "relu1_out:topk=3", "--outputs", "relu1_out"], &[0], &[]).unwrap();
}
