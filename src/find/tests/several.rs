//! More than one fault, and searches that do not come to their end.

use super::*;

/// Two branches with a fault each.
const BRANCHES: &str =
    "a = Neg(x); b = Neg(a); c = Neg(b); d = Neg(x); e = Neg(d); f = Neg(e); g = Add(c, f); h = Neg(g)";

fn two() -> World {
    World::of(BRANCHES).wrong("make_b", MUCH).wrong("make_e", Wrong::Off(0.2))
}

#[test]
fn independent_faults_are_all_found() {
    for args in ways() {
        let set = two().set_up();
        let mut probe = set.probe();
        assert_eq!(names(&found(&args, &mut probe)), ["make_b", "make_e"]);
        check_counts(&set, &probe);
    }
}

#[test]
fn every_pair_of_faults_on_different_branches_is_found() {
    for (a, b) in ["make_a", "make_b", "make_c"].iter().flat_map(|a| ["make_d", "make_e", "make_f"].map(|b| (*a, b))) {
        for args in ways() {
            let set = World::of(BRANCHES).wrong(a, MUCH).wrong(b, Wrong::Off(0.2)).set_up();
            assert_eq!(names(&found(&args, &mut set.probe())), [a, b]);
        }
    }
}

#[test]
fn more_culprits_than_were_asked_for_are_told() {
    for args in ways() {
        let set = two().set_up();
        let found = found(&SearchArgs { max_culprits: 1, ..args }, &mut set.probe());
        assert_eq!((names(&found).len(), found.notes.as_slice()), (1, &[Note::MoreCulprits(1)][..]));
    }
    for args in ways() {
        let set = two().set_up();
        let found = found(&SearchArgs { max_culprits: 2, ..args }, &mut set.probe());
        assert_eq!((names(&found).len(), found.notes.len()), (2, 0), "exactly as many as there are");
    }
}

#[test]
fn a_search_that_is_stopped_keeps_what_was_proved() {
    for args in ways() {
        let whole = two().set_up();
        let all = found(&args, &mut whole.probe());
        let jobs = whole.candidate.count();
        let mut kept = Vec::new();
        // The first job is the unmarked one: without it there is no probe.
        for at in 1..jobs {
            let set = two().with(|w| w.candidate.stops_at = Some(at)).set_up();
            let Ended { value, halted } = hunt(&args, &mut set.probe());
            assert_eq!(halted, Some(RunError::Interrupted), "stopped at {at} of {jobs}");
            let proved = value.culprits.as_deref().unwrap_or_default();
            let names: Vec<&str> = proved.iter().map(|c| c.node.name.as_str()).collect();
            assert_eq!(names, super::names(&all)[..names.len()], "stopped at {at} of {jobs}");
            kept.push(value.culprits.map(|culprits| culprits.len()));
        }
        assert!(kept.is_sorted(), "later never less: {kept:?}");
        assert_eq!((kept.first(), kept.last()), (Some(&None), Some(&Some(1))), "{args:?}");
    }
}

#[test]
fn a_search_that_is_stopped_tells_what_it_was() {
    let set = two().with(|w| w.candidate.stops_at = Some(1)).set_up();
    let mut begun = None;
    let ended = find(&SearchArgs::by_tensors(Strategy::Scan, None), &mut set.probe(), &Progress::new(true), |found| {
        begun = Some(found.clone());
    });
    let begun = begun.expect("it is told before the search");
    assert_eq!((begun.strategy.as_str(), begun.culprits.is_none()), ("scan", true));
    assert_eq!((ended.value.strategy.as_str(), ended.value.culprits.is_none()), ("scan", true));
}

#[test]
fn a_reference_that_fails_ends_the_search() {
    let set = two().with(|w| w.reference.stops_at = Some(1)).set_up();
    assert_eq!(
        hunt(&SearchArgs::by_tensors(Strategy::Bisect, Some(2)), &mut set.probe()).halted,
        Some(RunError::Interrupted)
    );
}

#[test]
fn a_node_that_cannot_be_run_alone_is_a_culprit_all_the_same() {
    // It runs in the whole model, and ends the process where it is cut out.
    let world = two().with(|w| w.candidate.alone = Some(Wrong::Crash));
    let set = world.set_up();
    let found = found(&SearchArgs::by_tensors(Strategy::Scan, None), &mut set.probe());
    assert_eq!(names(&found), ["make_b", "make_e"]);
    for culprit in culprits(&found) {
        let why = culprit.why.as_deref().unwrap_or_default();
        assert_eq!((culprit.local.is_none(), why), (true, "the node could not be run alone: fake crashed: SIGSEGV"));
    }
}

#[test]
fn a_fault_behind_another_is_found_where_the_errors_of_the_first_are_lost() {
    // The second reads what agrees, and nobody marks that while the first explains everything.
    let graph = "a = Neg(x); b = Neg(a); c = Relu(a); d = Neg(c); e = Add(d, x); f = Neg(e); g = Neg(f); h = Add(g, b)";
    for node in ["make_d", "make_e", "make_f", "make_g"] {
        for args in ways() {
            for engine in [false, true] {
                let world = World::of(graph).wrong("make_a", Wrong::Off(0.1)).wrong(node, MUCH);
                let set = if engine { world.engine(&[]) } else { world }.set_up();
                let mut probe = set.probe();
                assert_eq!(names(&found(&args, &mut probe)), ["make_a", node], "{:?} {:?}", args.strategy, args.marks);
                check_counts(&set, &probe);
            }
        }
    }
}

#[test]
fn a_fault_that_is_one_only_once_another_is_put_right_is_not_accused() {
    // `c` is wrong on its own as well, but what it reads diverges: whoever scans does not accuse it either.
    for args in ways() {
        let chain = "a = Neg(x); b = Neg(a); c = Neg(b); d = Neg(c); e = Neg(d); f = Neg(e); g = Neg(f); h = Neg(g); i = Neg(h)";
        let set = World::of(chain).wrong("make_a", MUCH).wrong("make_c", Wrong::Off(0.2)).set_up();
        let found = found(&args, &mut set.probe());
        assert_eq!(names(&found), ["make_a"], "{:?} {:?}", args.strategy, args.marks);
        // Eight marks see everything at once, as a scan does, and nothing is put right.
        let few = args.marks.is_some_and(|marks| marks < 8);
        let notes = if few { vec![Note::Besides(vec!["make_c".into()])] } else { Vec::new() };
        assert_eq!(found.notes, notes, "{:?} {:?}", args.strategy, args.marks);
    }
}
