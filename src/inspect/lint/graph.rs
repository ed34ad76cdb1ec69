//! Checks on the file as a whole and on names: versions, unused values, open dimensions, data that is not there.

use std::collections::{HashMap, HashSet};

use super::Found;
use crate::graph::node_name;
use crate::inspect::constants::constants;
use crate::inspect::facts::{Dim, ModelFacts, Severity};
use crate::inspect::file::Source;
use crate::inspect::model::each_node;
use crate::onnx::{GraphProto, NEWEST_IR};
use crate::tensor::DType;

/// Below this, axes are attributes and Clip, Pad and Slice take none of their limits as inputs.
const OLDEST_OPSET: i64 = 11;
/// What parsers of 2025 know.
const NEWEST_OPSET: i64 = 24;
/// The IR version of widely installed runtimes (ONNX Runtime 1.18).
const COMMON_IR: i64 = 10;

/// Versions, names, unused values, open dimensions, external data, and what is wrong with the graph itself.
pub fn checks(source: &Source, facts: &ModelFacts, found: &mut Found) {
    let Some(main) = source.main() else { return };
    versions(source, found);
    names(main, facts, found);
    unused(source, main, found);
    inputs(facts, found);
    let missing: Vec<String> =
        facts.weights.files.iter().filter_map(|f| Some(format!("{}: {}", f.location, f.problem.clone()?))).collect();
    found.places(
        (Severity::Error, "external_data"),
        missing,
        "weights are in files that are missing or too short: nothing can load the model",
        "copy the files beside the model, or save it again with its data",
    );
    // Names that exist twice have a finding of their own.
    let defects = facts.defects.iter().filter(|d| !d.contains("have the name")).cloned().collect();
    let advice = "export the model again, or repair the graph";
    found.places((Severity::Error, "defect"), defects, "the graph itself is wrong", advice);
}

fn versions(source: &Source, found: &mut Found) {
    let (opset, ir) = (source.proto.opset(), source.proto.ir_version());
    if opset < OLDEST_OPSET {
        let why = format!("opset {opset}: converters and quantisers of today expect {OLDEST_OPSET} or newer");
        found.model(Severity::Warning, "opset_old", why, "export again, or use onnx.version_converter with opset 17");
    }
    if opset > NEWEST_OPSET {
        let why = format!("opset {opset} is newer than most runtimes ({NEWEST_OPSET}): they refuse the model");
        found.model(Severity::Warning, "opset_new", why, "export again with an older opset");
    }
    if ir > NEWEST_IR {
        let why = format!("IR version {ir} is newer than any that is known here ({NEWEST_IR})");
        found.model(Severity::Error, "ir_new", why, "export again with a released version of ONNX");
    } else if ir > COMMON_IR {
        let why = format!("IR version {ir}: runtimes older than about a year refuse what is above {COMMON_IR}");
        found.model(Severity::Info, "ir_new", why, "set ir_version to 10 where no newer type is used");
    }
}

fn names(main: &GraphProto, facts: &ModelFacts, found: &mut Found) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    each_node(main, &mut |node| *counts.entry(node.name()).or_default() += 1);
    let twice = counts.into_iter().filter(|(name, n)| !name.is_empty() && *n > 1);
    let mut twice: Vec<String> = twice.map(|(name, _)| name.to_string()).collect();
    twice.sort_unstable();
    found.places(
        (Severity::Warning, "duplicate_names"),
        twice,
        "several nodes have this name: overrides by name mean all of them, and TensorRT renames or refuses them",
        "give each node a name of its own",
    );
    if facts.unnamed_nodes > 0 {
        let why = format!("{} of {} nodes have no name: no override can mean them", facts.unnamed_nodes, facts.nodes);
        found.model(Severity::Info, "unnamed_nodes", why, "name the nodes; `layerdiff` calls them node_of_OUTPUT");
    }
}

