//! What was asked, by contents: two runs of one experiment measure the same. Its fields are readable, so that a difference
//! can be named; paths and spellings do not count, what is in the files does.
//!
//! What it cannot see: what a command of the user's reads besides the files that it names, libraries that a library loads
//! (cuDNN, say), the driver, the machine.

pub mod contents;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is compared with what, on which data, how closely, and with which switches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The version of layerdiff: another one may measure otherwise, or mean something else by its words.
    pub layerdiff: String,
    /// The model under debugging, and the files of its weights.
    pub model: Vec<Source>,
    /// The run that is believed.
    pub reference: Participant,
    /// The run under suspicion.
    pub candidate: Participant,
    /// What both were fed with.
    pub data: Data,
    /// Tensors that decide the verdict.
    pub outputs: Vec<String>,
    /// By name: `--atol`, `--atol x`, `--metric`, the precision that tolerances are for.
    pub tolerance: BTreeMap<String, String>,
    /// Flags that differ from what they are by themselves, and that measurements or attempts depend on.
    pub flags: BTreeMap<String, String>,
    /// Variables that change what libraries compute.
    pub environment: BTreeMap<String, String>,
}

/// A file or a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// As messages name it; it may have moved.
    pub path: String,
    /// Of what is in it: see [`contents`].
    pub contents: String,
}

/// The reference or the candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// `ort`, `ort-cuda`, `trt`, `exec`, `saved`, `check`
    pub place: String,
    /// As the user wrote it; `fp32` where nothing was said, empty for a check.
    pub precision: String,
    /// Of the library; empty where there is none.
    pub version: String,
    /// The user's, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A model of its own with its weights, an engine, stored values, what a command names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Source>,
    /// The library that runs it, and what it loads by name, where those are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<Source>,
}

/// The values that both sides were fed with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// As the report names it.
    pub source: String,
    /// How many sets of inputs.
    pub samples: usize,
    /// Of the values, names and types.
    pub contents: String,
}

impl Experiment {
    /// One name for all of it.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for fact in self.facts() {
            hash.update(format!("{}\0{}\n", fact.what, fact.value));
        }
        hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    /// The first thing that is not as it was in `before`, in words.
    pub fn differs(&self, before: &Experiment) -> Option<String> {
        let (was, is) = (before.facts(), self.facts());
        let of = |facts: &[Fact], what: &str| facts.iter().position(|fact| fact.what == what);
        for fact in is.iter().chain(&was) {
            let (was, is) = (of(&was, &fact.what).map(|i| &was[i]), of(&is, &fact.what).map(|i| &is[i]));
            match (was, is) {
                (Some(was), Some(is)) if was.value == is.value => {}
                (Some(was), Some(is)) => return Some(is.changed(was)),
                (None, Some(is)) => return Some(format!("{} is {} now and was not given before", is.what, is.shown())),
                (Some(was), None) => return Some(format!("{} was {} and is not given now", was.what, was.shown())),
                (None, None) => {}
            }
        }
        None
    }

    /// Everything that counts, the most telling first.
    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![Fact::word("the version of layerdiff", &self.layerdiff)];
        facts.extend(Fact::contents("the model", &self.model));
        facts.extend(self.candidate.facts("the candidate"));
        facts.extend(self.reference.facts("the reference"));
        facts.extend(self.flags.iter().chain(&self.tolerance).map(|(flag, value)| Fact::word(flag, value)));
        facts.push(Fact::word("the number of samples", &self.data.samples.to_string()));
        let values = Source { path: self.data.source.clone(), contents: self.data.contents.clone() };
        facts.extend(Fact::contents("the data", &[values]));
        facts.push(Fact::word("the list of judged outputs", &self.outputs.join(", ")));
        facts.extend(self.environment.iter().map(|(name, value)| Fact::word(name, value)));
        facts
    }
}

impl Participant {
    fn facts(&self, who: &str) -> Vec<Fact> {
        let word = |what: &str, value: &str| Fact::word(&format!("the {what} of {who}"), value);
        let mut facts = vec![word("backend", &self.place), word("precision", &self.precision)];
        facts.extend(self.command.iter().map(|command| word("command", command)));
        facts.extend(Fact::contents(&format!("a file of {who}"), &self.files));
        facts.push(word("version", &self.version));
        facts.extend(Fact::contents(&format!("a library of {who}"), &self.libraries));
        facts
    }
}

/// One thing that counts.
struct Fact {
    /// As messages call it; no two facts have the same.
    what: String,
    value: String,
    /// Where the contents are whose value tells a reader nothing.
    path: Option<String>,
}

impl Fact {
    fn word(what: &str, value: &str) -> Fact {
        Fact { what: what.to_string(), value: value.to_string(), path: None }
    }

    fn contents(what: &str, sources: &[Source]) -> Vec<Fact> {
        let number = |i: usize| if i == 0 { String::new() } else { format!(" (number {})", i + 1) };
        let fact = |(i, source): (usize, &Source)| Fact {
            path: Some(source.path.clone()),
            ..Fact::word(&format!("{what}{}", number(i)), &source.contents)
        };
        sources.iter().enumerate().map(fact).collect()
    }

    fn shown(&self) -> String {
        format!("'{}'", self.path.as_ref().unwrap_or(&self.value))
    }

    fn changed(&self, before: &Fact) -> String {
        match &self.path {
            Some(path) => format!("{} has other contents now ({path})", self.what),
            None => format!("{} was {} and is {} now", self.what, before.shown(), self.shown()),
        }
    }
}

#[cfg(test)]
mod tests;
