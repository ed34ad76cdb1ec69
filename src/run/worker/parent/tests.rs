//! Workers as real processes: this test program starts itself, and `child` below is then the worker.

use std::collections::HashMap;

use super::*;
use crate::compare::Tolerance;
use crate::load::Lean;
use crate::run::fake::{self, Fake};
use crate::run::ort::Provider;
use crate::run::worker::{What, serve};
use crate::run::{Against, How, Observe, SessionOptions};
use crate::tensor::{Tensor, Tensors};

/// What the worker does in its next run, told in its environment.
const MODE: &str = "LAYERDIFF_TEST_WORKER";

/// Not a test: the worker process of the tests below.
#[test]
#[ignore = "the worker process of other tests"]
fn child() {
    let Ok(mode) = std::env::var(MODE) else { return };
    let _ = serve(move |task| match mode.as_str() {
        "missing" => match task.what {
            What::OnnxRuntime { library, .. } => Err(RunError::Missing(format!("{} is not here", library.display()))),
            _ => unreachable!(),
        },
        "dies at once" => std::process::abort(),
        _ => Ok(Box::new(fake(mode))),
    });
}

/// Gives back its inputs, with the model's bytes and folder beside them.
fn fake(mode: String) -> Fake {
    let (able, told) = (mode == "talks", mode.clone());
    let fake = if able { fake::talkative() } else { Fake::new(move |job| answer(&mode, job)) };
    fake.described(|about| {
        about.info.version = std::process::id().to_string();
        about.info.provider = told;
    })
}

fn answer(mode: &str, job: &Job) -> Result<Answer, RunError> {
    let (model, feeds, outputs) = (&job.model, &job.feeds, &job.outputs);
    let crash_now = model.bytes == b"crash";
    match mode {
        "noise" => print!("{{\"Done\":{{\"values\":[],\"built\":null}}}}\n{}", "x".repeat(200_000)),
        "fails" => return Err(RunError::Build { backend: "fake".to_string(), reason: "no".to_string() }),
        "hangs" => std::thread::sleep(Duration::from_secs(60)),
        "builds" => (1..=1000).for_each(step),
        "builds for ever" => (1..=usize::MAX).for_each(|number| {
            step(number);
            std::thread::sleep(Duration::from_millis(20));
        }),
        "panics" => panic!("out of ideas"),
        "exits" => std::process::exit(0),
        _ if crash_now => {
            eprintln!("vendor: assertion failed");
            std::process::abort()
        }
        _ => {}
    }
    let model = Tensor::strings(
        vec![2],
        vec![String::from_utf8_lossy(&model.bytes).into_owned(), model.folder.display().to_string()],
    );
    let pid = Tensor::i64(&[], &[i64::from(std::process::id())]);
    let extra = [("model".to_string(), model.unwrap()), ("pid".to_string(), pid)];
    let results = feeds.iter().map(|feed| feed.clone().into_iter().chain(extra.clone()));
    let values: Vec<Tensors> = results.map(|all| all.filter(|(name, _)| outputs.contains(name)).collect()).collect();
    Ok(values.into())
}

fn step(number: usize) {
    steps::tell(Some(&steps::Step { phase: "tactics".to_string(), step: number, of: 1000 }));
}

fn start(mode: &str) -> Result<Worker, RunError> {
    let task = Task {
        operators: Vec::new(),
        what: What::OnnxRuntime { library: "lib.so".into(), provider: Provider::Built("fake".to_string()) },
        env: vec![(MODE.to_string(), mode.to_string())],
    };
    let exe = std::env::current_exe().unwrap();
    Worker::start_command(&task, move || {
        let mut command = Command::new(&exe);
        command.args(["--ignored", "--exact", "run::worker::parent::tests::child", "--nocapture"]);
        command
    })
}

fn lean(bytes: &[u8]) -> Lean {
    Lean { bytes: bytes.to_vec(), folder: "/models".into() }
}

fn run(worker: &Worker, model: &[u8]) -> Result<Vec<Tensors>, RunError> {
    let feed = Tensors::from_iter([("x".to_string(), Tensor::f32(&[2], &[1.0, 2.0]))]);
    Ok(worker.run(&Job::new(lean(model), &[feed.clone(), feed], &["x", "model", "pid"].map(String::from)))?.values)
}

fn pid(results: &[Tensors]) -> i64 {
    results[0]["pid"].view::<i64>()[0]
}

