//! Products of integers whose scales are multiplied in behind them: MatMulInteger and ConvInteger with their Cast and Muls, and the
//! operators of ONNX Runtime that hold all of that. The scale of the activations is known while the model runs only.

use super::super::{Code, Operand, Unit};
use super::{At, Find, alone, code, multiplied, plain};
use crate::qdq::dynamic::Stored;
use crate::tensor::{DType, Tensor};

/// Scales behind a product, at most: a chain is short.
const FACTORS: usize = 4;

/// Integers that were made of floats while the model runs.
struct Activation {
    /// The floats.
    float: String,
    /// The node that quantises them.
    quantizer: usize,
    /// The tensor of their scale, where it is computed.
    scale: Option<usize>,
    /// The scale, where it is written in the file.
    known: Option<Tensor>,
    /// They were never floats: rows of a stored table. `float` is their own name then.
    gathered: bool,
}

/// What a product is multiplied with behind it.
#[derive(Clone, Default)]
struct Factors {
    /// Tensors of computed scales.
    computed: Vec<usize>,
    /// With their names.
    constants: Vec<(String, Tensor)>,
    /// Nodes that make them.
    nodes: Vec<usize>,
}

impl Factors {
    /// The scale that goes with a zero point: quantisers name both after the tensor, and write it first.
    fn of_zero_point(&self, zero_point: &str) -> Option<&(String, Tensor)> {
        let alike = |name: &str| name.bytes().zip(zero_point.bytes()).take_while(|(a, b)| a == b).count();
        let several = self.constants.len() > 1;
        self.constants.iter().rev().max_by_key(|(name, _)| alike(name)).filter(|_| several)
    }
}

