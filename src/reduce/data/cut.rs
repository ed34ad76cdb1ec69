//! A case and what is kept of its tensors: cutting is a pure function from the whole case and the kept ranges.

use std::collections::BTreeMap;
use std::ops::Range;

use indexmap::IndexMap;

use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{DimValue, Dimension, GraphProto, TensorProto, TensorShapeProto, TypeValue, ValueInfoProto};
use crate::reduce::Case;
use crate::reduce::sound::{self, Fact, Facts, Sound};
use crate::tensor::{DType, Tensor};

/// Number of a tensor in [`Whole`], and one of its axes.
pub type Axis = (usize, usize);

/// What is kept of an axis, in places of the whole tensor; axes that are not named are whole.
pub type Cuts = BTreeMap<Axis, Range<usize>>;

/// The case before anything was cut.
pub struct Whole {
    case: Case,
    /// Feeds and initializers of the main graph that can be cut.
    pub tensors: Vec<Part>,
    /// Bytes of feeds and initializers that cannot.
    other: u64,
    /// What its main graph is given, and what follows from that.
    given: Facts,
    follows: Facts,
    sound: Sound,
}

/// A tensor that can be cut.
pub struct Part {
    /// As the case's main graph calls it.
    pub name: String,
    /// A feed; else an initializer.
    pub is_input: bool,
    /// Before any cut.
    pub shape: Vec<usize>,
    value: Tensor,
}

impl Whole {
    /// Finds what can be cut: feeds and initializers of whole bytes that do not steer shapes.
    pub fn new(case: Case, payload: &dyn Fn(&TensorProto) -> Option<Tensor>) -> Whole {
        let mut tensors: Vec<Part> = Vec::new();
        let mut other = 0;
        let fixed = sound::parameters(&case.model);
        for (name, value) in &case.feeds {
            match value.dtype.whole_bytes() && !fixed.contains(name) {
                true => tensors.push(Part::new(name, value.clone(), true)),
                false => other += bytes(value),
            }
        }
        for proto in case.model.graph.iter().flat_map(|g| &g.initializer) {
            if case.feeds.contains_key(proto.name()) {
                continue;
            }
            let inline = || tensor_from_proto(proto).ok();
            let value = (!fixed.contains(proto.name())).then(|| inline().or_else(|| payload(proto))).flatten();
            match value.filter(|v| v.dtype.whole_bytes() && !steers(v)) {
                Some(value) => tensors.push(Part::new(proto.name(), value, false)),
                None => other += proto.payload_len().unwrap_or(0) as u64,
            }
        }
        let given = sound::given(&case.model, &case.feeds);
        let follows = sound::follow(&case.model, given.clone()).facts;
        let sound = Sound::like(&case.model, &case.feeds);
        Whole { case, tensors, other, given, follows, sound }
    }

    /// Of the main graph.
    pub fn nodes(&self) -> usize {
        self.case.model.graph.as_ref().map_or(0, |g| g.node.len())
    }

    /// Can every node work with what `cuts` leave, as far as that can be told, and is something left of every tensor?
    pub fn fits(&self, cuts: &Cuts) -> bool {
        let mut given = self.given.clone();
        for &(t, axis) in cuts.keys() {
            let part = &self.tensors[t];
            let fact = given.entry(part.name.clone()).or_default();
            let shape = fact.shape.get_or_insert_with(|| part.shape.iter().map(|n| Some(*n)).collect());
            shape[axis] = Some(self.range(cuts, (t, axis)).len());
            // Another part has other values.
            fact.value = None;
        }
        let told = sound::follow(&self.case.model, given);
        let vanished =
            |(name, fact): (&String, &Fact)| fact.is_empty() && !self.follows.get(name).is_none_or(Fact::is_empty);
        !told.facts.iter().any(vanished) && self.sound.fresh(told).is_none()
    }

    /// Of the axis before any cut.
    pub fn size(&self, axis: Axis) -> usize {
        self.tensors[axis.0].shape[axis.1]
    }

    /// What `cuts` leave of the axis.
    pub fn range(&self, cuts: &Cuts, axis: Axis) -> Range<usize> {
        cuts.get(&axis).cloned().unwrap_or(0..self.size(axis))
    }

    /// Bytes that the shortest part of this axis would save.
    pub fn saves(&self, axis: Axis) -> u64 {
        let bytes = bytes(&self.tensors[axis.0].value);
        bytes - bytes / (self.size(axis).max(1) as u64)
    }

    /// Bytes of feeds and initializers that `cuts` leave.
    pub fn bytes(&self, cuts: &Cuts) -> u64 {
        let mut total = self.other;
        for (t, part) in self.tensors.iter().enumerate() {
            let mut left = u128::from(bytes(&part.value));
            for (axis, size) in part.shape.iter().enumerate().filter(|(_, size)| **size > 0) {
                left = left * self.range(cuts, (t, axis)).len() as u128 / *size as u128;
            }
            total += left as u64;
        }
        total
    }

