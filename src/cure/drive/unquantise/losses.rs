//! What quantisation alone does to each tensor that is quantised: the reference's values through the pair.

use rayon::prelude::*;

use super::Quantised;
use crate::diagnose::laid::has_sentinel;
use crate::lab::quantised::{keys, written};
use crate::lab::{Feed, Probe};
use crate::load::testset::tensor_from_proto;
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
    /// One value of another order of magnitude sets the scale of all others.
    pub sentinel: bool,
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
        // Integers that are stored are no values: without the float weight, nobody knows what is lost.
        let own = || written(&probe.lab.candidate, &pair.tensor).filter(|_| pair.stored.is_none());
        let value = written(&probe.lab.reference, &pair.tensor).or_else(own)?;
        let losses = qdq::loss(pair, &tensor_from_proto(&value).ok()?)?;
        return Some(Loss { relative: losses.quantisation.relative(), losses, sample: 0, sentinel: false });
    }
    let keys = keys(&probe.lab.candidate, pair);
    let of = |sample: usize| {
        let value = keys.iter().find_map(|key| probe.value_at(&probe.lab.candidate, key, sample, Feed::Reference))?;
        // The value of a branch that did not run.
        let losses = qdq::loss(pair, &value).filter(|_| value.elements() > 0)?;
        Some(Loss { relative: losses.quantisation.relative(), losses, sample, sentinel: has_sentinel(pair, &value) })
    };
    let all: Vec<Loss> = (0..probe.lab.feeds.len()).filter_map(of).collect();
    // The mask of one sample is enough to set the range.
    let sentinel = all.iter().any(|loss| loss.sentinel);
    let worst = all.into_iter().max_by(|a, b| a.relative.total_cmp(&b.relative).then(b.sample.cmp(&a.sample)))?;
    Some(Loss { sentinel, ..worst })
}
