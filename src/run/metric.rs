//! `--metric-command 'CMD {reference} {candidate}'`: a command of the user's sets the final outputs of both runs against each
//! other, all together, by its exit status: mAP, WER, whatever it computes. Knows files and processes, no tolerance.

use std::path::Path;
use std::time::Duration;

use super::child::{Ending, Keep, shell_code};
use super::{RunError, command, exec};
use crate::found::{CommandVerdict, Real, Status};
use crate::load::npz;
use crate::load::own::Desk;
use crate::tensor::Tensors;

/// As messages call it.
const NAME: &str = "the --metric-command";

/// Places of the two files.
const PLACES: [&str; 2] = ["{reference}", "{candidate}"];

/// A command of the user's that judges outputs. Several threads may run it at once.
#[derive(Clone, Debug)]
pub struct MetricCommand {
    command: String,
    timeout: Option<Duration>,
}

/// What is judged: final outputs of some samples.
pub struct Both<'a> {
    /// The reference's, by sample.
    pub reference: &'a [Tensors],
    /// The candidate's, by sample.
    pub candidate: &'a [Tensors],
    /// Names of the outputs.
    pub outputs: &'a [String],
    /// The number of the first sample.
    pub first: usize,
    /// Samples of the whole run. With several, an array is called `SAMPLE/NAME`, however many are judged here; with one, `NAME`.
    pub of: usize,
}

/// What is wrong with a command line, in words; it needs the places of both files.
pub fn parse(text: &str) -> Result<String, String> {
    match PLACES.into_iter().find(|place| !text.contains(place)) {
        None => Ok(text.to_string()),
        Some(missing) => Err(format!(
            "it lacks {missing}, the place of a file; write it there, as in 'python wer.py {{reference}} {{candidate}}'"
        )),
    }
}

impl MetricCommand {
    /// `command` as [`parse`] took it. Fails where the time limit in the environment is none.
    pub fn new(command: &str) -> anyhow::Result<MetricCommand> {
        Ok(MetricCommand { command: command.to_string(), timeout: exec::timeout()? })
    }

    /// Runs the command on files of both sides, which are gone afterwards. It is an error when the user interrupts, and when
    /// there is no shell; whatever else happens is no answer: why.
    pub fn judge(&self, both: &Both) -> Result<CommandVerdict, RunError> {
        match self.run(both) {
            Err(e @ (RunError::Interrupted | RunError::Missing(_))) => Err(e),
            Err(e) => Ok(self.verdict(Status::NotCompared, None, Some(e.to_string()))),
            Ok(verdict) => Ok(verdict),
        }
    }

    fn run(&self, both: &Both) -> Result<CommandVerdict, RunError> {
        let desk = Desk::new().map_err(RunError::exchange(NAME))?;
        let files = ["reference.npz", "candidate.npz"].map(|name| desk.path().join(name));
        for (path, values) in files.iter().zip([both.reference, both.candidate]) {
            npz::write(path, &both.arrays(values)).map_err(RunError::exchange(NAME))?;
        }
        let places: Vec<(&str, &Path)> = PLACES.into_iter().zip(files.iter().map(|path| &**path)).collect();
        let line = command::fill(&self.command, &places).map_err(RunError::exchange(NAME))?;
        let Some((running, status)) = command::execute(&line, Keep::LAST_WORDS, self.timeout)? else {
            let why = format!("it was {}", command::overdue(self.timeout, exec::TIMEOUT));
            return Ok(self.verdict(Status::NotCompared, None, Some(why)));
        };
        let value = last_number(&running.output()[0]);
        Ok(match (shell_code(status), running.ending(status)) {
            (Some(0), _) => self.verdict(Status::Agrees, value, None),
            (Some(1), _) => self.verdict(Status::Diverges, value, None),
            (_, Ending::Failed(why) | Ending::Died(why)) => self.verdict(Status::NotCompared, value, Some(why)),
            (_, Ending::Well) => self.verdict(Status::NotCompared, value, None),
        })
    }

    fn verdict(&self, status: Status, value: Option<f64>, why: Option<String>) -> CommandVerdict {
        CommandVerdict { command: self.command.clone(), status, value: value.map(Real), why }
    }
}

impl Both<'_> {
    /// Outputs under the names that the command knows them by.
    fn arrays(&self, values: &[Tensors]) -> Tensors {
        let name = |sample: usize, name: &String| match self.of {
            1 => name.clone(),
            _ => format!("{}/{name}", self.first + sample),
        };
        let of_sample = |(sample, values): (usize, &Tensors)| {
            let values =
                self.outputs.iter().filter_map(|output| Some((name(sample, output), values.get(output)?.clone())));
            values.collect::<Vec<_>>()
        };
        values.iter().enumerate().flat_map(of_sample).collect()
    }
}

/// The number that the last line of a text is, if it is one.
fn last_number(text: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(text);
    text.lines().map(str::trim).rfind(|line| !line.is_empty())?.parse().ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn judged(command: &str, samples: usize, timeout: Option<Duration>) -> CommandVerdict {
        let values = |x: f32| -> Vec<Tensors> {
            (0..samples).map(|_| Tensors::from([("a/y".to_string(), Tensor::f32(&[1], &[x]))])).collect()
        };
        let (reference, candidate) = (values(1.0), values(2.0));
        let outputs = ["a/y".to_string()];
        let both = Both { reference: &reference, candidate: &candidate, outputs: &outputs, first: 3, of: samples };
        MetricCommand { command: command.to_string(), timeout }.judge(&both).unwrap()
    }

    fn check(command: &str, status: Status, value: Option<f64>, why: Option<&str>) {
        let got = judged(command, 1, None);
        assert_eq!((got.status, got.value, got.why.as_deref()), (status, value.map(Real), why), "{command}");
    }

    #[test]
    fn the_exit_status_judges_and_the_last_line_is_the_value() {
        let files = "test -s {reference} && test -s {candidate}";
        check(&format!("{files}; echo 0.875"), Status::Agrees, Some(0.875), None);
        check(&format!("{files}; echo mAP; echo 31; echo; exit 1"), Status::Diverges, Some(31.0), None);
        check("echo 0.5 is the value; exit 1", Status::Diverges, None, None);
        check("echo bad >&2; exit 2", Status::NotCompared, None, Some("exit status 2; last words: bad"));
        check("kill -SEGV $$", Status::NotCompared, None, Some("killed by signal 11 (SIGSEGV); it said nothing"));
    }

    #[test]
    fn what_takes_too_long_is_no_answer() {
        let got = judged("sleep 60", 1, Some(Duration::from_millis(50)));
        assert_eq!(got.status, Status::NotCompared);
        assert!(got.why.unwrap().contains("not done within 0.05 s (LAYERDIFF_EXEC_TIMEOUT)"));
    }

    #[test]
    fn samples_have_numbers_where_there_are_several() {
        let names = |samples: usize| {
            let kept = tempfile::tempdir().unwrap();
            let path = kept.path().join("kept.npz");
            judged(&format!("cp {{candidate}} {}", path.display()), samples, None);
            npz::read(&path).unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(1), ["a/y"]);
        assert_eq!(names(2), ["3/a/y", "4/a/y"]);
    }

    #[test]
    fn both_places_are_needed() {
        assert!(parse("f {reference} {candidate}").is_ok());
        assert!(parse("f {reference}").unwrap_err().contains("lacks {candidate}"));
        assert!(parse("f").unwrap_err().contains("lacks {reference}"));
    }
}
