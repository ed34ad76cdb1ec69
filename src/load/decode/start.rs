//! The first step: inputs that nobody has to give are made. An empty cache, a state of zeros, a mask of ones, positions from
//! zero.

use super::{Decode, Rule, number};
use crate::load::samples::{Dim, InputSpec};
use crate::tensor::{DType, Tensor, Tensors};

/// Heads and the like, where a dimension of a cache that is no number is not known.
const UNKNOWN: usize = 1;

/// The sample with the inputs that follow from others, where it has none of that name. Left out is what nobody can know: a state
/// of open dimensions that no other input has.
pub fn complete(sample: &mut Tensors, specs: &[InputSpec], decode: &Decode) {
    let ids = decode.token.as_ref().and_then(|(_, ids)| sample.get(ids));
    let prompt = ids.and_then(|ids| Some((*ids.shape.first()?, *ids.shape.last()?)));
    if decode.token.is_some() && prompt.is_none() {
        return;
    }
    for spec in specs.iter().filter(|spec| !sample.contains_key(&spec.name)).collect::<Vec<_>>() {
        let rule = decode.rules.iter().find(|(input, _)| *input == spec.name).map(|(_, rule)| *rule);
        let fed_back = decode.feedback.iter().any(|(_, input)| *input == spec.name);
        let made = match (rule, prompt) {
            (Some(rule), Some((rows, tokens))) => ruled(spec, rule, rows, tokens),
            (None, Some((rows, _))) if fed_back => empty(spec, rows),
            (None, None) if fed_back => still(spec, sample, specs),
            _ => None,
        };
        if let Some(made) = made {
            sample.insert(spec.name.clone(), made);
        }
    }
}

fn ruled(spec: &InputSpec, rule: Rule, rows: usize, tokens: usize) -> Option<Tensor> {
    let whole = |shape: Vec<usize>, values: Vec<i64>| match spec.dtype {
        DType::Int64 => Some(Tensor::from_vec(DType::Int64, shape, values)),
        DType::Int32 => {
            Some(Tensor::from_vec(DType::Int32, shape, values.iter().map(|x| *x as i32).collect::<Vec<_>>()))
        }
        _ => None,
    };
    let positions = || (0..tokens as i64).collect::<Vec<_>>();
    match (rule, spec.dims.len()) {
        (Rule::Mask, 2) => {
            let one = number(spec.dtype, 1.0)?;
            Tensor::new(spec.dtype, vec![rows, tokens], one.repeat(rows * tokens)).ok()
        }
        (Rule::Position, 1) => whole(vec![tokens], positions()),
        (Rule::Position, 2) => whole(vec![rows, tokens], (0..rows).flat_map(|_| positions()).collect()),
        (Rule::Count, 0) => whole(vec![], vec![0]),
        (Rule::Count, 1) => whole(vec![1], vec![0]),
        (Rule::Cached, rank) => Tensor::new(DType::Bool, vec![1; rank], vec![0u8]).ok(),
        _ => None,
    }
}

/// A cache without a position; one of a fixed size is all zeros.
fn empty(spec: &InputSpec, rows: usize) -> Option<Tensor> {
    let size = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(n) => *n,
        Dim::Named(_) if is_batch(dim) || axis == 0 => rows,
        Dim::Named(name)
            if ["past", "seq", "len", "cache"].iter().any(|word| name.to_ascii_lowercase().contains(word)) =>
        {
            0
        }
        _ if spec.dims.len() == 4 && axis == 2 => 0,
        _ => UNKNOWN,
    };
    zeros(spec, spec.dims.iter().enumerate().map(size).collect())
}

/// The state of a model that reads no tokens, before it has seen anything: zeros, of the batch that the sample has.
fn still(spec: &InputSpec, sample: &Tensors, specs: &[InputSpec]) -> Option<Tensor> {
    let sized = specs.iter().filter_map(|spec| Some((spec, sample.get(&spec.name)?)));
    let known: Vec<(&Dim, usize)> =
        sized.flat_map(|(spec, tensor)| spec.dims.iter().zip(tensor.shape.iter().copied())).collect();
    let rows = known.iter().find(|(dim, _)| is_batch(dim)).map(|(_, size)| *size);
    let size = |dim: &Dim| match dim {
        Dim::Fixed(n) => Some(*n),
        Dim::Named(_) => {
            let same = known.iter().find(|(other, _)| *other == dim).map(|(_, size)| *size);
            same.or(if is_batch(dim) { Some(rows.unwrap_or(1)) } else { None })
        }
        Dim::Unknown | Dim::Rest => None,
    };
    zeros(spec, spec.dims.iter().map(size).collect::<Option<Vec<usize>>>()?)
}

fn is_batch(dim: &Dim) -> bool {
    matches!(dim, Dim::Named(name) if name.to_ascii_lowercase().contains("batch"))
}

fn zeros(spec: &InputSpec, shape: Vec<usize>) -> Option<Tensor> {
    let bytes = spec.dtype.byte_len(shape.iter().product())?;
    Tensor::new(spec.dtype, shape, vec![0u8; bytes]).ok()
}
