//! Which nodes a parser refuses, asked of it. One question hides most of the answer: a parser stops at its first refusal. So what
//! it refuses is taken out, with what it made as inputs of the right types in its place, and it is asked again, until it takes
//! what is left. Where a complaint is about no node, each kind of node is asked about in a model of its own. Knows no library:
//! whoever asks is a closure.

mod cut;
mod items;

use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;

use self::cut::{alone, without};
use self::items::{Items, kind};
use super::constants::constants;
use super::facts::{ParserFacts, Refusal};
use super::file::Source;
use super::types::Typing;
use crate::onnx::{ModelProto, TensorProto};
use crate::run::{Complaint, RunError};

/// Questions about one model at most: each costs a parse.
const QUESTIONS: usize = 400;

/// Operators, and the places of their outputs that are quantised.
const QUANTISED: [(&str, usize); 4] =
    [("QuantizeLinear", 0), ("DynamicQuantizeLinear", 0), ("QLinearConv", 0), ("QLinearMatMul", 0)];
/// Those that are scalars.
const SCALARS: [(&str, usize); 3] = [("DynamicQuantizeLinear", 1), ("DynamicQuantizeLinear", 2), ("Size", 0)];

/// What a cut needs to know of the model.
struct Known<'a> {
    typing: &'a Typing,
    /// By key.
    constants: HashMap<String, TensorProto>,
    /// Keys of what is quantised: TensorRT has no uint8 inside, and takes it as int8.
    quantised: HashSet<String>,
    /// Keys of scalars, of which ONNX Runtime's inference says as much as of an unknown shape.
    scalars: HashSet<String>,
}

/// What `ask` refuses of the model, whose lean form is `model`.
pub fn refusals(
    source: &Source,
    model: &ModelProto,
    typing: &Typing,
    ask: &mut dyn FnMut(&ModelProto) -> Result<Vec<Complaint>, RunError>,
) -> Result<ParserFacts, RunError> {
    let items = Items::of(model);
    let constants = constants(source).into_iter().map(|c| (c.key.clone(), c.proto.into_owned())).collect();
    let (quantised, scalars) = (items.made_by(&QUANTISED), items.made_by(&SCALARS));
    let known = Known { typing, constants, quantised, scalars };
    let kinds = items.all.iter().map(|item| kind(item, &known)).collect();
    Search { items, known, kinds, gone: HashSet::new(), swept: false, facts: ParserFacts::default(), ask }.run()
}

struct Search<'a> {
    items: Items,
    known: Known<'a>,
    /// By item.
    kinds: Vec<String>,
    /// Nodes of the main graph that are taken out.
    gone: HashSet<usize>,
    /// Every kind was asked about alone.
    swept: bool,
    facts: ParserFacts,
    ask: &'a mut dyn FnMut(&ModelProto) -> Result<Vec<Complaint>, RunError>,
}

impl Search<'_> {
    fn run(mut self) -> Result<ParserFacts, RunError> {
        while let Some(left) = self.left() {
            let complaints = self.question(&left)?;
            if complaints.is_empty() {
                self.facts.taken = self.items.in_main() - self.gone.len();
                return Ok(self.facts);
            }
            if self.facts.questions >= QUESTIONS {
                self.facts.why = Some(format!("stopped after {QUESTIONS} questions"));
                return Ok(self.facts);
            }
            let before = self.gone.len();
            self.believe(&complaints);
            // About no node: is there one that it is about all the same?
            if self.gone.len() == before && !std::mem::replace(&mut self.swept, true) {
                self.sweep()?;
            }
            if self.gone.len() == before {
                self.facts.model = complaints.into_iter().map(|complaint| complaint.words).collect();
                return Ok(self.facts);
            }
        }
        Ok(self.facts)
    }

    fn question(&mut self, model: &ModelProto) -> Result<Vec<Complaint>, RunError> {
        self.facts.questions += 1;
        (self.ask)(model)
    }

    /// The model without what is taken out; `None` where nothing is left.
    fn left(&mut self) -> Option<ModelProto> {
        loop {
            match without(&self.items, &self.gone, &self.known) {
                Ok(left) => return left,
                Err(stuck) => {
                    self.facts.unasked.extend(stuck.iter().map(|main| self.items.main(*main).shown.clone()));
                    self.gone.extend(stuck);
                }
            }
        }
    }

    /// Takes out the nodes that the complaints name, and then those that are like them.
    fn believe(&mut self, complaints: &[Complaint]) {
        let item = |complaint: &Complaint| self.items.named(complaint.node.as_ref()?);
        let outside = |item: &usize| !self.gone.contains(&self.items.all[*item].main);
        let told = complaints.iter().filter_map(|c| Some((item(c).filter(outside)?, c.words.clone())));
        let told: IndexSet<(usize, String)> = told.collect();
        self.gone.extend(told.iter().map(|(item, _)| self.items.all[*item].main));
        for (item, words) in told {
            self.refuse(item, words, false);
        }
    }

    fn refuse(&mut self, item: usize, words: String, alone: bool) {
        self.gone.insert(self.items.all[item].main);
        let outside = |other: &usize| !self.gone.contains(&self.items.all[*other].main);
        let same = |other: &usize| outside(other) && self.kinds[*other] == self.kinds[item];
        let alike: Vec<usize> = (0..self.kinds.len()).filter(same).collect();
        self.gone.extend(alike.iter().map(|other| self.items.all[*other].main));
        let shown = |item: usize| self.items.all[item].shown.clone();
        let op_type = self.items.all[item].node.op_type().to_string();
        let known =
            self.facts.refused.iter().position(|r| (&r.op_type, &r.words, r.alone) == (&op_type, &words, alone));
        let at = known.unwrap_or_else(|| {
            self.facts.refused.push(Refusal { op_type, words, alone, ..Refusal::default() });
            self.facts.refused.len() - 1
        });
        self.facts.refused[at].nodes.push(shown(item));
        self.facts.refused[at].alike.extend(alike.into_iter().map(shown));
    }

    /// Asks about one node of each kind, inner ones too, in a model of its own.
    fn sweep(&mut self) -> Result<(), RunError> {
        let mut asked = HashSet::new();
        for at in 0..self.kinds.len() {
            let item = &self.items.all[at];
            if self.gone.contains(&item.main) || !asked.insert(self.kinds[at].clone()) {
                continue;
            }
            let Some(model) = alone(&self.items, item, &self.known) else { continue };
            if self.facts.questions >= QUESTIONS {
                return Ok(());
            }
            if let Some(complaint) = self.question(&model)?.into_iter().next() {
                self.refuse(at, complaint.words, true);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
