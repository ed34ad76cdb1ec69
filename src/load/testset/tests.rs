use proptest::prelude::*;

use super::*;

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn names() -> Vec<String> {
    ('a'..='l').map(String::from).collect()
}

/// A tensor of every element type, with an odd number of elements for the packed ones.
fn every_type() -> Tensors {
    let tensor = |dtype: DType| match dtype {
        DType::String => Tensor::strings(vec![3], ["", "a", "zwölf"].map(String::from).to_vec()).unwrap(),
        _ => Tensor::new(dtype, vec![3, 1], vec![0x5a; dtype.byte_len(3).unwrap()]).unwrap(),
    };
    DType::ALL.into_iter().map(|d| (d.name().to_string(), tensor(d))).collect()
}

#[test]
fn what_onnx_wrote_in_typed_fields_with_and_without_names() {
    let sets = read_inputs(&data(), &names()).unwrap();
    assert_eq!(sets.len(), 2);
    assert!(sets[0].keys().eq(names().iter()), "by number, not by text: {:?}", sets[0].keys());
    for (name, tensor) in &sets[1] {
        assert!(tensor.identical(&sets[0][name]), "{name}");
    }
    let set = &sets[0];
    assert!(set["a"].identical(&Tensor::f32(&[2], &[1.0, 2.0])));
    let bytes = |name: &str| (set[name].dtype, set[name].bytes().to_vec());
    assert_eq!(bytes("b"), (DType::Float16, vec![0, 0x3c, 0, 0xc0]));
    assert_eq!(bytes("c"), (DType::Bfloat16, vec![0x80, 0x3f, 0, 0xc0]));
    assert_eq!(bytes("d"), (DType::Int4, vec![0xe1, 0x03]));
    assert_eq!(bytes("e"), (DType::Bool, vec![1, 0]));
    assert_eq!(bytes("f"), (DType::Int8, vec![255, 2]));
    assert_eq!(bytes("g"), (DType::Uint32, vec![255; 4]));
    assert_eq!(set["h"].as_strings().unwrap(), ["one", "zwölf"]);
    assert_eq!(set["i"].view::<f32>().as_ref(), [1.0, 2.0]);
    assert_eq!(bytes("j"), (DType::Float8e4m3fn, vec![0x3c]));
    assert_eq!((set["k"].shape.len(), set["k"].view::<f64>()[0]), (0, 0.5));
    assert!(set["l"].identical(&Tensor::i64(&[1], &[-7])));
    let outputs = read_outputs(&data(), &["y".to_string()]).unwrap();
    assert!(outputs[1]["y"].identical(&Tensor::f32(&[2, 3], &[1., 2., 3., 4., 5., 6.])));
}

#[test]
fn one_set_may_be_named_itself() {
    let sets = read_inputs(&data().join("test_data_set_0"), &[]).unwrap();
    assert_eq!((sets.len(), sets[0].len()), (1, 12));
    let message = format!("{:#}", read_inputs(&data().join("test_data_set_1"), &[]).unwrap_err());
    assert!(message.contains("input_0.pb does not name its tensor"), "{message}");
}

#[test]
fn names_of_nobody_give_way_to_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let values = |names: [&str; 2]| Tensors::from(names.map(|n| (n.to_string(), Tensor::f32(&[1], &[1.0]))));
    let check = |stored: [&str; 2], model: &[&str], want: [&str; 2]| {
        write(folder.path(), &values(stored), &Tensors::new()).unwrap();
        let names: Vec<String> = model.iter().map(|n| n.to_string()).collect();
        let read = read_inputs(folder.path(), &names).unwrap().remove(0);
        assert!(read.keys().eq(want.iter()), "{stored:?} for {model:?}: {:?}", read.keys());
    };
    check(["x", "z"], &["input", "like"], ["input", "like"]);
    check(["b", "a"], &["a", "b"], ["b", "a"]);
    // One of them is of the model, so the other one is a mistake; and so are too many.
    check(["a", "z"], &["a", "b"], ["a", "z"]);
    check(["x", "z"], &["a"], ["x", "z"]);
}

