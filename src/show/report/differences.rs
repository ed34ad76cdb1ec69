//! Where the candidate has a file of its own: how the two differ, and the file that agrees.

use super::Density::{self, Full, Short, Ticket};
use crate::found::words::{count, plural};
use crate::found::{Patched, Report, Role};
use crate::show::page::{Block, Fact, Span, Words};

/// Lines where there is no room for all.
const FEW: usize = 4;

/// All of it; nothing where the files were not compared. Causes stand with their culprits already, so that a terminal is told the rest.
pub fn block(report: &Report, density: Density) -> Option<Block> {
    let of = |role: Role| report.differences.iter().filter(move |d| d.role == role);
    let mut lines: Vec<(&'static str, Words)> = Vec::new();
    if density != Short {
        lines.extend(of(Role::Cause).map(|d| ("cause", Words::from(d.told.clone()))));
    }
    let most = if density == Full { report.differences.len() } else { FEW };
    lines.extend(of(Role::Open).take(most).map(|d| ("not settled", Words::from(d.told.clone()))));
    let harmless = of(Role::Harmless).count();
    if density == Full {
        lines.extend(of(Role::Harmless).map(|d| ("harmless", Words::from(d.told.clone()))));
    } else if harmless > 0 {
        lines.push(("harmless", plural(harmless, "other difference").into()));
    }
    lines.extend(report.patched.iter().map(|patched| ("patched", patched_words(patched))));
    if lines.is_empty() {
        return None;
    }
    let text = |(label, text): (&'static str, Words)| Words::from(label).then(": ").then(text);
    match density {
        Short => Some(Block::facts(lines.into_iter().map(|(label, text)| Fact::new(label, text)).collect())),
        Ticket => Block::list(lines.into_iter().map(text)),
        Full => {
            Some(Block::section("How the two files differ", vec![Block::List(lines.into_iter().map(text).collect())]))
        }
    }
}

fn patched_words(patched: &Patched) -> Words {
    let how = match patched.verified {
        true => "read again from the disk, all outputs agree",
        false => "read again from the disk, the outputs do not agree",
    };
    Words::from(Span::Code(patched.path.clone())).then(format!(": {} undone; {how}", count(patched.edits.len() as u64)))
}
