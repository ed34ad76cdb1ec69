//! `layerdiff bisect`: unmarked runs -> trust -> find -> rank -> reduce -> cure -> report.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use super::frame::Frame;
use super::hand_over::{self, Shown};
use crate::cli::{BisectArgs, By, CureArgs, GlobalArgs, ReproducerArgs, SearchArgs, SetArgs};
use crate::cure::drive::frame::{self as cure, Goal};
use crate::cure::drive::{precision, undynamic, unquantise};
use crate::failure::Ended;
use crate::find::rank;
use crate::find::{self, fusion, inside, optimizer, route, story, trust, undo};
use crate::found::experiment::Experiment;
use crate::found::shard::Shared;
use crate::found::{self, Cure, Exit, Findings, Locals, Note, Story, Verdict, Wanted, verdict};
use crate::lab::first::inner;
use crate::lab::journal::{Journal, Known};
use crate::lab::{Lab, Ledger, Probe, Side, Wish};
use crate::open::{self, Opened, places, untouched};
use crate::progress::Progress;
use crate::reduce::drive::deliver;
use crate::reduce::drive::reproduce::{self, Request};
use crate::reduce::drive::story::About;
use crate::run::RunError;
use crate::run::ort::runtime;
use crate::search::Answer;
use crate::tensor::Tensors;

/// Builds that a search for knobs may cost.
const ROUTES: u64 = 200;

/// Sessions that a search for optimizers may cost.
const OPTIMIZERS: usize = 100;

/// Builds that a search for fusions may cost.
const FUSIONS: usize = 200;

/// What is wanted: to find, and to cut out what was found.
pub struct Plan<'a> {
    /// Both sides, data, tolerance.
    pub set: &'a SetArgs,
    /// How to look for culprits.
    pub search: &'a SearchArgs,
    /// `None`: find and prove, but cut nothing out.
    pub reproducer: Option<&'a ReproducerArgs>,
    /// `None`: look for no precision overrides.
    pub cure: Option<&'a CureArgs>,
}

/// `layerdiff bisect`: the answer is in the exit status too, and for people on `out`.
pub fn run(args: &BisectArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let reproducer = (!args.no_reduce).then_some(&args.reproducer);
    let cure = (!args.cure.no_overrides).then_some(&args.cure);
    let findings = answer(&Plan { set: &args.set, search: &args.search, reproducer, cure }, global, out)?;
    Ok(Exit::of(verdict(&findings).0))
}

/// Finds, proves, cuts out, cures and reports.
pub fn answer(plan: &Plan, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Findings> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    let opened = open::open(plan.set, global, wanted(plan.search), find::wants_everything(plan.search));
    let answer = opened.and_then(|opened| go_on(plan, global, opened, started, progress, out));
    hand_over::settled(answer, plan.set, Shown::Answer, out)
}

/// The same, of two sides that have run for the first time.
pub fn go_on(
    plan: &Plan,
    global: &GlobalArgs,
    opened: Opened,
    started: Instant,
    progress: Progress,
    out: &mut dyn Write,
) -> anyhow::Result<Findings> {
    let Opened { mut lab, first, mut experiment, findings, dir } = opened;
    for side in [&mut lab.reference, &mut lab.candidate] {
        side.model.bare = plan.search.no_metadata;
    }
    if let Some(cure) = plan.cure {
        enough_samples(cure.holdout, lab.feeds.len())?;
    }
    searchable(plan, &lab.candidate)?;
    shareable(plan)?;
    untouched::folders(plan.set, &[&lab.reference, &lab.candidate], &dir)?;
    if plan.reproducer.is_some() {
        deliver::check(&dir)?;
    }
    experiment.flags.extend(open::of_search(plan.search));
    experiment.flags.extend(plan.reproducer.map(open::of_reproducer).unwrap_or_default());
    let (journal, known) = journal(&places::journal(&dir)?, &experiment, plan.search.resume)?;
    let Known { looks, attempts } = known;
    let wish = Wish { observe: plan.search.observe.wish(), save: plan.set.save_tensors.is_some() };
    // Whoever wants the values cannot do with what was said of them.
    let ledger = Ledger::new(journal, if wish.save { Vec::new() } else { looks });
    let frame = Frame { set: plan.set, dir, experiment, findings, started };
    frame.tell();
    fusion::clear(&frame.dir);
    progress.step("both models, unmarked");
    let mut run = Run { plan, global, attempts, frame, progress };
    let saved = match Probe::start(&lab, first, wish, ledger) {
        Err(unstarted) => {
            deliver::clear(&run.frame.dir);
            run.frame.unstarted(unstarted);
            run.refused(&lab);
            None
        }
        Ok(mut probe) => {
            run.frame.findings.halted = run.stages(&mut probe).err();
            run.frame.time(&lab, &run.progress);
            probe.values.take_saved()
        }
    };
    drop(run.progress);
    run.frame.deliver(saved, Shown::Answer, out)
}

