//! A node of one opset, said in another: what was an attribute becomes an input and back, and a default that changed is written out. What
//! the operator computes may change with its version all the same: that is what the version means.

use super::held::Setting;
use super::schemas::{Schema, same_name};
use crate::onnx::NodeProto;
use crate::tensor::{DType, Tensor};

/// The node in the version `to`, of a node in the version `from`. `constant` tells the value of an input that stands in the file; `added`
/// takes a value that is to stand there and gives its name. An error where a computed input would have to be an attribute.
pub fn restated(
    node: &NodeProto,
    (from, to): (&Schema, &Schema),
    constant: &dyn Fn(&str) -> Option<Tensor>,
    added: &mut dyn FnMut(Tensor, &str) -> String,
) -> Result<NodeProto, String> {
    let mut said = node.clone();
    if from.since == to.since {
        return Ok(said);
    }
    for name in from.attributes() {
        let default = from.default(name).filter(|_| said.attr(name).is_none() && to.has(name));
        if let Some(default) = default.filter(|default| to.default(name) != Some(*default)) {
            said.attribute.push(default.attribute(name, false));
        }
    }
    inputs_to_attributes(&mut said, from, to, constant)?;
    let attributes = std::mem::take(&mut said.attribute);
    for attribute in attributes {
        let slot = to.inputs.iter().position(|input| same_name(input.name, attribute.name()));
        match (Setting::of(&attribute), slot) {
            (Some(setting), Some(slot)) if !to.has(attribute.name()) => {
                let scalar = attribute.i.is_some() && attribute.name() != "k" || attribute.f.is_some();
                let value = setting.tensor(scalar, DType::Float32).ok_or("a text cannot be an input")?;
                let name = added(value, attribute.name());
                put_input(&mut said, slot, name);
            }
            _ if to.has(attribute.name()) || attribute.g.is_some() || attribute.t.is_some() => {
                said.attribute.push(attribute)
            }
            _ if from.has(attribute.name()) => {}
            _ => said.attribute.push(attribute),
        }
    }
    Ok(said)
}

fn inputs_to_attributes(
    said: &mut NodeProto,
    from: &Schema,
    to: &Schema,
    constant: &dyn Fn(&str) -> Option<Tensor>,
) -> Result<(), String> {
    for (slot, input) in from.inputs.iter().enumerate() {
        let name = to.attributes().find(|name| same_name(name, input.name));
        let (Some(name), true) = (name, to.slot(input.name).is_none()) else { continue };
        let Some(read) = said.input.get(slot).filter(|read| !read.is_empty()) else { continue };
        let value = constant(read).as_ref().and_then(Setting::of_tensor);
        let value = value.ok_or_else(|| format!("'{read}' is computed, and {name} was an attribute"))?;
        let list = matches!(name, "axes" | "pads" | "starts" | "ends" | "steps" | "split" | "scales" | "shape");
        said.attribute.push(value.attribute(name, list));
        said.input[slot].clear();
    }
    trim(said);
    Ok(())
}

/// Puts `name` into the slot; slots before it that are missing are left out.
pub fn put_input(node: &mut NodeProto, slot: usize, name: String) {
    while node.input.len() <= slot {
        node.input.push(String::new());
    }
    node.input[slot] = name;
    trim(node);
}

/// Without inputs that are left out at the end.
fn trim(node: &mut NodeProto) {
    while node.input.last().is_some_and(String::is_empty) {
        node.input.pop();
    }
}
