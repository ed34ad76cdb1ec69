//! What the trials say of the files and of each culprit, in values. Runs nothing.

use super::trials::Trials;
use crate::found::words::plural;
use crate::found::{Culprit, Diagnosis, Differences, FileDifference, LOWERED, Patched, Role, Sure};

/// Differences that are listed where many are harmless.
const LISTED: usize = 50;

/// `cause` makes the outputs agree; where there is none, `of_one` has for some culprits what makes them agree themselves.
pub fn told(
    trials: &Trials,
    culprits: &[Culprit],
    cause: Option<&[usize]>,
    of_one: &[Option<Vec<usize>>],
    patched: Option<Patched>,
) -> Differences {
    let blamed = cause.unwrap_or_default();
    let sentences = |set: &[usize]| set.iter().map(|i| trials.items[*i].sentence(trials.two)).collect::<Vec<_>>();
    let patched = patched.map(|patched| Patched { edits: sentences(blamed), ..patched });
    let verified = patched.as_ref().is_some_and(|p| p.verified);
    let role = |item: usize| match (blamed.contains(&item), cause) {
        (true, _) => Role::Cause,
        (false, Some(_)) => Role::Harmless,
        (false, None) => Role::Open,
    };
    let mut shown: Vec<usize> = blamed.iter().copied().chain(trials.near()).chain(trials.everything()).collect();
    let mut seen = std::collections::HashSet::new();
    shown.retain(|item| seen.insert(*item));
    shown.truncate(LISTED.max(blamed.len()));
    let row = |item: usize| {
        let d = &trials.items[item];
        FileDifference {
            node: d.mine.name.clone(),
            their_node: d.theirs.name.clone(),
            tensor: d.tensor.clone(),
            code: d.code().to_string(),
            told: d.sentence(trials.two),
            role: role(item),
        }
    };
    let diagnoses = (0..culprits.len()).map(|number| match cause {
        Some(cause) => shown_at(trials, culprits, number, cause, verified),
        None => match of_one.get(number).and_then(Option::as_ref) {
            Some(own) => own.iter().map(|item| of_tensor(trials, &culprits[number], *item, own.len())).collect(),
            None => vec![open(trials, number)],
        },
    });
    Differences {
        diagnoses: diagnoses.collect(),
        rows: shown.into_iter().map(row).collect(),
        all: trials.wide.then_some(trials.items.len()),
        patched,
    }
}

/// The causes at this culprit; those at none of them are told at the first.
fn shown_at(trials: &Trials, culprits: &[Culprit], number: usize, cause: &[usize], verified: bool) -> Vec<Diagnosis> {
    let at = |item: usize| {
        culprits
            .iter()
            .position(|c| is_at(trials, c, item))
            .or_else(|| (0..culprits.len()).find(|number| trials.near_to(*number).contains(&item)))
    };
    let own = cause.iter().filter(|item| at(**item).unwrap_or(0) == number);
    let others = cause.len() - 1;
    let effect = match others {
        0 => "with that undone and nothing else, the outputs agree".to_string(),
        _ => {
            format!("with that and {} undone, the outputs agree, and not with fewer", plural(others, "more difference"))
        }
    };
    let file = trials.two.theirs.name;
    let advice = match verified {
        true => format!("change the step that made {file}; cure/patched.onnx is {file} with that undone, and agrees"),
        false => format!("change the step that made {file}"),
    };
    own.map(|item| diagnosis(trials, *item, Sure::Shown, &effect, &advice)).collect()
}

fn is_at(trials: &Trials, culprit: &Culprit, item: usize) -> bool {
    let node = &trials.items[item].mine;
    let outer = node.path.first().map_or(&node.name, |step| &step.name);
    culprit.node.name == node.name || culprit.node.name == *outer
}

/// What makes the culprit itself agree, where the outputs do not.
fn of_tensor(trials: &Trials, culprit: &Culprit, item: usize, of: usize) -> Diagnosis {
    let with = if of == 1 { "with that undone".to_string() } else { format!("with that and {} more undone", of - 1) };
    let effect = format!("{with}, '{}' agrees; the outputs do not yet", culprit.tensor);
    diagnosis(trials, item, Sure::Shown, &effect, &format!("change the step that made {}", trials.two.theirs.name))
}

fn diagnosis(trials: &Trials, item: usize, sure: Sure, effect: &str, advice: &str) -> Diagnosis {
    let d = &trials.items[item];
    let evidence = format!("{}; {effect}", d.sentence(trials.two));
    let code = if d.is_lowered(trials.two) { LOWERED } else { d.code() };
    Diagnosis { code: code.to_string(), sure, evidence, advice: advice.to_string() }
}

/// Nothing that differs here makes the difference, as far as it could be undone.
fn open(trials: &Trials, number: usize) -> Diagnosis {
    let near = trials.near_to(number);
    let (mine, theirs) = (trials.two.mine.name, trials.two.theirs.name);
    let told = |item: &usize| trials.items[*item].sentence(trials.two);
    let evidence = match near.as_slice() {
        [] => format!("{mine} and {theirs} have the same node here, with the same attributes, weights and wiring"),
        [one] if trials.seen(&[*one]).is_some() => {
            format!("{}, but with that undone it diverges all the same", told(one))
        }
        [one] => format!("{}; it could not be undone to see whether that matters", told(one)),
        several => {
            let first = told(&several[0]);
            format!(
                "the files differ here in {} places ({first}, ...); no set of them was found whose undoing makes it agree",
                several.len()
            )
        }
    };
    let advice = format!("compare how {mine} and {theirs} were made");
    Diagnosis { code: "unknown".to_string(), sure: Sure::Unknown, evidence, advice }
}
