//! Weights, constants, scales, and types that attributes name.

use super::*;

#[test]
fn weights_before_ir_4_stay_inputs() {
    let mut case = case(chain(), &[]).weight("w", &[1.0, 2.0]);
    case.graph.input.push(ValueInfoProto::tensor("w", DType::Float32, &[2]));
    case.graph.node.push(node("Mul", &["b", "w"], &["z"]));
    case.types.insert("z".to_string(), DType::Float32);
    (case.ir, case.opset, case.keep) = (3, 8, &["z"]);
    let got = case.convert();
    let inputs: Vec<_> = main(&got).input.iter().map(|v| (v.name().to_string(), v.dtype().unwrap())).collect();
    let w = |name: &str, dtype| (name.to_string(), dtype);
    assert_eq!(inputs[1..], [w("w", DType::Float32), w("w/fp16", DType::Float16)]);
    // A default that callers may replace is one value, with a Cast.
    case.ir = 8;
    let got = case.convert();
    assert_eq!(weights(main(&got)), [w("w", DType::Float16)]);
    assert!(text(main(&got)).contains(&"Cast:fp32(w) w/fp32".to_string()));
}

#[test]
fn slots_that_are_float32_only_stay() {
    let case = case(vec![node("Relu", &["x"], &["a"]), node("Resize", &["a", "", "s"], &["y"])], &[]);
    let got = case.weight("s", &[2.0]).check(&["Relu(x) a", "Resize(a,,s) y"]);
    assert_eq!(weights(main(&got)), [("s".to_string(), DType::Float32)]);
}

#[test]
fn quantisation_scales_follow_the_opset_and_their_size() {
    let quantised = |scale: f32, opset: i64| {
        let nodes = vec![node("QuantizeLinear", &["x", "s"], &["q"]), node("DequantizeLinear", &["q", "s"], &["y"])];
        Case { opset, ..case(nodes, &[("q", DType::Uint8)]).weight("s", &[scale]) }
    };
    let low = quantised(0.1, 19).check(&["QuantizeLinear(x,s) q", "DequantizeLinear(q,s) y"]);
    assert_eq!(weights(main(&low)), [("s".to_string(), DType::Float16)]);
    let full =
        ["Cast:fp32(x) x/fp32", "QuantizeLinear(x/fp32,s) q", "DequantizeLinear(q,s) y/fp32", "Cast:fp16(y/fp32) y"];
    assert!(quantised(0.1, 13).check(&full).notes[0].contains("opset"));
    assert!(quantised(1e-7, 19).check(&full).notes[0].contains("scale"));
}

#[test]
fn types_in_attributes_change_with_their_node() {
    let random = vec![node("RandomNormal", &[], &["a"]), node("Add", &["a", "x"], &["y"])];
    let got = case(random, &[]).convert();
    assert_eq!(main(&got).node[0].attr("dtype").map(|a| a.i()), Some(10));
    let fill = AttributeProto::tensor("value", TensorProto { name: None, ..floats("", &[-1e9]) });
    let filled = vec![
        node("NonZero", &["x"], &["s"]),
        node("ConstantOfShape", &["s"], &["a"]).with(fill),
        node("Add", &["a", "x"], &["y"]),
    ];
    let got = case(filled, &[("s", DType::Int64)]).convert();
    assert_eq!(main(&got).node[1].attr("value").unwrap().t.as_ref().unwrap().dtype(), Some(DType::Float16));
    let want = "the value of ConstantOfShape 'a': 1 of 1 value is beyond +-65504 and infinite now; --keep its readers to avoid that";
    assert_eq!(got.notes, [want]);
}

#[test]
fn constants_have_the_precision_of_their_readers() {
    let constant = NodeProto::new("Constant", "c", &[], &["c"]).with(AttributeProto {
        name: Some("value_float".to_string()),
        f: Some(1e5),
        ..Default::default()
    });
    let nodes = vec![constant, node("Add", &["x", "c"], &["a"]), node("Mul", &["a", "c"], &["y"])];
    let got = case(nodes.clone(), &[]).check(&["Constant() c", "Add(x,c) a", "Mul(a,c) y"]);
    let want = "constant 'c' (read by 'a', 'y'): 1 of 1 value is beyond +-65504 and infinite now; --keep its readers to avoid that";
    assert_eq!(got.notes, [want]);
    let both = Case { keep: &["y"], ..case(nodes, &[]) };
    let got = both.check(&[
        "Constant() c",
        "Constant() c/fp16",
        "Add(x,c/fp16) a",
        "Cast:fp32(a) a/fp32",
        "Mul(a/fp32,c) y/fp32",
        "Cast:fp16(y/fp32) y",
    ]);
    assert!(main(&got).node[0].attr("value_float").is_some());
}

#[test]
fn a_small_weight_is_counted() {
    let got = case(chain(), &[]).weight("w", &[0.0, 1e-6, 1e-9, 1.0]).convert();
    let want = "initializer 'w' (read by 'b'): 2 of 4 values are below 6.1e-5, subnormal or zero in float16";
    assert_eq!(got.notes, [want]);
}

#[test]
fn many_losses_are_one_sentence() {
    let names: Vec<String> = (0..57).map(|i| format!("w{i}")).collect();
    let mut all = case(vec![node("Relu", &["x"], &["t0"])], &[("y", DType::Float32)]);
    for (i, name) in names.iter().enumerate() {
        let (from, to) = (format!("t{i}"), if i == 56 { "y".to_string() } else { format!("t{}", i + 1) });
        all.graph.node.push(node("Add", &[&from, name], &[&to]));
        all.types.insert(to, DType::Float32);
        all = all.weight(name, &[1e-7, 1.0]);
    }
    let want = "57 weights: initializer 'w0' (read by 't1'), initializer 'w1' (read by 't2') and 55 more: 57 of 114 values \
                are below 6.1e-5, subnormal or zero in float16";
    assert_eq!(all.convert().notes, [want]);
}

#[test]
fn float32_attributes_and_broken_definitions_stay() {
    let splits = AttributeProto::tensor("nodes_splits", floats("", &[0.5]));
    let mut tree = node("TreeEnsemble", &["x"], &["y"]).with(splits);
    tree.domain = Some("ai.onnx.ml".to_string());
    let mut tree = case(vec![tree], &[]);
    tree.imports = vec![("ai.onnx.ml", 5)];
    let around = ["Cast:fp32(x) x/fp32", "TreeEnsemble(x/fp32) y/fp32", "Cast:fp16(y/fp32) y"];
    let got = tree.check(&around);
    assert_eq!(got.notes, ["1 node stays in FP32 (its attributes are float32 tensors): 'y'"]);
    // Nothing imports ONNX's own operators, and the Casts are some.
    let imported: Vec<(&str, i64)> = got.model.opset_import.iter().map(|o| (o.domain(), o.version())).collect();
    assert_eq!(imported, [("ai.onnx.ml", 5), ("", ADDED_OPSET)]);

    let stays = |op: &str, opset: i64, low: DType| {
        let converted = Case { opset, low, ..case(vec![node(op, &["x"], &["y"])], &[]) }.convert();
        converted.kept == ["y"]
    };
    let (half, brain) = (DType::Float16, DType::Bfloat16);
    assert!(stays("MeanVarianceNormalization", 13, half) && stays("EyeLike", 22, half));
    assert!(stays("Clip", 13, brain) && !stays("Clip", 13, half) && !stays("Clip", 17, brain));
    assert!(!stays("Relu", 17, half));
}
