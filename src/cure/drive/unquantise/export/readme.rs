//! The page around what the files say of themselves: what was found, and what no quantiser can be told.

use std::fmt::Write;

use super::Told;
use crate::cure::export::{listed, one_line};
use crate::found::words::error;

/// What was found, and what must be known before the files are read.
pub fn head(told: &Told) -> String {
    let found = told.found;
    let model = one_line(&told.remedy.candidate.model.path.to_string_lossy());
    let mut text = format!("# Nodes to leave unquantised in {model}\n\n");
    if !told.cured() {
        let why = found.why.as_deref().unwrap_or("none are needed");
        return text + &format!("None: {}.\n\n", one_line(why));
    }
    let proof = match found.verified {
        true => "the outputs agree without their pairs, as a run showed",
        false => "not verified by a run",
    };
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "{} of {} nodes; {proof}. Relative RMS error of the worst output: {} before, {} after.\n",
        told.nodes.len(),
        found.of,
        error(found.error_before),
        error(found.error_after)
    );
    for group in &found.groups {
        let _ = writeln!(text, "- {}", one_line(group));
    }
    text + &misfits(told) + PAIRS
}

const PAIRS: &str = "
A pair goes when every node that reads it is left unquantised; a quantiser that excludes only one of two readers keeps it.

";

/// The tensors that are wrong in themselves.
fn misfits(told: &Told) -> String {
    let lines: String = told.remedy.misfits.iter().map(|m| format!("- {}\n", one_line(&m.what))).collect();
    match lines.is_empty() {
        true => lines,
        false => {
            format!("\nCalibrate these tensors again; nothing need be left unquantised for their sake then:\n\n{lines}")
        }
    }
}

/// Nodes that quantisers cannot be told of.
pub fn note(told: &Told) -> String {
    if told.unnamed.is_empty() {
        return String::new();
    }
    format!(
        "These nodes have no name in the float model, so no quantiser can be told of them: {}. Name them first, or use \
         model.mixed.onnx.\n\n",
        listed(&told.unnamed)
    )
}
