//! An NVIDIA GPU through its driver, which is looked for at run time: device memory, one stream, copies. Knows no model and no element type.
//!
//! `cudarc` panics when the driver is not there: [`Cuda::open`] asks first, and nothing else starts it.

pub mod compare;
pub mod installed;
mod nvrtc;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys};

/// A GPU, its primary context, and one stream of our own: what is asked of it is done in that order.
#[derive(Clone)]
pub struct Cuda(Arc<Line>);

/// Bytes on the device, freed with this. Never empty: the address can always be passed on. Fields are dropped in this order.
pub struct Memory {
    slice: CudaSlice<u8>,
    _line: Arc<Line>,
}

/// Lives as long as anything on the device that was made with it.
struct Line {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: the stream is ours, and whoever used it held this line.
        let _ = unsafe { result::stream::destroy(self.stream.cu_stream()) };
    }
}

/// What a GPU is.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// As NVIDIA sells it.
    pub name: String,
    /// `(9, 0)`
    pub capability: (i32, i32),
    /// Bytes of memory that nobody uses now.
    pub free: usize,
    /// Bytes of memory that it has.
    pub total: usize,
}

/// Why the GPU did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CudaError {
    /// The sentence may be continued.
    #[error("no NVIDIA driver here: libcuda.so.1 was not found")]
    NoDriver,
    /// The driver is there and gives no GPU of that number: its words.
    #[error("{0}")]
    NoDevice(String),
    /// What was asked for failed: what it was, and the driver's words.
    #[error("{0}")]
    Failed(String),
}

impl Cuda {
    /// The GPU with this number.
    pub fn open(device: usize) -> Result<Cuda, CudaError> {
        if !driver_is_present() {
            return Err(CudaError::NoDriver);
        }
        // A driver that lacks a function makes cudarc panic.
        let opened = catch_unwind(AssertUnwindSafe(|| Cuda::start(device)));
        opened
            .unwrap_or_else(|_| Err(CudaError::NoDevice("the NVIDIA driver is too old for CUDA 12; update it".into())))
    }

    fn start(device: usize) -> Result<Cuda, CudaError> {
        let refused = |e: DriverError| CudaError::NoDevice(format!("the NVIDIA driver does not start: {}", why(e)));
        result::init().map_err(refused)?;
        let count = CudaContext::device_count().map_err(refused)?;
        if usize::try_from(count).is_ok_and(|count| device >= count) {
            return Err(CudaError::NoDevice(format!("there is no GPU number {device}: {count} here, counted from 0")));
        }
        let context = CudaContext::new(device).map_err(refused)?;
        // SAFETY: all work on memory made here goes through one stream, which needs no events to keep its order.
        unsafe { context.disable_event_tracking() };
        // A stream that keeps its order with the default stream too, where a plugin may do its copies; those of cudarc do not.
        let stream = result::stream::create(StreamKind::Default).map_err(refused)?;
        // SAFETY: the stream is one of this context, and lives as long as the line.
        let stream = unsafe { context.wrap_borrowed_stream(stream) };
        Ok(Cuda(Arc::new(Line { context, stream })))
    }

    /// Asks the driver; the free memory is that of this moment.
    pub fn device(&self) -> Result<Device, CudaError> {
        let ask = || {
            let (name, capability) = (self.0.context.name()?, self.0.context.compute_capability()?);
            let (free, total) = self.0.context.mem_get_info()?;
            Ok(Device { name, capability, free, total })
        };
        ask().map_err(|e| failed("asking the GPU for its name", e))
    }

    /// As the driver counts.
    pub fn number(&self) -> usize {
        self.0.context.ordinal()
    }

    /// How many blocks of threads can run at a time, if each takes a multiprocessor.
    fn multiprocessors(&self) -> Result<u32, CudaError> {
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let count = self.0.context.attribute(attribute).map_err(|e| failed("asking the GPU for its size", e))?;
        Ok(count.max(1) as u32)
    }

    /// The CUstream.
    pub fn stream(&self) -> u64 {
        self.0.stream.cu_stream() as u64
    }

