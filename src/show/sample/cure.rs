//! The cure of the sample report: a LayerNorm that leaves the range of FP16.

use crate::found::{CureKind, Overrides, Real, Sensitivity};

pub fn overrides() -> Overrides {
    let files = [
        ("modelopt", "modelopt_autocast.args"),
        ("nodes", "nodes.json"),
        ("onnx", "model.mixed.onnx"),
        ("onnxruntime", "ort_float16.json"),
        ("polygraphy", "trt_network.py"),
        ("readme", "README.md"),
        ("trtexec", "trtexec.args"),
    ];
    let curve =
        [(0, f64::INFINITY), (1, 0.82), (2, 2.1e-4), (3, 0.61), (4, 2.0e-4), (9, 1.6e-4), (41, 3e-5), (139, 0.0)];
    Overrides {
        kind: CureKind::Fp32,
        nodes: vec!["/norm/Pow".into(), "/norm/ReduceMean".into()],
        verified: true,
        limited: false,
        margin: None,
        error_before: Real(f64::INFINITY),
        error_after: Real(2.1e-4),
        latency_before: None,
        latency_after: None,
        price: None,
        builds: 11,
        files: files.map(|(consumer, file)| (consumer.into(), format!("bert.layerdiff/overrides/{file}"))).into(),
        groups: vec!["LayerNorm '/norm': Pow, ReduceMean".into()],
        minimal: true,
        of: 139,
        curve: curve.map(|(kept, error)| (kept, Real(error))).into(),
        why: None,
        settings: Vec::new(),
        settings_tried: 0,
    }
}

pub fn sensitivity() -> Vec<Sensitivity> {
    let row = |node: &str, op: &str, local, promoted: Option<f64>, demoted: Option<f64>| Sensitivity {
        node: node.into(),
        op_type: op.into(),
        tensor: format!("{node}_output_0"),
        local: Real(local),
        promoted: promoted.map(Real),
        demoted: demoted.map(Real),
    };
    let inf = f64::INFINITY;
    let mut rows = vec![
        row("/norm/Pow", "Pow", inf, Some(0.82), Some(inf)),
        row("/norm/ReduceMean", "ReduceMean", 0.0123, Some(inf), Some(0.31)),
        row("/attn/Softmax", "Softmax", 4.9e-4, Some(inf), Some(3.2e-4)),
        row("/head/Gemm", "Gemm", 3.1e-4, None, None),
    ];
    rows[3].tensor = "logits".into();
    rows
}
