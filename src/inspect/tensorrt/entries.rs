//! What TensorRT refuses or changes of operators that it has, each with the versions that are known to do so: what their lists of
//! operators say, and what the parser of TensorRT-RTX answered. Says nothing of other versions.

use super::seen::Seen;
use crate::inspect::facts::{Dim, Effect, Said};
use crate::tensor::DType;

/// One thing.
pub struct Entry {
    /// For programs.
    pub code: &'static str,
    /// Of the nodes: `quantises with a zero point that is not zero`.
    pub what: &'static str,
    /// Who does what about it.
    pub said: &'static [Said],
    /// What becomes of it, or what to do.
    pub then: &'static str,
    /// Does a node have it?
    pub has: fn(&Seen) -> bool,
}

const RTX: &str = "TensorRT-RTX 1.7.1";

/// What their lists of operators say.
pub const fn listed(effect: Effect) -> Said {
    Said { version: "TensorRT 10.1, 10.15 and 11.2", effect, source: "their lists of operators" }
}

const fn rtx(effect: Effect) -> Said {
    Said { version: RTX, effect, source: "its parser" }
}

const fn source(effect: Effect) -> Said {
    Said { version: "TensorRT 10.1", effect, source: "the sources of its parser" }
}

const ALL_REFUSE: &[Said] = &[listed(Effect::Refused), rtx(Effect::Refused)];
const LISTS_REFUSE: &[Said] = &[listed(Effect::Refused)];
const RTX_REFUSES: &[Said] = &[rtx(Effect::Refused)];
const PARSERS_REFUSE: &[Said] = &[source(Effect::Refused), rtx(Effect::Refused)];
/// What the sources of one and the parser of another change.
pub const PARSERS_CHANGE: &[Said] = &[source(Effect::Changed), rtx(Effect::Changed)];

const QUANTISERS: [&str; 2] = ["QuantizeLinear", "DequantizeLinear"];
const POOLS: [&str; 3] = ["MaxPool", "AveragePool", "LpPool"];
const RECURRENT: [&str; 3] = ["LSTM", "GRU", "RNN"];
const RANDOM: [&str; 4] = ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];
/// `topk` of TensorRT's list ends there.
const LARGEST_K: f64 = 3840.0;
/// Dimensions that a tensor of TensorRT can have.
const LARGEST_RANK: usize = 8;

