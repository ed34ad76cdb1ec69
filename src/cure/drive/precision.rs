//! The smallest set of nodes to keep in float32 so that the outputs agree: what may be kept, how a set is run, what it costs.
//! The way from there to the files is [`frame`](super::frame)'s.

use std::collections::BTreeMap;
use std::path::Path;

use super::bench::Bench;
use super::frame::{Frame, Goal, Remedy};
use super::price;
use crate::cure::export::{self, Group, Override, Story};
use crate::cure::{self, Smallest, Units};
use crate::failure::Ended;
use crate::found::{Cure, CureKind, CureNote, Locals, Overrides};
use crate::graph::inline::inline;
use crate::graph::{Graph, Read, Source};
use crate::lab::{Lowering, Probe, Side};
use crate::onnx::ModelProto;
use crate::precision::convert::{self, Converter};
use crate::precision::{self, Kept, tf32};
use crate::progress::Progress;
use crate::run::RunError;
use crate::spec::{Low, Precision};
use crate::tensor::{DType, Tensors};

/// How nodes are kept out of TF32, and what else could be done.
const SPLIT: &str = "TF32 is one switch for all products of a session, so these nodes get their FP32 from three products of split operands; or switch TF32 off: use_tf32=0, NVIDIA_TF32_OVERRIDE=0, trtexec --noTF32";

/// The overrides and the sensitivity of nodes, where the candidate is a lower precision of the reference's own model; nothing
/// elsewhere. `locals` is what every node does alone, as far as that was measured. What was found before an error is there
/// beside it.
pub fn cure(probe: &Probe, outputs: &[String], locals: Locals, frame: &Frame, goal: Goal) -> Ended<Cure> {
    let candidate = &probe.lab.candidate;
    let (Some(low), false) = (candidate.lowering.low(), probe.lab.relation.is_own_model()) else {
        let notes = whole_tf32(candidate).into_iter().filter(|_| goal == Goal::Cure).collect();
        return Ended::well(Cure { notes, ..Cure::default() });
    };
    let remedy = InFloat32::new((candidate, &probe.lab.reference), low, locals, &probe.lab.feeds);
    let bench = Bench::new(probe, outputs);
    let trials = bench.trials(frame.holdout, |set, feeds| {
        let kept = keys(candidate, set);
        candidate.values(&candidate.work(feeds, &bench.outputs).on(&bench.model, &candidate.types).keeping(&kept))
    });
    frame.reach(goal, &remedy, &trials)
}

/// A candidate that no node can be kept out of.
fn whole_tf32(candidate: &Side) -> Option<CureNote> {
    let whole = candidate.lowering.low().is_none() && candidate.spec.precision == Precision::Tf32;
    whole.then(|| CureNote::WholeTf32 { candidate: candidate.spec.to_string() })
}

/// Nodes kept in float32 while the others run in `low`.
struct InFloat32<'a> {
    side: &'a Side,
    reference: &'a Side,
    low: Low,
    locals: Locals,
    units: Units,
    feeds: &'a [Tensors],
}

impl<'a> InFloat32<'a> {
    fn new((side, reference): (&'a Side, &'a Side), low: Low, locals: Locals, feeds: &'a [Tensors]) -> InFloat32<'a> {
        let rank = |node: usize| locals.get(&node).map_or(0.0, |l| l.error);
        let ranks = (0..side.graph.nodes.len()).map(rank).collect();
        let units = Units::new(&side.graph, cure::groups(&side.graph), may_be_kept(side, low), ranks);
        InFloat32 { side, reference, low, locals, units, feeds }
    }
}

impl Remedy for InFloat32<'_> {
    fn kind(&self) -> CureKind {
        if self.low == Low::Tf32 { CureKind::Split } else { CureKind::Fp32 }
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn low(&self) -> String {
        self.side.spec.precision.to_string().to_uppercase()
    }

    fn local(&self, node: usize) -> Option<(&str, f64)> {
        self.locals.get(&node).map(|local| (local.tensor.as_str(), local.error))
    }

    fn remark(&self, nodes: &[usize]) -> Option<String> {
        (self.low == Low::Tf32 && !nodes.is_empty()).then(|| SPLIT.to_string())
    }

    fn price(&self, nodes: &[usize], found: &mut Overrides, progress: &Progress) -> Result<Vec<CureNote>, RunError> {
        progress.step("the price of the overrides");
        let kept = keys(self.side, nodes);
        let nothing = Kept::new();
        let work = self.side.work(&self.feeds[..1], &[]);
        let (before, after) = (work.clone().keeping(&nothing), work.keeping(&kept));
        if self.side.lowering != Lowering::None {
            price::latency((self.side, self.reference), (&before, &after), found)?;
        }
        price::ignored(self.side, nodes, &kept, &self.feeds[..1])
    }

    /// One file for each consumer, the model with explicit Casts among them. What could be written stays where that could not
    /// be made.
    fn export(&self, dir: &Path, set: &Smallest, found: &Overrides) -> anyhow::Result<BTreeMap<String, String>> {
        if set.nodes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (side, units) = (self.side, &self.units);
        let (mixed, refused) = match mixed(side, self.low, &set.nodes) {
            Ok(mixed) => (Some(mixed), None),
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
                kept: &set.nodes,
                low: side.spec.precision,
                mixed,
                story: Story {
                    verified: found.verified,
                    limited: found.limited,
                    measure: "relative RMS error of the worst output".to_string(),
                    error_before: set.error_before,
                    error_after: set.error_after,
                    groups: units.parts(&set.nodes).into_iter().map(group).collect(),
                },
            },
        )?;
        refused.map_or(Ok(files), Err)
    }
}

