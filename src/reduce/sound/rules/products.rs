//! Sums over an axis of both operands.

use std::collections::HashMap;

use super::super::call::{Absurd, Call, Made, broadcast, one, ranked, same, unknown};
use super::super::fact::Dim;

/// `MatMul` and its like, of the inputs in slots `a` and `b`: batches are broadcast.
pub fn matmul(call: &Call, a: usize, b: usize) -> Made {
    let (Some(a), Some(b)) = (call.shape(a)?, call.shape(b)?) else { return unknown() };
    one(product(a, b)?)
}

/// A product of matrices, of which each may be transposed first.
pub fn fused(call: &Call) -> Made {
    let (Some(a), Some(b)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    if call.int("transBatchA", 0) != 0 || call.int("transBatchB", 0) != 0 {
        return unknown();
    }
    one(product(&flipped(a, call.int("transA", 0)), &flipped(b, call.int("transB", 0)))?)
}

/// `Gemm`: two matrices, and what is broadcast to their product.
pub fn gemm(call: &Call) -> Made {
    let (Some(a), Some(b)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(a, 2)?;
    ranked(b, 2)?;
    let made = product(&flipped(a, call.int("transA", 0)), &flipped(b, call.int("transB", 0)))?;
    if let Some(c) = call.optional(2) {
        let both = broadcast(&made, c)?;
        ranked(&both, 2)?;
        both.iter().zip(&made).try_for_each(|(b, m)| same(*b, *m).map(|_| ()))?;
    }
    one(made)
}

/// Weights of few bits: their sizes are attributes.
pub fn packed(call: &Call) -> Made {
    let (Some([before @ .., inner]), Ok(k)) = (call.shape(0)?, usize::try_from(call.int("K", 0))) else {
        return unknown();
    };
    same(*inner, Some(k))?;
    one([before, &[usize::try_from(call.int("N", 0)).ok()]].concat())
}

/// `Einsum` without an ellipsis: a letter is one size.
pub fn einsum(call: &Call) -> Made {
    let equation: String = call.text("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    let Some((left, right)) = equation.split_once("->").filter(|_| !equation.contains('.')) else { return unknown() };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != call.inputs.len() {
        return Err(format!("{} terms for {} inputs", terms.len(), call.inputs.len()));
    }
    let mut sizes: HashMap<char, Dim> = HashMap::new();
    for (slot, term) in terms.iter().enumerate() {
        let Some(shape) = call.shape(slot)? else { return unknown() };
        ranked(shape, term.chars().count())?;
        for (label, size) in term.chars().zip(shape) {
            let known = sizes.entry(label).or_default();
            *known = match (*known, *size) {
                (Some(1), other) | (other, Some(1)) => other,
                (a, b) => same(a, b).map_err(|e| format!("'{label}': {e}"))?,
            };
        }
    }
    one(right.chars().map(|label| sizes.get(&label).copied().flatten()).collect())
}

/// As numpy has it: vectors are rows or columns, the axes in front are broadcast.
fn product(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Absurd> {
    if a.is_empty() || b.is_empty() {
        return Err("a scalar is no matrix".to_string());
    }
    let (row, column) = (a.len() == 1, b.len() == 1);
    let a = if row { vec![Some(1), a[0]] } else { a.to_vec() };
    let b = if column { vec![b[0], Some(1)] } else { b.to_vec() };
    let ([before @ .., m, k], [behind @ .., l, n]) = (a.as_slice(), b.as_slice()) else {
        return Err("a matrix has two axes".to_string());
    };
    same(*k, *l).map_err(|e| format!("what is summed over: {e}"))?;
    let mut shape = broadcast(before, behind)?;
    shape.extend([(!row).then_some(*m), (!column).then_some(*n)].into_iter().flatten());
    Ok(shape)
}

fn flipped(shape: &[Dim], transposed: i64) -> Vec<Dim> {
    let mut shape = shape.to_vec();
    if transposed != 0 && shape.len() > 1 {
        let last = shape.len() - 1;
        shape.swap(last - 1, last);
    }
    shape
}
