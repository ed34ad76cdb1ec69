//! The files of a report. One that cannot be written keeps no other from being written.

use std::path::Path;

use super::report;
use crate::found::{Report, json};

/// The report itself; all other forms are made from it.
pub const JSON: &str = "report.json";
/// One page for a browser, with all that it needs inside.
pub const HTML: &str = "report.html";
/// For a ticket.
pub const MARKDOWN: &str = "report.md";

/// A file that could not be written.
pub struct Lost {
    /// One of the names above.
    pub name: &'static str,
    /// What the system said.
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
