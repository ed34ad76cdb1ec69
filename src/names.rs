//! Which of the known names somebody may have meant, where every flag that names something asks, and names in a sentence. Knows
//! no model and no flag.

use std::fmt::Display;

/// Names that one sentence offers.
const OFFERED: usize = 3;

/// Of longer names only parts are compared: a distance costs the product of both lengths.
const LONGEST: usize = 200;

/// `; did you mean 'a' or 'b'?`, or nothing where no known name is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match either(&nearest(name, known)) {
        near if near.is_empty() => near,
        near => format!("; did you mean {near}?"),
    }
}

/// The known names that `name` may be a misspelling or a part of, the nearest first, each once.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut near: Vec<(usize, &str)> = known.into_iter().filter_map(|k| Some((distance(&wanted, k)?, k))).collect();
    // Stable: of two that are equally near, the first in the model's order.
    near.sort_by_key(|(distance, _)| *distance);
    let mut found: Vec<&str> = Vec::new();
    for (_, known) in near {
        if found.len() == OFFERED {
            break;
        }
        if !found.contains(&known) {
            found.push(known);
        }
    }
    found
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`
pub fn either(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    match quoted.as_slice() {
        [init @ .., last] if !init.is_empty() => format!("{} or {last}", init.join(", ")),
        all => all.concat(),
    }
}

/// `'a', 'b' and 3 more`, of names that are quoted already if they shall be: `most` of them and the number of the others.
pub fn few<T: Display>(names: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut names = names.into_iter();
    let named: Vec<String> = names.by_ref().take(most).map(|name| name.to_string()).collect();
    match names.count() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// How far a known name is from `wanted`, which is in lower case; `None`: too far to be meant.
fn distance(wanted: &str, known: &str) -> Option<usize> {
    let known = known.to_lowercase();
    let (a, b) = (wanted.chars().count(), known.chars().count());
    let (shorter, apart) = (a.min(b), a.abs_diff(b));
    if shorter > 2 && (known.contains(wanted) || wanted.contains(&known)) {
        return Some(apart);
    }
    // A third of the letters may be wrong, but not all.
    let most = (a / 3).max(1);
    if apart > most || a.max(b) > LONGEST {
        return None;
    }
    let edits = strsim::osa_distance(wanted, &known);
    (edits < a && edits <= most).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["input_ids", "attention_mask", "x", "logits", "/enc/logits", "/enc/layers.10/Add"];

    #[test]
    fn a_few_of_many() {
        assert_eq!(few(["a"; 0], 2), "");
        assert_eq!(few(["a", "b"], 2), "a, b");
        assert_eq!(few(["a", "b", "c"], 2), "a, b and 1 more");
    }

    #[test]
    fn what_may_have_been_meant() {
        let check = |name: &str, want: &[&str]| assert_eq!(nearest(name, KNOWN), want, "{name}");
        check("logit", &["logits", "/enc/logits"]);
        check("lgoits", &["logits"]);
        check("LOGITS", &["logits", "/enc/logits"]);
        check("input_id", &["input_ids"]);
        check("mask", &["attention_mask"]);
        check("INPUT_IDS:0", &["input_ids"]);
        check("atention_msk", &["attention_mask"]);
        check("/enc/layers.11/Add", &["/enc/layers.10/Add"]);
        check("y", &[]);
        check("", &[]);
        check("pixel_values", &[]);
    }

    #[test]
    fn three_at_most_each_once_in_order() {
        let known = ["w_1", "w_2", "w_2", "w_3", "w_4"];
        assert_eq!(nearest("w_9", known), ["w_1", "w_2", "w_3"]);
        assert_eq!(did_you_mean("w_9", known), "; did you mean 'w_1', 'w_2' or 'w_3'?");
        assert_eq!(did_you_mean("w_9", ["zzz"]), "");
        assert_eq!(either(&["a"]), "'a'");
    }

    /// Twenty thousand names of a large model, and one of a hundred kilobytes: a moment, and no panic at any letter.
    #[test]
    fn many_and_long_names() {
        let mut known: Vec<String> =
            (0..20_000).map(|i| format!("/model/layers.{i}/self_attn/q_proj/MatMul_output_0")).collect();
        known.push("é".repeat(100_000));
        let started = std::time::Instant::now();
        let found = nearest("/model/layers.777/self_attn/q_prj/MatMul_output_0", known.iter().map(String::as_str));
        assert_eq!(found[0], known[777]);
        assert_eq!(nearest(&"é".repeat(99_999), known.iter().map(String::as_str)), [known[20_000].as_str()]);
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
