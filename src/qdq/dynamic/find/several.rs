//! Weights of few bits, and tables of integers of which rows are read: MatMulNBits, GatherBlockQuantized, a Gather with a
//! DequantizeLinear behind it.

use super::super::{Operand, Stored, Unit};
use super::{At, Find, Layout, alone, plain};
use crate::qdq::dynamic::stored::Packed;
use crate::tensor::{DType, Tensor};

impl Find<'_> {
    /// A, codes, scales, zero points, groups, bias. The float weight is the transpose.
    pub(super) fn n_bits(&self, at: At) -> Option<Unit> {
        let int = |name: &str| at.int(name).and_then(|i| usize::try_from(i).ok()).filter(|i| *i > 0);
        let bits = int("bits").unwrap_or(4);
        if ![2, 4, 8].contains(&bits) {
            return None;
        }
        let scales = self.value(at, 2)?;
        let groups = self.value(at, 4).map(|g| crate::compare::to_f64(&g).into_iter().map(|g| g as usize).collect());
        let packed = Packed {
            rows: int("N")?,
            length: int("K")?,
            block: int("block_size")?,
            bits,
            codes: self.value(at, 1)?,
            zeros: self.value(at, 3),
            groups: groups.filter(|g: &Vec<usize>| Some(g.len()) == int("K")),
            scales,
        };
        let dtype = packed.scales.dtype;
        let layout = Layout::Packed(Box::new(packed));
        let weight = Stored { name: at.input(1), layout, turned: true, dtype };
        let operands = vec![Operand::Name(at.input(0)), Operand::Weight(Box::new(weight))];
        let bias = Some(at.input(5)).filter(|name| !name.is_empty()).map(Operand::Name);
        let unit = alone(at.number, *at.node.writes.first()?, "MatMul", operands);
        Some(Unit { bias, bits: Some(bits as i64), ..unit })
    }

    /// Rows of a stored table, made floats behind, or read by a product as they are.
    pub(super) fn gathered(&self, at: At) -> Option<Unit> {
        let table = self.value(at, 0)?;
        let result = *at.node.writes.first()?;
        let Some(back) = self.reader_of_codes(result, "DequantizeLinear") else {
            let product = self.reader_of_codes(result, "MatMulInteger")?;
            let (code, scale, zero) = self.gathered_code(product)?;
            let unit = self.row(at, table, (Some(scale), zero), result)?;
            return Some(Unit { codes: Some(code), ..unit });
        };
        let scale = self.value(back, 1).filter(|scale| scale.elements() == 1);
        let unit = self.row(at, table, (scale, self.value(back, 2)), *back.node.writes.first()?)?;
        Some(Unit { last: back.number, around: vec![at.number], ..unit })
    }

    fn row(
        &self,
        at: At,
        table: Tensor,
        (scale, zero): (Option<Tensor>, Option<Tensor>),
        result: usize,
    ) -> Option<Unit> {
        let weight = plain(at.number, &at.input(0), table, Some(scale?), zero, 0);
        let operands = vec![Operand::Weight(Box::new(weight)), Operand::Name(at.input(1))];
        let unit = alone(at.number, result, "Gather", operands);
        Some(Unit { attributes: at.attributes(&[]), ..unit })
    }

    /// The first node of this type that reads the tensor as its codes, in the same graph.
    fn reader_of_codes(&self, tensor: usize, op: &str) -> Option<At<'_>> {
        let readers = self.graph.children(tensor).into_iter().filter_map(|t| self.at(self.graph.tensors[t].node));
        let scope = &self.graph.producer(tensor).scope;
        let reads = |r: &At| r.tensor(&r.input(0)) == Some(tensor) && r.node.scope == *scope;
        readers.into_iter().find(|r| r.node.op_type == op && reads(r))
    }

    /// Table, indices, scales, zero points; bytes hold several codes where the table is of a type of eight bits.
    pub(super) fn gathered_by_block(&self, at: At) -> Option<Unit> {
        let int = |name: &str, default: i64| at.int(name).unwrap_or(default);
        let (bits, block) = (int("bits", 4), int("block_size", 128));
        let (table, scales, zeros) = (self.value(at, 0)?, self.value(at, 2)?, self.value(at, 3));
        let packed = table.dtype == DType::Uint8;
        let (table, zeros) = match packed {
            true => {
                let middle =
                    Tensor::new(DType::Uint8, scales.shape.clone(), vec![1u8 << (bits - 1); scales.elements()]);
                (spread(&table, bits)?, Some(zeros.map_or(middle.ok(), |z| spread_to(&z, bits, &scales.shape))?))
            }
            false => (table, zeros),
        };
        let mut weight = plain(at.number, &at.input(0), table, Some(scales), zeros, 0);
        let Layout::Plain(pair) = &mut weight.layout else { return None };
        (pair.axis, pair.block) = (Some(int("quantize_axis", 1)), block);
        let operands = vec![Operand::Weight(Box::new(weight)), Operand::Name(at.input(1))];
        let unit = alone(at.number, *at.node.writes.first()?, "Gather", operands);
        let attributes = vec![crate::onnx::AttributeProto::int("axis", int("gather_axis", 0))];
        Some(Unit { attributes, bits: Some(bits), ..unit })
    }
}

/// Bytes of several codes as one code each: the last dimension is as many times as long.
fn spread(tensor: &Tensor, bits: i64) -> Option<Tensor> {
    let each = 8 / usize::try_from(bits).ok().filter(|b| [2, 4, 8].contains(b))?;
    let mask = ((1u16 << bits) - 1) as u8;
    let codes = |byte: &u8| (0..each).map(|i| (byte >> (i as i64 * bits)) & mask).collect::<Vec<u8>>();
    let values: Vec<u8> = tensor.bytes().iter().flat_map(codes).collect();
    let mut shape = tensor.shape.clone();
    *shape.last_mut()? *= each;
    Tensor::new(DType::Uint8, shape, values).ok()
}

/// The same, without what fills the last byte of each row.
fn spread_to(tensor: &Tensor, bits: i64, shape: &[usize]) -> Option<Tensor> {
    let spread = spread(tensor, bits)?;
    let (have, want) = (*spread.shape.last()?, *shape.last()?);
    let rows = spread.bytes().chunks(have.max(1));
    let values: Vec<u8> = rows.flat_map(|row| row[..want.min(row.len())].to_vec()).collect();
    Tensor::new(DType::Uint8, shape.to_vec(), values).ok()
}
