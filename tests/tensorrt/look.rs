//! Observing: the three ways to mark, and fusions that lead back to nodes.

use super::*;

#[test]
fn three_ways_to_look_inside() {
    let Some(rtx) = rtx("three_ways_to_look_inside") else { return };
    let builder = rtx.builder();
    let fresh = || rtx.parsed(&builder, "healthy_transformer");
    let plain = build(&builder, &fresh()).unwrap();

    let outputs = fresh();
    let inner: Vec<_> =
        outputs.tensors().into_iter().filter(|t| t.name().ends_with("_out") && !t.is_output()).collect();
    inner.iter().for_each(|tensor| outputs.mark_output(tensor));
    assert!(inner.len() > 20 && inner.iter().all(|tensor| tensor.is_output()));
    assert_eq!(outputs.outputs().len(), inner.len() + 1);
    outputs.unmark_output(&inner[0]);
    assert_eq!((outputs.outputs().len(), inner[0].is_output()), (inner.len(), false));
    // It changes what is fused.
    let fusions = |plan: &Plan| layers::in_plan(plan);
    assert_ne!(fusions(&build(&builder, &outputs).unwrap()), fusions(&plain));

    let debug = fresh();
    let tensor = debug.tensor("scores_out").unwrap();
    assert!(debug.mark_debug(&tensor) && debug.is_debug(&tensor));
    assert!(build(&builder, &debug).is_ok());
    assert!(debug.unmark_debug(&tensor) && !debug.is_debug(&tensor));

    let unfused = fresh();
    assert_eq!(unfused.mark_unfused(), Ok(true));
    assert_eq!(fusions(&build(&builder, &unfused).unwrap()), fusions(&plain));
    assert_eq!(unfused.unmark_unfused(), Ok(true));
}

#[test]
fn fusions_lead_back_to_nodes() {
    let Some(rtx) = rtx("fusions_lead_back_to_nodes") else { return };
    let builder = rtx.builder();
    for case in ["healthy_transformer", "gelu_chain_amplify", "qdq_healthy", "two_faults_two_branches"] {
        let network = rtx.parsed(&builder, case);
        let plan = build(&builder, &network).unwrap();
        let in_plan: HashSet<String> = layers::in_plan(&plan).into_iter().flatten().collect();
        let in_network: HashSet<String> = network.layers().iter().flat_map(|layer| layer.onnx_nodes()).collect();
        let nodes = node_names(&testdata(case).join("model.onnx"));
        assert!(!in_network.is_empty() && in_network.is_subset(&nodes), "{case}: {in_network:?}");
        assert_eq!(in_plan, in_network, "{case}");
    }
}
