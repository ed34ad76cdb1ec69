//! `--check 'CMD {model} {inputs}'`: a command of the user's says whether a model fails, by its exit status or by its words.
//! Knows files, processes and the user's rules; what the failure is, and what is done about it, is not known here.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use regex::{Regex, RegexBuilder};

use super::child::{self, Ending, Keep, Running};
use super::{RunError, command};
use crate::load::guest::Guest;
use crate::load::own::{Copies, Desk};
use crate::load::{Lean, Model, materialise, npz};
use crate::tensor::Tensors;

/// Where the user sets the seconds that one run of the command may take.
const TIMEOUT: &str = "--check-timeout";

/// As messages call it.
const NAME: &str = "the --check command";

/// What of each stream the regular expressions see. A log of more than this has its errors at the start or at the end.
const SEEN: Keep = Keep { first: 1 << 20, last: 4 << 20 };

/// What a run of the command said.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The model does not show the failure.
    Passes,
    /// The model shows the failure.
    Fails,
    /// Neither: why, in words. It never counts as a failure.
    Inconclusive(String),
}

/// Which runs of the command fail.
///
/// The exit status is the one that a shell reports: signal N is 128 + N, so that 139 is a crash by signal 11.
///
/// | given                         | fails                              | passes                                  |
/// | ----------------------------- | ---------------------------------- | --------------------------------------- |
/// | nothing                       | 1                                  | 0 and the `pass_codes`                  |
/// | `fail_codes`                  | exactly these                      | 0 and the `pass_codes`                  |
/// | `fail_regexes`                | a match, whatever the exit status  | 0 and the `pass_codes`, without a match |
/// | `fail_codes`, `fail_regexes`  | one of these codes and a match     | 0 and the `pass_codes`                  |
///
/// An exit status of 0 that is among the `fail_codes` does not pass. Everything else is inconclusive, a run that takes
/// too long too. Each regular expression is searched for in the standard output and in the standard error, of which the
/// first megabyte and the last four are seen; one match is enough. Polygraphy is different: there every exit status but
/// 0 fails when neither codes nor words are given, and nothing is inconclusive.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Exit statuses that fail; where there are none and no regular expression either, 1 does.
    pub fail_codes: Vec<i32>,
    /// Exit statuses that pass, besides 0.
    pub pass_codes: Vec<i32>,
    /// Words that fail.
    pub fail_regexes: Vec<Regex>,
}

/// A command of the user's that judges models. Several threads may run it at once.
#[derive(Clone, Debug)]
pub struct Check {
    command: String,
    rules: Rules,
    timeout: Option<Duration>,
    /// Weights of large models, for all its runs.
    copies: Arc<Copies>,
}

/// Reads a regular expression of the user's: `^` and `$` stand for the start and the end of a line.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).multi_line(true).crlf(true).build()
}

impl Check {
    /// `command` contains `{model}`, and `{inputs}` if it wants them; all other braces are the shell's.
    pub fn new(command: &str, rules: Rules, timeout: Option<Duration>) -> anyhow::Result<Check> {
        ensure!(
            command.contains("{model}"),
            "--check '{command}' lacks {{model}}, the place of the model's file; write it there, as in --check 'python check.py {{model}} {{inputs}}'"
        );
        rules.verify()?;
        Ok(Check { command: command.to_string(), rules, timeout, copies: Arc::default() })
    }

