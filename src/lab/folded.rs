//! Names that mean something else in the candidate. Whoever folds a BatchNormalization (or a Mul, an Add) into the Conv in front
//! of it may keep the name of the Conv's output for the folded value (onnxsim and onnxoptimizer do): the candidate's X is the
//! reference's Y then. It is told by the wiring: Y has no counterpart, who reads Y in the reference reads X in the candidate,
//! and the node that makes X has other weights. Values are not looked at, so that a fault makes no pair and breaks none.

use super::pairs::Pair;
use super::{Lab, Side};
use crate::graph::{Node, Source, initializer};
use crate::load::testset::tensor_from_proto;
use crate::onnx::NodeProto;
use crate::tensor::{DType, Tensor};

/// Makers that others are folded into.
const LINEAR: [&str; 5] = ["Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"];
/// What is folded, where everything else that it reads is constant.
const FOLDABLE: [&str; 6] = ["BatchNormalization", "Mul", "Add", "Sub", "Div", "Identity"];
/// What a candidate may have put between a value and who reads it.
const BETWEEN: [&str; 4] = ["QuantizeLinear", "DequantizeLinear", "Cast", "Identity"];
/// How far apart weights may be that were stored in another type, as a share of the largest.
const STORED: f64 = 0.01;

impl Lab {
    /// Pairs what was folded under a name that is in both graphs: Y with the candidate's X, and X with nothing.
    pub(super) fn pair_folded(&mut self) {
        for folded in 0..self.tensors() {
            let Some(named) = self.folded_into(folded) else { continue };
            let Ok(pair) = self.pairs[named] else { continue };
            let (own, theirs) = (self.key(folded).to_string(), &self.candidate);
            let known = self.survey.types.contains_key(&own) && self.reference.stores(&own);
            if pair.reference != named || !known || !theirs.stores(&theirs.graph.tensors[pair.candidate].key) {
                continue;
            }
            self.pairs[folded] = Ok(Pair { reference: folded, candidate: pair.candidate });
            self.pairs[named] =
                Err(format!("what follows is folded into it: in the candidate, its name means '{own}'"));
        }
    }

    /// The tensor whose name the candidate has for the value of `folded`; `None` where nothing says so.
    fn folded_into(&self, folded: usize) -> Option<usize> {
        let (mine, theirs) = (&self.reference.graph, &self.candidate.graph);
        if theirs.tensor(self.key(folded)).is_some() || !mine.producer(folded).scope.is_empty() {
            return None;
        }
        // Up through what the candidate has not, one tensor at a time.
        let mut at = folded;
        let named = loop {
            let node = mine.producer(at);
            let [above] = mine.parents(at).into_iter().filter(|p| !mine.is_constant(*p)).collect::<Vec<_>>()[..] else {
                return None;
            };
            if !FOLDABLE.contains(&node.op_type.as_str()) || node.writes.len() != 1 {
                return None;
            }
            if theirs.tensor(self.key(above)).is_some() {
                break above;
            }
            at = above;
        };
        let other = theirs.tensor(self.key(named))?;
        let (maker, their_maker) = (mine.producer(named), theirs.producer(other));
        let changed = || differs(&self.reference, maker, &self.candidate, their_maker);
        let linear = LINEAR.contains(&maker.op_type.as_str());
        (linear && self.reads_instead(folded, named, other) && changed()).then_some(named)
    }

    /// Does whoever reads `folded` in the reference read the candidate's `other` there, and nobody the tensor of that name?
    fn reads_instead(&self, folded: usize, named: usize, other: usize) -> bool {
        let (mine, theirs) = (&self.reference.graph, &self.candidate.graph);
        if theirs.outputs.iter().any(|(_, output)| *output == Some(other)) {
            return false;
        }
        let mut said = false;
        let folded_op = &mine.producer(folded).op_type;
        for reader in self.readers(other) {
            let (op, own) = (&theirs.producer(reader).op_type, mine.tensor(&theirs.tensors[reader].key));
            // What is said to be folded is still there, and makes what followed: a quantiser left out the Relu behind it.
            if op == folded_op && own.is_some_and(|own| mine.producer(own).op_type != *op) {
                return false;
            }
            let (as_named, as_folded) = match mine.tensor(&theirs.tensors[reader].key) {
                Some(own) => (mine.parents(own).contains(&named), mine.parents(own).contains(&folded)),
                // What it makes has another name: its operator must do.
                None => {
                    let op_type = &theirs.producer(reader).op_type;
                    let like = |t: usize| mine.children(t).iter().any(|c| mine.producer(*c).op_type == *op_type);
                    (like(named), like(folded))
                }
            };
            if as_named {
                return false;
            }
            said |= as_folded;
        }
        said
    }

    /// Who reads the candidate's tensor, behind what the candidate alone has put between.
    fn readers(&self, tensor: usize) -> Vec<usize> {
        let (mine, theirs) = (&self.reference.graph, &self.candidate.graph);
        let (mut readers, mut from) = (Vec::new(), vec![tensor]);
        while let Some(at) = from.pop() {
            for child in theirs.children(at) {
                let added = mine.tensor(&theirs.tensors[child].key).is_none();
                let between = added && BETWEEN.contains(&theirs.producer(child).op_type.as_str());
                if between { from.push(child) } else { readers.push(child) }
            }
        }
        readers
    }
}

/// Have the two nodes other constants, as far as that can be told?
fn differs(reference: &Side, mine: &Node, candidate: &Side, theirs: &Node) -> bool {
    let (left, right) = (constants(reference, mine), constants(candidate, theirs));
    match (left, right) {
        (Some(left), Some(right)) if left.len() == right.len() => {
            left.iter().zip(&right).any(|(left, right)| !is_same(left, right))
        }
        _ => true,
    }
}

/// Everything that a node reads besides its first operand; `None` where some of it is computed.
fn constants(side: &Side, node: &Node) -> Option<Vec<Tensor>> {
    let main = side.model.proto.graph.as_ref()?;
    let value = |read: &crate::graph::Read| match read.source {
        Source::Initializer => tensor_from_proto(&side.model.inline(initializer(main, &node.scope, &read.name)?)).ok(),
        Source::Tensor(t) if side.graph.is_constant(t) => {
            let maker = side.graph.producer(t).proto(&side.model.proto).and_then(NodeProto::constant)?;
            tensor_from_proto(&maker).ok()
        }
        _ => None,
    };
    node.reads.iter().skip(1).map(value).collect()
}

fn is_same(left: &Tensor, right: &Tensor) -> bool {
    if left.dtype == right.dtype {
        return left.identical(right);
    }
    let floats = |t: &Tensor| crate::precision::cast(t, DType::Float32).map(|t| t.view::<f32>().to_vec());
    let (Some(left), Some(right)) = (floats(left), floats(right)) else { return false };
    let most = left.iter().fold(0.0, |most, x| f64::max(most, x.abs().into()));
    left.len() == right.len()
        && left.iter().zip(&right).all(|(l, r)| (f64::from(*l) - f64::from(*r)).abs() <= STORED * most)
}

#[cfg(test)]
mod tests;
