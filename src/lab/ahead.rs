//! Several looks of the candidate at the same time, where its backend takes several calls: the builds run ahead, and what they
//! gave is judged one by one, as if each had been asked for alone.

use std::collections::HashMap;
use std::thread;

use super::first::CANDIDATE;
use super::pairs::numbers;
use super::values::by_tensor;
use super::{Lab, Probe};
use crate::run::{Observe, RunError, join};
use crate::search::Answer;
use crate::tensor::Tensors;

impl Probe<'_> {
    /// Measures each of `sets` with a build of its own; the answers of all of them in a row.
    pub fn measure_each(&mut self, sets: &[&[usize]]) -> Result<Vec<Answer>, RunError> {
        self.run_ahead(sets)?;
        let answers: Result<Vec<Vec<Answer>>, RunError> = sets.iter().map(|set| self.measure(set)).collect();
        // What an earlier set made superfluous was built all the same.
        let unused = self.values.ahead.builds.drain().count();
        self.ledger.counts.candidate_builds += unused;
        self.ledger.counts.candidate_runs += unused;
        Ok(answers?.concat())
    }

    /// Makes the builds that `sets` will ask for, if they are several, and runs the reference for all of them.
    fn run_ahead(&mut self, sets: &[&[usize]]) -> Result<(), RunError> {
        let way = self.sight.way_of_marks();
        let (None, Some(way)) = (&self.values.ahead.everything, way) else { return Ok(()) };
        let open: Vec<_> = sets.iter().map(|set| self.open(set)).filter(|asked| !asked.is_empty()).collect();
        // What an earlier run saw is not built; what it did not see of this round is built by itself.
        if open.len() < 2 || open.iter().any(|asked| self.ledger.earlier.has(&numbers(asked))) {
            return Ok(());
        }
        let builds = open.iter().filter(|asked| !self.disturbs(asked));
        let builds: Vec<(Vec<usize>, Vec<String>)> = builds
            .map(|asked| {
                let theirs: Vec<usize> = asked.iter().map(|(_, pair)| pair.candidate).collect();
                let wanted = self.wanted(&theirs);
                (theirs, wanted)
            })
            .collect();
        let missing = self.missing(open.iter().flatten());
        let Lab { reference, candidate, feeds, .. } = self.lab;
        let (own, ahead) = thread::scope(|scope| {
            let see = |(theirs, wanted): &(Vec<usize>, Vec<String>)| {
                candidate.see(theirs, feeds, wanted, way).map(|answer| answer.values)
            };
            let threads: Vec<_> = builds.iter().map(|build| scope.spawn(move || see(build))).collect();
            let names = reference.graph.keys(&missing);
            let own = (!missing.is_empty()).then(|| reference.run(&missing, feeds, &names)).transpose();
            (own, threads.into_iter().map(|thread| join(thread, CANDIDATE)).collect::<Vec<_>>())
        });
        self.values.ahead.builds = builds.into_iter().map(|(theirs, _)| theirs).zip(ahead).collect();
        if let Some(values) = own? {
            self.ledger.counts.reference_runs += 1;
            self.values.keep(Some(by_tensor(&reference.graph, values)), HashMap::new());
        }
        Ok(())
    }

    /// What a build with these tensors marked gave, others among them perhaps, if it ran ahead.
    pub(super) fn take_ahead(&mut self, theirs: &[usize], way: Observe) -> Option<Result<Vec<Tensors>, RunError>> {
        let mut builds = self.values.ahead.builds.keys().filter(|_| Some(way) == self.sight.way_of_marks());
        let build = builds.find(|marked| theirs.iter().all(|t| marked.contains(t)))?.clone();
        self.values.ahead.builds.remove(&build)
    }
}
