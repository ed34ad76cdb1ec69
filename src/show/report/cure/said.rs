//! What the overrides are worth, in sentences: how many nodes, which, whether a run showed it, at what price, and which
//! file is for whom. Nodes are kept in FP32, or left unquantised where the candidate is a QDQ model. All strings are
//! cleaned of control characters.

use crate::found::words::{clean, count, error, file_name, plural};
use crate::found::{CureKind, NodePrice, Overrides, Report};
use crate::show::page::Fact;
use crate::show::report::times::{self, milli};

/// Groups that are named on the terminal and in a ticket.
pub const NAMED: usize = 6;

/// Nodes whose own times are told: those that cost most.
const DEAR: usize = 3;

/// By consumer, the most useful first.
type Purposes = &'static [(&'static str, &'static str)];

const KEPT: Purposes = &[
    (
        MIXED,
        "the model with explicit Casts, for ONNX Runtime, TensorRT 11, TensorRT-RTX and every strongly typed build",
    ),
    ("trtexec", "arguments of trtexec, for TensorRT 8 to 10"),
    ("polygraphy", "network script of Polygraphy that sets the layers' precisions, for TensorRT 10"),
    ("modelopt", "arguments of ModelOpt AutoCast (python -m modelopt.onnx.autocast)"),
    ("onnxruntime", "node_block_list of ONNX Runtime's float16 converter"),
    ("named", "the same model with a name for every node: the one that the other files speak of"),
    ("nodes", "the nodes as JSON, for scripts"),
    (README, "how to use each of them"),
];
/// Of TF32 there is the model alone: no program has a switch for single nodes.
const PRODUCTS: Purposes = &[
    (MIXED, "the model with three products for each of these nodes, which are FP32 even of TF32"),
    ("named", "the same model with a name for every node: the one that nodes.json speaks of"),
    ("nodes", "the nodes as JSON, for scripts"),
    (README, "how to use them, and how to switch TF32 off"),
];
const UNQUANTISED: Purposes = &[
    (MIXED, "the quantised model without the Q/DQ pairs of these nodes, for every backend"),
    ("modelopt", "arguments of ModelOpt's quantiser (python -m modelopt.onnx.quantization)"),
    ("onnxruntime", "keywords of ONNX Runtime's quantize_static"),
    ("quantise", "script that quantises the float model again with the settings that cure it (ONNX Runtime)"),
    ("modelopt_settings", "the same settings for ModelOpt's quantiser"),
    ("qdq_loss", "both errors of every quantised tensor, its range and its scale"),
    ("nodes", "the nodes as JSON, for scripts"),
    (README, "how to use each of them"),
];
const MIXED: &str = "onnx";
const README: &str = "readme";

/// What becomes of the nodes: `in FP32`, `left unquantised`.
pub fn fate(kind: CureKind) -> &'static str {
    match kind {
        CureKind::Fp32 | CureKind::Split => "in FP32",
        CureKind::Unquantised => "left unquantised",
    }
}

/// `2 of 14 nodes in FP32; verified: yes; none can be given back`.
pub fn claim(o: &Overrides) -> String {
    if o.nodes.is_empty() {
        return match o.verified {
            true => format!("none needed: the outputs agree with no node {}", fate(o.kind)),
            false => "none found".into(),
        };
    }
    if o.limited {
        let seen = if o.verified { "the fewest that were seen to agree" } else { "not verified" };
        return format!("no cure: {}, {seen}", kept(o));
    }
    let mut parts = vec![kept(o), format!("verified: {}", if o.verified { "yes" } else { "NO" })];
    match (o.verified, o.minimal) {
        (false, _) => {}
        (true, true) => parts.push("none can be given back".into()),
        (true, false) => parts.push("perhaps fewer would do".into()),
    }
    parts.join("; ")
}

/// `2 of 14 nodes in FP32`, `2 of 14 nodes left unquantised`.
pub fn kept(o: &Overrides) -> String {
    match o.of {
        0 => format!("{} {}", plural(o.nodes.len(), "node"), fate(o.kind)),
        of => format!("{} of {} {}", count(o.nodes.len() as u64), plural(of, "node"), fate(o.kind)),
    }
}

/// The nodes as an engineer reads them. A report from before there were groups has their names.
pub fn groups(o: &Overrides) -> Vec<String> {
    if o.groups.is_empty() {
        return o.nodes.iter().map(|name| format!("'{}'", clean(name))).collect();
    }
    o.groups.iter().map(|group| clean(group)).collect()
}

/// The first groups, and how many there are besides.
pub fn shortened(o: &Overrides) -> Vec<String> {
    let mut groups = groups(o);
    // One more would take no more room than the words "and 1 more".
    if groups.len() > NAMED + 1 {
        let more = format!("and {} more", count((groups.len() - NAMED) as u64));
        groups.truncate(NAMED);
        groups.push(more);
    }
    groups
}

/// Do the settings stand before the nodes? Where these are no cure, or several and one setting is enough that costs nothing when
/// the model runs.
pub fn settings_first(o: &Overrides) -> bool {
    let free = ["per_channel", "WeightSymmetric", "ActivationSymmetric", "reduce_range"];
    let cheaper = o.settings.len() == 1 && free.contains(&o.settings[0].setting.as_str()) && o.nodes.len() > 1;
    let verified = !o.settings.is_empty() && o.settings.iter().all(|s| s.verified);
    verified && (!o.is_cure() || cheaper)
}

