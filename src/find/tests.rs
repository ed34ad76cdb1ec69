//! Searches in small labs: a fault is planted in a fake candidate, and the culprit is told by the search alone.

mod engine;
mod journal;
mod masked;
mod random;
mod regrown;
mod several;

use super::*;
use crate::found::{Culprit, Kind, Status};
use crate::lab::fake::{SetUp, World, Wrong};
use crate::search::Answer;

/// Graphs in which every fault of a node reaches an output.
const GRAPHS: [&str; 8] = [
    "a = Relu(x)",
    "a = Relu(x); b = Neg(a); c = Mul(b, scale); d = Add(c, x)",
    "a = MatMul(x, left); b = Add(a, bias); c = Relu(b); d = MatMul(c, right); e = Add(d, a)",
    "l, r = Split(x); a = Neg(l); b = Mul(r, r); c = Add(a, b)",
    "a = Neg(x); b = Mul(y, a); c = Add(x, b); d = Mul(c, b); e = Add(d, a)",
    "a = Relu(x); b = Neg(a); c = Mul(a, a); d = Neg(c)",
    "k = Neg(scale); a = Mul(x, k); b = Neg(a); m = Mul(k, k); c = Add(b, m)",
    "a = Neg(x); b = Neg(a); c = Neg(b); d = Add(c, a); e = Neg(d); f = Neg(e); g = Add(f, d); h = Neg(g); i = Neg(h); \
     j = Add(i, g); m = Neg(j); n = Neg(m)",
];

/// As much as is off by in most tests.
const MUCH: Wrong = Wrong::Off(0.5);

/// Every way to search that small graphs tell apart.
fn ways() -> Vec<SearchArgs> {
    let bisect = [1, 2, 8].map(|marks| SearchArgs::by_tensors(Strategy::Bisect, Some(marks)));
    [SearchArgs::by_tensors(Strategy::Scan, None)].into_iter().chain(bisect).collect()
}

fn hunt(args: &SearchArgs, probe: &mut Probe) -> Ended<Found> {
    find(args, probe, &Progress::new(true), |_| {})
}

/// What a search that comes to its end finds.
fn found(args: &SearchArgs, probe: &mut Probe) -> Found {
    let Ended { value, halted } = hunt(args, probe);
    assert_eq!(halted, None);
    value
}

fn culprits(found: &Found) -> &[Culprit] {
    found.culprits.as_deref().expect("the search is over")
}

fn names(found: &Found) -> Vec<&str> {
    culprits(found).iter().map(|culprit| culprit.node.name.as_str()).collect()
}

/// A candidate of each kind that can be cut, with a fault at this node; the ordinary one and an engine come first.
fn worlds(graph: &str, node: &str) -> [World; 5] {
    let world = || World::of(graph).wrong(node, MUCH);
    [
        world(),
        world().engine(&[]),
        world().with(|w| w.candidate_spec = "ort"),
        world().with(|w| w.candidate.about.width = 3),
        world().with(|w| w.candidate.about.compares = true),
    ]
}

/// The node, and nobody else, is the culprit: measured, and proved alone.
fn check_only(set: &SetUp, args: &SearchArgs, node: &str) {
    let mut probe = set.probe();
    let found = found(args, &mut probe);
    let what = format!("{node} by {:?}, {:?} marks", args.strategy, args.marks);
    assert_eq!(names(&found), [node], "{what}");
    let culprit = &culprits(&found)[0];
    assert_eq!((culprit.kind, culprit.region.as_slice()), (Kind::Introduces, &[node.to_string()][..]), "{what}");
    assert!(culprit.inputs_agree && culprit.local.is_some(), "{what}");
    assert!(found.notes.is_empty(), "{what}: {:?}", found.notes);
    // The inputs were measured, not assumed.
    let graph = &set.lab.reference.graph;
    for parent in graph.parents(set.tensor(&culprit.tensor)) {
        assert_eq!(probe.results.answer(parent), Some(Answer::Good), "{what}");
    }
    check_counts(set, &probe);
}

