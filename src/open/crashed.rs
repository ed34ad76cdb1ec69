//! What is left to say when the run itself died, and died again: the report as far as it had come, and one sentence.

use std::path::Path;

use super::{opening, places};
use crate::cli::{Command, SetArgs};
use crate::found::experiment::Experiment;
use crate::found::{Findings, ModelInfo, Note, Opening, assemble, cut_short, json};
use crate::run::RunError;
use crate::show::files;

/// Completes the report of the run that died in these words, if the command has one; the sentence for the user.
pub fn report(command: &Command, words: &str) -> String {
    let died = RunError::Crash { backend: "the run itself".to_string(), reason: words.to_string() };
    let Some(set) = compared(command) else { return died.to_string() };
    let path = places::dir(set).join(files::JSON);
    match finish(set, &path, &died) {
        Ok(()) => format!("{died}; what was known by then is in {}", path.display()),
        Err(e) => format!("{died}; its report could not be written: {e:#}"),
    }
}

/// The second run was interrupted, perhaps before it had written anything: what the first one had left is not the last word.
pub fn interrupted(command: &Command) {
    let Some(set) = compared(command) else { return };
    let dir = places::dir(set);
    let begun = json::read(&dir.join(files::JSON)).ok().filter(|begun| begun.command == opening::command());
    let unfinished = Note::Unfinished.to_string();
    if let Some(begun) = begun.filter(|begun| begun.warnings.contains(&unfinished)) {
        // What cannot be written now could not be written before.
        drop(files::write(&cut_short(begun, &RunError::Interrupted), &dir));
    }
}

/// The arguments of a command that compares.
fn compared(command: &Command) -> Option<&SetArgs> {
    match command {
        Command::Bisect(args) => Some(&args.set),
        Command::Compare(args) => Some(&args.set),
        Command::Reduce(args) => Some(&args.set),
        _ => None,
    }
}

fn finish(set: &SetArgs, path: &Path, died: &RunError) -> anyhow::Result<()> {
    // One of an earlier run is not this one's.
    let begun = json::read(path).ok().filter(|begun| begun.command == opening::command());
    let report = match begun {
        Some(begun) => cut_short(begun, died),
        None => {
            let model = ModelInfo { path: set.model.display().to_string(), ..ModelInfo::default() };
            let opening = Opening { command: opening::command(), model, ..Opening::default() };
            let layerdiff = env!("CARGO_PKG_VERSION").to_string();
            let experiment = Experiment { layerdiff, ..Experiment::default() };
            assemble(&experiment, &Findings { opening, halted: Some(died.clone()), ..Findings::default() })
        }
    };
    json::write(path, &report)
}
