//! `layerdiff convert` end to end: real models and one of each structure; what comes out is checked by ONNX, loaded by
//! ONNX Runtime, and computes what the emulation of the precision says.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{layerdiff, program, real_model, root, testdata};
use layerdiff::load::{Model, npz};
use layerdiff::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto, attribute_type,
};
use layerdiff::tensor::{DType, Tensors};
use prost::Message;

/// Model and data: an If, a Loop, a Scan, functions, old opsets, external data, quantisers on both sides of opset 19.
fn models() -> Vec<(PathBuf, PathBuf)> {
    let real = ["cls", "opennsfw", "silero_vad", "magika"]
        .map(|name| (real_model(&format!("{name}.onnx")), real_model(&format!("{name}.npz"))));
    let cases = [
        "if_branch_fault",
        "loop_body",
        "scan_ok",
        "function_model",
        "qdq_healthy",
        "ir3_weights_are_inputs",
        "external_data",
        "unnamed_nodes",
    ];
    let small = cases.map(|case| (testdata(case).join("model.onnx"), testdata(case).join("inputs.npz")));
    let quantised = (testdata("qdq_healthy/candidate.onnx"), testdata("qdq_healthy/inputs.npz"));
    real.into_iter().chain(small).chain([quantised]).collect()
}

fn convert(model: &Path, to: &str, args: &[&str], out: &Path) -> Output {
    program().arg("convert").arg(model).args(["--to", to, "-o"]).arg(out).args(args).output().unwrap()
}

fn converted(model: &Path, to: &str, args: &[&str], out: &Path) -> ModelProto {
    let output = convert(model, to, args, out);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", model.display());
    Model::load(out).unwrap().proto
}

/// The outputs of a candidate, and of the reference.
fn outputs(model: &Path, inputs: &Path, candidate: &str) -> (Tensors, Tensors) {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("tensors.npz");
    let (inputs, file) = (inputs.to_str().unwrap(), saved.to_str().unwrap());
    // What is deployed leaves out roundings: here the file itself is meant.
    let args = ["-c", candidate, "-i", inputs, "--optimization", "off", "--save-tensors", file];
    let run = layerdiff("compare", model, &args);
    assert!(run.status <= 1, "{}: {candidate}: {}", model.display(), run.stderr);
    let all = npz::read(&saved).unwrap();
    let of = |side: &str| {
        let name = |output: &str| all.keys().find(|k| **k == format!("{side}/{output}")).cloned();
        let report = run.report();
        report.outputs.iter().map(|o| (o.name.clone(), all[&name(&o.name).unwrap()].clone())).collect()
    };
    (of("candidate"), of("reference"))
}

/// The root of the mean square of the difference, and of `b`. Equal infinities and NaN differ by nothing.
fn distance(a: &Tensors, b: &Tensors) -> (f64, f64) {
    let (mut difference, mut size, mut elements) = (0.0, 0.0, 0.0);
    for (name, a) in a.iter().filter(|(_, t)| t.dtype == DType::Float32) {
        for (x, y) in a.view::<f32>().iter().zip(b[name].view::<f32>().iter()) {
            let same = x == y || x.is_nan() && y.is_nan();
            difference += if same { 0.0 } else { f64::from(x - y).powi(2) };
            size += if y.is_finite() { f64::from(*y).powi(2) } else { 0.0 };
            elements += 1.0;
        }
    }
    (f64::sqrt(difference / elements), f64::sqrt(size / elements))
}

fn casts(graph: &GraphProto) -> usize {
    let inside = |graph: &GraphProto| casts(graph);
    graph.node.iter().map(|n| usize::from(n.is("Cast")) + n.subgraphs().map(|(_, g)| inside(g)).sum::<usize>()).sum()
}

