//! What each operator makes of its inputs' shapes, and what it refuses. From ONNX's definitions, stricter where ONNX
//! Runtime is. No rule guesses: where an operator, or what it depends on, is not known, nothing is said.

mod elements;
mod layout;
mod norms;
mod products;
mod recurrent;
mod reductions;
mod resize;
mod select;
mod signal;
mod values;
mod windows;

use super::call::{Call, Made, unknown};

/// What `call` makes, or what does not fit.
pub fn apply(call: &Call) -> Made {
    let op = call.node.op_type();
    match call.node.domain() {
        "" | "ai.onnx" => standard(call, op),
        "com.microsoft" => contributed(call, op),
        _ => unknown(),
    }
}

fn standard(call: &Call, op: &str) -> Made {
    match op {
        "Conv" => windows::convolution(call, 0, 1, Some(2)),
        "ConvInteger" => windows::convolution(call, 0, 1, None),
        "QLinearConv" => windows::quantised_convolution(call),
        "ConvTranspose" => windows::transposed(call),
        "DeformConv" => windows::deformable(call),
        "MaxPool" | "AveragePool" | "LpPool" => windows::pool(call),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => windows::global(call, 0),
        "MaxUnpool" => windows::unpool(call),
        "MaxRoiPool" => windows::regions(call, 5, None),
        "RoiAlign" => windows::regions(call, 4, Some(2)),
        "GridSample" => windows::grid(call),
        "DepthToSpace" => windows::depth_to_space(call),
        "SpaceToDepth" => windows::space_to_depth(call),
        "Resize" => resize::resize(call),
        "Upsample" => resize::upsample(call),
        "Reshape" => layout::reshape(call),
        "Flatten" => layout::flatten(call),
        "Transpose" => layout::transpose(call),
        "Squeeze" => layout::squeeze(call),
        "Unsqueeze" => layout::unsqueeze(call),
        "Expand" => layout::expand(call),
        "Tile" => layout::tile(call),
        "Concat" => layout::concat(call),
        "Split" => layout::split(call),
        "Pad" => select::pad(call),
        "Slice" => select::slice(call),
        "Gather" => select::gather(call),
        "GatherElements" => select::gather_elements(call),
        "GatherND" => select::gather_nd(call),
        "Scatter" | "ScatterElements" => select::scatter(call),
        "ScatterND" => select::scatter_nd(call),
        "TopK" => select::top_k(call),
        "OneHot" => select::one_hot(call),
        "NonZero" => select::non_zero(call),
        "NonMaxSuppression" => select::suppression(call),
        "MatMul" => products::matmul(call, 0, 1),
        "MatMulInteger" => products::matmul(call, 0, 1),
        "QLinearMatMul" => products::matmul(call, 0, 3),
        "Gemm" => products::gemm(call),
        "Einsum" => products::einsum(call),
        "BatchNormalization" => norms::batch(call),
        "InstanceNormalization" => norms::instance(call),
        "GroupNormalization" => norms::group(call),
        "LayerNormalization" | "RMSNormalization" => norms::layer(call),
        "QuantizeLinear" | "DequantizeLinear" => norms::quantised(call),
        "DynamicQuantizeLinear" => norms::dynamically_quantised(call),
        "RNN" => recurrent::recurrent(call, 1),
        "GRU" => recurrent::recurrent(call, 3),
        "LSTM" => recurrent::recurrent(call, 4),
        "ArgMax" | "ArgMin" => reductions::argument(call),
        "DFT" => signal::dft(call),
        "STFT" => signal::stft(call),
        "Constant" => values::constant(call),
        "ConstantOfShape" => values::filled(call),
        "Range" => values::range(call),
        "Shape" => values::shape(call),
        "Size" => values::size(call),
        _ if op.starts_with("Reduce") => reductions::reduce(call),
        _ => elements::apply(call, op),
    }
}

/// ONNX Runtime's own operators that are like ONNX's.
fn contributed(call: &Call, op: &str) -> Made {
    match op {
        "FusedConv" => windows::convolution(call, 0, 1, Some(2)),
        "FusedGemm" => products::gemm(call),
        "FusedMatMul" | "TransposeMatMul" => products::fused(call),
        "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" => products::matmul(call, 0, 1),
        "MatMulNBits" => products::packed(call),
        "QLinearGlobalAveragePool" if call.int("channels_last", 0) == 0 => windows::global(call, 0),
        "QLinearAveragePool" if call.int("channels_last", 0) == 0 => windows::pool(call),
        "QuantizeLinear" | "DequantizeLinear" => norms::quantised(call),
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => norms::skipping(call),
        _ => elements::contributed(call, op),
    }
}

#[cfg(test)]
mod tests;
