use super::*;
use crate::onnx::StringStringEntryProto;

const TRACE: &str = "File \"/home/u/model.py\", line 213, in forward\n    y = self.query(x)\n  \
    File \"/usr/lib/python3/site-packages/torch/nn/modules/linear.py\", line 134, in forward\n    return F.linear(input)";

fn node(name: &str, op_type: &str, beside: &[(&str, &str)]) -> NodeProto {
    let mut node = NodeProto::new(op_type, name, &["x"], &["y"]);
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto::new(&format!("pkg.torch.onnx.{key}"), *value);
    node.metadata_props = beside.iter().map(entry).collect();
    node
}

#[test]
fn the_exporter_says_module_class_and_line() {
    let scopes = "['', 'layer.0', 'layer.0.query', 'linear_3']";
    let classes = "['m.Net', 'm.Block', 'torch.nn.modules.linear.Linear', 'aten.linear.default']";
    let all = [("name_scopes", scopes), ("class_hierarchy", classes), ("stack_trace", TRACE)];
    let torch = Torch::of(&node("node_linear_3", "Add", &all)).unwrap();
    let told = ("layer.0.query", Some("Linear"), Some("/home/u/model.py:213 in forward"));
    assert_eq!((torch.scope.as_str(), torch.module.as_deref(), torch.source.as_deref()), told);
    assert_eq!(torch.told(), "layer.0.query (Linear), model.py:213");

    let torch =
        Torch::of(&node("node_add", "Add", &[("name_scopes", "['', 'add']"), ("class_hierarchy", "['m.Net', 'a']")]));
    assert_eq!(torch.unwrap().told(), "the model itself (Net)");
}

#[test]
fn what_is_no_such_metadata_says_nothing() {
    for scopes in ["", "[]", "['x']", "['", "['a', b]", "{}", "['a', 'b"] {
        assert_eq!(Torch::of(&node("node_add", "Add", &[("name_scopes", scopes)])), None, "{scopes}");
    }
    let torch =
        Torch::of(&node("n", "Add", &[("name_scopes", r#"['', "it's", 'a\'b']"#), ("stack_trace", "?")])).unwrap();
    assert_eq!((torch.scope.as_str(), torch.module, torch.source), ("it's", None, None));
}

#[test]
fn the_line_is_the_programs_own() {
    let inside = "File \"/x/dist-packages/torch/nn/f.py\", line 5, in g";
    assert_eq!(source(inside).unwrap(), "/x/dist-packages/torch/nn/f.py:5 in g");
    assert_eq!(source("File \"C:\\m\\n.py\", line 7").unwrap(), "C:\\m\\n.py:7");
    let torch = Torch { scope: "a".into(), source: Some("C:\\m\\n.py:7".into()), ..Torch::default() };
    assert_eq!(torch.told(), "a, n.py:7");
    assert_eq!(file_and_line("/home/all in one/m.py:3 in forward"), "m.py:3");
    assert_eq!(file_and_line("/home/all in one/m.py:3"), "m.py:3");
}

#[test]
fn names_of_the_torchscript_exporter() {
    let scope = |name: &str, op_type: &str| Torch::of(&node(name, op_type, &[])).map(|torch| torch.scope);
    for (name, op_type, expected) in [
        ("/encoder/layer.0/attention/self/query/MatMul", "MatMul", "encoder.layer.0.attention.self.query"),
        ("/body/body.0/Conv_12", "Conv", "body.0"),
        ("/layer.1/ff/ff.3/Add", "Add", "layer.1.ff.3"),
        ("/net/blocks.0/blocks.0.1/Relu", "Relu", "net.blocks.0.blocks.0.1"),
        ("/shared_1/MatMul", "MatMul", "shared_1"),
    ] {
        assert_eq!(scope(name, op_type).as_deref(), Some(expected), "{name}");
    }
    for (name, op_type) in [
        ("/Add", "Add"),
        ("model/dense/MatMul", "MatMul"),
        ("/fc1/Gemm_output_0_QuantizeLinear", "QuantizeLinear"),
        ("/fc1/MatMul_x", "MatMul"),
        ("//Add", "Add"),
        ("/fc1/", ""),
    ] {
        assert_eq!(scope(name, op_type), None, "{name}");
    }
    let torch = Torch::of(&node("/body/body.0/Conv", "Conv", &[])).unwrap();
    assert_eq!(torch.told(), "scope by its name: body.0");
}
