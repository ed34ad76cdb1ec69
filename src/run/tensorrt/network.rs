//! A network: what the parser made of an ONNX model. Its tensors keep their ONNX names, its layers those of their nodes.

use std::ffi::CString;
use std::path::Path;

use super::parser::ParseError;
use super::{layers, sys, types};
use crate::run::RunError;
use crate::tensor::DType;

/// What will be built; layers and tensors are borrowed from it.
pub struct Network {
    /// They own weights that the network refers to.
    parsers: Vec<sys::Owned<sys::Parser>>,
    object: sys::Owned<sys::Network>,
}

/// A tensor of a network.
#[derive(Clone, Copy)]
pub struct Tensor<'n> {
    raw: sys::Ref<'n, sys::Tensor>,
    network: sys::Ref<'n, sys::Network>,
}

/// A layer of a network.
#[derive(Clone, Copy)]
pub struct Layer<'n> {
    raw: sys::Ref<'n, sys::Layer>,
    network: sys::Ref<'n, sys::Network>,
}

impl Network {
    /// Owns the object, and has no parser yet.
    pub(super) fn new(object: sys::Owned<sys::Network>) -> Network {
        Network { parsers: vec![], object }
    }

    /// What a build is given.
    pub(super) fn object(&self) -> &sys::Owned<sys::Network> {
        &self.object
    }

    /// Adds an ONNX model. External data is looked for beside `path`. A model without nodes is an error too.
    pub fn parse(&mut self, model: &[u8], path: Option<&Path>) -> Result<(), Vec<ParseError>> {
        let path = path.map(path_text).transpose()?;
        self.parse_with(|parser| parser.parse(model, path.as_deref()).unwrap_or(false))
            .map_err(|errors| ParseError::named(errors, model))
    }

    /// The same for a file that TensorRT reads itself.
    pub fn parse_file(&mut self, path: &Path) -> Result<(), Vec<ParseError>> {
        let path = path_text(path)?;
        self.parse_with(|parser| parser.get().parse_file(&path, 2))
    }

    fn parse_with(&mut self, parse: impl Fn(&sys::Owned<sys::Parser>) -> bool) -> Result<(), Vec<ParseError>> {
        let parser = sys::Owned::<sys::Parser>::create(&self.object);
        let Some(parser) = parser else { return Err(vec![ParseError::of_the_model("TensorRT makes no parser")]) };
        let parsed = parse(&parser);
        let errors = ParseError::all(parser.get());
        self.parsers.push(parser);
        match (parsed, errors.is_empty()) {
            (true, true) if self.object.get().layer_count() == 0 => {
                Err(vec![ParseError::of_the_model("the model is empty: TensorRT finds no node in it")])
            }
            (true, _) => Ok(()),
            (false, true) => Err(vec![ParseError::of_the_model("the parser failed and does not say why")]),
            (false, false) => Err(errors),
        }
    }

    /// In the model's order.
    pub fn inputs(&self) -> Vec<Tensor<'_>> {
        let network = self.object.get();
        let tensors = (0..network.input_count()).filter_map(|i| network.input(i));
        tensors.map(|raw| Tensor { raw, network }).collect()
    }

    /// In the order in which they were marked, the model's own first.
    pub fn outputs(&self) -> Vec<Tensor<'_>> {
        let network = self.object.get();
        let tensors = (0..network.output_count()).filter_map(|i| network.output(i));
        tensors.map(|raw| Tensor { raw, network }).collect()
    }

    /// In topological order.
    pub fn layers(&self) -> Vec<Layer<'_>> {
        let network = self.object.get();
        let layers = (0..network.layer_count()).filter_map(|i| network.layer(i));
        layers.map(|raw| Layer { raw, network }).collect()
    }

    /// Every tensor that a layer makes, in the order of the layers.
    pub fn tensors(&self) -> Vec<Tensor<'_>> {
        self.layers().iter().flat_map(Layer::outputs).collect()
    }

    /// A tensor by its name. Slow: who looks for many asks [`Network::tensors`] once.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.tensors().into_iter().chain(self.inputs()).find(|tensor| tensor.name() == name)
    }

    /// Makes a tensor an output of the engine; that blocks fusion across it.
    pub fn mark_output(&self, tensor: &Tensor) {
        tensor.network.mark_output(tensor.raw);
    }

    /// Undoes [`Network::mark_output`]; the tensor may be fused away again.
    pub fn unmark_output(&self, tensor: &Tensor) {
        tensor.network.unmark_output(tensor.raw);
    }

    /// Makes a tensor visible to a debug listener; that blocks fusion too. `false`: TensorRT will not,
    /// or cannot (8.6).
    pub fn mark_debug(&self, tensor: &Tensor) -> bool {
        tensor.network.mark_debug(tensor.raw).unwrap_or(false)
    }

    /// Undoes [`Network::mark_debug`]. `false`: TensorRT will not.
    pub fn unmark_debug(&self, tensor: &Tensor) -> bool {
        tensor.network.unmark_debug(tensor.raw).unwrap_or(false)
    }

    /// Was it marked by [`Network::mark_debug`]?
    pub fn is_debug(&self, tensor: &Tensor) -> bool {
        tensor.network.is_debug(tensor.raw).unwrap_or(false)
    }

    /// Makes what fusion leaves visible to a debug listener, without changing what is fused.
    pub fn mark_unfused(&self) -> Result<bool, RunError> {
        self.object.get().mark_unfused()
    }

    /// Undoes [`Network::mark_unfused`].
    pub fn unmark_unfused(&self) -> Result<bool, RunError> {
        self.object.get().unmark_unfused()
    }
}

