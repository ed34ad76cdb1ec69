//! The page around what the files say of themselves: what was found, and what no quantiser can be told.

use super::Told;
use crate::cure::export::{coded, line, plain};
use crate::found::words::error;
use crate::show::page::{Block, Words};

/// The model that is too far quantised.
pub fn title(told: &Told) -> Words {
    Words::from("Nodes to leave unquantised in ").and(plain(&told.remedy.candidate.model.path.to_string_lossy()))
}

/// What was found, and what must be known before the files are read.
pub fn head(told: &Told) -> Vec<Block> {
    let found = told.found;
    if !told.cured() {
        let why = plain(found.why.as_deref().unwrap_or("none are needed"));
        return vec![line(Words::from("None: ").and(why).then("."))];
    }
    let proof = match (found.verified, found.limited) {
        (true, false) => "the outputs agree without their pairs, as a run showed",
        (true, true) => "the outputs agree without their pairs, as a run showed, and so many are no cure",
        (false, _) => "not verified by a run",
    };
    let (nodes, of, measure) = (told.nodes.len(), found.of, "Relative RMS error of the worst output");
    let (before, after) = (error(found.error_before), error(found.error_after));
    let mut blocks = vec![line(format!("{nodes} of {of} nodes; {proof}. {measure}: {before} before, {after} after."))];
    blocks.extend(Block::list(found.groups.iter().map(|group| plain(group))));
    // The tensors that are wrong in themselves.
    if let Some(misfits) = Block::list(told.remedy.misfits.iter().map(|m| plain(&m.what))) {
        blocks.extend([line(AGAIN), misfits]);
    }
    blocks.push(line(PAIRS));
    blocks
}

const AGAIN: &str = "Calibrate these tensors again; nothing need be left unquantised for their sake then:";

const PAIRS: &str = "A pair goes when every node that reads it is left unquantised; a quantiser that excludes only one of two \
                     readers keeps it.";

/// Nodes that quantisers cannot be told of.
pub fn note(told: &Told) -> Vec<Block> {
    if told.unnamed.is_empty() {
        return Vec::new();
    }
    let words = Words::from("These nodes have no name in the float model, so no quantiser can be told of them: ");
    vec![line(words.then(coded(&told.unnamed)).then(". Name them first, or use model.mixed.onnx."))]
}
