//! Evidence in one line, for the tests of the diagnoses.

use super::{Around, Evidence, Guard, Judged, Operand, Quantised, Reduced, diagnose, diagnose_judged};
use crate::compare::{self, Tolerance};
use crate::found::{Culprit, Diagnosis, Kind, Metrics, NodeRef};
use crate::onnx::{AttributeProto, NodeProto, attribute_type};
use crate::spec::Precision;
use crate::tensor::{DType, Tensor};

pub struct Sample {
    node: NodeProto,
    own_file: bool,
    slots: Vec<Slot>,
    precision: Precision,
    kind: Kind,
    output: Option<Tensor>,
    candidate: Option<Tensor>,
    scale: Option<(Tensor, Tensor, Option<i64>)>,
    emulated: Option<Metrics>,
    integers: bool,
    readers: Vec<String>,
    makers: Vec<String>,
    guards: Vec<Guard>,
    reduced: Option<Reduced>,
    opset: i64,
    judged: Option<Judged>,
}

#[derive(Default)]
struct Slot {
    constant: bool,
    value: Option<Tensor>,
    their: Option<Tensor>,
}

/// The sample has this diagnosis, and its evidence says so.
pub fn check(sample: Sample, code: &str, evidence: &str) {
    let all = sample.diagnoses();
    let found = all.iter().find(|d| d.code == code);
    let found = found.unwrap_or_else(|| panic!("no {code}, but {all:#?}"));
    assert!(found.evidence.contains(evidence), "{}", found.evidence);
    assert!(!found.advice.is_empty());
}

/// The sample does not have this diagnosis.
pub fn without(sample: Sample, code: &str) {
    let all = sample.diagnoses();
    assert!(all.iter().all(|d| d.code != code), "{all:#?}");
}

/// What FP16 makes of the values.
pub fn halves(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect()
}

pub fn vector(values: &[f32]) -> Tensor {
    Tensor::f32(&[values.len()], values)
}

impl Sample {
    pub fn new(op_type: &str, inputs: &[&str]) -> Sample {
        Sample {
            node: NodeProto::new(op_type, "node", inputs, &["y"]),
            own_file: false,
            slots: inputs.iter().map(|_| Slot::default()).collect(),
            precision: Precision::Fp32,
            kind: Kind::Introduces,
            output: None,
            candidate: None,
            scale: None,
            emulated: None,
            integers: false,
            readers: Vec::new(),
            makers: Vec::new(),
            guards: Vec::new(),
            reduced: None,
            opset: 17,
            judged: None,
        }
    }

    pub fn input(self, name: &str, values: &[f32]) -> Sample {
        self.value(name, vector(values))
    }

    pub fn shaped(self, name: &str, shape: &[usize], values: &[f32]) -> Sample {
        self.value(name, Tensor::f32(shape, values))
    }

    /// The next slot of this name.
    pub fn value(mut self, name: &str, value: Tensor) -> Sample {
        let slot = (0..self.slots.len()).find(|i| self.node.input[*i] == name && self.slots[*i].value.is_none());
        self.slots[slot.unwrap()].value = Some(value);
        self
    }

    pub fn constant(self, name: &str, values: &[f32]) -> Sample {
        let slot = self.node.input.iter().position(|i| i == name).unwrap();
        let mut sample = self.input(name, values);
        sample.slots[slot].constant = true;
        sample
    }

    /// The candidate's value of an input.
    pub fn their(mut self, slot: usize, values: &[f32]) -> Sample {
        self.slots[slot].their = Some(vector(values));
        self
    }

    pub fn attribute(mut self, attribute: AttributeProto) -> Sample {
        self.node.attribute.push(attribute);
        self
    }

    pub fn float(self, name: &str, value: f32) -> Sample {
        self.attribute(float(name, value))
    }

    /// The candidate runs a file of its own.
    pub fn own_file(mut self) -> Sample {
        self.own_file = true;
        self
    }

    pub fn kind(mut self, kind: Kind) -> Sample {
        self.kind = kind;
        self
    }

    pub fn quantised(mut self, scale: &[f32], zero_point: Tensor, axis: Option<i64>) -> Sample {
        self.scale = Some((vector(scale), zero_point, axis));
        self
    }

    /// Something at the node is quantised in the candidate's file.
    pub fn integers(mut self) -> Sample {
        self.integers = true;
        self
    }

    /// The error that an emulation of the precision has.
    pub fn emulated(mut self, rmse: f64) -> Sample {
        self.emulated = Some(Metrics { rmse: rmse.into(), ..Metrics::default() });
        self
    }

