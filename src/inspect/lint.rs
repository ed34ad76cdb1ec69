//! What bites later, found in the file: each with a code, a severity, where it is, why it matters and what to do. Runs nothing;
//! three files of checks, each on what it needs.

mod constants;
mod graph;
mod operators;
mod parser;

pub(in crate::inspect) use self::graph::each_named;

use super::facts::{Finding, ModelFacts, Severity};
use super::file::Source;
use super::types::Typing;

/// Everything that was found, the worst first.
pub fn lint(source: &Source, typing: &Typing, facts: &ModelFacts) -> Vec<Finding> {
    let mut found = Found::default();
    graph::checks(source, facts, &mut found);
    constants::checks(source, &mut found);
    operators::checks(source, typing, &mut found);
    parser::checks(facts, &mut found);
    found.0.sort_by_key(|finding| finding.severity);
    found.0
}

/// Findings, one of each code.
#[derive(Default)]
pub(super) struct Found(Vec<Finding>);

impl Found {
    /// One that is about the whole model.
    fn model(&mut self, severity: Severity, code: &'static str, why: String, advice: &'static str) {
        self.0.push(Finding { code, severity, places: Vec::new(), why, advice });
    }

    /// One that is about these places, if there are any.
    fn places(
        &mut self,
        (severity, code): (Severity, &'static str),
        places: Vec<String>,
        why: &str,
        advice: &'static str,
    ) {
        let mut once = Vec::new();
        for place in places {
            if !once.contains(&place) {
                once.push(place);
            }
        }
        if !once.is_empty() {
            self.0.push(Finding { code, severity, places: once, why: why.to_string(), advice });
        }
    }
}
