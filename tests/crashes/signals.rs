//! Signals: the report is there, the processes and the temporary folders are not.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::{program, testdata};

/// What a command of the user's starts: a child, a grandchild in the same process group, and one in a session of its own,
/// each of which says so in a file.
const SLOW: &str = "echo $$ > pid1; (sleep 60 & echo $! > pid2; setsid sh -c 'echo $$ > pid3; exec sleep 60' & wait); true {model} {inputs}";

/// All are to be gone by then, and a second was promised; a machine that does much else may take longer to say so.
const SOON: Duration = Duration::from_secs(8);

fn start(command: &str, folder: &Path) -> Child {
    let slow = match command {
        "reduce" => ["--check".to_string(), SLOW.to_string()],
        _ => ["--candidate".to_string(), format!("exec:{SLOW} {{outputs}}")],
    };
    let mut run = program();
    run.arg(command).arg(testdata("layernorm_overflow/model.onnx")).args(slow);
    run.arg("--inputs").arg(testdata("layernorm_overflow/inputs.npz")).args(["-o", "out"]);
    run.current_dir(folder).env("TMPDIR", folder.join("tmp")).stdout(Stdio::null()).stderr(Stdio::null());
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    run.spawn().unwrap()
}

fn id(folder: &Path, name: &str) -> Option<u32> {
    std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Zombies have ended.
fn lives(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Starts a run, waits until everything sleeps, sends the signal to it alone; its exit status.
fn signalled(command: &str, signal: &str, folder: &Path) -> Option<i32> {
    let mut run = start(command, folder);
    until("the command starts", || ["pid1", "pid2", "pid3"].iter().all(|name| id(folder, name).is_some()));
    assert!(Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
    let status = run.wait().unwrap();
    for name in ["pid1", "pid2", "pid3"] {
        until(&format!("{command} {signal}: {name} goes on"), || !lives(id(folder, name).unwrap()));
    }
    let left = || std::fs::read_dir(folder.join("tmp")).unwrap().count();
    until(&format!("{command} {signal}: temporary folders stay"), || left() == 0);
    status.code()
}

#[test]
fn every_wish_to_end_leaves_nothing_running() {
    for command in ["bisect", "compare", "reduce"] {
        for signal in ["-TERM", "-HUP", "-INT"] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(signalled(command, signal, dir.path()), Some(3), "{command} {signal}");
        }
    }
}

#[test]
fn what_kills_layerdiff_kills_what_it_started() {
    for command in ["bisect", "reduce"] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(signalled(command, "-KILL", dir.path()), None, "{command}");
    }
}

/// A shell starts background jobs with Ctrl-C ignored, and nohup with hang-ups ignored: so it stays.
#[test]
fn what_was_ignored_stays_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let quick = format!(
        "trap '' HUP INT; '{}' compare '{}' -i '{}' -c 'exec:sleep 0.5; cp {{inputs}} {{outputs}}; : {{model}}' -o out & pid=$!; sleep 0.2; kill -HUP $pid; kill -INT $pid; wait $pid; echo $?",
        env!("CARGO_BIN_EXE_layerdiff"),
        testdata("layernorm_overflow/model.onnx").display(),
        testdata("layernorm_overflow/inputs.npz").display(),
    );
    let output = Command::new("sh").args(["-c", &quick]).current_dir(dir.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("interrupted"), "{stderr}");
}

/// The next run that needs a folder removes what a killed one left.
#[test]
fn a_killed_run_is_tidied_up_after() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("layerdiff-left");
    std::fs::create_dir_all(left.join("inner")).unwrap();
    std::fs::write(left.join(".layerdiff-scratch"), "").unwrap();
    // One that merely has such a name.
    let kept = dir.path().join("layerdiff-kept");
    std::fs::create_dir(&kept).unwrap();
    let ran = program()
        .args(["compare", "-c", "exec:cp {inputs} {outputs}; : {model}"])
        .arg(testdata("layernorm_overflow/model.onnx"))
        .current_dir(dir.path())
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    assert!(!left.exists() && kept.is_dir(), "{}", String::from_utf8_lossy(&ran.stderr));
    std::fs::remove_dir(&kept).unwrap();
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().starts_with("layerdiff-")), "{names:?}");
}

/// Daemons and some CI runners hand SIGCHLD down ignored, which takes the ends of children from who waits for them.
#[test]
fn ends_of_children_are_heard_whoever_started_us() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!(
        "trap '' CHLD; exec '{}' bisect '{}' -i '{}' -c ort:fp16 -o out",
        env!("CARGO_BIN_EXE_layerdiff"),
        testdata("layernorm_overflow/model.onnx").display(),
        testdata("layernorm_overflow/inputs.npz").display(),
    );
    // dash cannot ignore it for others.
    let ran = Command::new("timeout").args(["60", "bash", "-c", &line]).current_dir(dir.path()).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The second run is of the same program, even where another file has taken its place.
#[cfg(target_os = "linux")]
#[test]
fn another_program_never_answers_for_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ld");
    std::fs::copy(env!("CARGO_BIN_EXE_layerdiff"), &program).unwrap();
    let once = "[ -e done ] && exec cp {inputs} {outputs}; : > done; rm ld; printf '#!/bin/sh\\necho IMPOSTOR\\n' > ld; \
                chmod +x ld; kill -FPE $PPID; sleep 5; : {model}";
    let ran = Command::new(&program)
        .args(["compare", "-c", &format!("exec:{once}"), "-o", "out", "-i"])
        .arg(testdata("layernorm_overflow/inputs.npz"))
        .arg(testdata("layernorm_overflow/model.onnx"))
        .current_dir(dir.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(3), "{stdout}{stderr}");
    assert!(!stdout.lines().any(|line| line == "IMPOSTOR") && stdout.contains("run again"), "{stdout}{stderr}");
}
