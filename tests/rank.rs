//! `layerdiff bisect` where the precision itself is the answer: no node is blamed, nodes are ranked, and the override is told.
//! Where there is a real reason, it stays the answer. On the emulation, on OpenVINO in FP16, and on the double of TensorRT.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Run, doubles, layerdiff, openvino, program, real_model, testdata, with_doubles};
use layerdiff::found::{Kind, Report, Status, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    verdict: Verdict,
}

/// A real model in a lower precision with more asked of it than that has.
fn tight(model: &str, candidate: &str, more: &[&str]) -> Run {
    let (file, data) = (real_model(&format!("{model}.onnx")), real_model(&format!("{model}.npz")));
    let args = ["-c", candidate, "-i", data.to_str().unwrap(), "--atol", "1e-4", "--rtol", "1e-3"];
    layerdiff("bisect", &file, &[args.as_slice(), more].concat())
}

/// Every row is ordered: what is worse than the precision, then by local error.
fn is_ordered(report: &Report) -> bool {
    let key = |row: &layerdiff::found::Ranked| (row.rho.is_some_and(|rho| rho.0 > 4.0), row.local.0);
    report.ranking.windows(2).all(|pair| key(&pair[0]) >= key(&pair[1]))
}

#[test]
fn rounding_under_a_tight_tolerance_blames_nobody() {
    let run = tight("rec", "ort:fp16", &["--no-overrides"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    let limited = report.precision_limited.as_ref().expect("not precision-limited");
    assert_eq!(limited.largest_rho.0, 1.0);
    assert!(limited.why.starts_with("every node is as wrong as FP16 makes it (largest rho 1"), "{}", limited.why);
    assert!(run.stdout.starts_with("diverged: precision-limited, no single culprit in rec.onnx"), "{}", run.stdout);
    assert!(run.stdout.contains("first beyond the tolerance: node \"p2o.Conv.0\""), "{}", run.stdout);
    assert!(report.ranking.len() == 20 && is_ordered(&report), "{:?}", report.ranking);
    for row in &report.ranking {
        let ordinary = (1e-5..1e-2).contains(&row.local.0) && row.emulated == Some(row.local);
        assert!(ordinary && row.rho.unwrap().0 == 1.0 && row.gain.is_none_or(|g| g.0 > 0.0), "{row:?}");
    }
    assert!(report.reduced.unwrap().reproduces);
    for page in ["report.html", "report.md"] {
        let text = std::fs::read_to_string(run.dir.path().join("out").join(page)).unwrap();
        assert!(text.contains("The nodes that the precision hurts most"), "{page}");
    }
}

/// Many are the first beyond the tolerance: one reproducer is enough. Most of the model in FP32 makes the outputs agree, which
/// nobody would call a cure: the answer is what the precision reaches, and what a part of the nodes buys.
#[test]
fn the_answer_goes_straight_to_what_nodes_in_fp32_buy() {
    let folder = testdata("healthy_transformer");
    let (model, data) = (folder.join("model.onnx"), folder.join("inputs.npz"));
    let args = ["-c", "ort:bf16", "-i", data.to_str().unwrap(), "--atol", "1e-3", "--rtol", "0"];
    let run = layerdiff("bisect", &model, &args);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    assert!(report.precision_limited.is_some(), "{}", run.stdout);
    // Those whose error a Softmax swallows are first beyond the tolerance as well, and told apart.
    assert!(report.culprits.len() + report.masked.len() > 1, "{}", run.stdout);
    assert!(!report.culprits.is_empty() && report.culprits.iter().all(|c| c.kind != Kind::Region), "{}", run.stdout);
    assert!(report.reproducers.is_empty(), "one is enough");
    let reduced = report.reduced.unwrap();
    assert!(reduced.reproduces);
    let local = |c: &layerdiff::found::Culprit| c.local.as_ref().map_or(f64::INFINITY, |l| l.sqnr_db.0);
    let computing = report.culprits.iter().filter(|c| !c.node.inputs.is_empty());
    let worst = computing.min_by(|a, b| local(a).total_cmp(&local(b))).unwrap();
    assert_eq!(reduced.culprit.as_deref(), Some(worst.tensor.as_str()));
    let cure = report.overrides.unwrap();
    let headline = run.stdout.lines().take(3).map(str::trim).collect::<Vec<_>>().join(" ");
    let told = format!("it takes {} of {} nodes in FP32 to agree, which is no cure", cure.nodes.len(), cure.of);
    assert!(cure.verified && cure.limited && cure.nodes.len() * 3 > cure.of && headline.contains(&told), "{headline}");
    let why = cure.why.unwrap();
    assert!(why.starts_with("BF16 cannot do this at this tolerance: it reaches "), "{why}");
    let bought = cure.curve.iter().filter(|(kept, _)| (1..=cure.of / 3).contains(kept));
    let (kept, least) = bought.copied().min_by(|a, b| a.1.0.total_cmp(&b.1.0)).unwrap();
    assert!(
        least.0 < cure.error_before.0 && why.contains(&format!("; {kept} of {} nodes in FP32 buy ", cure.of)),
        "{why}"
    );
    let out = run.dir.path().join("out");
    for page in ["report.html", "report.md", "overrides/README.md"] {
        let text = std::fs::read_to_string(out.join(page)).unwrap();
        assert!(text.contains("no cure") && !text.contains("verified</span>") && !text.contains("cure it"), "{page}");
    }
    assert!(run.stdout.contains("no cure: ") && !run.stdout.contains("verified: yes"), "{}", run.stdout);
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("<svg class=\"chart curve\""), "the curve is drawn");
}

/// In the tolerance that belongs to FP16, every fault of testdata/ has a reason of its own.
#[test]
fn a_reason_is_never_hidden_by_the_precision() {
    let mut seen = 0;
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("case.json")) else { continue };
        let case: Case = serde_json::from_str(&text).unwrap();
        if case.verdict != Verdict::Diverged || !["ort:fp16", "ort:bf16"].contains(&case.candidate.as_str()) {
            continue;
        }
        let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path().display().to_string());
        let samples: Vec<String> = files.filter(|p| p.ends_with(".npz")).collect();
        let mut args = vec!["-c", &case.candidate, "--no-reduce", "--no-overrides"];
        samples.iter().for_each(|s| args.extend(["-i", s]));
        let run = layerdiff("bisect", &folder.join("model.onnx"), &args);
        let report = run.report();
        assert!(report.precision_limited.is_none(), "{}: {}", folder.display(), run.stdout);
        assert!(is_ordered(&report) && !report.ranking.is_empty(), "{}", folder.display());
        seen += 1;
    }
    assert!(seen > 10, "{seen} cases");
}

