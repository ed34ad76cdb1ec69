//! A few hundred pairs of elements, widened to f64: the unit of the pass, small enough for the first-level cache.
//! Knows how two tensors become pairs; measures nothing.

use crate::compare::widen;
use crate::tensor::{DType, Tensor};

/// Elements of a block: a multiple of 8, so that blocks of packed types begin with a byte.
pub const BLOCK: usize = 256;

/// Two tensors of numbers and of the same shape.
pub struct Pair<'a> {
    reference: &'a Tensor,
    candidate: &'a Tensor,
    kind: Kind,
}

/// What "difference" means for the two element types.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Real,
    /// Integers with 64-bit ones among them: f64 would lose the difference of two large ones.
    Exact,
    /// The magnitudes of both, and of the difference.
    Complex,
}

/// One side of a block.
pub type Values = [f64; BLOCK];

/// Reference, candidate and |c - r|, in the first `n` places; the others hold zeros.
pub struct Block {
    /// How many places are filled.
    pub n: usize,
    /// The reference's elements.
    pub r: Values,
    /// The candidate's elements.
    pub c: Values,
    /// What they are apart.
    pub e: Values,
    /// The sum of the products of finite pairs, where it is not that of `r` and `c`.
    pub dot: Option<f64>,
}

impl Block {
    /// With no place filled.
    pub fn new() -> Block {
        Block { n: 0, r: [0.0; BLOCK], c: [0.0; BLOCK], e: [0.0; BLOCK], dot: None }
    }

    /// Fills the places after the first `n` with zeros, which add nothing to sums.
    pub fn pad(&mut self) {
        for side in [&mut self.r, &mut self.c, &mut self.e] {
            side[self.n..].fill(0.0);
        }
    }
}

impl<'a> Pair<'a> {
    /// Of equal shape, which the caller has seen to.
    pub fn new(reference: &'a Tensor, candidate: &'a Tensor) -> Pair<'a> {
        let types = [reference.dtype, candidate.dtype];
        let kind = if types.into_iter().any(is_complex) {
            Kind::Complex
        } else if types.into_iter().all(is_integer) && types.into_iter().any(|d| d.bits() == 64) {
            Kind::Exact
        } else {
            Kind::Real
        };
        Pair { reference, candidate, kind }
    }

    /// Of either tensor.
    pub fn elements(&self) -> usize {
        self.reference.elements()
    }

    /// Fills the block with the pairs from `start` on.
    pub fn fill(&self, block: &mut Block, start: usize) {
        block.n = BLOCK.min(self.elements() - start);
        match self.kind {
            Kind::Complex => self.fill_complex(block, start),
            Kind::Real | Kind::Exact => self.fill_real(block, start),
        }
        block.pad();
    }

    /// The elements of the block at `start`, of the reference alone, if the candidate has the same bits there.
    pub fn fill_identical(&self, block: &mut Block, start: usize) -> bool {
        let n = BLOCK.min(self.elements() - start);
        let bits = self.reference.dtype.bits();
        let (from, to) = (start * bits / 8, ((start + n) * bits).div_ceil(8));
        let same = self.reference.dtype == self.candidate.dtype
            && self.kind != Kind::Complex
            && self.reference.bytes()[from..to] == self.candidate.bytes()[from..to];
        if same {
            block.n = n;
            widen::reals(self.reference.dtype, self.reference.bytes(), start, &mut block.r[..n]);
            block.pad();
        }
        same
    }

    #[inline(always)]
    fn fill_real(&self, block: &mut Block, start: usize) {
        let n = block.n;
        widen::reals(self.reference.dtype, self.reference.bytes(), start, &mut block.r[..n]);
        widen::reals(self.candidate.dtype, self.candidate.bytes(), start, &mut block.c[..n]);
        if self.kind == Kind::Exact {
            return self.fill_exact(block, start);
        }
        for i in 0..n {
            block.e[i] = (block.c[i] - block.r[i]).abs();
        }
    }

    fn fill_exact(&self, block: &mut Block, start: usize) {
        let n = block.n;
        let (mut r, mut c) = ([0i128; BLOCK], [0i128; BLOCK]);
        widen::integers(self.reference.dtype, self.reference.bytes(), start, &mut r[..n]);
        widen::integers(self.candidate.dtype, self.candidate.bytes(), start, &mut c[..n]);
        for i in 0..n {
            // 64-bit integers of either sign differ by less than 2^65, so the difference is rounded once, here.
            block.e[i] = (c[i] - r[i]).unsigned_abs() as f64;
        }
    }

    fn fill_complex(&self, block: &mut Block, start: usize) {
        let n = block.n;
        let (mut r, mut c) = ([[0.0; 2]; BLOCK], [[0.0; 2]; BLOCK]);
        parts(self.reference, start, &mut r[..n]);
        parts(self.candidate, start, &mut c[..n]);
        let mut dot = 0.0;
        for i in 0..n {
            let ([rr, ri], [cr, ci]) = (r[i], c[i]);
            (block.r[i], block.c[i]) = (rr.hypot(ri), cr.hypot(ci));
            block.e[i] = (cr - rr).hypot(ci - ri);
            if rr.is_finite() && ri.is_finite() && cr.is_finite() && ci.is_finite() {
                dot += rr * cr + ri * ci;
            } else if same(rr, cr) && same(ri, ci) {
                (block.r[i], block.c[i]) = (f64::NAN, f64::NAN);
            } else if block.r[i] == block.c[i] || block.r[i].is_nan() && block.c[i].is_nan() {
                // Equal magnitudes hide that the infinities or NaN are in different parts.
                (block.r[i], block.c[i]) = (f64::INFINITY, f64::NEG_INFINITY);
            }
        }
        block.dot = Some(dot);
    }
}

/// Do the two agree where at least one is not finite?
pub fn same(r: f64, c: f64) -> bool {
    r == c || r.is_nan() && c.is_nan()
}

/// Real and imaginary parts; those of a real tensor are the values and 0.
fn parts(tensor: &Tensor, start: usize, out: &mut [[f64; 2]]) {
    if is_complex(tensor.dtype) {
        return widen::reals(tensor.dtype, tensor.bytes(), start * 2, out.as_flattened_mut());
    }
    let mut values = [0.0; BLOCK];
    widen::reals(tensor.dtype, tensor.bytes(), start, &mut values[..out.len()]);
    for (o, x) in out.iter_mut().zip(values) {
        *o = [x, 0.0];
    }
}

fn is_complex(dtype: DType) -> bool {
    matches!(dtype, DType::Complex64 | DType::Complex128)
}

fn is_integer(dtype: DType) -> bool {
    !dtype.is_float() && !is_complex(dtype)
}
