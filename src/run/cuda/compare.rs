//! Comparison of two tensors in device memory: one pass there, the last sums here. The answer is that of
//! [`crate::compare::compare`]; element types without a kernel are left to it.

use std::collections::HashMap;
use std::sync::Mutex;

use cudarc::driver::{CudaFunction, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::nvrtc::Nvrtc;
use super::{Cuda, CudaError, Memory, failed};
use crate::compare::device::{COUNTERS, WORDS, finish, rules};
use crate::compare::{Comparison, Tolerance};
use crate::tensor::DType;

const SOURCE: &str = concat!(
    include_str!("compare/types.cu"),
    include_str!("compare/plain.cu"),
    include_str!("compare/lanes.cu"),
    include_str!("compare/fast.cu"),
    include_str!("compare/kernel.cu"),
);

const THREADS: u32 = 128;
/// Blocks that a multiprocessor runs at a time: as many as the registers of the fast path allow.
const RESIDENT: u32 = 4;
const WARPS: u64 = THREADS as u64 / 32;

/// Compares tensors on one GPU. Kernels are compiled when an element type is first met.
pub struct Comparer {
    cuda: Cuda,
    nvrtc: Nvrtc,
    capability: (i32, i32),
    /// Blocks that fill the GPU.
    blocks: u32,
    state: Mutex<State>,
}

struct State {
    kernels: HashMap<DType, CudaFunction>,
    /// The parts of all blocks, then the histogram.
    result: Memory,
}

/// Is there a kernel for this element type?
pub fn is_supported(dtype: DType) -> bool {
    defines(dtype).is_some()
}

impl Comparer {
    /// The error says what to install where NVRTC is missing; whoever gets it compares on the host.
    pub fn new(cuda: &Cuda) -> Result<Comparer, CudaError> {
        let nvrtc = Nvrtc::load()?;
        let capability = cuda.device()?.capability;
        let blocks = cuda.multiprocessors()? * RESIDENT;
        let result = cuda.allocate((blocks as usize * WORDS + COUNTERS) * 8)?;
        let state = Mutex::new(State { kernels: HashMap::new(), result });
        Ok(Comparer { cuda: cuda.clone(), nvrtc, capability, blocks, state })
    }

    /// The GPU.
    pub fn cuda(&self) -> &Cuda {
        &self.cuda
    }

    /// Compares two tensors of one shape and element type; `None` if there is no kernel for the type.
    pub fn compare(
        &self,
        reference: &Memory,
        candidate: &Memory,
        dtype: DType,
        shape: &[usize],
        tolerance: Tolerance,
    ) -> Result<Option<Comparison>, CudaError> {
        let bytes = dtype.byte_len(shape.iter().product()).unwrap_or(usize::MAX);
        super::fits(reference, bytes)?;
        super::fits(candidate, bytes)?;
        // SAFETY: both hold that many bytes, and were filled through this stream.
        unsafe { self.compare_at([reference.address(), candidate.address()], dtype, shape, tolerance) }
    }

    /// The same for memory that somebody else owns.
    ///
    /// # Safety
    /// A reference and a candidate of this type and shape lie at the two device addresses, and nobody writes to them any more.
    pub unsafe fn compare_at(
        &self,
        [reference, candidate]: [u64; 2],
        dtype: DType,
        shape: &[usize],
        tolerance: Tolerance,
    ) -> Result<Option<Comparison>, CudaError> {
        let n = shape.iter().product::<usize>() as u64;
        if !is_supported(dtype) {
            return Ok(None);
        }
        if n == 0 {
            return Ok(finish(dtype, shape, &[], &[0; COUNTERS]));
        }
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let kernel = self.kernel(&mut state, dtype)?;
        let rules = rules(dtype, tolerance);
        let aligned = reference % 16 == 0 && candidate % 16 == 0;
        let group = group(dtype);
        let full = if aligned && rules.ordinary { n / group } else { 0 };
        let limits = Limits::of(tolerance, rules.floor);

        let blocks = n.div_ceil(group * WARPS).min(self.blocks.into()) as u32;
        let bytes = (blocks as usize * WORDS + COUNTERS) * 8;
        let (parts, counts) = (state.result.address(), state.result.address() + (blocks as usize * WORDS * 8) as u64);
        let stream = &self.cuda.0.stream;
        stream.memset_zeros(&mut state.result.slice).map_err(|e| failed("clearing GPU memory", e))?;
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&reference).arg(&candidate).arg(&n).arg(&full).arg(&tolerance.atol).arg(&tolerance.rtol);
        launch.arg(&rules.floor).arg(&rules.smallest_normal);
        launch.arg(&limits.atol_below).arg(&limits.rtol_below).arg(&limits.atol_above).arg(&limits.rtol_above);
        launch.arg(&limits.rel_below).arg(&parts).arg(&counts);
        let grid = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the arguments are those of the kernel; it reads `n` elements of either side, as the caller promises, and
        // writes no more than `bytes` of the result.
        unsafe { launch.launch(grid) }.map_err(|e| failed("comparing on the GPU", e))?;

        let words = self.cuda.copy_out(&state.result, bytes)?;
        let words: Vec<u64> = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (parts, counts) = words.split_at(blocks as usize * WORDS);
        Ok(finish(dtype, shape, parts.as_chunks::<WORDS>().0, counts))
    }

    fn kernel(&self, state: &mut State, dtype: DType) -> Result<CudaFunction, CudaError> {
        if let Some(kernel) = state.kernels.get(&dtype) {
            return Ok(kernel.clone());
        }
        let mut defines: Vec<String> = defines(dtype).unwrap_or_default().iter().map(|d| d.to_string()).collect();
        let sizes = [format!("THREADS={THREADS}"), format!("RESIDENT={RESIDENT}"), format!("GROUP={}", group(dtype))];
        defines.extend(sizes);
        let code = self.nvrtc.compile(SOURCE, self.capability, &defines)?;
        let load = || self.cuda.0.context.load_module(Ptx::from_binary(code))?.load_function("compare");
        let kernel = load().map_err(|e| failed("loading the comparison on the GPU", e))?;
        state.kernels.insert(dtype, kernel.clone());
        Ok(kernel)
    }
}

