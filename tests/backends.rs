//! Candidates that are not the reference's ONNX Runtime: another build of it, a plug-in provider, any command, stored
//! tensors. All real; the first two live in a worker process.

mod common;

use std::path::PathBuf;

use common::{bisect, layerdiff, openvino, program, real_model, testdata};
use layerdiff::found::{Kind, Report, Verdict};
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

fn example(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_BIN_EXE_layerdiff"));
    let path = dir.parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} was not built", path.display());
    path
}

#[test]
fn a_healthy_model_agrees_with_another_build_of_onnx_runtime() {
    for name in ["cls", "nudenet", "silero_ifless"] {
        let dir = tempfile::tempdir().unwrap();
        let output = program()
            .args(["bisect", "--candidate", "ort-openvino"])
            .arg(real_model(&format!("{name}.onnx")))
            .arg("--inputs")
            .arg(real_model(&format!("{name}.npz")))
            .arg("-o")
            .arg(dir.path())
            .env("LAYERDIFF_ORT_OPENVINO", openvino())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
        let report: Report = serde_json::from_slice(&std::fs::read(dir.path().join("report.json")).unwrap()).unwrap();
        assert!(report.candidate.provider.contains("openvino"), "{}", report.candidate.provider);
        assert_eq!(report.candidate.version, "1.24.1");
        assert_ne!(report.reference.version, "1.24.1");
    }
}

/// Beside 1000 the error of the first node is lost in the tolerance; without it, it is too large again.
#[test]
fn a_fault_behind_tensors_that_agree_is_found_in_a_provider() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, scale: f32| {
        let mut graph = GraphProto { name: Some("lost".into()), ..Default::default() };
        for (name, value) in [("scale", scale), ("lift", 1000.0), ("step", 1.0), ("drop", -1008.0)] {
            graph.initializer.push(tensor_to_proto(name, &Tensor::f32(&[1], &[value])));
        }
        let mut chain = vec![("Mul", "scale"), ("Add", "lift")];
        chain.extend([("Add", "step"); 8]);
        chain.push(("Add", "drop"));
        for (i, (op, constant)) in chain.iter().enumerate() {
            let [read, written] = [i, i + 1].map(|at| if at == 0 { "x".to_string() } else { format!("t{at}") });
            graph.node.push(NodeProto::new(op, &format!("n{i}"), &[&read, constant], &[&written]));
        }
        graph.input.push(ValueInfoProto::tensor("x", DType::Float32, &[4]));
        graph.output.push(ValueInfoProto::tensor(&format!("t{}", chain.len()), DType::Float32, &[4]));
        std::fs::write(dir.path().join(name), common::model_of(graph).encode_to_vec()).unwrap();
    };
    write("right.onnx", 1.0);
    write("wrong.onnx", 1.002);
    let feed = Tensors::from([("x".to_string(), Tensor::f32(&[4], &[1.0, 1.5, 2.0, 2.5]))]);
    layerdiff::load::npz::write(&dir.path().join("x.npz"), &feed).unwrap();
    for provider in ["ort", "ort-openvino"] {
        let output = program()
            .args(["bisect", "right.onnx", "-i", "x.npz", "--reference", provider, "-o", "out", "--marks", "1"])
            .args(["-c", &format!("{provider}@wrong.onnx"), "--atol", "1e-5", "--rtol", "1e-3", "--no-reduce"])
            .env("LAYERDIFF_ORT_OPENVINO", openvino())
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Report =
            serde_json::from_slice(&std::fs::read(dir.path().join("out/report.json")).unwrap()).unwrap();
        let found: Vec<_> = report.culprits.iter().map(|c| (c.node.name.as_str(), c.kind)).collect();
        // n10 makes the error of n0 grow again, and agrees as soon as n0 is put right.
        assert_eq!(found, [("n0", Kind::Introduces)], "{provider}");
    }
}

#[test]
fn a_converted_model_runs_elsewhere_and_its_cure_has_a_price() {
    let dir = tempfile::tempdir().unwrap();
    let output = program()
        .args(["bisect", "--candidate", "ort-openvino:fp16"])
        .arg(testdata("flt_max_mask/model.onnx"))
        .arg("--inputs")
        .arg(testdata("flt_max_mask/inputs.npz"))
        .arg("-o")
        .arg(dir.path())
        .env("LAYERDIFF_ORT_OPENVINO", openvino())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&std::fs::read(dir.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report.candidate.precision, "fp16 (the model converted, with explicit Casts)");
    assert_eq!(report.culprits[0].node.name, "mask_where");
    assert_eq!(report.culprits[0].diagnosis[0].code, "mask-sentinel");
    assert!(report.reduced.is_some_and(|r| r.reproduces && r.nodes == 1));
    let cure = report.overrides.unwrap();
    assert_eq!((cure.nodes, cure.verified, cure.minimal), (vec!["mask_where".to_string()], true, true));
    let price = (cure.latency_before.unwrap().0, cure.latency_after.unwrap().0);
    let spread = cure.price.as_ref().unwrap();
    assert!(
        spread.before.least.0 <= price.0 && price.1 <= spread.after.most.0 && spread.reference.is_some(),
        "{spread:?}"
    );
    assert!(price.0 > 0.0 && price.1 > 0.0, "{price:?}");
    // What was verified is what is offered.
    let mixed = layerdiff::load::Model::load(&dir.path().join("overrides/model.mixed.onnx")).unwrap();
    let casts = mixed.proto.graph.unwrap().node.iter().filter(|n| n.op_type() == "Cast").count();
    assert!(casts > 0);
}

