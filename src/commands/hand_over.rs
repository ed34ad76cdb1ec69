//! The last step of every comparing command: files, then stdout. Whatever cannot be written is told in a sentence each, and
//! keeps nothing else from being written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::SetArgs;
use crate::found::{Report, json};
use crate::load::samples;
use crate::open::{early, places};
use crate::run::RunError;
use crate::show::files::{self, HTML, Lost, MARKDOWN};
use crate::show::report as pages;
use crate::tensor::Tensors;
use crate::terminal::{self, colour, width};

/// What stdout shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The answer, with the tensors around it.
    Answer,
    /// Every tensor in one table, then the answer.
    Table,
}

/// Files, then stdout: whatever cannot be written is told in a sentence each, and keeps nothing else from being written.
/// It is an error, so that the exit status claims no more than was delivered, where it is report.json or a file that the
/// user asked for; the pages can be made again from report.json.
pub fn write(
    report: &Report,
    args: &SetArgs,
    dir: &Path,
    saved: Option<Tensors>,
    shown: Shown,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    early::finished();
    let mut lost = files::write(report, dir);
    if let (Some(path), Some(tensors)) = (&args.save_tensors, saved) {
        lost.extend(samples::write(path, &tensors).err().map(|why| Lost { name: "", why }));
    }
    let page = (!lost.iter().any(|l| l.name == HTML)).then(|| dir.join(HTML));
    let said = said(report, args, page, shown).and_then(|text| {
        out.write_all(text.as_bytes()).context("cannot write to stdout")?;
        out.flush().context("cannot write to stdout")
    });
    let (pages, promised): (Vec<Lost>, Vec<Lost>) = lost.into_iter().partition(|l| [HTML, MARKDOWN].contains(&l.name));
    pages.iter().for_each(|page| terminal::say(format_args!("{:#}", page.why)));
    let unwritten = |l: Lost| RunError::Unwritten { what: l.name.to_string(), reason: format!("{:#}", l.why) };
    let promised = promised.into_iter().map(|lost| Err(unwritten(lost).into()));
    promised.fold(said, first)
}

/// An answer that never came to its report leaves one all the same. Of a run that somebody stopped it is on stdout too, as far
/// as it is known: rows of a sweep may have taken hours.
pub fn settled<T>(answer: anyhow::Result<T>, args: &SetArgs, shown: Shown, out: &mut dyn Write) -> anyhow::Result<T> {
    let stopped = |e: &anyhow::Error| e.chain().any(|e| e.downcast_ref() == Some(&RunError::Interrupted));
    let report = early::settled(&answer).filter(|_| answer.as_ref().err().is_some_and(stopped));
    let Some(report) = report else { return answer };
    let page = places::dir(args).join(HTML);
    let told = said(&report, args, page.is_file().then_some(page), shown)
        .and_then(|text| out.write_all(text.as_bytes()).context("cannot write to stdout"));
    if let Err(unwritten) = told {
        terminal::say(format_args!("{unwritten:#}"));
    }
    answer
}

/// The first of two failures; the other one is told.
pub fn first(one: anyhow::Result<()>, other: anyhow::Result<()>) -> anyhow::Result<()> {
    if let (Err(_), Err(other)) = (&one, &other) {
        terminal::say(format_args!("{other:#}"));
    }
    one.and(other)
}

/// What stdout gets.
fn said(report: &Report, args: &SetArgs, page: Option<PathBuf>, shown: Shown) -> anyhow::Result<String> {
    if args.json {
        return json::to_string(report);
    }
    let table = match shown {
        Shown::Table if !report.tensors.is_empty() => pages::every_tensor(report, colour(), width()) + "\n",
        _ => String::new(),
    };
    let location = page.map(|page| pages::location(&page.display().to_string(), colour(), width()));
    Ok(table + &pages::summary(report, colour(), width()) + &location.unwrap_or_default())
}
