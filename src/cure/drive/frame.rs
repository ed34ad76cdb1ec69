//! The one way to a cure, whatever its kind: search along the ranking, what single nodes do, the price, the files. What was
//! found stays found: an interruption keeps what came before it, and files that cannot be written are a note. Knows no model
//! and no backend; closures can drive it.

use std::collections::BTreeMap;
use std::path::Path;

use super::trials::{Trials, becoming};
use crate::cli::CureArgs;
use crate::cure::{Limited, Smallest, Trial, Units, is_too_many};
use crate::failure::Ended;
use crate::found::shard::{Part, Shared};
use crate::found::{Cure, CureKind, CureNote, Overrides, Real, Sensitivity};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::Answer;

/// The error on changed inputs is another one where it is so many times as large.
const MUCH: f64 = 2.0;

/// The exported files, in the report's folder.
const FOLDER: &str = "overrides";

/// A kind of cure for one candidate, ranked.
pub trait Remedy {
    /// What becomes of the nodes.
    fn kind(&self) -> CureKind;

    /// What may be cured, and how much each node matters.
    fn units(&self) -> &Units;

    /// What the nodes are kept from, as it begins a sentence: `FP16`.
    fn low(&self) -> String;

    /// The tensor in which the node's own error is largest, and that error; `None` where it was not measured.
    fn local(&self, node: usize) -> Option<(&str, f64)>;

    /// The smallest set of nodes that makes the outputs agree, in `builds` trials at most.
    fn search(&self, trials: &Trials, builds: u64, progress: &Progress) -> Result<(Smallest, Overrides), RunError> {
        trials.search(self.units(), self.kind(), builds, progress)
    }

    /// What else belongs to the cure's `why` where these nodes are it.
    fn remark(&self, nodes: &[usize]) -> Option<String>;

    /// What these nodes cost, into `found`; fails where it was interrupted only.
    fn price(&self, _nodes: &[usize], _found: &mut Overrides, _progress: &Progress) -> Result<Vec<CureNote>, RunError> {
        Ok(Vec::new())
    }

    /// Writes the folder `dir` as a whole, and gives back its files by consumer: none where there is nothing to say.
    fn export(&self, dir: &Path, set: &Smallest, found: &Overrides) -> anyhow::Result<BTreeMap<String, String>>;
}

/// What is wanted of a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The outputs diverge: the smallest set that makes them agree, what single nodes do, and the files.
    Cure,
    /// The outputs agree: what single nodes do to them, and no more.
    Sensitivity,
}

/// How much may be tried, and where files go.
pub struct Frame<'a> {
    /// Trials that the search may cost.
    pub builds: u64,
    /// Nodes of which it is tried what each alone does.
    pub sensitivity: usize,
    /// Samples that the search does not see, and that must agree as well in the end.
    pub holdout: u64,
    /// The report's folder.
    pub dir: &'a Path,
    /// Where it is told what is being done.
    pub progress: &'a Progress,
    /// Of the nodes of `sensitivity` every N-th only.
    pub part: Option<Part>,
}

impl<'a> Frame<'a> {
    /// As the command line has it.
    pub fn new(args: &CureArgs, dir: &'a Path, progress: &'a Progress) -> Frame<'a> {
        Frame { builds: args.builds, sensitivity: args.each_alone(), holdout: args.holdout, dir, progress, part: None }
    }

    /// What `goal` asks for, as far as it was found before the error if there is one.
    pub fn reach(&self, goal: Goal, remedy: &dyn Remedy, trials: &Trials) -> Ended<Cure> {
        match goal {
            Goal::Cure => self.cure(remedy, trials),
            Goal::Sensitivity => self.each_alone(remedy, trials),
        }
    }

    /// What single nodes do to outputs that agree: there is nothing to cure.
    fn each_alone(&self, remedy: &dyn Remedy, trials: &Trials) -> Ended<Cure> {
        self.progress.step("what each node alone does to the outputs");
        match sensitivity(remedy, trials, (self.sensitivity, self.part)) {
            Ok(sensitivity) => Ended::well(Cure { sensitivity, ..Cure::default() }),
            Err(e) => Ended { value: Cure::default(), halted: Some(e) },
        }
    }

    /// The cure, as far as it was found before the error if there is one.
    pub fn cure(&self, remedy: &dyn Remedy, trials: &Trials) -> Ended<Cure> {
        let mut cure = Cure::default();
        let halted = self.fill(&mut cure, remedy, trials).err();
        Ended { value: cure, halted }
    }

    fn fill(&self, cure: &mut Cure, remedy: &dyn Remedy, trials: &Trials) -> Result<(), RunError> {
        let (set, found) = remedy.search(trials, self.builds, self.progress)?;
        let limited = limited(remedy, &set, &found);
        let why = limited.iter().cloned().chain(found.why.clone());
        let why = why.chain(remedy.remark(&set.nodes)).reduce(|a, b| format!("{a}; {b}"));
        let found = cure.overrides.insert(Overrides { why, limited: limited.is_some(), ..found });
        if found.is_cure() {
            self.progress.step("the overrides, with changed inputs");
            doubt(found, trials.margin(&set.nodes)?);
        }
        cure.sensitivity = sensitivity(remedy, trials, (self.sensitivity, self.part))?;
        // What is no cure has no price.
        if !set.nodes.is_empty() && !found.limited {
            cure.notes.extend(remedy.price(&set.nodes, found, self.progress)?);
        }
        match remedy.export(&self.dir.join(FOLDER), &set, found) {
            Ok(files) => found.files = files,
            Err(e) => cure.notes.push(unwritten(remedy.kind(), format!("{e:#}"))),
        }
        Ok(())
    }
}

