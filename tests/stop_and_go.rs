//! Ctrl-C and worse leave a valid partial report, `--resume` goes on from the journal to the same answer, and only where the
//! same was asked; files that cannot be written cost nothing else.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{bisect, program, testdata};
use layerdiff::found::{Report, Verdict};
use layerdiff::load::npz;
use layerdiff::tensor::Tensor;
use serde_json::Value;

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

/// What `layerdiff WORDS... -o out` in `dir` says: exit status, stdout, stderr.
fn run_in(dir: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let output = program().current_dir(dir).args(words).args(["-o", "out"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A folder with a model, its data, and another model that takes the same data.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["model.onnx", "inputs.npz"] {
        fs::copy(testdata("matmul_add_sub_65504").join(name), dir.path().join(name)).unwrap();
    }
    fs::copy(dir.path().join("model.onnx"), dir.path().join("candidate.onnx")).unwrap();
    dir
}

const SEARCH: [&str; 8] = ["bisect", "model.onnx", "-i", "inputs.npz", "-c", "ort:fp16", "--strategy", "bisect"];

fn search_in(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    run_in(dir, &[&SEARCH[..], &["--marks", "1"], more].concat())
}

/// The report in `dir`, without what every run has of its own: times, and how much had to be run for it.
fn answer_in(dir: &Path) -> Value {
    let mut report: Value = serde_json::from_slice(&fs::read(dir.join("out/report.json")).unwrap()).unwrap();
    let kept = ["strategy", "tensors_compared", "tensors_not_compared", "perturbed"];
    report["search"].as_object_mut().unwrap().retain(|key, _| kept.contains(&key.as_str()));
    without_times(&mut report);
    report
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !["command", "seconds"].contains(&key.as_str()));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn wherever_a_journal_is_cut_the_answer_is_the_same() {
    let dir = workplace();
    let (status, _, stderr) = search_in(dir.path(), &[]);
    assert_eq!(status, Some(1), "{stderr}");
    let (want, path) = (answer_in(dir.path()), dir.path().join("out/journal.jsonl"));
    assert_eq!(want["culprits"][0]["node"]["name"], "add");
    let runs = |dir: &Path| {
        let report: Report = serde_json::from_slice(&fs::read(dir.join("out/report.json")).unwrap()).unwrap();
        report.search.candidate_runs
    };
    let (journal, before) = (fs::read(&path).unwrap(), runs(dir.path()));
    let ends: Vec<usize> = (1..=journal.len()).filter(|end| journal[end - 1] == b'\n').collect();
    assert!(ends.len() > 5, "{} lines", ends.len());
    let cuts = [1, ends[0] / 2].into_iter().chain(ends.iter().flat_map(|end| [*end, end.saturating_sub(20)]));
    for cut in cuts {
        fs::write(&path, &journal[..cut]).unwrap();
        let (status, _, stderr) = search_in(dir.path(), &["--resume"]);
        assert_eq!(status, Some(1), "cut at {cut}: {stderr}");
        assert!(answer_in(dir.path()) == want, "cut at {cut} of {}", journal.len());
    }
    fs::write(&path, &journal).unwrap();
    search_in(dir.path(), &["--resume"]);
    assert!(runs(dir.path()) < before, "nothing was saved: {before} runs");
    assert_eq!(fs::read(&path).unwrap(), journal, "a run that had ended has nothing to add");
}

#[test]
fn another_experiment_is_refused_by_name_and_costs_nothing() {
    let dir = workplace();
    let at = |name: &str| dir.path().join(name);
    let candidate = ["-c", "ort@candidate.onnx", "--no-reduce", "--no-overrides"];
    let base: &[&str] = &["bisect", "model.onnx"];
    let check = |words: &[&str], change: &dyn Fn(), again: &[&str], mentions: &str| {
        let first = [base, words].concat();
        let (_, _, stderr) = run_in(dir.path(), &first);
        let before =
            ["report.json", "report.html", "journal.jsonl"].map(|name| fs::read(at("out").join(name)).unwrap());
        change();
        let (status, stdout, said) = run_in(dir.path(), &[base, again, &["--resume"]].concat());
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{words:?} {stderr}\n{again:?} {said}");
        assert!(said.contains(mentions) && said.lines().count() == 1, "{said}");
        let after = ["report.json", "report.html", "journal.jsonl"].map(|name| fs::read(at("out").join(name)).unwrap());
        assert!(before == after, "{mentions}: the refused run changed the folder of the first");
    };
    let nothing = || {};
    let synthetic = ["-c", "ort:fp16", "--no-reduce", "--no-overrides"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { [&synthetic[..], more].concat() };
    check(&synthetic, &nothing, &with(&["--seed", "7"]), "--seed was '0' and is '7' now");
    check(&synthetic, &nothing, &with(&["--range=-2..2"]), "--range is '-2..2' now and was not given before");
    check(&synthetic, &nothing, &with(&["--samples", "2"]), "the number of samples was '1' and is '2' now");
    check(&synthetic, &nothing, &with(&["--atol", "1"]), "--atol is '1' now");
    check(&synthetic, &nothing, &with(&["--metric", "sqnr=10"]), "--metric is");
    let judge = with(&["--metric-command", "sh judge.sh {reference} {candidate}"]);
    fs::write(at("judge.sh"), "exit 1").unwrap();
    check(&synthetic, &nothing, &judge, "--metric-command is");
    let another_judge = || fs::write(at("judge.sh"), "exit 1 # as before").unwrap();
    check(&judge, &another_judge, &judge, "the contents of judge.sh (--metric-command)");
    check(&synthetic, &nothing, &with(&["--marks", "2"]), "--marks is '2' now");
    check(&synthetic, &nothing, &with(&["--outputs", "add_out"]), "the list of judged outputs");
    let plain = [&candidate[..], &["--optimization", "off"]].concat();
    check(&candidate, &nothing, &plain, "ONNX Runtime's session is '--optimization off' now");
    check(&synthetic, &nothing, &["-c", "ort:bf16"], "the precision of the candidate was 'fp16' and is 'bf16' now");
    check(&synthetic, &nothing, &candidate, "of the candidate");
    let data = ["-c", "ort:fp16", "-i", "inputs.npz", "--no-reduce", "--no-overrides"];
    check(&data, &nothing, &synthetic, "--seed is '0' now and was not given before");
    let other_data = || {
        let mut tensors = npz::read(&at("inputs.npz")).unwrap();
        let value = tensors.values_mut().next().unwrap();
        let doubled: Vec<f32> = value.view::<f32>().iter().map(|x| 2.0 * x).collect();
        *value = Tensor::f32(&value.shape, &doubled);
        npz::write(&at("inputs.npz"), &tensors).unwrap();
    };
    check(&data, &other_data, &data, "the data has other contents now (inputs.npz)");
    // Built again under the same name: one byte of a weight is another.
    let rebuilt = || {
        let mut bytes = fs::read(at("candidate.onnx")).unwrap();
        let at_weight = bytes.len() / 2;
        bytes[at_weight] ^= 1;
        fs::write(at("candidate.onnx"), bytes).unwrap();
    };
    check(&candidate, &rebuilt, &candidate, "a file of the candidate has other contents now (candidate.onnx)");
}

#[test]
fn what_stands_in_the_way_of_a_journal_is_said() {
    let dir = workplace();
    let path = dir.path().join("out/journal.jsonl");
    fs::create_dir_all(&path).unwrap();
    let (status, _, stderr) = search_in(dir.path(), &["--resume"]);
    assert_eq!((status, stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("journal.jsonl is a folder"), "{stderr}");
    let (status, _, stderr) = search_in(dir.path(), &[]);
    assert_eq!((status, stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("journal.jsonl is a folder"), "{stderr}");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    let (status, _, stderr) = search_in(dir.path(), &["--resume"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("is empty"), "{stderr}");
    assert!(!dir.path().join("out/report.json").exists(), "what is refused writes nothing");
}

#[test]
fn a_killed_run_leaves_its_own_report_and_goes_on() {
    let dir = workplace();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    for name in ["report.json", "report.html", "report.md"] {
        fs::write(out.join(name), "of an earlier run").unwrap();
    }
    // The shell's parent does the work, and the parent of that outlives it.
    let check = "echo >>count; [ \"$STOP\" = $(wc -l <count) ] && kill -KILL $(cut -d' ' -f4 /proc/$PPID/stat) $PPID; \
                 grep -q add {model} && exit 1; exit 0";
    let reduce = |stop: &str, more: &[&str]| {
        let mut command = program();
        command.current_dir(dir.path()).env("STOP", stop).args([
            "reduce",
            "model.onnx",
            "-i",
            "inputs.npz",
            "-o",
            "out",
        ]);
        let status = command.args(["--check", check]).args(more).output().unwrap().status;
        fs::remove_file(dir.path().join("count")).unwrap();
        status.code()
    };
    let report = || -> Report { serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap() };
    // In the first check of the full model, and later in an attempt.
    for stop in ["1", "6"] {
        assert_ne!(reduce(stop, &[]), Some(1));
        assert_eq!((report().verdict, report().model.path.as_str()), (Verdict::Inconclusive, "model.onnx"));
        // One of its own it may have: who ends it first is a matter of luck.
        let page = fs::read_to_string(out.join("report.html")).unwrap_or_default();
        assert_ne!(page, "of an earlier run", "it passes for the page of this one");
    }
    assert_eq!(reduce("0", &["--resume"]), Some(1));
    let resumed = answer_in(dir.path());
    assert_eq!(resumed["verdict"], "diverged");
    assert_eq!(reduce("0", &[]), Some(1));
    assert!(resumed == answer_in(dir.path()));
}

#[test]
fn a_file_that_cannot_be_written_costs_nothing_else() {
    let dir = workplace();
    let out = dir.path().join("out");
    let exists = |name: &str| out.join(name).is_file();
    // The page can be made again from report.json: it is told, and the answer stands.
    fs::create_dir_all(out.join("report.html")).unwrap();
    let (status, stdout, stderr) = search_in(dir.path(), &["--no-reduce", "--no-overrides"]);
    assert_eq!((status, stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("out/report.html: a folder stands in the place"), "{stderr}");
    assert!(stdout.contains("diverged") && !stdout.contains("report.html"), "{stdout}");
    assert!(exists("report.json") && exists("report.md"));
    // Who waits for report.json must not take the last one for this one's.
    fs::remove_dir(out.join("report.html")).unwrap();
    fs::remove_file(out.join("report.json")).unwrap();
    fs::create_dir(out.join("report.json")).unwrap();
    let (status, stdout, stderr) = search_in(dir.path(), &["--no-reduce", "--no-overrides"]);
    assert_eq!((status, stderr.lines().count()), (Some(3), 1), "{stderr}");
    assert!(stderr.contains("out/report.json: a folder stands in the place"), "{stderr}");
    assert!(stdout.contains("diverged") && exists("report.html") && exists("report.md"), "{stdout}");
    fs::remove_dir(out.join("report.json")).unwrap();
    // Every loss is told.
    fs::remove_file(out.join("report.md")).unwrap();
    fs::create_dir(out.join("report.md")).unwrap();
    let (status, stdout, stderr) =
        search_in(dir.path(), &["--no-reduce", "--no-overrides", "--save-tensors", "absent/t.npz"]);
    assert_eq!((status, stderr.lines().count()), (Some(3), 2), "{stderr}");
    assert!(stderr.contains("report.md") && stderr.contains("absent/t.npz"), "{stderr}");
    assert!(stdout.contains("diverged") && exists("report.json"), "{stdout}");
}

#[test]
fn a_report_is_rendered_whole_or_not_at_all() {
    let dir = workplace();
    search_in(dir.path(), &["--no-reduce", "--no-overrides"]);
    let render = |words: &[&str]| {
        let output =
            program().current_dir(dir.path()).args(["report", "out/report.json"]).args(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    fs::create_dir(dir.path().join("folder")).unwrap();
    let check = |target: &str, mentions: &str| {
        let (status, stderr) = render(&["--html", target, "--markdown", "page.md"]);
        assert_eq!((status, stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(stderr.contains(mentions), "{stderr}");
        assert!(dir.path().join("page.md").is_file(), "the other page is written");
        fs::remove_file(dir.path().join("page.md")).unwrap();
    };
    check("folder", "folder: a folder stands in the place");
    check("absent/page.html", "absent/page.html: there is no such folder");
    assert!(!dir.path().join("absent").exists());
    fs::write(dir.path().join("page.html"), "older").unwrap();
    let (status, stderr) = render(&["--html", "page.html", "--markdown", "/dev/null"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert_eq!(fs::read(dir.path().join("page.html")).unwrap(), fs::read(dir.path().join("out/report.html")).unwrap());
    #[cfg(unix)]
    assert!(!Path::new("/dev/null").is_file(), "a device gave way to a file");
}

#[test]
fn nothing_to_resume_is_said() {
    let model = testdata("matmul_add_sub_65504/model.onnx");
    let run = bisect(&model, &[&"--inputs", &testdata("matmul_add_sub_65504/inputs.npz"), &"--resume"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("nothing to resume"), "{}", run.stderr);
}
