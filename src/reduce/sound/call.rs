//! One node with what is known of its inputs: the questions that the rules ask of it.

use super::fact::{Dim, Fact};
use crate::onnx::NodeProto;

/// What does not fit, in a sentence without a full stop.
pub type Absurd = String;

/// What a node makes, by output; shorter than its outputs where nothing is known.
pub type Made = Result<Vec<Fact>, Absurd>;

/// A node, and what is known of its inputs.
pub struct Call<'a> {
    /// The node.
    pub node: &'a NodeProto,
    /// Of the node's domain.
    pub opset: i64,
    /// `None` where it is left out.
    pub inputs: Vec<Option<&'a Fact>>,
}

/// A parameter: an attribute in some opsets, an input in others.
#[derive(Debug, PartialEq)]
pub enum Setting {
    Absent,
    /// It is computed, or fed.
    Unknown,
    Is(Vec<i64>),
}

impl<'a> Call<'a> {
    /// What is known of the input; `None` where it is left out.
    pub fn input(&self, slot: usize) -> Option<&'a Fact> {
        self.inputs.get(slot).copied().flatten()
    }

    /// An input that the operator cannot do without.
    pub fn need(&self, slot: usize) -> Result<&'a Fact, Absurd> {
        self.input(slot).ok_or_else(|| format!("its input {slot} is missing"))
    }

    /// The shape of an input that the operator cannot do without; `None` where it is not known.
    pub fn shape(&self, slot: usize) -> Result<Option<&'a [Dim]>, Absurd> {
        Ok(self.need(slot)?.shape.as_deref())
    }

    /// The same of an optional input.
    pub fn optional(&self, slot: usize) -> Option<&'a [Dim]> {
        self.input(slot)?.shape.as_deref()
    }

    /// An attribute that is a number.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attr(name).map_or(default, |a| a.i())
    }

    /// An attribute that is a list of numbers; `None` where it is left out.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.node.attr(name).map(|a| a.ints.as_slice())
    }

    /// An attribute that is a string.
    pub fn text(&self, name: &str, default: &'static str) -> &'a str {
        self.node.attr(name).and_then(|a| std::str::from_utf8(a.s.as_deref()?).ok()).unwrap_or(default)
    }

    /// The attribute `name`, else the input `slot`. A list without elements says as much as none.
    pub fn setting(&self, name: &str, slot: usize) -> Setting {
        if let Some(attribute) = self.node.attr(name) {
            return match (attribute.ints.as_slice(), attribute.i) {
                ([], None) => Setting::Absent,
                ([], Some(one)) => Setting::Is(vec![one]),
                (several, _) => Setting::Is(several.to_vec()),
            };
        }
        match self.input(slot) {
            None => Setting::Absent,
            Some(fact) => match fact.as_ints() {
                Some([]) => Setting::Absent,
                Some(values) => Setting::Is(values.to_vec()),
                None => Setting::Unknown,
            },
        }
    }

    /// A tensor of one element, if it is there.
    pub fn single(&self, slot: usize) -> Result<(), Absurd> {
        match self.input(slot).and_then(Fact::elements) {
            Some(n) if n != 1 => Err(format!("its input {slot} is one number, and there are {n}")),
            _ => Ok(()),
        }
    }

    /// A list of this length, if it is there.
    pub fn list(&self, slot: usize, length: Dim) -> Result<(), Absurd> {
        let Some(shape) = self.optional(slot) else { return Ok(()) };
        match shape {
            [own] => same(*own, length).map(|_| ()).map_err(|e| format!("its input {slot}: {e}")),
            _ => Err(format!("its input {slot} is a list, and has {} axes", shape.len())),
        }
    }
}

/// Nothing is known of what it makes.
pub fn unknown() -> Made {
    Ok(Vec::new())
}

/// One output of this shape.
pub fn one(shape: Vec<Dim>) -> Made {
    Ok(vec![Fact::dims(shape)])
}

/// Two sizes that are one.
pub fn same(a: Dim, b: Dim) -> Result<Dim, Absurd> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => Err(format!("{a} and {b} should be equal")),
        _ => Ok(a.or(b)),
    }
}

/// Two shapes that are one.
pub fn same_shape(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Absurd> {
    ranked(b, a.len())?;
    a.iter().zip(b).map(|(a, b)| same(*a, *b)).collect()
}

/// The shape of two tensors that are combined element by element.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Absurd> {
    let rank = a.len().max(b.len());
    let padded = |shape: &[Dim]| [vec![Some(1); rank - shape.len()], shape.to_vec()].concat();
    let pair = |(a, b): (Dim, Dim)| match (a, b) {
        (Some(1), other) | (other, Some(1)) => Ok(other),
        (Some(a), Some(b)) if a != b => Err(format!("{a} and {b} are neither equal nor 1")),
        // Of an unknown size and one above 1, the latter is the result.
        (a, b) => Ok(a.or(b)),
    };
    padded(a).into_iter().zip(padded(b)).map(pair).collect()
}

/// `shape` has so many axes.
pub fn ranked(shape: &[Dim], rank: usize) -> Result<(), Absurd> {
    match shape.len() == rank {
        true => Ok(()),
        false => Err(format!("{rank} axes are wanted, and there are {}", shape.len())),
    }
}

/// The axis, counted from the front.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Absurd> {
    let signed = rank as i64;
    match axis {
        a if (0..signed).contains(&a) => Ok(a as usize),
        a if (-signed..0).contains(&a) => Ok((a + signed) as usize),
        _ => Err(format!("there is no axis {axis} of {rank}")),
    }
}
