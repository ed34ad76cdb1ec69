//! Probes of small labs, both sides faked: what is known at the start, what is held, what is measured again.

use super::fake::{SetUp, World, Wrong};
use super::*;
use crate::found::Status;
use crate::search::Answer;

const CHAIN: &str = "a = Neg(x); b = Mul(a, scale); c = Neg(b); d = Add(c, x)";

/// Two outputs.
const FORK: &str = "a = Neg(x); b = Neg(a); c = Mul(a, a)";

fn start(set: &SetUp, everything: bool) -> Result<Probe<'_>, Unstarted> {
    Probe::start(&set.lab, set.first(everything), Wish::default(), Ledger::default())
}

#[test]
fn the_final_outputs_are_told_before_anything_is_marked() {
    let check = |world: World, want: &[(&str, Status, Option<&str>)]| {
        let set = world.set_up();
        let probe = set.probe();
        let got = probe.finals.results.iter().map(|r| (r.name.as_str(), r.status, r.why.as_deref()));
        assert_eq!(got.collect::<Vec<_>>(), want);
        // What was compared needs no other look; what was not may be worth one.
        for (name, status, _) in want {
            assert_eq!(probe.results.is_open(set.tensor(name)), *status == Status::NotCompared, "{name}");
        }
        let names = |seen: fake::Seen| seen.outputs.into_iter().skip(2).collect::<Vec<_>>();
        let inner: Vec<String> = set.lab.outputs.iter().filter(|name| *name == "a").cloned().collect();
        assert_eq!(
            set.candidate.all().into_iter().flat_map(names).collect::<Vec<_>>(),
            inner,
            "nothing else is marked"
        );
    };
    let (agrees, diverges, none) = (Status::Agrees, Status::Diverges, Status::NotCompared);
    check(World::of(FORK), &[("b", agrees, None), ("c", agrees, None)]);
    check(World::of(FORK).wrong("make_b", Wrong::Off(0.5)), &[("b", diverges, None), ("c", agrees, None)]);
    check(World::of(FORK).wrong("make_a", Wrong::Off(0.5)), &[("b", diverges, None), ("c", diverges, None)]);
    check(World::of(FORK).wrong("make_a", Wrong::Off(1e-6)), &[("b", agrees, None), ("c", agrees, None)]);
    let missing = Some("the candidate gave no value for it");
    check(World::of(FORK).with(|w| w.candidate.blind.push("c")), &[("b", agrees, None), ("c", none, missing)]);
    let missing = Some("the reference gave no value for it");
    check(World::of(FORK).with(|w| w.reference.blind.push("b")), &[("b", none, missing), ("c", agrees, None)]);
    // `--outputs`: others decide.
    let inner = World::of(FORK).with(|w| w.outputs = vec!["a".to_string()]);
    check(inner.wrong("make_a", Wrong::Off(0.5)), &[("a", diverges, None)]);
}

#[test]
fn the_worst_sample_decides() {
    for (row, sample) in [(Wrong::Rows(0.5), 0), (Wrong::Off(0.5), 0)] {
        let set = World::of(FORK).sample(1e3).sample(1e-3).wrong("make_b", row).set_up();
        let probe = set.probe();
        let b = &probe.finals.results[0];
        assert_eq!((b.status, set.candidate.all()[0].samples), (Status::Diverges, 3));
        assert_ne!(b.metrics.as_ref().unwrap().sample, sample, "the smallest values are off most, if not all alike");
    }
}

#[test]
fn the_first_runs_are_counted_once() {
    for everything in [false, true] {
        let set = World::of(CHAIN).set_up();
        let probe = start(&set, everything).ok().unwrap();
        let counts = &probe.ledger.counts;
        assert_eq!((counts.reference_runs, counts.candidate_builds, counts.candidate_runs), (1, 1, 1));
        assert_eq!(set.reference.count(), 1, "the outputs are among the values");
    }
}

