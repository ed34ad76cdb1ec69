//! Objects of ours that TensorRT calls back, with vtables made by hand in the layout of the family. No panic leaves them.

mod recorder;

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::abi::Abi;
use super::heard::{DebugTensor, Step};
use super::log;
use super::sys::{Dims, Dims32, text};
use super::types;

/// An object with a vtable, as C++ sees it: `[vtable, ...]`.
#[repr(C)]
pub struct Callback<T> {
    /// Points behind the first two words of `table`, which C++ keeps for itself.
    vtable: *const *const c_void,
    class: CString,
    table: Box<[*const c_void]>,
    data: T,
}

// SAFETY: the pointers lead into the object's own table and to functions; the data answers for itself.
unsafe impl<T: Send> Send for Callback<T> {}

/// The user's ear during a build, and whether it has said stop.
pub struct Monitor {
    call: Box<dyn Fn(&Step) -> bool + Send + Sync>,
    phases: Mutex<HashMap<String, (String, usize)>>,
    /// The last answer was "stop".
    pub stopped: AtomicBool,
}

/// Who gets the debug tensors of a run.
pub type Listener = Box<dyn FnMut(&DebugTensor) -> bool + Send>;

/// Who hears what each layer of a run took, in milliseconds.
pub type Profiler = Box<dyn FnMut(&str, f32) + Send>;

/// Memory for an output whose shape only the run can tell.
pub struct Allocation {
    address: u64,
    capacity: u64,
    /// The shape that the last run gave it.
    pub shape: Mutex<Option<Vec<i64>>>,
    /// How many bytes the last run wanted, when it was more than there are.
    pub wanted: Mutex<Option<u64>>,
}

/// What C++ calls `InterfaceInfo`.
#[repr(C)]
struct Info {
    kind: *const c_char,
    major: i32,
    minor: i32,
}

type Method = *const c_void;

impl<T> Callback<T> {
    /// Fills the table in the layout of the family; methods without a function of ours do nothing and answer 0.
    fn new(abi: &Abi, class: &str, methods: &[(&str, Method)], data: T) -> Box<Callback<T>> {
        let slots: Vec<_> = abi.slots_of(class).collect();
        let last = slots.iter().map(|(_, slot)| *slot).max().unwrap_or(0);
        let mut table = vec![nothing as Method; 2 + last + 1].into_boxed_slice();
        table[..2].fill(null());
        let ours = [("getInterfaceInfo", interface_info::<T> as Method)];
        for (name, function) in ours.iter().chain(methods) {
            if let Some((_, slot)) = slots.iter().find(|(method, _)| method == name) {
                table[2 + slot] = *function;
            }
        }
        let class = CString::new(class).unwrap_or_default();
        let mut callback = Box::new(Callback { vtable: null(), class, table, data });
        callback.vtable = callback.table[2..].as_ptr();
        callback
    }

