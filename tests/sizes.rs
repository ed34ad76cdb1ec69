//! `--sweep` and `--batch-check`: the smallest size that fails, the row, and the node, in files that are wrong at some sizes only.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, layerdiff, program, python, run_python};
use layerdiff::found::{Verdict, json};

/// Writes the two models of `tests/sizes/faults.py`; the node that is wrong.
fn faulty(kind: &str, seed: u32, dir: &Path) -> String {
    run_python(["tests/sizes/faults.py", kind, &seed.to_string(), dir.to_str().unwrap()])
}

fn run(command: &str, dir: &Path, args: &[&str]) -> Run {
    let candidate = format!("ort@{}", dir.join("candidate.onnx").display());
    layerdiff(command, &dir.join("model.onnx"), &[&["-c", &candidate], args].concat())
}

fn check(kind: &str, args: &[&str], want: &[(&str, usize)]) {
    let dir = tempfile::tempdir().unwrap();
    let victim = faulty(kind, 5, dir.path());
    let args = [args, &["--no-reduce", "--no-overrides"]].concat();
    let ran = run("bisect", dir.path(), &args);
    let report = ran.report();
    assert_eq!((ran.status, report.culprits[0].node.name.as_str()), (1, victim.as_str()), "{kind}: {}", ran.stdout);
    let size = report.first_bad_size.unwrap_or_default();
    let size: Vec<(&str, usize)> = size.iter().map(|(dim, n)| (dim.as_str(), *n)).collect();
    assert_eq!(size, want, "{kind}");
    assert!(report.sweep.iter().any(|tried| tried.verdict == Verdict::Agreed), "{kind}");
    assert!(ran.stdout.contains(" at ") && ran.stdout.contains("size"), "{}", ran.stdout);
}

#[test]
fn the_smallest_size_that_fails() {
    check("odd", &["--sweep", "seq=2..9", "--sweep", "batch=2"], &[("batch", 2), ("seq", 3)]);
    check("batch", &["--sweep", "batch=1,2,4", "--shape", "x=1x6x8"], &[("batch", 2)]);
}

/// More sizes than one part has: what the parts gave stands, and nothing is run for it again.
#[test]
fn a_sweep_that_agrees_is_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    faulty("odd", 5, dir.path());
    let model = dir.path().join("model.onnx");
    let ran = layerdiff("bisect", &model, &["-c", "ort", "--sweep", "seq=2..30", "--sweep", "batch=2"]);
    let report = ran.report();
    assert_eq!((ran.status, report.verdict, report.sweep.len()), (0, Verdict::Agreed, 29), "{}", ran.stdout);
    assert!(report.sweep.iter().all(|tried| tried.verdict == Verdict::Agreed));
    assert_eq!(report.outputs.len(), report.sweep[28].outputs.len());
    assert!(report.outputs.iter().all(|output| output.metrics.is_some()), "{}", ran.stdout);
    let table = layerdiff("compare", &model, &["-c", "ort", "--sweep", "seq=2..30", "--sweep", "batch=2"]);
    let (once, twice) = (format!("{:?}", report.outputs), format!("{:?}", table.report().outputs));
    assert_eq!((table.status, once), (0, twice), "{}", table.stdout);
}

#[test]
fn the_row_that_is_another_one_in_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let victim = faulty("row2", 3, dir.path());
    let args = ["--batch-check", "--shape", "x=1x6x8", "--no-reduce", "--no-overrides"];
    let ran = run("bisect", dir.path(), &args);
    let report = ran.report();
    let batch = report.batch.unwrap();
    assert_eq!((batch.rows, batch.first_bad_row), (4, Some(2)), "{}", ran.stdout);
    assert_eq!((batch.reference.verdict, batch.candidate.verdict), (Verdict::Agreed, Verdict::Diverged));
    assert_eq!((ran.status, report.culprits[0].node.name.as_str()), (1, victim.as_str()));
    assert!(ran.stdout.contains("row 2 of a batch of 4 is not what it is alone"), "{}", ran.stdout);
    let healthy = layerdiff(
        "compare",
        &dir.path().join("model.onnx"),
        &["-c", "ort:fp16", "--batch-check", "--shape", "x=2x6x8"],
    );
    assert_eq!((healthy.status, healthy.report().batch.unwrap().candidate.verdict), (0, Verdict::Agreed));
}

