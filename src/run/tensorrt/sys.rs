//! Calls through TensorRT's vtables, and who deletes what. With `callback` and `open`, the only unsafe code of the TensorRT path.
//! Knows the signatures of methods (`calls`, and in `forms` those that changed) and the lifetimes of objects; decides nothing.
//!
//! A public object is two words: its own vtable (whose slot 1 deletes it) and a pointer to the implementation, whose vtable has the methods.

mod calls;
mod dims;
mod forms;
mod safe;

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::abi;
use super::loaded::Library;
use crate::run::RunError;

pub use calls::*;
pub use dims::{Dims, Dims32};
pub use safe::c_text;

/// Which class an object is of: its name in the table, and where its methods lie.
pub trait Class {
    const NAME: &'static str;
    /// The methods lie in the vtable of the object itself.
    const DIRECT: bool = false;
}

/// An object that is ours to delete, once nobody needs it: those made from it keep it alive.
pub struct Owned<C> {
    inner: Arc<Inner>,
    class: Unshared<C>,
}

/// An object that lives at least for `'a`.
pub struct Ref<'a, C> {
    raw: NonNull<c_void>,
    library: &'a Library,
    class: PhantomData<(&'a (), Unshared<C>)>,
}

/// TensorRT's objects may move to another thread, but not be used by two at once.
type Unshared<C> = PhantomData<Cell<C>>;

struct Inner {
    raw: NonNull<c_void>,
    /// The slot of the deleting destructor in the object's own vtable; none for what its parent deletes.
    delete: Option<usize>,
    /// What the object uses without owning it, by its purpose: objects of ours that it calls back, a timing cache. Freed after the deletion.
    kept: Mutex<HashMap<String, Box<dyn Any + Send>>>,
    /// Released after the deletion.
    _parents: Vec<Arc<Inner>>,
    library: Library,
}

// SAFETY: TensorRT's objects have no thread affinity, and nothing but the deletion happens through an `Inner` that is shared:
// `Owned`, which calls methods, is not `Sync`.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(slot) = self.delete else { return };
        // SAFETY: the object is alive, this is its only deletion, and `slot` is where its class has the deleting destructor.
        unsafe {
            let delete: extern "C" fn(*mut c_void) = std::mem::transmute(method_at(self.raw, slot));
            delete(self.raw.as_ptr());
        }
    }
}

impl<C: Class> Owned<C> {
    /// Takes over an object that TensorRT has just made; `parents` outlive it.
    ///
    /// # Safety
    /// `raw` is an object of the class that nobody else deletes, made by `library`.
    pub unsafe fn adopt(raw: NonNull<c_void>, library: &Library, parents: &[&dyn Parent]) -> Owned<C> {
        let delete = if C::DIRECT { library.abi().slot(C::NAME, "~D0") } else { Some(1) };
        Owned::of(raw, delete, library, parents)
    }

    /// The same for an object that its parent deletes.
    ///
    /// # Safety
    /// `raw` is an object of the class, made by `library`, that lives as long as its parents.
    pub unsafe fn borrowed(raw: NonNull<c_void>, library: &Library, parents: &[&dyn Parent]) -> Owned<C> {
        Owned::of(raw, None, library, parents)
    }

    fn of(raw: NonNull<c_void>, delete: Option<usize>, library: &Library, parents: &[&dyn Parent]) -> Owned<C> {
        let parents = parents.iter().map(|parent| parent.shared().0).collect();
        let kept = Mutex::default();
        let inner = Inner { raw, delete, kept, _parents: parents, library: library.clone() };
        Owned { inner: Arc::new(inner), class: PhantomData }
    }

    /// The object, for as long as it is borrowed.
    pub fn get(&self) -> Ref<'_, C> {
        Ref { raw: self.inner.raw, library: &self.inner.library, class: PhantomData }
    }

    /// Keeps something as long as this object lives, or until something else takes its place.
    fn keep(&self, purpose: String, what: Box<dyn Any + Send>) {
        self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(purpose, what);
    }

    /// The library that made it.
    pub fn library(&self) -> &Library {
        &self.inner.library
    }
}

/// Something that other objects keep alive.
pub trait Parent {
    fn shared(&self) -> Shared;
}

/// A share in an object: keeps it alive, and can do nothing else.
pub struct Shared(Arc<Inner>);

impl<C> Parent for Owned<C> {
    fn shared(&self) -> Shared {
        Shared(self.inner.clone())
    }
}

