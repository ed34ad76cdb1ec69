//! Every rule of `--check`, with commands that a shell really runs.

use std::process::Command;
use std::{env, fs, thread};

use prost::Message;

use super::*;
use crate::interrupt;
use crate::onnx::{GraphProto, ModelProto};
use crate::tensor::Tensor;

fn rules(fail_codes: &[i32], pass_codes: &[i32], fail_regexes: &[&str]) -> Rules {
    let fail_regexes = fail_regexes.iter().map(|r| pattern(r).unwrap()).collect();
    Rules { fail_codes: fail_codes.to_vec(), pass_codes: pass_codes.to_vec(), fail_regexes }
}

fn verdict_within(command: &str, rules: Rules, timeout: Option<Duration>) -> Verdict {
    let check = Check::new(&format!("{command} # {{model}}"), rules, timeout).unwrap();
    check.run(Path::new("/m.onnx"), None).unwrap()
}

fn verdict(command: &str, rules: Rules) -> Verdict {
    verdict_within(command, rules, None)
}

/// The verdicts under some rules on commands: F fails, P passes, anything else is why it is inconclusive.
fn check(rules: Rules, cases: &[(&str, &str)]) {
    for (command, want) in cases {
        let want = match *want {
            "F" => Verdict::Fails,
            "P" => Verdict::Passes,
            why => Verdict::Inconclusive(why.to_string()),
        };
        assert_eq!(verdict(command, rules.clone()), want, "{command} under {rules:?}");
    }
}

fn case() -> (Lean, Tensors) {
    let model = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
    let lean = Lean { bytes: model.encode_to_vec(), folder: env::temp_dir() };
    (lean, Tensors::from_iter([("x".to_string(), Tensor::f32(&[2], &[1.0, 2.0]))]))
}

#[test]
fn without_rules_only_1_fails() {
    let cases = [
        ("exit 0", "P"),
        ("echo error; exit 0", "P"),
        ("exit 1", "F"),
        ("exit 2", "exit status 2; it said nothing"),
        ("echo no; echo 'no such file' >&2; exit 7", "exit status 7; last words: no such file"),
        ("exit 255", "exit status 255; it said nothing"),
        ("echo so far so good; kill -SEGV $$", "killed by signal 11 (SIGSEGV); last words: so far so good"),
        ("sh -c 'kill -ABRT $$' 2>&-; exit $?", "killed by signal 6 (SIGABRT); it said nothing"),
        ("exit 139", "killed by signal 11 (SIGSEGV); it said nothing"),
        ("kill -KILL $$", "killed by signal 9 (SIGKILL: often a lack of memory); it said nothing"),
    ];
    check(rules(&[], &[], &[]), &cases);
    let Verdict::Inconclusive(why) = verdict("no-such-command-as-this", rules(&[], &[], &[])) else { panic!() };
    assert!(why.starts_with("exit status 127; last words: ") && why.contains("no-such-command-as-this"), "{why}");
}

#[test]
fn pass_codes_pass() {
    let cases = [("exit 0", "P"), ("exit 3", "P"), ("exit 1", "F"), ("exit 4", "exit status 4; it said nothing")];
    check(rules(&[], &[3, 5], &[]), &cases);
    check(rules(&[2], &[1], &[]), &[("exit 0", "P"), ("exit 1", "P"), ("exit 2", "F")]);
}

#[test]
fn exactly_the_fail_codes_fail() {
    let cases = [
        ("exit 0", "P"),
        ("exit 1", "exit status 1; it said nothing"),
        ("exit 2", "F"),
        ("exit 139", "F"),
        ("kill -SEGV $$", "F"),
        ("sh -c 'kill -SEGV $$'; exit $?", "F"),
        ("kill -KILL $$", "killed by signal 9 (SIGKILL: often a lack of memory); it said nothing"),
    ];
    check(rules(&[2, 139], &[], &[]), &cases);
    check(rules(&[0], &[1], &[]), &[("exit 0", "F"), ("exit 1", "P"), ("exit 2", "exit status 2; it said nothing")]);
}