impl Find<'_> {
    /// MatMulInteger and ConvInteger: the left operand is quantised on the way, the right one too or stored.
    pub(super) fn integers(&self, at: At) -> Option<Unit> {
        let left = self.activation(at, 0)?;
        let right = if self.value(at, 1).is_none() { Some(self.activation(at, 1)?) } else { None };
        let both = || [Some(&left), right.as_ref()].into_iter().flatten();
        let wanted: Vec<usize> = both().filter_map(|a| a.scale).collect();
        let fixed = usize::from(right.is_none()) + both().filter(|a| a.scale.is_none()).count();
        let (last, factors) = self.scaled(at, &wanted, fixed)?;
        let result = *self.graph.nodes[last].writes.first()?;
        let conv = at.node.op_type == "ConvInteger";
        let (first, known) = match left.gathered {
            false => (Operand::Name(left.float.clone()), left.known.clone()),
            true => {
                let (name, scale) = factors.of_zero_point(&at.input(2))?;
                (Operand::Codes(left.float.clone(), code(name.clone(), at.input(2))), Some(scale.clone()))
            }
        };
        let second = match &right {
            Some(right) if right.gathered => return None,
            Some(right) => Operand::Name(right.float.clone()),
            None => {
                // What is left of the scales is the weight's own.
                let own = weight_scale(&factors.constants, known.as_ref());
                Operand::Weight(Box::new(self.stored(at, (1, 3), own, if conv { 0 } else { usize::MAX })?))
            }
        };
        let mut around = vec![at.number];
        around.extend(both().filter(|a| !a.gathered).map(|a| a.quantizer));
        around.extend(factors.nodes);
        let unit = alone(at.number, result, if conv { "Conv" } else { "MatMul" }, vec![first, second]);
        Some(Unit { last, around, attributes: at.attributes(&[]), dynamic: left.scale.is_some(), ..unit })
    }

    /// What the integers mean that a product reads as they were gathered.
    pub(super) fn gathered_code(&self, at: At) -> Option<(Code, Tensor, Option<Tensor>)> {
        let (_, factors) = self.scaled(at, &[], 2)?;
        let (scale, value) = factors.of_zero_point(&at.input(2))?;
        (value.elements() == 1).then(|| (code(scale.clone(), at.input(2)), value.clone(), self.value(at, 2)))
    }

    /// `(B, its zero point)` by input; the axis of its channels, which is the last one where it is beyond all.
    fn stored(&self, at: At, (slot, zero): (usize, usize), scale: Option<Tensor>, axis: usize) -> Option<Stored> {
        let stored = self.value(at, slot)?;
        let computed = !at.input(zero).is_empty() && self.value(at, zero).is_none();
        let axis = axis.min(stored.shape.len().saturating_sub(1));
        let scale = scale.filter(|_| !computed);
        Some(plain(at.number, &at.input(slot), stored, scale, self.value(at, zero), axis))
    }

    /// The floats behind an integer operand.
    fn activation(&self, at: At, slot: usize) -> Option<Activation> {
        let tensor = at.tensor(&at.input(slot))?;
        let maker = self.at(self.graph.tensors[tensor].node)?;
        let (float, quantizer) = (maker.input(0), maker.number);
        match maker.node.op_type.as_str() {
            "DynamicQuantizeLinear" if maker.node.writes.first() == Some(&tensor) => Some(Activation {
                float,
                quantizer,
                scale: maker.node.writes.get(1).copied(),
                known: None,
                gathered: false,
            }),
            "QuantizeLinear" => match self.value(maker, 1) {
                Some(scale) if scale.elements() == 1 => {
                    Some(Activation { float, quantizer, scale: None, known: Some(scale), gathered: false })
                }
                Some(_) => None,
                None => Some(Activation {
                    float,
                    quantizer,
                    scale: maker.tensor(&maker.input(1)),
                    known: None,
                    gathered: false,
                }),
            },
            _ => self.never_floats(at, (slot, tensor), maker),
        }
    }

    /// Codes that were gathered: somebody may read them as floats too.
    fn never_floats(&self, at: At, (slot, tensor): (usize, usize), maker: At) -> Option<Activation> {
        let readers = self.graph.children(tensor).into_iter().filter_map(|t| self.at(self.graph.tensors[t].node));
        let reads = |r: &At| r.node.op_type == "DequantizeLinear" && r.tensor(&r.input(0)) == Some(tensor);
        let Some(back) = readers.into_iter().find(reads) else {
            let gathered = maker.node.op_type == "Gather" && self.value(maker, 0).is_some();
            let (float, quantizer) = (at.input(slot), maker.number);
            return gathered.then_some(Activation { float, quantizer, scale: None, known: None, gathered });
        };
        let visible = at.node.scope.starts_with(&back.node.scope);
        let known = self.value(back, 1).filter(|scale| visible && scale.elements() == 1)?;
        let float = back.proto.output.first()?.clone();
        Some(Activation { float, quantizer: back.number, scale: None, known: Some(known), gathered: false })
    }

    /// The last product with a scale behind `at`, once all `wanted` ones were seen, and `fixed` constants; some constants may
    /// have been multiplied before.
    fn scaled(&self, at: At, wanted: &[usize], fixed: usize) -> Option<(usize, Factors)> {
        let mut tensor = *at.node.writes.first()?;
        let mut factors = Factors::default();
        let mut last = self.reader(tensor).filter(|cast| cast.node.op_type == "Cast")?;
        for _ in 0..FACTORS {
            tensor = *last.node.writes.first()?;
            let seen = |f: &Factors| wanted.iter().all(|w| f.computed.contains(w));
            let Some(next) = self.reader(tensor).filter(|_| !seen(&factors) || factors.constants.len() < fixed) else {
                break;
            };
            let Some(more) = self.multiplied_in(next, tensor, wanted, &factors) else { break };
            factors = more;
            factors.nodes.push(last.number);
            last = next;
        }
        let complete = wanted.iter().all(|w| factors.computed.contains(w));
        (complete && (fixed == 0 || !factors.constants.is_empty())).then_some((last.number, factors))
    }

    /// The factors with those of one more Mul of `tensor`; `None` where it is no such thing.
    fn multiplied_in(&self, next: At, tensor: usize, wanted: &[usize], factors: &Factors) -> Option<Factors> {
        let mut more = factors.clone();
        let other = (0..2).find(|slot| next.tensor(&next.input(*slot)) != Some(tensor))?;
        (next.node.op_type == "Mul").then(|| self.factor(next, &next.input(other), wanted, &mut more))??;
        Some(more)
    }

    /// Adds what `name` is made of; `None` where that is no scale.
    fn factor(&self, at: At, name: &str, wanted: &[usize], found: &mut Factors) -> Option<()> {
        if let Some(value) = self.named(at, name) {
            found.constants.push((name.to_string(), value));
            return Some(());
        }
        let tensor = at.tensor(name)?;
        if wanted.contains(&tensor) {
            found.computed.push(tensor);
            return Some(());
        }
        let maker = self.at(self.graph.tensors[tensor].node)?;
        let parts = match maker.node.op_type.as_str() {
            "Mul" => 2,
            "Cast" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => 1,
            _ => return None,
        };
        found.nodes.push(maker.number);
        (0..parts).try_for_each(|slot| self.factor(maker, &maker.input(slot), wanted, found))
    }

    /// A, B, scale of A, scale of B, zero points, bias.
    pub(super) fn integers_to_float(&self, at: At) -> Option<Unit> {
        let left = self.activation(at, 0)?;
        let weight = self.stored(at, (1, 5), self.value(at, 3), usize::MAX)?;
        let operands = vec![Operand::Name(left.float), Operand::Weight(Box::new(weight))];
        let unit = alone(at.number, *at.node.writes.first()?, "MatMul", operands);
        let dynamic = left.scale.is_some();
        Some(Unit { around: vec![left.quantizer], bias: named(at, 6), dynamic, ..unit })
    }

    /// A in floats, B, its scale and zero point, bias.
    pub(super) fn dynamic_product(&self, at: At) -> Option<Unit> {
        let weight = self.stored(at, (1, 3), self.value(at, 2), usize::MAX)?;
        let operands = vec![Operand::Name(at.input(0)), Operand::Weight(Box::new(weight))];
        let unit = alone(at.number, *at.node.writes.first()?, "MatMul", operands);
        Some(Unit { bias: named(at, 4), dynamic: true, ..unit })
    }

    /// The inputs of an LSTM, its two weights transposed; then scale and zero point of each.
    pub(super) fn lstm(&self, at: At) -> Option<Unit> {
        let weight = |slot: usize, scale: usize| {
            let stored = self.value(at, slot)?;
            let [directions, depth, gates] = stored.shape[..] else { return None };
            let (scale, zero) = (self.value(at, scale)?, self.value(at, scale + 1));
            let mut weight = plain(at.number, &at.input(slot), stored, Some(scale), zero, 0);
            by_gate(&mut weight, directions, depth, gates);
            Some(Operand::Weight(Box::new(Stored { turned: true, ..weight })))
        };
        let mut operands: Vec<Operand> = (0..8).map(|slot| Operand::Name(at.input(slot))).collect();
        operands[1] = weight(1, 8)?;
        operands[2] = weight(2, 10)?;
        let result = *at.node.writes.first()?;
        let unit = alone(at.number, result, "LSTM", operands);
        Some(Unit { attributes: at.attributes(&[]), dynamic: true, ..unit })
    }

    /// Input, weight, bias, their two scales, mask, their two zero points, past.
    pub(super) fn attention(&self, at: At) -> Option<Unit> {
        let left = self.activation(at, 0)?;
        let weight = self.stored(at, (1, 7), self.value(at, 4), usize::MAX)?;
        let name = |slot: usize| Operand::Name(at.input(slot));
        let operands = vec![Operand::Name(left.float), Operand::Weight(Box::new(weight)), name(2), name(5), name(8)];
        let unit = alone(at.number, *at.node.writes.first()?, "Attention", operands);
        let dynamic = left.scale.is_some();
        Some(Unit { around: vec![left.quantizer], attributes: at.attributes(&[]), dynamic, ..unit })
    }
}

