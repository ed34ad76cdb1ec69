//! Attention masks: what is added to (or put in place of) the scores in front of a Softmax, and what makes it. A mask
//! that several layers share is a group of its own; one that a single layer has belongs to that layer's.

use std::collections::{BTreeMap, HashMap};

use super::Kind;
use super::net::{Net, Operand};
use super::pattern::Match;

/// Nodes that join a Softmax, or, without one, make a mask that several share.
pub struct Mask {
    /// Position among the groups found.
    pub softmax: Option<usize>,
    /// Numbers in the graph.
    pub nodes: Vec<usize>,
}

/// The masks in front of the Softmaxes among `found`; numbers of [`Mask::softmax`] are positions there.
pub fn masks(net: &Net, found: &[Match], taken: &[bool]) -> Vec<Mask> {
    let free = |nodes: Vec<usize>| -> Vec<usize> { nodes.into_iter().filter(|n| !taken[*n]).collect() };
    let mut makers_of: HashMap<Operand, Vec<usize>> = HashMap::new();
    let mut masks: Vec<Mask> = Vec::new();
    // By node that makes a mask: the Softmaxes it serves.
    let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, softmax) in found.iter().enumerate().filter(|(_, m)| m.kind == Kind::Softmax) {
        let Some(input) = softmax.input else { continue };
        let Masking { nodes, masks: values } = masking(net, input);
        let nodes = free(nodes);
        if nodes.is_empty() {
            continue;
        }
        for value in values {
            for &mut maker in makers_of.entry(value).or_insert_with(|| free(makers(net, value))) {
                let users = users.entry(maker).or_default();
                if users.last() != Some(&number) {
                    users.push(number);
                }
            }
        }
        masks.push(Mask { softmax: Some(number), nodes });
    }
    let mut shared: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (maker, users) in users {
        let single = masks.iter_mut().find(|m| users.len() == 1 && m.softmax == users.first().copied());
        match single {
            Some(mask) if mask.nodes.contains(&maker) => {}
            Some(mask) => mask.nodes.push(maker),
            None => shared.entry(users).or_default().push(maker),
        }
    }
    masks.extend(shared.into_values().map(|nodes| Mask { softmax: None, nodes }));
    keep_apart(masks)
}

/// No node twice, whatever strange graph this is: the first mask that has it keeps it.
fn keep_apart(mut masks: Vec<Mask>) -> Vec<Mask> {
    let mut seen = std::collections::HashSet::new();
    for mask in &mut masks {
        mask.nodes.retain(|n| seen.insert(*n));
    }
    masks.retain(|m| !m.nodes.is_empty());
    masks
}

/// The nodes that mask the scores, and the masks they do it with.
#[derive(Default)]
struct Masking<'a> {
    nodes: Vec<usize>,
    masks: Vec<Operand<'a>>,
}

/// Goes up from the Softmax to the scores.
fn masking<'a>(net: &Net<'a>, input: Operand<'a>) -> Masking<'a> {
    /// A mask, a position bias, a clamp.
    const STEPS: usize = 4;
    let mut found = Masking::default();
    let (mut clamps, mut at) = (Vec::new(), input);
    for _ in 0..STEPS {
        let Some(node) = net.maker(at) else { break };
        let operands: Vec<Operand> = net.operands(node).collect();
        at = match (net.op(node), &operands[..]) {
            ("Max" | "Clip", _) => {
                let Some(data) = net.sole(node) else { break };
                clamps.push(node);
                data
            }
            ("Where", [_, a, b]) => {
                let Some(scores) = [*a, *b].into_iter().find(|o| are_scores(net, *o, SCALES)) else { break };
                found.nodes.push(node);
                scores
            }
            ("Add", [a, b]) => {
                let (scores, mask) = if are_scores(net, *a, SCALES) {
                    (*a, *b)
                } else if are_scores(net, *b, SCALES) {
                    (*b, *a)
                } else {
                    break;
                };
                found.nodes.push(node);
                found.masks.push(mask);
                scores
            }
            _ => break,
        };
    }
    if !found.nodes.is_empty() {
        found.nodes.extend(clamps);
    }
    found
}

/// Steps from the product of queries and keys to the mask.
const SCALES: usize = 5;

/// Is it a product of two computed matrices, scaled or biased? A product with a weight is a layer's output instead.
fn are_scores(net: &Net, operand: Operand, steps: usize) -> bool {
    let Some(node) = net.maker(operand) else { return false };
    match net.op(node) {
        "MatMul" | "Einsum" | "Gemm" => net.operands(node).take(2).all(|o| net.maker(o).is_some()),
        "Div" | "Mul" | "Add" | "Sub" | "Clip" | "Max" | "Where" if steps > 0 => {
            net.varying(node).into_iter().any(|o| are_scores(net, o, steps - 1))
        }
        _ => false,
    }
}

/// The arithmetic that makes a mask, up to where it is read, gathered or computed by a layer.
fn makers(net: &Net, mask: Operand) -> Vec<usize> {
    const MOST: usize = 64;
    let mut nodes = Vec::new();
    let (mut seen, mut at) = (vec![mask], 0);
    while at < seen.len().min(MOST) {
        let node = net.maker(seen[at]);
        at += 1;
        let Some(node) = node else { continue };
        let above = match net.op(node) {
            "Mul" | "Sub" | "Add" | "Div" | "Neg" | "Where" | "Min" | "Max" | "Clip" => {
                nodes.push(node);
                net.varying(node)
            }
            "Tile" | "Slice" | "Transpose" | "Trilu" | "Gather" => net.operands(node).take(1).collect(),
            "Concat" => net.varying(node),
            _ => continue,
        };
        for operand in above {
            if !seen.contains(&operand) {
                seen.push(operand);
            }
        }
    }
    nodes.sort_unstable();
    nodes
}
