//! A run that goes on where another one ended finds the same, and asks for less.

use std::path::Path;

use super::*;
use crate::found::experiment::Experiment;
use crate::lab::journal::Journal;
use crate::lab::{Ledger, Wish};
use crate::run::Observe;

const GRAPH: &str = "a = Neg(x); b = Neg(a); c = Neg(b); d = Neg(x); e = Neg(d); f = Neg(e); g = Add(c, f); h = Neg(g)";

fn world() -> World {
    World::of(GRAPH).wrong("make_b", MUCH).wrong("make_e", Wrong::Off(0.2))
}

/// Searches with a journal in this folder, and goes on with it where there is one. Gives back the candidate's jobs too.
fn journalled(set: &SetUp, args: &SearchArgs, home: &Path, resume: bool) -> (Ended<Found>, usize) {
    let (journal, known) = Journal::open(&home.join("journal.jsonl"), &Experiment::default(), resume).unwrap();
    let mut probe = set.probe_with(Wish::default(), Ledger::new(journal, known.looks));
    let ended = hunt(args, &mut probe);
    check_counts(set, &probe);
    (ended, set.candidate.count())
}

/// All of it but the time.
fn told(found: &Found) -> String {
    let culprits = serde_json::to_string(&found.culprits).unwrap();
    format!("{} {culprits} {:?}", found.strategy, found.notes)
}

fn check(world: impl Fn() -> World, args: &SearchArgs) {
    let home = tempfile::tempdir().unwrap();
    let (first, jobs) = journalled(&world().set_up(), args, home.path(), false);
    let (again, fewer) = journalled(&world().set_up(), args, home.path(), true);
    assert_eq!(told(&again.value), told(&first.value), "{args:?}");
    // What was seen in one look is seen in one again, for the proofs.
    let several = args.marks.is_some_and(|marks| marks < 8);
    assert!(if several { fewer < jobs } else { fewer <= jobs }, "{fewer} jobs after {jobs} by {args:?}");
    for at in 1..jobs {
        let home = tempfile::tempdir().unwrap();
        let set = world().with(|w| w.candidate.stops_at = Some(at)).set_up();
        let (stopped, _) = journalled(&set, args, home.path(), false);
        assert_eq!(stopped.halted, Some(RunError::Interrupted));
        let (again, some) = journalled(&world().set_up(), args, home.path(), true);
        assert_eq!(told(&again.value), told(&first.value), "stopped at {at} of {jobs}: {args:?}");
        assert!(some <= jobs, "{some} jobs of {jobs}");
    }
}

#[test]
fn what_an_earlier_run_saw_is_taken_over() {
    for args in ways() {
        check(world, &args);
        check(|| world().with(|w| w.candidate.about.width = 3), &args);
    }
}

#[test]
fn what_an_earlier_run_foresaw_and_put_right_is_taken_over() {
    let lost = || {
        let graph =
            "a = Neg(x); b = Neg(a); c = Relu(a); d = Neg(c); e = Add(d, x); f = Neg(e); g = Neg(f); h = Add(g, b)";
        World::of(graph).wrong("make_a", Wrong::Off(0.1)).wrong("make_e", MUCH)
    };
    for args in ways() {
        check(lost, &args);
        check(|| lost().engine(&[]), &args);
        check(|| lost().with(|w| w.candidate_spec = "ort"), &args);
    }
}

#[test]
fn what_an_earlier_run_saw_of_an_engine_is_taken_over() {
    for args in ways() {
        check(|| world().engine(&[Observe::Unfused]), &args);
        check(|| world().engine(&[]).with(|w| w.candidate.shaken.push("a")), &args);
    }
}

#[test]
fn what_an_earlier_run_saw_is_measured_again_as_far_as_it_fits() {
    // Of one tensor both values fit, and a little more.
    let little = || world().with(|w| w.memory = 40);
    let home = tempfile::tempdir().unwrap();
    let scan = SearchArgs::by_tensors(Strategy::Scan, None);
    let (first, _) = journalled(&little().set_up(), &scan, home.path(), false);
    let set = little().set_up();
    let (again, _) = journalled(&set, &scan, home.path(), true);
    assert_eq!(told(&again.value), told(&first.value));
    // The model's own output, and what one culprit reads and makes.
    assert!(set.candidate.all().iter().all(|seen| seen.outputs.len() <= 3));
}
