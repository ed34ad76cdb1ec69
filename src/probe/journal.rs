//! journal.jsonl: every probe and its answers, written as they come, so that a run that was cut short can go on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::report::TensorResult;
use crate::search::Answer;

/// Where probes are written; a journal without a file writes nothing.
#[derive(Default)]
pub struct Journal {
    file: Option<File>,
    probes: usize,
}

/// What an earlier run with the same question learnt.
#[derive(Default)]
pub struct Known {
    pub tensors: Vec<TensorResult>,
    /// Smaller models that were tried, by what they were called.
    pub attempts: HashMap<String, Answer>,
}

/// The first line: what was asked. A journal is only gone on with when this is the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    pub model_sha256: String,
    pub reference: String,
    pub candidate: String,
    pub inputs: String,
    pub tolerance: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Question(Question),
    Probe { number: usize, seconds: f64, tensors: Vec<TensorResult> },
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
    /// A new journal at `path`, or, with `resume` and the same question, the old one and what it had measured.
    pub fn open(path: &Path, question: &Question, resume: bool) -> anyhow::Result<(Journal, Known)> {
        let known = if resume { read(path, question)? } else { Known::default() };
        let describe = || format!("cannot write {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(describe)?;
        }
        if !known.tensors.is_empty() || !known.attempts.is_empty() {
            let file = OpenOptions::new().append(true).open(path).with_context(describe)?;
            return Ok((Journal { file: Some(file), probes: 0 }, known));
        }
        let file = File::create(path).with_context(describe)?;
        let mut journal = Journal { file: Some(file), probes: 0 };
        journal.write(&Line::Question(question.clone()));
        Ok((journal, known))
    }

    /// Writes one probe. A full disk costs the journal, not the answer.
    pub fn probe<'a>(&mut self, tensors: impl Iterator<Item = &'a TensorResult>, took: Duration) {
        if self.file.is_none() {
            return;
        }
        self.probes += 1;
        let tensors = tensors.cloned().collect();
        self.write(&Line::Probe { number: self.probes, seconds: took.as_secs_f64(), tensors });
    }

    /// Writes the answer about a smaller model.
    pub fn attempt(&mut self, what: &str, answer: Answer, took: Duration) {
        let answer = match answer {
            Answer::Bad => Said::Fails,
            Answer::Good => Said::Passes,
            Answer::Unknown => Said::Inconclusive,
        };
        self.write(&Line::Attempt { what: what.to_string(), answer, seconds: took.as_secs_f64() });
    }

    fn write(&mut self, line: &Line) {
        let Some(file) = self.file.as_mut() else { return };
        let written = serde_json::to_vec(line).map_err(std::io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            file.write_all(&bytes)
        });
        if written.is_err() {
            self.file = None;
        }
    }
}

/// What an earlier run measured, if it asked the same question. The last line may be cut off.
fn read(path: &Path, question: &Question) -> anyhow::Result<Known> {
    let file = File::open(path).with_context(|| format!("nothing to resume: cannot open {}", path.display()))?;
    let mut known = Known::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        match serde_json::from_str::<Line>(&line) {
            Ok(Line::Question(asked)) if asked == *question => {}
            Ok(Line::Question(_)) => anyhow::bail!(
                "{} is of another model, candidate, input or tolerance; leave --resume out or use another -o",
                path.display()
            ),
            Ok(Line::Probe { tensors, .. }) => known.tensors.extend(tensors),
            Ok(Line::Attempt { what, answer, .. }) => {
                let answer = match answer {
                    Said::Fails => Answer::Bad,
                    Said::Passes => Answer::Good,
                    Said::Inconclusive => Answer::Unknown,
                };
                known.attempts.insert(what, answer);
            }
            Err(_) if number == 0 => {
                anyhow::bail!("{} is not a journal of layerdiff; leave --resume out", path.display())
            }
            Err(_) => break,
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Metrics, Status};

    fn question(candidate: &str) -> Question {
        let text = |s: &str| s.to_string();
        Question {
            model_sha256: text("0"),
            reference: text("ort"),
            candidate: text(candidate),
            inputs: text("x"),
            tolerance: text("auto"),
        }
    }

    #[test]
    fn a_cut_off_journal_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let result = TensorResult {
            name: "t".into(),
            node: "n".into(),
            dtype: "float32".into(),
            shape: vec![1],
            status: Status::Diverges,
            why: None,
            metrics: Some(Metrics { max_abs: f64::INFINITY.into(), ..Metrics::default() }),
        };
        let (mut journal, known) = Journal::open(&path, &question("a"), false).unwrap();
        assert!(known.tensors.is_empty());
        journal.probe([&result].into_iter(), Duration::ZERO);
        journal.attempt("nodes 3", Answer::Unknown, Duration::ZERO);
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"event\":\"pro").unwrap();
        let (_, known) = Journal::open(&path, &question("a"), true).unwrap();
        assert_eq!((known.tensors.len(), known.tensors[0].name.as_str()), (1, "t"));
        assert_eq!(known.tensors[0].metrics, result.metrics);
        assert_eq!(known.attempts["nodes 3"], Answer::Unknown);
        let other = Journal::open(&path, &question("b"), true).err().unwrap().to_string();
        assert!(other.contains("another model, candidate"), "{other}");
    }
}
