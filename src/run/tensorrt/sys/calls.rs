//! The methods that layerdiff uses, with their signatures. `abi.txt` says where they lie. Safe forms of those that take pointers
//! are in `safe`, which is all that the rest uses.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use super::{Answer, Argument, Class, Dims, Dims32, Ref};
use crate::run::RunError;

/// A class and its methods. `fn` is in every family; a family without a `maybe` method answers [`RunError::Missing`]; `unsafe` methods take pointers, or have another
/// signature in another family: `forms` calls the right one.
macro_rules! class {
    ($tag:ident = $name:literal $(in $direct:ident)? { $($body:tt)* }) => {
        pub enum $tag {}
        impl Class for $tag {
            const NAME: &'static str = $name;
            $(const DIRECT: bool = stringify!($direct).len() > 0;)?
        }
        impl<'a> Ref<'a, $tag> { methods! { $($body)* } }
    };
}

/// Finds the slot of one method after the other and calls it.
macro_rules! methods {
    () => {};
    (fn $f:ident = $method:ident($($a:ident: $t:ty),*) $(-> $r:ty)?; $($rest:tt)*) => {
        pub fn $f(self, $($a: $t),*) -> answer!($($r)?) {
            let Ok(method) = self.method(stringify!($method)) else { unreachable!("every family has it: a test says so") };
            // SAFETY: this method lies there, with this signature: abi.txt is checked against NVIDIA's headers. `self` lives for 'a.
            unsafe { call!(self, method, ($($a: $t),*) -> answer!($($r)?)) }
        }
        methods! { $($rest)* }
    };
    (maybe fn $f:ident = $method:ident($($a:ident: $t:ty),*) $(-> $r:ty)?; $($rest:tt)*) => {
        pub fn $f(self, $($a: $t),*) -> Result<answer!($($r)?), RunError> {
            let method = self.method(stringify!($method))?;
            // SAFETY: as above.
            Ok(unsafe { call!(self, method, ($($a: $t),*) -> answer!($($r)?)) })
        }
        methods! { $($rest)* }
    };
    (unsafe fn $f:ident = $method:ident($($a:ident: $t:ty),*) $(-> $r:ty)?; $($rest:tt)*) => {
        /// # Safety
        /// The pointers are what the method asks for, for as long as it needs them.
        pub unsafe fn $f(self, $($a: $t),*) -> Result<answer!($($r)?), RunError> {
            let method = self.method(stringify!($method))?;
            // SAFETY: as above, and the caller answers for the pointers.
            Ok(unsafe { call!(self, method, ($($a: $t),*) -> answer!($($r)?)) })
        }
        methods! { $($rest)* }
    };
}

macro_rules! answer {
    () => {
        ()
    };
    ($r:ty) => {
        $r
    };
}

macro_rules! call {
    ($self:ident, $method:ident, ($($a:ident: $t:ty),*) -> $r:ty) => {{
        let method: extern "C" fn(*mut c_void, $(<$t as Argument>::Abi),*) -> <$r as Answer<'a>>::Abi = std::mem::transmute($method);
        <$r as Answer<'a>>::from_abi(method($self.this().as_ptr(), $($a.abi()),*), $self.library)
    }};
}

/// A new object, or none when TensorRT refuses.
type New = Option<NonNull<c_void>>;

class! { HostMemory = "VHostMemory" {
    fn data = data() -> *const c_void;
    fn size = size() -> usize;
} }

class! { Builder = "VBuilder" {
    fn create_config = createBuilderConfig() -> New;
    fn create_network = createNetworkV2(flags: u32) -> New;
    fn create_profile = createOptimizationProfile() -> New;
    unsafe fn set_error_recorder = setErrorRecorder(recorder: *mut c_void);
    fn build = buildSerializedNetwork(network: Ref<'_, Network>, config: Ref<'_, Config>) -> New;
} }

