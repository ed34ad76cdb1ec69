//! Two graphs side by side, from tensors that are the same thing in both: their makers are compared, and what those read, as far as only
//! they read it. Bodies of If, Loop and Scan are compared like the main graph.

use std::collections::HashSet;

use super::fused;
use super::held::{self, Held};
use super::pair::{Pair, known, own, turned};
use super::scope::{Maker, Scope};
use super::slots::{COMMUTE, Slot, beside, slots};
use super::upward::inside;
use super::{At, Difference, Two, What, version};
use crate::graph::node_name;
use crate::onnx::{GraphProto, NodeProto};

/// Nodes that are listed at most where other nodes make a tensor.
const MOST: usize = 8;

/// All differences between the two files, in the order of the believed one's nodes.
pub fn all(two: &Two) -> Vec<Difference> {
    let mut pairs = two.names.pairs();
    let order = positions(two.mine.proto.graph.as_ref());
    pairs.retain(|(mine, _)| order(mine).is_some());
    pairs.sort_by_key(|(mine, _)| order(mine));
    compare(two, pairs)
}

/// The differences at the makers of these tensors of the believed file's main graph.
pub fn at(two: &Two, tensors: &[String]) -> Vec<Difference> {
    let pair = |mine: &String| Some((mine.clone(), two.names.to_theirs(mine)?));
    compare(two, tensors.iter().filter_map(pair).collect())
}

fn compare(two: &Two, pairs: Vec<(String, String)>) -> Vec<Difference> {
    let (Some(mine), Some(theirs)) = (two.mine.proto.graph.as_ref(), two.theirs.proto.graph.as_ref()) else {
        return Vec::new();
    };
    let pair = Pair {
        mine: Scope::main(two.mine.model, mine),
        theirs: Scope::main(two.theirs.model, theirs),
        names: two.names.clone(),
    };
    let mut comparing = Comparing { two, found: Vec::new(), seen: HashSet::new(), open: Vec::new() };
    comparing.open.extend(pairs.into_iter().rev().map(|(mine, theirs)| (pair.clone(), mine, theirs)));
    while let Some((pair, mine, theirs)) = comparing.open.pop() {
        comparing.tensor(&pair, &mine, &theirs);
    }
    comparing.found
}

/// The position of the maker of a name.
fn positions(graph: Option<&GraphProto>) -> impl Fn(&str) -> Option<usize> + use<> {
    let made = |(i, n): (usize, &NodeProto)| n.output.iter().map(|name| (name.clone(), i)).collect::<Vec<_>>();
    let nodes = graph.map_or(&[][..], |g| g.node.as_slice());
    let order: std::collections::HashMap<String, usize> = nodes.iter().enumerate().flat_map(made).collect();
    move |name| order.get(name).copied()
}

struct Comparing<'a, 't> {
    two: &'t Two<'a>,
    found: Vec<Difference>,
    /// Makers that were compared: path and position, in the believed file.
    seen: HashSet<At>,
    /// Tensors, mine and theirs, whose makers are to be compared.
    open: Vec<(Pair<'t>, String, String)>,
}

impl<'t> Comparing<'_, 't> {
    /// The makers of `mine` and `theirs`, which are the same thing.
    fn tensor(&mut self, pair: &Pair<'t>, mine: &str, theirs: &str) {
        let (Some(a), Some(b)) = (own(pair.mine.maker(mine)), own(pair.theirs.maker(theirs))) else { return };
        let tensor = mine.to_string();
        // A name may be that of an Identity here, and that of the value itself there.
        let (a, mine) = match pair.mine.value_behind(mine, false).filter(|_| a.node.op_type() != b.node.op_type()) {
            Some((name, maker)) if maker.node.op_type() == b.node.op_type() => (maker, name),
            _ => (a, mine.to_string()),
        };
        let mine = mine.as_str();
        let (b, theirs) = match pair.theirs.value_behind(theirs, true).filter(|_| a.node.op_type() != b.node.op_type())
        {
            Some((name, maker)) if maker.node.op_type() == a.node.op_type() => (maker, name),
            _ => (b, theirs.to_string()),
        };
        let (a_at, b_at) = (at_node(&pair.mine, &a), at_node(&pair.theirs, &b));
        if !self.seen.insert(a_at.clone()) || a.node.constant().is_some() {
            return;
        }
        let new = |what: What| Difference { tensor: tensor.clone(), mine: a_at.clone(), theirs: b_at.clone(), what };
        let domain = |node: &NodeProto| node.domain().trim_start_matches("ai.onnx").to_string();
        if a.node.op_type() != b.node.op_type() || domain(a.node) != domain(b.node) {
            if pair
                .mine
                .constant(mine)
                .zip(pair.theirs.constant(&theirs))
                .is_some_and(|(a, b)| held::same_values(&a, &b))
            {
                return;
            }
            let (mine, theirs) = self.makers(pair, &a, &b);
            let sides = ((&pair.mine, mine.as_slice()), (&pair.theirs, theirs.as_slice()));
            let weights = fused::weights(sides.0, sides.1, (&self.two.schemas, self.two.theirs.proto));
            self.found.extend(weights.into_iter().map(|(at, what)| Difference { theirs: at, ..new(what) }));
            self.found.push(new(What::Nodes { mine, theirs }));
            return;
        }
        let outputs = [(a.node, mine), (b.node, theirs.as_str())].map(|(n, t)| n.output.iter().position(|o| o == t));
        if let ([Some(mine), Some(theirs)], true) = (outputs, outputs[0] != outputs[1]) {
            self.found.push(new(What::Output { mine, theirs }));
        }
        self.found.extend(self.versions(&a, &b).map(&new));
        let differing = self.slots_of(pair, &a, &b);
        self.found.extend(differing.into_iter().map(&new));
        let bodies = self.bodies(pair, &a, &b);
        self.found.extend(bodies.into_iter().map(&new));
    }

