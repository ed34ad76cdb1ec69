//! The TensorRT backend in its worker process: on the doubles of TensorRT 8.6, 10 and 11 (tests/trt_double), where everything runs, and on the real
//! TensorRT-RTX (scripts/tensorrt.sh), which parses and builds here.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{model_of, root, testdata};
use layerdiff::load::{Lean, Model, testset};
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::tensorrt::{Options, Range, TensorRt};
use layerdiff::run::worker::{Task, Worker};
use layerdiff::run::{Answer, Backend, How, Job, Observe, RunError, cuda, question, tensorrt};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;
use serde_json::Value;

/// All doubles.
const VERSIONS: [u32; 3] = [8, 10, 11];
/// Those that have 64-bit integers and a listener for what is inside an engine.
const NEWER: [u32; 2] = [10, 11];

/// target/trt_double, built once.
fn doubles() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(root().join("scripts/trt_double.sh")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        root().join("target/trt_double")
    })
}

fn options(version: u32) -> Options {
    let folder = doubles().join(version.to_string());
    Options::new(&tensorrt::library::find(Some(&folder)).unwrap().unwrap())
}

/// What the doubles need around them.
fn environment(fault: &str) -> Vec<(String, String)> {
    let runtime = library::find(None).expect("run `layerdiff setup` first").path.display().to_string();
    let cuda = doubles().join("cuda").display().to_string();
    let pairs = [
        ("LD_LIBRARY_PATH", cuda),
        ("LAYERDIFF_DOUBLE_ORT", runtime),
        ("LAYERDIFF_DOUBLE_FAULT", fault.to_string()),
        ("ORT_DISABLE_TELEMETRY", "1".to_string()),
    ];
    pairs.map(|(name, value)| (name.to_string(), value)).to_vec()
}

fn started(options: Options, env: Vec<(String, String)>) -> Result<Worker, RunError> {
    let task = Task { env, ..Task::tensorrt(options) };
    Worker::start_with(Path::new(env!("CARGO_BIN_EXE_layerdiff")), &task)
}

fn worker(options: Options, fault: &str) -> Worker {
    started(options, environment(fault)).unwrap()
}

fn ort() -> Ort {
    Ort::new(&library::find(None).unwrap().path, Provider::Cpu).unwrap()
}

/// A worker that writes down its builds, and what it wrote.
fn logged(options: Options) -> (Worker, impl Fn() -> Vec<Value>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut env = environment("");
    env.push(("LAYERDIFF_DOUBLE_LOG".to_string(), log.path().display().to_string()));
    let read = move || {
        let text = std::fs::read_to_string(log.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    (started(options, env).unwrap(), read)
}

fn lean(path: &Path) -> Lean {
    let model = Model::load(path).unwrap();
    model.lean(&model.proto)
}

fn in_memory(graph: GraphProto) -> Lean {
    Lean { bytes: model_of(graph).encode_to_vec(), folder: std::env::temp_dir() }
}

fn numbers(shape: &[usize]) -> Tensor {
    let number = |i: usize| ((i * 31 % 17) as f32 - 8.0) * 0.13;
    Tensor::f32(shape, &(0..shape.iter().product()).map(number).collect::<Vec<_>>())
}

fn feed(tensor: Tensor) -> Tensors {
    Tensors::from([("x".to_string(), tensor)])
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// x -> matmul0 -> mm0 -> add0 -> a0 -> relu0 -> r0 -> matmul1 -> mm1 -> (unnamed) -> y
fn run(on: &dyn Backend, model: &Lean, feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
    Ok(on.run(&Job::new(model.clone(), feeds, outputs))?.values)
}

fn build(on: &dyn Backend, model: &Lean, feeds: &[Tensors], outputs: &[String], how: &How) -> Result<Answer, RunError> {
    on.run(&Job::new(model.clone(), feeds, outputs).built(how.clone()))
}

fn mlp() -> GraphProto {
    let weight = |name: &str, shape: &[usize]| testset::tensor_to_proto(name, &numbers(shape));
    GraphProto {
        name: Some("mlp".into()),
        node: vec![
            NodeProto::new("MatMul", "matmul0", &["x", "w0"], &["mm0"]),
            NodeProto::new("Add", "add0", &["mm0", "b0"], &["a0"]),
            NodeProto::new("Relu", "relu0", &["a0"], &["r0"]),
            NodeProto::new("MatMul", "matmul1", &["r0", "w1"], &["mm1"]),
            NodeProto::new("Sigmoid", "", &["mm1"], &["y"]),
        ],
        initializer: vec![weight("w0", &[4, 5]), weight("b0", &[5]), weight("w1", &[5, 3])],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 4])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[2, 3])],
        ..Default::default()
    }
}

