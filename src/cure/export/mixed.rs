//! model.mixed.onnx: the model with the Casts, or (TF32) the split operands, built in. For every program.

use super::{Content, Export, MIXED, Told, line};

/// For every program, where the model could be converted.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnx",
        file: MIXED,
        content: |told| Ok(told.o.mixed.as_ref().map(|mixed| Content::Model(told.o.source.written(mixed)))),
        section: |told| vec![line(if told.has_arguments() { CASTS } else { PRODUCTS })],
    }
}

const CASTS: &str = "**model.mixed.onnx** has the Casts inside: for ONNX Runtime, TensorRT 11, TensorRT-RTX and all strongly \
                     typed builds.";

const PRODUCTS: &str = "**model.mixed.onnx** multiplies these nodes as in FP32 although the session is one of TF32: each \
                        operand is split into a part that TF32 holds and the rest, and three products of the parts are \
                        added. It has float32 operators alone, and takes three products for each of these nodes.";
