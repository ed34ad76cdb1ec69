//! Closures that play the operators: they refuse shapes that do not fit, and fail where the marked values are left.

mod shapes;

use std::collections::HashSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::graph::Graph;
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::*;
use crate::tensor::{DType, Tensors};

const MARK: f32 = 7.0;

fn case(feeds: &[(&str, Tensor)], weights: &[(&str, Tensor)], output: &[usize]) -> Case {
    let names: Vec<&str> = feeds.iter().chain(weights).map(|(name, _)| *name).collect();
    let graph = GraphProto {
        node: vec![NodeProto::new("Op", "op", &names, &["y"])],
        input: feeds.iter().map(|(name, t)| ValueInfoProto::tensor(name, t.dtype, &t.shape)).collect(),
        initializer: weights.iter().map(|(name, t)| tensor_to_proto(name, t)).collect(),
        output: vec![ValueInfoProto::bare("y")],
        value_info: vec![ValueInfoProto::tensor("y", DType::Float32, output)],
        ..Default::default()
    };
    let model = ModelProto { graph: Some(graph), ..Default::default() };
    let feeds: Tensors = feeds.iter().map(|(name, t)| (name.to_string(), t.clone())).collect();
    let y = Tensor::f32(output, &vec![0.0; output.iter().product()]);
    Case { model, feeds, expected: Some(Tensors::from([("y".to_string(), y)])) }
}

/// Numbers of which the one at `marked` stands out.
fn marked(shape: &[usize], marked: &[usize]) -> Tensor {
    let mut values = vec![0.5; shape.iter().product()];
    let place = shape.iter().zip(marked).fold(0, |at, (size, index)| at * size + index);
    values[place] = MARK;
    Tensor::f32(shape, &values)
}

fn value(case: &Case, name: &str) -> Tensor {
    let weight = || case.model.graph.as_ref()?.initializer.iter().find(|t| t.name() == name);
    case.feeds.get(name).cloned().unwrap_or_else(|| tensor_from_proto(weight().unwrap()).unwrap())
}

fn has_mark(case: &Case, name: &str) -> bool {
    value(case, name).view::<f32>().contains(&MARK)
}

fn answer(fits: bool, fails: bool) -> Answer {
    match (fits, fails) {
        (false, _) => Answer::Unknown,
        (true, true) => Answer::Bad,
        (true, false) => Answer::Good,
    }
}

/// Shrinks; every case that is asked about is sound, its declared shapes are those of its data, its words its own.
fn shrunk(case: Case, hint: Option<&[usize]>, enough: u64, test: impl Fn(&Case) -> Answer) -> (Shrunk, Vec<String>) {
    let mut asked: Vec<String> = Vec::new();
    let rank = case.expected.as_ref().unwrap()["y"].shape.len();
    let Ok(got) = shrink(case, &|_| None, hint, enough, |attempts| {
        for attempt in attempts {
            Graph::new(&attempt.case.model).unwrap();
            let main = attempt.case.model.graph.as_ref().unwrap();
            for input in &main.input {
                let fed = &attempt.case.feeds[input.name()];
                assert_eq!(*input, ValueInfoProto::tensor(input.name(), fed.dtype, &fed.shape));
            }
            // Element type and rank stay, sizes go: nobody knows them.
            let open = TensorShapeProto { dim: vec![Dimension::default(); rank] };
            let y = ValueInfoProto::typed("y", DType::Float32, Some(open));
            assert_eq!((&main.output[0], &main.value_info[0]), (&y, &y));
            assert!(attempt.case.expected.is_none());
            asked.push(attempt.what.clone());
        }
        Ok::<_, Infallible>(attempts.iter().map(|a| test(&a.case)).collect())
    });
    assert!(asked.len() <= QUESTIONS);
    assert_eq!(asked.iter().collect::<HashSet<_>>().len(), asked.len(), "{asked:?}");
    (got, asked)
}

proptest! {
    #[test]
    fn of_element_wise_operators_one_element_is_left(
        (shape, place) in prop::collection::vec(1usize..9, 0..5).prop_flat_map(|shape| {
            let place: Vec<_> = shape.iter().map(|n| 0..*n).collect();
            (Just(shape), place)
        }),
        hinted in any::<bool>(),
    ) {
        let (x, z) = (marked(&shape, &place), marked(&shape, &place));
        let given = case(&[("x", x), ("z", z)], &[], &shape);
        let (got, _) = shrunk(given, hinted.then_some(place.as_slice()), 0, |c| {
            answer(c.feeds["x"].shape == c.feeds["z"].shape, has_mark(c, "x"))
        });
        for name in ["x", "z"] {
            prop_assert_eq!(got.case.feeds[name].view::<f32>().to_vec(), [MARK]);
        }
    }
}

#[test]
fn the_failing_sample_needs_one_question() {
    let given = case(&[("x", marked(&[8, 5], &[3, 2])), ("n", marked(&[8], &[3]))], &[], &[8, 10]);
    let (got, asked) =
        shrunk(given, Some(&[3, 4]), 100, |c| answer(c.feeds["x"].shape[0] == c.feeds["n"].shape[0], has_mark(c, "x")));
    assert_eq!(asked, ["slice x:0=3..4 n:0=3..4"], "and less than `enough` is left");
    assert_eq!(got.case.feeds["x"].shape, [1, 5]);
    assert_eq!(got.notes, ["kept sample 3 (counted from 0) of 8: input x, input n"]);
}

