//! What the overrides are worth, in sentences: how many nodes, which, whether a run showed it, at what price, and which
//! file is for whom. All strings are cleaned of control characters.

use crate::report::text::words::{clean, count, file_name, number, plural};
use crate::report::{Overrides, Real, Report};

/// Groups that are named on the terminal and in a ticket.
pub const NAMED: usize = 6;

/// A file of the overrides and what it is for.
#[derive(Debug, PartialEq)]
pub struct File {
    /// The name, or the whole path where not all files are in one folder.
    pub name: String,
    pub purpose: String,
}

/// By consumer, the most useful first.
const PURPOSES: [(&str, &str); 8] = [
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
const MIXED: &str = "onnx";
const README: &str = "readme";

/// `2 of 14 nodes in FP32; verified: yes; none can be given back`.
pub fn claim(o: &Overrides) -> String {
    if o.nodes.is_empty() {
        let none = if o.verified { "none needed: the outputs agree with no node in FP32" } else { "none found" };
        return none.into();
    }
    let mut parts = vec![kept(o), format!("verified: {}", if o.verified { "yes" } else { "NO" })];
    match (o.verified, o.minimal) {
        (false, _) => {}
        (true, true) => parts.push("none can be given back".into()),
        (true, false) => parts.push("perhaps fewer would do".into()),
    }
    parts.join("; ")
}

/// `2 of 14 nodes in FP32`.
pub fn kept(o: &Overrides) -> String {
    match o.of {
        0 => format!("{} in FP32", plural(o.nodes.len(), "node")),
        of => format!("{} of {} in FP32", count(o.nodes.len() as u64), plural(of, "node")),
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

/// `relative RMS error of the worst output: 0.913 before, 4.95e-4 after; 10 trials`.
pub fn price(o: &Overrides) -> String {
    let before = error(o.error_before);
    let errors = match o.nodes.is_empty() {
        true => format!("{before} with nothing in FP32"),
        false => format!("{before} before, {} after", error(o.error_after)),
    };
    format!("relative RMS error of the worst output: {errors}; {}", plural(o.builds, "trial"))
}

/// An error as a reader wants it: where there is no number, the outputs had NaN or infinities of their own.
pub fn error(error: Real) -> String {
    if error.0.is_finite() { number(error.0) } else { "NaN or Inf".into() }
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
    Some(format!("files in {folder}: {}, the model with these nodes in FP32{more}", clean(file_name(mixed))))
}

/// The folder that all files are in; a dot for the current one.
pub fn folder(o: &Overrides) -> Option<&str> {
    let mut folders = o.files.values().map(|path| parent(path));
    let first = folders.next()?;
    folders.all(|folder| folder == first).then_some(first)
}

/// Every file, the most useful first; those of unknown consumers last.
pub fn files(o: &Overrides) -> Vec<File> {
    let whole = folder(o).is_none();
    let file = |path: &str, purpose: String| File { name: clean(if whole { path } else { file_name(path) }), purpose };
    let known = PURPOSES.iter().filter_map(|(consumer, purpose)| {
        let path = o.files.get(*consumer)?;
        Some(file(path, purpose.to_string()))
    });
    let unknown = o.files.iter().filter(|(consumer, _)| PURPOSES.iter().all(|(known, _)| known != consumer));
    known.chain(unknown.map(|(consumer, path)| file(path, format!("for {}", clean(consumer))))).collect()
}

/// The precision that all other nodes have: `FP16`.
pub fn low(report: &Report) -> String {
    // What follows the word says how it is computed.
    match report.candidate.precision.split_whitespace().next() {
        None => "the low precision".into(),
        Some(precision) => clean(precision).to_uppercase(),
    }
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
