//! `bisect` with `trt` candidates on the test doubles of TensorRT 8.6, 10 and 11: planted faults that show, hide or move when
//! tensors are marked are found, with few builds. What the doubles do: tests/trt_double/double.hpp.

mod common;
#[path = "trt_search/network.rs"]
mod network;
#[path = "trt_search/on_double.rs"]
mod on_double;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Run, doubles, program, testdata, with_doubles};
use layerdiff::found::{Kind, Report, Verdict};
use on_double::{command, run};

const BOTH: [u32; 2] = [10, 11];

/// Engines that were built, as the double counts them.
fn builds(run: &Run) -> usize {
    std::fs::read_to_string(run.dir.path().join("builds")).unwrap_or_default().lines().count()
}

/// What is accused: the culprits' nodes, or the regions that they end.
fn accused(report: &Report) -> Vec<Vec<String>> {
    let told = |c: &layerdiff::found::Culprit| match c.kind {
        Kind::Region => c.region.clone(),
        _ => vec![c.node.name.clone()],
    };
    report.culprits.iter().map(told).collect()
}

#[test]
fn a_fault_among_600_nodes_takes_six_builds() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 600);
    let check = |version: u32, fault: &str, node: &str, most_nodes: usize| {
        let run = run(version, fault, "bisect --candidate trt --marks 16 --no-reduce", &model, &data);
        assert_eq!(run.status, 1, "TensorRT {version}, {fault}: {}\n{}", run.stdout, run.stderr);
        let report = run.report();
        let accused = accused(&report);
        let right = accused.len() == 1 && accused[0].iter().any(|n| n == node) && accused[0].len() <= most_nodes;
        assert!(right, "TensorRT {version}, {fault}: {accused:?}\n{}", run.stdout);
        let search = &report.search;
        // The last one has the culprit put right, and agrees.
        assert!(search.candidate_builds <= 6, "TensorRT {version}, {fault}: {} builds", search.candidate_builds);
        if fault == "wrong_fused=add_88" {
            let culprit = &report.culprits[0];
            assert_eq!(culprit.engine.as_ref().unwrap().nodes, ["matmul_88", "add_88", "relu_88"]);
            // Shown, so that what is likely is not told any more.
            assert_eq!(culprit.diagnosis[0].code, "fusion");
        }
        // The double counts no more than the report tells.
        let fusion = report.fusion.as_ref().map_or(0, |fusion| fusion.trials);
        let told = search.candidate_builds + search.trust_builds + search.proof_builds + fusion;
        assert!(builds(&run) <= told, "{} engines were built, {told} are told of", builds(&run));
        assert_eq!(search.perturbed, fault.contains("marked") || fault.contains("fused"), "{fault}");
    };
    for version in BOTH {
        for node in ["matmul_0", "add_57", "relu_100", "matmul_133", "add_197", "relu_199"] {
            check(version, &format!("wrong={node}"), node, 1);
        }
        // Away when it is marked: found by what survives fusion.
        check(version, "wrong_fused=relu_88", "relu_88", 3);
        check(version, "wrong_fused=add_88", "add_88", 3);
    }
    // Marking plants another fault: what a disturbed build says is not believed.
    check(11, "wrong=add_57;wrong_marked=relu_*", "add_57", 3);
    check(10, "wrong=relu_150;perturb_marked=relu_*", "relu_150", 3);
}

#[test]
fn every_way_of_seeing_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    for version in BOTH {
        for way in ["outputs", "debug", "unfused", "auto"] {
            let words = format!("bisect --candidate trt --no-reduce --observe {way}");
            let report = run(version, "wrong=relu_7", &words, &model, &data).report();
            assert!(accused(&report)[0].contains(&"relu_7".to_string()), "{version} {way}: {:?}", accused(&report));
            let want = if way == "auto" { "outputs" } else { way };
            assert_eq!(report.search.observed, [want]);
        }
    }
}

#[test]
fn a_healthy_engine_agrees_and_tf32_is_off_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    for version in BOTH {
        for (spec, status) in [("trt", 0), ("trt:tf32", 0)] {
            let run = run(version, "", &format!("bisect --candidate {spec}"), &model, &data);
            assert_eq!(run.status, status, "{version} {spec}: {}{}", run.stdout, run.stderr);
        }
        // The mantissas of TF32 are seen where FP32 is asked for.
        let words = "bisect --no-reduce --no-overrides --atol 1e-6 --rtol 1e-6 --candidate";
        assert_eq!(run(version, "", &format!("{words} trt"), &model, &data).status, 0);
        assert_eq!(run(version, "", &format!("{words} trt:tf32"), &model, &data).status, 1);
    }
}

