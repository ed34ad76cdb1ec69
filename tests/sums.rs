//! FP16 accumulation in the emulation of FP16: every operator that adds up in FP16 against ONNX Runtime's own, and what the program
//! makes of it, end to end.

mod common;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, model_of, program, testdata};
use layerdiff::found::{Kind, Sure};
use layerdiff::load::{Lean, npz, testset};
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use layerdiff::precision::{Kept, emulate, expose};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::spec::{Accumulate, Arithmetic, Emulation, Low, Weights};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

const IN_HALF: Arithmetic = Arithmetic { accumulate: Accumulate::Fp16, weights: Weights::Inf };

fn cpu() -> Ort {
    let found = library::find(None).expect("run `layerdiff setup` first");
    Ort::new(&found.path, Provider::Cpu).unwrap()
}

/// Numbers that look like chance, between -1 and 1.
fn noise(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 8) % 20_011;
    let values: Vec<f32> = (0..count as u32).map(|i| number(i) as f32 / 10_005.5 - 1.0).collect();
    Tensor::f32(shape, &values)
}

/// One operator, of an opset and a domain, with attributes in words: `axis=1 pads=1,1`.
struct Node<'a> {
    op_type: &'a str,
    domain: &'a str,
    opset: i64,
    words: &'a str,
    outputs: usize,
}

fn op(op_type: &str) -> Node<'_> {
    Node { op_type, domain: "", opset: 17, words: "", outputs: 1 }
}

