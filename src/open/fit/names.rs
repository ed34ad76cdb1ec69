//! Which array of a dump is which tensor of the model, by their names alone: the same name, a name whose punctuation a vendor's
//! tool replaced, or a pair that somebody wrote down. Pure: names in, pairs out.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use indexmap::IndexMap;

/// Arrays by the tensor that they are.
#[derive(Debug, Default, PartialEq)]
pub struct Paired {
    /// The array's name, and the tensor's, where they are not the same.
    pub renamed: Vec<(String, String)>,
    /// Arrays that are no tensor, in the order of the file.
    pub left: Vec<String>,
}

/// Pairs `stored` with the tensors of these keys. What is `known` besides (inputs, weights) is no tensor to compare, and not left
/// over either. A pair is made only where no other array and no other tensor has a name that reads alike.
pub fn paired(stored: &[String], keys: &[String], known: &[String], given: &[(String, String)]) -> Paired {
    let taken: HashSet<&str> = given.iter().map(|(_, ours)| ours.as_str()).collect();
    let mut free: HashSet<&str> = keys.iter().map(String::as_str).filter(|key| !taken.contains(key)).collect();
    let mut renamed: Vec<(String, String)> = given.to_vec();
    let is_given = |name: &str| given.iter().any(|(theirs, _)| theirs == name);
    let mut left: Vec<&str> = Vec::new();
    for name in stored.iter().map(String::as_str).filter(|name| !is_given(name)) {
        match free.remove(name) {
            true => {}
            false => left.push(name),
        }
    }
    for reading in [punctuation as fn(&str) -> String, loosely] {
        let theirs = alike(left.iter().copied(), reading);
        let ours = alike(keys.iter().map(String::as_str).filter(|key| free.contains(key)), reading);
        for (read, names) in theirs {
            if let ([theirs], Some([ours])) = (&names[..], ours.get(&read).map(Vec::as_slice)) {
                renamed.push((theirs.to_string(), ours.to_string()));
                free.remove(ours);
                left.retain(|name| name != theirs);
            }
        }
    }
    let besides: HashSet<String> = known.iter().flat_map(|name| [name.clone(), loosely(name)]).collect();
    left.retain(|name| !besides.contains(*name) && !besides.contains(&loosely(name)));
    Paired { renamed, left: left.into_iter().map(str::to_string).collect() }
}

/// Names that read alike, by how they read, in order.
fn alike<'a>(names: impl Iterator<Item = &'a str>, reading: fn(&str) -> String) -> IndexMap<String, Vec<&'a str>> {
    let mut groups: IndexMap<String, Vec<&str>> = IndexMap::new();
    names.for_each(|name| groups.entry(reading(name)).or_default().push(name));
    groups
}

/// `/model.1/Conv_output_0` as `model_1_Conv_output_0`.
fn punctuation(name: &str) -> String {
    let replaced: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    replaced.trim_start_matches('_').to_string()
}

/// The same without the number of an output behind a colon, capitals, and underscores that follow each other.
fn loosely(name: &str) -> String {
    let name = name.strip_suffix(":0").unwrap_or(name);
    let read = punctuation(name).to_lowercase();
    read.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The pairs of a file: lines THEIRS=OURS, or a JSON object. `ours` says what is a tensor of the model.
pub fn read(path: &Path, ours: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let text = String::from_utf8(crate::load::map(path)?.to_vec()).ok();
    let text =
        text.with_context(|| format!("--map {shown}: it is no text; give lines THEIRS=OURS or a JSON object"))?;
    let pairs: Vec<(String, String)> = match text.trim_start().starts_with('{') {
        true => {
            let object: IndexMap<String, String> = serde_json::from_str(&text).with_context(|| {
                format!("--map {shown}: it is no JSON object of names; give {{\"THEIRS\": \"OURS\"}}")
            })?;
            object.into_iter().collect()
        }
        false => lines(&text, ours).with_context(|| format!("--map {shown}"))?,
    };
    for names in
        [pairs.iter().map(|(theirs, _)| theirs).collect::<Vec<_>>(), pairs.iter().map(|(_, ours)| ours).collect()]
    {
        let mut seen = HashSet::new();
        if let Some(twice) = names.into_iter().find(|name| !seen.insert(name.as_str())) {
            bail!("--map {shown}: '{twice}' stands there twice; pair each name once");
        }
    }
    Ok(pairs)
}

/// Blank lines and those that begin with '#' say nothing.
fn lines(text: &str, ours: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts = || line.match_indices('=').map(|(at, _)| (line[..at].trim(), line[at + 1..].trim()));
        // A name may hold a '='.
        let pair = parts().find(|(_, right)| ours(right)).or_else(|| parts().next());
        let (theirs, right) = pair.with_context(|| format!("line {} is not THEIRS=OURS: '{line}'", number + 1))?;
        ensure!(!theirs.is_empty() && !right.is_empty(), "line {} lacks a name: '{line}'", number + 1);
        pairs.push((theirs.to_string(), right.to_string()));
    }
    Ok(pairs)
}

/// Tensors by the names of the arrays that they are, for whoever asks by ours.
pub fn by_ours(renamed: &[(String, String)]) -> HashMap<String, String> {
    renamed.iter().map(|(theirs, ours)| (ours.clone(), theirs.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_string).collect()
    }

    fn check(stored: &str, keys: &str, renamed: &[(&str, &str)], left: &str) {
        let paired = paired(&names(stored), &names(keys), &names("images weight.0"), &[]);
        let got: Vec<(&str, &str)> = paired.renamed.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!((got, paired.left), (renamed.to_vec(), names(left)), "{stored}");
    }

    #[test]
    fn punctuation_that_was_replaced() {
        check("y", "y /a.0/Conv", &[], "");
        check("_a_0_Conv y", "y /a.0/Conv", &[("_a_0_Conv", "/a.0/Conv")], "");
        check("a_0_Conv", "y /a.0/Conv", &[("a_0_Conv", "/a.0/Conv")], "");
        check("A.0.conv:0", "y /a.0/Conv", &[("A.0.conv:0", "/a.0/Conv")], "");
        check("a__b", "a/:b", &[("a__b", "a/:b")], "");
        // The closer reading is taken, and what reads like two is nobody's.
        check("a_b A_B", "/a/b /A/B", &[("a_b", "/a/b"), ("A_B", "/A/B")], "");
        check("a_b", "a/b a.b", &[], "a_b");
        check("a_b a.b", "a/b", &[], "a_b a.b");
        // Inputs and weights are not compared, and nothing to wonder at.
        check("images weight_0 other", "y", &[], "other");
    }

    #[test]
    fn pairs_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path, &|name| name == "c=d" || name == "y").map_err(|e| format!("{e:#}"))
        };
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(read("# of the SDK\n\n t1 = y \na=b=c=d\n").unwrap(), [pair("t1", "y"), pair("a=b", "c=d")]);
        assert_eq!(read("{\"t1\": \"y\"}").unwrap(), [pair("t1", "y")]);
        for (text, why) in [
            ("t1\n", "line 1 is not THEIRS=OURS: 't1'"),
            ("=y", "line 1 lacks a name"),
            ("a=y\nb=y", "'y' stands there twice"),
            ("{\"a\": 1}", "no JSON object of names"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn what_was_written_down_goes_first() {
        let given = vec![("y".to_string(), "z".to_string())];
        let paired = paired(&names("y z"), &names("y z"), &[], &given);
        assert_eq!(paired, Paired { renamed: given, left: names("z") });
    }
}
