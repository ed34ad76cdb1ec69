//! `layerdiff bisect`: unmarked runs -> verdict -> search -> isolate -> report.

use std::io::Write;
use std::time::Instant;

use super::narrow;
use super::prepare::{self, Prepared, prepare};
use super::progress::Progress;
use super::verdict::{self, Exit};
use crate::cli::{BisectArgs, GlobalArgs, Strategy};
use crate::probe::Probe;
use crate::probe::journal::Journal;
use crate::report::{Report, Status, Verdict};
use crate::run::RunError;
use crate::search::{self, Answer, Dag, Suspect};

pub fn run(args: &BisectArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    let (prepared, first) = prepare(&args.set, global, wants_everything(args))?;
    let Prepared { reference, candidate, feeds, rules, outputs, dir, .. } = &prepared;
    let (journal, known) = Journal::open(&dir.join("journal.jsonl"), &prepared.question(), args.resume)?;
    let mut probe = Probe::new(reference, candidate, feeds, rules, first, journal);
    probe.recall(known);
    probe.saved = args.set.save_tensors.is_some().then(Default::default);
    let mut report = prepared.report.clone();
    prepare::so_far(dir, &report);

    let found = investigate(args, &mut probe, outputs, &mut report, &progress, dir);
    verdict::measured(&mut report, &probe);
    report.seconds = started.elapsed().as_secs_f64();
    let failed = match found {
        Ok(()) => None,
        Err(e) => {
            report.verdict = Verdict::Inconclusive;
            report.why = Some(e.to_string());
            Some(e)
        }
    };
    drop(progress);
    verdict::write(&report, &args.set, dir, probe.saved.take(), out)?;
    match failed {
        // A crash or a refusal is an answer, and says nothing about accuracy: the report tells it, and so does stderr.
        Some(e) => Err(e.into()),
        None => Ok(Exit::of(report.verdict)),
    }
}

/// Fills in the report from the first run to the last proof.
fn investigate(
    args: &BisectArgs,
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    progress: &Progress,
    dir: &std::path::Path,
) -> Result<(), RunError> {
    progress.step("both models, unmarked");
    report.outputs = probe.unmarked(outputs)?;
    verdict::judge(report);
    if report.verdict != Verdict::Diverged {
        return Ok(());
    }
    let strategy = strategy(args);
    report.search.strategy = format!("{strategy:?}").to_lowercase();
    report.why = Some("the outputs diverge; the search was not finished".to_string());
    prepare::so_far(dir, report);

    let searched = Instant::now();
    let suspects = match strategy {
        Strategy::Scan => scan(probe, report, progress)?,
        Strategy::Auto | Strategy::Bisect => narrow::bisect(args, probe, report, progress)?,
    };
    report.search.seconds = searched.elapsed().as_secs_f64();
    progress.step("the culprits alone");
    verdict::accuse(report, probe, &suspects, args.max_culprits as usize)?;
    report.why = match report.culprits.is_empty() {
        true => Some("the outputs diverge, but no tensor above them could be compared".to_string()),
        false => None,
    };
    Ok(())
}

/// Will a divergence be searched by measuring everything?
fn wants_everything(args: &BisectArgs) -> bool {
    args.strategy == Strategy::Scan || (args.strategy == Strategy::Auto && args.marks.is_none())
}

/// What `auto` means: marks are free unless somebody limits them.
fn strategy(args: &BisectArgs) -> Strategy {
    if wants_everything(args) { Strategy::Scan } else { Strategy::Bisect }
}

/// Everything, in batches whose values fit into memory.
fn scan(probe: &mut Probe, report: &Report, progress: &Progress) -> Result<Vec<Suspect>, RunError> {
    let targets = targets(probe, report);
    for batch in batches(probe) {
        progress.step(format!("scanning {} tensors", batch.len()));
        probe.measure(&batch)?;
    }
    let answers: Vec<Answer> = probe.answers().into_iter().map(|a| a.unwrap_or(Answer::Unknown)).collect();
    Ok(search::classify(&dag(probe), &answers, &targets))
}

/// Tensors that need a run, in topological order, cut so that the values of a batch fit into memory.
pub fn batches(probe: &mut Probe) -> Vec<Vec<usize>> {
    let known = probe.known();
    let samples = probe.feeds.len();
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0u64;
    for tensor in (0..known.len()).filter(|t| known[*t].is_none()) {
        let size = (2 * samples * probe.survey.size(&probe.reference.graph.tensors[tensor].key)) as u64;
        match batches.last_mut() {
            Some(batch) if size <= room => {
                batch.push(tensor);
                room -= size;
            }
            _ => {
                batches.push(vec![tensor]);
                room = probe.memory.saturating_sub(size);
            }
        }
    }
    batches
}

/// The diverging outputs that a node makes.
pub fn targets(probe: &Probe, report: &Report) -> Vec<usize> {
    let diverging = report.outputs.iter().filter(|o| o.status == Status::Diverges);
    diverging.filter_map(|o| probe.reference.graph.tensor(&o.name)).collect()
}

/// The reference's tensors as `classify` sees them: numbers and their parents.
fn dag(probe: &Probe) -> Dag {
    let graph = &probe.reference.graph;
    Dag::new((0..graph.tensors.len()).map(|t| parents(probe, t)).collect())
}

/// What a tensor was computed from: branches that did not run gave nothing.
pub fn parents(probe: &Probe, tensor: usize) -> Vec<usize> {
    let mut parents = probe.reference.graph.parents(tensor);
    parents.retain(|p| probe.ran(*p));
    parents
}
