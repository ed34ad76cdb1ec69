//! Finding NVIDIA's libraries in folders made for the test. Nothing is loaded.

use super::*;
use crate::run::ort::library::Naming;
use crate::run::tree::tree;

fn needs(files: &[&str]) -> Needs {
    needs_from(files.iter().map(|f| f.to_string()).collect()).unwrap()
}

const CUDA_13: &[&str] = &["libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudart.so.13", "libc.so.6"];
const CUDA_12: &[&str] = &["libcublasLt.so.12", "libcublas.so.12", "libcudnn.so.9", "libcudart.so.12"];

/// The files that are found, and those that are missing at once and later.
fn check(needed: &[&str], files: &[&str], expected: &[&str], at_once: &[&str], later: &[&str]) {
    let root = tree(files);
    let folders = |names: &[&str]| names.iter().map(|name| root.path().join(name)).collect::<Vec<_>>();
    let places = Places { named: folders(&["named"]), sites: folders(&["site", "other"]), system: folders(&["lib"]) };
    let (found, missing) = find(&needs(needed), &places);
    let found: Vec<&str> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
    let of = |now: bool| missing.iter().filter(|m| m.at_once == now).map(|m| m.file.as_str()).collect::<Vec<_>>();
    assert_eq!((found, of(true), of(false)), (expected.to_vec(), at_once.to_vec(), later.to_vec()), "{files:?}");
}

#[test]
fn pips_layouts_of_both_versions() {
    let cu13 = [
        "site/nvidia/cu13/lib/libcublas.so.13",
        "site/nvidia/cu13/lib/libcublasLt.so.13",
        "site/nvidia/cu13/lib/libcudart.so.13",
        "site/nvidia/cu13/lib/libcufft.so.12",
        "site/nvidia/cu13/lib/libcurand.so.10",
        "site/nvidia/cu13/lib/libnvrtc.so.13",
        "site/nvidia/cudnn/lib/libcudnn.so.9",
        "site/nvidia/cudnn/lib/libcudnn_graph.so.9",
    ];
    let [blas, lt, cudart, fft, rand, nvrtc, cudnn, _] = cu13;
    check(CUDA_13, &cu13, &[cudart, nvrtc, lt, blas, rand, fft, cudnn], &[], &[]);
    let cu12 = [
        "site/nvidia/cublas/lib/libcublas.so.12",
        "site/nvidia/cublas/lib/libcublasLt.so.12",
        "site/nvidia/cuda_runtime/lib/libcudart.so.12",
        "other/nvidia/cudnn/lib/libcudnn.so.9",
    ];
    let [blas, lt, cudart, cudnn] = cu12;
    let later = ["libnvrtc.so.12", "libcurand.so.10", "libcufft.so.11"];
    check(CUDA_12, &cu12, &[cudart, lt, blas, cudnn], &[], &later);
}

#[test]
fn what_the_user_named_comes_first_and_the_system_last() {
    let later = ["libnvrtc.so.13", "libcufft.so.12"];
    let files = ["lib/libcudart.so.13", "lib/libcublas.so.13", "site/nvidia/cu13/lib/libcublas.so.13"];
    let [cudart, _, blas] = files;
    let more = |named: &[&'static str]| [&files[..], named].concat();
    let (at_once, cudnn) = (["libcublasLt.so.13", "libcurand.so.10"], "libcudnn.so.9");
    check(CUDA_13, &more(&[]), &[cudart, blas], &at_once, &[later[0], later[1], cudnn]);
    let named = ["named/libcublas.so.13", "named/libcudnn.so.9"];
    check(CUDA_13, &more(&named), &[cudart, named[0], named[1]], &at_once, &later);
    // Another version is another library.
    check(
        CUDA_12,
        &files,
        &[],
        &["libcudart.so.12", "libcublasLt.so.12", "libcublas.so.12", cudnn],
        &["libnvrtc.so.12", "libcurand.so.10", "libcufft.so.11"],
    );
}

#[test]
fn the_advice_names_files_and_packages_once() {
    let (_, missing) = find(&needs(CUDA_13), &Places::default());
    let told = advice(&needs(CUDA_13), &missing);
    assert!(told.contains("libcublasLt.so.13, libcublas.so.13, libcurand.so.10"), "{told}");
    assert!(told.contains("(CUDA 13), which were not found"), "{told}");
    let packages = "nvidia-cuda-runtime~=13.0 nvidia-cuda-nvrtc~=13.0 nvidia-cublas~=13.0 nvidia-curand~=10.0 \
                    nvidia-cufft~=12.0 nvidia-cudnn-cu13~=9.0`";
    assert!(told.contains(packages), "{told}");
    let one = Missing { file: "libcudnn.so.9".to_string(), package: "nvidia-cudnn-cu12~=9.0", at_once: true };
    let told = advice(&needs(CUDA_12), &[one]);
    assert!(told.contains("needs libcudnn.so.9 (CUDA 12), which was not found"), "{told}");
}

#[test]
fn other_versions_are_left_to_onnx_runtime() {
    for files in [&["libcudart.so.11.0"][..], &["libcudart.so.99"], &["libc.so.6"], &["libcudart.so.x"]] {
        assert_eq!(needs_from(files.iter().map(|f| f.to_string()).collect()), None, "{files:?}");
    }
    assert_eq!(needs_of(Path::new("no/such/file")), None);
}

#[test]
fn the_environment_is_where_onnx_runtime_is() {
    let root = tree(&["venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so"]);
    let site = root.path().join("venv/lib/python3.12/site-packages");
    let variable = |name: &str| (name == "LD_LIBRARY_PATH").then(|| "/named::relative".into());
    let env = Env { variable: &variable, python: &|_| None, naming: Naming::Elf };
    let places = Places::of(&site.join("onnxruntime/capi/libonnxruntime.so"), &env);
    assert_eq!(places.named, [Path::new("/named")]);
    assert_eq!(places.sites[0], site);
}