/// The scales of an LSTM's weight: one, one a direction, or one a gate of each direction.
fn by_gate(weight: &mut Stored, directions: usize, depth: usize, gates: usize) {
    let super::Layout::Plain(pair) = &mut weight.layout else { return };
    let several = pair.scale.as_ref().is_some_and(|s| s.elements() == directions * gates && s.elements() != directions);
    if !several {
        return;
    }
    pair.axis = Some(1);
    pair.block = depth as i64;
    for tensor in [&mut pair.scale, &mut pair.zero_point].into_iter().flatten() {
        tensor.shape = vec![directions, 1, gates];
    }
}

/// The product of all constants is the weight's scale, times that of the activations where it is a constant too.
fn weight_scale(constants: &[(String, Tensor)], activations: Option<&Tensor>) -> Option<Tensor> {
    let values: Vec<Tensor> = constants.iter().map(|(_, value)| value.clone()).collect();
    let product = multiplied(&values)?;
    let Some(known) = activations else { return Some(product) };
    let by = crate::compare::to_f64(known)[0] as f32;
    let values: Vec<f32> = crate::compare::to_f64(&product).into_iter().map(|s| s as f32 / by).collect();
    crate::precision::cast(&Tensor::from_vec(DType::Float32, product.shape.clone(), values), product.dtype)
}

/// An input that may be left out.
fn named(at: At, slot: usize) -> Option<Operand> {
    Some(at.input(slot)).filter(|name| !name.is_empty()).map(Operand::Name)
}
