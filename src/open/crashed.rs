//! What is left to say when the run itself died, and died again: the report as far as it had come, and one sentence.

use std::path::Path;

use super::{opening, places};
use crate::cli::{Command, SetArgs};
use crate::found::experiment::Experiment;
use crate::found::{Findings, ModelInfo, Opening, assemble, cut_short, json};
use crate::run::RunError;
use crate::show::files;

/// Completes the report of the run that died in these words, if the command has one; the sentence for the user.
pub fn report(command: &Command, words: &str) -> String {
    let died = RunError::Crash { backend: "the run itself".to_string(), reason: words.to_string() };
    let set = match command {
        Command::Bisect(args) => &args.set,
        Command::Compare(args) => &args.set,
        Command::Reduce(args) => &args.set,
        _ => return died.to_string(),
    };
    let path = places::dir(set).join(files::JSON);
    match finish(set, &path, &died) {
        Ok(()) => format!("{died}; what was known by then is in {}", path.display()),
        Err(e) => format!("{died}; its report could not be written: {e:#}"),
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
