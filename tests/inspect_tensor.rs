//! `layerdiff inspect FILE --tensor NAME`: the values of weights and arrays.

mod common;
#[path = "common/said.rs"]
mod said;

use common::{real_model, testdata};
use said::inspect;

#[test]
fn a_weight_of_a_real_model_is_told_as_trained() {
    let name = "conv_stage3_block2_branch2a/BiasAdd_weights_fused_bn";
    let said = inspect(&real_model("opennsfw.onnx"), &["--tensor", name, "--json"]);
    let tensor = &said.subject()["tensors"][0];
    assert_eq!((said.status, tensor["name"].as_str()), (0, Some(name)));
    assert_eq!(tensor["shape"], serde_json::json!([256, 1024, 1, 1]));
    assert_eq!(tensor["initialisation"]["likely_untrained"], false);
    let counts = tensor["histogram"]["counts"].as_array().unwrap();
    assert_eq!((counts.len(), counts.iter().filter_map(|n| n.as_u64()).sum::<u64>()), (16, 256 * 1024));
    // The last axis has one index only.
    assert_eq!(tensor["channels"].as_array().unwrap().len(), 1);
}

#[test]
fn constants_and_several_names() {
    let model = real_model("cls.onnx");
    let said = inspect(&model, &["--tensor", "fc_0.b_0", "--tensor", "fc_0.w_0"]);
    let flat = said.flat();
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(flat.contains("tensor: fc_0.w_0, float32[200,2], 1.6 kB is the value of a Constant node"), "{flat}");
    // Nothing is told that nobody asked for.
    assert!(!flat.contains("largest weights"), "{flat}");
}

#[test]
fn a_name_that_is_not_there_is_an_error_with_a_guess() {
    let check = |file: &std::path::Path, name: &str, words: &str| {
        let said = inspect(file, &["--tensor", name]);
        assert!(said.status == 2 && said.stderr.contains(words), "{name}: {}", said.stderr);
        assert_eq!((said.stdout.as_str(), said.stderr.lines().count()), ("", 1));
    };
    let (model, data) = (testdata("function_model/model.onnx"), testdata("function_model/inputs.npz"));
    check(&model, "fc1_v", "did you mean 'fc1_w'");
    check(&model, "y", "'y' is computed by");
    check(&data, "xx", "has no array 'xx'");
}

#[test]
fn arrays_of_an_npz() {
    let said = inspect(&real_model("cls.npz"), &["--tensor", "x", "--json"]);
    let facts = said.subject();
    assert_eq!((said.status, &facts["kind"]), (0, &"data".into()));
    assert_eq!((&facts["arrays"][0]["kind"], &facts["arrays"][0]["channels"][0]["axis"]), (&"array".into(), &1.into()));
    let strings = inspect(&testdata("string_model/inputs.npz"), &[]);
    assert_eq!(strings.status, 0, "{}", strings.stderr);
}
