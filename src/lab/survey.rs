//! What the reference library says about the whole model before any search: element types and sizes; and the session that
//! was asked, which gives all reference values at once (marking every tensor of a CPU session costs next to nothing).

use std::collections::HashMap;

use super::Side;
use crate::graph::Graph;
use crate::graph::inline::inline;
use crate::load::Model;
use crate::mark::{self, Types};
use crate::onnx::{DimValue, Dimension, ModelProto, TensorShapeProto, TypeTensor, TypeValue};
use crate::run::RunError;
use crate::run::ort::{Opened, Runtime};
use crate::tensor::{DType, Tensors};
use crate::types;

/// Facts about a model.
#[derive(Default)]
pub struct Survey {
    /// By tensor key; inputs and initializers by name.
    pub types: Types,
    /// Bytes of each tensor of the graph for one sample, where the shape is known.
    sizes: HashMap<String, usize>,
    /// Their shapes, where they are known.
    shapes: HashMap<String, Vec<usize>>,
    /// Those of which only some sizes are known.
    open: HashMap<String, Vec<Option<usize>>>,
}

/// A survey, and the session it was made with: it has every tensor of the main graph marked, so it can be run as it is.
pub struct Surveyed {
    /// What is known of the model's tensors.
    pub survey: Survey,
    /// The session that told it.
    pub session: Everything,
}

/// A session of a model with every tensor of the main graph marked.
pub struct Everything(Opened);

impl Survey {
    /// Of a model about which this much is known; `sizes` are bytes of one sample, by key of tensors of the graph.
    pub fn new(types: Types, sizes: HashMap<String, usize>) -> Survey {
        Survey { types, sizes, shapes: HashMap::new(), open: HashMap::new() }
    }

    /// Asks `ort` about `model`: types of everything, bodies included, and sizes for the shapes of `feeds`.
    pub fn of(ort: &Runtime, model: &Model, graph: &Graph, feeds: &[Tensors]) -> Result<Surveyed, RunError> {
        let main: Vec<usize> =
            (0..graph.tensors.len()).filter(|t| graph.producer(*t).scope.is_empty() && observable(graph, *t)).collect();
        let marked = mark::mark(&model.proto, graph, &main, &Types::new());
        let session = match fixed_shapes(&marked, feeds) {
            Some(fixed) => match ort.open(&model.lean(&fixed)) {
                Err(RunError::Build { .. }) => ort.open(&model.lean(&marked))?,
                other => other?,
            },
            None => ort.open(&model.lean(&marked))?,
        };
        let declared = model.proto.graph.as_ref().map(types::declared).unwrap_or_default();
        let mut survey = Survey::new(declared, HashMap::new());
        for output in session.outputs() {
            if let Some(dtype) = output.dtype {
                survey.types.insert(output.name.clone(), dtype);
            }
            if graph.tensor(&output.name).is_some() {
                match output.shape.iter().copied().collect() {
                    Some(shape) => drop(survey.shapes.insert(output.name.clone(), shape)),
                    None => drop(survey.open.insert(output.name.clone(), output.shape.clone())),
                }
            }
            if let (Some(_), Some(bytes)) = (graph.tensor(&output.name), output.bytes()) {
                survey.sizes.insert(output.name.clone(), bytes);
            }
        }
        types::add_bodies(&model.proto, &mut survey.types, &asked_of(ort, model))?;
        Ok(Surveyed { survey, session: Everything(session) })
    }

    /// Adds the types of what is inside the functions that `model` calls, under the keys that [`inline`] gives them.
    pub fn add_functions(&mut self, ort: &Runtime, model: &Model) -> Result<(), RunError> {
        match inline(&model.proto) {
            Some(inlined) => types::add_all(&inlined.model, &mut self.types, &asked_of(ort, model)),
            None => Ok(()),
        }
    }

    /// Is there a half-precision tensor that a node makes?
    pub fn has_half(&self, graph: &Graph) -> bool {
        let half = |key: &str| matches!(self.types.get(key), Some(DType::Float16 | DType::Bfloat16));
        graph.tensors.iter().any(|t| half(&t.key))
    }

    /// Bytes of a tensor for one sample; unknown shapes count as a megabyte.
    pub fn size(&self, key: &str) -> usize {
        self.sizes.get(key).copied().unwrap_or(1 << 20)
    }

    /// Of a tensor, for one sample; `None` where only a run can tell.
    pub fn shape(&self, key: &str) -> Option<&Vec<usize>> {
        self.shapes.get(key)
    }

    /// Of a tensor whose sizes are not all known; `None` where not even their number is.
    pub fn open_shape(&self, key: &str) -> Option<&Vec<Option<usize>>> {
        self.open.get(key)
    }

    /// Bytes of all tensors of both sides.
    pub(super) fn total(&self, samples: usize) -> u64 {
        self.sizes.values().sum::<usize>() as u64 * 2 * samples as u64
    }
}

/// What `ort` says of the outputs of a model whose weights are where those of `model` are.
fn asked_of(ort: &Runtime, model: &Model) -> impl Fn(&ModelProto) -> Result<types::Outputs, RunError> + Sync {
    |body| {
        let session = ort.open(&model.lean(body))?;
        Ok(session.outputs().iter().map(|o| (o.name.clone(), o.dtype)).collect())
    }
}

impl Everything {
    /// Shapes that only a run tells, of these tensors of the main graph, for one feed.
    pub fn shapes(mut self, feed: &Tensors, names: &[String]) -> Result<HashMap<String, Vec<usize>>, RunError> {
        let values = self.0.run(std::slice::from_ref(feed), names)?;
        Ok(values.into_iter().flatten().map(|(name, value)| (name, value.shape)).collect())
    }

    /// All values of the reference, by sample: from this very session where it does what the reference does.
    pub(super) fn values(mut self, reference: &Side, feeds: &[Tensors]) -> Result<Vec<Tensors>, RunError> {
        let graph = &reference.graph;
        let all: Vec<usize> = (0..graph.tensors.len()).filter(|t| observable(graph, *t)).collect();
        let names = graph.keys(&all);
        match !reference.half && graph.nodes.iter().all(|n| n.scope.is_empty()) {
            true => self.0.run(feeds, &names),
            false => reference.run(&all, feeds, &names),
        }
    }
}

/// An empty optional cannot even be asked for; every other value can, and tells by its type whether it is a tensor.
pub(super) fn observable(graph: &Graph, tensor: usize) -> bool {
    graph.producer(tensor).op_type != "Optional"
}

/// The model with the shapes of the feeds as its input shapes, so that inference tells sizes; `None` if feeds differ.
fn fixed_shapes(model: &ModelProto, feeds: &[Tensors]) -> Option<ModelProto> {
    let first = feeds.first()?;
    let same = feeds.iter().all(|f| first.iter().all(|(name, t)| f.get(name).is_some_and(|o| o.shape == t.shape)));
    if !same {
        return None;
    }
    let mut fixed = model.clone();
    for input in &mut fixed.graph.as_mut()?.input {
        let Some(tensor) = first.get(input.name()) else { continue };
        let dim = |d: &usize| Dimension { value: Some(DimValue::DimValue(*d as i64)), denotation: None };
        let shape = Some(TensorShapeProto { dim: tensor.shape.iter().map(dim).collect() });
        if let Some(TypeValue::Tensor(TypeTensor { shape: declared, .. })) =
            input.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            *declared = shape;
        }
    }
    Some(fixed)
}