#[test]
fn an_overflow_is_the_worst_of_all() {
    let data = real_model("magika.npz");
    let args = ["-c", "ort:fp16", "-i", data.to_str().unwrap(), "--no-reduce", "--no-overrides"];
    let report = layerdiff("bisect", &real_model("magika.onnx"), &args).report();
    assert!(report.precision_limited.is_none());
    let worst = &report.ranking[0];
    assert_eq!((worst.local.0, worst.node.as_str()), (f64::INFINITY, report.culprits[0].node.name.as_str()));
}

/// Which layers lose most is a question about outputs that agree as well; it changes neither verdict nor status.
#[test]
fn layers_that_lose_where_the_outputs_agree() {
    let (file, data) = (real_model("rec.onnx"), real_model("rec.npz"));
    let run = |more: &[&str]| {
        let run = layerdiff("bisect", &file, &[&["-c", "ort:fp16", "-i", data.to_str().unwrap()], more].concat());
        assert!(run.status == 0 && run.stdout.starts_with("agreed"), "{}{}", run.stdout, run.stderr);
        run
    };
    let plain = run(&[]).report();
    assert!(plain.ranking.is_empty() && plain.sensitivity.is_empty(), "nobody asked");
    for asked in [&["--sensitivity", "3"][..], &["--by", "precision", "--sensitivity", "3"]] {
        let run = run(asked);
        let report = run.report();
        assert!(report.ranking.len() == 20 && is_ordered(&report) && report.overrides.is_none(), "{asked:?}");
        assert_eq!((report.sensitivity.len(), report.verdict), (3, Verdict::Agreed));
        let small = |x: Option<layerdiff::found::Real>| x.is_some_and(|x| (0.0..0.05).contains(&x.0));
        assert!(report.sensitivity.iter().all(|row| small(row.promoted) && small(row.demoted)), "{report:?}");
        assert!(run.stdout.contains("worst in this precision") && run.stdout.contains("each alone"), "{}", run.stdout);
        for page in ["report.html", "report.md"] {
            let text = std::fs::read_to_string(run.dir.path().join("out").join(page)).unwrap();
            assert!(text.contains("The nodes that the precision hurts most") && text.contains("Sensitivity"), "{page}");
        }
        assert!(!run.wrote("overrides"));
    }
}

