//! Loads a TensorRT that was found, and refuses versions whose interface is not known. Creates the first objects; wraps none.

use std::ffi::{OsStr, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use libloading::os::unix::{Library as Shared, RTLD_LOCAL, RTLD_NOW};

use super::abi::{Abi, Family, Flag, Version};
use super::callback;
use super::library::{Found, Kind};
use super::sys;
use crate::run::RunError;

/// A loaded TensorRT. It stays loaded as long as the process: vendor libraries do not unload cleanly.
#[derive(Clone)]
pub struct Library(Arc<Loaded>);

struct Loaded {
    kind: Kind,
    version: Version,
    abi: Abi,
    builder: Option<Create>,
    runtime: Option<Create>,
    parser: Option<CreateParser>,
}

/// `createInferBuilder_INTERNAL(logger, version)` and `createInferRuntime_INTERNAL(logger, version)`
type Create = extern "C" fn(*mut c_void, i32) -> *mut c_void;
/// `createNvOnnxParser_INTERNAL(network, logger, version)`
type CreateParser = extern "C" fn(*mut c_void, *mut c_void, i32) -> *mut c_void;
type GetVersion = extern "C" fn() -> i32;

impl Library {
    pub fn open(found: &Found) -> Result<Library, RunError> {
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
        Ok(Library(Arc::new(Loaded { kind: found.kind, version, abi, builder, runtime, parser })))
    }

    pub fn version(&self) -> Version {
        self.0.version
    }

    pub fn family(&self) -> Family {
        self.0.abi.family
    }

    /// `TensorRT 10.16.0`, `TensorRT-RTX 1.7.1`, `TensorRT 11.4.0 (lean runtime)`
    pub fn name(&self) -> String {
        let product = if self.family().is_rtx() { "TensorRT-RTX" } else { "TensorRT" };
        let lean = if self.0.kind == Kind::Lean { " (lean runtime)" } else { "" };
        format!("{product} {}{lean}", self.version())
    }

    /// Has it a builder and an ONNX parser? The lean runtime only runs plans.
    pub fn builds(&self) -> bool {
        self.0.builder.is_some() && self.0.parser.is_some()
    }

    /// Why it does not build.
    pub fn cannot_build(&self) -> RunError {
        RunError::Missing(match self.0.builder {
            Some(_) => format!("{} has no ONNX parser beside it; install {}", self.name(), parser_name(self.family())),
            None => format!(
                "{} has no builder and only runs plans; install the full TensorRT to build from ONNX",
                self.name()
            ),
        })
    }

    /// Do networks leave precisions to the builder's flags?
    pub fn weakly_typed(&self) -> bool {
        self.family().weakly_typed()
    }

    pub fn has_flag(&self, flag: Flag) -> bool {
        self.abi().flag(flag).is_some()
    }

    /// Can it observe what fusion leaves (since 10.12)?
    pub fn has_unfused(&self) -> bool {
        self.abi().slot("VNetworkDefinition", "markUnfusedTensorsAsDebugTensors").is_some()
    }

    /// Can its compiler's knobs be turned (since 11.1)?
    pub fn has_build_routes(&self) -> bool {
        self.abi().slot("VBuilderConfig", "setBuildRoute").is_some()
    }

    /// Can it build for a GPU that is not there (RTX)?
    pub fn has_compute_capabilities(&self) -> bool {
        self.abi().slot("VBuilderConfig", "setComputeCapability").is_some()
    }

    pub(super) fn abi(&self) -> &Abi {
        &self.0.abi
    }

    pub(super) fn create_builder(&self) -> Option<NonNull<c_void>> {
        self.0.builder.and_then(|create| self.create(create))
    }

    pub(super) fn create_runtime(&self) -> Option<NonNull<c_void>> {
        self.0.runtime.and_then(|create| self.create(create))
    }

    pub(super) fn create_parser(&self, network: *mut c_void) -> Option<NonNull<c_void>> {
        let create = self.0.parser?;
        sys::object(create(network, callback::logger(self.abi()), self.version().number()))
    }

    /// Libraries check the version that they are called with, RTX silently not: it is always their own.
    fn create(&self, create: Create) -> Option<NonNull<c_void>> {
        sys::object(create(callback::logger(self.abi()), self.version().number()))
    }
}

fn load(path: &Path) -> Result<Shared, RunError> {
    // SAFETY: the user's TensorRT; its initialisers run, in the worker process.
    let shared = unsafe { Shared::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
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

fn unknown(found: &Found, version: Version) -> RunError {
    RunError::Missing(format!(
        "{} is version {version}; layerdiff drives TensorRT 10 and 11 and TensorRT-RTX 1.3 and newer: install one of those",
        found.library.display()
    ))
}

fn parser_name(family: Family) -> &'static str {
    match family.is_rtx() {
        true => "libtensorrt_onnxparser_rtx.so",
        false => "libnvonnxparser.so",
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| source.to_string())
}