fn unused(source: &Source, main: &GraphProto, found: &mut Found) {
    let all = constants(source);
    let unread = all.iter().filter(|c| c.readers.is_empty() && !c.given_out);
    found.places(
        (Severity::Info, "unused_initializers"),
        unread.map(|c| c.key.clone()).collect(),
        "no node reads this: it takes space, and some converters refuse it",
        "remove it (onnxsim, or onnx-graphsurgeon's cleanup)",
    );
    let mut read: HashSet<&str> = main.output.iter().map(|o| o.name()).collect();
    each_node(main, &mut |node| read.extend(node.input.iter().map(String::as_str)));
    let initial: HashSet<&str> = main.initializer.iter().map(|t| t.name()).collect();
    let inputs = main.input.iter().map(|v| v.name()).filter(|name| !read.contains(name) && !initial.contains(name));
    found.places(
        (Severity::Warning, "unused_inputs"),
        inputs.map(str::to_string).collect(),
        "no node reads this input: engines drop it, and a caller that binds it by name or position then fails",
        "remove the input, or stop feeding it",
    );
    found.places(
        (Severity::Info, "output_is_input"),
        passed_through(main),
        "an output that is an input or an initializer as it is: no node computes it, and a converter may refuse it",
        "put an Identity between",
    );
}

/// Outputs of the main graph that no node makes.
fn passed_through(main: &GraphProto) -> Vec<String> {
    let given: HashSet<&str> = main.given().collect();
    main.output.iter().map(|o| o.name()).filter(|name| given.contains(name)).map(str::to_string).collect()
}

fn inputs(facts: &ModelFacts, found: &mut Found) {
    let open = |shape: &Option<Vec<Dim>>| shape.as_ref().is_some_and(|s| s.iter().any(|d| matches!(d, Dim::Open)));
    found.places(
        (Severity::Warning, "unnamed_axes"),
        facts.inputs.iter().filter(|p| open(&p.shape)).map(|p| p.name.clone()).collect(),
        "a dynamic axis without a name: nothing says which inputs share a size, and profiles must guess",
        "export with dynamic_axes that have names",
    );
    let no_rank = facts.inputs.iter().filter(|p| p.shape.is_none() && p.other.is_none());
    found.places(
        (Severity::Warning, "no_shape"),
        no_rank.map(|p| p.name.clone()).collect(),
        "an input without any shape: engines cannot be built for it",
        "declare its dimensions",
    );
    let doubles = facts.inputs.iter().chain(&facts.outputs).filter(|p| p.dtype == Some(DType::Float64));
    found.places(
        (Severity::Warning, "float64_binding"),
        doubles.map(|p| p.name.clone()).collect(),
        "an input or output of float64: TensorRT makes it float32, and a caller that feeds doubles feeds garbage",
        "export it as float32",
    );
    let wide = facts.weights.wide.iter().filter(|w| !w.bound);
    found.places(
        (Severity::Warning, "int64_beyond_int32"),
        wide.map(|w| format!("{} ({})", w.name, w.extreme)).collect(),
        "int64 values that int32 cannot hold: they are clamped or wrapped where int64 is narrowed",
        "use a value within int32, such as 2147483647",
    );
    let ids = facts.inputs.iter().filter(|p| p.dtype == Some(DType::Int64));
    found.places(
        (Severity::Info, "int64_input"),
        ids.map(|p| p.name.clone()).collect(),
        "an int64 input: engines of TensorRT before 10 bind int32, and a caller that feeds the other width feeds garbage",
        "`layerdiff convert --int32-inputs`, or check the binding with `layerdiff inspect --against`",
    );
}

/// As users know it, behind the path of its subgraph.
pub fn each_named<'a>(
    graph: &'a GraphProto,
    prefix: &str,
    f: &mut impl FnMut(String, &str, &'a crate::onnx::NodeProto),
) {
    for node in &graph.node {
        let name = format!("{prefix}{}", node_name(node));
        f(name.clone(), prefix, node);
        for (attribute, inner) in node.subgraphs() {
            each_named(inner, &format!("{name}/{attribute}/"), f);
        }
    }
}
