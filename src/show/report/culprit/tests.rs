//! The proof and the advice, case by case.

use super::*;
use crate::show::sample::{hostile_report, sample_report};

#[track_caller]
fn check_proof(change: impl FnOnce(&mut Report), want: &str) {
    let mut report = sample_report();
    change(&mut report);
    assert_eq!(proof(&report, &report.culprits[0]), want);
}

fn set(report: &mut Report, name: &str, status: Status) {
    report.tensors.iter_mut().find(|t| t.name == name).unwrap().status = status;
}

#[test]
fn proof_says_what_was_measured() {
    check_proof(|_| (), "1 of its 2 inputs was measured and agrees (max abs 9.27e-4); not measured: \"/norm/two\"");
    let inputs = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    check_proof(
        |r| r.culprits[0].node.inputs = inputs(&["/norm/Sub_output_0", "/norm/ReduceMean_output_0"]),
        "its 2 inputs were measured and agree (worst: \"/norm/ReduceMean_output_0\", max abs 9.60e-4)",
    );
    check_proof(
        |r| r.culprits[0].node.inputs = inputs(&["w", "", "v"]),
        "no input of it was measured: \"w\", \"v\" (model inputs and constants need not be)",
    );
    check_proof(|r| r.culprits[0].node.inputs.clear(), "it has no inputs, so the fault is its own");
    check_proof(
        |r| r.culprits[0].kind = Kind::Region,
        "every compared tensor that enters the region was measured and agrees",
    );
}

#[test]
fn what_is_given_needs_no_measurement() {
    check_proof(
        |r| r.culprits[0].given = vec!["/norm/two".into()],
        "its only input was measured and agrees (max abs 9.27e-4)",
    );
    check_proof(
        |r| r.culprits[0].given = r.culprits[0].node.inputs.clone(),
        "it reads only the model's own inputs and weights, which are the same on both sides",
    );
}

#[test]
fn not_compared_is_never_agreement() {
    check_proof(
        |r| set(r, "/norm/Sub_output_0", Status::NotCompared),
        "none of its inputs could be compared; not compared: \"/norm/Sub_output_0\"; not measured: \"/norm/two\"",
    );
    let unproven = |r: &mut Report| r.culprits[0].inputs_agree = false;
    check_proof(unproven, "not proven: not every input of it was measured");
    check_proof(
        |r| {
            unproven(r);
            set(r, "/norm/Sub_output_0", Status::NotCompared);
        },
        "not proven: its input \"/norm/Sub_output_0\" was not compared",
    );
    check_proof(
        |r| {
            unproven(r);
            set(r, "/norm/Sub_output_0", Status::Diverges);
        },
        "not proven: its input \"/norm/Sub_output_0\" diverges too",
    );
}

#[test]
fn the_same_advice_is_given_once() {
    let mut culprit = sample_report().culprits[0].clone();
    let one = |code: &str, advice: &str| Diagnosis {
        code: code.into(),
        sure: Sure::Shown,
        evidence: String::new(),
        advice: advice.into(),
    };
    culprit.diagnosis = vec![one("a", "use BF16"), one("b", "scale"), one("c", "use BF16")];
    let said: Vec<(&str, Vec<&str>)> = diagnoses(&culprit)
        .into_iter()
        .map(|(advice, causes)| (advice, causes.into_iter().map(|c| c.code.as_str()).collect()))
        .collect();
    assert_eq!(said, [("use BF16", vec!["a", "c"]), ("scale", vec!["b"])]);
}

#[test]
fn no_sentence_carries_a_control_character() {
    let report = hostile_report();
    let culprit = &report.culprits[0];
    let sentences = [proof(&report, culprit), culprit.node.told(), culprit.node.operator(), culprit.deed()];
    assert!(sentences.iter().all(|s| !s.contains(|c: char| c.is_control() || c == '\u{202e}')), "{sentences:?}");
}
