//! uint8 x int8 products on processors that have no instruction for them: they multiply two neighbours along the sum, add both
//! products in 16 bits, and saturate there (vpmaddubsw). The product of integers is exact everywhere else, so that what a backend
//! gives can be told from both. Values in, values out.

use crate::tensor::{DType, Tensor};

/// Multiplications at most that are done here.
const MOST: usize = 1 << 28;

/// A product of matrices of integers, of one batch or several: `[batch, rows, depth] x [batch or 1, depth, columns]`.
pub struct Product<'a> {
    /// Codes of the left operand, uint8.
    pub left: &'a [u8],
    /// Codes of the right operand, int8.
    pub right: &'a [i8],
    /// Batch, rows, depth, columns.
    pub shape: [usize; 4],
    /// The right operand is the same for all of the batch.
    pub shared: bool,
    /// Zero point of the left operand.
    pub left_zero: i64,
    /// Zero points of the right operand: one, or one a column.
    pub right_zero: &'a [i64],
}

/// Sums, row by row.
#[derive(Debug, PartialEq)]
pub struct Sums {
    /// As ONNX has them.
    pub exact: Vec<i64>,
    /// As two products in 16 bits make them.
    pub saturated: Vec<i64>,
}

/// Both sums; `None` where the shapes do not fit the values, or there is too much to multiply.
pub fn sums(product: &Product) -> Option<Sums> {
    let [batch, rows, depth, columns] = product.shape;
    let all = [batch, rows, depth, columns].iter().try_fold(1usize, |a, b| a.checked_mul(*b))?;
    let batches = if product.shared { 1 } else { batch };
    let fits = product.left.len() == batch * rows * depth && product.right.len() == batches * depth * columns;
    if all > MOST || !fits || !(product.right_zero.len() == 1 || product.right_zero.len() == columns) {
        return None;
    }
    let mut sums = Sums { exact: Vec::new(), saturated: Vec::new() };
    for row in 0..batch * rows {
        let left = &product.left[row * depth..(row + 1) * depth];
        let right = if product.shared { 0 } else { row / rows * depth * columns };
        let right = &product.right[right..right + depth * columns];
        for column in 0..columns {
            let zero = product.right_zero[if product.right_zero.len() == 1 { 0 } else { column }];
            let (exact, saturated) = dot(left, right, (column, columns), (product.left_zero, zero));
            sums.exact.push(exact);
            sums.saturated.push(saturated);
        }
    }
    Some(sums)
}

/// Of one row and one column. Zero points are taken off in 32 bits, after the codes were multiplied.
fn dot(left: &[u8], right: &[i8], (column, columns): (usize, usize), (a_zero, b_zero): (i64, i64)) -> (i64, i64) {
    let (mut exact, mut saturated, mut a_sum, mut b_sum) = (0i64, 0i64, 0i64, 0i64);
    for (pair, two) in left.chunks(2).enumerate() {
        let mut both = 0;
        for (i, a) in two.iter().enumerate() {
            let (a, b) = (i64::from(*a), i64::from(right[(2 * pair + i) * columns + column]));
            both += a * b;
            (a_sum, b_sum) = (a_sum + a, b_sum + b);
        }
        exact += both;
        saturated += both.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
    }
    let zeros = left.len() as i64 * a_zero * b_zero - a_zero * b_sum - b_zero * a_sum;
    (exact + zeros, saturated + zeros)
}

/// How a sum becomes a code: `(input scale x weight scale) / output scale`, one or one a column, and the output's zero point;
/// `None`: it stays a sum.
pub struct Requantised {
    /// One, or one a column.
    pub factors: Vec<f32>,
    /// Of the output.
    pub zero: i64,
    /// uint8 or int8.
    pub dtype: DType,
}

