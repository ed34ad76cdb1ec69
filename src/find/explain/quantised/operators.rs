//! Where operators quantise and no pair stands in the file: those at the culprit left in float, else all above it. Their rounding is
//! the cause where the tensor agrees then; the weight that is stored says whether it is rounding at all.

use super::trial::{Effect, Trial};
use crate::compare::to_f64;
use crate::find::isolate;
use crate::found::words::{count, number};
use crate::found::{Culprit, Diagnosis, Sure};
use crate::lab::Probe;
use crate::load::testset::tensor_from_proto;
use crate::qdq::dynamic::{Partners, Restored, Unit, units, without_units};
use crate::run::RunError;

/// A weight of eight bits that is further off, relatively, was not rounded: it is another one. One bit less, twice as far.
const ROUNDED: f64 = 0.04;

/// A unit and what it was.
type One<'u> = (&'u Unit, &'u Restored);

/// `None` where nothing like it stands above the culprit's tensor, `own` in the candidate's graph, or undoing it changed nothing.
pub fn left_out(
    probe: &Probe,
    trial: &Trial,
    culprit: &Culprit,
    (tensor, own): (usize, usize),
) -> Result<Option<Diagnosis>, RunError> {
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    let graph = &candidate.graph;
    let ancestors = graph.ancestors(&[own]);
    let found: Vec<Unit> = units(&candidate.model, graph).into_iter().filter(|unit| ancestors[unit.result]).collect();
    let partners = Partners::new(&reference.model, &reference.graph);
    let restored = partners.restored(&found, (&candidate.model, graph));
    let above: Vec<One> = found.iter().zip(&restored).filter_map(|(unit, r)| Some((unit, r.as_ref()?))).collect();
    let suspects = isolate::suspects(probe, tensor).unwrap_or_else(|| vec![graph.tensors[own].node]);
    let at = |(unit, _): &&One| [unit.node, unit.last].iter().any(|n| suspects.contains(n)) || unit.result == own;
    let here: Vec<One> = above.iter().filter(at).copied().collect();
    let mut best = None;
    for some in [here.as_slice(), above.as_slice()] {
        if some.is_empty() || (some.len() == here.len() && best.is_some()) {
            continue;
        }
        let effect = trial.look(&without_units(trial.model(), graph, some))?;
        let tells = effect.agrees() || (best.is_none() && matches!(effect, Effect::Helps { .. }));
        if tells {
            best = Some((some, effect));
        }
        if best.as_ref().is_some_and(|(_, effect)| effect.agrees()) {
            break;
        }
    }
    Ok(best.map(|(some, effect)| told(probe, culprit, some, &effect)))
}

fn told(probe: &Probe, culprit: &Culprit, some: &[One], effect: &Effect) -> Diagnosis {
    let sure = if effect.agrees() { Sure::Shown } else { Sure::Likely };
    let undone = effect.told(&culprit.tensor);
    let name = |(unit, restored): &One| format!("{} '{}'", unit.float, restored.name);
    let operator = |(unit, _): &One| probe.lab.candidate.graph.nodes[unit.node].op_type.clone();
    let worst = some.iter().filter_map(|one| Some((one, off(one)?))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((one, off)) = worst.filter(|(one, off)| *off > most(one)) {
        return Diagnosis {
            code: "scale-mismatch".to_string(),
            sure,
            evidence: format!(
                "the weight of {} does not stand for what the reference has: as the file has it, it is off by {} of its size; undone ({}), {undone}",
                name(one),
                number(off),
                left(some.len()),
            ),
            advice: "quantise that weight again from the float model".to_string(),
        };
    }
    let evidence = match some {
        [one] => {
            let weight = off(one).map(|off| format!("; its weight is off by {} of its size", number(off)));
            format!("{} is computed by {} in {}{}", name(one), operator(one), bits(one), weight.unwrap_or_default())
        }
        _ => format!(
            "no single operator is wrong: the rounding of the {} quantised ones up to this node adds up",
            count(some.len() as u64)
        ),
    };
    Diagnosis {
        code: "quantisation-error".to_string(),
        sure,
        evidence: format!("{evidence}; undone ({}), {undone}", left(some.len())),
        advice: match some {
            [one] => format!("leave {} unquantised", name(one)),
            _ => "leave the nodes of the cure unquantised".to_string(),
        },
    }
}

fn left(units: usize) -> &'static str {
    if units == 1 { "left in float" } else { "all of them left in float" }
}

fn bits((unit, _): &One) -> String {
    match (unit.dynamic, unit.bits) {
        (true, _) => "8 bits, with a scale of its activations that is known while it runs only".to_string(),
        (false, bits) => format!("{} bits", bits.unwrap_or(8)),
    }
}

/// How far the largest weight is from the reference's, in relative RMS; `None` where the reference has none for it.
fn off((unit, restored): &One) -> Option<f64> {
    restored.reference?;
    let one = |(slot, stored): (usize, &crate::qdq::dynamic::Stored)| {
        let right = to_f64(&tensor_from_proto(restored.weights.get(&slot)?).ok()?);
        let got = to_f64(&stored.floats()?);
        let sum = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let relative = sum(&mut got.iter().zip(&right).map(|(g, r)| g - r)) / sum(&mut right.iter().copied());
        Some(relative.sqrt()).filter(|off| off.is_finite())
    };
    unit.weights().next().and_then(one)
}

/// How far off rounding alone may put a weight.
fn most((unit, _): &One) -> f64 {
    ROUNDED * f64::from(1u32 << (8 - unit.bits.unwrap_or(8).clamp(2, 8)))
}
