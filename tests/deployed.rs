//! The verdict is that of the session that people deploy: what only that session makes of a model is found, shown, cut out, and
//! gone with the optimizer turned off.

mod common;

use std::process::Command;

use common::{case, layerdiff, openvino, program, testdata};
use layerdiff::found::{Kind, Report, Sure, Verdict};

/// `bisect` of a case of testdata whose candidate is `ort`, or its second file.
fn run(name: &str, more: &[&str]) -> common::Run {
    let file = testdata(&format!("{name}/candidate.onnx"));
    let candidate = if file.exists() { format!("ort@{}", file.display()) } else { "ort".to_string() };
    let args: Vec<&str> = ["-c", &candidate].into_iter().chain(more.iter().copied()).collect();
    case(name, &args)
}

/// The reproducer that was written, compared again with these flags; its exit status.
fn again(run: &common::Run, flags: &[&str]) -> Option<i32> {
    let reduced = run.dir.path().join("out/reduced");
    let mut command = program();
    command
        .arg("compare")
        .arg(reduced.join("model.onnx"))
        .args(["-c", "ort", "-i"])
        .arg(reduced.join("test_data_set_0"));
    command.args(flags).arg("-o").arg(run.dir.path().join("again")).output().unwrap().status.code()
}

#[test]
fn an_optimizer_is_to_blame() {
    let run = run("fused_division", &[]);
    let report = run.report();
    assert_eq!(run.status, 1, "{}", run.stderr);
    let session = report.session.as_ref().unwrap();
    assert_eq!(
        (session.optimization.as_str(), session.prepacking, session.plain),
        ("all", true, Some(Verdict::Agreed))
    );
    let found = session.optimizers.as_ref().unwrap();
    assert_eq!(
        (found.names.as_slice(), found.verified, found.minimal),
        (&["DivMulFusion".to_string()][..], true, true)
    );
    assert_eq!(found.made[0].from, ["inverse", "times"]);
    let [culprit] = &report.culprits[..] else { panic!("{:?}", report.culprits) };
    assert_eq!((culprit.kind, culprit.region.as_slice()), (Kind::Region, &["inverse".to_string(), "times".into()][..]));
    let [cause] = &culprit.diagnosis[..] else { panic!("{:?}", culprit.diagnosis) };
    assert_eq!((cause.code.as_str(), cause.sure), ("optimizer", Sure::Shown));
    // The reproducer fails as it is deployed, and without the optimizer it does not.
    assert!(report.reduced.as_ref().is_some_and(|reduced| reduced.reproduces), "{:?}", report.reduced);
    let off = "optimization.disable_specified_optimizers=DivMulFusion";
    assert_eq!(again(&run, &[]), Some(1));
    assert_eq!(again(&run, &["--session-option", off]), Some(0));
    assert_eq!(again(&run, &["--optimization", "off"]), Some(0));
}

#[test]
fn the_optimizers_alone() {
    let report = run("fused_division", &["--by", "optimizer"]).report();
    assert!(report.culprits.is_empty() && report.tensors.len() <= 1, "no tensor inside is looked at");
    assert_eq!(report.session.unwrap().optimizers.unwrap().names, ["DivMulFusion"]);
    // Where the plain session fails alike, none is to blame.
    let alike = run("wrong_attribute", &["--by", "optimizer"]);
    assert!(alike.stdout.contains("the plain session") && alike.stdout.contains("fails alike"), "{}", alike.stdout);
    assert_eq!(alike.report().session.unwrap().optimizers, None);
    let emulated = case("layernorm_overflow", &["-c", "ort:fp16", "--by", "optimizer"]);
    assert!(emulated.status == 2 && emulated.stderr.contains("ort@MODEL"), "{}", emulated.stderr);
}

#[test]
fn the_packing_of_weights_is_to_blame() {
    let flags = ["--atol", "1e-3", "--rtol", "1e-3"];
    let run = run("packed_four_bits", &flags);
    let report = run.report();
    assert_eq!((run.status, report.culprits[0].node.name.as_str()), (1, "fc"), "{}", run.stderr);
    let session = report.session.unwrap();
    assert_eq!(
        (session.plain, session.optimizers.unwrap().names),
        (Some(Verdict::Agreed), vec!["prepacking".to_string()])
    );
    let packed = "session.disable_prepacking=1";
    let off = [&flags[..], &["--session-option", packed]].concat();
    assert_eq!(self::run("packed_four_bits", &off).status, 0);
}

#[test]
fn what_fails_alike_is_searched_in_the_plain_session() {
    let report = run("wrong_attribute", &[]).report();
    assert_eq!(report.session.unwrap().plain, Some(Verdict::Diverged));
    assert_eq!((report.culprits[0].node.name.as_str(), report.search.perturbed), ("leaky", false));
}

#[test]
fn the_plain_session_on_request() {
    let off = run("fused_division", &["--optimization", "off"]);
    let session = off.report().session.unwrap();
    assert_eq!((off.status, session.optimization.as_str(), session.prepacking), (0, "off", false));
    let basic = run("fused_division", &["--optimization", "basic"]);
    assert_eq!((basic.status, basic.report().session.unwrap().optimization), (1, "basic".to_string()));
}

#[test]
fn a_session_that_is_refused_is_no_verdict() {
    let run = run("wrong_attribute", &["--session-option", "optimization.minimal_build_optimizations=bogus"]);
    let report = run.report();
    assert_eq!((run.status, report.verdict), (3, Verdict::Inconclusive), "{}", run.stderr);
    assert!(
        report.why.is_some_and(|why| why.contains("minimal_build_optimizations: bogus")),
        "the runtime's own words"
    );
}

#[test]
fn two_versions_of_the_runtime() {
    let other = openvino().display().to_string();
    let (model, inputs) = (testdata("healthy_transformer/model.onnx"), testdata("healthy_transformer/inputs.npz"));
    let args = ["-c", "ort", "-i", inputs.to_str().unwrap(), "--candidate-ort-library", &other];
    let run = layerdiff("compare", &model, &args);
    let report: Report = run.report();
    assert_eq!((run.status, report.candidate.version.as_str()), (0, "1.24.1"), "{}", run.stderr);
    assert_ne!(report.reference.version, report.candidate.version);
    let stored = layerdiff(
        "compare",
        &model,
        &["-c", "exec:true {model} {inputs} {outputs}", "--candidate-ort-library", &other],
    );
    assert!(stored.status == 2 && stored.stderr.contains("another ONNX Runtime"), "{}", stored.stderr);
}

#[test]
fn a_reproducer_of_a_plain_failure_says_so() {
    let run = run("wrong_attribute", &[]);
    let script = std::fs::read_to_string(run.dir.path().join("out/reduced/repro.sh")).unwrap();
    assert!(script.contains("--optimization off"), "{script}");
    let status = Command::new("sh")
        .arg(run.dir.path().join("out/reduced/repro.sh"))
        .env("LAYERDIFF", env!("CARGO_BIN_EXE_layerdiff"))
        .arg("layerdiff")
        .output()
        .unwrap();
    assert_eq!(status.status.code(), Some(1), "{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
fn models_that_only_the_deployed_session_breaks() {
    let program = env!("CARGO_BIN_EXE_layerdiff");
    let said = common::run_python(["scripts/optimizer_faults.py", program, "--cases", "15"]);
    assert!(said.contains(" of 15 are right") || said.contains(" of 14 are right"), "{said}");
}
