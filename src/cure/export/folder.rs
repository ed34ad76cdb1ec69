//! A folder of exports: a table of files, each for one more consumer, written as a whole, and the page made of what they say
//! of themselves. Knows neither what is cured nor how.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::model;
use crate::load::{Lean, folder};
use crate::show::markdown;
use crate::show::page::{Block, Page, Span, Words};
use crate::terminal::{harmful, short};

/// The file that shows that a folder of nodes was written here.
pub const LIST: &str = "nodes.json";
/// The model in which the cure is built in.
pub const MIXED: &str = "model.mixed.onnx";
/// The page: its consumer and its file.
const PAGE: (&str, &str) = ("readme", "README.md");

/// What is in a file.
pub enum Content {
    /// As it is written.
    Text(String),
    /// A model; a large one keeps its weights in a file beside it.
    Model(Lean),
}

/// A file for one consumer, made of what was found, a `T`.
pub struct Export<T> {
    /// The report's key for it: `trtexec`.
    pub consumer: &'static str,
    /// The file's name in the folder.
    pub file: &'static str,
    /// What is in it; `None` where this cure has nothing for that consumer.
    pub content: fn(&T) -> anyhow::Result<Option<Content>>,
    /// What the page says of it. Asked only where there is a content.
    pub section: fn(&T) -> Vec<Block>,
}

impl<T> Export<T> {
    /// [`LIST`], which every folder has: all that is known of the cure, for scripts.
    pub fn list(content: fn(&T) -> anyhow::Result<Option<Content>>) -> Export<T> {
        let section = |_: &T| vec![line("**nodes.json**: the nodes, for scripts.")];
        Export { consumer: "nodes", file: LIST, content, section }
    }
}

/// All files of a folder. A file for one more consumer is a file of source and a line in one of these lists.
pub struct Folder<T> {
    /// The file that shows that the folder was written here; one of its own.
    pub sign: &'static str,
    /// For programs, as they stand in the page.
    pub exports: Vec<Export<T>>,
    /// For scripts, at the end of the page; [`LIST`] is one of them, and always written.
    pub lists: Vec<Export<T>>,
    /// Stands over the page.
    pub title: fn(&T) -> Words,
    /// How the page begins.
    pub head: fn(&T) -> Vec<Block>,
    /// What it says between the exports and the lists.
    pub note: fn(&T) -> Vec<Block>,
}

impl<T> Folder<T> {
    /// Writes the folder `dir` as a whole, in place of an older one of its kind, and gives back the files by consumer.
    pub fn write(&self, dir: &Path, found: &T) -> anyhow::Result<BTreeMap<String, String>> {
        let (exports, told) = made(&self.exports, found)?;
        let (lists, listed) = made(&self.lists, found)?;
        let blocks = [(self.head)(found), told, (self.note)(found), listed].into_iter().flatten().collect();
        let page = markdown::write(&Page { title: (self.title)(found), blocks, footer: None }, 1);
        let files = || lists.iter().chain(&exports);
        folder::replaced(dir, self.sign, |at| {
            files().try_for_each(|(_, file, content)| content.write_text(at, file))?;
            Content::Text(page).write_text(at, PAGE.1)?;
            files().try_for_each(|(_, file, content)| content.write_model(at, file))
        })?;
        let all = files().map(|(consumer, file, _)| (*consumer, *file)).chain([PAGE]);
        Ok(all.map(|(consumer, file)| (consumer.to_string(), dir.join(file).to_string_lossy().into_owned())).collect())
    }
}

/// Consumer, file, content.
type Made = (&'static str, &'static str, Content);

/// The files that there are, and what the page says of them.
fn made<T>(exports: &[Export<T>], found: &T) -> anyhow::Result<(Vec<Made>, Vec<Block>)> {
    let (mut files, mut told) = (Vec::new(), Vec::new());
    for export in exports {
        if let Some(content) = (export.content)(found)? {
            files.push((export.consumer, export.file, content));
            told.extend((export.section)(found));
        }
    }
    Ok((files, told))
}

