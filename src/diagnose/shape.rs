//! The candidate's tensor is of another shape, or another kind of number.

use super::case::Case;
use super::{Finding, Strength};
use crate::tensor::{DType, Tensor, shape_text};

/// The code of this diagnosis.
pub const CODE: &str = "dtype-or-shape-mismatch";

/// The two tensors are not of one shape or type.
pub fn dtype_or_shape_mismatch(case: &Case) -> Option<Finding> {
    let (reference, candidate) = (case.e.output?, case.e.candidate_output?);
    let shapes = reference.shape != candidate.shape;
    let evidence = if shapes {
        format!(
            "the tensor is {} in the reference and {} in the candidate",
            shape_text(&reference.shape),
            shape_text(&candidate.shape)
        )
    } else if kind(reference) != kind(candidate) && case.e.quantised.is_none() {
        format!("the tensor is {} in the reference and {} in the candidate", reference.dtype, candidate.dtype)
    } else {
        return None;
    };
    let advice = advice(case, shapes);
    Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice })
}

/// Where to look, by what the candidate is and by what decides the shape.
fn advice(case: &Case, shapes: bool) -> String {
    let name = case.name();
    match () {
        _ if case.judged.engine => format!(
            "compare the shapes and element types that both sides give to the inputs of {name}: a static build, another profile, or a binding of another type"
        ),
        _ if shapes && case.is_any(&BY_VALUES) => {
            format!(
                "look at the values that {name} reads: they decide its shape, so that one value more or less changes it"
            )
        }
        _ if case.judged.stored => format!(
            "see what was stored for {name}: another layout, an axis of 1 more or less, another sample, or another tensor of that name"
        ),
        _ if case.e.own_model => format!(
            "compare what the two files have for {name}: its operands, attributes and opset, and what its inputs' shapes are"
        ),
        _ => format!("compare the shapes and element types that both sides give to the inputs of {name}"),
    }
}

/// Operators whose shape depends on values, not on shapes alone.
const BY_VALUES: [&str; 5] = ["NonZero", "NonMaxSuppression", "Compress", "Unique", "StringSplit"];

/// Floats of any width stand for each other; integers do not.
fn kind(tensor: &Tensor) -> Option<DType> {
    (!tensor.dtype.is_float()).then_some(tensor.dtype)
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::spec::Precision::Fp16;
    use crate::tensor::{DType, Tensor};

    fn cast(reference: Tensor, candidate: Tensor) -> Sample {
        Sample::new("Cast", &["x"]).outputs(Fp16, reference, candidate)
    }

    #[test]
    fn mismatches() {
        let code = "dtype-or-shape-mismatch";
        let row = |shape: &[usize]| Tensor::f32(shape, &[1.0, 2.0]);
        check(cast(row(&[1, 2]), row(&[2, 1])), code, "1x2 in the reference and 2x1 in the candidate");
        let bools = Tensor::from_vec(DType::Bool, vec![2], vec![1u8, 0]);
        check(cast(row(&[2]), bools.clone()), code, "float32 in the reference and bool in the candidate");
        without(cast(row(&[2]), Tensor::from_vec(DType::Float16, vec![2], vec![0u16, 0])), code);
        without(cast(bools.clone(), bools), code);
    }
}
