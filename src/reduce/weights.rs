//! Large weights become nodes that make them: one value, or a small block of the weights' own values again and again.
//! The same bits on every backend, because nothing is computed: values are only copied. For `--shrink-weights`.

mod block;

use super::trim::ask;
use super::{Attempt, Case};
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::search::Answer;
use crate::tensor::{DType, Tensor};

const PREFIX: &str = "layerdiff_weights_";

/// Is it a node that makes a weight, and no part of what fails?
pub fn is_generator(node: &NodeProto) -> bool {
    node.name().starts_with(PREFIX)
}

/// `case` with initializers above `smallest` bytes made by nodes, where the failure survives that: all at once, else
/// the largest first. Floats only: integers are shapes and indices. `payload` gives values that are not inline.
pub fn shrink_weights<E>(
    case: Case,
    payload: &dyn Fn(&TensorProto) -> Option<Tensor>,
    smallest: usize,
    mut test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Case, E> {
    let mut case = case;
    let all = large(&case, payload, smallest);
    if all.len() > 1 {
        let names: Vec<&str> = all.iter().map(|w| w.name.as_str()).collect();
        for kind in [Kind::One, Kind::Block] {
            let what = format!("weights {} as {}", names.join(","), kind.words());
            let Some(smaller) = all.iter().try_fold(case.clone(), |case, w| generate(case, w, kind)) else { continue };
            let (answer, smaller) = ask(what, smaller, &mut test)?;
            if answer == Answer::Bad {
                return Ok(smaller);
            }
        }
    }
    for weight in &all {
        for kind in [Kind::One, Kind::Block] {
            let what = format!("weight {} as {}", weight.name, kind.words());
            let Some(smaller) = generate(case.clone(), weight, kind) else { continue };
            let (answer, smaller) = ask(what, smaller, &mut test)?;
            if answer == Answer::Bad {
                case = smaller;
                break;
            }
        }
    }
    Ok(case)
}

#[derive(Clone, Copy)]
enum Kind {
    One,
    Block,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::One => "one value",
            Kind::Block => "a repeated block",
        }
    }
}

struct Weight {
    name: String,
    value: Tensor,
}

impl Weight {
    /// What stands in its place: a tensor that a node makes.
    fn made(&self) -> ValueInfoProto {
        ValueInfoProto::tensor(&self.name, self.value.dtype, &self.value.shape)
    }
}

/// Initializers of the main graph that are large enough to matter, the largest first.
fn large(case: &Case, payload: &dyn Fn(&TensorProto) -> Option<Tensor>, smallest: usize) -> Vec<Weight> {
    let candidate = |t: &&TensorProto| {
        // A default value that feeds override is no weight.
        let fed = case.feeds.contains_key(t.name());
        let float = matches!(t.dtype(), Some(DType::Float32 | DType::Float64 | DType::Float16 | DType::Bfloat16));
        float && !fed && t.payload_len().is_some_and(|n| n > smallest)
    };
    let value = |t: &TensorProto| {
        let inline = tensor_from_proto(t).ok();
        Some(Weight { name: t.name().to_string(), value: inline.or_else(|| payload(t))? })
    };
    let initializers = case.model.graph.iter().flat_map(|g| &g.initializer);
    let mut all: Vec<Weight> = initializers.filter(candidate).filter_map(value).collect();
    all.sort_by_key(|w| std::cmp::Reverse(w.value.bytes().len()));
    all
}

/// `case` with nodes in the place of one weight; `None` where the opset has no such nodes, or nothing is saved.
fn generate(mut case: Case, weight: &Weight, kind: Kind) -> Option<Case> {
    let (value, opset) = (&weight.value, case.model.opset());
    // bfloat16 came to these operators late.
    let (one, block) = if value.dtype == DType::Bfloat16 { (20, 13) } else { (9, 10) };
    let main = case.model.graph.as_mut()?;
    let number = main.node.iter().filter_map(|n| n.name().strip_prefix(PREFIX)?.split('_').next()?.parse().ok()).max();
    let mut making = Making { id: format!("{PREFIX}{}", number.map_or(0, |n: usize| n + 1)), ..Default::default() };
    match kind {
        Kind::One if opset >= one => making.one(weight)?,
        Kind::Block if opset >= block => making.block(weight)?,
        _ => return None,
    }
    place(main, weight, making);
    case.expected = None;
    Some(case)
}

fn place(main: &mut GraphProto, weight: &Weight, making: Making) {
    main.initializer.retain(|t| t.name() != weight.name);
    main.input.retain(|v| v.name() != weight.name);
    main.initializer.extend(making.initializers);
    main.node.splice(0..0, making.nodes);
    main.value_info.retain(|v| v.name() != weight.name);
    main.value_info.extend(making.types);
}

/// Nodes that make a weight, with what they read and the types of what they make.
#[derive(Default)]
struct Making {
    id: String,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    types: Vec<ValueInfoProto>,
}

impl Making {
    fn one(&mut self, weight: &Weight) -> Option<()> {
        let value = block::typical(&weight.value)?;
        let shape = self.shape(weight);
        let fill = AttributeProto::tensor("value", tensor_to_proto("", &value));
        self.node("ConstantOfShape", "fill", &[&shape], weight.made());
        let node = self.nodes.last_mut()?;
        node.attribute.push(fill);
        Some(())
    }

    fn block(&mut self, weight: &Weight) -> Option<()> {
        let value = block::sample(&weight.value)?;
        let (elements, length) = (weight.value.elements(), value.elements());
        let times = elements.div_ceil(length);
        let block = self.initializer("block", &value);
        let repeats = self.initializer("repeats", &Tensor::i64(&[1], &[times as i64]));
        let (tiled, cut) = (format!("{}_tiled", self.id), format!("{}_cut", self.id));
        self.node("Tile", "tile", &[&block, &repeats], ValueInfoProto::tensor(&tiled, value.dtype, &[times * length]));
        let mut flat = tiled;
        if times * length > elements {
            let starts = self.initializer("starts", &Tensor::i64(&[1], &[0]));
            let ends = self.initializer("ends", &Tensor::i64(&[1], &[elements as i64]));
            let made = ValueInfoProto::tensor(&cut, value.dtype, &[elements]);
            self.node("Slice", "slice", &[&flat, &starts, &ends], made);
            flat = cut;
        }
        let shape = self.shape(weight);
        self.node("Reshape", "reshape", &[&flat, &shape], weight.made());
        Some(())
    }

    fn shape(&mut self, weight: &Weight) -> String {
        let dims: Vec<i64> = weight.value.shape.iter().map(|d| *d as i64).collect();
        self.initializer("shape", &Tensor::i64(&[dims.len()], &dims))
    }

    fn initializer(&mut self, role: &str, value: &Tensor) -> String {
        let name = format!("{}_{role}", self.id);
        self.initializers.push(tensor_to_proto(&name, value));
        name
    }

    fn node(&mut self, op: &str, role: &str, inputs: &[&str], output: ValueInfoProto) {
        self.nodes.push(NodeProto::new(op, &format!("{}_{role}", self.id), inputs, &[output.name()]));
        self.types.push(output);
    }
}

#[cfg(test)]
mod tests;