/// A size that one side refuses is no agreement, and is told.
#[test]
fn a_size_without_an_answer_is_told() {
    let dir = tempfile::tempdir().unwrap();
    faulty("odd", 1, dir.path());
    let model: PathBuf = dir.path().join("model.onnx");
    let python = python();
    let program = dir.path().join("small.py");
    let text = "import sys, numpy as np, onnxruntime as rt\n\
                m, i, o = sys.argv[1:]\n\
                x = dict(np.load(i))\n\
                if x['x'].shape[1] > 4: sys.exit('the profile ends at 4')\n\
                s = rt.InferenceSession(m)\n\
                np.savez(o, **dict(zip([v.name for v in s.get_outputs()], s.run(None, x))))\n";
    std::fs::write(&program, text).unwrap();
    let candidate = format!("exec:'{}' '{}' {{model}} {{inputs}} {{outputs}}", python.display(), program.display());
    let ran = layerdiff("compare", &model, &["-c", &candidate, "--sweep", "seq=2,4,6", "--shape", "x=1x4x8"]);
    let report = ran.report();
    let verdicts: Vec<Verdict> = report.sweep.iter().map(|tried| tried.verdict).collect();
    assert_eq!(verdicts, [Verdict::Agreed, Verdict::Agreed, Verdict::Inconclusive], "{}", ran.stderr);
    assert_eq!((ran.status, report.verdict), (3, Verdict::Inconclusive));
    assert!(report.why.unwrap().contains("seq=6") && ran.stdout.contains("the profile ends at 4"), "{}", ran.stdout);
}

/// Rows that are known when somebody stops the run are in the report, and on stdout.
#[test]
fn a_sweep_that_is_stopped_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    faulty("odd", 1, dir.path());
    let (report, model) = (dir.path().join("out/report.json"), dir.path().join("model.onnx"));
    let sizes = ["--sweep", "seq=2..100", "--sweep", "batch=1..100"];
    let mut run = program();
    run.args(["compare", "-c", "ort:fp16"]).args(sizes).arg(model).arg("-o").arg(dir.path().join("out"));
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let rows = || json::read(&report).map_or(0, |report| report.sweep.len());
    let begun = Instant::now();
    while rows() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no row was written");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    let (said, report) = (String::from_utf8_lossy(&output.stdout), json::read(&report).unwrap());
    assert_eq!((output.status.code(), report.why.as_deref()), (Some(3), Some("interrupted")), "{said}");
    assert!(report.warnings.iter().any(|note| note.ends_with("of 9900 sizes were tried when this was written")));
    assert!(!report.sweep.is_empty() && said.contains("batch=1, seq=2") && said.contains("interrupted"), "{said}");
}

#[test]
fn what_is_no_size_is_told() {
    let dir = tempfile::tempdir().unwrap();
    faulty("odd", 1, dir.path());
    for (args, want) in [
        (&["--sweep", "sec=1,2"][..], "did you mean 'seq'"),
        (&["--sweep", "x:2=1,2", "--shape", "x=1x4x8"], "fixes that axis at 8"),
        (&["--sweep", "seq"], "is no sweep"),
        (&["--sweep", "seq=1", "--sweep", "seq=2"], "is there twice"),
        (&["--sweep", "seq=1", "--sweep", "x:1=2"], "is there twice"),
        (&["--sweep", "seq=9223372036854775807", "--shape", "x=1x4x8"], "does not fit into memory"),
        (&["--sweep", "seq=1,2", "--samples", "2", "--shape", "x=1x2x8"], "there are 2; give one"),
    ] {
        let ran = run("compare", dir.path(), args);
        assert_eq!((ran.status, ran.stderr.contains(want)), (2, true), "{args:?}: {}", ran.stderr);
    }
}