/// The same with more outputs, as `mark` makes them.
fn marked(marks: &[&str]) -> Lean {
    let mut graph = mlp();
    graph.output.extend(marks.iter().map(|mark| ValueInfoProto::bare(mark)));
    in_memory(graph)
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op, op, inputs, &[output])
}

/// One input of a type, and nodes.
fn small(dtype: DType, nodes: Vec<NodeProto>, outputs: &[(&str, DType)]) -> Lean {
    in_memory(GraphProto {
        name: Some("small".into()),
        node: nodes,
        input: vec![ValueInfoProto::tensor("x", dtype, &[4])],
        output: outputs.iter().map(|(name, dtype)| ValueInfoProto::typed(name, *dtype, None)).collect(),
        ..Default::default()
    })
}

fn same(a: &Tensors, b: &Tensors) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, tensor) in a {
        assert!(tensor.identical(&b[name]), "{name}: {tensor:?} {:?}", b[name]);
    }
}

fn reason(error: &RunError) -> String {
    error.to_string()
}

#[test]
fn engines_compute_what_onnx_runtime_computes() {
    let cases = [
        ("external_data", vec![numbers(&[2, 128])]),
        ("dynamic_batch", vec![numbers(&[2, 8]), numbers(&[5, 8])]),
        ("healthy_transformer", vec![numbers(&[1, 6, 16])]),
    ];
    for version in VERSIONS {
        let worker = worker(options(version), "");
        let info = &worker.about().info;
        assert_eq!((info.backend.as_str(), info.version.split('.').next()), ("tensorrt", Some(&*version.to_string())));
        assert!(info.provider.contains("compute capability"), "{}", info.provider);
        for (case, samples) in &cases {
            let model = lean(&testdata(case).join("model.onnx"));
            let feeds: Vec<Tensors> = samples.iter().cloned().map(feed).collect();
            let expected = run(&ort(), &model, &feeds, &names(&["y"])).unwrap();
            let got = run(&worker, &model, &feeds, &names(&["y"])).unwrap();
            expected.iter().zip(&got).for_each(|(a, b)| same(a, b));
        }
    }
}