#[test]
fn models_and_tensors_go_there_and_back() {
    let worker = start("echo").unwrap();
    assert_eq!((worker.about.info.backend.as_str(), worker.about.info.provider.as_str()), ("fake", "echo"));
    let (first, second) = (run(&worker, b"one").unwrap(), run(&worker, b"two").unwrap());
    assert_eq!(first.len(), 2);
    assert_eq!(first[1]["x"].view::<f32>().as_ref(), [1.0, 2.0]);
    assert_eq!(first[0]["model"].as_strings().unwrap(), ["one", "/models"]);
    assert_eq!(second[0]["model"].as_strings().unwrap(), ["two", "/models"]);
    assert_eq!(pid(&first), pid(&second), "the process lives on");
    assert_eq!(worker.about.info.version, pid(&first).to_string());
}

#[test]
fn results_outlive_the_worker() {
    let worker = start("echo").unwrap();
    let feed = Tensors::from_iter([("x".to_string(), Tensor::f32(&[1 << 20], &vec![0.5; 1 << 20]))]);
    let job = Job::new(lean(b"m"), std::slice::from_ref(&feed), &["x".to_string()]);
    let results = worker.run(&job).unwrap().values;
    drop(worker);
    assert!(results[0]["x"].identical(&feed["x"]));
}

#[test]
fn noise_on_stdout_is_no_answer() {
    assert_eq!(run(&start("noise").unwrap(), b"m").unwrap().len(), 2);
}

#[test]
fn a_refusal_comes_back_as_it_was() {
    assert_eq!(start("missing").err(), Some(RunError::Missing("lib.so is not here".to_string())));
    let worker = start("fails").unwrap();
    let no = RunError::Build { backend: "fake".to_string(), reason: "no".to_string() };
    assert_eq!(run(&worker, b"m").unwrap_err(), no);
    assert_eq!(run(&worker, b"m").unwrap_err(), no);
}

#[test]
fn a_crash_is_an_answer_and_the_next_run_has_a_new_process() {
    let worker = start("echo").unwrap();
    let before = pid(&run(&worker, b"m").unwrap());
    let error = run(&worker, b"crash").unwrap_err().to_string();
    assert_eq!(
        error,
        "ONNX Runtime with fake crashed: killed by signal 6 (SIGABRT); last words: vendor: assertion failed"
    );
    assert_ne!(pid(&run(&worker, b"m").unwrap()), before);
}

#[test]
fn a_process_that_died_idle_is_replaced_silently() {
    let worker = start("echo").unwrap();
    let before = pid(&run(&worker, b"m").unwrap());
    Command::new("sh").args(["-c", &format!("kill -s KILL {before}")]).status().unwrap();
    let process = worker.process.lock().unwrap();
    process.as_ref().unwrap().running.wait(None).unwrap();
    drop(process);
    assert_ne!(pid(&run(&worker, b"m").unwrap()), before);
}

#[test]
fn every_way_to_die_is_told() {
    let check = |mode: &str, want: &str| {
        let error = start(mode).and_then(|worker| run(&worker, b"m")).unwrap_err();
        assert!(matches!(&error, RunError::Crash { reason, .. } if reason.contains(want)), "{mode}: {error}");
    };
    check("dies at once", "signal 6 (SIGABRT)");
    check("panics", "out of ideas");
    check("exits", "ended without a reply");
}

#[test]
fn a_program_that_is_no_worker_is_told() {
    let task = Task::new("lib.so".into(), Provider::Cpu);
    let with = |script: &'static str| {
        let command = move || {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        Worker::start_command(&task, command).err().unwrap()
    };
    let reason = "killed by signal 11 (SIGSEGV); last words: bye".to_string();
    assert_eq!(with("echo bye; kill -SEGV $$"), RunError::Crash { backend: task.what.name(), reason });
    assert!(matches!(with("echo what >&0; sleep 60"), RunError::Garbage { .. }));
    let missing = Worker::start_with(std::path::Path::new("/not/here"), &task).err();
    assert!(matches!(missing, Some(RunError::Missing(_))), "{missing:?}");
}

#[test]
fn a_worker_that_hangs_is_stopped() {
    let mut worker = start("hangs").unwrap();
    worker.timeout = Some(Duration::from_millis(50));
    let error = run(&worker, b"m").unwrap_err().to_string();
    let want =
        "ONNX Runtime with fake failed while running the model: no answer within 0.05 s, so its process was stopped";
    assert_eq!(error, want);
}

