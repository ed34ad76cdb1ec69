//! Candidates that are built anew around whatever is marked: what a disturbed build says is never believed.

use super::*;
use crate::run::Observe;

const CHAIN: &str = "a = Neg(x); b = Mul(a, scale); c = Neg(b); d = Add(c, x); e = Neg(d)";

/// The fault is at `node` or among the nodes of a region that holds it, and no healthy node stands for it.
fn check_blames(found: &Found, node: &str, what: &str) {
    for culprit in culprits(found) {
        assert!(
            culprit.region.iter().any(|name| name == node),
            "{what}: {} of {:?}",
            culprit.node.name,
            culprit.region
        );
        if culprit.node.name != node {
            assert_eq!(culprit.kind, Kind::Region, "{what}: {} stands for {node}", culprit.node.name);
        }
    }
}

#[test]
fn marks_that_disturb_accuse_nobody_healthy() {
    for node in World::of(CHAIN).nodes {
        for shaken in ["a", "b", "c", "d"] {
            for args in ways() {
                for observes in [&[][..], &[Observe::Unfused], &[Observe::Debug, Observe::Unfused]] {
                    let world = World::of(CHAIN).wrong(&node, MUCH).engine(observes);
                    let set = world.with(|w| w.candidate.shaken.push(shaken)).set_up();
                    let mut probe = set.probe();
                    let found = found(&args, &mut probe);
                    let what =
                        format!("{node} with {shaken} shaken, {observes:?}, {:?} {:?}", args.strategy, args.marks);
                    check_blames(&found, &node, &what);
                    assert!(!culprits(&found).is_empty(), "{what}");
                    check_counts(&set, &probe);
                }
            }
        }
    }
}

#[test]
fn what_disturbs_is_not_compared_and_told() {
    let world = World::of(CHAIN).wrong("make_c", MUCH).engine(&[]);
    let set = world.with(|w| w.candidate.shaken.push("b")).set_up();
    let mut probe = set.probe();
    let found = found(&SearchArgs::by_tensors(Strategy::Bisect, Some(1)), &mut probe);
    assert_eq!(names(&found), ["make_c"]);
    assert_eq!(culprits(&found)[0].region, ["make_b", "make_c"], "the fault may be in either");
    let b = probe.results.get(set.tensor("b")).unwrap();
    let why = "marking it changes what the engine computes (output 'e' moved)";
    assert_eq!((b.status, b.why.as_deref()), (Status::NotCompared, Some(why)));
    let measured = probe.measured();
    assert_eq!((measured.counts.perturbed, measured.notes.as_slice()), (true, &[Note::Disturbed(1)][..]));
    assert_eq!(measured.observed, ["outputs"]);
}

#[test]
fn a_fault_of_a_fusion_is_a_region() {
    // `b` and `c` are one kernel, which is wrong; marked apart they are right.
    for observes in [&[][..], &[Observe::Unfused]] {
        for args in ways() {
            let world = World::of(CHAIN).wrong("make_c", Wrong::Fused(0.5, "b")).engine(observes);
            let set = world.with(|w| w.candidate.blind.push("b")).set_up();
            let found = found(&args, &mut set.probe());
            assert_eq!(names(&found), ["make_c"]);
            let culprit = &culprits(&found)[0];
            let region = culprit.region.join(" ");
            assert_eq!((culprit.kind, names(&found)), (Kind::Region, vec!["make_c"]));
            // What was marked together with `b` is not looked at again, where nothing else shows it.
            let exact = !observes.is_empty() || args.marks == Some(1);
            assert!(if exact { region == "make_b make_c" } else { region.ends_with("make_b make_c") }, "{region}");
        }
    }
}

#[test]
fn a_fault_that_marks_remove_is_never_pinned_on_a_neighbour() {
    for args in ways() {
        let set = World::of(CHAIN).wrong("make_c", Wrong::Fused(0.5, "b")).engine(&[]).set_up();
        let found = found(&args, &mut set.probe());
        check_blames(&found, "make_c", &format!("{args:?}"));
        assert!(!culprits(&found).is_empty());
    }
}

#[test]
fn a_build_that_marks_break_says_nothing() {
    let world = World::of(CHAIN).wrong("make_c", MUCH).engine(&[]);
    let set = world.with(|w| w.candidate.unmarkable = Some("b")).set_up();
    let mut probe = set.probe();
    let found = found(&SearchArgs::by_tensors(Strategy::Bisect, Some(1)), &mut probe);
    assert_eq!(culprits(&found)[0].region, ["make_b", "make_c"]);
    let why = probe.results.get(set.tensor("b")).unwrap().why.clone().unwrap_or_default();
    assert!(why.starts_with("with it marked, fake could not build the model"), "{why}");
    assert_eq!(probe.ledger.counts.proof_builds, 1);
    check_counts(&set, &probe);
}

#[test]
fn elsewhere_a_mark_that_changes_the_outputs_is_told() {
    let set = World::of(CHAIN).wrong("make_c", MUCH).with(|w| w.candidate.shaken.push("b")).set_up();
    let mut probe = set.probe();
    found(&SearchArgs::by_tensors(Strategy::Scan, None), &mut probe);
    assert_eq!(probe.measured().notes, [Note::Perturbed]);
}

#[test]
fn a_reference_that_marks_disturb_is_not_believed_inside() {
    let engine = |world: World, shaken: Option<&'static str>| {
        world.with(|w| {
            w.reference.build(&[]);
            w.reference.shaken.extend(shaken);
        })
    };
    for node in World::of(CHAIN).nodes {
        for args in ways() {
            let set = engine(World::of(CHAIN).wrong(&node, MUCH).engine(&[]), Some("b")).set_up();
            let mut probe = set.probe();
            let found = found(&args, &mut probe);
            check_blames(&found, &node, &format!("{node}, {:?} {:?}", args.strategy, args.marks));
            let measured = probe.measured();
            assert!(!measured.counts.perturbed && measured.notes.is_empty(), "{node}: {:?}", measured.notes);
        }
    }
    let set = engine(World::of(CHAIN).wrong("make_c", MUCH).engine(&[]), Some("b")).set_up();
    let mut probe = set.probe();
    let told = found(&SearchArgs::by_tensors(Strategy::Bisect, Some(1)), &mut probe);
    assert_eq!(culprits(&told)[0].region, ["make_b", "make_c"], "the fault may be in either");
    let b = probe.results.get(set.tensor("b")).unwrap();
    let why = "marking it changes what the reference computes (output 'e' moved)";
    assert_eq!((b.status, b.why.as_deref()), (Status::NotCompared, Some(why)));
    // One that no mark disturbs is compared as any other.
    let set = engine(World::of(CHAIN).wrong("make_c", MUCH).engine(&[]), None).set_up();
    let mut probe = set.probe();
    assert_eq!(names(&found(&SearchArgs::by_tensors(Strategy::Bisect, Some(1)), &mut probe)), ["make_c"]);
    assert_eq!(probe.results.get(set.tensor("b")).unwrap().status, Status::Agrees);
}