#[test]
fn a_plugin_provider_is_a_candidate_and_its_rounding_is_found() {
    let plugin = format!("ggml={}", common::plugin().display());
    let model = testdata("healthy_transformer/model.onnx");
    let inputs = testdata("healthy_transformer/inputs.npz");
    let run = bisect(
        &model,
        &[&"-c", &"ort-ggml", &"--ep-library", &plugin, &"-i", &inputs, &"--atol", &"1e-3", &"--rtol", &"1e-3"],
    );
    assert_eq!(run.status, 0, "{}", run.stderr);
    let strict = bisect(
        &model,
        &[&"-c", &"ort-ggml", &"--ep-library", &plugin, &"-i", &inputs, &"--atol", &"0", &"--rtol", &"0"],
    );
    assert_eq!(strict.status, 1, "the plug-in computes the CPU's very bits: this proves nothing\n{}", strict.stdout);
    assert!(!strict.report().culprits.is_empty());
}

#[test]
fn any_command_can_be_the_candidate() {
    let command = format!("exec:{} {{model}} {{inputs}} {{outputs}}", example("exec_backend").display());
    let (model, inputs) = (real_model("opennsfw.onnx"), real_model("opennsfw.npz"));
    let healthy = bisect(&model, &[&"-c", &command, &"-i", &inputs, &"--atol", &"0", &"--rtol", &"0"]);
    assert_eq!(healthy.status, 0, "{}", healthy.stderr);
    let wrong = format!("{command} --wrong AveragePool 1.1");
    let strategies: [&[&str]; 2] = [&["--strategy", "scan"], &["--strategy", "bisect", "--marks", "16"]];
    for strategy in strategies {
        let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> =
            vec![&"-c", &wrong, &"-i", &inputs, &"--atol", &"1e-5", &"--rtol", &"1e-3"];
        strategy.iter().for_each(|s| args.push(s));
        let run = bisect(&model, &args);
        assert_eq!(run.status, 1, "{}", run.stderr);
        let report = run.report();
        let named: Vec<&str> = report.culprits.iter().map(|c| c.node.op_type.as_str()).collect();
        assert_eq!(named, ["AveragePool"], "{strategy:?}");
        assert_eq!((report.culprits[0].kind, report.culprits[0].inputs_agree), (Kind::Introduces, true));
    }
}

#[test]
fn stored_tensors_can_be_the_candidate() {
    let (model, inputs) = (real_model("cls.onnx"), real_model("cls.npz"));
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.npz");
    let run = layerdiff(
        "compare",
        &model,
        &["-c", "ort", "-i", inputs.to_str().unwrap(), "--save-tensors", kept.to_str().unwrap()],
    );
    assert_eq!(run.status, 0, "{}", run.stderr);
    let all = layerdiff::load::npz::read(&kept).unwrap();
    let mut stored: layerdiff::tensor::Tensors =
        all.into_iter().filter_map(|(name, t)| Some((name.strip_prefix("candidate/")?.to_string(), t))).collect();
    let path = dir.path().join("stored.npz");
    layerdiff::load::npz::write(&path, &stored).unwrap();
    let candidate = format!("saved:{}", path.display());
    let same = bisect(&model, &[&"-c", &candidate, &"-i", &inputs]);
    assert_eq!(same.status, 0, "{}", same.stderr);

    // Somebody's wrong values: every tensor from a MatMul on is doubled, and one in the middle was not stored.
    let graph = layerdiff::load::Model::load(&model).unwrap();
    let nodes = &graph.proto.graph.as_ref().unwrap().node;
    let first = nodes.iter().position(|n| n.op_type() == "MatMul").unwrap();
    for node in &nodes[first..] {
        for output in &node.output {
            if let Some(t) = stored.get_mut(output)
                && t.dtype == layerdiff::tensor::DType::Float32
            {
                let doubled: Vec<f32> = t.view::<f32>().iter().map(|x| 2.0 * x).collect();
                *t = layerdiff::tensor::Tensor::f32(&t.shape.clone(), &doubled);
            }
        }
    }
    layerdiff::load::npz::write(&path, &stored).unwrap();
    let report = bisect(&model, &[&"-c", &candidate, &"-i", &inputs]).report();
    assert_eq!(report.verdict, Verdict::Diverged);
    let culprit = &report.culprits[0];
    assert_eq!((culprit.tensor.as_str(), culprit.local.is_none()), (nodes[first].output[0].as_str(), true));
    assert!(culprit.why.as_ref().unwrap().contains("cannot be run again"), "{:?}", culprit.why);

    stored.shift_remove(&nodes[first].output[0]);
    layerdiff::load::npz::write(&path, &stored).unwrap();
    let report = bisect(&model, &[&"-c", &candidate, &"-i", &inputs]).report();
    let culprit = &report.culprits[0];
    assert_eq!(culprit.kind, Kind::Region, "a tensor that nobody stored widens the answer");
    assert!(culprit.region.len() > 1 && report.search.tensors_not_compared > 0);
}

#[test]
fn a_crash_is_an_answer_and_no_wrong_result() {
    let (model, inputs) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    let run = bisect(&model, &[&"-c", &"exec:kill -SEGV $$ # {model} {inputs} {outputs}", &"-i", &inputs]);
    assert_eq!(run.status, 3);
    assert!(run.stderr.contains("crashed"), "{}", run.stderr);
    assert_eq!(run.report().verdict, Verdict::Inconclusive);
}
