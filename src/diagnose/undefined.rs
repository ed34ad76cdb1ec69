//! What ONNX leaves open, so that two right runs may differ: places that are written more than once, floats that fit no
//! integer, an order that nobody asked for. Where all that differs lies there, nothing else needs a cause.

use std::collections::HashMap;

use super::case::{Case, axis, int};
use super::words::{num, share};
use super::{Finding, Strength};
use crate::compare::{self, Tolerance};
use crate::tensor::{DType, Tensor};

/// As reports call it.
const CODE: &str = "undefined-by-onnx";

/// Two updates of one place, and no reduction that says what becomes of them.
pub fn duplicates(case: &Case) -> Option<Finding> {
    let none = case.e.node.attr("reduction").is_none_or(|a| a.s.as_deref().unwrap_or_default() == b"none");
    if !none || !case.is_any(&["ScatterND", "ScatterElements", "Scatter"]) {
        return None;
    }
    let (data, indices, updates) = (case.shape(0)?, case.e.inputs.get(1)?.value?, case.e.inputs.get(2)?.value?);
    let written = match case.op() {
        "ScatterND" => slices(data, indices)?,
        _ => elements(data, indices, int(case.e.node, "axis").unwrap_or(0))?,
    };
    let conflicts = conflicts(&written, &compare::to_f64(updates));
    let open = Open::of(case, |at| conflicts.contains_key(&at))?;
    let (first, [a, b]) = open.first.and_then(|at| Some((at, *conflicts.get(&at)?)))?;
    let evidence = format!(
        "{} of {} without a reduction {} written more than once with different values (such as {}: {} and {}), and ONNX does not say which one stays; {}",
        match conflicts.len() {
            1 => "1 place".to_string(),
            n => format!("{n} places"),
        },
        case.name(),
        if conflicts.len() == 1 { "is" } else { "are" },
        place(first, data),
        num(a),
        num(b),
        open.told("at such places")
    );
    let advice = format!(
        "make the indices of {} unique, or give it the reduction that is meant (add, mul, max, min); until then either result is right, and no kernel is to blame",
        case.name()
    );
    Some(Finding { code: CODE, strength: open.strength()?, evidence, advice })
}

/// A float that the integer type cannot hold.
pub fn cast_out_of_range(case: &Case) -> Option<Finding> {
    let (from, to) = (case.e.inputs.first()?.value?, case.e.output?);
    let (low, high) = range(to.dtype).filter(|_| case.is_any(&["Cast", "CastLike"]) && from.dtype.is_float())?;
    let values = compare::to_f64(from);
    // Truncated towards zero, it must be one of the type's values.
    let outside = |x: f64| x.is_nan() || x.trunc() < low || x.trunc() > high;
    let open = Open::of(case, |at| values.get(at).is_some_and(|x| outside(*x)))?;
    let count = values.iter().filter(|x| outside(**x)).count();
    let example = values.get(open.first?)?;
    let evidence = format!(
        "{} that it casts cannot be held by {} (such as {}), and ONNX does not say what they become; {}",
        share(count as u64, values.len() as u64, "values"),
        to.dtype,
        num(*example),
        open.told("at such values")
    );
    let advice = format!("clip what {} casts to the range of {} first, in the model", case.name(), to.dtype);
    Some(Finding { code: CODE, strength: open.strength()?, evidence, advice })
}

/// The same elements in another order, where `sorted` is 0.
pub fn unsorted(case: &Case) -> Option<Finding> {
    let asked = case.is_any(&["TopK"]) && int(case.e.node, "sorted") == Some(0);
    let (reference, candidate) = (case.e.output.filter(|_| asked)?, case.e.candidate_output?);
    if reference.shape != candidate.shape {
        return None;
    }
    let at = axis(int(case.e.node, "axis").unwrap_or(-1), reference.shape.len())?;
    let (rows, others) = (rows(reference, at), rows(candidate, at));
    let moved = rows.iter().zip(&others).filter(|(a, b)| a != b).count() as u64;
    let ordered = |row: &Vec<f64>| {
        let mut row = row.clone();
        row.sort_by(f64::total_cmp);
        row
    };
    let same = rows.iter().zip(&others).all(|(a, b)| ordered(a) == ordered(b));
    if moved == 0 || !same {
        return None;
    }
    let evidence = format!(
        "{} hold the same elements in another order, and with sorted = 0 ONNX leaves the order of {} open; in one order, all agree",
        share(moved, rows.len() as u64, "rows"),
        case.name()
    );
    let advice = format!("set sorted = 1 of {}, or compare its elements without their order", case.name());
    Some(Finding { code: CODE, strength: Strength::Proven, evidence, advice })
}

/// The elements that differ, and those of them that ONNX leaves open.
struct Open {
    differ: u64,
    open: u64,
    /// An open one that differs.
    first: Option<usize>,
}

