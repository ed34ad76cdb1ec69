//! The one pass over both tensors: blocks become sums, chunks of blocks are measured in parallel and their sums are added
//! in order, so the result does not depend on the number of threads. Knows numbers only: no shapes, no strings.

use rayon::prelude::*;

use crate::compare::Tolerance;
use crate::compare::block::{BLOCK, Block, Pair, same};
use crate::compare::format::Format;
use crate::compare::histogram::Histogram;
use crate::compare::lanes::{
    count, high, larger, largest, low_squares, quotients, quotients_single, smaller, sum, sum_high,
};

/// Elements that one task measures at a time; the memory of both chunks fits the second-level cache.
const CHUNK: usize = 1 << 15;

/// Errors and references below this are divided in f32: the quotient fits, with an error of 2e-7 at most.
const SINGLE: f64 = 1e30;
/// fp16's smallest normal number, 2^-14.
const NORMAL: f64 = 1.0 / 16384.0;

/// Sums, extremes and counts over pairs, in the words of [`crate::found::Metrics`].
#[derive(Clone, Debug)]
pub struct Sums {
    /// Pairs with both sides finite: the sums are over these.
    pub finite: u64,
    /// Sum of |c - r|.
    pub e: f64,
    /// Sum of (c - r)^2.
    pub ee: f64,
    /// Sum of r^2.
    pub rr: f64,
    /// Sum of c^2.
    pub cc: f64,
    /// Sum of r c.
    pub rc: f64,
    /// Sum of |c - r| / max(|r|, floor).
    pub rel: f64,
    /// Largest |c - r|.
    pub max_e: f64,
    /// Largest |c - r| / max(|r|, floor).
    pub max_rel: f64,
    /// max of e / 2^max(floor(log2 |r|), emin)
    pub max_scaled: f64,
    /// Smallest finite r.
    pub min_r: f64,
    /// Largest finite r.
    pub max_r: f64,
    /// Elements beyond the tolerance, those that are finite on one side only too.
    pub mismatched: u64,
    /// The first of them, in the flattened tensor.
    pub first_mismatch: Option<usize>,
    /// Elements with r NaN or infinite.
    pub ref_nonfinite: u64,
    /// Elements with c NaN or infinite.
    pub cand_nonfinite: u64,
    /// Elements that are not finite on one side, or on both in different ways.
    pub odd: u64,
    /// Elements with |r| above fp16's largest number.
    pub overflow: u64,
    /// Elements with 0 < |r| below fp16's smallest normal number.
    pub subnormal: u64,
}

/// What an element is judged by.
#[derive(Clone, Copy)]
struct Judge {
    tolerance: Tolerance,
    floor: f64,
    smallest_normal: f64,
}

impl Judge {
    /// Within the tolerance? A tolerance that is NaN accepts nothing.
    #[inline(always)]
    fn accepts(&self, r: f64, e: f64) -> bool {
        e <= self.tolerance.atol + self.tolerance.rtol * r.abs()
    }

    /// Is an error of `e` tolerable whatever the reference? An infinite rtol times a reference of 0 is no number.
    fn accepts_all_up_to(&self, e: f64) -> bool {
        (0.0..f64::INFINITY).contains(&self.tolerance.rtol) && e <= self.tolerance.atol
    }
}

/// Measures the whole pair; `format` is the reference's.
pub fn measure(pair: &Pair, format: Format, tolerance: Tolerance) -> (Sums, Histogram) {
    let smallest_normal = 2f64.powi(format.min_exponent);
    let judge = Judge { tolerance, floor: format.floor, smallest_normal };
    let chunks = pair.elements().div_ceil(CHUNK);
    let part = |mut part: (Vec<Sums>, Histogram), chunk| {
        part.0.push(measure_chunk(pair, judge, chunk, &mut part.1));
        part
    };
    let empty = || (Vec::new(), Histogram::new());
    let (sums, histogram) = if chunks <= 1 {
        (0..chunks).fold(empty(), part)
    } else {
        let parts = (0..chunks).into_par_iter().with_min_len(4).fold(empty, part);
        parts.reduce_with(|a, b| ([a.0, b.0].concat(), a.1.merge(b.1))).unwrap_or_else(empty)
    };
    (sums.iter().fold(Sums::none(), |total, sums| total.plus(sums)), histogram)
}

