//! What runs take: of both sides on request, node by node where the runtime's profile tells, and of a cure.

mod common;

use common::{case, doubles, layerdiff, program, testdata, with_doubles};
use layerdiff::found::Report;

/// `compare` of a model of testdata with `--latency=4`.
fn timed(name: &str, candidate: &str) -> Report {
    let (model, inputs) = (testdata(&format!("{name}/model.onnx")), testdata(&format!("{name}/inputs.npz")));
    layerdiff("compare", &model, &["-c", candidate, "-i", inputs.to_str().unwrap(), "--latency=4"]).report()
}

#[test]
fn both_sides_and_the_nodes_of_the_candidate() {
    let times = timed("healthy_transformer", "ort").latency.unwrap();
    for side in [times.candidate.as_ref().unwrap(), times.reference.as_ref().unwrap()] {
        assert_eq!((side.runs, side.each.len()), (4, 4));
        assert!(side.least.0 > 0.0 && side.least.0 <= side.median.0 && side.median.0 <= side.most.0, "{side:?}");
    }
    assert_eq!(times.why, None);
    let all: f64 = times.nodes.iter().map(|node| node.share.0).sum();
    assert!((all - 1.0).abs() < 1e-9 && times.nodes.is_sorted_by(|a, b| a.seconds.0 >= b.seconds.0), "{times:?}");
    assert!(times.nodes.iter().all(|node| node.provider == "CPUExecutionProvider" && !node.op_type.is_empty()));
    // It is the session that people deploy: the runtime fuses there.
    let model = layerdiff::load::Model::load(&testdata("healthy_transformer/model.onnx")).unwrap();
    let nodes = model.proto.graph.unwrap().node.len();
    assert!(times.nodes.len() < nodes, "{} of {nodes}", times.nodes.len());
}

#[test]
fn what_has_no_time_is_told() {
    let times = timed("healthy_transformer", "ort:fp16").latency.unwrap();
    assert!(times.candidate.is_none() && times.reference.is_some() && times.nodes.is_empty());
    assert!(times.why.unwrap().contains("the candidate emulates FP16"));
    let asked_nothing = case("healthy_transformer", &["-c", "ort"]);
    assert!(asked_nothing.report().latency.is_none() && !asked_nothing.stdout.contains("latency"));
}

/// On the doubles, whose profiler tells of each layer 0.25 ms more than of the one before.
#[test]
fn an_engine_tells_of_its_layers_and_the_nodes_in_them() {
    let (model, inputs) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    for version in ["10", "11"] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = program();
        command.args(["compare", "-c", "trt", "--latency=3", "-i"]).arg(&inputs).arg(&model);
        command.arg("-o").arg(dir.path()).arg("--timing-cache").arg(dir.path().join("timing"));
        command.arg("--trt-library").arg(doubles().join(version));
        let output = with_doubles(&mut command, "").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let report = layerdiff::found::json::read(&dir.path().join("report.json")).unwrap();
        let nodes = report.latency.unwrap().nodes;
        // The last layer takes most; what was fused is one row with all its nodes.
        assert!(nodes.is_sorted_by(|a, b| a.seconds.0 >= b.seconds.0) && !nodes.is_empty());
        let least = nodes.last().unwrap();
        assert!((least.seconds.0 - 2.5e-4).abs() < 1e-9 && least.from.len() > 1, "{least:?}");
        let named = least.from.join(", ");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("candidate ") && nodes.iter().all(|n| !n.from.is_empty())
        );
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(page.contains(&named), "{named}");
        let of: Vec<&String> = nodes.iter().flat_map(|node| &node.from).collect();
        assert_eq!(of.len(), layerdiff::load::Model::load(&model).unwrap().proto.graph.unwrap().node.len());
    }
}

#[cfg(unix)]
#[test]
fn a_command_has_the_time_of_its_whole_process() {
    let dir = tempfile::tempdir().unwrap();
    let (model, inputs) = (testdata("wrong_axis/model.onnx"), testdata("wrong_axis/inputs.npz"));
    let tensors = dir.path().join("t.npz");
    let own = program()
        .args(["compare", "-c", "ort", "--save-tensors"])
        .args([&tensors, &model])
        .arg("-i")
        .arg(&inputs)
        .arg("-o")
        .arg(dir.path().join("own"))
        .output()
        .unwrap();
    assert_eq!(own.status.code(), Some(0), "{}", String::from_utf8_lossy(&own.stderr));
    let outputs = common::run_python([
        "-c",
        "import numpy as np, sys; z = np.load(sys.argv[1]); np.savez(sys.argv[2], **{k.split('/', 1)[1]: z[k] for k in z if k.startswith('candidate/')})",
        tensors.to_str().unwrap(),
        dir.path().join("o.npz").to_str().unwrap(),
    ]);
    assert_eq!(outputs, "");
    let command =
        format!("exec:sleep 0.05; cp {} {{outputs}} # {{model}} {{inputs}}", dir.path().join("o.npz").display());
    let run = layerdiff("compare", &model, &["-c", &command, "-i", inputs.to_str().unwrap(), "--latency=2"]);
    let times = run.report().latency.unwrap();
    let candidate = times.candidate.unwrap();
    assert!(candidate.runs == 2 && candidate.least.0 >= 0.05 && times.nodes.is_empty(), "{candidate:?}");
}

#[test]
fn what_is_left_unquantised_has_a_price() {
    let file = testdata("qdq_bad_scale/candidate.onnx");
    let run = case("qdq_bad_scale", &["-c", &format!("ort@{}", file.display())]);
    let cure = run.report().overrides.unwrap();
    let price = cure.price.unwrap();
    assert!(price.before.runs > 1 && price.after.runs > 1 && price.reference.is_some(), "{price:?}");
    assert_eq!(cure.latency_after, Some(price.after.median));
    assert!(run.stdout.contains("left unquantised"), "{}", run.stdout);
}
