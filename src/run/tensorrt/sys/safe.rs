//! Safe forms of the methods that take pointers or make objects: who owns what, and what has to stay alive for it.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;

use super::super::callback::{Allocation, Callback, Listener, Monitor, Profiler, logger};
use super::super::loaded::{Create, Library};
use super::*;

impl<C: Class> Owned<C> {
    /// Gives it an error recorder, which lives as long as it does. `None`: it takes none.
    fn record(self, set: impl FnOnce(Ref<'_, C>, *mut c_void) -> Result<(), RunError>) -> Option<Owned<C>> {
        let recorder = Callback::recorder(self.library().abi());
        set(self.get(), recorder.as_object()).ok()?;
        self.keep("error recorder".to_string(), recorder);
        Some(self)
    }
}

/// Libraries check the version that they are called with, RTX silently not: it is always their own.
fn first(library: &Library, create: Create) -> Option<NonNull<c_void>> {
    object(create(logger(library.abi()), library.version().number()))
}

/// New objects, made by the entry points of the libraries. `None`: it has none, or refused.
impl Owned<Builder> {
    /// Keeps the recorder of its errors.
    pub fn create(library: &Library) -> Option<Owned<Builder>> {
        let raw = library.entries().builder.and_then(|create| first(library, create))?;
        // SAFETY: a new builder, ours to delete.
        let builder: Owned<Builder> = unsafe { Owned::adopt(raw, library, &[]) };
        // SAFETY: the builder keeps the recorder; what is made of it does not outlive it.
        builder.record(|builder, recorder| unsafe { builder.set_error_recorder(recorder) })
    }

    /// `flags` are bits of `NetworkDefinitionCreationFlag`.
    pub fn network(&self, flags: u32) -> Option<Owned<Network>> {
        let raw = self.get().create_network(flags)?;
        // SAFETY: a new network, ours to delete, before its builder.
        Some(unsafe { Owned::adopt(raw, self.library(), &[self]) })
    }

    /// With TensorRT's defaults.
    pub fn config(&self) -> Option<Owned<Config>> {
        let raw = self.get().create_config()?;
        // SAFETY: a new configuration, ours to delete, before its builder.
        Some(unsafe { Owned::adopt(raw, self.library(), &[self]) })
    }

    /// The builder's own: it is deleted with that.
    pub fn profile(&self) -> Option<Owned<Profile>> {
        let raw = self.get().create_profile()?;
        // SAFETY: a new profile, which the builder deletes.
        Some(unsafe { Owned::borrowed(raw, self.library(), &[self]) })
    }

    /// The serialised engine, after what may be minutes.
    pub fn plan(&self, network: &Owned<Network>, config: &Owned<Config>) -> Option<Owned<HostMemory>> {
        host_memory(self.get().build(network.get(), config.get()), self.library())
    }
}

impl Owned<Parser> {
    /// For the same library as the network's; `None` where that has no parser beside it.
    pub fn create(network: &Owned<Network>) -> Option<Owned<Parser>> {
        let library = network.library();
        let create = library.entries().parser?;
        let raw = object(create(network.get().abi(), logger(library.abi()), library.version().number()))?;
        // SAFETY: a new parser, ours to delete, before its network.
        Some(unsafe { Owned::adopt(raw, library, &[network]) })
    }

    /// Adds a model to the network; `path` is where its external data is looked for. `false`: the parser has errors.
    pub fn parse(&self, model: &[u8], path: Option<&CStr>) -> Result<bool, RunError> {
        let path = path.map_or(null(), CStr::as_ptr);
        // SAFETY: the bytes and the path are only read, and only during the call.
        unsafe { self.get().parse(model.as_ptr().cast(), model.len(), path) }
    }
}

impl Owned<HostMemory> {
    /// Empty where TensorRT has none.
    pub fn bytes(&self) -> &[u8] {
        let (data, size) = (self.get().data(), self.get().size());
        if data.is_null() {
            return &[];
        }
        // SAFETY: the memory holds that many bytes, which nobody changes, as long as the object lives.
        unsafe { std::slice::from_raw_parts(data.cast(), size) }
    }
}

impl Owned<Config> {
    /// Makes a timing cache out of `bytes` (none: an empty one) and attaches it. `None`: not one that this library can read.
    pub fn attach_timing_cache(&self, bytes: &[u8]) -> Result<Option<Owned<TimingCache>>, RunError> {
        // SAFETY: the bytes are only read, and only during the call.
        let raw = unsafe { self.get().create_timing_cache(bytes.as_ptr().cast(), bytes.len()) }?;
        let Some(raw) = raw else { return Ok(None) };
        // SAFETY: a new cache, ours to delete.
        let cache = unsafe { Owned::adopt(raw, self.library(), &[]) };
        // SAFETY: the configuration keeps a share in the cache.
        let taken = unsafe { self.get().set_timing_cache(cache.get(), false) }?;
        self.keep("timing cache".to_string(), Box::new(cache.shared()));
        Ok(taken.then_some(cache))
    }

