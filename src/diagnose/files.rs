//! What differs between the two files where the candidate has one of its own: operator, attributes, weights.

use super::case::{Case, axis};
use super::words::{list, num, share};
use super::{Finding, Operand, Strength};
use crate::compare::{self, Tolerance};
use crate::graph::node_name;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};
use crate::tensor::{DType, Tensor, shape_text};

/// Another operator makes the tensor in the candidate's file.
pub fn operator_differs(case: &Case) -> Option<Finding> {
    let theirs = case.e.theirs.filter(|_| case.e.own_model)?;
    if theirs.op_type() == case.op() {
        return None;
    }
    let evidence = format!(
        "'{}' is made by {} in the model and by {} in the candidate's file",
        case.e.culprit.tensor,
        case.op(),
        theirs.op_type()
    );
    let advice = format!("make strength that the conversion may replace {} by {}", case.op(), theirs.op_type());
    Some(Finding { code: "operator-differs", strength: Strength::Fits, evidence, advice })
}

/// The same operator has other attributes there; defaults written out are none.
pub fn attribute_differs(case: &Case) -> Option<Finding> {
    let theirs = case.e.theirs.filter(|t| case.e.own_model && t.op_type() == case.op())?;
    let differences = differences(case, theirs);
    if differences.is_empty() {
        return None;
    }
    let evidence = format!("of {} {}", case.name(), list(&differences));
    let advice = format!("export or convert {} again with the model's own attributes", case.name());
    Some(Finding { code: "attribute-differs", strength: Strength::AtWork, evidence, advice })
}

/// The same operator has other constants there.
pub fn weights_differ(case: &Case) -> Option<Finding> {
    if !case.e.own_model {
        return None;
    }
    let differences: Vec<String> = case.e.inputs.iter().filter(|o| o.constant).filter_map(weight_difference).collect();
    if differences.is_empty() {
        return None;
    }
    let advice = format!("convert the weights of {} again, or find the step that changed them", case.name());
    Some(Finding { code: "weights-differ", strength: Strength::AtWork, evidence: list(&differences), advice })
}

/// One phrase an attribute.
fn differences(case: &Case, theirs: &NodeProto) -> Vec<String> {
    let bodies = case.e.node.subgraphs().filter_map(|(name, mine)| {
        let (_, theirs) = theirs.subgraphs().find(|(n, _)| *n == name)?;
        Some(format!("{name} is not the same in both files: {}", body_difference(mine, theirs)?))
    });
    values_that_differ(case, theirs).into_iter().chain(bodies).collect()
}

/// What differs first inside two bodies; weights that are large are not looked at.
fn body_difference(mine: &GraphProto, theirs: &GraphProto) -> Option<String> {
    let small = |t: &&TensorProto| !t.is_external();
    let changed =
        |t: &&TensorProto| theirs.initializer.iter().any(|o| o.name() == t.name() && !o.is_external() && o != *t);
    if let Some(weight) = mine.initializer.iter().filter(small).find(changed) {
        return Some(format!("initializer '{}' differs", weight.name()));
    }
    if mine.node.len() != theirs.node.len() {
        return Some(format!("{} nodes against {}", mine.node.len(), theirs.node.len()));
    }
    let (node, _) =
        mine.node.iter().zip(&theirs.node).find(|(a, b)| a.op_type() != b.op_type() || a.attribute != b.attribute)?;
    Some(format!("node '{}' differs", node_name(node)))
}

fn values_that_differ(case: &Case, theirs: &NodeProto) -> Vec<String> {
    let mine = case.e.node;
    let mut names: Vec<&str> = mine.attribute.iter().chain(&theirs.attribute).map(|a| a.name()).collect();
    names.sort_unstable();
    names.dedup();
    let rank = case.e.output.or(case.e.inputs.first().and_then(|o| o.value)).map_or(0, |t| t.shape.len());
    let value = |node: &NodeProto, name: &str| match node.attr(name) {
        Some(a) => text(a, rank),
        None => default(case.op(), name, rank),
    };
    let differs = |name: &str| {
        let (a, b) = (value(mine, name)?, value(theirs, name)?);
        (a != b).then(|| format!("{name} is {a} in the model and {b} in the candidate's file"))
    };
    names.into_iter().filter_map(differs).collect()
}

