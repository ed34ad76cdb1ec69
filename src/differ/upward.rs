//! From tensors that are the same upwards: what their makers read in the same place is the same too, as far as nothing speaks against it.
//! What is sure comes first: two operators that differ are set against each other only where nothing better stands for either.

use std::collections::{HashSet, VecDeque};

use super::held;
use super::names::Names;
use super::pair::{Pair, known, own, through, turned};
use super::scope::{Maker, Scope};
use super::slots::{COMMUTE, beside, slots};
use super::{Two, alike, version};
use crate::onnx::{GraphProto, NodeProto};

/// Nodes above one that differs among which the same thing is looked for.
const DEEPEST: usize = 6;

/// Elements of a weight by which a node is known.
const WEIGHT: usize = 16;

struct Pairing<'t, 'a> {
    two: &'t Two<'a>,
    /// Pairs whose makers are to be looked at.
    sure: VecDeque<(Pair<'t>, String, String)>,
    /// Unknown tensors that are read in the same place, and made by different operators.
    doubtful: VecDeque<(Pair<'t>, String, String)>,
    /// Pairs that were looked at, with the depth of their graphs.
    seen: HashSet<(usize, String, String)>,
}

/// Pairs what can be paired in the two main graphs and in the bodies inside.
pub fn pair(two: &Two) {
    let (Some(mine), Some(theirs)) = (two.mine.proto.graph.as_ref(), two.theirs.proto.graph.as_ref()) else { return };
    let main = Pair {
        mine: Scope::main(two.mine.model, mine),
        theirs: Scope::main(two.theirs.model, theirs),
        names: two.names.clone(),
    };
    let mut pairing = Pairing { two, sure: VecDeque::new(), doubtful: VecDeque::new(), seen: HashSet::new() };
    pairing.start(&main, mine);
    while let Some((pair, s, u)) = pairing.next() {
        pairing.makers(&pair, &s, &u);
    }
}

impl<'t> Pairing<'t, '_> {
    /// With what is known of two graphs: the last nodes first.
    fn start(&mut self, pair: &Pair<'t>, mine: &GraphProto) {
        let protos = [self.two.mine.proto, self.two.theirs.proto];
        alike::pair(&self.two.schemas, protos, [&pair.mine, &pair.theirs], &pair.names);
        for name in mine.node.iter().rev().flat_map(|n| &n.output).filter(|name| !name.is_empty()) {
            if let Some(theirs) = pair.names.to_theirs(name) {
                self.sure.push_back((pair.clone(), name.clone(), theirs));
            }
        }
    }

    fn next(&mut self) -> Option<(Pair<'t>, String, String)> {
        while self.sure.is_empty() {
            let (pair, s, u) = self.doubtful.pop_front()?;
            self.decide(pair, s, u);
        }
        self.sure.pop_front()
    }

    /// What the makers of two tensors read that are the same.
    fn makers(&mut self, pair: &Pair<'t>, s: &str, u: &str) {
        let (s, u) = (&same_value(pair, s, u), &behind(&pair.theirs, u));
        let (Some(a), Some(b)) = (own(pair.mine.maker(s)), own(pair.theirs.maker(u))) else { return };
        if !self.seen.insert((pair.mine.path.len(), a.node.output.join(" "), b.node.output.join(" "))) {
            return;
        }
        let same = is_same(a.node, b.node);
        let mut theirs: Vec<&String> = b.node.input.iter().collect();
        if same && COMMUTE.contains(&a.node.op_type()) && theirs.len() == 2 && a.node.input.len() == 2 {
            let operands = |x: usize, y: usize| (&a.node.input[x], &b.node.input[y]);
            let sum = |like: &dyn Fn((&String, &String)) -> u32, [x, y]: [usize; 2]| {
                like(operands(0, x)) + like(operands(1, y))
            };
            let by_names = |(s, u): (&String, &String)| likeness(pair, s, u);
            let by_weights = |(s, u): (&String, &String)| u32::from(self.is_kin(pair, s, u));
            let crossed = sum(&by_names, [1, 0]).cmp(&sum(&by_names, [0, 1]));
            // Two branches of the same operators are told apart by their weights.
            if crossed.then_with(|| sum(&by_weights, [1, 0]).cmp(&sum(&by_weights, [0, 1]))).is_gt() {
                theirs.reverse();
            }
        }
        for (s, u) in a.node.input.iter().zip(theirs) {
            self.wires(pair, s, u, same);
        }
        if same {
            outputs(pair, (&a, s), (&b, u));
            self.bodies(pair, &a, &b);
        } else {
            self.beyond(pair, &a, &b);
        }
    }

    /// What is the same again above two makers that are not: a few nodes may be one node in the other file.
    fn beyond(&mut self, pair: &Pair<'t>, a: &Maker<'t>, b: &Maker<'t>) {
        // Of the few, one may be that node, with its bias or scale apart: it reads what that node reads.
        let theirs = core(&pair.theirs, b, a.node).map(|core| (*a, core));
        if let Some((a, b)) = theirs.or_else(|| Some((core(&pair.mine, a, b.node)?, *b))) {
            a.node.input.iter().zip(&b.node.input).for_each(|(s, u)| self.wires(pair, s, u, true));
        }
        let mine = ancestors(&pair.mine, a, &|n| pair.names.to_theirs(n).is_some());
        let theirs = ancestors(&pair.theirs, b, &|n| pair.names.to_mine(n).is_some());
        for s in mine {
            let found = theirs.iter().find(|u| pair.names.to_mine(u).is_none() && self.fits(pair, &s, u));
            if let Some(u) = found.filter(|u| pair.names.pair(&s, u)) {
                self.sure.push_back((pair.clone(), s, u.clone()));
            }
        }
    }

    /// Two tensors that are read in the same place.
    fn wires(&mut self, pair: &Pair<'t>, s: &str, u: &str, same: bool) {
        let (s, u) = (&behind(&pair.mine, s), &behind(&pair.theirs, u));
        let unknown = known(pair, s, u).is_none() && !pair.mine.stores(s) && !pair.theirs.stores(u);
        let (Some(a), Some(b), true) = (pair.mine.maker(s), pair.theirs.maker(u), unknown) else { return };
        if a.out != b.out {
            return;
        }
        let outer = pair.outer(a.out);
        if self.is_alike(&outer, s, u) {
            if outer.names.pair(s, u) {
                self.sure.push_back((outer, s.to_string(), u.to_string()));
            }
        } else if same || is_same(a.node, b.node) {
            self.doubtful.push_back((outer, s.to_string(), u.to_string()));
        }
    }

    /// One of the files may have a node more in between: it is that node that differs, not what is above it.
    fn decide(&mut self, pair: Pair<'t>, s: String, u: String) {
        let (Some(a), Some(b), None) = (pair.mine.maker(&s), pair.theirs.maker(&u), known(&pair, &s, &u)) else {
            return;
        };
        let direct = !is_same(a.node, b.node) && self.reads_alike(&pair, &s, &u);
        let more = || above(&pair.theirs, &b, &|n| pair.names.to_mine(n).is_some(), &|n| self.fits(&pair, &s, n));
        let less = || above(&pair.mine, &a, &|n| pair.names.to_theirs(n).is_some(), &|n| self.fits(&pair, n, &u));
        let other = match direct {
            true => None,
            false => more().map(|deeper| (s.clone(), deeper)).or_else(|| Some((less()?, u.clone()))),
        };
        let (s, u) = other.unwrap_or((s, u));
        if pair.names.pair(&s, &u) {
            self.sure.push_back((pair, s, u));
        }
    }

    /// The same operator with the same values, which are many or read with what is alike again.
    fn fits(&self, pair: &Pair, s: &str, u: &str) -> bool {
        self.is_alike(pair, s, u) && (self.reads_alike(pair, s, u) || is_weighty(&pair.mine, s))
    }

    /// What the two makers read is the same, or is made alike.
    fn reads_alike(&self, pair: &Pair, s: &str, u: &str) -> bool {
        let (Some(a), Some(b)) = (pair.mine.maker(s), pair.theirs.maker(u)) else { return false };
        let alike = |(x, y): (&String, &String)| {
            let (x, y) = (&behind(&pair.mine, x), &behind(&pair.theirs, y));
            let stored = pair.mine.stores(x) && pair.theirs.stores(y);
            stored || x.is_empty() && y.is_empty() || known(pair, x, y).unwrap_or_else(|| self.is_alike(pair, x, y))
        };
        let commutes = COMMUTE.contains(&a.node.op_type()) && is_same(a.node, b.node);
        let rows = || a.node.input.iter().zip(&b.node.input);
        let crossed = || a.node.input.iter().zip(b.node.input.iter().rev());
        a.node.input.len() == b.node.input.len() && (rows().all(alike) || (commutes && crossed().all(alike)))
    }

    /// The same operator makes both, with the same settings and weights.
    fn is_alike(&self, pair: &Pair, s: &str, u: &str) -> bool {
        let (Some(a), Some(b)) = (pair.mine.maker(s), pair.theirs.maker(u)) else { return false };
        a.out == b.out && is_same(a.node, b.node) && self.has_same_values(&pair.outer(a.out), s, u)
    }

    /// The nearest nodes with weights, at or above these two, have the same ones.
    fn is_kin(&self, pair: &Pair, s: &str, u: &str) -> bool {
        let nearest = |scope: &Scope, name: &str| {
            let name = behind(scope, name);
            let above = own(scope.maker(&name)).map(|maker| ancestors(scope, &maker, &|_| false)).unwrap_or_default();
            std::iter::once(name).chain(above).find(|name| is_weighty(scope, name))
        };
        let both = nearest(&pair.mine, s).zip(nearest(&pair.theirs, u));
        both.is_some_and(|(s, u)| self.is_alike(pair, &s, &u))
    }

    /// All settings and weights of the two makers are the same.
    fn has_same_values(&self, pair: &Pair, s: &str, u: &str) -> bool {
        let (Some(a), Some(b)) = (own(pair.mine.maker(s)), own(pair.theirs.maker(u))) else { return false };
        let schema =
            |proto, node: &NodeProto| self.two.schemas.of(node.domain(), node.op_type(), version(proto, node.domain()));
        let own = slots(&pair.mine, a.node, schema(self.two.mine.proto, a.node));
        let rows = beside(own, slots(&pair.theirs, b.node, schema(self.two.theirs.proto, b.node)));
        let mut rows = rows;
        if COMMUTE.contains(&a.node.op_type()) {
            turned(pair, &mut rows);
        }
        rows.iter().all(|row| match row {
            (Some(x), Some(y)) => match (&x.held, &y.held) {
                (held::Held::Wire(_), held::Held::Wire(_)) => true,
                (x_held, y_held) => held::same(&x.name, x_held, y_held, None),
            },
            (Some(one), None) | (None, Some(one)) => held::same(&one.name, &one.held, &held::Held::Absent, None),
            (None, None) => true,
        })
    }

    fn bodies(&mut self, pair: &Pair<'t>, a: &Maker<'t>, b: &Maker<'t>) {
        for (attribute, mine) in a.node.subgraphs() {
            let Some((_, theirs)) = b.node.subgraphs().find(|(name, _)| *name == attribute) else { continue };
            let names = pair.names.inside((attribute.to_string(), a.index, b.index), mine, theirs);
            let inner = inside(pair, (a, b), attribute, (mine, theirs), names);
            self.start(&inner, mine);
            for (s, u) in mine.output.iter().zip(&theirs.output) {
                self.wires(&inner, s.name(), u.name(), true);
            }
        }
    }
}

/// The two bodies in this attribute of two nodes.
pub fn inside<'t>(
    pair: &Pair<'t>,
    (a, b): (&Maker<'t>, &Maker<'t>),
    attribute: &str,
    (mine, theirs): (&'t GraphProto, &'t GraphProto),
    names: Names,
) -> Pair<'t> {
    Pair { mine: pair.mine.body(a.index, attribute, mine), theirs: pair.theirs.body(b.index, attribute, theirs), names }
}

