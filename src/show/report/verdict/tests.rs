//! Headlines and next steps, case by case.

use super::*;
use crate::found::sizes::SizeVerdict;
use crate::found::steps::StepVerdict;
use crate::show::sample::{agreed_report, check_report, hostile_report, limited_report, partial_report, sample_report};

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
    assert_eq!(run::search(&report).value, "ddmin: 19 checks; 50 ms".to_string().into());
    assert_eq!(run::tolerance(&report).value, "the command decides".to_string().into());
    report.verdict = Verdict::Inconclusive;
    assert_eq!(headline(&report).1, format!("no answer for bert.onnx from the check: {command}"));
    assert!(next_step(&report).contains("by hand"));
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

/// A comparison searches for nothing: it accuses nobody, and can go on with nothing.
#[test]
fn a_comparison_is_no_search() {
    let mut report = Report { wanted: Wanted::Table, culprits: Vec::new(), ..sample_report() };
    assert_eq!(headline(&report).1, "1 output of bert.onnx, ort:fp16 against ort");
    report.outputs.push(TensorResult { status: Status::Agrees, ..report.outputs[0].clone() });
    assert_eq!(headline(&report).1, "1 of 2 outputs of bert.onnx, ort:fp16 against ort");
    report.outputs.clear();
    assert_eq!(headline(&report).1, "bert.onnx, ort:fp16 against ort");
    let mut report = Report { wanted: Wanted::Table, ..partial_report() };
    for perturbed in [false, true] {
        report.search.perturbed = perturbed;
        let next = next_step(&report);
        assert!(next.contains("layerdiff bisect") && !next.contains("--strategy"), "{next}");
    }
    report.search.perturbed = false;
    report.sweep = vec![SizeVerdict::default()];
    assert!(next_step(&report).contains("(--shard)"), "it was stopped before it came to the outputs");
    report.outputs = sample_report().outputs;
    assert!(next_step(&report).contains("--sweep"));
    report.steps = vec![StepVerdict::default()];
    assert!(next_step(&report).contains("--steps"));
}

#[test]
fn the_headline_ends_with_the_cure() {
    let mut report = limited_report();
    let said = |report: &Report| limited(report).unwrap();
    let start = "precision-limited, no single culprit in bert.onnx, ort-cuda:fp16 against ort: every node is as wrong \
                 as FP16 makes it (largest rho 1.30)";
    assert_eq!(said(&report), format!("{start}; 2 of 139 nodes in FP32 cure it"));
    let overrides = report.overrides.as_mut().unwrap();
    overrides.verified = false;
    assert_eq!(said(&report), format!("{start}; 2 of 139 nodes in FP32 are the best so far, not verified"));
    report.overrides.as_mut().unwrap().nodes.clear();
    assert!(said(&report).ends_with("; no set of nodes in FP32 was found that cures it"));
    report.overrides = None;
    assert_eq!(said(&report), start);
    report.precision_limited = None;
    assert_eq!(limited(&report), None);
}

#[test]
fn no_headline_carries_a_control_character() {
    let text = headline(&hostile_report()).1;
    assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
}
