//! The folder's page: one screen for whoever gets the ticket. Makes text only.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{How, JSON_INPUTS, JSON_OUTPUTS, NPZ_INPUTS, RAW, Story, TEST_SET};
use crate::show::markdown::span::{cell, code, text};
use crate::show::text::words::{bytes, plural};

/// Nodes that are named.
const NAMED: usize = 24;

/// The page; `files` are those of the folder with their sizes.
pub fn page(story: &Story, files: &[(String, u64)]) -> String {
    let title = story.title.replace('\n', " ");
    let mut out = format!("# {}\n\n```sh\nsh repro.sh\n```\n\n", text(&title));
    out += match &story.how {
        How::Check { .. } => {
            "It needs what the command needs that it runs, and is called where that command's files are:\n\n"
        }
        How::Compare { .. } => {
            "It runs the model with layerdiff, Polygraphy or trtexec, the first that is installed \
             (`sh repro.sh trtexec` picks one), and prints the exact command.\n"
        }
    };
    if let How::Check { command, .. } = &story.how {
        out += &format!("{}\n\n", code(command));
    }
    out += "Exit status: 1 the failure shows; 0 it does not; anything else: could not tell.\n\n";
    if let Some(culprit) = &story.culprit {
        out += &format!("{}\n\n", text(culprit));
    }
    table(&mut out, &story.error);
    if !story.nodes.is_empty() {
        let named: Vec<String> = story.nodes.iter().take(NAMED).map(|node| text(node)).collect();
        let more = story.nodes.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        out += &format!("**{}**: {}{more}\n\n", plural(story.nodes.len(), "node"), named.join(", "));
    }
    if let How::Compare { reference, candidate, .. } = &story.how {
        out += &format!("**Compared**: {} with {}, the reference\n\n", code(candidate), code(reference));
    }
    table(&mut out, &story.environment);
    for note in &story.notes {
        out += &format!("- {}\n", text(note));
    }
    if !story.notes.is_empty() {
        out.push('\n');
    }
    out += "| file | what | size |\n|---|---|--:|\n";
    for (name, size) in files {
        out += &format!("| {} | {} | {} |\n", cell(name), purpose(name), bytes(*size));
    }
    out + concat!("\n<sub>written by layerdiff ", env!("CARGO_PKG_VERSION"), "</sub>\n")
}

/// What is in the folder, sorted by name; a folder counts as one.
pub fn listed(dir: &Path) -> anyhow::Result<Vec<(String, u64)>> {
    let failed = || format!("cannot read {}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let meta = entry.metadata().with_context(failed)?;
        let size = if meta.is_dir() { super::size(&entry.path()).with_context(failed)? } else { meta.len() };
        files.push((if meta.is_dir() { format!("{name}/") } else { name }, size));
    }
    files.sort();
    Ok(files)
}

fn purpose(name: &str) -> &'static str {
    match name.trim_end_matches('/') {
        "model.onnx" => "the model",
        "model.onnx.data" => "its weights",
        "repro.sh" => "shows the failure",
        TEST_SET => "test data as ONNX lays it out: inputs, and the outputs of the reference",
        JSON_INPUTS => "the inputs, for Polygraphy",
        JSON_OUTPUTS => "the reference outputs, for Polygraphy",
        NPZ_INPUTS => "the inputs, for the command",
        RAW => "the inputs, for trtexec",
        _ => "",
    }
}

fn table(out: &mut String, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    *out += "| | |\n|---|---|\n";
    for (label, value) in rows {
        *out += &format!("| {} | {} |\n", text(label), text(value));
    }
    out.push('\n');
}
