//! 64-bit integers that a candidate stores in 32 bits.

use super::case::Case;
use super::reading::Reading;
use super::stats::Summary;
use super::words::{num, share};
use super::{Finding, Operand, Strength};
use crate::tensor::{DType, Tensor};

/// int64 values that a candidate holds in 32 bits.
pub fn int64_narrowing(case: &Case) -> Option<Finding> {
    let (strength, evidence) = narrowed(case).or_else(|| beyond(case).map(|text| (Strength::Fits, text)))?;
    let advice = advice(case);
    Some(Finding { code: "int64-narrowing", strength, evidence, advice })
}

/// As 32-bit integers, where all that it reads and makes fits; else nothing must be narrowed.
fn advice(case: &Case) -> String {
    let wide = |o: &&Operand| o.value.is_some_and(|t| t.dtype == DType::Int64);
    let fit = case.e.inputs.iter().filter(wide).filter_map(|o| o.value).chain(case.e.output).all(fits);
    match fit {
        true => format!(
            "all values fit 32 bits: export {} and the inputs that feed it as int32 (layerdiff convert --int32-inputs), and compare the candidate's input bindings with the model's",
            case.name()
        ),
        false => format!(
            "{} needs 64 bits: keep what feeds it in 64 bits on the way to the candidate, or bring the values below 2^31 before they reach it (hash or renumber the ids)",
            case.name()
        ),
    }
}

/// Can 32 bits hold all of it? True of what is no 64-bit integer.
pub fn fits(tensor: &Tensor) -> bool {
    tensor.dtype != DType::Int64 || tensor.view::<i64>().iter().all(|x| i32::try_from(*x).is_ok())
}

/// What differs is the reference's value, cut to 32 bits in one of the usual ways.
fn narrowed(case: &Case) -> Option<(Strength, String)> {
    let (reference, candidate) = (case.e.output?, case.e.candidate_output?);
    if reference.dtype != DType::Int64 || reference.elements() != candidate.elements() {
        return None;
    }
    let (right, got) = (reference.view::<i64>(), integers(candidate)?);
    let differ: Vec<usize> = (0..got.len()).filter(|i| got[*i] != right[*i]).collect();
    let all = |explains: &dyn Fn(usize) -> i64| differ.iter().all(|i| got[*i] == explains(*i));
    let first = *differ.first()?;
    let (_, how) = WAYS.into_iter().find(|(reading, _)| {
        let read = reading.of(reference);
        read.is_some_and(|read| all(&|i| read.view::<i64>()[i]))
    })?;
    let count = share(differ.len() as u64, got.len() as u64, "values");
    // One 0 more is a coincidence with the upper half of any small number.
    let telling = differ.len() > 1 || got[first] != 0;
    let strength = if telling { Strength::Proven } else { Strength::AtWork };
    Some((strength, format!("{count} are {how}: {} became {}; all others agree", right[first], got[first])))
}

/// What results look like that were cut.
const WAYS: [(Reading, &str); 3] = [
    (Reading::Lower, "the lower 32 bits of the reference's"),
    (Reading::Clamped, "the reference's, clamped to 32 bits"),
    (Reading::Words, "the reference's 64-bit values read as pairs of 32-bit ones"),
];

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.dtype {
        DType::Int64 => Some(tensor.view::<i64>().to_vec()),
        DType::Int32 => Some(tensor.view::<i32>().iter().map(|x| i64::from(*x)).collect()),
        _ => None,
    }
}

/// The node handles values beyond 32 bits.
fn beyond(case: &Case) -> Option<String> {
    if case.judged.read_right {
        return None;
    }
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
    fn narrow_inputs_are_advised_for_what_fits_only() {
        let advice = |sample: Sample| sample.diagnoses()[0].advice.clone();
        assert!(advice(mul(&[101, 7592, 102], &[101, 0, 7592])).contains("--int32-inputs"));
        let big = advice(mul(&[1, 1 << 40], &[1, i32::MAX.into()]));
        assert!(!big.contains("int32-inputs") && big.contains("needs 64 bits"), "{big}");
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
