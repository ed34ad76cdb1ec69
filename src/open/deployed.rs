//! Which session the search looks at. The verdict is that of the session that people deploy; where it diverges, the plain one
//! is run too: if it fails alike, tensors are looked at in it, where marking changes nothing; else only what the runtime makes
//! of the model fails, and tensors are looked at in the deployed one, as far as marking does not disturb it.

use crate::found::{Note, SessionInfo, Status, Verdict};
use crate::judge::Rules;
use crate::lab::again::Again;
use crate::lab::first::{First, inner};
use crate::lab::{Lab, Side};
use crate::run::{Level, RunError};
use crate::search::Answer;
use crate::tensor::Tensors;

/// What is told of the candidate's session; nothing where ONNX Runtime does not run it. Chooses the session of the search, and the
/// rules: `loose` are those of a session that optimises, whose roundings are no fault.
pub fn settle(lab: &mut Lab, first: &mut First, loose: Rules) -> Result<(Option<SessionInfo>, Option<Note>), RunError> {
    let Some(mut info) = info(&lab.candidate) else { return Ok((None, None)) };
    if lab.candidate.deploys.is_none() || matches!(first.unmarked, Err(RunError::Interrupted)) {
        return Ok((Some(info), None));
    }
    let right = right(lab, first)?;
    let Ok(values) = first.unmarked.clone() else {
        lab.rules = loose;
        return Ok((Some(refused(lab, first, &right, info)?), None));
    };
    let apart = bad(lab, &right, &values)?;
    // A file of half precision is another thing on a device that computes in it.
    if !apart && !lab.candidate.half {
        return Ok((Some(info), None));
    }
    let plain = match plain(lab)? {
        Ok(values) => values,
        Err(why) => {
            info.plain_why = Some(why);
            lab.rules = loose;
            search_in_deployed(lab, first);
            return Ok((Some(info), None));
        }
    };
    let plain_apart = bad(lab, &right, &plain)?;
    info.plain = Some(verdict(plain_apart));
    let strict = std::mem::replace(&mut lab.rules, loose);
    let apart = apart && bad(lab, &right, &values)?;
    let note = note(&lab.candidate, !apart, info.plain);
    let alike = apart && alike((lab, &strict), &right, &values, &plain);
    match (apart, plain_apart) {
        // What the optimiser rounds otherwise hides what the files compute otherwise.
        (false, true) if !lab.candidate.half => {
            lab.rules = strict;
            (first.unmarked, lab.candidate.deploys) = (Ok(plain), None);
            first.again = Again::default();
            return Ok((Some(SessionInfo { hidden: true, ..info }), note));
        }
        (false, _) => first.plain = Some(plain),
        (true, true) if alike => {
            // Its outputs are those of the deployed session, and what is inside is looked at in the plain one.
            let outputs = lab.outputs.iter().map(|name| (name.clone(), lab.rules.allowance(name))).collect::<Vec<_>>();
            lab.rules = strict;
            lab.rules.of.extend(outputs);
            first.plain = Some(plain);
        }
        (true, _) => search_in_deployed(lab, first),
    }
    Ok((Some(info), note))
}

/// There is no verdict; does the plain session have one?
fn refused(lab: &mut Lab, first: &mut First, right: &[Tensors], info: SessionInfo) -> Result<SessionInfo, RunError> {
    let plain = match plain(lab)? {
        Ok(values) => bad(lab, right, &values)?,
        Err(why) => return Ok(SessionInfo { plain_why: Some(why), ..info }),
    };
    search_in_deployed(lab, first);
    Ok(SessionInfo { plain: Some(verdict(plain)), ..info })
}

/// The outputs of the plain session, or why it has none.
fn plain(lab: &Lab) -> Result<Result<Vec<Tensors>, String>, RunError> {
    let side = &lab.candidate;
    match side.run(&inner(side, &lab.outputs), &lab.feeds, &lab.outputs) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        given => Ok(given.map_err(|e| e.to_string())),
    }
}

fn verdict(bad: bool) -> Verdict {
    if bad { Verdict::Diverged } else { Verdict::Agreed }
}

fn bad(lab: &Lab, right: &[Tensors], values: &[Tensors]) -> Result<bool, RunError> {
    Ok(lab.tried(&lab.outputs, right, values, 0)?.answer == Answer::Bad)
}

/// What the CPU does with a file of half precision is not what a device does that computes in it: the plain session rounds after
/// every node of it.
fn note(candidate: &Side, agrees: bool, plain: Option<Verdict>) -> Option<Note> {
    let parted = matches!((agrees, plain), (true, Some(Verdict::Diverged)) | (false, Some(Verdict::Agreed)));
    (parted && candidate.half && candidate.on_cpu()).then_some(Note::RoundedOtherwise { agrees })
}

/// Tensors are looked at in the deployed session.
fn search_in_deployed(lab: &mut Lab, first: &mut First) {
    let Some(deployed) = lab.candidate.deploys.take() else { return };
    lab.candidate.session = deployed;
    // That was of the plain one.
    first.marked = None;
}

/// Does the plain session diverge, by its own rules, in every output in which the deployed one does?
fn alike((lab, strict): (&Lab, &Rules), right: &[Tensors], deployed: &[Tensors], plain: &[Tensors]) -> bool {
    let diverges = |rules: &Rules, values: &[Tensors], name: &String| {
        right.iter().zip(values).any(|(right, got)| match (right.get(name), got.get(name)) {
            (Some(right), Some(got)) => rules.judge_output(name, right, got).status == Status::Diverges,
            _ => false,
        })
    };
    lab.outputs.iter().all(|name| !diverges(&lab.rules, deployed, name) || diverges(strict, plain, name))
}

/// The reference's outputs: of its first run, else of another one.
fn right(lab: &Lab, first: &First) -> Result<Vec<Tensors>, RunError> {
    let known = |values: &Tensors| -> Option<Tensors> {
        lab.outputs.iter().map(|name| Some((name.clone(), values.get(name)?.clone()))).collect()
    };
    let of_first = first.reference.as_ref().and_then(|values| values.iter().map(known).collect());
    match of_first {
        Some(right) => Ok(right),
        None => lab.reference.run(&inner(&lab.reference, &lab.outputs), &lab.feeds, &lab.outputs),
    }
}

/// How the session is made that gives the verdict.
fn info(side: &Side) -> Option<SessionInfo> {
    if !side.spec.place.is_onnx_runtime() {
        return None;
    }
    let session = side.judged_session();
    let options = session.entries.iter().chain(&session.provider).map(|(key, value)| format!("{key}={value}"));
    Some(SessionInfo {
        optimization: word(session.level).to_string(),
        prepacking: session.prepack,
        options: options.collect(),
        ..SessionInfo::default()
    })
}

/// As `--optimization` has it.
fn word(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Basic => "basic",
        Level::Extended => "extended",
        Level::All => "all",
    }
}
