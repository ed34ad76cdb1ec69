//! The test doubles of TensorRT and libcuda, checked from outside: through their public C++ interface and through cudarc.
//!
//! `smoke` (tests/trt_double/smoke.cpp) drives them with the real headers (8.6: those that headers8.py makes) and none of our bindings; what it prints is
//! compared with ONNX Runtime in this process. What the doubles do: tests/trt_double/double.hpp.

mod common;
#[path = "trt_double/cuda.rs"]
mod cuda;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{doubles, model_of, testdata, with_doubles};
use layerdiff::load::{Lean, testset};
use layerdiff::onnx::{DimValue, Dimension, GraphProto, ModelProto, NodeProto, TensorShapeProto, ValueInfoProto};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

const VERSIONS: [u32; 3] = [8, 10, 11];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `smoke MODEL ARGS...` of one version.
fn smoke(version: u32, model: &Path, args: &str, fault: &str) -> String {
    let program = doubles().join(version.to_string()).join("smoke");
    text(&with_doubles(&mut Command::new(program), fault).arg(model).args(args.split_whitespace()).output().unwrap())
}

/// The values behind `output NAME` or `debug NAME`, of every run.
fn values(printed: &str, what: &str, name: &str) -> Vec<Vec<f32>> {
    let start = format!("{what} {name} ");
    let lines = printed.lines().filter(|line| line.starts_with(&start));
    lines.map(|line| line.split_once(": ").unwrap().1.split(' ').map(|v| v.parse().unwrap()).collect()).collect()
}

fn output(version: u32, model: &Path, args: &str, fault: &str) -> Vec<f32> {
    let printed = smoke(version, model, args, fault);
    values(&printed, "output", "y").pop().unwrap_or_else(|| panic!("TensorRT {version} {args} {fault}\n{printed}"))
}

fn saved(dir: &tempfile::TempDir, name: &str, model: &ModelProto) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// x -> matmul0 -> mm0 -> add_0 -> add0 -> relu0 -> r0 -> matmul1 -> mm1 -> (unnamed) -> y
fn mlp() -> GraphProto {
    let weight = |name: &str, shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| ((i * 37 % 19) as f32 - 9.0) * 0.0713).collect();
        testset::tensor_to_proto(name, &Tensor::f32(shape, &values))
    };
    GraphProto {
        name: Some("mlp".into()),
        node: vec![
            NodeProto::new("MatMul", "matmul0", &["x", "w0"], &["mm0"]),
            NodeProto::new("Add", "add_0", &["mm0", "b0"], &["add0"]),
            NodeProto::new("Relu", "relu0", &["add0"], &["r0"]),
            NodeProto::new("MatMul", "matmul1", &["r0", "w1"], &["mm1"]),
            NodeProto::new("Sigmoid", "", &["mm1"], &["y"]),
        ],
        initializer: vec![weight("w0", &[4, 5]), weight("b0", &[5]), weight("w1", &[5, 3])],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 4])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[2, 3])],
        ..Default::default()
    }
}

/// What ONNX Runtime says on the numbers that `smoke` makes: the first eight of the first output.
fn reference(path: &Path) -> (String, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let proto = ModelProto::decode(bytes.as_slice()).unwrap();
    let graph = proto.graph.unwrap();
    let mut feeds = Tensors::new();
    for input in graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name() != i.name())) {
        let shape = input.concrete_shape().unwrap();
        let number = |i: usize| ((i % 7) as f32 - 3.0) * 0.3337 + 0.0001;
        let count = shape.iter().product();
        feeds.insert(input.name().to_string(), Tensor::f32(&shape, &(0..count).map(number).collect::<Vec<_>>()));
    }
    let ort = Ort::new(&library::find(None).unwrap().path, Provider::Cpu).unwrap();
    let lean = Lean { bytes, folder: path.parent().unwrap().to_path_buf() };
    let name = graph.output[0].name().to_string();
    let job = Job::new(lean, &[feeds], std::slice::from_ref(&name));
    let result = ort.run(&job).unwrap().values.remove(0).swap_remove(&name).unwrap();
    (name, result.bytes().chunks_exact(4).take(8).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(x, y)| (x - y).abs() < 0.02)
}

