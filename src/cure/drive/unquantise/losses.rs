//! What quantisation alone does to each tensor that is quantised: the reference's values through the pair.

use rayon::prelude::*;

use super::Quantised;
use crate::graph::initializer;
use crate::lab::{Feed, Probe, Side};
use crate::load::testset::tensor_from_proto;
use crate::onnx::{NodeProto, TensorProto};
use crate::qdq::{self, Losses, Pair};
use crate::run::RunError;

/// The sample in which a pair loses most.
pub struct Loss {
    /// All that was measured.
    pub losses: Losses,
    /// Relative RMS of the quantisation alone.
    pub relative: f64,
    /// Its number.
    pub sample: usize,
}

/// By pair; `None` where the reference has no value of that name, or the scales are computed.
pub fn losses(probe: &mut Probe, quantised: &Quantised) -> Result<Vec<Option<Loss>>, RunError> {
    let candidate = &probe.lab.candidate;
    let pairs = &quantised.pairs;
    let keys: Vec<String> = pairs.iter().filter(|p| !p.weight).flat_map(|p| keys(candidate, p)).collect();
    probe.fetch(candidate, &keys)?;
    let probe = &*probe;
    Ok(pairs.par_iter().map(|pair| loss(probe, pair)).collect())
}

fn loss(probe: &Probe, pair: &Pair) -> Option<Loss> {
    if pair.weight {
        let value =
            written(&probe.lab.reference, &pair.tensor).or_else(|| written(&probe.lab.candidate, &pair.tensor))?;
        let losses = qdq::loss(pair, &tensor_from_proto(&value).ok()?)?;
        return Some(Loss { relative: losses.quantisation.relative(), losses, sample: 0 });
    }
    let keys = keys(&probe.lab.candidate, pair);
    let of = |sample: usize| {
        let value = keys.iter().find_map(|key| probe.value_at(&probe.lab.candidate, key, sample, Feed::Reference))?;
        // The value of a branch that did not run.
        let losses = qdq::loss(pair, &value).filter(|_| value.elements() > 0)?;
        Some(Loss { relative: losses.quantisation.relative(), losses, sample })
    };
    (0..probe.lab.feeds.len())
        .filter_map(of)
        .max_by(|a, b| a.relative.total_cmp(&b.relative).then(b.sample.cmp(&a.sample)))
}

/// What the reference may call the tensor: an output of the model has its name behind the pair only.
pub fn keys(candidate: &Side, pair: &Pair) -> Vec<String> {
    let behind = candidate.graph.nodes[pair.dequantize].writes.iter();
    let behind = behind.map(|t| candidate.graph.tensors[*t].key.clone());
    std::iter::once(pair.tensor.clone()).chain(behind).collect()
}

/// What the side's file has for `name`: an initializer or a Constant, complete.
pub fn written(side: &Side, name: &str) -> Option<TensorProto> {
    let main = side.model.proto.graph.as_ref()?;
    if let Some(t) = initializer(main, &[], name) {
        return Some(side.model.inline(t));
    }
    let tensor = side.graph.tensor(name).filter(|t| side.graph.is_constant(*t))?;
    side.graph.producer(tensor).proto(&side.model.proto).and_then(NodeProto::constant)
}