/// A run between its first report and its last.
struct Run<'a> {
    plan: &'a Plan<'a>,
    global: &'a GlobalArgs,
    /// Smaller models that an earlier run tried.
    attempts: HashMap<String, Answer>,
    frame: Frame<'a>,
    progress: Progress,
}

impl Run<'_> {
    /// Stage by stage: each one's value is among the findings, and on disk, before the next one begins.
    fn stages(&mut self, probe: &mut Probe) -> Result<(), RunError> {
        let investigated = self.investigate(probe);
        self.frame.findings.measured = probe.measured();
        deliver::clear(&self.frame.dir);
        investigated?;
        if matches!(self.plan.search.by, By::BuildRoute | By::Optimizer | By::Fusion) {
            return Ok(());
        }
        self.note_shard();
        match verdict(&self.frame.findings).0 {
            Verdict::Inconclusive => Ok(()),
            Verdict::Agreed => self.each_alone(probe),
            Verdict::Diverged => self.answer(probe),
        }
    }

    fn note_shard(&mut self) {
        let most = self.plan.cure.map_or(0, CureArgs::each_alone);
        let shard = self.plan.set.shard.map(|part| part.shard(Shared::Nodes, most, &self.plan.set.fingerprint(&[])));
        self.frame.findings.opening.shard = shard;
    }

    /// Of outputs that diverge: whose fault it is, the proof, and what cures them.
    fn answer(&mut self, probe: &mut Probe) -> Result<(), RunError> {
        self.frame.tell();
        let culprits = self.frame.findings.culprits().to_vec();
        let differences = undo::undo(probe, &culprits, &self.frame.dir, &self.progress)?;
        self.tell_story(|story| story.differences = differences);
        self.frame.tell();
        let builds = self.plan.cure.is_some();
        let ranked = rank::rank(probe, self.frame.findings.culprits(), builds, &self.progress)?;
        self.frame.findings.ranking = ranked.ranking;
        // Where nobody is to blame, there is no finding.
        if self.frame.findings.ranking.limited.is_none() {
            let culprits = found::culprits(&self.frame.findings);
            let groups = story::story(probe, &culprits, &self.progress)?;
            self.tell_story(|story| story.groups = groups);
        }
        // What shows over many steps only is no small model's failure.
        let drifts = self.frame.findings.opening.steps.share().is_some();
        if let Some(reproducer) = self.plan.reproducer.filter(|_| !drifts) {
            self.frame.tell();
            self.reproduce(probe, reproducer)?;
        }
        if let Some(args) = self.plan.cure {
            self.frame.tell();
            let cured = self.cure(probe, args, ranked.locals.unwrap_or_default(), Goal::Cure);
            cured.keep(&mut self.frame.findings.cure)?;
        }
        Ok(())
    }

    fn tell_story(&mut self, tell: impl FnOnce(&mut Story)) {
        if let Some(found) = &mut self.frame.findings.found {
            tell(&mut found.story);
        }
    }

    /// Of outputs that agree, where somebody asks: which layers lose most? The verdict stays, whatever comes of it.
    fn each_alone(&mut self, probe: &mut Probe) -> Result<(), RunError> {
        let by_precision = self.plan.search.by == By::Precision;
        let Some(args) = self.plan.cure.filter(|args| by_precision || args.sensitivity.is_some()) else {
            return Ok(());
        };
        let ranked = rank::rank(probe, &[], true, &self.progress)?;
        self.frame.findings.ranking = ranked.ranking;
        self.frame.tell();
        let Ended { value, halted } = self.cure(probe, args, ranked.locals.unwrap_or_default(), Goal::Sensitivity);
        self.frame.findings.cure = value;
        match halted {
            Some(RunError::Interrupted) => Err(RunError::Interrupted),
            Some(e) => {
                self.frame.findings.ranking.notes.push(Note::NotRanked(e.to_string()));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// From the outputs to the culprits, or to the knobs.
    fn investigate(&mut self, probe: &mut Probe) -> Result<(), RunError> {
        let Run { plan, frame, progress, .. } = self;
        frame.findings.outputs = Some(probe.finals.results.clone());
        frame.findings.judged = probe.finals.judged.clone();
        frame.tell();
        frame.findings.reference = trust::reference(probe, progress)?;
        frame.findings.candidate = trust::twice(probe, progress)?;
        if !frame.diverges() {
            frame.findings.judged.notes.extend(inside::remarks(probe)?);
            return Ok(());
        }
        let known = frame.findings.candidate.take();
        frame.findings.candidate = trust::candidate(probe, known, progress)?;
        if !frame.diverges() {
            return Ok(());
        }
        match plan.search.by {
            By::Precision => Ok(()),
            By::BuildRoute => {
                frame.findings.compiler.routes = Some(route::route(probe, ROUTES, progress)?);
                Ok(())
            }
            By::Tensors => {
                let found = find::find(plan.search, probe, progress, |begun| {
                    frame.findings.found = Some(begun.clone());
                    frame.tell();
                });
                frame.findings.found = Some(found.value);
                found.halted.map_or(Ok(()), Err)?;
                if optimizer::is_to_blame(probe.lab) {
                    self.optimizers(probe.lab, &probe.finals.right)
                } else if probe.ledger.counts.perturbed {
                    self.fusions_of_regions(probe.lab, &probe.finals.right)
                } else {
                    Ok(())
                }
            }
            By::Fusion => {
                let found = fusion::fusion(&asked(probe.lab, &probe.finals.right, &frame.dir, progress))?;
                frame.findings.compiler.fusion = Some(found);
                Ok(())
            }
            By::Optimizer if optimizer::is_to_blame(probe.lab) => self.optimizers(probe.lab, &probe.finals.right),
            By::Optimizer => {
                frame.findings.ranking.notes.push(Note::PlainFailsAlike);
                Ok(())
            }
        }
    }

    /// A session that is refused, or fails, as it is deployed, and runs as a plain one: what of the runtime is to blame is an answer
    /// beside the one that there is no verdict.
    fn refused(&mut self, lab: &Lab) {
        let ran = self.frame.findings.opening.first.session.as_ref().is_some_and(|session| session.plain.is_some());
        if !optimizer::is_to_blame(lab) || !ran {
            return;
        }
        let right = lab.reference.run(&inner(&lab.reference, &lab.outputs), &lab.feeds, &lab.outputs);
        if let Err(RunError::Interrupted) = right.and_then(|right| self.optimizers(lab, &right)) {
            self.frame.findings.halted = Some(RunError::Interrupted);
        }
    }

    /// What of the runtime makes the failure, and which culprits that explains.
    fn optimizers(&mut self, lab: &Lab, right: &[Tensors]) -> Result<(), RunError> {
        let Run { frame, progress, .. } = self;
        frame.tell();
        let found = optimizer::optimizers(lab, right, OPTIMIZERS, progress)?;
        if let Some(culprits) = frame.findings.found.as_mut().and_then(|found| found.culprits.as_mut()) {
            optimizer::explain(culprits, &found);
        }
        if let Some(session) = frame.findings.opening.first.session.as_mut() {
            session.optimizers = Some(found);
        }
        Ok(())
    }

    /// Marking changes the engine: is it right with the tensors of a culprit's region as outputs?
    fn fusions_of_regions(&mut self, lab: &Lab, right: &[Tensors]) -> Result<(), RunError> {
        let Run { frame, progress, .. } = self;
        frame.tell();
        let culprits = frame.findings.culprits().to_vec();
        let found = fusion::of_regions(&asked(lab, right, &frame.dir, progress), &culprits)?;
        if let Some((found, culprits)) =
            found.as_ref().zip(frame.findings.found.as_mut().and_then(|found| found.culprits.as_mut()))
        {
            fusion::explain(culprits, found, lab);
        }
        frame.findings.compiler.fusion = found;
        Ok(())
    }

    /// A reproducer for each culprit that is worth one.
    fn reproduce(&mut self, probe: &mut Probe, reproducer: &ReproducerArgs) -> Result<(), RunError> {
        let frame = &mut self.frame;
        let culprits = rank::worth_cutting_out(frame.findings.culprits(), &frame.findings.ranking);
        let (opening, experiment) = (frame.findings.opening.clone(), frame.experiment.clone());
        let request = Request {
            set: self.plan.set,
            global: self.global,
            reproducer,
            dir: &frame.dir.clone(),
            known: std::mem::take(&mut self.attempts),
            about: About { opening: &opening, experiment: &experiment },
        };
        let made = reproduce::reproduce(probe, &culprits, &request, &self.progress, |made| {
            frame.findings.reproducers = made.clone();
            frame.tell();
        });
        made.keep(&mut frame.findings.reproducers)
    }

    /// What makes the outputs agree, or what single nodes do to them: nodes in float32, or nodes left unquantised.
    fn cure(&self, probe: &mut Probe, args: &CureArgs, locals: Locals, goal: Goal) -> Ended<Cure> {
        let lab = probe.lab;
        let part = self.plan.set.shard;
        let frame = cure::Frame { part, ..cure::Frame::new(args, &self.frame.dir, &self.progress) };
        let measured = &self.frame.findings.measured.tensors;
        match lab.candidate.spec.model.is_some() {
            true => match undynamic::undynamic(probe, &lab.outputs, &frame, goal) {
                Some(reached) => reached,
                None => unquantise::unquantise(probe, &lab.outputs, measured, &frame, goal),
            },
            false => precision::cure(probe, &lab.outputs, locals, &frame, goal),
        }
    }
}

/// What a search for fusions is asked.
fn asked<'a>(lab: &'a Lab, right: &'a [Tensors], dir: &'a Path, progress: &'a Progress) -> fusion::Request<'a> {
    fusion::Request { lab, right, most: FUSIONS, dir, progress }
}

/// What the run is to answer.
fn wanted(search: &SearchArgs) -> Wanted {
    match search.by {
        By::Tensors => Wanted::Culprits,
        By::Precision => Wanted::Precision,
        By::BuildRoute => Wanted::Routes,
        By::Optimizer => Wanted::Optimizers,
        By::Fusion => Wanted::Fusion,
    }
}

/// The journal to go on with: the user's, or that of the run that died before this one, as far as there is one.
fn journal(path: &Path, experiment: &Experiment, resume: bool) -> anyhow::Result<(Journal, Known)> {
    if resume || runtime::died().is_none() {
        return Journal::open(path, experiment, resume);
    }
    Journal::open(path, experiment, true).or_else(|_| Journal::open(path, experiment, false))
}

/// What `--by` asks of the candidate and of the other flags.
fn searchable(plan: &Plan, candidate: &Side) -> anyhow::Result<()> {
    let own_model = candidate.spec.model.is_some();
    let lowered = candidate.lowering.low().is_some() && !own_model;
    ensure!(
        plan.search.by != By::Precision || (lowered && plan.cure.is_some()),
        "--by precision looks for nodes that must stay in FP32: use `bisect` with a candidate of FP16, BF16 or TF32 that runs this very model, and without --no-overrides"
    );
    ensure!(
        plan.search
            .observe
            .wish()
            .is_none_or(|way| !candidate.is_engine() || !candidate.runs() || candidate.observes(way)),
        "--observe: {} {} cannot show tensors in this way, which newer versions can; use --observe outputs",
        candidate.about().info.backend,
        candidate.about().info.version
    );
    ensure!(
        plan.search.by != By::BuildRoute || candidate.is_engine(),
        "--by build-route turns the knobs of TensorRT's compiler; use --candidate trt"
    );
    ensure!(
        plan.search.by != By::Optimizer || candidate.deploys.is_some() || candidate.fuses(),
        "--by optimizer turns optimizers of ONNX Runtime off; use a candidate that is deployed in it (ort@MODEL, ort-NAME), and not --optimization off"
    );
    ensure!(
        plan.search.by != By::Fusion || fusion::is_a_question(candidate),
        "--by fusion builds the candidate again with more outputs; use one that fuses nodes and is built here: trt, ort-NAME or ort@MODEL, no ready engine, and not --optimization off"
    );
    Ok(())
}

/// A search is one: what can be shared is what single nodes do.
fn shareable(plan: &Plan) -> anyhow::Result<()> {
    let asked = plan.cure.is_some_and(|cure| cure.sensitivity.is_some());
    ensure!(
        plan.set.shard.is_none() || asked && plan.set.sweep.is_empty(),
        "--shard splits samples and sizes (`layerdiff compare`, `stages`) or the nodes of --sensitivity, not a search; share the comparison, and bisect what fails"
    );
    Ok(())
}

/// Samples that are held back confirm what others found: one at least must be left to search with.
fn enough_samples(holdout: u64, samples: usize) -> anyhow::Result<()> {
    ensure!(
        holdout == 0 || holdout < samples as u64,
        "--holdout {holdout} leaves no sample to search with, for there {}; give more (--inputs, --samples) or hold back fewer",
        if samples == 1 { "is one".to_string() } else { format!("are {samples}") }
    );
    Ok(())
}