/// Does the maker hold a weight that no other node has by chance?
fn is_weighty(scope: &Scope, name: &str) -> bool {
    let large =
        |name: &&String| scope.stores(name) && scope.constant(name).is_some_and(|c| c.value.elements() >= WEIGHT);
    scope.maker(name).is_some_and(|maker| maker.node.input.iter().any(|name| large(&name)))
}

/// The other outputs of two nodes that stand for each other, read or not.
fn outputs(pair: &Pair, (a, s): (&Maker, &str), (b, u): (&Maker, &str)) {
    let at = |maker: &Maker, name: &str| maker.node.output.iter().position(|output| output == name);
    if at(a, s) == at(b, u) {
        let named = |(x, y): &(&String, &String)| !x.is_empty() && !y.is_empty();
        a.node.output.iter().zip(&b.node.output).filter(named).for_each(|(x, y)| {
            pair.names.pair(x, y);
        });
    }
}

fn is_same(a: &NodeProto, b: &NodeProto) -> bool {
    let domain = |node: &NodeProto| node.domain().trim_start_matches("ai.onnx").to_string();
    a.op_type() == b.op_type() && domain(a) == domain(b)
}

/// `name`, or what it is behind nodes that change nothing.
fn behind(scope: &Scope, name: &str) -> String {
    through(scope, name, false).pop().unwrap_or_default()
}

