use crate::lab::fake::World;

const PLAIN: &str = "c = MatMul(x, left); y = Mul(c, scale); r = Relu(y); z = Neg(r)";

/// What stands for `y` and for `c` in the candidate.
fn pairs(reference: &str, candidate: &str) -> [Option<String>; 2] {
    let lab = World::of(reference).against(candidate).set_up().lab;
    let theirs = |key: &str| {
        let tensor = lab.reference.graph.tensor(key).unwrap();
        Some(lab.candidate.graph.tensors[lab.counterpart(tensor)?].key.clone())
    };
    ["y", "c"].map(theirs)
}

#[track_caller]
fn folded(reference: &str, candidate: &str) {
    assert_eq!(pairs(reference, candidate), [Some("c".to_string()), None], "{candidate}");
}

/// `c` means what it says, and `y` is nowhere.
#[track_caller]
fn apart(reference: &str, candidate: &str) {
    assert_eq!(pairs(reference, candidate), [None, Some("c".to_string())], "{candidate}");
}

#[test]
fn a_name_that_is_read_in_place_of_another_means_the_other() {
    folded(PLAIN, "c = MatMul(x, other); r = Relu(c); z = Neg(r)");
    // A fault behind it changes nothing, whatever it is called.
    folded(PLAIN, "c = MatMul(x, other); q = Relu(c); r = Mul(q, gain); z = Neg(r)");
    folded(PLAIN, "c = MatMul(x, other); r = Neg(c); z = Neg(r)");
    // Other weights may be computed, and a bias may have come.
    folded(PLAIN, "k = Mul(left, scale); c = MatMul(x, k); r = Relu(c); z = Neg(r)");
    // Its readers, behind what quantising or casting puts between.
    folded(PLAIN, "c = MatMul(x, other); i = Identity(c); r = Relu(i); z = Neg(r)");
}

#[test]
fn several_are_folded_at_once() {
    let reference = "c = MatMul(x, left); b = Mul(c, scale); y = Add(b, bias); r = Relu(y); z = Neg(r)";
    folded(reference, "c = MatMul(x, other); r = Relu(c); z = Neg(r)");
    // One after the other: the reader of a folded one is folded too.
    let chain = "c = MatMul(x, left); y = Mul(c, scale); d = MatMul(y, right); e = Mul(d, scale); z = Neg(e)";
    folded(chain, "c = MatMul(x, other); d = MatMul(c, another); z = Neg(d)");
}

#[test]
fn nothing_else_is_taken_for_a_fold() {
    // The weights are the same: what followed was lost.
    apart(PLAIN, "c = MatMul(x, left); r = Relu(c); z = Neg(r)");
    // What followed is there under another name.
    apart(PLAIN, "c = MatMul(x, other); w = Mul(c, scale); r = Relu(w); z = Neg(r)");
    // What followed is there, and makes what the Relu behind it made: a quantiser left that out.
    apart(PLAIN, "c = MatMul(x, other); r = Mul(c, scale); z = Neg(r)");
    // Who reads the name in the reference reads it in the candidate.
    let twice = "c = MatMul(x, left); y = Mul(c, scale); r = Relu(y); z = Add(r, c)";
    apart(twice, "c = MatMul(x, other); r = Relu(c); z = Add(r, c)");
    // It is an output as well.
    apart(PLAIN, "c = MatMul(x, other); q = Neg(x); r = Relu(q); z = Neg(r)");
    // Not by a constant, and not of one operand.
    let computed = "c = MatMul(x, left); g = Neg(x); y = Mul(c, g); r = Relu(y); z = Neg(r)";
    apart(computed, "c = MatMul(x, other); r = Relu(c); z = Neg(r)");
    // No linear operator makes it.
    apart("c = Relu(x); y = Mul(c, scale); r = Neg(y)", "c = Neg(x); r = Neg(c)");
}

#[test]
fn a_tensor_that_is_there_keeps_its_pair() {
    let candidate = "c = MatMul(x, other); y = Mul(c, scale); r = Relu(y); z = Neg(r)";
    assert_eq!(pairs(PLAIN, candidate), ["y", "c"].map(|key| Some(key.to_string())));
}
