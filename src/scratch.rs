//! Temporary folders that do not outlive their process for long. Each process has one root in each place (the system's
//! folder for temporary files, memory), and everything of it lies below; a lock on the root says that its owner lives. What
//! a killed run left behind is removed by the next one that needs a folder. Knows nothing of what is in them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, TempDir};

/// What the names of all roots begin with, and a file in each: users may have folders of such names.
const PREFIX: &str = "layerdiff-";
const SIGN: &str = ".layerdiff-scratch";

/// How often a root that vanishes while it is being locked is made again.
const TRIES: usize = 8;

/// The folder of this process in one place.
struct Root {
    place: PathBuf,
    path: PathBuf,
    /// Held as long as the process lives, however it ends.
    _lock: File,
}

static ROOTS: Mutex<Vec<Root>> = Mutex::new(Vec::new());

/// A private folder in the system's place for temporary files; it goes when it is dropped, at the latest with the process.
pub fn folder() -> io::Result<TempDir> {
    folder_in(&std::env::temp_dir())
}

/// The same in another place.
pub fn folder_in(place: &Path) -> io::Result<TempDir> {
    let root = root_in(place)?;
    private().tempdir_in(root)
}

/// Removes all folders of this process: for who ends it without dropping them.
pub fn clear() {
    for root in roots().drain(..) {
        drop(fs::remove_dir_all(&root.path));
    }
}

fn roots() -> MutexGuard<'static, Vec<Root>> {
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root_in(place: &Path) -> io::Result<PathBuf> {
    let mut roots = roots();
    // Somebody who tidies up may have removed it under us.
    roots.retain(|root| root.path.is_dir());
    if let Some(root) = roots.iter().find(|root| root.place == place) {
        return Ok(root.path.clone());
    }
    sweep(place, PREFIX, |root| root.join(SIGN).is_file());
    let (path, lock) = locked(place)?;
    fs::write(path.join(SIGN), "")?;
    roots.push(Root { place: place.to_path_buf(), path: path.clone(), _lock: lock });
    Ok(path)
}

/// Tells every sweeper that somebody needs this folder, as long as the file is kept, however its process ends.
pub fn hold(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    file.lock_shared().map(|()| file)
}

/// A new root, and the lock that tells others that somebody lives in it. Between its making and its locking a sweeper may
/// take it for an abandoned one.
fn locked(place: &Path) -> io::Result<(PathBuf, File)> {
    for _ in 0..TRIES {
        let path = private().prefix(PREFIX).tempdir_in(place)?.keep();
        match hold(&path) {
            Ok(lock) if path.is_dir() => return Ok((path, lock)),
            // A file system without locks: nobody can tell that it is abandoned, and nobody removes it.
            Err(e) if path.is_dir() && e.kind() != io::ErrorKind::NotFound => {
                return Ok((path.clone(), File::open(&path)?));
            }
            _ => {}
        }
    }
    Err(io::Error::other(format!("folders in {} vanish as soon as they are made", place.display())))
}

/// Removes the folders of this prefix that are ours and that nobody holds: their makers ended without
/// removing them.
pub fn sweep(place: &Path, prefix: &str, is_ours: impl Fn(&Path) -> bool) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let ours = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    for path in ours.map(|e| e.path()).filter(|path| abandoned(path) && is_ours(path)) {
        drop(fs::remove_dir_all(path));
    }
}

/// A folder of this user's that no process holds a lock on.
fn abandoned(path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return false };
    meta.is_dir() && is_mine(&meta) && File::open(path).is_ok_and(|folder| folder.try_lock().is_ok())
}

#[cfg(unix)]
fn is_mine(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(meta) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_mine(_: &fs::Metadata) -> bool {
    false
}

fn private() -> Builder<'static, 'static> {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lie_in_one_root_and_go_when_dropped() {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = (folder_in(place.path()).unwrap(), folder_in(place.path()).unwrap());
        assert_eq!(one.path().parent(), two.path().parent());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        let gone = one.path().to_path_buf();
        drop(one);
        assert!(!gone.exists() && two.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_abandoned_ones_are_swept_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str, sign: &str| {
            fs::create_dir_all(place.path().join(name).join("inner")).unwrap();
            fs::write(place.path().join(name).join(sign), "").unwrap();
            place.path().join(name)
        };
        let (left, held) = (make("layerdiff-left", SIGN), make("layerdiff-held", SIGN));
        let (other, out) = (make("somebody-else", SIGN), make("layerdiff-out", "report.json"));
        let sweep = |place| sweep(place, PREFIX, |root| root.join(SIGN).is_file());
        fs::write(place.path().join("layerdiff-file"), "").unwrap();
        std::os::unix::fs::symlink(&other, place.path().join("layerdiff-link")).unwrap();
        let lock = File::open(&held).unwrap();
        lock.lock_shared().unwrap();
        sweep(place.path());
        assert!(!left.exists(), "abandoned");
        assert!([&held, &other, &out].iter().all(|kept| kept.join("inner").exists()));
        assert!(place.path().join("layerdiff-file").exists() && place.path().join("layerdiff-link").exists());
        drop(lock);
        sweep(place.path());
        assert!(!held.exists());
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        assert_eq!(folder_in(Path::new("/nowhere/at/all")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
