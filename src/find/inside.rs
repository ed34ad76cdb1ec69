//! What an emulation that adds up in FP32 cannot show: it rounds what a node makes, and computes inside the node in float32. A sum
//! that FP16 would not hold agrees there, and fails on a device that accumulates in FP16.

mod sums;

use crate::compare;
use crate::found::{Arithmetic, Note, Status};
use crate::graph::{Node, Read, Source};
use crate::lab::{Lab, Lowering, Probe};
use crate::onnx::NodeProto;
use crate::run::RunError;
use crate::spec::{Accumulate, Low};
use sums::Sums;

/// Normalisations as one node, by how many of their first inputs are added up to what is normalised.
const NORMS: [(&str, usize); 10] = [
    ("LayerNormalization", 1),
    ("SimplifiedLayerNormalization", 1),
    ("SkipLayerNormalization", 2),
    ("SkipSimplifiedLayerNormalization", 2),
    ("RMSNormalization", 1),
    ("InstanceNormalization", 1),
    ("GroupNormalization", 1),
    ("MeanVarianceNormalization", 1),
    ("LpNormalization", 1),
    ("ReduceL2", 1),
];

/// FP16's largest value, the numbers from which on it is infinite, and its largest error of one rounding.
const MAX: f64 = crate::sums::MAX as f64;
const INFINITE: f64 = crate::sums::INFINITE as f64;
const UNIT: f64 = 1.0 / 2048.0;

/// The remarks on an agreement in emulated FP16 that holds only for devices which add up in FP32. Runs the reference once, where there
/// are nodes that add up and their inputs fit into memory.
pub fn remarks(probe: &mut Probe) -> Result<Vec<Note>, RunError> {
    let lab = probe.lab;
    let agrees = probe.finals.results.iter().all(|output| output.status == Status::Agrees);
    if !agrees
        || lab.candidate.lowering != Lowering::Emulate(Low::Float16)
        || lab.relation.is_own_model()
        || !lab.reference.runs()
    {
        return Ok(Vec::new());
    }
    let sums = Sums::of(&lab.reference, lab.candidate.arithmetic.accumulate);
    let norms = norms(lab);
    let of_norms = norms.iter().flat_map(|(node, n)| node.reads.iter().take(*n));
    fetch(probe, sums.reads().chain(of_norms))?;
    let far = sums.beyond(probe);
    let told = |node: &Node| far.iter().any(|(far, _)| std::ptr::eq(*far, node));
    let mut lost = norms.iter().filter(|(node, _)| !told(node));
    let mut lost = lost.by_ref().filter_map(|(node, n)| Some((*node, why(probe, node, *n)?)));
    let statistics = lost.next().map(|(node, why)| {
        let (name, op_type) = (node.name.clone(), node.op_type.clone());
        Note::StatisticsInside { node: name, op_type, more: lost.count(), why }
    });
    let sums = far.first().map(|(node, reaches)| {
        let (name, op_type) = (node.name.clone(), node.op_type.clone());
        Note::Arithmetic(Arithmetic::SumInside {
            node: name,
            op_type,
            reaches: f64::from(*reaches),
            more: far.len() - 1,
        })
    });
    Ok(sums.into_iter().chain(statistics).collect())
}

/// How far a sum inside the node goes in FP16's place, by the reference's values at hand; `None` where it does not go beyond FP16.
pub fn reach(probe: &Probe, node: &Node, sample: usize) -> Option<f32> {
    Sums::one(&probe.lab.reference, node)?.reach(probe, sample)
}

/// Normalisations whose statistics the candidate does not compute in FP16, and how many of their inputs are normalised.
fn norms(lab: &Lab) -> Vec<(&Node, usize)> {
    let model = &lab.reference.model.proto;
    let emulated = |node: &Node| {
        lab.candidate.arithmetic.accumulate == Accumulate::Fp16 && node.proto(model).is_some_and(crate::sums::takes)
    };
    let inputs = |node: &Node| NORMS.iter().find(|(op, _)| *op == node.op_type).map(|(_, n)| *n);
    let nodes = lab.reference.graph.nodes.iter().filter(|node| !emulated(node));
    nodes.filter_map(|node| Some((node, inputs(node)?))).collect()
}

/// The reference's values of what is read, as far as half of the memory holds them.
fn fetch<'a>(probe: &mut Probe, reads: impl Iterator<Item = &'a Read>) -> Result<(), RunError> {
    let lab = probe.lab;
    let (mut keys, mut room) = (Vec::new(), lab.memory / 2 / lab.feeds.len().max(1) as u64);
    for read in reads {
        let Source::Tensor(t) = read.source else { continue };
        let bytes = lab.survey.size(lab.key(t)) as u64;
        if bytes > room || keys.iter().any(|key| key == lab.key(t)) {
            continue;
        }
        room -= bytes;
        keys.push(lab.key(t).to_string());
    }
    if keys.is_empty() { Ok(()) } else { probe.fetch(&lab.reference, &keys) }
}