/// `or a setting of the quantiser, with every node quantised: per_channel = True: ...`
pub fn settings(o: &Overrides) -> Option<String> {
    let rows: Vec<String> = o.settings.iter().map(|s| clean(&format!("{} = {}", s.setting, s.detail))).collect();
    let seen = match o.settings.iter().all(|s| s.verified) {
        true => "the file edited so was seen to agree",
        false => "NOT verified: held-back samples do not agree",
    };
    let what = if rows.len() > 1 { "settings of the quantiser together" } else { "a setting of the quantiser" };
    let or = if o.nodes.is_empty() || settings_first(o) { "" } else { "or " };
    let every = match o.settings.iter().any(|s| s.setting == "nodes_to_exclude") {
        true => "all other nodes",
        false => "every node",
    };
    (!rows.is_empty()).then(|| format!("{or}{what}, with {every} quantised: {} ({seen})", rows.join("; ")))
}

/// `relative RMS error of the worst output: 0.913 before, 4.95e-4 after; 10 trials`.
pub fn price(o: &Overrides) -> String {
    let before = error(o.error_before);
    let errors = match o.nodes.is_empty() {
        true => format!("{before} with nothing {}", fate(o.kind)),
        false => format!("{before} before, {} after", error(o.error_after)),
    };
    let latency = latency(o).map_or(String::new(), |text| format!("; {text}"));
    format!("relative RMS error of the worst output: {errors}{latency}; {}", plural(o.builds, "trial"))
}

/// `latency 2.40 ms (2.31 to 2.50 in 15 runs) before, 2.80 ms (...) after: in FP32 they cost 0.40 ms of 2.80; the reference takes
/// 3.02 ms (...)`, where the candidate has one of its own.
fn latency(o: &Overrides) -> Option<String> {
    let (before, after) = (o.latency_before?, o.latency_after?);
    let Some(price) = &o.price else {
        return Some(format!("latency {} ms before, {} ms after", milli(before.0), milli(after.0)));
    };
    let mut text = times::priced(price, fate(o.kind), o.nodes.len() != 1);
    let mut nodes: Vec<&NodePrice> = price.nodes.iter().collect();
    nodes.sort_by(|a, b| (b.after.0 - b.before.0).total_cmp(&(a.after.0 - a.before.0)));
    let dear: Vec<String> = nodes.iter().take(DEAR).map(|node| of_node(node)).collect();
    if !dear.is_empty() {
        text += &format!(" ({})", dear.join(", "));
    }
    text += &price.reference.as_ref().map_or(String::new(), |l| format!("; the reference takes {}", times::told(l)));
    Some(text)
}

/// `"conv_3" 0.21 to 0.35 ms`.
fn of_node(node: &NodePrice) -> String {
    format!("\"{}\" {} to {} ms", clean(&node.node), milli(node.before.0), milli(node.after.0))
}

/// `files in m.layerdiff/overrides: model.mixed.onnx, the model with these nodes in FP32, and 6 more (see README.md)`.
pub fn location(o: &Overrides) -> Option<String> {
    let folder = clean(folder(o)?);
    let page = o.files.get(README).map_or(String::new(), |path| format!(" (see {})", clean(file_name(path))));
    let Some(mixed) = o.files.get(MIXED) else {
        return Some(format!("files in {folder}: {}{page}", plural(o.files.len(), "file")));
    };
    let more = match o.files.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more{page}", count(more as u64)),
    };
    Some(format!("files in {folder}: {}, the model with these nodes {}{more}", clean(file_name(mixed)), fate(o.kind)))
}

/// The folder that all files are in; a dot for the current one.
pub fn folder(o: &Overrides) -> Option<&str> {
    let mut folders = o.files.values().map(|path| parent(path));
    let first = folders.next()?;
    folders.all(|folder| folder == first).then_some(first)
}

/// Every file and what it is for, the most useful first; those of unknown consumers last. A file has its whole path where
/// not all are in one folder.
pub fn files(o: &Overrides) -> Vec<Fact> {
    let whole = folder(o).is_none();
    let file = |path: &str, purpose: String| Fact::new(if whole { path } else { file_name(path) }, purpose);
    let purposes = match o.kind {
        CureKind::Unquantised => UNQUANTISED,
        CureKind::Split => PRODUCTS,
        CureKind::Fp32 => KEPT,
    };
    let known = purposes.iter().filter_map(|(consumer, purpose)| {
        let path = o.files.get(*consumer)?;
        Some(file(path, purpose.to_string()))
    });
    let unknown = o.files.iter().filter(|(consumer, _)| purposes.iter().all(|(known, _)| known != consumer));
    known.chain(unknown.map(|(consumer, path)| file(path, format!("for {consumer}")))).collect()
}

/// What all other nodes are: `in FP16`, `quantised`.
pub fn rest(report: &Report, o: &Overrides) -> String {
    match o.kind {
        CureKind::Fp32 | CureKind::Split => format!("in {}", low(report)),
        CureKind::Unquantised => "quantised".into(),
    }
}

/// The precision that all other nodes have: `FP16`.
pub fn low(report: &Report) -> String {
    report.candidate.computes.map_or("the low precision".into(), |low| low.to_string().to_uppercase())
}

fn parent(path: &str) -> &str {
    match path.rfind(['/', '\\']) {
        None => ".",
        Some(0) => &path[..1],
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests;
