//! What holds for any findings, those included that no run leaves behind.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::found::{Real, json};

static SCHEMA_OF_REPORTS: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&json::schema()).unwrap());

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Agrees), Just(Status::Diverges), Just(Status::NotCompared)]
}

fn reals() -> impl Strategy<Value = Real> {
    let odd =
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), Just(f64::MIN_POSITIVE)];
    prop_oneof![odd, any::<f64>()].prop_map(Real)
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ -~]{1,12}", Just("Größe “∞”\u{1}\n".to_string())]
}

prop_compose! {
    fn results()(name in words(), status in statuses(), why in of(words()), worst in of((reals(), reals()))) -> TensorResult {
        let metrics = worst.map(|(max_abs, sqnr_db)| Metrics { max_abs, sqnr_db, ..Metrics::default() });
        TensorResult { metrics, ..output(&name, status, why.as_deref()) }
    }
}

fn distrust() -> impl Strategy<Value = Distrust> {
    let kinds =
        [Distrust::ReferenceMoves, Distrust::ReferenceInTf32, Distrust::CandidateMoves, Distrust::CandidateWavers];
    (0..kinds.len(), words()).prop_map(move |(kind, words)| kinds[kind](words))
}

fn notes() -> impl Strategy<Value = Vec<Note>> {
    let note = prop_oneof![
        words().prop_map(Note::Model),
        Just(Note::NothingToCut),
        Just(Note::StoredOnly),
        (words(), words()).prop_map(|(tensor, why)| Note::NoReproducer { tensor, why }),
    ];
    vec(note, 0..3)
}

fn failures() -> impl Strategy<Value = RunError> {
    prop_oneof![
        Just(RunError::Interrupted),
        Just(RunError::NoReproducer { why: None }),
        (words(), words()).prop_map(|(backend, reason)| RunError::Crash { backend, reason }),
    ]
}

prop_compose! {
    fn tests()(mine in of(of(distrust())), theirs in of(of(distrust())), some in notes()) -> (Option<OfReference>, Option<OfCandidate>) {
        let reference = mine.map(|broken| OfReference { broken, notes: some.clone(), ..OfReference::default() });
        (reference, theirs.map(|broken| OfCandidate { broken, notes: some, ..OfCandidate::default() }))
    }
}

prop_compose! {
    fn cuts()(made in vec((any::<bool>(), of(words()), 0..9usize), 0..3), notes in notes()) -> Reproducers {
        let made = made.into_iter().map(|(fails, why, nodes)| reduced(nodes, fails, why.as_deref())).collect();
        Reproducers { made, of: 9, notes }
    }
}

prop_compose! {
    fn searches()(culprits in of(vec(reals(), 0..3)), notes in notes()) -> Found {
        let one = |max_abs: Real| Culprit { accumulated: Metrics { max_abs, ..Metrics::default() }, ..culprit() };
        Found { culprits: culprits.map(|all| all.into_iter().map(one).collect()), notes, ..Found::default() }
    }
}

prop_compose! {
    fn cures()(nodes in of((0..3usize, any::<bool>())), error in reals()) -> Cure {
        let overrides = nodes.map(|(n, verified)| Overrides {
            nodes: vec!["n".to_string(); n],
            verified,
            error_after: error,
            curve: vec![(n, error)],
            ..Overrides::default()
        });
        Cure { overrides, ..Cure::default() }
    }
}

prop_compose! {
    fn all()(
        kind in 0..5usize,
        outputs in of(vec(results(), 0..4)),
        tensors in vec(results(), 0..4),
        (reference, candidate) in tests(),
        found in of(searches()),
        knobs in of(vec(words(), 0..2)),
        reproducers in cuts(),
        cure in cures(),
        halted in proptest::option::weighted(0.1, failures()),
        unfinished in any::<bool>(),
        notes in notes(),
    ) -> Findings {
        let kinds = [Wanted::Culprits, Wanted::Table, Wanted::Routes, Wanted::Precision, Wanted::Check];
        Findings {
            opening: Opening { wanted: kinds[kind], notes, ..Opening::default() },
            measured: Measured { tensors, ..Measured::default() },
            compiler: of_knobs(knobs.map(|knobs| Routes { knobs, ..Routes::default() })),
            outputs, reference, candidate, found, reproducers, cure, halted, unfinished,
            ..Findings::default()
        }
    }
}

/// Beside others, an output without an element says nothing against agreement.
fn agrees_or_is_empty(o: &TensorResult) -> bool {
    let empty = o.metrics.as_ref().is_some_and(|m| m.elements == 0);
    o.status == Status::Agrees || o.status == Status::NotCompared && empty
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_report_is_read_back_as_it_was_and_keeps_its_promises(findings in all()) {
        let report = assemble(&Experiment::default(), &findings);
        let text = json::to_string(&report).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(SCHEMA_OF_REPORTS.is_valid(&value), "{text}");
        let read: Report = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(json::to_string(&read).unwrap(), text);

        prop_assert!(report.verdict != Inconclusive || report.why.is_some(), "inconclusive, and nobody says why");
        let outputs = findings.outputs.as_deref().unwrap_or_default();
        if report.verdict == Agreed {
            prop_assert!(!outputs.is_empty() && outputs.iter().all(agrees_or_is_empty));
            prop_assert!(findings.reference.is_none_or(|tests| tests.broken.is_none()));
            prop_assert_eq!(&report.why, &None);
        }
        if report.verdict != Inconclusive {
            prop_assert_eq!(&findings.halted, &None);
        }
        if report.verdict == Diverged && findings.opening.wanted != Wanted::Check {
            prop_assert!(outputs.iter().any(|o| o.status == Status::Diverges));
        }
    }
}
