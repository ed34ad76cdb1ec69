//! No sentence of a report contradicts another, or a number beside it. Every case of testdata/ is run, and those of the folder
//! LAYERDIFF_CASES where that is set, and what is said of each is held against what its report.json has. Which answer would be
//! right is not tested here.

#[path = "contradictions/checks.rs"]
mod checks;
mod common;
#[path = "contradictions/told.rs"]
mod told;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{program, root, testdata};
use serde_json::Value;
use told::Told;

/// The folders of cases in `parent`.
fn cases(parent: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("case.json").is_file()).collect();
    folders.sort();
    folders
}

fn case_of(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("case.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_string()).collect()
}

/// `bisect` on a case of testdata/: its model, all its data, its candidate.
fn of_testdata(folder: &Path) -> Vec<String> {
    let case = case_of(folder);
    let path = |name: &str| folder.join(name).display().to_string();
    let candidate = case["candidate"].as_str().unwrap();
    let candidate = match candidate.split_once('@') {
        Some((backend, file)) => format!("{backend}@{}", path(file)),
        None => candidate.to_string(),
    };
    let mut words = vec!["bisect".to_string(), path("model.onnx"), "-c".to_string(), candidate];
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut samples: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "npz")).collect();
    samples.sort();
    samples.iter().for_each(|sample| words.extend(["-i".to_string(), sample.display().to_string()]));
    words.extend(strings(&case["args"]));
    words
}

/// Runs `words` in `folder`; `None` where no report was left.
fn run(folder: &Path, words: &[String]) -> Option<Told> {
    let out = folder.join("out");
    let mut program = program();
    program.args(words);
    if words.iter().all(|word| word != "-o") {
        program.arg("-o").arg(&out);
    }
    let run = program.current_dir(folder).output().unwrap();
    // What was refused left no report of its own.
    if run.status.code() == Some(2) {
        return None;
    }
    Told::read(&out, String::from_utf8_lossy(&run.stdout).into_owned(), models(folder, words))
}

/// The model files that the words name.
fn models(folder: &Path, words: &[String]) -> Vec<PathBuf> {
    let files = words.iter().flat_map(|word| word.split('@'));
    files.filter(|word| word.ends_with(".onnx")).map(|word| folder.join(word)).filter(|path| path.is_file()).collect()
}

/// Prepares a copy of a case as its `before` says, and runs it; `None` where it is no bisect or needs what is not here.
fn of_the_bench(folder: &Path, python: &str) -> Option<Told> {
    let case = case_of(folder);
    let words: Vec<String> = strings(&case["argv"]).iter().map(|word| word.replace("{PY}", python)).collect();
    let needs = strings(&case["requires"]);
    if words.first().is_none_or(|word| word != "bisect") || needs.iter().any(|need| need.starts_with("ort-")) {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    copied(folder, dir.path());
    for step in case["before"].as_array().into_iter().flatten() {
        prepare(dir.path(), step, python);
    }
    run(dir.path(), &words)
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        match entry.is_dir() {
            true => copied(&entry, &target),
            false => assert!(fs::copy(&entry, &target).is_ok()),
        }
    }
}

fn prepare(folder: &Path, step: &Value, python: &str) {
    let pair = |key: &str| strings(&step[key]);
    if let [from, to] = pair("copy").as_slice() {
        fs::copy(folder.join(from), folder.join(to)).unwrap();
    }
    if let [file, text] = pair("write").as_slice() {
        fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }
    if let Some(made) = step["mkdir"].as_str() {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    if !step["argv"].is_null() {
        let words: Vec<String> =
            pair("argv").iter().map(|w| w.replace("{PY}", python).replace("{OUT}", "out")).collect();
        Command::new(env!("CARGO_BIN_EXE_layerdiff")).args(words).current_dir(folder).output().unwrap();
    }
}

/// All that is contradictory in these reports, by case.
fn contradictions(told: impl Iterator<Item = (String, Option<Told>)>) -> (usize, Vec<String>) {
    let (mut seen, mut all) = (0, Vec::new());
    for (name, told) in told {
        let Some(told) = told else { continue };
        seen += 1;
        all.extend(checks::all(&told).into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    (seen, all)
}

#[test]
fn no_case_of_testdata_contradicts_itself() {
    let name = |folder: &Path| folder.file_name().unwrap().to_string_lossy().into_owned();
    let told = cases(&testdata("")).into_iter().map(|folder| {
        let dir = tempfile::tempdir().unwrap();
        (name(&folder), run(dir.path(), &of_testdata(&folder)))
    });
    let (seen, wrong) = contradictions(told);
    assert!(seen > 40, "{seen} cases were run");
    assert!(wrong.is_empty(), "{} contradictions:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_case_of_the_bench_contradicts_itself() {
    let Some(bench) = std::env::var_os("LAYERDIFF_CASES").map(PathBuf::from) else { return };
    let python = root().join("target/venv/bin/python").display().to_string();
    let name = |folder: &Path| folder.file_name().unwrap().to_string_lossy().into_owned();
    let told = cases(&bench).into_iter().map(|folder| (name(&folder), of_the_bench(&folder, &python)));
    let (seen, wrong) = contradictions(told);
    assert!(seen > 0, "no case of {} left a report", bench.display());
    assert!(wrong.is_empty(), "{} contradictions in {seen} reports:\n{}", wrong.len(), wrong.join("\n"));
}
