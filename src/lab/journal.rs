//! journal.jsonl: every look at tensors and every attempt at a smaller model with its answer, written as they come, so that
//! a run that was cut short can go on. Its first line is the experiment, and only the same experiment goes on with it.
//!
//! A kill can cut it anywhere: what stands behind the last whole line is cut away and measured again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sight::Learnt;
use crate::found::experiment::Experiment;
use crate::found::{self, TensorResult};
use crate::search::Answer;

/// Where measurements are written; a journal without a file writes nothing. Copies write into the same file.
#[derive(Clone, Default)]
pub struct Journal {
    file: Arc<Mutex<Option<File>>>,
}

/// What an earlier run of the same experiment learnt.
#[derive(Debug, Default)]
pub struct Known {
    /// In the order in which they were made.
    pub looks: Vec<Look>,
    /// Smaller models that were tried, by what they were called.
    pub attempts: HashMap<String, Answer>,
}

/// Tensors that were measured together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Look {
    /// What was asked for, by numbers in the reference's graph.
    pub asked: Vec<usize>,
    /// What was replaced by the reference's values meanwhile; such a look says nothing about the candidate as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<usize>,
    /// Wall time, runs and comparisons together.
    pub seconds: f64,
    /// Everything that was measured: perhaps more than was asked for, perhaps less.
    pub tensors: Vec<TensorResult>,
    /// Those of them in branches that did not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<usize>,
    /// What it told besides single tensors.
    #[serde(flatten)]
    pub learnt: Learnt,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Experiment { id: String, asked: Box<Experiment> },
    Look(Look),
    Attempt { what: String, answer: Said, seconds: f64 },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Fails,
    Passes,
    Inconclusive,
}

impl Journal {
    /// A new journal at `path`, or, with `resume`, that of the same experiment and what it knows.
    pub fn open(path: &Path, experiment: &Experiment, resume: bool) -> anyhow::Result<(Journal, Known)> {
        if !resume {
            return Ok((Journal::begin(path, experiment)?, Known::default()));
        }
        match read(path, experiment)? {
            Some((known, end)) => Ok((Journal::go_on(path, end)?, known)),
            None => Ok((Journal::begin(path, experiment)?, Known::default())),
        }
    }

    /// It appears with its first line, in place of an older one: one without is nobody's.
    fn begin(path: &Path, experiment: &Experiment) -> anyhow::Result<Journal> {
        let describe = || format!("cannot write {}", path.display());
        ensure!(!path.is_dir(), "{} is a folder; move it away, or use another -o", path.display());
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(describe)?;
        let beside = found::json::beside(folder).with_context(describe)?;
        let journal = Journal::of(beside.reopen().with_context(describe)?);
        journal.write(&first_line(experiment));
        beside.persist(path).with_context(describe)?;
        Ok(journal)
    }

    fn go_on(path: &Path, end: u64) -> anyhow::Result<Journal> {
        let describe = || format!("cannot write {}", path.display());
        let mut file = OpenOptions::new().write(true).open(path).with_context(describe)?;
        file.set_len(end).with_context(describe)?;
        file.seek(SeekFrom::End(0)).with_context(describe)?;
        Ok(Journal::of(file))
    }

    fn of(file: File) -> Journal {
        Journal { file: Arc::new(Mutex::new(Some(file))) }
    }

    /// Does anybody read what is written?
    pub fn is_kept(&self) -> bool {
        self.file().is_some()
    }

    /// Writes what was measured together. A full disk costs the journal, not the answer.
    pub fn look(&self, look: Look) {
        self.write(&Line::Look(look));
    }

    /// Writes the answer about a smaller model.
    pub fn attempt(&self, what: &str, answer: Answer, took: Duration) {
        let answer = match answer {
            Answer::Bad => Said::Fails,
            Answer::Good => Said::Passes,
            Answer::Unknown => Said::Inconclusive,
        };
        self.write(&Line::Attempt { what: what.to_string(), answer, seconds: took.as_secs_f64() });
    }

    fn write(&self, line: &Line) {
        let mut slot = self.file();
        let Some(file) = slot.as_mut() else { return };
        if bytes(line).and_then(|bytes| file.write_all(&bytes)).is_err() {
            *slot = None;
        }
    }

    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_line(experiment: &Experiment) -> Line {
    Line::Experiment { id: experiment.id(), asked: Box::new(experiment.clone()) }
}

fn bytes(line: &Line) -> std::io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What an earlier run of the same experiment knows, and where its last whole line ends; `None` where it was cut off
/// before it knew anything.
fn read(path: &Path, experiment: &Experiment) -> anyhow::Result<Option<(Known, u64)>> {
    let shown = path.display();
    let meta = fs::metadata(path).with_context(|| format!("nothing to resume: cannot open {shown}"))?;
    // A pipe would be waited for.
    ensure!(meta.is_file(), "nothing to resume: {shown} is not a file; leave --resume out");
    let text = fs::read(path).with_context(|| format!("nothing to resume: cannot read {shown}"))?;
    ensure!(!text.is_empty(), "nothing to resume: {shown} is empty; leave --resume out");
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let Some(first) = lines.next() else {
        let cut = bytes(&first_line(experiment))?.starts_with(&text);
        ensure!(cut, "{shown} is not a journal of layerdiff, or of another run; leave --resume out");
        return Ok(None);
    };
    check(first, experiment).with_context(|| format!("{shown} cannot be gone on with"))?;
    let (mut known, mut end) = (Known::default(), first.len());
    let mut attempts = Vec::new();
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Line::Look(look)) => known.looks.push(look),
            Ok(Line::Attempt { what, answer, .. }) => attempts.push((what, answer)),
            Ok(Line::Experiment { .. }) | Err(_) => break,
        }
        end += line.len();
    }
    // What came last and said nothing may have been killed together with the run.
    while let Some((_, Said::Inconclusive)) = attempts.last() {
        attempts.pop();
    }
    known.attempts = attempts.into_iter().map(|(what, said)| (what, said.into())).collect();
    Ok(Some((known, end as u64)))
}

/// Is this the first line of a journal of the same experiment?
fn check(line: &[u8], experiment: &Experiment) -> anyhow::Result<()> {
    const ADVICE: &str = "leave --resume out, or use another -o";
    let value: Value = serde_json::from_slice(line).unwrap_or_default();
    let text = |at: &str| value.pointer(at).and_then(Value::as_str).unwrap_or_default();
    match (text("/event"), text("/asked/layerdiff")) {
        ("experiment", writer) if writer == experiment.layerdiff => {}
        ("experiment", writer) => {
            bail!("it was written by layerdiff {writer}, and this is {}; {ADVICE}", experiment.layerdiff)
        }
        ("question", _) => bail!("it was written by an older layerdiff; {ADVICE}"),
        _ => bail!("it is not a journal of layerdiff; {ADVICE}"),
    }
    let Ok(Line::Experiment { asked, .. }) = serde_json::from_value(value) else {
        bail!("its first line is damaged; {ADVICE}")
    };
    match experiment.differs(&asked) {
        None => Ok(()),
        Some(difference) => bail!("{difference}; {ADVICE}"),
    }
}

impl From<Said> for Answer {
    fn from(said: Said) -> Answer {
        match said {
            Said::Fails => Answer::Bad,
            Said::Passes => Answer::Good,
            Said::Inconclusive => Answer::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
