//! Products of matrices: MatMul and its fused kin, Gemm.

use super::half::Partial;
use super::product::{Matrix, product};
use super::{Call, Values, broadcast, transposed};

/// MatMul, FusedMatMul: batches of matrices, broadcast against each other.
pub(super) fn matmul<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let misfit = || call.misfit();
    // A vector is a matrix of one row, or of one column, and the result lacks that axis again.
    let (vector_a, vector_b) = (a.rank() == 1, b.rank() == 1);
    let lift = |v: &Values, front: bool| match v.shape[..] {
        [n] if front => vec![1, n],
        [n] => vec![n, 1],
        _ => v.shape.clone(),
    };
    let (a_shape, b_shape) = (lift(a, true), lift(b, false));
    let (Some((a_batch, [a0, a1])), Some((b_batch, [b0, b1]))) = (matrices(&a_shape), matrices(&b_shape)) else {
        return Err(misfit());
    };
    let (a_turned, b_turned) = (call.is_on("transA") && !vector_a, call.is_on("transB") && !vector_b);
    let (m, k) = if a_turned { (a1, a0) } else { (a0, a1) };
    let (terms, n) = if b_turned { (b1, b0) } else { (b0, b1) };
    if k != terms || call.is_on("transBatchA") || call.is_on("transBatchB") {
        return Err(misfit());
    }
    let batch = together(a_batch, b_batch).ok_or_else(misfit)?;
    let steps = if b_turned { (1, k) } else { (n, 1) };
    let rows = rows(a, a_turned.then_some((a0, a1)));
    let made = match b_batch.iter().product::<usize>() {
        // All rows times one matrix.
        1 if a_batch == batch => product(&rows, k, &Matrix { values: &b.values, columns: n, steps }, n, partial),
        _ => {
            let (of_a, of_b) =
                (places(a_batch, &batch).ok_or_else(misfit)?, places(b_batch, &batch).ok_or_else(misfit)?);
            let one = |(at, of): (&usize, &usize)| {
                let values = &b.values[of * k * n..][..k * n];
                product(&rows[at * m * k..][..m * k], k, &Matrix { values, columns: n, steps }, n, partial)
            };
            of_a.iter().zip(&of_b).flat_map(one).collect()
        }
    };
    let mut made = if made.is_empty() { vec![0.0; batch.iter().product::<usize>() * m * n] } else { made };
    scale(&mut made, call.float("alpha", 1.0));
    let mut shape = batch;
    shape.extend((!vector_a).then_some(m));
    shape.extend((!vector_b).then_some(n));
    Ok(Values::made(shape, made))
}

/// `alpha A B + beta C`
pub(super) fn gemm<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (&[a0, a1], &[b0, b1]) = (&a.shape[..], &b.shape[..]) else { return Err(call.misfit()) };
    let (a_turned, b_turned) = (call.is_on("transA"), call.is_on("transB"));
    let (m, k) = if a_turned { (a1, a0) } else { (a0, a1) };
    let (terms, n) = if b_turned { (b1, b0) } else { (b0, b1) };
    if k != terms {
        return Err(call.misfit());
    }
    let columns = Matrix { values: &b.values, columns: n, steps: if b_turned { (1, k) } else { (n, 1) } };
    let mut made = product(&rows(a, a_turned.then_some((a0, a1))), k, &columns, n, partial);
    made.resize(m * n, 0.0);
    scale(&mut made, call.float("alpha", 1.0));
    if let Some(c) = call.given(2) {
        let mut c = broadcast(c, &[m, n]).ok_or_else(|| call.misfit())?;
        scale(&mut c, call.float("beta", 1.0));
        made.iter_mut().zip(c).for_each(|(x, c)| *x += c);
    }
    Ok(Values::made(vec![m, n], made))
}

fn scale(values: &mut [f32], by: f32) {
    if by != 1.0 {
        values.iter_mut().for_each(|x| *x *= by);
    }
}

/// The left operand with its terms side by side; `turned`: the sizes of its matrices, which lie the other way.
fn rows<'a>(a: &'a Values, turned: Option<(usize, usize)>) -> std::borrow::Cow<'a, [f32]> {
    match turned {
        None => a.values.as_ref().into(),
        Some((k, m)) => {
            let batch = a.values.len() / (k * m).max(1);
            transposed(&a.values, &[batch, k, m], &[0, 2, 1]).into()
        }
    }
}

/// The axes in front of the last two, and those.
fn matrices(shape: &[usize]) -> Option<(&[usize], [usize; 2])> {
    shape.split_last_chunk::<2>().map(|(batch, last)| (batch, *last))
}

/// Two batches broadcast.
fn together(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |batch: &[usize], axis: usize| (axis + batch.len()).checked_sub(rank).map_or(1, |at| batch[at]);
    let axis = |axis: usize| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    };
    (0..rank).map(axis).collect()
}

/// Which matrix of a batch stands at each place of the broadcast one.
fn places(batch: &[usize], all: &[usize]) -> Option<Vec<usize>> {
    let numbers: Vec<f32> = (0..batch.iter().product::<usize>()).map(|i| i as f32).collect();
    let places = broadcast(&Values::made(batch.to_vec(), numbers), all)?;
    Some(places.into_iter().map(|i| i as usize).collect())
}
