//! The page around what the files say of themselves: what was found, and what no quantiser can be told.

use super::Told;
use crate::cure::export::{coded, line, plain};
use crate::found::words::error;
use crate::show::page::{Block, Words};

/// The model that is too far quantised.
pub fn title(told: &Told) -> Words {
    Words::from("Nodes to leave unquantised in ").and(plain(&told.remedy.candidate.model.path.to_string_lossy()))
}

/// What was found.
pub fn head(told: &Told) -> Vec<Block> {
    let found = told.found;
    if told.nodes.is_empty() {
        let why = plain(found.why.as_deref().unwrap_or("none are needed"));
        return vec![line(Words::from("None: ").and(why).then("."))];
    }
    let proof = match (found.verified, found.limited) {
        (true, false) => "the outputs agree with them in float, as a run showed",
        (true, true) => "the outputs agree with them in float, as a run showed, and so many are no cure",
        (false, _) => "not verified by a run",
    };
    let (nodes, of, measure) = (told.nodes.len(), found.of, "Relative RMS error of the worst output");
    let (before, after) = (error(found.error_before), error(found.error_after));
    let mut blocks = vec![line(format!("{nodes} of {of} nodes; {proof}. {measure}: {before} before, {after} after."))];
    blocks.extend(Block::list(found.groups.iter().map(|group| plain(group))));
    blocks
}

/// Nodes that quantisers cannot be told of.
pub fn note(told: &Told) -> Vec<Block> {
    let remedy = told.remedy;
    let unnamed: Vec<String> =
        told.units().filter(|u| !remedy.is_named(*u)).map(|u| remedy.file.restored[u].name.clone()).collect();
    if unnamed.is_empty() {
        return Vec::new();
    }
    let words = Words::from(
        "No quantiser can be told of these, which have no name in the float model or are not found in it: ",
    );
    vec![line(words.then(coded(&unnamed)).then(". Use model.mixed.onnx."))]
}
