//! The comparison on the GPU against the one on the host.

use std::sync::OnceLock;

use half::{bf16, f16};
use layerdiff::compare::{Tolerance, compare};
use layerdiff::found::{Metrics, Real};
use layerdiff::run::cuda::compare::Comparer;
use layerdiff::run::cuda::{Cuda, Memory};
use layerdiff::tensor::{DType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const TOLERANCE: Tolerance = Tolerance { atol: 1e-3, rtol: 1e-2 };
const TYPES: [DType; 13] = [
    DType::Float32,
    DType::Float16,
    DType::Bfloat16,
    DType::Float64,
    DType::Bool,
    DType::Int8,
    DType::Uint8,
    DType::Int16,
    DType::Uint16,
    DType::Int32,
    DType::Uint32,
    DType::Int64,
    DType::Uint64,
];

/// The GPU, which the caller knows to be there.
fn gpu() -> &'static (Cuda, Comparer) {
    static GPU: OnceLock<(Cuda, Comparer)> = OnceLock::new();
    GPU.get_or_init(|| {
        let cuda = Cuda::open(0).unwrap();
        let comparer = Comparer::new(&cuda).unwrap();
        (cuda, comparer)
    })
}

fn upload(cuda: &Cuda, tensor: &Tensor) -> Memory {
    let mut memory = cuda.allocate(tensor.bytes().len()).unwrap();
    cuda.copy_in(&mut memory, tensor.bytes()).unwrap();
    memory
}

/// Both ways give the same answer.
fn check((cuda, comparer): &(Cuda, Comparer), reference: &Tensor, candidate: &Tensor, tolerance: Tolerance) {
    let (r, c) = (upload(cuda, reference), upload(cuda, candidate));
    let got = comparer.compare(&r, &c, reference.dtype, &reference.shape, tolerance).unwrap();
    let want = compare(reference, candidate, tolerance);
    let Some(got) = got else {
        assert!(squares_overflow(reference, candidate), "{} is left to the host", reference.dtype);
        return;
    };
    assert_eq!((got.status, got.why), (want.status, want.why));
    let what = format!("{} {:?}", reference.dtype, reference.shape);
    same(&got.metrics.unwrap(), &want.metrics.unwrap(), &what);
}

/// Only of float64.
fn squares_overflow(reference: &Tensor, candidate: &Tensor) -> bool {
    let large = |tensor: &Tensor| tensor.view::<f64>().iter().any(|x| x.is_finite() && x.abs() > 1e153);
    reference.dtype == DType::Float64 && (large(reference) || large(candidate))
}

fn same(got: &Metrics, want: &Metrics, what: &str) {
    let near = |name: &str, got: Real, want: Real, least: f64| {
        let equal = got.0 == want.0 || got.0.is_nan() && want.0.is_nan();
        let near = equal || (got.0 - want.0).abs() <= 1e-12 * want.0.abs().max(least);
        assert!(near, "{what}: {name} is {:e} instead of {:e}", got.0, want.0);
        want
    };
    let sums = Metrics {
        mean_abs: near("mean_abs", got.mean_abs, want.mean_abs, 0.0),
        mean_rel: near("mean_rel", got.mean_rel, want.mean_rel, 0.0),
        rmse: near("rmse", got.rmse, want.rmse, 0.0),
        // The sum has terms of either sign, and the logarithm may be near 0.
        cosine: near("cosine", got.cosine, want.cosine, 1.0),
        sqnr_db: near("sqnr_db", got.sqnr_db, want.sqnr_db, 10.0),
        ..got.clone()
    };
    let text = |metrics: &Metrics| format!("{metrics:?}").replace("-0.0)", "0.0)");
    assert_eq!(text(&sums), text(want), "{what}");
}

/// Numbers in `dtype`, whose bits are those of its type or of a cast.
fn tensor(dtype: DType, values: &[f64]) -> Tensor {
    use DType::*;
    let shape = vec![values.len()];
    macro_rules! of {
        ($type:ty) => {
            Tensor::from_vec(dtype, shape, values.iter().map(|x| *x as $type).collect::<Vec<$type>>())
        };
    }
    match dtype {
        Float32 => of!(f32),
        Float64 => of!(f64),
        Float16 => Tensor::from_vec(dtype, shape, values.iter().map(|x| f16::from_f64(*x)).collect::<Vec<f16>>()),
        Bfloat16 => Tensor::from_vec(dtype, shape, values.iter().map(|x| bf16::from_f64(*x)).collect::<Vec<bf16>>()),
        Bool => Tensor::from_vec(dtype, shape, values.iter().map(|x| (*x > 0.5) as u8).collect::<Vec<u8>>()),
        Int8 => of!(i8),
        Uint8 => of!(u8),
        Int16 => of!(i16),
        Uint16 => of!(u16),
        Int32 => of!(i32),
        Uint32 => of!(u32),
        Int64 => of!(i64),
        Uint64 => of!(u64),
        other => panic!("no tensor of {other}"),
    }
}

