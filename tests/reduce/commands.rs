//! Candidates that are commands: cut out of, interrupted, gone on with.

use std::path::Path;

use layerdiff::found::{Report, Verdict};

use crate::bundle::Bundle;
use crate::common::{layerdiff, program, testdata};

/// A backend of one's own (examples/exec_backend.rs), whose `op` is off by a factor.
fn command(op: &str) -> String {
    let examples = Path::new(env!("CARGO_BIN_EXE_layerdiff")).parent().unwrap().join("examples/exec_backend");
    assert!(examples.exists(), "{} was not built", examples.display());
    format!("{} {{model}} {{inputs}} {{outputs}} --wrong {op} 1.1", examples.display())
}

#[test]
fn a_command_is_cut_out_of_too() {
    let (model, inputs) = (testdata("healthy_transformer/model.onnx"), testdata("healthy_transformer/inputs.npz"));
    let candidate = format!("exec:{}", command("Softmax"));
    let args = ["-c", &candidate, "-i", inputs.to_str().unwrap(), "--atol", "1e-5", "--rtol", "1e-3"];
    let run = layerdiff("reduce", &model, &args);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let told = run.report().reduced.unwrap();
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    bundle.is_told(&told).unwrap();
    assert!(told.reproduces && told.minimal && told.nodes == 1, "{told:?}");
    assert_eq!(bundle.graph().node[0].op_type(), "Softmax");
    let (status, text) = bundle.replay(&["layerdiff"]);
    assert_eq!(status, 1, "{text}");
}

/// `reduce` of a command in `dir`, whose run of that number (from 1) interrupts it; with the count of its runs.
fn interrupted(dir: &Path, number: usize, more: &[&str]) -> (Option<i32>, String, usize) {
    let stop = "echo >>count; [ \"$STOP\" = $(wc -l <count) ] && kill -INT $PPID && sleep 30";
    let mut run = program();
    run.current_dir(dir).env("STOP", number.to_string()).arg("reduce").arg(testdata("healthy_transformer/model.onnx"));
    run.arg("-c").arg(format!("exec:{stop}; {}", command("Softmax"))).arg("-i");
    run.arg(testdata("healthy_transformer/inputs.npz")).args(["--atol", "1e-5", "--rtol", "1e-3", "-o", "out"]);
    let output = run.args(more).output().unwrap();
    let runs = std::fs::read_to_string(dir.join("count")).unwrap().lines().count();
    std::fs::remove_file(dir.join("count")).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), runs)
}

#[test]
fn an_interrupted_reduction_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let report =
        || -> Report { serde_json::from_slice(&std::fs::read(dir.path().join("out/report.json")).unwrap()).unwrap() };
    let (status, stderr, all) = interrupted(dir.path(), 0, &[]);
    assert_eq!(status, Some(1), "{stderr}");
    let whole = report().reduced.unwrap();

    std::fs::remove_dir_all(dir.path().join("out")).unwrap();
    // The last two runs are those of the proof, which asks twice in a process of its own.
    let (status, stderr, before) = interrupted(dir.path(), all - 2, &[]);
    assert_eq!((status, before), (Some(3), all - 2), "{stderr}");
    let halted = report();
    assert_eq!((halted.verdict, halted.why.as_deref()), (Verdict::Inconclusive, Some("interrupted")));
    assert_eq!(halted.culprits.len(), 1, "what was found is told");
    assert!(halted.reduced.is_none() && !dir.path().join("out/reduced").exists());

    let (status, stderr, after) = interrupted(dir.path(), 0, &["--resume"]);
    assert_eq!(status, Some(1), "{stderr}");
    assert!(after < all, "{after} runs after --resume, {all} without it");
    let again = report().reduced.unwrap();
    assert_eq!((&again.names, again.reproduces, again.minimal), (&whole.names, true, true));
}
