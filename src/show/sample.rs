//! Small reports that the tests of all renderers share. Invented numbers; no model stands behind them.

mod cure;
mod page;

use std::path::Path;

use crate::found::*;
use crate::spec::Precision;

pub use cure::{overrides, sensitivity};
pub use page::{attack, every_block};

/// Two culprits, one that introduces (an FP16 overflow) and one that amplifies.
pub fn sample_report() -> Report {
    Report {
        verdict: Verdict::Diverged,
        outputs: vec![tensor("logits", "/head/Gemm", &[1, 4], Status::Diverges, Some(wrong(11.4, 0.82, 3, 4)))],
        culprits: vec![pow(), softmax()],
        search: SearchInfo {
            strategy: "bisect".into(),
            candidate_builds: 4,
            candidate_runs: 4,
            reference_runs: 1,
            tensors_compared: 12,
            tensors_not_compared: 1,
            perturbed: false,
            trust_builds: 0,
            proof_builds: 0,
            observed: Vec::new(),
            seconds: 0.118,
        },
        tensors: tensors(),
        reduced: Some(Reduced {
            path: "bert.layerdiff/reduced/model.onnx".into(),
            nodes: 2,
            reproduces: true,
            probes: 9,
            seconds: 0.2,
            names: vec!["/norm/Sub".into(), "/norm/Pow".into()],
            bytes: 3210,
            minimal: true,
            culprit: Some("/norm/Pow_output_0".into()),
            why: None,
        }),
        overrides: Some(overrides()),
        sensitivity: sensitivity(),
        warnings: vec!["inputs are synthetic: real data may show other culprits".into()],
        why: Some("output 'logits' diverges".into()),
        seconds: 0.231,
        ..partial_report()
    }
}

/// What Ctrl-C leaves after two probes: the set-up is known, nothing was found.
pub fn partial_report() -> Report {
    Report {
        schema: SCHEMA.into(),
        layerdiff: "0.1.0".into(),
        command: ["layerdiff", "bisect", "my models/bert.onnx", "--candidate", "ort:fp16"].map(String::from).into(),
        verdict: Verdict::Inconclusive,
        why: Some("interrupted after 2 of about 5 candidate runs".into()),
        model: ModelInfo {
            path: "my models/bert.onnx".into(),
            sha256: "3f0a".repeat(16),
            opset: 17,
            nodes: 214,
            initializer_bytes: 17_600_000,
        },
        reference: backend("ort", "fp32"),
        candidate: BackendInfo {
            why: Some("neither TensorRT nor CUDA was found".into()),
            ..backend("ort:fp16", "fp16")
        },
        inputs: InputsInfo {
            files: Vec::new(),
            source: "synthetic (seed 0)".into(),
            synthetic: true,
            samples: 1,
            tensors: vec![InputTensor { name: "input_ids".into(), dtype: "int64".into(), shape: vec![1, 128] }],
        },
        tolerance: ToleranceInfo {
            atol: Real(5e-3),
            rtol: Real(1e-2),
            why: "auto for fp16: atol is scaled by each tensor's rms".into(),
        },
        environment: Environment {
            os: "Linux 6.1 x86_64".into(),
            cpu: "2 x Example CPU".into(),
            onnxruntime: "1.23.0".into(),
            ..Environment::default()
        },
        search: SearchInfo {
            strategy: "bisect".into(),
            candidate_builds: 2,
            candidate_runs: 2,
            ..SearchInfo::default()
        },
        seconds: 0.05,
        ..Report::default()
    }
}

/// Everything within tolerance, one tensor not compared.
pub fn agreed_report() -> Report {
    let fine = |name: &str, db| tensor(name, "/n", &[1, 4], Status::Agrees, Some(right(db)));
    Report {
        verdict: Verdict::Agreed,
        why: None,
        outputs: vec![fine("logits", 71.3), fine("pooled", 64.9)],
        search: SearchInfo {
            strategy: "bisect".into(),
            candidate_builds: 1,
            candidate_runs: 1,
            reference_runs: 1,
            tensors_compared: 2,
            tensors_not_compared: 1,
            seconds: 0.031,
            ..SearchInfo::default()
        },
        tensors: vec![fine("logits", 71.3), fine("pooled", 64.9)],
        ..partial_report()
    }
}

/// Rounding under a tight tolerance: four are the first beyond it, and none is to blame.
pub fn limited_report() -> Report {
    let row = |node: &str, op_type: &str, local: f64, rho: f64, gain: Option<f64>| Ranked {
        node: node.into(),
        op_type: op_type.into(),
        tensor: format!("{node}_output_0"),
        local: Real(local),
        emulated: Some(Real(local / rho)),
        rho: Some(Real(rho)),
        gain: gain.map(Real),
    };
    let why = "every node is as wrong as FP16 makes it (largest rho 1.30)".to_string();
    let mut ranking = vec![
        row("/attn/Softmax", "Softmax", 4.1e-3, 1.3, Some(1.9)),
        row("/norm/Pow", "Pow", 9.6e-4, 1.1, Some(2.0)),
        row("/emb/Gather", "Gather", 2.9e-4, 0.7, None),
    ];
    ranking.extend((0..4).map(|i| row(&format!("/head/Add_{i}"), "Add", 2e-4, 1.0, Some(1.0))));
    let mut report = sample_report();
    report.culprits = vec![softmax(); 4];
    report.candidate = BackendInfo { provider: "cuda (built in)".into(), ..backend("ort-cuda:fp16", "fp16") };
    Report { ranking, precision_limited: Some(PrecisionLimited { largest_rho: Real(1.3), why }), why: None, ..report }
}