#[test]
fn values_keep_their_types_and_are_converted_never_reinterpreted() {
    let ints = small(DType::Int64, vec![node("Neg", &["x"], "y")], &[("y", DType::Int64)]);
    let x = feed(Tensor::i64(&[4], &[1, -2, 3, i64::from(i32::MAX)]));
    for version in NEWER {
        let worker = worker(options(version), "");
        let got = run(&worker, &ints, std::slice::from_ref(&x), &names(&["y"])).unwrap();
        assert_eq!(got[0]["y"].view::<i64>().as_ref(), [-1, 2, -3, -i64::from(i32::MAX)]);
        let narrow = small(DType::Int32, vec![node("Neg", &["x"], "y")], &[("y", DType::Int32)]);
        let got = run(&worker, &narrow, std::slice::from_ref(&x), &names(&["y"])).unwrap();
        assert_eq!(got[0]["y"].view::<i32>().as_ref(), [-1, 2, -3, -i32::MAX]);
        let large = run(&worker, &narrow, &[feed(Tensor::i64(&[4], &[1, 1 << 40, 0, 0]))], &names(&["y"])).unwrap_err();
        assert!(matches!(large, RunError::Run { .. }) && reason(&large).contains("input 'x'"), "{large}");
        assert!(reason(&large).contains("1099511627776"), "{large}");
        let half = small(DType::Float16, vec![node("Relu", &["x"], "y")], &[("y", DType::Float16)]);
        let got = run(&worker, &half, &[feed(Tensor::f32(&[4], &[1.0, -1.0, 0.5, 2.0]))], &names(&["y"])).unwrap();
        let expected = [1.0, 0.0, 0.5, 2.0].map(half::f16::from_f32);
        assert_eq!((got[0]["y"].dtype, got[0]["y"].view::<half::f16>().as_ref()), (DType::Float16, &expected[..]));
        let missing = run(&worker, &ints, &[Tensors::new()], &names(&["y"])).unwrap_err();
        assert!(matches!(missing, RunError::Run { .. }) && reason(&missing).contains("input 'x'"), "{missing}");
    }
}

#[test]
fn tensors_inside_are_seen_in_three_ways() {
    let x = [feed(numbers(&[2, 4]))];
    let wanted = names(&["y", "mm0", "a0", "r0", "mm1"]);
    let exact = run(&ort(), &marked(&["mm0", "a0", "r0", "mm1"]), &x, &wanted).unwrap().remove(0);
    let of = |wanted: &[&str]| {
        exact.iter().filter(|(n, _)| wanted.contains(&n.as_str())).map(|(n, t)| (n.clone(), t.clone())).collect()
    };
    for version in NEWER {
        let (worker, log) = logged(options(version));
        let see = |model: &Lean, observe| {
            let how = How { observe, ..How::default() };
            build(&worker, model, &x, &wanted, &how).unwrap()
        };
        let outputs = see(&marked(&["mm0", "a0", "r0", "mm1"]), Observe::Outputs);
        same(&outputs.values[0], &exact);
        let debug = see(&marked(&[]), Observe::Debug);
        same(&debug.values[0], &of(&["y", "mm0", "a0", "r0", "mm1"]));
        let unfused = see(&marked(&[]), Observe::Unfused);
        // matmul0, add0 and relu0 are one layer, whose output has a name of the engine's own; so are matmul1 and the last node.
        same(&unfused.values[0], &of(&["y", "r0"]));
        let layers = unfused.built.unwrap().layers;
        assert_eq!(layers[0].nodes, ["matmul0", "add0", "relu0"]);
        let seen: Vec<(usize, usize, bool)> = log()
            .iter()
            .map(|build| {
                let count = |what: &str| build[what].as_array().unwrap().len();
                (count("marks"), count("debug"), build["unfused"].as_bool().unwrap())
            })
            .collect();
        assert_eq!(seen, [(4, 0, false), (0, 4, false), (0, 0, true)]);
    }
}

/// Truth values and shapes beside a number, marked.
fn odd() -> Lean {
    let nodes = vec![
        node("Greater", &["x", "x"], "g"),
        node("Cast", &["g"], "y").with(AttributeProto::int("to", 1)),
        node("Shape", &["x"], "s"),
    ];
    in_memory(GraphProto {
        name: Some("odd".into()),
        node: nodes,
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[4])],
        output: ["y", "g", "s"].map(ValueInfoProto::bare).to_vec(),
        ..Default::default()
    })
}

/// Tensors that an engine cannot give are left out, and the others have their values.
#[test]
fn what_cannot_be_marked_has_no_value() {
    for version in VERSIONS {
        let worker = worker(options(version), "");
        let got = run(&worker, &odd(), &[feed(numbers(&[4]))], &names(&["y", "g", "s", "nothing"])).unwrap();
        assert_eq!(got[0].keys().collect::<Vec<_>>(), ["y"]);
    }
}