impl Node<'_> {
    /// Of these inputs; what is a number of an axis is an int64.
    fn model(&self, inputs: &[Tensor]) -> ModelProto {
        let names = ["a", "b", "c", "d", "e"];
        let outputs = ["y", "y1", "y2", "y3"];
        let mut node = NodeProto::new(self.op_type, "n", &names[..inputs.len()], &outputs[..self.outputs]);
        node.domain = Some(self.domain.to_string());
        for word in self.words.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap();
            let numbers: Result<Vec<i64>, _> = value.split(',').map(str::parse).collect();
            let list = ["pads", "strides", "dilations", "axes", "kernel_shape", "output_padding"].contains(&name);
            let attribute = AttributeProto { name: Some(name.to_string()), ..Default::default() };
            node.attribute.push(match numbers {
                Ok(ints) if list => AttributeProto { r#type: Some(7), ints, ..attribute },
                Ok(ints) => AttributeProto { r#type: Some(2), i: Some(ints[0]), ..attribute },
                Err(_) => match value.parse() {
                    Ok(f) => AttributeProto { r#type: Some(1), f: Some(f), ..attribute },
                    Err(_) => AttributeProto { r#type: Some(3), s: Some(value.to_string().into()), ..attribute },
                },
            });
        }
        let mut graph = GraphProto { node: vec![node], name: Some("t".into()), ..Default::default() };
        for (name, value) in names.iter().zip(inputs) {
            match value.dtype {
                DType::Int64 => graph.initializer.push(testset::tensor_to_proto(name, value)),
                _ => graph.input.push(ValueInfoProto::tensor(name, value.dtype, &value.shape)),
            }
        }
        graph.output = outputs[..self.outputs].iter().map(|name| ValueInfoProto::bare(name)).collect();
        let mut model = model_of(graph);
        let import = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
        model.opset_import = vec![import("", self.opset), import("com.microsoft", 1)];
        model.ir_version = Some(10);
        model
    }

    /// The same within what a few roundings explain, with both ways of adding up; the operator is ours in one of them.
    fn check(&self, inputs: &[Tensor]) {
        let model = self.model(inputs);
        let names = ["a", "b", "c", "d", "e"];
        let feeds: Tensors = names.iter().zip(inputs).map(|(n, v)| (n.to_string(), v.clone())).collect();
        let feeds: Tensors = feeds.into_iter().filter(|(_, v)| v.dtype != DType::Int64).collect();
        let types = names.iter().chain(&["y", "y1", "y2", "y3"]).map(|n| (n.to_string(), DType::Float32)).collect();
        let outputs: Vec<String> = ["y", "y1", "y2", "y3"][..self.outputs].iter().map(|n| n.to_string()).collect();
        let run = |arithmetic: Arithmetic| {
            let emulated = emulate(&model, &types, Emulation { low: Low::Float16, arithmetic }, &Kept::new());
            let ours = emulated.graph.as_ref().unwrap().node.iter().any(|n| n.op_type() == "Sums");
            assert_eq!(ours, arithmetic == IN_HALF, "{}", self.op_type);
            let lean = Lean { bytes: emulated.encode_to_vec(), folder: PathBuf::from("/") };
            let answer = cpu().run(&Job::new(lean, std::slice::from_ref(&feeds), &outputs));
            answer.unwrap_or_else(|e| panic!("{} {}: {e}", self.op_type, self.words)).values.remove(0)
        };
        let (right, got) = (run(Arithmetic::default()), run(IN_HALF));
        for name in &outputs {
            let (right, got) = (&right[name], &got[name]);
            assert_eq!(right.shape, got.shape, "{} {} {name}", self.op_type, self.words);
            let most = right.view::<f32>().iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for (r, g) in right.view::<f32>().iter().zip(got.view::<f32>().iter()) {
                let (op, words) = (self.op_type, self.words);
                assert!((r - g).abs() <= 0.006 * (r.abs() + most), "{op} {words}: {g} in place of {r}");
            }
        }
    }
}

#[test]
fn products_are_those_of_onnx_runtime() {
    op("MatMul").check(&[noise(&[3, 40], 1), noise(&[40, 9], 2)]);
    op("MatMul").check(&[noise(&[2, 1, 3, 40], 1), noise(&[3, 40, 9], 2)]);
    op("MatMul").check(&[noise(&[40], 1), noise(&[2, 40, 9], 2)]);
    op("MatMul").check(&[noise(&[5, 40], 1), noise(&[40], 2)]);
    Node { words: "alpha=0.5 beta=2.0 transB=1", ..op("Gemm") }.check(&[
        noise(&[3, 40], 1),
        noise(&[9, 40], 2),
        noise(&[9], 3),
    ]);
    let fused = Node { domain: "com.microsoft", words: "transB=1 alpha=0.25", ..op("FusedMatMul") };
    fused.check(&[noise(&[2, 3, 40], 1), noise(&[2, 9, 40], 2)]);
}

#[test]
fn convolutions_are_those_of_onnx_runtime() {
    let x = noise(&[2, 4, 9, 11], 1);
    op("Conv").check(&[x.clone(), noise(&[6, 4, 3, 3], 2), noise(&[6], 3)]);
    for words in ["auto_pad=SAME_UPPER strides=2,2", "auto_pad=SAME_LOWER strides=1,2", "pads=1,2,0,1 dilations=2,1"] {
        Node { words, ..op("Conv") }.check(&[x.clone(), noise(&[6, 4, 3, 2], 2)]);
    }
    Node { words: "group=4 pads=1,1,1,1", ..op("Conv") }.check(&[x.clone(), noise(&[4, 1, 3, 3], 2)]);
    Node { words: "pads=2,2", ..op("Conv") }.check(&[noise(&[1, 3, 20], 1), noise(&[5, 3, 5], 2), noise(&[5], 3)]);
    Node { words: "strides=2,1,1", ..op("Conv") }.check(&[noise(&[1, 2, 5, 5, 5], 1), noise(&[3, 2, 2, 3, 1], 2)]);
    for words in ["strides=2,3", "strides=2,2 pads=1,0,1,1 output_padding=1,0", "dilations=2,1"] {
        Node { words, ..op("ConvTranspose") }.check(&[x.clone(), noise(&[4, 5, 3, 2], 2), noise(&[5], 3)]);
    }
    Node { words: "group=2 strides=2,2", ..op("ConvTranspose") }.check(&[x, noise(&[4, 3, 2, 2], 2)]);
}

#[test]
fn reductions_are_those_of_onnx_runtime() {
    let x = Tensor::f32(&[2, 3, 40], &noise(&[2, 3, 40], 1).view::<f32>().iter().map(|x| x.abs()).collect::<Vec<_>>());
    for name in ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceSumSquare"] {
        for words in ["axes=-1", "axes=0,1 keepdims=0", "axes=1", ""] {
            Node { words, ..op(name) }.check(std::slice::from_ref(&x));
        }
        Node { opset: 18, ..op(name) }.check(&[x.clone(), Tensor::i64(&[1], &[1])]);
    }
    op("ReduceSum").check(&[x.clone(), Tensor::i64(&[2], &[0, 2])]);
    op("GlobalAveragePool").check(&[noise(&[2, 3, 8, 8], 1)]);
    for (opset, words) in [(11, ""), (11, "axis=2"), (17, ""), (17, "axis=1"), (17, "axis=0")] {
        Node { opset, words, ..op("Softmax") }.check(std::slice::from_ref(&x));
        Node { opset, words, ..op("LogSoftmax") }.check(std::slice::from_ref(&x));
    }
}

#[test]
fn normalisations_are_those_of_onnx_runtime() {
    let x = noise(&[2, 4, 6, 8], 1);
    let of = |shape: &[usize], seed| noise(shape, seed);
    Node { outputs: 3, ..op("LayerNormalization") }.check(&[x.clone(), of(&[8], 2), of(&[8], 3)]);
    Node { words: "axis=2 epsilon=0.01", ..op("LayerNormalization") }.check(&[x.clone(), of(&[6, 8], 2)]);
    Node { words: "axis=1", opset: 23, ..op("RMSNormalization") }.check(&[x.clone(), of(&[4, 6, 8], 2)]);
    op("SimplifiedLayerNormalization").check(&[x.clone(), of(&[8], 2)]);
    op("InstanceNormalization").check(&[x.clone(), of(&[4], 2), of(&[4], 3)]);
    Node { words: "num_groups=2", opset: 21, ..op("GroupNormalization") }.check(&[x.clone(), of(&[4], 2), of(&[4], 3)]);
    Node { words: "num_groups=2", opset: 18, ..op("GroupNormalization") }.check(&[x.clone(), of(&[2], 2), of(&[2], 3)]);
    for words in ["p=2 axis=1", "p=1", "p=2 axis=-1"] {
        Node { words, ..op("LpNormalization") }.check(std::slice::from_ref(&x));
    }
    let x = noise(&[2, 6, 8], 1);
    let skip = Node { domain: "com.microsoft", words: "epsilon=0.001", outputs: 4, ..op("SkipLayerNormalization") };
    let [gamma, beta, bias] = [2, 3, 4].map(|seed| of(&[8], seed));
    skip.check(&[x.clone(), noise(&[2, 6, 8], 5), gamma.clone(), beta, bias.clone()]);
    let skip = Node { op_type: "SkipSimplifiedLayerNormalization", ..skip };
    skip.check(&[x, noise(&[2, 6, 8], 5), gamma, bias]);
}

/// A file of float16 tensors: the operator stands between casts, and adds up in FP16 all the same.
#[test]
fn a_half_precision_file_is_added_up_in_half_precision() {
    let (a, b) = ([vec![300.0; 16], vec![-300.0; 16]].concat(), vec![300.0; 32]);
    let halves = |values: &[f32], shape: &[usize]| {
        layerdiff::precision::cast(&Tensor::f32(shape, values), DType::Float16).unwrap()
    };
    let inputs = [halves(&a, &[1, 32]), halves(&b, &[32, 1])];
    let model = op("MatMul").model(&inputs);
    let feeds: Tensors = ["a", "b"].into_iter().map(String::from).zip(inputs).collect();
    let types = ["a", "b", "y"].map(|n| (n.to_string(), DType::Float16)).into();
    let run = |arithmetic| {
        let emulated =
            expose(&emulate(&model, &types, Emulation { low: Low::Float16, arithmetic }, &Kept::new()), &types);
        let lean = Lean { bytes: emulated.encode_to_vec(), folder: PathBuf::from("/") };
        let y = cpu().run(&Job::new(lean, std::slice::from_ref(&feeds), &["y".into()])).unwrap().values[0]["y"].clone();
        layerdiff::precision::cast(&y, DType::Float32).unwrap().view::<f32>()[0]
    };
    assert_eq!((run(Arithmetic::default()), run(IN_HALF)), (0.0, f32::INFINITY));
}

/// A model on disk with its data: Relu, a node that adds up, Mul by a thousandth.
fn write(dir: &Path, node: NodeProto, x: &Tensor, weights: &[(&str, Tensor)]) -> (PathBuf, String) {
    let last = node.output[0].clone();
    let relu = NodeProto::new("Relu", "relu", &["x"], &["r"]);
    let scale = NodeProto::new("Mul", "scale", &[&last, "thousandth"], &["y"]);
    let mut graph = GraphProto { node: vec![relu, node, scale], name: Some("t".into()), ..Default::default() };
    graph.input = vec![ValueInfoProto::tensor("x", DType::Float32, &x.shape)];
    graph.output = vec![ValueInfoProto::bare("y")];
    let thousandth = ("thousandth", Tensor::f32(&[], &[1e-3]));
    let weights = weights.iter().cloned().chain([thousandth]);
    graph.initializer = weights.map(|(name, value)| testset::tensor_to_proto(name, &value)).collect();
    let model = dir.join("m.onnx");
    std::fs::write(&model, model_of(graph).encode_to_vec()).unwrap();
    let data = dir.join("x.npz");
    npz::write(&data, &Tensors::from([("x".to_string(), x.clone())])).unwrap();
    (model, data.to_str().unwrap().to_string())
}

/// Sums of products that reach 9.6e5 on their way, and are 4.8e3 in the end.
fn there_and_back(dir: &Path) -> (PathBuf, String) {
    let x = [vec![201.0; 16], vec![200.0; 16]].concat();
    let w: Vec<f32> = (0..32 * 4).map(|i| if i < 64 { 300.0 } else { -300.0 }).collect();
    let product = NodeProto::new("MatMul", "product", &["r", "w"], &["p"]);
    write(dir, product, &Tensor::f32(&[1, 32], &x), &[("w", Tensor::f32(&[32, 4], &w))])
}

fn run(command: &str, (model, data): &(PathBuf, String), words: &[&str]) -> Run {
    layerdiff(command, model, &[&["-c", "ort:fp16", "-i", data][..], words].concat())
}

const WARNING: &str = "this agrees with FP32 accumulation; in FP16 the sum inside 'product' (MatMul) reaches 9.65e5, beyond its largest value, 65504: try --accumulate fp16";

#[test]
fn an_agreement_that_hangs_on_fp32_sums_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let case = there_and_back(dir.path());
    for command in ["bisect", "compare"] {
        let run = run(command, &case, &[]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(run.report().warnings, [WARNING], "{command}");
    }
    // Sums that FP16 holds are no matter.
    let x = Tensor::f32(&[1, 32], &[2.0; 32]);
    let product = NodeProto::new("MatMul", "product", &["r", "w"], &["p"]);
    let small = write(dir.path(), product, &x, &[("w", noise(&[32, 4], 1))]);
    let run = run("bisect", &small, &[]);
    assert_eq!((run.status, run.report().warnings.len()), (0, 0), "{}", run.stderr);
}

#[test]
fn a_sum_beyond_fp16_is_found_shown_cut_out_and_cured() {
    let dir = tempfile::tempdir().unwrap();
    let case = there_and_back(dir.path());
    let bisected = run("bisect", &case, &["--accumulate", "fp16"]);
    assert_eq!(bisected.status, 1, "{}", bisected.stderr);
    let report = bisected.report();
    assert_eq!(report.candidate.accumulate, Some(Accumulate::Fp16));
    assert!(bisected.stdout.contains("ort:fp16 with FP16 accumulation against ort"), "{}", bisected.stdout);
    let [culprit] = report.culprits.as_slice() else { panic!("{:?}", report.culprits) };
    assert_eq!((culprit.node.name.as_str(), culprit.kind), ("product", Kind::Introduces));
    let cause = &culprit.diagnosis[0];
    assert_eq!((cause.code.as_str(), cause.sure, culprit.diagnosis.len()), ("fp16-accumulation", Sure::Shown, 1));
    assert!(cause.evidence.starts_with("a sum inside it reaches 9.65e5"), "{}", cause.evidence);
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.nodes == ["product"], "{cure:?}");
    let reduced = report.reduced.unwrap();
    assert!(reduced.reproduces, "{reduced:?}");
    // It fails again from disk with the option that it tells, and agrees without.
    let folder = bisected.dir.path().join("out/reduced");
    let script = std::fs::read_to_string(folder.join("repro.sh")).unwrap();
    assert!(script.contains("--accumulate fp16"), "{script}");
    let (model, data) = (folder.join("model.onnx"), folder.join("test_data_set_0").to_str().unwrap().to_string());
    let again = (model, data);
    assert_eq!(run("compare", &again, &["--accumulate", "fp16"]).status, 1);
    assert_eq!(run("compare", &again, &[]).status, 0);
    // Another arithmetic is another experiment.
    let out = bisected.dir.path().join("out");
    let mut resumed = program();
    resumed.arg("bisect").arg(&case.0).args(["-c", "ort:fp16", "-i", &case.1, "--resume", "-o"]).arg(out);
    let resumed = resumed.output().unwrap();
    let said = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert_eq!(resumed.status.code(), Some(2));
    assert!(said.contains("--accumulate was 'fp16' and is not given now"), "{said}");
}

