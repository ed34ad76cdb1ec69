//! Less data, frozen inputs, small weights, for wrong values.

use crate::bundle::{Bundle, heavy, onnx_accepts};
use crate::common::{Run, layerdiff, testdata};

fn batch(more: &[&str]) -> (Run, Bundle) {
    let inputs = testdata("reduce/batch.npz").display().to_string();
    let model = testdata("reduce/batch.onnx");
    let run = layerdiff("reduce", &model, &[&["-c", "ort:fp16", "-i", &inputs], more].concat());
    assert_eq!(run.status, 1, "{}", run.stderr);
    let told = run.report().reduced.unwrap();
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    bundle.is_told(&told).unwrap();
    assert!(told.reproduces && told.names == ["square"], "{told:?}");
    (run, bundle)
}

#[test]
fn of_a_batch_the_failing_sample_is_left() {
    let (run, bundle) = batch(&[]);
    let input = &bundle.inputs["h"];
    assert_eq!((input.shape[0], input.view::<f32>().contains(&400.0)), (1, true), "{input:?}");
    let why = run.report().reduced.unwrap().why.unwrap();
    assert!(why.contains("sample 5 (counted from 0) of 8"), "{why}");
    assert_eq!(bundle.replay(&["layerdiff"]).0, 1);
}

#[test]
fn frozen_inputs_are_constants_and_it_still_fails() {
    let (_kept, bundle) = batch(&["--freeze"]);
    assert!(bundle.graph().input.is_empty() && bundle.inputs.is_empty());
    let [constant] = bundle.graph().initializer.as_slice() else { panic!("{:?}", bundle.graph().initializer) };
    assert_eq!(constant.name(), "h");
    let (status, text) = bundle.replay(&["layerdiff"]);
    assert_eq!(status, 1, "{text}");
    onnx_accepts(&[bundle.folder.join("model.onnx")]);
}

#[test]
fn inputs_of_a_candidate_of_its_own_are_frozen_too() {
    let text = |p: &str| testdata(p).display().to_string();
    let candidate = format!("ort@{}", text("reduce/amplified_candidate.onnx"));
    let args = ["-c", &candidate, "-i", &text("reduce/amplified.npz"), "--atol", "1e-6", "--rtol", "1e-4", "--freeze"];
    let run = layerdiff("reduce", &testdata("reduce/amplified.onnx"), &args);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    assert!(bundle.graph().input.is_empty(), "{:?}", bundle.graph().input);
    assert_eq!(bundle.replay(&["layerdiff"]).0, 1);
}

#[test]
fn a_large_weight_does_not_go_into_the_ticket() {
    let dir = tempfile::tempdir().unwrap();
    let model = heavy(dir.path());
    for more in [[].as_slice(), &["--shrink-weights"]] {
        let run = layerdiff("reduce", &model, &[&["-c", "ort:fp16", "--range", "1..2"], more].concat());
        assert_eq!(run.status, 1, "{}", run.stderr);
        let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
        let told = run.report().reduced.unwrap();
        bundle.is_told(&told).unwrap();
        assert!(told.reproduces && told.names == ["fat"], "{told:?}");
        assert!(told.bytes < 100_000 && bundle.replay(&["layerdiff"]).0 == 1, "{told:?}");
    }
}