fn measure_chunk(pair: &Pair, judge: Judge, chunk: usize, histogram: &mut Histogram) -> Sums {
    let mut total = Sums::none();
    let mut block = Block::new();
    let end = pair.elements().min((chunk + 1) * CHUNK);
    for start in (chunk * CHUNK..end).step_by(BLOCK) {
        if pair.fill_identical(&mut block, start)
            && let Some(sums) = measure_identical(&block, judge)
        {
            histogram.add_zeros(block.n);
            total = total.plus(&sums);
            continue;
        }
        pair.fill(&mut block, start);
        total = total.plus(&measure_block(&mut block, judge, start));
        histogram.add(&block.e, block.n);
    }
    total
}

/// A block whose two sides have the same bits: no error, unless an element is not finite (`None`).
fn measure_identical(block: &Block, judge: Judge) -> Option<Sums> {
    let mut sums = Sums::none();
    sums.add_range(block);
    (sums.finite, sums.cc, sums.rc) = (block.n as u64, sums.rr, sums.rr);
    (sums.rr.is_finite() && judge.accepts_all_up_to(0.0)).then_some(sums)
}

/// Measures a block; pairs that are not finite are taken out of it.
fn measure_block(block: &mut Block, judge: Judge, start: usize) -> Sums {
    let mut sums = Sums::none();
    sums.add_errors(block);
    // A NaN or an infinity on either side makes its error one, and that the sum of the errors.
    if sums.e.is_finite() {
        sums.add_range(block);
    } else {
        sums = Sums::none();
        sums.take_out_nonfinite(block, judge, start);
        sums.add_errors(block);
        sums.rr = sum(&block.r, &block.r, |r, _| r * r);
    }
    sums.add_rates(block, judge);
    sums.rc = block.dot.take().unwrap_or(sums.rc);
    if sums.mismatched > 0 && sums.first_mismatch.is_none() {
        sums.first_mismatch = (0..block.n).find(|i| !judge.accepts(block.r[*i], block.e[*i])).map(|i| start + i);
    }
    sums
}

impl Sums {
    /// Over no pairs.
    pub fn none() -> Sums {
        Sums {
            finite: 0,
            e: 0.0,
            ee: 0.0,
            rr: 0.0,
            cc: 0.0,
            rc: 0.0,
            rel: 0.0,
            max_e: 0.0,
            max_rel: 0.0,
            max_scaled: 0.0,
            min_r: f64::INFINITY,
            max_r: f64::NEG_INFINITY,
            mismatched: 0,
            first_mismatch: None,
            ref_nonfinite: 0,
            cand_nonfinite: 0,
            odd: 0,
            overflow: 0,
            subnormal: 0,
        }
    }

    /// The sums over the pairs of `self`, then those of `next`.
    pub fn plus(self, next: &Sums) -> Sums {
        Sums {
            finite: self.finite + next.finite,
            e: self.e + next.e,
            ee: self.ee + next.ee,
            rr: self.rr + next.rr,
            cc: self.cc + next.cc,
            rc: self.rc + next.rc,
            rel: self.rel + next.rel,
            max_e: larger(self.max_e, next.max_e),
            max_rel: larger(self.max_rel, next.max_rel),
            max_scaled: larger(self.max_scaled, next.max_scaled),
            min_r: smaller(self.min_r, next.min_r),
            max_r: larger(self.max_r, next.max_r),
            mismatched: self.mismatched + next.mismatched,
            first_mismatch: self.first_mismatch.or(next.first_mismatch),
            ref_nonfinite: self.ref_nonfinite + next.ref_nonfinite,
            cand_nonfinite: self.cand_nonfinite + next.cand_nonfinite,
            odd: self.odd + next.odd,
            overflow: self.overflow + next.overflow,
            subnormal: self.subnormal + next.subnormal,
        }
    }

    /// Are its squares no f64 any more, where something is to be said of them?
    pub fn overflow_squared(&self) -> bool {
        self.odd == 0 && !(self.rr + self.cc + self.ee).is_finite()
    }