    pub fn readers(mut self, op_types: &[&str]) -> Sample {
        self.readers = op_types.iter().map(|s| s.to_string()).collect();
        self
    }

    pub fn makers(mut self, op_types: &[&str]) -> Sample {
        self.makers = op_types.iter().map(|s| s.to_string()).collect();
        self
    }

    /// A constant 'eps' of a node 'guard' above the input of this slot.
    pub fn guard(mut self, slot: usize, value: f64, beside: f64) -> Sample {
        let (node, constant) = ("guard".to_string(), "eps".to_string());
        self.guards.push(Guard { slot, node, constant, value, beside: Some(beside) });
        self
    }

    /// The nearest reduction sums over these axes.
    pub fn reduced(mut self, axes: &[usize], rank: usize) -> Sample {
        self.reduced = Some(Reduced { axes: axes.to_vec(), rank });
        self
    }

    pub fn opset(mut self, opset: i64) -> Sample {
        self.opset = opset;
        self
    }

    /// By a caller who knows how the culprit was judged.
    pub fn judged(mut self, judged: Judged) -> Sample {
        self.judged = Some(judged);
        self
    }

    /// The candidate computes in the precision, inside its nodes too.
    pub fn device(self) -> Sample {
        self.judged(Judged::default())
    }

    pub fn fp16(self, reference: &[f32], candidate: &[f32]) -> Sample {
        self.precision(Precision::Fp16, reference, candidate)
    }

    pub fn precision(self, precision: Precision, reference: &[f32], candidate: &[f32]) -> Sample {
        self.outputs(precision, vector(reference), vector(candidate))
    }

    pub fn outputs(mut self, precision: Precision, reference: Tensor, candidate: Tensor) -> Sample {
        self.precision = precision;
        (self.output, self.candidate) = (Some(reference), Some(candidate));
        self
    }

    /// The candidate's value is not at hand.
    pub fn blind(mut self, precision: Precision, reference: &[f32]) -> Sample {
        self.precision = precision;
        self.output = Some(vector(reference));
        self
    }

    pub fn diagnoses(&self) -> Vec<Diagnosis> {
        let exact = Tolerance { atol: 0.0, rtol: 0.0 };
        let compared = self.output.as_ref().zip(self.candidate.as_ref());
        let metrics = compared.and_then(|(r, c)| compare::compare(r, c, exact).metrics).unwrap_or_default();
        let node = NodeRef { name: "node".into(), op_type: self.node.op_type().into(), ..NodeRef::default() };
        let culprit = Culprit {
            engine: None,
            node,
            tensor: "y".into(),
            local: (self.kind == Kind::Introduces).then(|| metrics.clone()),
            accumulated: metrics,
            inputs_agree: true,
            given: Vec::new(),
            kind: self.kind,
            region: vec!["node".into()],
            diagnosis: Vec::new(),
            why: None,
        };
        let operand = |(name, slot): (&'_ String, &'_ Slot)| (name.clone(), slot.constant);
        let named: Vec<(String, bool)> = self.node.input.iter().zip(&self.slots).map(operand).collect();
        let inputs = named.iter().zip(&self.slots).map(|((name, constant), slot)| Operand {
            name,
            constant: *constant,
            value: slot.value.as_ref(),
            candidate: slot.their.as_ref(),
            maker: None,
        });
        let scale = self.scale.as_ref();
        let evidence = Evidence {
            culprit: &culprit,
            node: &self.node,
            opset: self.opset,
            candidate: self.precision,
            own_model: self.own_file || scale.is_some(),
            inputs: inputs.collect(),
            output: self.output.as_ref(),
            candidate_output: self.candidate.as_ref(),
            quantised: scale.map(|(scale, zero_point, axis)| Quantised {
                scale,
                zero_point: Some(zero_point),
                axis: *axis,
            }),
            integers: self.integers || scale.is_some(),
            emulated: self.emulated.as_ref(),
            readers: self.readers.clone(),
            makers: self.makers.clone(),
            around: Around { guards: self.guards.clone(), reduced: self.reduced.clone() },
        };
        match &self.judged {
            Some(judged) => diagnose_judged(&evidence, judged),
            None => diagnose(&evidence),
        }
    }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    let r#type = Some(attribute_type::FLOAT);
    AttributeProto { name: Some(name.to_string()), f: Some(value), r#type, ..AttributeProto::default() }
}

/// A zero point of this type.
pub fn zero(dtype: DType) -> Tensor {
    Tensor::from_vec(dtype, vec![1], vec![0u8])
}
