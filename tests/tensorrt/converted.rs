//! Models that layerdiff converted to FP16, with and without nodes that stay in FP32, and quantised ones: all are parsed and built but
//! those of two lists, and engines' layers lead back to nodes. What cannot be marked says so.

use super::*;

use layerdiff::graph::{Graph, Node};
use layerdiff::lab::Survey;
use layerdiff::load::testset::{tensor_from_proto, tensor_to_proto};
use layerdiff::load::{Model, npz};
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::precision::convert::{Converter, Options};
use layerdiff::run::ort::{self, Runtime};
use layerdiff::run::tensorrt::{self, Layer};
use layerdiff::tensor::Tensor;

/// What TensorRT-RTX does not parse, and why.
const NOT_PARSED: [(&str, &str); 8] = [
    // The shape of what is chosen depends on the data.
    ("nothing_selected/model.onnx", "(Compress)"),
    ("nothing_selected/candidate.onnx", "(Compress)"),
    ("dynamic_quantised/candidate.onnx", "(DynamicQuantizeLinear)"),
    ("packed_four_bits/model.onnx", "(MatMulNBits): input tensor A must be FP16"),
    ("packed_four_bits/candidate.onnx", "(MatMulNBits): input tensor A must be FP16"),
    ("qdq_bad_scale/candidate.onnx", INT32_BIAS),
    ("qdq_healthy/candidate.onnx", INT32_BIAS),
    ("string_model/model.onnx", "Failed to convert ONNX date type to TensorRT data type."),
];
/// ONNX Runtime's quantiser makes such biases unless it is told `QuantizeBias: False`.
const INT32_BIAS: &str = "(DequantizeLinear): Invalid Node - conv1_b_DequantizeLinear\n\
    ITensor::getDimensions: Error Code 4: API Usage Error (conv1_b_DequantizeLinear: input has type Int32 but must have type FP8";

/// What it parses, and does not build, converted or not: an If within an If.
const NOT_BUILT: [(&str, &str); 3] =
    [("models/silero_16k.onnx", SCOPE), ("models/silero_half.onnx", SCOPE), ("models/silero_vad.onnx", SCOPE)];
const SCOPE: &str = "tScope.getType() != ScopeType::kUNDEFINED";

const REAL: [&str; 12] = [
    "cls",
    "det",
    "magika",
    "nudenet",
    "opennsfw",
    "rec",
    "silero_16k",
    "silero_half",
    "silero_ifless",
    "silero_openvino",
    "silero_sequence",
    "silero_vad",
];

/// A model in FP16, and the tensors of its own graph that are to be in FP32.
struct Converted {
    model: ModelProto,
    kept: Vec<String>,
}

#[test]
fn converted_models_of_testdata() {
    let Some(rtx) = rtx("converted_models_of_testdata") else { return };
    let folders = std::fs::read_dir(root().join("testdata")).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| ["model.onnx", "candidate.onnx"].map(|name| folder.join(name)));
    // What has no float32 has nothing to convert.
    let converts = |path: &PathBuf| path.is_file() && !path.starts_with(root().join("testdata/float64_outlier"));
    let models: Vec<PathBuf> = files.filter(converts).collect();
    assert!(models.len() > 35);
    assert_eq!(check_all(&rtx, &models), listed(|name| !name.starts_with("models/")));
}

#[test]
fn converted_real_models() {
    let Some(rtx) = rtx("converted_real_models") else { return };
    let refused = check_all(&rtx, &REAL.map(|name| real_model(&format!("{name}.onnx"))));
    assert_eq!(refused, listed(|name| name.starts_with("models/")));
}

/// Names in both lists.
fn listed(chosen: fn(&str) -> bool) -> HashSet<String> {
    NOT_PARSED.iter().chain(&NOT_BUILT).map(|(name, _)| name.to_string()).filter(|name| chosen(name)).collect()
}

