use crate::found::Status;
use crate::lab::fake::{World, Wrong};
use crate::lab::{Explained, Probe};

const MUCH: Wrong = Wrong::Off(0.5);
const CHAIN: &str = "a = Neg(x); b = Mul(a, scale); c = Neg(b); d = Add(c, x); e = Neg(d)";

fn look(probe: &mut Probe, explained: &[usize], tensors: &[usize]) -> Explained {
    probe.look_explained(explained, tensors).unwrap().expect("it runs")
}

fn told(seen: &Explained) -> Vec<(&str, Status)> {
    seen.tensors.iter().chain(&seen.outputs).map(|r| (r.name.as_str(), r.status)).collect()
}

#[test]
fn with_the_fault_put_right_everything_agrees() {
    for spec in ["ort", "ort-cuda"] {
        let set = World::of(CHAIN).sample(-2.0).wrong("make_b", MUCH).with(|w| w.candidate_spec = spec).set_up();
        let mut probe = set.probe();
        let seen = look(&mut probe, &set.tensors(&["b"]), &set.tensors(&["a", "c"]));
        assert_eq!(told(&seen), [("a", Status::Agrees), ("c", Status::Agrees), ("e", Status::Agrees)]);
        // It says nothing about the candidate as it is.
        assert!(probe.results.is_open(set.tensor("c")));
        assert_eq!((probe.ledger.counts.candidate_runs, set.candidate.whole()), (2, 2));
    }
}

#[test]
fn a_second_fault_stands_out() {
    let set = World::of(CHAIN).wrong("make_b", MUCH).wrong("make_d", Wrong::Off(0.1)).set_up();
    let seen = look(&mut set.probe(), &set.tensors(&["b"]), &set.tensors(&["c", "d"]));
    assert_eq!(told(&seen), [("c", Status::Agrees), ("d", Status::Diverges), ("e", Status::Diverges)]);
}

#[test]
fn what_is_explained_is_no_output_of_the_model_any_more() {
    let set = World::of("a = Neg(x); b = Neg(x)").wrong("make_b", MUCH).set_up();
    let seen = look(&mut set.probe(), &set.tensors(&["b"]), &[]);
    assert_eq!(told(&seen), [("a", Status::Agrees)]);
    let alone = World::of("a = Neg(x); b = Neg(a)").wrong("make_b", MUCH).set_up();
    let mut probe = alone.probe();
    assert_eq!(told(&look(&mut probe, &alone.tensors(&["b"]), &[])), []);
    assert_eq!(probe.ledger.counts.candidate_runs, 1, "nothing is left to be run");
}

#[test]
fn a_branch_is_explained_by_what_its_if_makes() {
    let set = World::with_branches(true).wrong("make_t", MUCH).set_up();
    let inside = set.tensor("make_c/then_branch/t");
    let explained = set.lab.explaining(inside).expect("the If can be replaced");
    assert_eq!(explained, set.tensors(&["c"]));
    assert_eq!(told(&look(&mut set.probe(), &explained, &[])), [("d", Status::Agrees)]);
}

#[test]
fn stored_tensors_explain_nothing() {
    let set = World::of(CHAIN).wrong("make_b", MUCH).with(|w| {
        w.candidate_spec = "saved:tensors.npz";
        w.candidate.store(&["a", "b", "e"]);
    });
    let set = set.set_up();
    assert_eq!(set.lab.explaining(set.tensor("b")), None);
}

#[test]
fn a_candidate_that_refuses_says_nothing() {
    let set = World::of(CHAIN).wrong("make_b", MUCH).with(|w| w.candidate.unmarkable = Some("d")).set_up();
    let asked = set.tensors(&["d"]);
    assert!(set.probe().look_explained(&set.tensors(&["b"]), &asked).unwrap().is_none());
}
