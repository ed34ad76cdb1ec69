//! What the end-to-end tests share: run the real program on real files, read its report.
#![allow(dead_code)] // each test file uses its part

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use clap::Parser;
use layerdiff::cli::{self, Cli, GlobalArgs};
use layerdiff::commands::bisect::{Plan, go_on};
use layerdiff::found::Report;
use layerdiff::found::Wanted;
use layerdiff::open::open;
use layerdiff::progress::Progress;
use layerdiff::run::Backend;

/// What a run of the program left behind.
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// The `-o` directory, alive as long as this.
    pub dir: tempfile::TempDir,
}

impl Run {
    pub fn report(&self) -> Report {
        let path = self.dir.path().join("out/report.json");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}\n{}", path.display(), self.stderr));
        serde_json::from_str(&text).unwrap()
    }

    pub fn wrote(&self, name: &str) -> bool {
        self.dir.path().join("out").join(name).exists()
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn testdata(path: &str) -> PathBuf {
    root().join("testdata").join(path)
}

/// A real model fetched by scripts/models.sh; the test fails, with the command, when it is not there.
pub fn real_model(name: &str) -> PathBuf {
    let dir = std::env::var_os("LAYERDIFF_MODELS").map_or_else(|| root().join("target/models"), PathBuf::from);
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing: run scripts/models.sh", path.display());
    path
}

/// Python with ONNX, ONNX Runtime and NumPy; the test fails, with the command, when it is not there.
pub fn python() -> PathBuf {
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    python
}

/// What that Python prints, told these words: a script of this project and its arguments, or `-c` and some code.
pub fn run_python<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(python()).current_dir(root()).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_layerdiff"))
}

/// `layerdiff COMMAND MODEL ARGS... -o OUT`
pub fn layerdiff(command: &str, model: &Path, args: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut program = program();
    program.arg(command).arg(model).args(args).arg("-o").arg(dir.path().join("out"));
    let output = program.current_dir(dir.path()).output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        dir,
    }
}

/// `bisect` on a model of testdata and its data.
pub fn case(name: &str, args: &[&str]) -> Run {
    let (model, inputs) = (testdata(&format!("{name}/model.onnx")), testdata(&format!("{name}/inputs.npz")));
    let inputs: &Path = &inputs;
    let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-i", &inputs];
    words.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
    bisect(&model, &words)
}

/// `layerdiff bisect`, for paths and words mixed.
pub fn bisect(model: &Path, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Run {
    let args: Vec<String> = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    layerdiff("bisect", model, &args)
}

/// `bisect MODEL WORDS...` whose candidate, `ort` in a lower precision, runs in these workers.
pub fn bisect_in(backend: Box<dyn Backend>, case: &str, words: &[&str], out: &Path) -> Report {
    let (model, inputs) = (testdata(&format!("{case}/model.onnx")), testdata(&format!("{case}/inputs.npz")));
    let (model, inputs, out) = (model.to_str().unwrap(), inputs.to_str().unwrap(), out.to_str().unwrap());
    let line = ["layerdiff", "bisect", model, "-i", inputs, "-o", out, "-c", "ort:fp16"];
    let cli::Command::Bisect(args) = Cli::parse_from(line.iter().chain(words)).command else { unreachable!() };
    let global = GlobalArgs { quiet: true, ..GlobalArgs::default() };
    let mut opened = open(&args.set, &global, Wanted::Culprits, false).unwrap();
    opened.lab.candidate.backend = backend.into();
    let reproducer = (!args.no_reduce).then_some(&args.reproducer);
    let cure = (!args.cure.no_overrides).then_some(&args.cure);
    let plan = Plan { set: &args.set, search: &args.search, reproducer, cure };
    go_on(&plan, &global, opened, std::time::Instant::now(), Progress::new(true), &mut Vec::new()).unwrap();
    layerdiff::found::json::read(&Path::new(out).join("report.json")).unwrap()
}

/// ONNX Runtime with OpenVINO (scripts/providers.sh fetches it); the test fails when it is not there.
pub fn openvino() -> PathBuf {
    let path = root().join("target/providers/onnxruntime/capi/libonnxruntime.so.1.24.1");
    assert!(path.exists(), "{} is missing: run scripts/providers.sh", path.display());
    path
}

/// A real plug-in execution provider (scripts/providers.sh fetches it); the test fails when it is not there.
pub fn plugin() -> PathBuf {
    let path = root().join("target/providers/onnxruntime_ggml/lib/libonnxruntime_ggml.so");
    assert!(path.exists(), "{} is missing: run scripts/providers.sh", path.display());
    path
}

/// A model of one graph, of a common opset.
pub fn model_of(graph: layerdiff::onnx::GraphProto) -> layerdiff::onnx::ModelProto {
    let opset = layerdiff::onnx::OperatorSetIdProto { domain: None, version: Some(17) };
    layerdiff::onnx::ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    }
}

/// target/trt_double: the test doubles of TensorRT 8.6, 10 and 11 and of libcuda, built once.
pub fn doubles() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(root().join("scripts/trt_double.sh")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        root().join("target/trt_double")
    })
}

/// Puts the doubles, with planted faults, around a program.
pub fn with_doubles<'c>(command: &'c mut Command, fault: &str) -> &'c mut Command {
    let runtime = layerdiff::run::ort::library::find(None).expect("run `layerdiff setup` first").path;
    command.env("LD_LIBRARY_PATH", doubles().join("cuda")).env("LAYERDIFF_DOUBLE_ORT", runtime);
    command.env("LAYERDIFF_DOUBLE_FAULT", fault).env("ORT_DISABLE_TELEMETRY", "1")
}
