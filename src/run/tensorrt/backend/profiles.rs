//! The shapes that an engine is built for: from the user, else from the data. Pure: no TensorRT in here.

use crate::precision::{integers, is_integer};
use crate::run::tensorrt::Range;
use crate::tensor::{Tensor, Tensors, shape_text};

/// An input of the parsed model.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// As the model calls it.
    pub name: String,
    /// -1 for an open dimension.
    pub shape: Vec<i64>,
    /// Its values are a shape, and need a range as well.
    pub values: bool,
}

/// What an engine is built for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    /// Shapes of inputs with open dimensions.
    pub shapes: Vec<Range>,
    /// Values of inputs that are shapes.
    pub values: Vec<Range>,
}

/// Why there are none.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The user's ranges do not fit the model.
    Profile(String),
    /// The data does not.
    Data(String),
}

impl Ranges {
    /// What the user said, else what spans all samples, the first being the usual one.
    pub fn new(inputs: &[Input], feeds: &[Tensors], said: &[Range]) -> Result<Ranges, Refusal> {
        for range in said {
            let input = inputs.iter().find(|input| input.name == range.input);
            check(range, input.ok_or_else(|| unknown(range, inputs))?).map_err(Refusal::Profile)?;
        }
        let said = |input: &Input| said.iter().find(|range| range.input == input.name).cloned();
        let mut ranges = Ranges::default();
        for input in inputs {
            let open = input.shape.iter().any(|dim| *dim < 0);
            if input.values {
                let range = said(input).map_or_else(|| span(input, feeds, values), Ok)?;
                ranges.values.push(range);
            }
            if open {
                let shape = |tensor: &Tensor| Some(shape_of(tensor));
                let range = match said(input).filter(|_| !input.values) {
                    Some(range) => range,
                    None => span(input, feeds, shape)?,
                };
                ranges.shapes.push(range);
            }
        }
        Ok(ranges)
    }

    /// Does a sample stay within them? One that lacks an input does: that is said elsewhere.
    pub fn hold(&self, feed: &Tensors) -> bool {
        let within = |range: &Range, found: Option<Vec<i64>>| {
            found.is_none_or(|found| {
                let bounds = range.min.iter().zip(&range.max);
                found.len() == range.min.len() && found.iter().zip(bounds).all(|(n, (min, max))| min <= n && n <= max)
            })
        };
        self.shapes.iter().all(|range| within(range, feed.get(&range.input).map(shape_of)))
            && self.values.iter().all(|range| within(range, feed.get(&range.input).and_then(values)))
    }
}

/// The user's range against the model's input: rank, fixed dimensions, order.
fn check(range: &Range, input: &Input) -> Result<(), String> {
    let Range { input: name, min, opt, max } = range;
    if [min, opt, max].iter().any(|shape| shape.len() != min.len()) {
        return Err(format!("the shape profile of input '{name}' has shapes of different rank"));
    }
    let ordered = min.iter().zip(opt).zip(max).all(|((min, opt), max)| min <= opt && opt <= max);
    if !ordered {
        let [min, opt, max] = [min, opt, max].map(|shape| dims_text(shape));
        return Err(format!(
            "the shape profile of input '{name}' is not ordered: {min}, {opt}, {max} must grow from minimum to maximum"
        ));
    }
    if input.values {
        return Ok(());
    }
    let model = dims_text(&input.shape);
    if min.len() != input.shape.len() {
        let (have, want) = (min.len(), input.shape.len());
        return Err(format!(
            "the shape profile of input '{name}' has rank {have}, the model's {model} has rank {want}"
        ));
    }
    for shape in [min, opt, max] {
        if shape.iter().zip(&input.shape).any(|(dim, fixed)| *fixed >= 0 && dim != fixed) {
            let shape = dims_text(shape);
            return Err(format!(
                "the shape profile of input '{name}' changes a fixed dimension: {shape} does not fit the model's {model}"
            ));
        }
    }
    Ok(())
}

fn unknown(range: &Range, inputs: &[Input]) -> Refusal {
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    Refusal::Profile(format!(
        "there is a shape profile for '{}', which is no input; the inputs are: {}",
        range.input,
        names.join(", ")
    ))
}

