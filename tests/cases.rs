//! Every fault pattern of testdata/, end to end: the program names exactly the culprits of case.json, by measuring
//! everything and by narrowing down with three marks a run.

mod common;

use std::path::Path;

use common::{Run, layerdiff, testdata};
use layerdiff::found::{Kind, Report, Status, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    args: Vec<String>,
    verdict: Verdict,
    exit: i32,
    culprits: Vec<Expected>,
    #[serde(default)]
    outputs: std::collections::BTreeMap<String, Status>,
}

#[derive(Deserialize, Debug)]
struct Expected {
    node: Option<String>,
    tensor: Option<String>,
    subgraph: Option<String>,
    kind: Kind,
    region: Option<Vec<String>>,
}

fn run(folder: &Path, case: &Case, more: &[&str]) -> Run {
    let candidate = match case.candidate.split_once('@') {
        Some((backend, file)) => format!("{backend}@{}", folder.join(file).display()),
        None => case.candidate.clone(),
    };
    let mut samples: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path().display().to_string())
        .filter(|p| p.ends_with(".npz"))
        .collect();
    samples.sort();
    let mut args = vec!["--candidate", &candidate];
    samples.iter().for_each(|s| args.extend(["--inputs", s]));
    args.extend(case.args.iter().map(String::as_str));
    args.extend(more);
    layerdiff("bisect", &folder.join("model.onnx"), &args)
}

/// What is wrong with this run, if anything.
fn fault(case: &Case, run: &Run) -> Option<String> {
    if run.status != case.exit {
        return Some(format!("exit status {}, {} expected\n{}", run.status, case.exit, run.stderr));
    }
    let report: Report = run.report();
    if report.verdict != case.verdict {
        return Some(format!("verdict {:?}, because {:?}", report.verdict, report.why));
    }
    let named: Vec<_> = report.culprits.iter().map(|c| (&c.node.name, &c.tensor, &c.node.subgraph, c.kind)).collect();
    let all = report.culprits.len() == case.culprits.len()
        && report.culprits.iter().zip(&case.culprits).all(|(got, want)| {
            want.node.as_ref().is_none_or(|n| *n == got.node.name)
                && want.tensor.as_ref().is_none_or(|t| *t == got.tensor)
                && want.subgraph == got.node.subgraph
                && want.kind == got.kind
                && want.region.as_ref().is_none_or(|r| *r == got.region)
                && got.inputs_agree
        });
    if !all {
        return Some(format!("named {named:?}, but {:?} was expected", case.culprits));
    }
    let wrong =
        |(name, status): (&String, &Status)| report.outputs.iter().any(|o| o.name == *name && o.status != *status);
    case.outputs.iter().find(|o| wrong(*o)).map(|(name, _)| format!("output '{name}' has another status than expected"))
}

fn check_all(more: &[&str]) {
    let mut count = 0;
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("case.json")) else { continue };
        let case: Case = serde_json::from_str(&text).unwrap();
        count += 1;
        if let Some(fault) = fault(&case, &run(&folder, &case, more)) {
            faults.push(format!("{}: {fault}", folder.display()));
        }
    }
    assert!(count >= 25, "only {count} cases were found");
    assert!(faults.is_empty(), "{} of {count} cases fail:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_pattern_by_scan() {
    check_all(&["--strategy", "scan"]);
}

#[test]
fn every_pattern_by_bisect() {
    check_all(&["--strategy", "bisect", "--marks", "3"]);
}

#[test]
fn every_pattern_in_little_memory() {
    check_all(&["--strategy", "scan", "--memory", "2K"]);
}

#[test]
fn compare_lists_a_fault_that_never_reaches_an_output() {
    let inputs = testdata("masked_fault/inputs.npz").display().to_string();
    let run = layerdiff("compare", &testdata("masked_fault/model.onnx"), &["-c", "ort:fp16", "-i", &inputs]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report = run.report();
    assert_eq!((report.verdict, report.culprits.len()), (Verdict::Agreed, 0));
    let hidden: Vec<_> = report.tensors.iter().filter(|t| t.status == Status::Diverges).collect();
    assert!(!hidden.is_empty());
    for tensor in &report.tensors {
        assert!(run.stdout.contains(&tensor.name), "{} is not in the table:\n{}", tensor.name, run.stdout);
    }
}
