//! Small models for the things in the list, and some that have none of them.

use crate::graph::lines;
use crate::onnx::{
    AttributeProto, DimValue, Dimension, GraphProto, ModelProto, OperatorSetIdProto, SparseTensorProto, TensorProto,
    TensorShapeProto, ValueInfoProto, attribute_type,
};
use crate::tensor::DType;

const F32: DType = DType::Float32;

/// A graph of one line or two, with what is not a float32 of 2x4.
#[derive(Default)]
pub struct Case {
    pub text: &'static str,
    attributes: Vec<AttributeProto>,
    domain: &'static str,
    ports: Vec<(&'static str, DType, Vec<i64>)>,
    weights: Vec<TensorProto>,
    sparse: Vec<SparseTensorProto>,
}

/// Of this text alone.
pub fn case(text: &'static str) -> Case {
    Case { text, ..Case::default() }
}

impl Case {
    /// Of the first node.
    fn with(mut self, attribute: AttributeProto) -> Case {
        self.attributes.push(attribute);
        self
    }

    pub fn int(self, name: &str, value: i64) -> Case {
        self.with(AttributeProto::int(name, value))
    }

    fn ints(self, name: &str, values: &[i64]) -> Case {
        let (name, ints, r#type) = (Some(name.into()), values.to_vec(), Some(attribute_type::INTS));
        self.with(AttributeProto { name, ints, r#type, ..Default::default() })
    }

    fn text(self, name: &str, value: &str) -> Case {
        let (name, s, r#type) = (Some(name.into()), Some(value.to_string().into()), Some(attribute_type::STRING));
        self.with(AttributeProto { name, s, r#type, ..Default::default() })
    }

    fn texts(self, name: &str, values: &[&str]) -> Case {
        let strings = values.iter().map(|value| value.to_string().into()).collect();
        let (name, r#type) = (Some(name.into()), Some(attribute_type::STRINGS));
        self.with(AttributeProto { name, strings, r#type, ..Default::default() })
    }

    /// A dimension of -1 is open.
    pub fn port(mut self, name: &'static str, dtype: DType, dims: &[i64]) -> Case {
        self.ports.push((name, dtype, dims.to_vec()));
        self
    }

    fn weight(mut self, name: &str, dtype: DType, dims: &[i64], bytes: Vec<u8>) -> Case {
        self.weights.push(TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(dtype.onnx()),
            raw_data: Some(bytes.into()),
            ..Default::default()
        });
        self
    }

    fn floats(self, name: &str, dims: &[i64], value: f32) -> Case {
        let n = dims.iter().product::<i64>() as usize;
        self.weight(name, F32, dims, value.to_le_bytes().repeat(n))
    }

    fn longs(self, name: &str, values: &[i64]) -> Case {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.weight(name, DType::Int64, &[values.len() as i64], bytes)
    }

    /// Its one value as a sparse tensor of four.
    fn made_sparse(mut self) -> Case {
        let values = self.weights.pop();
        let indices = Some(TensorProto {
            dims: vec![1],
            data_type: Some(DType::Int64.onnx()),
            raw_data: Some(2i64.to_le_bytes().to_vec().into()),
            ..Default::default()
        });
        self.sparse.push(SparseTensorProto { values, indices, dims: vec![4] });
        self
    }

    pub fn in_domain(self, domain: &'static str) -> Case {
        Case { domain, ..self }
    }

    pub fn model(&self, opset: i64) -> ModelProto {
        let mut lines = lines::read(self.text);
        lines.nodes[0].attribute = self.attributes.clone();
        lines.nodes.iter_mut().flat_map(|n| &mut n.input).filter(|name| *name == "none").for_each(String::clear);
        lines.nodes[0].domain = (!self.domain.is_empty()).then(|| self.domain.to_string());
        let port = |name: &String| {
            let own = self.ports.iter().find(|(own, ..)| own == name);
            let (dtype, dims) = own.map_or((F32, vec![2, 4]), |(_, dtype, dims)| (*dtype, dims.clone()));
            let dim = |d: i64| Dimension { value: (d >= 0).then_some(DimValue::DimValue(d)), denotation: None };
            let shape = TensorShapeProto { dim: dims.into_iter().map(dim).collect() };
            ValueInfoProto::typed(name, dtype, Some(shape))
        };
        let graph = GraphProto {
            name: Some("g".into()),
            node: lines.nodes.clone(),
            initializer: self.weights.clone(),
            sparse_initializer: self.sparse.clone(),
            input: lines.inputs.iter().map(port).collect(),
            output: lines.ends.iter().map(port).collect(),
            ..Default::default()
        };
        let import = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
        let own = (!self.domain.is_empty()).then(|| import(self.domain, 1));
        let opset_import = std::iter::once(import("", opset)).chain(own).collect();
        ModelProto { ir_version: Some(10), opset_import, graph: Some(graph), ..Default::default() }
    }
}

/// A pair of quantisers.
pub fn quantise(zero: (DType, u8), scale: f32) -> Case {
    let case = case("q = QuantizeLinear(x, scale, zero); y = DequantizeLinear(q, scale, zero)");
    case.floats("scale", &[], scale).weight("zero", zero.0, &[], vec![zero.1])
}

fn resize(text: &'static str) -> Case {
    let case = case(text).text("mode", "linear").port("x", F32, &[1, 1, 4, 4]).port("y", F32, &[1, 1, 8, 8]);
    let scales = [1.0f32, 1.0, 2.0, 2.0].iter().flat_map(|s| s.to_le_bytes()).collect();
    case.weight("scales", F32, &[4], scales).longs("sizes", &[1, 1, 8, 8]).floats("roi", &[8], 0.0)
}

/// Two samples of five steps, by what `layout = 1` says.
pub fn recurrent(text: &'static str, gates: i64, directions: i64) -> Case {
    let case = case(text).int("hidden_size", 4).port("x", F32, &[2, 5, 3]);
    let case = case.port("y", F32, &[2, directions, 5, 4]);
    case.floats("ww", &[directions, gates * 4, 3], 1.0).floats("rr", &[directions, gates * 4, 4], 1.0)
}

fn pool(text: &'static str) -> Case {
    case(text).ints("kernel_shape", &[2, 2]).port("x", F32, &[1, 1, 6, 6]).port("y", F32, &[1, 1, 5, 5])
}

fn attention(text: &'static str) -> Case {
    ["q", "k", "v", "p", "r", "y"].into_iter().fold(case(text), |case, name| case.port(name, F32, &[1, 2, 4, 8]))
}

/// One for each thing in the list, by its code.
pub fn cases() -> Vec<(&'static str, Case)> {
    let (i8, u8, i32, i64, f64) = (DType::Int8, DType::Uint8, DType::Int32, DType::Int64, DType::Float64);
    let float = |name: &str, f| AttributeProto {
        name: Some(name.into()),
        f: Some(f),
        r#type: Some(attribute_type::FLOAT),
        ..Default::default()
    };
    let bias = case("w = DequantizeLinear(bias, scale); y = Add(x, w)").floats("scale", &[], 0.1);
    let scatter = |text| case(text).text("reduction", "add").port("x", F32, &[4]).port("y", F32, &[4]);
    let indices = |text| scatter(text).port("u", F32, &[2]);
    vec![
        ("zero_point", quantise((i8, 3), 0.1)),
        ("zero_point", quantise((u8, 128), 0.1)),
        ("scale", quantise((i8, 0), -0.1)),
        ("scale", quantise((i8, 0), 0.0)),
        ("int32_bias", bias.weight("bias", i32, &[4], vec![1; 16])),
        (
            "uint8_constant",
            case("w = DequantizeLinear(bias, scale); y = Add(x, w)").floats("scale", &[], 0.1).weight(
                "bias",
                u8,
                &[4],
                vec![7; 4],
            ),
        ),
        ("uint8_quantised", quantise((u8, 0), 0.1)),
        (
            "uint8_quantised",
            case("q = QuantizeLinear(x, scale); y = DequantizeLinear(q, scale)").floats("scale", &[], 0.1),
        ),
        ("float64", case("y = Relu(x)").port("x", f64, &[2, 4]).port("y", f64, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Uint16, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Int16, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Uint32, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Uint64, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Float8e5m2, &[2, 4])),
        ("element_type", case("y = Cast(x)").int("to", 1).port("x", DType::Uint4, &[2, 4])),
        ("element_type", case("y = Identity(x)").port("x", DType::String, &[2]).port("y", DType::String, &[2])),
        ("rank", case("y = Relu(x)").port("x", F32, &[1; 9]).port("y", F32, &[1; 9])),
        ("dilated_pool", pool("y = MaxPool(x)").ints("dilations", &[2, 2])),
        ("dilated_pool", pool("y = AveragePool(x)").ints("dilations", &[2, 2])),
        ("dilated_pool", pool("y = LpPool(x)").ints("dilations", &[2, 2])),
        ("lp_pool", pool("y = LpPool(x)").int("p", 3)),
        ("pool_indices", pool("y, i = MaxPool(x)").port("i", i64, &[1, 1, 5, 5])),
        ("norm_outputs", case("y, m = LayerNormalization(x, ones)").floats("ones", &[4], 1.0).port("m", F32, &[2, 1])),
        (
            "training_outputs",
            case("y, mean, var = BatchNormalization(x, ones, ones, ones, ones)")
                .floats("ones", &[4], 1.0)
                .port("mean", F32, &[4])
                .port("var", F32, &[4]),
        ),
        (
            "training",
            case("y, mean, var = BatchNormalization(x, ones, ones, ones, ones)")
                .int("training_mode", 1)
                .floats("ones", &[4], 1.0)
                .port("mean", F32, &[4])
                .port("var", F32, &[4]),
        ),
        ("dropout", case("y = Dropout(x, rate, on)").floats("rate", &[], 0.5).weight("on", DType::Bool, &[], vec![1])),
        ("dropout", case("y = Dropout(x, rate, t)").floats("rate", &[], 0.5).port("t", DType::Bool, &[])),
        ("scatter_nd", indices("y = ScatterND(x, i, u)").port("i", i64, &[2, 1])),
        ("scatter_elements", indices("y = ScatterElements(x, i, u)").port("i", i64, &[2])),
        (
            "resize_mode",
            resize("y = Resize(x, roi, scales)").text("coordinate_transformation_mode", "tf_crop_and_resize"),
        ),
        (
            "resize_mode",
            resize("y = Resize(x, roi, scales)").text("coordinate_transformation_mode", "half_pixel_symmetric"),
        ),
        ("resize_antialias", resize("y = Resize(x, roi, scales)").int("antialias", 1)),
        ("resize_ratio", resize("y = Resize(x, roi, none, sizes)").text("keep_aspect_ratio_policy", "not_larger")),
        ("rnn_layout", recurrent("y = LSTM(x, ww, rr)", 4, 1).int("layout", 1)),
        ("rnn_layout", recurrent("y = GRU(x, ww, rr)", 3, 1).int("layout", 1)),
        ("rnn_layout", recurrent("y = RNN(x, ww, rr)", 1, 1).int("layout", 1)),
        (
            "rnn_activations",
            recurrent("y = GRU(x, ww, rr)", 3, 2)
                .text("direction", "bidirectional")
                .texts("activations", &["Sigmoid", "Tanh", "Sigmoid", "Relu"]),
        ),
        ("lstm_input_forget", recurrent("y = LSTM(x, ww, rr)", 4, 1).int("input_forget", 1)),
        ("eye_like", case("y = EyeLike(x)").port("x", F32, &[-1, 4]).port("y", F32, &[-1, 4])),
        ("reduce_axes", case("y = ReduceSum(x, a)").port("a", i64, &[1]).port("y", F32, &[2, 1])),
        (
            "topk_large",
            case("y, i = TopK(x, many)").longs("many", &[4000]).port("x", F32, &[9000]).port("y", F32, &[4000]).port(
                "i",
                i64,
                &[4000],
            ),
        ),
        ("attention", attention("y = Attention(q, k, v)").with(float("softcap", 5.0))),
        ("attention", attention("y, kk, vv = Attention(q, k, v, none, p, r)")),
        ("random_seed", case("r = RandomNormal(); y = Add(x, r)").ints("shape", &[2, 4]).with(float("seed", 1.0))),
        (
            "four_bit_product",
            case("y = MatMulNBits(x, packed, scales)")
                .in_domain("com.microsoft")
                .int("K", 32)
                .int("N", 4)
                .int("bits", 4)
                .int("block_size", 32)
                .weight("packed", u8, &[4, 1, 16], vec![7; 64])
                .floats("scales", &[4], 1.0)
                .port("x", F32, &[2, 32])
                .port("y", F32, &[2, 4]),
        ),
        ("sparse_weight", case("y = Add(x, few)").floats("few", &[1], 3.0).made_sparse()),
        ("plugin", case("y = Frobnicate(x)").in_domain("acme")),
        ("plugin", case("y = Frobnicate(x)")),
        ("foreign_name", case("y = Relu(x)").in_domain("acme")),
        (
            "operator",
            case("y = HannWindow(size)").weight("size", i64, &[], 8i64.to_le_bytes().to_vec()).port("y", F32, &[8]),
        ),
        (
            "operator",
            case("y = RoiAlign(x, r, b)")
                .int("output_height", 2)
                .int("output_width", 2)
                .port("x", F32, &[1, 1, 8, 8])
                .port("r", F32, &[2, 4])
                .port("b", i64, &[2])
                .port("y", F32, &[2, 1, 2, 2]),
        ),
    ]
}

/// What has none of it.
pub fn plain() -> Vec<Case> {
    let (i8, i64) = (DType::Int8, DType::Int64);
    vec![
        case("y = Relu(x)"),
        quantise((i8, 0), 0.1),
        pool("y = MaxPool(x)").ints("dilations", &[1, 1]),
        pool("y = LpPool(x)").int("p", 1),
        case("y = LayerNormalization(x, ones)").floats("ones", &[4], 1.0),
        case("y = Dropout(x, rate, off)").floats("rate", &[], 0.5).weight("off", DType::Bool, &[], vec![0]),
        resize("y = Resize(x, roi, scales)").text("coordinate_transformation_mode", "asymmetric"),
        recurrent("y = LSTM(x, ww, rr)", 4, 2).text("direction", "bidirectional"),
        case("y = EyeLike(x)").port("x", F32, &[4, 4]).port("y", F32, &[4, 4]),
        case("y = ReduceSum(x, axis)").longs("axis", &[1]).port("y", F32, &[2, 1]),
        attention("y = Attention(q, k, v)"),
        case("y = ScatterND(x, i, u)").port("x", F32, &[4]).port("i", i64, &[2, 1]).port("u", F32, &[2]).port(
            "y",
            F32,
            &[4],
        ),
        case("y = Cast(x)").int("to", 1).port("x", DType::Uint8, &[2, 4]),
        case("y = Add(x, wide)").longs("wide", &[1 << 40]).port("x", i64, &[1]).port("y", i64, &[1]),
    ]
}
