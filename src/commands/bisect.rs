//! `layerdiff bisect`: unmarked runs -> verdict -> search -> isolate -> rank -> reduce -> report.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use crate::cli::{BisectArgs, By, CureArgs, GlobalArgs, ReproducerArgs, SearchArgs, SetArgs, Strategy};
use crate::cure::drive::{precision, unquantise};
use crate::find::verdict::{self, Exit, Shown};
use crate::find::{narrow, rank, route, scan, trust};
use crate::found::experiment::Experiment;
use crate::found::{Report, Verdict};
use crate::lab::first::First;
use crate::lab::journal::{Journal, Known};
use crate::lab::{Probe, Side};
use crate::open::prepare::{self, Prepared, prepare};
use crate::open::{asked, opening, untouched};
use crate::progress::Progress;
use crate::reduce::drive::deliver;
use crate::reduce::drive::reproduce::{self, Request};
use crate::run::RunError;
use crate::run::ort::runtime;

/// Builds that a search for knobs may cost.
const ROUTES: u64 = 200;

/// What is wanted: to find, and to cut out what was found.
pub struct Plan<'a> {
    pub set: &'a SetArgs,
    pub search: &'a SearchArgs,
    /// `None`: find and prove, but cut nothing out.
    pub reproducer: Option<&'a ReproducerArgs>,
    /// `None`: look for no precision overrides.
    pub cure: Option<&'a CureArgs>,
}

pub fn run(args: &BisectArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let reproducer = (!args.no_reduce).then_some(&args.reproducer);
    let cure = (!args.cure.no_overrides).then_some(&args.cure);
    let report = find(&Plan { set: &args.set, search: &args.search, reproducer, cure }, global, out)?;
    Ok(Exit::of(report.verdict))
}

/// Finds, proves, cuts out and reports.
pub fn find(plan: &Plan, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Report> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    opening::settled(
        prepare(plan.set, global, wants_everything(plan.search))
            .and_then(|(prepared, first)| answer(plan, global, prepared, first, started, progress, out)),
    )
}

