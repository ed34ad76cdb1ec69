//! The page that says what the files are for, and what each of them cannot say.

use super::{Kept, Override};
use crate::found::Real;
use crate::found::words::error;
use crate::show::markdown;
use crate::show::page::{Block, Page as Written, Span, Words};
use crate::spec::Precision;
use crate::terminal::harmful;

/// What the page tells of.
pub(super) struct Page<'a> {
    /// The cure.
    pub o: &'a Override<'a>,
    /// Its nodes, as the files call them.
    pub kept: &'a [Kept],
    /// The model that the commands run on.
    pub onnx: &'a str,
    /// Nodes that got a name.
    pub renamed: &'a [String],
    /// Names that trtexec cannot be told.
    pub refused: &'a [String],
}

/// Linux takes no longer single argument.
const LONGEST_ARGUMENT: usize = 128 << 10;

/// The page as Markdown.
pub(super) fn page(page: &Page) -> String {
    let low = page.o.low;
    let title = format!("Nodes to keep in FP32 when the others run in {low}");
    let mut blocks = found(page);
    blocks.extend(if low == Precision::Tf32 { products(page) } else { arguments(page) });
    blocks.push(line("**nodes.json**: the nodes, for scripts."));
    markdown::write(&Written { title: title.into(), blocks, footer: None }, 1)
}

/// A sentence of a README.
pub fn line(words: impl Into<Words>) -> Block {
    Block::Line(words.into())
}

/// How the options in `file` are given to `program`: names with blanks and wildcards pass, as with `$(cat FILE)` they do not.
pub fn command(program: &str, file: &str) -> Block {
    Block::Code(format!("mapfile -t args < {file} && {program} \"${{args[@]}}\""))
}

/// Names as code, with commas between.
pub fn coded(names: &[String]) -> Words {
    let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
    Words::names(&names, names.len())
}

/// A name that is told as it is, but for what would start a line of its own or end a span of code.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if harmful(c) || c == '`' { ' ' } else { c }).collect()
}

fn found(page: &Page) -> Vec<Block> {
    let story = &page.o.story;
    let proof = if story.verified { "the outputs agree with them, as a run showed" } else { "not verified by a run" };
    let measure = if story.measure.is_empty() { "error" } else { &story.measure };
    let (kept, of) = (page.kept.len(), page.o.graph.nodes.len());
    let (before, after) = (error(Real(story.error_before)), error(Real(story.error_after)));
    let groups = story.groups.iter().map(|group| one_line(&format!("{}: {} nodes", group.title, group.nodes.len())));
    let worth = line(format!("{kept} of {of} nodes; {proof}. {measure}: {before} before, {after} after."));
    [worth].into_iter().chain(Block::list(groups)).collect()
}

fn arguments(page: &Page) -> Vec<Block> {
    let Page { o, kept, onnx, renamed, refused } = page;
    let model =
        Words::from("Run the commands in this folder, in bash. The model is ").and(Span::Code(onnx.to_string()));
    let mut blocks = vec![line(model.then("."))];
    if !renamed.is_empty() {
        blocks.push(line(Words::from(format!("{} nodes", renamed.len())).then(
            " had no name or one that another node has. `model.named.onnx` is the same model with a name for each; the \
             other files speak of that one.",
        )));
    }
    if o.mixed.is_some() {
        blocks.push(line(
            "**model.mixed.onnx** has the Casts inside: for ONNX Runtime, TensorRT 11, TensorRT-RTX and all strongly typed \
             builds.",
        ));
    }
    blocks.push(line("**trtexec.args** (TensorRT 8 to 10; 11 has no such flags):"));
    blocks.push(command("trtexec", "trtexec.args"));
    if !refused.is_empty() {
        let told = "trtexec has no way to write names with a comma, a quote, an asterisk or a control character. It is not \
                    told of: ";
        blocks.push(line(Words::from(told).then(coded(refused)).then(". Use trt_network.py.")));
    }
    if kept.iter().map(|k| k.name.len() + 8).sum::<usize>() > LONGEST_ARGUMENT {
        blocks.push(line("The list of layers is longer than one argument may be on Linux: use trt_network.py."));
    }
    blocks.push(line("**trt_network.py** (TensorRT 10, with Polygraphy):"));
    blocks.push(Block::Code(format!(
        "polygraphy run {} --trt --{} --precision-constraints obey --trt-network-postprocess-script trt_network.py",
        quoted(onnx),
        o.low
    )));
    blocks.push(line(
        "**modelopt_autocast.args** (without the two lines that end in `=inf`, AutoCast's own rules keep more nodes; it \
         reads nodes of the main graph only):",
    ));
    blocks.push(command("python -m modelopt.onnx.autocast", "modelopt_autocast.args"));
    if o.low == Precision::Fp16 {
        let list = "**ort_float16.json**: the block list for ONNX Runtime's float16 converter; `usage` in it says how.";
        blocks.push(line(list));
    }
    blocks
}

/// What there is against TF32, which no program has for single nodes.
fn products(page: &Page) -> Vec<Block> {
    let model = Words::from("The model is ").and(Span::Code(page.onnx.to_string())).then(".");
    let named = "`model.named.onnx` is the same model with a name for every node, which nodes.json speaks of.";
    let mixed = "**model.mixed.onnx** multiplies these nodes as in FP32 although the session is one of TF32: each operand is \
                 split into a part that TF32 holds and the rest, and three products of the parts are added. It has float32 \
                 operators alone, and takes three products for each of these nodes.";
    let whole = "TF32 is switched for a session or an engine as a whole, never for a node. That is why there are no \
                 arguments for trtexec, Polygraphy or ModelOpt here: in them \"fp32\" is what multiplies in TF32.";
    let without = "**Without TF32** the original model needs none of this: `use_tf32=0` among the options of ONNX Runtime's \
                   CUDA provider, `--noTF32` for trtexec, no `--tf32` for Polygraphy, or `NVIDIA_TF32_OVERRIDE=0` in the \
                   environment of any program on NVIDIA's libraries. All products are slower then.";
    let named = (!page.renamed.is_empty()).then(|| line(named));
    let mixed = page.o.mixed.is_some().then(|| line(mixed));
    [Some(line(model)), named, mixed, Some(line(whole)), Some(line(without))].into_iter().flatten().collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
