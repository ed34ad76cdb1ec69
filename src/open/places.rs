//! Where a run writes: its folder, and the journal in it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};

use crate::cli::SetArgs;
use crate::files;
use crate::found::json;

/// `-o`, else MODEL_STEM.layerdiff; never what a command would take for a flag.
pub fn dir(args: &SetArgs) -> PathBuf {
    let by_model = || {
        let mut name = args.model.file_stem().unwrap_or(OsStr::new("model")).to_os_string();
        name.push(".layerdiff");
        PathBuf::from(name)
    };
    let dir = args.output_dir.clone().unwrap_or_else(by_model);
    if dir.as_os_str().as_encoded_bytes().starts_with(b"-") { Path::new(".").join(dir) } else { dir }
}

/// The journal in the folder of a report, where nothing but a file may stand.
pub fn journal(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join("journal.jsonl");
    files::ensure_writable(&path).map(|()| path)
}

/// Can files of these names be written into `dir`? Asked before hours of work; nothing is left behind.
pub fn check(dir: &Path, names: &[&str]) -> anyhow::Result<()> {
    for path in names.iter().map(|name| dir.join(name)) {
        files::ensure_writable(&path)?;
    }
    let failed =
        |why: String| anyhow!("no report can be written into {}: {why}; name another folder with -o", dir.display());
    let folder = nearest(dir).map_err(|e| failed(e.to_string()))?;
    ensure!(folder.is_dir(), failed(format!("{} is no folder", folder.display())));
    // What the system says names a file that is gone by then.
    json::beside(folder).map(drop).map_err(|e| failed(e.kind().to_string()))
}

/// The folder itself, else the nearest one above it that is there: the others are made in it.
fn nearest(dir: &Path) -> io::Result<&Path> {
    let mut folder = dir;
    while !folder.try_exists()? {
        folder = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => return Ok(Path::new(".")),
        };
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::listed;

    #[test]
    fn where_a_report_can_be_written_is_known_before_it_is() {
        let home = tempfile::tempdir().unwrap();
        let check = |dir: &str, want: Option<&str>| {
            let said = check(&home.path().join(dir), &["report.json"]).err().map(|e| format!("{e:#}"));
            let fits = match (&said, want) {
                (Some(said), Some(want)) => said.contains(want),
                (said, want) => said.is_none() && want.is_none(),
            };
            assert!(fits, "{dir}: {said:?}");
        };
        std::fs::write(home.path().join("file"), "").unwrap();
        std::fs::create_dir_all(home.path().join("taken/report.json")).unwrap();
        check("", None);
        check("new/one", None);
        check("taken", Some("is a folder, not a file"));
        check("file", Some("name another folder with -o"));
        check("file/inside", Some("name another folder with -o"));
        check(&"long".repeat(200), Some("name another folder with -o"));
        assert_eq!(listed(home.path()), ["file", "taken"]);
    }
}
