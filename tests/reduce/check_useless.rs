//! Checks that tell nothing: each has a message and an exit status. What is refused writes nothing; what failed leaves a
//! report that says so.

use layerdiff::found::Verdict;

use crate::bundle::Bundle;
use crate::{all_of, ask, model, reduce};

/// Status, words of the message, and what was written.
pub fn refused(check: &str, more: &[&str], status: i32, words: &[&str]) {
    let run = reduce(&model("graph_r.onnx"), check, more);
    assert_eq!(run.status, status, "{check}: {}", run.stderr);
    let missing = words.iter().find(|w| !run.stderr.contains(*w));
    assert_eq!(missing, None, "{check}: {}", run.stderr);
    assert!(run.stderr.starts_with("layerdiff: ") && run.stderr.lines().count() == 1, "{check}: {}", run.stderr);
    if status == 2 {
        return assert!(!run.wrote(""), "{check} wrote something");
    }
    let report = run.report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(run.stderr.contains(&report.why.unwrap()), "{check}: {}", run.stderr);
}

#[test]
fn checks_that_say_nothing() {
    refused("true # {model}", &[], 2, &["the full model does not fail", "by hand: true # ", "graph_r.onnx"]);
    refused("false # {model}", &[], 2, &["fails on an empty model too"]);
    refused("exit 7 # {model}", &[], 3, &["exit status 7", "--fail-code"]);
    refused("no_such_command {model}", &[], 3, &["exit status 127", "no_such_command"]);
    refused("kill -SEGV $$ # {model}", &[], 3, &["signal 11 (SIGSEGV)"]);
    refused("kill -KILL $$ # {model}", &[], 3, &["signal 9 (SIGKILL"]);
    refused("sleep 60 # {model}", &["--check-timeout", "0.2"], 3, &["not done within 0.2 s (--check-timeout)"]);
    refused("printf '\\377\\000\\033[1mgarbage'; exit 42 # {model}", &[], 3, &["exit status 42", "garbage"]);
    refused("true", &[], 2, &["lacks {model}"]);
    refused("true {model}", &["--fail-code", "139"], 2, &["the full model does not fail"]);
    refused("exit 1 # {model}", &["--fail-code", "139"], 3, &["exit status 1"]);
    refused("echo other; exit 1 # {model}", &["--fail-regex", "Segmentation"], 3, &["failed in another way"]);
    refused("false # {model}", &["-c", "ort:fp16"], 2, &["--check decides what fails"]);
    refused("false # {model}", &["--pass-code", "1"], 2, &["--pass-code 1"]);
}

#[test]
fn a_check_that_flaps() {
    for (fails, times) in [("= 2", "1 of 3"), ("!= 2", "2 of 3"), ("= 5", "1 of 5")] {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let (count, more) =
            (count.display(), if times.ends_with('5') { ["--stability", "5"] } else { ["--seed", "0"] });
        let check = format!("echo >>{count}; [ $(wc -l <{count}) {fails} ] && exit 1; exit 0 # {{model}}");
        refused(&check, &more, 3, &["the check flaps", times]);
    }
}

#[test]
fn a_check_of_the_data_alone_says_nothing() {
    let samples: Vec<String> = (0..2).map(|i| model(&format!("graph_r_{i}.npz")).display().to_string()).collect();
    let more = ["-i", &samples[0], "-i", &samples[1]];
    refused(&ask("max(map(max, data.values())) > 50"), &more, 2, &["fails on an empty model too"]);
}

/// What crashes or hangs is no failure: nodes without which it does are kept, and the answer is not called minimal.
#[test]
fn a_crash_never_counts_as_the_failure() {
    for (otherwise, more) in
        [("kill -SEGV $$", [].as_slice()), ("exit 3", &[]), ("sleep 60", &["--check-timeout", "0.3"])]
    {
        let check = format!("grep -q n3 {{model}} || exit 0; grep -q n9 {{model}} && exit 1; {otherwise}");
        let run = reduce(&model("graph_r.onnx"), &check, more);
        assert_eq!(run.status, 1, "{otherwise}: {}", run.stderr);
        let told = run.report().reduced.unwrap();
        assert_eq!(told.names, ["n3", "n9"], "{otherwise}");
        assert!(told.reproduces && !told.minimal, "{otherwise}: {told:?}");
    }
}

#[test]
fn a_failure_that_is_lost_is_an_error_and_the_last_step_is_kept() {
    let source = model("graph_r.onnx");
    // It passes as soon as the reproducer is there.
    let check = format!("[ -e out/reduced/repro.sh ] && exit 0; {}", all_of(&["n5"]));
    let run = reduce(&source, &check, &[]);
    assert_eq!(run.status, 3, "{}", run.stdout);
    assert!(run.stdout.contains("the failure was lost"), "{}", run.stdout);
    let report = run.report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    let told = report.reduced.unwrap();
    assert!(!told.reproduces && told.why.unwrap().contains("the failure was lost"));
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    assert_eq!(bundle.node_names(), ["n5"]);
    // Called elsewhere, where no reproducer is beside.
    let (status, text) = bundle.replay(&[]);
    assert_eq!(status, 1, "{text}");
}

#[test]
fn a_smaller_step_that_is_lost_gives_way_to_the_one_before() {
    // Frozen it fails wherever it is tried, but not once it is written.
    let check = "[ -e out/reduced/repro.sh ] && ! [ -e out/reduced/test_data_set_0/input_0.pb ] && exit 0; grep -q n5 {model} && exit 1; exit 0";
    let source = model("graph_r.onnx");
    let run = reduce(&source, check, &["--freeze"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let told = run.report().reduced.unwrap();
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    assert!(told.reproduces && bundle.graph().input.len() == 2, "{told:?}");
    assert!(told.why.unwrap().contains("did not fail again from its files"));
}
