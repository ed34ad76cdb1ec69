//! What is in files, folders and tensors, as a short word: equal contents have equal words wherever they lie. Made for
//! noticing what was replaced, not against somebody who forges (XXH64, 10 GB/s from memory). Files are read, not mapped: a
//! gigabyte of weights leaves no trace in this process' memory.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

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

/// XXH64 with seed 0, fed piece by piece.
struct Hash {
    lanes: [u64; 4],
    /// What does not fill a block yet.
    rest: Vec<u8>,
    length: u64,
}

const BLOCK: usize = 32;
const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

impl Default for Hash {
    fn default() -> Hash {
        let [a, b, ..] = PRIMES;
        Hash { lanes: [a.wrapping_add(b), b, 0, 0u64.wrapping_sub(a)], rest: Vec::new(), length: 0 }
    }
}

impl Hash {
    /// A text that ends where it ends.
    fn word(&mut self, text: &str) {
        self.add(&(text.len() as u64).to_le_bytes());
        self.add(text.as_bytes());
    }

    fn add(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.rest.is_empty() {
            let (more, after) = bytes.split_at(bytes.len().min(BLOCK - self.rest.len()));
            self.rest.extend_from_slice(more);
            bytes = after;
            if self.rest.len() < BLOCK {
                return;
            }
            let block = std::mem::take(&mut self.rest);
            self.block(&block);
        }
        let blocks = bytes.chunks_exact(BLOCK);
        self.rest.extend_from_slice(blocks.remainder());
        blocks.for_each(|block| self.block(block));
    }

    fn block(&mut self, block: &[u8]) {
        for (lane, word) in self.lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = round(*lane, number(word));
        }
    }

    fn end(self) -> String {
        format!("{:016x}", self.value())
    }

    fn value(self) -> u64 {
        let [p1, p2, p3, p4, p5] = PRIMES;
        let mut hash = match self.length >= BLOCK as u64 {
            false => p5,
            true => {
                let turned = self.lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
                let joined = turned.fold(0u64, u64::wrapping_add);
                let fold = |hash: u64, lane: &u64| (hash ^ round(0, *lane)).wrapping_mul(p1).wrapping_add(p4);
                self.lanes.iter().fold(joined, fold)
            }
        };
        hash = hash.wrapping_add(self.length);
        let words = self.rest.chunks_exact(8);
        let halves = words.remainder().chunks_exact(4);
        let bytes = halves.remainder();
        for word in words {
            hash = (hash ^ round(0, number(word))).rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
        }
        for half in halves {
            hash = (hash ^ number(half).wrapping_mul(p1)).rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
        }
        for byte in bytes {
            hash = (hash ^ u64::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(p2);
        hash = (hash ^ (hash >> 29)).wrapping_mul(p3);
        hash ^ (hash >> 32)
    }
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// Little-endian, of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn it_is_xxh64() {
        let check = |text: &[u8], want: u64| {
            for piece in [1, 3, 32, 1000] {
                let mut hash = Hash::default();
                text.chunks(piece).for_each(|bytes| hash.add(bytes));
                assert_eq!(hash.value(), want, "{} bytes by {piece}", text.len());
            }
        };
        check(b"", 0xEF46_DB37_51D8_E999);
        check(b"a", 0xD24E_C4F1_A98C_6E5B);
        check(b"abc", 0x44BC_2CF5_AD77_0999);
        check(b"xxhash", 0x32DD_3895_2C4B_C720);
        check(b"Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1);
    }

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