#[test]
fn a_converted_model_computes_what_the_emulation_says() {
    let dir = tempfile::tempdir().unwrap();
    for (model, inputs) in models() {
        let out = dir.path().join("m.onnx");
        converted(&model, "fp16", &["--keep-io"], &out);
        let (got, reference) = outputs(&model, &inputs, &format!("ort@{}", out.display()));
        let (emulated, _) = outputs(&model, &inputs, "ort:fp16");
        let ((apart, _), (error, size)) = (distance(&got, &emulated), distance(&emulated, &reference));
        // Where they differ it is by the order of a sum, or by a function that is not converted; never by more than the
        // precision itself costs.
        let bound = if error.is_finite() { error.max(size * 5e-4) * 1.01 } else { size * 5e-3 };
        assert!(apart <= bound, "{}: {apart:e} apart, FP16 costs {error:e} of {size:e}", model.display());
        assert!(got.keys().eq(reference.keys()));
    }
}

#[test]
fn with_everything_kept_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    for (model, inputs) in models() {
        let out = dir.path().join("m.onnx");
        let proto = converted(&model, "fp16", &["--keep-io", "--keep", "re:.*"], &out);
        let original = Model::load(&model).unwrap().proto;
        let count = |proto: &ModelProto| casts(proto.graph.as_ref().unwrap());
        assert_eq!(count(&proto), count(&original), "{}", model.display());
        let (got, reference) = outputs(&model, &inputs, &format!("ort@{}", out.display()));
        for (name, tensor) in &reference {
            assert!(got[name].identical(tensor), "{}: {name}", model.display());
        }
    }
}

#[test]
fn onnx_and_onnx_runtime_accept_what_comes_out() {
    const CHECK: &str = "
import sys, onnx, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    try:
        onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:
        # The CPU provider has no BF16 kernels; that is said only after types were checked.
        if 'bf16' not in path or 'NOT_IMPLEMENTED' not in str(error):
            raise SystemExit(f'{path}: {error}')
";
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (number, (model, _)) in models().into_iter().enumerate() {
        let opset = Model::load(&model).unwrap().proto.opset();
        for (to, args) in [
            ("fp16", vec![]),
            ("fp16", vec!["--keep-io", "--int32-inputs"]),
            ("fp16", vec!["--keep", "re:[02468]"]),
            ("bf16", vec![]),
            ("bf16", vec!["--keep-io"]),
        ] {
            let out = dir.path().join(format!("{number}.{}.{to}.onnx", paths.len()));
            let output = convert(&model, to, &args, &out);
            let stderr = String::from_utf8_lossy(&output.stderr);
            match output.status.success() {
                true => paths.push(out),
                false if to == "bf16" && opset < 13 => assert!(stderr.contains("convert it to opset 13"), "{stderr}"),
                false => assert!(stderr.contains("matches no node"), "{}: {stderr}", model.display()),
            }
        }
    }
    assert!(paths.len() > 40);
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    let output = Command::new(python).args(["-c", CHECK]).args(&paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_summary_counts_and_the_notes_name() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.onnx");
    let model = testdata("matmul_add_sub_65504").join("model.onnx");
    let output = convert(&model, "fp16", &["--keep", "op:Add", "--keep", "op:Sub"], &out);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("4 nodes, 2 of them in FP32; 2 Casts added; weights "), "{stdout}");
    let output = convert(&testdata("flt_max_mask").join("model.onnx"), "fp16", &[], &out);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("beyond +-65504") && stderr.contains("mask"), "{stderr}");
}

#[test]
fn mistakes_are_one_sentence_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.onnx");
    let check = |model: PathBuf, to: &str, args: &[&str], want: &str| {
        let output = convert(&model, to, args, &out);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(want) && stderr.trim_end().lines().count() == 1, "{stderr}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    };
    let model = || testdata("unnamed_nodes").join("model.onnx");
    check(model(), "fp16", &["--keep", "op:Mul", "--keep", "no_such"], "--keep no_such matches no node");
    let named = || testdata("matmul_add_sub_65504").join("model.onnx");
    check(named(), "fp16", &["--keep", "matmul"], "did you mean 'matmul1' or 'matmul2'?");
    check(named(), "fp16", &["--keep", "add_out"], "'add_out' is a tensor, and the node 'add' makes it");
    check(named(), "fp16", &["--keep", "op:Matmul"], "did you mean 'MatMul'?");
    check(named(), "fp16", &["--keep", "op:Conv"], "its operators are Add, MatMul, Sub");
    check(named(), "fp16", &["--keep", "re:^z"], "matches no node");
    check(testdata("matmul_add_sub_65504").join("model.onnx"), "bf16", &[], "is of opset 11");
    check(dir.path().join("absent.onnx"), "fp16", &[], "cannot open");
}

