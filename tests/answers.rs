//! layerdiff always answers: spoilt files, ONNX's own tests of every operator, kills at random instants, models that kill ONNX
//! Runtime. The scripts do the work and say what each run must fulfil; here they run small, from printed seeds.

mod common;

use std::process::Command;

use common::root;

/// Runs a script of scripts/ on the program under test, in the environment that scripts/venv.sh made; it must be content.
fn script(name: &str, args: &[&str]) -> String {
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    let mut command = Command::new(python);
    // Inside already: nothing is fetched in the middle of a test.
    command.env("LAYERDIFF_INSIDE_VENV", "tools").arg(root().join("scripts").join(name)).args(args);
    let output = command.args(["--layerdiff", env!("CARGO_BIN_EXE_layerdiff")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn spoilt_files() {
    let said = script("mutate.py", &["--count", "2000", "--small", "--seed", "1"]);
    assert!(said.contains("2000 cases") && said.contains("all were answers"), "{said}");
}

#[test]
fn onnxs_own_tests() {
    let said = script("node_tests.py", &["--sample", "80"]);
    assert!(said.contains("80 tests of onnx") && said.contains("all were answers"), "{said}");
}

#[test]
fn kills_and_signals() {
    let said = script("kills.py", &["--kills", "3", "--stops", "4", "--small"]);
    assert!(said.contains("3 kills") && said.contains("compare: stopped 4 times; 0 problems"), "{said}");
}

#[test]
fn crashes_of_onnx_runtime() {
    let said = script("crashers.py", &[]);
    assert!(said.contains("29 of 29 answers are right"), "{said}");
}