#[test]
fn every_type_round_trips_through_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("new/test_data_set_0");
    write(&set, &every_type(), &every_type()).unwrap();
    // A smaller set afterwards leaves nothing of the larger one.
    let few = Tensors::from([("y".to_string(), Tensor::f32(&[0], &[]))]);
    write(&set, &every_type(), &few).unwrap();
    let inputs = read_inputs(&folder.path().join("new"), &[]).unwrap().remove(0);
    assert!(inputs.keys().eq(every_type().keys()));
    for (name, tensor) in every_type() {
        assert!(inputs[&name].identical(&tensor), "{name}");
    }
    let outputs = read_outputs(&set, &[]).unwrap().remove(0);
    assert_eq!(outputs.len(), 1);
    assert!(outputs["y"].identical(&few["y"]));
}

#[test]
fn raw_data_is_shared() {
    let tensor = Tensor::f32(&[2], &[1.0, 2.0]);
    let back = tensor_from_proto(&tensor_to_proto("x", &tensor)).unwrap();
    assert_eq!(back.bytes().as_ptr(), tensor.bytes().as_ptr());
    let encoded = Bytes::from(tensor_to_proto("x", &tensor).encode_to_vec());
    let decoded = tensor_from_proto(&TensorProto::decode(encoded.clone()).unwrap()).unwrap();
    assert!(encoded.as_ptr_range().contains(&decoded.bytes().as_ptr()));
}

#[test]
fn what_makes_no_sense_is_told() {
    let check = |proto: TensorProto, want: &str| {
        let message = tensor_from_proto(&proto).unwrap_err().to_string();
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    let of = |dtype: DType| TensorProto { data_type: Some(dtype.onnx()), dims: vec![2], ..Default::default() };
    check(TensorProto::default(), "the number 0");
    check(of(DType::Float32), "2 elements of float32 take 8 bytes, but there are 0");
    check(TensorProto { dims: vec![-1], ..of(DType::Float32) }, "its shape [-1] makes no sense");
    check(TensorProto { dims: vec![i64::MAX, 4], ..of(DType::String) }, "makes no sense");
    check(TensorProto { int32_data: vec![1, 256], ..of(DType::Uint8) }, "256, which does not fit 8 bits");
    check(TensorProto { int32_data: vec![1, -32769], ..of(DType::Float16) }, "does not fit 16 bits");
    check(TensorProto { string_data: vec![Bytes::from_static(&[255])], ..of(DType::String) }, "not valid UTF-8");
    check(TensorProto { data_location: Some(1), ..of(DType::Float32) }, "in another file");
}

#[test]
fn bad_folders_and_files_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let check = |want: &str| {
        let message = format!("{:#}", read_inputs(folder.path(), &[]).unwrap_err());
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    check("holds neither input_0.pb nor test_data_set_0");
    let file = folder.path().join("input_0.pb");
    fs::write(&file, b"").unwrap();
    check("input_0.pb: the file is empty");
    fs::write(&file, [0xff; 9]).unwrap();
    check("input_0.pb: not an ONNX TensorProto, or truncated");
    let proto = tensor_to_proto("x", &Tensor::f32(&[1], &[1.0])).encode_to_vec();
    fs::write(&file, &proto).unwrap();
    fs::write(folder.path().join("input_1.pb"), &proto).unwrap();
    check("input_1.pb is the second file with the tensor 'x'");
    let message = format!("{:#}", read_outputs(folder.path(), &[]).unwrap_err());
    assert!(message.contains("holds no output_0.pb"), "{message}");
}

#[test]
fn every_truncation_of_raw_data_is_an_error() {
    let complete = Bytes::from(tensor_to_proto("x", &Tensor::f32(&[2], &[1.0, 2.0])).encode_to_vec());
    for len in 0..complete.len() {
        let tensor = TensorProto::decode(complete.slice(..len)).ok().and_then(|p| tensor_from_proto(&p).ok());
        assert!(tensor.is_none(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(proto) = TensorProto::decode(Bytes::from(bytes)) {
            let _ = tensor_from_proto(&proto);
        }
    }

    #[test]
    fn random_fields_never_panic(
        code in -1i32..30,
        dims in prop::collection::vec(prop_oneof![-1i64..4, any::<i64>()], 0..4),
        numbers in prop::collection::vec(any::<i32>(), 0..5),
        raw in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
    ) {
        let floats = numbers.iter().map(|n| *n as f32).collect();
        let raw_data = raw.map(Bytes::from);
        let (data_type, int32_data, float_data) = (Some(code), numbers, floats);
        let proto = TensorProto { data_type, dims, int32_data, float_data, raw_data, ..Default::default() };
        let _ = tensor_from_proto(&proto);
    }
}
