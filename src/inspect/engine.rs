//! A ready engine: the TensorRT that can read it is found, and reads it in a process of its own. Judges nothing.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::facts::{Count, EngineFacts};
use super::port;
use crate::run::ort::library::Env;
use crate::run::tensorrt::Options;
use crate::run::tensorrt::library::{self, Found, Places, VARIABLE};
use crate::run::worker::{Task, Worker};
use crate::run::{About, Backend, Engine, RunError, question};

/// Reads the engine with the library that `flag` names, or with the first on this machine that can.
pub fn read(path: &Path, bytes: u64, flag: Option<&Path>) -> anyhow::Result<EngineFacts> {
    let libraries = libraries(path, flag)?;
    let mut refusals = Vec::new();
    for found in &libraries {
        match ask(path, found) {
            Ok((about, engine)) => return Ok(facts(path, bytes, found, &about, &engine)),
            Err(RunError::Interrupted) => return Err(RunError::Interrupted.into()),
            Err(e) => refusals.push((found, e)),
        }
    }
    Err(refused(path, refusals))
}

/// A library that the user named is the only one; else all that are there, the best first.
fn libraries(path: &Path, flag: Option<&Path>) -> anyhow::Result<Vec<Found>> {
    let places = Places::of(&Env::process());
    // A library that is not there is no failure of a backend: `{e}` makes it an error of usage.
    let best = library::find_in(flag, &places).map_err(|e| anyhow!("{e}"))?;
    if flag.is_some() || places.named.is_some() {
        return Ok(best.into_iter().collect());
    }
    let mut all: Vec<Found> = Vec::new();
    for found in library::all(&places) {
        let real = |p: &PathBuf| p.canonicalize().unwrap_or_else(|_| p.clone());
        if !all.iter().any(|known| real(&known.library) == real(&found.library)) {
            all.push(found);
        }
    }
    all.sort_by_key(|found| found.kind);
    if all.is_empty() {
        return Err(anyhow!(
            "{} can be read by TensorRT only, which was not found; run `python3 -m pip install tensorrt`, or name the \
             library that built the engine with --trt-library or {VARIABLE}",
            path.display()
        ));
    }
    Ok(all)
}

fn ask(path: &Path, found: &Found) -> Result<(About, Engine), RunError> {
    // A worker process may have another working directory.
    let plan = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let worker = Worker::start(&Task::tensorrt(Options { plan: Some(plan), ..Options::new(found) }))?;
    match question::engine(&worker)? {
        Some(engine) => Ok((worker.about().clone(), engine)),
        None => Err(RunError::Silent { what: "the engine".to_string() }),
    }
}

/// The status is that of the best library's answer.
fn refused(path: &Path, mut refusals: Vec<(&Found, RunError)>) -> anyhow::Error {
    if refusals.is_empty() {
        return anyhow!("{}: there is no TensorRT to read it", path.display());
    }
    let others: Vec<String> =
        refusals[1..].iter().map(|(found, e)| format!("{}: {e}", found.library.display())).collect();
    let (found, first) = refusals.swap_remove(0);
    let mut text = format!("{} cannot read {}", found.library.display(), path.display());
    if !others.is_empty() {
        text += &format!(" (nor can others: {})", others.join("; "));
    }
    match first {
        RunError::Missing(why) => anyhow!("{text}: {why}"),
        e => anyhow::Error::from(e).context(text),
    }
}

fn facts(path: &Path, bytes: u64, found: &Found, about: &About, engine: &Engine) -> EngineFacts {
    let ports = |input: bool| engine.bindings.iter().filter(|b| b.input == input).map(port::bound).collect();
    let mut nodes: Vec<&String> = engine.layers.iter().flat_map(|l| &l.nodes).collect();
    nodes.sort_unstable();
    nodes.dedup();
    EngineFacts {
        path: path.display().to_string(),
        bytes,
        library: found.library.display().to_string(),
        version: version(about),
        inputs: ports(true),
        outputs: ports(false),
        profiles: engine.bindings.iter().map(|b| b.profiles.len()).max().unwrap_or(0),
        device_memory: engine.device_memory,
        kinds: Count::each(engine.layers.iter().map(|l| l.kind.clone()).filter(|kind| !kind.is_empty())),
        precisions: Count::each(engine.layers.iter().filter(|l| !l.types.is_empty()).map(|l| types(&l.types))),
        fusions: engine.layers.iter().filter(|l| l.nodes.len() > 1).count(),
        nodes: nodes.len(),
        layers: engine.layers.clone(),
    }
}

