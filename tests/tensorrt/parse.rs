//! Parsing: names and types of real models, and what the parser complains about.

use super::*;

#[test]
fn real_models_are_parsed() {
    let Some(rtx) = rtx("real_models_are_parsed") else { return };
    let builder = rtx.builder();
    for name in ["cls", "det", "rec", "magika", "nudenet", "opennsfw", "silero_16k", "silero_vad"] {
        let path = real_model(&format!("{name}.onnx"));
        let network = parse(&builder, &path).unwrap_or_else(|e| panic!("{name}: {}", refusal(&rtx.library, &e)));
        let nodes = node_names(&path);
        let layers = network.layers();
        // Silero's branches have nodes that the model's own graph has not.
        let known = |layer: &&layerdiff::run::tensorrt::Layer| layer.onnx_nodes().iter().all(|n| nodes.contains(n));
        let unknown = layers.iter().filter(|layer| !known(layer)).count();
        assert!(unknown == 0 || name.starts_with("silero"), "{name}: {unknown} layers come from no node");
        // Only weights and helpers come from no node.
        let helper = |name: &str| name.starts_with("ONNXTRT_") || name.starts_with("(Unnamed Layer");
        for layer in layers.iter().filter(|layer| layer.onnx_nodes().is_empty()) {
            assert!(layer.kind() == "CONSTANT" || helper(&layer.name()), "{name}: {} {}", layer.kind(), layer.name());
        }
        assert!(!network.inputs().is_empty() && !network.outputs().is_empty(), "{name}");
    }
}

#[test]
fn a_network_keeps_the_names_of_the_model() {
    let Some(rtx) = rtx("a_network_keeps_the_names_of_the_model") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "gelu_chain_amplify");
    let input = &network.inputs()[0];
    assert_eq!((input.name().as_str(), input.dtype(), input.shape()), ("x", Some(DType::Float32), Some(vec![2, 8])));
    assert!(input.is_input() && !input.is_output() && input.is_execution_tensor() && !input.is_shape_tensor());
    let layers = network.layers();
    let fc = layers.iter().find(|layer| layer.name() == "fc").unwrap();
    assert_eq!((fc.kind().as_str(), fc.onnx_nodes()), ("MATRIX_MULTIPLY", vec!["fc".to_string()]));
    assert_eq!((fc.inputs()[0].name(), fc.outputs()[0].name()), ("x".to_string(), "fc_out".to_string()));
    let error = fc.set_precision(DType::Float16).unwrap_err().to_string();
    assert!(error.contains("has no method setPrecision"), "{error}");
    assert!(network.tensor("no such tensor").is_none());

    let called = rtx.parsed(&builder, "function_model");
    let gate = called.layers().into_iter().find(|layer| layer.name() == "gate_sigmoid").unwrap();
    assert_eq!(gate.onnx_nodes(), ["act1"]);
}

#[test]
fn what_the_parser_complains_about() {
    let Some(rtx) = rtx("what_the_parser_complains_about") else { return };
    let builder = rtx.builder();
    let check = |case: &str, node: Option<usize>, expected: &str| {
        let errors = parse(&builder, &testdata(case)).err().unwrap();
        assert_eq!(errors[0].node, node, "{case}: {errors:?}");
        let message = refusal(&rtx.library, &errors).to_string();
        assert_eq!(message, format!("TensorRT-RTX 1.7.1 could not build the model: {expected}"), "{case}");
    };
    check(
        "bad/unknown_op.onnx",
        Some(1),
        "node 'act' (Frobnicate): TensorRT has no such operator, and no plugin for it",
    );
    check("bad/dangling.onnx", Some(0), "node 'first' (Add): Node input was not registered.");
    check("bad/random.onnx", None, "Failed to parse the ONNX model.");
    check("bad/truncated.onnx", None, "Failed to parse the ONNX model.");
    check("bad/cycle.onnx", None, "Failed to sort the model topologically.");
    check("bad/missing_external.onnx", None, "Failed to import initializer: fc1_w");
    check("bad/empty.onnx", None, "the model is empty: TensorRT finds no node in it");
}

#[test]
fn external_data_is_found_beside_the_path() {
    let Some(rtx) = rtx("external_data_is_found_beside_the_path") else { return };
    let builder = rtx.builder();
    let path = testdata("external_data/model.onnx");
    let bytes = std::fs::read(&path).unwrap();
    let network = || builder.network(Typing::Strong).unwrap();
    assert_eq!(network().parse(&bytes, Some(&path)), Ok(()));
    assert_eq!(network().parse_file(&path), Ok(()));
    assert!(network().parse(&bytes, None).unwrap_err()[0].to_string().contains("fc1_w"));
    assert!(network().parse_file(Path::new("/no/such.onnx")).unwrap_err()[0].to_string().contains("/no/such.onnx"));
}

/// PaddlePaddle's exporter names every open dimension `?`, and TensorRT wants equal names to be equal sizes: the names have to
/// go before the model is parsed.
#[test]
fn dimensions_of_one_name_are_one_size() {
    let Some(rtx) = rtx("dimensions_of_one_name_are_one_size") else { return };
    let builder = rtx.builder();
    let build = |model: &ModelProto| {
        let mut network = builder.network(Typing::Strong).unwrap();
        network.parse(&model.encode_to_vec(), None).unwrap();
        let (mut profile, mut config) = (builder.profile().unwrap(), quick(&builder));
        profile.shape("x", &[1, 3, 48, 192], &[1, 3, 48, 192], &[4, 3, 48, 192]).unwrap();
        config.add_profile(profile).unwrap();
        builder.build(&network, &config)
    };
    let mut model = ModelProto::decode(&*std::fs::read(real_model("cls.onnx")).unwrap()).unwrap();
    let error = build(&model).err().unwrap().to_string();
    assert!(error.contains("Input dimensions with this name have different constant values"), "{error}");
    for input in &mut model.graph.as_mut().unwrap().input {
        let Some(TypeValue::Tensor(tensor)) = input.r#type.as_mut().unwrap().value.as_mut() else { continue };
        let sizes = tensor.shape.as_mut().unwrap().dim.iter_mut();
        sizes.filter(|size| matches!(size.value, Some(DimValue::DimParam(_)))).for_each(|size| size.value = None);
    }
    assert!(build(&model).unwrap().len() > 100_000);
}
