//! The evidence with its statistics, measured once, and the questions that several diagnoses ask. Decides nothing.

use super::fit::Fit;
use super::format::{FP32_UNIT, Format};
use super::stats::{self, Pairs, Summary};
use super::{Evidence, Judged, Operand, low_type};
use crate::found::{Kind, Metrics};
use crate::onnx::NodeProto;
use crate::spec::Precision;
use crate::tensor::Tensor;

/// Errors of one size.
const ALIKE: f64 = 1.5;

/// The evidence with its statistics, measured once for all detectors.
pub struct Case<'a> {
    /// What is known of the culprit.
    pub e: &'a Evidence<'a>,
    /// How it was judged.
    pub judged: &'a Judged,
    /// The storage type of low precision, where the candidate has one.
    pub format: Option<Format>,
    /// Of the reference's value of each input slot.
    pub inputs: Vec<Option<Summary>>,
    /// Of the reference's value of the diverging tensor.
    pub output: Option<Summary>,
    /// Of the candidate's value of it.
    pub candidate: Option<Summary>,
    /// Of the diverging tensor.
    pub pairs: Option<Pairs>,
    /// Of the tensor that the candidate quantises, where it does; filled in by whoever knows scales.
    pub fit: Option<Fit>,
}

impl<'a> Case<'a> {
    /// Measures every value of the evidence once.
    pub fn new(e: &'a Evidence<'a>, judged: &'a Judged) -> Case<'a> {
        let format = low_type(e).and_then(Format::of);
        let measure = |t: Option<&Tensor>| t.and_then(|t| stats::summary(t, format));
        let inputs = e.inputs.iter().map(|i| measure(i.value)).collect();
        let both = e.output.zip(e.candidate_output).and_then(|(r, c)| stats::pairs(r, c, format));
        let (output, candidate, pairs) = match both {
            Some((r, c, p)) => (Some(r), Some(c), Some(p)),
            None => (measure(e.output), measure(e.candidate_output), None),
        };
        Case { e, judged, format, inputs, output, candidate, pairs, fit: None }
    }

    /// The operator of the node.
    pub fn op(&self) -> &'a str {
        self.e.node.op_type()
    }

    /// Is it one of these operators, of whatever domain?
    pub fn is_any(&self, op_types: &[&str]) -> bool {
        op_types.contains(&self.op())
    }

    /// The node as users know it, in quotes.
    pub fn name(&self) -> String {
        format!("'{}'", self.e.culprit.node.name)
    }

