//! One tensor as NumPy's `.npy`: format versions 1, 2 and 3. Knows no archive and no JSON around it.
//!
//! What is little-endian and in C order is a slice of the given bytes, never a copy. Types that NumPy lacks are written
//! widened (bfloat16, float8 and float4 as float32, 4-bit and 2-bit integers as 8-bit ones), which loses nothing.

mod header;
pub mod widen;

use std::io::{self, Write};

use anyhow::{bail, ensure};
use bytes::Bytes;

use crate::tensor::Tensor;
use header::{Header, Kind};

/// Magic number, version, length and dictionary take no more.
pub(super) const LONGEST_HEADER: usize = header::LONGEST + 12;

/// A `.npy` file in two parts: `body` shares the tensor's bytes.
pub struct Npy {
    /// Magic number, version, length and dictionary, padded to a multiple of 64 bytes.
    pub header: Vec<u8>,
    /// The elements as the header declares them, row-major.
    pub body: Bytes,
}

impl Npy {
    /// Bytes of the file.
    pub fn len(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// Never: there is a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes both parts one after the other.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.header)?;
        out.write_all(&self.body)
    }
}

/// The tensor in a complete `.npy`. Errors say what is wrong; the caller says in which file.
pub fn parse(bytes: Bytes) -> anyhow::Result<Tensor> {
    let (header, elements) = fitting(&bytes, bytes.len() as u64)?;
    let body = bytes.slice(header.len..);
    let (shape, width) = (&header.shape, header.kind.width());
    let body = if header.fortran && shape.len() > 1 { in_c_order(&body, shape, width) } else { body };
    let body = if header.big_endian { swapped(&body, header.kind.word()) } else { body };
    Ok(match header.kind {
        Kind::Fixed(dtype) => Tensor::new(dtype, header.shape, body)?,
        Kind::Unicode(_) => Tensor::strings(header.shape, texts(&body, elements, width, unicode)?)?,
        Kind::Bytes(_) => Tensor::strings(header.shape, texts(&body, elements, width, utf8)?)?,
    })
}

/// Does a `.npy` that begins with `start` take `length` bytes?
pub(super) fn check_length(start: &[u8], length: u64) -> anyhow::Result<()> {
    fitting(start, length).map(drop)
}

/// The header and the number of elements of an array whose file has `length` bytes.
fn fitting(start: &[u8], length: u64) -> anyhow::Result<(Header, usize)> {
    let header = Header::parse(start)?;
    let elements = count(&header.shape);
    let bytes = elements.and_then(|n| n.checked_mul(header.kind.width()));
    let (Some(elements), Some(want)) = (elements, bytes) else {
        bail!("the shape {:?} is larger than any memory; save the array again", header.shape);
    };
    let (have, want, shape) = (length.saturating_sub(header.len as u64), want as u64, &header.shape);
    ensure!(have >= want, "truncated: the shape {shape:?} takes {want} bytes, but {have} are there; save it again");
    ensure!(have == want, "{} bytes follow the array; keep one array in one .npy file", have - want);
    Ok((header, elements))
}

/// Elements of this shape; `None` if there are too many, or would be were its zeros ones (strides overflow then).
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let without_zeros = shape.iter().filter(|d| **d > 0).try_fold(1usize, |n, d| n.checked_mul(*d));
    without_zeros.map(|n| if shape.contains(&0) { 0 } else { n })
}

/// `tensor` as `.npy`; strings become NumPy's `U`, whose trailing NULs nobody gets back.
pub fn write(tensor: &Tensor) -> Npy {
    if let Some(values) = tensor.as_strings() {
        let chars = values.iter().map(|v| v.chars().count()).max().unwrap_or(0).max(1);
        let mut body = Vec::with_capacity(values.len() * chars * 4);
        for value in values {
            let end = body.len() + chars * 4;
            value.chars().for_each(|c| body.extend_from_slice(&u32::from(c).to_le_bytes()));
            body.resize(end, 0);
        }
        return Npy { header: header::write(&format!("<U{chars}"), &tensor.shape), body: body.into() };
    }
    let tensor = widen::widened(tensor);
    let descr = header::descr(tensor.dtype).unwrap_or_else(|| unreachable!("{} was not widened", tensor.dtype));
    Npy { header: header::write(descr, &tensor.shape), body: tensor.shared().unwrap_or_default() }
}

/// Row-major bytes of a column-major array.
fn in_c_order(body: &[u8], shape: &[usize], width: usize) -> Bytes {
    if body.is_empty() {
        return Bytes::new();
    }
    let mut out = Vec::with_capacity(body.len());
    let mut steps = vec![width; shape.len()];
    (1..shape.len()).for_each(|axis| steps[axis] = steps[axis - 1] * shape[axis - 1]);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    while out.len() < body.len() {
        out.extend_from_slice(&body[at..at + width]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out.into()
}

/// Every word of `word` bytes in the other byte order.
fn swapped(body: &[u8], word: usize) -> Bytes {
    let mut out = body.to_vec();
    out.chunks_exact_mut(word).for_each(<[u8]>::reverse);
    out.into()
}

/// The strings of a fixed-width array, decoded one by one.
fn texts(
    body: &[u8],
    elements: usize,
    width: usize,
    decode: fn(&[u8]) -> Option<String>,
) -> anyhow::Result<Vec<String>> {
    if elements == 0 {
        return Ok(Vec::new());
    }
    ensure!(width > 0, "its strings have no width; save the array again with astype('U')");
    let decoded = body.chunks_exact(width).enumerate().map(|(i, text)| {
        decode(text)
            .ok_or_else(|| anyhow::anyhow!("string {i} is not valid text; save the array again with astype('U')"))
    });
    decoded.collect()
}

fn unicode(text: &[u8]) -> Option<String> {
    let decoded: Option<String> =
        text.chunks_exact(4).map(|c| char::from_u32(u32::from_le_bytes(c.try_into().ok()?))).collect();
    Some(decoded?.trim_end_matches('\0').to_string())
}

fn utf8(text: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(text).ok()?.trim_end_matches('\0').to_string())
}

#[cfg(test)]
mod tests;
