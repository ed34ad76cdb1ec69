//! Which names of two graphs are one and the same. Names that only one graph has may be paired while the graphs are compared: both made by
//! the same operator, read in the same place.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::onnx::GraphProto;

/// Of one graph and those around it, outermost first.
#[derive(Clone)]
pub struct Names(Vec<Rc<RefCell<Level>>>);

#[derive(Default)]
struct Level {
    to_theirs: HashMap<String, String>,
    to_mine: HashMap<String, String>,
    /// Of the bodies inside, by attribute and by the positions of the two nodes.
    bodies: HashMap<Body, Rc<RefCell<Level>>>,
}

/// A body in both files: the attribute that holds it, and the positions of the nodes.
pub type Body = (String, usize, usize);

impl Names {
    /// Of two main graphs: equal names, unless these `pairs` say otherwise.
    pub fn of(mine: Option<&GraphProto>, theirs: Option<&GraphProto>, pairs: &[(String, String)]) -> Names {
        let mut level = Level::default();
        for (mine, theirs) in pairs {
            level.pair(mine, theirs);
        }
        if let (Some(mine), Some(theirs)) = (mine, theirs) {
            level.equal(mine, theirs);
        }
        Names(vec![Rc::new(RefCell::new(level))])
    }

    /// Of two bodies inside: inputs by position, everything else by name. What is paired later stays.
    pub fn inside(&self, body: Body, mine: &GraphProto, theirs: &GraphProto) -> Names {
        let known = self.0.last().and_then(|own| own.borrow().bodies.get(&body).cloned());
        let level = known.unwrap_or_else(|| {
            let mut level = Level::default();
            for (a, b) in mine.input.iter().zip(&theirs.input) {
                level.pair(a.name(), b.name());
            }
            level.equal(mine, theirs);
            Rc::new(RefCell::new(level))
        });
        if let Some(own) = self.0.last() {
            own.borrow_mut().bodies.insert(body, level.clone());
        }
        let mut levels = self.0.clone();
        levels.push(level);
        Names(levels)
    }

    /// The names of the graph that is so many further out.
    pub fn outer(&self, out: usize) -> Names {
        let keep = self.0.len().saturating_sub(out).max(1);
        Names(self.0[..keep].to_vec())
    }

    /// What stands for `mine` in the other file.
    pub fn to_theirs(&self, mine: &str) -> Option<String> {
        self.0.iter().rev().find_map(|level| level.borrow().to_theirs.get(mine).cloned())
    }

    /// What `theirs` stands for.
    pub fn to_mine(&self, theirs: &str) -> Option<String> {
        self.0.iter().rev().find_map(|level| level.borrow().to_mine.get(theirs).cloned())
    }

    /// These two are the same from now on, unless one of them is known already.
    pub fn pair(&self, mine: &str, theirs: &str) -> bool {
        let free = self.to_theirs(mine).is_none() && self.to_mine(theirs).is_none();
        if let (true, Some(own)) = (free, self.0.last()) {
            own.borrow_mut().pair(mine, theirs);
        }
        free
    }

    /// `mine` is the same thing as what `theirs` stands for already.
    pub fn also_mine(&self, mine: &str, theirs: &str) {
        if let Some(own) = self.0.last() {
            own.borrow_mut().to_theirs.entry(mine.to_string()).or_insert_with(|| theirs.to_string());
        }
    }

    /// `theirs` is the same thing as what stands for `mine` already.
    pub fn also_theirs(&self, mine: &str, theirs: &str) {
        if let Some(own) = self.0.last() {
            own.borrow_mut().to_mine.entry(theirs.to_string()).or_insert_with(|| mine.to_string());
        }
    }

    /// Pairs of this very graph, mine first, in no order.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let own = self.0.last().map(|level| level.borrow());
        own.map_or(Vec::new(), |level| level.to_theirs.iter().map(|(a, b)| (a.clone(), b.clone())).collect())
    }
}

impl Level {
    fn pair(&mut self, mine: &str, theirs: &str) {
        self.to_theirs.entry(mine.to_string()).or_insert_with(|| theirs.to_string());
        self.to_mine.entry(theirs.to_string()).or_insert_with(|| mine.to_string());
    }

    fn equal(&mut self, mine: &GraphProto, theirs: &GraphProto) {
        let all = |graph: &GraphProto| -> HashSet<String> {
            let made = graph.node.iter().flat_map(|n| n.output.iter().cloned());
            made.chain(graph.input.iter().map(|i| i.name().to_string())).filter(|name| !name.is_empty()).collect()
        };
        let other = all(theirs);
        for name in all(mine) {
            let free = !self.to_theirs.contains_key(&name) && !self.to_mine.contains_key(&name);
            if free && other.contains(&name) {
                self.pair(&name, &name);
            }
        }
    }
}
