//! `exec:'CMD {model} {inputs} {outputs}'`: bring your own backend. The command reads an .onnx and an .npz and writes an
//! .npz; what runs the model is its own business. Knows files and processes, no tensor's meaning.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::child::{Ending, Keep};
use super::job::each;
use super::{About, Answer, Backend, Doubt, Job, Question, RunError, Timed, Told, command};
use crate::found::BackendInfo;
use crate::load::own::{Copies, Desk};
use crate::load::{materialise, npz};
use crate::names::few;
use crate::tensor::Tensors;

/// Seconds that one run of the command may take.
pub const TIMEOUT: &str = "LAYERDIFF_EXEC_TIMEOUT";

/// After this a command is not timed once more.
const PATIENCE: Duration = Duration::from_secs(10);

/// As messages call it.
const NAME: &str = "the exec command";

/// A command of the user's.
pub struct Exec {
    about: About,
    command: String,
    timeout: Option<Duration>,
    /// Weights of large models, for all its runs.
    copies: Copies,
}

impl Exec {
    /// `command` contains `{model}`, `{inputs}` and `{outputs}`; `once`: it is never run again on the same data, to see whether
    /// it gives the same.
    pub fn new(command: &str, once: bool) -> anyhow::Result<Exec> {
        let mut exec = Exec::with(command, timeout()?);
        exec.about.doubt = if once { Doubt::Never } else { Doubt::Repeats };
        Ok(exec)
    }

    fn with(command: &str, timeout: Option<Duration>) -> Exec {
        let info = BackendInfo { backend: "exec".to_string(), provider: command.to_string(), ..BackendInfo::default() };
        let about = About { doubt: Doubt::Repeats, ..About::plain(info) };
        Exec { about, command: command.to_string(), timeout, copies: Copies::default() }
    }
}

/// What one run of a command may take, where the environment says so.
pub(super) fn timeout() -> anyhow::Result<Option<Duration>> {
    std::env::var(TIMEOUT).ok().map(|text| parse_timeout(&text)).transpose()
}

fn parse_timeout(text: &str) -> anyhow::Result<Duration> {
    let seconds = text.trim().parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    let positive = seconds.filter(|s| !s.is_zero());
    positive.ok_or_else(|| anyhow!("{TIMEOUT} is '{text}', which is no time; give it in seconds, as in {TIMEOUT}=300"))
}

impl Backend for Exec {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let desk = Desk::new().map_err(RunError::exchange(NAME))?;
        let model =
            materialise::write_for_program(&job.model, &desk.path(), &self.copies).map_err(RunError::exchange(NAME))?;
        let mut number = 0..;
        let sample = |feed: &Tensors| {
            let i = number.next().unwrap_or(usize::MAX);
            let folder = desk.path().join(format!("sample_{i}"));
            fs::create_dir(&folder).context("cannot make a temporary folder").map_err(RunError::exchange(NAME))?;
            let results = self.run_one(&model, feed, &job.outputs, &folder)?;
            // What was read is mapped, and needs no name any more.
            let _ = fs::remove_dir_all(&folder);
            Ok(results)
        };
        let (values, seconds) = each(job, sample)?;
        Ok(Answer { values, seconds, ..Answer::default() })
    }

    /// It has a time: that of the whole command, its start and its reading of files included.
    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        match question {
            Question::Latency { job, runs, .. } if !job.feeds.is_empty() => {
                let runs = self.times(&job.part(0..1), *runs)?;
                Ok(Told::Time(Timed { runs, nodes: Vec::new() }))
            }
            _ => Ok(Told::Nothing),
        }
    }
}

impl Exec {
    /// Seconds of each of `runs`; of fewer where they take long.
    fn times(&self, job: &Job, runs: usize) -> Result<Vec<f64>, RunError> {
        let started = Instant::now();
        let mut seconds = self.run(job)?.seconds;
        while seconds.len() < runs && started.elapsed() < PATIENCE {
            seconds.extend(self.run(job)?.seconds);
        }
        Ok(seconds)
    }

    fn run_one(&self, model: &Path, feed: &Tensors, names: &[String], dir: &Path) -> Result<Tensors, RunError> {
        let (inputs, outputs) = (dir.join("inputs.npz"), dir.join("outputs.npz"));
        npz::write(&inputs, feed).map_err(RunError::exchange(NAME))?;
        let files = [("{model}", model), ("{inputs}", &*inputs), ("{outputs}", &*outputs)];
        self.execute(&command::fill(&self.command, &files).map_err(RunError::exchange(NAME))?)?;
        if !outputs.is_file() {
            return Err(garbage(format!("it wrote no file {{outputs}}; {} expected there", list(names))));
        }
        let given = npz::read(&outputs)
            .map_err(|e| garbage(format!("{{outputs}} cannot be read: {e:#}; {} expected there", list(names))))?;
        select(given, names)
    }

    /// Runs a command line to its end, successful or not.
    fn execute(&self, line: &str) -> Result<(), RunError> {
        let Some((running, status)) = command::execute(line, Keep::LAST_WORDS, self.timeout)? else {
            return Err(failed(format!("it was {}", command::overdue(self.timeout, TIMEOUT))));
        };
        match running.ending(status) {
            Ending::Well => Ok(()),
            Ending::Failed(reason) => Err(failed(reason)),
            Ending::Died(reason) => Err(RunError::Crash { backend: NAME.to_string(), reason }),
        }
    }
}

