//! Two graphs side by side: which tensors of theirs are the same, as far as that is known, and which operands of two nodes.

use super::held::{self, Held};
use super::names::Names;
use super::scope::{Maker, Scope, THROUGH, passes};
use super::slots::Slot;

/// Two graphs that stand for each other.
#[derive(Clone)]
pub struct Pair<'a> {
    /// In the believed file.
    pub mine: Scope<'a>,
    /// In the other one.
    pub theirs: Scope<'a>,
    /// Which names of theirs are one and the same.
    pub names: Names,
}

impl<'a> Pair<'a> {
    /// The two graphs that are so many further out.
    pub fn outer(&self, out: usize) -> Pair<'a> {
        Pair { mine: self.mine.outer(out), theirs: self.theirs.outer(out), names: self.names.outer(out) }
    }
}

/// Are these two names the same thing, as far as that is known? `None`: nothing is known of either.
pub fn known(pair: &Pair, s: &str, u: &str) -> Option<bool> {
    let (mine, theirs) = (through(&pair.mine, s, false), through(&pair.theirs, u, true));
    let paired = |s: &String, u: &String| {
        pair.names.to_mine(u).as_ref() == Some(s) || pair.names.to_theirs(s).as_ref() == Some(u)
    };
    if mine.iter().any(|s| theirs.iter().any(|u| paired(s, u))) {
        return Some(true);
    }
    let unknown = pair.names.to_theirs(s).is_none() && pair.names.to_mine(u).is_none();
    (!unknown).then_some(false)
}

/// `name`, and what it is behind nodes that change nothing; `quantised`: or that quantise it and undo that, or store it as another float.
pub fn through(scope: &Scope, name: &str, quantised: bool) -> Vec<String> {
    let mut names = vec![name.to_string()];
    while let Some(maker) = names.last().and_then(|last| scope.maker(last)).filter(|_| names.len() < THROUGH) {
        let quantising = quantised && matches!(maker.node.op_type(), "DequantizeLinear" | "QuantizeLinear");
        match passes(maker.node).or(maker.node.input.first().filter(|_| quantising)) {
            Some(before) => names.push(before.clone()),
            None => break,
        }
    }
    names
}

impl<'a> Scope<'a> {
    /// What stands behind an Identity, or, where it is `quantised`, a pair of Q and DQ: its name and its maker.
    pub fn value_behind(&self, name: &str, quantised: bool) -> Option<(String, Maker<'a>)> {
        let names = through(self, name, quantised);
        let last = names.last().filter(|_| names.len() > 1)?;
        Some((last.clone(), own(self.maker(last))?))
    }
}

/// Two operands that may change places, each beside the one that it is most like.
pub fn turned(pair: &Pair, rows: &mut [(Option<Slot>, Option<Slot>)]) {
    let [(Some(a), Some(b)), (Some(c), Some(d)), ..] = &mut rows[..] else { return };
    if a.input != Some(0) || c.input != Some(1) || b.input != Some(0) || d.input != Some(1) {
        return;
    }
    let like = |x: &Slot, y: &Slot| likeness(pair, &x.held, &y.held);
    if like(a, d) + like(c, b) > like(a, b) + like(c, d) {
        std::mem::swap(b, d);
    }
}

/// How much speaks for it that two operands are the same: 0 for nothing.
fn likeness(pair: &Pair, x: &Held, y: &Held) -> u32 {
    match (x, y) {
        (Held::Wire(s), Held::Wire(u)) => match (known(pair, s, u), pair.mine.maker(s), pair.theirs.maker(u)) {
            (Some(same), ..) => 4 * u32::from(same),
            (None, Some(a), Some(b)) if a.node.op_type() == b.node.op_type() => {
                let paired = |name: &&String| a.node.input.iter().any(|own| known(pair, own, name) == Some(true));
                2 + u32::from(b.node.input.iter().any(|name| paired(&name)))
            }
            _ => 1,
        },
        (Held::Constant(a), Held::Constant(b)) if held::same_values(a, b) => 4,
        (Held::Constant(a), Held::Constant(b)) => 1 + u32::from(a.value.shape == b.value.shape),
        _ => 0,
    }
}

/// A maker in the graph itself.
pub fn own(maker: Option<Maker>) -> Option<Maker> {
    maker.filter(|maker| maker.out == 0)
}