/// What agrees by chance is not verified: on inputs that are a little changed the outputs must agree as well. A smallest set
/// leaves an error just below the tolerance, so the same error just above it is no discovery.
fn doubt(found: &mut Overrides, changed: Option<Trial>) {
    let Some(changed) = changed.filter(|trial| trial.answer != Answer::Unknown) else { return };
    found.margin = Some(Real(changed.error));
    if changed.answer == Answer::Bad && changed.error > MUCH * found.error_after.0 {
        found.verified = false;
        let why = format!(
            "the outputs agree on these inputs only: with the inputs changed by a thousandth they do not (error {:.2e}, {:.2e} \
             without the change), so other data needs more; search with more samples",
            changed.error, found.error_after.0
        );
        found.why = Some(found.why.take().map_or(why.clone(), |said| format!("{why}; {said}")));
    }
}

/// What is said where the nodes found are too many for a cure.
fn limited(remedy: &dyn Remedy, set: &Smallest, found: &Overrides) -> Option<String> {
    let (nodes, of) = (found.nodes.len(), found.of);
    let curve: Vec<(usize, f64)> = found.curve.iter().map(|(kept, error)| (*kept, error.0)).collect();
    let fate = becoming(remedy.kind());
    let limited = Limited {
        low: &remedy.low(),
        fate,
        nodes,
        of,
        before: found.error_before.0,
        curve: &curve,
        complete: !set.budget_spent,
    };
    is_too_many(nodes, of).then(|| limited.told())
}

fn unwritten(kind: CureKind, why: String) -> CureNote {
    match kind {
        CureKind::Fp32 | CureKind::Split => CureNote::NotAllWritten { why },
        CureKind::Unquantised => CureNote::NotWritten { why },
    }
}

/// The nodes with the largest errors of their own, `most` of them: what each alone does to the outputs.
fn sensitivity(
    remedy: &dyn Remedy,
    trials: &Trials,
    (most, part): (usize, Option<Part>),
) -> Result<Vec<Sensitivity>, RunError> {
    let units = remedy.units();
    let mut ranked: Vec<(usize, &str, f64)> =
        units.nodes.iter().filter_map(|n| remedy.local(*n).map(|(tensor, error)| (*n, tensor, error))).collect();
    ranked.sort_by(|a, b| b.2.total_cmp(&a.2));
    ranked.truncate(most);
    if let Some(part) = part {
        let own = part.shard(Shared::Nodes, ranked.len(), "").members;
        ranked = own.into_iter().filter_map(|number| ranked.get(number).copied()).collect();
    }
    let sets: Vec<Vec<usize>> = ranked.iter().flat_map(|(node, ..)| alone(remedy, *node)).collect();
    let tried = trials.ask_all(&sets)?;
    let each = tried.chunks((sets.len() / ranked.len().max(1)).max(1));
    let row = |((node, tensor, local), tried): (&(usize, &str, f64), &[Trial])| {
        let (name, op_type) = units.names[*node].clone();
        let (promoted, demoted) = effects(remedy.kind(), tried);
        Sensitivity { node: name, op_type, tensor: tensor.to_string(), local: Real(*local), promoted, demoted }
    };
    Ok(ranked.iter().zip(each).map(row).collect())
}

/// What is tried of a node: it alone in float32, and it alone in the low precision; of a quantised model, it alone
/// unquantised.
fn alone(remedy: &dyn Remedy, node: usize) -> Vec<Vec<usize>> {
    let others = || remedy.units().nodes.iter().copied().filter(|n| *n != node).collect();
    match remedy.kind() {
        CureKind::Fp32 | CureKind::Split => vec![vec![node], others()],
        CureKind::Unquantised => vec![vec![node]],
    }
}

/// Errors with the node promoted and demoted. In a precision, what does not run is as wrong as can be; a quantised model that
/// does not run, or cannot be compared, says nothing.
fn effects(kind: CureKind, tried: &[Trial]) -> (Option<Real>, Option<Real>) {
    let error = |i: usize| tried.get(i).map(|trial| Real(trial.error));
    match kind {
        CureKind::Fp32 | CureKind::Split => (error(0), error(1)),
        CureKind::Unquantised => (error(0).filter(|_| tried[0].answer != Answer::Unknown), None),
    }
}

#[cfg(test)]
mod tests;
