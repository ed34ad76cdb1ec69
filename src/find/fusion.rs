//! `--by fusion`: which tensors must be outputs so that the candidate agrees. What is an output is not fused away, so a candidate
//! that is wrong across nodes only is right with the tensors between them marked. The engine (or session) is built with some of
//! them, and the model's own outputs tell: no tensor inside is compared.

mod export;
mod trials;

use std::collections::HashSet;
use std::path::Path;

use crate::found::{Culprit, Diagnosis, Fusion, FusionAnswer, Kind, Price, Sure};
use crate::lab::{Lab, Side};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::{Answer, smallest_cure};
use crate::tensor::Tensors;
use trials::{Trials, Whole};

pub use export::clear;

/// How often what cannot be built as a whole is halved.
const HALVINGS: usize = 3;

/// Tensors of regions that are tried without being asked for: more of them are a search, and cost builds.
const FEW: usize = 32;

/// Nothing is concluded where some tensors could not be tried.
const BODIES: &str = "with every tensor of the main graph an output it still diverges, and what is inside of If, Loop and Scan cannot be made one";

/// Whose outputs are wrong, and what is right.
pub struct Request<'a> {
    /// The candidate is its.
    pub lab: &'a Lab,
    /// What is right for the model's outputs, by sample.
    pub right: &'a [Tensors],
    /// Builds that it may cost.
    pub most: usize,
    /// The folder of the report.
    pub dir: &'a Path,
    /// Where it is told what is being done.
    pub progress: &'a Progress,
}

/// Can tensors of the candidate be made outputs, and may that change what it computes? Not in an engine that is ready.
pub fn is_a_question(side: &Side) -> bool {
    side.runs() && (side.fuses() || side.deploys.is_some())
}

/// A smallest set of tensors that, made outputs, makes the candidate agree.
pub fn fusion(request: &Request) -> Result<Fusion, RunError> {
    let whole = Whole::of(request.lab)?;
    let all = whole.tensors();
    let mut trials = Trials::new(request, &whole);
    searched(&mut trials, &all, HALVINGS)
}

/// The same of the regions alone in which the culprits lie, where nobody asked: as many builds as their few tensors take. `None`
/// where they are no regions of an engine that its marks disturb, or do not cure.
pub fn of_regions(request: &Request, culprits: &[Culprit]) -> Result<Option<Fusion>, RunError> {
    if !request.lab.candidate.is_engine() || !is_a_question(&request.lab.candidate) {
        return Ok(None);
    }
    let regions = culprits.iter().filter(|culprit| culprit.kind == Kind::Region);
    let nodes: HashSet<&str> = regions.flat_map(|culprit| &culprit.region).map(String::as_str).collect();
    let whole = Whole::of(request.lab)?;
    let inside: Vec<usize> = whole.tensors().into_iter().filter(|t| nodes.contains(whole.maker(*t))).collect();
    if inside.is_empty() || inside.len() > FEW {
        return Ok(None);
    }
    let found = searched(&mut Trials::new(request, &whole), &inside, 0)?;
    Ok(Some(found).filter(Fusion::is_shown))
}

/// Tells the culprits what was shown: those whose own region has the tensors, or all where nobody knows.
pub fn explain(culprits: &mut [Culprit], found: &Fusion, lab: &Lab) {
    let Some(told) = cause(found, lab.candidate.built()) else { return };
    let graph = &lab.candidate.graph;
    let makers: HashSet<&str> =
        found.tensors.iter().filter_map(|name| Some(graph.producer(graph.tensor(name)?).name.as_str())).collect();
    let concerned = |culprit: &Culprit| culprit.region.iter().any(|node| makers.contains(node.as_str()));
    let known = culprits.iter().any(concerned);
    for culprit in culprits.iter_mut().filter(|culprit| !known || concerned(culprit)) {
        culprit.diagnosis.retain(|known| known.sure == Sure::Shown);
        culprit.diagnosis.push(told.clone());
    }
}

/// What was shown of a culprit, where making these outputs made the model's own agree.
fn cause(found: &Fusion, built: &str) -> Option<Diagnosis> {
    let names: Vec<String> = found.tensors.iter().map(|name| format!("'{name}'")).collect();
    let evidence = format!(
        "with {} made {} of {built}, and all else as it was, the model's outputs agree; built again without, they do not",
        names.join(", "),
        if names.len() == 1 { "an output" } else { "outputs" }
    );
    let advice =
        "deploy with these outputs (fusion/model.onnx has them), and send the reproducer to its makers".to_string();
    found.is_shown().then(|| Diagnosis { code: "fusion".to_string(), sure: Sure::Shown, evidence, advice })
}

