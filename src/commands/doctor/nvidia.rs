//! NVIDIA's driver and GPUs: what was found of them, and what to do about the rest.

use super::Finding;
use crate::run::cuda::installed::Places;

/// What there is to run engines on.
#[derive(Clone, Debug, Default)]
pub struct Gpu {
    /// NVIDIA's driver library is there.
    pub driver: bool,
    /// One a GPU, as the kernel's driver names it.
    pub models: Vec<String>,
}

/// Which GPUs the kernel's driver shows.
pub fn gpus(places: &Places) -> Finding {
    let details = places.gpus();
    let advice = details.is_empty().then(|| {
        "the driver shows no NVIDIA GPU; in a container, start it with its GPUs (`docker run --gpus all`)".to_string()
    });
    Finding { name: "NVIDIA GPUs", present: !details.is_empty(), details, path: None, advice }
}

/// Whether the driver's library is there, and of which version.
pub fn cuda_driver(places: &Places) -> Finding {
    let path = places.libcuda();
    let advice = path.is_none().then(|| {
        "libcuda.so.1 comes with NVIDIA's driver; install the driver (CPU candidates do without it)".to_string()
    });
    let details = path.iter().filter_map(|_| places.driver_version()).collect();
    Finding { name: "CUDA driver", present: path.is_some(), details, path, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { libraries: vec![folder.path().to_path_buf()], driver: folder.path().join("driver") };
        for missing in [gpus(&places), cuda_driver(&places)] {
            assert!(!missing.present && missing.advice.is_some(), "{missing:?}");
        }
    }
}
