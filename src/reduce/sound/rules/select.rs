//! Elements chosen by place or by value, and what is put around them.

use super::super::call::{Absurd, Call, Made, Setting, axis, one, ranked, same_shape, unknown};
use super::super::fact::{Dim, Fact, Value};

/// `Pad`: each axis grows, or shrinks where its pads are negative.
pub fn pad(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let name = if call.opset < 2 { "paddings" } else { "pads" };
    let axes = match call.setting("", 3) {
        Setting::Is(axes) => axes.iter().map(|a| axis(*a, x.len())).collect::<Result<Vec<usize>, Absurd>>()?,
        Setting::Absent => (0..x.len()).collect(),
        Setting::Unknown => return one(vec![None; x.len()]),
    };
    if call.opset >= 11 {
        call.need(1)?;
        call.list(1, Some(2 * axes.len()))?;
    }
    call.single(2)?;
    let pads = match call.setting(name, 1) {
        Setting::Is(pads) => pads,
        Setting::Absent => vec![0; 2 * axes.len()],
        Setting::Unknown => return one(vec![None; x.len()]),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mirrored = call.text("mode", "constant") == "reflect";
    let mut shape = x.to_vec();
    for (i, at) in axes.iter().enumerate() {
        let (Some(size), begin, end) = (x[*at], pads[i], pads[i + axes.len()]) else { continue };
        let signed = size as i64;
        if mirrored && begin.max(end) >= signed.max(1) {
            return Err(format!("{size} elements cannot be mirrored {} times", begin.max(end)));
        }
        let made = signed.saturating_add(begin).saturating_add(end);
        if made < 0 || (made == 0 && size > 0) || begin.min(end) < -signed {
            return Err(format!("pads of {begin} and {end} leave nothing of {size} elements"));
        }
        shape[*at] = usize::try_from(made).ok();
    }
    one(shape)
}

/// `Slice`: starts and ends are clamped to the axis, as the ONNX specification says.
pub fn slice(call: &Call) -> Made {
    let data = call.need(0)?;
    let Some(x) = &data.shape else { return unknown() };
    if call.opset >= 10 {
        call.need(1)?;
        call.need(2)?;
    }
    let (starts, ends) = (call.setting("starts", 1), call.setting("ends", 2));
    let (Setting::Is(starts), Setting::Is(ends)) = (starts, ends) else { return one(vec![None; x.len()]) };
    let (axes, steps) = (call.setting("axes", 3), call.setting("", 4));
    let axes: Vec<i64> = match axes {
        Setting::Is(axes) => axes,
        Setting::Absent => (0..starts.len() as i64).collect(),
        Setting::Unknown => return one(vec![None; x.len()]),
    };
    let steps = match steps {
        Setting::Is(steps) => steps.into_iter().map(Some).collect(),
        Setting::Absent => vec![Some(1); starts.len()],
        Setting::Unknown => vec![None; starts.len()],
    };
    if [ends.len(), axes.len(), steps.len()].iter().any(|n| *n != starts.len()) {
        return Err("starts, ends, axes and steps are not equally many".to_string());
    }
    let mut shape = x.clone();
    let mut value = data.value.clone();
    for (i, at) in axes.iter().enumerate() {
        let at = axis(*at, x.len())?;
        let (Some(size), Some(step)) = (x[at], steps[i]) else {
            (shape[at], value) = (None, None);
            continue;
        };
        let places = places(size, starts[i], ends[i], step)?;
        shape[at] = Some(places.len());
        value = value.filter(|_| x.len() == 1).map(|v| picked(&v, &places));
    }
    Ok(vec![Fact { value, ..Fact::dims(shape) }])
}

/// The places that a slice takes.
fn places(size: usize, start: i64, end: i64, step: i64) -> Result<Vec<usize>, Absurd> {
    let signed = size as i64;
    let from_front = |n: i64| if n < 0 { n.saturating_add(signed) } else { n };
    let (start, end) = (from_front(start), from_front(end));
    let (first, last) = match step {
        1.. => (start.clamp(0, signed), end.clamp(0, signed)),
        0 => return Err("a step of 0".to_string()),
        _ => (start.clamp(-1, signed - 1), end.clamp(-1, signed - 1)),
    };
    let mut places = Vec::new();
    let mut at = first;
    while (step > 0 && at < last) || (step < 0 && at > last) {
        places.extend(usize::try_from(at).ok());
        at = at.saturating_add(step);
    }
    Ok(places)
}

fn picked(value: &Value, places: &[usize]) -> Value {
    match value {
        Value::Ints(v) => Value::Ints(places.iter().filter_map(|p| v.get(*p).copied()).collect()),
        Value::Floats(v) => Value::Floats(places.iter().filter_map(|p| v.get(*p).copied()).collect()),
    }
}

/// `Gather`: the axis becomes the shape of the indices.
pub fn gather(call: &Call) -> Made {
    let (data, places) = (call.need(0)?, call.need(1)?);
    let (Some(x), Some(taken)) = (&data.shape, &places.shape) else { return unknown() };
    let at = axis(call.int("axis", 0), x.len())?;
    inside(places, x[at])?;
    let shape = [&x[..at], taken, &x[at + 1..]].concat();
    let value = data.value.as_ref().zip(places.as_ints()).filter(|_| x.len() == 1 && taken.len() < 2);
    let value = value.zip(x[at]).map(|((value, places), size)| {
        let front = |p: &i64| usize::try_from(if *p < 0 { *p + size as i64 } else { *p }).ok();
        picked(value, &places.iter().filter_map(front).collect::<Vec<_>>())
    });
    Ok(vec![Fact { value, ..Fact::dims(shape) }])
}

/// `GatherElements`: the shape of the indices.
pub fn gather_elements(call: &Call) -> Made {
    let (Some(x), Some(places)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(places, x.len())?;
    let at = axis(call.int("axis", 0), x.len())?;
    inside(call.need(1)?, x[at])?;
    smaller(places, x, at)?;
    one(places.to_vec())
}

/// `GatherND`: the last axis of the indices stands for as many axes of the data.
pub fn gather_nd(call: &Call) -> Made {
    let (Some(x), Some([before @ .., Some(depth)])) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    let batch = usize::try_from(call.int("batch_dims", 0)).unwrap_or(0);
    if batch > before.len() || batch + depth > x.len() {
        return Err(format!("{depth} indices do not fit {} axes", x.len()));
    }
    same_shape(&x[..batch], &before[..batch])?;
    one([before, &x[batch + depth..]].concat())
}

/// `ScatterElements` and `Scatter`: the shape of the data; indices and updates are of one shape.
pub fn scatter(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    if let (Some(places), Some(updates)) = (call.shape(1)?, call.shape(2)?) {
        same_shape(places, updates)?;
        ranked(places, x.len())?;
        let at = axis(call.int("axis", 0), x.len())?;
        inside(call.need(1)?, x[at])?;
        smaller(places, x, at)?;
    }
    one(x.to_vec())
}

/// `ScatterND`: the shape of the data.
pub fn scatter_nd(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    if let (Some([before @ .., Some(depth)]), Some(updates)) = (call.shape(1)?, call.shape(2)?) {
        if *depth > x.len() {
            return Err(format!("{depth} indices do not fit {} axes", x.len()));
        }
        same_shape(updates, &[before, &x[*depth..]].concat())?;
    }
    one(x.to_vec())
}

/// `TopK`: `k` along the axis, twice: values and indices.
pub fn top_k(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    if call.opset >= 10 {
        call.need(1)?;
        call.single(1)?;
    }
    let at = axis(call.int("axis", -1), x.len())?;
    let mut shape = x.to_vec();
    shape[at] = match (call.setting("k", 1), x[at]) {
        (Setting::Is(k), Some(size)) => {
            let k = k.first().and_then(|k| usize::try_from(*k).ok()).unwrap_or(0);
            Some(k).filter(|k| *k <= size).ok_or_else(|| format!("the {k} largest of {size}"))?.into()
        }
        _ => None,
    };
    Ok(vec![Fact::dims(shape.clone()), Fact::dims(shape)])
}

/// `OneHot`: one more axis, of the depth.
pub fn one_hot(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    call.single(1)?;
    call.list(2, Some(2))?;
    let at = axis(call.int("axis", -1), x.len() + 1)?;
    let depth = call.input(1).and_then(Fact::as_ints).and_then(|d| usize::try_from(*d.first()?).ok());
    one([&x[..at], &[depth], &x[at..]].concat())
}

/// `NonZero`: an index an axis (one for a scalar), for nobody knows how many elements.
pub fn non_zero(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    one(vec![Some(x.len().max(1)), None])
}

/// `NonMaxSuppression`: three indices for each box, of nobody knows how many.
pub fn suppression(call: &Call) -> Made {
    let (Some(boxes), Some(scores)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(boxes, 3)?;
    ranked(scores, 3)?;
    same_shape(&[boxes[0], boxes[1], boxes[2]], &[scores[0], scores[2], Some(4)])?;
    (2..5).try_for_each(|slot| call.single(slot))?;
    one(vec![None, Some(3)])
}

/// Known indices are indices of `size` elements.
fn inside(places: &Fact, size: Dim) -> Result<(), Absurd> {
    let (Some(places), Some(size)) = (places.as_ints(), size) else { return Ok(()) };
    let signed = size as i64;
    match places.iter().find(|p| !(-signed..signed).contains(p)) {
        Some(outside) => Err(format!("there is no place {outside} of {size}")),
        None => Ok(()),
    }
}

/// Along every axis but one, no more indices than elements.
fn smaller(places: &[Dim], x: &[Dim], at: usize) -> Result<(), Absurd> {
    let larger = |i: &usize| *i != at && places[*i].zip(x[*i]).is_some_and(|(p, n)| p > n);
    match (0..x.len()).find(larger) {
        Some(i) => Err(format!("along axis {i} there are more indices than elements")),
        None => Ok(()),
    }
}
