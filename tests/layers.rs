//! Imports point down only, `search` knows no ONNX, and `unsafe` stays where the design puts it.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top to the bottom; those of one line may use each other. The drives of two rooms stand upstairs, their
/// cores below `lab` and `run`: they know neither.
const LAYERS: [&[&str]; 12] = [
    &["commands", "supervise"],
    &["open", "find", "reduce::drive", "cure::drive", "inspect"],
    &["cli"],
    &["lab", "progress"],
    &["run"],
    &["diagnose", "reduce", "cure", "qdq"],
    &["judge"],
    &["show", "precision", "mark", "types", "load"],
    &["compare"],
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

/// The code of a file without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]").next().unwrap().to_string()
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

/// All others give back values: words and numbers are in `found`.
#[test]
fn few_make_pages() {
    let may = ["src/show", "src/commands/", "src/open/", "src/inspect/page", "src/find/verdict.rs", "/readme.rs"];
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
        "src/run/ort/session/bound.rs",
        "src/run/ort/value.rs",
        "src/run/ort/round.rs",
        "src/run/tensorrt/backend/observe.rs",
        "src/run/tensorrt/backend/session.rs",
        "src/run/tensorrt/callback.rs",
        "src/run/tensorrt/callback/recorder.rs",
        "src/run/tensorrt/callback/tests.rs",
        "src/run/tensorrt/context.rs",
        "src/run/tensorrt/open.rs",
        "src/run/tensorrt/sys.rs",
        "src/run/tensorrt/sys/calls.rs",
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