/// Names of the models that were refused.
fn check_all(rtx: &Loaded, models: &[PathBuf]) -> HashSet<String> {
    let (builder, ort, mut refused) = (rtx.builder(), ort(), HashSet::new());
    for path in models {
        let parents = path.ancestors().nth(2).unwrap();
        let name = path.strip_prefix(parents).unwrap().display().to_string();
        for mixed in [false, true] {
            let converted = convert(&ort, path, mixed);
            if !check(rtx, &builder, &name, path, &converted) {
                refused.insert(name.clone());
            }
        }
    }
    refused
}

/// Parsed, of the right types, built, and led back to nodes: `true`. Or refused as the lists say.
fn check(rtx: &Loaded, builder: &Builder, name: &str, path: &Path, converted: &Converted) -> bool {
    let listed = |list: &[(&str, &'static str)]| list.iter().find(|(n, _)| *n == name).map(|(_, reason)| *reason);
    let network = match (parse_model(builder, &converted.model, path), listed(&NOT_PARSED)) {
        (Ok(network), None) => network,
        (Err(errors), Some(reason)) => {
            let message = refusal(&rtx.library, &errors).to_string();
            assert!(message.contains(reason), "{name}: {message}");
            return false;
        }
        (Err(errors), None) => panic!("{name}: {}", refusal(&rtx.library, &errors)),
        (Ok(_), Some(_)) => panic!("{name} is parsed: take it from the list"),
    };
    check_types(&network, &converted.kept, name);
    match (build_for(builder, &network, path), listed(&NOT_BUILT)) {
        (Ok(plan), None) => {
            check_layers(&network, &plan, &converted.model, name);
            true
        }
        (Err(error), Some(reason)) => {
            assert!(error.to_string().contains(reason), "{name}: {error}");
            false
        }
        (Err(error), None) => panic!("{name}: {error}"),
        (Ok(_), Some(_)) => panic!("{name} is built: take it from the list"),
    }
}

/// The network is in FP16 where the model is, and in FP32 where it was kept.
fn check_types(network: &Network, kept: &[String], name: &str) {
    let tensors = network.tensors();
    assert!(tensors.iter().any(|tensor| tensor.dtype() == Some(DType::Float16)), "{name}: nothing is in FP16");
    for tensor in tensors.iter().filter(|tensor| kept.contains(&tensor.name())) {
        assert_eq!(tensor.dtype(), Some(DType::Float32), "{name}: '{}' was kept in FP32", tensor.name());
    }
}

/// Layers lead to nodes of the model, and every node that made one is in the plan, but for what is done while it is built.
fn check_layers(network: &Network, plan: &Plan, model: &ModelProto, name: &str) {
    let nodes = names(model);
    let in_plan: HashSet<String> = layers::in_plan(plan).into_iter().flatten().collect();
    assert!(!in_plan.is_empty() && in_plan.is_subset(&nodes), "{name}: {:?}", in_plan.difference(&nodes));
    for layer in network.layers() {
        for node in layer.onnx_nodes() {
            assert!(nodes.contains(&node), "{name}: layer {} comes from '{node}'", layer.name());
            assert!(in_plan.contains(&node) || goes(&layer), "{name}: '{node}' ({}) is not in the plan", layer.kind());
        }
    }
}

/// Arithmetic with shapes (whole numbers, truth values, single floats), and what does nothing.
fn goes(layer: &Layer) -> bool {
    let is_float = |tensor: &tensorrt::Tensor| matches!(tensor.dtype(), Some(DType::Float16 | DType::Float32));
    let is_data = |tensor: &tensorrt::Tensor| is_float(tensor) && tensor.shape().is_none_or(|shape| !shape.is_empty());
    layer.kind() == "IDENTITY" || !layer.outputs().iter().any(is_data)
}

/// ONNX Runtime's quantised models, once their biases are in FP32 as TensorRT wants them.
#[test]
fn quantised_models() {
    let Some(rtx) = rtx("quantised_models") else { return };
    let (builder, ort, folder) = (rtx.builder(), ort(), tempfile::tempdir().unwrap());
    for case in ["qdq_healthy", "qdq_bad_scale"] {
        let mut model = Model::load(&testdata(case).join("candidate.onnx")).unwrap().proto;
        assert_eq!(free_biases(model.graph.as_mut().unwrap()), 2);
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        let network = parse_model(&builder, &model, &path).unwrap_or_else(|e| panic!("{}", refusal(&rtx.library, &e)));
        let quantised = network.layers().iter().filter(|layer| layer.kind() == "QUANTIZE").count();
        assert_eq!(quantised, 5, "{case}");
        check_layers(&network, &build(&builder, &network).unwrap(), &model, case);
        let lowered = convert(&ort, &path, false);
        assert!(check(&rtx, &builder, case, &path, &lowered));
    }
}

/// Dequantised int32 initializers become float32 ones. How many?
fn free_biases(graph: &mut GraphProto) -> usize {
    let initializer = |name: &str| {
        let proto = graph.initializer.iter().find(|t| t.name() == name)?;
        Some(tensor_from_proto(proto).unwrap())
    };
    let free = |node: &NodeProto| {
        let (bias, scale) = (initializer(&node.input[0])?, initializer(&node.input[1])?);
        let fits = node.is("DequantizeLinear") && bias.dtype == DType::Int32;
        let scale = if fits { scale.view::<f32>()[0] } else { return None };
        let values: Vec<f32> = bias.view::<i32>().iter().map(|q| *q as f32 * scale).collect();
        Some(tensor_to_proto(&node.output[0], &Tensor::f32(&bias.shape, &values)))
    };
    let freed: Vec<_> = graph.node.iter().filter_map(free).collect();
    graph.node.retain(|node| !freed.iter().any(|bias| bias.name() == node.output[0]));
    let count = freed.len();
    graph.initializer.extend(freed);
    count
}

/// Tensors inside branches and bodies are refused as outputs when the engine is built, and each by its name; as debug tensors they are not.
#[test]
fn branches_cannot_be_marked_as_outputs() {
    let Some(rtx) = rtx("branches_cannot_be_marked_as_outputs") else { return };
    let builder = rtx.builder();
    let inside = [
        "if_branch_fault then_square_out",
        "if_branch_fault else_abs_out",
        "loop_body body_square_out",
        "scan_ok body_sum_out",
    ];
    for (case, name) in inside.map(|words| words.split_once(' ').unwrap()) {
        let network = rtx.parsed(&builder, case);
        network.mark_output(&network.tensor(name).unwrap());
        let error = build(&builder, &network).err().unwrap().to_string();
        assert!(error.contains(&format!("Network output {name} is not allowed to be in a loop")), "{error}");
        let network = rtx.parsed(&builder, case);
        assert!(network.mark_debug(&network.tensor(name).unwrap()), "{case} {name}");
        assert!(build(&builder, &network).is_ok(), "{case} {name}");
    }
    // What leaves them can be.
    for (case, name) in [("if_branch_fault", "if_node_out"), ("loop_body", "squares"), ("scan_ok", "sums")] {
        let network = rtx.parsed(&builder, case);
        network.mark_output(&network.tensor(name).unwrap());
        assert!(build(&builder, &network).is_ok(), "{case} {name}");
    }
}

/// It is not the conversion that TensorRT-RTX refuses.
#[test]
fn what_is_refused_is_refused_unconverted_too() {
    let Some(rtx) = rtx("what_is_refused_is_refused_unconverted_too") else { return };
    let builder = rtx.builder();
    for (name, reason) in NOT_PARSED {
        let errors = parse(&builder, &testdata(name)).err().unwrap();
        assert!(refusal(&rtx.library, &errors).to_string().contains(reason), "{name}: {errors:?}");
    }
    for (name, reason) in NOT_BUILT {
        let path = real_model(name.rsplit('/').next().unwrap());
        let network = parse(&builder, &path).ok().unwrap();
        let error = build_for(&builder, &network, &path).err().unwrap().to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    // Shapes that depend on values.
    let graph = GraphProto {
        node: vec![NodeProto::new("NonZero", "where", &["x"], &["y"])],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 3])],
        output: vec![ValueInfoProto::typed("y", DType::Int64, None)],
        name: Some("g".into()),
        ..Default::default()
    };
    let errors = parse_model(&builder, &common::model_of(graph), Path::new("model.onnx")).err().unwrap();
    let message = refusal(&rtx.library, &errors).to_string();
    assert!(message.contains("node 'where' (NonZero): "), "{message}");
}