#[test]
fn a_normalisation_keeps_its_statistics_in_fp16() {
    let dir = tempfile::tempdir().unwrap();
    let x: Vec<f32> = noise(&[256], 1).view::<f32>().iter().map(|x| x * 100.0).collect();
    let norm = NodeProto::new("LayerNormalization", "norm", &["r", "scale"], &["n"]);
    let ones = Tensor::f32(&[256], &[1.0; 256]);
    let case = write(dir.path(), norm, &Tensor::f32(&[1, 256], &x), &[("scale", ones)]);
    let agreed = run("bisect", &case, &[]);
    assert_eq!(agreed.status, 0, "{}", agreed.stderr);
    let said = agreed.report().warnings.join("\n");
    assert!(said.contains("the sum inside 'norm' (LayerNormalization) reaches"), "{said}");
    let diverged = run("bisect", &case, &["--accumulate", "fp16", "--no-reduce"]);
    assert_eq!(diverged.status, 1, "{}", diverged.stderr);
    assert_eq!(diverged.report().culprits[0].node.name, "norm");
}

#[test]
fn weights_are_infinite_or_clamped() {
    let dir = tempfile::tempdir().unwrap();
    let least = NodeProto::new("Mul", "large", &["r", "w"], &["p"]);
    let w = Tensor::f32(&[4], &[65536.0, 0.5, 0.25, 1.0]);
    let case = write(dir.path(), least, &Tensor::f32(&[1, 4], &[0.5; 4]), &[("w", w)]);
    let infinite = run("bisect", &case, &["--no-reduce"]);
    assert_eq!(infinite.status, 1, "{}", infinite.stderr);
    let clamped = run("bisect", &case, &["--weights", "clamp"]);
    assert_eq!(clamped.status, 0, "{}", clamped.stderr);
    let report = clamped.report();
    assert_eq!(report.candidate.weights, Some(Weights::Clamp));
    let want = "1 weight has values beyond FP16's range, which were clamped to 65504 as TensorRT does: 'w' (1 value, up to 6.55e4)";
    assert_eq!(report.warnings, [want]);
}

