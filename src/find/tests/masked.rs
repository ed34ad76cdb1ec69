//! Nodes that are wrong without a part in what the outputs suffer from: nobody accuses them, whatever the way to search.

use super::*;

/// Negative numbers, of which a Relu leaves nothing however they are off, and another branch.
const LOST: &str = "a = Neg(x); r = Relu(a); b = Mul(x, scale); c = Add(r, b)";
/// As little as leaves negative numbers negative.
const LITTLE: Wrong = Wrong::Off(0.1);

fn masked(found: &Found) -> Vec<(&str, &[String])> {
    found.masked.iter().map(|m| (m.node.name.as_str(), m.masked_by.as_slice())).collect()
}

fn check(set: &SetUp, args: &SearchArgs, want: &[&str]) -> Found {
    let mut probe = set.probe();
    let found = found(args, &mut probe);
    assert_eq!(names(&found), want, "{:?} {:?}", args.strategy, args.marks);
    check_counts(set, &probe);
    found
}

#[test]
fn an_error_that_is_lost_accuses_nobody() {
    for args in ways() {
        let set = World::of(LOST).wrong("make_a", LITTLE).wrong("make_b", MUCH).set_up();
        let found = check(&set, &args, &["make_b"]);
        // Who measures everything says so; who measures little may not have seen it.
        if args.strategy == Strategy::Scan {
            assert_eq!(masked(&found), [("make_a", &["r".to_string()][..])]);
            assert!(found.masked[0].accumulated.mismatched > 0);
        }
    }
}

#[test]
fn an_error_that_is_lost_on_one_of_its_ways_is_a_culprit_all_the_same() {
    let graph = "a = Neg(x); r = Relu(a); b = Mul(a, scale); c = Add(r, b)";
    for args in ways() {
        let set = World::of(graph).wrong("make_a", LITTLE).set_up();
        assert_eq!(masked(&check(&set, &args, &["make_a"])), []);
    }
}

#[test]
fn a_fault_behind_a_lost_one_is_found() {
    // The second stands on the very way where the first is lost.
    let graph = "a = Neg(x); r = Relu(a); b = Add(r, x); c = Neg(b); d = Neg(c)";
    for node in ["make_b", "make_c", "make_d"] {
        for args in ways() {
            let set = World::of(graph).wrong("make_a", LITTLE).wrong(node, MUCH).set_up();
            check(&set, &args, &[node]);
        }
    }
}
