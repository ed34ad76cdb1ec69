//! A TensorRT in this process: what it is, what it can do, and its entry points. Loads nothing, calls nothing.

use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{Abi, Family, Flag, Version};
use super::library::Kind;
use crate::run::RunError;

/// A loaded TensorRT. It stays loaded as long as the process: vendor libraries do not unload cleanly.
#[derive(Clone)]
pub struct Library(Arc<Loaded>);

struct Loaded {
    kind: Kind,
    version: Version,
    abi: Abi,
    entries: Entries,
}

/// The functions that make first objects, as far as the library has them.
#[derive(Clone, Copy)]
pub struct Entries {
    /// Of builders.
    pub builder: Option<Create>,
    /// Of runtimes.
    pub runtime: Option<Create>,
    /// Of parsers.
    pub parser: Option<CreateParser>,
}

/// `createInferBuilder_INTERNAL(logger, version)` and `createInferRuntime_INTERNAL(logger, version)`
pub type Create = extern "C" fn(*mut c_void, i32) -> *mut c_void;
/// `createNvOnnxParser_INTERNAL(network, logger, version)`
pub type CreateParser = extern "C" fn(*mut c_void, *mut c_void, i32) -> *mut c_void;

impl Library {
    /// Of a version whose interface is known.
    pub(super) fn new(kind: Kind, version: Version, abi: Abi, entries: Entries) -> Library {
        Library(Arc::new(Loaded { kind, version, abi, entries }))
    }

    /// The functions by which the library is entered.
    pub(super) fn entries(&self) -> Entries {
        self.0.entries
    }

    /// As the library tells it.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Which interface it has.
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
        self.0.entries.builder.is_some() && self.0.entries.parser.is_some()
    }

    /// Why it does not build.
    pub fn cannot_build(&self) -> RunError {
        RunError::Missing(match self.0.entries.builder {
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

    /// Can networks be typed by the model alone?
    pub fn strongly_typed(&self) -> bool {
        self.family().strongly_typed()
    }

    /// The bit of a network whose batch is a dimension as any other: 8.6 makes one without it, unless asked.
    pub(super) fn batch_flag(&self) -> u32 {
        let bit = self.abi().value("NetworkDefinitionCreationFlag", "kEXPLICIT_BATCH");
        bit.filter(|_| self.family() == Family::Trt8_6).map_or(0, |bit| 1 << bit)
    }

    /// Can a listener hear of tensors inside an engine (since 10)?
    pub fn has_listener(&self) -> bool {
        self.abi().slot("VExecutionContext", "setDebugListener").is_some()
    }

    /// Has its builder this switch?
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

    /// Where its methods lie.
    pub(super) fn abi(&self) -> &Abi {
        &self.0.abi
    }
}

fn parser_name(family: Family) -> &'static str {
    match family.is_rtx() {
        true => "libtensorrt_onnxparser_rtx.so",
        false => "libnvonnxparser.so",
    }
}
