//! The culprit alone in a low precision that is emulated outside the node: what it reads and what it makes is rounded here, and
//! so one thing of the rounding can be left out. Keeping the whole node in FP32 would make it agree whatever the reason.

use super::{Alone, cut, judge};
use crate::compare::Comparison;
use crate::lab::{Feed, Probe};
use crate::load::testset::tensor_from_proto;
use crate::onnx::ValueInfoProto;
use crate::precision;
use crate::tensor::{DType, Tensor, Tensors};

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Nothing: the precision as it is.
    Nothing,
    /// The largest value: what is larger keeps its exponent.
    Range,
    /// The smallest values: what is smaller keeps its exponent.
    Small,
    /// The rounding of constants.
    Constants,
    /// The rounding of all that the node reads.
    Reads,
}

/// The node, ready to be run with the values that the reference has.
pub struct Bench {
    alone: Alone,
    /// Of the inputs, those that the file has.
    constants: Vec<String>,
    low: DType,
    tensor: usize,
    sample: usize,
}

impl Bench {
    /// The maker of `tensor`, in this storage type; `None` where it has a body, or a value is missing.
    pub fn new(probe: &Probe, tensor: usize, sample: usize, low: DType) -> Option<Bench> {
        let side = &probe.lab.reference;
        if !super::emulates(side) {
            return None;
        }
        let mut alone = cut(probe, side, &[side.graph.tensors[tensor].node], tensor, sample, Feed::Reference)?;
        let graph = alone.model.graph.as_mut()?;
        if graph.node.iter().any(|node| node.subgraphs().next().is_some()) {
            return None;
        }
        let mut constants = Vec::new();
        // As inputs, so that they can be fed rounded.
        for weight in std::mem::take(&mut graph.initializer) {
            let float = weight.dtype().is_some_and(|d| matches!(d, DType::Float32 | DType::Float64));
            if !float {
                graph.initializer.push(weight);
                continue;
            }
            let value = tensor_from_proto(&side.model.inline(&weight)).ok()?;
            graph.input.push(ValueInfoProto::tensor(weight.name(), value.dtype, &value.shape));
            alone.feeds.insert(weight.name().to_string(), value);
            constants.push(weight.name().to_string());
        }
        Some(Bench { alone, constants, low, tensor, sample })
    }

    /// Is a constant of the node infinite in the low type?
    pub fn has_infinite_constant(&self) -> bool {
        let infinite = |name: &String| {
            let value = &self.alone.feeds[name];
            let finite = |t: &Tensor| t.dtype != DType::Float32 || t.view::<f32>().iter().all(|x| x.is_finite());
            finite(value) && !finite(&precision::rounded(value, self.low))
        };
        self.constants.iter().any(infinite)
    }

    /// What the node makes with this undone, against the reference; `None` where it does not run.
    pub fn without(&self, probe: &Probe, undo: Undo) -> Option<Comparison> {
        let round = |(name, value): (&String, &Tensor)| {
            let wide = undo == Undo::Reads || (undo == Undo::Constants && self.constants.contains(name));
            (name.clone(), if wide { value.clone() } else { rounded(value, self.low, undo) })
        };
        let feeds: Tensors = self.alone.feeds.iter().map(round).collect();
        let output = std::slice::from_ref(&self.alone.output);
        let values = probe.lab.reference.run_untouched(&self.alone.model, &[feeds], output).ok()?;
        let made = rounded(values.first()?.get(&self.alone.output)?, self.low, undo);
        judge(probe, self.tensor, self.sample, Some(&made))
    }
}

/// As the low type stores it, but for what is undone.
fn rounded(value: &Tensor, low: DType, undo: Undo) -> Tensor {
    let stored = precision::rounded(value, low);
    if value.dtype != DType::Float32 || !matches!(undo, Undo::Range | Undo::Small) {
        return stored;
    }
    let (wide, stored) = (value.view::<f32>(), stored.view::<f32>());
    let least = if low == DType::Float16 { 2f32.powi(-14) } else { f32::MIN_POSITIVE };
    let values = wide.iter().zip(stored.iter()).map(|(x, rounded)| match undo {
        Undo::Range if x.is_finite() && !rounded.is_finite() => mantissa(*x, low),
        Undo::Small if *x != 0.0 && x.abs() < least => mantissa(*x, low),
        _ => *rounded,
    });
    Tensor::from_vec(DType::Float32, value.shape.clone(), values.collect::<Vec<f32>>())
}

/// The value with as many digits as the low type has, and its own exponent.
fn mantissa(x: f32, low: DType) -> f32 {
    let dropped = if low == DType::Float16 { 13 } else { 16 };
    let half = 1u32 << (dropped - 1);
    let rounded = f32::from_bits((x.to_bits() + half) & !((1 << dropped) - 1));
    if rounded.is_finite() { rounded } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_of_the_rounding_is_left_out() {
        let x = Tensor::f32(&[4], &[1e6, 1e-9, 1.0 + 2f32.powi(-12), 3.0]);
        let of = |undo| rounded(&x, DType::Float16, undo).view::<f32>().to_vec();
        assert_eq!(of(Undo::Nothing), [f32::INFINITY, 0.0, 1.0, 3.0]);
        let [large, small, ..] = of(Undo::Range)[..] else { panic!() };
        assert!((large - 1e6).abs() < 500.0 && large != 1e6 && small == 0.0, "{large} {small}");
        let [large, small, ..] = of(Undo::Small)[..] else { panic!() };
        assert!(large == f32::INFINITY && (small - 1e-9).abs() < 1e-12, "{large} {small}");
        assert_eq!(mantissa(-f32::MAX, DType::Bfloat16), -f32::MAX, "nothing above it");
    }
}
