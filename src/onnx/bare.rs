//! A model without what people and programs wrote beside it: documentation, metadata (exporters keep stack traces there, with the
//! paths of whoever exported), the producer. Operators, weights, names and types stay: it computes the same.

use super::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto,
};

impl ModelProto {
    /// The same, in every graph, function and tensor of it. Training graphs run nowhere here, and go.
    pub fn bare(mut self) -> ModelProto {
        (self.producer_name, self.producer_version, self.doc_string) = (None, None, None);
        self.metadata_props.clear();
        self.training_info.clear();
        self.graph.iter_mut().for_each(graph);
        self.functions.iter_mut().for_each(function);
        self
    }
}

fn graph(graph: &mut GraphProto) {
    graph.doc_string = None;
    graph.metadata_props.clear();
    graph.node.iter_mut().for_each(node);
    graph.initializer.iter_mut().for_each(tensor);
    graph.sparse_initializer.iter_mut().for_each(sparse);
    graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info).for_each(value);
}

fn function(function: &mut FunctionProto) {
    function.doc_string = None;
    function.metadata_props.clear();
    function.node.iter_mut().for_each(node);
    function.attribute_proto.iter_mut().for_each(attribute);
    function.value_info.iter_mut().for_each(value);
}

fn node(node: &mut NodeProto) {
    node.doc_string = None;
    node.metadata_props.clear();
    node.attribute.iter_mut().for_each(attribute);
}

fn attribute(attribute: &mut AttributeProto) {
    attribute.doc_string = None;
    attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(tensor);
    attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors).for_each(sparse);
    attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(graph);
}

fn sparse(of: &mut SparseTensorProto) {
    of.values.iter_mut().chain(&mut of.indices).for_each(tensor);
}

fn tensor(tensor: &mut TensorProto) {
    tensor.doc_string = None;
    tensor.metadata_props.clear();
}

fn value(value: &mut ValueInfoProto) {
    value.doc_string = None;
    value.metadata_props.clear();
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::onnx::StringStringEntryProto;

    const SECRET: &str = "/home/somebody/project/model.py";

    /// Whatever holds a text of its own holds the secret.
    fn told_everywhere() -> ModelProto {
        let doc_string = Some(SECRET.as_bytes().to_vec().into());
        let metadata_props = vec![StringStringEntryProto::new("pkg.torch.onnx.stack_trace", SECRET)];
        let weight = TensorProto {
            name: Some("w".into()),
            doc_string: doc_string.clone(),
            metadata_props: metadata_props.clone(),
            ..Default::default()
        };
        let sparse =
            SparseTensorProto { values: Some(weight.clone()), indices: Some(weight.clone()), ..Default::default() };
        let value = ValueInfoProto {
            doc_string: doc_string.clone(),
            metadata_props: metadata_props.clone(),
            ..ValueInfoProto::bare("x")
        };
        let inner = GraphProto {
            node: vec![NodeProto {
                doc_string: doc_string.clone(),
                metadata_props: metadata_props.clone(),
                ..NodeProto::new("Neg", "n", &["x"], &["y"])
            }],
            initializer: vec![weight.clone()],
            sparse_initializer: vec![sparse.clone()],
            input: vec![value.clone()],
            output: vec![value.clone()],
            value_info: vec![value.clone()],
            doc_string: doc_string.clone(),
            metadata_props: metadata_props.clone(),
            ..Default::default()
        };
        let attribute = AttributeProto {
            name: Some("body".into()),
            doc_string: doc_string.clone(),
            t: Some(weight.clone()),
            tensors: vec![weight],
            g: Some(inner.clone()),
            graphs: vec![inner.clone()],
            sparse_tensor: Some(sparse.clone()),
            sparse_tensors: vec![sparse],
            ..Default::default()
        };
        let mut outer = inner;
        outer.node[0].attribute.push(attribute.clone());
        let function = FunctionProto {
            name: Some("f".into()),
            node: outer.node.clone(),
            attribute_proto: vec![attribute],
            value_info: vec![value],
            doc_string: doc_string.clone(),
            metadata_props: metadata_props.clone(),
            ..Default::default()
        };
        let training = crate::onnx::TrainingInfoProto { initialization: Some(outer.clone()), ..Default::default() };
        ModelProto {
            ir_version: Some(10),
            producer_name: Some("pytorch".into()),
            producer_version: Some(SECRET.into()),
            doc_string,
            metadata_props,
            graph: Some(outer),
            functions: vec![function],
            training_info: vec![training],
            ..Default::default()
        }
    }

    #[test]
    fn nothing_is_left_of_what_stood_beside() {
        let holds = |model: &ModelProto, text: &str| {
            let bytes = model.encode_to_vec();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let model = told_everywhere();
        assert!(holds(&model, SECRET));
        let bare = model.clone().bare();
        assert!(!holds(&bare, SECRET) && !holds(&bare, "stack_trace") && !holds(&bare, "pytorch"));
        let node = |model: &ModelProto| {
            model.graph.as_ref().map(|graph| (graph.node[0].op_type().to_string(), graph.input.len()))
        };
        assert_eq!(node(&bare), node(&model));
        assert_eq!(bare.clone().bare(), bare);
    }
}
