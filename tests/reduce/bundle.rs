//! What every reproducer must be, whatever it is of: files that stand alone, fit into a ticket and agree with each other.
//! Believes nothing that the report says of them.
#![allow(dead_code)] // each test file uses its part

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use layerdiff::found::{Reduced, Report};
use layerdiff::load::{Model, testset};
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

use crate::common::{model_of, root};

/// A folder `reduced`, read again.
pub struct Bundle {
    pub folder: PathBuf,
    pub model: Model,
    pub inputs: Tensors,
    pub outputs: Tensors,
}

impl Bundle {
    /// Reads a folder, and says what is wrong with it if anything is.
    pub fn read(folder: &Path) -> Result<Bundle, String> {
        let model = Model::load(&folder.join("model.onnx")).map_err(|e| format!("{e:#}"))?;
        let graph = model.proto.graph.as_ref().ok_or("no graph")?;
        let read = |declared: &[ValueInfoProto], kind: &str| stored(&folder.join("test_data_set_0"), declared, kind);
        let (inputs, outputs) = (read(&graph.input, "input")?, read(&graph.output, "output")?);
        let bundle = Bundle { folder: folder.to_path_buf(), inputs, outputs, model };
        bundle.complete()?;
        Ok(bundle)
    }

    pub fn graph(&self) -> &GraphProto {
        self.model.proto.graph.as_ref().unwrap()
    }

    pub fn node_names(&self) -> Vec<&str> {
        self.graph().node.iter().map(|n| n.name()).collect()
    }

    /// All files together.
    pub fn bytes(&self) -> u64 {
        size(&self.folder)
    }

    /// What holds for any reproducer, besides that its files can be read.
    fn complete(&self) -> Result<(), String> {
        let graph = self.graph();
        let untyped = |v: &&ValueInfoProto| v.dtype().is_none() || v.concrete_shape().is_none();
        let declared = || graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        if let Some(v) = declared().find(untyped) {
            return Err(format!("'{}' has no type and concrete shape", v.name()));
        }
        let made = graph.node.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty());
        if let Some(o) = made.clone().find(|o| declared().all(|v| v.name() != o.as_str())) {
            return Err(format!("'{o}' has no value_info"));
        }
        let given: Vec<&str> = graph.given().chain(made.map(String::as_str)).collect();
        if let Some(o) = graph.output.iter().find(|o| !given.contains(&o.name())) {
            return Err(format!("nobody makes the output '{}'", o.name()));
        }
        let read: Vec<&String> = graph.node.iter().flat_map(all_inputs).collect();
        if let Some(unused) = graph.given().find(|name| !read.iter().any(|r| r.as_str() == *name)) {
            return Err(format!("nobody reads '{unused}'"));
        }
        if self.bytes() >= 1 << 20 {
            return Err(format!("{} bytes do not fit into a ticket", self.bytes()));
        }
        let script = std::fs::metadata(self.folder.join("repro.sh")).map_err(|e| format!("repro.sh: {e}"))?;
        if script.permissions().mode() & 0o111 != 0o111 {
            return Err("repro.sh is not executable".to_string());
        }
        let page = std::fs::read_to_string(self.folder.join("README.md")).map_err(|e| format!("README.md: {e}"))?;
        let page = page.replace('\\', "");
        let told = |n: &&NodeProto| page.contains(n.name());
        match graph.node.iter().filter(|n| !is_generator(n.name())).find(|n| !told(n)) {
            Some(node) => Err(format!("README.md does not name '{}'", node.name())),
            None => Ok(()),
        }
    }

    /// The report says of the folder what is there; to be asked before repro.sh leaves its own files in it.
    pub fn is_told(&self, told: &Reduced) -> Result<(), String> {
        let named: Vec<&str> = self.node_names().into_iter().filter(|n| !is_generator(n)).collect();
        let path = Path::new(&told.path).canonicalize().map_err(|e| format!("{}: {e}", told.path))?;
        let right = named == told.names
            && told.nodes == told.names.len()
            && told.bytes == self.bytes()
            && told.probes > 0
            && path == self.folder.join("model.onnx").canonicalize().unwrap();
        if right { Ok(()) } else { Err(format!("{} bytes and {named:?} are there, {told:?} is told", self.bytes())) }
    }

    /// Every node stands somewhere in `source` with the same name, operator and tensors; optional inputs may be gone.
    pub fn is_part_of(&self, source: &Model) -> Result<(), String> {
        let mut all = Vec::new();
        collect(source.proto.graph.as_ref().unwrap(), &mut all);
        all.extend(source.proto.functions.iter().flat_map(|f| &f.node));
        let same = |mine: &NodeProto, theirs: &NodeProto| {
            let unnamed = theirs.name().is_empty() && mine.name() == format!("node_of_{}", mine.output[0]);
            (mine.name() == theirs.name() || unnamed)
                && (mine.op_type(), mine.domain()) == (theirs.op_type(), theirs.domain())
                && mine.output == theirs.output
                && mine.input.len() <= theirs.input.len()
                && mine.input.iter().zip(&theirs.input).all(|(m, t)| m == t || m.is_empty())
        };
        let mut own = self.graph().node.iter().filter(|n| !is_generator(n.name()));
        match own.find(|mine| !all.iter().any(|theirs| same(mine, theirs))) {
            Some(node) => Err(format!("'{}' is not as it was: {node:?}", node.name())),
            None => Ok(()),
        }
    }

    /// `sh repro.sh TOOL` from another folder: its exit status and all that it prints.
    pub fn replay(&self, tool: &[&str]) -> (i32, String) {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.arg(self.folder.join("repro.sh").canonicalize().unwrap()).args(tool).current_dir(elsewhere.path());
        let output = command.env("LAYERDIFF", env!("CARGO_BIN_EXE_layerdiff")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text.into_owned())
    }
}