/// Is there a set of these that cures, which is the smallest, does it hold when it is built again, and what does it cost?
fn searched(trials: &mut Trials, all: &[usize], halvings: usize) -> Result<Fusion, RunError> {
    let mut found = Fusion { of: all.len(), ..Fusion::default() };
    match start(trials, all, halvings)? {
        Start::Diverges if trials.whole.has_bodies() => found.why = Some(BODIES.to_string()),
        Start::Diverges => found.answer = FusionAnswer::Diverges,
        Start::Unknown(why) => found.why = Some(why),
        Start::Cures(set) => {
            let (set, minimal) = smallest(trials, &set)?;
            found.answer = FusionAnswer::Cured;
            found.tensors = trials.whole.names(&set);
            found.minimal = minimal;
            match proof(trials, &set)? {
                Proof::Holds(price) => (found.verified, found.latency) = (true, price),
                Proof::Fails(why) => found.why = Some(why),
            }
            match export::write(trials, &set, &found) {
                Ok(files) => found.files = files,
                Err(e) => found.why = Some(joined(found.why.take(), format!("{e:#}"))),
            }
        }
    }
    found.trials = trials.tried;
    Ok(found)
}

fn joined(said: Option<String>, more: String) -> String {
    said.map_or(more.clone(), |said| format!("{said}; {more}"))
}

/// Where the search for the smallest set begins.
enum Start {
    /// These cure.
    Cures(Vec<usize>),
    /// All of them do not.
    Diverges,
    /// Nothing that was built told: why.
    Unknown(String),
}

/// All tensors; where that cannot be built, or gives no answer, parts of them.
fn start(trials: &mut Trials, all: &[usize], halvings: usize) -> Result<Start, RunError> {
    if all.is_empty() {
        return Ok(Start::Unknown(
            "the model has no tensor between its nodes that could be made an output".to_string(),
        ));
    }
    let (answer, why) = trials.told(all)?;
    match answer {
        Answer::Good => return Ok(Start::Cures(all.to_vec())),
        Answer::Bad => return Ok(Start::Diverges),
        Answer::Unknown => {}
    }
    let mut size = all.len();
    for _ in 0..halvings {
        size = size.div_ceil(2);
        for part in all.chunks(size).filter(|part| part.len() < all.len()) {
            if trials.told(part)?.0 == Answer::Good {
                return Ok(Start::Cures(part.to_vec()));
            }
        }
    }
    Ok(Start::Unknown(format!("with every tensor an output there is no answer: {why}")))
}

/// The smallest set within one that cures, and whether none of it can be left out.
fn smallest(trials: &mut Trials, set: &[usize]) -> Result<(Vec<usize>, bool), RunError> {
    let found = smallest_cure(set, |set| Ok::<_, RunError>(trials.told(set)?.0))?;
    Ok((found.items, found.unknown == 0))
}

/// What comes of building once more.
enum Proof {
    /// It diverged without these outputs and agreed with exactly them: what they cost, where the candidate has a time of its own.
    Holds(Option<Price>),
    /// What speaks against it.
    Fails(String),
}

/// Builds differ from each other by themselves, too: once more without these outputs, and with exactly them. Each is timed while it
/// is at hand.
fn proof(trials: &mut Trials, set: &[usize]) -> Result<Proof, RunError> {
    let built = trials.request.lab.candidate.built();
    if trials.proves(&[])? != Answer::Bad {
        return Ok(Proof::Fails(format!("{built} does not diverge when it is built again without these outputs")));
    }
    let before = trials.takes(&[])?;
    if trials.proves(set)? != Answer::Good {
        return Ok(Proof::Fails(format!("{built} does not agree when it is built again with these outputs")));
    }
    let Some((before, after)) = before.zip(trials.takes(set)?) else { return Ok(Proof::Holds(None)) };
    let reference = trials.reference_takes()?;
    Ok(Proof::Holds(Some(Price { before, after, reference, nodes: Vec::new() })))
}

#[cfg(test)]
mod tests;
