//! The notes about nodes: which of them meet with an entry of the list, and sentences that say of which versions that is known.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::entries::{ENTRIES, PARSERS_CHANGE};
use super::operators::{RTX_OWN, refused_by};
use super::seen::{Around, Seen};
use crate::differ::schemas::Schemas;
use crate::found::words::{clean, elide, plural};
use crate::inspect::facts::{Effect, ModelFacts, Note, Operator, Said};
use crate::inspect::file::Source;
use crate::inspect::types::Typing;

/// Nodes told of one note; JSON has all.
const PLACES: usize = 3;

/// Of ONNX's own once, and still in TensorRT's lists.
const LEGACY: [&str; 3] = ["ImageScaler", "ParametricSoftplus", "ScaledTanh"];

/// About operators, then about nodes.
pub fn notes(source: &Source, typing: &Typing, facts: &ModelFacts) -> Vec<Note> {
    let around = Around::of(source, typing);
    let nodes = around.nodes();
    let mut notes = of_operators(&nodes);
    notes.extend(foreign(source, facts, &nodes));
    notes.extend(ENTRIES.iter().filter_map(|entry| {
        let places: Vec<String> = nodes.iter().filter(|n| (entry.has)(n)).map(|n| n.name.clone()).collect();
        let text = format!("nodes that {} ({}): {}; {}", entry.what, some(&places), who(entry.said), entry.then);
        (!places.is_empty()).then(|| Note { code: entry.code, text, places, said: entry.said.to_vec() })
    }));
    notes
}

/// Those that are refused whatever they are given, by who refuses them.
fn of_operators(nodes: &[Seen]) -> Vec<Note> {
    let mut by_said: IndexMap<String, (Vec<Said>, Vec<&Seen>)> = IndexMap::new();
    for node in nodes.iter().filter(|n| n.is(&[n.node.op_type()])) {
        let said = refused_by(node.node.op_type());
        if !said.is_empty() {
            by_said.entry(who(&said)).or_insert_with(|| (said, Vec::new())).1.push(node);
        }
    }
    let note = |(who, (said, nodes)): (String, (Vec<Said>, Vec<&Seen>))| {
        let places: Vec<String> = nodes.iter().map(|n| n.name.clone()).collect();
        let operators = operators(&nodes);
        let text = format!("{operators} in {} ({}): {who}", plural(nodes.len(), "node"), some(&places));
        Note { code: "operator", text, places, said }
    };
    by_said.into_iter().map(note).collect()
}

/// Each once.
fn operators(nodes: &[&Seen]) -> String {
    let names: indexmap::IndexSet<&str> = nodes.iter().map(|n| n.node.op_type()).collect();
    names.into_iter().map(clean).collect::<Vec<_>>().join(", ")
}

/// What is none of ONNX's own operators, nor a function of the file.
fn foreign(source: &Source, facts: &ModelFacts, nodes: &[Seen]) -> Vec<Note> {
    let functions: HashSet<(&str, &str)> = source.proto.functions.iter().map(|f| (f.domain(), f.name())).collect();
    let schemas = Schemas::new();
    let onnx = |op_type: &str| schemas.of("", op_type, i64::MAX).is_some() || LEGACY.contains(&op_type);
    let own = |o: &Operator| functions.contains(&(&o.domain, &o.op_type));
    let foreign = facts.operators.iter().filter(|o| !own(o) && (!o.domain.is_empty() || !onnx(&o.op_type)));
    let taken = |o: &&Operator| onnx(&o.op_type) && refused_by(&o.op_type).is_empty();
    let (shadowing, unknown): (Vec<&Operator>, Vec<&Operator>) = foreign.partition(taken);
    let (rtx, plugins): (Vec<&Operator>, Vec<&Operator>) =
        unknown.into_iter().partition(|o| RTX_OWN.contains(&o.op_type.as_str()));
    let of = |operators: &[&Operator]| {
        let has = |n: &&Seen| operators.iter().any(|o| (n.node.op_type(), n.node.domain()) == (&o.op_type, &o.domain));
        nodes.iter().filter(has).map(|n| n.name.clone()).collect::<Vec<String>>()
    };
    let named = |operators: &[&Operator]| {
        let name = |o: &&Operator| if o.domain.is_empty() { clean(&o.op_type) } else { clean(&full(o)) };
        operators.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let note = |code, operators: &[&Operator], text: &str, said: &[Said]| {
        let text = format!("{}: {text}", named(operators));
        (!operators.is_empty()).then(|| Note { code, text, places: of(operators), said: said.to_vec() })
    };
    let plugin = "not among ONNX's own operators; TensorRT needs a plugin, or the model another export";
    let only_rtx = "not among ONNX's own operators; TensorRT-RTX 1.7.1 has importers of these names, TensorRT 10.1, \
                    10.15 and 11.2 do not list them: a plugin is needed there";
    let taken = format!(
        "not among ONNX's own operators, but {} as ONNX's own of the same name, whatever they mean",
        who(PARSERS_CHANGE).replace("changed", "taken")
    );
    let all = [
        note("plugin", &plugins, plugin, &[]),
        note("plugin", &rtx, only_rtx, &[]),
        note("foreign_name", &shadowing, &taken, PARSERS_CHANGE),
    ];
    all.into_iter().flatten().collect()
}

fn full(operator: &Operator) -> String {
    format!("{}.{}", operator.domain, operator.op_type)
}

/// `refused by TensorRT 10.1 (its list of operators) and by TensorRT-RTX 1.7.1 (its parser)`
fn who(said: &[Said]) -> String {
    // What several do is said once.
    let by = said.chunk_by(|a, b| a.effect == b.effect);
    let parts = by.map(|said| {
        let versions: Vec<String> = said.iter().map(|said| format!("{} ({})", said.version, said.source)).collect();
        format!("{} by {}", verb(said[0].effect), versions.join(" and by "))
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Refused => "refused",
        Effect::Plugin => "refused for want of a plugin",
        Effect::Changed => "changed",
    }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(PLACES).map(|name| format!("'{}'", elide(&clean(name), 60)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(PLACES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