/// `TensorRT-RTX 1.7.1`
pub fn version(about: &About) -> String {
    let name = if about.builder.is_some_and(|builder| builder.rtx) { "TensorRT-RTX" } else { "TensorRT" };
    format!("{name} {}", about.info.version)
}

/// Each type once.
pub fn types(types: &[String]) -> String {
    let mut types = types.to_vec();
    types.sort_unstable();
    types.dedup();
    types.join(", ")
}

#[cfg(test)]
/// An engine's facts without an engine.
pub mod sample {
    use super::*;
    use crate::found::BackendInfo;
    use crate::run::tensorrt::library::{Kind, Origin};
    use crate::run::{Binding, Layer};
    use crate::tensor::DType;

    /// A classifier: one input of dynamic batch, a fused convolution in FP16.
    pub fn engine(input: DType, profile: [Vec<i64>; 3]) -> EngineFacts {
        let layer = |name: &str, kind: &str, types: &str, nodes: &[&str]| Layer {
            name: name.into(),
            kind: kind.into(),
            types: vec![types.into()],
            nodes: nodes.iter().map(|n| n.to_string()).collect(),
        };
        let binding = |name: &str, input, dtype, shape: &[i64], profiles| Binding {
            name: name.into(),
            input,
            dtype,
            shape: shape.to_vec(),
            profiles,
        };
        let engine = Engine {
            bindings: vec![
                binding("x", true, input, &[-1, 3], vec![profile]),
                binding("y", false, DType::Float32, &[-1, 2], vec![]),
            ],
            layers: vec![
                layer("conv + relu", "CaskConvolution", "Half", &["conv", "relu"]),
                layer("fc", "MatrixMultiply", "Float", &["fc"]),
                layer("Reformat", "Reformat", "Float", &[]),
            ],
            device_memory: Some(1 << 20),
        };
        let found = Found { library: "libnvinfer.so.10".into(), parser: None, kind: Kind::Full, origin: Origin::Flag };
        let info = BackendInfo { backend: "TensorRT".into(), version: "10.16.0".into(), ..BackendInfo::default() };
        facts(Path::new("model.plan"), 4096, &found, &About::plain(info), &engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tensorrt::library::{Kind, Origin};
    use crate::tensor::DType;

    #[test]
    fn an_engine_is_summed_up() {
        let facts = sample::engine(DType::Float32, [vec![1, 3], vec![4, 3], vec![8, 3]]);
        let count = |name: &str, count| Count { name: name.into(), count };
        assert_eq!((facts.fusions, facts.nodes, facts.profiles), (1, 3, 1));
        assert_eq!(facts.precisions, [count("Float", 2), count("Half", 1)]);
        assert_eq!(facts.version, "TensorRT 10.16.0");
    }

    #[test]
    fn refusals_name_the_library_and_keep_their_kind() {
        let found = |name: &str| Found { library: name.into(), parser: None, kind: Kind::Full, origin: Origin::Flag };
        let (a, b) = (found("a.so"), found("b.so"));
        let crash = RunError::Crash { backend: "TensorRT".into(), reason: "signal 11".into() };
        let e = refused(Path::new("m.plan"), vec![(&a, crash), (&b, RunError::Missing("too old".into()))]);
        assert_eq!(
            format!("{e:#}"),
            "a.so cannot read m.plan (nor can others: b.so: too old): TensorRT crashed: signal 11"
        );
        assert!(e.chain().any(|e| e.is::<RunError>()));
        let e = refused(Path::new("m.plan"), vec![(&b, RunError::Missing("too old".into()))]);
        assert!(!e.chain().any(|e| e.is::<RunError>()), "{e:#}");
    }
}
