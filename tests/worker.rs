//! layerdiff as its own worker process, and what Ctrl-C does to whatever runs. One test: an interruption is for good.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use layerdiff::load::Lean;
use layerdiff::run::exec::Exec;
use layerdiff::run::ort::Provider;
use layerdiff::run::worker::{Task, Worker};
use layerdiff::run::{Backend, Job, RunError};
use layerdiff::{interrupt, tensor::Tensors};

#[test]
fn a_worker_says_what_it_lacks_and_an_interruption_ends_everything() {
    let task = Task::new(PathBuf::from("/not/here/libonnxruntime.so"), Provider::Cpu);
    let start = || Worker::start_with(Path::new(env!("CARGO_BIN_EXE_layerdiff")), &task).err();
    match start() {
        Some(RunError::Missing(why)) => assert!(why.contains("/not/here/libonnxruntime.so"), "{why}"),
        other => panic!("{other:?}"),
    }

    let soon = thread::spawn(|| {
        thread::sleep(Duration::from_millis(100));
        interrupt::request();
    });
    let lean = Lean { bytes: Vec::new(), folder: PathBuf::new() };
    let run = |command: &str| {
        let job = Job::new(lean.clone(), &[Tensors::new()], &["y".to_string()]);
        Exec::new(command, false).unwrap().run(&job).map(drop)
    };
    // The grandchild would hold the run for a minute if it survived.
    assert_eq!(run("sleep 60 & wait").unwrap_err(), RunError::Interrupted);
    soon.join().unwrap();
    assert_eq!(run("sleep 60").unwrap_err(), RunError::Interrupted);
    assert_eq!(start(), Some(RunError::Interrupted));
}