impl Tensor<'_> {
    /// The ONNX name, where a node of the model makes it.
    pub fn name(&self) -> String {
        self.raw.name()
    }

    /// `None` for a type that layerdiff does not know.
    pub fn dtype(&self) -> Option<DType> {
        types::dtype(self.raw.dtype())
    }

    /// -1 for a dimension that is not known before the run; `None` when not even their number is.
    pub fn shape(&self) -> Option<Vec<i64>> {
        self.raw.dimensions().shape().map(<[i64]>::to_vec)
    }

    /// Is it an input of the network?
    pub fn is_input(&self) -> bool {
        self.raw.is_input()
    }

    /// Is it handed out: an output of the model, or marked as one?
    pub fn is_output(&self) -> bool {
        self.raw.is_output()
    }

    /// Does its value decide about shapes? Such a tensor lives on the host.
    pub fn is_shape_tensor(&self) -> bool {
        self.raw.is_shape_tensor()
    }

    /// Do kernels read or write its value? A tensor may be this and a shape tensor.
    pub fn is_execution_tensor(&self) -> bool {
        self.raw.is_execution_tensor()
    }
}

impl<'n> Layer<'n> {
    /// That of the ONNX node it came from, where there is one.
    pub fn name(&self) -> String {
        self.raw.name()
    }

    /// `MATRIX_MULTIPLY`
    pub fn kind(&self) -> String {
        let number = self.raw.kind();
        self.raw.library().abi().name_of("LayerType", number).map_or_else(|| number.to_string(), str::to_string)
    }

    /// What the parser noted of the ONNX nodes it came from, as TensorRT keeps it.
    pub fn metadata(&self) -> String {
        self.raw.metadata()
    }

    /// The nodes of the model that it came from; none for weights and helpers.
    pub fn onnx_nodes(&self) -> Vec<String> {
        layers::nodes(&self.metadata())
    }

    /// By position; one that is left out is skipped.
    pub fn inputs(&self) -> Vec<Tensor<'n>> {
        let tensors = (0..self.raw.input_count()).filter_map(|i| self.raw.input(i));
        tensors.map(|raw| Tensor { raw, network: self.network }).collect()
    }

    /// By position.
    pub fn outputs(&self) -> Vec<Tensor<'n>> {
        let tensors = (0..self.raw.output_count()).filter_map(|i| self.raw.output(i));
        tensors.map(|raw| Tensor { raw, network: self.network }).collect()
    }

    /// Asks for a precision; TensorRT 10 obeys when the configuration says so.
    pub fn set_precision(&self, dtype: DType) -> Result<(), RunError> {
        self.raw.set_precision(number(dtype)?)
    }

    /// Asks for the type of one output. An error for types that TensorRT has not, and where the family is typed by the
    /// model alone.
    pub fn set_output_type(&self, output: usize, dtype: DType) -> Result<(), RunError> {
        let index = i32::try_from(output).unwrap_or(i32::MAX).min(self.raw.output_count() - 1);
        self.raw.set_output_type(index, number(dtype)?)
    }
}

fn number(dtype: DType) -> Result<i32, RunError> {
    types::number(dtype).ok_or_else(|| RunError::Missing(format!("TensorRT has no element type {dtype}")))
}

fn path_text(path: &Path) -> Result<CString, Vec<ParseError>> {
    CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(|_| vec![ParseError::of_the_model("the path has a zero byte in it")])
}