    /// The input of this slot, if it is not left out.
    pub fn operand(&self, slot: usize) -> Option<&Operand<'a>> {
        self.e.inputs.get(slot).filter(|o| !o.name.is_empty())
    }

    /// The statistics of the input of this slot, if it has a value.
    pub fn input(&self, slot: usize) -> Option<&Summary> {
        self.inputs.get(slot)?.as_ref()
    }

    /// The reference's shape of the input of this slot.
    pub fn shape(&self, slot: usize) -> Option<&'a [usize]> {
        Some(&self.e.inputs.get(slot)?.value?.shape)
    }

    /// The operands that have a summary.
    pub fn measured_inputs(&self) -> impl Iterator<Item = (&Operand<'a>, &Summary)> {
        self.e.inputs.iter().zip(&self.inputs).filter_map(|(o, s)| Some((o, s.as_ref()?)))
    }

    /// The node's own error where it was run alone, else that of the whole run.
    pub fn metrics(&self) -> &'a Metrics {
        self.e.culprit.local.as_ref().unwrap_or(&self.e.culprit.accumulated)
    }

    /// rmse / rms of the reference; `None` where one of them says nothing.
    pub fn relative_error(&self) -> Option<f64> {
        let rms = self.output.as_ref()?.rms();
        let rmse = self.metrics().rmse.0;
        (rms > 0.0 && rmse.is_finite()).then(|| rmse / rms)
    }

    /// The candidate has NaN or infinities that the reference has not, in the whole run or alone.
    pub fn nonfinite_new(&self) -> bool {
        let new = |m: &Metrics| m.cand_nonfinite > m.ref_nonfinite;
        self.pairs.as_ref().is_some_and(|p| p.nan_new + p.inf_new > 0)
            || new(self.metrics())
            || new(&self.e.culprit.accumulated)
    }

    /// What the node computes inside is FP32's: the candidate is the emulation, or as wrong as that, alone.
    pub fn rounds_only(&self) -> bool {
        let (m, broken) = (self.metrics(), |m: &Metrics| m.cand_nonfinite.saturating_sub(m.ref_nonfinite));
        let as_wrong = |emulated: &Metrics| match rho(m, emulated) {
            Some(rho) => (1.0 / ALIKE..=ALIKE).contains(&rho),
            None => broken(m) > 0 && broken(m) == broken(emulated),
        };
        self.judged.emulation || self.e.emulated.is_some_and(as_wrong)
    }

    /// Right on its own; what came in is wrong.
    pub fn amplifies(&self) -> bool {
        self.e.culprit.kind == Kind::Amplifies
    }

    /// One of these op types is within three steps below.
    pub fn read_by(&self, op_types: &[&str]) -> bool {
        self.e.readers.iter().any(|r| op_types.contains(&r.as_str()))
    }

    /// One of these op types is within three steps above.
    pub fn made_by(&self, op_types: &[&str]) -> bool {
        self.e.makers.iter().any(|r| op_types.contains(&r.as_str()))
    }

    /// The largest relative error of one rounding in the candidate.
    pub fn unit(&self) -> f64 {
        match (self.format, self.e.candidate) {
            (Some(f), _) => f.unit,
            (None, Precision::Tf32) => 2f64.powi(-11),
            _ => FP32_UNIT,
        }
    }

    /// x -> x^2: by Mul(x, x), or Pow with the exponent 2.
    pub fn is_square(&self) -> bool {
        let two = |s: &Summary| s.elements == 1 && s.min == 2.0;
        match self.op() {
            "Mul" => self.e.node.input.first() == self.e.node.input.get(1),
            "Pow" => self.input(1).is_some_and(two),
            _ => false,
        }
    }

    /// Terms of the sum that each output value is; `None` for nodes that do not add up.
    pub fn terms(&self) -> Option<usize> {
        let per_output = || {
            let (all, out) = (self.input(0)?.elements, self.output.as_ref()?.elements);
            (out > 0).then(|| (all / out) as usize)
        };
        let last = |shape: &[usize]| shape.last().copied();
        match self.op() {
            "MatMul" | "MatMulInteger" => last(self.shape(0)?),
            "Gemm" if int(self.e.node, "transA") == Some(1) => self.shape(0)?.first().copied(),
            "Gemm" => last(self.shape(0)?),
            "Conv" => {
                let weight = self.shape(1)?;
                Some(weight.get(1..)?.iter().product())
            }
            "AveragePool" => {
                let kernel = self.e.node.attr("kernel_shape")?;
                Some(kernel.ints.iter().product::<i64>().max(1) as usize)
            }
            "CumSum" => last(self.shape(0)?),
            op if op.starts_with("Reduce") || op == "GlobalAveragePool" => per_output(),
            _ => None,
        }
    }
}

/// An integer attribute.
pub fn int(node: &NodeProto, name: &str) -> Option<i64> {
    node.attr(name).and_then(|a| a.i)
}

/// `axis` of a tensor of this rank, counted from the front.
pub fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}

/// The error against the emulation's; `None` where one of them is none or not finite.
pub fn rho(measured: &Metrics, emulated: &Metrics) -> Option<f64> {
    let (error, floor) = (measured.rmse.0, emulated.rmse.0);
    let finite = measured.cand_nonfinite <= measured.ref_nonfinite;
    (finite && error > 0.0 && floor > 0.0 && error.is_finite()).then(|| error / floor)
}
