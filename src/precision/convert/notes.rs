//! What a user should know about a conversion, one sentence each: values that do not survive, nodes that cannot be low.

use std::collections::BTreeMap;

use super::Options;
use super::attributes::word;
use super::decide::Decision;
use super::plan::{Origin, Plan, Takes, Why};
use super::weights::Loss;
use crate::names::few;
use crate::tensor::DType;

/// Names in one sentence before it says how many more there are.
const NAMED: usize = 4;

/// Weights that one sentence about many names.
const FIRST: usize = 2;

/// `losses` are those of the weights that were converted, by value; `fills` those of ConstantOfShape, by node.
pub fn notes(
    plan: &Plan,
    options: &Options,
    decision: &Decision,
    losses: Vec<(usize, Loss)>,
    fills: &[(usize, Loss)],
) -> Vec<String> {
    let readers = readers(plan, decision);
    let mut lossy: Vec<(String, Loss)> = Vec::new();
    for (value, loss) in losses {
        let kind = match plan.values[value].origin {
            Origin::Constant(_) => "constant",
            _ => "initializer",
        };
        let read = names(readers.get(&value).map(Vec::as_slice).unwrap_or_default());
        let read = if read.is_empty() { String::new() } else { format!(" (read by {read})") };
        lossy.push((format!("{kind} '{}'{read}", plan.values[value].name), loss));
    }
    for (op, loss) in fills {
        let name = plan.ops[*op].node.node().name.clone();
        lossy.push((format!("the value of ConstantOfShape '{name}'"), *loss));
    }
    let over = summed(&lossy, |loss| loss.overflow, |what, loss| overflow(what, loss, options.low));
    let under = summed(&lossy, |loss| loss.subnormal, |what, loss| subnormal(what, loss, options.low));
    stays(plan, options, decision).into_iter().chain(over).chain(under).collect()
}

/// A sentence for each of a few, one for all of many: the first of them, and how many there are.
fn summed(lossy: &[(String, Loss)], lost: impl Fn(&Loss) -> usize, say: impl Fn(&str, Loss) -> String) -> Vec<String> {
    let these: Vec<&(String, Loss)> = lossy.iter().filter(|(_, loss)| lost(loss) > 0).collect();
    if these.len() <= NAMED {
        return these.iter().map(|(what, loss)| say(what, *loss)).collect();
    }
    let mut all = Loss::default();
    for (_, loss) in &these {
        all.elements += loss.elements;
        all.overflow += loss.overflow;
        all.subnormal += loss.subnormal;
    }
    let first: Vec<&str> = these.iter().take(FIRST).map(|(what, _)| what.as_str()).collect();
    let what = format!("{} weights: {} and {} more", these.len(), first.join(", "), these.len() - first.len());
    vec![say(&what, all)]
}

fn overflow(what: &str, loss: Loss, low: DType) -> String {
    let limit = if low == DType::Float16 { "65504" } else { "3.39e38" };
    let Loss { overflow, elements, .. } = loss;
    let values = if overflow == 1 { "value is" } else { "values are" };
    format!(
        "{what}: {overflow} of {elements} {values} beyond +-{limit} and infinite now; --keep its readers to avoid that"
    )
}

fn subnormal(what: &str, loss: Loss, low: DType) -> String {
    let limit = if low == DType::Float16 { "6.1e-5" } else { "1.2e-38" };
    let Loss { subnormal, elements, .. } = loss;
    format!("{what}: {subnormal} of {elements} values are below {limit}, subnormal or zero in {}", word(low))
}

/// Nodes that stay in FP32 though nobody asked for it, by reason.
fn stays(plan: &Plan, options: &Options, decision: &Decision) -> Vec<String> {
    let mut by_reason: BTreeMap<Why, Vec<String>> = BTreeMap::new();
    for (op, kept) in plan.ops.iter().zip(&decision.kept) {
        if let (Some(why), false) = (op.stays, *kept) {
            by_reason.entry(why).or_default().push(op.node.node().name.clone());
        }
    }
    let sentence = |(why, nodes): (Why, Vec<String>)| {
        let low = word(options.low);
        let reason = match why {
            Why::Schema => format!("no {low} for it in this opset"),
            Why::Attribute => "its attributes are float32 tensors".to_string(),
            Why::Definition => format!("ONNX defines it by operators that have no {low} for it"),
            Why::Kernel => format!("the CPU provider of ONNX Runtime has no {low} for it"),
            Why::Shape => "shape arithmetic".to_string(),
            Why::Scale => format!("its quantisation scale is not a normal {low} number"),
            Why::Untyped => "sequences, optionals or tensors of unknown type".to_string(),
            Why::Function => "functions of the model are not converted".to_string(),
            Why::Foreign => "an operator that ONNX does not define".to_string(),
        };
        let (count, nodes) = (nodes.len(), names(&nodes));
        format!("{count} node{} in FP32 ({reason}): {nodes}", if count == 1 { " stays" } else { "s stay" })
    };
    by_reason.into_iter().map(sentence).collect()
}

/// Names of the nodes that read each value in the low type.
fn readers(plan: &Plan, decision: &Decision) -> BTreeMap<usize, Vec<String>> {
    let mut readers: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (op, _) in plan.ops.iter().zip(&decision.low).filter(|(_, low)| **low) {
        for (value, takes) in op.reads.iter().zip(&op.takes) {
            if let (Some(value), Takes::Mode) = (value, takes) {
                let names = readers.entry(*value).or_default();
                let name = &op.node.node().name;
                if names.last() != Some(name) {
                    names.push(name.clone());
                }
            }
        }
    }
    readers
}

/// `'a', 'b' and 3 more`
fn names(names: &[String]) -> String {
    few(names.iter().map(|n| format!("'{n}'")), NAMED)
}
