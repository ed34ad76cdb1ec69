//! Two sides whose tensors have other element types, names or layouts are compared all the same, and what was done is told.

mod common;

use std::path::PathBuf;

use common::{Run, bisect, layerdiff, model_of};
use layerdiff::found::Status;
use layerdiff::graph::Graph;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::load::{Links, Model, npz, samples};
use layerdiff::mark::{Types, mark};
use layerdiff::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use layerdiff::run::ort::{Runtime, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

fn wave(shape: &[usize], by: f32) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * by + 0.3).sin()).collect();
    Tensor::f32(shape, &values)
}

fn named(tensors: &[(&str, Tensor)]) -> Tensors {
    tensors.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
}

/// A folder of models and data.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn model(&self, name: &str, model: &ModelProto) {
        std::fs::write(self.path(name), model.encode_to_vec()).unwrap();
    }

    fn data(&self, name: &str, tensors: &[(&str, Tensor)]) {
        npz::write(&self.path(name), &named(tensors)).unwrap();
    }

    /// `bisect ref.onnx -c CANDIDATE -i in.npz WORDS...`
    fn bisect(&self, candidate: &str, words: &[&str]) -> Run {
        let candidate = candidate.replace("DESK", &self.0.path().to_string_lossy());
        let inputs = self.path("in.npz");
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-c", &candidate, &"-i", &inputs];
        all.extend(words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        bisect(&self.path("ref.onnx"), &all)
    }
}

fn warnings(run: &Run) -> String {
    run.report().warnings.join("\n")
}

fn initializers(tensors: &[(&str, Tensor)]) -> Vec<TensorProto> {
    tensors.iter().map(|(name, tensor)| tensor_to_proto(name, tensor)).collect()
}

/// Rows of a table, and the column that is largest: ids and classes are `whole`.
fn lookup(whole: DType, table: Tensor) -> ModelProto {
    let to = AttributeProto::int("to", i64::from(whole.onnx()));
    model_of(GraphProto {
        name: Some("lookup".to_string()),
        node: vec![
            NodeProto::new("Gather", "embed", &["table", "ids"], &["rows"]),
            NodeProto::new("Mul", "scale", &["rows", "two"], &["y"]),
            NodeProto {
                attribute: vec![AttributeProto::int("axis", 1)],
                ..NodeProto::new("ArgMax", "best", &["y"], &["best_64"])
            },
            NodeProto { attribute: vec![to], ..NodeProto::new("Cast", "width", &["best_64"], &["class"]) },
        ],
        initializer: initializers(&[("table", table), ("two", Tensor::f32(&[1], &[2.0]))]),
        input: vec![ValueInfoProto::tensor("ids", whole, &[4])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[4, 3]), ValueInfoProto::bare("class")],
        ..Default::default()
    })
}