    /// From now on a run may take this long.
    pub fn limit(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Does the command read the inputs?
    pub fn wants_inputs(&self) -> bool {
        self.command.contains("{inputs}")
    }

    /// Runs the command on files that it may change or remove, in the current folder. It is an error when the user interrupts, and when there is no
    /// shell; whatever the command does is a verdict.
    pub fn run(&self, model: &Path, inputs: Option<&Path>) -> Result<Verdict, RunError> {
        let line = self.filled(model, inputs).map_err(failed)?;
        let keep = if self.rules.fail_regexes.is_empty() { Keep::LAST_WORDS } else { SEEN };
        let Some((running, status)) = command::execute(&line, keep, self.timeout)? else {
            return Ok(Verdict::Inconclusive(command::overdue(self.timeout, TIMEOUT)));
        };
        let words = || match running.ending(status) {
            Ending::Well => "exit status 0".to_string(),
            Ending::Failed(words) | Ending::Died(words) => words,
        };
        Ok(self.rules.judge(child::shell_code(status), || self.rules.found(&running), words))
    }

    /// The same on files of this case, which are gone afterwards.
    pub fn run_case(&self, lean: &Lean, feeds: &Tensors) -> Result<Verdict, RunError> {
        let desk = Desk::new().map_err(failed)?;
        let model = materialise::write_for_program(lean, &desk.path(), &self.copies).map_err(failed)?;
        let inputs = self.wants_inputs().then(|| desk.path().join("inputs.npz"));
        if let Some(inputs) = &inputs {
            npz::write(inputs, feeds).map_err(failed)?;
        }
        self.run(&model, inputs.as_deref())
    }

    /// The same on copies of a written model and its inputs, which stay as they are.
    pub fn run_copy(&self, model: &Path, inputs: &Path) -> Result<Verdict, RunError> {
        let desk = Desk::new().map_err(failed)?;
        let loaded = Model::load(model).map_err(failed)?;
        let mut guest = Guest::new(&loaded);
        let copy = desk.path().join("inputs.npz");
        if self.wants_inputs() {
            fs::copy(inputs, &copy).with_context(|| format!("cannot copy {}", inputs.display())).map_err(failed)?;
        }
        self.run(&guest.path().map_err(failed)?, Some(&copy))
    }

    /// The command line for these files, as the shell gets it.
    pub fn line(&self, model: &Path, inputs: &Path) -> anyhow::Result<String> {
        self.filled(model, Some(inputs))
    }

    fn filled(&self, model: &Path, inputs: Option<&Path>) -> anyhow::Result<String> {
        ensure!(inputs.is_some() || !self.wants_inputs(), "it wants {{inputs}}, and there are none to give");
        let inputs = inputs.map(|path| ("{inputs}", path));
        let files: Vec<(&str, &Path)> = [("{model}", model)].into_iter().chain(inputs).collect();
        command::fill(&self.command, &files)
    }
}

impl Rules {
    /// Refuses rules that contradict themselves, or under which nothing can fail.
    fn verify(&self) -> anyhow::Result<()> {
        for (option, codes) in [("--fail-code", &self.fail_codes), ("--pass-code", &self.pass_codes)] {
            if let Some(code) = codes.iter().find(|code| !(0..=255).contains(*code)) {
                bail!("{option} {code} is no exit status; give one from 0 to 255, where signal N is 128 + N");
            }
        }
        if let Some(code) = self.fail_codes.iter().find(|code| self.pass_codes.contains(code)) {
            bail!("exit status {code} is given both to --fail-code and to --pass-code; leave it out of one of them");
        }
        ensure!(
            !self.fail_codes.is_empty() || !self.fail_regexes.is_empty() || !self.pass_codes.contains(&1),
            "with --pass-code 1 no exit status fails; say what does with --fail-code or --fail-regex"
        );
        Ok(())
    }

    fn judge(&self, code: Option<i32>, found: impl FnOnce() -> bool, words: impl FnOnce() -> String) -> Verdict {
        let is = |codes: &[i32]| code.is_some_and(|c| codes.contains(&c));
        let listed = is(&self.fail_codes);
        let fails = match (self.fail_codes.is_empty(), self.fail_regexes.is_empty()) {
            (true, true) => code == Some(1),
            (false, true) => listed,
            (true, false) => found(),
            (false, false) => listed && found(),
        };
        match (fails, self.fail_regexes.is_empty()) {
            (true, _) => Verdict::Fails,
            _ if is(&self.pass_codes) || (code == Some(0) && !listed) => Verdict::Passes,
            (false, true) => Verdict::Inconclusive(words()),
            (false, false) if listed => Verdict::Inconclusive(format!("no --fail-regex matches: {}", words())),
            (false, false) => Verdict::Inconclusive(format!("it failed in another way: {}", words())),
        }
    }

    /// Does a regular expression match what the command said?
    fn found(&self, running: &Running) -> bool {
        let matches = |bytes: &Vec<u8>| {
            let text = String::from_utf8_lossy(bytes);
            self.fail_regexes.iter().any(|regex| regex.is_match(&text))
        };
        running.output().iter().any(matches)
    }
}

fn failed(e: anyhow::Error) -> RunError {
    RunError::exchange(NAME)(e)
}

#[cfg(all(test, unix))]
mod tests;