impl Content {
    fn write_text(&self, at: &Path, file: &str) -> anyhow::Result<()> {
        match self {
            Content::Text(text) => fs::write(at.join(file), text).with_context(|| format!("cannot write {file}")),
            Content::Model(_) => Ok(()),
        }
    }

    fn write_model(&self, at: &Path, file: &str) -> anyhow::Result<()> {
        match self {
            Content::Text(_) => Ok(()),
            Content::Model(lean) => model::write(lean, at, file),
        }
    }
}

/// JSON for people.
pub fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A sentence of the page, or a few.
pub fn line(words: impl Into<Words>) -> Block {
    Block::Line(words.into())
}

/// A text of the model's, for the page: no name can start a line of its own or a code span.
pub fn plain(text: &str) -> Span {
    Span::Plain(one_line(text))
}

fn one_line(text: &str) -> String {
    short(text).chars().map(|c| if harmful(c) || c == '`' { ' ' } else { c }).collect()
}

/// Names as code, with commas between them.
pub fn coded(names: &[String]) -> Words {
    let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
    Words::names(&names, names.len())
}

/// In bash: `program` with the arguments of a file, one a line. Takes names with blanks and wildcards, as `$(cat FILE)` does
/// not.
pub fn command(program: &str, file: &str) -> Block {
    Block::Code(format!("mapfile -t args < {file} && {program} \"${{args[@]}}\""))
}

/// The absolute path of the model, unless some tool could not read it from a file of arguments.
pub fn plain_path(path: &Path) -> Option<String> {
    let absolute = path.canonicalize().ok()?;
    absolute.to_str().filter(|p| !p.contains(char::is_control)).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was found: the answer of a fake for its only program.
    type Fake = Option<&'static str>;

    fn folder() -> Folder<Fake> {
        let program = Export {
            consumer: "program",
            file: "program.args",
            content: |found: &Fake| match found {
                Some("broken") => anyhow::bail!("it cannot be told"),
                found => Ok(found.map(|text| Content::Text(text.to_string()))),
            },
            section: |found: &Fake| {
                let says = plain(found.unwrap_or("nothing"));
                vec![line(Words::from("**program.args** says ").and(says).then("."))]
            },
        };
        let list = Export {
            consumer: "nodes",
            file: LIST,
            content: |_: &Fake| Ok(Some(Content::Text("[]".to_string()))),
            section: |_: &Fake| vec![line("**nodes.json**")],
        };
        Folder {
            sign: LIST,
            exports: vec![program],
            lists: vec![list],
            title: |_| "Title".into(),
            head: |_| vec![line("Head.")],
            note: |_| vec![line("Note.")],
        }
    }

    fn page(dir: &Path) -> String {
        fs::read_to_string(dir.join("README.md")).unwrap()
    }

    #[test]
    fn the_page_is_what_the_files_say_of_themselves() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("overrides");
        let files = folder().write(&dir, &Some("keep a")).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["nodes", "program", "readme"]);
        assert!(files.values().all(|file| Path::new(file).is_file()));
        assert_eq!(page(&dir), "# Title\n\nHead.\n\n**program.args** says keep a.\n\nNote.\n\n**nodes.json**\n");
        // A program that has nothing to read is not told of, and its older file goes.
        let files = folder().write(&dir, &None).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["nodes", "readme"]);
        assert_eq!(page(&dir), "# Title\n\nHead.\n\nNote.\n\n**nodes.json**\n");
        assert!(!dir.join("program.args").exists());
    }

    #[test]
    fn a_file_that_cannot_be_made_leaves_the_older_folder_whole() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("overrides");
        assert!(folder().write(&dir, &Some("broken")).is_err() && !dir.exists());
        folder().write(&dir, &Some("keep a")).unwrap();
        assert!(folder().write(&dir, &Some("broken")).is_err());
        assert!(page(&dir).contains("keep a") && dir.join("program.args").is_file());
    }
}
