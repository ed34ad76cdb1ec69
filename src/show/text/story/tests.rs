//! The sentences, case by case.

use super::*;
use crate::found::Real;
use crate::show::text::sample::{agreed_report, check_report, hostile_report, partial_report, sample_report};

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
fn headlines() {
    let (word, rest) = headline(&sample_report());
    assert_eq!((word, rest.as_str()), ("diverged", "2 culprits in bert.onnx, ort:fp16 against ort"));
    assert_eq!(headline(&agreed_report()).1, "every output of bert.onnx is within tolerance, ort:fp16 against ort");
    assert_eq!(headline(&Report::default()).1, "no answer for model, an unknown backend against an unknown backend");
}

#[test]
fn a_check_compares_nothing() {
    let mut report = check_report();
    let command = "python 'my check.py' {model} {inputs}";
    assert_eq!(headline(&report), ("fails", format!("the check on bert.onnx: {command}")));
    assert_eq!(search(&report), "ddmin: 19 checks; 50 ms");
    assert_eq!(tolerance(&report), "the command decides");
    report.verdict = Verdict::Inconclusive;
    assert_eq!(headline(&report).1, format!("no answer for bert.onnx from the check: {command}"));
    assert!(next_step(&report).contains("by hand"));
}

#[test]
fn extent_of_an_error() {
    let report = sample_report();
    let overflow = &report.culprits[0].accumulated;
    assert_eq!(extent(overflow, 1), "12 of 4,096 elements beyond tolerance, the first at [0,3,17]");
    assert!(extent(overflow, 3).ends_with("[0,3,17] of sample 0"));
    assert_eq!(error(overflow), "12 NaN or Inf (reference: 0), max abs Inf, max rel 1.58, SQNR 14.1 dB");
    assert!(nonfinite(overflow));
    let fine = Metrics { elements: 5, sqnr_db: Real(f64::INFINITY), ..Metrics::default() };
    assert_eq!(extent(&fine, 1), "all 5 elements within tolerance");
    assert_eq!(error(&fine), "none, the values are equal");
    assert_eq!(relative_rms(&fine), Some(0.0));
    assert_eq!(relative_rms(&Metrics { sqnr_db: Real(f64::NAN), ..fine }), None);
}

#[test]
fn the_same_advice_is_given_once() {
    let mut culprit = sample_report().culprits[0].clone();
    let one =
        |code: &str, advice: &str| Diagnosis { code: code.into(), evidence: String::new(), advice: advice.into() };
    culprit.diagnosis = vec![one("a", "use BF16"), one("b", "scale"), one("c", "use BF16")];
    let said: Vec<(&str, Vec<&str>)> = diagnoses(&culprit)
        .into_iter()
        .map(|(advice, causes)| (advice, causes.into_iter().map(|c| c.code.as_str()).collect()))
        .collect();
    assert_eq!(said, [("use BF16", vec!["a", "c"]), ("scale", vec!["b"])]);
}

#[test]
fn names_of_nodes() {
    let mut node = sample_report().culprits[0].node.clone();
    assert_eq!((node_name(&node).as_str(), op(&node).as_str()), ("/norm/Pow", "Pow"));
    node.name.clear();
    node.domain = "com.microsoft".into();
    assert_eq!((node_name(&node).as_str(), op(&node).as_str()), ("#41", "com.microsoft.Pow"));
}

#[test]
fn surroundings_hold_culprits_inputs_and_gaps() {
    let report = sample_report();
    let rows = |n, context| surroundings(&report, &report.culprits[..n], context);
    assert_eq!(rows(1, 0), [Some(5), Some(6)]);
    assert_eq!(rows(2, 1), [Some(5), Some(6), Some(7), None, Some(10), Some(11), Some(12)]);
    assert_eq!(rows(2, 99).len(), report.tensors.len());
    assert_eq!(rows(0, 3), []);
}

#[test]
fn next_steps_fit_the_reason() {
    let mut report = partial_report();
    assert!(next_step(&report).contains("--resume"));
    report.search.candidate_runs = 0;
    assert!(next_step(&report).contains("layerdiff doctor"));
    report.outputs = sample_report().outputs;
    report.outputs[0].status = Status::NotCompared;
    assert!(next_step(&report).contains("--outputs"));
    report.search.perturbed = true;
    assert!(next_step(&report).contains("--marks 1"));
}

#[test]
fn no_sentence_carries_a_control_character() {
    let report = hostile_report();
    let culprit = &report.culprits[0];
    let sentences =
        [headline(&report).1, proof(&report, culprit), node_name(&culprit.node), op(&culprit.node), deed(culprit)];
    assert!(sentences.iter().all(|s| !s.contains(|c: char| c.is_control() || c == '\u{202e}')), "{sentences:?}");
}
