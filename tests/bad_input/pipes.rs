//! Whoever reads stdout or stderr may leave: the exit status is that of the answer all the same.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::common::{program, testdata};

/// Runs it with a pipe that nobody reads as its stdout, its stderr, or both.
#[track_caller]
fn check(command: &mut Command, want: i32) {
    let deaf = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    for (out, err) in [(true, false), (false, true), (true, true)] {
        command.stdin(Stdio::null());
        command.stdout(if out { deaf() } else { Stdio::null() });
        command.stderr(if err { deaf() } else { Stdio::null() });
        let status = command.status().unwrap();
        assert_eq!(status.code(), Some(want), "{command:?}, stdout deaf: {out}, stderr deaf: {err}");
    }
}

#[test]
fn a_reader_who_leaves_changes_no_status() {
    let home = tempfile::tempdir().unwrap();
    let (model, inputs) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    let run = |command: &str, candidate: &str| {
        let mut program = program();
        program.arg(command).arg(&model).arg("-i").arg(&inputs).args(["-c", candidate]);
        program.arg("-o").arg(home.path().join("out"));
        program
    };
    check(&mut run("bisect", "ort:fp16"), 1);
    check(run("compare", "ort:fp16").arg("--json"), 1);
    check(&mut run("compare", "ort"), 0);
    check(&mut run("bisect", "exec:false {model} {inputs} {outputs}"), 3);
    check(&mut run("bisect", "ort@absent.onnx"), 2);
    check(&mut run("bisect", "nothing"), 2);
    check(program().arg("inspect").arg(&model), 0);
    check(program().args(["report", "--schema"]), 0);
    check(program().arg("man"), 0);
    check(program().arg("--help"), 0);
    // Notes on stderr.
    check(program().arg("convert").arg(&model).args(["--to", "bf16", "-o"]).arg(home.path().join("m.onnx")), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let home = tempfile::tempdir().unwrap();
    let mut command = program();
    command.arg("compare").arg(testdata("layernorm_overflow/model.onnx")).arg("-o").arg(home.path().join("out"));
    let output = command.stdout(File::create("/dev/full").unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.starts_with("layerdiff: cannot write to stdout: No space left") && said.lines().count() == 1,
        "{said}"
    );
}
