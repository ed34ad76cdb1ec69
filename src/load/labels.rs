//! What classes are called, and which are the true ones: a text file with one entry a line, or JSON, a list of entries or an
//! object from index to entry.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::files;

/// A file of entries by index, in the words of who gave it.
struct Kind {
    /// `--labels FILE`
    flag: &'static str,
    /// One of its entries.
    one: &'static str,
    /// All of them.
    all: &'static str,
}

const LABELS: Kind = Kind { flag: "--labels FILE", one: "label", all: "labels" };
const TRUTH: Kind = Kind { flag: "--truth FILE", one: "true class", all: "true classes" };

/// Names by index, from 0. Errors name the file and what is wrong in it.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<i64, String>> {
    entries(path, &LABELS)
}

/// True classes, one a row of the data: names out of `labels`, or numbers. Errors name the file and the entry.
pub fn read_truth(path: &Path, labels: &BTreeMap<i64, String>) -> anyhow::Result<Vec<usize>> {
    let entries = entries(path, &TRUTH)?;
    let class = |(at, text): (&i64, &String)| {
        let known = labels.iter().find(|(_, name)| *name == text).map(|(index, _)| *index);
        let class = known.or_else(|| text.parse().ok()).and_then(|class| usize::try_from(class).ok());
        let named = if labels.is_empty() { "; with --labels it may be a name" } else { " and no name of --labels" };
        class.with_context(|| {
            format!("--truth {}: entry {}, '{text}', is no number of a class{named}", path.display(), at + 1)
        })
    };
    entries.iter().map(class).collect()
}

fn entries(path: &Path, kind: &Kind) -> anyhow::Result<BTreeMap<i64, String>> {
    let Kind { flag, one, all } = kind;
    let bytes = files::read(path).with_context(|| format!("{flag}: give a file of {all}, one a line or as JSON"))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{flag}: the {all} in {} are not UTF-8", path.display()))?;
    let entries = parse(&text, kind).with_context(|| format!("{flag}: {}", path.display()))?;
    ensure!(!entries.is_empty(), "{flag}: there is no {one} in {}; give one a line, or as JSON", path.display());
    Ok(entries)
}

fn parse(text: &str, kind: &Kind) -> anyhow::Result<BTreeMap<i64, String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().starts_with(['[', '{']) {
        true => match serde_json::from_str(text) {
            Ok(value) => of_json(value, kind),
            // Lines may begin with brackets: "[PAD]".
            Err(_) if text.trim_start().starts_with('[') => Ok(of_lines(text)),
            Err(e) => bail!(
                "the {0} are no JSON ({e}); give a list of {0}, or an object from index to {1}",
                kind.all,
                kind.one
            ),
        },
        false => Ok(of_lines(text)),
    }
}

/// An empty line is a class without a name, but at the end.
fn of_lines(text: &str) -> BTreeMap<i64, String> {
    (0..).zip(text.trim_end().lines().map(|line| line.trim().to_string())).collect()
}

fn of_json(value: Value, kind: &Kind) -> anyhow::Result<BTreeMap<i64, String>> {
    let Kind { one, all, .. } = kind;
    let entry = |value: &Value| match value {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => bail!("{other} is no {one}; give texts"),
    };
    match value {
        Value::Array(entries) => (0..).zip(&entries).map(|(i, value)| Ok((i, entry(value)?))).collect(),
        Value::Object(entries) => {
            let indexed = |(index, value): (&String, &Value)| match index.trim().parse() {
                Ok(index) if index >= 0 => Ok((index, entry(value)?)),
                _ => bail!("'{index}' is no index; give an object from index to {one}, as {{\"0\": \"cat\"}}"),
            };
            entries.iter().map(indexed).collect()
        }
        other => bail!("{other} is no list of {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lists_and_objects() {
        let check = |text: &str, want: &[(i64, &str)]| {
            let want: BTreeMap<i64, String> = want.iter().map(|(i, name)| (*i, name.to_string())).collect();
            assert_eq!(parse(text, &LABELS).unwrap(), want, "{text}");
        };
        check("cat\r\ndog\n", &[(0, "cat"), (1, "dog")]);
        check("\u{feff}cat\n\ndog\n\n\n", &[(0, "cat"), (1, ""), (2, "dog")]);
        check("[PAD]\n[CLS]", &[(0, "[PAD]"), (1, "[CLS]")]);
        check(r#"["cat", "dog"]"#, &[(0, "cat"), (1, "dog")]);
        check(r#" {"7": "seven", "0": "none"}"#, &[(0, "none"), (7, "seven")]);
    }

    #[test]
    fn true_classes_are_names_or_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.txt");
        std::fs::write(&path, "dog\n0\n").unwrap();
        let labels = [(0, "cat".to_string()), (1, "dog".to_string())].into();
        assert_eq!(read_truth(&path, &labels).unwrap(), [1, 0]);
        let why = read_truth(&path, &BTreeMap::new()).unwrap_err().to_string();
        assert!(why.ends_with("entry 1, 'dog', is no number of a class; with --labels it may be a name"), "{why}");
    }

    /// Each in the words of its own flag.
    #[test]
    fn what_is_no_list_is_told_of_the_flag_that_gave_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        let check = |text: &[u8], labels: &str, truth: &str| {
            std::fs::write(&path, text).unwrap();
            for (error, flag, want) in [
                (read(&path).unwrap_err(), "--labels FILE: ", labels),
                (read_truth(&path, &BTreeMap::new()).unwrap_err(), "--truth FILE: ", truth),
            ] {
                let error = format!("{error:#}");
                assert!(error.starts_with(flag) && error.contains("list.txt") && error.contains(want), "{error}");
            }
        };
        for nothing in ["", "\n\n", "[]"] {
            check(nothing.as_bytes(), "there is no label", "there is no true class");
        }
        check(br#"{"cat": 0}"#, "'cat' is no index", "'cat' is no index");
        check(br#"{"-1": "x"}"#, "'-1' is no index", "'-1' is no index");
        check(br#"[["a"]]"#, "is no label", "is no true class");
        check(b"{", "the labels are no JSON", "the true classes are no JSON");
        check(b"\xff\xfe", "the labels in", "the true classes in");
        std::fs::remove_file(&path).unwrap();
        let missing = format!("{:#}", read_truth(&path, &BTreeMap::new()).unwrap_err());
        assert!(missing.starts_with("--truth FILE: give a file of true classes, one a line"), "{missing}");
    }
}
