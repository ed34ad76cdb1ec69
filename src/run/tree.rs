//! Folders made for a test.

use std::fs;

use tempfile::TempDir;

/// With these empty files.
pub fn tree(files: &[&str]) -> TempDir {
    filled(&files.iter().map(|name| (*name, "")).collect::<Vec<_>>())
}

/// With these files and their contents.
pub fn filled(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}
