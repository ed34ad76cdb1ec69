//! Two TensorRTs against each other: `--trt-library` is the reference's, `--candidate-trt-library` the candidate's, each in a process
//! of its own. On the doubles of TensorRT 10 and 11, and as far as a machine without a GPU goes on TensorRT-RTX itself.

mod common;
#[path = "trt_search/network.rs"]
mod network;

use std::path::Path;
use std::process::Command;

use common::{Run, doubles, program, root, testdata, with_doubles};

/// Wrong on TensorRT 11 only.
const FAULT: &str = "route=fuse_pointwise:relu_4";

/// `layerdiff COMMAND MODEL -i DATA --reference trt --candidate trt MORE...` with these libraries.
fn run(command: &str, libraries: [&Path; 2], fault: &str, more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 30);
    let dir = tempfile::tempdir().unwrap();
    let mut program = program();
    program.arg(command).arg(&model).arg("-i").arg(&data).args(["--reference", "trt"]);
    if !more.contains(&"--candidate") {
        program.args(["--candidate", "trt"]);
    }
    program.arg("--trt-library").arg(libraries[0]).arg("--candidate-trt-library").arg(libraries[1]).args(more);
    program.arg("-o").arg(dir.path().join("out")).arg("--timing-cache").arg(dir.path().join("timing"));
    told(with_doubles(&mut program, fault), dir)
}

fn told(command: &mut Command, dir: tempfile::TempDir) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Run { status: output.status.code().unwrap_or(-1), stdout, stderr, dir }
}

fn double(version: u32) -> std::path::PathBuf {
    doubles().join(version.to_string())
}

#[test]
fn what_the_newer_version_does_wrong() {
    let found = run("bisect", [&double(10), &double(11)], FAULT, &[]);
    assert_eq!(found.status, 1, "{}{}", found.stdout, found.stderr);
    assert!(
        found.stdout.starts_with("diverged: 1 culprit in deep.onnx, trt 11.4.0 against trt 10.16.0"),
        "{}",
        found.stdout
    );
    let report = found.report();
    assert_eq!((report.reference.version.as_str(), report.candidate.version.as_str()), ("10.16.0", "11.4.0"));
    assert_eq!(report.culprits[0].node.name, "relu_4");
    // The reproducer names both libraries: it fails again from the disk.
    assert!(report.reduced.as_ref().is_some_and(|reduced| reduced.reproduces), "{:?}", report.reduced);
    let again = std::fs::read_to_string(found.dir.path().join("out/reduced/repro.sh")).unwrap();
    assert!(again.contains("--trt-library") && again.contains("--candidate-trt-library"), "{again}");
    for page in ["report.md", "report.html"] {
        let text = std::fs::read_to_string(found.dir.path().join("out").join(page)).unwrap();
        assert!(
            text.contains("tensorrt 10.16.0") && text.contains("tensorrt 11.4.0"),
            "{page}: both versions are told"
        );
    }
    // The other way round it is the reference that is wrong, and they part all the same.
    let turned = run("compare", [&double(11), &double(10)], FAULT, &[]);
    assert!(turned.status == 1 && turned.stdout.contains("trt 10.16.0 against trt 11.4.0"), "{}", turned.stdout);
    let healthy = run("compare", [&double(10), &double(11)], "", &[]);
    assert_eq!(healthy.status, 0, "{}{}", healthy.stdout, healthy.stderr);
}

#[test]
fn a_cure_is_the_candidates() {
    let report = run("bisect", [&double(10), &double(11)], FAULT, &["--by", "build-route"]).report();
    let routes = report.routes.unwrap();
    assert_eq!((routes.knobs, routes.verified), (vec!["-fuse_pointwise=off".to_string()], true));
}

#[test]
fn a_refusal_says_whose_library_it_is() {
    let gone = Path::new("/nowhere/libnvinfer.so.11");
    let of_candidate = run("compare", [&double(10), gone], "", &[]);
    assert_eq!(of_candidate.status, 3, "{}", of_candidate.stdout);
    assert!(
        of_candidate.stderr.contains("--candidate-trt-library names /nowhere/libnvinfer.so.11"),
        "{}",
        of_candidate.stderr
    );
    let of_reference = run("compare", [gone, &double(11)], "", &[]);
    assert!(of_reference.stderr.contains("layerdiff: --trt-library names /nowhere"), "{}", of_reference.stderr);
    let no_engine = run("compare", [&double(10), &double(11)], "", &["--candidate", "ort"]);
    assert_eq!(no_engine.status, 2, "{}", no_engine.stdout);
    assert!(
        no_engine.stderr.contains("--candidate-trt-library is another TensorRT, and 'ort' runs in none"),
        "{}",
        no_engine.stderr
    );
}

/// TensorRT-RTX itself, without a driver, beside the double: it is told by its version, whichever side it is.
#[test]
fn the_real_rtx_is_refused_as_the_side_that_it_is() {
    let rtx = root().join("target/tensorrt/onnxruntime_ep_nv_tensorrt_rtx");
    assert!(rtx.is_dir(), "{} is missing: run scripts/tensorrt.sh", rtx.display());
    if layerdiff::run::cuda::driver_is_present() {
        return;
    }
    let (model, data) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    let run = |sides: [&str; 4]| {
        let dir = tempfile::tempdir().unwrap();
        let mut program = program();
        program.arg("compare").arg(&model).arg("-i").arg(&data).args(sides).arg(&rtx);
        told(program.arg("-o").arg(dir.path().join("out")), dir)
    };
    for sides in [
        ["--candidate", "trt", "--reference=ort", "--candidate-trt-library"],
        ["--reference", "trt", "--candidate=ort", "--trt-library"],
    ] {
        let refused = run(sides);
        assert_eq!(refused.status, 3, "{sides:?}: {}", refused.stdout);
        assert!(
            refused.stderr.contains("no NVIDIA driver") && refused.stderr.contains("TensorRT-RTX 1."),
            "{}",
            refused.stderr
        );
    }
}