/// The tensors of a test data folder, which must be those that the model declares, in its order and of its types.
fn stored(folder: &Path, declared: &[ValueInfoProto], kind: &str) -> Result<Tensors, String> {
    let mut tensors = Tensors::new();
    for (i, want) in declared.iter().enumerate() {
        let file = folder.join(format!("{kind}_{i}.pb"));
        let (name, tensor) = testset::read_tensor(&file).map_err(|e| format!("{e:#}"))?;
        let typed = (want.dtype(), want.concrete_shape()) == (Some(tensor.dtype), Some(tensor.shape.clone()));
        if name.as_deref() != Some(want.name()) || !typed {
            return Err(format!("{kind}_{i}.pb is {name:?} {tensor:?}, the model declares {want:?}"));
        }
        tensors.insert(want.name().to_string(), tensor);
    }
    match folder.join(format!("{kind}_{}.pb", declared.len())).exists() {
        true => Err(format!("more {kind}s are stored than the model has")),
        false => Ok(tensors),
    }
}

/// What a node reads, in its bodies too.
fn all_inputs(node: &NodeProto) -> Vec<&String> {
    let inside = node.subgraphs().flat_map(|(_, body)| &body.node).flat_map(all_inputs);
    node.input.iter().chain(inside).collect()
}

fn collect<'a>(graph: &'a GraphProto, all: &mut Vec<&'a NodeProto>) {
    for node in &graph.node {
        all.push(node);
        node.subgraphs().for_each(|(_, body)| collect(body, all));
    }
}

/// A node of --shrink-weights, which belongs to no failure.
fn is_generator(name: &str) -> bool {
    name.starts_with("layerdiff_weights_")
}

fn size(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path());
    files.map(|p| if p.is_dir() { size(&p) } else { p.metadata().unwrap().len() }).sum()
}

/// ONNX's own checker, with shape inference, over all these models.
pub fn onnx_accepts(models: &[PathBuf]) {
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    let program = "
import sys, onnx
for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as e:
        sys.exit(f'{path}: {e}')
print(len(sys.argv) - 1)";
    let output = Command::new(python).args(["-c", program]).args(models).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), models.len().to_string(), "{stderr}");
    assert!(!models.is_empty());
}

/// The report's reproducers, in the order of their folders.
pub fn reproducers(report: &Report) -> Vec<Reduced> {
    match report.reproducers.as_slice() {
        [] => report.reduced.iter().cloned().collect(),
        several => several.to_vec(),
    }
}

/// A MatMul with a weight of 4 MB between two small nodes; with inputs of 1 to 2 its sums overflow FP16.
pub fn heavy(dir: &Path) -> PathBuf {
    let weight: Vec<f32> =
        (0..1024 * 1024u32).map(|i| 90.0 + (i.wrapping_mul(2654435761) >> 16) as f32 / 4096.0).collect();
    let graph = GraphProto {
        name: Some("heavy".to_string()),
        node: vec![
            NodeProto::new("Abs", "lead", &["x"], &["t"]),
            NodeProto::new("MatMul", "fat", &["t", "w"], &["u"]),
            NodeProto::new("Relu", "tail", &["u"], &["y"]),
        ],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[1, 1024])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[1, 1024])],
        initializer: vec![testset::tensor_to_proto("w", &Tensor::f32(&[1024, 1024], &weight))],
        ..Default::default()
    };
    let path = dir.join("heavy.onnx");
    std::fs::write(&path, model_of(graph).encode_to_vec()).unwrap();
    path
}
