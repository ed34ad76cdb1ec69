use super::*;
use crate::tensor::DType;

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| n.to_string()).collect()
}

fn message<T>(result: anyhow::Result<T>) -> String {
    result.err().map(|e| format!("{e:#}")).unwrap_or_default()
}

fn feed(tensors: &[(&str, Tensor)]) -> Tensors {
    tensors.iter().map(|(n, t)| (n.to_string(), t.clone())).collect()
}

/// `[batch, 3]` of float32 and `[batch, ?]` of int64.
fn inputs() -> Vec<InputSpec> {
    let batch = || Dim::Named("batch".into());
    vec![
        InputSpec { name: "pixels".into(), dtype: DType::Float32, dims: vec![batch(), Dim::Fixed(3)] },
        InputSpec { name: "input_ids".into(), dtype: DType::Int64, dims: vec![batch(), Dim::Unknown] },
    ]
}

fn good() -> Tensors {
    feed(&[("input_ids", Tensor::i64(&[1, 2], &[1, 2])), ("pixels", Tensor::f32(&[1, 3], &[0.0; 3]))])
}

#[test]
fn every_kind_of_file() {
    let read = |file: &str, inputs: &[&str]| read(&data(file), &names(inputs), u64::MAX).unwrap();
    assert!(read("arrays.npz", &[])[0].contains_key("/encoder/layer.0/Add:0"));
    assert_eq!(read("feeds.json", &[]).len(), 2);
    assert!(read("version2.npy", &["x"])[0].contains_key("x"));
    assert_eq!(read("test_data_set_0", &[])[0].len(), 12);
    assert!(read("test_data_set_0/input_1.pb", &[])[0].contains_key("b"));
    assert!(read("test_data_set_1/input_1.pb", &["x"])[0].contains_key("x"));
    let outputs = |file: &str| read_outputs(&data(file), &names(&["y"]), u64::MAX).unwrap();
    assert_eq!(outputs("results.json").len(), 2);
    assert!(outputs("test_data_set_1")[0].contains_key("y"));
    assert!(outputs("version2.npy")[0].contains_key("y"));
    assert_eq!(outputs("arrays.npz").len(), 1);
}

#[test]
fn a_file_without_an_ending_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for (file, inputs) in [("arrays.npz", 20), ("feeds.json", 2), ("version2.npy", 1)] {
        std::fs::copy(data(file), &path).unwrap();
        assert_eq!(read(&path, &names(&["a"]), u64::MAX).unwrap()[0].len(), inputs, "{file}");
    }
    std::fs::write(&path, "hello").unwrap();
    assert!(message(read(&path, &[], u64::MAX)).contains("x is no file of tensors; give .npz"));
}

#[test]
fn arrays_by_name() {
    let npy = data("version2.npy");
    let both = format!("input:0={},a=b={}", npy.display(), data("test_data_set_0/input_0.pb").display());
    let read = |text: &str| read(Path::new(text), &names(&["a", "b"]), u64::MAX);
    let samples = read(&both).unwrap();
    assert!(samples.len() == 1 && samples[0].keys().eq(["input:0", "a=b"]), "{samples:?}");
    assert!(message(read("a=missing.npy")).contains("cannot open missing.npy"));
    assert!(message(read("missing.npy")).contains("cannot open missing.npy"));
    assert!(message(read(&format!("a={}", data("arrays.npz").display()))).contains("neither .npy nor .pb"));
    assert!(message(read(&npy.to_string_lossy())).contains("the model has the inputs 'a', 'b'; write NAME="));
}

#[test]
fn good_feeds_get_the_models_order() {
    let mut feeds = vec![good()];
    check(&mut feeds, &inputs()).unwrap();
    assert!(feeds[0].keys().eq(["pixels", "input_ids"]));
}