/// No listener, no flag for the model's own types, no names in what the parser says: what 8.6 has is enough to find a fault.
#[test]
fn tensorrt_8_is_searched_by_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    assert_eq!(run(8, "", "bisect --candidate trt", &model, &data).status, 0);
    for (fault, node) in [("wrong=relu_7", "relu_7"), ("wrong=add_3;wrong_marked=relu_*", "add_3")] {
        let found = run(8, fault, "bisect --candidate trt --no-reduce", &model, &data);
        assert_eq!(found.status, 1, "{fault}: {}{}", found.stdout, found.stderr);
        let report = found.report();
        assert!(accused(&report)[0].contains(&node.to_string()), "{fault}: {:?}", accused(&report));
        assert_eq!(report.candidate.version, "8.6.1");
        assert_eq!(report.search.observed, ["outputs"]);
    }
    // Gone when it is marked, and nothing else can be looked at: nobody is accused alone.
    let hidden = run(8, "wrong_fused=relu_7", "bisect --candidate trt --no-reduce", &model, &data);
    let report = hidden.report();
    assert_eq!((hidden.status, report.culprits[0].kind), (1, Kind::Region), "{}", hidden.stdout);
    assert!(accused(&report)[0].contains(&"relu_7".to_string()), "{:?}", accused(&report));
    let typed = run(8, "", "bisect --candidate trt:fp16 --strongly-typed", &model, &data);
    assert_eq!(typed.status, 2);
    assert!(typed.stderr.contains("TensorRT 8.6.1 has no strongly typed networks; leave it out"), "{}", typed.stderr);
    for way in ["debug", "unfused"] {
        let unseen = run(8, "wrong=relu_7", &format!("bisect --candidate trt --observe {way}"), &model, &data);
        assert_eq!(unseen.status, 2, "{}", unseen.stdout);
        assert!(
            unseen.stderr.contains("--observe: tensorrt 8.6.1 cannot show tensors in this way"),
            "{}",
            unseen.stderr
        );
    }
    let bf16 = run(8, "", "bisect --candidate trt:bf16", &model, &data);
    assert_eq!(bf16.status, 3);
    assert!(bf16.stderr.contains("TensorRT 8.6.1 has no builder flag kBF16"), "{}", bf16.stderr);
    let refused = run(8, "unsupported=LeakyRelu", "bisect --candidate trt", &model, &data);
    assert!(refused.stderr.contains("'relu_0' (LeakyRelu)"), "{}", refused.stderr);
}

#[test]
fn a_candidate_that_cannot_be_trusted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let run_11 = |fault: &str| run(11, fault, "bisect --candidate trt --no-reduce", &model, &data);
    let flaps = run_11("nondeterministic=add_3");
    assert_eq!(flaps.status, 3, "{}", flaps.stdout);
    let report = flaps.report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.why.as_ref().unwrap().contains("does not answer the same twice"), "{:?}", report.why);
    let uneven = run_11("rows=add_3").report();
    assert!(uneven.trust.as_ref().unwrap().rows.contains("row 1 against row 0"), "{:?}", uneven.trust);
    let sound = run_11("wrong=add_3").report().trust.unwrap();
    assert_eq!((sound.repeat.as_str(), sound.rows.as_str()), ("identical", "identical"));
}

#[test]
fn failures_of_the_library_are_no_wrong_results() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let check = |fault: &str, words: &[&str]| {
        let run = run(10, fault, "bisect --candidate trt", &model, &data);
        assert_eq!(run.status, 3, "{fault}: {}", run.stdout);
        assert_eq!(run.report().verdict, Verdict::Inconclusive);
        words.iter().for_each(|w| assert!(run.stderr.contains(w), "{fault}: {}", run.stderr));
        assert_eq!(run.stderr.lines().filter(|l| l.contains("layerdiff:")).count(), 1, "{}", run.stderr);
    };
    check("crash_build", &["crashed"]);
    check("crash_run", &["crashed"]);
    check("fail_build=no kernel fits", &["could not build", "no kernel fits"]);
    check("unsupported=LeakyRelu", &["LeakyRelu", "relu_0"]);
    let stray = run(10, "", "bisect --candidate trt --profile q=1:2:3", &model, &data);
    assert_eq!(stray.status, 2);
    assert!(stray.stderr.contains("no input 'q'; it has x"), "{}", stray.stderr);
    // A mark that kills the library takes nothing else with it.
    let run = run(11, "wrong=add_9;crash_if_marked=relu_out_4", "bisect --candidate trt --no-reduce", &model, &data);
    assert!(accused(&run.report())[0].contains(&"add_9".to_string()), "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn ctrl_c_stops_a_long_build() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    // 8.6 has nobody to ask whether to go on: its process is ended.
    for version in [11, 8] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(version, "slow_build=60", "bisect --candidate trt", &model, &data, dir.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let stopped = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            child.try_wait().unwrap().is_some()
        });
        let _ = child.kill();
        assert!(stopped, "TensorRT {version}: the build of a minute went on for five seconds");
        let report = std::fs::read_to_string(dir.path().join("out/report.json"));
        assert!(report.is_ok_and(|text| serde_json::from_str::<Report>(&text).is_ok()), "no valid partial report");
    }
}

