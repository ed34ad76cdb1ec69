//! What a node has in each of its slots: attributes and inputs under the operator's own names, defaults filled in. One node at a time.

use super::held::{Held, Setting};
use super::schemas::{Schema, same_name};
use super::scope::Scope;
use crate::onnx::NodeProto;

/// Operators whose two operands may change places.
pub const COMMUTE: [&str; 12] =
    ["Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "Sum", "Mean", "BitwiseAnd", "BitwiseOr"];

/// A slot of a node.
#[derive(Clone, Debug)]
pub struct Slot {
    /// As the operator calls it, in the version of its file.
    pub name: String,
    /// Position among the inputs; `None` for attributes.
    pub input: Option<usize>,
    /// What is in it.
    pub held: Held,
}

/// All slots of `node`, inputs first; bodies, tensors and types in attributes are not among them, except the `value` of a tensor.
pub fn slots(scope: &Scope, node: &NodeProto, schema: Option<&Schema>) -> Vec<Slot> {
    let named = |slot: usize| schema.and_then(|s| s.input(slot)).unwrap_or_else(|| format!("input {slot}"));
    let mut all: Vec<Slot> = Vec::new();
    for (slot, name) in node.input.iter().enumerate() {
        let held = match name.as_str() {
            "" => Held::Absent,
            name => scope.constant(name).map_or_else(|| Held::Wire(name.to_string()), Held::Constant),
        };
        all.push(Slot { name: named(slot), input: Some(slot), held });
    }
    for attribute in &node.attribute {
        let held = match (Setting::of(attribute), &attribute.t) {
            (Some(setting), _) => Held::Setting(setting, Some(attribute.clone())),
            (None, Some(t)) => match scope.read(t) {
                Some(constant) => Held::Constant(constant),
                None => continue,
            },
            _ => continue,
        };
        all.push(Slot { name: attribute.name().to_string(), input: None, held });
    }
    for name in schema.into_iter().flat_map(Schema::attributes) {
        if let (None, Some(default)) = (node.attr(name), schema.and_then(|s| s.default(name))) {
            all.push(Slot { name: name.to_string(), input: None, held: Held::Setting(default.clone(), None) });
        }
    }
    all
}

/// The slots of two nodes of the same operator side by side: by name, else by position among the inputs.
pub fn beside(mine: Vec<Slot>, theirs: Vec<Slot>) -> Vec<(Option<Slot>, Option<Slot>)> {
    let mut left: Vec<Option<Slot>> = theirs.into_iter().map(Some).collect();
    let mut taken = |fits: &dyn Fn(&Slot) -> bool| {
        let at = left.iter().position(|slot| slot.as_ref().is_some_and(fits))?;
        left[at].take()
    };
    let by_name: Vec<(Slot, Option<Slot>)> = mine
        .into_iter()
        .map(|slot| {
            let other = taken(&|s| same_name(&s.name, &slot.name));
            (slot, other)
        })
        .collect();
    let mut rows: Vec<(Option<Slot>, Option<Slot>)> = Vec::new();
    for (slot, other) in by_name {
        let other = match (&other, slot.input) {
            (None, Some(_)) => taken(&|s| s.input == slot.input),
            _ => other,
        };
        rows.push((Some(slot), other));
    }
    rows.extend(left.into_iter().flatten().map(|slot| (None, Some(slot))));
    rows
}