/// Uniform in -1..1, by a fixed generator (splitmix64).
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// A pair of tensors with errors of this size, here and there something special.
fn pair(dtype: DType, seed: u64, n: usize, scale: f64, error: f64, specials: bool) -> (Tensor, Tensor) {
    const SPECIAL: [f64; 12] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-45, 1e-40, 6e-8, 3e-5, 65519.0, 1e31, 3.4e38];
    let (value, difference, choice) = (noise(seed, n), noise(seed + 1, n), noise(seed + 2, n));
    let mut r: Vec<f64> = value.iter().map(|x| x * scale).collect();
    let mut c: Vec<f64> = r.iter().zip(&difference).map(|(r, d)| r + d * error).collect();
    for i in 0..n {
        let pick = ((choice[i] + 1.0) * 5e3) as usize;
        match pick {
            _ if !specials => {}
            0..12 => r[i] = SPECIAL[pick],
            12..24 => c[i] = SPECIAL[pick - 12],
            24..36 => (r[i], c[i]) = (SPECIAL[pick - 24], SPECIAL[pick - 24]),
            36..600 => c[i] = r[i],
            600..700 => (r[i], c[i]) = (0.0, 0.0),
            _ => {}
        }
    }
    (tensor(dtype, &r), tensor(dtype, &c))
}

pub fn tensors_of_every_size_and_scale_are_measured_alike() {
    let gpu = gpu();
    for dtype in TYPES {
        for (i, n) in [0, 1, 7, 255, 256, 257, 2048, 4099, 70_001].into_iter().enumerate() {
            for (scale, error) in
                [(1.0, 1e-3), (1e-6, 1e-9), (1e-30, 1e-32), (3e4, 30.0), (100.0, 0.0), (1e7, 3.0), (2.0, 5.0)]
            {
                for specials in [false, true] {
                    let (r, c) = pair(dtype, i as u64 * 100, n, scale, error, specials);
                    check(gpu, &r, &c, TOLERANCE);
                }
            }
        }
    }
}

pub fn a_large_tensor_is_measured_alike() {
    let gpu = gpu();
    for dtype in [DType::Float32, DType::Float16, DType::Bfloat16] {
        for specials in [false, true] {
            let (r, c) = pair(dtype, 7, 3_000_017, 4.0, 2e-2, specials);
            check(gpu, &r, &c, TOLERANCE);
        }
    }
}

pub fn tolerances_of_every_kind_are_applied_alike() {
    let gpu = gpu();
    let values = [0.0, 1e-50, 1e-9, 1e-3, 0.5, 1e40, f64::INFINITY, f64::NAN, -1.0];
    for dtype in [DType::Float32, DType::Float16, DType::Int64] {
        for specials in [false, true] {
            let (r, c) = pair(dtype, 3, 5000, 2.0, 1e-3, specials);
            for atol in values {
                for rtol in values {
                    check(gpu, &r, &c, Tolerance { atol, rtol });
                }
            }
        }
    }
}

pub fn memory_that_is_not_aligned_is_measured_alike() {
    let gpu = gpu();
    let (cuda, comparer) = gpu;
    let (r, c) = pair(DType::Float32, 5, 1001, 1.0, 1e-2, true);
    let (r_memory, c_memory) = (upload(cuda, &r), upload(cuda, &c));
    let part = |tensor: &Tensor| Tensor::f32(&[10, 100], &tensor.view::<f32>()[1..]);
    // SAFETY: 1000 elements follow the first one.
    let got = unsafe {
        let places = [r_memory.address() + 4, c_memory.address() + 4];
        comparer.compare_at(places, DType::Float32, &[10, 100], TOLERANCE)
    };
    let want = compare(&part(&r), &part(&c), TOLERANCE).metrics.unwrap();
    same(&got.unwrap().unwrap().metrics.unwrap(), &want, "not aligned");
}

pub fn types_without_a_kernel_are_left_to_the_host() {
    let (cuda, comparer) = gpu();
    let memory = cuda.allocate(16).unwrap();
    assert!(comparer.compare(&memory, &memory, DType::Complex64, &[2], TOLERANCE).unwrap().is_none());
    assert!(comparer.compare(&memory, &memory, DType::Float32, &[5], TOLERANCE).is_err());
}

pub fn any_bits_are_measured_alike() {
    let gpu = gpu();
    let words = prop::collection::vec(any::<u64>(), 0..400);
    let others = prop::collection::vec(any::<u64>(), 400);
    let any_pair = (0..TYPES.len(), words, others, 0..4usize);
    let measure = |(kind, reference, other, mix): (usize, Vec<u64>, Vec<u64>, usize)| {
        let dtype = TYPES[kind];
        // A few bits differ, all may, or none.
        let mask = [0, 0x0000_0007_0000_0003, 0x0003_0001_0003_0001, u64::MAX][mix];
        let candidate: Vec<u64> = reference.iter().zip(&other).map(|(r, o)| r ^ (o & mask)).collect();
        let n = reference.len() * 64 / dtype.bits();
        let tensor = |words: Vec<u64>| {
            Tensor::new(dtype, vec![n], words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()).unwrap()
        };
        check(gpu, &tensor(reference), &tensor(candidate), TOLERANCE);
        Ok(())
    };
    TestRunner::default().run(&any_pair, measure).unwrap();
}
