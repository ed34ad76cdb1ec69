//! Patterns around one operator: a normalisation around its root, a Softmax around its Exp, a GELU around its Erf or
//! Tanh, and operators that are a group by themselves. Whether its nodes are free is the caller's to see.

use super::Kind;
use super::net::{Net, Operand};

/// What a pattern found.
pub struct Match<'a> {
    /// Which pattern it is.
    pub kind: Kind,
    /// Numbers in the graph, in any order.
    pub nodes: Vec<usize>,
    /// What the group is computed from, for a Softmax.
    pub input: Option<Operand<'a>>,
}

/// LayerNorm, RMSNorm or a division by the L2 norm, around its Sqrt or ReduceL2. The affine end may come in any order:
/// divide, scale, shift; reciprocal and Mul; or `x * (scale / root) + (shift - mean * (scale / root))`.
pub fn norm<'a>(net: &Net<'a>, root: usize) -> Option<Match<'a>> {
    let mut nodes = vec![root];
    let (kind, values) = match net.op(root) {
        "ReduceL2" => (Kind::Normalisation, vec![net.sole(root)?]),
        "Sqrt" => statistics(net, root, &mut nodes)?,
        _ => return None,
    };
    /// Reciprocal, scale, two products, difference, sum.
    const LONGEST: usize = 6;
    let ops = ["Div", "Reciprocal", "Mul", "Add", "Sub", "Clip", "Max"];
    let end = absorb(net, root, &nodes, &values, &ops, LONGEST);
    // A standard deviation that divides nothing is no normalisation.
    let divides = |n: &usize| {
        let of_the_values = net.operands(*n).any(|o| values.contains(&o));
        matches!(net.op(*n), "Div" | "Mul") && of_the_values
    };
    end.iter().any(divides).then(|| Match { kind, nodes: [nodes, end].concat(), input: None })
}

/// From the root up to the values: epsilon, then the mean of squares of differences, the mean of squares, their sum, or
/// the mean of squares less the square of the mean. Gives back what is divided by the root: the values, and their
/// differences to the mean.
fn statistics<'a>(net: &Net<'a>, root: usize, nodes: &mut Vec<usize>) -> Option<(Kind, Vec<Operand<'a>>)> {
    let mut at = net.sole(root)?;
    while let Some(node) = net.maker(at).filter(|n| matches!(net.op(*n), "Add" | "Max" | "Clip"))
        && let Some(above) = net.sole(node)
    {
        nodes.push(node);
        at = above;
    }
    let top = net.maker(at)?;
    if let ("Sub", &[squares, square]) = (net.op(top), &net.varying(top)[..]) {
        let (mean, by_squaring) = squared(net, square)?;
        let (values, by_mean) = averaged(net, mean)?;
        let (square, by_squares) = averaged(net, squares)?;
        let (squared, by_square) = squared(net, square)?;
        nodes.extend([top, by_squaring, by_square]);
        nodes.extend([by_mean, by_squares].concat());
        return (squared == values).then(|| (Kind::LayerNorm, centred_on(net, mean, values, nodes)));
    }
    let (kind, values) = if net.op(top) == "ReduceSumSquare" {
        nodes.push(top);
        (Kind::Normalisation, net.sole(top)?)
    } else {
        let (square, kind) = match averaged(net, at) {
            Some((square, by)) => {
                nodes.extend(by);
                (square, Kind::RmsNorm)
            }
            None if net.op(top) == "ReduceSum" => {
                nodes.push(top);
                (net.sole(top)?, Kind::Normalisation)
            }
            None => return None,
        };
        let (values, by) = squared(net, square)?;
        nodes.push(by);
        (kind, values)
    };
    let centred = net.maker(values).and_then(|difference| centred(net, difference));
    Some(match centred {
        Some((mean, raw, by_mean)) => {
            nodes.extend(by_mean);
            (Kind::LayerNorm, centred_on(net, mean, raw, nodes))
        }
        None => (kind, vec![values]),
    })
}

/// What is averaged, and the nodes that do it: a mean, or a sum that is divided.
fn averaged<'a>(net: &Net<'a>, operand: Operand) -> Option<(Operand<'a>, Vec<usize>)> {
    let node = net.maker(operand)?;
    match net.op(node) {
        "ReduceMean" | "GlobalAveragePool" => Some((net.sole(node)?, vec![node])),
        "Mul" | "Div" if !net.unary(node) => {
            let sum = net.maker(net.sole(node)?)?;
            matches!(net.op(sum), "ReduceSum" | "ReduceMean").then_some((net.sole(sum)?, vec![node, sum]))
        }
        _ => None,
    }
}