#[test]
fn the_knob_that_makes_it_appear() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let words = "bisect --candidate trt --by build-route";
    let found = run(11, "route=fuse_pointwise:relu_4", words, &model, &data);
    assert_eq!(found.status, 1, "{}", found.stderr);
    let routes = found.report().routes.unwrap();
    assert_eq!((routes.knobs, routes.verified), (vec!["-fuse_pointwise=off".to_string()], true));
    assert!(found.stdout.contains("-fuse_pointwise=off makes the outputs agree"), "{}", found.stdout);
    let none = run(11, "wrong=relu_4", words, &model, &data).report().routes.unwrap();
    assert!(none.knobs.is_empty() && !none.verified);
    let old = run(10, "wrong=relu_4", words, &model, &data);
    assert_eq!(old.status, 3);
    assert!(old.stderr.contains("11.1"), "{}", old.stderr);
}

#[test]
fn overrides_cure_both_families() {
    let (model, data) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    // The CPU under the double computes typed halves in FP32, so there a kernel is wrong in half precision only.
    for (version, fault, words) in
        [(8, "", ""), (10, "", ""), (10, "precision=ln_pow", "--strongly-typed"), (11, "precision=ln_pow", "")]
    {
        let found = run(version, fault, &format!("bisect --candidate trt:fp16 {words}"), &model, &data);
        assert_eq!(found.status, 1, "{version} {words}: {}{}", found.stdout, found.stderr);
        let report = found.report();
        let cure = report.overrides.unwrap();
        assert!(cure.verified && cure.minimal && cure.nodes.len() <= 3, "{version} {words}: {cure:?}");
        assert!(cure.latency_before.is_some() && cure.latency_after.is_some());
        assert!(found.stdout.contains("; latency "), "{}", found.stdout);
        assert!(report.reduced.is_some_and(|r| r.reproduces));
    }
    // A builder that does as it likes is told of.
    let sure = run(10, "ignore_obey=*", "bisect --candidate trt:fp16 --no-reduce", &model, &data).report();
    assert!(!sure.overrides.unwrap().verified, "nothing that is kept in FP32 is heeded");
    let blind = run(11, "precision=*", "bisect --candidate trt:fp16 --by precision", &model, &data);
    assert!(blind.report().why.unwrap().contains("no tensor inside was looked at"));
    assert!(blind.report().culprits.is_empty());
}

/// An engine that somebody built with other tools.
fn plan(version: u32, fault: &str, model: &Path, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("deep.plan");
    let mut smoke = Command::new(doubles().join(version.to_string()).join("smoke"));
    let built = with_doubles(&mut smoke, fault).arg(model).args(["--noTF32", "--save"]).arg(&path).output().unwrap();
    assert!(path.is_file(), "{}", String::from_utf8_lossy(&built.stdout));
    path
}

#[test]
fn a_ready_engine_is_compared_by_its_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    for version in [8, 10, 11] {
        let healthy = plan(version, "", &model, folder.path());
        let same = run(version, "", &format!("bisect --candidate trt@{}", healthy.display()), &model, &data);
        assert_eq!(same.status, 0, "{}{}", same.stdout, same.stderr);
        let wrong = plan(version, "wrong=relu_7", &model, folder.path());
        let found = run(version, "", &format!("bisect --candidate trt@{}", wrong.display()), &model, &data);
        assert_eq!(found.status, 1, "{}", found.stderr);
        let report = found.report();
        assert_eq!(
            (report.culprits[0].kind, report.culprits[0].region.len()),
            (Kind::Region, 60),
            "nothing inside is seen"
        );
        // Of another version, the engine is refused and nothing is concluded.
        let other = run(
            if version == 10 { 11 } else { 10 },
            "",
            &format!("bisect --candidate trt@{}", wrong.display()),
            &model,
            &data,
        );
        assert_eq!(other.status, 3, "{}", other.stdout);
        let lowered = run(version, "", &format!("bisect --candidate trt:fp16@{}", wrong.display()), &model, &data);
        assert_eq!(lowered.status, 2, "{}", lowered.stderr);
        assert!(lowered.stderr.contains("built in"), "{}", lowered.stderr);
    }
}

#[test]
fn an_engine_says_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = network::deep(folder.path(), 60);
    let engine = plan(11, "", &model, folder.path());
    let mut inspect = program();
    inspect.arg("inspect").arg(&engine).arg("--trt-library").arg(doubles().join("11"));
    let shown = with_doubles(&mut inspect, "").output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    for part in ["20 layers", "20 FP32", "matmul_0, add_0, relu_0", "float32[2,8]"] {
        assert!(text.contains(part), "'{part}' is missing:\n{text}");
    }
    let mut against = program();
    against.arg("inspect").arg(&engine).arg("--against").arg(&model).arg("--trt-library").arg(doubles().join("11"));
    assert_eq!(with_doubles(&mut against, "").output().unwrap().status.code(), Some(0));
}
