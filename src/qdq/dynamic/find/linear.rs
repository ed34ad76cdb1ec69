//! Operators that read codes and make codes, with all scales in the file: QOperator models.

use super::super::{Operand, Unit};
use super::{At, Find, alone, code, multiplied, plain};
use crate::tensor::DType;

impl Find<'_> {
    /// QLinearConv and QLinearMatMul: both operands with scale and zero point, those of the result, for a Conv a bias.
    pub(super) fn linear(&self, at: At) -> Option<Unit> {
        let conv = at.node.op_type == "QLinearConv";
        if at.int("channels_last").unwrap_or(0) != 0 {
            return None;
        }
        let mut operands = vec![codes(at, 0), self.weight(at, 3, |_| if conv { 0 } else { usize::MAX })];
        if conv && !at.input(8).is_empty() {
            operands.push(self.bias(at, 8, [1, 4])?);
        }
        let unit = alone(at.number, *at.node.writes.first()?, if conv { "Conv" } else { "MatMul" }, operands);
        let attributes = at.attributes(&["channels_last"]);
        Some(Unit { attributes, codes: Some(code(at.input(6), at.input(7))), around: self.quantizers(at), ..unit })
    }

    /// A, B, C of a Gemm; its result is codes where its scale is there.
    pub(super) fn gemm(&self, at: At) -> Option<Unit> {
        let turned = at.int("transB").unwrap_or(0) != 0;
        let mut operands = vec![codes(at, 0), self.weight(at, 3, |_| usize::from(!turned))];
        if !at.input(6).is_empty() {
            operands.push(self.bias(at, 6, [1, 4])?);
        }
        let unit = alone(at.number, *at.node.writes.first()?, "Gemm", operands);
        let codes = Some(code(at.input(7), at.input(8))).filter(|code| !code.scale.is_empty());
        Some(Unit { attributes: at.attributes(&[]), codes, around: self.quantizers(at), ..unit })
    }

    /// What is no product: every operand with scale and zero point, and those of the result.
    pub(super) fn elementwise(&self, at: At) -> Option<Unit> {
        let (float, operands, result): (_, Vec<Operand>, usize) = match at.node.op_type.as_str() {
            "QLinearAdd" => ("Add", vec![self.weight(at, 0, |_| 0), self.weight(at, 3, |_| 0)], 6),
            "QLinearMul" => ("Mul", vec![self.weight(at, 0, |_| 0), self.weight(at, 3, |_| 0)], 6),
            "QLinearSigmoid" => ("Sigmoid", vec![codes(at, 0)], 3),
            "QLinearLeakyRelu" => ("LeakyRelu", vec![codes(at, 0)], 3),
            "QLinearSoftmax" => ("Softmax", vec![codes(at, 0)], 3),
            "QLinearGlobalAveragePool" => ("GlobalAveragePool", vec![codes(at, 0)], 3),
            "QLinearAveragePool" => ("AveragePool", vec![codes(at, 0)], 3),
            "QLinearConcat" => {
                let parts = at.proto.input.len().saturating_sub(2) / 3;
                ("Concat", (0..parts).map(|i| self.weight(at, 2 + 3 * i, |_| 0)).collect(), 0)
            }
            "QLinearWhere" => {
                ("Where", vec![Operand::Name(at.input(0)), self.weight(at, 1, |_| 0), self.weight(at, 4, |_| 0)], 7)
            }
            _ => return None,
        };
        if at.int("channels_last").unwrap_or(0) != 0 || operands.is_empty() {
            return None;
        }
        let unit = alone(at.number, *at.node.writes.first()?, float, operands);
        let attributes = at.attributes(&["channels_last", "opset"]);
        let codes = Some(code(at.input(result), at.input(result + 1)));
        Some(Unit { attributes, codes, around: self.quantizers(at), ..unit })
    }

    /// A stored weight, with its scales along what `axis` says of it; what is computed is codes.
    fn weight(&self, at: At, slot: usize, axis: impl Fn(usize) -> usize) -> Operand {
        let (Some(stored), Some(scale)) = (self.value(at, slot), self.value(at, slot + 1)) else {
            return codes(at, slot);
        };
        let rank = stored.shape.len();
        let axis = axis(rank).min(rank.saturating_sub(1));
        let zero = self.value(at, slot + 2);
        Operand::Weight(Box::new(plain(at.number, &at.input(slot), stored, Some(scale), zero, axis)))
    }

    /// An int32 bias: its step is the product of the two scales.
    fn bias(&self, at: At, slot: usize, scales: [usize; 2]) -> Option<Operand> {
        let stored = self.value(at, slot)?;
        if stored.dtype != DType::Int32 {
            return Some(Operand::Name(at.input(slot)));
        }
        let scales: Option<Vec<_>> = scales.into_iter().map(|slot| self.value(at, slot)).collect();
        let last = stored.shape.len().saturating_sub(1);
        Some(Operand::Weight(Box::new(plain(at.number, &at.input(slot), stored, multiplied(&scales?), None, last))))
    }

    /// The nodes that quantise what it reads.
    fn quantizers(&self, at: At) -> Vec<usize> {
        let makers = at.proto.input.iter().filter_map(|name| at.tensor(name)).map(|t| self.graph.tensors[t].node);
        makers.filter(|n| self.graph.nodes[*n].op_type == "QuantizeLinear").collect()
    }
}

/// Codes with the scale and the zero point behind them.
fn codes(at: At, slot: usize) -> Operand {
    Operand::Codes(at.input(slot), code(at.input(slot + 1), at.input(slot + 2)))
}
