//! What each slot of a node can take, and whether the node can be low at all. Looks at one node and its values.

use super::plan::{Op, Plan, Takes, Why};
use super::schema::{self, Signature};
use crate::onnx::{ModelProto, NodeProto, TensorProto};
use crate::tensor::DType;

/// Fills in what node `id` takes and gives, and why it has to stay; its bodies are in the plan already.
pub fn judge(plan: &mut Plan, id: usize, model: &ModelProto, low: DType) {
    let op = &plan.ops[id];
    let signature = signature(op.proto, model);
    let gives = |slot| signature.is_some_and(|s| s.gives(slot, low)) && !is_statistic(op.proto, slot);
    let takes: Vec<Takes> = (0..op.reads.len()).map(|slot| takes(op.proto, slot, signature, low)).collect();
    let gives: Vec<bool> = (0..op.writes.len()).map(gives).collect();
    let stays = match () {
        _ if !plan.touches_float(op) => None,
        _ if is_function(op.proto, model) => Some(Why::Function),
        _ if signature.is_none() => Some(Why::Foreign),
        _ if !can_be_low(plan, op, &takes, &gives) => Some(Why::Schema),
        _ if holds_floats(op.proto) => Some(Why::Attribute),
        _ if !is_defined(op.proto, model.opset(), low) => Some(Why::Definition),
        _ if is_table(op.proto) => Some(Why::Kernel),
        _ if !is_typed(plan, op) => Some(Why::Untyped),
        _ => None,
    };
    let op = &mut plan.ops[id];
    (op.takes, op.gives, op.stays) = (takes, gives, stays);
}

fn signature(proto: &NodeProto, model: &ModelProto) -> Option<Signature> {
    let opset = match proto.domain() {
        "" | "ai.onnx" => model.opset(),
        domain => model.opset_import.iter().find(|o| o.domain() == domain)?.version(),
    };
    schema::find(proto.domain(), proto.op_type(), opset).filter(|_| !is_function(proto, model))
}

fn is_function(proto: &NodeProto, model: &ModelProto) -> bool {
    model.functions.iter().any(|f| f.name() == proto.op_type() && f.domain() == proto.domain())
}

/// Is one of its floats low when it is? What it makes counts; what it reads only where it makes no float.
fn can_be_low(plan: &Plan, op: &Op, takes: &[Takes], gives: &[bool]) -> bool {
    let float = |slot: &Option<usize>| slot.is_some_and(|v| plan.values[v].is_float());
    if op.writes.iter().any(float) {
        return op.writes.iter().zip(gives).any(|(value, gives)| float(value) && *gives);
    }
    op.reads.iter().zip(takes).any(|(value, takes)| float(value) && *takes != Takes::Full)
}

/// Has it a float32 tensor as an attribute, such as the splits of a TreeEnsemble? Constants are converted elsewhere.
fn holds_floats(proto: &NodeProto) -> bool {
    let float = |t: &TensorProto| t.dtype() == Some(DType::Float32);
    let constant = proto.is("Constant") || proto.is("ConstantOfShape");
    !constant && proto.attribute.iter().any(|a| a.t.iter().chain(&a.tensors).any(float))
}

/// Some schemas allow more than the functions that define the operators: their bodies mix types, or call older operators.
fn is_defined(proto: &NodeProto, opset: i64, low: DType) -> bool {
    let broken = proto.is("MeanVarianceNormalization")
        || low == DType::Bfloat16 && proto.is("SoftmaxCrossEntropyLoss") && opset < 22
        || low == DType::Bfloat16 && proto.is("Clip") && opset < 16;
    !broken
}

/// Tables made of sizes alone.
fn is_table(proto: &NodeProto) -> bool {
    proto.is("EyeLike") || proto.is("MelWeightMatrix")
}

/// Is the type of everything known that has to be of one type with the rest?
fn is_typed(plan: &Plan, op: &Op) -> bool {
    let typed = |slot: &Option<usize>| slot.is_none_or(|v| plan.values[v].dtype.is_some());
    if op.bodies.is_empty() {
        return op.reads.iter().chain(&op.writes).all(typed);
    }
    let shift = match op.proto.op_type() {
        "If" | "Scan" => 0,
        "Loop" => 1,
        _ => return false,
    };
    let float = |slot: &Option<usize>| slot.is_some_and(|v| plan.values[v].is_float());
    op.bodies.iter().all(|body| {
        let mut pairs = op.writes.iter().zip(plan.scopes[*body].outputs.iter().skip(shift));
        pairs.all(|(outer, inner)| !float(outer) || float(inner))
    })
}

fn takes(proto: &NodeProto, slot: usize, signature: Option<Signature>, low: DType) -> Takes {
    let coordinates = proto.is("Resize") && (slot == 1 || slot == 2) || proto.is("Upsample") && slot == 1;
    if coordinates || !signature.is_some_and(|s| s.takes(slot, low)) {
        return Takes::Full;
    }
    let typed = proto.attr("dtype").is_some();
    let either = match proto.op_type() {
        "Cast" | "CastLike" | "Shape" | "Size" => slot == 0,
        "EyeLike" | "RandomNormalLike" | "RandomUniformLike" => typed,
        _ => false,
    };
    if either { Takes::Either } else { Takes::Mode }
}

/// Mean and inverse deviation of a LayerNormalization are of the type that `stash_type` says.
fn is_statistic(proto: &NodeProto, slot: usize) -> bool {
    proto.is("LayerNormalization") && slot > 0
}
