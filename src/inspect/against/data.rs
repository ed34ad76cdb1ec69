//! Two files of arrays: which belong together, and how they differ.

use std::collections::HashSet;

use crate::inspect::facts::{Differences, Mismatch, Related};
use crate::inspect::undo::relate;
use crate::tensor::{Tensor, Tensors};

/// Sample by sample, array by array; with `names` those arrays of the first only.
pub fn differences(one: &[Tensors], other: &[Tensors], names: &[String]) -> Differences {
    let mut found = Differences::default();
    let several = one.len().max(other.len()) > 1;
    if one.len() != other.len() {
        let text = format!("{} samples in the first and {} in the other", one.len(), other.len());
        found.mismatches.push(Mismatch { code: "samples", tensor: String::new(), text });
    }
    for (number, (one, other)) in one.iter().zip(other).enumerate() {
        let sample = several.then_some(number);
        for (a, b) in together(one, other, names, &mut found) {
            let related = relate(&one[a], &other[b]);
            found.arrays.push(Related { name: a.clone(), other: b.clone(), sample, ..related });
        }
    }
    found
}

/// Arrays of one name; what is left, where each side has one of as many elements.
fn together<'a>(
    one: &'a Tensors,
    other: &'a Tensors,
    names: &[String],
    found: &mut Differences,
) -> Vec<(&'a String, &'a String)> {
    let asked = |name: &String| names.is_empty() || names.contains(name);
    let mut pairs: Vec<(&String, &String)> =
        one.keys().filter(|n| asked(n)).filter_map(|n| Some((n, other.get_key_value(n)?.0))).collect();
    let left: Vec<&String> = one.keys().filter(|n| asked(n) && !other.contains_key(*n)).collect();
    let right: Vec<&String> = other.keys().filter(|n| !one.contains_key(*n)).collect();
    let fits = |a: &Tensor, b: &Tensor| a.elements() == b.elements();
    let of = |n: &&String| -> Vec<&String> { right.iter().copied().filter(|o| fits(&one[*n], &other[*o])).collect() };
    for name in &left {
        if let [only] = of(name)[..]
            && left.iter().filter(|n| of(n).contains(&only)).count() == 1
        {
            pairs.push((name, only));
        }
    }
    let (ours, theirs): (HashSet<_>, HashSet<_>) = pairs.iter().copied().unzip();
    let mut missing = |name: &String, has: &str, lacks: &str| {
        let text = format!("'{name}' of {has} is missing in {lacks}");
        found.mismatches.push(Mismatch { code: "missing", tensor: name.clone(), text });
    };
    left.iter().filter(|n| !ours.contains(**n)).for_each(|n| missing(n, "the first", "the other"));
    let alone = right.iter().filter(|n| names.is_empty() && !theirs.contains(**n));
    alone.for_each(|n| missing(n, "the other", "the first"));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(arrays: &[(&str, usize)]) -> Vec<Tensors> {
        let array = |(name, n): &(&str, usize)| (name.to_string(), Tensor::f32(&[*n], &vec![0.5; *n]));
        vec![arrays.iter().map(array).collect()]
    }

    #[test]
    fn arrays_belong_together_by_name_or_by_size() {
        let check = |one: &[(&str, usize)], other: &[(&str, usize)], pairs: &[(&str, &str)], missing: usize| {
            let got = differences(&data(one), &data(other), &[]);
            let got_pairs: Vec<_> = got.arrays.iter().map(|r| (r.name.as_str(), r.other.as_str())).collect();
            assert_eq!((got_pairs.as_slice(), got.mismatches.len()), (pairs, missing), "{:?}", got.mismatches);
        };
        check(&[("x", 2)], &[("x", 2)], &[("x", "x")], 0);
        check(&[("x", 2), ("y", 3)], &[("x", 2), ("images", 3)], &[("x", "x"), ("y", "images")], 0);
        check(&[("x", 2), ("y", 2)], &[("a", 2), ("b", 2)], &[], 4);
        check(&[("x", 2)], &[("a", 3)], &[], 2);
    }
}
