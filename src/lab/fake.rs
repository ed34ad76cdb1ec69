//! A lab for tests: a small graph, a reference that is right and a candidate that is not, both of which interpret models, so
//! that no library is needed. See [`World`]; graphs are written as [`lines`], and every input is a matrix of two rows.

mod device;
mod interpret;

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use prost::Message;

pub use device::{Device, Log, Seen, Wrong};

use super::again::Again;
use super::first::{First, inner};
use super::{Lab, Ledger, Lowering, Probe, Side, Survey, Wish};
use crate::graph::lines::{self, Lines};
use crate::graph::{Graph, node_name};
use crate::judge::Rules;
use crate::load::Model;
use crate::load::testset::tensor_to_proto;
use crate::mark::Types;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto, attribute_type,
};
use crate::precision::Kept;
use crate::run::{Observe, SessionOptions};
use crate::spec::Spec;
use crate::tensor::{DType, Tensor, Tensors};
use crate::types;

/// Rows and columns of every input and weight.
const SIDE: usize = 2;

/// What is to be set up.
pub struct World {
    /// Main nodes by name, in order.
    pub nodes: Vec<String>,
    model: ModelProto,
    /// What the candidate runs in place of it.
    own: Option<ModelProto>,
    /// By sample.
    pub feeds: Vec<Tensors>,
    /// Names of the tensors that decide.
    pub outputs: Vec<String>,
    /// How far apart is too far.
    pub rules: Rules,
    /// Bytes of tensors that may be held.
    pub memory: u64,
    /// The one that is believed.
    pub reference: Device,
    /// `ort` unless it says otherwise.
    pub reference_spec: &'static str,
    /// The one under suspicion.
    pub candidate: Device,
    /// `ort-cuda` unless it says otherwise.
    pub candidate_spec: &'static str,
    /// How the candidate comes to its precision.
    pub lowering: Lowering,
}

impl World {
    /// Of a graph as [`lines`] have it; what nobody reads is an output.
    pub fn of(text: &str) -> World {
        let Lines { nodes, inputs, weights, ends } = lines::read(text);
        let feeds = inputs.iter().map(|name| (name.clone(), numbers(name))).collect();
        let weights: Vec<(String, Tensor)> = weights.iter().map(|name| (name.clone(), numbers(name))).collect();
        World::new(nodes, feeds, &weights, &ends)
    }

    /// `c` is made by a branch of an If, of `t` or of `e`: `if p { t = Neg(a) } else { e = Mul(a, a) }`.
    pub fn with_branches(taken: bool) -> World {
        let chosen = Tensor::from_vec(DType::Bool, vec![1], vec![u8::from(taken)]);
        let feeds = Tensors::from([("x".to_string(), numbers("x")), ("p".to_string(), chosen)]);
        World::new(World::branches(), feeds, &[], &["d".to_string()])
    }

    /// The same, where the condition is computed: `n = Neg(x); p = Relu(n)`, which is nothing, and so not true.
    pub fn with_condition() -> World {
        let condition =
            [NodeProto::new("Neg", "make_n", &["x"], &["n"]), NodeProto::new("Relu", "make_p", &["n"], &["p"])];
        let nodes = condition.into_iter().chain(World::branches()).collect();
        World::new(nodes, Tensors::from([("x".to_string(), numbers("x"))]), &[], &["d".to_string()])
    }

    fn branches() -> Vec<NodeProto> {
        let branch = |attribute: &str, node: NodeProto| AttributeProto {
            name: Some(attribute.to_string()),
            r#type: Some(attribute_type::GRAPH),
            g: Some(GraphProto {
                name: Some(attribute.to_string()),
                output: vec![ValueInfoProto::bare(&node.output[0])],
                node: vec![node],
                ..Default::default()
            }),
            ..Default::default()
        };
        let choose = NodeProto::new("If", "make_c", &["p"], &["c"])
            .with(branch("then_branch", NodeProto::new("Neg", "make_t", &["a"], &["t"])))
            .with(branch("else_branch", NodeProto::new("Mul", "make_e", &["a", "a"], &["e"])));
        vec![
            NodeProto::new("Relu", "make_a", &["x"], &["a"]),
            choose,
            NodeProto::new("Mul", "make_d", &["c", "a"], &["d"]),
        ]
    }

    fn new(nodes: Vec<NodeProto>, feed: Tensors, weights: &[(String, Tensor)], outputs: &[String]) -> World {
        let graph = GraphProto {
            name: Some(device::WHOLE.to_string()),
            input: feed.iter().map(|(name, t)| ValueInfoProto::tensor(name, t.dtype, &t.shape)).collect(),
            initializer: weights.iter().map(|(name, value)| tensor_to_proto(name, value)).collect(),
            output: outputs.iter().map(|name| ValueInfoProto::bare(name)).collect(),
            node: nodes,
            ..Default::default()
        };
        World {
            nodes: graph.node.iter().map(node_name).collect(),
            feeds: vec![feed],
            outputs: outputs.to_vec(),
            rules: Rules::default(),
            memory: 1 << 20,
            reference: Device::new(),
            reference_spec: "ort",
            candidate: Device::new(),
            candidate_spec: "ort-cuda",
            lowering: Lowering::None,
            own: None,
            model: ModelProto {
                ir_version: Some(8),
                opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
                graph: Some(graph),
                ..Default::default()
            },
        }
    }

    /// With a candidate that runs a model of its own, of the same inputs.
    pub fn against(mut self, text: &str) -> World {
        self.own = Some(World::of(text).model);
        self.candidate_spec = "ort@own.onnx";
        self
    }

