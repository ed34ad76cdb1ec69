//! What classes are called: a text file with one name a line, or JSON, a list of names or an object from index to name.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::files;

/// Names by index, from 0. Errors name the file and what is wrong in it.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<i64, String>> {
    let bytes = files::read(path).context("give a file of labels, one a line or as JSON")?;
    let text = String::from_utf8(bytes);
    let text = text.ok().with_context(|| format!("{}: the labels are not UTF-8", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

/// True classes, one a row of the data: names out of `labels`, or numbers. Errors name the file and the entry.
pub fn read_truth(path: &Path, labels: &BTreeMap<i64, String>) -> anyhow::Result<Vec<usize>> {
    let entries = read(path)?;
    let class = |(at, text): (&i64, &String)| {
        let known = labels.iter().find(|(_, name)| *name == text).map(|(index, _)| *index);
        let class = known.or_else(|| text.parse().ok()).and_then(|class| usize::try_from(class).ok());
        let named = if labels.is_empty() { "; with --labels it may be a name" } else { " and no name of --labels" };
        class.with_context(|| format!("{}: entry {}, '{text}', is no number of a class{named}", path.display(), at + 1))
    };
    entries.iter().map(class).collect()
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<i64, String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let labels = match text.trim_start().starts_with(['[', '{']) {
        true => match serde_json::from_str(text) {
            Ok(value) => of_json(value)?,
            // Lines may begin with brackets: "[PAD]".
            Err(_) if text.trim_start().starts_with('[') => of_lines(text),
            Err(e) => bail!("the labels are no JSON ({e}); give a list of names, or an object from index to name"),
        },
        false => of_lines(text),
    };
    ensure!(!labels.is_empty(), "there is no label in it; give one a line, or as JSON");
    Ok(labels)
}

/// An empty line is a class without a name, but at the end.
fn of_lines(text: &str) -> BTreeMap<i64, String> {
    (0..).zip(text.trim_end().lines().map(|line| line.trim().to_string())).collect()
}

fn of_json(value: Value) -> anyhow::Result<BTreeMap<i64, String>> {
    let name = |value: &Value| match value {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => bail!("{other} is no name of a class; give texts"),
    };
    match value {
        Value::Array(names) => (0..).zip(&names).map(|(i, value)| Ok((i, name(value)?))).collect(),
        Value::Object(names) => {
            let entry = |(index, value): (&String, &Value)| match index.trim().parse() {
                Ok(index) if index >= 0 => Ok((index, name(value)?)),
                _ => {
                    bail!("'{index}' is no index of a class; give an object from index to name, as {{\"0\": \"cat\"}}")
                }
            };
            names.iter().map(entry).collect()
        }
        other => bail!("{other} is no list of labels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lists_and_objects() {
        let check = |text: &str, want: &[(i64, &str)]| {
            let want: BTreeMap<i64, String> = want.iter().map(|(i, name)| (*i, name.to_string())).collect();
            assert_eq!(parse(text).unwrap(), want, "{text}");
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

    #[test]
    fn what_is_no_list_of_labels_is_told() {
        for (text, want) in [
            ("", "there is no label"),
            ("\n\n", "there is no label"),
            ("[]", "there is no label"),
            (r#"{"cat": 0}"#, "'cat' is no index"),
            (r#"{"-1": "x"}"#, "'-1' is no index"),
            (r#"[["a"]]"#, "is no name of a class"),
            ("{", "no JSON"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }
}
