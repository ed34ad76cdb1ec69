//! What fuzzing asks of layerdiff: each function takes any bytes, and panics where the library does, or where an answer of it
//! contradicts itself. Two drive them: cargo-fuzz (`fuzz/targets`, one line each) and `tests/fuzz.rs`, on a stable compiler.
//!
//! What is read must be readable when it is written again, and what is refused must say why. Nothing here runs a model.

mod graphs;
mod typed;

use std::path::Path;

use bytes::Bytes;
use layerdiff::found::experiment::Experiment;
use layerdiff::found::json;
use layerdiff::graph::{Graph, Outputs, extract};
use layerdiff::lab::journal::Journal;
use layerdiff::load::{Model, npy, npz, polygraphy, testset};
use layerdiff::mark::mark;
use layerdiff::precision::convert::{Request, convert};
use layerdiff::show::report;
use layerdiff::tensor::{DType, Tensor, Tensors};
use layerdiff::types::declared;

pub use graphs::graph;

/// Bytes that the arrays of an archive may take.
const MEMORY: u64 = 64 << 20;

/// A file that a user takes for an ONNX model: loaded, its graph ordered, marked, cut and converted.
pub fn model(data: &[u8]) {
    let in_file = |path: &Path| -> anyhow::Result<()> {
        let model = Model::load(path)?;
        let graph = Graph::new(&model.proto)?;
        let Some(main) = &model.proto.graph else { return Ok(()) };
        let types = declared(main);
        let all: Vec<usize> = (0..graph.tensors.len()).collect();
        mark(&model.proto, &graph, &all, &types);
        for node in 0..graph.nodes.len() {
            extract(&model.proto, &graph, &[node], Outputs::Leaving, |_| Some((DType::Float32, vec![1])));
        }
        let request = Request { low: DType::Float16, keep: &|_| false, keep_io: true, int32_inputs: true };
        convert(&model, &graph, &types, &request)?;
        Ok(())
    };
    said(with_file("model.onnx", data, in_file));
}

pub fn npy(data: &[u8]) {
    if let Some(tensor) = said(npy::parse(Bytes::copy_from_slice(data))) {
        same(&tensor, &again(&tensor));
    }
}

pub fn npz(data: &[u8]) {
    if let Some(tensors) = said(npz::parse(Bytes::copy_from_slice(data), MEMORY)) {
        tensors.values().for_each(|tensor| same(tensor, &again(tensor)));
        let written = with_file("again.npz", b"", |path| {
            npz::write(path, &tensors)?;
            npz::read(path)
        });
        // A name may be longer than a zip archive allows, or end in a way of its own.
        if let Some(read) = said(written) {
            assert_eq!(read.len(), tensors.len());
        }
    }
}

pub fn polygraphy(data: &[u8]) {
    said(with_file("data.json", data, |path| polygraphy::read_outputs(path, None)));
    let Some(samples) = said(with_file("data.json", data, polygraphy::read_inputs)) else { return };
    let read = with_file("again.json", b"", |path| {
        polygraphy::write_inputs(path, &samples)?;
        polygraphy::read_inputs(path)
    });
    let read = read.expect("what was written is read");
    assert_eq!(read.len(), samples.len());
    let pairs = read.iter().zip(&samples).flat_map(|(r, s)| r.values().zip(s.values()));
    pairs.for_each(|(read, sample)| same(sample, read));
}

/// The one tensor of a test data set.
pub fn test_data_set(data: &[u8]) {
    let names = ["x".to_string()];
    let read = with_file("input_0.pb", data, |path| testset::read_inputs(path.parent().unwrap_or(path), &names));
    let Some(sets) = said(read) else { return };
    for tensors in sets {
        let read = with_file("input_0.pb", b"", |path| {
            let folder = path.parent().unwrap_or(path);
            testset::write(folder, &tensors, &Tensors::new())?;
            testset::read_inputs(folder, &names)
        });
        let read = read.expect("what was written is read");
        read[0].values().zip(tensors.values()).for_each(|(read, tensor)| same(tensor, read));
    }
}

/// A report.json, in every form that it is rendered in.
pub fn report(data: &[u8]) {
    let Some(report) = said(with_file("report.json", data, json::read)) else { return };
    report::browser(&report);
    report::markdown(&report);
    for width in [0, 1, 80, 200] {
        report::summary(&report, width == 80, width);
    }
    let written = json::to_string(&report).expect("a report that was read is written");
    let read = with_file("again.json", written.as_bytes(), json::read).expect("what was written is read");
    assert_eq!(json::to_string(&read).unwrap_or_default(), written);
}

/// A journal that --resume goes on from: of the experiment that it says it is of, else of the one in the seed.
pub fn journal(data: &[u8]) {
    let first = |text: &[u8]| -> Option<Experiment> {
        let line: serde_json::Value = serde_json::from_slice(text.split(|b| *b == b'\n').next()?).ok()?;
        serde_json::from_value(line.get("asked")?.clone()).ok()
    };
    let seed = || first(include_bytes!("../seeds/journal/journal.jsonl")).expect("the seed begins with its experiment");
    let experiment = first(data).unwrap_or_else(seed);
    let opened = with_file("journal.jsonl", data, |path| {
        let (_, known) = Journal::open(path, &experiment, true)?;
        // What was gone on with once is gone on with again.
        let (_, again) = Journal::open(path, &experiment, true)?;
        assert_eq!((known.looks.len(), known.attempts.len()), (again.looks.len(), again.attempts.len()));
        Ok(known.looks.len())
    });
    said(opened);
}

/// `use_it` on a file of these bytes in a folder of its own.
fn with_file<T>(name: &str, data: &[u8], use_it: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    if !data.is_empty() || name.starts_with("model") {
        std::fs::write(&path, data)?;
    }
    use_it(&path)
}

/// What was refused says why.
fn said<T>(answer: anyhow::Result<T>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(format!("{error:#}").len() > 10, "no sentence: {error:?}");
            None
        }
    }
}

fn again(tensor: &Tensor) -> Tensor {
    let written = npy::write(tensor);
    let mut bytes = Vec::with_capacity(written.len());
    written.write_to(&mut bytes).expect("memory takes what is written");
    npy::parse(bytes.into()).expect("what was written is read")
}

fn same(tensor: &Tensor, read: &Tensor) {
    assert_eq!(tensor.shape, read.shape);
    // Types that NumPy lacks come back wider.
    assert!(tensor.dtype != read.dtype || tensor.identical(read), "{} came back changed", tensor.dtype);
}