/// What of the node's statistics FP16 does not hold, in any sample.
fn why(probe: &Probe, node: &Node, summands: usize) -> Option<String> {
    let proto = node.proto(&probe.lab.reference.model.proto)?;
    (0..probe.lab.feeds.len()).find_map(|sample| {
        let mut reads = node.reads.iter().take(summands).map(|read| match read.source {
            Source::Tensor(t) => probe.reference_value(t, sample),
            _ => probe.lab.feeds[sample].get(&read.name),
        });
        let first = reads.next()??;
        let mut values = compare::to_f64(first);
        for other in reads.flatten().filter(|t| t.shape == first.shape) {
            values.iter_mut().zip(compare::to_f64(other)).for_each(|(x, y)| *x += y);
        }
        lost(&node.op_type, &values, group(proto, &first.shape))
    })
}

/// How many values one statistic is of: those lie side by side for all but LpNormalization, where one is taken at a time.
fn group(node: &NodeProto, shape: &[usize]) -> usize {
    let behind = |axis: usize| shape.get(axis..).map_or(1, |sizes| sizes.iter().product::<usize>()).max(1);
    let int = |name: &str| node.attr(name).and_then(|a| a.i);
    match node.op_type() {
        "InstanceNormalization" => behind(2),
        "GroupNormalization" => {
            let channels = shape.get(1).copied().unwrap_or(1) as i64;
            let groups = int("num_groups").unwrap_or(1).max(1);
            behind(2) * (channels / groups).max(1) as usize
        }
        "LpNormalization" | "MeanVarianceNormalization" | "ReduceL2" => 1,
        _ => {
            let axis = int("axis").unwrap_or(-1);
            behind(usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).unwrap_or(0))
        }
    }
}

/// What of the statistics of each `group` values FP16 loses.
fn lost(op_type: &str, values: &[f64], group: usize) -> Option<String> {
    let centred =
        !["RMSNormalization", "LpNormalization", "ReduceL2"].contains(&op_type) && !op_type.contains("Simplified");
    let mut furthest: f64 = 0.0;
    let mut worst: Option<(f64, f64)> = None;
    for values in values.chunks(group).filter(|group| group.iter().all(|x| x.is_finite())) {
        let n = values.len() as f64;
        let mean = if centred && group > 1 { values.iter().sum::<f64>() / n } else { 0.0 };
        furthest = values.iter().fold(furthest, |most, x| most.max((x - mean).abs()));
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        // Beyond what the rounding of the values themselves is.
        let varies = variance > (4.0 * UNIT * mean).powi(2);
        if varies && variance < UNIT * mean * mean && worst.is_none_or(|(_, least)| variance < least) {
            worst = Some((mean, variance));
        }
    }
    if furthest * furthest >= INFINITE {
        let from = if centred && group > 1 { "values are up to {} from their mean" } else { "values are up to {}" };
        let (from, square) = (from.replace("{}", &short(furthest)), short(furthest * furthest));
        return Some(format!("{from}, and their squares, up to {square}, exceed FP16's largest value, {MAX}"));
    }
    worst.map(|(mean, variance)| {
        format!(
            "a mean of {} has a variance of {}, which is lost in FP16 where it is taken as the mean of the squares less the square of the mean",
            short(mean),
            short(variance)
        )
    })
}

fn short(x: f64) -> String {
    crate::found::words::number(x)
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn statistics_that_fp16_does_not_hold() {
        let far = lost("InstanceNormalization", &[5000.0, 5600.0, 1.0, 2.0], 2).unwrap();
        assert!(far.starts_with("values are up to 300 from their mean, and their squares, up to 9.00e4,"), "{far}");
        assert_eq!(lost("LayerNormalization", &[100.0, -100.0, 3.0, 4.0], 4), None);
        assert!(lost("RMSNormalization", &[300.0, 0.0], 2).unwrap().starts_with("values are up to 300, and"));
        assert!(lost("SimplifiedLayerNormalization", &[300.0, 300.0], 2).is_some());
        let flat = lost("LayerNormalization", &[100.0, 101.0, 99.0, 100.0], 4).unwrap();
        assert!(flat.starts_with("a mean of 100 has a variance of 0.500"), "{flat}");
        // What does not vary, and what is not finite.
        assert_eq!(lost("LayerNormalization", &[7.0; 4], 4), None);
        assert_eq!(lost("LayerNormalization", &[f64::NAN, 1e9], 2), None);
    }
}
