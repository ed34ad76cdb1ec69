//! Gathers what is known of a culprit, and asks for its diagnosis. Measures again only what was forgotten.

pub(super) mod above;
mod misread;
pub(super) mod quantised;
pub mod stepped;

use crate::diagnose::{Around, Evidence, Judged, Operand, Quantised, diagnose_judged};
use crate::find::isolate;
use crate::found::{Culprit, Diagnosis, Metrics};
use crate::graph::{Graph, Node, Source, initializer};
use crate::lab::{Lowering, Probe, Side};
use crate::load::testset::tensor_from_proto;
use crate::onnx::NodeProto;
use crate::precision;
use crate::run::RunError;
use crate::spec::Low;
use crate::tensor::{DType, Tensor};

/// Steps up and down in which the op types are told.
const STEPS: usize = 3;

/// What may be wrong with `culprit`, best first.
pub fn explain(probe: &mut Probe, culprit: &Culprit) -> Result<Vec<Diagnosis>, RunError> {
    let (mine, theirs) = (&probe.lab.reference, &probe.lab.candidate);
    let Some(tensor) = mine.graph.tensor(&culprit.tensor) else { return Ok(Vec::new()) };
    let node = mine.graph.producer(tensor);
    let Some(proto) = node.proto(&mine.model.proto) else { return Ok(Vec::new()) };
    let made = node.reads.iter().filter_map(|r| if let Source::Tensor(t) = r.source { Some(t) } else { None });
    let misread = misreading(probe, culprit, tensor)?;
    if let Some(cause) = misread.cause {
        return Ok(vec![cause]);
    }
    if let Some(cause) = quantised::saturated(probe, culprit, tensor)? {
        return Ok(vec![cause]);
    }
    let mut needed: Vec<usize> = made.chain([tensor]).collect();
    let sample = culprit.accumulated.sample;
    if culprit.accumulated.breaks() {
        // Beside what an epsilon is lost.
        needed.extend(above::guards(probe, tensor, sample).iter().filter_map(|found| found.way.last()));
    }
    probe.values_of(&needed)?;

    let own_model = probe.lab.relation.is_own_model();
    let counterpart = theirs.graph.tensor(&culprit.tensor).filter(|_| own_model);
    let their_node = counterpart.map(|t| maker(&theirs.graph, t));
    let their_proto = their_node.and_then(|n| n.proto(&theirs.model.proto));
    let slot = |(i, name): (usize, &String)| {
        let their_name = their_proto.and_then(|p| p.input.get(i));
        // Integer operators have their weights in other places.
        let float = their_node.filter(|n| !n.op_type.starts_with('Q'));
        let own = float.zip(their_name).and_then(|(n, name)| written(theirs, n, name));
        let slot = Slot::of(probe, node, name, sample, own);
        match their_node.zip(their_name).and_then(|(n, name)| half(theirs, n, name)) {
            Some(half) => slot.stored_as(half),
            None => slot,
        }
    };
    let slots: Vec<Slot> = proto.input.iter().enumerate().map(slot).collect();
    let inputs = proto.input.iter().zip(&slots).map(|(name, s)| Operand {
        name,
        constant: s.constant,
        value: s.value.as_ref(),
        candidate: s.candidate.as_ref(),
        maker: s.maker.as_deref(),
    });
    let emulated = by_itself(probe, theirs, tensor, sample);
    let scales = counterpart.and_then(|t| quantizer(theirs, t));
    let tolerance = probe.reference_value(tensor, sample).map(|t| probe.lab.rules.tolerance(&culprit.tensor, t));
    let evidence = Evidence {
        culprit,
        node: proto,
        opset: mine.model.proto.opset(),
        candidate: theirs.spec.precision,
        own_model,
        inputs: inputs.collect(),
        output: probe.reference_value(tensor, sample),
        candidate_output: probe.candidate_value(tensor, sample),
        quantised: scales.as_ref().map(|(scale, zero_point, axis)| Quantised {
            scale,
            zero_point: zero_point.as_ref(),
            axis: *axis,
        }),
        integers: quantised::is_quantised(probe, tensor),
        emulated: emulated.as_ref(),
        readers: around(&mine.graph, tensor, Graph::children),
        makers: around(&mine.graph, tensor, Graph::parents),
        around: Around {
            guards: above::guards(probe, tensor, sample).into_iter().map(|found| found.guard).collect(),
            reduced: above::reduced(mine, tensor, |name| rank(probe, node, name, sample)),
        },
    };
    let emulation = theirs.only_rounds();
    let judged = Judged {
        tolerance,
        emulation,
        stored: !theirs.runs(),
        alike: is_alike(mine, theirs),
        engine: theirs.is_engine(),
        read_right: misread.tried,
    };
    let known = diagnose_judged(&evidence, &judged);
    quantised::tried(probe, culprit, tensor, known)
}

/// Do the same kernels run the same node on both sides?
fn is_alike(mine: &Side, theirs: &Side) -> bool {
    let version = |side: &Side| side.about().info.version.clone();
    mine.on_cpu() && theirs.on_cpu() && !theirs.fuses() && version(mine) == version(theirs)
}

/// The same library reads integers as they are; elsewhere it is tried.
fn misreading(probe: &mut Probe, culprit: &Culprit, tensor: usize) -> Result<misread::Tried, RunError> {
    match probe.lab.candidate.on_cpu() && !probe.lab.relation.is_own_model() {
        true => Ok(misread::Tried::default()),
        false => misread::tried(probe, culprit, tensor),
    }
}