impl Open {
    /// `None` where nothing differs, or the tensors are no counterparts. Counts as the verdict does, where its tolerance is
    /// known.
    fn of(case: &Case, is_open: impl Fn(usize) -> bool) -> Option<Open> {
        let (reference, candidate) = (case.e.output?, case.e.candidate_output?);
        if reference.shape != candidate.shape {
            return None;
        }
        let Tolerance { atol, rtol } = case.judged.tolerance.unwrap_or(Tolerance { atol: 0.0, rtol: 0.0 });
        let differs = |r: f64, c: f64| !(r == c || r.is_nan() && c.is_nan() || (c - r).abs() <= atol + rtol * r.abs());
        let (right, got) = (compare::to_f64(reference), compare::to_f64(candidate));
        let mut all = Open { differ: 0, open: 0, first: None };
        for at in (0..right.len()).filter(|at| differs(right[*at], got[*at])) {
            all.differ += 1;
            if is_open(at) {
                all.open += 1;
                all.first.get_or_insert(at);
            }
        }
        (all.open > 0).then_some(all)
    }

    /// Everything else agrees: leaving those out is the trial. Where some others differ too, they need another cause.
    fn strength(&self) -> Option<Strength> {
        match () {
            _ if self.open == self.differ => Some(Strength::Proven),
            _ if self.open * 2 >= self.differ => Some(Strength::Fits),
            _ => None,
        }
    }

    fn told(&self, there: &str) -> String {
        match (self.open == self.differ, self.differ) {
            (true, 1) => format!("the one element that differs is {there}, all others agree"),
            (true, n) => format!("all {n} elements that differ are {there}, all others agree"),
            (false, n) => format!("{} of {n} elements that differ are {there}", self.open),
        }
    }
}

/// By element of the updates: the element of the data that it is written to. `None` for indices out of range.
fn slices(data: &[usize], indices: &Tensor) -> Option<Vec<usize>> {
    let depth = *indices.shape.last()?;
    let (outer, inner) = (data.get(..depth)?, data.get(depth..)?.iter().product::<usize>());
    let ids = integers(indices)?;
    if depth == 0 {
        return None;
    }
    let mut written = Vec::with_capacity(ids.len() / depth * inner);
    for tuple in ids.chunks(depth) {
        let mut at = 0;
        for (id, length) in tuple.iter().zip(outer) {
            at = at * length + wrapped(*id, *length)?;
        }
        written.extend((0..inner).map(|i| at * inner + i));
    }
    Some(written)
}

/// The same of ScatterElements, whose indices have the shape of its updates.
fn elements(data: &[usize], indices: &Tensor, along: i64) -> Option<Vec<usize>> {
    let at = axis(along, data.len()).filter(|_| indices.shape.len() == data.len())?;
    let ids = integers(indices)?;
    let target = |(element, id): (usize, &i64)| {
        let (mut rest, mut target, mut stride) = (element, 0, 1);
        for axis in (0..data.len()).rev() {
            let own = rest % indices.shape[axis];
            rest /= indices.shape[axis];
            target += stride * if axis == at { wrapped(*id, data[axis])? } else { own };
            stride *= data[axis];
        }
        Some(target)
    };
    ids.iter().enumerate().map(target).collect()
}

/// Counted from the end where it is negative.
fn wrapped(id: i64, length: usize) -> Option<usize> {
    let id = if id < 0 { id + length as i64 } else { id };
    usize::try_from(id).ok().filter(|id| *id < length)
}

/// The places with two different values, by the first two of them.
fn conflicts(written: &[usize], updates: &[f64]) -> HashMap<usize, [f64; 2]> {
    let mut first: HashMap<usize, f64> = HashMap::new();
    let mut conflicts = HashMap::new();
    for (at, value) in written.iter().zip(updates) {
        let before = *first.entry(*at).or_insert(*value);
        if before != *value {
            conflicts.entry(*at).or_insert([before, *value]);
        }
    }
    conflicts
}

/// `[3,0]`
fn place(element: usize, shape: &[usize]) -> String {
    let mut rest = element;
    let mut index: Vec<String> = Vec::new();
    for length in shape.iter().rev() {
        index.push((rest % (*length).max(1)).to_string());
        rest /= (*length).max(1);
    }
    index.reverse();
    format!("[{}]", index.join(","))
}

/// The values along an axis, one row each.
fn rows(tensor: &Tensor, at: usize) -> Vec<Vec<f64>> {
    let values = compare::to_f64(tensor);
    let (length, inner) = (tensor.shape[at], tensor.shape[at + 1..].iter().product::<usize>());
    let outer: usize = tensor.shape[..at].iter().product();
    let value = |o: usize, i: usize| move |n: usize| (o * length + n) * inner + i;
    let row = |o: usize, i: usize| (0..length).map(value(o, i)).filter_map(|k| values.get(k).copied()).collect();
    (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| row(o, i)).collect()
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.dtype {
        DType::Int64 => Some(tensor.view::<i64>().to_vec()),
        DType::Int32 => Some(tensor.view::<i32>().iter().map(|x| i64::from(*x)).collect()),
        _ => None,
    }
}

/// The smallest and largest value, as far as a float tells them.
fn range(dtype: DType) -> Option<(f64, f64)> {
    Some(match dtype {
        DType::Int8 => (-128.0, 127.0),
        DType::Uint8 => (0.0, 255.0),
        DType::Int16 => (-32768.0, 32767.0),
        DType::Uint16 => (0.0, 65535.0),
        DType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::Uint32 => (0.0, f64::from(u32::MAX)),
        // 2^63 itself is the first that does not fit.
        DType::Int64 => (i64::MIN as f64, (i64::MAX as f64).next_down()),
        DType::Uint64 => (0.0, (u64::MAX as f64).next_down()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
