//! Weights that an operator reads as integers, with their scales beside them: QLinearConv and its like, products that quantise
//! their other operand while they run, n-bit products. They can be given other scales and not be left out.

use super::Pair;
use super::find::{constant, float_name};
use crate::graph::{Graph, Node};
use crate::load::Model;
use crate::onnx::NodeProto;
use crate::tensor::{DType, Tensor};

/// Every such weight whose scales stand in the file, in the graph's order.
pub fn operands(model: &Model, graph: &Graph) -> Vec<Pair> {
    let nodes = graph.nodes.iter().enumerate();
    nodes.filter_map(|(number, node)| of(model, graph, node, node.proto(&model.proto)?, number)).collect()
}

fn of(model: &Model, graph: &Graph, node: &Node, proto: &NodeProto, number: usize) -> Option<Pair> {
    let (float, slots) = match node.op_type.as_str() {
        "QLinearConv" => ("Conv", [3, 4, 5]),
        "QLinearMatMul" => ("MatMul", [3, 4, 5]),
        "QGemm" => ("Gemm", [3, 4, 5]),
        "DynamicQuantizeMatMul" => ("MatMul", [1, 2, 3]),
        "MatMulIntegerToFloat" => ("MatMul", [1, 3, 5]),
        "MatMulNBits" => ("MatMulNBits", [1, 2, 3]),
        _ => return None,
    };
    let name = |slot: usize| proto.input.get(slot).filter(|name| !name.is_empty());
    let value = |slot: usize| constant(model, graph, node, name(slot)?);
    let (stored, scale, zero_point) = (value(slots[0])?, value(slots[1])?, value(slots[2]));
    let rank = stored.shape.len();
    let pair = Pair {
        tensor: float_name(name(slots[0])?),
        quantize: None,
        dequantize: number,
        slots,
        quantizer: None,
        axis: None,
        block: 0,
        dtype: stored.dtype,
        weight: true,
        consumers: vec![number],
        channels: None,
        stored: None,
        scale: None,
        zero_point: None,
    };
    if float == "MatMulNBits" {
        return four_bits(pair, proto, (stored, scale, zero_point));
    }
    let transposed = proto.attr("transB").is_some_and(|a| a.i() != 0);
    let axis = match float {
        "Conv" => 0,
        "Gemm" => usize::from(!transposed),
        _ => rank.checked_sub(1)?,
    };
    Some(Pair {
        axis: (scale.elements() != 1).then_some(axis as i64),
        channels: Some((float.to_string(), axis)),
        stored: Some(stored),
        scale: Some(scale),
        zero_point,
        ..pair
    })
}

/// The weight of a MatMulNBits: [N, K] in blocks along K, two codes a byte. It stands for the transpose of the float weight.
fn four_bits(
    pair: Pair,
    proto: &NodeProto,
    (stored, scale, zero_point): (Tensor, Tensor, Option<Tensor>),
) -> Option<Pair> {
    let int = |name: &str| proto.attr(name).and_then(|a| usize::try_from(a.i()).ok());
    let (rows, length, block) = (int("N")?, int("K")?, int("block_size").filter(|b| *b > 0)?);
    let blocks = length / block;
    // Where nothing is padded, the bytes are those of a tensor of 4 bits.
    let plain = int("bits").unwrap_or(4) == 4 && length % block == 0 && blocks % 2 == 0 && stored.dtype == DType::Uint8;
    if !plain || scale.elements() != rows * blocks {
        return None;
    }
    let zeros = match zero_point {
        Some(z) if z.dtype != DType::Uint8 => return None,
        Some(z) => z.bytes().to_vec(),
        None => vec![0x88; rows * blocks / 2],
    };
    let scales = Tensor::new(scale.dtype, vec![rows, blocks], scale.bytes().to_vec()).ok()?;
    Some(Pair {
        axis: Some(1),
        block: block as i64,
        dtype: DType::Uint4,
        stored: Some(Tensor::new(DType::Uint4, vec![rows, length], stored.bytes().to_vec()).ok()?),
        scale: Some(scales),
        zero_point: Some(Tensor::new(DType::Uint4, vec![rows, blocks], zeros).ok()?),
        ..pair
    })
}