/// The value as users read it; equal texts are equal values. `None` for graphs, and for what nobody can tell.
fn text(a: &AttributeProto, rank: usize) -> Option<String> {
    let numbers = |items: Vec<String>| format!("[{}]", items.join(", "));
    match a.r#type() {
        attribute_type::INT if a.name() == "axis" => Some(axis_text(a.i(), rank)),
        attribute_type::INT => Some(a.i().to_string()),
        attribute_type::FLOAT => Some(a.f().to_string()),
        attribute_type::STRING => Some(String::from_utf8_lossy(a.s.as_deref().unwrap_or_default()).into_owned()),
        attribute_type::INTS if a.name() == "axes" => {
            Some(numbers(a.ints.iter().map(|i| axis_text(*i, rank)).collect()))
        }
        attribute_type::INTS => Some(numbers(a.ints.iter().map(i64::to_string).collect())),
        _ if !a.floats.is_empty() => Some(numbers(a.floats.iter().map(f32::to_string).collect())),
        _ => None,
    }
}

/// -1 and the last axis are the same.
fn axis_text(at: i64, rank: usize) -> String {
    axis(at, rank).map_or_else(|| at.to_string(), |a| a.to_string())
}

/// What an absent attribute means; `None` where that depends on the version or the input.
fn default(op_type: &str, name: &str, rank: usize) -> Option<String> {
    let text = match (op_type, name) {
        ("LeakyRelu", "alpha") => "0.01",
        ("Elu" | "Gemm", "alpha") | ("Gemm", "beta") => "1",
        ("Gemm", "transA" | "transB") => "0",
        (_, "keepdims" | "group" | "largest" | "sorted") => "1",
        (_, "ceil_mode" | "count_include_pad" | "noop_with_empty_axes" | "select_last_index" | "storage_order") => "0",
        (_, "auto_pad") => "NOTSET",
        (_, "epsilon") => "0.00001",
        ("Gelu", "approximate") => "none",
        ("Pad", "mode") => "constant",
        ("Resize", "mode") => "nearest",
        ("Resize", "coordinate_transformation_mode") => "half_pixel",
        ("Resize", "nearest_mode") => "round_prefer_floor",
        ("LayerNormalization" | "TopK" | "LogSoftmax" | "Softmax" | "Hardmax", "axis") => {
            return Some(axis_text(-1, rank));
        }
        ("Gather" | "GatherElements" | "ScatterElements" | "Split" | "ArgMax" | "ArgMin", "axis") => "0",
        _ => return None,
    };
    Some(text.to_string())
}

/// How the constant differs in the candidate's file, beyond the rounding of its own type there.
fn weight_difference(o: &Operand) -> Option<String> {
    let (mine, theirs) = (o.value?, o.candidate?);
    if mine.shape != theirs.shape && mine.elements() != 1 {
        let (a, b) = (shape_text(&mine.shape), shape_text(&theirs.shape));
        return Some(format!("'{}' is {a} in the model and {b} in the candidate's file", o.name));
    }
    // Quantised weights cannot be set against the others without their scales.
    if mine.dtype.is_float() != theirs.dtype.is_float() || theirs.elements() != mine.elements() {
        return None;
    }
    let mut theirs = theirs.clone();
    theirs.shape.clone_from(&mine.shape);
    let metrics = compare::compare(mine, &theirs, rounding(mine.dtype, theirs.dtype)).metrics?;
    if metrics.mismatched == 0 {
        return None;
    }
    if mine.elements() == 1 {
        let value = |t: &Tensor| compare::to_f64(t).first().map_or(String::new(), |x| num(*x));
        return Some(format!(
            "'{}' is {} in the model and {} in the candidate's file",
            o.name,
            value(mine),
            value(&theirs)
        ));
    }
    let count = share(metrics.mismatched, metrics.elements, "values");
    Some(format!(
        "{count} of '{}' differ between the model and the candidate's file, by up to {}",
        o.name,
        num(metrics.max_abs.0)
    ))
}

