//! What can be said of a cause only when everything is known: whether there is something to report to the makers of a backend.

use super::{Culprit, Diagnosis, Reduced};

/// The code of a cause that lies in the backend: both sides ran the same node on the same inputs.
pub const KERNEL: &str = "kernel-or-fusion";

/// The code of a difference of two files that is one of precision alone.
pub const LOWERED: &str = "type-differs";

/// The culprits, with the advice to report what reproduces where something does.
pub fn settled(culprits: &[Culprit], reproducers: &[Reduced]) -> Vec<Culprit> {
    let reproduces = |culprit: &Culprit| {
        reproducers.iter().any(|r| r.reproduces && r.culprit.as_deref() == Some(culprit.tensor.as_str()))
    };
    let settle = |culprit: &Culprit| match reproduces(culprit) {
        true => Culprit { diagnosis: culprit.diagnosis.iter().map(reported).collect(), ..culprit.clone() },
        false => culprit.clone(),
    };
    culprits.iter().map(settle).collect()
}

fn reported(diagnosis: &Diagnosis) -> Diagnosis {
    if diagnosis.code != KERNEL {
        return diagnosis.clone();
    }
    let advice = format!("report the reproducer to the backend's makers; until then {}", diagnosis.advice);
    Diagnosis { advice, ..diagnosis.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample::sample_report;

    #[test]
    fn only_what_reproduces_is_to_be_reported() {
        let report = sample_report();
        let culprit = |code: &str| {
            let mut culprit = report.culprits[0].clone();
            culprit.diagnosis.truncate(1);
            (culprit.diagnosis[0].code, culprit.diagnosis[0].advice) = (code.to_string(), "keep it".to_string());
            culprit
        };
        let made = |of: &Culprit, reproduces: bool| Reduced {
            culprit: Some(of.tensor.clone()),
            reproduces,
            ..report.reduced.clone().unwrap()
        };
        let check = |culprit: Culprit, made: &[Reduced], reported: bool| {
            let told = settled(&[culprit], made)[0].diagnosis[0].advice.clone();
            assert_eq!(told.starts_with("report the reproducer"), reported, "{told}");
            assert!(told.ends_with("keep it"), "{told}");
        };
        let kernel = culprit(KERNEL);
        let other = Reduced { culprit: Some("another".into()), ..made(&kernel, true) };
        check(kernel.clone(), &[made(&kernel, true)], true);
        check(kernel.clone(), &[made(&kernel, false)], false);
        check(kernel.clone(), &[other], false);
        check(kernel.clone(), &[], false);
        check(culprit("fp16-overflow"), &[made(&kernel, true)], false);
    }
}
