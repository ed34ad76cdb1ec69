//! The floor under `layerdiff bisect`: two bare ONNX Runtime sessions, reference and candidate, each built from its file
//! with default options and run once. Nothing is marked and nothing compared, so no tool of this kind can be faster.
//!
//! usage: ORT_DYLIB_PATH=LIBRARY cargo bench --bench floor -- REFERENCE.onnx CANDIDATE.onnx INPUTS.npz
//!
//! Prints the seconds it took. What compares whole processes starts the program itself: see scripts/benches.sh.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use layerdiff::load::npz;
use layerdiff::tensor::{DType, Tensor};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::{DynValue, Tensor as Value};

const USAGE: &str = "usage: ORT_DYLIB_PATH=LIBRARY floor REFERENCE.onnx CANDIDATE.onnx INPUTS.npz";

fn main() -> anyhow::Result<()> {
    let started = Instant::now();
    // `cargo bench` hands every program a `--bench`, and nothing else where it runs all of them.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [reference, candidate, inputs] = arguments.as_slice() else {
        anyhow::ensure!(arguments.is_empty(), "{USAGE}");
        println!("not measured: {USAGE}");
        return Ok(());
    };
    let library = std::env::var_os("ORT_DYLIB_PATH").context("set ORT_DYLIB_PATH to ONNX Runtime's library")?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    for model in [reference, candidate] {
        run_once(&environment, model, Path::new(inputs)).with_context(|| format!("{model}: could not be run"))?;
    }
    println!("{:.4}", started.elapsed().as_secs_f64());
    Ok(())
}

fn run_once(environment: &Environment, model: &str, inputs: &Path) -> anyhow::Result<()> {
    let mut session = Session::builder(environment)?.commit_from_file(model)?;
    let feeds = npz::read(inputs)?;
    let values = feeds.iter().map(|(name, tensor)| Ok((name.clone(), value(name, tensor)?)));
    session.run(values.collect::<anyhow::Result<Vec<_>>>()?)?;
    Ok(())
}

/// The element types that the benchmark's models take.
fn value(name: &str, tensor: &Tensor) -> anyhow::Result<DynValue> {
    let shape = tensor.shape.clone();
    Ok(match tensor.dtype {
        DType::Float32 => Value::from_array((shape, tensor.view::<f32>().into_owned()))?.into_dyn(),
        DType::Int32 => Value::from_array((shape, tensor.view::<i32>().into_owned()))?.into_dyn(),
        DType::Int64 => Value::from_array((shape, tensor.view::<i64>().into_owned()))?.into_dyn(),
        other => bail!("input '{name}' is {other}; this program feeds float32, int32 and int64"),
    })
}
