//! TF32 emulated on the CPU, end to end: what it breaks is found and cured, and the cure is FP32 even in a session of TF32.

mod common;

use std::path::{Path, PathBuf};

use common::{Run, doubles, layerdiff, model_of, program, real_model, testdata, with_doubles};
use layerdiff::compare::{self, Tolerance};
use layerdiff::found::{Kind, Report, Status};
use layerdiff::graph::{Graph, Node};
use layerdiff::load::{Model, npz, testset};
use layerdiff::mark::{Types, mark};
use layerdiff::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use layerdiff::precision::{Kept, emulate, split, tf32};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::spec::Low;
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

fn healthy(more: &[&str]) -> Run {
    let inputs = testdata("healthy_transformer/inputs.npz");
    let words = ["-c", "ort:tf32", "--no-reduce", "-i", inputs.to_str().unwrap()];
    layerdiff("bisect", &testdata("healthy_transformer/model.onnx"), &[&words[..], more].concat())
}

#[test]
fn a_healthy_model_agrees_by_the_tolerance_of_tf32() {
    let run = healthy(&[]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report = run.report();
    assert_eq!(report.candidate.precision, "tf32 (emulated: products of 10-bit mantissas)");
    assert!(report.outputs[0].metrics.as_ref().unwrap().max_abs.0 > 1e-5, "nothing was rounded");
}

/// Under a tolerance that TF32 cannot meet: only products are accused or kept, and the model that is written computes them in
/// FP32 where everything is multiplied in TF32.
#[test]
fn what_tf32_costs_is_told_and_cured_in_tf32_itself() {
    // So tight that no Softmax masks what the products in front of it lose.
    let tight = ["--atol", "1e-5", "--rtol", "1e-5"];
    let run = healthy(&tight);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    let first = &report.culprits[0];
    assert_eq!((first.node.op_type.as_str(), first.kind), ("MatMul", Kind::Introduces));
    assert_eq!(first.diagnosis[0].code, "precision-limited");
    assert!(first.diagnosis[0].evidence.contains("TF32 rounds what it multiplies by up to 4.883e-4"), "{first:?}");
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.minimal && !cure.nodes.is_empty(), "{cure:?}");
    assert_eq!((cure.of, cure.latency_before), (8, None), "the products of the model, and an emulation has no price");
    assert!(cure.why.is_some_and(|why| why.contains("use_tf32=0")));
    assert_eq!(cure.files.keys().collect::<Vec<_>>(), ["nodes", "onnx", "readme"]);
    assert!(run.stdout.contains("NVIDIA_TF32_OVERRIDE=0"), "{}", run.stdout);

    // As any program would run it: no node is kept by name.
    let mixed = format!("ort:tf32@{}", cure.files["onnx"]);
    let inputs = testdata("healthy_transformer/inputs.npz");
    let words = [&["-c", &mixed, "-i", inputs.to_str().unwrap(), "--outputs", "y"][..], &tight].concat();
    let again = layerdiff("compare", &testdata("healthy_transformer/model.onnx"), &words);
    let output = &again.report().outputs[0];
    assert_eq!(output.status, Status::Agrees, "{}", again.stdout);
}

/// As cuDNN does it: a picture of one pixel is convolved without tensor cores.
#[test]
fn one_pixel_is_convolved_in_fp32() {
    let dir = tempfile::tempdir().unwrap();
    let check = |pixels: usize, status: i32| {
        let values = |n: usize| (0..n).map(|i| 1.0 + i as f32 / 999.0).collect::<Vec<f32>>();
        let graph = GraphProto {
            node: vec![NodeProto::new("Conv", "c", &["x", "w"], &["y"])],
            initializer: vec![testset::tensor_to_proto("w", &Tensor::f32(&[4, 4, 1, 1], &values(16)))],
            input: vec![ValueInfoProto::tensor("x", DType::Float32, &[1, 4, 1, pixels])],
            output: vec![ValueInfoProto::tensor("y", DType::Float32, &[1, 4, 1, pixels])],
            ..GraphProto::default()
        };
        let (model, data) = (dir.path().join("m.onnx"), dir.path().join("x.npz"));
        std::fs::write(&model, model_of(graph).encode_to_vec()).unwrap();
        let x = Tensor::f32(&[1, 4, 1, pixels], &values(4 * pixels));
        npz::write(&data, &Tensors::from([("x".to_string(), x)])).unwrap();
        let words = ["-c", "ort:tf32", "-i", data.to_str().unwrap(), "--atol", "0", "--rtol", "0"];
        let run = layerdiff("compare", &model, &words);
        assert_eq!(run.status, status, "{pixels} pixels: {}{}", run.stdout, run.stderr);
    };
    check(1, 0);
    check(2, 1);
}

