//! Optional inputs of nodes that the failure does not need: a bias, a bound, initial states. Only what the operator's
//! definition allows to be left out is asked about, so that a smaller case stays a valid model.

use super::{apply, edit_graph, graphs, tidy};
use crate::graph::node_name;
use crate::onnx::NodeProto;
use crate::reduce::{Attempt, Case};
use crate::search::Answer;

/// Who gives a node the value that may be left out. Values that other nodes make are never candidates.
#[derive(Clone, Copy, PartialEq)]
pub enum Giver {
    Input,
    Initializer,
}

/// Operators with inputs that may be left out: from which place to which, and since which opset. From ONNX's schemas up
/// to opset 28; inputs 0 are never left out.
const OPTIONAL: [(&str, usize, usize, i64); 42] = [
    ("Attention", 3, 6, 23),
    ("CausalConvWithState", 2, 3, 27),
    ("Clip", 1, 2, 11),
    ("Conv", 2, 2, 1),
    ("ConvInteger", 2, 3, 10),
    ("ConvTranspose", 2, 2, 1),
    ("DFT", 1, 2, 20),
    ("DeformConv", 3, 4, 19),
    ("DequantizeLinear", 2, 2, 10),
    ("Dropout", 1, 2, 12),
    ("GRU", 3, 5, 1),
    ("Gemm", 2, 2, 11),
    ("LSTM", 3, 7, 1),
    ("LayerNormalization", 2, 2, 17),
    ("LinearAttention", 3, 5, 27),
    ("Loop", 1, 1, 1),
    ("MatMulInteger", 2, 3, 10),
    ("MaxUnpool", 2, 2, 9),
    ("NegativeLogLikelihoodLoss", 2, 2, 12),
    ("NonMaxSuppression", 2, 4, 10),
    ("Pad", 2, 3, 11),
    ("QLinearConv", 8, 8, 10),
    ("QuantizeLinear", 2, 2, 10),
    ("RNN", 3, 5, 1),
    ("ReduceL1", 1, 1, 18),
    ("ReduceL2", 1, 1, 18),
    ("ReduceLogSum", 1, 1, 18),
    ("ReduceLogSumExp", 1, 1, 18),
    ("ReduceMax", 1, 1, 18),
    ("ReduceMean", 1, 1, 18),
    ("ReduceMin", 1, 1, 18),
    ("ReduceProd", 1, 1, 18),
    ("ReduceSum", 1, 1, 13),
    ("ReduceSumSquare", 1, 1, 18),
    ("Resize", 1, 3, 13),
    ("RotaryEmbedding", 3, 3, 23),
    ("STFT", 2, 3, 17),
    ("Slice", 3, 4, 10),
    ("SoftmaxCrossEntropyLoss", 2, 2, 12),
    ("Squeeze", 1, 1, 13),
    ("TensorScatter", 2, 2, 24),
    ("Trilu", 1, 1, 14),
];

/// An input of a node that may be left out.
#[derive(Clone)]
struct Slot {
    /// Position in [`graphs`].
    graph: usize,
    node: usize,
    input: usize,
    /// For the journal: which node, and how it is called.
    label: String,
}

/// `case` without the optional inputs from `giver` that its failure does not need.
pub fn omit<E>(
    case: Case,
    giver: Giver,
    test: &mut impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Case, E> {
    let slots = slots(&case, giver);
    let what = |slots: &[Slot]| {
        let each: Vec<String> = slots.iter().map(|s| format!("input {} of {}", s.input, s.label)).collect();
        format!("without {}", each.join(", "))
    };
    apply(case, &slots, what, without, test)
}

fn slots(case: &Case, giver: Giver) -> Vec<Slot> {
    let Some(main) = &case.model.graph else { return Vec::new() };
    let all = graphs(main);
    let of = |name: &str| match giver {
        Giver::Input => {
            main.input.iter().any(|v| v.name() == name) && !all[0].initializer.iter().any(|t| t.name() == name)
        }
        Giver::Initializer => all.iter().any(|g| g.initializer.iter().any(|t| t.name() == name)),
    };
    let made = |name: &str| all.iter().any(|g| g.node.iter().any(|n| n.output.iter().any(|o| o == name)));
    let mut slots = Vec::new();
    let mut number = 0;
    for (graph, body) in all.iter().enumerate() {
        for (node, proto) in body.node.iter().enumerate() {
            let label = format!("node {number} '{}'", node_name(proto));
            number += 1;
            for (input, name) in proto.input.iter().enumerate().skip(1) {
                if !name.is_empty() && may_miss(proto, input, case.model.opset()) && of(name) && !made(name) {
                    slots.push(Slot { graph, node, input, label: label.clone() });
                }
            }
        }
    }
    slots
}

/// Does the operator allow it? What a foreign domain or a function allows is not known here: the backend tells.
fn may_miss(node: &NodeProto, input: usize, opset: i64) -> bool {
    let known = |(op, first, last, since): &(&str, usize, usize, i64)| {
        node.op_type() == *op && (*first..=*last).contains(&input) && opset >= *since
    };
    !matches!(node.domain(), "" | "ai.onnx") || OPTIONAL.iter().any(known)
}

fn without(mut case: Case, slots: &[Slot]) -> Case {
    for slot in slots {
        let Some(main) = case.model.graph.as_mut() else { break };
        edit_graph(main, slot.graph, &mut |graph| {
            if let Some(input) = graph.node.get_mut(slot.node).and_then(|n| n.input.get_mut(slot.input)) {
                input.clear();
            }
        });
    }
    case.expected = None;
    tidy(case)
}
