//! Which operands say how a node works and hold no data: sizes, axes, scales, counts. A part of one means something else,
//! so they, and what they are computed from, are never cut.

use std::collections::HashSet;

use crate::graph::call;
use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// Operators with parameters, and from which input to which these are. Inputs that are parameters in one opset are in all
/// (Resize has its scales at 1, later at 2). Up to opset 28; limits and values that are one number count as parameters.
const PARAMETERS: [(&str, usize, usize); 46] = [
    ("AffineGrid", 1, 1),
    ("BlackmanWindow", 0, 0),
    ("CenterCropPad", 1, 1),
    ("Clip", 1, 2),
    ("Col2Im", 1, 2),
    ("ConstantOfShape", 0, 0),
    ("CumSum", 1, 1),
    ("DFT", 1, 2),
    ("Dropout", 1, 2),
    ("Expand", 1, 1),
    ("HammingWindow", 0, 0),
    ("HannWindow", 0, 0),
    ("If", 0, 0),
    ("Loop", 0, 1),
    ("MaxUnpool", 2, 2),
    ("MelWeightMatrix", 0, 4),
    ("NonMaxSuppression", 2, 4),
    ("OneHot", 1, 2),
    ("Pad", 1, 3),
    ("Range", 0, 2),
    ("ReduceL1", 1, 1),
    ("ReduceL2", 1, 1),
    ("ReduceLogSum", 1, 1),
    ("ReduceLogSumExp", 1, 1),
    ("ReduceMax", 1, 1),
    ("ReduceMean", 1, 1),
    ("ReduceMin", 1, 1),
    ("ReduceProd", 1, 1),
    ("ReduceSum", 1, 1),
    ("ReduceSumSquare", 1, 1),
    ("Reshape", 1, 1),
    ("Resize", 1, 3),
    // The window belongs to the frame's length.
    ("STFT", 1, 3),
    ("SequenceAt", 1, 1),
    ("SequenceErase", 1, 1),
    ("SequenceInsert", 2, 2),
    ("Slice", 1, 4),
    ("Split", 1, 1),
    ("SplitToSequence", 1, 1),
    ("Squeeze", 1, 1),
    ("StringSplit", 1, 1),
    ("Tile", 1, 2),
    ("TopK", 1, 1),
    ("Trilu", 1, 1),
    ("Unsqueeze", 1, 1),
    ("Upsample", 1, 1),
];

/// The same of ONNX Runtime's own operators. The sizes of n-bit weights are attributes as well.
const CONTRIBUTED: [(&str, usize, usize); 13] = [
    ("BeamSearch", 1, 12),
    ("CropAndResize", 3, 3),
    ("ExpandDims", 1, 1),
    ("GreedySearch", 1, 7),
    ("GroupQueryAttention", 5, 8),
    ("MatMulBnb4", 1, 2),
    ("MatMulFpQ4", 1, 2),
    ("MatMulNBits", 1, 5),
    ("Pad", 1, 3),
    ("Range", 0, 2),
    ("Sampling", 1, 9),
    ("Trilu", 1, 1),
    ("WhisperBeamSearch", 1, 14),
];

/// Names of the main graph's tensors that are parameters of a node, wherever it is, or that a parameter is computed from.
/// A shape that is asked for (Shape, Size) hides what it is the shape of.
pub fn parameters(model: &ModelProto) -> HashSet<String> {
    let mut wanted = HashSet::new();
    if let Some(main) = &model.graph {
        search(model, &main.node, &mut wanted, DEPTH);
    }
    wanted
}

/// Bodies and functions inside each other at most.
const DEPTH: usize = 16;

/// Adds what the parameters of `nodes` are and come from, the last node first.
fn search(model: &ModelProto, nodes: &[NodeProto], wanted: &mut HashSet<String>, depth: usize) {
    if depth == 0 {
        return;
    }
    for node in nodes.iter().rev() {
        let slots = slots(node);
        wanted.extend(node.input.iter().enumerate().filter(|(i, _)| slots.contains(i)).map(|(_, n)| n.clone()));
        let steers = node.output.iter().any(|o| wanted.contains(o)) && !(node.is("Shape") || node.is("Size"));
        if steers {
            wanted.extend(node.input.iter().cloned());
        }
        for (_, body) in node.subgraphs() {
            if steers {
                wanted.extend(body.node.iter().flat_map(|n| &n.input).cloned());
            }
            inside(model, node, body, wanted, depth);
        }
        let function = call::function(model, node);
        if let Some((function, body)) = function.and_then(|f| Some((f, call::bound(node, f)?))) {
            let mut own = HashSet::new();
            search(model, &body.node, &mut own, depth - 1);
            let pairs = call::arguments(node, function).filter(|(formal, _)| own.contains(*formal));
            wanted.extend(pairs.map(|(_, actual)| actual.to_string()));
        }
    }
    wanted.remove("");
}

/// What a body of `node` needs of the graph around it.
fn inside(model: &ModelProto, node: &NodeProto, body: &GraphProto, wanted: &mut HashSet<String>, depth: usize) {
    let mut own = wanted.clone();
    search(model, &body.node, &mut own, depth - 1);
    let formals = body.input.iter().zip(&node.input).filter(|(formal, _)| own.contains(formal.name()));
    wanted.extend(formals.map(|(_, actual)| actual.clone()));
    wanted.extend(own);
}

fn slots(node: &NodeProto) -> std::ops::RangeInclusive<usize> {
    let table: &[_] = match node.domain() {
        "" | "ai.onnx" => &PARAMETERS,
        "com.microsoft" => &CONTRIBUTED,
        _ => &[],
    };
    let found = table.iter().find(|(op, ..)| *op == node.op_type());
    found.map_or(std::ops::RangeInclusive::new(1, 0), |(_, first, last)| *first..=*last)
}
