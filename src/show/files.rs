//! The files of a report. One that cannot be written keeps no other from being written.

use std::path::Path;

use super::report;
use crate::found::{Report, json};

pub const JSON: &str = "report.json";
pub const HTML: &str = "report.html";
pub const MARKDOWN: &str = "report.md";

/// A file that could not be written.
pub struct Lost {
    pub name: &'static str,
    pub why: anyhow::Error,
}

/// Writes every file that can be written, and gives back the others.
pub fn write(report: &Report, dir: &Path) -> Vec<Lost> {
    let lost = |name: &'static str, written: anyhow::Result<()>| written.err().map(|why| Lost { name, why });
    let text = |name: &'static str, text: String| lost(name, json::write_file(&dir.join(name), &text));
    let data = lost(JSON, json::write(&dir.join(JSON), report));
    let pages = [text(HTML, report::browser(report)), text(MARKDOWN, report::markdown(report))];
    data.into_iter().chain(pages.into_iter().flatten()).collect()
}
