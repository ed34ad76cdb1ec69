//! Errors with their codes, as TensorRT records them: beside the logger, and by object. They go to the log, for messages.

use std::ffi::{CString, c_char, c_void};
use std::ptr::null;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Callback, Method, data, guarded};
use crate::run::tensorrt::abi::Abi;
use crate::run::tensorrt::log;
use crate::run::tensorrt::sys::text;

/// Errors that are kept until somebody clears them.
const KEPT: usize = 100;

/// What was recorded since the last `clear`.
#[derive(Default)]
pub struct Recorder {
    errors: Mutex<Vec<(i32, CString)>>,
    /// How many objects of TensorRT hold it. It is freed after the one that it was made for, whatever this says.
    holders: AtomicI32,
}

impl Callback<Recorder> {
    /// An `IErrorRecorder`.
    pub fn recorder(abi: &Abi) -> Box<Self> {
        let methods = [
            ("getNbErrors", count as Method),
            ("getErrorCode", code as Method),
            ("getErrorDesc", description as Method),
            ("hasOverflowed", has_overflowed as Method),
            ("clear", clear as Method),
            ("reportError", report as Method),
            ("incRefCount", hold as Method),
            ("decRefCount", release as Method),
        ];
        Callback::new(abi, "IErrorRecorder", &methods, Recorder::default())
    }
}

impl Recorder {
    fn errors(&self) -> MutexGuard<'_, Vec<(i32, CString)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at<R>(&self, index: i32, of: impl FnOnce(&(i32, CString)) -> R) -> Option<R> {
        self.errors().get(usize::try_from(index).ok()?).map(of)
    }

    fn report(&self, code: i32, description: String) {
        log::report(code, &description);
        let mut errors = self.errors();
        // One beyond what is kept says that there were more.
        if errors.len() <= KEPT {
            errors.push((code, CString::new(description.replace('\0', " ")).unwrap_or_default()));
        }
    }
}

/// What `f` says of the recorder that a method was called on.
fn with<R>(this: *const c_void, otherwise: R, f: impl FnOnce(&Recorder) -> R) -> R {
    // SAFETY: TensorRT passes the recorder that it was given.
    let recorder = unsafe { data::<Recorder>(this) };
    guarded(otherwise, || f(recorder))
}

extern "C" fn count(this: *const c_void) -> i32 {
    with(this, 0, |recorder| recorder.errors().len().min(KEPT) as i32)
}

extern "C" fn code(this: *const c_void, index: i32) -> i32 {
    with(this, 0, |recorder| recorder.at(index, |error| error.0).unwrap_or(0))
}

/// Valid until `clear`: the texts stay where they are when more are added.
extern "C" fn description(this: *const c_void, index: i32) -> *const c_char {
    with(this, null(), |recorder| recorder.at(index, |error| error.1.as_ptr()).unwrap_or(c"".as_ptr()))
}

extern "C" fn has_overflowed(this: *const c_void) -> bool {
    with(this, false, |recorder| recorder.errors().len() > KEPT)
}

extern "C" fn clear(this: *const c_void) {
    with(this, (), |recorder| recorder.errors().clear());
}

/// Every error ends what TensorRT is doing, as in NVIDIA's samples.
extern "C" fn report(this: *const c_void, code: i32, description: *const c_char) -> bool {
    // SAFETY: TensorRT passes a text.
    let description = unsafe { text(description) };
    with(this, (), |recorder| recorder.report(code, description));
    true
}

extern "C" fn hold(this: *const c_void) -> i32 {
    with(this, 0, |recorder| recorder.holders.fetch_add(1, Ordering::SeqCst) + 1)
}

extern "C" fn release(this: *const c_void) -> i32 {
    with(this, 0, |recorder| recorder.holders.fetch_sub(1, Ordering::SeqCst) - 1)
}
