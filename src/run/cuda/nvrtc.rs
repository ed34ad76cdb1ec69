//! NVIDIA's run-time compiler: found, loaded, asked for machine code. Knows no kernel and needs no GPU.
//!
//! Bound here because `cudarc` knows no NVRTC newer than 12 and panics without one.

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::ptr;

use libloading::Library;

use super::CudaError;
use crate::run::ort::library::find_package;

/// A loaded NVRTC.
pub struct Nvrtc {
    library: Library,
}

type Program = *mut std::ffi::c_void;

const NAMES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
/// Python's distributions, and the folder of their library in the module `nvidia`.
const PACKAGES: [(&str, &str); 2] = [("nvidia-cuda-nvrtc", "cu13/lib"), ("nvidia-cuda-nvrtc-cu12", "cuda_nvrtc/lib")];

impl Nvrtc {
    /// The NVRTC that the loader finds, else that of a Python package.
    pub fn load() -> Result<Nvrtc, CudaError> {
        let by_name = NAMES.iter().map(PathBuf::from);
        let packaged = PACKAGES.iter().filter_map(|(package, folder)| {
            let folder = find_package(package, "nvidia")?.join(folder);
            NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
        });
        by_name.chain(packaged).find_map(|path| open(&path)).ok_or_else(|| {
            CudaError::Failed(
                "NVRTC, which compiles the comparison for the GPU, was not found (libnvrtc.so.13 or .12): \
                 `pip install nvidia-cuda-nvrtc` (for a driver older than CUDA 13 `nvidia-cuda-nvrtc-cu12`)"
                    .into(),
            )
        })
    }

    /// Machine code for a GPU of this compute capability.
    pub fn compile(&self, source: &str, capability: (i32, i32), defines: &[String]) -> Result<Vec<u8>, CudaError> {
        let text = |text: &str| CString::new(text).map_err(|_| CudaError::Failed("a NUL in a kernel's text".into()));
        let architecture = format!("--gpu-architecture=sm_{}{}", capability.0, capability.1);
        let options = [architecture, "--std=c++17".into()].into_iter().chain(defines.iter().map(|d| format!("-D{d}")));
        let options = options.map(|option| text(&option)).collect::<Result<Vec<CString>, CudaError>>()?;
        let source = text(source)?;
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();

        let mut program: Program = ptr::null_mut();
        // SAFETY: the signature is NVRTC's; the texts outlive the program.
        let created = unsafe {
            let create: Call<CreateProgram> = self.function(b"nvrtcCreateProgram\0")?;
            create(&mut program, source.as_ptr(), c"compare.cu".as_ptr(), 0, ptr::null(), ptr::null())
        };
        done(created, "starting")?;
        // SAFETY: as above; there are as many pointers as are counted.
        let compiled = unsafe {
            let compile: Call<CompileProgram> = self.function(b"nvrtcCompileProgram\0")?;
            compile(program, pointers.len() as c_int, pointers.as_ptr())
        };
        let result = match compiled {
            0 => self.bytes(program, b"nvrtcGetCUBINSize\0", b"nvrtcGetCUBIN\0"),
            code => {
                let log = self.bytes(program, b"nvrtcGetProgramLogSize\0", b"nvrtcGetProgramLog\0")?;
                let log = String::from_utf8_lossy(&log).trim_end_matches(['\0', '\n']).to_string();
                let (major, minor) = capability;
                Err(CudaError::Failed(format!(
                    "NVRTC did not compile for compute capability {major}.{minor} (error {code}): {log}"
                )))
            }
        };
        // SAFETY: the program is ours and not used again.
        unsafe {
            let destroy: Call<DestroyProgram> = self.function(b"nvrtcDestroyProgram\0")?;
            destroy(&mut program);
        }
        result
    }

    /// What a pair of functions gives: the size, then that many bytes.
    fn bytes(&self, program: Program, size: &[u8], get: &[u8]) -> Result<Vec<u8>, CudaError> {
        let mut length = 0usize;
        // SAFETY: the signatures are those of NVRTC's getters; the buffer has the size that was asked for.
        unsafe {
            let size: Call<GetSize> = self.function(size)?;
            done(size(program, &mut length), "reading from")?;
            let mut bytes = vec![0u8; length];
            let get: Call<GetBytes> = self.function(get)?;
            done(get(program, bytes.as_mut_ptr().cast()), "reading from")?;
            Ok(bytes)
        }
    }

    /// # Safety
    /// `F` is the function's signature.
    unsafe fn function<F>(&self, name: &[u8]) -> Result<Call<'_, F>, CudaError> {
        // SAFETY: as the caller promises.
        unsafe { self.library.get(name) }.map_err(|e| CudaError::Failed(format!("this NVRTC is too old: {e}")))
    }
}

type Call<'a, F> = libloading::Symbol<'a, F>;
type CreateProgram = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type CompileProgram = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type DestroyProgram = unsafe extern "C" fn(*mut Program) -> c_int;
type GetSize = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type GetBytes = unsafe extern "C" fn(Program, *mut c_char) -> c_int;

fn open(path: &Path) -> Option<Nvrtc> {
    // SAFETY: loads NVIDIA's library, whose initialisers do no harm.
    unsafe { Library::new(path) }.ok().map(|library| Nvrtc { library })
}

fn done(code: c_int, what: &str) -> Result<(), CudaError> {
    match code {
        0 => Ok(()),
        code => Err(CudaError::Failed(format!("{what} NVRTC failed (error {code})"))),
    }
}
