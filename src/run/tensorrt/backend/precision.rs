//! How precisions are asked of a builder: by its flags where networks are weakly typed, and layer by layer where one is to stay float32.

use std::collections::HashSet;

use crate::run::RunError;
use crate::run::tensorrt::{Config, Flag, Layer, Library, Network, Options, Tensor, Typing};
use crate::tensor::DType;

/// Who decides about types: the builder, where it is left to, or where it knows no other way.
pub fn typing(library: &Library, options: &Options) -> Typing {
    if options.weak.is_some() || !library.strongly_typed() { Typing::Weak } else { Typing::Strong }
}

/// The flags that allow what was asked for, and the layers that came from one of `nodes` computing, and handing on, float32.
pub fn ask(
    library: &Library,
    options: &Options,
    nodes: &[String],
    network: &Network,
    config: &mut Config,
) -> Result<(), RunError> {
    let nodes: HashSet<&str> = nodes.iter().map(String::as_str).collect();
    let is_one = |layer: &Layer| {
        nodes.contains(layer.name().as_str()) || layer.onnx_nodes().iter().any(|node| nodes.contains(node.as_str()))
    };
    let mut kept: Vec<Layer> = Vec::new();
    if !nodes.is_empty() {
        kept.extend(network.layers().into_iter().filter(is_one));
    }
    if !library.strongly_typed() {
        config.set(Flag::Int8, is_quantised(network))?;
    }
    if let Some(dtype) = options.weak {
        config.set(lowering(dtype)?, true)?;
    } else if !library.strongly_typed() {
        kept.extend(allow_halves(network, config)?);
    }
    kept.iter().try_for_each(keep_float32)?;
    if typing(library, options) == Typing::Weak {
        config.set(Flag::ObeyPrecisionConstraints, !kept.is_empty())?;
    }
    Ok(())
}

/// Does it quantise? A builder that cannot be told to take the model's own types wants a flag for it.
fn is_quantised(network: &Network) -> bool {
    network.layers().iter().any(|layer| matches!(layer.kind().as_str(), "QUANTIZE" | "DEQUANTIZE"))
}

/// Such a builder is allowed float16 where the model has it. The layers that are to stay float32 come back: those that hand on nothing
/// else, where some are float16. In a quantised model none is held, for Q and DQ nodes to be fused with what is between them.
fn allow_halves<'n>(network: &'n Network, config: &mut Config) -> Result<Vec<Layer<'n>>, RunError> {
    let is_half = |tensor: &Tensor| tensor.dtype() == Some(DType::Float16);
    if !network.inputs().iter().chain(&network.tensors()).any(is_half) {
        return Ok(Vec::new());
    }
    config.set(Flag::Fp16, true)?;
    let is_float32 = |layer: &Layer| layer.outputs().iter().all(|tensor| tensor.dtype() == Some(DType::Float32));
    let held = !is_quantised(network);
    Ok(network.layers().into_iter().filter(|layer| held && is_float32(layer)).collect())
}

/// The flag that lets the builder lower precision.
fn lowering(dtype: DType) -> Result<Flag, RunError> {
    match dtype {
        DType::Float16 => Ok(Flag::Fp16),
        DType::Bfloat16 => Ok(Flag::Bf16),
        DType::Int8 => Ok(Flag::Int8),
        DType::Float8e4m3fn => Ok(Flag::Fp8),
        _ => Err(RunError::Missing(format!("TensorRT's builder cannot lower a model to {dtype}; use fp16 or bf16"))),
    }
}

fn keep_float32(layer: &Layer) -> Result<(), RunError> {
    let is_float = |dtype: Option<DType>| dtype.is_some_and(DType::is_float);
    let outputs = layer.outputs();
    if outputs.iter().chain(&layer.inputs()).any(|tensor| is_float(tensor.dtype())) {
        layer.set_precision(DType::Float32)?;
    }
    for (index, _) in outputs.iter().enumerate().filter(|(_, tensor)| is_float(tensor.dtype())) {
        layer.set_output_type(index, DType::Float32)?;
    }
    Ok(())
}