/// Every build that the ledger knows was one that the backends saw.
fn check_counts(set: &SetUp, probe: &Probe) {
    let counts = &probe.ledger.counts;
    assert_eq!(set.reference.whole(), counts.reference_runs, "runs of the reference");
    // On the CPU, what depends on no input is computed apart, which is no build.
    if !set.lab.candidate.on_cpu() {
        let all = counts.candidate_builds + counts.trust_builds + counts.proof_builds;
        assert_eq!(set.candidate.count(), all, "jobs of the candidate: {counts:?}");
    }
    // What a proof needs again is a build of the whole model too.
    if !set.lab.candidate.compares() && counts.recalled_runs == 0 {
        assert_eq!(set.candidate.whole(), counts.candidate_builds + counts.trust_builds, "whole ones: {counts:?}");
    }
    assert_eq!(counts.candidate_builds, counts.candidate_runs);
}

#[test]
fn every_planted_fault_is_found_in_every_way() {
    for graph in GRAPHS {
        let nodes = World::of(graph).nodes;
        for node in &nodes {
            for (number, args) in ways().iter().enumerate() {
                // Those of an engine are not those of others; the rest differ in what they keep, not in what is looked at.
                let kinds = if nodes.len() > 8 || number % 2 == 1 { 2 } else { 5 };
                for world in worlds(graph, node).into_iter().take(kinds) {
                    check_only(&world.set_up(), args, node);
                }
            }
        }
    }
}

#[test]
fn what_was_measured_with_the_first_runs_is_not_measured_again() {
    for node in World::of(GRAPHS[2]).nodes {
        let set = World::of(GRAPHS[2]).wrong(&node, MUCH).with(|w| w.candidate_spec = "ort").set_up();
        let first = set.first(true);
        let (before, right) = (set.candidate.whole(), set.reference.whole());
        let mut probe = Probe::start(&set.lab, first, Default::default(), Default::default()).ok().unwrap();
        assert_eq!(names(&found(&SearchArgs::by_tensors(Strategy::Auto, None), &mut probe)), [node.as_str()]);
        assert_eq!((set.candidate.whole(), set.reference.whole()), (before, right));
        assert_eq!((probe.ledger.counts.candidate_builds, probe.ledger.counts.reference_runs), (2, 1));
    }
}

#[test]
fn every_sample_is_searched() {
    // Right on the first sample, whose values are positive.
    let graph = "a = Neg(x); b = Relu(a); c = Add(b, x)";
    for args in ways() {
        let world = World::of(graph).sample(-1.0).wrong("make_b", Wrong::Rows(0.5));
        let set = world.set_up();
        let mut probe = set.probe();
        let found = found(&args, &mut probe);
        assert_eq!(names(&found), ["make_b"]);
        assert_eq!(culprits(&found)[0].accumulated.sample, 1);
    }
}

#[test]
fn not_a_number_is_found_and_told() {
    for args in ways() {
        let set = World::of(GRAPHS[1]).wrong("make_b", Wrong::Nan).set_up();
        let found = found(&args, &mut set.probe());
        assert_eq!((names(&found), culprits(&found)[0].accumulated.cand_nonfinite), (vec!["make_b"], 1));
    }
}