/// The candidate's model with these nodes kept in FP32 for any program. Functions are gone: what was kept of the calls is kept
/// of their bodies.
fn mixed(side: &Side, low: Low, nodes: &[usize]) -> anyhow::Result<ModelProto> {
    let kept = keys(side, nodes);
    let inlined = inline(&side.model.proto);
    let kept = inlined.as_ref().map_or(kept.clone(), |inlined| inlined.with_bodies(&kept));
    let model = inlined.map_or_else(|| side.model.clone(), |inlined| side.model.edited(inlined.model));
    let Some(low) = low.storage() else {
        return Ok(precision::split(&model.proto, &side.types, &kept));
    };
    let options = convert::Options { low, keep_io: true, int32_inputs: false };
    let graph = Graph::new(&model.proto)?;
    let converter = Converter::new(&model, &graph, &side.types, options)?;
    let converted =
        converter.convert(&|node| node.writes.first().is_some_and(|t| kept.contains(&graph.tensors[*t].key)))?;
    Ok(converted.model)
}

/// Nodes that make floats, and compute otherwise in `low`; and those that make a choice of floats (a comparison, the best of a
/// row, an index), which falls otherwise in `low`. Constants go with who reads them; of an If, what is in its branches.
fn may_be_kept(side: &Side, low: Low) -> Vec<usize> {
    let (graph, model) = (&side.graph, &side.model.proto);
    // An emulation rounds float64 too.
    let rounds = |dtype: &DType| match dtype {
        DType::Float32 => true,
        DType::Float64 => matches!(side.lowering, Lowering::Emulate(low) if low.storage().is_some()),
        _ => false,
    };
    let float = |name: &str| side.types.get(name).is_some_and(rounds);
    let makes = |t: &usize| float(&graph.tensors[*t].key);
    let reads = |r: &Read| match r.source {
        Source::Tensor(t) => float(&graph.tensors[t].key),
        Source::Input | Source::Initializer => float(&r.name),
    };
    let hands_on = |n: &usize| graph.nodes[*n].op_type == "Constant" || !graph.nodes[*n].results.is_empty();
    let sees_values = |n: &usize| !BLIND.contains(&graph.nodes[*n].op_type.as_str());
    let chooses = |n: &usize| graph.nodes[*n].reads.iter().any(reads) && sees_values(n);
    let computes = |n: &usize| !hands_on(n) && (graph.nodes[*n].writes.iter().any(makes) || chooses(n));
    let multiplies = |n: &usize| graph.nodes[*n].proto(model).is_some_and(|node| tf32::multiplies(node, model));
    (0..graph.nodes.len()).filter(|n| computes(n) && (low != Low::Tf32 || multiplies(n))).collect()
}

/// Operators that see no values.
const BLIND: [&str; 2] = ["Shape", "Size"];

/// The nodes of `set`, as the emulation knows them.
fn keys(side: &Side, set: &[usize]) -> Kept {
    let graph = &side.graph;
    set.iter().flat_map(|n| &graph.nodes[*n].writes).map(|t| graph.tensors[*t].key.clone()).collect()
}
