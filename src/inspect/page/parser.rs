//! What TensorRT takes of a model, on the terminal: the answer of a parser, and what is known without one.

use super::headed;
use super::table::some;
use crate::found::words::{clean, plural};
use crate::inspect::facts::{ParserFacts, TensorRt};
use crate::show::page::{Block, Fact, Role};

/// Nodes told in full.
const PLACES: usize = 6;

/// Only where it was to be asked.
pub fn blocks(tensorrt: &TensorRt) -> Vec<Block> {
    let Some(parser) = &tensorrt.parser else { return Vec::new() };
    let known: Vec<String> =
        tensorrt.notes.iter().filter(|note| !note.places.is_empty()).map(|note| note.text.clone()).collect();
    let (role, mut head) = verdict(parser);
    if parser.name.is_none() {
        head += if known.is_empty() { ", and nothing in it is known to be refused" } else { ", but this is known" };
    }
    let mut facts = Vec::new();
    if parser.name.is_some() {
        facts.extend(asked(parser));
    }
    facts.extend(super::under(Role::Doubt, "known", known));
    vec![Block::Gap, headed(role, "TensorRT", head, facts)]
}

fn verdict(parser: &ParserFacts) -> (Role, String) {
    let Some(name) = &parser.name else {
        let why = parser.why.as_deref().unwrap_or_default();
        return (Role::Dim, format!("no parser was asked ({})", clean(why)));
    };
    let refused: usize = parser.refused.iter().map(|r| r.nodes.len() + r.alike.len()).sum();
    match (parser.takes_all(), refused) {
        (true, _) => (Role::Good, format!("the parser of {name} takes the model")),
        (false, 0) => (Role::Bad, format!("the parser of {name} refuses the model")),
        (false, n) => (Role::Bad, format!("the parser of {name} refuses {}", plural(n, "node"))),
    }
}

fn asked(parser: &ParserFacts) -> Vec<Fact> {
    let mut facts = Vec::new();
    if !parser.takes_all() && parser.taken > 0 {
        let taken = plural(parser.taken, "node");
        facts.push(Fact::new("takes", format!("{taken}: what is left without all others, as one model")));
    }
    if !parser.unasked.is_empty() {
        let text = format!(
            "{}, for the type or rank of what they read of a refused node is not known (a run tells more: --nodes --shape): {}",
            plural(parser.unasked.len(), "node"),
            some(&parser.unasked, PLACES)
        );
        facts.push(Fact::doubtful("not asked", text));
    }
    facts.extend(parser.why.iter().map(|why| Fact::doubtful("not asked", clean(why))));
    facts.push(Fact::new("asked", plural(parser.questions, "time")));
    facts
}