// ---- an engine

/// On the double of TensorRT 10, which computes in FP16 when it may.
fn engine(fault: &str, more: &[&str]) -> (Report, String) {
    let (folder, dir) = (testdata("healthy_transformer"), tempfile::tempdir().unwrap());
    let mut command = program();
    command.arg("bisect").arg(folder.join("model.onnx")).arg("-i").arg(folder.join("inputs.npz"));
    command.args(["-c", "trt:fp16", "--no-reduce"]).args(more).arg("-o").arg(dir.path());
    command.arg("--timing-cache").arg(dir.path().join("timing")).arg("--trt-library").arg(doubles().join("10"));
    let output = with_doubles(&mut command, fault).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    (serde_json::from_slice(&std::fs::read(dir.path().join("report.json")).unwrap()).unwrap(), stdout)
}

#[test]
fn a_kernel_that_is_worse_than_its_precision_comes_first() {
    let (report, stdout) = engine("wrong=ffn1_bias", &[]);
    let worst = &report.ranking[0];
    assert!(worst.node == "ffn1_bias" && worst.rho.unwrap().0 > 100.0, "{worst:?}");
    assert!(report.ranking[1..].iter().all(|row| row.rho.unwrap().0 < 4.0), "{:?}", report.ranking);
    assert!(report.precision_limited.is_none() && report.culprits[0].node.name == "ffn1_bias", "{stdout}");
}

#[test]
fn a_healthy_engine_is_as_good_as_its_precision() {
    let tight = ["--atol", "1e-4", "--rtol", "0"];
    let (report, stdout) = engine("", &tight);
    assert!(report.precision_limited.is_some_and(|l| l.largest_rho.0 < 4.0), "{stdout}");
    // Without overrides no engine is built for the ranking alone, and the culprits speak for themselves.
    let (report, stdout) = engine("", &[&tight[..], &["--no-overrides"]].concat());
    assert!(report.ranking.is_empty() && stdout.contains("the nodes are not ranked"), "{stdout}");
    let limited = report.precision_limited.unwrap_or_else(|| panic!("{stdout}"));
    assert!(limited.why.starts_with("every culprit is as wrong as FP16 makes it"), "{}", limited.why);
}

// ---- another execution provider

fn with_openvino(command: &str, model: &Path, args: &[&str]) -> (i32, Report, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut program: Command = program();
    program.arg(command).arg(model).args(args).arg("-o").arg(dir.path()).env("LAYERDIFF_ORT_OPENVINO", openvino());
    let output = program.output().unwrap();
    let report = std::fs::read(dir.path().join("report.json")).unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), serde_json::from_slice(&report).unwrap(), stdout)
}