class! { Network = "VNetworkDefinition" {
    fn mark_output = markOutput(tensor: Ref<'_, Tensor>);
    fn unmark_output = unmarkOutput(tensor: Ref<'_, Tensor>);
    fn layer_count = getNbLayers() -> i32;
    fn layer = getLayer(index: i32) -> Option<Ref<'a, Layer>>;
    fn input_count = getNbInputs() -> i32;
    fn input = getInput(index: i32) -> Option<Ref<'a, Tensor>>;
    fn output_count = getNbOutputs() -> i32;
    fn output = getOutput(index: i32) -> Option<Ref<'a, Tensor>>;
    maybe fn mark_debug = markDebug(tensor: Ref<'_, Tensor>) -> bool;
    maybe fn unmark_debug = unmarkDebug(tensor: Ref<'_, Tensor>) -> bool;
    maybe fn is_debug = isDebugTensor(tensor: Ref<'_, Tensor>) -> bool;
    maybe fn mark_unfused = markUnfusedTensorsAsDebugTensors() -> bool;
    maybe fn unmark_unfused = unmarkUnfusedTensorsAsDebugTensors() -> bool;
} }

class! { Layer = "VLayer" {
    fn kind = getType() -> i32;
    fn name = getName() -> String;
    fn input_count = getNbInputs() -> i32;
    fn input = getInput(index: i32) -> Option<Ref<'a, Tensor>>;
    fn output_count = getNbOutputs() -> i32;
    fn output = getOutput(index: i32) -> Option<Ref<'a, Tensor>>;
    fn metadata = getMetadata() -> String;
    maybe fn set_precision = setPrecision(dtype: i32);
    maybe fn set_output_type = setOutputType(index: i32, dtype: i32);
} }

class! { Tensor = "VTensor" {
    fn name = getName() -> String;
    unsafe fn dimensions_32 = getDimensions() -> Dims32;
    unsafe fn dimensions_64 = getDimensions() -> Dims;
    fn dtype = getType() -> i32;
    fn is_input = isNetworkInput() -> bool;
    fn is_output = isNetworkOutput() -> bool;
    fn is_shape_tensor = isShapeTensor() -> bool;
    fn is_execution_tensor = isExecutionTensor() -> bool;
} }

class! { Parser = "IParser" in itself {
    unsafe fn parse = parse(model: *const c_void, size: usize, path: *const c_char) -> bool;
    fn parse_file = parseFromFile(path: &CStr, verbosity: i32) -> bool;
    fn error_count = getNbErrors() -> i32;
    fn error = getError(index: i32) -> Option<Ref<'a, ParserError>>;
} }

class! { ParserError = "IParserError" in itself {
    fn code = code() -> i32;
    fn description = desc() -> String;
    fn file = file() -> String;
    fn line = line() -> i32;
    fn function = func() -> String;
    fn node = node() -> i32;
    maybe fn node_name = nodeName() -> String;
    maybe fn operator = nodeOperator() -> String;
} }

class! { Config = "VBuilderConfig" {
    fn clear_flag = clearFlag(flag: i32);
    fn set_flag = setFlag(flag: i32);
    fn flag = getFlag(flag: i32) -> bool;
    fn add_profile = addOptimizationProfile(profile: Ref<'_, Profile>) -> i32;
    fn set_verbosity = setProfilingVerbosity(verbosity: i32);
    unsafe fn create_timing_cache = createTimingCache(bytes: *const c_void, size: usize) -> New;
    unsafe fn set_timing_cache = setTimingCache(cache: Ref<'_, TimingCache>, ignore_mismatch: bool) -> bool;
    fn set_pool = setMemoryPoolLimit(pool: i32, bytes: usize);
    fn set_level = setBuilderOptimizationLevel(level: i32);
    unsafe fn set_progress_monitor = setProgressMonitor(monitor: *mut c_void);
    maybe fn set_capability_count = setNbComputeCapabilities(count: i32) -> bool;
    maybe fn set_capability = setComputeCapability(capability: i32, index: i32) -> bool;
    maybe fn set_build_route = setBuildRoute(route: &CStr) -> bool;
    maybe fn build_routes = getAllBuildRoutes() -> String;
} }

class! { TimingCache = "VTimingCache" {
    fn serialize = serialize() -> New;
} }

class! { Profile = "VOptimizationProfile" {
    unsafe fn set_dimensions_32 = setDimensions(input: &CStr, which: i32, dimensions: Dims32) -> bool;
    unsafe fn set_dimensions_64 = setDimensions(input: &CStr, which: i32, dimensions: *const Dims) -> bool;
    unsafe fn set_values_32 = setShapeValues(input: &CStr, which: i32, values: *const i32, count: i32) -> bool;
    unsafe fn set_values_64 = setShapeValuesV2(input: &CStr, which: i32, values: *const i64, count: i32) -> bool;
    fn is_valid = isValid() -> bool;
} }

class! { Runtime = "VRuntime" {
    unsafe fn deserialize_8 = deserializeCudaEngine(plan: *const c_void, size: usize, factory: *mut c_void) -> New;
    unsafe fn deserialize_10 = deserializeCudaEngine(plan: *const c_void, size: usize) -> New;
    unsafe fn set_error_recorder = setErrorRecorder(recorder: *mut c_void);
} }

class! { Engine = "VCudaEngine" {
    fn layer_count = getNbLayers() -> i32;
    fn serialize = serialize() -> New;
    unsafe fn create_context_8 = createExecutionContext() -> New;
    unsafe fn create_context_10 = createExecutionContext(strategy: i32) -> New;
    fn profile_count = getNbOptimizationProfiles() -> i32;
    fn create_inspector = createEngineInspector() -> New;
    unsafe fn shape_32 = getTensorShape(tensor: &CStr) -> Dims32;
    unsafe fn shape_64 = getTensorShape(tensor: &CStr) -> Dims;
    fn dtype = getTensorDataType(tensor: &CStr) -> i32;
    fn location = getTensorLocation(tensor: &CStr) -> i32;
    fn is_shape_inference = isShapeInferenceIO(tensor: &CStr) -> bool;
    fn mode = getTensorIOMode(tensor: &CStr) -> i32;
    unsafe fn profile_shape_32 = getProfileShape(tensor: &CStr, profile: i32, which: i32) -> Dims32;
    unsafe fn profile_shape_64 = getProfileShape(tensor: &CStr, profile: i32, which: i32) -> Dims;
    fn binding_count = getNbIOTensors() -> i32;
    fn binding_name = getIOTensorName(index: i32) -> String;
    maybe fn is_debug = isDebugTensor(tensor: &CStr) -> bool;
    maybe fn device_memory = getDeviceMemorySize() -> usize;
    maybe fn device_memory_64 = getDeviceMemorySizeV2() -> i64;
} }

class! { Context = "VExecutionContext" {
    unsafe fn set_profiler = setProfiler(profiler: *mut c_void);
    unsafe fn set_input_shape_32 = setInputShape(input: &CStr, dimensions: *const Dims32) -> bool;
    unsafe fn set_input_shape_64 = setInputShape(input: &CStr, dimensions: *const Dims) -> bool;
    unsafe fn shape_32 = getTensorShape(tensor: &CStr) -> Dims32;
    unsafe fn shape_64 = getTensorShape(tensor: &CStr) -> Dims;
    unsafe fn set_address = setTensorAddress(tensor: &CStr, address: *mut c_void) -> bool;
    unsafe fn infer_shapes = inferShapes(count: i32, names: *mut *const c_char) -> i32;
    unsafe fn set_output_allocator = setOutputAllocator(tensor: &CStr, allocator: *mut c_void) -> bool;
    fn max_output_size = getMaxOutputSize(tensor: &CStr) -> i64;
    unsafe fn enqueue = enqueueV3(stream: *mut c_void) -> bool;
    unsafe fn set_debug_listener = setDebugListener(listener: *mut c_void) -> bool;
    maybe fn set_debug_state = setTensorDebugState(tensor: &CStr, on: bool) -> bool;
    maybe fn set_all_debug_states = setAllTensorsDebugState(on: bool) -> bool;
    maybe fn set_unfused_debug_states = setUnfusedTensorsDebugState(on: bool) -> bool;
} }

class! { Inspector = "VEngineInspector" {
    fn information = getEngineInformation(format: i32) -> String;
} }

#[cfg(test)]
mod tests {
    use super::super::super::abi::{Abi, Version};

    /// What is not `maybe` is in every family, so that a call cannot miss.
    #[test]
    fn every_family_has_what_is_not_maybe() {
        let (mut class, mut checked) = ("", 0);
        for line in include_str!("calls.rs").lines() {
            if let Some(rest) = line.strip_prefix("class! { ") {
                class = rest.split('"').nth(1).unwrap();
            }
            let Some(method) = line.strip_prefix("    fn ").and_then(|l| l.split_once(" = ")).map(|(_, m)| m) else {
                continue;
            };
            let Some((method, _)) = method.split_once('(') else { continue };
            for number in [8601, 100000, 100800, 101600, 110000, 110400, 10300, 10400, 10500, 10701] {
                let abi = Abi::of(Version::from_number(number)).unwrap();
                let known = abi.slots_of(class).any(|(m, _)| m == method);
                assert!(known, "{number} has no {class}::{method}");
                checked += 1;
            }
        }
        assert!(checked > 500, "{checked}");
    }
}