#[test]
fn without_faults_and_tf32_engines_compute_what_onnx_runtime_computes() {
    for case in
        ["healthy_transformer", "external_data", "function_model", "if_branch_fault", "loop_body", "unnamed_nodes"]
    {
        let path = testdata(case).join("model.onnx");
        let (name, expected) = reference(&path);
        for version in VERSIONS {
            let printed = smoke(version, &path, "--noTF32 --unfused", "");
            let got = values(&printed, "output", &name).pop().unwrap_or_else(|| panic!("{printed}"));
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(&expected), "{case} on TensorRT {version}");
        }
    }
}

#[test]
fn precision_flags_round_what_they_round() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(&dir, "mlp.onnx", &model_of(mlp()));
    let exact = reference(&path).1;
    for version in VERSIONS {
        let tf32 = output(version, &path, "", "");
        assert!(tf32 != exact && close(&tf32, &exact), "{tf32:?}");
    }
    let half = output(10, &path, "--noTF32 --fp16", "");
    assert!(half != exact && close(&half, &exact), "{half:?}");
    assert!(half.iter().all(|v| half::f16::from_f32(*v).to_f32() == *v), "{half:?}");
    let all: String =
        ["matmul0", "add_0", "relu0", "matmul1", "node_of_y"].iter().map(|n| format!(" --float {n}")).collect();
    assert_eq!(output(10, &path, &format!("--noTF32 --fp16 --obey{all}"), ""), exact);
    assert_eq!(output(10, &path, &format!("--noTF32 --fp16{all}"), ""), half);
    let ignored =
        smoke(10, &path, &format!("--noTF32 --fp16 --obey --layers{all}"), "ignore_obey=relu0;precision=relu0");
    assert!(!close(&values(&ignored, "output", "y")[0], &exact), "{ignored}");
    assert!(ignored.contains(
        r#""Name": "__myln_k_arg__bb1_0", "Location": "Device", "Dimensions": [2, 5], "Format/Datatype": "Half""#
    ));
    assert_eq!(output(10, &path, &format!("--noTF32 --fp16 --obey{all}"), "precision=relu0"), exact);
}

#[test]
fn faults_strike_when_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(&dir, "mlp.onnx", &model_of(mlp()));
    let exact = reference(&path).1;
    // fault, arguments, does it strike
    let cases = [
        ("wrong=relu0", "", true),
        ("wrong=rel*", "--mark r0", true),
        ("wrong=relu1", "", false),
        ("wrong_fused=relu0", "", true),
        ("wrong_fused=relu0", "--unfused", true),
        ("wrong_fused=relu0", "--mark r0", false),
        ("wrong_fused=relu0", "--debug r0", false),
        ("wrong_pair=matmul0+relu0", "", true),
        ("wrong_pair=matmul0+relu0", "--mark mm0", false),
        ("wrong_pair=matmul0+relu0", "--debug add0", false),
        ("wrong_pair=relu0+matmul0", "", false),
        ("wrong_marked=relu0", "", false),
        ("wrong_marked=relu0", "--unfused", false),
        ("wrong_marked=relu0", "--mark r0", true),
        ("perturb_marked=add_0", "", false),
        ("perturb_marked=add_0", "--mark mm0", false),
        ("perturb_marked=add_0", "--mark add0", true),
        ("precision=relu0", "", false),
    ];
    for version in VERSIONS {
        for (fault, args, strikes) in cases {
            let got = output(version, &path, &format!("--noTF32 {args}"), fault);
            assert_eq!(got != exact, strikes, "TensorRT {version}: {fault} {args}");
        }
        let rows = output(version, &path, "--noTF32", "rows=matmul0");
        assert!(rows[..3] == exact[..3] && rows[3..] != exact[3..], "{rows:?}");
        let drifts = values(&smoke(version, &path, "--noTF32 --runs 2", "nondeterministic=relu0"), "output", "y");
        assert!(drifts.len() == 2 && drifts[0] != drifts[1], "{drifts:?}");
        assert_eq!(
            values(&smoke(version, &path, "--runs 2", ""), "output", "y").windows(2).filter(|w| w[0] == w[1]).count(),
            1
        );
    }
    let fault = "route=a:b:relu0";
    assert!(output(11, &path, "--noTF32", fault) != exact);
    assert_eq!(output(11, &path, "--noTF32 --route -a:b=off", fault), exact);
    assert!(smoke(11, &path, "--route -none=off", fault).contains("route refused"));
    let routes = smoke(11, &path, "--routes", fault);
    let json = routes.split_once("routes ").unwrap().1.split_once("]}").unwrap().0.to_string() + "]}";
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["tuner_options"].as_array().unwrap().iter().any(|o| o["option"] == "-a:b"), "{json}");
}

