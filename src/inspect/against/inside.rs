//! What differs behind the interface: opsets, operators, weights and nodes of two models; layers of two engines; the nodes of a model
//! and the layers that were made of them. Weights are compared where they lie, none is copied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use rayon::prelude::*;

use crate::found::words::plural;
use crate::graph::node_name;
use crate::inspect::engine::types;
use crate::inspect::facts::{Count, EngineFacts, Facts, Inside, ModelFacts, Opset};
use crate::inspect::file::{File, Source};
use crate::inspect::model::each_node;
use crate::inspect::weights::type_name;
use crate::onnx::{AttributeProto, NodeProto, TensorProto};

/// `files` are those that the facts come from; for two of a kind, or for a model and the engine that was built of it.
pub fn differences(subject: &Facts, other: &Facts, files: (&File, &File)) -> Vec<Inside> {
    match (subject, other, files) {
        (Facts::Model(a), Facts::Model(b), (File::Model(x), File::Model(y))) => models(a, b, x, y),
        (Facts::Engine(a), Facts::Engine(b), _) => engines(a, b),
        (Facts::Model(_), Facts::Engine(e), (File::Model(x), _)) => built_from(x, e),
        (Facts::Engine(e), Facts::Model(_), (_, File::Model(y))) => built_from(y, e),
        _ => Vec::new(),
    }
}

fn models(a: &ModelFacts, b: &ModelFacts, x: &Source, y: &Source) -> Vec<Inside> {
    let opsets = |f: &ModelFacts| f.opsets.iter().map(opset).collect::<Vec<_>>().join(", ");
    let operators = |f: &ModelFacts| -> Vec<Count> {
        f.operators.iter().map(|o| Count { name: dotted(&o.domain, &o.op_type), count: o.count }).collect()
    };
    let mut found = Vec::new();
    if opsets(a) != opsets(b) {
        found.push(Inside { code: "opset", text: format!("{} and {}", opsets(a), opsets(b)), names: vec![] });
    }
    found.extend(counts("operators", "operator", &operators(a), &operators(b)));
    weights(x, y, &mut found);
    nodes(x, y, &mut found);
    found
}

/// `opset 17`, `com.microsoft 1`
pub fn opset(opset: &Opset) -> String {
    match opset.domain.as_str() {
        "" => format!("opset {}", opset.version),
        domain => format!("{domain} {}", opset.version),
    }
}

/// `com.microsoft.Gelu`; ONNX's own operators stand alone.
pub fn dotted(domain: &str, op_type: &str) -> String {
    if domain.is_empty() { op_type.to_string() } else { format!("{domain}.{op_type}") }
}

/// `Cast 0 and 12, Relu 3 and 2`
fn counts(code: &'static str, noun: &str, a: &[Count], b: &[Count]) -> Option<Inside> {
    let mut both: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    a.iter().for_each(|c| both.entry(&c.name).or_default().0 += c.count);
    b.iter().for_each(|c| both.entry(&c.name).or_default().1 += c.count);
    let names: Vec<String> =
        both.iter().filter(|(_, (a, b))| a != b).map(|(name, (a, b))| format!("{name} {a} and {b}")).collect();
    let text = format!("{} in other numbers", plural(names.len(), noun));
    (!names.is_empty()).then_some(Inside { code, text, names })
}

fn weights(x: &Source, y: &Source, found: &mut Vec<Inside>) {
    let (a, b) = (initializers(x), initializers(y));
    only(found, "initializers", "initializer", &a, &b);
    let mut shared: Vec<(&str, &TensorProto, &TensorProto)> =
        a.iter().filter_map(|(name, t)| Some((*name, *t, *b.get(name)?))).collect();
    shared.sort_unstable_by_key(|(name, ..)| *name);
    let judged: Vec<(String, &str)> = shared
        .par_iter()
        .filter_map(|(name, t, o)| match (t.dtype() == o.dtype() && t.dims == o.dims, x.value(t), y.value(o)) {
            (false, ..) => {
                Some((format!("{name} ({}{:?} and {}{:?})", type_name(t), t.dims, type_name(o), o.dims), "types"))
            }
            (true, Some(t), Some(o)) => (!t.identical(&o)).then(|| (name.to_string(), "values")),
            (true, ..) => Some((name.to_string(), "unread")),
        })
        .collect();
    let texts = [
        ("values", "weights", "of the same name and other values"),
        ("types", "weight_types", "of the same name and another type or shape"),
        ("unread", "weights_not_compared", "not compared: their data could not be read"),
    ];
    for (kind, code, words) in texts {
        let names: Vec<String> = judged.iter().filter(|(_, k)| *k == kind).map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            found.push(Inside { code, text: format!("{} {words}", plural(names.len(), "initializer")), names });
        }
    }
}

fn initializers(source: &Source) -> HashMap<&str, &TensorProto> {
    let mut all = HashMap::new();
    if let Some(main) = source.main() {
        main.each_initializer(&mut |t| all.extend([(t.name(), t)]));
    }
    all
}

fn nodes(x: &Source, y: &Source, found: &mut Vec<Inside>) {
    let (a, b) = (by_name(x), by_name(y));
    only(found, "nodes", "node", &a, &b);
    let mut shared: Vec<(&String, &NodeProto, &NodeProto)> =
        a.iter().filter_map(|(name, n)| Some((name, *n, *b.get(name)?))).collect();
    shared.sort_unstable_by_key(|(name, ..)| *name);
    let names: Vec<String> =
        shared.into_iter().filter_map(|(name, n, o)| Some(format!("{name} ({})", change(n, o)?))).collect();
    if !names.is_empty() {
        let text = format!("{} of the same name and other content", plural(names.len(), "node"));
        found.push(Inside { code: "changed_nodes", text, names });
    }
}