#[test]
fn an_output_whose_size_only_the_run_tells_grows() {
    let model = small(DType::Float32, vec![node("NonZero", &["x"], "y")], &[("y", DType::Int64)]);
    for version in VERSIONS {
        let worker = worker(options(version), "");
        let feeds = [[1.0, 0.0, 2.0, 3.0], [0.0, 0.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0]];
        let feeds = feeds.map(|values| feed(Tensor::f32(&[4], &values)));
        let got = run(&worker, &model, &feeds, &names(&["y"])).unwrap();
        // TensorRT 8.6 has 32-bit integers for it.
        let wide = |values: &Tensors| layerdiff::precision::cast(&values["y"], DType::Int64).unwrap();
        let got: Vec<Vec<i64>> = got.iter().map(|values| wide(values).view::<i64>().into_owned()).collect();
        assert_eq!(got, [vec![0, 2, 3], vec![2], vec![0, 1, 2, 3]]);
    }
}

#[test]
fn weak_typing_lowers_what_is_not_kept() {
    let x = [feed(numbers(&[2, 4]))];
    let weak = |version| Options { weak: Some(DType::Float16), ..options(version) };
    let exact = run(&ort(), &marked(&[]), &x, &names(&["y"])).unwrap().remove(0);
    for version in [8, 10] {
        let (worker, log) = logged(weak(version));
        let build = |float32: &[&str]| -> Answer {
            let how = How { float32: names(float32), ..How::default() };
            build(&worker, &marked(&[]), &x, &names(&["y"]), &how).unwrap()
        };
        let low = build(&[]);
        assert!(!low.values[0]["y"].identical(&exact["y"]));
        let kept = build(&["matmul0", "add0", "relu0", "matmul1", "node_of_y"]);
        assert!(kept.values[0]["y"].identical(&exact["y"]));
        build(&["matmul1"]);
        let floats: Vec<usize> = log().iter().map(|build| build["float_layers"].as_array().unwrap().len()).collect();
        assert_eq!(floats, [0, 5, 1]);
        assert!(log().iter().all(|build| build["strongly_typed"] == false));
    }
    match started(weak(11), environment("")) {
        Err(RunError::Missing(why)) => assert!(why.contains("convert the model"), "{why}"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn a_converted_model_stays_half() {
    let path = testdata("fp16_file").join("model.onnx");
    let model = lean(&path);
    let proto = Model::load(&path).unwrap().proto.graph.unwrap();
    let input = &proto.input[0];
    let x = layerdiff::precision::cast(&numbers(&input.concrete_shape().unwrap()), input.dtype().unwrap()).unwrap();
    let feeds = [Tensors::from([(input.name().to_string(), x)])];
    let output = [proto.output[0].name().to_string()];
    let expected = run(&ort(), &model, &feeds, &output).unwrap();
    for version in VERSIONS {
        same(&run(&worker(options(version), ""), &model, &feeds, &output).unwrap()[0], &expected[0]);
    }
}

#[test]
fn one_build_serves_latency_and_runs_and_tells_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("timings");
    std::fs::write(&cache, "of another version").unwrap();
    for version in VERSIONS {
        let more =
            Options { timing_cache: Some(cache.clone()), workspace: Some(1 << 28), level: Some(2), ..options(version) };
        let (worker, log) = logged(more.clone());
        let (model, x) = (marked(&[]), feed(numbers(&[2, 4])));
        let seconds = question::latency(&worker, Job::new(model.clone(), std::slice::from_ref(&x), &[]), 3, true);
        let seconds = seconds.unwrap().unwrap();
        assert!(seconds.runs.len() == 3 && seconds.runs.iter().all(|s| *s > 0.0), "{seconds:?}");
        // The double's profiler tells of each layer 0.25 ms more than of the one before.
        let layers: Vec<_> = seconds.nodes.iter().map(|n| (n.from.clone(), (n.seconds * 1e6).round())).collect();
        assert_eq!(layers[0], (names(&["matmul0", "add0", "relu0"]), 250.0), "{layers:?}");
        assert!(layers.iter().zip(1..).all(|((from, us), at)| !from.is_empty() && *us == 250.0 * f64::from(at)));
        let answer = build(&worker, &model, &[x.clone(), x.clone()], &names(&["y"]), &How::default()).unwrap();
        assert_eq!(answer.values.len(), 2);
        assert!(answer.built.is_some_and(|built| built.seconds > 0.0 && !built.layers.is_empty()));
        let [build] = &log()[..] else { panic!("{:?}", log()) };
        assert_eq!(
            (&build["detailed"], &build["level"], &build["workspace"]),
            (&true.into(), &2.into(), &(1 << 28).into())
        );
        assert!(!build["flags"].to_string().contains("TF32"), "{build}");
        assert_eq!(build["flags"].to_string().contains("STRICT_NANS"), version != 8, "{build}");
        // The next process starts with the timings of this one.
        let (worker, log) = logged(more);
        run(&worker, &model, &[x], &names(&["y"])).unwrap();
        assert!(log()[0]["cache_hits"].as_u64().unwrap() > 0, "{:?}", log());
    }
    let tf32 = worker(Options { tf32: true, ..options(11) }, "");
    let x = [feed(numbers(&[2, 4]))];
    let got = run(&tf32, &marked(&[]), &x, &names(&["y"])).unwrap();
    assert!(!got[0]["y"].identical(&run(&ort(), &marked(&[]), &x, &names(&["y"])).unwrap()[0]["y"]));
}

#[test]
fn profiles_come_from_the_user_or_the_data() {
    let model = lean(&testdata("dynamic_batch").join("model.onnx"));
    let range =
        |input: &str, max: i64| Range { input: input.into(), min: vec![1, 8], opt: vec![2, 8], max: vec![max, 8] };
    let run_on = |version: u32, ranges: Vec<Range>, rows: usize| {
        let worker = worker(Options { profiles: ranges, ..options(version) }, "");
        run(&worker, &model, &[feed(numbers(&[rows, 8]))], &names(&["y"])).map(|values| values[0]["y"].shape.clone())
    };
    for version in VERSIONS {
        assert_eq!(run_on(version, vec![range("x", 4)], 3), Ok(vec![3, 8]));
    }
    let run = |ranges: Vec<Range>, rows: usize| run_on(8, ranges, rows);
    let huge = run(vec![range("x", 1 << 31)], 3).unwrap_err();
    assert!(reason(&huge).contains("2147483648"), "no room for it in 32 bits: {huge}");
    let outside = run(vec![range("x", 4)], 5).unwrap_err();
    assert!(matches!(outside, RunError::Run { .. }) && reason(&outside).contains("5"), "{outside}");
    let unknown = run(vec![range("z", 4)], 3).unwrap_err();
    assert!(matches!(unknown, RunError::Build { .. }) && reason(&unknown).contains("the inputs are: x"), "{unknown}");
}

#[test]
fn a_ready_engine_is_checked_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let (onnx, plan) = (dir.path().join("mlp.onnx"), dir.path().join("mlp.plan"));
    std::fs::write(&onnx, marked(&[]).bytes).unwrap();
    let smoke = Command::new(doubles().join("10/smoke"))
        .arg(&onnx)
        .args(["--noTF32", "--save"])
        .arg(&plan)
        .envs(environment(""))
        .output()
        .unwrap();
    assert!(plan.exists(), "{smoke:?}");
    let x = [feed(numbers(&[2, 4]))];
    let exact = run(&ort(), &marked(&[]), &x, &names(&["y"])).unwrap();
    let run = |version: u32, plan: &Path, model: &Lean| {
        let worker = worker(Options { plan: Some(plan.to_path_buf()), ..options(version) }, "");
        run(&worker, model, &x, &names(&["y"]))
    };
    let engine = question::engine(&worker(Options { plan: Some(plan.clone()), ..options(10) }, "")).unwrap().unwrap();
    let bindings: Vec<_> = engine.bindings.iter().map(|b| (b.name.as_str(), b.input, b.dtype, &b.shape[..])).collect();
    let float = DType::Float32;
    assert_eq!(bindings, [("x", true, float, &[2, 4][..]), ("y", false, float, &[2, 3][..])]);
    assert!(!engine.layers.is_empty() && engine.device_memory.is_some());
    same(&run(10, &plan, &marked(&[])).unwrap()[0], &exact[0]);
    let refused = |version: u32, plan: &Path, model: &Lean, expected: &str| {
        let error = run(version, plan, model).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, RunError::Build { .. } | RunError::Missing(_)), "{error:?}");
    };
    let other = small(DType::Int64, vec![node("Neg", &["x"], "z")], &[("z", DType::Int64)]);
    refused(10, &plan, &other, "'x' is int64 in the model, which cannot become the engine's float32");
    refused(10, &plan, &other, "the engine's output 'y' is not in the model, whose outputs are: z");
    refused(11, &plan, &marked(&[]), "cannot load");
    refused(8, &plan, &marked(&[]), "cannot load");
    let corrupt = dir.path().join("corrupt.plan");
    std::fs::write(&corrupt, &std::fs::read(&plan).unwrap()[..100]).unwrap();
    refused(10, &corrupt, &marked(&[]), "corrupt.plan: ");
    refused(10, &dir.path().join("gone.plan"), &marked(&[]), "cannot be read");
}

