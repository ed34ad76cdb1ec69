//! What a real parser refuses, where one was asked.

use super::Found;
use crate::found::words::plural;
use crate::inspect::facts::{ModelFacts, ParserFacts, Refusal, Severity};

/// An error where the user named the parser, a warning where one happened to be there.
pub fn checks(facts: &ModelFacts, found: &mut Found) {
    let Some(parser) = &facts.tensorrt.parser else { return };
    let severity = if parser.named { Severity::Error } else { Severity::Warning };
    for refusal in &parser.refused {
        let places = refusal.nodes.iter().chain(&refusal.alike).cloned().collect();
        let advice = "export that part otherwise, leave it out of the engine, or bring a plugin";
        found.places((severity, "tensorrt_refuses"), places, &why(parser, refusal), advice);
    }
    for words in &parser.model {
        let why = format!("{} refuses the model, and names no node: {words}", name(parser));
        let advice = "repair what else is found here, and ask again; or ask about a part of the model";
        found.model(severity, "tensorrt_refuses", why, advice);
    }
}

fn why(parser: &ParserFacts, refusal: &Refusal) -> String {
    let alone = if refusal.alone { " in a model of its own" } else { "" };
    let mut why = format!("{} refuses {}{alone}: {}", name(parser), refusal.op_type, refusal.words);
    if !refusal.alike.is_empty() {
        let alike = plural(refusal.alike.len(), "node");
        why += &format!(" (not asked about {alike} with the same operator, attributes, constants and types)");
    }
    why
}

fn name(parser: &ParserFacts) -> &str {
    parser.name.as_deref().unwrap_or("TensorRT")
}
