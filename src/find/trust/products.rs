//! Are products of float32 exact, or are they TF32's, whose operands have mantissas of 10 bits? One MatMul and one Conv tell:
//! every product and every partial sum of them is exact in float32, in any order, and TF32 cannot even hold the operands.

use crate::lab::Side;
use crate::load::testset::tensor_to_proto;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto, attribute_type,
};
use crate::run::RunError;
use crate::tensor::{DType, Tensor, Tensors};

/// What a side multiplies with.
#[derive(Clone, Debug, PartialEq)]
pub enum Products {
    /// Float32.
    Exact,
    /// Mantissas of 10 bits, or fewer: what was seen.
    Short(String),
    /// Neither; why.
    Unclear(String),
}

impl Products {
    /// For the report.
    pub fn told(&self) -> String {
        match self {
            Products::Exact => "off (measured)".to_string(),
            Products::Short(_) => "on (measured)".to_string(),
            Products::Unclear(why) => format!("not known: {why}"),
        }
    }
}

/// The operand: TF32 rounds it to 1.
const OPERAND: f32 = 1.0 + 1.0 / 4096.0;
/// Rows, columns, channels: enough for tensor cores to be worth while.
const SIZE: usize = 64;
/// Height and width of the picture.
const SIDE: usize = 8;

/// Runs both on the side's backend, as they are: what it does with models of its own precision is not asked.
pub fn products(side: &Side) -> Result<Products, RunError> {
    let names = ["MatMul", "Conv"].map(str::to_string);
    let values = side.run_untouched(&model(), &[feeds()], &names)?.pop().unwrap_or_default();
    Ok(judge(&names, &values))
}

/// Every row of `a` times every column of `b`, and a picture times filters that look at its centre: all results are
/// `OPERAND`, as 64 products of `OPERAND` and 1/64.
fn model() -> ModelProto {
    let share = 1.0 / SIZE as f32;
    let columns = Tensor::f32(&[SIZE, SIZE], &[share; SIZE * SIZE]);
    let mut filters = vec![0.0; SIZE * SIZE * 9];
    filters.iter_mut().skip(4).step_by(9).for_each(|centre| *centre = share);
    let filters = Tensor::f32(&[SIZE, SIZE, 3, 3], &filters);
    let pads = AttributeProto {
        name: Some("pads".to_string()),
        ints: vec![1; 4],
        r#type: Some(attribute_type::INTS),
        ..Default::default()
    };
    let graph = GraphProto {
        name: Some("products".to_string()),
        node: vec![
            NodeProto::new("MatMul", "MatMul", &["a", "b"], &["MatMul"]),
            NodeProto::new("Conv", "Conv", &["x", "w"], &["Conv"]).with(pads),
        ],
        initializer: vec![tensor_to_proto("b", &columns), tensor_to_proto("w", &filters)],
        input: feeds().iter().map(|(name, t)| ValueInfoProto::tensor(name, t.dtype, &t.shape)).collect(),
        output: vec![
            ValueInfoProto::tensor("MatMul", DType::Float32, &[SIZE, SIZE]),
            ValueInfoProto::tensor("Conv", DType::Float32, &[1, SIZE, SIDE, SIDE]),
        ],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(13) };
    ModelProto { ir_version: Some(7), graph: Some(graph), opset_import: vec![opset], ..Default::default() }
}

fn feeds() -> Tensors {
    let filled = |shape: &[usize]| Tensor::f32(shape, &vec![OPERAND; shape.iter().product()]);
    Tensors::from([("a".to_string(), filled(&[SIZE, SIZE])), ("x".to_string(), filled(&[1, SIZE, SIDE, SIDE]))])
}

/// Fast algorithms for convolutions are off by a few roundings of float32, far less than the operand's last bit.
fn judge(names: &[String], values: &Tensors) -> Products {
    let mut short = Vec::new();
    for name in names {
        let Some(value) = values.get(name).filter(|v| v.dtype == DType::Float32 && v.elements() > 0) else {
            return Products::Unclear(format!("{name} gave no float32"));
        };
        let value = value.view::<f32>();
        let near = |wanted: f32, most: f32| value.iter().all(|x| (x - wanted).abs() <= most);
        if near(OPERAND, 2f32.powi(-14)) {
            continue;
        }
        if !near(1.0, 2f32.powi(-10)) {
            return Products::Unclear(format!("{name} gave {} where {OPERAND} is right", value[0]));
        }
        short.push(format!("{name} gave {} where float32 gives {OPERAND}", value[0]));
    }
    if short.is_empty() { Products::Exact } else { Products::Short(short.join(", ")) }
}