    /// What TensorRT gets.
    pub fn as_object(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

impl Callback<Arc<Monitor>> {
    /// An `IProgressMonitor`.
    pub fn monitor(abi: &Abi, monitor: Arc<Monitor>) -> Box<Self> {
        let methods = [
            ("phaseStart", phase_start as Method),
            ("stepComplete", step_complete as Method),
            ("phaseFinish", phase_finish as Method),
        ];
        Callback::new(abi, "IProgressMonitor", &methods, monitor)
    }
}

impl Callback<Mutex<Listener>> {
    /// An `IDebugListener`.
    pub fn listener(abi: &Abi, listener: Listener) -> Box<Self> {
        let methods = [("processDebugTensor", debug_tensor as Method)];
        Callback::new(abi, "IDebugListener", &methods, Mutex::new(listener))
    }
}

impl Callback<Mutex<Profiler>> {
    /// An `IProfiler`.
    pub fn profiler(abi: &Abi, profiler: Profiler) -> Box<Self> {
        Callback::new(abi, "IProfiler", &[("reportLayerTime", report_layer_time as Method)], Mutex::new(profiler))
    }
}

impl Callback<Arc<Allocation>> {
    /// An `IOutputAllocator`.
    pub fn allocation(abi: &Abi, allocation: Arc<Allocation>) -> Box<Self> {
        let notify = if abi.family.has_narrow_dims() { notify_shape_32 as Method } else { notify_shape as Method };
        let methods = [
            ("getInterfaceVersion", first_version as Method),
            ("reallocateOutput", allocate as Method),
            ("reallocateOutputAsync", allocate as Method),
            ("notifyShape", notify),
        ];
        Callback::new(abi, "IOutputAllocator", &methods, allocation)
    }
}

impl Monitor {
    /// `call` hears of every step and says whether to go on.
    pub fn new(call: impl Fn(&Step) -> bool + Send + Sync + 'static) -> Monitor {
        Monitor { call: Box::new(call), phases: Mutex::default(), stopped: AtomicBool::new(false) }
    }

    fn start(&self, phase: String, parent: String, of: usize) {
        self.tell(&phase, &parent, 0, of);
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).insert(phase, (parent, of));
    }

    fn step(&self, phase: &str, step: usize) -> bool {
        let known = self.phases.lock().unwrap_or_else(PoisonError::into_inner).get(phase).cloned();
        let (parent, of) = known.unwrap_or_default();
        self.tell(phase, &parent, step, of)
    }

    fn finish(&self, phase: &str) {
        let known = self.phases.lock().unwrap_or_else(PoisonError::into_inner).remove(phase);
        let (parent, of) = known.unwrap_or_default();
        self.tell(phase, &parent, of, of);
    }

    /// Only the end of a step can stop a build; a stop that was said earlier waits for it.
    fn tell(&self, phase: &str, parent: &str, step: usize, of: usize) -> bool {
        let parent = Some(parent).filter(|parent| !parent.is_empty());
        if !(self.call)(&Step { phase, parent, step, of }) {
            self.stopped.store(true, Ordering::SeqCst);
        }
        !self.stopped.load(Ordering::SeqCst)
    }
}

impl Allocation {
    /// Begins with the memory at `address`, of `capacity` bytes.
    pub fn new(address: u64, capacity: usize) -> Allocation {
        Allocation { address, capacity: capacity as u64, shape: Mutex::default(), wanted: Mutex::default() }
    }
}

/// The logger of this process, in the layout of the family. Lives as long as the process: TensorRT may log at any time.
pub fn logger(abi: &Abi) -> *mut c_void {
    struct Immortal(&'static Callback<()>);
    // SAFETY: the logger has no data, and its table does not change.
    unsafe impl Sync for Immortal {}
    // SAFETY: as above.
    unsafe impl Send for Immortal {}
    static OLD: OnceLock<Immortal> = OnceLock::new();
    static NEW: OnceLock<Immortal> = OnceLock::new();
    let cell = if abi.slot("ILogger", "log") == Some(0) { &OLD } else { &NEW };
    let make = || Immortal(Box::leak(Callback::new(abi, "ILogger", &[("log", log_message as Method)], ())));
    cell.get_or_init(make).0.as_object()
}

/// The data of the object that a method was called on.
///
/// # Safety
/// `this` is what `as_object` of a living `Callback<T>` gave.
unsafe fn data<'a, T>(this: *const c_void) -> &'a T {
    // SAFETY: as the caller promises.
    unsafe { &(*this.cast::<Callback<T>>()).data }
}

fn guarded<R>(otherwise: R, f: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(otherwise)
}

/// Destructors, which C++ must not run on our memory, and methods that answer with 0: `getAPILanguage` says C++.
extern "C" fn nothing(_this: *const c_void) -> usize {
    0
}

/// What 8.6 asks for in place of an `InterfaceInfo`.
extern "C" fn first_version(_this: *const c_void) -> i32 {
    1
}

extern "C" fn interface_info<T>(this: *const c_void) -> Info {
    // SAFETY: TensorRT passes the object that it was given.
    let callback = unsafe { &*this.cast::<Callback<T>>() };
    Info { kind: callback.class.as_ptr(), major: 1, minor: 0 }
}

extern "C" fn log_message(_this: *const c_void, severity: i32, message: *const c_char) {
    // SAFETY: TensorRT passes a text.
    guarded((), || log::add(severity, &unsafe { text(message) }));
}

extern "C" fn phase_start(this: *const c_void, phase: *const c_char, parent: *const c_char, steps: i32) {
    // SAFETY: TensorRT passes the monitor that it was given, a text, and a text or a null pointer.
    let (monitor, phase, parent) = unsafe { (data::<Arc<Monitor>>(this), text(phase), text(parent)) };
    guarded((), || monitor.start(phase, parent, usize::try_from(steps).unwrap_or(0)));
}

extern "C" fn step_complete(this: *const c_void, phase: *const c_char, step: i32) -> bool {
    // SAFETY: TensorRT passes the monitor that it was given, and a text.
    let (monitor, phase) = unsafe { (data::<Arc<Monitor>>(this), text(phase)) };
    // TensorRT counts steps from 0, and tells of those that are done.
    guarded(false, || monitor.step(&phase, usize::try_from(step).unwrap_or(0) + 1))
}

extern "C" fn phase_finish(this: *const c_void, phase: *const c_char) {
    // SAFETY: as above.
    let (monitor, phase) = unsafe { (data::<Arc<Monitor>>(this), text(phase)) };
    guarded((), || monitor.finish(&phase));
}

extern "C" fn debug_tensor(
    this: *const c_void,
    address: *const c_void,
    location: i32,
    dtype: i32,
    dims: *const Dims,
    name: *const c_char,
    stream: *mut c_void,
) -> bool {
    // SAFETY: TensorRT passes the listener that it was given, and a text.
    let (listener, name) = unsafe { (data::<Mutex<Listener>>(this), text(name)) };
    // SAFETY: TensorRT passes dimensions that live during the call.
    let Some(dims) = (unsafe { dims.as_ref() }) else { return false };
    guarded(false, || {
        let shape = dims.shape().unwrap_or_default();
        let (address, stream) = (address as u64, stream as u64);
        let tensor =
            DebugTensor { name: &name, address, host: location == 1, dtype: types::dtype(dtype), shape, stream };
        listener.lock().unwrap_or_else(PoisonError::into_inner)(&tensor)
    })
}

extern "C" fn report_layer_time(this: *const c_void, layer: *const c_char, milliseconds: f32) {
    // SAFETY: TensorRT passes the profiler that it was given, and a text.
    let (profiler, layer) = unsafe { (data::<Mutex<Profiler>>(this), text(layer)) };
    guarded((), || profiler.lock().unwrap_or_else(PoisonError::into_inner)(&layer, milliseconds));
}

/// Answers with the memory that there is, or with a null pointer when it is too small.
extern "C" fn allocate(this: *const c_void, _tensor: *const c_char, _current: *mut c_void, size: u64) -> *mut c_void {
    // SAFETY: TensorRT passes the allocator that it was given.
    let allocation = unsafe { data::<Arc<Allocation>>(this) };
    guarded(null_mut(), || {
        if size <= allocation.capacity {
            return allocation.address as *mut c_void;
        }
        *allocation.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(size);
        null_mut()
    })
}

extern "C" fn notify_shape(this: *const c_void, _tensor: *const c_char, dims: *const Dims) {
    // SAFETY: TensorRT passes the allocator that it was given, and dimensions that live during the call.
    unsafe { note_shape(this, dims.as_ref()) };
}

/// The same in 8.6.
extern "C" fn notify_shape_32(this: *const c_void, _tensor: *const c_char, dims: *const Dims32) {
    // SAFETY: as above.
    unsafe { note_shape(this, dims.as_ref().map(|dims| Dims::from(*dims)).as_ref()) };
}

/// # Safety
/// `this` is an allocator of ours.
unsafe fn note_shape(this: *const c_void, dims: Option<&Dims>) {
    // SAFETY: as the caller promises.
    let allocation = unsafe { data::<Arc<Allocation>>(this) };
    let shape = dims.and_then(Dims::shape).map(<[i64]>::to_vec);
    guarded((), || *allocation.shape.lock().unwrap_or_else(PoisonError::into_inner) = shape);
}

#[cfg(test)]
mod tests;
