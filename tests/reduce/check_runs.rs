//! Many runs of a check: several at a time, interrupted, gone on with, repeated into the same folder.

use std::path::{Path, PathBuf};

use layerdiff::found::{Reduced, Report, Verdict};

use crate::bundle::reproducers;
use crate::common::{Run, program};
use crate::{all_of, model, reduce};

#[test]
fn parallel_checks_give_the_same_answer() {
    let either = "{ grep -q n1 {model} || grep -q n9 {model}; } && exit 1; exit 0";
    let far = all_of(&["link020", "link150", "link277"]);
    for (file, check) in [("graph_r.onnx", either), ("chain.onnx", &far)] {
        let one = reduce(&model(file), check, &["--jobs", "1"]);
        let four = reduce(&model(file), check, &["--jobs", "4"]);
        assert_eq!((one.status, four.status), (1, 1), "{}{}", one.stderr, four.stderr);
        let (a, b) = (reproducers(&one.report()), reproducers(&four.report()));
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((&a.names, a.minimal), (&b.names, true), "{}", four.stdout);
            let bytes = |run: &Run, told: &Reduced| std::fs::read(run.dir.path().join("out").join(&told.path)).unwrap();
            assert!(bytes(&one, a) == bytes(&four, b), "{file}: the models differ");
        }
    }
}

#[test]
fn checks_do_run_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let meet = dir.path().display();
    // Every check leaves a mark for a while, and says whether it met another one.
    let check = format!(
        "touch {meet}/$$; for i in 1 2 3 4; do [ $(ls {meet} | wc -l) -gt 1 ] && touch {meet}.met; sleep 0.02; done; rm {meet}/$$; grep -q link150 {{model}} && exit 1; exit 0"
    );
    let met = PathBuf::from(format!("{meet}.met"));
    let alone = reduce(&model("chain.onnx"), &check, &["--stability", "1"]);
    assert_eq!((alone.status, met.exists()), (1, false), "{}", alone.stderr);
    let together = reduce(&model("chain.onnx"), &check, &["--stability", "1", "--jobs", "4"]);
    let was_met = met.exists();
    let _ = std::fs::remove_file(met);
    assert_eq!((together.status, was_met), (1, true), "{}", together.stderr);
}

/// `reduce` in `dir`, where the check of that number (from 1) interrupts it; with the count of checks that ran.
fn interrupted(dir: &Path, number: usize, more: &[&str]) -> (Option<i32>, String, usize) {
    let count = dir.join("count");
    let check = "echo >>count; [ \"$STOP\" = $(wc -l <count) ] && kill -INT $PPID && sleep 30; grep -q link123 {model} && grep -q link200 {model} && exit 1; exit 0";
    let mut command = program();
    command.current_dir(dir).env("STOP", number.to_string()).arg("reduce").arg(model("chain.onnx"));
    let output = command.args(["--check", check, "-o", "out"]).args(more).output().unwrap();
    let lines = std::fs::read_to_string(&count).unwrap().lines().count();
    std::fs::remove_file(count).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), lines)
}

fn attempts(dir: &Path) -> usize {
    let journal = std::fs::read_to_string(dir.join("out/journal.jsonl")).unwrap();
    journal.lines().filter(|line| line.contains("\"attempt\"")).count()
}

fn report_in(dir: &Path) -> Report {
    serde_json::from_slice(&std::fs::read(dir.join("out/report.json")).unwrap()).unwrap()
}

#[test]
fn ctrl_c_leaves_a_report_and_resume_goes_on() {
    let (straight, halting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (status, stderr, all) = interrupted(straight.path(), 0, &[]);
    assert_eq!(status, Some(1), "{stderr}");

    let (status, stderr, before) = interrupted(halting.path(), 12, &[]);
    assert_eq!((status, before), (Some(3), 12), "{stderr}");
    let report = report_in(halting.path());
    assert_eq!((report.verdict, report.why.as_deref()), (Verdict::Inconclusive, Some("interrupted")));
    assert!(report.reduced.is_none());
    let mut left: Vec<_> =
        std::fs::read_dir(halting.path().join("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["journal.jsonl", "report.html", "report.json", "report.md"], "half a reproducer was left");
    let answered = attempts(halting.path());
    assert!(answered >= 5, "{answered} attempts are in the journal");

    let (status, stderr, after) = interrupted(halting.path(), 0, &["--resume"]);
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(after + answered, all, "what the journal knows is not asked again");
    let told = report_in(halting.path()).reduced.unwrap();
    assert_eq!(
        (told.names, told.reproduces, told.minimal),
        (report_in(straight.path()).reduced.unwrap().names, true, true)
    );
    let model = |dir: &Path| std::fs::read(dir.join("out/reduced/model.onnx")).unwrap();
    assert!(model(straight.path()) == model(halting.path()));
}

#[test]
fn a_journal_of_another_check_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), 8, &[]);
    let mut command = program();
    command.current_dir(dir.path()).arg("reduce").arg(model("chain.onnx")).args(["-o", "out", "--resume", "--check"]);
    let output = command.arg(all_of(&["link007"])).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the command of the candidate was"), "{stderr}");
    assert!(!dir.path().join("out/reduced").exists());
}

#[test]
fn a_later_run_leaves_no_reproducers_of_an_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = |check: &str| {
        let mut command = program();
        command.current_dir(dir.path()).arg("reduce").arg(model("graph_r.onnx")).args(["-o", "out", "--check", check]);
        assert_eq!(command.output().unwrap().status.code(), Some(1));
    };
    run("{ grep -q n1 {model} || grep -q n9 {model}; } && exit 1; exit 0");
    assert!(dir.path().join("out/reduced_2").exists());
    run(&all_of(&["n5"]));
    assert!(!dir.path().join("out/reduced_2").exists(), "report.json no longer tells of it");
}