#[test]
fn a_side_that_fails_leaves_no_probe() {
    let crash = RunError::Crash { backend: "fake".into(), reason: "SIGSEGV".into() };
    let check = |world: World, why: RunError| {
        let set = world.set_up();
        let unstarted = start(&set, false).err().expect("it is not started");
        assert_eq!((unstarted.why, unstarted.counts), (why, Counts::default()));
    };
    check(World::of(CHAIN).wrong("make_b", Wrong::Crash), crash.clone());
    check(World::of(CHAIN).with(|w| w.candidate.stops_at = Some(0)), RunError::Interrupted);
    check(World::of(CHAIN).with(|w| w.reference.stops_at = Some(0)), RunError::Interrupted);
    check(World::of(CHAIN).with(|w| w.reference.spoil("make_c", Wrong::Crash)), crash);
}

#[test]
fn what_is_measured_is_answered_and_remembered() {
    let set = World::of(CHAIN).wrong("make_b", Wrong::Off(0.5)).set_up();
    let mut probe = set.probe();
    let asked = set.tensors(&["c", "a", "b"]);
    assert_eq!(
        probe.measure(&asked).unwrap(),
        [Answer::Bad, Answer::Good, Answer::Bad],
        "in the order of the question"
    );
    let jobs = set.candidate.count();
    assert_eq!(probe.measure(&asked).unwrap(), [Answer::Bad, Answer::Good, Answer::Bad]);
    assert_eq!(set.candidate.count(), jobs, "nothing is asked twice");
}

#[test]
fn values_that_do_not_fit_are_let_go_and_measured_again() {
    // Two sides of two matrices of 16 bytes fit.
    let check = |memory: u64, forgets: bool| {
        let set = World::of(CHAIN).wrong("make_b", Wrong::Off(0.5)).with(|w| w.memory = memory).set_up();
        let mut probe = set.probe();
        let (a, b) = (set.tensor("a"), set.tensor("b"));
        probe.measure(&[a]).unwrap();
        assert!(probe.reference_value(a, 0).is_some() && probe.candidate_value(a, 0).is_some());
        probe.measure(&[b]).unwrap();
        assert_eq!(probe.candidate_value(a, 0).is_none(), forgets, "{memory} bytes");
        assert_eq!(probe.reference_value(a, 0).is_none(), forgets, "{memory} bytes");
        let (candidate, reference) = (set.candidate.count(), set.reference.count());
        probe.values_of(&[a]).unwrap();
        assert!(probe.reference_value(a, 0).is_some() && probe.candidate_value(a, 0).is_some());
        let more = usize::from(forgets);
        assert_eq!((set.candidate.count(), set.reference.count()), (candidate + more, reference + more));
        // Answers are not values: they stay.
        assert_eq!(probe.measure(&[a, b]).unwrap(), [Answer::Good, Answer::Bad]);
        assert_eq!(set.candidate.count(), candidate + more);
    };
    check(1 << 20, false);
    check(40, true);
}

#[test]
fn what_the_user_wants_is_kept_however_little_fits() {
    let set = World::of(CHAIN).wrong("make_b", Wrong::Off(0.5)).with(|w| w.memory = 40).set_up();
    let mut probe = set.probe_with(Wish { save: true, ..Wish::default() }, Ledger::default());
    for tensor in ["a", "b", "c"] {
        probe.measure(&set.tensors(&[tensor])).unwrap();
    }
    let saved = probe.values.take_saved().expect("it was asked for");
    let mut names: Vec<&str> = saved.keys().map(String::as_str).collect();
    names.sort_unstable();
    let want = ["candidate/a", "candidate/b", "candidate/c", "candidate/d"];
    assert_eq!(names[..4], want);
    assert_eq!(names[4..], ["reference/a", "reference/b", "reference/c", "reference/d"]);
    let differs = |name: &str| !saved[&format!("reference/{name}")].identical(&saved[&format!("candidate/{name}")]);
    assert_eq!(["a", "b", "c", "d"].map(differs), [false, true, true, true]);
    assert!(probe.values.take_saved().is_none(), "it was handed over");
    assert!(set.probe().values.take_saved().is_none(), "nobody asked");
}

