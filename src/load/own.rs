//! What is the user's stays as it is: programs that are given a file get a copy, in folders that a shell cannot misread, and
//! nothing is written over what is read. Runs nothing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use tempfile::TempDir;

use crate::scratch;

/// Do both paths lead to one file, by whatever links?
pub fn same_file(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (identity(a), identity(b)) else { return false };
    a == b
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// A temporary folder whose path is one plain word, in whatever quotes a command of the user's puts it: where TMPDIR is no
/// such word, a link that is one leads there.
pub struct Desk {
    dir: TempDir,
    link: Option<TempDir>,
}

impl Desk {
    /// Makes the folder; an error where the system's temporary folder cannot be written.
    pub fn new() -> anyhow::Result<Desk> {
        let dir = scratch::folder().context("cannot make a temporary folder")?;
        let link = if is_plain(dir.path()) { None } else { linked(dir.path()) };
        Ok(Desk { dir, link })
    }

    /// Of the folder, without characters that a shell reads as something else, as far as that can be had.
    pub fn path(&self) -> PathBuf {
        self.link.as_ref().map_or_else(|| self.dir.path().to_path_buf(), |link| link.path().join(LINK))
    }
}

const LINK: &str = "files";

fn is_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    path.to_str().is_some_and(|text| text.chars().all(plain))
}

/// `None` where there is no better place: then the path is quoted as well as can be.
#[cfg(unix)]
fn linked(dir: &Path) -> Option<TempDir> {
    let link = scratch::folder_in(Path::new("/tmp")).ok()?;
    std::os::unix::fs::symlink(dir, link.path().join(LINK)).ok()?;
    Some(link)
}

#[cfg(not(unix))]
fn linked(_: &Path) -> Option<TempDir> {
    None
}

/// How a file was when it was made: whoever writes to it changes one of these.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    /// Of the file that is there now; an error where there is none.
    pub fn of(path: &Path) -> io::Result<Stamp> {
        let meta = fs::metadata(path)?;
        Ok(Stamp { bytes: meta.len(), modified: meta.modified()? })
    }
}

/// One copy of each large file for all the programs of a run, made when it is first asked for (on file systems that share
/// blocks, for nothing), and again once a program has changed it.
#[derive(Debug, Default)]
pub struct Copies(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    dir: Option<TempDir>,
    count: usize,
    files: HashMap<PathBuf, (PathBuf, Stamp)>,
}

impl Copies {
    /// The path of a copy of `file`.
    pub fn of(&self, file: &Path) -> io::Result<PathBuf> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, stamp)) = made.files.get(file)
            && Stamp::of(path).is_ok_and(|now| now == *stamp)
        {
            return Ok(path.clone());
        }
        if made.dir.is_none() {
            made.dir = Some(scratch::folder()?);
        }
        made.count += 1;
        let name = made.count.to_string();
        // Under a new name: programs may still read the older one.
        let path = made.dir.as_ref().map(|dir| dir.path().join(name)).unwrap_or_default();
        fs::copy(file, &path)?;
        let stamp = Stamp::of(&path)?;
        if let Some((older, _)) = made.files.insert(file.to_path_buf(), (path.clone(), stamp)) {
            drop(fs::remove_file(older));
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_once_and_again_when_it_was_changed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("weights");
        fs::write(&file, "weights").unwrap();
        let copies = Copies::default();
        let first = copies.of(&file).unwrap();
        assert_eq!(copies.of(&file).unwrap(), first);
        fs::write(&first, "other").unwrap();
        let second = copies.of(&file).unwrap();
        assert_ne!(first, second);
        assert_eq!((fs::read(&second).unwrap(), fs::read(&file).unwrap()), (b"weights".to_vec(), b"weights".to_vec()));
        assert!(!first.exists());
        drop(copies);
        assert!(!second.exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_one_file() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("b"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        std::os::unix::fs::symlink("a", at("soft")).unwrap();
        assert!(same_file(&at("a"), &at("hard")) && same_file(&at("soft"), &at("hard")));
        assert!(!same_file(&at("a"), &at("b")) && !same_file(&at("a"), &at("absent")));
        assert!(!same_file(&at("absent"), &at("absent")));
    }

    #[cfg(unix)]
    #[test]
    fn a_desk_in_an_odd_place_has_a_plain_path() {
        let odd = tempfile::Builder::new().prefix("a b$(x)'").tempdir().unwrap();
        let (plain, link) = (linked(odd.path()).unwrap(), odd.path().join("file"));
        fs::write(&link, "x").unwrap();
        assert!(!is_plain(odd.path()) && is_plain(&plain.path().join(LINK)));
        assert_eq!(fs::read(plain.path().join(LINK).join("file")).unwrap(), b"x");
        assert!(is_plain(&Desk::new().unwrap().path()));
    }
}