#[test]
fn words_fail_whatever_the_exit_status() {
    let cases = [
        ("echo 'Error: no kernel for Gelu'", "F"),
        ("echo 'a NaN' >&2; exit 1", "F"),
        ("echo 'a NaN'; exit 7", "F"),
        ("echo 'a NaN'; kill -SEGV $$", "F"),
        ("echo 'Error: the disk is full'", "P"),
        ("exit 4", "P"),
        ("echo 'a NaN'; exit 4", "F"),
        ("echo why; exit 1", "it failed in another way: exit status 1; last words: why"),
        ("exit 3", "it failed in another way: exit status 3; it said nothing"),
        ("kill -SEGV $$", "it failed in another way: killed by signal 11 (SIGSEGV); it said nothing"),
    ];
    check(rules(&[], &[4], &["no kernel for \\w+", "NaN$"]), &cases);
    // Where words fail, 1 may pass.
    check(rules(&[], &[1], &["NaN"]), &[("exit 1", "P"), ("echo NaN; exit 1", "F")]);
}

#[test]
fn codes_and_words_fail_together() {
    let cases = [
        ("echo NaN; exit 2", "F"),
        ("echo NaN; kill -SEGV $$", "F"),
        ("echo why; exit 2", "no --fail-regex matches: exit status 2; last words: why"),
        ("echo NaN; exit 1", "it failed in another way: exit status 1; last words: NaN"),
        ("echo NaN; exit 0", "P"),
        ("echo NaN; exit 3", "P"),
    ];
    check(rules(&[2, 139], &[3], &["NaN"]), &cases);
    check(rules(&[0], &[], &["NaN"]), &[("echo NaN", "F"), ("exit 0", "no --fail-regex matches: exit status 0")]);
}

#[test]
fn words_are_found_line_by_line_and_stream_by_stream() {
    let fails = |command: &str, regex: &str| verdict(command, rules(&[], &[], &[regex])) == Verdict::Fails;
    assert!(fails("printf 'one\\ntwo\\nthree\\n'", "^two$"));
    assert!(fails("printf 'one\\r\\ntwo\\r\\n'", "^one$"));
    assert!(fails("printf 'one\\ntwo\\n' >&2", "one\\ntwo"));
    assert!(fails("printf '\\377NaN\\377\\376'", "^.*NaN"));
    assert!(!fails("printf NaN; printf ' here' >&2", "NaN here"));
}

#[test]
fn a_flood_of_garbage_is_read_to_the_end() {
    let flood = |before: &str, after: &str| {
        let noise = "head -c 12000000 /dev/urandom | tee /dev/stderr";
        verdict(&format!("{before}; {noise}; {after}; exit 1"), rules(&[], &[], &["^needle [0-9]+$"]))
    };
    assert_eq!(flood("echo needle 1", "echo"), Verdict::Fails);
    assert_eq!(flood(":", "echo >&2; echo needle 2 >&2"), Verdict::Fails);
    let Verdict::Inconclusive(why) = flood(":", "echo >&2; echo no needle >&2") else { panic!() };
    assert_eq!(why, "it failed in another way: exit status 1; last words: no needle");
}

#[test]
fn a_command_that_hangs_is_stopped() {
    let stopped = |command: &str, rules: Rules| {
        let verdict = verdict_within(command, rules, Some(Duration::from_millis(200)));
        let want = "not done within 0.2 s (--check-timeout), so it was stopped";
        assert_eq!(verdict, Verdict::Inconclusive(want.to_string()), "{command}");
    };
    stopped("sleep 60 & wait", rules(&[], &[], &[]));
    stopped("echo NaN; yes", rules(&[], &[], &["NaN"]));
    // Standard input is empty, so that a command that asks does not hang.
    assert_eq!(verdict_within("read answer", rules(&[], &[], &[]), Some(Duration::from_secs(60))), Verdict::Fails);
}

#[test]
fn the_command_gets_the_files_it_asks_for_and_they_go() {
    let (lean, feeds) = case();
    let told = tempfile::NamedTempFile::new().unwrap();
    let told = told.path();
    let run = |command: &str| {
        let check = Check::new(command, Rules::default(), None).unwrap();
        check.run_case(&lean, &feeds).unwrap()
    };
    let files =
        format!("echo {{model}} {{inputs}} > {}; test -s {{model}} && cp {{inputs}} {{model}}.copy", told.display());
    assert_eq!(run(&files), Verdict::Passes);
    let paths = fs::read_to_string(told).unwrap();
    let paths: Vec<&Path> = paths.split_whitespace().map(Path::new).collect();
    assert_eq!(paths.iter().map(|p| p.file_name().unwrap()).collect::<Vec<_>>(), ["model.onnx", "inputs.npz"]);
    assert!(!paths[0].parent().unwrap().exists());
    // Who does not ask for inputs gets none.
    assert_eq!(run("test $(ls $(dirname {model}) | wc -l) = 1"), Verdict::Passes);
    // The folder is the user's, for paths of theirs.
    let here = env::current_dir().unwrap();
    assert_eq!(run(&format!("test \"$(pwd -P)\" = '{}' # {{model}}", here.display())), Verdict::Passes);
}

