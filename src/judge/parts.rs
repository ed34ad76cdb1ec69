//! How tensors were put together: a Concat makes parts, and what only moves elements (Reshape, Transpose, Split of another axis),
//! or rounds them (Cast, QuantizeLinear), keeps them. Shapes come from whoever ran the model; nothing is run here.

use crate::graph::{Graph, Node, Source};
use crate::onnx::{ModelProto, NodeProto};

/// More parts than this say nothing any more: a sequence that was put together step by step.
const MOST: usize = 256;

/// Elements of a tensor in the order of memory: every `period` of them is made of the same parts, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Of the whole tensor.
    pub elements: usize,
    /// After so many elements the parts begin again.
    pub period: usize,
    /// In their order; their lengths add up to the period.
    pub parts: Vec<Part>,
    /// The dimension along which they lie, and the size of one step along it, where they lie along one.
    pub along: Option<(usize, usize)>,
}

/// One of the tensors that were put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it was called.
    pub name: String,
    /// Elements in one period.
    pub length: usize,
}

impl Cut {
    /// The elements of one part, as ranges, in order.
    pub fn ranges(&self, part: usize) -> Vec<std::ops::Range<usize>> {
        let before: usize = self.parts[..part].iter().map(|p| p.length).sum();
        let length = self.parts[part].length;
        (0..self.elements).step_by(self.period.max(1)).map(|at| at + before..at + before + length).collect()
    }

    /// `'scores' ([4:84] of axis 1)`
    pub fn told(&self, part: usize) -> String {
        let name = &self.parts[part].name;
        let before: usize = self.parts[..part].iter().map(|p| p.length).sum();
        match self.along {
            Some((axis, step)) if step > 0 => {
                let (from, to) = (before / step, (before + self.parts[part].length) / step);
                format!("'{name}' ([{from}:{to}] of axis {axis})")
            }
            _ => format!("'{name}'"),
        }
    }

    /// Of tensors of these shapes, put together along `axis`; `None` where there is nothing to tell apart.
    fn concat(axis: usize, shapes: &[(String, Vec<usize>)]) -> Option<Cut> {
        let first = &shapes.first()?.1;
        let inner: usize = first.get(axis + 1..)?.iter().product();
        let outer: usize = first.get(..axis)?.iter().product();
        let part =
            |(name, shape): &(String, Vec<usize>)| Some(Part { name: name.clone(), length: shape.get(axis)? * inner });
        let parts: Vec<Part> = shapes.iter().map(part).collect::<Option<_>>()?;
        let parts: Vec<Part> = parts.into_iter().filter(|p| p.length > 0).collect();
        let period: usize = parts.iter().map(|p| p.length).sum();
        let tells = parts.len() > 1 && parts.len() <= MOST && period > 0;
        tells.then(|| Cut { elements: outer * period, period, parts, along: Some((axis, inner)) })
    }

    /// The axis of a tensor of this shape along which the parts lie, and their sizes along it.
    fn sizes(&self, shape: &[usize]) -> Option<(usize, Vec<usize>)> {
        let inner = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let fits = |axis: &usize| {
            let step = inner(*axis);
            step > 0 && shape[*axis] * step == self.period && self.parts.iter().all(|p| p.length % step == 0)
        };
        let axis = (0..shape.len()).find(fits)?;
        Some((axis, self.parts.iter().map(|p| p.length / inner(axis)).collect()))
    }

    /// The same parts along `axis` of a tensor of another shape, where that axis is as long as it was.
    fn moved(&self, sizes: &[usize], axis: usize, shape: &[usize]) -> Option<Cut> {
        (shape.get(axis) == Some(&sizes.iter().sum())).then_some(())?;
        let step: usize = shape[axis + 1..].iter().product();
        let parts: Vec<Part> =
            self.parts.iter().zip(sizes).map(|(p, n)| Part { name: p.name.clone(), length: n * step }).collect();
        let period = shape[axis] * step;
        (period > 0).then(|| Cut { elements: shape.iter().product(), period, parts, along: Some((axis, step)) })
    }

    /// The same elements in the same order, of another shape.
    fn reshaped(&self, shape: &[usize]) -> Cut {
        let along = self.sizes(shape).map(|(axis, _)| (axis, shape[axis + 1..].iter().product()));
        Cut { along, ..self.clone() }
    }
}

