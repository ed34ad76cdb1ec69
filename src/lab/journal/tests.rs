use super::*;
use crate::found::experiment::Source;
use crate::found::{Metrics, Status};

/// Its names take more than one byte a character.
fn experiment(candidate: &str) -> Experiment {
    let source = |path: &str| Source { path: path.into(), contents: path.into() };
    let mut experiment =
        Experiment { layerdiff: "0.1.0".into(), model: vec![source("modèle.onnx")], ..Default::default() };
    experiment.candidate.files = vec![source(candidate)];
    experiment
}

fn result(name: &str, max_abs: f64) -> TensorResult {
    TensorResult {
        name: name.into(),
        node: "n".into(),
        dtype: "float32".into(),
        shape: vec![1],
        status: Status::Diverges,
        why: None,
        metrics: Some(Metrics { max_abs: max_abs.into(), ..Metrics::default() }),
    }
}

fn look(number: usize) -> Look {
    let tensors = vec![result(&format!("überall {number}"), 0.1 + number as f64), result("∞", f64::INFINITY)];
    Look { asked: vec![number], seconds: 0.5, tensors, absent: vec![7], ..Look::default() }
}

/// Two looks and two attempts.
fn written(path: &Path) -> Vec<u8> {
    let (journal, known) = Journal::open(path, &experiment("a"), false).unwrap();
    assert!(known.looks.is_empty() && known.attempts.is_empty());
    journal.look(look(0));
    journal.look(look(1));
    journal.attempt("y: nodes 3,5 – “ü”", Answer::Bad, Duration::ZERO);
    journal.attempt("y: nodes 3", Answer::Good, Duration::ZERO);
    drop(journal);
    fs::read(path).unwrap()
}

fn refusal(path: &Path, experiment: &Experiment) -> String {
    format!("{:#}", Journal::open(path, experiment, true).err().expect("it is gone on with"))
}

#[test]
fn what_was_written_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let text = written(&path);
    let (journal, known) = Journal::open(&path, &experiment("a"), true).unwrap();
    drop(journal);
    assert_eq!(fs::read(&path).unwrap(), text, "a whole journal stays as it is");
    assert_eq!(known.looks.len(), 2);
    for (number, got) in known.looks.iter().enumerate() {
        let want = look(number);
        assert_eq!((&got.asked, &got.absent), (&want.asked, &want.absent));
        for (got, want) in got.tensors.iter().zip(&want.tensors) {
            assert_eq!((&got.name, &got.metrics), (&want.name, &want.metrics));
        }
    }
    let attempts = HashMap::from([("y: nodes 3,5 – “ü”".into(), Answer::Bad), ("y: nodes 3".into(), Answer::Good)]);
    assert_eq!(known.attempts, attempts);
}

/// Of a layerdiff that knew another metric: "nothing was measured" would be a lie about it.
#[test]
fn metrics_that_are_incomplete_are_measured_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let text = String::from_utf8(written(&path)).unwrap().replacen("\"rmse\":0.0,", "", 1);
    fs::write(&path, text).unwrap();
    let (_, known) = Journal::open(&path, &experiment("a"), true).unwrap();
    assert!(known.looks.is_empty() && known.attempts.is_empty());
}

#[test]
fn cut_at_any_byte_it_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let text = written(&path);
    for cut in 1..=text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let (journal, known) = Journal::open(&path, &experiment("a"), true).unwrap();
        let whole = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        let knows = known.looks.len() + known.attempts.len();
        assert_eq!(knows, whole.saturating_sub(1), "cut at {cut}");
        journal.attempt("later", Answer::Bad, Duration::ZERO);
        drop(journal);
        let (_, known) = Journal::open(&path, &experiment("a"), true).unwrap();
        assert_eq!(known.looks.len() + known.attempts.len(), knows + 1, "cut at {cut}: a line was glued to another");
        assert_eq!(known.attempts.get("later"), Some(&Answer::Bad));
    }
}

#[test]
fn what_said_nothing_last_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let (journal, _) = Journal::open(&path, &experiment("a"), false).unwrap();
    for (what, answer) in [("1", Answer::Unknown), ("2", Answer::Bad), ("3", Answer::Unknown), ("4", Answer::Unknown)] {
        journal.attempt(what, answer, Duration::ZERO);
    }
    let (_, known) = Journal::open(&path, &experiment("a"), true).unwrap();
    let attempts = HashMap::from([("1".to_string(), Answer::Unknown), ("2".to_string(), Answer::Bad)]);
    assert_eq!(known.attempts, attempts);
}

#[test]
fn what_is_no_journal_of_this_experiment_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let check = |text: &[u8], mentions: &str| {
        fs::write(&path, text).unwrap();
        let said = refusal(&path, &experiment("a"));
        assert!(said.contains(mentions) && said.contains("--resume"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), text);
    };
    check(b"", "is empty");
    check(b"\n", "not a journal");
    check(b"notes", "not a journal");
    check(b"\xff\xfe\n", "not a journal");
    check(b"{\"event\":\"question\",\"model_sha256\":\"0\"}\n", "an older layerdiff");
    check(
        b"{\"event\":\"experiment\",\"id\":\"0\",\"asked\":{\"layerdiff\":\"9.9\"}}\n",
        "layerdiff 9.9, and this is 0.1.0",
    );
    check(b"{\"event\":\"experiment\",\"id\":\"0\",\"asked\":{\"layerdiff\":\"0.1.0\"}}\n", "damaged");
    written(&path);
    let said = refusal(&path, &experiment("b"));
    assert!(said.contains("a file of the candidate has other contents now (b)"), "{said}");
}

#[test]
fn what_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    assert!(refusal(&path, &experiment("a")).contains("nothing to resume: cannot open"));
    fs::create_dir(&path).unwrap();
    assert!(refusal(&path, &experiment("a")).contains("is not a file"));
    let fresh = Journal::open(&path, &experiment("a"), false).err().unwrap().to_string();
    assert!(fresh.contains("is a folder"), "{fresh}");
    fs::remove_dir(&path).unwrap();
    #[cfg(unix)]
    {
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(refusal(&path, &experiment("a")).contains("is not a file"));
        written(&path);
        assert!(path.is_file());
    }
}
