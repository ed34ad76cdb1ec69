//! From measurements to what is said: the verdict, the culprits with their proof, the files, the exit status.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::SetArgs;
use crate::find::explain::explain;
use crate::find::isolate;
use crate::found::{self, Culprit, Kind, NodeRef, Realised, Report, Status, Verdict};
use crate::graph::{Graph, Node, Source};
use crate::lab::Probe;
use crate::load::npz;
use crate::open::opening;
use crate::run::RunError;
use crate::search::Suspect;
use crate::show::files::{self, HTML, Lost, MARKDOWN};
use crate::show::report as pages;
use crate::tensor::Tensors;
use crate::terminal;

/// Exit statuses, as diff(1) has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Agreed = 0,
    Diverged = 1,
    BadInput = 2,
    Inconclusive = 3,
}

impl Exit {
    pub fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Agreed => Exit::Agreed,
            Verdict::Diverged => Exit::Diverged,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }
}

/// The verdict from the outputs: one that diverges decides; one that could not be compared is not an agreement.
pub fn judge(report: &mut Report) {
    let with = |status: Status| report.outputs.iter().filter(move |o| o.status == status);
    (report.verdict, report.why) = match (with(Status::Diverges).next(), with(Status::NotCompared).next()) {
        (Some(_), _) => (Verdict::Diverged, None),
        (None, Some(o)) => {
            let why = o.why.clone().unwrap_or_default();
            (Verdict::Inconclusive, Some(format!("output '{}' was not compared: {why}", o.name)))
        }
        (None, None) => (Verdict::Agreed, None),
    };
}

/// Each suspect becomes a culprit: its node is run alone, and the two errors together say what it did.
pub fn accuse(report: &mut Report, probe: &mut Probe, suspects: &[Suspect], most: usize) -> Result<(), RunError> {
    let mut seen: Vec<usize> = Vec::new();
    let (backend, chosen) = (&probe.candidate.backend, chosen(probe, suspects, most));
    // Of what it compared itself, the candidate kept what agrees.
    if backend.compares() {
        isolate::gather(probe, &chosen.iter().map(|(item, _)| *item).collect::<Vec<_>>())?;
    }
    let mut alone = match backend.is_engine() && backend.runs() {
        true => isolate::together(probe, &chosen)?,
        false => HashMap::new(),
    };
    for suspect in suspects {
        let graph = &probe.reference.graph;
        let id = graph.tensors[suspect.item].node;
        // Several outputs of one node are one culprit, named by its first.
        if seen.contains(&id) {
            continue;
        }
        if seen.len() == most {
            report.warnings.push(format!("there are more culprits than --max-culprits {most}"));
            break;
        }
        seen.push(id);
        let measured = probe.results[suspect.item].as_ref().and_then(|r| r.metrics.clone());
        let accumulated = measured.unwrap_or_default();
        let node = node_ref(graph, &graph.nodes[id]);
        let tensor = graph.tensors[suspect.item].key.clone();
        let region = region(graph, suspect);
        let local =
            isolate::isolate(probe, suspect.item, region.len() > 1, accumulated.sample, alone.remove(&suspect.item))?;
        let inputs_agree =
            suspect.inputs.iter().all(|i| probe.results[*i].as_ref().is_some_and(|r| r.status == Status::Agrees));
        let given = given(&probe.reference.graph.nodes[id]);
        let mut culprit = Culprit {
            node,
            tensor,
            accumulated,
            local: local.metrics,
            inputs_agree,
            given,
            kind: if region.len() > 1 { Kind::Region } else { local.kind },
            engine: realised(probe, id),
            region,
            diagnosis: Vec::new(),
            why: Some(local.why),
        };
        culprit.diagnosis = explain(probe, &culprit)?;
        report.culprits.push(culprit);
    }
    Ok(())
}

/// One tensor of each suspected node, with the sample that fails worst.
fn chosen(probe: &Probe, suspects: &[Suspect], most: usize) -> Vec<(usize, usize)> {
    let mut seen = HashSet::new();
    let first = suspects.iter().filter(|s| seen.insert(probe.reference.graph.tensors[s.item].node));
    let sample = |item: usize| Some(probe.results[item].as_ref()?.metrics.as_ref()?.sample);
    first.take(most).map(|s| (s.item, sample(s.item).unwrap_or(0))).collect()
}

/// The layer of the unmarked engine that the node went into.
fn realised(probe: &Probe, node: usize) -> Option<Realised> {
    let name = &probe.reference.graph.nodes[node].name;
    let layer = probe.built.as_ref()?.layers.iter().find(|layer| layer.nodes.contains(name))?;
    Some(Realised { layer: layer.name.clone(), types: layer.types.clone(), nodes: layer.nodes.clone() })
}

/// The nodes of a suspect's region by name, constants left out: they are compared as files.
fn region(graph: &Graph, suspect: &Suspect) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let makers = suspect.region.iter().filter(|t| **t == suspect.item || !graph.is_constant(**t));
    for node in makers.map(|t| graph.producer(*t)) {
        if !names.contains(&node.name) {
            names.push(node.name.clone());
        }
    }
    names
}

