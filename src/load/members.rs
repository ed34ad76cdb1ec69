//! A folder of samples: a file each, in the order that people count in.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::images::is_picture;
use super::raw;

/// Each path, or, where it is a folder of samples, the files in it. A test data set stays as it is.
pub fn expanded(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => all.extend(members(path)?),
            false => all.push(path.clone()),
        }
    }
    Ok(all)
}

/// The files of samples in a folder; the folder itself where it is something else.
pub fn members(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {shown}"))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    // Beside a test data set a file of JSON is something else.
    let set = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "pb")
            || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("test_data_set"))
    };
    let beside = paths.iter().any(set);
    let mut files: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.is_file() && is_sample(path) && !(beside && is_json(path))).collect();
    if files.is_empty() {
        return Ok(iterations(folder).unwrap_or_else(|| vec![folder.to_path_buf()]));
    }
    let pictures = files.iter().filter(|path| is_picture(path)).count();
    ensure!(
        pictures == 0 || pictures == files.len(),
        "{shown} holds pictures and arrays; give the folder of one kind, or name the files"
    );
    files.sort_by_cached_key(|path| order(path));
    Ok(files)
}

/// Folders with numbers for names, each of raw files: a sample each.
fn iterations(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Some(entry.ok()?.path())).collect::<Option<_>>()?;
    let numbered = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.chars().all(|c| c.is_ascii_digit()) && raw::in_folder(path).is_some()
    };
    folders.sort_by_cached_key(|path| order(path));
    (!folders.is_empty() && folders.iter().all(numbered)).then_some(folders)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

fn is_sample(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    is_picture(path) || matches!(ending.as_str(), "npz" | "npy" | "json" | "safetensors")
}

/// `2.npz` comes before `10.npz`.
fn order(path: &Path) -> Vec<(String, u128)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts: Vec<(String, u128)> = vec![(String::new(), 0)];
    let mut digits = false;
    for c in name.chars() {
        if digits && !c.is_ascii_digit() {
            parts.push((String::new(), 0));
        }
        digits = c.is_ascii_digit();
        let Some(last) = parts.last_mut() else { continue };
        match c.to_digit(10) {
            Some(digit) => last.1 = last.1.saturating_mul(10).saturating_add(u128::from(digit)),
            None => last.0.push(c),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["s10.npz", "s2.npz", "s1.npz", "notes.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<String> = expanded(&[dir.path().to_path_buf()])
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["s1.npz", "s2.npz", "s10.npz"]);
        std::fs::write(dir.path().join("a.png"), "").unwrap();
        assert!(expanded(&[dir.path().to_path_buf()]).unwrap_err().to_string().contains("pictures and arrays"));
        // A file for each iteration; not beside a test data set.
        let runs = tempfile::tempdir().unwrap();
        for name in ["10.json", "9.json"] {
            std::fs::write(runs.path().join(name), "").unwrap();
        }
        assert!(members(runs.path()).unwrap()[0].ends_with("9.json"));
        std::fs::create_dir(runs.path().join("test_data_set_0")).unwrap();
        assert_eq!(members(runs.path()).unwrap(), [runs.path()]);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(expanded(&[empty.path().to_path_buf()]).unwrap(), [empty.path()]);
    }
}