/// Sums as a tensor of the type that the operator makes: int32, or the codes of an output.
pub fn made(sums: &[i64], columns: usize, shape: &[usize], how: Option<&Requantised>) -> Option<Tensor> {
    let Some(how) = how else {
        let values: Vec<i32> = sums.iter().map(|s| i32::try_from(*s).ok()).collect::<Option<_>>()?;
        return Some(Tensor::from_vec(DType::Int32, shape.to_vec(), values));
    };
    let factor = |i: usize| how.factors.get(if how.factors.len() == 1 { 0 } else { i % columns.max(1) }).copied();
    let code = |(i, sum): (usize, &i64)| Some((*sum as f32 * factor(i)?).round_ties_even() as i64 + how.zero);
    let codes: Vec<i64> = sums.iter().enumerate().map(code).collect::<Option<_>>()?;
    match how.dtype {
        DType::Uint8 => {
            let codes: Vec<u8> = codes.iter().map(|c| (*c).clamp(0, 255) as u8).collect();
            Some(Tensor::from_vec(DType::Uint8, shape.to_vec(), codes))
        }
        DType::Int8 => {
            let codes: Vec<i8> = codes.iter().map(|c| (*c).clamp(-128, 127) as i8).collect();
            Some(Tensor::from_vec(DType::Int8, shape.to_vec(), codes))
        }
        _ => None,
    }
}

/// What a backend's integers are.
#[derive(Debug, PartialEq)]
pub enum Integers {
    /// What the exact sums make.
    Exact,
    /// What saturated pairs make, and not what exact sums make.
    Saturated {
        /// So many values are not the exact ones.
        others: usize,
        /// Number of the first of them.
        first: usize,
    },
    /// Neither: nothing is known.
    Neither,
}

/// `slack` is how far a code may be off: 1 behind a scale, whose rounding is a kernel's own; 0 for sums.
pub fn which(got: &[i64], exact: &[i64], saturated: &[i64], slack: i64) -> Integers {
    let same = |want: &[i64]| got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() <= slack);
    if same(exact) {
        return Integers::Exact;
    }
    let differ: Vec<usize> = (0..got.len().min(exact.len())).filter(|i| (got[*i] - exact[*i]).abs() > slack).collect();
    match differ.first() {
        Some(first) if same(saturated) => Integers::Saturated { others: differ.len(), first: *first },
        _ => Integers::Neither,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product<'a>(left: &'a [u8], right: &'a [i8], right_zero: &'a [i64]) -> Product<'a> {
        let columns = right.len() / left.len();
        Product { left, right, shape: [1, 1, left.len(), columns], shared: true, left_zero: 128, right_zero }
    }

    #[test]
    fn pairs_saturate_and_zero_points_do_not() {
        // 255 * 127 * 2 = 64770, of which 16 bits keep 32767.
        let sums = sums(&product(&[255, 255, 3], &[127, 127, 1], &[0])).unwrap();
        let zeros = -128 * 255;
        assert_eq!(sums, Sums { exact: vec![64770 + 3 + zeros], saturated: vec![32767 + 3 + zeros] });
    }

    #[test]
    fn neighbours_are_along_the_sum() {
        // Two columns; large products next to small ones of the same pair.
        let sums = sums(&product(&[255, 1, 255, 1], &[127, -128, 1, 0, -127, 127, 1, 1], &[2])).unwrap();
        assert_eq!(sums.exact, sums.saturated);
        let by_hand = |b: [i64; 4]| [255, 1, 255, 1].iter().zip(b).map(|(a, b)| (a - 128) * (b - 2)).sum::<i64>();
        assert_eq!(sums.exact, [by_hand([127, 1, -127, 1]), by_hand([-128, 0, 127, 1])]);
    }

    #[test]
    fn only_what_is_seen_is_said() {
        let (exact, saturated) = ([100, 200, 5], [100, 150, 5]);
        assert_eq!(which(&exact, &exact, &saturated, 0), Integers::Exact);
        assert_eq!(which(&[101, 150, 5], &exact, &saturated, 1), Integers::Saturated { others: 1, first: 1 });
        assert_eq!(which(&[100, 175, 5], &exact, &saturated, 0), Integers::Neither);
        assert_eq!(which(&[100, 150, 6], &exact, &saturated, 0), Integers::Neither);
        assert_eq!(which(&exact, &exact, &exact, 0), Integers::Exact);
    }

    #[test]
    fn sums_become_codes() {
        let how = Requantised { factors: vec![0.5, 0.25], zero: 10, dtype: DType::Uint8 };
        let codes = made(&[3, 100, 5000, -400], 2, &[2, 2], Some(&how)).unwrap();
        assert_eq!(codes.bytes(), [12, 35, 255, 0]);
        assert!(made(&[1 << 40], 1, &[1], None).is_none());
    }
}
