//! What TensorRT will do with a model, as far as the file tells: what its versions refuse or change, types it does not have, shapes
//! that need a profile, operators that need a plugin. Asks no library: its parser has the last word (`parser`).

mod entries;
mod list;
mod operators;
mod profile;
mod seen;
#[cfg(test)]
mod taken;

use self::profile::{is_cache, profile};
use super::facts::{Dim, ModelFacts, Note, Port, TensorRt};
use super::file::Source;
use super::types::Typing;
use crate::found::words::plural;
use crate::tensor::DType;

/// Element types of bindings; `float64` becomes `float32` with a warning.
const BINDINGS: [DType; 11] = [
    DType::Float32,
    DType::Float16,
    DType::Bfloat16,
    DType::Float8e4m3fn,
    DType::Float4e2m1,
    DType::Int64,
    DType::Int32,
    DType::Int8,
    DType::Int4,
    DType::Uint8,
    DType::Bool,
];

/// What nodes meet with, then what inputs, outputs and constants do.
pub fn notes(source: &Source, typing: &Typing, facts: &ModelFacts) -> TensorRt {
    let mut told = of_ports(facts);
    told.notes.splice(..0, list::notes(source, typing, facts));
    told
}

/// What inputs, outputs and wide constants meet with.
fn of_ports(facts: &ModelFacts) -> TensorRt {
    let mut notes = Vec::new();
    let mut note = |code, text| notes.push(Note { code, text, places: Vec::new(), said: Vec::new() });
    if let Some(names) = named(facts.inputs.iter().filter(|p| p.dtype == Some(DType::Int64))) {
        note(
            "int64_input",
            format!(
                "{names}: TensorRT 10 and newer bind int64, older ones int32, and an application that feeds the other type feeds garbage; `layerdiff convert --int32-inputs` makes them int32 for all"
            ),
        );
    }
    for port in facts.inputs.iter().chain(&facts.outputs) {
        let unknown = port.dtype.filter(|d| !BINDINGS.contains(d)).map(|d| d.to_string()).or(port.other.clone());
        if let Some(name) = unknown {
            note("binding_type", format!("'{}' is {name}, which TensorRT has no binding for", port.name));
        }
    }
    let wide: Vec<_> = facts.weights.wide.iter().filter(|w| !w.bound).collect();
    if let Some(first) = wide.first() {
        let text = format!(
            "{} beyond int32, such as {} in '{}': lost in TensorRT 8, which narrows int64 to int32 (9 and newer do not), and in plugins without int64",
            plural(wide.len(), "int64 constant"),
            first.extreme,
            first.name
        );
        note("int64_constant", text);
    }
    let open: Vec<&Port> = facts.inputs.iter().filter(|p| is_dynamic(p)).collect();
    let unranked = facts.inputs.iter().filter(|p| p.shape.is_none() && p.other.is_none());
    if let Some(names) = named(unranked) {
        note("no_rank", format!("{names}: not even the number of dimensions is declared; export again with shapes"));
    }
    if !open.is_empty() {
        note(
            "profile",
            format!(
                "{} of dynamic shape: an engine needs a profile that covers your data, for instance",
                plural(open.len(), "input")
            ),
        );
    }
    let decoder = facts.inputs.iter().any(is_cache);
    TensorRt { notes, parser: None, profile: open.into_iter().filter_map(|port| profile(port, decoder)).collect() }
}

fn named<'a>(ports: impl Iterator<Item = &'a Port>) -> Option<String> {
    let names: Vec<String> = ports.map(|p| format!("'{}'", p.name)).collect();
    let noun = if names.len() == 1 { "input" } else { "inputs" };
    (!names.is_empty()).then(|| format!("{noun} {}", names.join(", ")))
}

fn is_dynamic(port: &Port) -> bool {
    port.shape.as_ref().is_some_and(|shape| shape.iter().any(|d| !matches!(d, Dim::Fixed(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dtype: DType, shape: Option<Vec<Dim>>) -> Port {
        Port { name: name.into(), dtype: Some(dtype), shape, ..Port::default() }
    }

    fn symbol(name: &str) -> Dim {
        Dim::Symbol(name.into())
    }

    fn check(port: Port, codes: &[&str], profile: &[&str]) {
        let got = of_ports(&ModelFacts { inputs: vec![port], ..ModelFacts::default() });
        assert_eq!(got.notes.iter().map(|n| n.code).collect::<Vec<_>>(), codes);
        assert_eq!(got.profile, profile);
    }

    #[test]
    fn what_the_inputs_ask_for() {
        let image = vec![symbol("n"), Dim::Fixed(3), symbol("h"), Dim::Open];
        check(input("x", DType::Float32, Some(vec![Dim::Fixed(1)])), &[], &[]);
        check(input("x", DType::Float32, Some(image)), &["profile"], &["x=1x3x32x32:1x3x224x224:8x3x640x640"]);
        let ids = Some(vec![symbol("batch"), symbol("sequence")]);
        check(input("ids", DType::Int64, ids), &["int64_input", "profile"], &["ids=1x1:1x128:8x512"]);
        let rows = |dims: [Dim; 3]| input("x", DType::Float32, Some(dims.to_vec()));
        check(rows([Dim::Fixed(2), Dim::Open, Dim::Fixed(4)]), &["profile"], &["x=2x1x4:2x1x4:2x8x4"]);
        check(rows([Dim::Fixed(1), Dim::Open, Dim::Fixed(4)]), &["profile"], &["x=1x1x4:1x128x4:1x512x4"]);
        check(rows([symbol("seq_len"), symbol("batch"), Dim::Fixed(4)]), &["profile"], &["x=1x1x4:128x1x4:512x8x4"]);
        let cache = vec![symbol("batch"), Dim::Fixed(12), symbol("past_sequence_length"), Dim::Fixed(64)];
        check(
            input("past_key_values.0.key", DType::Float32, Some(cache)),
            &["profile"],
            &["past_key_values.0.key=1x12x0x64:1x12x128x64:8x12x512x64"],
        );
        check(input("s", DType::String, Some(vec![])), &["binding_type"], &[]);
        check(input("x", DType::Float32, None), &["no_rank"], &[]);
    }

    #[test]
    fn a_decoder_begins_without_a_past() {
        let two = |name: &str, dim: &str| input(name, DType::Int32, Some(vec![symbol("batch"), symbol(dim)]));
        let cache = vec![symbol("batch"), Dim::Fixed(2), Dim::Open, Dim::Fixed(4)];
        let inputs = vec![
            two("input_ids", "sequence_length"),
            two("attention_mask", "past_sequence_length + sequence_length"),
            input("past_0", DType::Float32, Some(cache)),
        ];
        let got = of_ports(&ModelFacts { inputs, ..ModelFacts::default() });
        let want = ["input_ids=1x1:1x1:8x512", "attention_mask=1x1:1x129:8x1024", "past_0=1x2x0x4:1x2x128x4:8x2x512x4"];
        assert_eq!(got.profile, want);
    }
}