/// The smallest range that holds every sample.
fn span(input: &Input, feeds: &[Tensors], of: impl Fn(&Tensor) -> Option<Vec<i64>>) -> Result<Range, Refusal> {
    let name = &input.name;
    let missing = || Refusal::Data(format!("input '{name}' has no value; give it one"));
    let mut found = Vec::new();
    for feed in feeds {
        found.push(feed.get(name).and_then(&of).ok_or_else(missing)?);
    }
    let Some(opt) = found.first().cloned() else {
        let shape = dims_text(&input.shape);
        return Err(Refusal::Data(format!("input '{name}' has the open shape {shape}, and no sample fills it")));
    };
    if let Some(other) = found.iter().find(|other| other.len() != opt.len()) {
        let (a, b) = (dims_text(&opt), dims_text(other));
        return Err(Refusal::Data(format!("input '{name}' has samples of different rank: {a} and {b}")));
    }
    let all = |pick: fn(i64, i64) -> i64| {
        found.iter().skip(1).fold(opt.clone(), |a, b| a.iter().zip(b).map(|(a, b)| pick(*a, *b)).collect())
    };
    Ok(Range { input: name.clone(), min: all(i64::min), max: all(i64::max), opt })
}

/// As TensorRT counts.
pub fn shape_of(tensor: &Tensor) -> Vec<i64> {
    tensor.shape.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect()
}

/// The values of a tensor of integers.
fn values(tensor: &Tensor) -> Option<Vec<i64>> {
    let values = is_integer(tensor.dtype).then(|| integers(tensor))?;
    values.into_iter().map(|n| i64::try_from(n).ok()).collect()
}

/// `-1x3x224`
pub fn dims_text(dims: &[i64]) -> String {
    match dims {
        [] => shape_text(&[]),
        dims => dims.iter().map(i64::to_string).collect::<Vec<_>>().join("x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(shape: &[usize]) -> Tensors {
        Tensors::from([("x".to_string(), Tensor::f32(shape, &vec![0.0; shape.iter().product()]))])
    }

    fn input(shape: &[i64]) -> Input {
        Input { name: "x".into(), shape: shape.to_vec(), values: false }
    }

    fn range(min: &[i64], opt: &[i64], max: &[i64]) -> Range {
        Range { input: "x".into(), min: min.to_vec(), opt: opt.to_vec(), max: max.to_vec() }
    }

    #[test]
    fn the_data_spans_what_nobody_said() {
        let feeds = [feed(&[2, 3]), feed(&[1, 3]), feed(&[5, 3])];
        let ranges = Ranges::new(&[input(&[-1, 3])], &feeds, &[]).unwrap();
        assert_eq!(ranges.shapes, [range(&[1, 3], &[2, 3], &[5, 3])]);
        assert!(ranges.hold(&feeds[2]) && !ranges.hold(&feed(&[6, 3])));
        assert_eq!(Ranges::new(&[input(&[2, 3])], &feeds[..1], &[]).unwrap(), Ranges::default());
    }

    #[test]
    fn values_of_shapes_have_ranges_too() {
        let size = |n| Tensors::from([("x".to_string(), Tensor::i64(&[2], &[n, 4]))]);
        let input = Input { values: true, ..input(&[2]) };
        let ranges = Ranges::new(&[input], &[size(8), size(2)], &[]).unwrap();
        assert_eq!(ranges.values, [range(&[2, 4], &[8, 4], &[8, 4])]);
        assert!(ranges.shapes.is_empty() && ranges.hold(&size(3)) && !ranges.hold(&size(9)));
    }

    #[test]
    fn what_the_user_says_must_fit_the_model() {
        let check = |said: Range, expected: &str| {
            let refusal = Ranges::new(&[input(&[-1, 3])], &[feed(&[1, 3])], &[said]).unwrap_err();
            assert!(matches!(&refusal, Refusal::Profile(why) if why.contains(expected)), "{refusal:?}");
        };
        check(Range { input: "y".into(), ..range(&[1, 3], &[1, 3], &[1, 3]) }, "the inputs are: x");
        check(range(&[1], &[1], &[1]), "rank 1");
        check(range(&[1, 3], &[1], &[1, 3]), "different rank");
        check(range(&[1, 3], &[2, 4], &[4, 4]), "2x4 does not fit the model's -1x3");
        check(range(&[4, 3], &[2, 3], &[1, 3]), "not ordered");
        let said = [range(&[1, 3], &[4, 3], &[8, 3])];
        assert_eq!(Ranges::new(&[input(&[-1, 3])], &[feed(&[1, 3])], &said).unwrap().shapes, said);
    }

    #[test]
    fn data_that_is_missing_is_named() {
        let refusal = Ranges::new(&[input(&[-1])], &[Tensors::new()], &[]).unwrap_err();
        assert!(matches!(&refusal, Refusal::Data(why) if why.contains("'x'")), "{refusal:?}");
        assert!(matches!(Ranges::new(&[input(&[-1])], &[], &[]), Err(Refusal::Data(_))));
    }
}
