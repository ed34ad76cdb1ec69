//! What the element types of both models say against the run: a reference that is no FP32 truth, and what an emulated (or
//! converted) candidate does not compute in its precision. Known once the types are; runs nothing.

use std::collections::{BTreeSet, HashMap};

use crate::found::Note;
use crate::graph::Graph;
use crate::graph::inline::inline;
use crate::lab::{Lowering, Side};
use crate::mark::Types;
use crate::spec::Low;
use crate::tensor::DType;

/// Of two sides whose types are known, as far as they were asked for.
pub fn notes(reference: &Side, candidate: &Side, survey: &Types) -> Vec<Note> {
    let truth = half(&reference.graph, survey).filter(|_| reference.runs());
    truth.into_iter().chain(whole_functions(candidate)).chain(other_types(candidate)).collect()
}

/// Does the model compute in half precision?
fn half(graph: &Graph, types: &Types) -> Option<Note> {
    let mut counts: HashMap<DType, usize> = HashMap::new();
    for dtype in graph.tensors.iter().filter_map(|t| types.get(&t.key)) {
        *counts.entry(*dtype).or_default() += 1;
    }
    let count = |dtype: DType| counts.get(&dtype).copied().unwrap_or(0);
    let (float16, bfloat16) = (count(DType::Float16), count(DType::Bfloat16));
    let dtype = if float16 >= bfloat16 { DType::Float16 } else { DType::Bfloat16 };
    let half = float16 + bfloat16;
    let floats = half + count(DType::Float32) + count(DType::Float64);
    (half > 0).then_some(Note::HalfReference { dtype, half, floats })
}

/// Functions that the candidate calls still when everything else has its precision.
fn whole_functions(candidate: &Side) -> Option<Note> {
    rewritten(candidate)?;
    let inlined = inline(&candidate.model.proto)?;
    let mut left: BTreeSet<String> = inlined.left.iter().cloned().collect();
    // ONNX Runtime did not say what is in them.
    if !inlined.made().any(|key| candidate.types.contains_key(key)) {
        left.extend(candidate.model.proto.functions.iter().map(|f| f.name().to_string()));
    }
    (!left.is_empty()).then(|| Note::WholeFunctions(candidate.spec.precision, left.into_iter().collect()))
}

/// Types of the candidate's tensors that could be held in its precision and are not.
fn other_types(candidate: &Side) -> Option<Note> {
    let low = rewritten(candidate)?;
    let emulated = matches!(candidate.lowering, Lowering::Emulate(_));
    let left = |dtype: &DType| match dtype {
        DType::Complex64 | DType::Complex128 => true,
        DType::Float64 => !emulated || low == Low::Tf32,
        DType::Float16 | DType::Bfloat16 => low.storage().is_some_and(|storage| storage != *dtype),
        _ => false,
    };
    let mut dtypes: Vec<DType> = candidate.types.values().copied().filter(left).collect();
    dtypes.sort_unstable_by_key(|dtype| dtype.onnx());
    dtypes.dedup();
    (!dtypes.is_empty()).then_some(Note::OtherTypes(candidate.spec.precision, dtypes))
}

/// The precision that the candidate's model is rewritten for.
fn rewritten(candidate: &Side) -> Option<Low> {
    match candidate.lowering {
        Lowering::Emulate(_) | Lowering::Convert(_) => candidate.lowering.low(),
        Lowering::None | Lowering::Backend(_) | Lowering::Products => None,
    }
}
