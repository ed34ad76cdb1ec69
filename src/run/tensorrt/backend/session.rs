//! An engine on a GPU, with the memory of its inputs and outputs: one sample in, its tensors out. Builds nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::memory::{Device, Place};
use super::observe::{self, Tap};
use super::profiles::{dims_text, shape_of};
use crate::onnx::GraphProto;
use crate::precision;
use crate::run::tensorrt::{Binding, Context, Engine, layers};
use crate::run::{Observe, RunError};
use crate::tensor::{Tensor, Tensors};

/// How much memory an output of unknown size gets at first, in bytes.
const UNKNOWN: usize = 1 << 20;

/// An engine that runs, with the memory of its inputs and outputs.
pub struct Session {
    context: Context,
    engine: Engine,
    bindings: Vec<Binding>,
    /// By the name of the binding; kept from run to run.
    places: HashMap<String, Place>,
    /// Outputs whose shapes only a run can tell.
    open: HashSet<String>,
    tap: Option<Tap>,
    device: Device,
}

impl Session {
    /// Needs the memory of one execution context.
    pub fn new(engine: Engine, device: Device) -> Result<Session, RunError> {
        device.enter()?;
        let (context, bindings) = (engine.context()?, engine.bindings()?);
        Ok(Session { context, engine, bindings, places: HashMap::new(), open: HashSet::new(), tap: None, device })
    }

    /// The engine that it runs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its inputs and outputs, in the engine's order.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Listens for tensors inside the engine, where one was asked for that is no output of it.
    pub fn observe(
        &mut self,
        observe: Observe,
        wanted: &[String],
        layers: &[layers::Layer],
        graph: Option<&GraphProto>,
    ) -> Result<(), RunError> {
        let outputs: HashSet<&str> = self.bindings.iter().map(|binding| binding.name.as_str()).collect();
        let hidden: HashSet<&String> = wanted.iter().filter(|name| !outputs.contains(name.as_str())).collect();
        let mut names: HashMap<String, String> = hidden.iter().map(|name| ((*name).clone(), (*name).clone())).collect();
        match (observe, graph) {
            (Observe::Outputs, _) => return Ok(()),
            (Observe::Debug, _) => names.retain(|name, _| self.engine.is_debug(name)),
            (Observe::Unfused, Some(graph)) => {
                names.extend(observe::aliases(layers, graph).into_iter().filter(|(_, name)| hidden.contains(name)));
            }
            (Observe::Unfused, None) => {}
        }
        if !names.is_empty() {
            self.tap = Some(Tap::open(&mut self.context, self.device.cuda(), observe, names)?);
        }
        Ok(())
    }

    /// The tensors named in `outputs` that the engine shows.
    pub fn run(&mut self, feed: &Tensors, outputs: &[String]) -> Result<Tensors, RunError> {
        self.bind(feed)?;
        self.execute()?;
        self.collect(outputs)
    }

