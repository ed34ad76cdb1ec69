//! A run whose outputs stay on the GPU: compared there with reference values, and copied to the host only where they differ.

use std::collections::{HashMap, HashSet};

use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;

use super::{Session, stoppable};
use crate::compare::{Comparison, Tolerance};
use crate::found::Status;
use crate::run::cuda::CudaError;
use crate::run::cuda::compare::{Comparer, is_supported};
use crate::run::ort::value::{self, Placed, Remote};
use crate::run::{Judged, RunError};
use crate::tensor::{Tensor, Tensors};

impl Session {
    /// One run. Those of `outputs` that have a tolerance and a reference value are compared where they lie; of them, what
    /// agrees has no value.
    pub fn run_bound(
        &mut self,
        feed: &Tensors,
        outputs: &[String],
        reference: &Tensors,
        tolerance: &HashMap<String, Tolerance>,
        comparer: &Comparer,
    ) -> Result<(Tensors, Judged), RunError> {
        let failed = self.failed();
        let binding = self.bind(feed, tolerance, comparer.cuda().number()).map_err(&failed)?;
        let (options, busy) = stoppable().map_err(&failed)?;
        let backend = self.backend.clone();
        let on_gpu = |e: CudaError| RunError::Run { backend: backend.clone(), reason: e.to_string() };
        let results = self.session.run_binding_with_options(&binding, &options).map_err(&failed)?;
        drop(busy);
        binding.synchronize_outputs().map_err(&failed)?;
        let wanted: HashSet<&str> = outputs.iter().map(String::as_str).collect();
        let (mut kept, mut judged) = (Tensors::new(), Judged::new());
        for (name, result) in results {
            if !wanted.contains(name) {
                continue;
            }
            let remote = match value::placed(result) {
                Some(Placed::Gpu(remote)) => remote,
                Some(Placed::Host(value)) => {
                    kept.insert(name.to_string(), value);
                    continue;
                }
                None => continue,
            };
            let against = reference.get(name).zip(tolerance.get(name));
            let fits = |(r, _): &(&Tensor, _)| r.dtype == remote.dtype && r.shape == remote.shape;
            let verdict = match against.filter(fits) {
                Some((right, tolerance)) => compare(comparer, right, &remote, *tolerance).map_err(on_gpu)?,
                None => None,
            };
            if verdict.as_ref().is_none_or(|v| v.status != Status::Agrees)
                && let Some(value) = fetch(comparer, &remote).map_err(on_gpu)?
            {
                kept.insert(name.to_string(), value);
            }
            judged.extend(verdict.map(|verdict| (name.to_string(), verdict)));
        }
        Ok((kept, judged))
    }

    /// Binds all inputs, and every output to the GPU of this number or to the host.
    fn bind(&self, feed: &Tensors, compared: &HashMap<String, Tolerance>, device: usize) -> ort::Result<IoBinding> {
        let device = i32::try_from(device).unwrap_or(i32::MAX);
        let gpu = MemoryInfo::new(AllocationDevice::CUDA, device, AllocatorType::Device, MemoryType::Default)?;
        let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        let mut binding = self.session.create_binding()?;
        for (name, tensor) in feed {
            binding.bind_input(name, &value::to_ort(tensor)?)?;
        }
        for output in &self.outputs {
            let stays = compared.contains_key(&output.name) && output.dtype.is_some_and(is_supported);
            binding.bind_output_to_device(&output.name, if stays { &gpu } else { &host })?;
        }
        binding.synchronize_inputs()?;
        Ok(binding)
    }
}

fn compare(
    comparer: &Comparer,
    right: &Tensor,
    got: &Remote,
    tolerance: Tolerance,
) -> Result<Option<Comparison>, CudaError> {
    let cuda = comparer.cuda();
    let mut memory = cuda.allocate(right.bytes().len())?;
    cuda.copy_in(&mut memory, right.bytes())?;
    // SAFETY: both have this type and shape; ONNX Runtime has finished with its own, and `memory` lives on.
    unsafe { comparer.compare_at([memory.address(), got.address], got.dtype, &got.shape, tolerance) }
}

fn fetch(comparer: &Comparer, remote: &Remote) -> Result<Option<Tensor>, CudaError> {
    let Some(bytes) = remote.dtype.byte_len(remote.shape.iter().product()) else { return Ok(None) };
    let cuda = comparer.cuda();
    // SAFETY: that many bytes lie there as long as `remote` lives, and nobody writes to them any more.
    let bytes = unsafe { cuda.read(remote.address, bytes, cuda.stream()) }?;
    Ok(Tensor::new(remote.dtype, remote.shape.clone(), bytes).ok())
}
