//! Files that the user names: checked before they are opened, because opening a pipe waits for its other end and opening
//! a device may do anything. Knows no format.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// Bytes of a text that is read as a whole.
const LONGEST: u64 = 1 << 30;

/// Opens a file for reading. A link to one is one; a folder, a pipe, a device or a socket is refused unopened.
pub fn open(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let meta = fs::metadata(path).with_context(|| format!("cannot open {shown}"))?;
    if let Some(kind) = other_than_file(meta.file_type()) {
        bail!("{shown} is {kind}, not a file; name the file itself");
    }
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    // Between the two calls another may have taken its place.
    let opened = file.metadata().with_context(|| format!("cannot read {shown}"))?;
    ensure!(opened.is_file(), "{shown} is not a file any more; name the file itself");
    Ok(file)
}

/// The whole of a file of text, of as many bytes as it says it has: one in /proc says none, and may never end.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let (file, failed) = (open(path)?, || format!("cannot read {}", path.display()));
    let size = file.metadata().with_context(failed)?.len();
    ensure!(size <= LONGEST, "{} has {size} bytes, and no text of layerdiff has more than {LONGEST}", path.display());
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).with_context(failed)?;
    Ok(bytes)
}

/// May a file be written here? There is none yet, or an ordinary one: renaming over a device would take it away.
pub fn ensure_writable(path: &Path) -> anyhow::Result<()> {
    let kind = fs::metadata(path).ok().and_then(|meta| other_than_file(meta.file_type()));
    match kind {
        Some(kind) => bail!("{} is {kind}, not a file; name another place to write to", path.display()),
        None => Ok(()),
    }
}

/// What it is, if it is no ordinary file.
fn other_than_file(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kinds = [
            (kind.is_fifo(), "a pipe (FIFO)"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        if let Some((_, name)) = kinds.into_iter().find(|(is, _)| *is) {
            return Some(name);
        }
    }
    Some("something else")
}

/// A part of what may be no UTF-8: `range` begins and ends beside an ASCII character, or at an end of the text.
pub fn part(text: &OsStr, range: Range<usize>) -> OsString {
    #[cfg(unix)]
    return <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&text.as_encoded_bytes()[range]).to_os_string();
    #[cfg(not(unix))]
    text.to_string_lossy().get(range).unwrap_or_default().into()
}

/// For tests: the names in a folder, in order.
#[cfg(test)]
pub fn listed(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_files_are_opened_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _listening = UnixListener::bind(at("socket")).unwrap();
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("pipe", at("link to a pipe")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let check = |path: &Path, want: &str| {
            for error in [open(path).unwrap_err(), ensure_writable(path).unwrap_err()] {
                let error = format!("{error:#}");
                assert!(error.starts_with(&format!("{} is {want}, not a file;", path.display())), "{error}");
            }
        };
        check(&at("pipe"), "a pipe (FIFO)");
        check(&at("link to a pipe"), "a pipe (FIFO)");
        check(&at("socket"), "a socket");
        check(home.path(), "a folder");
        check(Path::new("/dev/null"), "a device");
        for name in ["file", "link"] {
            assert_eq!(read(&at(name)).unwrap(), b"text");
            ensure_writable(&at(name)).unwrap();
        }
        for name in ["absent", "loop"] {
            assert!(format!("{:#}", open(&at(name)).unwrap_err()).starts_with("cannot open "));
            ensure_writable(&at(name)).unwrap();
        }
    }

    #[test]
    fn endless_and_sparse_files_are_not_read() {
        assert_eq!(read(Path::new("/proc/self/status")).ok(), cfg!(target_os = "linux").then(Vec::new));
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("has 1099511627776 bytes"));
    }

    #[test]
    fn parts_keep_their_bytes() {
        let text: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"ort@\xff.onnx");
        assert_eq!(part(text, 4..10).as_encoded_bytes(), b"\xff.onnx");
        assert_eq!(part(text, 0..3), "ort");
    }
}