/// What the node reads that no node makes.
fn given(node: &Node) -> Vec<String> {
    let made = |source: &Source| matches!(source, Source::Tensor(_));
    node.reads.iter().filter(|r| !made(&r.source)).map(|r| r.name.clone()).collect()
}

/// The node, for the report.
pub fn node_ref(graph: &Graph, node: &Node) -> NodeRef {
    NodeRef {
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        domain: node.domain.clone(),
        index: node.index,
        inputs: node.reads.iter().map(|r| r.name.clone()).collect(),
        outputs: node.writes.iter().map(|t| graph.tensors[*t].name.clone()).collect(),
        subgraph: node.subgraph(),
    }
}

/// What `--by precision` says in place of culprits.
pub fn by_precision(report: &Report) -> Option<String> {
    let cure = report.overrides.as_ref()?;
    Some(match (cure.nodes.len(), cure.verified) {
        (0, _) => "the outputs diverge, and no set of nodes in FP32 was found that cures them".to_string(),
        (n, true) => format!(
            "the outputs diverge, and agree with {n} of {} nodes in FP32; no tensor inside was looked at",
            cure.of
        ),
        (n, false) => format!("the outputs diverge; {n} nodes in FP32 are the best set so far, and it is not verified"),
    })
}

/// Everything that was measured, and what it cost.
pub fn measured(report: &mut Report, probe: &Probe) {
    report.tensors = probe.results.iter().flatten().cloned().collect();
    let compared = report.tensors.iter().filter(|t| t.status != Status::NotCompared).count();
    let search = &mut report.search;
    search.tensors_compared = compared;
    search.tensors_not_compared = report.tensors.len() - compared;
    search.candidate_builds = probe.counts.candidate_builds;
    search.candidate_runs = probe.counts.candidate_runs;
    search.reference_runs = probe.counts.reference_runs;
    search.trust_builds = probe.counts.trust_builds;
    search.proof_builds = probe.counts.proof_builds;
    search.perturbed = probe.counts.perturbed;
    if probe.candidate.backend.is_engine() {
        search.observed = probe.sight.ways.iter().map(|way| format!("{way:?}").to_lowercase()).collect();
    }
    if let Some(why) = &probe.unjudged {
        report.warnings.push(format!("the GPU's values were copied to the host and compared there: {why}"));
    }
    match (search.perturbed, probe.sight.disturbed) {
        (false, _) => {}
        (true, 0) => report.warnings.push("marking tensors changed the candidate's own outputs: what was measured may differ from what the unmarked model does".to_string()),
        (true, 1) => report.warnings.push("marking tensors changed the engine's own outputs in one build; nothing was concluded from it".to_string()),
        (true, n) => report.warnings.push(format!("marking tensors changed the engine's own outputs in {n} builds; nothing was concluded from them")),
    }
}

/// What stdout shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The answer, with the tensors around it.
    Answer,
    /// Every tensor in one table, then the answer.
    Table,
}

/// Files, then stdout: whatever cannot be written is told in a sentence each, and keeps nothing else from being written.
/// It is an error, so that the exit status claims no more than was delivered, where it is report.json or a file that the
/// user asked for; the pages can be made again from report.json.
pub fn write(
    report: &Report,
    args: &SetArgs,
    dir: &Path,
    saved: Option<Tensors>,
    shown: Shown,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    opening::finished();
    let mut lost = files::write(report, dir);
    if let (Some(path), Some(tensors)) = (&args.save_tensors, saved) {
        lost.extend(npz::write(path, &tensors).err().map(|why| Lost { name: "", why }));
    }
    let page = (!lost.iter().any(|l| l.name == HTML)).then(|| dir.join(HTML));
    let said = said(report, args, page, shown).and_then(|text| {
        out.write_all(text.as_bytes()).context("cannot write to stdout")?;
        out.flush().context("cannot write to stdout")
    });
    let (pages, promised): (Vec<Lost>, Vec<Lost>) = lost.into_iter().partition(|l| [HTML, MARKDOWN].contains(&l.name));
    pages.iter().for_each(|page| terminal::say(format_args!("{:#}", page.why)));
    let promised = promised.into_iter().map(|l| Err(RunError::Unclear(format!("{:#}", l.why)).into()));
    promised.fold(said, first)
}

/// The first of two failures; the other one is told.
pub fn first(one: anyhow::Result<()>, other: anyhow::Result<()>) -> anyhow::Result<()> {
    if let (Err(_), Err(other)) = (&one, &other) {
        terminal::say(format_args!("{other:#}"));
    }
    one.and(other)
}

/// What stdout gets.
fn said(report: &Report, args: &SetArgs, page: Option<PathBuf>, shown: Shown) -> anyhow::Result<String> {
    if args.json {
        return found::json::to_string(report);
    }
    let table = match shown {
        Shown::Answer => String::new(),
        Shown::Table => pages::every_tensor(report, colour(), width()) + "\n",
    };
    let location = page.map(|page| pages::location(&page.display().to_string(), colour(), width()));
    Ok(table + &pages::summary(report, colour(), width()) + &location.unwrap_or_default())
}

/// Does anybody see colours on stdout?
pub fn colour() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Columns of the terminal; 120 where there is none.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    columns.filter(|c| *c >= 60).unwrap_or(120)
}
