//! The same elements in another arrangement, or several times.

use super::super::call::{Absurd, Call, Made, Setting, axis, broadcast, one, ranked, same, same_shape, unknown};
use super::super::fact::{Dim, Fact, Value};

/// `Reshape`: as many elements as before; 0 keeps a size, -1 is what is left.
pub fn reshape(call: &Call) -> Made {
    let data = call.need(0)?;
    if call.opset >= 5 {
        call.need(1)?;
    }
    let wanted = match call.setting("shape", 1) {
        Setting::Is(wanted) => wanted,
        // A scalar.
        Setting::Absent => Vec::new(),
        Setting::Unknown => {
            let rank = match call.optional(1) {
                Some([Some(rank)]) if *rank < 64 => *rank,
                _ => return unknown(),
            };
            return one(vec![None; rank]);
        }
    };
    let zero_is_zero = call.int("allowzero", 0) != 0;
    let mut shape = Vec::new();
    for (place, size) in wanted.iter().enumerate() {
        shape.push(match (*size, &data.shape) {
            (0, _) if zero_is_zero => Some(0),
            (0, Some(own)) => *own.get(place).ok_or_else(|| format!("there is no axis {place} to keep"))?,
            (0 | -1, _) => None,
            (n, _) => Some(usize::try_from(n).map_err(|_| format!("a size of {n}"))?),
        });
    }
    let Some(elements) = data.elements() else { return one(shape) };
    let inferred = wanted.iter().position(|n| *n == -1);
    let others = shape.iter().enumerate().filter(|(i, _)| Some(*i) != inferred);
    let Some(others) = others.map(|(_, d)| *d).try_fold(1usize, |n, d| n.checked_mul(d?)) else { return one(shape) };
    match inferred {
        Some(_) if others == 0 => return one(shape),
        Some(place) if elements % others == 0 => shape[place] = Some(elements / others),
        None if elements == others => {}
        _ => return Err(format!("{elements} elements do not become {wanted:?}")),
    }
    let value = data.value.clone().filter(|_| shape.len() < 2);
    Ok(vec![Fact { value, ..Fact::dims(shape) }])
}

/// `Flatten`: a matrix, cut at `axis`.
pub fn flatten(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let at = match call.int("axis", 1) {
        a if a == x.len() as i64 => x.len(),
        a => axis(a, x.len())?,
    };
    one(vec![product(&x[..at]), product(&x[at..])])
}

/// `Transpose`: the axes in another order; reversed by default.
pub fn transpose(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let Some(order) = call.ints("perm").filter(|p| !p.is_empty() || x.is_empty()) else {
        return one(x.iter().rev().copied().collect());
    };
    ranked(x, order.len())?;
    one(order.iter().map(|a| axis(*a, x.len()).map(|a| x[a])).collect::<Result<_, Absurd>>()?)
}

/// `Squeeze`: without the named axes, which have one element; else without all of those.
pub fn squeeze(call: &Call) -> Made {
    let data = call.need(0)?;
    let Some(x) = &data.shape else { return unknown() };
    let axes: Vec<usize> = match call.setting("axes", 1) {
        Setting::Unknown => return unknown(),
        Setting::Is(axes) => axes.iter().map(|a| axis(*a, x.len())).collect::<Result<_, Absurd>>()?,
        // Every axis of one element; nobody knows which, where a size is not known.
        Setting::Absent if x.iter().any(Option::is_none) => return unknown(),
        Setting::Absent => (0..x.len()).filter(|a| x[*a] == Some(1)).collect(),
    };
    axes.iter().try_for_each(|a| same(x[*a], Some(1)).map(|_| ()))?;
    let shape = x.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, d)| *d).collect();
    Ok(vec![Fact { value: data.value.clone(), ..Fact::dims(shape) }])
}

/// `Unsqueeze`: with axes of one element at the named places of the output.
pub fn unsqueeze(call: &Call) -> Made {
    let data = call.need(0)?;
    let (Some(x), Setting::Is(axes)) = (&data.shape, call.setting("axes", 1)) else { return unknown() };
    let rank = x.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_, Absurd>>()?;
    let mut own = x.iter();
    let shape: Vec<Dim> =
        (0..rank).map(|a| if axes.contains(&a) { Some(1) } else { own.next().copied().flatten() }).collect();
    let value = data.value.clone().filter(|_| shape.len() < 2);
    Ok(vec![Fact { value, ..Fact::dims(shape) }])
}