#[test]
fn inputs_are_what_they_were() {
    let (lean, feeds) = case();
    let kept = tempfile::NamedTempFile::new().unwrap();
    let command = format!("cp {{inputs}} {} # {{model}}", kept.path().display());
    Check::new(&command, Rules::default(), None).unwrap().run_case(&lean, &feeds).unwrap();
    assert_eq!(npz::read(kept.path()).unwrap()["x"].view::<f32>().as_ref(), [1.0, 2.0]);
}

#[test]
fn lines_are_for_the_shell() {
    let check = Check::new("run {model} --in={inputs} {x} ${HOME}", Rules::default(), None).unwrap();
    assert!(check.wants_inputs());
    let line = check.line(Path::new("out dir/model.onnx"), Path::new("/i's.npz")).unwrap();
    assert_eq!(line, r"run 'out dir/model.onnx' --in='/i'\''s.npz' {x} ${HOME}");
    let error = check.run(Path::new("m.onnx"), None).unwrap_err().to_string();
    assert!(error.ends_with("it wants {inputs}, and there are none to give"), "{error}");
    let check = Check::new("run {model}", Rules::default(), None).unwrap();
    assert!(!check.wants_inputs());
    assert_eq!(check.line(Path::new("m"), Path::new("i")).unwrap(), "run m");
}

#[test]
fn odd_paths_reach_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("it's $a \"model\".onnx");
    fs::write(&model, "x").unwrap();
    for command in ["test -s {model}", "test -s \"{model}\"", "test -s '{model}'"] {
        let check = Check::new(command, Rules::default(), None).unwrap();
        assert_eq!(check.run(&model, None).unwrap(), Verdict::Passes, "{command}");
    }
}

#[test]
fn mistakes_are_one_sentence() {
    let check = |command: &str, rules: Rules, want: &str| {
        let error = Check::new(command, rules, None).unwrap_err().to_string();
        assert!(error.contains(want) && !error.contains('\n'), "{error}");
    };
    check("", Rules::default(), "--check '' lacks {model}");
    check("run {inputs} {Model}", Rules::default(), "lacks {model}");
    check("run {model}", rules(&[2, 3], &[4, 3], &[]), "exit status 3 is given both to --fail-code and to --pass-code");
    check("run {model}", rules(&[-11], &[], &[]), "--fail-code -11 is no exit status");
    check("run {model}", rules(&[], &[256], &[]), "--pass-code 256 is no exit status");
    check("run {model}", rules(&[], &[1], &[]), "with --pass-code 1 no exit status fails");
}

#[test]
fn several_run_at_once() {
    let (lean, feeds) = case();
    // Each waits until all have started.
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "cd {} && : > $$ && while test $(ls | wc -l) -lt 4; do sleep 0.01; done; test -s {{model}} && exit 1",
        folder.path().display()
    );
    let check = Check::new(&command, Rules::default(), Some(Duration::from_secs(60))).unwrap();
    let verdicts = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| check.run_case(&lean, &feeds).unwrap())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(verdicts, vec![Verdict::Fails; 4]);
}

#[test]
fn an_interrupted_run_has_no_verdict() {
    // An interruption is for a whole process: this test does it in another one, which runs this test only.
    const ALONE: &str = "LAYERDIFF_TEST_ALONE";
    if env::var_os(ALONE).is_none() {
        let name = "run::check::tests::an_interrupted_run_has_no_verdict";
        let test = Command::new(env::current_exe().unwrap()).args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let command = format!(": > {}; sleep 600 & wait; : {{model}}", started.display());
    let check = Check::new(&command, Rules::default(), None).unwrap();
    let run = || check.run(Path::new("m.onnx"), None);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !started.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            interrupt::request();
        });
        assert_eq!(run(), Err(RunError::Interrupted));
    });
    // And no further one starts.
    assert_eq!(run(), Err(RunError::Interrupted));
}
