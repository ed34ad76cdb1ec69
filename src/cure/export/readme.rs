//! The page that says what the files are for, and what each of them cannot say.

use std::fmt::Write;

use super::{Kept, Override};
use crate::found::Real;
use crate::show::text::story::cure::error;
use crate::spec::Precision;
use crate::terminal::{harmful, short};

pub struct Page<'a> {
    pub o: &'a Override<'a>,
    pub kept: &'a [Kept],
    pub onnx: &'a str,
    pub renamed: &'a [String],
    /// Names that trtexec cannot be told.
    pub refused: &'a [String],
}

/// Linux takes no longer single argument.
const LONGEST_ARGUMENT: usize = 128 << 10;

pub fn page(page: &Page) -> String {
    let Page { o, kept, onnx, renamed, refused } = page;
    let (low, story) = (o.low, &o.story);
    let proof = if story.verified { "the outputs agree with them, as a run showed" } else { "not verified by a run" };
    let measure = if story.measure.is_empty() { "error" } else { &story.measure };
    let mut text = format!(
        "# Nodes to keep in FP32 when the others run in {low}\n\n{} of {} nodes; {proof}. {}: {} before, {} after.\n\n",
        kept.len(),
        o.graph.nodes.len(),
        one_line(measure),
        error(Real(story.error_before)),
        error(Real(story.error_after))
    );
    for group in &story.groups {
        // Writing to a String does not fail.
        let _ = writeln!(text, "- {}: {} nodes", one_line(&group.title), group.nodes.len());
    }
    if low == Precision::Tf32 {
        return text + &products(page);
    }
    text += "\nRun the commands in this folder, in bash. The model is ";
    let _ = writeln!(text, "`{onnx}`.\n");
    if !renamed.is_empty() {
        let _ = writeln!(
            text,
            "{} nodes had no name or one that another node has. `model.named.onnx` is the same model with a name for \
             each; the other files speak of that one.\n",
            renamed.len()
        );
    }
    if o.mixed.is_some() {
        text += "**model.mixed.onnx** has the Casts inside: for ONNX Runtime, TensorRT 11, TensorRT-RTX and all strongly typed \
                 builds.\n\n";
    }
    let _ = writeln!(
        text,
        "**trtexec.args** (TensorRT 8 to 10; 11 has no such flags):\n\n    {}\n",
        command("trtexec", "trtexec.args")
    );
    if !refused.is_empty() {
        let names: Vec<String> = refused.iter().map(|n| format!("`{}`", one_line(n))).collect();
        let _ = writeln!(
            text,
            "trtexec has no way to write names with a comma, a quote, an asterisk or a control character. It is not told \
             of: {}. Use trt_network.py.\n",
            names.join(", ")
        );
    }
    if kept.iter().map(|k| k.name.len() + 8).sum::<usize>() > LONGEST_ARGUMENT {
        text += "The list of layers is longer than one argument may be on Linux: use trt_network.py.\n\n";
    }
    let _ = writeln!(
        text,
        "**trt_network.py** (TensorRT 10, with Polygraphy):\n\n    polygraphy run {} --trt --{low} --precision-constraints \
         obey --trt-network-postprocess-script trt_network.py\n",
        quoted(onnx)
    );
    let _ = writeln!(
        text,
        "**modelopt_autocast.args** (without the two lines that end in `=inf`, AutoCast's own rules keep more nodes; it \
         reads nodes of the main graph only):\n\n    {}\n",
        command("python -m modelopt.onnx.autocast", "modelopt_autocast.args")
    );
    if o.low == Precision::Fp16 {
        text +=
            "**ort_float16.json**: the block list for ONNX Runtime's float16 converter; `usage` in it says how.\n\n";
    }
    text + "**nodes.json**: the nodes, for scripts.\n"
}

/// What there is against TF32, which no program has for single nodes.
fn products(page: &Page) -> String {
    let mut text = format!("\nThe model is `{}`.\n\n", page.onnx);
    if !page.renamed.is_empty() {
        text += "`model.named.onnx` is the same model with a name for every node, which nodes.json speaks of.\n\n";
    }
    if page.o.mixed.is_some() {
        text += "**model.mixed.onnx** multiplies these nodes as in FP32 although the session is one of TF32: each operand is \
                 split into a part that TF32 holds and the rest, and three products of the parts are added. It has float32 \
                 operators alone, and takes three products for each of these nodes.\n\n";
    }
    text += "TF32 is switched for a session or an engine as a whole, never for a node. That is why there are no arguments for \
             trtexec, Polygraphy or ModelOpt here: in them \"fp32\" is what multiplies in TF32.\n\n\
             **Without TF32** the original model needs none of this: `use_tf32=0` among the options of ONNX Runtime's CUDA \
             provider, `--noTF32` for trtexec, no `--tf32` for Polygraphy, or `NVIDIA_TF32_OVERRIDE=0` in the environment of any \
             program on NVIDIA's libraries. All products are slower then.\n\n";
    text + "**nodes.json**: the nodes, for scripts.\n"
}

/// Takes names with blanks and wildcards, as `$(cat FILE)` does not.
fn command(program: &str, file: &str) -> String {
    format!("mapfile -t args < {file} && {program} \"${{args[@]}}\"")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// No name can start a line of its own or a code span.
fn one_line(text: &str) -> String {
    short(text).chars().map(|c| if harmful(c) || c == '`' { ' ' } else { c }).collect()
}
