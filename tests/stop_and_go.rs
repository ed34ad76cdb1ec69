//! Ctrl-C leaves a valid partial report within a second, and `--resume` goes on from the journal.

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{bisect, program, testdata};
use layerdiff::report::{Report, Verdict};

#[test]
fn an_interrupted_run_leaves_a_valid_report() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = program()
        .args(["bisect", "--candidate", "exec:sleep 60; true {model} {inputs} {outputs}", "--inputs"])
        .arg(testdata("layernorm_overflow/inputs.npz"))
        .arg(testdata("layernorm_overflow/model.onnx"))
        .arg("-o")
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let signalled = Instant::now();
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let status = run.wait().unwrap();
    // Generous, for a machine that does much else; the program itself gives up after 0.7 s.
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
    assert_eq!(status.code(), Some(3));
    let text = std::fs::read(dir.path().join("report.json")).unwrap();
    let report: Report = serde_json::from_slice(&text).unwrap();
    assert_eq!((report.verdict, report.why.as_deref()), (Verdict::Inconclusive, Some("interrupted")));
    assert_eq!(report.model.opset, 13);
}

#[test]
fn a_search_goes_on_from_its_journal() {
    let (model, inputs) = (testdata("matmul_add_sub_65504/model.onnx"), testdata("matmul_add_sub_65504/inputs.npz"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let search = |more: &[&dyn AsRef<std::ffi::OsStr>]| {
        let mut command = program();
        command.args(["bisect", "--strategy", "bisect", "--marks", "1", "--candidate", "ort:fp16", "--inputs"]);
        command.arg(&inputs).arg(&model).arg("-o").arg(&out).args(more.iter().map(|a| a.as_ref()));
        let output = command.output().unwrap();
        let text = std::fs::read(out.join("report.json")).unwrap();
        let report: Report = serde_json::from_slice(&text).unwrap();
        (output.status.code(), report, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, first, _) = search(&[]);
    assert_eq!((status, first.culprits[0].node.name.as_str()), (Some(1), "add"));
    let (status, again, _) = search(&[&"--resume"]);
    assert_eq!((status, again.culprits[0].node.name.as_str()), (Some(1), "add"));
    let (before, after) = (first.search.candidate_runs, again.search.candidate_runs);
    assert!(after < before, "{after} runs after --resume, {before} before");
    let (status, _, stderr) = search(&[&"--resume", &"--atol", &"1"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("another model, candidate, input or tolerance"), "{stderr}");
}

#[test]
fn nothing_to_resume_is_said() {
    let model = testdata("matmul_add_sub_65504/model.onnx");
    let run = bisect(&model, &[&"--inputs", &testdata("matmul_add_sub_65504/inputs.npz"), &"--resume"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("nothing to resume"), "{}", run.stderr);
}
