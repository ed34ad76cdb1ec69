//! Sparse constants with all their elements written out: a backend computes the same with them, and whoever compares, cuts or feeds sees values.

use super::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{GraphProto, ModelProto, NodeProto, SparseTensorProto, attribute_type};
use crate::tensor::{DType, Tensor};

/// Elements of a sparse constant that are written out at most.
const LARGEST: usize = 1 << 22;

/// The model with its sparse constants written out, bodies included; `None` where it has none.
pub fn written_out(model: &ModelProto) -> Option<ModelProto> {
    if !model.graph.as_ref().is_some_and(has_any) {
        return None;
    }
    let mut model = model.clone();
    let changed = model.graph.as_mut().is_some_and(in_graph);
    changed.then_some(model)
}

fn has_any(graph: &GraphProto) -> bool {
    let sparse = |node: &NodeProto| node.attr("sparse_value").is_some();
    let inside = |node: &NodeProto| node.subgraphs().any(|(_, body)| has_any(body));
    !graph.sparse_initializer.is_empty() || graph.node.iter().any(|node| sparse(node) || inside(node))
}

fn in_graph(graph: &mut GraphProto) -> bool {
    let mut changed = false;
    let initializers = &mut graph.initializer;
    graph.sparse_initializer.retain(|sparse| {
        let name = sparse.values.as_ref().map(|values| values.name().to_string());
        match name.zip(dense(sparse)) {
            Some((name, value)) => {
                changed = true;
                initializers.push(tensor_to_proto(&name, &value));
                false
            }
            None => true,
        }
    });
    for node in &mut graph.node {
        for attribute in node.attribute.iter_mut().filter(|a| a.name() == "sparse_value") {
            let Some(value) = attribute.sparse_tensor.as_ref().and_then(dense) else { continue };
            (attribute.name, attribute.sparse_tensor) = (Some("value".to_string()), None);
            (attribute.t, attribute.r#type) = (Some(tensor_to_proto("", &value)), Some(attribute_type::TENSOR));
            changed = true;
        }
        for body in node.subgraphs_mut() {
            changed |= in_graph(body);
        }
    }
    changed
}

/// All elements of a sparse tensor; `None` where it makes no sense or is too large.
pub fn dense(sparse: &SparseTensorProto) -> Option<Tensor> {
    let values = tensor_from_proto(sparse.values.as_ref()?).ok()?;
    let indices = tensor_from_proto(sparse.indices.as_ref()?).ok().filter(|t| t.dtype == DType::Int64)?;
    let shape: Vec<usize> = sparse.dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<_>>()?;
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= LARGEST)?;
    let size = values.dtype.byte_len(1).filter(|_| values.as_strings().is_none())?;
    let mut bytes = vec![0u8; values.dtype.byte_len(elements)?];
    let at = indices.view::<i64>();
    let told = values.elements();
    for i in 0..told {
        let place = if indices.shape.len() == 2 && indices.shape[1] == shape.len() {
            let row = &at[i * shape.len()..(i + 1) * shape.len()];
            row.iter().zip(&shape).try_fold(0usize, |flat, (index, size)| {
                let index = usize::try_from(*index).ok().filter(|index| index < size)?;
                Some(flat * size + index)
            })?
        } else {
            usize::try_from(*at.get(i)?).ok()?
        };
        bytes.get_mut(place * size..(place + 1) * size)?.copy_from_slice(values.bytes().get(i * size..(i + 1) * size)?);
    }
    Tensor::new(values.dtype, shape, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::TensorProto;

    fn sparse(dims: &[i64], values: &[f32], shape: &[usize], indices: &[i64]) -> SparseTensorProto {
        let named = |name: &str, tensor: &Tensor| Some(tensor_to_proto(name, tensor));
        SparseTensorProto {
            values: named("w", &Tensor::f32(&[values.len()], values)),
            indices: named("", &Tensor::i64(shape, indices)),
            dims: dims.to_vec(),
        }
    }

    #[test]
    fn both_kinds_of_places() {
        let flat = dense(&sparse(&[2, 3], &[7.0, 8.0], &[2], &[1, 5])).unwrap();
        assert_eq!(flat.view::<f32>().as_ref(), [0.0, 7.0, 0.0, 0.0, 0.0, 8.0]);
        let by_axis = dense(&sparse(&[2, 3], &[7.0, 8.0], &[2, 2], &[0, 1, 1, 2])).unwrap();
        assert!(by_axis.identical(&flat));
        assert!(dense(&sparse(&[2, 3], &[7.0], &[1], &[6])).is_none(), "beyond the end");
        assert!(dense(&sparse(&[2, -3], &[7.0], &[1], &[0])).is_none(), "no shape");
    }

    #[test]
    fn a_model_without_any_stays_as_it_is() {
        let graph = |sparse_initializer| GraphProto { sparse_initializer, ..Default::default() };
        let model = |sparse| ModelProto { graph: Some(graph(sparse)), ..Default::default() };
        assert!(written_out(&model(Vec::new())).is_none());
        let written = written_out(&model(vec![sparse(&[2], &[7.0], &[1], &[1])])).unwrap().graph.unwrap();
        let names: Vec<&str> = written.initializer.iter().map(TensorProto::name).collect();
        assert_eq!((names, written.sparse_initializer.len()), (vec!["w"], 0));
    }
}
