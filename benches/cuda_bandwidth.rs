//! How fast an NVIDIA GPU compares two tensors of 1 GB, beside how fast it copies one: a Markdown table.
//!
//! usage: cargo bench --bench cuda_bandwidth

use std::time::Instant;

use half::{bf16, f16};
use layerdiff::compare::Tolerance;
use layerdiff::run::cuda::compare::Comparer;
use layerdiff::run::cuda::{Cuda, CudaError, Memory};
use layerdiff::tensor::DType;

const BYTES: usize = 1 << 30;
/// Random values that are repeated until the tensor is full.
const PATTERN: usize = 1 << 24;
const RUNS: usize = 20;
const TOLERANCE: Tolerance = Tolerance { atol: 1e-5, rtol: 1e-3 };

fn main() {
    if let Err(why) = run() {
        println!("not measured: {why}");
    }
}

fn run() -> Result<(), CudaError> {
    let cuda = Cuda::open(0)?;
    let comparer = Comparer::new(&cuda)?;
    let (mut reference, mut candidate) = (cuda.allocate(BYTES)?, cuda.allocate(BYTES)?);
    cuda.copy_in(&mut reference, &vec![1; BYTES])?;
    let copy = best(|| {
        cuda.copy(&reference, &mut candidate)?;
        cuda.synchronise()
    })?;
    println!("{}, best of {RUNS}, the bytes read and written counted\n", cuda.device()?.name);
    println!("| 1 GiB tensors | ms | TB/s | of the copy |\n|---|---|---|---|");
    row("copy, device to device", copy, copy);

    for dtype in [DType::Float32, DType::Float16, DType::Bfloat16] {
        fill(&cuda, &mut reference, dtype, 0.0)?;
        for (case, error) in [("rounding noise", 2e-4), ("diverging", 2e-2), ("identical", 0.0)] {
            fill(&cuda, &mut candidate, dtype, error)?;
            let shape = [BYTES * 8 / dtype.bits()];
            let seconds = best(|| {
                let answer = comparer.compare(&reference, &candidate, dtype, &shape, TOLERANCE)?;
                std::hint::black_box(answer);
                Ok(())
            })?;
            row(&format!("compare {dtype}, {case}"), seconds, copy);
        }
    }
    Ok(())
}

/// Either moves two tensors.
fn row(what: &str, seconds: f64, copy: f64) {
    let rate = 2.0 * BYTES as f64 / seconds / 1e12;
    println!("| {what} | {:.3} | {rate:.2} | {:.0} % |", seconds * 1e3, 100.0 * copy / seconds);
}

/// The shortest time of several runs after a first one.
fn best(mut work: impl FnMut() -> Result<(), CudaError>) -> Result<f64, CudaError> {
    work()?;
    let mut shortest = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    Ok(shortest)
}

/// Normal-like values, each with its own relative error up to `error`.
fn fill(cuda: &Cuda, memory: &mut Memory, dtype: DType, error: f32) -> Result<(), CudaError> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let mut value = || {
        let x = uniform() + uniform() + uniform();
        x * (1.0 + uniform() * error)
    };
    let bytes: Vec<u8> = match dtype {
        DType::Float16 => (0..PATTERN).flat_map(|_| f16::from_f32(value()).to_le_bytes()).collect(),
        DType::Bfloat16 => (0..PATTERN).flat_map(|_| bf16::from_f32(value()).to_le_bytes()).collect(),
        _ => (0..PATTERN).flat_map(|_| value().to_le_bytes()).collect(),
    };
    let copies = BYTES / bytes.len();
    cuda.copy_in(memory, &bytes.repeat(copies))
}