/// A command says that the model fails: nothing is compared, so there are no tensors.
pub fn check_report() -> Report {
    Report {
        verdict: Verdict::Diverged,
        why: Some("the check fails; the failure needs 1 of 214 nodes".into()),
        candidate: BackendInfo {
            spec: "check:python 'my check.py' {model} {inputs}".into(),
            backend: "check".into(),
            check: Some("python 'my check.py' {model} {inputs}".into()),
            ..BackendInfo::default()
        },
        tolerance: ToleranceInfo { why: "the command decides".into(), ..ToleranceInfo::default() },
        search: SearchInfo { strategy: "ddmin".into(), ..SearchInfo::default() },
        reduced: Some(Reduced {
            path: "bert.layerdiff/reduced/model.onnx".into(),
            nodes: 1,
            reproduces: true,
            probes: 19,
            seconds: 3.1,
            names: vec!["/norm/Pow".into()],
            bytes: 2048,
            minimal: true,
            culprit: None,
            why: Some("weights give way to generators".into()),
        }),
        ..partial_report()
    }
}

/// Names that attack the terminal, HTML and Markdown.
pub fn hostile_report() -> Report {
    const NAME: &str = "</title><script>alert('x')</script>|`\u{1b}[31m\u{202e}\n\"&";
    let mut report = sample_report();
    report.model.path = format!("{NAME}.onnx");
    report.command.push(NAME.into());
    report.culprits[0].node.name = NAME.into();
    report.culprits[0].node.op_type = NAME.into();
    report.culprits[0].node.subgraph = Some(NAME.into());
    report.culprits[0].tensor = NAME.into();
    report.culprits[0].diagnosis[0].evidence = NAME.into();
    report.warnings.push(NAME.into());
    report.inputs.tensors[0].name = NAME.into();
    for row in report.tensors.iter_mut().chain(&mut report.outputs) {
        if row.name == "/norm/Pow_output_0" || row.name == "logits" {
            row.name = NAME.into();
            row.node = NAME.into();
            row.dtype = NAME.into();
            row.why = Some(NAME.into());
        }
    }
    if let Some(reduced) = &mut report.reduced {
        (reduced.path, reduced.why, reduced.culprit) = (NAME.into(), Some(NAME.into()), Some(NAME.into()));
        reduced.names.push(NAME.into());
        report.reproducers = vec![reduced.clone(); 2];
    }
    if let Some(overrides) = &mut report.overrides {
        overrides.nodes.push(NAME.into());
        overrides.groups.push(NAME.into());
        overrides.files.insert(NAME.into(), NAME.into());
        overrides.curve[3..6].copy_from_slice(&[(usize::MAX, Real(f64::NAN)), (5, Real(-1.0)), (5, Real(f64::MAX))]);
        overrides.why = Some(NAME.into());
    }
    for row in &mut report.sensitivity {
        (row.node, row.op_type, row.tensor) = (NAME.into(), NAME.into(), NAME.into());
    }
    report.ranking = limited_report().ranking;
    for row in &mut report.ranking {
        (row.node, row.op_type, row.tensor) = (NAME.into(), NAME.into(), NAME.into());
    }
    report.candidate.precision = NAME.into();
    report
}