// ---- a fault that TF32 alone has

/// `q = x b` adds up terms that cancel but for one part in ten thousand, beside a product that does nothing of the kind.
fn cancelling(folder: &Path) -> (PathBuf, PathBuf) {
    let nodes = vec![
        NodeProto::new("MatMul", "fine", &["x", "a"], &["p"]),
        NodeProto::new("Relu", "relu", &["p"], &["r"]),
        NodeProto::new("MatMul", "cancels", &["x", "b"], &["q"]),
        NodeProto::new("Add", "sum", &["r", "q"], &["y"]),
    ];
    // Pairs of opposite signs, the second a little larger; x has the same value for both.
    let pairs: Vec<f32> = (0..64).flat_map(|i| [1.0 + i as f32 / 64.0, -(1.0 + i as f32 / 64.0) * 1.0001]).collect();
    let weights = [("a", Tensor::f32(&[128, 1], &[0.01; 128])), ("b", Tensor::f32(&[128, 1], &pairs))];
    let graph = GraphProto {
        node: nodes,
        initializer: weights.iter().map(|(name, t)| testset::tensor_to_proto(name, t)).collect(),
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 128])],
        output: vec![ValueInfoProto::bare("q"), ValueInfoProto::bare("y")],
        ..Default::default()
    };
    let (model, data) = (folder.join("model.onnx"), folder.join("x.npz"));
    std::fs::write(&model, model_of(graph).encode_to_vec()).unwrap();
    let x: Vec<f32> = (0..256).map(|i| 0.37 + (i / 2 % 64) as f32 / 77.0).collect();
    npz::write(&data, &[("x".to_string(), Tensor::f32(&[2, 128], &x))].into()).unwrap();
    (model, data)
}

#[test]
fn terms_that_cancel_break_in_tf32_and_one_product_cures_them() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = cancelling(folder.path());
    let run = layerdiff("bisect", &model, &["-c", "ort:tf32", "-i", data.to_str().unwrap()]);
    assert_eq!(run.status, 1, "{}\n{}", run.stdout, run.stderr);
    let report = run.report();
    assert_eq!(report.culprits.iter().map(|c| c.node.name.as_str()).collect::<Vec<_>>(), ["cancels"]);
    assert_eq!(report.culprits[0].diagnosis[0].code, "cancellation", "{:?}", report.culprits[0].diagnosis);
    assert!(report.reduced.is_some_and(|r| r.reproduces && r.nodes == 1));
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.minimal && cure.nodes == ["cancels"] && cure.of == 2, "{cure:?}");
}

// ---- split operands

fn run(model: &Model, proto: &ModelProto, feeds: &[Tensors], outputs: &[String]) -> Tensors {
    let found = library::find(None).expect("run `layerdiff setup` first");
    let cpu = Ort::new(&found.path, Provider::Cpu).unwrap();
    cpu.run(&Job::new(model.lean(proto), feeds, outputs)).unwrap().values.remove(0)
}

/// The model's graph, the keys of what its products make, and the types of these and of the parts that they are split into.
fn products(model: &Model) -> (Graph, Vec<String>, Types) {
    let graph = Graph::new(&model.proto).unwrap();
    let multiplies = |n: &&Node| {
        n.results.is_empty() && n.proto(&model.proto).is_some_and(|node| tf32::multiplies(node, &model.proto))
    };
    let made = graph.nodes.iter().filter(multiplies).map(|n| graph.tensors[n.writes[0]].key.clone());
    let keys: Vec<String> = made.collect();
    let parts = |key: &String| ["", "/tf32/high", "/tf32/left", "/tf32/right"].map(|part| format!("{key}{part}"));
    let types = keys.iter().flat_map(parts).map(|name| (name, DType::Float32)).collect();
    (graph, keys, types)
}

/// Relative RMS.
fn error(want: &Tensor, got: &Tensor) -> f64 {
    let exact = Tolerance { atol: 0.0, rtol: 0.0 };
    compare::compare(want, got, exact).metrics.unwrap().rmse.0 / compare::Scale::of(want).rms.max(f64::MIN_POSITIVE)
}

