//! Which candidate, where nobody names one: the best that is here. Looks at files only; starts nothing.

use std::path::Path;

use crate::run::cuda::installed::Places;
use crate::run::ort::library::{self, Env};
use crate::run::tensorrt::library as tensorrt;
use crate::spec::Spec;

/// The candidate, and why it is the one.
pub fn best(ort_library: Option<&Path>) -> anyhow::Result<(Spec, String)> {
    let gpus = Places::of(&Env::process()).gpus();
    let trt = tensorrt::find(None).ok().flatten().map(|found| found.kind);
    let cuda = !gpus.is_empty() && library::find_with_provider(ort_library, "cuda").is_ok();
    let (text, why) = choice(&gpus, trt, cuda);
    let spec: Spec = text.parse().map_err(anyhow::Error::msg)?;
    Ok((spec, format!("no --candidate was given: {why}")))
}

fn choice(gpus: &[String], trt: Option<tensorrt::Kind>, cuda: bool) -> (&'static str, String) {
    let Some(gpu) = gpus.first() else {
        return ("ort:fp16", "there is no NVIDIA GPU here, so FP16 is emulated on the CPU".to_string());
    };
    // TensorRT-RTX refuses data-centre GPUs; a lean runtime builds nothing.
    let runs = match trt {
        Some(tensorrt::Kind::Full) => true,
        Some(tensorrt::Kind::Rtx) => gpu.contains("RTX"),
        Some(tensorrt::Kind::Lean) | None => false,
    };
    match (runs, cuda) {
        (true, _) => ("trt:fp16", format!("TensorRT and a GPU are here ({gpu})")),
        (false, true) => ("ort-cuda:fp16", format!("ONNX Runtime's CUDA provider and a GPU are here ({gpu})")),
        (false, false) => {
            let trt = match trt {
                Some(tensorrt::Kind::Rtx) => "TensorRT-RTX does not run on it",
                Some(tensorrt::Kind::Lean) => "the lean TensorRT here builds nothing",
                Some(tensorrt::Kind::Full) | None => "TensorRT was not found",
            };
            let why = format!(
                "there is a GPU ({gpu}), but {trt}, and ONNX Runtime's CUDA provider was not found, so FP16 is emulated on the CPU (see `layerdiff doctor`)"
            );
            ("ort:fp16", why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensorrt::Kind;

    #[test]
    fn the_best_that_is_here() {
        let check = |gpu: &str, trt: Option<Kind>, cuda: bool, want: &str| {
            let gpus: Vec<String> = Some(gpu.to_string()).filter(|g| !g.is_empty()).into_iter().collect();
            assert_eq!(choice(&gpus, trt, cuda).0, want, "{gpu} {trt:?} {cuda}");
        };
        check("", Some(Kind::Full), false, "ort:fp16");
        check("NVIDIA H200", Some(Kind::Full), true, "trt:fp16");
        check("NVIDIA H200", Some(Kind::Rtx), true, "ort-cuda:fp16");
        check("NVIDIA H200", Some(Kind::Lean), false, "ort:fp16");
        check("NVIDIA GeForce RTX 5090", Some(Kind::Rtx), false, "trt:fp16");
        check("NVIDIA H200", None, false, "ort:fp16");
    }
}