impl<C> Clone for Ref<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Ref<'_, C> {}

impl<'a, C: Class> Ref<'a, C> {
    /// The library that made it.
    pub fn library(self) -> &'a Library {
        self.library
    }

    /// Does the loaded version have this method?
    pub fn can(self, method: &'static str) -> bool {
        self.library.abi().slot(C::NAME, method).is_some()
    }

    /// What to pass as `this`: the implementation, or the object itself.
    fn this(self) -> NonNull<c_void> {
        if C::DIRECT {
            return self.raw;
        }
        // SAFETY: a public object of TensorRT is `[vtable, implementation]`, and the implementation is never null.
        unsafe { NonNull::new_unchecked(*self.raw.as_ptr().cast::<*mut c_void>().add(1)) }
    }

    fn method(self, name: &'static str) -> Result<*const c_void, RunError> {
        let slot = self.library.abi().slot(C::NAME, name);
        let missing = || abi::missing(&self.library.name(), &format!("method {name}"));
        let slot = slot.ok_or_else(missing)?;
        // SAFETY: the table says that the class has this slot.
        Ok(unsafe { method_at(self.this(), slot) })
    }
}

/// # Safety
/// The object has a vtable with this slot.
unsafe fn method_at(object: NonNull<c_void>, slot: usize) -> *const c_void {
    // SAFETY: as the caller promises; an object of a C++ class with virtual methods begins with the pointer to its vtable.
    unsafe { *(*object.as_ptr().cast::<*const *const c_void>()).add(slot) }
}

/// How a value is passed to a method.
pub trait Argument {
    type Abi;
    fn abi(self) -> Self::Abi;
}

/// How a value comes back from a method.
pub trait Answer<'a> {
    type Abi;

    /// # Safety
    /// The value has just come from a method that answers in this way, on an object that lives for `'a`.
    unsafe fn from_abi(value: Self::Abi, library: &'a Library) -> Self;
}

macro_rules! plain {
    ($($t:ty),*) => {$(
        impl Argument for $t {
            type Abi = $t;
            fn abi(self) -> $t {
                self
            }
        }
        impl<'a> Answer<'a> for $t {
            type Abi = $t;
            unsafe fn from_abi(value: $t, _: &'a Library) -> $t {
                value
            }
        }
    )*};
}
plain!(
    (),
    bool,
    i32,
    u32,
    i64,
    usize,
    Dims,
    Dims32,
    *const Dims,
    *const Dims32,
    *mut c_void,
    *const c_void,
    *const c_char,
    *mut *const c_char,
    *const i32,
    *const i64
);

impl Argument for &CStr {
    type Abi = *const c_char;
    fn abi(self) -> *const c_char {
        self.as_ptr()
    }
}

impl<C> Argument for Ref<'_, C> {
    type Abi = *mut c_void;
    fn abi(self) -> *mut c_void {
        self.raw.as_ptr()
    }
}

/// A copy of the text; a null pointer is an empty text.
impl<'a> Answer<'a> for String {
    type Abi = *const c_char;
    unsafe fn from_abi(value: *const c_char, _: &'a Library) -> String {
        // SAFETY: the method answers with a null pointer or a text that lives at least until the next call.
        unsafe { text(value) }
    }
}

/// An object that another one owns.
impl<'a, C> Answer<'a> for Option<Ref<'a, C>> {
    type Abi = *mut c_void;
    unsafe fn from_abi(value: *mut c_void, library: &'a Library) -> Option<Ref<'a, C>> {
        Some(Ref { raw: object(value)?, library, class: PhantomData })
    }
}

/// A new object; a null pointer says that TensorRT refused, and its log says why.
impl<'a> Answer<'a> for Option<NonNull<c_void>> {
    type Abi = *mut c_void;
    unsafe fn from_abi(value: *mut c_void, _: &'a Library) -> Option<NonNull<c_void>> {
        object(value)
    }
}

/// What TensorRT answered with, unless it is null, or nearly: the lean runtime of 11.4 answers 0x228 when it fails.
pub fn object(raw: *mut c_void) -> Option<NonNull<c_void>> {
    NonNull::new(raw).filter(|raw| raw.addr().get() >= 4096)
}

/// A copy of a text of TensorRT; empty for a null pointer.
///
/// # Safety
/// `text` is null or points to a text that ends with a zero.
pub unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