    /// Makes this GPU the one that libraries called from this thread use.
    pub fn enter(&self) -> Result<(), CudaError> {
        self.0.context.bind_to_thread().map_err(|e| failed("entering the GPU's context", e))
    }

    /// Memory with nothing particular in it.
    pub fn allocate(&self, bytes: usize) -> Result<Memory, CudaError> {
        // SAFETY: any byte is a valid byte.
        let memory = unsafe { self.0.stream.alloc::<u8>(bytes.max(1)) };
        memory.map(|slice| Memory { slice, _line: self.0.clone() }).map_err(|e| match self.0.context.mem_get_info() {
            Ok((free, _)) => CudaError::Failed(format!("no {bytes} bytes of GPU memory ({free} are free): {}", why(e))),
            Err(_) => failed(&format!("asking for {bytes} bytes of GPU memory"), e),
        })
    }

    /// Fills the start of `memory`, which must be large enough.
    pub fn copy_in(&self, memory: &mut Memory, bytes: &[u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        fits(memory, bytes.len())?;
        self.0.stream.memcpy_htod(bytes, &mut memory.slice).map_err(|e| failed("copying to the GPU", e))
    }

    /// Fills the start of `to` with all of `from`.
    pub fn copy(&self, from: &Memory, to: &mut Memory) -> Result<(), CudaError> {
        fits(to, from.bytes())?;
        self.0.stream.memcpy_dtod(&from.slice, &mut to.slice).map_err(|e| failed("copying on the GPU", e))
    }

    /// The first `bytes` of `memory`, as they are when all that was asked for has been done.
    pub fn copy_out(&self, memory: &Memory, bytes: usize) -> Result<Vec<u8>, CudaError> {
        fits(memory, bytes)?;
        // SAFETY: the memory is ours and large enough.
        unsafe { self.read(memory.address(), bytes, self.stream()) }
    }

    /// Waits until all that was asked for has been done.
    pub fn synchronise(&self) -> Result<(), CudaError> {
        self.0.stream.synchronize().map_err(|e| failed("running on the GPU", e))
    }

    /// Device memory that somebody else owns, as it is when the CUstream has done what it was asked.
    ///
    /// # Safety
    /// `bytes` bytes of device memory lie at the address, and the stream is one of this GPU's context.
    pub unsafe fn read(&self, address: u64, bytes: usize, stream: u64) -> Result<Vec<u8>, CudaError> {
        let mut copy = vec![0u8; bytes];
        let stream = stream as sys::CUstream;
        self.enter()?;
        if bytes > 0 {
            // SAFETY: as the caller promises; `copy` lives until the stream has finished.
            unsafe { result::memcpy_dtoh_async(&mut copy, address, stream) }
                .map_err(|e| failed("copying from the GPU", e))?;
        }
        // SAFETY: as the caller promises.
        unsafe { result::stream::synchronize(stream) }.map_err(|e| failed("running on the GPU", e))?;
        Ok(copy)
    }
}

impl Memory {
    /// Where it begins, in the GPU's address space.
    pub fn address(&self) -> u64 {
        self.slice.device_ptr(self.slice.stream()).0
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.slice.len()
    }
}

/// Can the driver's library be loaded? It runs nothing.
pub fn driver_is_present() -> bool {
    // SAFETY: loads NVIDIA's library, whose initialisers do no harm.
    unsafe { sys::is_culib_present() }
}

fn fits(memory: &Memory, bytes: usize) -> Result<(), CudaError> {
    match bytes <= memory.bytes() {
        true => Ok(()),
        false => Err(CudaError::Failed(format!("{bytes} bytes do not fit into {} of GPU memory", memory.bytes()))),
    }
}

fn failed(what: &str, error: DriverError) -> CudaError {
    CudaError::Failed(format!("{what} failed: {}", why(error)))
}

/// `CUDA_ERROR_OUT_OF_MEMORY (out of memory)`
fn why(error: DriverError) -> String {
    let text = |text: Result<&std::ffi::CStr, DriverError>| text.map(|t| t.to_string_lossy().into_owned()).ok();
    match (text(error.error_name()), text(error.error_string())) {
        (Some(name), Some(meaning)) => format!("{name} ({meaning})"),
        _ => format!("CUDA error {}", error.0 as u32),
    }
}