/// `Expand`: broadcast with a shape that is an input.
pub fn expand(call: &Call) -> Made {
    let (Some(x), wanted) = (call.shape(0)?, call.need(1)?) else { return unknown() };
    match sizes(wanted)? {
        Some(wanted) => one(broadcast(x, &wanted)?),
        None => unknown(),
    }
}

/// `Tile`: each axis repeated.
pub fn tile(call: &Call) -> Made {
    let (Some(x), repeats) = (call.shape(0)?, call.need(1)?) else { return unknown() };
    // In opset 1, the second input is one number.
    if call.opset < 6 {
        return one(vec![None; x.len()]);
    }
    call.list(1, Some(x.len()))?;
    let Some(repeats) = sizes(repeats)? else { return one(vec![None; x.len()]) };
    ranked(&repeats, x.len())?;
    one(x.iter().zip(&repeats).map(|(d, n)| d.zip(*n).and_then(|(d, n)| d.checked_mul(n))).collect())
}

/// `Concat`: sizes add up along `axis` and are the same elsewhere.
pub fn concat(call: &Call) -> Made {
    let mut facts = Vec::new();
    for slot in 0..call.inputs.len() {
        facts.push(call.need(slot)?);
    }
    let Some(first) = facts.first().and_then(|f| f.shape.as_deref()) else { return unknown() };
    let at = axis(call.int("axis", 1), first.len())?;
    let (mut shape, mut length) = (first.to_vec(), Some(0usize));
    for fact in &facts {
        let Some(own) = &fact.shape else { return unknown() };
        ranked(own, shape.len())?;
        length = length.zip(own[at]).and_then(|(a, b)| a.checked_add(b));
        let mut rest = own.clone();
        rest[at] = shape[at];
        shape = same_shape(&shape, &rest)?;
    }
    shape[at] = length;
    let ints: Option<Vec<i64>> = facts.iter().map(|f| f.as_ints()).collect::<Option<Vec<_>>>().map(|v| v.concat());
    Ok(vec![Fact { value: ints.map(Value::Ints), ..Fact::dims(shape) }])
}

/// `Split`: the sizes along `axis` are given, or equal; from opset 18 on the last one may be smaller.
pub fn split(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let (at, parts) = (axis(call.int("axis", 0), x.len())?, call.node.output.len());
    let sizes: Vec<Dim> = match (call.setting("split", 1), x[at]) {
        (Setting::Is(sizes), size) => {
            if sizes.len() != parts {
                return Err(format!("{} sizes for {parts} outputs", sizes.len()));
            }
            let sum = usize::try_from(sizes.iter().fold(0i64, |n, s| n.saturating_add(*s))).ok();
            same(sum, size)?;
            sizes.iter().map(|n| usize::try_from(*n).ok()).collect()
        }
        (Setting::Absent, Some(size)) if parts > 0 => {
            let each = if call.opset < 18 { size / parts } else { size.div_ceil(parts) };
            let last = size.checked_sub(each * (parts - 1)).filter(|n| *n == each || call.opset >= 18);
            let last = last.filter(|n| *n > 0 || size == 0);
            let last = last.ok_or_else(|| format!("{size} elements do not become {parts} parts"))?;
            [vec![Some(each); parts - 1], vec![Some(last)]].concat()
        }
        _ => vec![None; parts],
    };
    let part = |size: Dim| {
        let mut shape = x.to_vec();
        shape[at] = size;
        Fact::dims(shape)
    };
    Ok(sizes.into_iter().map(part).collect())
}

/// A list of sizes, as dimensions.
fn sizes(list: &Fact) -> Result<Option<Vec<Dim>>, Absurd> {
    let Some(values) = list.as_ints() else { return Ok(None) };
    let size = |n: &i64| usize::try_from(*n).map(Some).map_err(|_| format!("a size of {n}"));
    values.iter().map(size).collect::<Result<_, Absurd>>().map(Some)
}

fn product(dims: &[Dim]) -> Dim {
    dims.iter().try_fold(1usize, |n, d| n.checked_mul((*d)?))
}
