//! The page around what the files say of themselves: what was found, and why TF32 has no arguments.

use std::fmt::Write;

use super::{Told, one_line};
use crate::found::Real;
use crate::found::words::error;

/// What was found, and the model that the files speak of.
pub fn head(told: &Told) -> String {
    let (o, story) = (told.o, &told.o.story);
    let proof = if story.verified { "the outputs agree with them, as a run showed" } else { "not verified by a run" };
    let measure = if story.measure.is_empty() { "error" } else { &story.measure };
    let mut text = format!(
        "# Nodes to keep in FP32 when the others run in {}\n\n{} of {} nodes; {proof}. {}: {} before, {} after.\n\n",
        o.low,
        told.kept.len(),
        o.graph.nodes.len(),
        one_line(measure),
        error(Real(story.error_before)),
        error(Real(story.error_after))
    );
    for group in &story.groups {
        // Writing to a String does not fail.
        let _ = writeln!(text, "- {}: {} nodes", one_line(&group.title), group.nodes.len());
    }
    let commands = if told.has_arguments() { "Run the commands in this folder, in bash. " } else { "" };
    let _ = writeln!(text, "\n{commands}The model is `{}`.\n", told.onnx);
    text
}

/// What there is against TF32, which no program has for single nodes.
pub fn note(told: &Told) -> String {
    if told.has_arguments() {
        return String::new();
    }
    "TF32 is switched for a session or an engine as a whole, never for a node. That is why there are no arguments for \
     trtexec, Polygraphy or ModelOpt here: in them \"fp32\" is what multiplies in TF32.\n\n\
     **Without TF32** the original model needs none of this: `use_tf32=0` among the options of ONNX Runtime's CUDA \
     provider, `--noTF32` for trtexec, no `--tf32` for Polygraphy, or `NVIDIA_TF32_OVERRIDE=0` in the environment of any \
     program on NVIDIA's libraries. All products are slower then.\n\n"
        .to_string()
}