/// What is squared, and the node that does it.
fn squared<'a>(net: &Net<'a>, operand: Operand) -> Option<(Operand<'a>, usize)> {
    let node = net.maker(operand)?;
    let squares = net.op(node) == "Pow" || net.op(node) == "Mul" && net.unary(node);
    Some((net.sole(node).filter(|_| squares)?, node))
}

/// `values - mean(values)`: the mean, the values, and the nodes that make the mean.
fn centred<'a>(net: &Net<'a>, difference: usize) -> Option<(Operand<'a>, Operand<'a>, Vec<usize>)> {
    let &[values, mean] = &net.varying(difference)[..] else { return None };
    let (averaged, by) = averaged(net, mean)?;
    (net.op(difference) == "Sub" && averaged == values).then_some((mean, values, by))
}

/// The values and all their differences to the mean, which join the nodes: some exporters subtract once for the variance
/// and once for the result.
fn centred_on<'a>(net: &Net<'a>, mean: Operand, values: Operand<'a>, nodes: &mut Vec<usize>) -> Vec<Operand<'a>> {
    let readers = net.maker(mean).map_or(&[][..], |mean| net.readers(mean));
    let subtracts = |n: &&usize| net.op(**n) == "Sub" && net.varying(**n) == [values, mean];
    let differences = readers.iter().filter(subtracts);
    nodes.extend(differences.clone());
    std::iter::once(values).chain(differences.filter_map(|n| net.output(*n))).collect()
}

/// ReduceMax and Sub (or neither), Exp, ReduceSum, and Div or Reciprocal with Mul.
pub fn softmax<'a>(net: &Net<'a>, exp: usize) -> Option<Match<'a>> {
    if net.op(exp) != "Exp" {
        return None;
    }
    let mut nodes = vec![exp];
    let mut input = net.sole(exp)?;
    if let Some(shift) = net.maker(input).filter(|n| net.op(*n) == "Sub")
        && let [values, most] = net.varying(shift)[..]
        && let Some(most) = most_of(net, most, values)
    {
        nodes.push(shift);
        nodes.extend(most);
        input = values;
    }
    let e = net.output(exp)?;
    let sum = *net.readers(exp).iter().find(|n| net.op(**n) == "ReduceSum")?;
    let ends = |of: usize, op: &str| {
        let both = |n: &&usize| net.op(**n) == op && net.operands(**n).any(|o| o == e);
        net.readers(of).iter().find(both).copied()
    };
    nodes.push(sum);
    match ends(sum, "Div") {
        Some(div) => nodes.push(div),
        None => {
            let reciprocal = *net.readers(sum).iter().find(|n| net.op(**n) == "Reciprocal")?;
            nodes.extend([reciprocal, ends(reciprocal, "Mul")?]);
        }
    }
    Some(Match { kind: Kind::Softmax, nodes, input: Some(input) })
}

/// The nodes that take the largest of the values: ReduceMax, and what keeps it from minus infinity.
fn most_of(net: &Net, most: Operand, values: Operand) -> Option<Vec<usize>> {
    let last = net.maker(most)?;
    let reduce = if net.op(last) == "Max" { net.maker(net.sole(last)?)? } else { last };
    let found = net.op(reduce) == "ReduceMax" && net.sole(reduce) == Some(values);
    found.then(|| if reduce == last { vec![reduce] } else { vec![reduce, last] })
}

/// `x / 2 * (1 + erf(x / sqrt 2))` and `x / 2 * (1 + tanh(c * (x + d * x^3)))`, with the factors in any order.
pub fn gelu<'a>(net: &Net<'a>, middle: usize) -> Option<Match<'a>> {
    let mut nodes = vec![middle];
    let x = match net.op(middle) {
        "Erf" => {
            let argument = net.sole(middle)?;
            let scale = net.maker(argument).filter(|n| scales(net, *n));
            nodes.extend(scale);
            scale.map_or(Some(argument), |n| net.sole(n))?
        }
        "Tanh" => {
            let (x, between) = cubic(net, middle)?;
            nodes.extend(between);
            x
        }
        _ => return None,
    };
    /// Add 1, times x, times one half; and half of x, if it is taken first.
    const LONGEST: usize = 4;
    let mut values = vec![x];
    let mut halves = Vec::new();
    if let Some(reader) = net.readers(middle).iter().find(|n| net.op(**n) == "Add") {
        for product in net.readers(*reader).iter().filter(|n| net.op(**n) == "Mul") {
            let factors = net.operands(*product).filter_map(|o| net.maker(o));
            halves.extend(factors.filter(|n| scales(net, *n) && net.sole(*n) == Some(x) && !nodes.contains(n)));
        }
    }
    halves.dedup();
    values.extend(halves.iter().filter_map(|n| net.output(*n)));
    let longest = LONGEST - 1 - halves.len().min(1);
    let end = absorb(net, middle, &nodes, &values, &["Add", "Mul"], longest);
    let multiplies = |n: &usize| net.op(*n) == "Mul" && net.operands(*n).any(|o| values.contains(&o));
    let found = end.iter().any(multiplies);
    found.then(|| Match { kind: Kind::Gelu, nodes: [nodes, halves, end].concat(), input: None })
}