/// What `s` is behind nodes that change nothing: the same thing as `u`, as both are known to be the same.
fn same_value(pair: &Pair, s: &str, u: &str) -> String {
    let (own, other) = (behind(&pair.mine, s), behind(&pair.theirs, u));
    if own != s {
        pair.names.also_mine(&own, u);
    }
    if other != u {
        pair.names.also_theirs(s, &other);
    }
    own
}

/// The node like `node` above `from`, where everything in between computes with constants only.
fn core<'t>(scope: &Scope<'t>, from: &Maker<'t>, node: &NodeProto) -> Option<Maker<'t>> {
    let mut last = *from;
    for _ in 0..DEEPEST {
        let mut wires = last.node.input.iter().filter(|name| !name.is_empty() && !scope.stores(name));
        let (only, None) = (wires.next()?, wires.next()) else { return None };
        last = own(scope.maker(&behind(scope, only)))?;
        if is_same(last.node, node) {
            return Some(last);
        }
    }
    None
}

/// The first tensor that `fits`, a few unknown nodes above `from`.
fn above(scope: &Scope, from: &Maker, known: &dyn Fn(&str) -> bool, fits: &dyn Fn(&str) -> bool) -> Option<String> {
    ancestors(scope, from, known).into_iter().find(|name| fits(name))
}

