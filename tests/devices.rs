//! `--devices`: several workers at a time give the answer of one. On the double of the CUDA driver with several devices, and with
//! real ONNX Runtimes on the CPU in place of GPUs.

mod common;
#[path = "trt_search/network.rs"]
mod network;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::{Run, bisect, bisect_in, doubles, layerdiff, program, testdata, with_doubles};
use layerdiff::found::{Report, Verdict};
use layerdiff::run::ort::{Provider, library};
use layerdiff::run::pool::Pool;
use layerdiff::run::worker::{Task, Worker};
use layerdiff::run::{About, Answer, Backend, Job, Question, RunError, Told};

/// ONNX Runtime on the CPU, a process for each device.
fn on_cpu(devices: &[usize]) -> Pool<Worker> {
    let task = Task::new(library::find(None).unwrap().path, Provider::Cpu);
    let exe = Path::new(env!("CARGO_BIN_EXE_layerdiff"));
    Pool::start(devices, |device| Worker::start_with(exe, &task.clone().on(device))).unwrap()
}

/// What must not depend on the number of workers: culprits, the cure but for what it cost, sensitivity.
fn answers(report: &Report) -> String {
    let mut cure = report.overrides.clone();
    if let Some(cure) = &mut cure {
        cure.builds = 0;
        (cure.latency_before, cure.latency_after, cure.price) = (None, None, None);
        cure.files.clear();
    }
    format!("{:#?}\n{:#?}\n{:#?}\n{:#?}", report.verdict, report.culprits, cure, report.sensitivity)
}

/// The reproducers' files, and what is said of them.
fn reproducers(report: &Report, out: &Path) -> Vec<(Vec<u8>, usize, bool)> {
    let made = if report.reproducers.is_empty() {
        report.reduced.iter().collect()
    } else {
        Vec::from_iter(&report.reproducers)
    };
    let file = |reduced: &layerdiff::found::Reduced| fs::read(out.join(&reduced.path));
    made.into_iter().map(|reduced| (file(reduced).unwrap(), reduced.nodes, reduced.minimal)).collect()
}

#[test]
fn two_workers_find_what_one_finds() {
    let dir = tempfile::tempdir().unwrap();
    let check = |case: &str, words: &[&str], culprits: usize| {
        let run = |devices: &[usize]| {
            let out = dir.path().join(format!("{case}{}{}", words.concat(), devices.len()));
            let report = bisect_in(Box::new(on_cpu(devices)), case, words, &out);
            assert_eq!((report.verdict, report.culprits.len()), (Verdict::Diverged, culprits), "{case} {words:?}");
            assert!(report.overrides.as_ref().unwrap().verified, "{case} {words:?}");
            let cut = reproducers(&report, &out);
            assert!(!cut.is_empty());
            (report, cut, out)
        };
        let ((one, cut_by_one, out), (two, cut_by_two, _)) = (run(&[0]), run(&[0, 1]));
        assert_eq!(answers(&one), answers(&two), "{case} {words:?}");
        assert!(cut_by_one == cut_by_two, "{case} {words:?}: other reproducers");
        // The program itself is what proves a reproducer, and here it is the test.
        let model = out.join(&one.reduced.unwrap().path);
        let data = model.with_file_name("test_data_set_0");
        let proof = layerdiff("compare", &model, &["-c", "ort:fp16", "-i", data.to_str().unwrap()]);
        assert_eq!(proof.status, 1, "{case}: {}{}", proof.stdout, proof.stderr);
    };
    check("layernorm_overflow", &["--strategy", "scan"], 1);
    check("layernorm_overflow", &["--strategy", "bisect", "--marks", "2"], 1);
    check("matmul_add_sub_65504", &["--strategy", "bisect", "--marks", "1"], 1);
    check("two_faults_two_branches", &["--strategy", "bisect", "--marks", "3"], 2);
}

/// Two calls that are inside at the same time, or the first ones wait for seconds and nobody comes.
struct Meeting {
    pool: Pool<Worker>,
    inside: Mutex<usize>,
    arrived: Condvar,
    met: Arc<AtomicBool>,
}

impl Backend for Meeting {
    fn about(&self) -> &About {
        self.pool.about()
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let mut inside = self.inside.lock().unwrap();
        *inside += 1;
        if *inside > 1 {
            self.met.store(true, Ordering::SeqCst);
            self.arrived.notify_all();
        }
        let alone = |_: &mut usize| !self.met.load(Ordering::SeqCst);
        drop(self.arrived.wait_timeout_while(inside, Duration::from_secs(5), alone).unwrap());
        let answer = self.pool.run(job);
        *self.inside.lock().unwrap() -= 1;
        answer
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.pool.ask(question)
    }
}

