//! What the element types of both models say against the run: a reference that is no FP32 truth, and what an emulated (or
//! converted) candidate does not compute in its precision. Known once the types are; runs nothing.

use std::collections::{BTreeSet, HashMap};

use crate::found::{Arithmetic, Beyond, Note};
use crate::graph::inline::inline;
use crate::graph::{Graph, Node, Read, Source};
use crate::lab::{Lowering, Side};
use crate::load::testset::tensor_from_proto;
use crate::mark::Types;
use crate::onnx::TensorProto;
use crate::spec::{Accumulate, Low, Weights};
use crate::sums;
use crate::tensor::{DType, Tensor};

/// Of two sides whose types are known, as far as they were asked for.
pub fn notes(reference: &Side, candidate: &Side, survey: &Types) -> Vec<Note> {
    let truth = half(&reference.graph, survey).filter(|_| reference.runs());
    let arithmetic = sums_left(candidate).into_iter().chain(clamped(candidate));
    truth.into_iter().chain(whole_functions(candidate)).chain(other_types(candidate)).chain(arithmetic).collect()
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

/// Nodes that add up in FP32, where FP16 is asked for.
fn sums_left(candidate: &Side) -> Option<Note> {
    if candidate.arithmetic.accumulate != Accumulate::Fp16 {
        return None;
    }
    let (model, graph) = (&candidate.model.proto, &candidate.graph);
    let wide = |t: usize| candidate.types.get(&graph.tensors[t].key) == Some(&DType::Float64);
    // Axes that only a run can tell.
    let told = |read: &Read| match read.source {
        Source::Tensor(t) => graph.is_constant(t),
        Source::Input => false,
        Source::Initializer => true,
    };
    let left = |node: &&Node| {
        let reduces = node.op_type.starts_with("Reduce") && node.reads.get(1).is_some_and(|read| !told(read));
        let open = reduces || node.writes.first().is_some_and(|t| wide(*t));
        node.proto(model).is_some_and(|proto| sums::leaves(proto) || sums::takes(proto) && open)
    };
    let left: Vec<&Node> = graph.nodes.iter().filter(left).collect();
    let mut operators: Vec<String> = left.iter().map(|node| node.op_type.clone()).collect();
    operators.sort_unstable();
    operators.dedup();
    (!left.is_empty()).then_some(Note::Arithmetic(Arithmetic::SumsLeft { nodes: left.len(), operators }))
}

/// Weights whose values were clamped to FP16's range.
fn clamped(candidate: &Side) -> Option<Note> {
    if candidate.arithmetic.weights != Weights::Clamp {
        return None;
    }
    let model = &candidate.model;
    let mut all = Vec::new();
    let mut look = |name: &str, proto: &TensorProto| {
        let float = matches!(proto.dtype(), Some(DType::Float32 | DType::Float64));
        let value = float.then(|| tensor_from_proto(&model.inline(proto)).ok()).flatten();
        all.extend(value.and_then(|value| beyond(name, &value)));
    };
    let main = model.proto.graph.as_ref()?;
    main.each_initializer(&mut |t| look(t.name(), t));
    for node in candidate.graph.nodes.iter().filter(|node| node.op_type == "Constant") {
        let Some(proto) = node.proto(&model.proto) else { continue };
        if let (Some(value), Some(name)) = (proto.constant(), proto.output.first()) {
            look(name, &value);
        }
    }
    (!all.is_empty()).then_some(Note::Arithmetic(Arithmetic::Clamped(all)))
}

/// The finite values of a weight that FP16 makes infinite.
fn beyond(name: &str, value: &Tensor) -> Option<Beyond> {
    let sizes: Vec<f64> = match value.dtype {
        DType::Float32 => value.view::<f32>().iter().map(|x| f64::from(x.abs())).collect(),
        _ => value.view::<f64>().iter().map(|x| x.abs()).collect(),
    };
    let far = sizes.iter().copied().filter(|x| x.is_finite() && *x >= f64::from(sums::INFINITE));
    let furthest = far.clone().fold(0.0, f64::max);
    (furthest > 0.0).then(|| Beyond { weight: name.to_string(), values: far.count(), furthest })
}

/// The precision that the candidate's model is rewritten for.
fn rewritten(candidate: &Side) -> Option<Low> {
    match candidate.lowering {
        Lowering::Emulate(_) | Lowering::Convert(_) => candidate.lowering.low(),
        Lowering::None | Lowering::Backend(_) | Lowering::Products => None,
    }
}
