//! What deployment engineers do by hand around a bisection, on real models, in at most three commands each: scripts/stories.py.

mod common;

use std::process::Command;

use common::{python, real_model, root};

#[test]
fn every_story_ends_well() {
    real_model("rec.onnx");
    let output = Command::new(python())
        .arg(root().join("scripts/stories.py"))
        .arg(env!("CARGO_BIN_EXE_layerdiff"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = said.lines().filter(|line| line.starts_with("right")).count();
    assert!(output.status.success() && told == 5, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