/// In the order in which they are told.
pub const ENTRIES: [Entry; 30] = [
    Entry {
        code: "zero_point",
        what: "quantise with a zero point that is not zero",
        said: ALL_REFUSE,
        then: "quantise symmetrically",
        has: |n| n.is(&QUANTISERS) && n.range(2).is_some_and(|range| range != [0.0, 0.0]),
    },
    Entry {
        code: "scale",
        what: "quantise with a scale that is zero or negative",
        said: PARSERS_REFUSE,
        then: "calibrate again, or leave that tensor in float",
        has: |n| n.is(&QUANTISERS) && n.range(1).is_some_and(|[least, _]| least <= 0.0),
    },
    Entry {
        code: "int32_bias",
        what: "dequantise int32, a bias mostly",
        said: ALL_REFUSE,
        then: "keep biases in float32",
        has: |n| n.is(&["DequantizeLinear"]) && n.reads(0) == Some(DType::Int32),
    },
    Entry {
        code: "uint8_constant",
        what: "dequantise a uint8 constant",
        said: RTX_REFUSES,
        then: "quantise weights to int8",
        has: |n| n.is(&["DequantizeLinear"]) && n.reads(0) == Some(DType::Uint8) && n.constant(0).is_some(),
    },
    Entry {
        code: "uint8_quantised",
        what: "quantise to uint8 with a zero point of zero",
        said: PARSERS_CHANGE,
        then: "they quantise to int8 there: what is above 127 scales is cut off; quantise to int8, whose scales fit",
        has: |n| n.is(&["QuantizeLinear"]) && n.makes().any(|t| t == DType::Uint8) && is_zero(n),
    },
    Entry {
        code: "float64",
        what: "compute in float64",
        said: &[listed(Effect::Changed), rtx(Effect::Changed)],
        then: "they compute in float32 there; export that part in float32, and compare with that",
        has: |n| n.makes().any(|t| t == DType::Float64),
    },
    Entry {
        code: "element_type",
        what: "make or read a type that TensorRT does not have (16-bit and unsigned integers other than uint8, texts, float8 E5M2)",
        said: ALL_REFUSE,
        then: "export with int32, int64 or a float type",
        has: |n| (0..n.node.input.len()).filter_map(|at| n.reads(at)).chain(n.makes()).any(unheard_of),
    },
    Entry {
        code: "rank",
        what: "read a tensor of more than 8 dimensions",
        said: PARSERS_REFUSE,
        then: "reshape it to fewer",
        has: |n| (0..n.node.input.len()).filter_map(|at| n.shape(at)).any(|shape| shape.len() > LARGEST_RANK),
    },
    Entry {
        code: "dilated_pool",
        what: "pool with dilations",
        said: ALL_REFUSE,
        then: "pool without",
        has: |n| n.is(&POOLS) && n.node.attr("dilations").is_some_and(|a| a.ints.iter().any(|d| *d != 1)),
    },
    Entry {
        code: "lp_pool",
        what: "pool by a norm other than L1 and L2",
        said: PARSERS_REFUSE,
        then: "use p = 1 or 2",
        has: |n| n.is(&["LpPool"]) && n.int("p").is_some_and(|p| p != 1 && p != 2),
    },
    Entry {
        code: "pool_indices",
        what: "hand out the indices of MaxPool",
        said: ALL_REFUSE,
        then: "export without return_indices",
        has: |n| n.is(&["MaxPool"]) && n.has_more_outputs(),
    },
    Entry {
        code: "norm_outputs",
        what: "hand out mean or deviation of LayerNormalization",
        said: ALL_REFUSE,
        then: "use its first output only",
        has: |n| n.is(&["LayerNormalization"]) && n.has_more_outputs(),
    },
    Entry {
        code: "training",
        what: "are in training mode",
        said: PARSERS_REFUSE,
        then: "export with model.eval()",
        has: |n| n.is(&["BatchNormalization"]) && n.int("training_mode") == Some(1),
    },
    Entry {
        code: "training_outputs",
        what: "hand out mean and variance of BatchNormalization, as in training",
        said: RTX_REFUSES,
        then: "export with model.eval()",
        has: |n| n.is(&["BatchNormalization"]) && n.has_more_outputs(),
    },
    Entry {
        code: "dropout",
        what: "drop out in training mode, or as another node says",
        said: ALL_REFUSE,
        then: "export with model.eval()",
        has: |n| {
            let off = n.range(2) == Some([0.0, 0.0]);
            n.is(&["Dropout"]) && n.input(2).is_some() && !off
        },
    },
    Entry {
        code: "scatter_nd",
        what: "scatter with a reduction",
        said: ALL_REFUSE,
        then: "scatter without, or export that part otherwise",
        has: |n| n.is(&["ScatterND"]) && !matches!(n.text("reduction").as_str(), "" | "none"),
    },
    Entry {
        code: "scatter_elements",
        what: "scatter elements with a reduction",
        said: RTX_REFUSES,
        then: "scatter without, or export that part otherwise",
        has: |n| n.is(&["ScatterElements"]) && !matches!(n.text("reduction").as_str(), "" | "none"),
    },
    Entry {
        code: "resize_mode",
        what: "resize in coordinates of another mode than half_pixel, pytorch_half_pixel, tf_half_pixel_for_nn, asymmetric and align_corners",
        said: ALL_REFUSE,
        then: "export with half_pixel or asymmetric",
        has: |n| {
            let mode = n.text("coordinate_transformation_mode");
            n.is(&["Resize"]) && (mode == "tf_crop_and_resize" || mode == "half_pixel_symmetric")
        },
    },
    Entry {
        code: "resize_antialias",
        what: "resize with antialias",
        said: ALL_REFUSE,
        then: "resize before the model",
        has: |n| n.is(&["Resize"]) && n.int("antialias") == Some(1),
    },
    Entry {
        code: "resize_ratio",
        what: "resize and keep the aspect ratio",
        said: ALL_REFUSE,
        then: "give the sizes that are meant",
        has: |n| n.is(&["Resize"]) && !matches!(n.text("keep_aspect_ratio_policy").as_str(), "" | "stretch"),
    },
    Entry {
        code: "rnn_layout",
        what: "have their batch first (layout = 1)",
        said: PARSERS_CHANGE,
        then: "the batch is taken for the steps there; export with layout 0, and a Transpose",
        has: |n| n.is(&RECURRENT) && n.int("layout") == Some(1),
    },
    Entry {
        code: "rnn_activations",
        what: "have other activations backwards than forwards",
        said: ALL_REFUSE,
        then: "split it into one of each direction",
        has: |n| n.is(&RECURRENT) && n.text("direction") == "bidirectional" && halves_differ(n),
    },
    Entry {
        code: "lstm_input_forget",
        what: "couple the input and forget gates",
        said: ALL_REFUSE,
        then: "export without input_forget",
        has: |n| n.is(&["LSTM"]) && n.int("input_forget") == Some(1),
    },
    Entry {
        code: "eye_like",
        what: "make an identity matrix of a dynamic shape",
        said: ALL_REFUSE,
        then: "fix the shape",
        has: |n| {
            let open = |shape: Vec<Dim>| shape.iter().any(|dim| !matches!(dim, Dim::Fixed(_)));
            n.is(&["EyeLike"]) && n.shape(0).is_some_and(open)
        },
    },
    Entry {
        code: "reduce_axes",
        what: "reduce along axes that are an input of the model",
        said: ALL_REFUSE,
        then: "make the axes constant",
        has: |n| n.node.op_type().starts_with("Reduce") && n.is(&[n.node.op_type()]) && n.is_fed(1),
    },
    Entry {
        code: "topk_large",
        what: "take the 3840 largest or more",
        said: LISTS_REFUSE,
        then: "take fewer",
        has: |n| n.is(&["TopK"]) && n.range(1).is_some_and(|[_, k]| k >= LARGEST_K),
    },
    Entry {
        code: "attention",
        what: "are Attention with a past, a softcap or several outputs",
        said: &[
            Said { version: "TensorRT 10.15 and 11.2", effect: Effect::Refused, source: "their lists of operators" },
            rtx(Effect::Refused),
        ],
        then: "export attention as products and Softmax",
        has: |n| {
            let past = n.input(4).is_some() || n.input(5).is_some();
            let softcap = n.node.attr("softcap").is_some_and(|a| a.f() != 0.0);
            n.is(&["Attention"]) && (past || softcap || n.has_more_outputs())
        },
    },
    Entry {
        code: "four_bit_product",
        what: "multiply packed weights (MatMulNBits) with other values than FP16, or in blocks of other sizes than 32, 64 and 128",
        said: RTX_REFUSES,
        then: "export the product in FP16, with such a block size",
        has: |n| {
            let other = n.reads(0).is_some_and(|dtype| dtype != DType::Float16);
            let blocks = n.int("block_size").is_some_and(|size| ![32, 64, 128].contains(&size));
            n.node.op_type() == "MatMulNBits" && (other || blocks)
        },
    },
    Entry {
        code: "sparse_weight",
        what: "read a sparse initializer",
        said: RTX_REFUSES,
        then: "store its values as a dense one",
        has: |n| n.reads_sparse(),
    },
    Entry {
        code: "random_seed",
        what: "are random with a seed",
        said: &[listed(Effect::Changed)],
        then: "the seed is ignored; feed the numbers as an input",
        has: |n| n.is(&RANDOM) && n.node.attr("seed").is_some(),
    },
];

/// Is the zero point zero, or left out?
fn is_zero(n: &Seen) -> bool {
    n.input(2).is_none() || n.range(2) == Some([0.0, 0.0])
}

fn unheard_of(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::Int16 | DType::Uint16 | DType::Uint32 | DType::Uint64 | DType::Uint4 | DType::String | DType::Float8e5m2
    )
}

fn halves_differ(n: &Seen) -> bool {
    let names: Vec<&[u8]> =
        n.node.attr("activations").map(|a| a.strings.iter().map(AsRef::as_ref).collect()).unwrap_or_default();
    let (forwards, backwards) = names.split_at(names.len() / 2);
    forwards != backwards
}
