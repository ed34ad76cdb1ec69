//! One execution of an engine: shapes, addresses, the run itself, and the tensors that a listener sees. Owns no device memory.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, PoisonError};

use super::callback::{Allocation, Profiler};
use super::heard::DebugTensor;
use super::log;
use super::sys::{self, Dims, c_text};
use crate::run::RunError;

/// What one run at a time needs of an engine.
pub struct Context {
    object: sys::Owned<sys::Context>,
    allocations: HashMap<String, Arc<Allocation>>,
}

impl Context {
    /// Owns the object.
    pub(super) fn new(object: sys::Owned<sys::Context>) -> Context {
        Context { object, allocations: HashMap::new() }
    }

    /// For the next run. An error for more than 8 dimensions, and for what no profile covers.
    pub fn set_input_shape(&mut self, input: &str, shape: &[i64]) -> Result<(), RunError> {
        let mark = log::mark();
        let set = Dims::new(shape).is_some_and(|dims| self.object.get().set_input_shape(&c_text(input), &dims));
        self.check(set, mark, &format!("it refuses the shape {shape:?} for input '{input}'"))
    }

    /// Where an input or output lies.
    ///
    /// # Safety
    /// The address is memory of the tensor's location (host or device) that is large enough for its shape, aligned to 256 bytes, and stays so until
    /// the last run with it has finished.
    pub unsafe fn set_address(&mut self, tensor: &str, address: u64) -> Result<(), RunError> {
        let mark = log::mark();
        // SAFETY: as the caller promises.
        let set = unsafe { self.object.get().set_address(&c_text(tensor), address as *mut c_void) }?;
        self.check(set, mark, &format!("it refuses the address of '{tensor}'"))
    }

    /// The same for an output whose shape only the run can tell: [`Context::shape`] knows it afterwards.
    ///
    /// # Safety
    /// As for [`Context::set_address`], with `capacity` bytes.
    pub unsafe fn set_output_memory(&mut self, output: &str, address: u64, capacity: usize) -> Result<(), RunError> {
        let mark = log::mark();
        let allocation = Arc::new(Allocation::new(address, capacity));
        let set = self.object.attach_allocation(&c_text(output), allocation.clone())?;
        self.allocations.insert(output.to_string(), allocation);
        self.check(set, mark, &format!("it refuses memory for output '{output}'"))
    }

    /// Inputs that still lack a shape or an address.
    pub fn incomplete(&mut self) -> Result<Vec<String>, RunError> {
        let mark = log::mark();
        let names = self.object.incomplete()?;
        names.ok_or_else(|| log::not_run(self.object.library(), mark, "it refuses the shapes of the inputs"))
    }

    /// The shape of a tensor, from the shapes of the inputs; -1 for what only the run can tell.
    pub fn shape(&self, tensor: &str) -> Option<Vec<i64>> {
        let allocation = self.allocations.get(tensor);
        let told = allocation.and_then(|a| a.shape.lock().unwrap_or_else(PoisonError::into_inner).clone());
        told.or_else(|| self.object.get().shape(&c_text(tensor)).shape().map(<[i64]>::to_vec))
    }

    /// An upper bound of the bytes of an output, known once the shapes of the inputs are.
    pub fn max_output_bytes(&self, output: &str) -> Option<usize> {
        usize::try_from(self.object.get().max_output_size(&c_text(output))).ok()
    }

    /// Starts a run on a CUstream.
    ///
    /// # Safety
    /// The stream is one of the current CUDA context, and what [`Context::set_address`] asks for holds until it has finished.
    pub unsafe fn enqueue(&mut self, stream: u64) -> Result<(), RunError> {
        let mark = log::mark();
        for allocation in self.allocations.values() {
            *allocation.shape.lock().unwrap_or_else(PoisonError::into_inner) = None;
            *allocation.wanted.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        // SAFETY: as the caller promises.
        let started = unsafe { self.object.get().enqueue(stream as *mut c_void) }?;
        self.check(started, mark, "the run failed")
    }

    /// How many bytes an output wanted in the last run, if its memory was too small.
    pub fn wanted_bytes(&self, output: &str) -> Option<u64> {
        self.allocations.get(output).and_then(|a| *a.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who hears what every layer of a run takes, in milliseconds, before the run is over; `None`: nobody any more.
    pub fn profile(&mut self, profiler: Option<Profiler>) -> Result<(), RunError> {
        self.object.attach_profiler(profiler)
    }

    /// Who gets the debug tensors, in place of an earlier listener. `false` from it fails the run.
    pub fn listen(&mut self, listener: impl FnMut(&DebugTensor) -> bool + Send + 'static) -> Result<(), RunError> {
        let mark = log::mark();
        let set = self.object.attach_listener(Box::new(listener))?;
        self.check(set, mark, "it refuses the debug listener")
    }

    /// Switches a marked tensor on or off; all are off at first.
    pub fn debug(&mut self, tensor: &str, on: bool) -> Result<(), RunError> {
        let mark = log::mark();
        let set = self.object.get().set_debug_state(&c_text(tensor), on)?;
        self.check(set, mark, &format!("it refuses to debug tensor '{tensor}'"))
    }

    /// A listener hears of every tensor that was marked for it, or of none.
    pub fn debug_all(&mut self, on: bool) -> Result<(), RunError> {
        let mark = log::mark();
        let set = self.object.get().set_all_debug_states(on)?;
        self.check(set, mark, "it refuses to debug its tensors")
    }

    /// A listener hears of everything that fusion left, or not. An error where the library lacks that.
    pub fn debug_unfused(&mut self, on: bool) -> Result<(), RunError> {
        let mark = log::mark();
        let set = self.object.get().set_unfused_debug_states(on)?;
        self.check(set, mark, "it refuses to debug unfused tensors")
    }

    fn check(&self, done: bool, mark: log::Mark, what: &str) -> Result<(), RunError> {
        if done { Ok(()) } else { Err(log::not_run(self.object.library(), mark, what)) }
    }
}