    /// Each maker with the nodes above it that the other file knows nothing of.
    fn makers(&self, pair: &Pair, a: &Maker, b: &Maker) -> (Vec<At>, Vec<At>) {
        let mine = upwards(&pair.mine, a, &|name| pair.names.to_theirs(name).is_some());
        (mine, upwards(&pair.theirs, b, &|name| pair.names.to_mine(name).is_some()))
    }

    /// Several wires of the node are others, and one of them is in one file only: it is the same operator by chance.
    fn rebuilt(&self, pair: &Pair, rows: &[(Option<Slot>, Option<Slot>)]) -> bool {
        let wire = |slot: &Option<Slot>| match slot.as_ref().map(|s| &s.held) {
            Some(Held::Wire(name)) => Some(name.clone()),
            _ => None,
        };
        let wires = rows.iter().filter(|(x, y)| wire(x).is_some() || wire(y).is_some()).count();
        let alone = rows.iter().any(|(x, y)| {
            wire(x).is_some_and(|name| pair.names.to_theirs(&name).is_none())
                || wire(y).is_some_and(|name| pair.names.to_mine(&name).is_none())
        });
        wires > 1 && alone
    }

    /// The files declare other versions of the operator.
    fn versions(&self, a: &Maker, b: &Maker) -> Option<What> {
        let domain = a.node.domain();
        let [mine, theirs] = [self.two.mine.proto, self.two.theirs.proto].map(|proto| version(proto, domain));
        let schema = |node: &NodeProto, version| self.two.schemas.of(domain, node.op_type(), version);
        let (own, other) = schema(a.node, mine).zip(schema(b.node, theirs))?;
        (!own.is_like(other)).then(|| What::Opset { domain: domain.to_string(), mine, theirs })
    }

    fn slots_of(&mut self, pair: &Pair<'t>, a: &Maker<'t>, b: &Maker<'t>) -> Vec<What> {
        let schema =
            |proto, node: &NodeProto| self.two.schemas.of(node.domain(), node.op_type(), version(proto, node.domain()));
        let (mine, theirs) = (schema(self.two.mine.proto, a.node), schema(self.two.theirs.proto, b.node));
        let mut rows = beside(slots(&pair.mine, a.node, mine), slots(&pair.theirs, b.node, theirs));
        if COMMUTE.contains(&a.node.op_type()) {
            turned(pair, &mut rows);
        }
        let differing: Vec<(Option<Slot>, Option<Slot>)> =
            rows.into_iter().filter(|(x, y)| !self.same(pair, x.as_ref(), y.as_ref())).collect();
        if COMMUTE.contains(&a.node.op_type()) && self.swapped(pair, &differing) {
            return Vec::new();
        }
        if let Some(order) = self.order(pair, &differing) {
            return vec![order];
        }
        if self.rebuilt(pair, &differing) {
            let (mine, theirs) = self.makers(pair, a, b);
            return vec![What::Nodes { mine, theirs }];
        }
        let held = |slot: &Option<Slot>| slot.as_ref().map_or(Held::Absent, |s| s.held.clone());
        let what = |(x, y): (Option<Slot>, Option<Slot>)| What::Slot {
            name: x.as_ref().or(y.as_ref()).map_or(String::new(), |s| s.name.clone()),
            // Left out at the end of the list, an input has its place all the same.
            input: match &y {
                Some(slot) => slot.input,
                None => x.as_ref().and_then(|s| theirs.map_or(s.input, |schema| schema.slot(&s.name).or(s.input))),
            },
            mine: held(&x),
            theirs: held(&y),
        };
        differing.into_iter().map(what).collect()
    }

    fn same(&mut self, pair: &Pair<'t>, x: Option<&Slot>, y: Option<&Slot>) -> bool {
        let absent = Held::Absent;
        let name = x.or(y).map_or("", |slot| slot.name.as_str());
        match (x.map_or(&absent, |s| &s.held), y.map_or(&absent, |s| &s.held)) {
            (Held::Wire(s), Held::Wire(u)) => self.same_wire(pair, s, u),
            (mine, theirs) => held::same(name, mine, theirs, None),
        }
    }