#[test]
fn what_goes_wrong_is_an_answer() {
    let x = [feed(numbers(&[2, 4]))];
    let faulty = |version: u32, fault: &str| {
        run(&worker(options(version), fault), &marked(&[]), &x, &names(&["y"])).unwrap_err()
    };
    for version in VERSIONS {
        let parse = faulty(version, "unsupported=Relu");
        assert!(matches!(parse, RunError::Build { .. }) && reason(&parse).contains("'relu0' (Relu)"), "{parse}");
        for fault in ["fail_build=no kernel for this", "fail_build=no kernel for this;unlogged"] {
            let build = faulty(version, fault);
            assert!(matches!(build, RunError::Build { .. }), "{build}");
            assert_eq!(
                reason(&build).matches("no kernel for this").count(),
                1,
                "told once, from log or recorder: {build}"
            );
        }
        for fault in ["crash_build", "crash_run"] {
            let crash = faulty(version, fault);
            assert!(matches!(crash, RunError::Crash { .. }), "{fault}: {crash}");
        }
        let bad = lean(&testdata("external_data").join("model.onnx"));
        let lost = Lean { folder: std::env::temp_dir().join("nowhere"), ..bad };
        let lost = run(&worker(options(version), ""), &lost, &[feed(numbers(&[2, 128]))], &names(&["y"])).unwrap_err();
        assert!(matches!(lost, RunError::Build { .. }), "{lost}");
    }
}

