//! Classifier heads, as `layerdiff inspect MODEL` tells them.

mod common;
#[path = "common/said.rs"]
mod said;

use common::real_model;
use said::inspect;

#[test]
fn heads_of_real_models() {
    let check = |model: &str, node: &str, classes: u64, features: u64| {
        let said = inspect(&real_model(model), &["--json"]);
        let heads = said.subject()["heads"].as_array().unwrap().clone();
        assert_eq!(heads.len(), 1, "{model}: {heads:?}");
        assert_eq!(heads[0]["node"], node, "{model}");
        assert_eq!((&heads[0]["classes"], &heads[0]["features"]), (&classes.into(), &features.into()), "{model}");
        // They are products of companies: none was left as it was initialised.
        assert_ne!(heads[0]["trained"], "likely_not", "{model}: {}", heads[0]["why"]);
    };
    check("cls.onnx", "MatMul@0", 2, 200);
    check("opennsfw.onnx", "fc_nsfw/MatMul", 2, 1024);
    check("magika.onnx", "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Dense_1/MatMul", 214, 512);
}

#[test]
fn labels_that_do_not_fit_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let labels = dir.path().join("labels.txt");
    std::fs::write(&labels, "sfw\nnsfw\nother\n").unwrap();
    let said = inspect(&real_model("opennsfw.onnx"), &["--labels", &labels.to_string_lossy()]);
    assert!(said.status == 0 && said.flat().contains("--labels has 3 labels, and this output 2"), "{}", said.stdout);
}
