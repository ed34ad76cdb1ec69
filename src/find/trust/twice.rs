//! Does the candidate answer the same twice? It was asked twice in its first session (`lab::again`), so that this costs nothing
//! where it does; where it does not, it is asked some more, to say which answers are alike.

use super::{Moved, differs, uneven, words_of};
use crate::found::{Distrust, Note, OfCandidate, Who};
use crate::judge::Rules;
use crate::lab::Probe;
use crate::lab::again::{batch, repeated};
use crate::lab::first::inner;
use crate::progress::Progress;
use crate::run::{Doubt, RunError};
use crate::tensor::Tensors;

/// Answers are alike that are nearer to each other by this than two that are not.
const ALIKE: f64 = 16.0;

/// What two answers to one input say of the candidate; nothing where it was asked once. One that agrees in one of them and
/// diverges in the other makes the verdict inconclusive.
pub fn twice(probe: &mut Probe, progress: &Progress) -> Result<Option<OfCandidate>, RunError> {
    let (lab, finals) = (probe.lab, &probe.finals);
    let (Some(again), Some(first), Some(right)) = (&probe.again.same, finals.unmarked.first(), finals.right.first())
    else {
        return Ok(None);
    };
    let mut tests = OfCandidate { repeat: words_of(&None), rows: rows(probe), ..OfCandidate::default() };
    tests.notes.extend(uneven_rows(probe).map(Note::UnevenRows));
    let Some(moved) = differs(&lab.rules, first, again) else { return Ok(Some(tests)) };
    let agree = [lab.agrees(right, first)?, lab.agrees(right, again)?];
    let wavers = matches!(agree, [Some(a), Some(b)] if a != b);
    if !moved.diverges && !wavers {
        tests.notes.push(Note::Moves(Who::Candidate, moved.words.clone()));
        return Ok(Some(OfCandidate { repeat: moved.words, ..tests }));
    }
    progress.step("the candidate once more");
    let (first, again) = (first.clone(), again.clone());
    let words = format!("{}{}", moved.words, told(&more(probe)?, &lab.rules, [&first, &again]));
    match agree {
        [Some(true), Some(true)] => tests.notes.push(Note::Moves(Who::Candidate, words.clone())),
        _ if wavers => tests.broken = Some(Distrust::CandidateWavers(order(agree[0] == Some(true), &words))),
        _ => tests.broken = Some(Distrust::CandidateMoves(words.clone())),
    }
    Ok(Some(OfCandidate { repeat: words, ..tests }))
}

fn order(first_agrees: bool, words: &str) -> String {
    let (first, then) = if first_agrees { ("agrees", "diverges") } else { ("diverges", "agrees") };
    format!("{first} when it is asked first and {then} when it is asked the same again ({words})")
}

/// Answers to the first sample in another session: two of them, but one of a command, which has no sessions. Empty where it fails.
fn more(probe: &mut Probe) -> Result<Vec<Tensors>, RunError> {
    let lab = probe.lab;
    let many = if lab.candidate.about().doubt == Doubt::Repeats { 1 } else { 2 };
    let feeds: Vec<Tensors> = lab.feeds.first().map(|feed| vec![feed.clone(); many]).unwrap_or_default();
    probe.ledger.counts.trust_builds += 1;
    match lab.candidate.see_deployed(&inner(&lab.candidate, &lab.outputs), &feeds, &lab.outputs, false) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        given => Ok(given.map(|answer| answer.values).unwrap_or_default()),
    }
}

/// Which of all answers are alike, as far as that is clear.
fn told(more: &[Tensors], rules: &Rules, [first, again]: [&Tensors; 2]) -> String {
    let most = differs(rules, first, again).map_or(0.0, |moved: Moved| moved.by) / ALIKE;
    let alike = |a: &Tensors, b: &Tensors| differs(rules, a, b).is_none_or(|moved| moved.by <= most);
    let others: Vec<&Tensors> = std::iter::once(again).chain(more).collect();
    let pairs = |all: &[&Tensors], like: bool| {
        all.iter().enumerate().all(|(at, a)| all[at + 1..].iter().all(|b| alike(a, b) == like))
    };
    let every: Vec<&Tensors> = std::iter::once(first).chain(others.iter().copied()).collect();
    match more {
        [] => String::new(),
        _ if pairs(&others, true) => {
            format!("; only its first answer is another one, the {} after it are alike", others.len())
        }
        [third, fourth] if alike(first, third) && alike(again, fourth) => {
            "; the first answer of each session is another one than the second".to_string()
        }
        // Of what is no number, nobody knows how near it is.
        _ if most.is_finite() && pairs(&every, false) => format!("; no two of {} answers are alike", every.len()),
        _ => String::new(),
    }
}

/// Equal rows, where they were asked about.
fn rows(probe: &Probe) -> String {
    let asked = probe.lab.candidate.about().doubt == Doubt::Always;
    match (&probe.again.rows, asked) {
        (Some(_), _) => uneven_rows(probe).unwrap_or_else(|| words_of(&None)),
        (None, true) => super::NO_BATCH.to_string(),
        // It is the question of --batch-check.
        (None, false) => String::new(),
    }
}

fn uneven_rows(probe: &Probe) -> Option<String> {
    let count = probe.lab.feeds.first().and_then(repeated).as_ref().and_then(batch)?;
    uneven(probe.lab, probe.again.rows.as_ref()?, count)
}
