//! Where a run writes: its folder, and the journal in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::SetArgs;
use crate::files;

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
