//! The smallest set of nodes to keep in float32 so that the outputs agree: rank, search, prove, export.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::CureArgs;
use crate::cure::drive::price;
use crate::cure::drive::trials::Trials;
use crate::cure::export::{self, Group, Override, Story};
use crate::cure::{self, Cure, Trial, Units};
use crate::find::rank::{self, Locals};
use crate::found::{Overrides, Real, Report, Sensitivity};
use crate::lab::{Probe, Relation, Side};
use crate::onnx::ModelProto;
use crate::precision::convert::{self, Converter};
use crate::precision::{self, Kept, tf32};
use crate::progress::Progress;
use crate::run::RunError;
use crate::spec::{Low, Precision};
use crate::tensor::{DType, Tensors};

/// The exported files, in the report's folder.
const FOLDER: &str = "overrides";

/// How nodes are kept out of TF32, and what else could be done.
const SPLIT: &str = "TF32 is one switch for all products of a session, so these nodes get their FP32 from three products of split operands; or switch TF32 off: use_tf32=0, NVIDIA_TF32_OVERRIDE=0, trtexec --noTF32";

/// Fills in the report's overrides and the sensitivity of its nodes, where the candidate is a lower precision of the
/// reference's own model. `ranked` is what every node does alone, where that was measured already.
pub fn cure(
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    args: &CureArgs,
    dir: &Path,
    ranked: Option<Locals>,
    progress: &Progress,
) -> Result<(), RunError> {
    let (reference, candidate) = (probe.reference, probe.candidate);
    let own_model = Relation::of(reference, candidate).is_own_model();
    if candidate.lowering.low().is_none() && candidate.spec.precision == Precision::Tf32 {
        report.warnings.push(format!(
            "no overrides were sought: '{}' multiplies in TF32 as a whole; switch TF32 off (NVIDIA_TF32_OVERRIDE=0, trtexec --noTF32), or seek them with ort:tf32",
            candidate.spec
        ));
    }
    let (Some(low), false) = (candidate.lowering.low(), own_model) else { return Ok(()) };
    let local = match ranked {
        Some(local) => local,
        None => {
            progress.step("every node alone");
            rank::local_errors(probe)?
        }
    };
    let right = probe.right_outputs().to_vec();
    let trials = Trials::new(probe, outputs, &right, args.holdout);
    let run = |set: &[usize], feeds: &[Tensors]| {
        let kept = keys(candidate, set);
        candidate.values(&candidate.work(feeds, &trials.outputs).on(&trials.model, &candidate.types).keeping(&kept))
    };
    let rank = |node: usize| local.get(&node).map_or(0.0, |l| l.error);
    let ranks = (0..candidate.graph.nodes.len()).map(rank).collect();
    let units = Units::new(&candidate.graph, cure::groups(&candidate.graph), may_be_kept(candidate, low), ranks);
    let (cure, mut found) = trials.search(&units, args.builds, "in float32", progress, &run)?;
    let ask = |sets: &[Vec<usize>]| trials.ask_all(sets, &run);
    report.sensitivity = sensitivity(candidate, &units, &local, args.sensitivity as usize, ask)?;
    if !cure.nodes.is_empty() {
        progress.step("the price of the overrides");
        let kept = keys(candidate, &cure.nodes);
        price::latency(candidate, &kept, &probe.feeds[0], &mut found)?;
        report.warnings.extend(price::ignored(candidate, &cure.nodes, &kept, &probe.feeds[..1])?);
        match export(candidate, low, &cure, &units, &found, &dir.join(FOLDER)) {
            Ok(files) => found.files = files,
            Err(e) => report.warnings.push(format!("the overrides were found, but not all could be written: {e:#}")),
        }
        let how = (low == Low::Tf32).then(|| SPLIT.to_string());
        found.why = found.why.into_iter().chain(how).reduce(|a, b| format!("{a}; {b}"));
    }
    report.overrides = Some(found);
    Ok(())
}