#[test]
fn without_a_hint_and_with_halves_that_pass_samples_are_tried_alone() {
    // A failure of one sample alone: the largest of the batch is wrong only where nothing else is there.
    let given = case(&[("x", marked(&[8], &[2]))], &[], &[8]);
    let (got, _) = shrunk(given, None, 0, |c| {
        let left = c.feeds["x"].elements();
        answer(true, has_mark(c, "x") && (left == 1 || left == 8))
    });
    assert_eq!(got.notes, ["kept sample 2 (counted from 0) of 8: input x"]);
}

#[test]
fn a_matrix_product_shrinks_along_all_three_axes() {
    let given = case(&[("a", marked(&[6, 16], &[4, 9]))], &[("b", marked(&[16, 10], &[9, 3]))], &[6, 10]);
    let (got, _) = shrunk(given, Some(&[4, 3]), 0, |c| {
        let (a, b) = (value(c, "a"), value(c, "b"));
        answer(a.shape[1] == b.shape[0], has_mark(c, "a") && has_mark(c, "b"))
    });
    assert_eq!((value(&got.case, "a").shape, value(&got.case, "b").shape), (vec![1, 1], vec![1, 1]));
    assert!(has_mark(&got.case, "a") && has_mark(&got.case, "b"));
}

#[test]
fn a_convolution_keeps_a_window_of_space_and_drops_output_channels() {
    let x = marked(&[1, 4, 32, 32], &[0, 1, 15, 17]);
    let weights = [("w", marked(&[8, 4, 3, 3], &[5, 1, 0, 0])), ("b", marked(&[8], &[5]))];
    let given = case(&[("x", x)], &weights, &[1, 8, 30, 30]);
    let (got, _) = shrunk(given, Some(&[0, 5, 15, 16]), 0, |c| {
        let (x, w, b) = (value(c, "x").shape, value(c, "w").shape, value(c, "b").shape);
        let fits = x[1] == w[1] && w[0] == b[0] && x[2] >= w[2] && x[3] >= w[3] && w[2..] == [3, 3];
        answer(fits, ["x", "w", "b"].iter().all(|t| has_mark(c, t)))
    });
    // Halves of four do not hold the window of three, and thirds are not tried.
    assert_eq!(value(&got.case, "x").shape, [1, 1, 4, 4]);
    assert_eq!(value(&got.case, "w").shape, [1, 1, 3, 3]);
    assert_eq!(value(&got.case, "b").shape, [1]);
}

#[test]
fn normalisation_shrinks_with_scale_and_bias() {
    let weights = [("scale", marked(&[12], &[7])), ("bias", marked(&[12], &[7]))];
    let given = case(&[("x", marked(&[3, 12, 12], &[1, 2, 7]))], &weights, &[3, 12, 12]);
    let (got, _) = shrunk(given, Some(&[1, 2, 7]), 0, |c| {
        let last = value(c, "x").shape[2];
        let fits = value(c, "scale").shape == [last] && value(c, "bias").shape == [last];
        answer(fits, has_mark(c, "x"))
    });
    assert_eq!((value(&got.case, "x").shape, value(&got.case, "bias").shape), (vec![1, 1, 1], vec![1]));
}

#[test]
fn what_cannot_be_cut_stays_as_it_is() {
    let given = case(&[("x", marked(&[4, 4], &[1, 1]))], &[("shape", Tensor::i64(&[4], &[1, 2, 3, 4]))], &[4, 4]);
    let (before, expected) = (given.model.clone(), given.expected.is_some());
    let (got, asked) = shrunk(given, Some(&[1, 1]), 0, |_| Answer::Unknown);
    assert_eq!((got.case.model, got.case.expected.is_some()), (before, expected));
    assert!(got.notes.is_empty());
    assert!(asked.iter().all(|what| !what.contains("shape:")), "integers that steer are left alone: {asked:?}");
}

#[test]
fn the_number_of_questions_is_bounded() {
    let names: Vec<String> = (0..20).map(|i| format!("x{i}")).collect();
    let feeds: Vec<(&str, Tensor)> =
        names.iter().enumerate().map(|(i, n)| (n.as_str(), marked(&[1, 20 + i], &[0, i]))).collect();
    let given = case(&feeds, &[], &[1, 3]);
    let (_, asked) = shrunk(given, Some(&[0, 1]), 0, |_| Answer::Good);
    assert_eq!(asked.len(), QUESTIONS);
}

#[test]
fn weights_in_files_are_asked_for_and_cut_inline() {
    let mut given = case(&[("x", marked(&[2, 6], &[1, 4]))], &[("w", marked(&[6], &[4]))], &[2, 6]);
    let weight = &mut given.model.graph.as_mut().unwrap().initializer[0];
    (weight.raw_data, weight.data_location) = (None, Some(EXTERNAL));
    weight.external_data.push(StringStringEntryProto::new("location", "weights.bin"));
    let Ok(got) = shrink(given, &|_| Some(marked(&[6], &[4])), Some(&[1, 4]), 0, |attempts| {
        let kept = &attempts[0].case.model.graph.as_ref().unwrap().initializer[0];
        let fits = kept.dims[0] as usize == attempts[0].case.feeds["x"].shape[1];
        Ok::<_, Infallible>(vec![answer(fits, has_mark(&attempts[0].case, "x"))])
    });
    let weight = &got.case.model.graph.as_ref().unwrap().initializer[0];
    assert_eq!(*weight, tensor_to_proto("w", &marked(&[1], &[0])));
}

#[test]
fn an_error_of_the_test_ends_the_search() {
    let given = case(&[("x", marked(&[4], &[1]))], &[], &[4]);
    let got = shrink(given, &|_| None, None, 0, |_| Err("the backend died"));
    assert_eq!(got.err(), Some("the backend died"));
}