#[test]
fn compiler_knobs_are_told_and_turned_where_there_are_any() {
    assert_eq!(question::routes(&worker(options(10), "")), Ok(None));
    let eleven = worker(options(11), "route=a:b:relu0");
    assert!(question::routes(&eleven).unwrap().unwrap().contains("-a:b"));
    let x = [feed(numbers(&[2, 4]))];
    let build = |route: &str| {
        let how = How { route: Some(route.to_string()), ..How::default() };
        build(&eleven, &marked(&[]), &x, &names(&["y"]), &how)
    };
    let exact = run(&ort(), &marked(&[]), &x, &names(&["y"])).unwrap();
    same(&build("-a:b=off").unwrap().values[0], &exact[0]);
    let unknown = build("-none=off").map(|_| ()).unwrap_err();
    assert!(reason(&unknown).contains("-none=off"), "{unknown}");
    let wrong = run(&eleven, &marked(&[]), &x, &names(&["y"])).unwrap();
    assert!(!wrong[0]["y"].identical(&exact[0]["y"]));
}

#[test]
fn nothing_leaks_over_many_builds() {
    let dir = tempfile::tempdir().unwrap();
    let leaks = dir.path().join("leaks");
    // A process of its own: it counts when it ends.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "many_builds_in_one_process", "--ignored"])
        .envs(environment(""))
        .env("LAYERDIFF_DOUBLE_LEAKS", &leaks)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    for file in [leaks.clone(), dir.path().join("leaks.objects")] {
        let counts = std::fs::read_to_string(&file).unwrap();
        let numbers: Vec<u64> = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(!numbers.is_empty() && numbers.iter().all(|n| *n == 0), "{}: {counts}", file.display());
    }
}

