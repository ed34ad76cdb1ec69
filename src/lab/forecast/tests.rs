use crate::lab::fake::{World, Wrong};
use crate::search::Answer::{Bad, Good};

/// Of `a` a Relu leaves nothing, and what is computed of that is right again.
const LOST: &str = "a = Neg(x); r = Relu(a); b = Add(r, x); c = Neg(a); d = Neg(c); e = Neg(y)";

#[test]
fn errors_are_foreseen_where_they_go_and_where_they_are_lost() {
    for memory in [1 << 20, 40] {
        let set = World::of(LOST).wrong("make_a", Wrong::Off(0.1)).with(|w| w.memory = memory).set_up();
        let mut probe = set.probe();
        let foreseen = probe.forecast(&set.tensors(&["a"])).unwrap().expect("the reference runs");
        let of = |key: &str| foreseen[set.tensor(key)];
        assert_eq!(["a", "r", "b", "c", "d"].map(of), [Bad, Good, Good, Bad, Bad].map(Some));
        assert_eq!(of("e"), None, "it is not computed from it");
        assert!(probe.results.is_open(set.tensor("c")), "a forecast is no measurement");
        assert_eq!(set.reference.whole(), probe.ledger.counts.reference_runs);
    }
}

#[test]
fn nothing_is_foreseen_of_nothing_or_from_within_a_branch() {
    let set = World::with_branches(true).wrong("make_t", Wrong::Off(0.5)).set_up();
    let mut probe = set.probe();
    assert!(probe.forecast(&[]).unwrap().is_none());
    assert!(probe.forecast(&set.tensors(&["make_c/then_branch/t"])).unwrap().is_none());
}
