//! Every value of one run of a model in the reference, for whoever cuts the model: held all at once where they fit into
//! memory, else asked for again. Compares nothing.

use std::cell::RefCell;

use super::survey::observable;
use super::{Side, Survey};
use crate::graph::Graph;
use crate::load::testset::tensor_from_proto;
use crate::mark::{self, Types};
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::run::RunError;
use crate::run::ort::Runtime;
use crate::tensor::{DType, Tensors};
use crate::types;

/// One sample's values.
pub struct Capture<'a> {
    /// Whose model is run.
    pub side: &'a Side,
    feeds: &'a Tensors,
    types: Types,
    held: RefCell<Tensors>,
    /// All values are held, or none can be had: nothing more is asked for.
    complete: bool,
}

impl<'a> Capture<'a> {
    /// Runs `side` on `feeds`. Where ONNX Runtime refuses the model, nothing but the feeds is known; its reason is given back.
    pub fn new(
        side: &'a mut Side,
        ort: &Runtime,
        feeds: &'a Tensors,
        memory: u64,
    ) -> Result<(Capture<'a>, Option<RunError>), RunError> {
        let one = std::slice::from_ref(feeds);
        let surveyed = match Survey::of(ort, &side.model, &side.graph, one) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            other => other,
        };
        let (types, values) = match surveyed {
            Err(e) => (Types::new(), Err(e)),
            Ok(surveyed) => {
                side.types = surveyed.survey.types.clone();
                side.half = side.on_cpu() && surveyed.survey.has_half(&side.graph);
                let fits = surveyed.survey.total(1) <= memory;
                let values = if fits { surveyed.session.values(side, one) } else { Ok(Vec::new()) };
                (surveyed.survey.types, values)
            }
        };
        let (held, refused) = match values {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(e) => (Tensors::new(), Some(e)),
            Ok(values) => (values.into_iter().next().unwrap_or_default(), None),
        };
        let complete = refused.is_some() || !held.is_empty();
        Ok((Capture { side, feeds, types, held: RefCell::new(held), complete }, refused))
    }

    /// The values of these tensors (by key) and inputs, as far as there are any.
    pub fn values(&self, keys: &[String]) -> Tensors {
        let graph = &self.side.graph;
        let mut held = self.held.borrow_mut();
        let missing = keys.iter().filter(|k| !self.feeds.contains_key(*k) && !held.contains_key(*k));
        let missing: Vec<usize> = missing.filter_map(|k| graph.tensor(k)).collect();
        if !self.complete && !missing.is_empty() {
            let names = graph.keys(&missing);
            let one = std::slice::from_ref(self.feeds);
            // What does not fit into memory with the rest is not kept beyond this cut.
            *held = self.side.run(&missing, one, &names).ok().and_then(|v| v.into_iter().next()).unwrap_or_default();
        }
        let value = |key: &String| self.feeds.get(key).or_else(|| held.get(key)).cloned();
        keys.iter().filter_map(|key| Some((key.clone(), value(key)?))).collect()
    }

    /// Type and shape of a tensor: as it was measured, else as far as the model tells.
    pub fn told(&self, key: &str) -> Option<ValueInfoProto> {
        if let Some(value) = self.held.borrow().get(key) {
            return Some(ValueInfoProto::tensor(key, value.dtype, &value.shape));
        }
        let main = self.side.model.proto.graph.as_ref()?;
        let declared = main.value_info.iter().chain(&main.output).chain(&main.input).find(|v| v.name() == key);
        declared.cloned().or_else(|| Some(ValueInfoProto::typed(key, *self.types.get(key)?, None)))
    }
}

impl Side {
    /// Runs another model of this side's kind, every tensor of its main graph observed: all values by name, the feeds among
    /// them. Initializers are not. None at all where the model cannot be run; only an interruption is an error.
    pub fn all_values(&self, model: &ModelProto, feeds: &Tensors) -> Result<Tensors, RunError> {
        let Ok(graph) = Graph::new(model) else { return Ok(feeds.clone()) };
        let all: Vec<usize> = (0..graph.tensors.len())
            .filter(|t| graph.producer(*t).scope.is_empty() && observable(&graph, *t))
            .collect();
        let names = graph.keys(&all);
        let types = types_of(model);
        let marked = mark::mark(model, &graph, &all, &types);
        let mut values = match self.run_model(&marked, &types, std::slice::from_ref(feeds), &names) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => return Ok(Tensors::new()),
            Ok(mut values) => values.pop().unwrap_or_default(),
        };
        values.extend(feeds.clone());
        Ok(values)
    }
}

/// The element types that a model states of its own tensors, its Constants among them.
pub fn types_of(model: &ModelProto) -> Types {
    let Some(main) = &model.graph else { return Types::new() };
    let mut types = types::declared(main);
    let stated = main.value_info.iter().chain(&main.output);
    types.extend(stated.filter_map(|v| Some((v.name().to_string(), v.dtype()?))));
    let constant = |n: &crate::onnx::NodeProto| -> Option<(String, DType)> {
        Some((n.output.first()?.clone(), tensor_from_proto(&n.constant()?).ok()?.dtype))
    };
    types.extend(main.node.iter().filter_map(constant));
    types
}
