//! Where no parameters are to blame: too few bits for one tensor, for those of one node, or for everything above it.

use super::seen::{Seen, place};
use super::trial::{Effect, Trial};
use crate::diagnose::laid::Undo;
use crate::found::words::number;
use crate::found::{Culprit, Diagnosis, Sure};
use crate::lab::Probe;
use crate::qdq::Pair;
use crate::run::RunError;
use crate::tensor::DType;

/// Pairs that are left out, each alone.
const PAIRS: usize = 4;

/// The smallest of these that, left unquantised, makes the culprit's tensor agree. `here` are the pairs at the culprit, `above`
/// all that its tensor is computed from; `suspected` of them look wrong, and undoing that was not enough.
pub fn rounding(
    probe: &Probe,
    trial: &Trial,
    culprit: &Culprit,
    (here, above): (&[Seen], &[&Pair]),
    suspected: usize,
) -> Result<Option<Diagnosis>, RunError> {
    let undo = Undo::Unquantised;
    let here: Vec<&Seen> = here.iter().filter(|h| h.pair.is_pair()).collect();
    let above: Vec<&Pair> = above.iter().filter(|p| p.is_pair()).copied().collect();
    let all: Vec<&Pair> = here.iter().map(|h| h.pair).collect();
    let without = |pairs: &[&Pair]| trial.run(&pairs.iter().map(|p| (*p, &undo)).collect::<Vec<_>>());
    for seen in here.iter().filter(|h| h.lost > 0.0).take(PAIRS) {
        let effect = without(&[seen.pair])?;
        if effect.agrees() {
            let (place, lost) = (place(probe, culprit, seen.pair), number(seen.lost));
            let text = match seen.pair.dtype {
                // No value is too fine for so many codes.
                DType::Int32 => {
                    format!("the integers and the scale of {place} make another value, off by {lost} of its size")
                }
                dtype => format!("{dtype} is too coarse for {place}: its own pair puts it off by {lost} of its size"),
            };
            return Ok(Some(told(text, &[seen.pair], (&effect, culprit))));
        }
    }
    let finding = match suspected {
        0 => "no single scale up to here looks wrong",
        1 => "what looks wrong of one scale is not enough to explain it",
        _ => "what looks wrong of some scales is not enough to explain it",
    };
    for (pairs, what) in [(all.as_slice(), "at this node"), (above.as_slice(), "up to this node")] {
        if pairs.len() < 2 || (what == "up to this node" && pairs.len() == all.len()) {
            continue;
        }
        let effect = without(pairs)?;
        if effect.agrees() {
            let text = format!("{finding}: the rounding of the {} pairs {what} adds up", pairs.len());
            return Ok(Some(told(text, pairs, (&effect, culprit))));
        }
    }
    Ok(None)
}

fn told(text: String, pairs: &[&Pair], (effect, culprit): (&Effect, &Culprit)) -> Diagnosis {
    let (advice, how) = match pairs {
        [one] if one.dtype == DType::Int32 => {
            (format!("store '{}' anew, or leave it unquantised", one.tensor), "its pair left out")
        }
        [one] => (format!("leave '{}' unquantised, or give it 16 bits (untried)", one.tensor), "its pair left out"),
        _ => {
            let all = "leave the nodes of the cure unquantised, or give activations 16 bits (untried)";
            (all.to_string(), "all of them left out")
        }
    };
    let evidence = format!("{text}; undone ({how}), {}", effect.told(&culprit.tensor));
    Diagnosis { code: "quantisation-error".to_string(), sure: Sure::Shown, evidence, advice }
}