#[test]
fn one_split_product_is_fp32_and_moves_nothing_above() {
    let model = Model::load(&testdata("healthy_transformer/model.onnx")).unwrap();
    let feeds = [npz::read(&testdata("healthy_transformer/inputs.npz")).unwrap()];
    let (graph, keys, types) = products(&model);
    let (last, others) = keys.split_last().unwrap();
    let names: Vec<String> = graph.tensors.iter().map(|t| t.key.clone()).collect();
    let marked = mark(&model.proto, &graph, &(0..names.len()).collect::<Vec<_>>(), &types);
    let cured = split(&marked, &types, &Kept::from([last.clone()]));
    let (want, got) = (run(&model, &marked, &feeds, &names), run(&model, &cured, &feeds, &names));
    for name in &names {
        match graph.tensor(name) >= graph.tensor(last) {
            true => assert!(error(&want[name], &got[name]) < 1e-6, "{name}"),
            false => assert!(want[name].identical(&got[name]), "{name} moved"),
        }
    }
    // The same where this product is one of TF32.
    let alone = |proto: &ModelProto| emulate(proto, &types, Low::Tf32, &others.iter().cloned().collect());
    let low = |proto: &ModelProto| error(&want[last], &run(&model, &alone(proto), &feeds, &names)[last]);
    assert!(low(&cured) < 1e-6 && low(&marked) > 1e-5, "{:e}, {:e} as it is", low(&cured), low(&marked));
}

/// Every product of a real model in three, in FP32 and in a session of TF32.
#[test]
fn real_models_are_fp32_when_all_their_products_are_split() {
    for name in ["rec", "det", "opennsfw", "nudenet"] {
        let model = Model::load(&real_model(&format!("{name}.onnx"))).unwrap();
        let feeds = [npz::read(&real_model(&format!("{name}.npz"))).unwrap()];
        let (graph, keys, types) = products(&model);
        let cured = split(&model.proto, &types, &keys.iter().cloned().collect());
        let count = |m: &ModelProto| m.graph.as_ref().unwrap().node.iter().filter(|n| tf32::multiplies(n, m)).count();
        assert_eq!((keys.len(), count(&cured)), (count(&model.proto), 3 * keys.len()), "{name}");
        let outputs = [graph.outputs[0].0.clone()];
        let result = |proto: &ModelProto| run(&model, proto, &feeds, &outputs).swap_remove(&outputs[0]).unwrap();
        let want = result(&model.proto);
        let low = |proto: &ModelProto| error(&want, &result(&emulate(proto, &types, Low::Tf32, &Kept::new())));
        let errors = (error(&want, &result(&cured)), low(&cured), low(&model.proto));
        println!("{name}: split {:.1e}, split in TF32 {:.1e}, TF32 {:.1e}", errors.0, errors.1, errors.2);
        assert!(errors.0 < 1e-5 && errors.1 < 1e-5 && errors.1 < errors.2 / 100.0, "{name}: {errors:?}");
    }
}

// ---- engines

/// On the double of TensorRT 11, which rounds operands by code of its own, ties to even.
fn engine(command: &str, words: &[&str], folder: &Path) -> Report {
    let (model, data) = (testdata("healthy_transformer/model.onnx"), testdata("healthy_transformer/inputs.npz"));
    let mut run = program();
    run.arg(command).arg(model).arg("-i").arg(data).args(words).args(["--atol", "1e-5", "--rtol", "1e-5"]);
    run.arg("-o").arg(folder.join("out")).arg("--timing-cache").arg(folder.join("timing"));
    run.arg("--trt-library").arg(doubles().join("11"));
    let done = with_doubles(&mut run, "").output().unwrap();
    let text = std::fs::read(folder.join("out/report.json"));
    serde_json::from_slice(&text.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&done.stderr)))).unwrap()
}

#[test]
fn an_engine_of_tf32_is_as_wrong_as_the_emulation_and_split_products_are_right_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let report = engine("bisect", &["-c", "trt:tf32", "--no-reduce"], folder.path());
    let told = &report.culprits[0].diagnosis[0];
    assert_eq!((told.code.as_str(), report.overrides.is_none()), ("precision-limited", true), "{told:?}");
    assert!(told.evidence.contains("exact TF32 rounding makes"), "{told:?}");
    assert!(report.warnings.iter().any(|w| w.starts_with("no overrides were sought")), "{:?}", report.warnings);

    // Under a tolerance that every product must be kept for.
    let all = healthy(&["--atol", "1e-6", "--rtol", "1e-6"]);
    let cure = all.report().overrides.unwrap();
    assert_eq!(cure.nodes.len(), cure.of);
    let candidate = format!("trt:tf32@{}", cure.files["onnx"]);
    let cured = engine("compare", &["-c", &candidate, "--outputs", "y"], &folder.path().join("cured"));
    assert_eq!(
        (report.outputs[0].status, cured.outputs[0].status),
        (Status::Diverges, Status::Agrees),
        "{:?}",
        cured.outputs
    );
}