fn ort() -> Runtime {
    Runtime::start(&ort::library::find(None).expect("run `layerdiff setup` first").path).unwrap()
}

/// All in FP16; or, mixed, all nodes but each third one in FP32, and inputs and outputs too.
fn convert(ort: &Runtime, path: &Path, mixed: bool) -> Converted {
    let model = Model::load(path).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    let types = Survey::of(ort, &model, &graph, &[]).unwrap().survey.types;
    let options = Options { low: DType::Float16, keep_io: mixed, int32_inputs: false };
    let converter = Converter::new(&model, &graph, &types, options).unwrap();
    let keep = |node: &Node| mixed && node.scope.is_empty() && !node.index.is_multiple_of(3);
    let lowered = converter.convert(&keep).unwrap().model;
    let outputs = graph.tensors.iter().filter(|value| keep(&graph.nodes[value.node])).map(|value| value.name.clone());
    let kept = outputs.filter(|name| types.get(name) == Some(&DType::Float32)).collect();
    Converted { model: lowered, kept }
}

/// Names of open sizes go: some exporters call all of them `?`, and TensorRT wants equal names to be equal sizes.
fn parse_model(builder: &Builder, model: &ModelProto, path: &Path) -> Result<Network, Vec<ParseError>> {
    let (mut network, mut model) = (builder.network(Typing::Strong).unwrap(), model.clone());
    for input in &mut model.graph.as_mut().unwrap().input {
        let Some(TypeValue::Tensor(tensor)) = input.r#type.as_mut().unwrap().value.as_mut() else { continue };
        let sizes = tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim);
        sizes.filter(|size| matches!(size.value, Some(DimValue::DimParam(_)))).for_each(|size| size.value = None);
    }
    network.parse(&model.encode_to_vec(), Some(path)).map(|()| network)
}