#[test]
fn only_the_first_sample_is_kept_for_the_user() {
    let set = World::of(CHAIN).sample(3.0).set_up();
    let mut probe = set.probe_with(Wish { save: true, ..Wish::default() }, Ledger::default());
    probe.measure(&set.tensors(&["a"])).unwrap();
    let saved = probe.values.take_saved().unwrap();
    assert!(saved["reference/a"].identical(probe.reference_value(set.tensor("a"), 0).unwrap()));
    assert!(!saved["reference/a"].identical(probe.reference_value(set.tensor("a"), 1).unwrap()));
}

#[test]
fn branches_that_do_not_run_are_no_answer() {
    for (taken, runs, does_not) in [(true, "then_branch/t", "else_branch/e"), (false, "else_branch/e", "then_branch/t")]
    {
        for everything in [false, true] {
            let set = World::with_branches(taken).set_up();
            let mut probe = start(&set, everything).ok().unwrap();
            let asked = [runs, does_not].map(|name| set.tensor(&format!("make_c/{name}")));
            probe.known();
            assert_eq!(probe.measure(&asked).unwrap(), [Answer::Good, Answer::Unknown]);
            assert_eq!([probe.results.ran(asked[0]), probe.results.ran(asked[1])], [true, false]);
            let why = probe.results.get(asked[1]).unwrap().why.as_deref();
            assert_eq!(why, Some("its branch did not run"));
        }
    }
}

#[test]
fn what_nobody_can_compare_is_told_without_a_run() {
    let world = World::of(CHAIN).with(|w| {
        w.candidate_spec = "saved:tensors.npz";
        w.candidate.store(&["a", "d"]);
    });
    let set = world.set_up();
    let mut probe = set.probe();
    let jobs = set.candidate.count() + set.reference.count();
    assert_eq!(probe.known(), [None, Some(Answer::Unknown), Some(Answer::Unknown), Some(Answer::Good)]);
    assert_eq!(set.candidate.count() + set.reference.count(), jobs);
    let why = probe.results.get(set.tensor("b")).unwrap().why.as_deref();
    assert_eq!(why, Some("the candidate has no value for it"));
}

#[test]
fn several_looks_go_on_at_the_same_time_and_are_all_counted() {
    let set = World::of(CHAIN).wrong("make_b", Wrong::Off(0.5)).with(|w| w.candidate.about.width = 3).set_up();
    let mut probe = set.probe();
    let (a, b, c) = (set.tensor("a"), set.tensor("b"), set.tensor("c"));
    assert_eq!(probe.measure_each(&[&[a], &[b], &[c]]).unwrap(), [Answer::Good, Answer::Bad, Answer::Bad]);
    assert_eq!((set.candidate.count(), probe.ledger.counts.candidate_builds), (4, 4));
    assert_eq!((set.reference.count(), probe.ledger.counts.reference_runs), (2, 2), "one run for all three");
}

#[test]
fn where_values_lie_they_are_compared_as_here() {
    let world = || World::of(CHAIN).wrong("make_b", Wrong::Off(0.5));
    let (here, there) = (world().set_up(), world().with(|w| w.candidate.about.compares = true).set_up());
    let (mut one, mut other) = (here.probe(), there.probe());
    let all: Vec<usize> = (0..here.lab.tensors()).collect();
    assert_eq!(one.measure(&all).unwrap(), other.measure(&all).unwrap());
    for tensor in all {
        let [a, b] = [&one, &other].map(|probe| serde_json::to_string(probe.results.get(tensor).unwrap()).unwrap());
        assert_eq!(a, b);
    }
    let agrees = there.tensor("a");
    assert!(
        one.candidate_value(agrees, 0).is_some() && other.candidate_value(agrees, 0).is_none(),
        "what agrees stays"
    );
}
