use super::*;
use crate::load::samples::{Dim, InputSpec};

fn spec(name: &str, dtype: DType, dims: &[&str]) -> InputSpec {
    let dim = |dim: &&str| dim.parse().map_or_else(|_| Dim::Named(dim.to_string()), Dim::Fixed);
    InputSpec { name: name.into(), dtype, dims: dims.iter().map(dim).collect() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn wired(inputs: &[InputSpec], outputs: &[&str]) -> Decode {
    wiring(inputs, &names(outputs), Decode { steps: 4, ..Decode::default() })
}

#[test]
fn names_of_exporters_are_known() {
    let check = |input: &str, output: &str, want: bool| {
        let decode = wired(&[spec(input, DType::Float32, &["1"])], &[output]);
        assert_eq!(!decode.feedback.is_empty(), want, "{output} -> {input}: {decode:?}");
    };
    for (input, output) in [
        ("past_key_values.0.key", "present.0.key"),
        ("past_key_values.11.value", "present_key_values.11.value"),
        ("past_0", "present_0"),
        ("past_key_0", "present_key_0"),
        ("past_key_values.0.decoder.key", "present.0.decoder.key"),
        ("state", "stateN"),
        ("state", "state_out"),
        ("h", "hn"),
        ("h0", "hn"),
        ("c", "cn"),
        ("state_in", "state_out"),
        ("hidden", "hidden_out"),
        ("rnn_state", "new_rnn_state"),
        ("cache_in", "cache_out"),
    ] {
        check(input, output, true);
    }
    check("past_key_values.0.key", "present.1.key", false);
    check("past_key_values.0.key", "present.0.value", false);
    check("x", "y", false);
    check("x", "x", false);
}

fn decoder() -> (Vec<InputSpec>, Decode) {
    let cache = ["batch", "2", "past_sequence_length", "2"];
    let inputs = vec![
        spec("input_ids", DType::Int64, &["batch", "seq"]),
        spec("attention_mask", DType::Int64, &["batch", "past + seq"]),
        spec("position_ids", DType::Int64, &["batch", "seq"]),
        spec("past_key_values.0.key", DType::Float32, &cache),
        spec("use_cache_branch", DType::Bool, &["1"]),
    ];
    let decode = wired(&inputs, &["logits", "present.0.key"]);
    (inputs, decode)
}

#[test]
fn a_step_follows_from_the_one_before() {
    let (specs, decode) = decoder();
    assert_eq!(decode.token, Some(("logits".into(), "input_ids".into())));
    let mut feed =
        Tensors::from_iter([("input_ids".to_string(), Tensor::from_vec(DType::Int64, vec![1, 3], vec![5i64, 6, 7]))]);
    complete(&mut feed, &specs, &decode);
    assert_eq!(feed["past_key_values.0.key"].shape, [1, 2, 0, 2]);
    assert_eq!(feed["position_ids"].view::<i64>().to_vec(), [0, 1, 2]);
    let logits = Tensor::f32(&[1, 3, 2], &[9., 0., 9., 0., 0., 1.]);
    let key = Tensor::f32(&[1, 2, 3, 2], &[0.5; 12]);
    let outputs = Tensors::from_iter([("logits".to_string(), logits), ("present.0.key".to_string(), key)]);
    let next = decode.next(&feed, &outputs, None).unwrap();
    assert_eq!((next["input_ids"].shape.as_slice(), next["input_ids"].view::<i64>().to_vec()), (&[1, 1][..], vec![1]));
    assert_eq!(next["attention_mask"].view::<i64>().to_vec(), [1, 1, 1, 1]);
    assert_eq!(
        (next["position_ids"].shape.as_slice(), next["position_ids"].view::<i64>().to_vec()),
        (&[1, 1][..], vec![3])
    );
    assert_eq!(next["past_key_values.0.key"].shape, [1, 2, 3, 2]);
    assert_eq!(next["use_cache_branch"].bytes(), [1]);
    // The new token alone is put behind the cache.
    let one = Tensor::f32(&[1, 2, 1, 2], &[1., 2., 3., 4.]);
    let outputs = Tensors::from_iter([
        ("logits".to_string(), Tensor::f32(&[1, 2], &[1., 0.])),
        ("present.0.key".to_string(), one),
    ]);
    let after = decode.next(&next, &outputs, None).unwrap();
    let key = &after["past_key_values.0.key"];
    assert_eq!(key.shape, [1, 2, 4, 2]);
    assert_eq!(key.view::<f32>()[6..10], [1., 2., 0.5, 0.5]);
}

#[test]
fn what_cannot_go_on_is_told() {
    let (specs, decode) = decoder();
    let mut feed =
        Tensors::from_iter([("input_ids".to_string(), Tensor::from_vec(DType::Int64, vec![1, 1], vec![5i64]))]);
    complete(&mut feed, &specs, &decode);
    let why = decode.next(&feed, &Tensors::new(), None).unwrap_err();
    assert_eq!(why, "there is no output 'present.0.key' to go on with");
    let wrong = Tensors::from_iter([("present.0.key".to_string(), Tensor::f32(&[1], &[0.]))]);
    assert!(
        decode
            .next(&feed, &wrong, None)
            .unwrap_err()
            .contains("'present.0.key' as 'past_key_values.0.key': it is float32 [1]")
    );
}

#[test]
fn users_values_come_step_by_step() {
    let decode = Decode { steps: 2, feedback: vec![("hn".into(), "h".into())], ..Decode::default() };
    let sample = |x: f32| {
        Tensors::from_iter([("x".to_string(), Tensor::f32(&[1], &[x])), ("h".to_string(), Tensor::f32(&[1], &[0.]))])
    };
    let outputs = Tensors::from_iter([("hn".to_string(), Tensor::f32(&[1], &[7.]))]);
    let next = decode.next(&sample(1.), &outputs, Some(&sample(2.))).unwrap();
    assert_eq!((next["x"].view::<f32>()[0], next["h"].view::<f32>()[0]), (2., 7.));
}

#[test]
fn masks_of_every_type_begin_with_ones_and_grow() {
    let check = |dtype: DType, name: &str, given: Option<Tensor>, want: &[f64]| {
        let specs = [spec("input_ids", DType::Int64, &["batch", "seq"]), spec(name, dtype, &["batch", "total"])];
        let decode = wired(&specs, &["logits"]);
        let ids = Tensor::from_vec(DType::Int64, vec![1, 2], vec![5i64, 6]);
        let mut feed = Tensors::from_iter([("input_ids".to_string(), ids)]);
        feed.extend(given.map(|mask| (name.to_string(), mask)));
        complete(&mut feed, &specs, &decode);
        let outputs = Tensors::from_iter([("logits".to_string(), Tensor::f32(&[1, 2], &[0., 1.]))]);
        let next = decode.next(&feed, &outputs, None).unwrap();
        assert_eq!((next[name].dtype, to_f64(&next[name])), (dtype, want.to_vec()), "{name}");
    };
    use DType::*;
    for dtype in [Bool, Int64, Int32, Float32, Float16, Bfloat16, Float64] {
        check(dtype, "attention_mask", None, &[1., 1., 1.]);
    }
    let bools = Tensor::new(Bool, vec![1, 2], vec![0u8, 1]).unwrap();
    check(Bool, "mask", Some(bools), &[0., 1., 1.]);
    check(Float32, "decoder_attention_mask", Some(Tensor::f32(&[1, 2], &[0., 1.])), &[0., 1., 1.]);
    // It is added to the scores: what is seen is a zero.
    check(Float32, "attention_mask", Some(Tensor::f32(&[1, 2], &[-1e4, 0.])), &[-1e4, 0., 0.]);
    check(Float32, "attention_mask", Some(Tensor::f32(&[1, 2], &[0., 0.])), &[0., 0., 0.]);
}

/// A model that reads no tokens: what nobody gives is silence, of the batch that the data has.
#[test]
fn a_state_begins_with_zeros() {
    let input = spec("input", DType::Float32, &["batch", "samples"]);
    let made = |state: InputSpec, feedback: &str| {
        let specs = [input.clone(), state.clone()];
        let pair = (feedback.to_string(), state.name.clone());
        let decode = Decode { steps: 3, feedback: vec![pair], ..Decode::default() };
        let mut feed = Tensors::from_iter([("input".to_string(), Tensor::f32(&[3, 2], &[1.; 6]))]);
        complete(&mut feed, &specs, &decode);
        feed.get(&state.name).map(|tensor| {
            assert!(tensor.bytes().iter().all(|byte| *byte == 0));
            let told = format!("output '{feedback}' becomes input '{}', which begins with zeros", state.name);
            assert_eq!(decode.told(&feed), [told]);
            tensor.shape.clone()
        })
    };
    let state = |dims: &[&str]| spec("h", DType::Float32, dims);
    assert_eq!(made(state(&["2", "batch", "128"]), "any"), Some(vec![2, 3, 128]));
    assert_eq!(made(state(&["2", "batch_size", "128"]), "any"), Some(vec![2, 3, 128]));
    assert_eq!(made(state(&["1", "1", "4"]), "any"), Some(vec![1, 1, 4]));
    assert_eq!(made(spec("c", DType::Float16, &["batch", "samples"]), "cn"), Some(vec![3, 2]));
    // Nobody knows how wide it is.
    assert_eq!(made(state(&["batch", "width"]), "any"), None);
}