#[test]
fn integers_of_another_width_are_the_same_numbers() {
    let desk = Desk::new();
    desk.model("ref.onnx", &lookup(DType::Int64, wave(&[9, 3], 1.7)));
    desk.model("same.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.7)));
    desk.model("other.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.9)));
    desk.data("in.npz", &[("ids", Tensor::i64(&[4], &[1, 8, 0, 3]))]);
    let run = desk.bisect("ort@DESK/same.onnx", &[]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(warnings(&run).contains("input 'ids' is int32 in the candidate's file"), "{}", warnings(&run));
    let class = run.report().outputs.into_iter().find(|output| output.name == "class").unwrap();
    assert_eq!(class.why.as_deref(), Some("dtype: reference int64, candidate int32"));
    // The node that reads them is run alone, reduced and put right.
    let run = desk.bisect("ort@DESK/other.onnx", &[]);
    let report = run.report();
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(report.culprits[0].node.name, "embed");
    assert!(report.culprits[0].local.is_some(), "{}", run.stdout);
    assert!(report.reduced.is_some_and(|reduced| reduced.reproduces), "{}", run.stdout);
    assert!(run.stdout.contains("read again from the disk, all outputs agree"), "{}", run.stdout);
}

#[test]
fn a_number_that_does_not_fit_is_named() {
    let desk = Desk::new();
    desk.model("ref.onnx", &lookup(DType::Int64, wave(&[9, 3], 1.7)));
    desk.model("same.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.7)));
    desk.data("in.npz", &[("ids", Tensor::i64(&[4], &[1, 5_000_000_000, 0, 3]))]);
    let run = desk.bisect("ort@DESK/same.onnx", &[]);
    assert_eq!(run.status, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("takes the input 'ids' as int32, and in the data its value 5000000000 is out of"),
        "{}",
        run.stderr
    );
}

/// Two convolutions of five channels on pictures of 6 x 6, each with a Relu behind it.
fn pictures(second: f32) -> ModelProto {
    let node = |op: &str, name: &str, inputs: &[&str]| NodeProto::new(op, name, inputs, &[&format!("{name}_output_0")]);
    let pads = AttributeProto { name: Some("pads".into()), ints: vec![1; 4], r#type: Some(7), ..Default::default() };
    let padded = |node: NodeProto| NodeProto { attribute: vec![pads.clone()], ..node };
    let mut last = node("Relu", "/model.1/act/Relu", &["/model.1/Conv_output_0"]);
    last.output = vec!["y".to_string()];
    let weight: Vec<f32> = wave(&[5, 5, 3, 3], 1.1).view::<f32>().iter().map(|x| x * second).collect();
    model_of(GraphProto {
        name: Some("pictures".to_string()),
        node: vec![
            padded(node("Conv", "/model.0/Conv", &["x", "model.0.weight"])),
            node("Relu", "/model.0/act/Relu", &["/model.0/Conv_output_0"]),
            padded(node("Conv", "/model.1/Conv", &["/model.0/act/Relu_output_0", "model.1.weight"])),
            last,
        ],
        initializer: initializers(&[
            ("model.0.weight", wave(&[5, 2, 3, 3], 0.7)),
            ("model.1.weight", Tensor::f32(&[5, 5, 3, 3], &weight)),
        ]),
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[1, 2, 6, 6])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[1, 5, 6, 6])],
        ..Default::default()
    })
}

/// A desk with the model, its data and `device.npz`: all tensors of a device whose second convolution is so many times too
/// large, each under the name and in the form that `dumped` gives it.
fn dumped(second: f32, dumped: impl Fn(usize, &str, &Tensor) -> (String, Tensor)) -> Desk {
    let desk = Desk::new();
    desk.model("ref.onnx", &pictures(1.0));
    desk.model("device.onnx", &pictures(second));
    let x = wave(&[1, 2, 6, 6], 1.9);
    desk.data("in.npz", &[("x", x.clone())]);
    let model = Model::open(&desk.path("device.onnx"), Links::Inside).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    let all: Vec<usize> = (0..graph.tensors.len()).collect();
    let marked = mark(&model.proto, &graph, &all, &Types::new());
    let runtime = Runtime::start(&library::find(None).unwrap().path).unwrap();
    let job = Job::new(model.lean(&marked), &[named(&[("x", x)])], &graph.keys(&all));
    let values = runtime.run(&job).unwrap().values.remove(0);
    let keys = graph.keys(&all);
    let stored: Tensors = keys.iter().enumerate().map(|(n, name)| dumped(n, name, &values[name])).collect();
    npz::write(&desk.path("device.npz"), &stored).unwrap();
    desk
}

fn underscores(name: &str) -> String {
    name.replace(['/', '.'], "_")
}

fn last(tensor: &Tensor) -> Tensor {
    tensor.permuted(&[0, 2, 3, 1]).unwrap()
}

/// The culprit, which must be the only one.
fn culprit(run: &Run) -> String {
    let culprits = run.report().culprits;
    assert_eq!((run.status, culprits.len()), (1, 1), "{}{}", run.stdout, run.stderr);
    culprits[0].node.name.clone()
}

#[test]
fn names_without_their_punctuation_are_found() {
    let desk = dumped(1.3, |_, name, value| (underscores(name), value.clone()));
    let run = desk.bisect("saved:DESK/device.npz", &[]);
    assert_eq!(culprit(&run), "/model.1/Conv");
    let told = warnings(&run);
    assert!(told.contains("'_model_0_Conv_output_0' is '/model.0/Conv_output_0'"), "{told}");
    assert!(!told.contains("left out"), "{told}");
}

#[test]
fn a_stage_of_stored_tensors_is_matched_by_names_too() {
    let other = |name: &str| if name == "y" { "_y".to_string() } else { "junk".to_string() };
    let desk = dumped(1.0, |_, name, value| (other(name), value.clone()));
    let stage = format!("device=saved:{}", desk.path("device.npz").display());
    let inputs = desk.path("in.npz");
    let run = layerdiff("stages", &desk.path("ref.onnx"), &["--stage", &stage, "-i", inputs.to_str().unwrap()]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let told = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("stage 'device': 1 of 2 arrays of the candidate is no tensor"), "{told}");
    assert!(told.contains("stage 'device': arrays of the candidate under other names"), "{told}");
}

#[test]
fn arrays_that_are_no_tensor_are_named() {
    let strange = |n: usize, name: &str| if name == "y" { name.to_string() } else { format!("blob{n}") };
    let desk = dumped(1.0, |n, name, value| (strange(n, name), value.clone()));
    let run = desk.bisect("saved:DESK/device.npz", &[]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let told = warnings(&run);
    assert!(
        told.contains(
            "3 of 4 arrays of the candidate are no tensor of the model and left out: 'blob0', 'blob1', 'blob2'"
        ),
        "{told}"
    );
}

#[test]
fn names_that_somebody_wrote_down() {
    let desk = dumped(1.3, |n, _, value| (format!("blob{n}"), value.clone()));
    let map = "# by the SDK\nblob0=/model.0/Conv_output_0\nblob1=/model.0/act/Relu_output_0\nblob2 = /model.1/Conv_output_0\nblob3=y\n";
    std::fs::write(desk.path("map.txt"), map).unwrap();
    let file = desk.path("map.txt");
    let run = desk.bisect("saved:DESK/device.npz", &["--map", file.to_str().unwrap()]);
    assert_eq!(culprit(&run), "/model.1/Conv");
    std::fs::write(desk.path("map.txt"), "blob9=y\n").unwrap();
    let run = desk.bisect("saved:DESK/device.npz", &["--map", file.to_str().unwrap()]);
    assert!(run.status == 2 && run.stderr.contains("holds no array 'blob9'"), "{}", run.stderr);
    std::fs::write(desk.path("map.txt"), "blob0=z\n").unwrap();
    let run = desk.bisect("saved:DESK/device.npz", &["--map", file.to_str().unwrap()]);
    assert!(run.status == 2 && run.stderr.contains("no tensor 'z'"), "{}", run.stderr);
    let run = desk.bisect("ort:fp16", &["--layout", "nhwc"]);
    assert!(run.status == 2 && run.stderr.contains("are for saved: and exec:"), "{}", run.stderr);
}

#[test]
fn values_and_order_tell_what_no_name_tells() {
    for second in [1.0, 1.3] {
        let desk = dumped(second, |n, _, value| (format!("blob{n}"), last(value)));
        let run = desk.bisect("saved:DESK/device.npz", &["--map", "auto"]);
        let told = warnings(&run);
        assert!(told.contains("found by their values, which agree with one tensor only: 'blob0' is"), "{told}");
        match second == 1.0 {
            true => assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr),
            false => {
                assert_eq!(culprit(&run), "/model.1/Conv");
                assert!(told.contains("guessed by their shapes and their order: 'blob2' is"), "{told}");
            }
        }
    }
}

#[test]
fn channels_last_are_undone_and_told() {
    let healthy = dumped(1.0, |_, name, value| (name.to_string(), last(value)));
    let run = healthy.bisect("saved:DESK/device.npz", &[]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        warnings(&run).contains("compared with the axes moved (channels last, 1x6x6x5 for 1x5x6x6)"),
        "{}",
        warnings(&run)
    );
    // Without a batch axis, and with a fault.
    let squeezed = |value: &Tensor| {
        let mut moved = last(value);
        moved.shape.remove(0);
        moved
    };
    let faulty = dumped(1.3, |_, name, value| (name.to_string(), squeezed(value)));
    assert_eq!(culprit(&faulty.bisect("saved:DESK/device.npz", &[])), "/model.1/Conv");
}

#[test]
fn a_layout_that_is_only_likely_is_called_so() {
    let noise = |value: &Tensor| wave(&last(value).shape, 0.01);
    let desk = dumped(1.0, |_, name, value| (name.to_string(), noise(value)));
    let run = desk.bisect("saved:DESK/device.npz", &[]);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let told = warnings(&run);
    assert!(told.contains("as the shapes suggest") && told.contains("another layout, or another tensor"), "{told}");
}

#[test]
fn what_a_command_writes_is_moved_too() {
    let desk = dumped(1.0, |_, name, value| (name.to_string(), value.clone()));
    let script = "import sys, numpy as np, onnxruntime as ort\n\
        s = ort.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n\
        names = [o.name for o in s.get_outputs()]\n\
        got = dict(zip(names, s.run(None, dict(np.load(sys.argv[2])))))\n\
        if '/model.1/Conv_output_0' in got: got['/model.1/Conv_output_0'] += 1\n\
        got['y'] = got['y'] * 1.2 if 'y' in got else 0\n\
        np.savez(sys.argv[3], **{k: v.transpose(0, 2, 3, 1) for k, v in got.items() if np.ndim(v) == 4})\n";
    std::fs::write(desk.path("device.py"), script).unwrap();
    let command = format!("exec:{} DESK/device.py {{model}} {{inputs}} {{outputs}}", common::python().display());
    let run = desk.bisect(&command, &["--no-reduce", "--no-overrides"]);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(warnings(&run).contains("(channels last, 1x6x6x5 for 1x5x6x6): 'y'"), "{}", warnings(&run));
    // Inner tensors, which were never looked at, are moved like the output.
    let tensors = run.report().tensors;
    let first = tensors.iter().find(|tensor| tensor.name == "/model.0/Conv_output_0").unwrap();
    assert_eq!(first.status, Status::Agrees, "{}", run.stdout);
}

#[test]
fn what_other_tools_write_is_read() {
    let desk = dumped(1.3, |_, name, value| (name.to_string(), value.clone()));
    let stored = npz::read(&desk.path("device.npz")).unwrap();
    let text = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let export: Vec<String> = stored
        .iter()
        .map(|(name, value)| {
            let values: Vec<String> = value.view::<f32>().iter().map(|x| format!("{x:.6}")).collect();
            let (shape, values) = (text(&value.shape), values.join(", "));
            format!("{{ \"name\" : \"{name}\"\n  , \"dimensions\" : \"{shape}\"\n  , \"values\" : [ {values} ]\n  }}")
        })
        .collect();
    std::fs::write(desk.path("device.json"), format!("[\n  {}\n]\n", export.join("\n  , "))).unwrap();
    samples::write(&desk.path("device.safetensors"), &stored).unwrap();
    let mut list = String::new();
    for (n, (name, value)) in stored.iter().enumerate() {
        std::fs::write(desk.path(&format!("{n}.raw")), value.bytes()).unwrap();
        list += &format!("{name} fp32 {} {n}.raw\n", text(&value.shape));
    }
    std::fs::write(desk.path("device.txt"), list).unwrap();
    for file in ["device.json", "device.safetensors", "device.txt"] {
        let run = desk.bisect(&format!("saved:DESK/{file}"), &[]);
        assert_eq!(culprit(&run), "/model.1/Conv", "{file}");
    }
    // A raw input has the type and the shape that the model says.
    let x = npz::read(&desk.path("in.npz")).unwrap()["x"].clone();
    std::fs::write(desk.path("x.raw"), x.bytes()).unwrap();
    let given = format!("x:{}", desk.path("x.raw").display());
    let candidate = format!("saved:{}", desk.path("device.npz").display());
    let run = bisect(&desk.path("ref.onnx"), &[&"-c", &candidate, &"-i", &given]);
    assert_eq!(culprit(&run), "/model.1/Conv", "{}", run.stderr);
    // Both runs' values in the formats of others.
    for file in ["kept.safetensors", "kept.json"] {
        let kept = desk.path(file);
        desk.bisect("saved:DESK/device.npz", &["--save-tensors", kept.to_str().unwrap()]);
        assert!(!samples::read_outputs(&kept, &[], u64::MAX).unwrap()[0].is_empty(), "{file}");
    }
}

/// Boxes and scores that a plug-in of this many outputs turns into detections; a Relu stands behind it.
fn detector(op_type: &str, domain: &str, outputs: &[&str]) -> ModelProto {
    let plugin = NodeProto::new(op_type, "nms", &["boxes", "scores"], outputs);
    let mut model = model_of(GraphProto {
        name: Some("detector".to_string()),
        node: vec![
            NodeProto::new("Tanh", "tanh", &["x"], &["boxes"]),
            NodeProto::new("Sigmoid", "sigmoid", &["x"], &["scores"]),
            NodeProto { domain: Some(domain.to_string()), ..plugin },
            NodeProto::new("Relu", "tail", &[outputs[0]], &["end"]),
        ],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 4])],
        output: ["end", outputs[1]].map(ValueInfoProto::bare).to_vec(),
        ..Default::default()
    });
    let own = OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(1) };
    model.opset_import.extend((!domain.is_empty()).then_some(own));
    model
}