/// By tensor of the graph: how it was put together. `shape` tells that of a key (a tensor's, an input's, a weight's).
pub fn parts(graph: &Graph, model: &ModelProto, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Vec<Vec<Cut>> {
    let mut known: Vec<Vec<Cut>> = vec![Vec::new(); graph.tensors.len()];
    for node in &graph.nodes {
        let layout = layout(&node.op_type).is_some() && matches!(node.domain.as_str(), "" | "ai.onnx");
        let Some(proto) = node.proto(model).filter(|_| layout) else { continue };
        for tensor in &node.writes {
            let Some(to) = shape(&graph.tensors[*tensor].key) else { continue };
            let walk = Walk { graph, node, proto, known: &known, shape };
            let cuts = walk.cuts(&to);
            let elements: usize = to.iter().product();
            known[*tensor] = cuts.into_iter().filter(|cut| cut.elements == elements).collect();
        }
    }
    known
}

/// What an operator does to where elements lie.
enum Layout {
    Joins,
    /// In memory nothing moves.
    Keeps,
    Permutes,
    /// Axes stay; some may become shorter or longer.
    Crops,
}

fn layout(op_type: &str) -> Option<Layout> {
    match op_type {
        "Concat" => Some(Layout::Joins),
        "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" | "QuantizeLinear"
        | "DequantizeLinear" | "Dropout" => Some(Layout::Keeps),
        "Transpose" => Some(Layout::Permutes),
        "Slice" | "Split" | "Gather" | "Expand" | "Tile" => Some(Layout::Crops),
        _ => None,
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    node: &'a Node,
    proto: &'a NodeProto,
    known: &'a [Vec<Cut>],
    shape: &'a dyn Fn(&str) -> Option<Vec<usize>>,
}

impl Walk<'_> {
    /// Of the node's output, which has the shape `to`.
    fn cuts(&self, to: &[usize]) -> Vec<Cut> {
        let Some(name) = self.proto.input.first() else { return Vec::new() };
        let Some((from, cuts)) = self.input(name) else { return Vec::new() };
        match layout(&self.node.op_type) {
            Some(Layout::Joins) => self.joined(to),
            Some(Layout::Keeps) => cuts.iter().map(|cut| cut.reshaped(to)).collect(),
            Some(Layout::Permutes) => cuts.iter().filter_map(|cut| self.permuted(cut, &from, to)).collect(),
            Some(Layout::Crops) => cuts.iter().filter_map(|cut| cropped(cut, &from, to)).collect(),
            None => Vec::new(),
        }
    }

    /// Shape and parts of an input.
    fn input(&self, name: &str) -> Option<(Vec<usize>, &[Cut])> {
        let read = self.node.reads.iter().find(|r| r.name == name)?;
        Some(match read.source {
            Source::Tensor(t) => ((self.shape)(&self.graph.tensors[t].key)?, &self.known[t]),
            Source::Input | Source::Initializer => ((self.shape)(name)?, &[]),
        })
    }

    /// The inputs are the parts; parts that all inputs have alike stay as well.
    fn joined(&self, to: &[usize]) -> Vec<Cut> {
        let inputs: Option<Vec<_>> = self.proto.input.iter().map(|name| Some((name, self.input(name)?))).collect();
        let (Some(inputs), Some(axis)) = (inputs, self.proto.attr("axis").map(|a| a.i())) else { return Vec::new() };
        let axis = if axis < 0 { axis + to.len() as i64 } else { axis } as usize;
        let shapes: Vec<(String, Vec<usize>)> =
            inputs.iter().map(|(name, (shape, _))| (name.to_string(), shape.clone())).collect();
        let mut cuts: Vec<Cut> = Cut::concat(axis, &shapes).into_iter().collect();
        let Some((_, (from, inherited))) = inputs.first() else { return cuts };
        for cut in *inherited {
            let Some((other, sizes)) = cut.sizes(from).filter(|(other, _)| *other != axis) else { continue };
            let alike = |(_, (shape, cuts)): &(&String, (Vec<usize>, &[Cut]))| {
                cuts.iter().any(|c| c.sizes(shape).as_ref() == Some(&(other, sizes.clone())))
            };
            cuts.extend(inputs.iter().all(alike).then(|| cut.moved(&sizes, other, to)).flatten());
        }
        cuts
    }

    fn permuted(&self, cut: &Cut, from: &[usize], to: &[usize]) -> Option<Cut> {
        let (axis, sizes) = cut.sizes(from)?;
        let reversed: Vec<i64> = (0..from.len() as i64).rev().collect();
        let permutation = self.proto.attr("perm").map_or(reversed, |a| a.ints.clone());
        let now = permutation.iter().position(|p| *p == axis as i64)?;
        cut.moved(&sizes, now, to)
    }
}

fn cropped(cut: &Cut, from: &[usize], to: &[usize]) -> Option<Cut> {
    let (axis, sizes) = cut.sizes(from).filter(|_| from.len() == to.len())?;
    cut.moved(&sizes, axis, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::lines;
    use crate::onnx::{AttributeProto, GraphProto, ValueInfoProto};

    /// What the parts of the last tensor are, as `told`, cut by cut.
    fn check(text: &str, shapes: &[(&str, &[usize])], want: &[&str]) {
        let mut lines = lines::read(text);
        for node in &mut lines.nodes {
            if let Some(Ok(axis)) = node.name().split_once('_').map(|(axis, _)| axis.parse::<i64>()) {
                node.attribute.push(AttributeProto::int("axis", axis));
            }
        }
        let input = lines.inputs.iter().map(|name| ValueInfoProto::bare(name)).collect();
        let output = lines.ends.iter().map(|name| ValueInfoProto::bare(name)).collect();
        let main = GraphProto { node: lines.nodes, input, output, ..Default::default() };
        let model = ModelProto { graph: Some(main), ..Default::default() };
        let graph = Graph::new(&model).unwrap();
        let shape = |key: &str| Some(shapes.iter().find(|(name, _)| *name == key)?.1.to_vec());
        let cuts = parts(&graph, &model, &shape).pop().unwrap();
        let told: Vec<String> =
            cuts.iter().map(|cut| (0..cut.parts.len()).map(|p| cut.told(p)).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(told, want, "{text}");
    }

    #[test]
    fn what_only_moves_elements_keeps_the_parts() {
        let boxes: (&str, &[usize]) = ("b", &[1, 4, 6]);
        let scores: (&str, &[usize]) = ("s", &[1, 2, 6]);
        let head: (&str, &[usize]) = ("head", &[1, 6, 6]);
        let joined = "1_cat: head = Concat(b, s)";
        check(joined, &[boxes, scores, head], &["'b' ([0:4] of axis 1) 's' ([4:6] of axis 1)"]);
        let turned = format!("{joined}; t: y = Transpose(head)");
        let turned = turned.replace("t: y", "y");
        check(
            &format!("{turned}; z = Flatten(y)"),
            &[boxes, scores, head, ("y", &[6, 6, 1]), ("z", &[6, 6])],
            &["'b' ([0:4] of axis 1) 's' ([4:6] of axis 1)"],
        );
        check(
            &format!("{joined}; y = Reshape(head); z = DequantizeLinear(y)"),
            &[boxes, scores, head, ("y", &[36]), ("z", &[36])],
            &["'b' ([0:24] of axis 0) 's' ([24:36] of axis 0)"],
        );
        check(
            &format!("{joined}; y = Slice(head)"),
            &[boxes, scores, head, ("y", &[1, 6, 3])],
            &["'b' ([0:4] of axis 1) 's' ([4:6] of axis 1)"],
        );
        check(&format!("{joined}; y = Relu(head)"), &[boxes, scores, head, ("y", &[1, 6, 6])], &[]);
    }

    #[test]
    fn levels_of_the_same_parts_keep_both() {
        check(
            "1_p: l = Concat(b, s); 1_q: m = Concat(c, t); 2_r: y = Concat(l, m)",
            &[
                ("b", &[1, 4, 6]),
                ("s", &[1, 2, 6]),
                ("c", &[1, 4, 3]),
                ("t", &[1, 2, 3]),
                ("l", &[1, 6, 6]),
                ("m", &[1, 6, 3]),
                ("y", &[1, 6, 9]),
            ],
            &["'l' ([0:6] of axis 2) 'm' ([6:9] of axis 2)", "'b' ([0:4] of axis 1) 's' ([4:6] of axis 1)"],
        );
    }

    #[test]
    fn ranges_are_those_of_the_part() {
        let shapes = [("a".to_string(), vec![2, 1, 2]), ("b".to_string(), vec![2, 3, 2])];
        let cut = Cut::concat(1, &shapes).unwrap();
        assert_eq!(cut.ranges(0), [0..2, 8..10]);
        assert_eq!(cut.ranges(1), [2..8, 10..16]);
    }
}