/// What storing in the coarser of the two types may change.
fn rounding(a: DType, b: DType) -> Tolerance {
    match [a, b] {
        types if types.contains(&DType::Bfloat16) => Tolerance { atol: 1e-38, rtol: 1.01 * 2f64.powi(-8) },
        types if types.contains(&DType::Float16) => Tolerance { atol: 2f64.powi(-25), rtol: 1.01 * 2f64.powi(-11) },
        _ if a.is_float() => Tolerance { atol: 0.0, rtol: 1e-6 },
        _ => Tolerance { atol: 0.0, rtol: 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::default;
    use crate::diagnose::sample::{Sample, check, float, without};
    use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto};
    use crate::spec::Precision::Fp32;
    use crate::tensor::Tensor;

    fn node(op_type: &str) -> NodeProto {
        NodeProto::new(op_type, "node", &["x"], &["y"])
    }

    fn sample(op_type: &str, theirs: NodeProto) -> Sample {
        let (r, c) = (Tensor::f32(&[1, 2, 2], &[1.0; 4]), Tensor::f32(&[1, 2, 2], &[2.0; 4]));
        Sample::new(op_type, &["x", "w"]).theirs(theirs).outputs(Fp32, r, c)
    }

    #[test]
    fn operators() {
        check(sample("Gelu", node("QuickGelu")), "operator-differs", "by Gelu in the model and by QuickGelu");
        without(sample("Gelu", node("Gelu")), "operator-differs");
    }

    #[test]
    fn attributes() {
        let code = "attribute-differs";
        let alpha = |a: f32| node("LeakyRelu").with(float("alpha", a));
        let leaky = || sample("LeakyRelu", alpha(0.1));
        check(leaky(), code, "alpha is 0.01 in the model and 0.1 in the candidate's file");
        without(sample("LeakyRelu", alpha(0.01)), code);
        let along = |a: i64| node("Softmax").with(AttributeProto::int("axis", a));
        check(sample("Softmax", along(1)), code, "axis is 2 in the model and 1");
        without(sample("Softmax", along(2)).attribute(AttributeProto::int("axis", -1)), code);
        without(sample("Cast", node("Cast").with(AttributeProto::int("unheard_of", 1))), code);
        assert_eq!(default("LayerNormalization", "epsilon", 0).unwrap(), 1e-5f32.to_string());
    }

    #[test]
    fn bodies() {
        let code = "attribute-differs";
        let body = |op_type: &str, weight: f32| AttributeProto {
            g: Some(GraphProto {
                node: vec![NodeProto::new(op_type, "inside", &["x", "w"], &["y"])],
                initializer: vec![TensorProto {
                    name: Some("w".into()),
                    float_data: vec![weight],
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..AttributeProto::tensor("body", TensorProto::default())
        };
        let looped = |b: AttributeProto| sample("Loop", node("Loop").with(b)).attribute(body("Mul", 0.5));
        check(looped(body("Mul", 0.625)), code, "initializer 'w' differs");
        check(looped(body("Add", 0.5)), code, "body is not the same in both files: node 'inside' differs");
        without(looped(body("Mul", 0.5)), code);
    }

    #[test]
    fn weights() {
        let code = "weights-differ";
        let scale = |mine: &[f32], theirs: &[f32]| sample("Mul", node("Mul")).constant("w", mine).their(1, theirs);
        check(scale(&[1.25], &[1.5]), code, "'w' is 1.25 in the model and 1.5 in the candidate's file");
        check(scale(&[1.0, 2.0], &[1.0, 2.5]), code, "1 of 2 values (50.0 %) of 'w' differ");
        check(scale(&[1.0, 2.0], &[1.0]), code, "'w' is 2 in the model and 1 in");
        without(scale(&[1.0, 2.0], &[1.0, 2.000_000_2]), code);
        // A computed input is no weight.
        without(sample("Mul", node("Mul")).input("w", &[1.0]).their(1, &[2.0]), code);
    }
}