#[test]
fn what_stands_in_front_of_a_plug_in_is_judged() {
    let desk = Desk::new();
    desk.data("in.npz", &[("x", wave(&[2, 4], 0.9))]);
    for (op_type, domain, outputs) in [
        ("EfficientNMS_TRT", "", &["num", "boxes_out", "scores_out", "classes"][..]),
        ("EfficientNMS_TRT", "", &["det", "num"]),
        ("VendorNms", "vendor", &["det", "num"]),
    ] {
        desk.model("ref.onnx", &detector(op_type, domain, outputs));
        // What the plug-in makes is not judged, so that there is no agreement.
        let run = desk.bisect("ort:fp16", &[]);
        assert_eq!(run.status, 3, "{}{}", run.stdout, run.stderr);
        let told = format!(
            "cut in front of {op_type} 'nms', which ONNX Runtime cannot run: 2 nodes are left out; in place of what they make are judged 'boxes', 'scores'"
        );
        assert!(warnings(&run).contains(&told), "{}", warnings(&run));
        let run = desk.bisect("ort:fp16", &["--outputs", "scores"]);
        assert_eq!((run.status, run.report().outputs.len()), (0, 1), "{}{}", run.stdout, run.stderr);
        let run = desk.bisect("ort:fp16", &["--outputs", "end"]);
        let told =
            format!("whose operator {op_type} ('nms') is none of ONNX's, and 'end' needs it; name tensors in front");
        assert!(run.status == 2 && run.stderr.contains(&told), "{}", run.stderr);
        assert!(run.stderr.contains("--custom-ops"), "{}", run.stderr);
    }
}

