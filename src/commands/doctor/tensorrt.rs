//! TensorRT: the libraries that layerdiff's own finder finds, and what each can do on this machine. Loads nothing in this process: a
//! library is asked in a worker.

use std::path::{Path, PathBuf};

use super::Finding;
use super::nvidia::Gpu;
use crate::run::Backend;
use crate::run::tensorrt::Options;
use crate::run::tensorrt::library::{self, Found, Kind, Origin, VARIABLE};
use crate::run::worker::{Task, Worker};

pub use crate::run::tensorrt::library::Places;

/// What a library says about itself and the GPU once it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Of the library.
    pub version: String,
    /// `NVIDIA H200, compute capability 9.0`, or why there is none.
    pub gpu: String,
}

/// Loads a library in a process of its own and asks it: the probe of every real run.
pub fn ask(found: &Found) -> Result<Info, String> {
    let worker = Worker::start(&Task::tensorrt(Options::new(found))).map_err(|e| e.to_string())?;
    let info = worker.about().info.clone();
    Ok(Info { version: info.version, gpu: info.provider })
}

/// TensorRT and TensorRT-RTX, there or not; a lean runtime if there is one. `python` is Python's import path.
pub fn findings(
    places: &Places,
    python: &[PathBuf],
    gpu: &Gpu,
    ask: impl Fn(&Found) -> Result<Info, String>,
) -> Vec<Finding> {
    let mut all = library::all(places);
    let chosen = match library::find_in(None, places) {
        Ok(chosen) => chosen,
        // What the user named is not there: nothing else is used in its place.
        Err(e) => return vec![Finding { advice: Some(e.to_string()), ..missing(Kind::Full) }, missing(Kind::Rtx)],
    };
    all.splice(0..0, chosen.clone());
    let elsewhere = library::all(&Places { sites: python.to_vec(), ..Places::default() });
    let finding = |kind: Kind| {
        let used = all.iter().find(|found| found.kind == kind);
        match (used, elsewhere.iter().find(|found| found.kind == kind)) {
            (Some(found), _) => present(found, chosen.as_ref() == Some(found), gpu, ask(found)),
            (None, Some(found)) => unseen(found),
            (None, None) => missing(kind),
        }
    };
    Kind::ALL.into_iter().map(finding).filter(|f| f.present || f.name != name(Kind::Lean)).collect()
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "TensorRT",
        Kind::Rtx => "TensorRT-RTX",
        Kind::Lean => "TensorRT, lean runtime",
    }
}

fn missing(kind: Kind) -> Finding {
    let advice = match kind {
        Kind::Rtx => {
            "run `python3 -m pip install onnxruntime-ep-nv-tensorrt-rtx-cu13`, which carries it (for RTX GPUs)"
                .to_string()
        }
        _ => format!(
            "run `python3 -m pip install tensorrt`, or unpack NVIDIA's archive and name its lib folder with --trt-library or {VARIABLE}"
        ),
    };
    Finding { name: name(kind), advice: Some(advice), ..Finding::default() }
}

/// On the path of python3, but where nothing tells layerdiff to look.
fn unseen(found: &Found) -> Finding {
    let folder = found.library.parent().unwrap_or(Path::new("")).display();
    let advice = format!("runs do not see it: activate its virtual environment, or set {VARIABLE}={folder}");
    let version = by_name(&found.library);
    Finding {
        name: name(found.kind),
        present: true,
        details: version.into_iter().collect(),
        path: Some(found.library.clone()),
        advice: Some(advice),
    }
}

fn present(found: &Found, chosen: bool, gpu: &Gpu, info: Result<Info, String>) -> Finding {
    let (version, failure) = match &info {
        Ok(info) => (Some(info.version.clone()), None),
        Err(why) => (by_name(&found.library), Some(format!("it cannot be used ({why}); name another with {VARIABLE}"))),
    };
    let mut details: Vec<String> = version.clone().into_iter().collect();
    details.push(origin(&found.origin));
    details.extend(chosen.then(|| "used by `trt`".to_string()));
    let mut advice = failure;
    if let (Kind::Full | Kind::Rtx, None) = (found.kind, &found.parser) {
        let why = format!(
            "its ONNX parser is not beside it, so it only reads ready engines; install {} of the same version",
            parser(found.kind)
        );
        advice.get_or_insert(why);
    }
    if info.is_ok() {
        let major = version.as_deref().and_then(|v| v.split('.').next()?.parse().ok());
        details.extend(builds(found, major));
        details.push(match major {
            // Which GPUs these are is NVIDIA's to tell: older ones than those of 10, and not the newest.
            Some(8) => "runs them on GPUs of NVIDIA's support matrix of 8.6".to_string(),
            _ => runs(found.kind, gpu, info.ok().map(|info| info.gpu)),
        });
    }
    Finding { name: name(found.kind), present: true, details, path: Some(found.library.clone()), advice }
}

fn origin(origin: &Origin) -> String {
    match origin {
        // The path is told anyway.
        Origin::Loader(_) => "on the loader's path".to_string(),
        Origin::Python(_) => "Python package".to_string(),
        named => named.to_string(),
    }
}

fn parser(kind: Kind) -> &'static str {
    if kind == Kind::Rtx { "libtensorrt_onnxparser_rtx" } else { "libnvonnxparser" }
}

