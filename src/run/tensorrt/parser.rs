//! What TensorRT's ONNX parser complains about: node, operator, and the place in its sources.

use std::fmt;

use prost::Message;

use super::loaded::Library;
use super::sys;
use crate::onnx::ModelProto;
use crate::run::RunError;

/// One complaint of the parser.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseError {
    /// The index of the node in the model; `None` when it is about no single node.
    pub node: Option<usize>,
    /// Of the node; empty in 8.6, which tells its index alone.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// A number of `nvonnxparser::ErrorCode`.
    pub code: i32,
    /// The parser's own words.
    pub desc: String,
    /// Where in the parser's sources it was found.
    pub file: String,
    /// The line in `file`.
    pub line: i32,
    /// The function around that line.
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
    /// In the parser's order.
    pub(super) fn all(parser: sys::Ref<sys::Parser>) -> Vec<ParseError> {
        let errors = (0..parser.error_count()).filter_map(|i| parser.error(i));
        errors.map(ParseError::of).collect()
    }

    /// With the names and operators of their nodes, where the parser told an index alone.
    pub(super) fn named(mut errors: Vec<ParseError>, model: &[u8]) -> Vec<ParseError> {
        if errors.iter().all(|error| error.node.is_none() || !error.op.is_empty()) {
            return errors;
        }
        let graph = ModelProto::decode(model).ok().and_then(|model| model.graph).unwrap_or_default();
        for error in errors.iter_mut().filter(|error| error.op.is_empty()) {
            if let Some(node) = error.node.and_then(|index| graph.node.get(index)) {
                (error.name, error.op) = (node.name().to_string(), node.op_type().to_string());
            }
        }
        errors
    }

    /// A complaint of our own, about no single node.
    pub(super) fn of_the_model(desc: &str) -> ParseError {
        let (name, op, file, function) = Default::default();
        ParseError { node: None, name, op, code: 3, desc: desc.to_string(), file, line: 0, function }
    }

    fn of(error: sys::Ref<sys::ParserError>) -> ParseError {
        ParseError {
            node: usize::try_from(error.node()).ok(),
            name: error.node_name().unwrap_or_default(),
            op: error.operator().unwrap_or_default(),
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

    /// The parser's own words, without where in its sources they stand.
    pub fn own_words(&self) -> &str {
        match message(&self.desc) {
            // It only says that it never takes such a node.
            "" | "false" => self.what(),
            message => message,
        }
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
            (true, Some(node)) => write!(f, "node {node}: ")?,
            _ => {}
        }
        let own = self.own_words();
        let plugin = self.function == "checkFallbackPluginImporter"
            || (own.contains("plugin creator") && own.contains("not found"));
        f.write_str(if plugin { "TensorRT has no such operator, and no plugin for it" } else { own })
    }
}

/// What an assertion of the parser means to say: `Assertion failed: CONDITION: MESSAGE`, or `CONDITION && "MESSAGE"`.
fn message(desc: &str) -> &str {
    let desc = desc.trim();
    fn quoted(text: &str) -> Option<&str> {
        text.rsplit_once("&& \"").map(|(_, message)| message.trim_end_matches('"'))
    }
    let Some((_, assertion)) = desc.rsplit_once("Assertion failed: ") else { return quoted(desc).unwrap_or(desc) };
    let message = assertion.split_once(": ").map(|(_, message)| message);
    message.or_else(|| quoted(assertion)).unwrap_or(assertion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, NodeProto};

    #[test]
    fn what_the_user_reads() {
        let check = |name: &str, op: &str, desc: &str, expected: &str| {
            let error = ParseError { name: name.into(), op: op.into(), ..ParseError::of_the_model(desc) };
            assert_eq!(error.to_string(), expected);
        };
        check(
            "",
            "",
            "Assertion failed: model->Parse(&in): Failed to parse the ONNX model.",
            "Failed to parse the ONNX model.",
        );
        check(
            "first",
            "Add",
            "Assertion failed: (ctx->tensors().count(inputName)): Node input was not registered.",
            "node 'first' (Add): Node input was not registered.",
        );
        check(
            "",
            "",
            "Failed to import initializer: In node -1 with name:  and operator:  (f): UNSUPPORTED_NODE: Assertion failed: a(b, &c): Failed to import initializer: fc1_w",
            "Failed to import initializer: fc1_w",
        );
        check("", "", "Assertion failed: convert(a::b, &c) && \"Failed to convert.\"", "Failed to convert.");
        check("", "", "", "the model cannot be read");
        check("act", "F", "Assertion failed: x", "node 'act' (F): x");
    }

    /// TensorRT 8.6 tells no names.
    #[test]
    fn names_come_from_the_model() {
        let node =
            vec![NodeProto::new("Relu", "", &["x"], &["a"]), NodeProto::new("Pow", "square", &["a", "p"], &["y"])];
        let graph = GraphProto { node, ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() }.encode_to_vec();
        let check = |node: Option<usize>, expected: &str| {
            let error = ParseError { node, ..ParseError::of_the_model("no importer") };
            let [named] = &ParseError::named(vec![error], &model)[..] else { panic!() };
            assert_eq!(named.to_string(), expected);
        };
        check(Some(1), "node 'square' (Pow): no importer");
        check(Some(0), "node 0 (Relu): no importer");
        check(Some(7), "node 7: no importer");
        check(None, "no importer");
    }

    #[test]
    fn operators_that_tensorrt_does_not_have() {
        let function = "checkFallbackPluginImporter".to_string();
        let error = ParseError {
            name: "act".into(),
            op: "Frobnicate".into(),
            function,
            ..ParseError::of_the_model("creator && \"...\"")
        };
        assert_eq!(error.to_string(), "node 'act' (Frobnicate): TensorRT has no such operator, and no plugin for it");
    }
}