#[test]
fn steps_of_a_build_are_heard_in_time() {
    let worker = start("builds").unwrap();
    let (tell, heard) = std::sync::mpsc::channel();
    let hearing = steps::hear(move |step| drop(tell.send(step.cloned())));
    assert_eq!(run(&worker, b"m").unwrap().len(), 2, "they are no answer");
    drop(hearing);
    let heard: Vec<Option<steps::Step>> = heard.iter().collect();
    // Other tests have ends of their own, and no steps.
    assert_eq!(heard.last(), Some(&None), "the end is told");
    let heard: Vec<steps::Step> = heard.into_iter().flatten().collect();
    assert_eq!(heard[0], steps::Step { phase: "tactics".to_string(), step: 1, of: 1000 });
    assert!(heard.len() < 1000, "the parent is flooded");
}

#[test]
fn steps_do_not_put_off_the_end_of_a_run() {
    let mut worker = start("builds for ever").unwrap();
    worker.timeout = Some(Duration::from_millis(50));
    assert!(run(&worker, b"m").unwrap_err().to_string().contains("no answer within 0.05 s"));
}

#[test]
fn a_dead_worker_leaves_no_files() {
    let worker = start("echo").unwrap();
    let rooms = worker.process.lock().unwrap().as_ref().unwrap().rooms.paths();
    let files = || rooms.iter().map(|r| std::fs::read_dir(r).unwrap().count()).sum::<usize>();
    run(&worker, b"m").unwrap();
    assert_eq!(files(), 0);
    run(&worker, b"crash").unwrap_err();
    assert!(!rooms.iter().any(|room| room.exists()));
}

/// What the parent's death does: its end of the socket closes, and nobody else tidies up.
fn check_orphan(mode: &str, order: Option<&[u8]>) {
    let worker = start(mode).unwrap();
    let mut process = worker.process.lock().unwrap().take().unwrap();
    if let Some(model) = order {
        let job = Packed::pack(&Job::new(lean(model), &[], &[]), &process.rooms.paths()).unwrap();
        process.send(&Order::Run(job)).unwrap();
    }
    let Process { running, socket, rooms } = process;
    drop(socket);
    assert!(running.wait(Some(Duration::from_secs(20))).is_some(), "{mode}: it lives on");
    assert!(!rooms.paths().iter().any(|room| room.exists()), "{mode}: its files are still there");
}

#[test]
fn a_worker_does_not_outlive_its_parent() {
    check_orphan("echo", None);
    check_orphan("hangs", Some(b"m"));
}

#[test]
fn every_question_and_ability_goes_through() {
    let worker = start("talks").unwrap();
    let (fake, about) = (fake::talkative(), worker.about().clone());
    let info = about.info.clone();
    assert_eq!(about, About { info, ..fake.about().clone() });
    let feed = Tensors::from([("x".to_string(), Tensor::f32(&[1], &[2.0]))]);
    let job = Job::new(lean(b"m"), &[feed], &["x".to_string()]);
    for question in fake::every_question(&job) {
        assert_eq!(worker.ask(&question).unwrap(), fake::told(&question));
    }
}

#[test]
fn a_job_arrives_whole() {
    let rooms = Rooms::open().unwrap();
    let feed = |x| Tensors::from([("x".to_string(), Tensor::f32(&[1], &[x]))]);
    let how = How {
        float32: vec!["n".to_string()],
        observe: Observe::Unfused,
        route: Some("-a=off".to_string()),
        held: true,
        session: SessionOptions::deployed(),
    };
    let tolerance = Tolerance { atol: 1.0, rtol: 2.0 };
    let against = Against {
        reference: vec![feed(3.0), feed(4.0)],
        tolerance: vec![HashMap::from([("x".to_string(), tolerance)]), HashMap::new()],
    };
    let job = Job { against: Some(against), ..Job::new(lean(b"m"), &[feed(1.0), feed(2.0)], &["x".to_string()]) };
    let sent = serde_json::to_string(&Packed::pack(&job.built(how.clone()), &rooms.paths()).unwrap()).unwrap();
    let come = serde_json::from_str::<Packed>(&sent).unwrap().open().unwrap();
    assert_eq!((come.model.bytes.as_slice(), &*come.model.folder), (&b"m"[..], std::path::Path::new("/models")));
    assert_eq!((come.how, come.outputs), (how, vec!["x".to_string()]));
    let x = |samples: &[Tensors]| samples.iter().map(|s| s["x"].view::<f32>()[0]).collect::<Vec<_>>();
    let against = come.against.unwrap();
    assert_eq!((x(&come.feeds), x(&against.reference)), (vec![1.0, 2.0], vec![3.0, 4.0]));
    assert_eq!((against.tolerance[0]["x"], against.tolerance[1].len()), (tolerance, 0));
}