    /// With something wrong at a node of the candidate.
    pub fn wrong(mut self, node: &str, wrong: Wrong) -> World {
        self.candidate.spoil(node, wrong);
        self
    }

    /// With whatever else is to be another way.
    pub fn with(mut self, change: impl FnOnce(&mut World)) -> World {
        change(&mut self);
        self
    }

    /// The candidate is an engine that can be looked into in these ways too.
    pub fn engine(mut self, observes: &[Observe]) -> World {
        self.candidate.build(observes);
        self.candidate_spec = "trt";
        self
    }

    /// With another sample, whose values are these times as large.
    pub fn sample(mut self, factor: f32) -> World {
        let scaled = |t: &Tensor| match t.dtype {
            DType::Float32 => Tensor::f32(&t.shape, &t.view::<f32>().iter().map(|x| x * factor).collect::<Vec<_>>()),
            _ => t.clone(),
        };
        self.feeds.extend(self.feeds.first().map(|f| f.iter().map(|(n, t)| (n.clone(), scaled(t))).collect()));
        self
    }

    /// Opens both sides.
    pub fn set_up(self) -> SetUp {
        let model = load(&self.model);
        let graph = Graph::new(&model.proto).unwrap();
        let survey = survey(&model, &graph, &self.feeds[0]);
        let (types, seen) = (survey.types.clone(), [&self.reference, &self.candidate].map(|device| device.log.clone()));
        let [reference_log, candidate_log] = seen;
        let own = self.own.as_ref().map_or_else(|| model.clone(), load);
        let side = |spec: &str, device: Device, lowering, model: &Model| Side {
            spec: spec.parse::<Spec>().unwrap(),
            backend: Arc::new(device.backend()),
            graph: Graph::new(&model.proto).unwrap().into(),
            model: model.clone(),
            lowering,
            arithmetic: Default::default(),
            kept: Kept::new(),
            half: false,
            session: SessionOptions::default(),
            deploys: None,
            deployed: None,
            types: types.clone(),
        };
        let reference = side(self.reference_spec, self.reference, Lowering::None, &model);
        let candidate = side(self.candidate_spec, self.candidate, self.lowering, &own);
        let lab = Lab::new((reference, candidate), (self.feeds, self.outputs), self.rules, survey, self.memory);
        SetUp { lab, reference: reference_log, candidate: candidate_log }
    }
}

/// Positive numbers, other ones for each name.
fn numbers(name: &str) -> Tensor {
    let seed = name.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let number = |i: u32| 0.5 + ((seed.wrapping_add(i * 37)) % 97) as f32 / 97.0;
    Tensor::f32(&[SIDE, SIDE], &(0..(SIDE * SIDE) as u32).map(number).collect::<Vec<_>>())
}

/// By way of a file, as all models come.
fn load(model: &ModelProto) -> Model {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    Model::load(&path).unwrap()
}

/// Everything that a node makes is float32, and as large as it really is; what is in branches is not sized.
fn survey(model: &Model, graph: &Graph, feed: &Tensors) -> Survey {
    let main = model.proto.graph.as_ref().unwrap();
    let mut known: Types = types::declared(main);
    known.extend(graph.tensors.iter().map(|t| (t.key.clone(), DType::Float32)));
    let values = interpret::run(main, feed, &|_, results| Ok(results)).unwrap();
    let made = values.into_iter().filter(|(name, _)| graph.tensor(name).is_some());
    let sizes: HashMap<String, usize> = made.map(|(name, value)| (name, value.bytes().len())).collect();
    Survey::new(known, sizes)
}

/// Two sides, and what they were asked.
pub struct SetUp {
    /// To measure in.
    pub lab: Lab,
    /// What the reference was asked to run.
    pub reference: Log,
    /// What the candidate was asked to run.
    pub candidate: Log,
}

impl SetUp {
    /// As the first runs are, with both sides' values of every tensor where `everything` is asked for.
    pub fn first(&self, everything: bool) -> First {
        let Lab { reference, candidate, feeds, outputs, .. } = &self.lab;
        let all: Vec<usize> = (0..self.lab.tensors()).collect();
        let keys = reference.graph.keys(&all);
        let unmarked = candidate.see(&inner(candidate, outputs), feeds, outputs, Observe::Outputs);
        // Tests say what else is asked.
        First {
            again: Again::default(),
            reference: everything.then(|| reference.run(&all, feeds, &keys).unwrap()),
            unmarked: unmarked.map(|answer| answer.values),
            plain: None,
            built: None,
            marked: everything.then(|| candidate.run(&all, feeds, &keys)),
        }
    }

    /// Ready to measure; panics where a side does not run at all.
    pub fn probe(&self) -> Probe<'_> {
        self.probe_with(Wish::default(), Ledger::default())
    }

    /// The same, with wishes and an earlier run's looks.
    pub fn probe_with(&self, wish: Wish, ledger: Ledger) -> Probe<'_> {
        Probe::start(&self.lab, self.first(false), wish, ledger).unwrap_or_else(|unstarted| panic!("{}", unstarted.why))
    }

    /// The number of a tensor.
    pub fn tensor(&self, key: &str) -> usize {
        self.lab.reference.graph.tensor(key).unwrap_or_else(|| panic!("no tensor {key}"))
    }

    /// The numbers of some.
    pub fn tensors(&self, keys: &[&str]) -> Vec<usize> {
        keys.iter().map(|key| self.tensor(key)).collect()
    }
}
