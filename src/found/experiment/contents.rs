//! What is in files, folders and tensors, as a short word: equal contents have equal words wherever they lie. Made for
//! noticing what was replaced, not against somebody who forges (XXH3). Files are read, not mapped: a
//! gigabyte of weights leaves no trace in this process' memory.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::Source;
use crate::tensor::Tensors;

/// Every byte of a file, or of all files of a folder.
pub fn of_path(path: &Path) -> Source {
    told(path, whole(path))
}

/// Size, start, end and evenly spread pieces of a library, which may have a gigabyte and is read only in part by who loads
/// it. Another build has another size, or another build number at its start; a few bytes that were patched in may go unseen.
pub fn of_library(path: &Path) -> Source {
    told(path, pieces(path))
}

/// Names, types, shapes and values.
pub fn of_samples(samples: &[Tensors]) -> String {
    let mut hash = Hash::default();
    for (name, tensor) in samples.iter().flatten() {
        hash.word(&format!("{name} {} {:?}", tensor.dtype, tensor.shape));
        hash.add(tensor.bytes());
        tensor.as_strings().into_iter().flatten().for_each(|text| hash.word(text));
    }
    hash.end()
}

/// The files that a command of the user's names.
pub fn named_in(command: &str) -> Vec<PathBuf> {
    let words = command.split(|c: char| c.is_whitespace() || "'\"`;|&()<>=".contains(c));
    let mut files: Vec<PathBuf> = words.filter(|w| !w.is_empty()).map(PathBuf::from).filter(|p| p.is_file()).collect();
    files.dedup();
    files
}

/// What cannot be read is told by whoever needs it; here it is only not the same as anything else that can.
fn told(path: &Path, contents: io::Result<String>) -> Source {
    Source { path: path.display().to_string(), contents: contents.unwrap_or_else(|e| format!("unreadable: {e}")) }
}

fn whole(path: &Path) -> io::Result<String> {
    let mut hash = Hash::default();
    add(path, &mut hash)?;
    Ok(hash.end())
}

/// A pipe or a device is not opened: it could wait for ever.
fn add(path: &Path, hash: &mut Hash) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        let mut inside = fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        inside.sort();
        for path in inside.iter().filter(|p| !p.is_symlink() || p.is_file()) {
            hash.word(&path.file_name().unwrap_or_default().to_string_lossy());
            add(path, hash)?;
        }
    } else if meta.is_file() {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hash.add(&buffer[..n]),
            }
        }
    }
    Ok(())
}

const BUFFER: usize = 1 << 20;
/// Pieces of a library, and the bytes of each; what has no more than these is read as a whole.
const PIECES: u64 = 64;
const PIECE: u64 = 16 << 10;

fn pieces(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size <= PIECES * PIECE {
        return whole(path);
    }
    let (mut file, mut hash, mut piece) = (File::open(path)?, Hash::default(), vec![0; PIECE as usize]);
    hash.word(&size.to_string());
    for number in 0..PIECES {
        file.seek(SeekFrom::Start((size - PIECE) / (PIECES - 1) * number))?;
        file.read_exact(&mut piece)?;
        hash.add(&piece);
    }
    file.seek(SeekFrom::End(-(PIECE as i64)))?;
    file.read_exact(&mut piece)?;
    hash.add(&piece);
    Ok(hash.end())
}

/// XXH3, fed piece by piece.
#[derive(Default)]
struct Hash(Xxh3);

impl Hash {
    /// A text that ends where it ends.
    fn word(&mut self, text: &str) {
        self.add(&(text.len() as u64).to_le_bytes());
        self.add(text.as_bytes());
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn end(self) -> String {
        format!("{:016x}", self.0.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn contents_count_and_names_do_not() {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            path
        };
        let (a, b, c) = (put("a", b"same"), put("b", b"same"), put("c", b"other"));
        assert_eq!(of_path(&a).contents, of_path(&b).contents);
        assert_ne!(of_path(&a).contents, of_path(&c).contents);
        put("one/x/0.pb", b"0");
        put("two/x/0.pb", b"0");
        put("three/x/1.pb", b"0");
        let folder = |name: &str| of_path(&home.path().join(name)).contents;
        assert_eq!(folder("one"), folder("two"));
        assert_ne!(folder("one"), folder("three"));
        assert!(of_path(&home.path().join("absent")).contents.starts_with("unreadable"));
    }

    #[test]
    fn of_a_library_the_size_and_many_places_are_seen() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lib.so");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let before = of_library(&path).contents;
        assert_eq!(before, of_library(&path).contents);
        for at in [0, 16_000, 2_999_999] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert_ne!(before, of_library(&path).contents, "{at}");
        }
        fs::write(&path, &bytes[..2_999_999]).unwrap();
        assert_ne!(before, of_library(&path).contents);
    }

    #[test]
    fn samples_differ_by_name_shape_and_value() {
        let sample = |name: &str, shape: &[usize], values: &[f32]| {
            of_samples(&[Tensors::from([(name.to_string(), Tensor::f32(shape, values))])])
        };
        let base = sample("x", &[2], &[1.0, 2.0]);
        assert_eq!(base, sample("x", &[2], &[1.0, 2.0]));
        assert_ne!(base, sample("y", &[2], &[1.0, 2.0]));
        assert_ne!(base, sample("x", &[1, 2], &[1.0, 2.0]));
        assert_ne!(base, sample("x", &[2], &[1.0, 2.5]));
    }

    #[test]
    fn a_command_names_files() {
        let home = tempfile::tempdir().unwrap();
        let script = home.path().join("run.py");
        fs::write(&script, "").unwrap();
        let command = format!("python3 '{}' {{model}} > {}/log", script.display(), home.path().display());
        assert_eq!(named_in(&command), [script]);
    }
}
