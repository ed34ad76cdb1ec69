//! `layerdiff stages` with `--steps`, `--sweep` and `--batch-check`: each stage against one reference, step by step and size by size.

mod common;

use std::path::Path;

use common::{Run, layerdiff, program, run_python};
use layerdiff::found::Verdict::{self, *};
use layerdiff::found::json;
use layerdiff::found::stages::{Stage, Stages};

/// `model.onnx`, `candidate.onnx` and what else the script writes; what it says.
fn made(script: &str, kind: &str, seed: u32) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let said = run_python([script, kind, &seed.to_string(), dir.path().to_str().unwrap()]);
    (dir, said)
}

fn stages(dir: &Path, stages: &[(&str, &str)], args: &[&str]) -> Run {
    let candidate = format!("ort@{}", dir.join("candidate.onnx").display());
    let stage = |(name, spec): &(&str, &str)| {
        let spec = if *spec == "candidate" { &candidate } else { *spec };
        ["--stage".to_string(), format!("{name}={spec}")]
    };
    let words: Vec<String> = stages.iter().flat_map(stage).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(args.iter().copied()).collect();
    layerdiff("stages", &dir.join("model.onnx"), &words)
}

fn read(path: &Path) -> Stages {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn found(run: &Run) -> Stages {
    let path = run.dir.path().join("out/stages.json");
    assert!(path.is_file(), "{}", run.stderr);
    read(&path)
}

fn verdicts(found: &Stages) -> Vec<(Verdict, Option<Verdict>)> {
    let of = |stage: &Stage| (stage.verdict, stage.against_previous.as_ref().map(|against| against.verdict));
    found.stages.iter().map(of).collect()
}

/// A stage that is wrong from a step on, between others that are not; the bisect that is said finds step and node again.
#[test]
fn every_stage_is_decoded_against_the_reference() {
    let (dir, said) = made("tests/steps/decoders.py", "late", 7);
    let (step, node) = said.trim().split_once(' ').unwrap();
    let step = step.parse().unwrap();
    let prompt = dir.path().join("prompt.npz");
    let line =
        [("fp32", "ort"), ("fp16", "ort:fp16"), ("gone", "ort@gone.onnx"), ("late", "candidate"), ("end", "ort")];
    let run = stages(dir.path(), &line, &["-i", prompt.to_str().unwrap(), "--steps", "10", "--bisect"]);
    let found = found(&run);
    let want =
        [(Agreed, None), (Agreed, Some(Agreed)), (Inconclusive, None), (Diverged, None), (Agreed, Some(Diverged))];
    assert_eq!((run.status, verdicts(&found).as_slice()), (1, &want[..]), "{}", run.stdout);
    let late = &found.stages[3];
    assert_eq!((late.first_bad_step, late.decoding.as_ref().unwrap().searched), (Some(step), step));
    let compared = layerdiff(
        "compare",
        &dir.path().join("model.onnx"),
        &["-c", &late.spec, "-i", prompt.to_str().unwrap(), "--steps", "10"],
    );
    // As a comparison of the two alone tells it.
    let told = compared.report();
    let steps = |of: &[layerdiff::found::steps::StepVerdict]| serde_json::to_value(of).unwrap();
    assert_eq!(steps(&late.steps), steps(&told.steps));
    assert_eq!(serde_json::to_value(&late.outputs).unwrap(), serde_json::to_value(&told.outputs).unwrap());
    assert!(found.next.join(" ").ends_with("--steps 10"), "{:?}", found.next);
    let bisected = found.bisect.unwrap();
    assert_eq!(bisected.culprits, [node]);
    assert_eq!(json::read(Path::new(&bisected.report)).unwrap().first_bad_step, Some(step));
    for want in [format!("to break, at step {step}"), format!("'late': step {step} is the first"), "10 agree".into()] {
        assert!(run.stdout.contains(&want), "{want} is missing in {}", run.stdout);
    }
    let page = std::fs::read_to_string(run.dir.path().join("out/stages.html")).unwrap();
    assert!(page.contains("All 10 steps") && page.contains("first bad"));
}

/// Every step alone agrees, and fed by itself the stage leaves the tolerance.
#[test]
fn a_stage_that_drifts_is_told() {
    let (dir, _) = made("tests/steps/decoders.py", "drift", 2);
    let prompt = dir.path().join("prompt.npz");
    let run = stages(
        dir.path(),
        &[("fp32", "ort"), ("drift", "candidate")],
        &["-i", prompt.to_str().unwrap(), "--steps", "12"],
    );
    let found = found(&run);
    let drift = &found.stages[1];
    assert_eq!((run.status, drift.verdict), (1, Diverged), "{}", run.stdout);
    let from = drift.decoding.as_ref().unwrap().drifts_from;
    assert!(from.is_some() && drift.first_bad_step == from && drift.steps.iter().all(|step| step.verdict == Agreed));
    assert!(run.stdout.contains(", drifting from step"), "{}", run.stdout);
}

/// The smallest size that fails, of each stage; in shards as in one run.
#[test]
fn every_stage_is_swept() {
    let (dir, victim) = made("tests/sizes/faults.py", "odd", 5);
    let line = [("fp16", "ort:fp16"), ("odd", "candidate"), ("fp32", "ort")];
    let sweep = ["--sweep", "seq=2..7", "--sweep", "batch=2"];
    let run = stages(dir.path(), &line, &[&sweep[..], &["--bisect"]].concat());
    let whole = found(&run);
    let want = [(Agreed, None), (Diverged, Some(Diverged)), (Agreed, Some(Diverged))];
    assert_eq!((run.status, verdicts(&whole).as_slice()), (1, &want[..]), "{}", run.stdout);
    let odd = &whole.stages[1];
    assert_eq!(odd.first_bad().as_deref(), Some("batch=2, seq=3"));
    assert_eq!(odd.sweep.iter().filter(|tried| tried.verdict == Diverged).count(), 3);
    assert_eq!(whole.bisect.as_ref().unwrap().culprits, [victim.trim()]);
    assert!(run.stdout.contains("batch=2, seq=3 is the smallest to diverge; 3 of 6 agree"), "{}", run.stdout);
    let shards: Vec<Run> =
        ["1/2", "2/2"].iter().map(|n| stages(dir.path(), &line, &[&sweep[..], &["--shard", n]].concat())).collect();
    let merged = dir.path().join("merged");
    let mut merge = program();
    merge.arg("merge").args(shards.iter().map(|shard| shard.dir.path().join("out"))).arg("-o").arg(&merged);
    assert_eq!(merge.output().unwrap().status.code(), Some(1));
    let merged = read(&merged.join("stages.json"));
    assert_eq!(verdicts(&merged), verdicts(&whole));
    let sweeps =
        |of: &Stages| serde_json::to_value(of.stages.iter().map(|s| s.sweep.clone()).collect::<Vec<_>>()).unwrap();
    assert_eq!((sweeps(&merged), &merged.why), (sweeps(&whole), &whole.why));
    assert_eq!(merged.stages[1].first_bad_size, odd.first_bad_size);
}

#[test]
fn the_rows_of_a_batch_of_every_stage() {
    let (dir, victim) = made("tests/sizes/faults.py", "row2", 3);
    let line = [("fp32", "ort"), ("row2", "candidate")];
    let run = stages(dir.path(), &line, &["--batch-check", "--shape", "x=1x6x8", "--bisect"]);
    let found = found(&run);
    assert_eq!((run.status, verdicts(&found)), (1, vec![(Agreed, None), (Diverged, Some(Diverged))]), "{}", run.stdout);
    let batch = |at: usize| found.stages[at].batch.as_ref().unwrap();
    assert_eq!((batch(0).first_bad_row, batch(1).first_bad_row, batch(1).rows), (None, Some(2), 4));
    assert_eq!(found.bisect.as_ref().unwrap().culprits, [victim.trim()]);
    assert!(run.stdout.contains("'row2': row 2 of a batch of 4 is not what it is alone"), "{}", run.stdout);
}

/// Stored outputs have no other step, one that dies in a step is told with it, and the rest is told as ever.
#[test]
fn a_stage_without_an_answer_costs_no_other() {
    let (dir, _) = made("tests/steps/decoders.py", "late", 7);
    let prompt = dir.path().join("prompt.npz");
    let program = dir.path().join("dies.py");
    let text = "import sys, os, numpy as np, onnxruntime as rt\n\
                m, i, o = sys.argv[1:]\n\
                x = dict(np.load(i))\n\
                if x['attention_mask'].shape[1] == 6: os.abort()\n\
                s = rt.InferenceSession(m)\n\
                np.savez(o, **dict(zip([v.name for v in s.get_outputs()], s.run(None, x))))\n";
    std::fs::write(&program, text).unwrap();
    let dies =
        format!("exec:'{}' '{}' {{model}} {{inputs}} {{outputs}}", common::python().display(), program.display());
    let line = [("stored", "saved:gone.npz"), ("dies", dies.as_str()), ("fp16", "ort:fp16")];
    let run = stages(dir.path(), &line, &["-i", prompt.to_str().unwrap(), "--steps", "5"]);
    let found = found(&run);
    let want = [(Inconclusive, None), (Inconclusive, None), (Agreed, Some(Inconclusive))];
    assert_eq!((run.status, verdicts(&found).as_slice()), (3, &want[..]), "{}", run.stdout);
    let why = |at: usize| found.stages[at].why.clone().unwrap();
    assert!(why(0).contains("--steps need a backend that runs the model"), "{}", why(0));
    assert!(why(1).starts_with("step 2: "), "{}", why(1));
    let steps: Vec<Verdict> = found.stages[1].steps.iter().map(|step| step.verdict).collect();
    assert_eq!(steps, [Agreed, Agreed, Inconclusive, Agreed, Agreed]);
    assert_eq!(run.stdout.matches("4 of 5 agree").count(), 1, "{}", run.stdout);
}

#[test]
fn what_does_not_go_together_is_told() {
    let (dir, _) = made("tests/sizes/faults.py", "odd", 1);
    std::fs::write(dir.path().join("truth"), "0\n").unwrap();
    let truth = dir.path().join("truth");
    for (args, want) in [
        (&["--sweep", "sec=1,2"][..], "did you mean 'seq'"),
        (&["--sweep", "seq=1,2", "--truth", truth.to_str().unwrap()], "--truth counts the rows of the data as it is"),
        (&["--batch-check", "--shard", "1/2"], "leave it out"),
        (&["--steps", "3"], "say so with --feedback"),
        (&["--reference", "saved:gone.npz", "--sweep", "seq=1,2"], "gone.npz"),
    ] {
        let run = stages(dir.path(), &[("fp16", "ort:fp16")], args);
        assert_eq!((run.status, run.stderr.contains(want)), (2, true), "{args:?}: {}", run.stderr);
    }
}
