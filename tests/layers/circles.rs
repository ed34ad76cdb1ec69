//! No files import each other in a circle. An import leads to the file that holds the item, through `pub use` of others. A
//! module that declares its children and hands on what they hold does not import them; a child that uses its parent does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// A path of names: a module, or an item in one.
type Names = Vec<String>;

struct File {
    /// Without comments, imports and tests.
    body: String,
    imports: Vec<Import>,
}

struct Import {
    /// It is handed on.
    public: bool,
    path: Names,
    /// What it is called here.
    name: String,
}

/// The files of a crate by their modules.
struct Crate(BTreeMap<Names, File>);

static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"//[^\n]*").unwrap());
static IMPORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^[ \t]*(pub(?:\([a-z]+\))? )?use ([^;]+);").unwrap());
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(\w+(?:::\w+)+)").unwrap());

impl Crate {
    fn new(sources: impl IntoIterator<Item = (Names, String)>) -> Crate {
        let file = |(module, text): (Names, String)| {
            let text = COMMENT.replace_all(text.split("#[cfg(test)]\nmod tests").next().unwrap(), "").into_owned();
            let imports = IMPORT.captures_iter(&text).flat_map(|found| {
                let public = found.get(1).is_some();
                spread(&found[2]).into_iter().map(move |(path, name)| Import { public, path, name })
            });
            let imports = imports.collect();
            (module, File { body: IMPORT.replace_all(&text, "").into_owned(), imports })
        };
        Crate(sources.into_iter().map(file).collect())
    }

    /// From the root of the crate; `None` for what is another crate's.
    fn absolute(&self, module: &Names, path: &[String]) -> Option<Names> {
        let up = path.iter().take_while(|name| *name == "super").count();
        let from = match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => [module, &path[1..]].concat(),
            "super" => [&module[..module.len().checked_sub(up)?], &path[up..]].concat(),
            child => {
                self.0.get(&[module.as_slice(), &[child.to_string()]].concat())?;
                [module, path].concat()
            }
        };
        Some(from)
    }

    /// The module that holds what a path names.
    fn holder(&self, path: &[String], passed: &mut BTreeSet<Names>) -> Option<Names> {
        if !passed.insert(path.to_vec()) {
            return None;
        }
        let module = (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|module| self.0.contains_key(module))?;
        let rest = &path[module.len()..];
        let handed_on = self.0[&module].imports.iter().find(|i| i.public && Some(&i.name) == rest.first());
        let further = handed_on.and_then(|import| self.absolute(&module, &import.path));
        let further = further.and_then(|further| self.holder(&[&further, &rest[1..]].concat(), passed));
        Some(further.unwrap_or(module))
    }

    /// The modules that a file needs, besides those below it.
    fn needs(&self, module: &Names) -> BTreeSet<Names> {
        let file = &self.0[module];
        let imports = file.imports.iter().filter(|import| !import.public);
        let mut paths: Vec<Names> = imports.filter_map(|import| self.absolute(module, &import.path)).collect();
        for found in QUALIFIED.captures_iter(&file.body) {
            let path: Names = found[1].split("::").map(str::to_string).collect();
            // `log::mark()` after `use super::log`.
            let import = file.imports.iter().find(|import| import.name == path[0]);
            let whole = import.and_then(|i| self.absolute(module, &[&i.path, &path[1..]].concat()));
            paths.extend(whole.or_else(|| self.absolute(module, &path)));
        }
        let held = paths.iter().filter_map(|path| self.holder(path, &mut BTreeSet::new()));
        held.filter(|held| !held.starts_with(module)).collect()
    }

    /// Sets of files each of which needs all the others, directly or not.
    fn circles(&self) -> Vec<Vec<String>> {
        let needs: BTreeMap<&Names, BTreeSet<Names>> =
            self.0.keys().map(|module| (module, self.needs(module))).collect();
        let reach = |start: &Names| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(module) = open.pop() {
                let next = needs.get(&module).into_iter().flatten();
                open.extend(next.filter(|next| seen.insert((*next).clone())).cloned());
            }
            seen
        };
        let reached: BTreeMap<&Names, BTreeSet<Names>> = self.0.keys().map(|module| (module, reach(module))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (module, all) in reached.iter().filter(|(module, all)| all.contains(**module)) {
            let back = all.iter().filter(|other| reached.get(other).is_some_and(|theirs| theirs.contains(*module)));
            circles.insert(back.map(|other| other.join("::")).collect());
        }
        circles.into_iter().collect()
    }
}

/// The single imports of a tree of them, each with what it is called here.
fn spread(tree: &str) -> Vec<(Names, String)> {
    let names = |path: &str| -> Names {
        path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
    };
    let tree = tree.trim();
    let Some((head, inside)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
        let mut path = names(path);
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = name.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_string);
        return vec![(path, name)];
    };
    let mut depth = 0;
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let parts = inside.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).flat_map(|part| spread(&format!("{head}{}", part.trim()))).collect()
}

fn sources(src: &Path) -> Vec<(Names, String)> {
    let file = |path: std::path::PathBuf| {
        let inner = path.strip_prefix(src).unwrap().with_extension("");
        let module: Names = inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let is_test = module.iter().any(|part| part == "tests");
        (!is_test).then(|| (module, std::fs::read_to_string(&path).unwrap()))
    };
    super::sources(src).into_iter().filter_map(file).collect()
}

#[test]
fn no_files_import_each_other() {
    let circles = Crate::new(sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))).circles();
    let told: Vec<String> = circles.iter().map(|circle| circle.join(", ")).collect();
    assert!(told.is_empty(), "circles of imports:\n{}", told.join("\n"));
}

#[test]
fn a_circle_is_seen_whatever_way_it_goes() {
    let check = |files: &[(&str, &str)], want: &[&str]| {
        let file = |(module, text): &(&str, &str)| (module.split("::").map(str::to_string).collect(), text.to_string());
        assert_eq!(Crate::new(files.iter().map(file)).circles(), [want], "{files:?}");
    };
    let none: [Vec<String>; 0] = [];
    let free = |files: &[(&str, &str)]| {
        let file = |(module, text): &(&str, &str)| (module.split("::").map(str::to_string).collect(), text.to_string());
        assert_eq!(Crate::new(files.iter().map(file)).circles(), none, "{files:?}");
    };
    check(&[("a", "use crate::b::B;"), ("b", "use crate::{c, a::{self, A}};"), ("c", "")], &["a", "b"]);
    // Through what a parent hands on, by a name in the text, and by a module that is imported whole.
    let parent = ("p", "mod x;\nmod y;\npub use x::X;\nuse y::Y;");
    check(&[parent, ("p::x", "use super::y::Y;"), ("p::y", "use super::X;")], &["p::x", "p::y"]);
    check(
        &[parent, ("p::x", "fn f() { super::y::go() }"), ("p::y", "use super::x;\nfn f() { x::go() }")],
        &["p::x", "p::y"],
    );
    // A parent of its children is none, nor is a child that uses what the parent itself holds, nor one that only tests do.
    free(&[parent, ("p::x", "use super::P;"), ("p::y", "use super::{P, X};")]);
    free(&[("a", "use crate::b::B;"), ("b", "// crate::a::A\n#[cfg(test)]\nmod tests { use crate::a::A; }")]);
}