    /// Is it the same tensor, seen through what changes nothing? What is called otherwise is compared as well.
    fn same_wire(&mut self, pair: &Pair<'t>, s: &str, u: &str) -> bool {
        let same = known(pair, s, u) == Some(true);
        if let (true, Some(a), Some(b)) = (same && s != u, pair.mine.maker(s), pair.theirs.maker(u))
            && a.out == b.out
        {
            self.open.push((pair.outer(a.out), s.to_string(), u.to_string()));
        }
        same
    }

    /// The two operands have changed places.
    fn swapped(&mut self, pair: &Pair<'t>, rows: &[(Option<Slot>, Option<Slot>)]) -> bool {
        let [(Some(a), Some(b)), (Some(c), Some(d))] = rows else { return false };
        self.same(pair, Some(a), Some(d)) && self.same(pair, Some(c), Some(b))
    }

    /// The same tensors, read in other slots.
    fn order(&mut self, pair: &Pair<'t>, rows: &[(Option<Slot>, Option<Slot>)]) -> Option<What> {
        let wire = |slot: &Option<Slot>| match slot.as_ref().map(|s| (&s.held, s.input)) {
            Some((Held::Wire(name), Some(at))) => Some((name.clone(), at)),
            _ => None,
        };
        let mine: Vec<(String, usize)> = rows.iter().map(|(x, _)| wire(x)).collect::<Option<_>>()?;
        let theirs: Vec<(String, usize)> = rows.iter().map(|(_, y)| wire(y)).collect::<Option<_>>()?;
        let mut left: Vec<&String> = theirs.iter().map(|(name, _)| name).collect();
        for (name, _) in &mine {
            let at = left.iter().position(|u| known(pair, name, u) == Some(true))?;
            left.remove(at);
        }
        let slots = theirs.iter().map(|(_, at)| *at).collect();
        let names = |all: Vec<(String, usize)>| all.into_iter().map(|(name, _)| name).collect();
        (mine.len() > 1).then(|| What::Order { mine: names(mine), theirs: names(theirs), slots })
    }

    /// What the bodies give; what they are made of is compared later.
    fn bodies(&mut self, pair: &Pair<'t>, a: &Maker<'t>, b: &Maker<'t>) -> Vec<What> {
        let mut found = Vec::new();
        for (attribute, mine) in a.node.subgraphs() {
            let Some((_, theirs)) = b.node.subgraphs().find(|(name, _)| *name == attribute) else { continue };
            let names = pair.names.inside((attribute.to_string(), a.index, b.index), mine, theirs);
            let inner = inside(pair, (a, b), attribute, (mine, theirs), names);
            let mut differing = Vec::new();
            let outputs = mine.output.iter().zip(&theirs.output).map(|(a, b)| (a.name(), b.name())).enumerate();
            for (position, (s, u)) in outputs {
                if self.same_wire(&inner, s, u) {
                    self.open.push((inner.clone(), s.to_string(), u.to_string()));
                } else if !equal_constants(&inner, s, u) {
                    differing.push((position, s.to_string(), u.to_string()));
                }
            }
            found.extend(results(&inner, attribute, differing));
            self.open.extend(inner.names.pairs().into_iter().map(|(s, u)| (inner.clone(), s, u)));
        }
        found
    }
}

/// Outputs of a body that are others: one difference where they have only changed places.
fn results(pair: &Pair, attribute: &str, differing: Vec<(usize, String, String)>) -> Vec<What> {
    let among = |s: &String| differing.iter().any(|(_, _, u)| known(pair, s, u) == Some(true));
    let together = differing.len() > 1 && differing.iter().all(|(_, s, _)| among(s));
    let groups: Vec<Vec<_>> = match together {
        true => vec![differing],
        false => differing.into_iter().map(|one| vec![one]).collect(),
    };
    let what = |rows: Vec<(usize, String, String)>| What::Result {
        attribute: attribute.to_string(),
        positions: rows.iter().map(|(position, ..)| *position).collect(),
        mine: rows.iter().map(|(_, s, _)| s.clone()).collect(),
        theirs: rows.into_iter().map(|(_, _, u)| u).collect(),
    };
    groups.into_iter().map(what).collect()
}

fn equal_constants(pair: &Pair, s: &str, u: &str) -> bool {
    pair.mine.constant(s).zip(pair.theirs.constant(u)).is_some_and(|(a, b)| held::same_values(&a, &b))
}

fn at_node(scope: &Scope, maker: &Maker) -> At {
    At {
        path: scope.path.clone(),
        index: maker.index,
        name: node_name(maker.node),
        op_type: maker.node.op_type().to_string(),
    }
}

/// The node and those above it, up to tensors that are `known` in the other file.
fn upwards(scope: &Scope, from: &Maker, known: &dyn Fn(&str) -> bool) -> Vec<At> {
    let mut nodes = vec![at_node(scope, from)];
    let mut open: Vec<&str> = from.node.input.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        let Some(maker) = own(scope.maker(name)).filter(|_| !known(name) && nodes.len() < MOST) else { continue };
        let at = at_node(scope, &maker);
        if maker.node.constant().is_none() && !nodes.contains(&at) {
            nodes.push(at);
            open.extend(maker.node.input.iter().map(String::as_str));
        }
    }
    nodes
}