#[test]
#[ignore = "run by nothing_leaks_over_many_builds with the doubles around it"]
fn many_builds_in_one_process() {
    let x = [feed(numbers(&[2, 4]))];
    let backend = TensorRt::start(options(10)).unwrap();
    for round in 0..100 {
        let observe = [Observe::Outputs, Observe::Debug, Observe::Unfused][round % 3];
        let how = How { observe, ..How::default() };
        let model = if observe == Observe::Outputs { marked(&["r0"]) } else { marked(&[]) };
        let answer = build(&backend, &model, &x, &names(&["y", "r0"]), &how).unwrap();
        assert_eq!(answer.values[0].len(), 2);
        let timed = question::latency(&backend, Job::new(marked(&["r0"]), &x, &[]), 1, true).unwrap().unwrap();
        assert!(!timed.nodes.is_empty());
    }
    let broken = Lean { bytes: vec![1, 2, 3], folder: PathBuf::new() };
    run(&backend, &broken, &x, &names(&["y"])).unwrap_err();
    run(&backend, &marked(&[]), &[Tensors::new()], &names(&["y"])).unwrap_err();
}

/// Its parser makes 32-bit integers of them, and layerdiff of what it is fed.
#[test]
fn tensorrt_8_has_no_64_bit_integers() {
    let worker = worker(options(8), "");
    let ints = small(DType::Int64, vec![node("Neg", &["x"], "y")], &[("y", DType::Int64)]);
    let neg = |values: &[i64; 4]| run(&worker, &ints, &[feed(Tensor::i64(&[4], values))], &names(&["y"]));
    let got = neg(&[1, -2, 3, i64::from(i32::MAX)]).unwrap();
    assert_eq!((got[0]["y"].dtype, got[0]["y"].view::<i32>().as_ref()), (DType::Int32, &[-1, 2, -3, -i32::MAX][..]));
    let large = neg(&[1, 1 << 40, 0, 0]).unwrap_err();
    assert!(reason(&large).contains("input 'x'"), "{large}");
    assert!(reason(&large).contains("its value 1099511627776 is out of the range of int32"), "{large}");
}