/// Its errors are its own, and as large as those of the emulation.
#[test]
fn a_device_in_fp16_is_held_against_the_emulation() {
    let data = real_model("cls.npz");
    let args = ["-c", "ort-openvino:fp16", "-i", data.to_str().unwrap(), "--atol", "1e-5", "--rtol", "1e-3"];
    let more = ["--no-overrides", "--no-reduce"];
    let (status, report, stdout) = with_openvino("bisect", &real_model("cls.onnx"), &[args.as_slice(), &more].concat());
    assert_eq!(status, 1, "{stdout}");
    let limited = report.precision_limited.as_ref().unwrap_or_else(|| panic!("{stdout}"));
    assert!(limited.largest_rho.0 > 0.0 && limited.largest_rho.0 <= 4.0 && is_ordered(&report), "{limited:?}");
    assert!(report.ranking.iter().all(|row| row.emulated.is_some() && row.rho.is_some()), "{:?}", report.ranking);
    assert!(report.ranking.iter().any(|row| row.emulated != Some(row.local)), "the emulation was asked");
    assert!(stdout.contains("worst in this precision"), "{stdout}");
    let trust = report.trust.unwrap();
    assert_eq!((trust.repeat.as_str(), trust.tf32, trust.reference.is_none()), ("identical", None, true));
}

/// What a constant becomes in the converted model is not seen where it is handed out, which is in FP32: its reader shows it.
#[test]
fn a_constant_that_overflows_is_the_culprit_and_its_reader_reproduces_it() {
    let data = real_model("det.npz");
    let args = ["-c", "ort-openvino:fp16", "-i", data.to_str().unwrap(), "--no-overrides"];
    let (status, report, stdout) = with_openvino("bisect", &real_model("det.onnx"), &args);
    assert_eq!(status, 1, "{stdout}");
    let [culprit] = &report.culprits[..] else { panic!("{stdout}") };
    assert_eq!((culprit.tensor.as_str(), culprit.kind), ("batch_norm_0.w_2", Kind::Introduces));
    assert!(culprit.diagnosis.iter().any(|d| d.code == "fp16-overflow"), "{:?}", culprit.diagnosis);
    // The emulation stores it as the device does, so that its reader is as wrong as FP16 makes it.
    let reader = report.ranking.iter().find(|row| row.op_type == "BatchNormalization").expect("not ranked");
    assert!(reader.local.0 > 0.5 && reader.rho.is_some_and(|rho| (0.5..2.0).contains(&rho.0)), "{reader:?}");
    let reduced = report.reduced.unwrap();
    assert!(reduced.reproduces && reduced.nodes == 1, "{reduced:?}");
}

/// A reference that is no CPU is run twice before anything is compared with it, whatever the verdict.
#[test]
fn another_reference_is_tested_too() {
    let folder = testdata("layernorm_overflow");
    let (model, data) = (folder.join("model.onnx"), folder.join("inputs.npz"));
    for (candidate, status) in [("ort", 0), ("ort:fp16", 1)] {
        let args = ["-c", candidate, "--reference", "ort-openvino", "-i", data.to_str().unwrap(), "--no-reduce"];
        let (got, report, stdout) = with_openvino("bisect", &model, &args);
        assert_eq!(got, status, "{stdout}");
        assert_eq!(report.outputs[0].status == Status::Diverges, status == 1);
        let trust = report.trust.expect("nothing was tested");
        let reference = trust.reference.expect("the reference was not tested");
        // An emulation is asked once.
        let again = if candidate == "ort" { "identical" } else { "" };
        assert_eq!((reference.repeat.as_str(), reference.tf32, trust.repeat.as_str()), ("identical", None, again));
        if status == 1 {
            assert!(stdout.contains("the reference twice: identical"), "{stdout}");
            // No emulation runs there, so nothing is known of rho but where the candidate is one itself.
            assert!(report.ranking.iter().all(|row| row.rho.is_some_and(|rho| rho.0 == 1.0)));
        }
    }
}