#[test]
fn what_is_no_emulation_of_fp16_has_no_such_choice() {
    let model = testdata("healthy_transformer/model.onnx");
    for words in [
        ["-c", "ort:bf16", "--accumulate", "fp16"],
        ["-c", "trt:fp16", "--accumulate", "fp16"],
        ["-c", "ort", "--weights", "clamp"],
    ] {
        let run = layerdiff("compare", &model, &words);
        assert_eq!(run.status, 2, "{}", run.stderr);
        let want = format!(
            "{} {} is for an emulation of FP16 (ort:fp16, ort:fp16@MODEL), and '{}' is none",
            words[2], words[3], words[1]
        );
        assert!(run.stderr.contains(&want) && run.stderr.lines().count() == 1, "{}", run.stderr);
    }
}

/// What it leaves in FP32 is told.
#[test]
fn what_still_sums_in_fp32_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let pool = NodeProto::new("CumSum", "running", &["r", "axis"], &["p"]);
    let x = Tensor::f32(&[1, 4], &[0.5; 4]);
    let case = write(dir.path(), pool, &x, &[("axis", Tensor::i64(&[], &[1]))]);
    let run = run("compare", &case, &["--accumulate", "fp16"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let want = "1 node (CumSum) sums in FP32 as without --accumulate fp16: it is not emulated otherwise";
    assert_eq!(run.report().warnings, [want]);
}
