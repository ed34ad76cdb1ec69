//! Where in a PyTorch program a node comes from: what the exporter wrote beside the node, or what the node's name says.
//! Reads one node; knows no graph, and runs nothing.
//!
//! `torch.onnx.export(dynamo=True)` writes `pkg.torch.onnx.*` into `metadata_props` of every node (seen with PyTorch 2.9 and 2.15).
//! The older exporter, by TorchScript, writes none, and names nodes after the modules: `/encoder/layer.0/query/MatMul`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::clean;
use crate::onnx::NodeProto;

/// A node's place in the PyTorch program that it was exported from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Torch {
    /// The innermost module that computes it, as `named_modules` calls it; empty for the model itself.
    pub scope: String,
    /// The class of that module, without its package; null where only the name is known.
    #[serde(default)]
    pub module: Option<String>,
    /// `model.py:213 in forward`: the innermost line of the program that is not PyTorch's own; null where it is not told.
    #[serde(default)]
    pub source: Option<String>,
    /// Who says so.
    pub by: KnownBy,
}

/// What a place in a PyTorch program is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnownBy {
    /// The exporter wrote it beside the node.
    #[default]
    Metadata,
    /// The node is named as the TorchScript exporter names them; anybody may name nodes so.
    Name,
}

impl Torch {
    /// `None`: neither says anything of PyTorch.
    pub fn of(node: &NodeProto) -> Option<Torch> {
        told_beside(node).or_else(|| by_name(node.name(), node.op_type()))
    }

    /// `encoder.layer.0.query (Linear), model.py:213`, in one line. Cleaned of control characters.
    pub fn told(&self) -> String {
        if self.by == KnownBy::Name {
            return format!("scope by its name: {}", clean(&self.scope));
        }
        let scope = if self.scope.is_empty() { "the model itself" } else { &self.scope };
        let module = self.module.iter().map(|module| format!(" ({module})"));
        let source = self.source.iter().map(|source| format!(", {}", file_and_line(source)));
        clean(&std::iter::once(scope.to_string()).chain(module).chain(source).collect::<String>())
    }
}

/// `model.py:213` of `/home/u/model.py:213 in forward`.
fn file_and_line(source: &str) -> &str {
    let line =
        source.rsplit_once(" in ").filter(|(_, function)| !function.contains(':')).map_or(source, |(line, _)| line);
    line.rsplit(['/', '\\']).next().unwrap_or(line)
}

fn told_beside(node: &NodeProto) -> Option<Torch> {
    let value = |key: &str| {
        let wanted = format!("pkg.torch.onnx.{key}");
        node.metadata_props.iter().find(|entry| entry.key() == wanted).map(|entry| entry.value())
    };
    // The last name is the operation's own, the one before it the module's.
    let owner = |names: &str| python_strings(names)?.into_iter().rev().nth(1);
    let scope = owner(value("name_scopes")?)?;
    let class = value("class_hierarchy").and_then(owner);
    let module = class.and_then(|class| class.rsplit('.').next().map(str::to_string)).filter(|name| !name.is_empty());
    Some(Torch { scope, module, source: value("stack_trace").and_then(source), by: KnownBy::Metadata })
}

/// The strings of a list as Python writes it: `['', "a'b"]`. `None` where it is no such list.
fn python_strings(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim_start();
    let mut strings = Vec::new();
    while let Some(quote) = rest.chars().next() {
        if !matches!(quote, '\'' | '"') {
            return None;
        }
        let (mut string, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => (escaped, _) = (false, string.push(c)),
                '\\' => escaped = true,
                c if c == quote => {
                    end = Some(at + 1);
                    break;
                }
                c => string.push(c),
            }
        }
        strings.push(string);
        rest = rest[end?..].trim_start_matches([',', ' ']);
    }
    Some(strings)
}

/// The innermost frame of a Python stack trace outside PyTorch; the innermost one where all are PyTorch's.
fn source(trace: &str) -> Option<String> {
    let frame = |line: &str| {
        let (path, rest) = line.trim().strip_prefix("File \"")?.split_once("\", line ")?;
        let (line, function) = rest.split_once(", in ").unwrap_or((rest, ""));
        let within = if function.is_empty() { String::new() } else { format!(" in {function}") };
        Some((path.to_string(), format!("{path}:{}{within}", line.trim())))
    };
    let frames: Vec<(String, String)> = trace.lines().filter_map(frame).collect();
    let inner = |(path, _): &&(String, String)| !path.replace('\\', "/").contains("-packages/torch/");
    frames.iter().rev().find(inner).or(frames.last()).map(|(_, told)| told.clone())
}

/// Of `/body/body.0/Conv_1`, a Conv: `body.0`. Nodes of the model itself are named `/Conv`, as others name theirs: no answer.
fn by_name(name: &str, op_type: &str) -> Option<Torch> {
    let (scope, last) = name.strip_prefix('/')?.rsplit_once('/')?;
    let number = last.strip_prefix(op_type)?;
    let counted = number.strip_prefix('_').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if op_type.is_empty() || !(number.is_empty() || counted) || scope.split('/').any(str::is_empty) {
        return None;
    }
    let mut path = String::new();
    for part in scope.split('/') {
        // The modules of a Sequential are named after it once more: `body/body.0`.
        let list = part.split_once('.').filter(|(list, _)| path == *list || path.ends_with(&format!(".{list}")));
        match list {
            Some((_, index)) => path = format!("{path}.{index}"),
            None if path.is_empty() => path = part.to_string(),
            None => path = format!("{path}.{part}"),
        }
    }
    Some(Torch { scope: path, by: KnownBy::Name, ..Torch::default() })
}

#[cfg(test)]
mod tests;
