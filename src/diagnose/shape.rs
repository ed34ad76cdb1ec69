//! The candidate's tensor is of another shape, or another kind of number.

use super::case::Case;
use super::{Finding, Strength};
use crate::tensor::{DType, Tensor, shape_text};

/// The two tensors are not of one shape or type.
pub fn dtype_or_shape_mismatch(case: &Case) -> Option<Finding> {
    let (reference, candidate) = (case.e.output?, case.e.candidate_output?);
    let evidence = if reference.shape != candidate.shape {
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
    let advice = format!(
        "compare the shapes and element types that both sides give to the inputs of {}: a static build, another profile, or a binding of another type",
        case.name()
    );
    Some(Finding { code: "dtype-or-shape-mismatch", strength: Strength::AtWork, evidence, advice })
}

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
