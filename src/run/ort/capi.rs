//! What ONNX Runtime's C API has and the `ort` crate does not hand on: which provider each node of the model was given to
//! (since 1.24), which providers a library was built with, and a provider by its name alone. The crate offers the first only
//! where it refuses older libraries, so these functions are looked up behind those that it knows: the table of the C API only
//! ever grows at its end.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::size_of;
use std::path::Path;
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::sys::{OrtApi, OrtApiBase, OrtSession, OrtStatusPtr};

use crate::run::PlacedNode;

/// The entry of a session's configuration without which nothing is recorded.
pub(super) const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// The version of the C API that has these functions.
const VERSION: u32 = 24;

/// How many functions of that version come before them.
const BEFORE: usize = 17;

// The crate's table must end where that of version 24 goes on: another feature of the crate would move it.
const _: () = assert!(ort::MINOR_VERSION == 23);

/// A list of things that a session owns.
type List<T> = unsafe extern "system" fn(*const T, *mut *const *const c_void, *mut usize) -> OrtStatusPtr;
/// A text that something of a session owns.
type Text = unsafe extern "system" fn(*const c_void, *mut *const c_char) -> OrtStatusPtr;

/// The functions, in the order of the C API's table.
#[repr(C)]
#[derive(Clone, Copy)]
struct Table {
    subgraphs: List<OrtSession>,
    provider: Text,
    nodes: List<c_void>,
    name: Text,
    domain: Text,
    operator: Text,
}

/// The nodes of a session that was built with [`RECORD`]; empty where the library cannot tell.
pub(super) fn nodes(library: &Path, session: &Session) -> Vec<PlacedNode> {
    let Some(table) = table(library) else { return Vec::new() };
    let mut found = Vec::new();
    for subgraph in list(table.subgraphs, session.ptr()) {
        let provider = text(table.provider, subgraph);
        found.extend(list(table.nodes, subgraph).into_iter().map(|node| PlacedNode {
            name: text(table.name, node),
            op_type: text(table.operator, node),
            provider: provider.clone(),
        }));
    }
    found
}

/// The providers that the loaded library was built with, by its own names.
pub(super) fn offered() -> Vec<String> {
    let (mut names, mut length) = (ptr::null_mut::<*mut c_char>(), 0);
    // SAFETY: both pointers are to locals of the types that the C API writes.
    let status = unsafe { (ort::api().GetAvailableProviders)(&mut names, &mut length) };
    if !succeeded(status) || names.is_null() {
        return Vec::new();
    }
    let count = usize::try_from(length).unwrap_or_default();
    // SAFETY: on success there are `length` texts that end with NUL, ours until they are released below.
    let told = (0..count).map(|at| unsafe { CStr::from_ptr(*names.add(at)) }.to_string_lossy().into_owned()).collect();
    // SAFETY: they are released once, with the length that they came with, and nothing looks at them any more.
    let _ = succeeded(unsafe { (ort::api().ReleaseAvailableProviders)(names, length) });
    told
}

/// Sessions of `builder` get the provider of this name, in full or as ONNX Runtime shortens it; an error is its own words.
pub(super) fn append(builder: &mut SessionBuilder, name: &str, options: &[(String, String)]) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|e| format!("'{text}' is no text for C: {e}"));
    let name = text(name)?;
    let keys: Vec<CString> = options.iter().map(|(key, _)| text(key)).collect::<Result<_, _>>()?;
    let values: Vec<CString> = options.iter().map(|(_, value)| text(value)).collect::<Result<_, _>>()?;
    let [key_ptrs, value_ptrs] = [&keys, &values].map(|texts| texts.iter().map(|t| t.as_ptr()).collect::<Vec<_>>());
    let append = ort::api().SessionOptionsAppendExecutionProvider;
    // SAFETY: the options of a session are the builder's, which is borrowed for writing; the texts outlive the call, and there are
    // as many keys as values.
    let status =
        unsafe { append(builder.ptr_mut(), name.as_ptr(), key_ptrs.as_ptr(), value_ptrs.as_ptr(), keys.len()) };
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: a status that is not null has a text that ends with NUL and lives as long as it does.
    let why = unsafe { CStr::from_ptr((ort::api().GetErrorMessage)(status.0)) }.to_string_lossy().into_owned();
    let _ = succeeded(status);
    Err(why)
}

/// Of the library at this path, which is loaded already; `None` where its C API is older.
fn table(library: &Path) -> Option<Table> {
    // SAFETY: the library is in this process already, so that nothing of it runs now that has not run before.
    let library = unsafe { libloading::Library::new(library) }.ok()?;
    // SAFETY: this is the signature of the one function that every ONNX Runtime exports.
    let base = unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }.ok()?;
    // SAFETY: it returns a table that lives as long as the library, which `ort` never unloads.
    let base = unsafe { base().as_ref() }?;
    // SAFETY: any number may be asked for; null says that the library has no such version.
    let api = unsafe { (base.GetApi)(VERSION) };
    if api.is_null() {
        return None;
    }
    // SAFETY: a library that has version 24 has its whole table, in which these functions lie where the header says: behind all of
    // version 23, which `OrtApi` is here, and behind the first `BEFORE` of version 24.
    Some(unsafe { api.cast::<u8>().add(size_of::<OrtApi>() + BEFORE * size_of::<Text>()).cast::<Table>().read() })
}

fn list<T>(ask: List<T>, of: *const T) -> Vec<*const c_void> {
    let (mut found, mut length) = (ptr::null(), 0);
    // SAFETY: `of` is of the session that is borrowed by `nodes`, and the other two are locals of the types that are written.
    let status = unsafe { ask(of, &mut found, &mut length) };
    if !succeeded(status) || found.is_null() {
        return Vec::new();
    }
    // SAFETY: on success there are `length` pointers, which the session keeps as long as it lives.
    unsafe { std::slice::from_raw_parts(found, length) }.to_vec()
}

fn text(ask: Text, of: *const c_void) -> String {
    let mut found = ptr::null();
    // SAFETY: as in `list`.
    let status = unsafe { ask(of, &mut found) };
    if !succeeded(status) || found.is_null() {
        return String::new();
    }
    // SAFETY: on success it is a text that ends with NUL, which the session keeps as long as it lives.
    unsafe { CStr::from_ptr(found) }.to_string_lossy().into_owned()
}

/// Releases what it is told.
fn succeeded(status: OrtStatusPtr) -> bool {
    if !status.0.is_null() {
        // SAFETY: a status that is not null is ours, and is released once.
        unsafe { (ort::api().ReleaseStatus)(status.0) };
        return false;
    }
    true
}
