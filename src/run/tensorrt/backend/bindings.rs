//! A ready engine against the model that it is said to be built from: names, element types, shapes. Pure: values in, sentences out.

use super::profiles::{dims_text, shape_of};
use crate::onnx::{DimValue, GraphProto, ValueInfoProto};
use crate::precision::convertible;
use crate::run::tensorrt::Binding;
use crate::tensor::Tensors;

/// The smallest and the largest shape of an input, where the engine has a profile for it.
pub type Bounds<'a> = &'a dyn Fn(&str) -> Option<(Vec<i64>, Vec<i64>)>;

/// What does not fit, a sentence each.
pub fn mismatches(bindings: &[Binding], bounds: Bounds, graph: &GraphProto, feeds: &[Tensors]) -> Vec<String> {
    let (inputs, outputs): (Vec<&Binding>, Vec<&Binding>) = bindings.iter().partition(|binding| binding.input);
    let weights: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let fed: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !weights.contains(&input.name())).collect();
    let mut found = side("input", &inputs, &fed);
    found.extend(side("output", &outputs, &graph.output.iter().collect::<Vec<_>>()));
    let outside = feeds.iter().flat_map(|feed| inputs.iter().filter_map(|input| outside(input, bounds, feed)));
    found.extend(outside);
    found.dedup();
    found
}

/// The engine's inputs or outputs against the model's.
fn side(kind: &str, bindings: &[&Binding], values: &[&ValueInfoProto]) -> Vec<String> {
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_string() } else { names.join(", ") };
    let mut found = Vec::new();
    for binding in bindings {
        match values.iter().find(|value| value.name() == binding.name) {
            Some(value) => found.extend(differs(kind, binding, value)),
            None => {
                let names = list(values.iter().map(|value| value.name()).collect());
                found.push(format!(
                    "the engine's {kind} '{}' is not in the model, whose {kind}s are: {names}",
                    binding.name
                ));
            }
        }
    }
    for value in values.iter().filter(|value| !bindings.iter().any(|binding| binding.name == value.name())) {
        let names = list(bindings.iter().map(|binding| binding.name.as_str()).collect());
        found.push(format!("the model's {kind} '{}' is not in the engine, whose {kind}s are: {names}", value.name()));
    }
    found
}

fn differs(kind: &str, binding: &Binding, value: &ValueInfoProto) -> Vec<String> {
    let name = &binding.name;
    let mut found = Vec::new();
    if let Some(dtype) = value.dtype().filter(|dtype| !convertible(*dtype, binding.dtype)) {
        found.push(format!(
            "{kind} '{name}' is {dtype} in the model, which cannot become the engine's {}",
            binding.dtype
        ));
    }
    let Some(shape) = dims(value) else { return found };
    let same = shape.len() == binding.shape.len()
        && shape.iter().zip(&binding.shape).all(|(model, engine)| *model < 0 || *engine < 0 || model == engine);
    if !same {
        let (model, engine) = (dims_text(&shape), dims_text(&binding.shape));
        found.push(format!("{kind} '{name}' has the shape {model} in the model and {engine} in the engine"));
    }
    found
}

/// A sample that the engine was not built for.
fn outside(input: &Binding, bounds: Bounds, feed: &Tensors) -> Option<String> {
    let shape = shape_of(feed.get(&input.name)?);
    let fixed: Vec<i64> = input.shape.clone();
    let (min, max) = bounds(&input.name).filter(|(min, _)| min.len() == fixed.len()).unwrap_or((fixed.clone(), fixed));
    let within = shape.len() == min.len()
        && shape
            .iter()
            .zip(min.iter().zip(&max))
            .all(|(n, (min, max))| (min <= n || *min < 0) && (n <= max || *max < 0));
    let range = match min == max {
        true => dims_text(&min),
        false => format!("{} to {}", dims_text(&min), dims_text(&max)),
    };
    (!within).then(|| {
        format!(
            "the engine was built for input '{}' of shape {range}, and a sample has {}",
            input.name,
            dims_text(&shape)
        )
    })
}

/// -1 for an open dimension; `None` where the model tells no shape.
fn dims(value: &ValueInfoProto) -> Option<Vec<i64>> {
    let shape = value.as_tensor()?.shape.as_ref()?;
    let dim = |value: &Option<DimValue>| match value {
        Some(DimValue::DimValue(n)) => *n,
        _ => -1,
    };
    Some(shape.dim.iter().map(|d| dim(&d.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Tensor};

    fn binding(name: &str, input: bool, dtype: DType, shape: &[i64]) -> Binding {
        Binding { name: name.into(), input, dtype, shape: shape.to_vec(), host: false, shape_inference: false }
    }

    #[test]
    fn every_mismatch_is_a_sentence() {
        let graph = GraphProto {
            input: vec![ValueInfoProto::tensor("x", DType::Int64, &[2, 3])],
            output: vec![ValueInfoProto::tensor("y", DType::Float32, &[2])],
            ..Default::default()
        };
        let sample =
            |shape: &[usize]| Tensors::from([("x".to_string(), Tensor::i64(shape, &vec![0; shape.iter().product()]))]);
        let check = |x: Binding, y: Binding, shape: &[usize], expected: &[&str]| {
            let bounds = |_: &str| Some((vec![1, 3], vec![4, 3]));
            let found = mismatches(&[x, y], &bounds, &graph, &[sample(shape), sample(shape)]);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            found.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found}"));
        };
        let (x, y) = (|d| binding("x", true, d, &[-1, 3]), |d| binding("y", false, d, &[-1]));
        check(x(DType::Int32), y(DType::Float16), &[2, 3], &[]);
        check(
            x(DType::Float32),
            y(DType::Float32),
            &[2, 3],
            &["int64 in the model, which cannot become the engine's float32"],
        );
        check(x(DType::Int64), y(DType::Float32), &[9, 3], &["1x3 to 4x3, and a sample has 9x3"]);
        let other = binding("z", false, DType::Float32, &[2]);
        check(
            x(DType::Int64),
            other,
            &[2, 3],
            &["'z' is not in the model, whose outputs are: y", "'y' is not in the engine"],
        );
        let flat = binding("y", false, DType::Float32, &[2, 1]);
        check(x(DType::Int64), flat, &[2, 3], &["shape 2 in the model and 2x1 in the engine"]);
    }
}
