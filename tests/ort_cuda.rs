//! What a machine without NVIDIA's hardware can tell of `ort-cuda`; with it, see gpu.rs.

mod common;

use common::{bisect_in, case};
use layerdiff::found::Verdict;
use layerdiff::run::cuda::driver_is_present;
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{About, Answer, Backend, Job, Question, RunError, Told};

#[test]
fn tf32_is_nvidias() {
    let run = case("healthy_transformer", &["-c", "ort-openvino:tf32"]);
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert!(run.stderr.contains("TF32 is NVIDIA's") && run.stderr.contains("ort:tf32 to emulate it"), "{}", run.stderr);
}

#[test]
fn a_machine_without_it_is_told_what_is_missing() {
    if driver_is_present() {
        return println!("skipped: a_machine_without_it_is_told_what_is_missing: there is a driver");
    }
    let run = case("healthy_transformer", &["-c", "ort-cuda"]);
    assert_eq!(run.status, 3, "{}", run.stderr);
    let told = ["onnxruntime-gpu", "no NVIDIA driver", "nvidia-", "CUDA"];
    assert!(told.iter().any(|what| run.stderr.contains(what)), "{}", run.stderr);
}

/// A GPU on which nothing can compare.
struct WithoutNvrtc {
    ort: Ort,
    about: About,
}

impl Backend for WithoutNvrtc {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let unjudged = job.against.as_ref().map(|_| "NVRTC was not found".to_string());
        Ok(Answer { unjudged, ..self.ort.run(job)? })
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.ort.ask(question)
    }
}

#[test]
fn what_the_gpu_cannot_compare_is_compared_here_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let ort = Ort::new(&library::find(None).unwrap().path, Provider::Cpu).unwrap();
    let backend = WithoutNvrtc { about: About { compares: true, ..ort.about().clone() }, ort };
    let words = ["--no-reduce", "--no-overrides"];
    let report = bisect_in(Box::new(backend), "layernorm_overflow", &words, dir.path());
    assert_eq!((report.verdict, &*report.culprits[0].node.name), (Verdict::Diverged, "ln_pow"));
    let told = |w: &&String| w.ends_with("were copied to the host and compared there: NVRTC was not found");
    assert_eq!(report.warnings.iter().filter(told).count(), 1, "{:?}", report.warnings);
}
