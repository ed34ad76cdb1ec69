//! The report as one self-contained HTML file: no other resource is ever loaded, and no script but its own can run.
//! Decides the order of the sections; each section is made by a submodule.

mod chart;
mod cure;
mod curve;
mod page;
mod ranking;
mod scale;
mod table;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::text::story;
use super::text::words::file_name;
use crate::found::Report;
use crate::terminal::{clean, shown};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The whole file.
pub fn render(report: &Report) -> String {
    let title = format!("{} in {}", story::headline(report).0, file_name(&report.model.path));
    let mut out = head(&title);
    page::banner(&mut out, report);
    page::warnings(&mut out, report);
    // The answer first.
    if report.precision_limited.is_some() {
        ranking::table(&mut out, report);
        cure::card(&mut out, report);
        page::culprits(&mut out, report);
    } else {
        page::culprits(&mut out, report);
        cure::card(&mut out, report);
        ranking::table(&mut out, report);
    }
    cure::sensitivity(&mut out, report);
    chart::draw(&mut out, report);
    table::outputs(&mut out, report);
    table::tensors(&mut out, report);
    page::facts(&mut out, report);
    page::command(&mut out, report);
    out += &format!("</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// The policy allows the one script by its hash: text that slipped through the escaping could still not run.
fn head(title: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:");
    let title = esc(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>layerdiff: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// Text for an element or a quoted attribute. Names come from models that nobody vouches for.
fn esc(raw: &str) -> String {
    entities(&shown(raw))
}

/// A command in full: it is for pasting.
fn whole(raw: &str) -> String {
    entities(&clean(raw))
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