/// The same, of two sides that have run for the first time.
pub fn answer(
    plan: &Plan,
    global: &GlobalArgs,
    prepared: Prepared,
    first: First,
    started: Instant,
    progress: Progress,
    out: &mut dyn Write,
) -> anyhow::Result<Report> {
    let Prepared { reference, candidate, feeds, rules, outputs, dir, .. } = &prepared;
    if let Some(cure) = plan.cure {
        enough_samples(cure.holdout, feeds.len())?;
    }
    searchable(plan, candidate)?;
    untouched::folders(plan.set, &[reference, candidate], dir)?;
    if plan.reproducer.is_some() {
        deliver::check(dir)?;
    }
    let mut experiment = prepared.experiment.clone();
    experiment.flags.extend(asked::of_search(plan.search));
    experiment.flags.extend(plan.reproducer.map(asked::of_reproducer).unwrap_or_default());
    let (journal, known) = journal(&prepare::journal(dir)?, &experiment, plan.search.resume)?;
    let Known { looks, attempts } = known;
    let mut probe = Probe::new(reference, candidate, feeds, rules, first, journal);
    probe.sight.wish = plan.search.observe.wish();
    probe.saved = plan.set.save_tensors.is_some().then(Default::default);
    // Whoever wants the values cannot do with what was said of them.
    if probe.saved.is_none() {
        probe.recall(looks);
    }
    let mut report = prepared.report.clone();
    opening::so_far(dir, &report);

    let mut found = investigate(plan.search, &mut probe, outputs, &mut report, &progress, dir);
    verdict::measured(&mut report, &probe);
    deliver::clear(dir);
    let mut ranked = None;
    if found.is_ok() && report.verdict == Verdict::Diverged && plan.search.by != By::BuildRoute {
        opening::so_far(dir, &report);
        match rank::rank(&mut probe, &mut report, plan.cure.is_some(), &progress) {
            Ok(measured) => ranked = measured,
            Err(e) => found = Err(e),
        }
    }
    if let (Ok(()), Verdict::Diverged, Some(reproducer)) = (&found, report.verdict, plan.reproducer) {
        opening::so_far(dir, &report);
        let request = Request { set: plan.set, global, reproducer, dir, known: attempts };
        let culprits = rank::worth_cutting_out(&report);
        found = reproduce::reproduce(&mut probe, &culprits, &mut report, &request, &progress);
    }
    let cure = plan.cure.filter(|_| plan.search.by != By::BuildRoute);
    if let (Ok(()), Verdict::Diverged, Some(args)) = (&found, report.verdict, cure) {
        opening::so_far(dir, &report);
        found = match candidate.spec.model.is_some() {
            true => unquantise::unquantise(&mut probe, outputs, &mut report, args, dir, &progress),
            false => precision::cure(&mut probe, outputs, &mut report, args, dir, ranked, &progress),
        };
    }
    if plan.search.by == By::Precision && report.verdict == Verdict::Diverged {
        report.why = verdict::by_precision(&report);
    }
    report.seconds = started.elapsed().as_secs_f64();
    if let Err(e) = &found {
        report.verdict = Verdict::Inconclusive;
        report.why = Some(e.to_string());
    }
    drop(progress);
    let written = verdict::write(&report, plan.set, dir, probe.saved.take(), Shown::Answer, out);
    // A crash or a refusal is an answer, and says nothing about accuracy: the report tells it, and so does stderr.
    verdict::first(found.map_err(Into::into), written)?;
    Ok(report)
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
        plan.search.by != By::BuildRoute || candidate.is_engine(),
        "--by build-route turns the knobs of TensorRT's compiler; use --candidate trt"
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

/// Fills in the report from the first run to the last proof.
fn investigate(
    search: &SearchArgs,
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    progress: &Progress,
    dir: &Path,
) -> Result<(), RunError> {
    progress.step("both models, unmarked");
    report.outputs = probe.unmarked(outputs)?;
    verdict::judge(report);
    opening::so_far(dir, report);
    trust::reference(probe, outputs, report, progress)?;
    if report.verdict != Verdict::Diverged {
        return Ok(());
    }
    trust::trust(probe, outputs, report, progress)?;
    if report.verdict != Verdict::Diverged || search.by == By::Precision {
        return Ok(());
    }
    if search.by == By::BuildRoute {
        return route::route(probe, outputs, report, ROUTES, progress);
    }
    let strategy = strategy(search, probe.candidate.is_engine());
    report.search.strategy = format!("{strategy:?}").to_lowercase();
    report.why = Some("the outputs diverge; the search was not finished".to_string());
    opening::so_far(dir, report);

    let searched = Instant::now();
    let suspects = match strategy {
        Strategy::Scan => scan::scan(probe, report, progress)?,
        Strategy::Auto | Strategy::Bisect => narrow::bisect(search, probe, report, progress)?,
    };
    report.search.seconds = searched.elapsed().as_secs_f64();
    progress.step("the culprits alone");
    verdict::accuse(report, probe, &suspects, search.max_culprits as usize)?;
    report.why = match report.culprits.is_empty() {
        true => Some("the outputs diverge, but no tensor above them could be compared".to_string()),
        false => None,
    };
    Ok(())
}

/// Will a divergence be searched by measuring everything?
fn wants_everything(search: &SearchArgs) -> bool {
    search.strategy == Strategy::Scan || (search.strategy == Strategy::Auto && search.marks.is_none())
}

/// What `auto` means: marks are free unless somebody limits them, or an engine is built around them.
fn strategy(search: &SearchArgs, engine: bool) -> Strategy {
    let free = search.strategy == Strategy::Scan || !engine;
    if wants_everything(search) && free { Strategy::Scan } else { Strategy::Bisect }
}
