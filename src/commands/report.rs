//! `layerdiff report`: a report.json in another form, or the schema of all of them.

use std::io::Write;

use anyhow::Context;

use crate::cli::ReportArgs;
use crate::files;
use crate::report::{html, json, markdown, text};
use crate::steps::verdict::{self, Exit};

pub fn run(args: &ReportArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.schema {
        out.write_all(json::pretty(&json::schema())?.as_bytes()).context("cannot write to stdout")?;
        return Ok(Exit::Agreed);
    }
    let Some(path) = &args.report else { return Ok(Exit::BadInput) };
    let report = json::read(path)?;
    let forms = [(&args.html, html::render(&report)), (&args.markdown, markdown::render(&report))];
    let mut written = false;
    for (target, text) in forms {
        if let Some(target) = target {
            files::ensure_writable(target)?;
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