#[test]
fn layers_tensors_and_listeners_carry_the_names_that_tensorrt_gives() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(&dir, "mlp.onnx", &model_of(mlp()));
    for version in VERSIONS {
        let fused = smoke(version, &path, "--noTF32 --unfused --layers", "");
        assert!(
            fused.contains(r#""Metadata": "[ONNX Layer: matmul0]\u001f[ONNX Layer: add_0]\u001f[ONNX Layer: relu0]""#),
            "{fused}"
        );
        assert_eq!(fused.lines().filter(|l| l.starts_with("debug ")).count(), 2, "{fused}");
        let timed = smoke(version, &path, "--noTF32 --profile", "");
        assert!(timed.contains("time matmul0 + add_0 + relu0 0.25\n"), "{timed}");
        assert!(!smoke(version, &path, "--noTF32", "").contains("time "));
        let shown = smoke(version, &path, "--noTF32 --debug r0 --mark mm0 --layers", "");
        let listened = values(&shown, "debug", "r0");
        assert_eq!(listened, values(&fused, "debug", "__myln_k_arg__bb1_0"), "{shown}");
        assert!(shown.contains(r#""Name": "matmul0", "#) && shown.contains(r#""Name": "add_0", "#), "{shown}");
        assert!(
            smoke(version, &path, "", "slow_build=0.3").contains("phase Timing Layers of Building Engine: 6 steps")
        );
    }
}

#[test]
fn what_tensorrt_refuses_the_doubles_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let mut graph = mlp();
    graph.node.extend([
        NodeProto::new("Greater", "greater", &["add0", "mm0"], &["bool"]),
        NodeProto::new("Shape", "shape", &["r0"], &["dims"]),
        NodeProto::new("Reshape", "reshape", &["r0", "dims"], &["r1"]),
    ]);
    let plain = saved(&dir, "mlp.onnx", &model_of(graph));
    let mut dynamic = mlp();
    let mut shape = TensorShapeProto { dim: vec![Dimension::default(); 2] };
    shape.dim[1].value = Some(DimValue::DimValue(4));
    dynamic.input = vec![ValueInfoProto::typed("x", DType::Float32, Some(shape))];
    dynamic.output = vec![ValueInfoProto::bare("y")];
    let dynamic = saved(&dir, "dynamic.onnx", &model_of(dynamic));
    let lost = dir.path().join("lost.onnx");
    std::fs::copy(testdata("external_data").join("model.onnx"), &lost).unwrap();
    let corrupt = dir.path().join("corrupt.onnx");
    std::fs::write(&corrupt, &std::fs::read(&plain).unwrap()[..100]).unwrap();
    let looped = testdata("if_branch_fault").join("model.onnx");
    for version in VERSIONS {
        let plan = dir.path().join(format!("{version}.plan"));
        let built = smoke(version, &plain, &format!("--save {}", plan.display()), "");
        assert!(built.contains("\nran\n"), "{built}");
        let cut = dir.path().join("cut.plan");
        std::fs::write(&cut, &std::fs::read(&plan).unwrap()[..400]).unwrap();
        let other = dir.path().join("other.plan");
        smoke(if version == 10 { 11 } else { 10 }, &plain, &format!("--save {}", other.display()), "");
        let load = |path: &Path| format!("--load {}", path.display());
        let cases: &[(&Path, &str, &str, &str)] = &[
            (
                &plain,
                "",
                "unsupported=Relu",
                "parse error node=2 op=Relu name=relu0: No importer registered for op: Relu",
            ),
            (&corrupt, "", "", "parse error node=-1 op= name=: Failed to parse the ONNX model"),
            (&lost, "", "", "Failed to open file"),
            (&dynamic, "", "", "no optimization profile has been defined"),
            (&dynamic, "--shape x=1x4:2x4:4x4:8x4", "", "does not satisfy any optimization profiles"),
            (&plain, "--mark bool", "", "must not have type kBOOL"),
            (&plain, "--mark dims", "", "is a shape tensor"),
            (&looped, "--mark then_square_out", "", "is not allowed to be in a loop"),
            (&plain, "", "fail_build=no tactic", "no tactic\nbuild failed"),
            (&plain, "--stop-after 1", "slow_build=60", "The build was cancelled"),
            (&plain, &load(&cut), "", "plan refused"),
            (&plain, &load(&plain), "", "magicTag"),
            (&plain, &load(&other), "", "Version tag does not match"),
            (&plain, &load(&plan), "wrong=relu0", "\nran\n"),
        ];
        for (model, args, fault, said) in cases {
            let printed = smoke(version, model, args, fault);
            assert!(printed.contains(said), "TensorRT {version} {args} {fault}\n{printed}");
        }
        for (args, fault) in [("", "crash_build"), ("", "crash_run"), ("--mark r0", "crash_if_marked=r0")] {
            let printed = smoke(version, &plain, args, fault);
            assert!(!printed.contains("ran\n") && !printed.contains("failed"), "{fault}: {printed}");
        }
        assert!(smoke(version, &plain, "", "crash_if_marked=r0").contains("\nran\n"));
        assert!(smoke(version, &dynamic, "--shape x=1x4:2x4:4x4:3x4", "").contains("binding out y type=0 -1x3 -> 3x3"));
    }
}

#[test]
fn every_build_is_logged_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(&dir, "mlp.onnx", &model_of(mlp()));
    for version in VERSIONS {
        let (log, leaks) = (dir.path().join(format!("{version}.log")), dir.path().join(format!("{version}.leaks")));
        let program = doubles().join(version.to_string()).join("smoke");
        for args in [vec!["--mark", "r0", "--noTF32"], vec!["--debug", "mm0", "--stop-after", "0"]] {
            let mut command = Command::new(&program);
            with_doubles(&mut command, "");
            command.arg(&path).args(args).env("LAYERDIFF_DOUBLE_LOG", &log).env("LAYERDIFF_DOUBLE_LEAKS", &leaks);
            command.output().unwrap();
        }
        let lines: Vec<serde_json::Value> =
            std::fs::read_to_string(&log).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let seen = |line: &serde_json::Value| {
            [&line["result"], &line["marks"], &line["debug"], &line["flags"]].map(|v| v.to_string())
        };
        assert_eq!(seen(&lines[0]), ["\"built\"", "[\"r0\"]", "[]", "[]"]);
        assert_eq!(seen(&lines[1]), ["\"cancelled\"", "[]", "[\"mm0\"]", "[\"TF32\"]"]);
        assert_eq!(std::fs::read_to_string(&leaks).unwrap(), "0 bytes in 0 allocations not freed\n");
        let mut objects = leaks.into_os_string();
        objects.push(".objects");
        let objects = std::fs::read_to_string(objects).unwrap();
        assert!(
            objects.lines().count() == 4 && objects.lines().all(|l| l.starts_with("0 objects of lib")),
            "{objects}"
        );
    }
}
