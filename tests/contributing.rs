//! The lists of CONTRIBUTING.md: every file that they name is there, and holds the place that they name.

use std::fs;
use std::path::Path;

/// What stands in backticks, list by list.
fn named(text: &str) -> Vec<(String, Vec<String>)> {
    let lists = text.split("\n### ").skip(1);
    lists
        .map(|list| {
            let title = list.lines().next().unwrap_or_default().to_string();
            let quoted = list.split('`').skip(1).step_by(2).map(|word| word.replace('\n', " "));
            (title, quoted.collect())
        })
        .collect()
}

#[test]
fn files_and_places_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lists = named(&fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap());
    assert_eq!(lists.len(), 6, "a list was added or lost: look at this test");
    for (title, words) in lists {
        let files: Vec<&String> =
            words.iter().filter(|word| word.starts_with("src/") || word.starts_with("tests/")).collect();
        assert!(!files.is_empty(), "{title}: no file");
        let mut code = String::new();
        for file in files {
            let path = root.join(file);
            match file.contains("NAME") {
                // The newcomer's own: its room must be there.
                true => assert!(path.parent().is_some_and(Path::is_dir), "{title}: {file} has no room"),
                false => code += &fs::read_to_string(&path).unwrap_or_else(|e| panic!("{title}: {file}: {e}")),
            }
        }
        let places = ["DETECTORS", "folder()", "FIGURES", "metrics()", "Sums", "Report", "What", "start", "libraries"];
        for place in words.iter().filter(|word| places.contains(&word.as_str())) {
            assert!(code.contains(place.trim_end_matches("()")), "{title}: nothing is called {place}");
        }
    }
}

/// Who wrote a file and forgot its list would be told by nobody.
#[test]
fn every_detector_and_every_export_is_listed() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let listed = |room: &str, mark: &str, end: &str| {
        let registry = fs::read_to_string(src.join(format!("{room}.rs"))).unwrap();
        let mut found = 0;
        for file in fs::read_dir(src.join(room)).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()) {
            let (text, module) = (fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_string_lossy());
            for line in text.lines().filter(|line| line.starts_with("pub fn ") && line.contains(mark)) {
                let name: String =
                    line["pub fn ".len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(registry.contains(&format!("{module}::{name}{end}")), "{module}::{name} is not in {room}.rs");
                found += 1;
            }
        }
        found
    };
    assert!(listed("diagnose", "(case: &Case) -> Option<Finding>", ",") > 20);
    assert!(listed("cure/export", "-> Export<Told", "()") > 6);
}
