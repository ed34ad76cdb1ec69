//! The folder's page: one screen for whoever gets the ticket. Makes text only.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{How, JSON_INPUTS, JSON_OUTPUTS, NPZ_INPUTS, RAW, Story, TEST_SET};
use crate::found::words::{bytes, plural};
use crate::names::few;
use crate::show::markdown;
use crate::show::page::{Block, Column, ColumnKind, Fact, Facts, FactsKind, Page, Row, Span, Words};

/// Nodes that are named.
const NAMED: usize = 24;

/// The page; `files` are those of the folder with their sizes.
pub fn page(story: &Story, files: &[(String, u64)]) -> String {
    let mut blocks = vec![Block::Command("sh repro.sh".into())];
    blocks.extend(how(&story.how));
    blocks.push(Block::Line("Exit status: 1 the failure shows; 0 it does not; anything else: could not tell.".into()));
    blocks.extend(story.culprit.iter().map(|culprit| Block::Line(culprit.clone().into())));
    blocks.push(values(&story.error));
    if !story.nodes.is_empty() {
        let label = Words::from(Span::Strong(plural(story.nodes.len(), "node")));
        blocks.push(Block::Line(label.then(format!(": {}", few(&story.nodes, NAMED)))));
    }
    if let How::Compare { reference, candidate, .. } = &story.how {
        let sides = Words::from("**Compared**: ").and(Span::Code(candidate.clone())).then(" with ");
        blocks.push(Block::Line(sides.and(Span::Code(reference.clone())).then(", the reference")));
    }
    blocks.push(values(&story.environment));
    blocks.extend(Block::list(story.notes.iter().cloned()));
    let columns = [(ColumnKind::Name, "file"), (ColumnKind::Words, "what"), (ColumnKind::Number, "size")];
    let row = |(name, size): &(String, u64)| {
        Row::plain(vec![Span::Code(name.clone()).into(), purpose(name).into(), bytes(*size).into()])
    };
    let columns = columns.map(|(kind, title)| Column::new(kind, title)).into();
    blocks.push(Block::table(columns, files.iter().map(row).collect()));
    let footer = Some(concat!("written by layerdiff ", env!("CARGO_PKG_VERSION")).to_string());
    markdown::write(&Page { title: story.title.replace('\n', " ").into(), blocks, footer }, 1)
}

fn how(how: &How) -> Vec<Block> {
    match how {
        How::Check { command, .. } => {
            let needs = "It needs what the command needs that it runs, and is called where that command's files are:";
            vec![Block::Line(needs.into()), Block::Line(Span::Code(command.clone()).into())]
        }
        How::Compare { .. } => vec![Block::Line(
            "It runs the model with layerdiff, Polygraphy or trtexec, the first that is installed (`sh repro.sh trtexec` \
             picks one), and prints the exact command."
                .into(),
        )],
    }
}

fn values(rows: &[(String, String)]) -> Block {
    let rows = rows.iter().map(|(name, value)| Fact::new(name, value.clone())).collect();
    Block::Facts(Facts { kind: FactsKind::Values, rows, ..Facts::default() })
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
