//! What a check is fed with: captured values, samples, constants, small weights.

use std::path::Path;

use layerdiff::load::{npz, testset};
use layerdiff::tensor::Tensor;

use crate::bundle::{heavy, onnx_accepts};
use crate::useless::refused;
use crate::{all_of, ask, cut_out, model, reduce};

#[test]
fn cuts_are_fed_with_the_reference_values() {
    let (source, inputs) = (model("graph_r.onnx"), model("graph_r_0.npz"));
    // Exit status 7 where a captured value is wrong.
    let whole = format!("npz(\"{}\")", inputs.display());
    let right = format!(
        "data.get(\"a\", {whole}[\"X0\"]) == {whole}[\"X0\"] and all(abs(b + y) == 0 for b, y in zip(data.get(\"b\", ()), {whole}[\"Y0\"]))"
    );
    let check = ask(&format!("(b\"n5\" in model) if {right} else 7"));
    let run = reduce(&source, &check, &["-i", inputs.to_str().unwrap()]);
    let bundles = cut_out(&source, &run, &[&["n5"]]);
    let (fed, given) = (npz::read(&bundles[0].folder.join("inputs.npz")).unwrap(), npz::read(&inputs).unwrap());
    let negative: Vec<f32> = given["Y0"].view::<f32>().iter().map(|y| -y).collect();
    assert!(fed["a"].identical(&given["X0"]) && fed["b"].identical(&Tensor::f32(&[2, 3], &negative)));
    let sum: Vec<f32> = given["X0"].view::<f32>().iter().zip(&negative).map(|(a, b)| a + b).collect();
    assert!(bundles[0].outputs["c"].identical(&Tensor::f32(&[2, 3], &sum)), "what the reference gives");
}

#[test]
fn only_the_second_sample_fails() {
    let source = model("graph_r.onnx");
    let samples: Vec<String> = (0..2).map(|i| model(&format!("graph_r_{i}.npz")).display().to_string()).collect();
    let check = ask("b\"n5\" in model and max(map(max, data.values())) > 50");
    let run = reduce(&source, &check, &["-i", &samples[0], "-i", &samples[1]]);
    let bundles = cut_out(&source, &run, &[&["n5"]]);
    let given = npz::read(Path::new(&samples[1])).unwrap();
    assert!(bundles[0].inputs["a"].identical(&given["X0"]));
    refused(&check, &["-i", &samples[0]], 2, &["the full model does not fail"]);
}

#[test]
fn frozen_inputs_are_constants() {
    let (source, inputs) = (model("graph_r.onnx"), model("graph_r_1.npz"));
    let run = reduce(&source, &all_of(&["n5"]), &["--freeze", "-i", inputs.to_str().unwrap()]);
    let bundles = cut_out(&source, &run, &[&["n5"]]);
    assert!(bundles[0].graph().input.is_empty() && bundles[0].inputs.is_empty());
    let frozen = bundles[0].graph().initializer.iter().find(|t| t.name() == "a").unwrap();
    let value = testset::tensor_from_proto(&bundles[0].model.inline(frozen)).unwrap();
    assert!(value.identical(&npz::read(&inputs).unwrap()["X0"]), "the captured reference value");

    // Where it only fails with inputs, it keeps them and says so.
    let check = "grep -q n5 {model} && [ $(wc -c <{inputs}) -gt 100 ] && exit 1; exit 0";
    let run = reduce(&source, check, &["--freeze"]);
    let bundles = cut_out(&source, &run, &[&["n5"]]);
    assert_eq!(bundles[0].inputs.len(), 2);
    assert!(run.report().reduced.unwrap().why.unwrap().contains("frozen"));
}

#[test]
fn a_large_weight_is_made_by_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let source = heavy(dir.path());
    // Slices of the input or of the weight pass, so nothing else makes it small.
    let check = "grep -q fat {model} && [ $(wc -c <{inputs}) -gt 4000 ] && { grep -q layerdiff_weights {model} || [ $(wc -c <{model}) -gt 4000000 ]; } && exit 1; exit 0";
    let plain = reduce(&source, check, &[]);
    let large = plain.report().reduced.unwrap();
    assert!(large.bytes > 4_000_000 && large.names == ["fat"] && large.reproduces, "{large:?}");
    let run = reduce(&source, check, &["--shrink-weights"]);
    let small = cut_out(&source, &run, &[&["fat"]]).remove(0);
    assert!(small.bytes() < 50_000, "{} bytes", small.bytes());
    assert!(small.graph().node.len() > 1 && small.graph().initializer.iter().all(|t| t.name() != "w"));
    assert_eq!(small.inputs["t"].shape, [1, 1024]);
    onnx_accepts(&[small.folder.join("model.onnx")]);
}

/// A check that runs nothing refuses nothing, so it cannot tell a wrong slice.
#[test]
fn less_data_is_still_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let source = heavy(dir.path());
    let check = "grep -q fat {model} && [ $(wc -c <{inputs}) -gt 4000 ] && exit 1; exit 0";
    let run = reduce(&source, check, &[]);
    let bundle = cut_out(&source, &run, &[&["fat"]]).remove(0);
    onnx_accepts(&[bundle.folder.join("model.onnx")]);
}