    /// The same words for the same cuts, whatever way led there: "slice x:0=3..4 w:1=0..8".
    pub fn words(&self, cuts: &Cuts) -> String {
        let each =
            cuts.iter().map(|((t, axis), r)| format!(" {}:{axis}={}..{}", self.tensors[*t].name, r.start, r.end));
        format!("slice{}", each.collect::<String>())
    }

    /// What was kept, in sentences without a full stop; axes that were cut alike share one.
    pub fn notes(&self, cuts: &Cuts, batch: &[Axis]) -> Vec<String> {
        let mut alike: IndexMap<String, Vec<String>> = IndexMap::new();
        for (axis, kept) in cuts {
            let (part, size) = (&self.tensors[axis.0], self.size(*axis));
            let tensor = format!("{} {}", if part.is_input { "input" } else { "initializer" }, part.name);
            let (thing, place) = match batch.contains(axis) {
                true => ("sample", tensor),
                false => ("element", format!("axis {} of {tensor}", axis.1)),
            };
            let kept = match kept.len() {
                1 => format!("{thing} {}", kept.start),
                _ => format!("{thing}s {} to {}", kept.start, kept.end - 1),
            };
            alike.entry(format!("kept {kept} (counted from 0) of {size}")).or_default().push(place);
        }
        alike.into_iter().map(|(kept, places)| format!("{kept}: {}", places.join(", "))).collect()
    }

    /// The case with what `cuts` keep.
    pub fn cut(&self, cuts: &Cuts) -> Case {
        let mut case = self.case.clone();
        if cuts.is_empty() {
            return case;
        }
        for (t, part) in self.tensors.iter().enumerate() {
            let of = cuts.range((t, 0)..(t + 1, 0)).map(|((_, axis), range)| (*axis, range.clone()));
            let Some(value) = of.into_iter().try_fold(part.value.clone(), |v, (axis, r)| v.part(axis, r)) else {
                continue;
            };
            if value.shape != part.shape {
                put(&mut case, part, &value);
            }
        }
        if let Some(main) = case.model.graph.as_mut() {
            loosen(main, true);
        }
        // The reference's values tell the element types that the model leaves open.
        for (name, value) in case.expected.take().iter().flatten() {
            let main = case.model.graph.iter_mut().flat_map(|g| &mut g.output);
            for output in main.filter(|o| o.name() == name && o.r#type.is_none()) {
                *output = ValueInfoProto::typed(name, value.dtype, Some(open(value.shape.len())));
            }
        }
        case
    }
}

impl Part {
    fn new(name: &str, value: Tensor, is_input: bool) -> Part {
        Part { name: name.to_string(), is_input, shape: value.shape.clone(), value }
    }
}

/// The shape of the first output, as the reference gave it or the model declares it.
pub fn output_shape(case: &Case) -> Option<Vec<usize>> {
    let first = case.model.graph.as_ref()?.output.first()?;
    let expected = case.expected.as_ref().and_then(|e| e.get(first.name())).map(|t| t.shape.clone());
    let size = |value: &Option<DimValue>| match value {
        Some(DimValue::DimValue(n)) => usize::try_from(*n).ok(),
        _ => None,
    };
    let declared = || first.as_tensor()?.shape.as_ref()?.dim.iter().map(|d| size(&d.value)).collect();
    expected.or_else(declared)
}

/// Puts the cut value in the place of the whole one.
fn put(case: &mut Case, part: &Part, value: &Tensor) {
    if part.is_input {
        case.feeds.insert(part.name.clone(), value.clone());
    }
    let Some(main) = case.model.graph.as_mut() else { return };
    for input in main.input.iter_mut().filter(|v| v.name() == part.name) {
        *input = ValueInfoProto::tensor(&part.name, value.dtype, &value.shape);
    }
    // An input may have a default value, which must have its shape.
    for initializer in main.initializer.iter_mut().filter(|t| t.name() == part.name) {
        *initializer = tensor_to_proto(&part.name, value);
    }
}

/// Computed values keep element type and rank; their dimensions are not known any more. (Without a rank, the outputs
/// would be refused by ONNX's checker, and so by checks of users that call it.)
fn loosen(graph: &mut GraphProto, is_main: bool) {
    let arguments = graph.input.iter_mut().filter(|_| !is_main);
    for value in graph.output.iter_mut().chain(&mut graph.value_info).chain(arguments) {
        if let Some(TypeValue::Tensor(tensor)) = value.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            tensor.shape = tensor.shape.take().map(|s| open(s.dim.len()));
        }
    }
    graph.node.iter_mut().flat_map(|n| n.subgraphs_mut()).for_each(|inner| loosen(inner, false));
}

/// A shape of this rank that says nothing else.
fn open(rank: usize) -> TensorShapeProto {
    TensorShapeProto { dim: vec![Dimension::default(); rank] }
}

/// Is it a list of integers: a shape, axes, pads? A part of it would mean something else.
fn steers(value: &Tensor) -> bool {
    value.shape.len() < 2 && matches!(value.dtype, DType::Int32 | DType::Int64)
}

fn bytes(value: &Tensor) -> u64 {
    match value.as_strings() {
        Some(strings) => strings.iter().map(|s| s.len() as u64).sum(),
        None => value.bytes().len() as u64,
    }
}