    fn add_errors(&mut self, block: &Block) {
        let Block { n, r, c, e, .. } = block;
        let (total, top) = sum_high(e);
        self.finite += *n as u64;
        self.e += total;
        self.max_e = larger(self.max_e, top);
        self.ee += sum(e, e, |e, _| e * e);
        self.cc += sum(c, c, |c, _| c * c);
        self.rc += sum(r, c, |r, c| r * c);
    }

    /// Relative errors, units of the last place and the tolerance: everything that sets e against r.
    fn add_rates(&mut self, block: &Block, judge: Judge) {
        let Block { n, r, e, .. } = block;
        let single = self.max_e < SINGLE && self.max_r < SINGLE && self.min_r > -SINGLE;
        let (total, top) = if single { quotients_single(e, r, judge.floor) } else { quotients(e, r, judge.floor) };
        self.rel += total;
        self.max_rel = larger(self.max_rel, top);
        let scaled = |r: f64, e: f64| e * twice_inverse_power(larger(judge.smallest_normal, r.abs()));
        self.max_scaled = larger(self.max_scaled, 0.5 * largest(r, e, scaled));
        if !judge.accepts_all_up_to(self.max_e) {
            let padding = if judge.accepts(0.0, 0.0) { BLOCK - n } else { 0 };
            let accepted = count(r, e, |r, e| judge.accepts(r, e)) - padding as u64;
            self.mismatched += *n as u64 - accepted;
        }
    }

    /// The range of a block without NaN or infinities, and the sum of its squares.
    fn add_range(&mut self, block: &Block) {
        let r = &block.r;
        let (low, rr) = low_squares(r);
        let high = high(r);
        self.rr += rr;
        if block.n < BLOCK {
            return r[..block.n].iter().for_each(|r| self.add_to_range(*r));
        }
        self.min_r = smaller(self.min_r, low);
        self.max_r = larger(self.max_r, high);
        if overflows(low) || overflows(high) {
            self.overflow += count(r, r, |r, _| overflows(r));
        }
        let small = count(r, r, |r, _| r.abs() < NORMAL);
        if small > 0 {
            self.subnormal += small - count(r, r, |r, _| r == 0.0);
        }
    }

    fn add_to_range(&mut self, r: f64) {
        self.overflow += overflows(r) as u64;
        self.subnormal += is_subnormal(r) as u64;
        if r.is_finite() {
            self.min_r = smaller(self.min_r, r);
            self.max_r = larger(self.max_r, r);
        }
    }

    /// Counts the elements that are not finite and keeps only the finite pairs in the block. The range is that of the
    /// whole reference, so it is taken here as well.
    fn take_out_nonfinite(&mut self, block: &mut Block, judge: Judge, start: usize) {
        let mut kept = 0;
        for i in 0..block.n {
            let (r, c, e) = (block.r[i], block.c[i], block.e[i]);
            let finite = r.is_finite() && c.is_finite();
            let wrong = if finite { !judge.accepts(r, e) } else { !same(r, c) };
            if wrong && self.first_mismatch.is_none() {
                self.first_mismatch = Some(start + i);
            }
            self.ref_nonfinite += !r.is_finite() as u64;
            self.cand_nonfinite += !c.is_finite() as u64;
            self.add_to_range(r);
            if finite {
                (block.r[kept], block.c[kept], block.e[kept]) = (r, c, e);
                kept += 1;
            } else {
                self.mismatched += wrong as u64;
                self.odd += wrong as u64;
            }
        }
        block.n = kept;
        block.pad();
    }
}

/// More than fp16 can hold.
#[inline(always)]
fn overflows(r: f64) -> bool {
    r.abs() > 65504.0
}

/// Not zero, but below fp16's normal numbers.
fn is_subnormal(r: f64) -> bool {
    r != 0.0 && r.abs() < NORMAL
}

/// 2^(1 - floor(log2 x)) of a normal x, by its exponent bits. Twice the inverse, because the inverse of the largest
/// powers is no normal number.
#[inline(always)]
fn twice_inverse_power(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff << 52;
    f64::from_bits((2047u64 << 52).wrapping_sub(x.to_bits() & EXPONENT))
}
