//! What TensorRT's ONNX parser complains about: node, operator, and the place in its sources.

use std::fmt;

use super::open::Library;
use super::sys;
use crate::run::RunError;

/// One complaint of the parser.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseError {
    /// The index of the node in the model; `None` when it is about no single node.
    pub node: Option<usize>,
    pub name: String,
    pub op: String,
    pub code: i32,
    pub desc: String,
    /// Where in the parser's sources it was found.
    pub file: String,
    pub line: i32,
    pub function: String,
}

/// The numbers of `nvonnxparser::ErrorCode`.
const CODES: [&str; 15] = [
    "success",
    "internal error",
    "out of memory",
    "the model cannot be read",
    "invalid value",
    "invalid graph",
    "invalid node",
    "unsupported graph",
    "unsupported node",
    "unsupported attribute",
    "unsupported input",
    "unsupported element type",
    "unsupported dynamic input",
    "unsupported shape",
    "refit failed",
];

impl ParseError {
    pub(super) fn all(parser: sys::Ref<sys::Parser>) -> Vec<ParseError> {
        let errors = (0..parser.error_count()).filter_map(|i| parser.error(i));
        errors.map(ParseError::of).collect()
    }

    pub(super) fn of_the_model(desc: &str) -> ParseError {
        let (name, op, file, function) = Default::default();
        ParseError { node: None, name, op, code: 3, desc: desc.to_string(), file, line: 0, function }
    }

    fn of(error: sys::Ref<sys::ParserError>) -> ParseError {
        ParseError {
            node: usize::try_from(error.node()).ok(),
            name: error.node_name(),
            op: error.operator(),
            code: error.code(),
            desc: error.description(),
            file: error.file(),
            line: error.line(),
            function: error.function(),
        }
    }

    /// What the code stands for.
    pub fn what(&self) -> &'static str {
        usize::try_from(self.code).ok().and_then(|code| CODES.get(code)).copied().unwrap_or("unknown error")
    }
}

/// The answer to a model that was not parsed.
pub fn refusal(library: &Library, errors: &[ParseError]) -> RunError {
    let (shown, more) = errors.split_at(errors.len().min(3));
    let mut reasons: Vec<String> = shown.iter().map(ParseError::to_string).collect();
    if !more.is_empty() {
        reasons.push(format!("and {} more", more.len()));
    }
    RunError::Build { backend: library.name(), reason: reasons.join("; ") }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.is_empty(), self.node) {
            (false, _) => write!(f, "node '{}' ({}): ", self.name, self.op)?,
            (true, Some(node)) if !self.op.is_empty() => write!(f, "node {node} ({}): ", self.op)?,
            _ => {}
        }
        match self.desc.trim() {
            "" => f.write_str(self.what()),
            desc => f.write_str(desc),
        }
    }
}
