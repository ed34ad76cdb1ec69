//! Classifier heads: the product behind an output of two dimensions, and whether it was trained. Follows the main graph from its
//! outputs up, through what only gives the values another form. Runs nothing.

use std::collections::HashMap;

use super::constants::{Constant, constants};
use super::facts::{Dim, HeadFacts, Initialisation, Statistics, Trained};
use super::file::Source;
use super::types::Typing;
use super::{statistics, untrained};
use crate::found::words::number;
use crate::graph::node_name;
use crate::onnx::NodeProto;
use crate::qdq;
use crate::tensor::Tensor;

/// What leaves each row to itself: decisions are the same before and behind it.
const FORMS: [&str; 12] = [
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "Identity",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Transpose",
    "Cast",
    "QuantizeLinear",
    "DequantizeLinear",
];
/// No way from an output to its product is longer.
const LONGEST: usize = 16;

/// One a model output, where there is one. `labels`: how many classes somebody has names for.
pub fn heads(source: &Source, typing: &Typing, labels: Option<usize>) -> Vec<HeadFacts> {
    let Some(main) = source.main() else { return Vec::new() };
    let ranked = |name: &str| typing.shape("", name).is_none_or(|shape: Vec<Dim>| shape.len() == 2);
    let outputs: Vec<&str> = main.output.iter().map(|o| o.name()).filter(|name| ranked(name)).collect();
    if outputs.is_empty() {
        return Vec::new();
    }
    let graph = Above::new(source);
    outputs.into_iter().filter_map(|output| graph.head(output, labels)).collect()
}

/// The main graph, from results to what they are made of.
struct Above<'a> {
    source: &'a Source,
    makers: HashMap<&'a str, &'a NodeProto>,
    constants: Vec<Constant<'a>>,
}

/// A weight or a bias.
struct Held {
    key: String,
    value: Option<Tensor>,
    shape: Vec<usize>,
    /// It is stored the other way round and turned by a Transpose.
    turned: bool,
}