    /// Who hears of the build; the configuration keeps it.
    pub fn attach_monitor(&self, monitor: Arc<Monitor>) -> Result<(), RunError> {
        let callback = Callback::monitor(self.library().abi(), monitor);
        // SAFETY: the configuration keeps the monitor.
        unsafe { self.get().set_progress_monitor(callback.as_object()) }?;
        self.keep("progress monitor".to_string(), callback);
        Ok(())
    }
}

impl Owned<TimingCache> {
    /// As a file has it.
    pub fn bytes(&self) -> Option<Owned<HostMemory>> {
        host_memory(self.get().serialize(), self.library())
    }
}

impl Owned<Profile> {
    /// Values of an input that is a shape; older versions know 32 bits only.
    pub fn set_values(&self, input: &CStr, which: i32, values: &[i64]) -> Result<bool, RunError> {
        let Ok(count) = i32::try_from(values.len()) else { return Ok(false) };
        if self.get().can("setShapeValuesV2") {
            // SAFETY: that many values, read during the call.
            return unsafe { self.get().set_values_64(input, which, values.as_ptr(), count) };
        }
        let Ok(values) = values.iter().map(|v| i32::try_from(*v)).collect::<Result<Vec<_>, _>>() else {
            return Ok(false);
        };
        // SAFETY: as above.
        unsafe { self.get().set_values_32(input, which, values.as_ptr(), count) }
    }
}

impl Owned<Runtime> {
    /// Keeps the recorder of its errors.
    pub fn create(library: &Library) -> Option<Owned<Runtime>> {
        let raw = library.entries().runtime.and_then(|create| first(library, create))?;
        // SAFETY: a new runtime, ours to delete.
        let runtime: Owned<Runtime> = unsafe { Owned::adopt(raw, library, &[]) };
        // SAFETY: the runtime keeps the recorder; what is made of it does not outlive it.
        runtime.record(|runtime, recorder| unsafe { runtime.set_error_recorder(recorder) })
    }

    /// `None`: TensorRT refuses the plan, and its log says why.
    pub fn engine(&self, plan: &[u8]) -> Result<Option<Owned<Engine>>, RunError> {
        // SAFETY: the bytes are only read, and only during the call.
        let raw = unsafe { self.get().deserialize(plan.as_ptr().cast(), plan.len()) }?;
        // SAFETY: a new engine, ours to delete, before its runtime.
        Ok(raw.map(|raw| unsafe { Owned::adopt(raw, self.library(), &[self]) }))
    }
}

impl Owned<Engine> {
    /// `strategy` is a number of `ExecutionContextAllocationStrategy`.
    pub fn context(&self, strategy: i32) -> Option<Owned<Context>> {
        let raw = self.get().create_context(strategy)?;
        // SAFETY: a new context, ours to delete, before its engine.
        Some(unsafe { Owned::adopt(raw, self.library(), &[self]) })
    }

    /// What tells of the engine's layers.
    pub fn inspector(&self) -> Option<Owned<Inspector>> {
        let raw = self.get().create_inspector()?;
        // SAFETY: a new inspector, ours to delete, before its engine.
        Some(unsafe { Owned::adopt(raw, self.library(), &[self]) })
    }

    /// As a file has it.
    pub fn plan(&self) -> Option<Owned<HostMemory>> {
        host_memory(self.get().serialize(), self.library())
    }
}

impl Owned<Context> {
    /// The inputs that still lack a shape or an address; `None` when TensorRT finds them wrong.
    pub fn incomplete(&self) -> Result<Option<Vec<String>>, RunError> {
        let mut names: [*const c_char; 64] = [null(); 64];
        // SAFETY: room for that many names.
        let count = unsafe { self.get().infer_shapes(names.len() as i32, names.as_mut_ptr()) }?;
        let Ok(count) = usize::try_from(count) else { return Ok(None) };
        // SAFETY: TensorRT has written so many names, texts of the engine, at most as many as there was room for.
        Ok(Some(names.iter().take(count).map(|name| unsafe { text(*name) }).collect()))
    }

    /// Who hears of debug tensors; the context keeps it. `false`: TensorRT refuses it.
    pub fn attach_listener(&self, listener: Listener) -> Result<bool, RunError> {
        let callback = Callback::listener(self.library().abi(), listener);
        // SAFETY: the context keeps the listener.
        let taken = unsafe { self.get().set_debug_listener(callback.as_object()) }?;
        self.keep("debug listener".to_string(), callback);
        Ok(taken)
    }

    /// Who hears what layers take, in place of an earlier one; the context keeps it. `None`: nobody.
    pub fn attach_profiler(&self, profiler: Option<Profiler>) -> Result<(), RunError> {
        let callback = profiler.map(|profiler| Callback::profiler(self.library().abi(), profiler));
        let object = callback.as_ref().map_or(null_mut(), |callback| callback.as_object());
        // SAFETY: the context keeps the profiler, and the one before until it has this one; a null pointer is nobody.
        unsafe { self.get().set_profiler(object) }?;
        self.keep("profiler".to_string(), Box::new(callback));
        Ok(())
    }

    /// Memory of an output of unknown size; the context keeps it. `false`: TensorRT refuses it.
    pub fn attach_allocation(&self, tensor: &CStr, allocation: Arc<Allocation>) -> Result<bool, RunError> {
        let callback = Callback::allocation(self.library().abi(), allocation);
        // SAFETY: the context keeps the allocator.
        let taken = unsafe { self.get().set_output_allocator(tensor, callback.as_object()) }?;
        self.keep(format!("output {}", tensor.to_string_lossy()), callback);
        Ok(taken)
    }
}

/// A text for TensorRT; what follows a zero byte, which no name has, is cut off.
pub fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn host_memory(raw: Option<NonNull<c_void>>, library: &Library) -> Option<Owned<HostMemory>> {
    // SAFETY: new memory, ours to delete, with nothing that it depends on.
    raw.map(|raw| unsafe { Owned::adopt(raw, library, &[]) })
}