/// How far off the candidate's precision is by itself, where the candidate is no emulation but computes in it, or does more.
fn by_itself(probe: &Probe, theirs: &Side, tensor: usize, sample: usize) -> Option<Metrics> {
    let half = probe.candidate_value(tensor, sample).and_then(|t| Low::stored_as(t.dtype));
    let low = match theirs.lowering {
        Lowering::None => half.or(theirs.spec.precision.low().filter(|low| *low == Low::Tf32)),
        Lowering::Emulate(_) if theirs.only_rounds() => None,
        Lowering::Emulate(_) | Lowering::Convert(_) | Lowering::Backend(_) | Lowering::Products => {
            theirs.lowering.low()
        }
    };
    isolate::emulated(probe, tensor, sample, low?)
}

/// Dimensions of a tensor, as far as its value, or that of the culprit's, is at hand.
fn rank(probe: &Probe, culprit: &Node, name: &str, sample: usize) -> Option<usize> {
    let graph = &probe.lab.reference.graph;
    let of = |t: usize| probe.reference_value(t, sample).map(|v| v.shape.len());
    let fed = || probe.lab.feeds.get(sample)?.get(name).map(|v| v.shape.len());
    // Elementwise operators around a sum that keeps its axes have them all.
    graph.tensor(name).and_then(of).or_else(fed).or_else(|| culprit.writes.first().and_then(|t| of(*t)))
}

/// What the node reads by this name, where that is of half precision.
fn half(side: &Side, node: &Node, name: &str) -> Option<DType> {
    let home: String = node.scope.iter().map(|step| format!("{}/{}/", step.name, step.attribute)).collect();
    let known = side.types.get(&format!("{home}{name}")).or_else(|| side.types.get(name));
    known.copied().filter(|d| matches!(d, DType::Float16 | DType::Bfloat16))
}

/// An input of the culprit, held while it is looked at.
struct Slot {
    constant: bool,
    value: Option<Tensor>,
    candidate: Option<Tensor>,
    maker: Option<String>,
}

impl Slot {
    /// `own` is the constant that the candidate's file has in the same place.
    fn of(probe: &Probe, node: &Node, name: &str, sample: usize, own: Option<Tensor>) -> Slot {
        let side = &probe.lab.reference;
        let source = node.reads.iter().find(|r| r.name == name).map(|r| &r.source);
        if let Some(value) = written(side, node, name) {
            return Slot { constant: true, value: Some(value), candidate: own, maker: None };
        }
        let (value, candidate, maker) = match source {
            Some(Source::Tensor(t)) => {
                let maker = side.graph.producer(*t).op_type.clone();
                (probe.reference_value(*t, sample), probe.candidate_value(*t, sample), Some(maker))
            }
            Some(Source::Input) => {
                let fed = probe.lab.feeds.get(sample).and_then(|f| f.get(name));
                (fed, fed, None)
            }
            _ => (None, None, None),
        };
        Slot { constant: false, value: value.cloned(), candidate: candidate.cloned(), maker }
    }

    /// What is fed as float32, and read as something else.
    fn stored_as(self, half: DType) -> Slot {
        let cast = self.candidate.as_ref().filter(|t| t.dtype == DType::Float32).and_then(|t| precision::cast(t, half));
        Slot { candidate: cast.or(self.candidate), ..self }
    }
}

/// The value that the file has for `name`, as the node reads it.
pub(super) fn written(side: &Side, node: &Node, name: &str) -> Option<Tensor> {
    let read = node.reads.iter().find(|r| r.name == name)?;
    let main = side.model.proto.graph.as_ref()?;
    match read.source {
        Source::Initializer => {
            let proto = initializer(main, &node.scope, name)?;
            tensor_from_proto(&side.model.inline(proto)).ok()
        }
        Source::Tensor(t) if side.graph.is_constant(t) => {
            let maker = side.graph.producer(t).proto(&side.model.proto).and_then(NodeProto::constant)?;
            tensor_from_proto(&maker).ok()
        }
        _ => None,
    }
}

/// Who makes `tensor`: of integers that are widened, the integer operator (QLinearConv and its like).
fn maker(graph: &Graph, tensor: usize) -> &Node {
    let node = graph.producer(tensor);
    let before = graph.parents(tensor).into_iter().map(|t| graph.producer(t)).find(|n| n.op_type.starts_with('Q'));
    match before {
        Some(integers) if node.op_type == "DequantizeLinear" && integers.op_type != "QuantizeLinear" => integers,
        _ => node,
    }
}

/// Scale, zero point and axis of the QuantizeLinear that reads the tensor.
fn quantizer(side: &Side, tensor: usize) -> Option<(Tensor, Option<Tensor>, Option<i64>)> {
    let graph = &side.graph;
    let reads = |n: &&Node| {
        n.op_type == "QuantizeLinear" && n.reads.first().is_some_and(|r| r.source == Source::Tensor(tensor))
    };
    let node = graph.children(tensor).into_iter().map(|t| graph.producer(t)).find(reads)?;
    let proto = node.proto(&side.model.proto)?;
    let value = |slot: usize| proto.input.get(slot).and_then(|name| written(side, node, name));
    Some((value(1)?, value(2), proto.attr("axis").and_then(|a| a.i)))
}

/// Op types around the maker of `tensor`, the nearest first.
fn around(graph: &Graph, tensor: usize, next: fn(&Graph, usize) -> Vec<usize>) -> Vec<String> {
    let (mut seen, mut from) = (vec![tensor], vec![tensor]);
    let mut op_types: Vec<String> = Vec::new();
    for _ in 0..STEPS {
        from = from.iter().flat_map(|t| next(graph, *t)).collect();
        from.retain(|t| !seen.contains(t));
        from.dedup();
        seen.extend(&from);
        for t in &from {
            let op_type = &graph.producer(*t).op_type;
            if !op_types.contains(op_type) {
                op_types.push(op_type.clone());
            }
        }
    }
    op_types
}
