//! Advice that is given only because it was tried: BF16, and a finite mask.

use super::{Budget, whole};
use crate::found::Culprit;
use crate::lab::{Probe, Side};
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{GraphProto, ModelProto, TensorProto};
use crate::run::RunError;
use crate::tensor::{DType, Tensor};

/// A mask that every precision holds.
const MASK: f32 = 1e4;

/// Constants that are no masks.
const LARGE: usize = 1 << 20;

/// What BF16 would cure.
const OUT_OF_RANGE: [&str; 4] = ["fp16-overflow", "fp16-subnormal", "eps-vanishes", "normalization-statistics"];

/// Adds what helps to the advice of the causes that it is for.
pub fn add(probe: &mut Probe, culprits: &mut [Culprit], low: DType, budget: &mut Budget) -> Result<(), RunError> {
    let has = |culprits: &[Culprit], codes: &[&str]| {
        culprits.iter().flat_map(|c| &c.diagnosis).any(|d| codes.contains(&d.code.as_str()))
    };
    if low == DType::Float16 && has(culprits, &OUT_OF_RANGE) && budget.take() && whole::bf16_agrees(probe)? {
        say(culprits, &OUT_OF_RANGE, "or use BF16 (tried, emulated: the outputs agree as far as BF16 goes)");
    }
    let masks = ["mask-sentinel"];
    if has(culprits, &masks) && budget.take() {
        let finite = finite(&probe.lab.candidate, low);
        if let Some(model) = finite
            && whole::edited_agrees(probe, &model)?
        {
            say(culprits, &masks, "or mask with -1e4 (tried: with that in its place the outputs agree)");
        }
    }
    Ok(())
}

fn say(culprits: &mut [Culprit], codes: &[&str], words: &str) {
    let causes = culprits.iter_mut().flat_map(|c| &mut c.diagnosis);
    causes.filter(|d| codes.contains(&d.code.as_str())).for_each(|d| d.advice += &format!("; {words}"));
}

/// The side's model with constants that are infinite in the low type brought down to the mask's size; `None` where there are
/// none.
fn finite(side: &Side, low: DType) -> Option<ModelProto> {
    let mut model = side.model.proto.clone();
    let mut changed = false;
    in_graph(model.graph.as_mut()?, &mut |t: &mut TensorProto| {
        let tensor =
            (t.dtype() == Some(DType::Float32)).then(|| tensor_from_proto(&side.model.inline(t)).ok()).flatten();
        let Some(bounded) = tensor.filter(|t| t.elements() <= LARGE).and_then(|t| bounded(&t, low)) else { return };
        *t = TensorProto { name: t.name.clone(), ..tensor_to_proto(t.name(), &bounded) };
        changed = true;
    });
    changed.then_some(model)
}

/// Every tensor that the graph and its bodies write down.
fn in_graph(graph: &mut GraphProto, change: &mut dyn FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *change);
    for node in &mut graph.node {
        if node.is("Constant") || node.is("ConstantOfShape") {
            node.attribute.iter_mut().filter_map(|a| a.t.as_mut()).for_each(&mut *change);
        }
        node.subgraphs_mut().for_each(|body| in_graph(body, change));
    }
}

/// `None` where nothing is too large.
fn bounded(tensor: &Tensor, low: DType) -> Option<Tensor> {
    let infinite = |x: f32| match low {
        DType::Float16 => half::f16::from_f32(x).is_infinite(),
        _ => half::bf16::from_f32(x).is_infinite(),
    };
    let values = tensor.view::<f32>();
    let bounded = |x: &f32| if infinite(*x) { MASK.copysign(*x) } else { *x };
    let any = values.iter().any(|x| infinite(*x));
    any.then(|| Tensor::f32(&tensor.shape, &values.iter().map(bounded).collect::<Vec<f32>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_infinite_is_replaced() {
        let mask = Tensor::f32(&[3], &[0.0, -f32::MAX, 7e4]);
        assert_eq!(bounded(&mask, DType::Float16).unwrap().view::<f32>().as_ref(), [0.0, -1e4, 1e4]);
        assert_eq!(bounded(&mask, DType::Bfloat16).unwrap().view::<f32>().as_ref(), [0.0, -1e4, 7e4]);
        assert!(bounded(&Tensor::f32(&[1], &[-1e4]), DType::Float16).is_none());
    }
}
