//! Is it the accumulation in FP16? The node alone, rounded as FP16 rounds and added up in FP32, tells.

use crate::diagnose::FP16_ACCUMULATION;
use crate::find::inside::reach;
use crate::find::isolate::undone::{Bench, Undo};
use crate::found::words::number;
use crate::found::{Culprit, Diagnosis, Kind, Status, Sure};
use crate::lab::Probe;
use crate::spec::Accumulate;
use crate::sums;

/// A cause that is shown: the node diverges alone, and agrees alone where nothing but its sums is otherwise.
pub fn shown(probe: &Probe, culprit: &Culprit, tensor: usize, bench: Option<&Bench>) -> Option<Diagnosis> {
    let lab = probe.lab;
    if lab.candidate.arithmetic.accumulate != Accumulate::Fp16 || culprit.kind != Kind::Introduces {
        return None;
    }
    let node = lab.reference.graph.producer(tensor);
    node.proto(&lab.reference.model.proto).filter(|proto| sums::takes(proto))?;
    let alone = bench?.without(probe, Undo::Nothing)?;
    if alone.status != Status::Agrees {
        return None;
    }
    let evidence = match reach(probe, node, culprit.accumulated.sample) {
        Some(reaches) => format!(
            "a sum inside it reaches {}, beyond FP16's largest value, {}",
            number(f64::from(reaches)),
            sums::MAX
        ),
        None => "its partial sums are rounded to FP16".to_string(),
    };
    let name = &node.name;
    Some(Diagnosis {
        code: FP16_ACCUMULATION.to_string(),
        sure: Sure::Shown,
        evidence: format!("{evidence}; tried: added up in FP32, and all else as it is, the node alone agrees"),
        advice: format!("let '{name}' accumulate in FP32: keep it in FP32, or choose a kernel with FP32 accumulation"),
    })
}
