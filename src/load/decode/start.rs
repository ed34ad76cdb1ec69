//! The first step: inputs that nobody has to give are made. An empty cache, a mask of ones, positions from zero.

use super::{Decode, Rule};
use crate::load::samples::{Dim, InputSpec};
use crate::tensor::{DType, Tensor, Tensors};

/// Heads and the like, where a dimension of a cache that is no number is not known.
const UNKNOWN: usize = 1;

/// The sample with the inputs that follow from the tokens, where it has none of that name.
pub fn complete(sample: &mut Tensors, specs: &[InputSpec], decode: &Decode) {
    let ids = decode.token.as_ref().and_then(|(_, ids)| sample.get(ids));
    let Some((rows, tokens)) = ids.and_then(|ids| Some((*ids.shape.first()?, *ids.shape.last()?))) else { return };
    for spec in specs.iter().filter(|spec| !sample.contains_key(&spec.name)).collect::<Vec<_>>() {
        let rule = decode.rules.iter().find(|(input, _)| *input == spec.name).map(|(_, rule)| *rule);
        let fed_back = decode.feedback.iter().any(|(_, input)| *input == spec.name);
        let made = match (rule, fed_back) {
            (Some(rule), _) => ruled(spec, rule, rows, tokens),
            (None, true) => empty(spec, rows),
            (None, false) => None,
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
        DType::Float32 => {
            Some(Tensor::from_vec(DType::Float32, shape, values.iter().map(|x| *x as f32).collect::<Vec<_>>()))
        }
        _ => None,
    };
    let positions = || (0..tokens as i64).collect::<Vec<_>>();
    match (rule, spec.dims.len()) {
        (Rule::Mask, 2) => whole(vec![rows, tokens], vec![1; rows * tokens]),
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
        Dim::Named(name) if name.to_ascii_lowercase().contains("batch") || axis == 0 => rows,
        Dim::Named(name)
            if ["past", "seq", "len", "cache"].iter().any(|word| name.to_ascii_lowercase().contains(word)) =>
        {
            0
        }
        _ if spec.dims.len() == 4 && axis == 2 => 0,
        _ => UNKNOWN,
    };
    let shape: Vec<usize> = spec.dims.iter().enumerate().map(size).collect();
    let bytes = spec.dtype.byte_len(shape.iter().product())?;
    Tensor::new(spec.dtype, shape, vec![0u8; bytes]).ok()
}
