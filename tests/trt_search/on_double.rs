//! layerdiff with a double of TensorRT around it.

use std::path::Path;
use std::process::Command;

use crate::common::{Run, doubles, program, with_doubles};

/// `layerdiff COMMAND MODEL ARGS...` with the double of a version around it; builds are logged beside the report.
pub fn run(version: u32, fault: &str, words: &str, model: &Path, inputs: &Path) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let output = command(version, fault, words, model, inputs, dir.path()).output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        dir,
    }
}

/// The same, before it runs.
pub fn command(version: u32, fault: &str, words: &str, model: &Path, inputs: &Path, dir: &Path) -> Command {
    let mut words = words.split_whitespace();
    let mut command = program();
    command.arg(words.next().unwrap()).arg(model).arg("-i").arg(inputs).args(words);
    command.arg("-o").arg(dir.join("out")).arg("--timing-cache").arg(dir.join("timing"));
    command.arg("--trt-library").arg(doubles().join(version.to_string()));
    command.env("LAYERDIFF_DOUBLE_LOG", dir.join("builds"));
    with_doubles(&mut command, fault);
    command
}