#[test]
fn a_round_of_the_search_is_several_builds_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let met = Arc::new(AtomicBool::new(false));
    let backend = Meeting { pool: on_cpu(&[0, 1]), inside: Mutex::new(0), arrived: Condvar::new(), met: met.clone() };
    let words = ["--strategy", "bisect", "--marks", "2", "--no-reduce", "--no-overrides"];
    let report = bisect_in(Box::new(backend), "layernorm_overflow", &words, dir.path());
    assert!(met.load(Ordering::SeqCst), "one build waited for the other");
    // The unmarked run, and each build of each round.
    assert!(report.search.candidate_builds >= 3, "{:?}", report.search);
}

/// `layerdiff COMMAND MODEL WORDS...` on the doubles of TensorRT and of a driver with three GPUs.
fn on_doubles(version: u32, fault: &str, words: &str, (model, inputs): (&Path, &Path)) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program();
    let mut words = words.split_whitespace();
    command.arg(words.next().unwrap()).arg(model).arg("-i").arg(inputs).args(words);
    command.arg("-o").arg(dir.path().join("out")).arg("--timing-cache").arg(dir.path().join("timing"));
    command.arg("--trt-library").arg(doubles().join(version.to_string()));
    let output = with_doubles(&mut command, fault).env("LAYERDIFF_DOUBLE_GPUS", "3").output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        dir,
    }
}

#[test]
fn several_gpus_build_engines_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 600);
    let deep = (model.as_path(), data.as_path());
    let culprits = |run: &Run| {
        assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
        let report = run.report();
        assert!(report.reduced.as_ref().is_some_and(|r| r.reproduces), "{:?}", report.reduced);
        (report.culprits.iter().map(|c| (c.node.name.clone(), c.region.clone())).collect::<Vec<_>>(), report.search)
    };
    // Wrong in any engine, and wrong only where it is not marked.
    for fault in ["wrong=add_57", "wrong_fused=relu_88"] {
        let bisect = |devices: &str| {
            let words = format!("bisect -c trt --marks 4 --no-overrides {devices}");
            culprits(&on_doubles(11, fault, &words, deep))
        };
        let ((one, alone), (three, together)) = (bisect("--device 2"), bisect("--devices 2,0,1"));
        assert_eq!(one, three, "{fault}");
        assert!(together.candidate_builds <= 3 * alone.candidate_builds, "{together:?}, {alone:?}");
    }
    let (model, data) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    for (version, fault) in [(10, ""), (11, "precision=ln_pow")] {
        let cure = |devices: &str| {
            let run = on_doubles(version, fault, &format!("bisect -c trt:fp16 {devices}"), (&model, &data));
            let report = run.report();
            (report.candidate.provider.clone(), report.overrides.as_ref().unwrap().verified, answers(&report))
        };
        let (one, two) = (cure("--devices 0"), cure("--devices 0,2"));
        assert!(two.0.ends_with("compute capability 9.0; devices 0, 2 side by side"), "{}", two.0);
        assert!(one.1 && one.0.ends_with("compute capability 9.0"), "{}", one.0);
        assert_eq!(one.2, two.2, "TensorRT {version}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let (model, data) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    let run = on_doubles(11, "", "compare -c trt --devices 0,7", (&model, &data));
    assert_eq!(run.status, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("there is no GPU number 7: 3 here, counted from 0"), "{}", run.stderr);
}

#[test]
fn a_machine_without_a_driver_says_so() {
    if layerdiff::run::cuda::driver_is_present() {
        println!("skipped: a_machine_without_a_driver_says_so: there is one");
        return;
    }
    // A build with the provider is there, as far as its files tell.
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("libonnxruntime.so");
    fs::copy(library::find(None).unwrap().path, &fake).unwrap();
    fs::write(dir.path().join("libonnxruntime_providers_cuda.so"), "").unwrap();
    for devices in ["0", "0,1", "1"] {
        let run = program()
            .args(["compare", "-c", "ort-cuda", "--devices", devices, "-o"])
            .arg(dir.path().join("out"))
            .arg(testdata("layernorm_overflow/model.onnx"))
            .env("LAYERDIFF_ORT_CUDA", &fake)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(3) && said.contains("no NVIDIA driver here"), "{devices}: {said}");
    }
}

#[test]
fn gpus_are_for_candidates_that_have_them() {
    let model = testdata("layernorm_overflow/model.onnx");
    for candidate in ["ort:fp16", "ort-openvino", "saved:x.npz"] {
        let run = bisect(&model, &[&"-c", &candidate, &"--devices", &"0,1"]);
        assert_eq!(run.status, 2, "{candidate}: {}", run.stderr);
        assert!(run.stderr.contains("--devices 0,1 names GPUs for ort-cuda and trt"), "{}", run.stderr);
    }
}