/// `x * constant` or `x / constant`.
fn scales(net: &Net, node: usize) -> bool {
    matches!(net.op(node), "Mul" | "Div") && !net.unary(node) && net.sole(node).is_some()
}

/// The x of the cubic polynomial above a Tanh, and the nodes between the two.
fn cubic<'a>(net: &Net<'a>, tanh: usize) -> Option<(Operand<'a>, Vec<usize>)> {
    /// Above it are two scales, a sum, a cube of two products, and the neighbours of those that lead elsewhere.
    const SEEN: usize = 12;
    let mut queue = vec![tanh];
    let mut at = 0;
    while at < queue.len().min(SEEN) {
        let above = net.varying(queue[at]);
        for &x in &above {
            let powers = |n: &usize| net.op(*n) == "Pow" || net.op(*n) == "Mul" && !scales(net, *n);
            if let Some(nodes) = between(net, x, tanh).filter(|nodes| nodes.iter().any(powers)) {
                return Some((x, nodes));
            }
        }
        let makers = above.into_iter().filter_map(|o| net.maker(o));
        queue.extend(makers.filter(|n| matches!(net.op(*n), "Add" | "Mul" | "Pow")));
        at += 1;
    }
    None
}

/// The nodes that compute `last` from `x` and constants alone; `None` if something else is in it.
fn between(net: &Net, x: Operand, last: usize) -> Option<Vec<usize>> {
    const MOST: usize = 8;
    let mut nodes: Vec<usize> = Vec::new();
    let mut open = net.varying(last);
    while let Some(operand) = open.pop() {
        if operand == x {
            continue;
        }
        let node = net.maker(operand).filter(|n| matches!(net.op(*n), "Add" | "Mul" | "Pow"))?;
        if !nodes.contains(&node) {
            nodes.push(node);
            open.extend(net.varying(node));
        }
        if nodes.len() > MOST {
            return None;
        }
    }
    Some(nodes)
}

/// Goes down from `start`: the nodes of these operators that compute with constants, with `values` and with each other
/// only. A constant that is added is the end: what comes behind is no part of the pattern.
fn absorb(net: &Net, start: usize, nodes: &[usize], values: &[Operand], ops: &[&str], most: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut queue = vec![start];
    while let Some(node) = (!queue.is_empty()).then(|| queue.remove(0)) {
        for &reader in net.readers(node) {
            if nodes.contains(&reader) || found.contains(&reader) || !ops.contains(&net.op(reader)) {
                continue;
            }
            let inside = |n: usize| nodes.contains(&n) || found.contains(&n);
            let known =
                |o: &Operand| *o == Operand::Constant || values.contains(o) || net.maker(*o).is_some_and(inside);
            if found.len() == most || !net.operands(reader).all(|o| known(&o)) {
                continue;
            }
            found.push(reader);
            let shifts = net.op(reader) == "Add" && net.sole(reader).is_some();
            // The `1 +` of a GELU is added to what has not met x yet.
            if !shifts || node == start {
                queue.push(reader);
            }
        }
    }
    found
}

/// Operators that are a group by themselves, in every domain.
pub fn fused<'a>(net: &Net<'a>, node: usize) -> Option<Match<'a>> {
    let kind = match net.graph().nodes[node].op_type.as_str() {
        "LayerNormalization" | "SkipLayerNormalization" | "EmbedLayerNormalization" => Kind::LayerNorm,
        "RMSNormalization" | "SimplifiedLayerNormalization" | "SkipSimplifiedLayerNormalization" => Kind::RmsNorm,
        "BatchNormalization" | "GroupNormalization" | "GroupNorm" | "SkipGroupNorm" | "InstanceNormalization" => {
            Kind::Normalisation
        }
        "LpNormalization" | "MeanVarianceNormalization" | "LRN" => Kind::Normalisation,
        "Softmax" | "LogSoftmax" => Kind::Softmax,
        "Gelu" | "FastGelu" | "BiasGelu" | "QuickGelu" => Kind::Gelu,
        "Attention" | "MultiHeadAttention" | "GroupQueryAttention" | "PackedAttention" => Kind::Attention,
        _ => return None,
    };
    let input = if kind == Kind::Softmax { net.sole(node) } else { None };
    Some(Match { kind, nodes: vec![node], input })
}
