//! Weights in the low type, each converted once however often the model is; and which of their values do not survive it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::plan::{Origin, Plan, Value};
use crate::load::Model;
use crate::onnx::{GraphProto, TensorProto};
use crate::tensor::{DType, Tensor};

/// Converted weights by the number of their value in the plan.
#[derive(Default)]
pub struct Weights {
    done: Mutex<HashMap<usize, Low>>,
}

/// A weight in the low type.
#[derive(Clone)]
pub struct Low {
    /// Without a name.
    pub tensor: TensorProto,
    /// What was lost on the way.
    pub loss: Loss,
}

/// Values that do not survive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// All values of the tensor.
    pub elements: usize,
    /// Finite, and infinite in the low type.
    pub overflow: usize,
    /// Not zero, and subnormal or zero in the low type.
    pub subnormal: usize,
}

impl Weights {
    /// Converts what `values` asks for and nobody asked for before.
    pub fn prepare(&self, model: &Model, plan: &Plan, values: &[usize], low: DType) -> anyhow::Result<()> {
        let missing: Vec<usize> = {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            values.iter().copied().filter(|v| !done.contains_key(v)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let sources = initializers(model, plan);
        let convert = |value: usize| {
            let tensor = match plan.values[value].origin {
                Origin::Initializer(_) => sources.get(&value).map(|t| (*t).clone()),
                Origin::Constant(op) => plan.ops[op].proto.constant(),
                _ => None,
            };
            let name = &plan.values[value].name;
            let tensor = tensor.with_context(|| format!("the value of '{name}' is sparse; --keep its readers"))?;
            Ok((value, convert(model, &tensor, low).with_context(|| format!("cannot convert '{name}'"))?))
        };
        let new: Vec<(usize, Low)> = missing.into_par_iter().map(convert).collect::<anyhow::Result<_>>()?;
        self.done.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        Ok(())
    }

    /// A weight that was prepared.
    pub fn get(&self, value: usize) -> Option<Low> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).get(&value).cloned()
    }
}

/// Initializers of all graphs by value.
fn initializers<'a>(model: &'a Model, plan: &Plan<'a>) -> HashMap<usize, &'a TensorProto> {
    let mut graphs: Vec<Option<&GraphProto>> = vec![None; plan.scopes.len()];
    graphs[0] = model.proto.graph.as_ref();
    for op in &plan.ops {
        for (body, (_, graph)) in op.bodies.iter().zip(op.proto.subgraphs()) {
            graphs[*body] = Some(graph);
        }
    }
    let place = |(id, value): (usize, &Value)| match value.origin {
        Origin::Initializer(position) => Some((id, graphs[value.scope]?.initializer.get(position)?)),
        Origin::Input => Some((id, graphs[0]?.initializer.iter().find(|t| t.name() == value.name)?)),
        _ => None,
    };
    plan.values.iter().enumerate().filter_map(place).collect()
}

/// A float32 tensor in the low type, rounded to nearest even.
pub fn convert(model: &Model, tensor: &TensorProto, low: DType) -> anyhow::Result<Low> {
    let floats = floats(model, tensor)?;
    let values = floats.view::<f32>();
    let shape = floats.shape.clone();
    let (converted, loss) = match low {
        DType::Bfloat16 => {
            let mut out = vec![bf16::ZERO; values.len()];
            out.convert_from_f32_slice(&values);
            let loss = loss(&values, out.iter().map(|x| (x.is_infinite(), !x.is_normal())));
            (Tensor::from_vec(low, shape, out), loss)
        }
        _ => {
            let mut out = vec![f16::ZERO; values.len()];
            out.convert_from_f32_slice(&values);
            let loss = loss(&values, out.iter().map(|x| (x.is_infinite(), !x.is_normal())));
            (Tensor::from_vec(DType::Float16, shape, out), loss)
        }
    };
    let tensor = TensorProto {
        dims: tensor.dims.clone(),
        data_type: Some(converted.dtype.onnx()),
        raw_data: converted.shared(),
        doc_string: tensor.doc_string.clone(),
        metadata_props: tensor.metadata_props.clone(),
        ..Default::default()
    };
    Ok(Low { tensor, loss })
}

fn loss(values: &[f32], low: impl Iterator<Item = (bool, bool)>) -> Loss {
    let mut loss = Loss { elements: values.len(), ..Loss::default() };
    for (value, (infinite, abnormal)) in values.iter().zip(low) {
        if value.is_finite() {
            loss.overflow += usize::from(infinite);
            loss.subnormal += usize::from(abnormal && !infinite && *value != 0.0);
        }
    }
    loss
}

fn floats(model: &Model, tensor: &TensorProto) -> anyhow::Result<Tensor> {
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let shape = shape.context("its shape has a negative dimension; the model is damaged")?;
    if let Some(raw) = model.payload(tensor) {
        return Ok(Tensor::new(DType::Float32, shape, raw)?);
    }
    let bytes: Vec<u8> = tensor.float_data.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Tensor::new(DType::Float32, shape, bytes)?)
}