/// Elements that a warp measures at a time: as many as it can keep in registers.
fn group(dtype: DType) -> u64 {
    if matches!(dtype, DType::Float16 | DType::Bfloat16) { 512 } else { 256 }
}

/// Tolerances in f32: a little smaller, so that what they accept is accepted, and a little larger, so that what they refuse
/// is refused.
struct Limits {
    atol_below: f32,
    rtol_below: f32,
    atol_above: f32,
    rtol_above: f32,
    /// A relative error up to this is accepted whatever the reference; -1: none is.
    rel_below: f32,
}

impl Limits {
    fn of(tolerance: Tolerance, floor: f64) -> Limits {
        // More than the rounding to f32 can add; below f32's normal numbers nothing is promised but zero.
        let below = |x: f64| {
            let small = (x * (1.0 - 1e-6)).min(f64::from(f32::MAX)) as f32;
            if small < f32::MIN_POSITIVE { 0.0 } else { small }
        };
        // An infinite one refuses nothing: what is not surely refused is looked at in f64.
        let above = |x: f64| ((x * (1.0 + 1e-6)) as f32).max(f32::MIN_POSITIVE);
        let covered = tolerance.rtol * floor <= tolerance.atol;
        let rel_below = if covered && below(tolerance.rtol) > 0.0 { below(tolerance.rtol) } else { -1.0 };
        let Tolerance { atol, rtol } = tolerance;
        Limits {
            atol_below: below(atol),
            rtol_below: below(rtol),
            atol_above: above(atol),
            rtol_above: above(rtol),
            rel_below,
        }
    }
}

/// The element type in the words of the kernel's text.
fn defines(dtype: DType) -> Option<&'static [&'static str]> {
    use DType::*;
    Some(match dtype {
        Float32 => &["FLOAT32"],
        Float16 => &["FLOAT16"],
        Bfloat16 => &["BFLOAT16"],
        Float64 => &["PLAIN=double"],
        Bool => &["BOOLEAN"],
        Int8 => &["PLAIN=signed char"],
        Uint8 => &["PLAIN=unsigned char"],
        Int16 => &["PLAIN=short"],
        Uint16 => &["PLAIN=u16"],
        Int32 => &["PLAIN=int"],
        Uint32 => &["PLAIN=u32"],
        Int64 => &["PLAIN=long long", "EXACT"],
        Uint64 => &["PLAIN=u64", "EXACT"],
        _ => return None,
    })
}