fn failed(reason: String) -> RunError {
    RunError::Run { backend: NAME.to_string(), reason }
}

fn garbage(reason: String) -> RunError {
    RunError::Garbage { backend: NAME.to_string(), reason }
}

/// The tensors that were asked for. Some may be missing: the caller says so. But all missing is a mistake.
fn select(mut given: Tensors, names: &[String]) -> Result<Tensors, RunError> {
    let wanted: Tensors = names.iter().filter_map(|n| given.swap_remove_entry(n)).collect();
    if wanted.is_empty() && !names.is_empty() {
        let held: Vec<String> = given.keys().cloned().collect();
        return Err(garbage(format!("{{outputs}} holds {}, but {} expected there", list(&held), list(names))));
    }
    Ok(wanted)
}

/// Names as a message shows them: with the verb, so that one and many read well.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names {
        [] => "nothing".to_string(),
        names => few(names.iter().map(|n| format!("'{n}'")), SHOWN),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use prost::Message;

    use super::*;
    use crate::load::Lean;
    use crate::onnx::{GraphProto, ModelProto};
    use crate::tensor::Tensor;

    fn run_for(command: &str, outputs: &[&str], timeout: Option<Duration>) -> Result<Vec<Tensors>, RunError> {
        let model = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
        let lean = Lean { bytes: model.encode_to_vec(), folder: std::env::temp_dir() };
        let sample = |x: f32| {
            let (x, y) = (Tensor::f32(&[2], &[x, 2.0]), Tensor::i64(&[], &[7]));
            Tensors::from_iter([("x".to_string(), x), ("y".to_string(), y)])
        };
        let outputs: Vec<String> = outputs.iter().map(|n| n.to_string()).collect();
        Ok(Exec::with(command, timeout).run(&Job::new(lean, &[sample(1.0), sample(3.0)], &outputs))?.values)
    }

    fn run(command: &str, outputs: &[&str]) -> Result<Vec<Tensors>, RunError> {
        run_for(command, outputs, None)
    }

    fn reason(result: Result<Vec<Tensors>, RunError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn tensors_go_through_the_command() {
        let results = run("test -s {model} && cp {inputs} {outputs}", &["x", "not there"]).unwrap();
        assert_eq!(results.iter().map(|r| r.keys().collect::<Vec<_>>()).collect::<Vec<_>>(), [["x"], ["x"]]);
        assert_eq!(results[1]["x"].view::<f32>().as_ref(), [3.0, 2.0]);
        // The files have gone by now; the tensors have not.
        assert_eq!(results[0]["x"].view::<f32>().as_ref(), [1.0, 2.0]);
    }

    #[test]
    fn nothing_stays_behind() {
        let kept = tempfile::NamedTempFile::new().unwrap();
        let command = format!("echo {{model}} > {} && cp {{inputs}} {{outputs}}", kept.path().display());
        run(&command, &["x"]).unwrap();
        let model = fs::read_to_string(kept.path()).unwrap();
        let model = Path::new(model.trim());
        assert_eq!(model.file_name().unwrap(), "model.onnx");
        assert!(!model.parent().unwrap().exists());
    }

    #[test]
    fn failures_say_what_happened() {
        let check = |command: &str, want: &str| assert_eq!(reason(run(command, &["x"])), want, "{command}");
        check("false", "the exec command failed while running the model: exit status 1; it said nothing");
        check(
            "echo loading; echo 'no kernel for Gelu' >&2; exit 7",
            "the exec command failed while running the model: exit status 7; last words: no kernel for Gelu",
        );
        check(
            "kill -KILL $$",
            "the exec command crashed: killed by signal 9 (SIGKILL: often a lack of memory); it said nothing",
        );
        check("true", "the exec command answered with garbage: it wrote no file {outputs}; 'x' expected there");
    }

    #[test]
    fn unreadable_outputs_are_garbage() {
        for command in ["echo nonsense > {outputs}", ": > {outputs}", "head -c 100 {inputs} > {outputs}"] {
            let error = run(command, &["x", "y"]).unwrap_err();
            assert!(matches!(&error, RunError::Garbage { reason, .. } if reason.contains("'x', 'y'")), "{error}");
        }
    }

    #[test]
    fn the_wrong_tensors_are_garbage() {
        let error = reason(run("cp {inputs} {outputs}", &["a", "b", "c", "d", "e", "f", "g"]));
        let want = "{outputs} holds 'x', 'y', but 'a', 'b', 'c', 'd', 'e' and 2 more expected there";
        assert!(error.ends_with(want), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_stopped_with_its_children() {
        let error = reason(run_for("sleep 60 & wait", &["x"], Some(Duration::from_millis(50))));
        assert!(error.contains("not done within 0.05 s (LAYERDIFF_EXEC_TIMEOUT)"), "{error}");
    }

    #[test]
    fn timeouts() {
        assert_eq!(parse_timeout("1.5").unwrap(), Duration::from_millis(1500));
        for text in ["", "0", "-1", "soon", "inf", "NaN"] {
            let error = parse_timeout(text).unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
