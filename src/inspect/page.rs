//! The findings on the terminal: one headline a file, fields, then tables; with `--against` the differences only. Makes a string.

#![allow(missing_docs)]

mod against;
mod engine;
mod model;
mod table;

use super::facts::{Facts, Inspection};
use crate::show::text::paint::Page;

pub fn render(found: &Inspection, nodes: bool, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    match (&found.against, &found.differences) {
        (Some(other), Some(differences)) => against::draw(&mut page, &found.subject, other, differences, nodes),
        _ => match &found.subject {
            Facts::Model(facts) => model::draw(&mut page, facts),
            Facts::Engine(facts) => engine::draw(&mut page, facts, nodes),
        },
    }
    page.text
}