/// One file for each consumer, the model with explicit Casts among them.
fn export(
    side: &Side,
    low: Low,
    cure: &Cure,
    units: &Units,
    found: &Overrides,
    dir: &Path,
) -> anyhow::Result<BTreeMap<String, String>> {
    let (mixed, refused) = match mixed(side, low, &cure.nodes) {
        Ok(mixed) => (Some(side.model.lean(&mixed)), None),
        Err(e) => (None, Some(e)),
    };
    let group = |part: Vec<usize>| Group { title: units.describe(&part).join(", "), nodes: part };
    let files = export::write(
        dir,
        &Override {
            source: &side.model,
            model: &side.model.proto,
            graph: &side.graph,
            types: &side.types,
            kept: &cure.nodes,
            low: side.spec.precision,
            mixed,
            story: Story {
                verified: found.verified,
                measure: "relative RMS error of the worst output".to_string(),
                error_before: cure.error_before,
                error_after: cure.error_after,
                groups: units.parts(&cure.nodes).into_iter().map(group).collect(),
            },
        },
    )?;
    refused.map_or(Ok(files), Err)
}

/// The candidate's model with these nodes kept in FP32 for any program.
fn mixed(side: &Side, low: Low, nodes: &[usize]) -> anyhow::Result<ModelProto> {
    let Some(low) = low.storage() else {
        return Ok(precision::split(&side.model.proto, &side.types, &keys(side, nodes)));
    };
    let options = convert::Options { low, keep_io: true, int32_inputs: false };
    let converter = Converter::new(&side.model, &side.graph, &side.types, options)?;
    let converted = converter.convert(&|node| {
        let number = node.writes.first().map(|t| side.graph.tensors[*t].node);
        number.is_some_and(|n| nodes.contains(&n))
    })?;
    Ok(converted.model)
}

/// Nodes that make floats, and compute otherwise in `low`. Constants go with who reads them; of an If, what is in its branches.
fn may_be_kept(side: &Side, low: Low) -> Vec<usize> {
    let graph = &side.graph;
    let float = |t: &usize| side.types.get(&graph.tensors[*t].key) == Some(&DType::Float32);
    let hands_on = |n: &usize| graph.nodes[*n].op_type == "Constant" || !graph.nodes[*n].results.is_empty();
    let computes = |n: &usize| !hands_on(n) && graph.nodes[*n].writes.iter().any(float);
    let multiplies = |n: &usize| graph.nodes[*n].proto(&side.model.proto).is_some_and(tf32::multiplies);
    (0..graph.nodes.len()).filter(|n| computes(n) && (low != Low::Tf32 || multiplies(n))).collect()
}

/// The nodes of `set`, as the emulation knows them.
fn keys(side: &Side, set: &[usize]) -> Kept {
    let graph = &side.graph;
    set.iter().flat_map(|n| &graph.nodes[*n].writes).map(|t| graph.tensors[*t].key.clone()).collect()
}

/// The nodes with the largest local errors: what each alone does to the outputs.
fn sensitivity(
    side: &Side,
    units: &Units,
    local: &Locals,
    most: usize,
    ask: impl Fn(&[Vec<usize>]) -> Result<Vec<Trial>, RunError>,
) -> Result<Vec<Sensitivity>, RunError> {
    let mut ranked: Vec<usize> = units.nodes.iter().copied().filter(|n| local.contains_key(n)).collect();
    let error = |node: &usize| local.get(node).map_or(0.0, |l| l.error);
    ranked.sort_by(|a, b| error(b).total_cmp(&error(a)));
    ranked.truncate(most);
    let mut sets: Vec<Vec<usize>> = Vec::new();
    for node in &ranked {
        sets.push(vec![*node]);
        sets.push(units.nodes.iter().copied().filter(|n| n != node).collect());
    }
    let tried = ask(&sets)?;
    let graph = &side.graph;
    let row = |(i, node): (usize, &usize)| Sensitivity {
        node: graph.nodes[*node].name.clone(),
        op_type: graph.nodes[*node].op_type.clone(),
        tensor: local.get(node).map(|l| l.tensor.clone()).unwrap_or_default(),
        local: Real(error(node)),
        promoted: tried.get(2 * i).map(|t| Real(t.error)),
        demoted: tried.get(2 * i + 1).map(|t| Real(t.error)),
    };
    Ok(ranked.iter().enumerate().map(row).collect())
}
