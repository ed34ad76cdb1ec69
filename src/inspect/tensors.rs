//! What `--tensor` tells: the values that somebody asked for by name. Names that are not there are errors, with what may have
//! been meant; what a node makes while the model runs has no values here.

use anyhow::bail;

use super::constants::{Constant, constants};
use super::facts::TensorFacts;
use super::file::Source;
use super::{statistics, untrained};
use crate::graph::node_name;
use crate::names::did_you_mean;
use crate::onnx::TensorProto;
use crate::tensor::Tensor;

/// Elements told of each end.
const ENDS: usize = 8;

/// The constants of these names, in the order of the names.
pub fn of_model(source: &Source, names: &[String]) -> anyhow::Result<Vec<TensorFacts>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all = constants(source);
    names.iter().map(|name| Ok(constant(source, find(source, &all, name)?))).collect()
}

/// By its key, else by its name where only one graph has it.
fn find<'a, 'b>(source: &Source, all: &'b [Constant<'a>], name: &str) -> anyhow::Result<&'b Constant<'a>> {
    let named = |c: &&Constant| c.name == name;
    if let Some(found) = all.iter().find(|c| c.key == name).or_else(|| all.iter().find(named)) {
        return Ok(found);
    }
    let shown = source.path.display();
    if let Some(graph) = source.graph.as_ref().ok().filter(|graph| graph.knows(name)) {
        let near = did_you_mean(name, all.iter().map(|c| c.key.as_str()));
        let computed = graph.tensor(name).map_or(String::new(), |t| format!(" by '{}'", graph.producer(t).name));
        bail!(
            "--tensor: '{name}' is computed{computed} while {shown} runs, and has no value in the file{near} \
             (`layerdiff compare` has such values)"
        );
    }
    let near = did_you_mean(name, all.iter().map(|c| c.key.as_str()));
    bail!("--tensor: {shown} has no initializer or constant '{name}'{near}")
}

fn constant(source: &Source, constant: &Constant) -> TensorFacts {
    let proto = &constant.proto;
    let mut facts = match constant.value(source) {
        Some(value) => of(&constant.key, &value),
        None => TensorFacts { name: constant.key.clone(), why: Some(unread(source, proto)), ..TensorFacts::default() },
    };
    facts.kind = if constant.made { "constant" } else { "initializer" };
    facts.dtype = super::weights::type_name(proto);
    facts.shape = proto.dims.clone();
    facts.readers = constant.readers.iter().map(|(n, _)| format!("{} ({})", node_name(n), n.op_type())).collect();
    facts.readers.dedup();
    facts
}

/// Why its values cannot be had.
fn unread(source: &Source, proto: &TensorProto) -> String {
    let location = proto.external("location").unwrap_or_default();
    match source.external.get(location).filter(|_| proto.is_external()) {
        Some(Err(why)) => format!("its values are in {location}: {why}"),
        Some(Ok(_)) => format!("its values are in {location}, which ends before them"),
        None => "its values do not fit its type and shape".to_string(),
    }
}

/// An array of somebody's data.
pub fn array(name: &str, value: &Tensor) -> TensorFacts {
    TensorFacts { kind: "array", initialisation: None, channels: statistics::colours(value), ..of(name, value) }
}

/// Everything that its values tell.
pub fn of(name: &str, value: &Tensor) -> TensorFacts {
    let (first, last) = statistics::ends(value, ENDS);
    let numbers = statistics::statistics(value);
    let texts = value.as_strings().map_or(0, |strings| strings.iter().map(String::len).sum());
    TensorFacts {
        name: name.to_string(),
        dtype: value.dtype.to_string(),
        shape: value.shape.iter().map(|d| *d as i64).collect(),
        bytes: (value.bytes().len() + texts) as u64,
        histogram: statistics::histogram(value),
        channels: statistics::channels(value),
        initialisation: numbers.as_ref().and_then(|numbers| untrained::judge(value, numbers)),
        statistics: numbers,
        first,
        last,
        ..TensorFacts::default()
    }
}
