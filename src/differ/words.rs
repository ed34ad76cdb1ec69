//! A difference as a sentence, and as the code of a cause.

use super::held::{self, Constant, Held};
use super::{At, Difference, Two, What};
use crate::found::words::number;
use crate::onnx::NodeProto;
use crate::tensor::{DType, Tensor};

/// Values of a constant that are told one by one.
const FEW: usize = 4;

impl Difference {
    /// Which kind it is, for programs.
    pub fn code(&self) -> &'static str {
        match &self.what {
            What::Opset { .. } => "opset-differs",
            What::Nodes { .. } => "operator-differs",
            What::Order { .. } | What::Output { .. } | What::Result { .. } => "wiring-differs",
            What::Slot { mine, theirs, .. } => match (mine, theirs) {
                (Held::Wire(_), Held::Absent) | (Held::Absent, Held::Wire(_)) => "input-missing",
                (Held::Wire(_), _) | (_, Held::Wire(_)) => "wiring-differs",
                (Held::Constant(_), Held::Constant(_)) => "weights-differ",
                (Held::Constant(_), Held::Absent) | (Held::Absent, Held::Constant(_)) => "input-missing",
                _ => "attribute-differs",
            },
        }
    }

    /// Is it only that the other file computes in a lower precision here: a Cast to a half more, or such Casts around the same
    /// operator?
    pub fn is_lowered(&self, two: &Two) -> bool {
        let nodes = || two.theirs.proto.graph.iter().flat_map(|g| &g.node);
        let half = |n: &NodeProto| {
            let to = n.attr("to").and_then(|a| DType::from_onnx(a.i() as i32));
            n.is("Cast") && matches!(to, Some(DType::Float16 | DType::Bfloat16))
        };
        match &self.what {
            What::Slot { mine: Held::Wire(_), theirs: Held::Wire(u), .. } => {
                nodes().find(|n| n.output.iter().any(|output| output == u)).is_some_and(half)
            }
            What::Nodes { mine, theirs } => {
                let others = |of: &[At]| -> Vec<String> {
                    of.iter().map(|at| at.op_type.clone()).filter(|op| op != "Cast").collect()
                };
                let lowers = |at: &At| at.path.is_empty() && nodes().nth(at.index).is_some_and(half);
                others(mine) == others(theirs) && theirs.iter().any(lowers)
            }
            _ => false,
        }
    }

    /// `in b.onnx Softmax 'probs' has axis 1 where a.onnx has -1`
    pub fn sentence(&self, two: &Two) -> String {
        let (a, b) = (two.mine.name, two.theirs.name);
        let node = called(&self.theirs);
        match &self.what {
            What::Opset { domain, mine, theirs } => {
                let domain = if domain.is_empty() { "opset" } else { domain };
                format!(
                    "{b} declares {domain} {theirs} where {a} declares {mine}, and {} changed in between",
                    self.theirs.op_type
                )
            }
            What::Slot { name, mine, theirs, .. } => self.slot(two, name, mine, theirs),
            What::Order { mine, theirs, .. } => {
                format!("in {b} {node} reads {} where {a} reads {}", quoted(theirs), quoted(mine))
            }
            What::Output { mine, theirs } => {
                format!("in {b} '{}' is output {theirs} of {node} where it is output {mine} in {a}", self.tensor)
            }
            What::Result { attribute, positions, mine, theirs } => {
                let (which, are) = match positions.as_slice() {
                    [one] => (format!("output {one}"), "is"),
                    several => {
                        let several: Vec<String> = several.iter().map(usize::to_string).collect();
                        (format!("outputs {}", several.join(", ")), "are")
                    }
                };
                let (mine, theirs) = (quoted(mine), quoted(theirs));
                format!("in {b} {which} of the {attribute} of {node} {are} {theirs} where {a} has {mine}")
            }
            What::Nodes { mine, theirs } => {
                format!(
                    "'{}' is made by {} in {b} where {a} makes it by {}",
                    self.tensor,
                    several(theirs),
                    several(mine)
                )
            }
        }
    }

    fn constants(&self, two: &Two, name: &str, x: &Constant, y: &Constant) -> String {
        let (a, b) = (two.mine.name, two.theirs.name);
        let weight = if y.name.is_empty() { String::new() } else { format!(" ('{}')", y.name) };
        let what = format!("in {b} {name}{weight} of {}", called(&self.theirs));
        let Some(d) = held::distance(x, y) else {
            return format!("{what} is {} where it is {} in {a}", held::described(&y.value), held::described(&x.value));
        };
        if x.value.elements() <= FEW {
            return format!("{what} is {} where it is {} in {a}", values(&y.value), values(&x.value));
        }
        let stored = if y.half_step > 0.0 && x.half_step == 0.0 { " (stored quantised)" } else { "" };
        let much = match held::factor(x, y) {
            Some(0.0) => ": it is 0 throughout".to_string(),
            Some(factor) if y.half_step > 0.0 => {
                format!(": its scale is {} times that of {a}'s values", number(factor))
            }
            Some(factor) => format!(": it is {} times as large", number(factor)),
            None => format!(", by up to {}", number(d.largest)),
        };
        format!("{what}{stored} differs from {a} in {} of {} values{much}", d.differing, d.elements)
    }

    fn slot(&self, two: &Two, name: &str, mine: &Held, theirs: &Held) -> String {
        let (a, b) = (two.mine.name, two.theirs.name);
        let node = called(&self.theirs);
        match (mine, theirs) {
            (Held::Constant(x), Held::Constant(y)) => self.constants(two, name, x, y),
            (Held::Wire(x), Held::Wire(y)) => {
                let made = |scope_name: &str, file: &super::File| maker(scope_name, file);
                format!(
                    "in {b} {node} reads '{y}'{} as {name} where it reads '{x}'{} in {a}",
                    made(y, &two.theirs),
                    made(x, &two.mine)
                )
            }
            (Held::Absent, _) => format!("in {b} {node} has {name} {} where {a} has none", told(theirs)),
            (_, Held::Absent) => format!("in {b} {node} has no {name} where {a} has {}", told(mine)),
            _ => format!("in {b} {node} has {name} {} where {a} has {}", told(theirs), told(mine)),
        }
    }
}

fn told(held: &Held) -> String {
    match held {
        Held::Absent => "none".to_string(),
        Held::Setting(setting, Some(_)) => setting.text(),
        Held::Setting(setting, None) => format!("{} (the default of its opset)", setting.text()),
        Held::Constant(c) if c.value.elements() <= FEW => values(&c.value),
        Held::Constant(c) => held::described(&c.value),
        Held::Wire(name) => format!("'{name}'"),
    }
}

fn values(value: &Tensor) -> String {
    let texts: Vec<String> = match value.as_strings() {
        Some(strings) => strings.to_vec(),
        None => crate::compare::to_f64(value).into_iter().map(held::exact).collect(),
    };
    match texts.as_slice() {
        [one] if value.shape.is_empty() || value.shape == [1] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

/// ` (Transpose 'permute')` of a tensor of the main graph.
fn maker(name: &str, file: &super::File) -> String {
    let nodes = file.proto.graph.iter().flat_map(|g| &g.node);
    let found = nodes.into_iter().find(|n| n.output.iter().any(|output| output == name));
    found.map_or(String::new(), |n| format!(" ({} '{}')", n.op_type(), crate::graph::node_name(n)))
}

fn called(at: &At) -> String {
    format!("{} '{}'", at.op_type, at.name)
}

fn several(nodes: &[At]) -> String {
    nodes.iter().rev().map(called).collect::<Vec<_>>().join(", ")
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
