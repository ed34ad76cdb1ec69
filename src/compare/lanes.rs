//! Reductions over the values of a block, each one short loop over independent partial results: the shape that the
//! compiler turns into vector instructions on every processor. No loop has two reductions of the same kind: the compiler
//! would weave them into each other.

use crate::compare::block::{BLOCK, Values};

/// Independent partial results, enough to hide the latency of an addition.
const LANES: usize = 8;

/// The sum of `f` over the pairs of two sides.
#[inline(always)]
pub fn sum(a: &Values, b: &Values, f: impl Fn(f64, f64) -> f64) -> f64 {
    reduce(a, b, 0.0, |sum, x, y| sum + f(x, y), |x, y| x + y)
}

/// The largest `f` over the pairs of two sides.
#[inline(always)]
pub fn largest(a: &Values, b: &Values, f: impl Fn(f64, f64) -> f64) -> f64 {
    reduce(a, b, f64::NEG_INFINITY, |top, x, y| larger(top, f(x, y)), larger)
}

/// How many pairs satisfy `f`.
#[inline(always)]
pub fn count(a: &Values, b: &Values, f: impl Fn(f64, f64) -> bool) -> u64 {
    a.iter().zip(b).map(|(x, y)| f(*x, *y) as u64).sum()
}

/// The largest value of one side.
#[inline(always)]
pub fn high(a: &Values) -> f64 {
    largest(a, a, |x, _| x)
}

/// The smallest value of one side and the sum of its squares.
#[inline(always)]
pub fn low_squares(a: &Values) -> (f64, f64) {
    let (mut low, mut squares) = ([f64::INFINITY; LANES], [0.0; LANES]);
    for a in a.as_chunks::<LANES>().0 {
        for l in 0..LANES {
            low[l] = smaller(low[l], a[l]);
            squares[l] += a[l] * a[l];
        }
    }
    (fold(low, smaller), fold(squares, |x, y| x + y))
}

/// Sum and largest value of one side without negative numbers.
#[inline(always)]
pub fn sum_high(a: &Values) -> (f64, f64) {
    let (mut total, mut high) = ([0.0; LANES], [0.0; LANES]);
    for a in a.as_chunks::<LANES>().0 {
        for l in 0..LANES {
            total[l] += a[l];
            high[l] = larger(high[l], a[l]);
        }
    }
    (fold(total, |x, y| x + y), fold(high, larger))
}

/// Sum and largest of `e / max(|r|, floor)`.
#[inline(always)]
pub fn quotients(e: &Values, r: &Values, floor: f64) -> (f64, f64) {
    let mut quotients = [0.0; BLOCK];
    for i in 0..BLOCK {
        quotients[i] = e[i] / larger(floor, r[i].abs());
    }
    sum_high(&quotients)
}

/// The same with the division, the dearest instruction of the pass, in f32, where it is cheaper.
#[inline(always)]
pub fn quotients_single(e: &Values, r: &Values, floor: f64) -> (f64, f64) {
    let (mut total, mut high) = ([0.0; LANES], [0f32; LANES]);
    for (e, r) in e.as_chunks::<LANES>().0.iter().zip(r.as_chunks::<LANES>().0) {
        let mut quotient = [0f32; LANES];
        for l in 0..LANES {
            quotient[l] = e[l] as f32 / larger(floor, r[l].abs()) as f32;
        }
        for l in 0..LANES {
            total[l] += quotient[l] as f64;
            high[l] = if quotient[l] > high[l] { quotient[l] } else { high[l] };
        }
    }
    (fold(total, |x, y| x + y), fold(high.map(f64::from), larger))
}

/// `b` if it is larger. Unlike [`f64::max`] this is one instruction; no NaN comes here that matters.
#[inline(always)]
pub fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// The smaller one; `a` where either is NaN.
#[inline(always)]
pub fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

#[inline(always)]
fn reduce(
    a: &Values,
    b: &Values,
    start: f64,
    step: impl Fn(f64, f64, f64) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> f64 {
    let mut lanes = [start; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for l in 0..LANES {
            lanes[l] = step(lanes[l], a[l], b[l]);
        }
    }
    fold(lanes, join)
}

/// Halves the lanes until one is left, as vectors do.
#[inline(always)]
fn fold(mut lanes: [f64; LANES], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] = f(lanes[l], lanes[l + half]);
        }
        half /= 2;
    }
    lanes[0]
}
