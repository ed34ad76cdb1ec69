//! Loop and Scan: what the first iteration sees.

use proptest::prelude::*;

use super::*;

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = Some(attribute_type::INTS);
    AttributeProto { name: Some(name.to_string()), ints: values.to_vec(), r#type, ..Default::default() }
}

fn looped(inputs: &[&str]) -> NodeProto {
    let nodes = vec![node("Add", &["s", "h"], &["s2"]), node("Cast", &["i"], &["f"])];
    let body = body(&["i", "go", "s"], nodes, &["go", "s2", "f"]);
    node("Loop", inputs, &["last", "all"]).with(attribute("body", body))
}

#[test]
fn a_loop_is_entered_at_its_first_iteration() {
    for inputs in [["m", "c", "x"], ["", "", "x"]] {
        let case = entered(&model(looped(&inputs))).unwrap();
        let want = vec![("i", vec![]), ("go", vec![]), ("s", vec![2, 3]), ("h", vec![2, 3])];
        assert_eq!((fed(&case), outputs(&case)), (want, vec!["s2", "f"]));
        assert!(case.feeds["i"].identical(&Tensor::i64(&[], &[0])));
        assert!(case.feeds["go"].identical(&flag(true)));
        assert!(case.feeds["s"].identical(&values("x").unwrap()));
    }
}

#[test]
fn a_loop_that_does_not_run_is_not_entered() {
    let whole = model(looped(&["m", "c", "x"]));
    let but = |changed: &str, tensor: Option<Tensor>| {
        let value = |name: &str| {
            if name == changed { tensor.clone() } else { values(name) }
        };
        descend(&whole, 2, &value).is_some()
    };
    assert!(but("m", Some(Tensor::i64(&[1], &[1]))));
    assert!(!but("m", Some(Tensor::i64(&[], &[0]))), "no trips");
    assert!(!but("c", Some(flag(false))), "stopped before it starts");
    assert!(!but("m", None) && !but("c", None) && !but("x", None), "not known");
    assert!(!but("c", Some(Tensor::i64(&[], &[1]))), "a condition is a bool");
    assert!(entered(&model(looped(&["m", "c"]))).is_none(), "a body with more inputs than the loop gives");
}

#[test]
fn a_body_that_declares_vectors_of_one_gets_them() {
    let mut holder = looped(&["m", "c", "x"]);
    for graph in holder.subgraphs_mut() {
        graph.input[0] = ValueInfoProto::tensor("i", DType::Int64, &[1]);
        graph.input[1] = ValueInfoProto::tensor("go", DType::Bool, &[1]);
    }
    let case = entered(&model(holder)).unwrap();
    assert_eq!(fed(&case)[..2], [("i", vec![1]), ("go", vec![1])]);
}

fn scanned(attributes: &[AttributeProto]) -> NodeProto {
    let body = body(
        &["s", "a", "b"],
        vec![node("Add", &["s", "a"], &["s2"]), node("Mul", &["b", "b"], &["b2"])],
        &["s2", "b2"],
    );
    let mut scan = node("Scan", &["m", "x", "n"], &["last", "all"]);
    scan.attribute = [&[AttributeProto::int("num_scan_inputs", 2), attribute("body", body)], attributes].concat();
    scan
}

#[test]
fn a_scan_is_entered_with_the_slices_that_it_takes_first() {
    let check = |attributes: &[AttributeProto], a: Tensor, b: Tensor| {
        let case = entered(&model(scanned(attributes))).unwrap();
        assert_eq!(outputs(&case), ["s2", "b2"]);
        assert!(case.feeds["s"].identical(&values("m").unwrap()), "the state is not sliced");
        fed(&case);
        for (name, want) in [("a", a), ("b", b)] {
            assert!(case.feeds[name].identical(&want), "{name}: {:?}", case.feeds[name].bytes());
        }
    };
    let (axes, directions) = ("scan_input_axes", "scan_input_directions");
    check(&[], Tensor::f32(&[3], &[0., 1., 2.]), Tensor::i64(&[2], &[10, 11]));
    check(&[ints(axes, &[1, 0])], Tensor::f32(&[2], &[0., 3.]), Tensor::i64(&[2], &[10, 11]));
    check(&[ints(directions, &[0, 1])], Tensor::f32(&[3], &[0., 1., 2.]), Tensor::i64(&[2], &[12, 13]));
    let both = [ints(axes, &[-1, -2]), ints(directions, &[1, 1])];
    check(&both, Tensor::f32(&[2], &[2., 5.]), Tensor::i64(&[2], &[12, 13]));
}

#[test]
fn a_scan_that_cannot_be_sliced_is_not_entered() {
    assert!(entered(&model(scanned(&[ints("scan_input_axes", &[2, 0])]))).is_none(), "no such axis");
    assert!(entered(&model(scanned(&[ints("scan_input_axes", &[-3, 0])]))).is_none(), "no such axis");
    let plain = model(scanned(&[]));
    let empty = |name: &str| {
        if name == "x" { Some(Tensor::f32(&[0, 3], &[])) } else { values(name) }
    };
    assert!(descend(&plain, 2, &empty).is_none(), "a sequence of no steps");
    let old = ModelProto { opset_import: vec![opset("", 8)], ..plain };
    assert!(descend(&old, 2, &values).is_none() && !holds_a_body(&old, &old.graph.as_ref().unwrap().node[2]));
}

proptest! {
    #[test]
    fn slices_are_what_indexing_gives(shape in prop::collection::vec(1usize..5, 1..4), axis in 0usize..4, index in 0usize..5) {
        let count: usize = shape.iter().product();
        let numbers: Vec<i64> = (0..count as i64).collect();
        let whole = Tensor::i64(&shape, &numbers);
        let words = Tensor::strings(shape.clone(), numbers.iter().map(i64::to_string).collect()).unwrap();
        let Some(length) = shape.get(axis).filter(|length| index < **length) else {
            prop_assert!(slice(&whole, axis, index).is_none());
            return Ok(());
        };
        let stride: usize = shape[axis + 1..].iter().product();
        let want: Vec<i64> = numbers.iter().copied().filter(|n| *n as usize / stride % length == index).collect();
        let got = slice(&whole, axis, index).unwrap();
        prop_assert_eq!(got.view::<i64>().to_vec(), want.clone());
        prop_assert_eq!(got.shape.len(), shape.len() - 1);
        let told: Vec<String> = want.iter().map(i64::to_string).collect();
        let words = slice(&words, axis, index).unwrap();
        prop_assert_eq!(words.as_strings(), Some(told.as_slice()));
    }
}

#[test]
fn types_of_less_than_a_byte_are_not_sliced() {
    let packed = Tensor::new(DType::Int4, vec![2, 2], vec![0u8; 2]).unwrap();
    assert!(slice(&packed, 0, 1).is_none());
}
