//! `layerdiff report`: a report.json in another form, or the schema of all of them.

use std::io::Write;

use anyhow::{Context, ensure};

use crate::cli::ReportArgs;
use crate::load::own::same_file;
use crate::report::{html, json, markdown, text};
use crate::steps::verdict::{self, Exit};

pub fn run(args: &ReportArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&json::schema()).context("the schema cannot be written")?;
        writeln!(out, "{schema}").context("cannot write to stdout")?;
        return Ok(Exit::Agreed);
    }
    let Some(path) = &args.report else { return Ok(Exit::BadInput) };
    let report = json::read(path)?;
    let forms = [(&args.html, html::render(&report)), (&args.markdown, markdown::render(&report))];
    for target in forms.iter().filter_map(|(target, _)| target.as_ref()) {
        ensure!(!same_file(target, path), "{} is the report itself; name another file", target.display());
    }
    let mut written = false;
    for (target, text) in forms {
        if let Some(target) = target {
            std::fs::write(target, text).with_context(|| format!("cannot write {}", target.display()))?;
            written = true;
        }
    }
    if !written {
        let summary = text::summary(&report, verdict::colour(), verdict::width());
        out.write_all(summary.as_bytes()).context("cannot write to stdout")?;
    }
    Ok(Exit::Agreed)
}
