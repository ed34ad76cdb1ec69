//! 64-bit integers that a candidate stores in 32 bits.

use super::case::Case;
use super::stats::Summary;
use super::words::{num, share};
use super::{Finding, Strength};
use crate::tensor::{DType, Tensor};

/// int64 values that a candidate holds in 32 bits.
pub fn int64_narrowing(case: &Case) -> Option<Finding> {
    let (strength, evidence) = narrowed(case)
        .map(|text| (Strength::AtWork, text))
        .or_else(|| beyond(case).map(|text| (Strength::Fits, text)))?;
    let advice = if fits(case) {
        format!(
            "the values fit into 32 bits: export {} and the inputs that feed it as int32 (layerdiff convert --int32-inputs), and compare the engine's input bindings with the model's",
            case.name()
        )
    } else {
        format!(
            "the values need 64 bits: keep {} and what feeds it in int64, or bring the values into the range of 32 bits before they reach it (by a table, a remainder), in both files",
            case.name()
        )
    };
    Some(Finding { code: "int64-narrowing", strength, evidence, advice })
}

/// Do all integers of the reference at this node fit into 32 bits? Ends such as 2^63 - 1 only mean "all".
fn fits(case: &Case) -> bool {
    let within = |s: &Summary| s.max <= f64::from(i32::MAX) && s.min >= f64::from(i32::MIN);
    let operands = if case.is_any(&["Slice"]) { 1 } else { usize::MAX };
    case.inputs.iter().take(operands).chain([&case.output]).flatten().all(within)
}

/// What differs is the reference's value, cut to 32 bits in one of the usual ways.
fn narrowed(case: &Case) -> Option<String> {
    let (reference, candidate) = (case.e.output?, case.e.candidate_output?);
    if reference.dtype != DType::Int64 || reference.elements() != candidate.elements() {
        return None;
    }
    let (right, got) = (reference.view::<i64>(), integers(candidate)?);
    let differ: Vec<usize> = (0..got.len()).filter(|i| got[*i] != right[*i]).collect();
    let all = |explains: &dyn Fn(usize) -> i64| differ.iter().all(|i| got[*i] == explains(*i));
    let first = *differ.first()?;
    let how = if all(&|i| right[i] as i32 as i64) {
        "the lower 32 bits of the reference's"
    } else if all(&|i| right[i].clamp(i32::MIN.into(), i32::MAX.into())) {
        "the reference's, clamped to 32 bits"
    } else if all(&|i| half_word(&right, i)) {
        "the reference's 64-bit values read as pairs of 32-bit ones"
    } else {
        return None;
    };
    let count = share(differ.len() as u64, got.len() as u64, "values");
    Some(format!("{count} are {how}: {} became {}", right[first], got[first]))
}

/// Element `i` of the same bytes as 32-bit integers.
fn half_word(values: &[i64], i: usize) -> i64 {
    let value = values[i / 2];
    if i.is_multiple_of(2) { value as i32 as i64 } else { (value >> 32) as i32 as i64 }
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.dtype {
        DType::Int64 => Some(tensor.view::<i64>().to_vec()),
        DType::Int32 => Some(tensor.view::<i32>().iter().map(|x| i64::from(*x)).collect()),
        _ => None,
    }
}

/// The node handles values beyond 32 bits.
fn beyond(case: &Case) -> Option<String> {
    let wide = |t: Option<&Tensor>| t.is_some_and(|t| matches!(t.dtype, DType::Int64 | DType::Uint64));
    let large = |s: &Summary| s.finite > 0 && (s.max > f64::from(i32::MAX) || s.min < f64::from(i32::MIN));
    let told = |name: &str, s: &Summary| {
        let most = if s.max > -s.min { s.max } else { s.min };
        format!("'{name}' holds 64-bit integers of up to {}, beyond the range of 32 bits", num(most))
    };
    // Ends such as 2^63 - 1 only mean "all", and every engine knows it.
    let values = if case.is_any(&["Slice"]) { 1 } else { usize::MAX };
    let operands = case.e.inputs.iter().zip(&case.inputs).take(values);
    let found =
        operands.filter(|(o, _)| wide(o.value)).find_map(|(o, s)| Some(told(o.name, s.as_ref().filter(|s| large(s))?)));
    let output =
        || Some(told(&case.e.culprit.tensor, case.output.as_ref().filter(|s| wide(case.e.output) && large(s))?));
    found.or_else(output)
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::spec::Precision::Fp32;
    use crate::tensor::{DType, Tensor};

    fn ids(values: &[i64]) -> Tensor {
        Tensor::i64(&[values.len()], values)
    }

    fn mul(reference: &[i64], candidate: &[i64]) -> Sample {
        Sample::new("Mul", &["a", "b"]).outputs(Fp32, ids(reference), ids(candidate))
    }

    #[test]
    fn every_way_to_narrow() {
        let big = (1i64 << 32) + 5;
        check(mul(&[1, big], &[1, 5]), "int64-narrowing", "the lower 32 bits of the reference's: 4294967301 became 5");
        check(mul(&[1, big], &[1, i32::MAX.into()]), "int64-narrowing", "clamped to 32 bits");
        check(mul(&[101, 7592, 102], &[101, 0, 7592]), "int64-narrowing", "read as pairs of 32-bit ones");
        let advice = |sample: Sample| sample.diagnoses().into_iter().next().map(|d| d.advice).unwrap_or_default();
        assert!(!advice(mul(&[1, big], &[1, 5])).contains("int32-inputs"));
        assert!(advice(mul(&[101, 7592, 102], &[101, 0, 7592])).contains("int32-inputs"));
        let words = Tensor::from_vec(DType::Int32, vec![2], vec![1i32, 5]);
        let cast = Sample::new("Cast", &["a"]).outputs(Fp32, ids(&[1, big]), words);
        check(cast, "int64-narrowing", "became 5");
    }

    #[test]
    fn values_beyond() {
        let (r, c) = (Tensor::f32(&[1], &[1.0]), Tensor::f32(&[1], &[2.0]));
        let cast = || Sample::new("Cast", &["a"]).outputs(Fp32, r.clone(), c.clone());
        check(cast().value("a", ids(&[1 << 40])), "int64-narrowing", "of up to 1.1e12");
        without(cast().value("a", ids(&[1 << 20])), "int64-narrowing");
        let slice = Sample::new("Slice", &["x", "from", "to"]).value("to", ids(&[i64::MAX]));
        without(slice.outputs(Fp32, r, c), "int64-narrowing");
        without(mul(&[1, 7], &[1, 9]), "int64-narrowing");
    }
}