/// A model's own types are no must in it: the builder is allowed those that the model has, and keeps the rest FP32.
#[test]
fn tensorrt_8_is_allowed_the_types_of_the_model() {
    let flags = |model: &Lean, x: Tensor| {
        let (worker, log) = logged(options(8));
        run(&worker, model, &[feed(x)], &names(&["y"])).unwrap();
        let [build] = &log()[..] else { panic!("{:?}", log()) };
        (build["flags"].to_string(), build["float_layers"].to_string())
    };
    let cast = |name: &str, input: &str, output: &str, to: i64| {
        NodeProto::new("Cast", name, &[input], &[output]).with(AttributeProto::int("to", to))
    };
    let single = small(DType::Float32, vec![node("Relu", &["x"], "y")], &[("y", DType::Float32)]);
    let x = Tensor::f32(&[4], &[1.0, -1.0, 0.5, 2.0]);
    assert_eq!(flags(&single, x.clone()), ("[]".to_string(), "[]".to_string()));
    let nodes = vec![cast("down", "x", "h", 10), node("Relu", &["h"], "r"), cast("up", "r", "y", 1)];
    let (some, kept) = flags(&small(DType::Float32, nodes, &[("y", DType::Float32)]), x.clone());
    assert_eq!(some, r#"["FP16","OBEY_PRECISION_CONSTRAINTS"]"#);
    assert_eq!(kept, r#"["up"]"#);
    let nodes = vec![
        NodeProto::new("QuantizeLinear", "q", &["x", "s"], &["i"]),
        NodeProto::new("DequantizeLinear", "dq", &["i", "s"], &["y"]),
    ];
    let mut quantised = small(DType::Float32, nodes, &[("y", DType::Float32)]);
    let mut model = ModelProto::decode(&quantised.bytes[..]).unwrap();
    let scale = testset::tensor_to_proto("s", &Tensor::f32(&[], &[0.5]));
    model.graph.as_mut().unwrap().initializer.push(scale);
    quantised.bytes = model.encode_to_vec();
    assert_eq!(flags(&quantised, x), (r#"["INT8"]"#.to_string(), "[]".to_string()));
}

/// TensorRT-RTX itself: it parses and builds without a GPU, and does not run.
#[test]
fn the_real_rtx_builds_and_says_what_it_lacks_to_run() {
    let folder = root().join("target/tensorrt/onnxruntime_ep_nv_tensorrt_rtx");
    let found = tensorrt::library::find(Some(&folder)).expect("run scripts/tensorrt.sh first").unwrap();
    let worker = started(Options::new(&found), Vec::new()).unwrap();
    assert_eq!(worker.about().info.backend, "tensorrt-rtx");
    let run = |model: &Lean, x: Tensor, outputs: &[&str], observe| {
        let how = How { observe, ..How::default() };
        build(&worker, model, &[feed(x)], &names(outputs), &how).map(|_| ()).unwrap_err()
    };
    let unknown = run(&lean(&testdata("bad/unknown_op.onnx")), numbers(&[2, 4]), &["y"], Observe::Outputs);
    assert!(matches!(unknown, RunError::Build { .. }), "{unknown}");
    let builds = |model: &Lean, x: Tensor, outputs: &[&str], observe| {
        let error = run(model, x, outputs, observe);
        match cuda::driver_is_present() {
            // On a GPU that it does not know, or one that it does.
            true => assert!(!matches!(error, RunError::Build { .. }), "{error}"),
            false => {
                assert!(matches!(error, RunError::Missing(_)), "{error}");
                assert!(
                    reason(&error).contains("no NVIDIA driver") && reason(&error).contains("TensorRT-RTX 1."),
                    "{error}"
                );
            }
        }
    };
    let inside = ["y", "mm0", "r0"];
    builds(&marked(&inside[1..]), numbers(&[2, 4]), &inside, Observe::Outputs);
    builds(&marked(&[]), numbers(&[2, 4]), &inside, Observe::Debug);
    builds(&marked(&[]), numbers(&[2, 4]), &inside, Observe::Unfused);
    builds(&odd(), numbers(&[4]), &["y", "g", "s"], Observe::Outputs);
    // All its open dimensions have the name `?`, and different sizes.
    let names_repeat = lean(&common::real_model("cls.onnx"));
    builds(&names_repeat, numbers(&[1, 3, 48, 192]), &["save_infer_model/scale_0.tmp_1"], Observe::Outputs);
    for (case, x) in [("external_data", numbers(&[2, 128])), ("dynamic_batch", numbers(&[3, 8]))] {
        builds(&lean(&testdata(case).join("model.onnx")), x, &["y"], Observe::Outputs);
    }
}