fn by_name(source: &Source) -> HashMap<String, &NodeProto> {
    let mut all = HashMap::new();
    if let Some(main) = source.main() {
        each_node(main, &mut |n| all.extend([(node_name(n), n)]));
    }
    all
}

fn change(n: &NodeProto, o: &NodeProto) -> Option<String> {
    if n.op_type() != o.op_type() || n.domain() != o.domain() {
        return Some(format!("{} and {}", dotted(n.domain(), n.op_type()), dotted(o.domain(), o.op_type())));
    }
    // Bodies are told by their own nodes.
    let attributes = |n: &NodeProto| -> Vec<AttributeProto> {
        let mut all: Vec<_> = n.attribute.iter().filter(|a| a.g.is_none() && a.graphs.is_empty()).cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    };
    let (left, right) = (attributes(n), attributes(o));
    let changed: Vec<&str> = left
        .iter()
        .filter(|a| !right.contains(a))
        .chain(right.iter().filter(|b| !left.iter().any(|a| a.name() == b.name())))
        .map(|a| a.name())
        .collect();
    match changed.is_empty() {
        false => Some(format!("attribute {}", changed.join(", "))),
        true => (n.input != o.input).then(|| "other inputs".to_string()),
    }
}

/// What one side has alone, under both names of it.
fn only<K: Eq + Hash + ToString, V>(
    found: &mut Vec<Inside>,
    code: &'static str,
    noun: &str,
    a: &HashMap<K, V>,
    b: &HashMap<K, V>,
) {
    for (one, other, which) in [(a, b, "first"), (b, a, "other")] {
        let mut names: Vec<String> = one.keys().filter(|k| !other.contains_key(k)).map(K::to_string).collect();
        names.sort_unstable();
        if !names.is_empty() {
            found.push(Inside { code, text: format!("{} in the {which} only", plural(names.len(), noun)), names });
        }
    }
}

fn engines(a: &EngineFacts, b: &EngineFacts) -> Vec<Inside> {
    let mut found: Vec<Inside> = counts("layers", "kind of layer", &a.kinds, &b.kinds).into_iter().collect();
    let layers = |e: &'_ EngineFacts| -> HashMap<String, String> {
        e.layers.iter().map(|l| (l.name.clone(), types(&l.types))).collect()
    };
    let (a, b) = (layers(a), layers(b));
    only(&mut found, "layers", "layer", &a, &b);
    let mut names: Vec<String> = a
        .iter()
        .filter_map(|(name, t)| Some((name, t, b.get(name)?)))
        .filter(|(_, t, o)| t != o)
        .map(|(name, t, o)| format!("{name} ({t} and {o})"))
        .collect();
    names.sort_unstable();
    if !names.is_empty() {
        let text = format!("{} of the same name and another precision", plural(names.len(), "layer"));
        found.push(Inside { code: "precision", text, names });
    }
    found
}

fn built_from(source: &Source, engine: &EngineFacts) -> Vec<Inside> {
    let own = by_name(source);
    let built: HashSet<&str> = engine.layers.iter().flat_map(|l| &l.nodes).map(String::as_str).collect();
    let mut found = Vec::new();
    if built.is_empty() {
        let text = "the engine does not tell which nodes its layers came from: it was built without detailed profiling verbosity";
        return vec![Inside { code: "no_node_names", text: text.to_string(), names: vec![] }];
    }
    let mut gone: Vec<String> = own.keys().filter(|n| !built.contains(n.as_str())).cloned().collect();
    gone.sort_unstable();
    if !gone.is_empty() {
        let text = format!("{} in no layer of the engine: folded or optimised away", plural(gone.len(), "node"));
        found.push(Inside { code: "optimised_away", text, names: gone });
    }
    let mut foreign: Vec<String> = built.iter().filter(|n| !own.contains_key(**n)).map(|n| n.to_string()).collect();
    foreign.sort_unstable();
    if !foreign.is_empty() {
        let text = format!(
            "{} of the engine that the model does not have: it was built from another one",
            plural(foreign.len(), "node")
        );
        found.push(Inside { code: "other_model", text, names: foreign });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::engine::sample::engine;
    use crate::tensor::DType;

    #[test]
    fn changes_of_a_node_are_told() {
        let node = |op: &str, input: &str, axis: Option<i64>| {
            let node = NodeProto::new(op, "n", &[input], &["y"]);
            axis.into_iter().fold(node, |n, axis| n.with(AttributeProto::int("axis", axis)))
        };
        let check = |a: NodeProto, b: NodeProto, want: Option<&str>| assert_eq!(change(&a, &b).as_deref(), want);
        check(node("Softmax", "x", Some(1)), node("Softmax", "x", Some(1)), None);
        check(node("Softmax", "x", Some(1)), node("Softmax", "x", Some(2)), Some("attribute axis"));
        check(node("Softmax", "x", None), node("Softmax", "x", Some(2)), Some("attribute axis"));
        check(node("Relu", "x", None), node("Tanh", "x", None), Some("Relu and Tanh"));
        check(node("Relu", "x", None), node("Relu", "z", None), Some("other inputs"));
    }

    #[test]
    fn engines_differ_by_precision() {
        let a = engine(DType::Float32, [vec![1, 3], vec![1, 3], vec![1, 3]]);
        let mut b = engine(DType::Float32, [vec![1, 3], vec![1, 3], vec![1, 3]]);
        assert_eq!(engines(&a, &b), []);
        b.layers[1].types = vec!["Half".into()];
        let found = engines(&a, &b);
        assert_eq!((found[0].code, &found[0].names[0]), ("precision", &"fc (Float and Half)".to_string()));
    }
}
