//! Tensors on their way between two processes: bytes in files in memory, a list of what is where in JSON.
//!
//! Who opens a parcel maps its files and unlinks them at once: nothing is copied, and nothing stays behind. Large tensors
//! have files of their own, so that keeping one does not keep the others.

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tempfile::{Builder, TempDir};

use crate::load::map;
use crate::scratch;
use crate::tensor::{DType, Tensor, Tensors};

/// Tensors from this size have a file of their own.
const LARGE: usize = 1 << 20;

/// Where a tensor starts in a shared file, so that it can be read in place whatever its type.
const ALIGNMENT: usize = 64;

/// Private folders for files in transit: in memory where the system offers that, and a second one for what does not fit
/// (containers often have 64 MB there). Removed when dropped.
pub struct Rooms(Vec<TempDir>);

impl Rooms {
    /// In memory where the system has such a place, and on the disk; an error where neither can be had.
    pub fn open() -> io::Result<Rooms> {
        let memory = Path::new("/dev/shm");
        let in_memory = if memory.is_dir() { scratch::folder_in(memory).ok() } else { None };
        match (in_memory, scratch::folder()) {
            (None, Err(e)) => Err(e),
            (first, second) => Ok(Rooms(first.into_iter().chain(second.ok()).collect())),
        }
    }

    /// Best first.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().map(|room| room.path().to_path_buf()).collect()
    }
}

