//! How far a reference decodes: all steps, or those before the one that it fails at.

use crate::load::decode::Decode;
use crate::run::{Answer, RunError};

/// How far the reference comes.
pub struct Reached {
    /// Its outputs, step by step.
    pub right: Answer,
    /// Why it does not come through the step behind them; `None` where there is none.
    pub failed: Option<RunError>,
}

/// All steps, else the most that run: which one fails is found by asking for fewer. A reference that fails at once is bad
/// input, and so is one whose outputs cannot be fed back.
pub fn reached(decode: &Decode, run: impl Fn(&Decode) -> Result<Answer, RunError>) -> anyhow::Result<Reached> {
    let of = |steps: usize| run(&Decode { steps, ..decode.clone() });
    let (mut right, mut bad) = (Answer::default(), decode.steps);
    let mut failed = match of(bad) {
        Ok(right) => return Ok(Reached { right, failed: None }),
        Err(e @ (RunError::Run { .. } | RunError::Crash { .. } | RunError::Garbage { .. })) => e,
        Err(e) => return Err(refused("the reference cannot decode", e)),
    };
    while bad - right.values.len() > 1 {
        let fewer = right.values.len() + (bad - right.values.len()) / 2;
        match of(fewer) {
            Ok(answer) if answer.values.len() == fewer => right = answer,
            Ok(_) => break,
            Err(RunError::Interrupted) => return Err(RunError::Interrupted.into()),
            Err(e) => (bad, failed) = (fewer, e),
        }
    }
    let unwired = right.values.len() == 1 && matches!(failed, RunError::Garbage { .. });
    match right.values.is_empty() || unwired {
        true => Err(refused("the reference cannot decode", failed)),
        false => Ok(Reached { right, failed: Some(failed) }),
    }
}

/// A wish to stop is no bad input.
pub fn refused(what: &str, why: RunError) -> anyhow::Error {
    match why {
        RunError::Interrupted => why.into(),
        other => anyhow::anyhow!("{what}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensors;

    #[test]
    fn the_step_at_which_the_reference_fails_is_found() {
        let failed = |reason: &str| RunError::Run { backend: "ort".into(), reason: reason.into() };
        let check = |steps: usize, fails: Option<usize>, want: Option<usize>| {
            let run = |decode: &Decode| match fails.filter(|step| *step < decode.steps) {
                Some(step) => Err(failed(&format!("out of range at {step}"))),
                None => Ok(vec![Tensors::new(); decode.steps].into()),
            };
            let reached = reached(&Decode { steps, ..Decode::default() }, run).unwrap();
            assert_eq!(reached.right.values.len(), want.unwrap_or(steps));
            let why = want.map(|step| failed(&format!("out of range at {step}")));
            assert_eq!(reached.failed, why, "{steps} {fails:?}");
        };
        check(12, None, None);
        (1..12).for_each(|step| check(12, Some(step), Some(step)));
        let decode = Decode { steps: 12, ..Decode::default() };
        let why = |e: RunError| reached(&decode, |_| Err(e.clone())).err().unwrap();
        assert!(why(failed("no")).to_string().starts_with("the reference cannot decode: ort failed"));
        assert_eq!(why(RunError::Interrupted).downcast_ref(), Some(&RunError::Interrupted));
    }
}
