//! model.mixed.onnx: the quantised model without the pairs that go, for every program.

use super::Told;
use crate::cure::export::{Content, Export, MIXED, line};

/// For every program, where there is a cure.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnx",
        file: MIXED,
        content: |told| Ok(told.cured().then(|| model(told))),
        section: |_| vec![line(SECTION)],
    }
}

const SECTION: &str =
    "**model.mixed.onnx** is the quantised model without those pairs; weights are those of the float model.";

fn model(told: &Told) -> Content {
    let candidate = told.remedy.candidate;
    let without = told.remedy.quantised.without(&candidate.model.proto, candidate, told.nodes);
    Content::Model(candidate.model.written(&without))
}
