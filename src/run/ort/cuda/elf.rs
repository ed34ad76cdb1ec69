//! The names of the libraries that an ELF file was linked with (DT_NEEDED). Reads headers only; loads nothing.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
/// More than any real file has of headers, dynamic entries and names.
const LARGEST: u64 = 16 << 20;

/// A part of the file as it lies in memory.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// What the loader must find before the library at `path` can be used. 64-bit, little-endian files only.
pub fn needed(path: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let header = read(&mut file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(bad("not a 64-bit little-endian ELF file"));
    }
    let (offset, size, count) = (u64_at(&header, 32)?, u16_at(&header, 54)?, u16_at(&header, 56)?);
    let table = read(&mut file, offset, u64::from(size) * u64::from(count))?;
    let segments: Vec<Segment> =
        table.chunks_exact(usize::from(size).max(1)).map(Segment::parse).collect::<io::Result<_>>()?;
    let dynamic = segments.iter().find(|s| s.kind == PT_DYNAMIC).ok_or_else(|| bad("not dynamically linked"))?;
    let dynamic = read(&mut file, dynamic.offset, dynamic.size)?;
    let entries: Vec<(u64, u64)> =
        dynamic.chunks_exact(16).map(|e| Ok((u64_at(e, 0)?, u64_at(e, 8)?))).collect::<io::Result<_>>()?;
    let value = |tag: u64| entries.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v);
    let (Some(address), Some(length)) = (value(DT_STRTAB), value(DT_STRSZ)) else { return Err(bad("no names")) };
    let names = read(&mut file, offset_of(&segments, address)?, length)?;
    entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, start)| name_at(&names, *start)).collect()
}

impl Segment {
    fn parse(bytes: &[u8]) -> io::Result<Segment> {
        let kind = u32_at(bytes, 0)?;
        Ok(Segment { kind, offset: u64_at(bytes, 8)?, address: u64_at(bytes, 16)?, size: u64_at(bytes, 32)? })
    }
}

fn offset_of(segments: &[Segment], address: u64) -> io::Result<u64> {
    let holds = |s: &&Segment| s.kind == PT_LOAD && address.checked_sub(s.address).is_some_and(|inner| inner < s.size);
    let segment = segments.iter().find(holds).ok_or_else(|| bad("names outside the file"))?;
    segment.offset.checked_add(address - segment.address).ok_or_else(|| bad("names outside the file"))
}

fn name_at(names: &[u8], start: u64) -> io::Result<String> {
    let rest = usize::try_from(start).ok().and_then(|start| names.get(start..)).unwrap_or_default();
    let end = rest.iter().position(|b| *b == 0).ok_or_else(|| bad("a name without end"))?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn read(file: &mut File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let capacity = usize::try_from(length.min(LARGEST)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity);
    file.seek(SeekFrom::Start(offset))?;
    file.take(length.min(LARGEST)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(bad("cut short")),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    Ok(u16::from_le_bytes(array(bytes, at)?))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    Ok(u64::from_le_bytes(array(bytes, at)?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().ok_or_else(|| bad("cut short"))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_was_linked_with_the_c_library() {
        let names = needed(&std::env::current_exe().unwrap()).unwrap();
        assert!(names.iter().any(|name| name.starts_with("libc.so")), "{names:?}");
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], want: &str| {
            let path = dir.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(needed(&path).unwrap_err().to_string(), want);
        };
        check(b"short", "cut short");
        check(&[b'x'; 64], "not a 64-bit little-endian ELF file");
        let mut empty = [0u8; 64];
        empty[..6].copy_from_slice(b"\x7fELF\x02\x01");
        check(&empty, "not dynamically linked");
        empty[56] = 3;
        empty[54] = 56;
        empty[40 - 8] = 32;
        check(&empty, "cut short");
    }
}