/// Open sizes become those of the data beside the model.
fn build_for(builder: &Builder, network: &Network, path: &Path) -> Result<Plan, RunError> {
    let (mut profile, mut config) = (builder.profile().unwrap(), quick(builder));
    config.detailed();
    let open: Vec<_> = network.inputs().into_iter().filter(|input| input.shape().unwrap().contains(&-1)).collect();
    if !open.is_empty() {
        let data = ["inputs.npz", "sample_0.npz"].map(|name| path.with_file_name(name));
        let data = [path.with_extension("npz")].into_iter().chain(data).find(|path| path.is_file()).unwrap();
        let data = npz::read(&data).unwrap();
        for input in open {
            let shape: Vec<i64> = data[&input.name()].shape.iter().map(|size| *size as i64).collect();
            profile.shape(&input.name(), &shape, &shape, &shape)?;
        }
        config.add_profile(profile)?;
    }
    builder.build(network, &config)
}

/// Of all nodes, those in bodies too.
fn names(model: &ModelProto) -> HashSet<String> {
    fn add(graph: &GraphProto, names: &mut HashSet<String>) {
        for node in &graph.node {
            names.insert(node.name().to_string());
            node.subgraphs().for_each(|(_, body)| add(body, names));
        }
    }
    let mut names = HashSet::new();
    add(model.graph.as_ref().unwrap(), &mut names);
    names
}
