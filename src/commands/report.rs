//! `layerdiff report`: a report.json in another form, or the schema of all of them.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};

use super::hand_over;
use crate::cli::ReportArgs;
use crate::found::{Exit, Report, json};
use crate::load::own::same_file;
use crate::show::report;
use crate::terminal::{colour, width};

/// Makes a page of a report.
type Render = fn(&Report) -> String;

/// `layerdiff report`: renders a stored report, or prints the schema. Its verdict is not in the exit status.
pub fn run(args: &ReportArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.schema {
        out.write_all(json::pretty(&json::schema())?.as_bytes()).context("cannot write to stdout")?;
        return Ok(Exit::Agreed);
    }
    let Some(path) = &args.report else { return Ok(Exit::BadInput) };
    let report = json::read(path)?;
    let forms = [(&args.html, report::browser as Render), (&args.markdown, report::markdown)];
    let asked: Vec<_> = forms.into_iter().filter_map(|(target, render)| Some((target.as_ref()?, render))).collect();
    for (target, _) in &asked {
        ensure!(!same_file(target, path), "{} is the report itself; name another file", target.display());
    }
    let written: Vec<anyhow::Result<()>> =
        asked.into_iter().map(|(target, render)| form(target, &render(&report))).collect();
    let nothing = written.is_empty();
    // One that cannot be written keeps no other from being written.
    written.into_iter().fold(Ok(()), hand_over::first)?;
    if nothing {
        let summary = report::summary(&report, colour(), width());
        out.write_all(summary.as_bytes()).context("cannot write to stdout")?;
    }
    Ok(Exit::Agreed)
}

/// A page for the user, whole or not at all; devices and pipes get it as it is. No folder is made for a name that may be
/// mistyped.
fn form(target: &Path, text: &str) -> anyhow::Result<()> {
    let shown = target.display();
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
    ensure!(folder.is_none_or(Path::is_dir), "{shown}: there is no such folder; make it first");
    if target.exists() && !target.is_file() && !target.is_dir() || target.starts_with("/dev") {
        return std::fs::write(target, text).with_context(|| format!("cannot write {shown}"));
    }
    json::write_file(target, text)
}
