//! Tests that need an NVIDIA GPU. Where there is none, or what else one needs is missing, it is listed as ignored, with the reason
//! beside its name.

mod common;
#[path = "gpu/compare.rs"]
mod compare;
#[path = "gpu/provider.rs"]
mod provider;

use std::process::ExitCode;

use layerdiff::run::cuda::Cuda;
use layerdiff::run::cuda::compare::Comparer;
use layerdiff::run::ort::library;
use libtest_mimic::{Arguments, Trial, run};

/// What a test needs; each includes a GPU.
#[derive(Clone, Copy)]
enum Needs {
    Nvrtc,
    Provider,
    TwoGpus,
}

fn main() -> ExitCode {
    use Needs::*;
    let tests: [(Needs, &str, fn()); 12] = [
        (Nvrtc, "types_without_a_kernel_are_left_to_the_host", compare::types_without_a_kernel_are_left_to_the_host),
        (Nvrtc, "memory_that_is_not_aligned_is_measured_alike", compare::memory_that_is_not_aligned_is_measured_alike),
        (Nvrtc, "tolerances_of_every_kind_are_applied_alike", compare::tolerances_of_every_kind_are_applied_alike),
        (
            Nvrtc,
            "tensors_of_every_size_and_scale_are_measured_alike",
            compare::tensors_of_every_size_and_scale_are_measured_alike,
        ),
        (Nvrtc, "a_large_tensor_is_measured_alike", compare::a_large_tensor_is_measured_alike),
        (Nvrtc, "any_bits_are_measured_alike", compare::any_bits_are_measured_alike),
        (Provider, "float32_agrees_and_says_that_tf32_is_off", provider::float32_agrees_and_says_that_tf32_is_off),
        (Provider, "the_gpu_is_the_reference_of_tf32", provider::the_gpu_is_the_reference_of_tf32),
        (
            Provider,
            "an_overflow_is_found_reduced_and_cured",
            provider::an_overflow_of_half_precision_is_found_reduced_and_cured_on_the_gpu,
        ),
        (
            Provider,
            "values_are_the_same_wherever_they_are_compared",
            provider::values_are_the_same_wherever_they_are_compared,
        ),
        (Provider, "a_gpu_that_is_not_there_is_named", provider::a_gpu_that_is_not_there_is_named),
        (TwoGpus, "two_gpus_answer_as_one", provider::two_gpus_answer_as_one),
    ];
    let trial = |(needs, name, test): (Needs, &str, fn())| {
        let missing = needs.missing();
        let ignored = missing.is_some();
        let body = move || {
            test();
            Ok(())
        };
        Trial::test(name, body).with_kind(missing.unwrap_or_default()).with_ignored_flag(ignored)
    };
    run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

impl Needs {
    /// What is not here.
    fn missing(self) -> Option<String> {
        let cuda = match Cuda::open(0) {
            Ok(cuda) => cuda,
            Err(e) => return Some(e.to_string()),
        };
        match self {
            Needs::Nvrtc => Comparer::new(&cuda).err().map(|e| e.to_string()),
            Needs::Provider => library::find_with_provider(None, "cuda").err().map(|e| e.to_string()),
            Needs::TwoGpus => Needs::Provider.missing().or_else(|| Cuda::open(1).err().map(|e| e.to_string())),
        }
    }
}
