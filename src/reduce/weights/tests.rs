//! Large weights of small models; the nodes in their place are computed by hand.

use std::convert::Infallible;

use super::*;
use crate::graph::Graph;
use crate::onnx::*;

fn noise(shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i as f32 * 1.7).sin()).collect();
    Tensor::f32(shape, &values)
}

fn case(weights: &[(&str, Tensor)], opset: i64) -> Case {
    let names: Vec<&str> = std::iter::once("x").chain(weights.iter().map(|(name, _)| *name)).collect();
    let graph = GraphProto {
        node: vec![NodeProto::new("Op", "op", &names, &["y"])],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[1])],
        initializer: weights.iter().map(|(name, t)| tensor_to_proto(name, t)).collect(),
        output: vec![ValueInfoProto::bare("y")],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(opset) };
    let model = ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    Case { model, expected: Some(Default::default()), ..Default::default() }
}

/// Shrinks what is above 4000 bytes, with an answer by the words of each question.
fn shrunk(case: Case, answer: impl Fn(&str) -> Answer) -> (Case, Vec<String>) {
    let mut asked = Vec::new();
    let Ok(got) = shrink_weights(case, &|_| None, 4000, |attempts| {
        Graph::new(&attempts[0].case.model).unwrap();
        assert!(attempts[0].case.expected.is_none());
        asked.push(attempts[0].what.clone());
        Ok::<_, Infallible>(vec![answer(&attempts[0].what)])
    });
    (got, asked)
}

fn main_of(case: &Case) -> &GraphProto {
    case.model.graph.as_ref().unwrap()
}

fn operators(case: &Case) -> Vec<&str> {
    main_of(case).node.iter().map(|n| n.op_type()).collect()
}

fn initializer(case: &Case, name: &str) -> Tensor {
    tensor_from_proto(main_of(case).initializer.iter().find(|t| t.name() == name).unwrap()).unwrap()
}

#[test]
fn one_value_where_the_failure_survives_that() {
    let (got, asked) = shrunk(case(&[("w", noise(&[40, 50])), ("b", noise(&[50]))], 13), |_| Answer::Bad);
    assert_eq!(asked, ["weight w as one value"]);
    assert_eq!(operators(&got), ["ConstantOfShape", "Op"]);
    let fill = &main_of(&got).node[0];
    assert_eq!(fill.output, ["w"]);
    assert_eq!(initializer(&got, &fill.input[0]).view::<i64>().as_ref(), [40, 50]);
    assert_eq!(main_of(&got).value_info, [ValueInfoProto::tensor("w", DType::Float32, &[40, 50])]);
    assert_eq!(main_of(&got).node.iter().map(is_generator).collect::<Vec<_>>(), [true, false]);
    initializer(&got, "b");
}

#[test]
fn else_a_block_again_and_again() {
    let answer = |what: &str| if what.contains("block") { Answer::Bad } else { Answer::Good };
    let (got, _) = shrunk(case(&[("w", noise(&[40, 50]))], 13), answer);
    assert_eq!(operators(&got), ["Tile", "Slice", "Reshape", "Op"]);
    let [tile, slice, reshape, _] = main_of(&got).node.as_slice() else { panic!("four nodes") };
    let block = initializer(&got, &tile.input[0]);
    let times = initializer(&got, &tile.input[1]).view::<i64>()[0] as usize;
    assert!((block.elements() * (times - 1)..=block.elements() * times).contains(&2000));
    assert_eq!((&slice.input[0], &reshape.input[0]), (&tile.output[0], &slice.output[0]));
    assert_eq!(initializer(&got, &slice.input[1]).view::<i64>().as_ref(), [0]);
    assert_eq!(initializer(&got, &slice.input[2]).view::<i64>().as_ref(), [2000]);
    assert_eq!(initializer(&got, &reshape.input[1]).view::<i64>().as_ref(), [40, 50]);
    assert_eq!(reshape.output, ["w"]);
    let own = noise(&[2000]);
    assert!(block.view::<f32>().iter().all(|v| own.view::<f32>().contains(v)));
}

#[test]
fn nothing_is_cut_off_where_the_block_fits() {
    let answer = |what: &str| if what.contains("block") { Answer::Bad } else { Answer::Unknown };
    let (got, _) = shrunk(case(&[("w", noise(&[251, 8]))], 13), answer);
    assert_eq!(operators(&got), ["Tile", "Reshape", "Op"]);
}

#[test]
fn several_at_once_else_the_largest_first() {
    let given = || case(&[("small", noise(&[2000])), ("large", noise(&[90, 50]))], 13);
    let (got, asked) = shrunk(given(), |_| Answer::Bad);
    assert_eq!(asked, ["weights large,small as one value"]);
    assert_eq!(operators(&got), ["ConstantOfShape", "ConstantOfShape", "Op"]);
    let (got, asked) = shrunk(given(), |what| match what {
        "weight small as a repeated block" => Answer::Bad,
        _ => Answer::Good,
    });
    assert_eq!(
        asked[2..],
        [
            "weight large as one value",
            "weight large as a repeated block",
            "weight small as one value",
            "weight small as a repeated block"
        ]
    );
    assert!(initializer(&got, "large").identical(&noise(&[90, 50])));
    let names: Vec<&str> = main_of(&got).node.iter().map(|n| n.name()).collect();
    assert_eq!(names, ["layerdiff_weights_0_tile", "layerdiff_weights_0_slice", "layerdiff_weights_0_reshape", "op"]);
}

#[test]
fn integers_small_weights_and_old_opsets_are_left_alone() {
    let integers = Tensor::i64(&[2000], &[3; 2000]);
    let (_, asked) = shrunk(case(&[("i", integers), ("small", noise(&[1000]))], 13), |_| Answer::Bad);
    assert!(asked.is_empty(), "{asked:?}");
    let (_, asked) = shrunk(case(&[("w", noise(&[2000]))], 8), |_| Answer::Bad);
    assert!(asked.is_empty(), "{asked:?}");
    let (_, asked) = shrunk(case(&[("w", noise(&[2000]))], 9), |_| Answer::Good);
    assert_eq!(asked, ["weight w as one value"]);
}

#[test]
fn a_second_weight_gets_names_of_its_own() {
    let (first, _) = shrunk(case(&[("a", noise(&[2000]))], 13), |_| Answer::Bad);
    let mut second = first;
    let main = second.model.graph.as_mut().unwrap();
    main.node[1].input.push("b".to_string());
    main.initializer.push(tensor_to_proto("b", &noise(&[3000])));
    let (got, _) = shrunk(second, |_| Answer::Bad);
    let mut names: Vec<&str> = main_of(&got).node.iter().map(|n| n.name()).collect();
    names.sort();
    assert_eq!(names, ["layerdiff_weights_0_fill", "layerdiff_weights_1_fill", "op"]);
}
