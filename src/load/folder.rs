//! A folder that appears complete or not at all, in place of an older one of its kind. Knows nothing of what is in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::scratch;

/// Lets `fill` write into an empty folder beside `dir`, and puts that in the place of `dir`: of nothing, of an empty
/// folder, or of one that holds `sign`, the file by which its writer knows it. Never of a folder of the user's.
pub fn replaced(dir: &Path, sign: &str, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    ensure_free(dir, sign)?;
    let failed = || format!("cannot write {}", dir.display());
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(failed)?;
    scratch::sweep(parent, &prefix(dir), |_| true);
    let fresh = beside(dir, parent).with_context(failed)?;
    // Where nothing can be locked, nothing is swept either.
    let _held = scratch::hold(fresh.path());
    fill(fresh.path()).with_context(failed)?;
    replace(fresh, dir, parent).with_context(failed)
}

/// Removes `dir` whole or not at all: first its name, then what is in it.
pub fn remove(dir: &Path) -> std::io::Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = beside(dir, parent)?;
    fs::rename(dir, aside.path().join("older"))?;
    aside.close()
}

/// May `dir` be written? If not, one sentence.
pub fn ensure_free(dir: &Path, sign: &str) -> anyhow::Result<()> {
    ensure!(
        fs::symlink_metadata(dir).is_err() || is_empty(dir) || dir.join(sign).is_file(),
        "{} exists and was not written by layerdiff; move it away, or choose another folder with -o",
        dir.display()
    );
    Ok(())
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// What folders beside `dir` are called before they take its place: nobody else's are called so.
fn prefix(dir: &Path) -> String {
    format!(".layerdiff-{}-", dir.file_name().map_or("new".into(), |name| name.to_string_lossy()))
}

/// An empty folder that others may read, on the same disk as `dir`; it goes when it is dropped.
fn beside(dir: &Path, parent: &Path) -> std::io::Result<TempDir> {
    let prefix = prefix(dir);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent)
}

/// No file system swaps folders in one step that all systems have: the older one steps aside, and comes back on failure.
fn replace(fresh: TempDir, dir: &Path, parent: &Path) -> std::io::Result<()> {
    let aside = beside(dir, parent)?;
    let older = aside.path().join("older");
    let moved = fs::symlink_metadata(dir).is_ok();
    if moved {
        fs::rename(dir, &older)?;
    }
    let renamed = fs::rename(fresh.path(), dir);
    if renamed.is_err() && moved {
        fs::rename(&older, dir)?;
    } else if renamed.is_ok() {
        // Nothing has its old name any more.
        let _ = fresh.keep();
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::listed;

    #[test]
    fn only_its_own_kind_gives_way() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("deep/made");
        let put = |file: &'static str| move |at: &Path| Ok(fs::write(at.join(file), file)?);
        replaced(&dir, "sign", put("sign")).unwrap();
        replaced(&dir, "sign", put("later")).unwrap();
        assert_eq!(listed(&dir), ["later"]);
        let error = replaced(&dir, "sign", put("sign")).unwrap_err().to_string();
        assert!(error.contains("was not written by layerdiff"), "{error}");
        assert_eq!(listed(&dir), ["later"]);
    }

    #[test]
    fn what_is_removed_is_gone_whole() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("made");
        fs::create_dir_all(dir.join("inner")).unwrap();
        remove(&dir).unwrap();
        assert!(listed(home.path()).is_empty());
        assert!(remove(&dir).is_err() && listed(home.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn what_a_killed_run_left_goes() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".layerdiff-made-aB3dE6/half")).unwrap();
        replaced(&home.path().join("made"), "sign", |at| Ok(fs::write(at.join("sign"), "")?)).unwrap();
        assert_eq!(listed(home.path()), ["made"]);
    }

    #[test]
    fn a_failure_leaves_the_older_one() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("made");
        replaced(&dir, "sign", |at| Ok(fs::write(at.join("sign"), "")?)).unwrap();
        let half = |at: &Path| {
            fs::write(at.join("half"), "")?;
            anyhow::bail!("the disk is full")
        };
        let error = replaced(&dir, "sign", half).unwrap_err();
        assert!(format!("{error:#}").ends_with("the disk is full"), "{error:#}");
        assert_eq!((listed(&dir), listed(home.path())), (vec!["sign".to_string()], vec!["made".to_string()]));
    }
}