#[test]
fn the_default_name_is_beside_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let model = testdata("unnamed_nodes").join("model.onnx");
    let output = program().arg("convert").arg(model).args(["--to", "bf16"]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success());
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["model.bf16.onnx"]);
}

/// The file to write is none that is read, whichever way leads to it; nothing is written before that is known.
#[test]
fn no_file_is_converted_onto_itself() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["model.onnx", "weights.bin"] {
        std::fs::copy(testdata("external_data").join(name), at(name)).unwrap();
    }
    std::fs::hard_link(at("model.onnx"), at("hard.onnx")).unwrap();
    std::fs::hard_link(at("weights.bin"), at("beside.onnx.data")).unwrap();
    std::os::unix::fs::symlink("model.onnx", at("soft.onnx")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let listed = || std::fs::read_dir(dir.path()).unwrap().count();
    let before = (std::fs::read(at("model.onnx")).unwrap(), std::fs::read(at("weights.bin")).unwrap(), listed());
    let check = |out: &str, want: &str| {
        let output = convert(&at("model.onnx"), "fp16", &[], &at(out));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{out}: {stderr}");
        assert!(stderr.contains(want) && stderr.trim_end().lines().count() == 1, "{out}: {stderr}");
        let after = (std::fs::read(at("model.onnx")).unwrap(), std::fs::read(at("weights.bin")).unwrap(), listed());
        assert!(after == before, "{out}");
    };
    for own in ["model.onnx", "folder/../model.onnx", "hard.onnx", "soft.onnx", "weights.bin"] {
        check(own, "itself, which is read");
    }
    check("beside.onnx", "would be written over");
    check("folder", "is a folder");
    check("absent/m.onnx", "there is no folder");
    check("pipe", "is a pipe");
}

/// A model of operators that no opset of ONNX's own is imported for, and one that ONNX Runtime cannot take in FP16.
#[test]
fn what_was_written_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("m.onnx"), dir.path().join("half.onnx"));
    let write = |node: NodeProto, domain: &str, version: i64| {
        let graph = GraphProto {
            name: Some("g".to_string()),
            node: vec![node],
            input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 2])],
            output: vec![ValueInfoProto::tensor("y", DType::Float32, &[2, 2])],
            ..Default::default()
        };
        let import = OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(version) };
        let opset_import = vec![import];
        let proto = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, ..Default::default() };
        std::fs::write(&model, proto.encode_to_vec()).unwrap();
    };
    let mut binarizer = NodeProto::new("Binarizer", "b", &["x"], &["y"]);
    binarizer.domain = Some("ai.onnx.ml".to_string());
    write(binarizer, "ai.onnx.ml", 1);
    let output = convert(&model, "fp16", &[], &out);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.ends_with("ONNX Runtime loads it on the CPU\n"), "{stdout}");

    write(NodeProto::new("Relu", "r", &["x"], &["y"]), "", 17);
    let output = convert(&model, "bf16", &[], &out);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("not for the CPU") && stdout.contains("Relu"), "{stdout}");

    std::fs::remove_file(&out).unwrap();
    let shape = AttributeProto {
        name: Some("shape".to_string()),
        ints: vec![2, 2],
        r#type: Some(attribute_type::INTS),
        ..Default::default()
    };
    write(NodeProto::new("RandomNormal", "r", &[], &["y"]).with(shape), "", 17);
    let output = convert(&model, "fp16", &[], &out);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && stderr.trim_end().lines().count() == 1, "{stderr}");
    assert!(
        stderr.contains("was written, but ONNX Runtime does not load it") && stderr.contains("RandomNormal"),
        "{stderr}"
    );
    assert!(out.is_file());
}
