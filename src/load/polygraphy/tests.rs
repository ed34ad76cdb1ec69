use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::tensor::DType;

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn message<T>(result: anyhow::Result<T>) -> String {
    result.err().map(|e| format!("{e:#}")).unwrap_or_default()
}

#[test]
fn what_polygraphy_wrote() {
    let feeds = read_inputs(&data("feeds.json")).unwrap();
    let names: Vec<&str> = feeds[1].keys().map(String::as_str).collect();
    assert_eq!((feeds.len(), names), (2, vec!["x", "ids"]));
    assert!(feeds[1]["x"].identical(&Tensor::f32(&[2, 3], &[1., 2., 3., 4., 5., 6.])));
    assert!(feeds[1]["ids"].identical(&Tensor::i64(&[1, 2], &[3, 4])));
    let results = read_outputs(&data("results.json"), None).unwrap();
    assert_eq!(results.len(), 2);
    assert!(results[1]["y"].identical(&Tensor::f32(&[2, 3], &[0., 2., 4., 6., 8., 10.])));
    assert_eq!(read_outputs(&data("feeds.json"), None).unwrap().len(), 2, "a list of dictionaries may be outputs too");
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let bfloat16 = Tensor::from_vec(DType::Bfloat16, vec![1], vec![0x3fc0u16]);
    let samples = [
        Tensors::from([("a\"\\\n日".to_string(), Tensor::f32(&[2], &[1.0, -0.0])), ("b".to_string(), bfloat16)]),
        Tensors::from([("c".to_string(), Tensor::strings(vec![1], vec!["naïve".into()]).unwrap())]),
    ];
    let check = |read: Vec<Tensors>| {
        assert_eq!(read.len(), 2);
        assert!(read[0]["a\"\\\n日"].identical(&Tensor::f32(&[2], &[1.0, -0.0])));
        assert!(read[0]["b"].identical(&Tensor::f32(&[1], &[1.5])), "bfloat16 is widened, nothing panics");
        assert!(read[1]["c"].identical(&samples[1]["c"]));
    };
    write_outputs(&path, "ort \"quoted\"", &samples).unwrap();
    check(read_outputs(&path, None).unwrap());
    write_inputs(&path, &samples).unwrap();
    check(read_inputs(&path).unwrap());
}

#[test]
fn what_cannot_be_read_is_told_with_advice() {
    assert!(message(read_outputs(&data("two_runners.json"), None)).contains("several runners (ort, trt)"));
    assert!(message(read_inputs(&data("results.json"))).contains("results.json: it is no file of inputs"));
    let inputs = |json: &str, want: &str| {
        let message = message(parse_inputs(json.as_bytes()));
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    inputs("", "the file is empty");
    inputs("[]", "the list of feeds is empty");
    inputs("[1]", "not Polygraphy's JSON");
    inputs(r#"[{"x": {"#, "or truncated (EOF");
    inputs(r#"[{"x": {"array": "?", "polygraphy_class": "ndarray"}}]"#, "array 'x': its base64 is damaged");
    inputs(r#"[{"x": {"array": "AAAA", "polygraphy_class": "ndarray"}}]"#, "array 'x': not a .npy array");
    inputs(r#"[{"x": {"tensor": "AAAA", "polygraphy_class": "Tensor"}}]"#, "a pickled PyTorch tensor");
    inputs(r#"[{"x": {}}]"#, "array 'x': it has no 'array'");
    assert!(message(parse_outputs(br#"{"lst": []}"#, None)).contains("holds no results"));
    assert!(message(parse_outputs(br#"{"lst": [["a", []]]}"#, None)).contains("holds no results"));
    let deep = r#"{"values": "#.repeat(100_000);
    inputs(&format!(r#"[{{"x": {deep}"#), "is nested deeper than 128 levels");
}

#[test]
fn one_feed_and_one_runner_of_several() {
    let feed = br#"{"x": {"array": "?", "polygraphy_class": "ndarray"}}"#;
    assert!(message(parse_inputs(feed)).contains("array 'x': its base64 is damaged"), "one feed is no list");
    let two = data("two_runners.json");
    let of = |runner: &str| read_outputs(&two, Some(runner));
    assert_eq!((of("trt").unwrap().len(), of("ort").unwrap().len()), (2, 2));
    assert!(message(of("rt")).contains("'rt' is in the names of several runners: ort, trt"));
    assert!(message(of("cpu")).contains("no results of a runner 'cpu'; there are ort, trt"));
    assert!(message(read_outputs(&data("feeds.json"), Some("trt"))).contains("leave '@trt' out"));
}

#[test]
fn every_truncation_is_an_error() {
    let json = std::fs::read(data("results.json")).unwrap();
    let complete = json.trim_ascii_end().len();
    for len in 0..complete {
        assert!(parse_outputs(&json[..len], None).is_err(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_never_panics(at in 0usize..1000, byte: u8) {
        let mut json = std::fs::read(data("results.json")).unwrap();
        let at = at * json.len() / 1000;
        json[at] = byte;
        let _ = parse_outputs(&json, Some("ort"));
    }

    #[test]
    fn random_text_never_panics(text in r#"[\[\]{}":,a-z0-9 ]{0,60}"#) {
        let _ = parse_inputs(text.as_bytes());
        let _ = parse_outputs(text.as_bytes(), None);
    }
}