    /// Seconds that each of `runs` takes, without copies, after one to warm up.
    pub fn latency(&mut self, feed: &Tensors, runs: usize) -> Result<Vec<f64>, RunError> {
        self.bind(feed)?;
        self.execute()?;
        let mut seconds = Vec::with_capacity(runs.max(1));
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            self.start()?;
            self.device.synchronise()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    /// Milliseconds of every layer in each of `runs`, after one to warm up, in the order in which the engine tells.
    pub fn layer_times(&mut self, feed: &Tensors, runs: usize) -> Result<Vec<Vec<(String, f32)>>, RunError> {
        self.bind(feed)?;
        let heard: Arc<Mutex<Vec<(String, f32)>>> = Arc::default();
        let ear = Arc::clone(&heard);
        let profiler = move |layer: &str, milliseconds: f32| {
            ear.lock().unwrap_or_else(PoisonError::into_inner).push((layer.to_string(), milliseconds));
        };
        self.context.profile(Some(Box::new(profiler)))?;
        let mut each = || {
            heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.start()?;
            self.device.synchronise()?;
            Ok(std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)))
        };
        let times: Result<Vec<_>, RunError> = (0..=runs).map(|_| each()).collect();
        self.context.profile(None)?;
        Ok(times?.split_off(1))
    }

    /// Shapes, values and memory for everything that goes in or comes out.
    fn bind(&mut self, feed: &Tensors) -> Result<(), RunError> {
        self.device.enter()?;
        for binding in self.bindings.iter().filter(|binding| binding.input) {
            let name = &binding.name;
            let tensor = feed
                .get(name)
                .ok_or_else(|| self.device.failed(format!("input '{name}' has no value; give it one")))?;
            let tensor = precision::retyped(tensor, binding.dtype)
                .map_err(|why| self.device.failed(format!("input '{name}' of the engine: {why}")))?;
            self.context.set_input_shape(name, &shape_of(&tensor))?;
            let place = self.device.place(&mut self.places, binding, tensor.bytes().len())?;
            self.device.fill(place, tensor.bytes())?;
            // SAFETY: the place is in the memory of the binding's location, large enough for the tensor, and kept by this session.
            unsafe { self.context.set_address(name, place.address()) }?;
        }
        let incomplete = self.context.incomplete()?;
        if !incomplete.is_empty() {
            return Err(self.device.failed(format!("the engine still lacks a shape for: {}", incomplete.join(", "))));
        }
        let outputs: Vec<Binding> = self.bindings.iter().filter(|binding| !binding.input).cloned().collect();
        outputs.iter().try_for_each(|output| self.bind_output(output, 0))
    }

    /// An output whose shape is known gets memory for it, any other as much as it may need, or `wanted` at least.
    fn bind_output(&mut self, output: &Binding, wanted: usize) -> Result<(), RunError> {
        let name = &output.name;
        let known = match self.open.contains(name) {
            true => None,
            false => self.context.shape(name).and_then(|shape| byte_len(output, &shape)),
        };
        if let Some(bytes) = known {
            let place = self.device.place(&mut self.places, output, bytes)?;
            // SAFETY: as for inputs.
            return unsafe { self.context.set_address(name, place.address()) };
        }
        self.open.insert(name.clone());
        let most = self.context.max_output_bytes(name).unwrap_or(UNKNOWN);
        let place = self.device.place(&mut self.places, output, most.min(UNKNOWN).max(wanted))?;
        // SAFETY: as for inputs, with the place's own size.
        unsafe { self.context.set_output_memory(name, place.address(), place.bytes()) }
    }

    /// Runs until every output fits into its memory.
    fn execute(&mut self) -> Result<(), RunError> {
        let outputs: Vec<Binding> = self.bindings.iter().filter(|binding| !binding.input).cloned().collect();
        // Each output asks for more once at most, but may hide the wish of the next one.
        for _ in 0..=outputs.len() {
            self.tap.iter().for_each(Tap::clear);
            let done = self.start().and_then(|()| self.device.synchronise());
            let mut grown = false;
            for output in &outputs {
                let wanted = self.context.wanted_bytes(&output.name).and_then(|bytes| usize::try_from(bytes).ok());
                if let Some(bytes) = wanted {
                    self.bind_output(output, bytes)?;
                    grown = true;
                }
            }
            if !grown {
                return done;
            }
        }
        Err(self.device.failed("its outputs keep asking for more memory".to_string()))
    }

    fn start(&mut self) -> Result<(), RunError> {
        // SAFETY: the stream is the device's own, whose context this thread has entered; `bind` gave every input and output its memory.
        unsafe { self.context.enqueue(self.device.stream()) }
    }

    fn collect(&mut self, outputs: &[String]) -> Result<Tensors, RunError> {
        let mut seen = match &self.tap {
            Some(tap) => tap.take().map_err(|why| self.device.failed(why))?,
            None => Tensors::new(),
        };
        let mut values = Tensors::new();
        for name in outputs {
            let binding = self.bindings.iter().find(|binding| !binding.input && binding.name == *name);
            let value = match binding {
                Some(binding) => Some(self.value(binding)?),
                None => seen.swap_remove(name),
            };
            values.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(values)
    }

    fn value(&self, output: &Binding) -> Result<Tensor, RunError> {
        let name = &output.name;
        let shape = self.context.shape(name).unwrap_or_default();
        let unknown =
            || self.device.garbage(format!("output '{name}' has the shape {} after the run", dims_text(&shape)));
        let sizes: Vec<usize> =
            shape.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<_>>().ok_or_else(unknown)?;
        let bytes = byte_len(output, &shape).ok_or_else(unknown)?;
        let place = self.places.get(name).ok_or_else(unknown)?;
        let bytes = self.device.read(place, bytes)?;
        Tensor::new(output.dtype, sizes, bytes).map_err(|e| self.device.garbage(format!("output '{name}': {e}")))
    }
}

/// `None` while a dimension is open.
fn byte_len(binding: &Binding, shape: &[i64]) -> Option<usize> {
    let elements = shape.iter().try_fold(1usize, |n, dim| n.checked_mul(usize::try_from(*dim).ok()?));
    binding.dtype.byte_len(elements?)
}
