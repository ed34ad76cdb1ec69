//! The page that says what the files are for, and what each of them cannot say.

use super::{Kept, Override};
use crate::found::Real;
use crate::found::words::error;
use crate::show::markdown;
use crate::show::page::{Block, Page as Written, Span, Words};
use crate::spec::Precision;
use crate::terminal::harmful;

pub(super) struct Page<'a> {
    pub o: &'a Override<'a>,
    pub kept: &'a [Kept],
    pub onnx: &'a str,
    pub renamed: &'a [String],
    /// Names that trtexec cannot be told.
    pub refused: &'a [String],
}

/// Linux takes no longer single argument.
const LONGEST_ARGUMENT: usize = 128 << 10;

pub(super) fn page(page: &Page) -> String {
    let low = page.o.low;
    let title = format!("Nodes to keep in FP32 when the others run in {low}");
    let mut blocks = found(page);
    blocks.extend(if low == Precision::Tf32 { products(page) } else { arguments(page) });
    blocks.push(about("nodes.json", ": the nodes, for scripts."));
    markdown::write(&Written { title: title.into(), blocks, footer: None }, 1)
}

/// A file, and what there is to say of it.
pub fn about(file: &str, told: impl Into<Words>) -> Block {
    Block::Line(Words::from(Span::Strong(file.into())).then(told))
}

/// How the options in `file` are given to `program`: names with blanks and wildcards pass, as with `$(cat FILE)` they do not.
pub fn command(program: &str, file: &str) -> Block {
    Block::Code(format!("mapfile -t args < {file} && {program} \"${{args[@]}}\""))
}

fn found(page: &Page) -> Vec<Block> {
    let story = &page.o.story;
    let proof = if story.verified { "the outputs agree with them, as a run showed" } else { "not verified by a run" };
    let measure = if story.measure.is_empty() { "error" } else { &story.measure };
    let (kept, of) = (page.kept.len(), page.o.graph.nodes.len());
    let (before, after) = (error(Real(story.error_before)), error(Real(story.error_after)));
    let groups = story.groups.iter().map(|group| format!("{}: {} nodes", group.title, group.nodes.len()));
    let line = format!("{kept} of {of} nodes; {proof}. {measure}: {before} before, {after} after.");
    [Block::Line(line.into())].into_iter().chain(listed(groups)).collect()
}

/// One line each, where there are any.
pub fn listed(items: impl Iterator<Item = String>) -> Option<Block> {
    let items: Vec<Words> = items.map(|item| one_line(&item).into()).collect();
    (!items.is_empty()).then_some(Block::List(items))
}

/// A name that is told as it is, but for what would start a line of its own or end a span of code.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if harmful(c) || c == '`' { ' ' } else { c }).collect()
}

fn arguments(page: &Page) -> Vec<Block> {
    let Page { o, kept, onnx, renamed, refused } = page;
    let low = o.low;
    let model = Words::from("Run the commands in this folder, in bash. The model is ");
    let mut blocks = vec![Block::Line(model.and(Span::Code(onnx.to_string())).then("."))];
    if !renamed.is_empty() {
        let nodes = format!("{} nodes had no name or one that another node has. ", renamed.len());
        let named = Words::from(nodes).and(Span::Code("model.named.onnx".into()));
        blocks.push(Block::Line(
            named.then(" is the same model with a name for each; the other files speak of that one."),
        ));
    }
    if o.mixed.is_some() {
        let casts = " has the Casts inside: for ONNX Runtime, TensorRT 11, TensorRT-RTX and all strongly typed builds.";
        blocks.push(about("model.mixed.onnx", casts));
    }
    blocks.push(about("trtexec.args", " (TensorRT 8 to 10; 11 has no such flags):"));
    blocks.push(command("trtexec", "trtexec.args"));
    if !refused.is_empty() {
        let told = "trtexec has no way to write names with a comma, a quote, an asterisk or a control character. It is not \
                    told of: ";
        blocks.push(Block::Line(Words::from(told).then(coded(refused)).then(". Use trt_network.py.")));
    }
    if kept.iter().map(|k| k.name.len() + 8).sum::<usize>() > LONGEST_ARGUMENT {
        let long = "The list of layers is longer than one argument may be on Linux: use trt_network.py.";
        blocks.push(Block::Line(long.into()));
    }
    blocks.push(about("trt_network.py", " (TensorRT 10, with Polygraphy):"));
    blocks.push(Block::Code(format!(
        "polygraphy run {} --trt --{low} --precision-constraints obey --trt-network-postprocess-script trt_network.py",
        quoted(onnx)
    )));
    let autocast = Words::from(" (without the two lines that end in ").and(Span::Code("=inf".into()));
    let autocast = autocast.then(", AutoCast's own rules keep more nodes; it reads nodes of the main graph only):");
    blocks.push(about("modelopt_autocast.args", autocast));
    blocks.push(command("python -m modelopt.onnx.autocast", "modelopt_autocast.args"));
    if low == Precision::Fp16 {
        let usage =
            Words::from(": the block list for ONNX Runtime's float16 converter; ").and(Span::Code("usage".into()));
        blocks.push(about("ort_float16.json", usage.then(" in it says how.")));
    }
    blocks
}

/// What there is against TF32, which no program has for single nodes.
fn products(page: &Page) -> Vec<Block> {
    let code = |text: &str| Span::Code(text.to_string());
    let mut blocks = vec![Block::Line(Words::from("The model is ").and(code(page.onnx)).then("."))];
    if !page.renamed.is_empty() {
        let same = " is the same model with a name for every node, which nodes.json speaks of.";
        blocks.push(Block::Line(Words::from(code("model.named.onnx")).then(same)));
    }
    if page.o.mixed.is_some() {
        blocks.push(about(
            "model.mixed.onnx",
            " multiplies these nodes as in FP32 although the session is one of TF32: each operand is split into a part that \
             TF32 holds and the rest, and three products of the parts are added. It has float32 operators alone, and takes \
             three products for each of these nodes.",
        ));
    }
    let whole = "TF32 is switched for a session or an engine as a whole, never for a node. That is why there are no \
                 arguments for trtexec, Polygraphy or ModelOpt here: in them \"fp32\" is what multiplies in TF32.";
    let without = Words::from(" the original model needs none of this: ")
        .and(code("use_tf32=0"))
        .then(" among the options of ONNX Runtime's CUDA provider, ")
        .and(code("--noTF32"))
        .then(" for trtexec, no ")
        .and(code("--tf32"))
        .then(" for Polygraphy, or ")
        .and(code("NVIDIA_TF32_OVERRIDE=0"))
        .then(" in the environment of any program on NVIDIA's libraries. All products are slower then.");
    blocks.extend([Block::Line(whole.into()), about("Without TF32", without)]);
    blocks
}

/// Names as code, with commas between.
pub fn coded(names: &[String]) -> Words {
    let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
    Words::names(&names, names.len())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
