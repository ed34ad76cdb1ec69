//! The findings as a page: one headline a file, facts, then tables; with `--against` the differences only. The writer for a
//! terminal lays it out.

mod against;
mod cost;
mod coverage;
mod data;
mod engine;
mod head;
mod lint;
mod model;
mod parser;
mod related;
mod table;
mod tensor;

use super::facts::{Facts, Inspection};
use crate::show::page::{Block, Card, Fact, Page, Role, Words};
use crate::show::text;

/// As text for a terminal of `width` columns; `nodes` tells every node or layer.
pub fn render(found: &Inspection, nodes: bool, color: bool, width: usize) -> String {
    let blocks = match (&found.against, &found.differences) {
        (Some(Facts::Data(_)), Some(differences)) => related::blocks(differences),
        (Some(other), Some(differences)) => against::blocks(&found.subject, other, differences, nodes),
        _ => match &found.subject {
            Facts::Model(facts) => model::blocks(facts),
            Facts::Engine(facts) => engine::blocks(facts, nodes),
            Facts::Data(facts) => data::blocks(facts),
        },
    };
    text::write(&Page { blocks, ..Page::default() }, color, width)
}

/// What is under one headline.
fn headed(role: Role, label: &str, head: impl Into<Words>, facts: Vec<Fact>) -> Block {
    let (label, head, blocks) = (label.into(), head.into(), vec![Block::facts(facts)]);
    Block::Cards(vec![Card { role, label, head, blocks, ..Card::default() }])
}

/// Facts under one name: the first has it, the others go on about it.
fn under(role: Role, name: &'static str, told: impl IntoIterator<Item = String>) -> impl Iterator<Item = Fact> {
    let fact = move |(at, told): (usize, String)| Fact { role, ..Fact::new(if at == 0 { name } else { "" }, told) };
    told.into_iter().enumerate().map(fact)
}
