//! What a real parser of TensorRT says to a model.

use serde::Serialize;

/// One that was asked, or why none was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParserFacts {
    /// Its name and version, `TensorRT-RTX 1.7.1`; `None` where none was asked.
    pub name: Option<String>,
    /// The file it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// The user named it: what it refuses is an error, not a warning.
    pub named: bool,
    /// Why none was asked, or why not to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How often it was asked.
    pub questions: usize,
    /// What it refuses, in the order in which it told it.
    pub refused: Vec<Refusal>,
    /// What it says of no single node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<String>,
    /// Nodes that it was not asked about, as they read something of a refused node whose type is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<String>,
    /// Nodes that it takes: those that are left when all others are taken out, as one model.
    pub taken: usize,
}

/// Nodes of one operator that the parser refuses in the same words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Of the nodes.
    pub op_type: String,
    /// The parser's own words.
    pub words: String,
    /// They were asked about in models of their own, and not in their places in the whole.
    pub alone: bool,
    /// Behind the paths of their subgraphs.
    pub nodes: Vec<String>,
    /// Nodes with the operator, attributes, constants and types of one of them: not asked about one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<String>,
}

impl ParserFacts {
    /// None was asked.
    pub fn none(why: String) -> ParserFacts {
        ParserFacts { why: Some(why), ..ParserFacts::default() }
    }

    /// Does it take the whole model?
    pub fn takes_all(&self) -> bool {
        self.name.is_some() && self.why.is_none() && self.refused.is_empty() && self.model.is_empty()
    }
}
