//! The execution providers of ONNX Runtime that are known by name: how the runtime calls each, and how to get a build that has
//! it. Others are known by what a library offers. Loads nothing.

/// One of them.
#[derive(Debug, PartialEq)]
pub struct Known {
    /// As users call it behind `ort-`.
    pub name: &'static str,
    /// As the runtime calls it.
    pub full: &'static str,
    /// Who has it.
    pub get: Get,
}

/// How to get a build with a provider.
#[derive(Debug, PartialEq)]
pub enum Get {
    /// This package of Python's, as words of a command line, with what is to be said of it.
    Package(&'static str),
    /// A plug-in for any build: the package, in which a library is to be named.
    Plugin(&'static str),
    /// In these words.
    Otherwise(&'static str),
}

use Get::{Otherwise, Package, Plugin};

const fn known(name: &'static str, full: &'static str, get: Get) -> Known {
    Known { name, full, get }
}

/// All of them, those that are asked for most first.
pub const ALL: [Known; 21] = [
    known("cuda", "CUDAExecutionProvider", Package("'onnxruntime-gpu[cuda,cudnn]'")),
    known("tensorrt", "TensorrtExecutionProvider", Package("'onnxruntime-gpu[cuda,cudnn]'")),
    known("openvino", "OpenVINOExecutionProvider", Package("onnxruntime-openvino")),
    known("dml", "DmlExecutionProvider", Package("onnxruntime-directml")),
    known("coreml", "CoreMLExecutionProvider", Otherwise("on a Mac every ONNX Runtime has it: run it there")),
    known("qnn", "QNNExecutionProvider", Package("onnxruntime-qnn")),
    known("xnnpack", "XnnpackExecutionProvider", Otherwise("build ONNX Runtime with --use_xnnpack")),
    known("migraphx", "MIGraphXExecutionProvider", Package("onnxruntime-migraphx")),
    known("rocm", "ROCMExecutionProvider", Otherwise("ONNX Runtime has dropped it in 1.23: use ort-migraphx")),
    known("cann", "CANNExecutionProvider", Package("onnxruntime-cann")),
    known("webgpu", "WebGpuExecutionProvider", Plugin("onnxruntime-ep-webgpu")),
    known("nv_tensorrt_rtx", "NvTensorRTRTXExecutionProvider", Plugin("onnxruntime-ep-nv-tensorrt-rtx")),
    known("acl", "ACLExecutionProvider", Otherwise("build ONNX Runtime with --use_acl")),
    known("vitisai", "VitisAIExecutionProvider", Otherwise("it comes with AMD's Ryzen AI and Vitis AI")),
    known("dnnl", "DnnlExecutionProvider", Otherwise("build ONNX Runtime with --use_dnnl")),
    known("azure", "AzureExecutionProvider", Package("onnxruntime")),
    known("nnapi", "NnapiExecutionProvider", Otherwise("it is Android's: build ONNX Runtime with --use_nnapi")),
    known("armnn", "ArmNNExecutionProvider", Otherwise("build ONNX Runtime with --use_armnn")),
    known("rknpu", "RknpuExecutionProvider", Otherwise("build ONNX Runtime with --use_rknpu")),
    known("snpe", "SNPEExecutionProvider", Otherwise("build ONNX Runtime with --use_snpe")),
    known("vsinpu", "VSINPUExecutionProvider", Otherwise("build ONNX Runtime with --use_vsinpu")),
];

/// The one that a user means; `DirectML`, `onednn` and the runtime's own names are understood too.
pub fn by_name(name: &str) -> Option<&'static Known> {
    let name = match short(name).as_str() {
        "directml" => "dml".to_string(),
        "onednn" => "dnnl".to_string(),
        other => other.to_string(),
    };
    ALL.iter().find(|known| short(known.name) == name || short(known.full) == name)
}

/// `ggml`, `GGML` and `GgmlExecutionProvider` are the same provider.
pub fn same(one: &str, other: &str) -> bool {
    short(one) == short(other)
}

/// As users call it: `OpenVINOExecutionProvider` is `openvino`.
pub fn as_users_say(full: &str) -> String {
    match by_name(full) {
        Some(known) => known.name.to_string(),
        None => full.to_lowercase().replace("executionprovider", ""),
    }
}

/// What to do to get a build that has it; `library` is what the file is called that a variable may name.
pub fn advice(name: &str, library: &str) -> String {
    let variable = variable(name);
    let with_variable = format!("or set {variable} to that build's {library}");
    match by_name(name).map(|known| &known.get) {
        Some(Package(package)) => {
            format!("run `python3 -m pip install {package}` in a virtual environment and activate it, {with_variable}")
        }
        Some(Plugin(package)) => format!(
            "run `python3 -m pip install {package}` and name its library with --ep-library {name}=PATH, {with_variable}"
        ),
        Some(Otherwise(words)) => format!("{words}, {with_variable}"),
        None => {
            format!("name its plug-in library with --ep-library {name}=PATH, {with_variable}")
        }
    }
}

/// The variable that names the library of a build with this provider.
pub fn variable(name: &str) -> String {
    format!("LAYERDIFF_ORT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn short(name: &str) -> String {
    name.to_lowercase().replace("executionprovider", "").replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_several_spellings() {
        assert!(same("CPUExecutionProvider", "cpu") && same("ggml", "GGML"));
        assert!(!same("ggml", "cpu"));
        let name = |text: &str| by_name(text).map(|known| known.name);
        assert_eq!(name("NvTensorRTRTXExecutionProvider"), Some("nv_tensorrt_rtx"));
        assert_eq!([name("DirectML"), name("onednn"), name("OpenVINO")], [Some("dml"), Some("dnnl"), Some("openvino")]);
        assert_eq!((name("tensort"), name("cpu")), (None, None));
        assert_eq!(as_users_say("MIGraphXExecutionProvider"), "migraphx");
        assert_eq!(as_users_say("GgmlExecutionProvider"), "ggml");
    }

    #[test]
    fn each_has_a_way_to_it() {
        for known in &ALL {
            let advice = advice(known.name, "lib.so");
            assert!(advice.contains(&variable(known.name)), "{advice}");
        }
        assert!(advice("openvino", "lib.so").contains("pip install onnxruntime-openvino`"));
        assert!(advice("webgpu", "lib.so").contains("--ep-library webgpu=PATH"));
    }
}
