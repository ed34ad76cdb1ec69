//! Tensors by name as NumPy's `.npz`: a zip archive of `.npy` files. Knows no model and no names but the archive's own.
//!
//! Entries that are stored (numpy.savez, and everything written here) are slices of the mapped file; compressed ones
//! (numpy.savez_compressed) are inflated. Checksums are verified, as NumPy does.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{map, npy};
use crate::files;
use crate::tensor::{Tensor, Tensors};

/// Memory that is reserved because a file says so; more comes as it is filled.
const RESERVED: u64 = 64 << 20;

/// Bytes that hold every header of an array.
const HEAD: u64 = npy::LONGEST_HEADER as u64;

/// The arrays of `path`, in the archive's order. Errors name the file and the array.
pub fn read(path: &Path) -> anyhow::Result<Tensors> {
    read_within(path, u64::MAX)
}

/// The same of an archive whose arrays take at most `most` bytes: a few kilobytes can be packed terabytes.
pub fn read_within(path: &Path, most: u64) -> anyhow::Result<Tensors> {
    parse(map(path)?, most).with_context(|| path.display().to_string())
}

/// The arrays of a complete archive, of at most `most` bytes; entries that are no `.npy` are passed over.
pub fn parse(bytes: Bytes, most: u64) -> anyhow::Result<Tensors> {
    ensure!(!bytes.is_empty(), "the file is empty; an .npz archive was expected");
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes.clone())) else {
        bail!("not an .npz archive, or truncated; save it again with numpy.savez");
    };
    let mut tensors = Tensors::new();
    // Entries that share their bytes would make little become much.
    let mut left = Left { unpacked: most, stored: bytes.len() as u64 };
    for index in 0..archive.len() {
        let Some(name) = archive.name_for_index(index).and_then(|n| n.strip_suffix(".npy")).map(str::to_string) else {
            continue;
        };
        let tensor = entry(&mut archive, index, &bytes, &mut left).with_context(|| format!("array '{name}'"))?;
        tensors.insert(name, tensor);
    }
    ensure!(!tensors.is_empty(), "the archive holds no array; save arrays by name with numpy.savez");
    Ok(tensors)
}

/// Writes `tensors` so that numpy.load reads them under the same names. The file appears complete or not at all.
pub fn write(path: &Path, tensors: &Tensors) -> anyhow::Result<()> {
    atomically(path, |file| {
        let mut archive = ZipWriter::new(file);
        for (name, tensor) in tensors {
            add(&mut archive, name, tensor).with_context(|| format!("cannot write array '{name}'"))?;
        }
        archive.finish()?.flush()?;
        Ok(())
    })
}

/// A file that appears complete or not at all: written beside `path` under another name, then renamed.
pub(super) fn atomically(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    files::ensure_writable(path)?;
    let written = || -> anyhow::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".layerdiff-");
        if let Some(open) = readable_by_others() {
            builder.permissions(open);
        }
        let file = builder.tempfile_in(folder)?;
        let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// What any other file gets; temporary files are private by default. The user's umask still applies.
fn readable_by_others() -> Option<Permissions> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    #[cfg(not(unix))]
    None
}

/// Bytes that the arrays may still take.
struct Left {
    unpacked: u64,
    stored: u64,
}

fn entry(
    archive: &mut ZipArchive<Cursor<Bytes>>,
    index: usize,
    bytes: &Bytes,
    left: &mut Left,
) -> anyhow::Result<Tensor> {
    const DAMAGED: &str = "damaged (its checksum or its compression is wrong); save the archive again";
    let mut entry = archive.by_index(index).context("cannot be unpacked; save the archive again with numpy.savez")?;
    let size = entry.size();
    if entry.compression() == CompressionMethod::Stored {
        left.stored = left.stored.checked_sub(size).context(DAMAGED)?;
        let (start, len) = (usize::try_from(entry.data_start())?, usize::try_from(entry.size())?);
        let end = start.checked_add(len).filter(|end| *end <= bytes.len()).context(DAMAGED)?;
        let read = io::copy(&mut entry, &mut io::sink()).context(DAMAGED)?;
        ensure!(read == len as u64, DAMAGED);
        return npy::parse(bytes.slice(start..end));
    }
    let unpacked = left.unpacked;
    left.unpacked = unpacked.checked_sub(size).with_context(|| {
        format!(
            "it takes {size} bytes unpacked, and --memory leaves {unpacked} for it; give less data or more --memory"
        )
    })?;
    // Deflate cannot do better than 1032 to 1: a larger claim is a lie, and no reason to reserve memory.
    let room = size.min(entry.compressed_size().saturating_mul(1032)).min(RESERVED);
    let mut inflated = Vec::with_capacity(usize::try_from(room)?);
    // What is longer than it says is not unpacked to its end: the byte too many tells. Neither is what is longer than the
    // array in it.
    let mut entry = entry.take(size.saturating_add(1));
    entry.by_ref().take(HEAD).read_to_end(&mut inflated).context(DAMAGED)?;
    if inflated.len() as u64 == HEAD {
        npy::check_length(&inflated, size)?;
    }
    entry.read_to_end(&mut inflated).context(DAMAGED)?;
    ensure!(inflated.len() as u64 == size, DAMAGED);
    npy::parse(inflated.into())
}

fn add(archive: &mut ZipWriter<&mut BufWriter<&File>>, name: &str, tensor: &Tensor) -> anyhow::Result<()> {
    ensure!(!name.contains('\0') && name.len() < 60_000, "no zip archive can hold this name; rename the tensor");
    let npy = npy::write(tensor);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(npy.len() as u64 >= u64::from(u32::MAX))
        .with_alignment(64);
    archive.start_file(format!("{name}.npy"), options)?;
    npy.write_to(archive)?;
    Ok(())
}

#[cfg(test)]
mod tests;
