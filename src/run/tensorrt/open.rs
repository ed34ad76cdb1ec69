//! Loads a TensorRT that was found, and refuses versions whose interface is not known. Makes no object.

use std::ffi::OsStr;
use std::path::Path;

#[cfg(unix)]
use libloading::os::unix::{Library as Shared, RTLD_LOCAL, RTLD_NOW};
#[cfg(windows)]
use libloading::os::windows::Library as Shared;

use super::abi::{Abi, Version};
use super::library::Found;
use super::loaded::{CreateParser, Entries, Library};
use crate::run::RunError;

type GetVersion = extern "C" fn() -> i32;

impl Library {
    /// Loads what was found.
    pub fn open(found: &Found) -> Result<Library, RunError> {
        if cfg!(windows) {
            return Err(laid_out_otherwise(&found.library));
        }
        let core = load(&found.library)?;
        let get_version: GetVersion =
            symbol(&core, "getInferLibVersion").ok_or_else(|| not_tensorrt(&found.library))?;
        let version = Version::from_number(get_version());
        let abi = Abi::of(version).ok_or_else(|| unknown(found, version))?;
        let builder = symbol(&core, "createInferBuilder_INTERNAL");
        let runtime = symbol(&core, "createInferRuntime_INTERNAL");
        std::mem::forget(core);
        let parser = match &found.parser {
            Some(path) if builder.is_some() => Some(load_parser(path)?),
            _ => None,
        };
        Ok(Library::new(found.kind, version, abi, Entries { builder, runtime, parser }))
    }
}

fn load(path: &Path) -> Result<Shared, RunError> {
    // SAFETY: the user's TensorRT; its initialisers run, in the worker process.
    #[cfg(unix)]
    let shared = unsafe { Shared::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    #[cfg(windows)]
    // SAFETY: nothing gets here: see `open`.
    let shared = unsafe { Shared::new(path) };
    shared.map_err(|e| RunError::Missing(format!("{} does not load: {}", path.display(), chain(&e))))
}

/// The parser needs TensorRT's plugins, and finds them when they are loaded already.
fn load_parser(path: &Path) -> Result<CreateParser, RunError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let plugins = path.with_file_name(name.replace("nvonnxparser", "nvinfer_plugin"));
    if plugins != path && plugins.is_file() {
        std::mem::forget(load(&plugins));
    }
    let parser = load(path)?;
    let create = symbol(&parser, "createNvOnnxParser_INTERNAL").ok_or_else(|| not_tensorrt(path));
    std::mem::forget(parser);
    create
}

/// An entry point, by its type.
fn symbol<F: Copy>(library: &Shared, name: &str) -> Option<F> {
    // SAFETY: the names and types are those of NVIDIA's headers, the same in all versions; the library is never unloaded.
    unsafe { library.get::<F>(name).ok().map(|symbol| *symbol) }
}

fn not_tensorrt(path: &Path) -> RunError {
    RunError::Missing(format!("{} is no TensorRT library: it lacks TensorRT's entry points", path.display()))
}

/// The compilers of Windows order the methods of a class, and its destructors, in another way than `abi.txt` has it.
fn laid_out_otherwise(library: &Path) -> RunError {
    RunError::Missing(format!(
        "{} is TensorRT for Windows, which layerdiff does not drive; run the engine with `trtexec --loadInputs --exportOutput=out.json`, and give saved:out.json as the candidate",
        library.display()
    ))
}

fn unknown(found: &Found, version: Version) -> RunError {
    let library = found.library.display();
    RunError::Missing(match version.major {
        4..10 => format!(
            "{library} is TensorRT {version}, of whose interface layerdiff knows 8.6 alone; install that or TensorRT 10, or run the engine with `trtexec --loadInputs --exportOutput=out.json`, and give saved:out.json as the candidate"
        ),
        _ => format!(
            "{library} is version {version}; layerdiff drives TensorRT 8.6, 10 and 11 and TensorRT-RTX 1.3 and newer: install one of those"
        ),
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| source.to_string())
}
