//! Errors that are lost on their way and come back, and what follows from them in the candidate's own wiring.

use super::*;
use crate::tensor::Tensor;

/// An error of a thousandth is nothing beside 1000, and too large again without it.
const GROWS: &str = "a = Neg(x); b = Add(a, y); c = Add(b, z)";

fn grows() -> World {
    let all = |value: f32| Tensor::f32(&[2, 2], &[value; 4]);
    let lift = |w: &mut World| w.feeds[0].extend([("y".to_string(), all(1000.0)), ("z".to_string(), all(-1000.0))]);
    World::of(GROWS).with(lift).wrong("make_a", Wrong::Off(0.003))
}

#[test]
fn who_is_put_right_and_takes_the_error_with_it_made_it() {
    // Who measures one tensor at a time never sees it.
    for args in ways().into_iter().filter(|args| args.marks != Some(1)) {
        let set = grows().set_up();
        let found = found(&args, &mut set.probe());
        assert_eq!(names(&found), ["make_a"], "{:?} {:?}", args.strategy, args.marks);
        assert!(found.masked.is_empty(), "{:?}", found.masked);
    }
}

#[test]
fn a_fault_of_its_own_behind_a_lost_error_stays() {
    let scan = SearchArgs::by_tensors(Strategy::Scan, None);
    let set = grows().wrong("make_c", MUCH).set_up();
    let found = found(&scan, &mut set.probe());
    assert_eq!(names(&found), ["make_c"]);
    assert_eq!(found.masked.len(), 1);
}

/// In the candidate `t` is made of `a`, which has the value of the `p` that it lacks.
#[test]
fn what_reads_something_wrong_in_the_candidate_only_is_a_consequence() {
    for args in ways() {
        let set = World::of("a = Neg(x); p = Neg(x); t = Mul(p, p); u = Neg(t); v = Add(a, u)")
            .against("a = Neg(x); t = Mul(a, a); u = Neg(t); v = Add(a, u)")
            .wrong("make_a", MUCH)
            .set_up();
        let found = found(&args, &mut set.probe());
        assert_eq!(names(&found), ["make_a"], "{:?} {:?}", args.strategy, args.marks);
    }
}