#[test]
fn faults_in_branches_that_run_are_found_there() {
    let check = |taken: bool, node: &str, want: Option<&str>| {
        for args in ways() {
            for cpu in ["ort", "ort-cuda"] {
                let world = World::with_branches(taken).wrong(node, MUCH).with(|w| w.candidate_spec = cpu);
                let set = world.set_up();
                let mut probe = set.probe();
                let outputs_agree = probe.finals.results.iter().all(|r| r.status == Status::Agrees);
                assert_eq!(outputs_agree, want.is_none(), "{node}");
                let found = found(&args, &mut probe);
                assert_eq!(names(&found).first().copied(), want, "{node} by {:?} {:?}", args.strategy, args.marks);
                assert_eq!(culprits(&found).len(), usize::from(want.is_some()));
            }
        }
    };
    for node in ["make_a", "make_t", "make_c", "make_d"] {
        check(true, node, Some(node));
    }
    for node in ["make_a", "make_e", "make_c", "make_d"] {
        check(false, node, Some(node));
    }
    check(true, "make_e", None);
    check(false, "make_t", None);
}

#[test]
fn a_condition_that_flips_is_the_culprit_and_no_node_of_a_branch() {
    for args in ways() {
        for (cpu, engine) in [("ort", false), ("ort-cuda", false), ("trt", true)] {
            let world = World::with_condition().wrong("make_p", MUCH);
            let world = if engine { world.engine(&[]) } else { world.with(|w| w.candidate_spec = cpu) };
            let set = world.set_up();
            let mut probe = set.probe();
            let found = found(&args, &mut probe);
            assert_eq!(names(&found), ["make_p"], "{cpu} {:?} {:?}", args.strategy, args.marks);
            assert_eq!(culprits(&found)[0].kind, Kind::Introduces);
            for branch in ["make_c/then_branch/t", "make_c/else_branch/e"] {
                let Some(seen) = probe.results.get(set.tensor(branch)) else { continue };
                let why = seen.why.as_deref().unwrap_or_default();
                assert_eq!(seen.status, Status::NotCompared);
                assert!(why == "its branch ran on one side only" || why == "its branch did not run", "{why}");
            }
        }
    }
}

#[test]
fn where_a_condition_cannot_be_seen_to_flip_it_is_told_with_the_if() {
    for args in ways() {
        let set = World::with_condition().wrong("make_p", MUCH).with(|w| w.candidate.blind.push("p")).set_up();
        let found = found(&args, &mut set.probe());
        assert_eq!(names(&found), ["make_c"]);
        let culprit = &culprits(&found)[0];
        assert_eq!((culprit.kind, culprit.inputs_agree), (Kind::Region, true));
        assert_eq!(culprit.region, ["make_p", "make_c"], "no node of a branch is suspected");
    }
}

#[test]
fn a_node_that_enlarges_what_came_in_amplifies() {
    // The difference of two nearly equal numbers: either is right within the tolerance.
    let graph = "a = Mul(x, scale); b = Mul(x, scale); n = Neg(b); c = Add(a, n)";
    for args in ways() {
        let set = World::of(graph).wrong("make_a", Wrong::Off(2e-5)).set_up();
        let found = found(&args, &mut set.probe());
        let culprit = &culprits(&found)[0];
        assert_eq!((names(&found), culprit.kind), (vec!["make_c"], Kind::Amplifies));
        assert!(culprit.local.as_ref().is_some_and(|m| m.mismatched == 0), "alone it is right");
    }
}

#[test]
fn stored_tensors_are_searched_and_not_run() {
    let graph = GRAPHS[2];
    for args in ways() {
        let world = World::of(graph).wrong("make_d", MUCH).with(|w| {
            w.candidate_spec = "saved:tensors.npz";
            w.candidate.store(&["a", "b", "d", "e"]);
        });
        let set = world.set_up();
        let mut probe = set.probe();
        let found = found(&args, &mut probe);
        // Nobody stored `c`: it could be wrong too.
        assert_eq!(names(&found), ["make_d"]);
        let culprit = &culprits(&found)[0];
        assert_eq!(
            (culprit.kind, culprit.region.as_slice()),
            (Kind::Region, &["make_c", "make_d"].map(String::from)[..])
        );
        assert!(culprit.local.is_none() && culprit.inputs_agree);
        assert_eq!(set.candidate.count(), set.candidate.whole(), "no part of it is run");
    }
}
