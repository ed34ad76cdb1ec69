//! What the searches for a cure share: trials side by side, and the samples that confirm. What a trial is, a closure says;
//! no model is known here.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cure::{self, Smallest, Trial, Units};
use crate::found::{CureKind, Overrides, Real};
use crate::progress::Progress;
use crate::run::{RunError, at_the_same_time};
use crate::search::Answer;

/// Tries a set of nodes on some of the samples.
type Try<'a> = dyn Fn(&[usize], Range<usize>) -> Result<Trial, RunError> + Sync + 'a;

/// Tries a set of nodes on inputs that differ a little; `None` where there are none.
type Margin<'a> = dyn Fn(&[usize]) -> Result<Option<Trial>, RunError> + Sync + 'a;

/// Trials of sets of nodes. Those of a search see some samples only; the others confirm what it finds.
pub struct Trials<'a> {
    trial: Box<Try<'a>>,
    margin: Option<Box<Margin<'a>>>,
    /// All samples.
    samples: usize,
    /// Those that the search sees: the first.
    seen: usize,
    /// Trials at a time.
    jobs: usize,
}

impl<'a> Trials<'a> {
    /// `trial` tries a set on a range of the `samples`, of which the last `holdout` are kept from the search; `jobs` of them
    /// at a time.
    pub fn new(
        samples: usize,
        holdout: u64,
        jobs: usize,
        trial: impl Fn(&[usize], Range<usize>) -> Result<Trial, RunError> + Sync + 'a,
    ) -> Trials<'a> {
        let seen = samples.saturating_sub(holdout as usize).max(1);
        Trials { trial: Box::new(trial), margin: None, samples, seen, jobs }
    }

    /// The same, with a way to try a set on inputs that differ a little.
    pub fn with_margin(self, margin: impl Fn(&[usize]) -> Result<Option<Trial>, RunError> + Sync + 'a) -> Trials<'a> {
        Trials { margin: Some(Box::new(margin)), ..self }
    }

    /// What becomes of the outputs with this set where the inputs are a little changed. `None` where that was not tried: samples
    /// that were held back have said more, or there is nothing to change.
    pub fn margin(&self, set: &[usize]) -> Result<Option<Trial>, RunError> {
        match &self.margin {
            Some(margin) if self.seen == self.samples => margin(set),
            _ => Ok(None),
        }
    }

    /// Trials at a time.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// The same trials, with the nodes of `first` in every set.
    pub fn besides<'b>(&'b self, first: &'b [usize]) -> Trials<'b> {
        let trial = move |set: &[usize], samples: Range<usize>| (self.trial)(&sorted([set, first].concat()), samples);
        Trials { trial: Box::new(trial), margin: None, ..*self }
    }

    /// All sets at the same time, on the samples that the search sees; answered in order.
    pub fn ask(&self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        at_the_same_time("a trial", sets.iter().map(|set| move || (self.trial)(set, 0..self.seen)))
    }

    /// The same, however many sets there are: as many at the same time as can be.
    pub fn ask_all(&self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let mut tried = Vec::with_capacity(sets.len());
        for some in sets.chunks(self.jobs) {
            tried.extend(self.ask(some)?);
        }
        Ok(tried)
    }

    /// Searches with `builds` trials at most, and lets the samples that were held back confirm. `kind` says in the progress
    /// line what becomes of the nodes of a set.
    pub fn search(
        &self,
        units: &Units,
        kind: CureKind,
        builds: u64,
        progress: &Progress,
    ) -> Result<(Smallest, Overrides), RunError> {
        let mut tried = 0;
        let set = cure::search(units, builds as usize, self.jobs, |sets| {
            tried += sets.len();
            progress.step(format!("overrides, trial {tried}: {} nodes {}", sets[0].len(), becoming(kind)));
            self.ask(sets)
        })?;
        let mut found = told(&set, units, kind);
        if let (true, Some(why)) = (set.verified, self.held_back(&set.nodes)?) {
            found.verified = false;
            found.why = Some(why);
        }
        Ok((set, found))
    }

    /// Why a cure is not verified, if samples that the search never saw do not agree.
    pub fn held_back(&self, set: &[usize]) -> Result<Option<String>, RunError> {
        let held = self.samples - self.seen;
        if held == 0 {
            return Ok(None);
        }
        let trial = (self.trial)(set, self.seen..self.samples)?;
        if trial.answer == Answer::Bad && set.is_empty() {
            return Ok(Some(format!(
                "the samples that the search saw agree as they are; only the {held} held back diverge: search with them (a smaller --holdout)"
            )));
        }
        Ok((trial.answer != Answer::Good).then(|| {
            format!("the {held} held-back samples do not agree (error {:.2e}); search with more of them", trial.error)
        }))
    }
}

/// What becomes of the nodes of a set.
pub fn becoming(kind: CureKind) -> &'static str {
    match kind {
        CureKind::Fp32 | CureKind::Split => "in FP32",
        CureKind::Unquantised => "left unquantised",
    }
}

/// A cure as the report has it; its files are the caller's.
pub(super) fn told(set: &Smallest, units: &Units, kind: CureKind) -> Overrides {
    let name = |n: &usize| units.names[*n].0.clone();
    Overrides {
        kind,
        nodes: set.nodes.iter().map(name).collect(),
        verified: set.verified,
        limited: false,
        margin: None,
        error_before: Real(set.error_before),
        error_after: Real(set.error_after),
        latency_before: None,
        latency_after: None,
        price: None,
        builds: set.trials,
        files: BTreeMap::new(),
        groups: set.groups.clone(),
        minimal: set.minimal,
        of: units.nodes.len(),
        curve: set.curve.iter().map(|(kept, error)| (*kept, Real(*error))).collect(),
        why: set.why.clone().or_else(|| unfinished(set)),
        settings: Vec::new(),
        settings_tried: 0,
    }
}

/// Why perhaps fewer nodes would do.
fn unfinished(set: &Smallest) -> Option<String> {
    match (set.verified && !set.minimal, set.budget_spent, set.unknown) {
        (false, ..) => None,
        (true, true, _) => Some("the builds that --builds allows were spent before every node was tried".to_string()),
        (true, false, 0) => None,
        (true, false, unknown) => Some(format!("{unknown} nodes stay because the trials without them failed to run")),
    }
}

/// Ascending, each once.
pub fn sorted(mut nodes: Vec<usize>) -> Vec<usize> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
