//! How fast [`layerdiff::compare::compare`] is: a pair of 64 MiB float32 tensors, median and best of 20 runs.
//!
//! usage: cargo bench --bench compare_throughput

use std::time::Instant;

use layerdiff::compare::{Tolerance, compare};
use layerdiff::tensor::{DType, Tensor};

const ELEMENTS: usize = (64 << 20) / 4;
const RUNS: usize = 20;

fn main() {
    let reference = noise(1, 1.0);
    let error = noise(2, 1e-4);
    let candidate: Vec<f32> = reference.iter().zip(&error).map(|(r, e)| r + e).collect();
    let reference = Tensor::from_vec(DType::Float32, vec![ELEMENTS], reference);
    let candidate = Tensor::from_vec(DType::Float32, vec![ELEMENTS], candidate);
    report("every element differs", &reference, &candidate);
    report("identical", &reference, &reference.clone());
}

fn report(case: &str, reference: &Tensor, candidate: &Tensor) {
    let tolerance = Tolerance { atol: 1e-5, rtol: 1e-3 };
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(compare(reference, candidate, tolerance));
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let (best, median) = (seconds[0], seconds[RUNS / 2]);
    let gigabytes = 2.0 * (ELEMENTS * 4) as f64 / 1e9;
    println!("{case}: {:.4} s a pair (best {best:.4}), {:.1} GB/s", median, gigabytes / median);
}

/// Uniform in -scale..scale, by a fixed generator (splitmix64).
fn noise(seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
    };
    (0..ELEMENTS).map(|_| next()).collect()
}