fn builds(found: &Found, major: Option<u32>) -> Vec<String> {
    if found.kind == Kind::Lean {
        return vec!["builds no engines".to_string()];
    }
    let typing = match major {
        Some(8) => "every precision by builder flags (weakly typed only)",
        Some(10) => "lower precision by builder flags (weakly typed)",
        _ => "lower precision by a converted model (strongly typed)",
    };
    let parser = found.parser.is_some().then(|| "ONNX parser beside it".to_string());
    parser.into_iter().chain(["builds engines (no GPU needed)".to_string(), typing.to_string()]).collect()
}

fn runs(kind: Kind, gpu: &Gpu, seen: Option<String>) -> String {
    let wants = match kind {
        Kind::Rtx => "compute capability 7.5, 8.x or 12.x",
        Kind::Full | Kind::Lean => "compute capability 7.5 or newer",
    };
    let capability = seen.as_deref().and_then(capability);
    match (gpu.driver, capability) {
        (false, None) => format!("runs none here: no CUDA driver (it needs a GPU of {wants})"),
        (true, None) if gpu.models.is_empty() => format!("runs none here: no NVIDIA GPU (it needs {wants})"),
        (true, None) => format!("runs them on a GPU of {wants}"),
        (_, Some(has)) if suits(kind, has) => format!("runs them on {}", seen.unwrap_or_default()),
        (_, Some(_)) => format!("runs none on {}: it needs {wants}", seen.unwrap_or_default()),
    }
}

/// `NVIDIA H200, compute capability 9.0` -> (9, 0)
fn capability(gpu: &str) -> Option<(u32, u32)> {
    let (major, minor) = gpu.rsplit_once("compute capability ")?.1.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn suits(kind: Kind, capability: (u32, u32)) -> bool {
    match kind {
        Kind::Rtx => capability == (7, 5) || matches!(capability.0, 8 | 12),
        Kind::Full | Kind::Lean => capability >= (7, 5),
    }
}

/// `libnvinfer.so.10.16.0` -> `10.16.0`, through the link that `libnvinfer.so` is.
fn by_name(library: &Path) -> Option<String> {
    let real = library.canonicalize().ok()?;
    let (_, version) = real.file_name()?.to_str()?.split_once(".so.")?;
    Some(format!("{version} by its name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        root
    }

    fn look(root: &Path, version: Option<&str>) -> Vec<Finding> {
        let places = Places { named: None, loader: vec![root.join("lib")], sites: vec![root.join("site")] };
        let gpu = Gpu { driver: true, models: vec!["NVIDIA H200".into()] };
        let h200 = "NVIDIA H200, compute capability 9.0";
        let answer = version.map(|v| Info { version: v.into(), gpu: h200.into() }).ok_or("it crashed".to_string());
        findings(&places, &[root.join("python")], &gpu, |_| answer.clone())
    }

    #[test]
    fn what_is_there_by_kind() {
        let check = |file: &str, expected: &[bool]| {
            let root = tree(&[file]);
            let found = look(root.path(), Some("10.16.0"));
            assert_eq!(found.iter().map(|f| f.present).collect::<Vec<_>>(), expected, "{file}");
        };
        check("lib/libnvinfer.so.10", &[true, false]);
        check("lib/libnvinfer.so.8", &[true, false]);
        check("lib/libnvinfer.so.8.5.2", &[false, false]);
        check("site/onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.7.1", &[false, true]);
        check("site/tensorrt_lean_libs/libnvinfer_lean.so.11.4.0", &[false, false, true]);
        check("python/tensorrt_libs/libnvinfer.so.10", &[true, false]);
        check("elsewhere/libnvinfer.so.10", &[false, false]);
    }

    #[test]
    fn what_it_can_do_here() {
        let root =
            tree(&["lib/libnvinfer.so.10.16.0", "lib/libnvonnxparser.so.10.16.0", "lib/libtensorrt_rtx.so.1.7.1"]);
        let found = look(root.path(), Some("10.16.0"));
        let details = found[0].details.join("; ");
        assert!(details.contains("used by `trt`; ONNX parser beside it; builds engines"), "{details}");
        assert!(details.contains("weakly typed") && details.contains("runs them on NVIDIA H200"), "{details}");
        let details = found[1].details.join("; ");
        assert!(details.contains("runs none on NVIDIA H200, compute capability 9.0: it needs"), "{details}");
        assert!(found[1].advice.as_ref().unwrap().contains("libtensorrt_onnxparser_rtx"));
    }

    #[test]
    fn what_does_not_work_is_told() {
        let root =
            tree(&["lib/libnvinfer.so.10.16.0", "python/onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.7.1"]);
        let [trt, rtx] = &look(root.path(), None)[..] else { panic!() };
        assert_eq!(trt.details[0], "10.16.0 by its name");
        assert!(trt.advice.as_ref().unwrap().contains("(it crashed)"));
        assert!(rtx.advice.as_ref().unwrap().contains("runs do not see it"));
        let named = Places { named: Some("/nowhere/libnvinfer.so".into()), ..Places::default() };
        let found = findings(&named, &[], &Gpu::default(), |_| Err(String::new()));
        assert!(!found[0].present && found[0].advice.as_ref().unwrap().contains("/nowhere/libnvinfer.so"));
    }
}
