//! What is left to say when the run itself died, and died again: the report as far as it had come, and one sentence.

use std::path::Path;

use super::{opening, prepare};
use crate::cli::{Command, SetArgs};
use crate::found::{self, ModelInfo, Report, Verdict};
use crate::show::files;

/// Completes the report of the run that died in these words, if the command has one; the sentence for the user.
pub fn report(command: &Command, words: &str) -> String {
    let why = format!("the run itself crashed: {words}");
    let set = match command {
        Command::Bisect(args) => &args.set,
        Command::Compare(args) => &args.set,
        Command::Reduce(args) => &args.set,
        _ => return why,
    };
    let path = prepare::dir(set).join(files::JSON);
    match finish(set, &path, &why) {
        Ok(()) => format!("{why}; what was known by then is in {}", path.display()),
        Err(e) => format!("{why}; its report could not be written: {e:#}"),
    }
}

fn finish(set: &SetArgs, path: &Path, why: &str) -> anyhow::Result<()> {
    // One of an earlier run is not this one's.
    let begun = found::json::read(path).ok().filter(|begun| begun.command == opening::command());
    let mut known = begun.unwrap_or_else(|| Report {
        schema: found::SCHEMA.to_string(),
        layerdiff: env!("CARGO_PKG_VERSION").to_string(),
        command: opening::command(),
        model: ModelInfo { path: set.model.display().to_string(), ..ModelInfo::default() },
        ..Report::default()
    });
    known.verdict = Verdict::Inconclusive;
    known.why = Some(why.to_string());
    found::json::write(path, &known)
}
