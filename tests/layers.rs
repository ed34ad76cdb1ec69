//! Imports point down only and never in a circle, `search` knows no ONNX, and `unsafe` stays where the design puts it.

#[path = "layers/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top to the bottom; those of one line may use each other. The drives of two rooms stand upstairs, their
/// cores below `lab` and `run`: they know neither.
const LAYERS: [&[&str]; 13] = [
    &["commands", "supervise"],
    &["open", "find", "reduce::drive", "cure::drive", "inspect"],
    &["cli"],
    &["lab", "progress"],
    &["run"],
    &["differ"],
    &["diagnose", "reduce", "cure", "qdq"],
    &["judge"],
    &["show", "precision", "mark", "types", "load"],
    &["compare", "sums"],
    &["graph", "found", "spec"],
    &["onnx", "search", "tensor", "interrupt", "names", "failure"],
    &["terminal", "files", "scratch"],
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|p| if p.is_dir() { sources(&p) } else { vec![p] })
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// The module a file belongs to: `src/lab/side.rs` is part of `lab`, `src/cure/drive/price.rs` of `cure::drive`.
fn module(file: &Path) -> String {
    let inner = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let mut parts = inner.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_string());
    let room = parts.next().unwrap();
    if parts.next().is_some_and(|part| part == "drive") { format!("{room}::drive") } else { room }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

/// The code of a file without its tests: those inside are at its end, those beside are declared anywhere.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.trim_start().starts_with("#[cfg(test)]") {
            true if lines.next().is_some_and(|next| next.ends_with('{') && !line.starts_with(' ')) => break,
            true => {}
            false => {
                code += line;
                code.push('\n');
            }
        }
    }
    code
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let from = module(&file);
        if from == "main" || from == "lib" || file.ends_with("tests.rs") {
            continue;
        }
        let Some(mine) = layer(&from) else { panic!("{} is in no layer: add it to this test", file.display()) };
        for rest in code(&file).split("crate::").skip(1) {
            let name =
                |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
            let room = name(rest);
            let drive = rest[room.len()..].strip_prefix("::").is_some_and(|inside| name(inside) == "drive");
            let to = if drive { format!("{room}::drive") } else { room };
            match layer(&to) {
                Some(theirs) if theirs >= mine => {}
                _ => wrong.push(format!("{} uses {to}", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up:\n{}", wrong.join("\n"));
}

/// Every stage gives back a value, and one place makes a report of them.
#[test]
fn one_place_makes_the_report() {
    let of_tests = |file: &PathBuf| {
        let text = file.to_string_lossy();
        ["/tests.rs", "/tests/", "/sample.rs", "/sample/"].iter().any(|part| text.contains(part))
    };
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).into_iter().filter(|file| !of_tests(file)) {
        let code = code(&file);
        assert!(!code.contains("&mut Report"), "{} writes into a report", file.display());
        let makes = |line: &str| line.ends_with("Report {") && !line.contains("struct") && !line.contains("fn ");
        let makes = code.lines().any(makes) || code.contains("Report::default()");
        assert!(!makes || file.ends_with("found/assemble.rs"), "{} makes a report", file.display());
    }
}

/// What ranks nodes and what cures them meet in values, never in each other's code.
#[test]
fn a_cure_knows_no_search() {
    let room = |name: &str| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name));
    for file in room("cure") {
        assert!(!code(&file).contains("crate::find"), "{} uses find", file.display());
    }
    for file in room("find") {
        assert!(!code(&file).contains("crate::cure::drive"), "{} uses the drive of cures", file.display());
    }
}

/// All others give back values: words and numbers are in `found`.
#[test]
fn few_make_pages() {
    let may = ["src/show", "src/commands/", "src/open/", "src/inspect/page", "/export", "/readme.rs"];
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let (path, makes) = (file.display().to_string(), code(&file).contains("crate::show"));
        assert!(!makes || path.ends_with("tests.rs") || may.iter().any(|part| path.contains(part)), "{path}");
    }
}

#[test]
fn unsafe_stays_where_it_belongs() {
    let allowed = [
        "src/load.rs",
        "src/run/cuda.rs",
        "src/run/cuda/compare.rs",
        "src/run/cuda/nvrtc.rs",
        "src/run/ort/capi.rs",
        "src/run/ort/session/bound.rs",
        "src/run/ort/value.rs",
        "src/run/ort/round.rs",
        "src/run/ort/sums.rs",
        "src/run/tensorrt/backend/observe.rs",
        "src/run/tensorrt/backend/session.rs",
        "src/run/tensorrt/callback.rs",
        "src/run/tensorrt/callback/recorder.rs",
        "src/run/tensorrt/callback/tests.rs",
        "src/run/tensorrt/context.rs",
        "src/run/tensorrt/open.rs",
        "src/run/tensorrt/sys.rs",
        "src/run/tensorrt/sys/calls.rs",
        "src/run/tensorrt/sys/forms.rs",
        "src/run/tensorrt/sys/safe.rs",
    ];
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let unsafe_blocks = code(&file).matches("unsafe {").count();
        let known = allowed.iter().any(|a| file.ends_with(a));
        assert!(unsafe_blocks == 0 || known, "{} has unsafe code", file.display());
        assert!(
            code(&file).matches("SAFETY").count() >= unsafe_blocks,
            "{}: unsafe without a SAFETY comment",
            file.display()
        );
    }
}