#[test]
fn both_sides_and_workers_load_custom_operators() {
    let desk = dumped(1.0, |_, name, value| (name.to_string(), value.clone()));
    // It registers nothing, and tells which process asked.
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
        void *RegisterCustomOps(void *options, const void *base) {\n\
        (void)options; (void)base; FILE *f = fopen(getenv(\"TOLD\"), \"a\");\n\
        if (f) { fprintf(f, \"%d\\n\", (int)getpid()); fclose(f); }\n return 0; }\n";
    std::fs::write(desk.path("ops.c"), source).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([desk.path("libops.so"), desk.path("ops.c")])
        .status();
    assert!(built.unwrap().success());
    let runtime = library::find(None).unwrap().path;
    let output = common::program()
        .current_dir(desk.path(""))
        .env("TOLD", desk.path("told"))
        .args(["bisect", "ref.onnx", "-c", "ort", "-i", "in.npz", "-o", "out", "--custom-ops", "libops.so"])
        .arg("--candidate-ort-library")
        .arg(runtime)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = std::fs::read_to_string(desk.path("told")).unwrap();
    let processes: std::collections::HashSet<&str> = told.lines().collect();
    assert_eq!(processes.len(), 2, "{told}");
    let no_library = desk.path("in.npz");
    let run = desk.bisect("ort:fp16", &["--custom-ops", no_library.to_str().unwrap()]);
    assert_eq!(run.status, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("(--custom-ops) cannot be used as a library of custom operators"), "{}", run.stderr);
}
