//! How far a build is: shown on a terminal, and nowhere else. On the test doubles of TensorRT, which can be slow.

mod common;

use std::process::{Command, Output};

use common::{doubles, program, testdata, with_doubles};

/// Runs a command with a terminal as its standard streams, and prints what came to the terminal.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

fn compare(terminal: bool) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let program = program();
    let mut command = Command::new(if terminal { "python3".as_ref() } else { program.get_program() });
    if terminal {
        command.args(["-c", TERMINAL]).arg(program.get_program()).env("TERM", "xterm");
    }
    command.arg("compare").arg(testdata("layernorm_overflow/model.onnx")).args(["-c", "trt", "--inputs"]);
    command.arg(testdata("layernorm_overflow/inputs.npz")).arg("-o").arg(dir.path().join("out"));
    command.arg("--trt-library").arg(doubles().join("11")).arg("--timing-cache").arg(dir.path().join("timing"));
    with_doubles(&mut command, "slow_build=0.5").output().unwrap()
}

#[test]
fn a_terminal_shows_how_far_a_build_is() {
    let output = compare(true);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    let (_, step) = shown.split_once("; building: ").unwrap_or_else(|| panic!("no step is shown: {shown}"));
    let step = step.split(" (").next().unwrap();
    let (done, of) = step.rsplit_once(' ').and_then(|(_, count)| count.split_once('/')).unwrap_or_default();
    assert!(done.parse::<usize>().unwrap() <= of.parse().unwrap(), "{step}");
}

#[test]
fn a_file_shows_nothing() {
    let output = compare(false);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