/// Compares with `tests/golden/NAME`, or writes that file when UPDATE_GOLDEN is 1.
#[track_caller]
pub fn check_golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|v| v == "1") {
        return json::write_file(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{name} differs (UPDATE_GOLDEN=1 accepts); got:\n{got}\nwant:\n{want}");
}

fn backend(spec: &str, precision: &str) -> BackendInfo {
    BackendInfo {
        spec: spec.into(),
        backend: "onnxruntime".into(),
        version: "1.23.0".into(),
        precision: precision.into(),
        computes: Some(if precision == "fp16" { Precision::Fp16 } else { Precision::Fp32 }),
        accumulate: None,
        weights: None,
        check: None,
        provider: "CPUExecutionProvider".into(),
        why: None,
    }
}

fn pow() -> Culprit {
    Culprit {
        node: NodeRef {
            name: "/norm/Pow".into(),
            op_type: "Pow".into(),
            domain: String::new(),
            index: 41,
            inputs: vec!["/norm/Sub_output_0".into(), "/norm/two".into()],
            outputs: vec!["/norm/Pow_output_0".into()],
            subgraph: None,
            torch: Some(Torch {
                scope: "norm".into(),
                module: Some("RMSNorm".into()),
                source: Some("/home/u/model.py:41 in forward".into()),
                by: KnownBy::Metadata,
            }),
            provider: None,
        },
        tensor: "/norm/Pow_output_0".into(),
        accumulated: overflowed(),
        local: Some(overflowed()),
        inputs_agree: true,
        given: Vec::new(),
        kind: Kind::Introduces,
        region: vec!["/norm/Pow".into()],
        engine: None,
        diagnosis: vec![Diagnosis {
            code: "fp16-overflow".into(),
            sure: Sure::Shown,
            evidence: "12 reference values are above 65504, the largest 8.10e4".into(),
            advice: "keep Pow, ReduceMean, Add and Sqrt in FP32, or export LayerNormalization (opset 17)".into(),
        }],
        why: None,
    }
}

fn softmax() -> Culprit {
    Culprit {
        node: NodeRef {
            name: "/attn/Softmax".into(),
            op_type: "Softmax".into(),
            domain: String::new(),
            index: 97,
            inputs: vec!["/attn/Add_output_0".into()],
            outputs: vec!["/attn/Softmax_output_0".into()],
            subgraph: Some("/if/then_branch".into()),
            torch: Some(Torch { scope: "attn".into(), by: KnownBy::Name, ..Torch::default() }),
            provider: None,
        },
        tensor: "/attn/Softmax_output_0".into(),
        accumulated: wrong(22.4, 0.037, 310, 4096),
        local: Some(right(66.2)),
        inputs_agree: true,
        given: Vec::new(),
        kind: Kind::Amplifies,
        region: vec!["/attn/Softmax".into()],
        engine: None,
        diagnosis: vec![],
        why: None,
    }
}

fn tensors() -> Vec<TensorResult> {
    use Status::*;
    let make = |name: &str, node: &str, status, metrics| tensor(name, node, &[1, 128, 32], status, metrics);
    let mut mask = make("/mask/Cast_output_0", "/mask/Cast", NotCompared, None);
    mask.why = Some("the candidate has no such tensor".into());
    let mut ids = tensor("input_ids", "", &[1, 128], Agrees, Some(right(f64::INFINITY)));
    ids.dtype = "int64".into();
    vec![
        ids,
        make("/emb/Gather_output_0", "/emb/Gather", Agrees, Some(right(73.1))),
        mask,
        make("/emb/Add_output_0", "/emb/Add", Agrees, Some(right(70.8))),
        make("/norm/ReduceMean_output_0", "/norm/ReduceMean", Agrees, Some(right(69.9))),
        make("/norm/Sub_output_0", "/norm/Sub", Agrees, Some(right(70.2))),
        make("/norm/Pow_output_0", "/norm/Pow", Diverges, Some(overflowed())),
        make("/norm/Add_output_0", "/norm/Add", Diverges, Some(wrong(13.0, 2.7, 900, 4096))),
        make("/norm/Div_output_0", "/norm/Div", Diverges, Some(wrong(12.2, 1.9, 1200, 4096))),
        make("/attn/MatMul_output_0", "/attn/MatMul", Agrees, Some(right(58.0))),
        make("/attn/Add_output_0", "/attn/Add", Agrees, Some(right(55.4))),
        make("/attn/Softmax_output_0", "/attn/Softmax", Diverges, Some(wrong(22.4, 0.037, 310, 4096))),
        make(
            "/encoder/layer.11/attention/self/a_very_long_scope_name_from_the_exporter/query/MatMul_output_0",
            "/encoder/layer.11/attention/self/a_very_long_scope_name_from_the_exporter/query/MatMul",
            Diverges,
            Some(wrong(9.7, 3.3, 2048, 4096)),
        ),
    ]
}

fn tensor(name: &str, node: &str, shape: &[usize], status: Status, metrics: Option<Metrics>) -> TensorResult {
    TensorResult {
        name: name.into(),
        node: node.into(),
        dtype: "float32".into(),
        shape: shape.into(),
        status,
        why: None,
        metrics,
    }
}

fn right(sqnr_db: f64) -> Metrics {
    let rel = 10f64.powf(-sqnr_db / 20.0);
    Metrics {
        max_abs: Real(3.0 * rel),
        mean_abs: Real(0.6 * rel),
        p99_abs: Real(2.2 * rel),
        max_rel: Real(8.0 * rel),
        mean_rel: Real(rel),
        rmse: Real(rel),
        cosine: Real(1.0 - rel * rel / 2.0),
        sqnr_db: Real(sqnr_db),
        max_ulp: Real(900.0 * rel),
        elements: 4096,
        ref_min: Real(-3.2),
        ref_max: Real(4.1),
        ..Metrics::default()
    }
}

fn wrong(sqnr_db: f64, max_abs: f64, mismatched: u64, elements: u64) -> Metrics {
    Metrics { max_abs: Real(max_abs), mismatched, elements, first_mismatch: vec![0, 2], ..right(sqnr_db) }
}

fn overflowed() -> Metrics {
    Metrics {
        cand_nonfinite: 12,
        ref_max: Real(8.1e4),
        overflow_fraction: Real(12.0 / 4096.0),
        first_mismatch: vec![0, 3, 17],
        ..wrong(14.1, f64::INFINITY, 12, 4096)
    }
}