/// Unknown tensors a few nodes above `from`, the nearest first.
fn ancestors(scope: &Scope, from: &Maker, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let inputs = |maker: &Maker, steps: usize| maker.node.input.iter().map(|n| (n.clone(), steps)).collect::<Vec<_>>();
    let mut open = VecDeque::from(inputs(from, 1));
    let mut found: Vec<String> = Vec::new();
    while let Some((name, steps)) = open.pop_front() {
        let name = behind(scope, &name);
        let Some(maker) = own(scope.maker(&name)).filter(|_| !known(&name) && !found.contains(&name)) else { continue };
        if steps < DEEPEST {
            open.extend(inputs(&maker, steps + 1));
        }
        if maker.node.constant().is_none() {
            found.push(name);
        }
    }
    found
}

/// How much speaks for it that two operands are the same: 0 for nothing.
fn likeness(pair: &Pair, s: &str, u: &str) -> u32 {
    let paired = |s: &str, u: &str| known(pair, s, u) == Some(true);
    match (pair.mine.stores(s), pair.theirs.stores(u), known(pair, s, u)) {
        (true, true, _) => 2,
        (false, false, Some(same)) => 4 * u32::from(same),
        (false, false, None) => match (pair.mine.maker(s), pair.theirs.maker(u)) {
            (Some(a), Some(b)) if is_same(a.node, b.node) => {
                2 + u32::from(b.node.input.iter().any(|u| a.node.input.iter().any(|s| paired(s, u))))
            }
            _ => 1,
        },
        _ => 0,
    }
}