#[test]
fn bad_feeds_are_told_in_one_sentence() {
    let bad = |name: &str, tensor: Option<Tensor>, want: &str| {
        let mut feed = good();
        match tensor {
            Some(tensor) => _ = feed.insert(name.to_string(), tensor),
            None => _ = feed.shift_remove(name),
        }
        assert_eq!(message(check(&mut [feed], &inputs())), want);
    };
    let f32s = |shape: &[usize]| Some(Tensor::f32(shape, &vec![0.0; shape.iter().product()]));
    bad("pixels", None, "no data for the input 'pixels' of the model ('input_ids' given); add an array of this name");
    bad(
        "Input_Ids:0",
        f32s(&[1]),
        "the model has no input 'Input_Ids:0'; did you mean 'input_ids'? Its inputs: 'pixels', 'input_ids'",
    );
    bad("mask", f32s(&[1]), "the model has no input 'mask'; its inputs: 'pixels', 'input_ids'");
    bad(
        "pixels",
        Some(Tensor::from_vec(DType::Float64, vec![1, 3], vec![0f64; 3])),
        "input 'pixels' is float64, but the model wants float32; convert it first, as array.astype('float32')",
    );
    bad("pixels", f32s(&[3]), "input 'pixels' has the shape [3], but the model wants [batch, 3]; give it 2 dimensions");
    bad(
        "pixels",
        f32s(&[1, 4]),
        "input 'pixels' has the shape [1, 4], but the model wants [batch, 3]; dimension 1 must be 3, not 4",
    );
    bad(
        "pixels",
        f32s(&[2, 3]),
        "the dimension 'batch' is 2 in input 'pixels', but 1 in input 'input_ids'; make them equal",
    );
    let mut second_is_bad = [good(), Tensors::new()];
    let told = message(check(&mut second_is_bad, &inputs()));
    assert!(told.starts_with("sample 1: no data for the input 'pixels' of the model (nothing given)"), "{told}");
}

#[test]
fn whole_numbers_of_another_width_are_fed_where_they_fit() {
    let spec = |dtype| [InputSpec { name: "ids".into(), dtype, dims: vec![Dim::Rest] }];
    let mut feeds = [feed(&[("ids", Tensor::from_vec(DType::Int32, vec![2], vec![1i32, 0]))])];
    check(&mut feeds, &spec(DType::Int64)).unwrap();
    assert_eq!((feeds[0]["ids"].dtype, feeds[0]["ids"].view::<i64>().as_ref()), (DType::Int64, &[1, 0][..]));
    check(&mut feeds, &spec(DType::Bool)).unwrap();
    assert_eq!(feeds[0]["ids"].bytes(), [1, 0]);
    let told = message(check(&mut [feed(&[("ids", Tensor::i64(&[1], &[1 << 40]))])], &spec(DType::Int32)));
    assert!(
        told.contains("int64, but the model wants int32, and its value 1099511627776 is out of the range"),
        "{told}"
    );
}

#[test]
fn types_that_numpy_lacks_are_fed_as_float32_if_exact() {
    let spec = [InputSpec { name: "x".into(), dtype: DType::Bfloat16, dims: vec![Dim::Rest] }];
    let mut feeds = [feed(&[("x", Tensor::f32(&[2], &[1.5, -2.0]))])];
    check(&mut feeds, &spec).unwrap();
    assert_eq!((feeds[0]["x"].dtype, feeds[0]["x"].bytes()), (DType::Bfloat16, &[0xc0, 0x3f, 0, 0xc0][..]));
    let told = message(check(&mut [feed(&[("x", Tensor::f32(&[1], &[0.1]))])], &spec));
    assert!(told.contains("not exact in bfloat16"), "{told}");
}

#[test]
fn specs_from_a_model() {
    use crate::onnx::{DimValue, Dimension, TensorShapeProto, ValueInfoProto};
    let dim = |value| Dimension { value, denotation: None };
    let dims = [Some(DimValue::DimValue(-1)), None, Some(DimValue::DimParam("n".into())), Some(DimValue::DimValue(4))];
    let shape = TensorShapeProto { dim: dims.map(dim).to_vec() };
    let spec = InputSpec::of(&ValueInfoProto::typed("x", DType::Int8, Some(shape))).unwrap();
    let want = vec![Dim::Unknown, Dim::Unknown, Dim::Named("n".into()), Dim::Fixed(4)];
    assert_eq!(spec, InputSpec { name: "x".into(), dtype: DType::Int8, dims: want });
    assert_eq!(InputSpec::of(&ValueInfoProto::bare("x")), None);
    assert_eq!(InputSpec::of(&ValueInfoProto::typed("x", DType::Int8, None)).unwrap().dims, [Dim::Rest]);
}
