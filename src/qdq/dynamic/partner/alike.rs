//! Are two weights the same but for rounding?

use crate::compare::to_f64;
use crate::tensor::Tensor;

/// The cosine from which on they are. Eight bits leave 0.9999, four 0.99, two less.
pub const SAME: f64 = 0.9;

/// Values that are looked at, evenly spaced: a prime, so that no row of a matrix is met alone.
const LOOKS: usize = 4099;

/// Of some of their values, of two tensors of one shape; 0 where one of them is nothing but zeros.
pub fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (to_f64(a), to_f64(b));
    let step = (a.len() / LOOKS).max(1);
    let pairs = || a.iter().zip(&b).step_by(step);
    let product: f64 = pairs().map(|(x, y)| x * y).sum();
    let square = |of: fn((&f64, &f64)) -> f64| pairs().map(of).sum::<f64>();
    let size = (square(|(x, _)| x * x) * square(|(_, y)| y * y)).sqrt();
    if size > 0.0 { product / size } else { 0.0 }
}