impl<'a> Above<'a> {
    fn new(source: &'a Source) -> Above<'a> {
        let nodes = source.main().into_iter().flat_map(|main| &main.node);
        let makers = nodes.flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
        let constants = constants(source).into_iter().filter(|c| c.prefix.is_empty()).collect();
        Above { source, makers, constants }
    }

    fn head(&self, output: &str, labels: Option<usize>) -> Option<HeadFacts> {
        let (product, bias, mut through) = self.product(output)?;
        through.reverse();
        let weight = self.held(product.input.get(1)?)?;
        let [rows, columns] = <[usize; 2]>::try_from(two_dims(product, &weight.shape)?).ok()?;
        let transposed = weight.turned != (product.is("Conv") || product.attr("transB").is_some_and(|a| a.i() != 0));
        let (classes, features) = if transposed { (rows, columns) } else { (columns, rows) };
        let bias = bias.or_else(|| product.input.get(2).and_then(|name| self.held(name)));
        let numbers = weight.value.as_ref().and_then(statistics::statistics);
        let initialisation =
            weight.value.as_ref().zip(numbers.as_ref()).and_then(|(value, numbers)| untrained::judge(value, numbers));
        let of_bias = bias.as_ref().and_then(|b| b.value.as_ref()).and_then(statistics::statistics);
        let (trained, why) = judge(numbers.as_ref(), initialisation.as_ref(), of_bias.as_ref(), features);
        Some(HeadFacts {
            output: output.to_string(),
            node: node_name(product),
            op_type: product.op_type().to_string(),
            classes,
            features,
            weight: weight.key,
            bias: bias.map(|b| b.key),
            through,
            trained,
            why,
            fits_labels: labels.map(|labels| labels == classes),
            labels,
            statistics: numbers,
            initialisation,
            bias_statistics: of_bias,
        })
    }

    /// The product behind `output`, what is added to it, and the operators on the way, the last one first.
    fn product(&self, output: &str) -> Option<(&'a NodeProto, Option<Held>, Vec<String>)> {
        let (mut name, mut bias, mut through) = (output, None, Vec::new());
        for _ in 0..LONGEST {
            let node = *self.makers.get(name)?;
            match node.op_type() {
                "MatMul" | "Gemm" => return Some((node, bias, through)),
                "Conv" => return Some((node, bias, through)),
                "Add" if bias.is_none() => {
                    let at = node.input.iter().position(|input| self.held(input).is_some())?;
                    bias = self.held(&node.input[at]);
                    name = node.input.get(1 - at.min(1))?;
                    continue;
                }
                op if FORMS.contains(&op) => name = node.input.first()?,
                // A softmax in small steps.
                "Div" => name = self.exponent(node)?,
                _ => return None,
            }
            through.push(node.op_type().to_string());
        }
        None
    }

    /// `x` of `Exp(x - max) / sum`.
    fn exponent(&self, div: &'a NodeProto) -> Option<&'a str> {
        let exp = self.makers.get(div.input.first()?.as_str()).filter(|n| n.is("Exp"))?;
        let inside = exp.input.first()?;
        match self.makers.get(inside.as_str()).filter(|n| n.is("Sub")) {
            Some(sub) => sub.input.first().map(String::as_str),
            None => Some(inside),
        }
    }

    /// The constant of this name, through what only gives it another form.
    fn held(&self, name: &str) -> Option<Held> {
        let (mut name, mut turned) = (name, false);
        for _ in 0..LONGEST {
            if let Some(constant) = self.constants.iter().find(|c| c.name == name) {
                let shape: Option<Vec<usize>> = constant.proto.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
                let value = constant.value(self.source);
                return Some(Held { key: constant.key.clone(), value, shape: shape?, turned });
            }
            let node = *self.makers.get(name)?;
            match node.op_type() {
                "DequantizeLinear" => return self.dequantised(node, turned),
                "Transpose" => turned = !turned,
                "Identity" | "Cast" | "QuantizeLinear" | "Reshape" | "Squeeze" | "Unsqueeze" => {}
                _ => return None,
            }
            name = node.input.first()?;
        }
        None
    }

    /// What stored codes stand for.
    fn dequantised(&self, node: &NodeProto, turned: bool) -> Option<Held> {
        let (model, graph) = (self.source.model.as_ref().ok()?, self.source.graph.as_ref().ok()?);
        let result = node.output.first()?;
        let pairs = qdq::pairs(model, graph);
        let of_node = |p: &&qdq::Pair| {
            graph.nodes[p.dequantize].proto(&self.source.proto).and_then(|n| n.output.first()) == Some(result)
        };
        match pairs.iter().find(of_node).filter(|pair| pair.stored.is_some()) {
            Some(pair) => {
                let shape = pair.stored.as_ref()?.shape.clone();
                Some(Held { key: node.input.first()?.clone(), value: qdq::dequantised(pair), shape, turned })
            }
            None => self.held(node.input.first()?).map(|held| Held { turned: held.turned != turned, ..held }),
        }
    }
}

/// Rows and columns of the weight; of a convolution only where its kernel is one element.
fn two_dims(product: &NodeProto, shape: &[usize]) -> Option<Vec<usize>> {
    match (product.is("Conv"), shape) {
        (true, [out, within, kernel @ ..]) if kernel.iter().all(|k| *k == 1) => Some(vec![*out, *within]),
        (false, [rows, columns]) => Some(vec![*rows, *columns]),
        _ => None,
    }
}

/// A small weight alone says little; what its bias is like decides.
fn judge(
    weight: Option<&Statistics>,
    initialisation: Option<&Initialisation>,
    bias: Option<&Statistics>,
    features: usize,
) -> (Trained, String) {
    let Some(weight) = weight else { return (Trained::Unknown, "the weight cannot be read".to_string()) };
    if weight.all_equal {
        return (Trained::LikelyNot, format!("all elements of the weight are {}", number(weight.min.0)));
    }
    let zeros = bias.is_some_and(|b| b.all_equal && b.min.0 == 0.0);
    let bias_text = bias.map_or(String::new(), |b| match zeros {
        true => "; the bias is all zeros".to_string(),
        false => format!("; the bias is {}..{}", number(b.min.0), number(b.max.0)),
    });
    let numbers = format!("std {}, kurtosis {}", number(weight.std.0), number(weight.kurtosis.0));
    let Some(init) = initialisation else {
        return (Trained::Unknown, format!("the weight is too small to tell ({numbers}){bias_text}"));
    };
    let text = format!("weight {}{bias_text}", init.text.trim_start_matches("no: ").trim_start_matches("likely: "));
    if !init.possible {
        return (Trained::Yes, text);
    }
    // A default that draws the bias as well, from the same range as the weight.
    let uniform = init.expected_kurtosis.is_some_and(|k| k.0 == 1.8);
    let drawn = |b: &Statistics| uniform && b.max.0.abs().max(b.min.0.abs()) <= 1.0001 / (features as f64).sqrt();
    match bias {
        None if init.likely_untrained => (Trained::LikelyNot, text),
        Some(b) if zeros || drawn(b) => (Trained::LikelyNot, text),
        Some(_) => (Trained::Unknown, format!("{text}, which is no initial value: trained, if only a little")),
        None => (Trained::Unknown, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Real;

    fn initialised(possible: bool, likely: bool, kurtosis: f64) -> Initialisation {
        let expected_kurtosis = Some(Real(kurtosis));
        Initialisation { possible, likely_untrained: likely, expected_kurtosis, ..Initialisation::default() }
    }

    fn spread(low: f64, high: f64) -> Statistics {
        Statistics { min: Real(low), max: Real(high), all_equal: low == high, ..Statistics::default() }
    }

    #[test]
    fn a_small_weight_is_judged_with_its_bias() {
        let weight = spread(-0.06, 0.06);
        let check = |init: Initialisation, bias: Option<Statistics>, want: Trained| {
            let got = judge(Some(&weight), Some(&init), bias.as_ref(), 768);
            assert_eq!(got.0, want, "{}", got.1);
        };
        check(initialised(true, false, 3.0), Some(spread(0.0, 0.0)), Trained::LikelyNot);
        check(initialised(true, false, 3.0), Some(spread(-0.01, 0.01)), Trained::Unknown);
        check(initialised(true, false, 1.8), Some(spread(-0.03, 0.03)), Trained::LikelyNot);
        check(initialised(true, false, 1.8), Some(spread(-0.3, 0.03)), Trained::Unknown);
        check(initialised(true, true, 3.0), None, Trained::LikelyNot);
        check(initialised(false, false, 3.0), Some(spread(0.0, 0.0)), Trained::Yes);
        assert_eq!(judge(Some(&spread(0.0, 0.0)), None, None, 8).0, Trained::LikelyNot);
        assert_eq!(judge(None, None, None, 8).0, Trained::Unknown);
    }
}