/// A new file made of `parts`, in the first of `rooms` that has space for it.
pub fn store(rooms: &[PathBuf], parts: &[&[u8]]) -> io::Result<PathBuf> {
    let mut result = Err(io::Error::other("there is no folder for files in transit"));
    for room in rooms {
        result = store_in(room, parts);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn store_in(room: &Path, parts: &[&[u8]]) -> io::Result<PathBuf> {
    // A file that could not be filled is removed when it is dropped.
    let mut file = Builder::new().tempfile_in(room)?;
    for part in parts {
        file.write_all(part)?;
    }
    let (_, path) = file.keep().map_err(|e| e.error)?;
    Ok(path)
}

/// Several tensors.
#[derive(Serialize, Deserialize)]
pub struct Parcel {
    files: Vec<PathBuf>,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
enum Payload {
    Empty,
    Strings(Vec<String>),
    /// A part of a file of the parcel.
    Bytes {
        file: usize,
        at: Range<usize>,
    },
}

impl Parcel {
    /// Writes the tensors to files in the first of `rooms` that has room for them.
    pub fn pack(tensors: &Tensors, rooms: &[PathBuf]) -> io::Result<Parcel> {
        let mut parcel = Parcel { files: Vec::new(), items: Vec::with_capacity(tensors.len()) };
        let small = parcel.pack_small(tensors, rooms)?;
        for ((name, tensor), small) in tensors.iter().zip(small) {
            let bytes = tensor.bytes();
            let payload = match (tensor.as_strings(), small) {
                (Some(strings), _) => Payload::Strings(strings.to_vec()),
                (None, Some(at)) => Payload::Bytes { file: 0, at },
                (None, None) if bytes.is_empty() => Payload::Empty,
                (None, None) => {
                    parcel.files.push(store(rooms, &[bytes])?);
                    Payload::Bytes { file: parcel.files.len() - 1, at: 0..bytes.len() }
                }
            };
            let (name, dtype, shape) = (name.clone(), tensor.dtype, tensor.shape.clone());
            parcel.items.push(Item { name, dtype, shape, payload });
        }
        Ok(parcel)
    }

    /// Puts the small tensors into one file, the first; gives back where each is.
    fn pack_small(&mut self, tensors: &Tensors, rooms: &[PathBuf]) -> io::Result<Vec<Option<Range<usize>>>> {
        let mut places = Vec::with_capacity(tensors.len());
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut end = 0usize;
        for tensor in tensors.values() {
            let bytes = tensor.bytes();
            if bytes.is_empty() || bytes.len() >= LARGE {
                places.push(None);
                continue;
            }
            let start = end.next_multiple_of(ALIGNMENT);
            parts.push(&[0; ALIGNMENT][..start - end]);
            parts.push(bytes);
            end = start + bytes.len();
            places.push(Some(start..end));
        }
        if !parts.is_empty() {
            self.files.push(store(rooms, &parts)?);
        }
        Ok(places)
    }

    /// The tensors, which look into the mapped files; the files are gone afterwards.
    pub fn open(self) -> anyhow::Result<Tensors> {
        let files = self.files.iter().map(|path| take(path)).collect::<anyhow::Result<Vec<Bytes>>>()?;
        let mut tensors = Tensors::with_capacity(self.items.len());
        for item in self.items {
            let tensor = match item.payload {
                Payload::Empty => Tensor::new(item.dtype, item.shape, Bytes::new())?,
                Payload::Strings(strings) => Tensor::strings(item.shape, strings)?,
                Payload::Bytes { file, at } => {
                    let file = files.get(file).filter(|f| at.start <= at.end && at.end <= f.len());
                    let Some(file) = file else { anyhow::bail!("tensor '{}' is not where it should be", item.name) };
                    Tensor::new(item.dtype, item.shape, file.slice(at))?
                }
            };
            tensors.insert(item.name, tensor);
        }
        Ok(tensors)
    }
}

/// The bytes of a file, mapped; the file loses its name.
pub fn take(path: &Path) -> anyhow::Result<Bytes> {
    let bytes = map(path)?;
    fs::remove_file(path)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files_in(rooms: &Rooms) -> usize {
        rooms.paths().iter().map(|p| fs::read_dir(p).unwrap().count()).sum()
    }

    /// Packs, sends as JSON, opens.
    fn trip(tensors: &Tensors, rooms: &Rooms) -> Tensors {
        let parcel = Parcel::pack(tensors, &rooms.paths()).unwrap();
        let json = serde_json::to_string(&parcel).unwrap();
        serde_json::from_str::<Parcel>(&json).unwrap().open().unwrap()
    }

    fn same(a: &Tensors, b: &Tensors) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|((n, t), (m, u))| n == m && t.identical(u))
    }

    proptest! {
        #[test]
        fn tensors_survive_the_trip(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..9),
            large in 0..10usize,
        ) {
            let rooms = Rooms::open().unwrap();
            let mut tensors = Tensors::new();
            for (i, payload) in payloads.into_iter().enumerate() {
                let payload = if i == large { vec![i as u8; LARGE] } else { payload };
                tensors.insert(format!("t{i}"), Tensor::from_vec(DType::Uint8, vec![payload.len()], payload));
            }
            let back = trip(&tensors, &rooms);
            prop_assert!(same(&tensors, &back));
            prop_assert_eq!(files_in(&rooms), 0);
        }
    }

    #[test]
    fn every_kind_of_tensor_travels() {
        let rooms = Rooms::open().unwrap();
        let strings = |shape: &[usize], s: &[&str]| {
            Tensor::strings(shape.to_vec(), s.iter().map(|s| s.to_string()).collect()).unwrap()
        };
        let tensors = Tensors::from_iter(
            [
                ("scalar", Tensor::f32(&[], &[f32::NAN])),
                ("none", Tensor::f32(&[0, 3], &[])),
                ("int4", Tensor::new(DType::Int4, vec![3], vec![0x21, 0x03]).unwrap()),
                ("words", strings(&[2], &["a \"b\"", "ü\n"])),
                ("no words", strings(&[0], &[])),
                ("last", Tensor::i64(&[2], &[1, -1])),
            ]
            .map(|(name, tensor)| (name.to_string(), tensor)),
        );
        let back = trip(&tensors, &rooms);
        assert!(same(&tensors, &back), "{back:?}");
        assert!(matches!(back["last"].view::<i64>(), std::borrow::Cow::Borrowed(_)), "not aligned");
    }

    #[test]
    fn the_second_room_takes_what_the_first_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let rooms = [dir.path().join("missing"), dir.path().to_path_buf()];
        let path = store(&rooms, &[b"ab", b"c"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(path.parent(), Some(dir.path()));
        assert_eq!(store(&rooms[..1], &[b"a"]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn rooms_are_private_and_go_away() {
        use std::os::unix::fs::PermissionsExt;
        let rooms = Rooms::open().unwrap();
        let paths = rooms.paths();
        store(&paths, &[b"x"]).unwrap();
        assert!(paths.iter().all(|p| fs::metadata(p).unwrap().permissions().mode() & 0o777 == 0o700));
        drop(rooms);
        assert!(!paths.iter().any(|p| p.exists()));
    }

    #[test]
    fn a_list_that_lies_is_an_error() {
        let rooms = Rooms::open().unwrap();
        let tensors = Tensors::from_iter([("x".to_string(), Tensor::f32(&[2], &[1.0, 2.0]))]);
        let lie = |change: &dyn Fn(&mut Item)| {
            let mut parcel = Parcel::pack(&tensors, &rooms.paths()).unwrap();
            change(&mut parcel.items[0]);
            parcel.open().unwrap_err().to_string()
        };
        assert!(lie(&|i| i.payload = Payload::Bytes { file: 0, at: 4..12 }).contains("not where it should be"));
        assert!(lie(&|i| i.payload = Payload::Bytes { file: 1, at: 0..8 }).contains("not where it should be"));
        assert!(lie(&|i| i.shape = vec![3]).contains("take 12 bytes, but there are 8"));
    }
}
