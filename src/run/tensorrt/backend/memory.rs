//! Memory for an engine's inputs and outputs, on the GPU or on the host as the engine wants it, and the copies. Errors name the library.

use std::collections::HashMap;

use crate::run::RunError;
use crate::run::cuda::{Cuda, CudaError, Memory};
use crate::run::tensorrt::{Binding, Library};

/// A GPU, and who is to be named when it fails.
pub struct Device {
    cuda: Cuda,
    name: String,
}

/// Where a tensor lies. Kept as long as it is large enough.
pub enum Place {
    Gpu(Memory),
    Host(Host),
}

/// Host memory at an address that TensorRT likes.
pub struct Host {
    bytes: Vec<u8>,
    /// Where the aligned part starts.
    start: usize,
}

const ALIGNMENT: usize = 256;

impl Device {
    /// `library` is what errors call the backend.
    pub fn new(cuda: Cuda, library: &Library) -> Device {
        Device { cuda, name: library.name() }
    }

    /// The GPU.
    pub fn cuda(&self) -> &Cuda {
        &self.cuda
    }

    /// CUDA's handle of the stream that everything runs on.
    pub fn stream(&self) -> u64 {
        self.cuda.stream()
    }

    /// Makes the GPU this thread's.
    pub fn enter(&self) -> Result<(), RunError> {
        self.cuda.enter().map_err(|e| self.cuda_failed(e))
    }

    /// Waits until all that was asked for is done.
    pub fn synchronise(&self) -> Result<(), RunError> {
        self.cuda.synchronise().map_err(|e| self.cuda_failed(e))
    }

    /// Room for `bytes` of a binding: the room that it has, else a new one.
    pub fn place<'p>(
        &self,
        places: &'p mut HashMap<String, Place>,
        binding: &Binding,
        bytes: usize,
    ) -> Result<&'p mut Place, RunError> {
        if places.get(&binding.name).is_none_or(|place| place.bytes() < bytes) {
            // The old one goes first: two may be more than there is.
            places.remove(&binding.name);
            let place = match binding.host {
                true => Place::Host(Host::new(bytes)),
                false => Place::Gpu(self.cuda.allocate(bytes).map_err(|e| self.cuda_failed(e))?),
            };
            places.insert(binding.name.clone(), place);
        }
        places.get_mut(&binding.name).ok_or_else(|| self.failed(format!("no memory for '{}'", binding.name)))
    }

    /// Copies `bytes` to its beginning.
    pub fn fill(&self, place: &mut Place, bytes: &[u8]) -> Result<(), RunError> {
        match place {
            Place::Gpu(memory) => self.cuda.copy_in(memory, bytes).map_err(|e| self.cuda_failed(e)),
            Place::Host(host) => {
                host.bytes[host.start..][..bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The first `bytes` of a place.
    pub fn read(&self, place: &Place, bytes: usize) -> Result<Vec<u8>, RunError> {
        match place {
            Place::Gpu(memory) => self.cuda.copy_out(memory, bytes).map_err(|e| self.cuda_failed(e)),
            Place::Host(host) => {
                let all = host.bytes.get(host.start..).and_then(|all| all.get(..bytes));
                all.map(<[u8]>::to_vec)
                    .ok_or_else(|| self.garbage(format!("it wrote {bytes} bytes where {} fit", place.bytes())))
            }
        }
    }

    /// A run that failed.
    pub fn failed(&self, reason: String) -> RunError {
        RunError::Run { backend: self.name.clone(), reason }
    }

    /// An answer that makes no sense.
    pub fn garbage(&self, reason: String) -> RunError {
        RunError::Garbage { backend: self.name.clone(), reason }
    }

    fn cuda_failed(&self, error: CudaError) -> RunError {
        self.failed(error.to_string())
    }
}

impl Place {
    /// To be written to by others.
    pub fn address(&mut self) -> u64 {
        match self {
            Place::Gpu(memory) => memory.address(),
            Place::Host(host) => host.bytes[host.start..].as_mut_ptr() as u64,
        }
    }

    /// Room that it has.
    pub fn bytes(&self) -> usize {
        match self {
            Place::Gpu(memory) => memory.bytes(),
            Place::Host(host) => host.bytes.len() - host.start,
        }
    }
}

impl Host {
    fn new(bytes: usize) -> Host {
        let bytes = vec![0u8; bytes + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Host { bytes, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_memory_is_aligned_and_large_enough() {
        for bytes in [0, 1, 300] {
            let mut place = Place::Host(Host::new(bytes));
            assert_eq!(place.address() % ALIGNMENT as u64, 0);
            assert!(place.bytes() >= bytes);
        }
    }
}
