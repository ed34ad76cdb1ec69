//! Which output becomes which input, by their names: the conventions of Hugging Face's exporters, of onnxruntime-genai, and of
//! recurrent models that hand out their state.

use super::{Decode, Rule};
use crate::load::samples::InputSpec;
use crate::tensor::DType;

/// Names of scores of the next token, the surest first.
const SCORES: [&str; 4] = ["logits", "lm_logits", "output_logits", "scores"];
/// Names of token ids.
const IDS: [&str; 4] = ["input_ids", "decoder_input_ids", "tokens", "ids"];

/// The wiring of a model with these inputs and outputs: what is `given`, and for the rest what the names say.
pub fn wiring(inputs: &[InputSpec], outputs: &[String], given: Decode) -> Decode {
    let mut decode = given;
    let taken = |decode: &Decode, input: &str| decode.feedback.iter().any(|(_, taken)| taken == input);
    for output in outputs {
        if decode.feedback.iter().any(|(known, _)| known == output) {
            continue;
        }
        let input = inputs.iter().find(|spec| !taken(&decode, &spec.name) && follows(output, &spec.name));
        decode.feedback.extend(input.map(|spec| (output.clone(), spec.name.clone())));
    }
    let named = |names: &[&str], all: &mut dyn Iterator<Item = &String>| {
        let all: Vec<&String> = all.collect();
        names.iter().find_map(|name| all.iter().find(|known| known.as_str() == *name)).map(|name| name.to_string())
    };
    if decode.token.is_none() {
        let scores = named(&SCORES, &mut outputs.iter());
        let ids = named(&IDS, &mut inputs.iter().map(|spec| &spec.name));
        decode.token = scores.zip(ids);
    }
    let free =
        |decode: &Decode, name: &str| !taken(decode, name) && decode.token.as_ref().is_none_or(|(_, ids)| ids != name);
    let rules = inputs.iter().filter(|spec| free(&decode, &spec.name));
    decode.rules = rules.filter_map(|spec| Some((spec.name.clone(), rule(spec)?))).collect();
    decode
}

/// How an input without an output behind it grows, by its name and type.
fn rule(spec: &InputSpec) -> Option<Rule> {
    let name = spec.name.to_ascii_lowercase();
    let whole = matches!(spec.dtype, DType::Int64 | DType::Int32);
    let seen = name.ends_with("attention_mask") || ["mask", "attn_mask", "input_mask"].contains(&name.as_str());
    if seen && !name.starts_with("encoder") && spec.dims.len() == 2 {
        return Some(Rule::Mask);
    }
    if whole && (name.ends_with("position_ids") || name == "cache_position" || name == "positions") {
        return Some(Rule::Position);
    }
    if whole && spec.dims.len() <= 1 && (name.contains("seq") && name.contains("len") || name == "offset") {
        return Some(Rule::Count);
    }
    (spec.dtype == DType::Bool && name.starts_with("use_cache")).then_some(Rule::Cached)
}

/// Is this output the next value of that input? `present.0.key` of `past_key_values.0.key`, `present_0` of `past_0`, `state_out`
/// of `state`, `hn` of `h`, `stateN` of `state`.
fn follows(output: &str, input: &str) -> bool {
    let (out, own) = (plain(output), plain(input));
    if out == own && output != input {
        return true;
    }
    let ends = ["_out", "_output", "_new", "_next", "n", "N", "_n", ".out"];
    let starts = ["out_", "output_", "new_", "next_", "updated_"];
    let own_ends = ["", "_in", "_input", "0", "_0", ".in"];
    let own_starts = ["", "in_", "input_", "old_", "prev_"];
    let out_stem = ends
        .iter()
        .filter_map(|end| output.strip_suffix(end))
        .chain(starts.iter().filter_map(|s| output.strip_prefix(s)));
    let in_stems: Vec<&str> = own_ends
        .iter()
        .filter_map(|end| input.strip_suffix(end))
        .chain(own_starts.iter().filter_map(|start| input.strip_prefix(start)))
        .collect();
    out_stem.filter(|stem| !stem.is_empty()).any(|stem| in_stems.contains(&stem))
}

/// A name of a cache without the words that say whether it is the old one or the new one; others as they are.
fn plain(name: &str) -> String {
    for word in ["past_key_values", "present_key_values", "past", "present"] {
        if let Some(at) = name.find(word) {
            return format!("{}cache{}", &name[..at], &name[at + word.len()..]);
        }
    }
    name.to_string()
}
