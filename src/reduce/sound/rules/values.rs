//! Where values are made that steer other nodes: constants, shapes, and what is computed from them.

use super::super::call::{Call, Made, one, unknown};
use super::super::fact::{Dim, Fact, Value};

/// `Constant`: its own value.
pub fn constant(call: &Call) -> Made {
    Ok(vec![call.node.constant().map(|t| Fact::of_proto(&t)).unwrap_or_default()])
}

/// `ConstantOfShape`: its input is the shape.
pub fn filled(call: &Call) -> Made {
    let wanted = call.need(0)?;
    match (wanted.as_ints(), wanted.shape.as_deref()) {
        (Some(sizes), _) => {
            let size = |n: &i64| usize::try_from(*n).map(Some).map_err(|_| format!("a size of {n}"));
            one(sizes.iter().map(size).collect::<Result<_, _>>()?)
        }
        (None, Some([Some(rank)])) if *rank < 64 => one(vec![None; *rank]),
        _ => unknown(),
    }
}

/// `Range`: its length follows from three numbers.
pub fn range(call: &Call) -> Made {
    (0..3).try_for_each(|slot| call.need(slot).map(|_| ()))?;
    (0..3).try_for_each(|slot| call.single(slot))?;
    let number = |slot: usize| call.input(slot)?.as_ints()?.first().copied();
    let (Some(start), Some(limit), Some(delta)) = (number(0), number(1), number(2)) else { return one(vec![None]) };
    if delta == 0 {
        return Err("a step of 0".to_string());
    }
    let (from, to, by) = (i128::from(start), i128::from(limit), i128::from(delta));
    let count = usize::try_from(((to - from + by - by.signum()) / by).max(0)).ok();
    let short = count.filter(|n| *n <= 1024);
    let value = short.map(|n| Value::Ints((0..n as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect()));
    Ok(vec![Fact { value, ..Fact::dims(vec![count]) }])
}

/// `Shape`: the sizes of its input, from `start` to `end`.
pub fn shape(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let rank = x.len() as i64;
    let place = |name: &str, default: i64| {
        let at = call.int(name, default);
        (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let part = x.get(start..end).unwrap_or_default();
    let sizes: Option<Vec<i64>> = part.iter().map(|d| i64::try_from((*d)?).ok()).collect();
    Ok(vec![Fact { value: sizes.map(Value::Ints), ..Fact::sized(&[part.len()]) }])
}

/// `Size`: how many elements its input has.
pub fn size(call: &Call) -> Made {
    let elements = call.need(0)?.elements().and_then(|n| i64::try_from(n).ok());
    Ok(vec![Fact { value: elements.map(|n| Value::Ints(vec![n])), ..Fact::dims(vec![]) }])
}

/// `made` with the value, where the operands of an element-wise operator are known lists of integers.
pub fn computed(call: &Call, op: &str, mut made: Vec<Fact>) -> Vec<Fact> {
    let value = match op {
        "Identity" => call.input(0).and_then(|f| f.value.clone()),
        "Cast" if matches!(call.int("to", 0), 6 | 7) => {
            call.input(0).and_then(Fact::as_ints).map(|v| Value::Ints(v.to_vec()))
        }
        _ => combined(call, op),
    };
    if let Some(first) = made.first_mut() {
        first.value = value.filter(|_| first.rank().is_some_and(|r| r < 2));
    }
    made
}

fn combined(call: &Call, op: &str) -> Option<Value> {
    let one: fn(i64, i64) -> Option<i64> = match op {
        "Add" => i64::checked_add,
        "Sub" => i64::checked_sub,
        "Mul" => i64::checked_mul,
        "Div" => i64::checked_div,
        "Max" => |a, b| Some(a.max(b)),
        "Min" => |a, b| Some(a.min(b)),
        _ => return None,
    };
    let [a, b] = call.inputs.as_slice() else { return None };
    let (a, b) = ((*a)?.as_ints()?, (*b)?.as_ints()?);
    let length: Dim = match (a.len(), b.len()) {
        (n, m) if n == m || m == 1 => Some(n),
        (1, m) => Some(m),
        _ => None,
    };
    let at = |list: &[i64], i: usize| list.get(if list.len() == 1 { 0 } else { i }).copied();
    (0..length?).map(|i| one(at(a, i)?, at(b, i)?)).collect::<Option<Vec<i64>>>().map(Value::Ints)
}
