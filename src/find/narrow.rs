//! The strategy `bisect`: few tensors a run, narrowing down, and the looks that keep its guesses honest: at what was left out
//! between a suspect and the outputs, at the candidate with the suspects put right, and at the ways of their errors.

mod consequences;
mod losses;
mod shapes;
mod ways;
mod worlds;

use crate::cli::SearchArgs;
use crate::find::scan::targets;
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::{self, Answer, Limits, Masked, Suspect};
use worlds::Worlds;

/// Tensors a run, where few are asked for and nobody says how many.
const MARKS: usize = 8;
/// The same where every run is a build of minutes.
const ENGINE_MARKS: usize = 16;

/// Why a search stops before its end.
enum Halt {
    Failed(RunError),
    /// More was measured than had been asked for: start afresh with it.
    News,
}

/// What the search came to.
pub struct Narrowed {
    /// In topological order.
    pub suspects: Vec<Suspect>,
    /// Whose error is lost on the way, as far as that was seen. In topological order.
    pub masked: Vec<Masked>,
    /// It stopped at the number of culprits that was asked for.
    pub unexplained: bool,
    /// What diverges from agreeing inputs only where the suspects are put right.
    pub besides: Vec<usize>,
    /// With this many put right the outputs still diverge, and nothing more was found.
    pub rest: Option<usize>,
}

/// Few tensors a run, narrowing down.
pub fn bisect(args: &SearchArgs, probe: &mut Probe, progress: &Progress) -> Result<Narrowed, RunError> {
    let mut hunt = Hunt::new(args, probe, progress);
    probe.known();
    let mut found = hunt.search(probe)?;
    // Between a suspect and the output everything unmeasured passes for its consequence, though a second fault may stand below
    // a tensor where the error of the first one is lost. Where that is cannot be foreseen, the likeliest places are measured
    // while runs are left.
    if !consequences::look_at_them(&mut hunt, probe, &mut found.suspects.clone())?
        && hunt.spent(probe) < hunt.enough + 1
    {
        hunt.look_at_losses(probe, &found.suspects)?;
    }
    found = hunt.search(probe)?;
    let mut worlds = Worlds::default();
    loop {
        let causes = shapes::behind_shapes(probe, &mut found.suspects)?;
        let mut suspects = std::mem::take(&mut found.suspects);
        if !causes.is_empty() {
            hunt.targets.extend(causes);
            suspects.extend(hunt.search(probe)?.suspects);
        }
        suspects.extend(hunt.traced(probe, &suspects)?);
        ways::drop_masked(&hunt, probe, &mut suspects);
        in_order(&mut suspects);
        worlds.search(&mut hunt, probe, &mut suspects)?;
        consequences::look_at_them(&mut hunt, probe, &mut suspects)?;
        in_order(&mut suspects);
        // Where measuring a way cut it, something else must explain the outputs.
        if !ways::prove(&mut hunt, probe, &mut worlds, &mut suspects)? {
            let masked = search::all_masked(&shapes::value_dag(probe), &probe.results.answers(), &hunt.targets);
            let rest = worlds.rest(suspects.len());
            let besides = worlds.besides();
            return Ok(Narrowed { suspects, masked, unexplained: found.unexplained, besides, rest });
        }
        found = hunt.search(probe)?;
    }
}

fn in_order(suspects: &mut Vec<Suspect>) {
    suspects.sort_by_key(|s| s.item);
    suspects.dedup_by_key(|s| s.item);
}

/// What one search is about.
struct Hunt<'a> {
    /// Diverging tensors that are to be explained.
    targets: Vec<usize>,
    limits: Limits,
    /// Tensors that one round can see.
    sight: usize,
    /// Runs that a single fault in a chain of the model's length takes.
    enough: usize,
    /// Runs that this search asked for.
    runs: usize,
    progress: &'a Progress,
}

impl<'a> Hunt<'a> {
    fn new(args: &SearchArgs, probe: &Probe, progress: &'a Progress) -> Hunt<'a> {
        let engine = probe.lab.candidate.is_engine();
        let marks = args.marks.map_or(if engine { ENGINE_MARKS } else { MARKS }, |k| k as usize);
        let builds = probe.lab.candidate.width();
        let limits = Limits { marks, builds, max_suspects: args.max_culprits as usize };
        let sight = marks.saturating_mul(builds);
        let length = probe.lab.tensors().max(2) as f64;
        let enough = builds * length.log((sight + 1) as f64).ceil() as usize;
        Hunt { targets: targets(probe), limits, sight, enough, runs: 0, progress }
    }

    /// Runs of the candidate by now, those of an earlier run among them.
    fn spent(&self, probe: &Probe) -> usize {
        probe.ledger.counts.candidate_runs + probe.ledger.counts.recalled_runs
    }

    /// Is everything measured that can be? Then nothing is left to be guessed.
    fn knows_all(&self, probe: &Probe) -> bool {
        (0..probe.lab.tensors()).all(|tensor| !probe.results.is_open(tensor))
    }

    /// The suspects behind the targets, with all that is known by now.
    fn search(&mut self, probe: &mut Probe) -> Result<search::Found, RunError> {
        loop {
            let (known, absent) = (probe.results.answers(), probe.results.absent());
            let dag = shapes::value_dag(probe);
            let (targets, limits) = (self.targets.clone(), self.limits);
            match search::bisect(&dag, known, &targets, limits, |round| self.look(probe, round)) {
                // A branch that ran on one side only was found on the way: it is nobody's input.
                Ok(_) if probe.results.absent() != absent => {}
                Ok(found) => return Ok(found),
                Err(Halt::News) => {}
                Err(Halt::Failed(e)) => return Err(e),
            }
        }
    }

    fn look(&mut self, probe: &mut Probe, round: &[&[usize]]) -> Result<Vec<Answer>, Halt> {
        self.tell(round.iter().map(|tensors| tensors.len()).sum(), round.len());
        let answers = probe.measure_each(round).map_err(Halt::Failed)?;
        if probe.news() { Err(Halt::News) } else { Ok(answers) }
    }

    /// Measures all of these, in rounds.
    fn measure(&mut self, probe: &mut Probe, tensors: &[usize]) -> Result<(), RunError> {
        for round in tensors.chunks(self.sight) {
            let sets: Vec<&[usize]> = round.chunks(self.limits.marks).collect();
            match self.look(probe, &sets) {
                Err(Halt::Failed(e)) => return Err(e),
                Ok(_) | Err(Halt::News) => {}
            }
        }
        Ok(())
    }

    fn tell(&mut self, tensors: usize, runs: usize) {
        self.runs += runs;
        self.progress.step(format!("search, run {}: {tensors} tensors", self.runs));
    }
}
