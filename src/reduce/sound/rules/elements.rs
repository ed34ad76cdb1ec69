//! Element by element: the result has the shape of its operands, broadcast where the operator does that.

use super::super::call::{Call, Made, broadcast, one, same_shape, unknown};
use super::super::fact::Fact;
use super::values;

/// One operand, or one that matters: the result has its shape.
const OF_ONE: [&str; 61] = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Bernoulli",
    "BitwiseNot",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "CumSum",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "EyeLike",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "IsInf",
    "IsNaN",
    "LRN",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "Not",
    "RandomNormalLike",
    "RandomUniformLike",
    "Reciprocal",
    "Relu",
    "ReverseSequence",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "TensorScatter",
    "ThresholdedRelu",
    "Trilu",
];

/// All operands are broadcast.
const OF_SEVERAL: [&str; 24] = [
    "Add",
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Where",
    "Xor",
    "StringConcat",
];

/// The operators of [`super`]'s list that work element by element: shapes are broadcast as the ONNX specification says.
pub fn apply(call: &Call, op: &str) -> Made {
    match op {
        // Up to opset 6, the second operand is aligned by attributes.
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "And" | "Or" | "Xor" | "Equal" | "Greater" | "Less"
            if call.opset < 7 =>
        {
            like(call, 0)
        }
        "PRelu" => onto_first(call),
        "CumSum" | "Trilu" => {
            call.single(1)?;
            like(call, 0)
        }
        "ReverseSequence" => reversed(call),
        _ if OF_SEVERAL.contains(&op) => {
            let made = several(call, &(0..call.inputs.len()).collect::<Vec<_>>())?;
            Ok(values::computed(call, op, made))
        }
        _ if OF_ONE.contains(&op) => {
            let made = like(call, 0)?;
            Ok(values::computed(call, op, made))
        }
        _ => unknown(),
    }
}

/// Those of ONNX Runtime's own domain, `com.microsoft`.
pub fn contributed(call: &Call, op: &str) -> Made {
    match op {
        "QLinearAdd" | "QLinearMul" => several(call, &[0, 3]),
        "BiasGelu" => several(call, &[0, 1]),
        "FastGelu" | "Gelu" | "QuickGelu" | "QLinearLeakyRelu" | "QLinearSigmoid" | "QLinearSoftmax" => like(call, 0),
        _ => unknown(),
    }
}

/// Every output has the shape of this input.
fn like(call: &Call, slot: usize) -> Made {
    let shape = &call.need(slot)?.shape;
    Ok(call.node.output.iter().map(|_| Fact { shape: shape.clone(), value: None }).collect())
}

fn several(call: &Call, slots: &[usize]) -> Made {
    let mut result = Vec::new();
    for slot in slots {
        let Some(shape) = call.shape(*slot)? else { return unknown() };
        result = broadcast(&result, shape)?;
    }
    one(result)
}

/// The slope is broadcast to the data, never the other way.
fn onto_first(call: &Call) -> Made {
    let (Some(x), Some(slope)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    one(same_shape(x, &broadcast(x, slope)?)?)
}

fn reversed(call: &Call) -> Made {
    let batch = call.int("batch_axis", 1);
    if let Some(size) = call.shape(0)?.zip(usize::try_from(batch).ok()).and_then(|(x, axis)| x.get(axis)) {
        call.list(1, *size)?;
    }
    like(call, 0)
}
