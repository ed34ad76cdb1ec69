//! What TensorRT's parser would stumble over is taken out of a model: outputs without a type, and names of dimensions that the data
//! belies. Bytes in, bytes out; weights stay in their files.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use prost::Message;

use super::profiles::shape_of;
use crate::load::Lean;
use crate::onnx::{DimValue, GraphProto, ModelProto, TypeValue, ValueInfoProto};
use crate::run::tensorrt::Range;
use crate::tensor::Tensors;

/// A model for the parser.
pub struct Prepared<'m> {
    /// The protobuf; borrowed where nothing had to change.
    pub bytes: Cow<'m, [u8]>,
    /// Tensors that are to be outputs too, once it is parsed.
    pub marks: HashSet<String>,
}

/// A model that cannot be read is left to the parser, which says why.
pub fn prepare<'m>(model: &'m Lean, feeds: &[Tensors], profiles: &[Range]) -> Prepared<'m> {
    let untouched = Prepared { bytes: Cow::Borrowed(&model.bytes), marks: HashSet::new() };
    let Ok(mut proto) = ModelProto::decode(model.bytes.as_slice()) else { return untouched };
    let Some(graph) = proto.graph.as_mut() else { return untouched };
    let marks = take_marks(graph);
    let renamed = unname(graph, &belied(graph, feeds, profiles));
    match marks.is_empty() && !renamed {
        true => untouched,
        false => Prepared { bytes: Cow::Owned(proto.encode_to_vec()), marks },
    }
}

/// Outputs without a type are marks (see `mark`). The parser wants to know the type of every output, so they become outputs later.
fn take_marks(graph: &mut GraphProto) -> HashSet<String> {
    let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name()).collect();
    let is_mark = |output: &ValueInfoProto| output.dtype().is_none() && !inputs.contains(output.name());
    let (marks, own): (Vec<_>, Vec<_>) = std::mem::take(&mut graph.output).into_iter().partition(is_mark);
    graph.output = own;
    marks.iter().map(|output| output.name().to_string()).collect()
}

/// TensorRT demands equal sizes of dimensions with equal names, and some exporters call every open one `?`: names of dimensions that
/// differ in a sample or a profile.
fn belied(graph: &GraphProto, feeds: &[Tensors], profiles: &[Range]) -> HashSet<String> {
    let of_feed = |feed: &Tensors| feed.iter().map(|(name, tensor)| (name.clone(), shape_of(tensor))).collect();
    let mut views: Vec<HashMap<String, Vec<i64>>> = feeds.iter().map(of_feed).collect();
    let picks: [fn(&Range) -> &Vec<i64>; 3] = [|range| &range.min, |range| &range.opt, |range| &range.max];
    for pick in picks {
        views.push(profiles.iter().map(|range| (range.input.clone(), pick(range).clone())).collect());
    }
    let mut belied = HashSet::new();
    for view in views {
        let mut sizes: HashMap<&str, i64> = HashMap::new();
        for input in &graph.input {
            let Some(shape) = view.get(input.name()) else { continue };
            for (name, size) in names(input).into_iter().zip(shape) {
                let Some(name) = name else { continue };
                if *sizes.entry(name).or_insert(*size) != *size {
                    belied.insert(name.to_string());
                }
            }
        }
    }
    belied
}

/// By dimension.
fn names(input: &ValueInfoProto) -> Vec<Option<&str>> {
    let shape = input.as_tensor().and_then(|tensor| tensor.shape.as_ref());
    let dims = shape.map_or(&[][..], |shape| &shape.dim);
    dims.iter().map(|dim| name(&dim.value)).collect()
}

fn name(value: &Option<DimValue>) -> Option<&str> {
    match value {
        Some(DimValue::DimParam(name)) => Some(name.as_str()).filter(|name| !name.is_empty()),
        _ => None,
    }
}

/// Takes these names from the inputs' dimensions, which stay open. Were there any?
fn unname(graph: &mut GraphProto, belied: &HashSet<String>) -> bool {
    let mut found = false;
    for input in &mut graph.input {
        let Some(TypeValue::Tensor(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else { continue };
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            if name(&dim.value).is_some_and(|name| belied.contains(name)) {
                dim.value = None;
                found = true;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Dimension, TensorShapeProto};
    use crate::tensor::{DType, Tensor};

    fn lean(graph: GraphProto) -> Lean {
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        Lean { bytes: model.encode_to_vec(), folder: Default::default() }
    }

    #[test]
    fn outputs_without_a_type_are_marks() {
        let of = |output: Vec<ValueInfoProto>| lean(GraphProto { output, ..Default::default() });
        let y = ValueInfoProto::tensor("y", DType::Float32, &[1]);
        let own = of(vec![y.clone()]);
        assert!(matches!(prepare(&own, &[], &[]), Prepared { bytes: Cow::Borrowed(_), marks } if marks.is_empty()));
        let marked = of(vec![y, ValueInfoProto::bare("m")]);
        let prepared = prepare(&marked, &[], &[]);
        assert_eq!(prepared.marks, HashSet::from(["m".to_string()]));
        assert_eq!(prepared.bytes, own.bytes);
        let broken = Lean { bytes: vec![0xff; 9], folder: Default::default() };
        assert_eq!(prepare(&broken, &[], &[]).bytes, broken.bytes);
    }

    #[test]
    fn names_go_where_sizes_belie_them() {
        let open = |name: &str| Dimension { value: Some(DimValue::DimParam(name.into())), denotation: None };
        let input = |name: &str, dims: [&str; 2]| {
            let shape = TensorShapeProto { dim: dims.map(open).to_vec() };
            ValueInfoProto::typed(name, DType::Float32, Some(shape))
        };
        let graph = || GraphProto { input: vec![input("x", ["n", "?"]), input("y", ["n", "?"])], ..Default::default() };
        let check = |x: [usize; 2], y: [usize; 2], profiles: &[Range], expected: [&str; 2]| {
            let tensor = |shape: [usize; 2]| Tensor::f32(&shape, &vec![0.0; shape.iter().product()]);
            let feed = Tensors::from([("x".to_string(), tensor(x)), ("y".to_string(), tensor(y))]);
            let model = lean(graph());
            let prepared = prepare(&model, &[feed], profiles);
            let after = ModelProto::decode(prepared.bytes.as_ref()).unwrap().graph.unwrap();
            let left = names(&after.input[0]).into_iter().map(|name| name.unwrap_or_default()).collect::<Vec<_>>();
            assert_eq!(left, expected);
        };
        check([2, 3], [2, 3], &[], ["n", "?"]);
        check([2, 3], [2, 4], &[], ["n", ""]);
        check([1, 3], [2, 4], &[], ["", ""]);
        let range =
            |input: &str, max| Range { input: input.into(), min: vec![2, 3], opt: vec![2, 3], max: vec![2, max] };
        check([2, 3], [2, 3], &[range("x", 5), range("y", 6)], ["n", ""]);
    }
}
