//! The page around what the files say of themselves: what was found, and why TF32 has no arguments.

use super::{Told, line, plain};
use crate::found::Real;
use crate::found::words::error;
use crate::show::page::{Block, Span, Words};

/// What the nodes are kept from.
pub fn title(told: &Told) -> Words {
    format!("Nodes to keep in FP32 when the others run in {}", told.o.low).into()
}

/// What was found, and the model that the files speak of.
pub fn head(told: &Told) -> Vec<Block> {
    let (o, story) = (told.o, &told.o.story);
    let proof = match (story.verified, story.limited) {
        (true, false) => "the outputs agree with them, as a run showed",
        (true, true) => "the outputs agree with them, as a run showed, and so many are no cure",
        (false, _) => "not verified by a run",
    };
    let measure = if story.measure.is_empty() { "error" } else { &story.measure };
    let counted = Words::from(format!("{} of {} nodes; {proof}. ", told.kept.len(), o.graph.nodes.len()));
    let (before, after) = (error(Real(story.error_before)), error(Real(story.error_after)));
    let mut blocks = vec![line(counted.and(plain(measure)).then(format!(": {before} before, {after} after.")))];
    blocks.extend(Block::list(
        story.groups.iter().map(|g| Words::from(plain(&g.title)).then(format!(": {} nodes", g.nodes.len()))),
    ));
    let commands = if told.has_arguments() { "Run the commands in this folder, in bash. " } else { "" };
    // A path is told in full, however long it is.
    let model = Span::Plain(format!("`{}`", told.onnx));
    blocks.push(line(Words::from(commands).then("The model is ").and(model).then(".")));
    blocks
}

/// What there is against TF32, which no program has for single nodes.
pub fn note(told: &Told) -> Vec<Block> {
    if told.has_arguments() { Vec::new() } else { vec![line(WHOLE), line(WITHOUT)] }
}

const WHOLE: &str = "TF32 is switched for a session or an engine as a whole, never for a node. That is why there are no \
                     arguments for trtexec, Polygraphy or ModelOpt here: in them \"fp32\" is what multiplies in TF32.";

const WITHOUT: &str = "**Without TF32** the original model needs none of this: `use_tf32=0` among the options of ONNX \
                       Runtime's CUDA provider, `--noTF32` for trtexec, no `--tf32` for Polygraphy, or \
                       `NVIDIA_TF32_OVERRIDE=0` in the environment of any program on NVIDIA's libraries. All products are \
                       slower then.";
