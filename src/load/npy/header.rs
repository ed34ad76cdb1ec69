//! The header of a `.npy`: a magic number, a version, and a Python dictionary with three keys. Knows no data.

use anyhow::{anyhow, bail, ensure};

use crate::tensor::DType;

/// What the header tells.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// What an element is.
    pub kind: Kind,
    /// Elements of several bytes are in the other order.
    pub big_endian: bool,
    /// The first axis is the fastest.
    pub fortran: bool,
    /// Sizes of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// Bytes up to the first element.
    pub len: usize,
}

/// How an element is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Fixed(DType),
    /// So many UCS-4 characters.
    Unicode(usize),
    /// So many bytes.
    Bytes(usize),
}

impl Kind {
    /// Bytes of one element.
    pub fn width(self) -> usize {
        match self {
            Kind::Fixed(dtype) => dtype.bits() / 8,
            Kind::Unicode(chars) => chars.saturating_mul(4),
            Kind::Bytes(width) => width,
        }
    }

    /// Bytes that swap places in the other byte order.
    pub fn word(self) -> usize {
        match self {
            Kind::Fixed(DType::Complex64 | DType::Complex128) => self.width() / 2,
            Kind::Fixed(_) => self.width(),
            Kind::Unicode(_) => 4,
            Kind::Bytes(_) => 1,
        }
    }
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// Rank, dimensions and description fit in far less; more is not a header.
pub const LONGEST: usize = 1 << 20;

impl Header {
    /// Of a file that begins with one. An error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Header> {
        ensure!(bytes.starts_with(MAGIC), "not a .npy array; save it with numpy.save");
        let cut = || anyhow!("truncated within the .npy header; save it again");
        let version = *bytes.get(6).ok_or_else(cut)?;
        let (start, len) = match version {
            1 => (10, bytes.get(8..10).map(|b| usize::from(b[0]) | usize::from(b[1]) << 8)),
            2 | 3 => (12, bytes.get(8..12).map(|b| b.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))),
            v => bail!(".npy version {v} is unknown; save the array with a current NumPy"),
        };
        let len = len.ok_or_else(cut)?;
        ensure!(len <= LONGEST, "the .npy header claims {len} bytes, which makes no sense; save the array again");
        let text = bytes.get(start..start + len).ok_or_else(cut)?;
        let mut fields = Fields::default();
        Literal { text, at: 0 }.dictionary(&mut fields)?;
        let missing = |key| anyhow!("the .npy header has no '{key}'; save the array again");
        let (kind, big_endian) = element(&fields.descr.ok_or_else(|| missing("descr"))?)?;
        let fortran = fields.fortran.ok_or_else(|| missing("fortran_order"))?;
        let shape = fields.shape.ok_or_else(|| missing("shape"))?;
        Ok(Header { kind, big_endian, fortran, shape, len: start + len })
    }
}

/// A version 1 header (version 2 if it must) that ends on a multiple of 64 bytes, as NumPy writes it.
pub fn write(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", dims.join(", "));
    let (version, start) = if text.len() + 75 > usize::from(u16::MAX) { (2, 12) } else { (1, 10) };
    let total = (start + text.len() + 1).next_multiple_of(64);
    let len = ((total - start) as u32).to_le_bytes();
    let mut out = [MAGIC, &[version, 0], &len[..start - 8], text.as_bytes()].concat();
    out.resize(total - 1, b' ');
    out.push(b'\n');
    out
}

/// NumPy's description of `dtype`; `None` if NumPy has no such type.
pub fn descr(dtype: DType) -> Option<&'static str> {
    use DType::*;
    Some(match dtype {
        Float16 => "<f2",
        Float32 => "<f4",
        Float64 => "<f8",
        Int8 => "|i1",
        Int16 => "<i2",
        Int32 => "<i4",
        Int64 => "<i8",
        Uint8 => "|u1",
        Uint16 => "<u2",
        Uint32 => "<u4",
        Uint64 => "<u8",
        Bool => "|b1",
        Complex64 => "<c8",
        Complex128 => "<c16",
        _ => return None,
    })
}

/// The element that a description such as `<f4` names, and whether it is big-endian.
fn element(text: &str) -> anyhow::Result<(Kind, bool)> {
    let (order, code) = match text.as_bytes().first() {
        Some(b'<' | b'>' | b'|' | b'=') => (text.as_bytes()[0], &text[1..]),
        _ => (b'=', text),
    };
    let fixed = DType::ALL.into_iter().find(|d| descr(*d).is_some_and(|known| &known[1..] == code));
    let named = || DType::from_name(text).filter(|d| *d == DType::Bfloat16 || descr(*d).is_some());
    let size = |digits: &str| digits.parse::<usize>().ok();
    let kind = match (fixed.or_else(named), code.split_at_checked(1)) {
        (Some(dtype), _) => Kind::Fixed(dtype),
        // ml_dtypes' bfloat16: NumPy can only call it two bytes of nothing.
        (_, Some(("V", "2"))) => Kind::Fixed(DType::Bfloat16),
        (_, Some(("?", ""))) => Kind::Fixed(DType::Bool),
        (_, Some(("U", digits))) if size(digits).is_some() => Kind::Unicode(size(digits).unwrap_or(0)),
        (_, Some(("S" | "a", digits))) if size(digits).is_some() => Kind::Bytes(size(digits).unwrap_or(0)),
        (_, Some(("O", _))) => {
            bail!("it holds Python objects; give it a plain type first, as array.astype('U') for text")
        }
        (_, Some(("V", "1"))) => bail!(
            "its type '{text}' may be any 8-bit or 4-bit type of ml_dtypes; save array.astype('float32') or 'int8'"
        ),
        _ => bail!("its type '{text}' is none of ONNX; save array.astype('float32') or another type that ONNX has"),
    };
    Ok((kind, order == b'>'))
}

#[derive(Default)]
struct Fields {
    descr: Option<String>,
    fortran: Option<bool>,
    shape: Option<Vec<usize>>,
}

/// The subset of Python's literals that a header is made of.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

impl Literal<'_> {
    fn dictionary(&mut self, fields: &mut Fields) -> anyhow::Result<()> {
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match (key.as_str(), self.peek()) {
                ("descr", Some(b'[')) => bail!("it is a structured array; save each of its fields on its own"),
                ("descr", _) => fields.descr = Some(self.string()?),
                ("fortran_order", _) => fields.fortran = Some(self.boolean()?),
                ("shape", _) => fields.shape = Some(self.tuple()?),
                _ => return Err(self.nonsense()),
            }
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        Ok(())
    }

    fn string(&mut self) -> anyhow::Result<String> {
        let quote = self.peek().filter(|c| matches!(c, b'\'' | b'"')).ok_or_else(|| self.nonsense())?;
        let rest = &self.text[self.at + 1..];
        let len = rest.iter().position(|c| *c == quote).ok_or_else(|| self.nonsense())?;
        self.at += len + 2;
        Ok(rest[..len].iter().map(|c| char::from(*c)).collect())
    }

    fn boolean(&mut self) -> anyhow::Result<bool> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.nonsense())
    }

    fn tuple(&mut self) -> anyhow::Result<Vec<usize>> {
        self.expect(b'(')?;
        let mut dims = Vec::new();
        while self.peek() != Some(b')') {
            let digits = self.text[self.at..].iter().take_while(|c| c.is_ascii_digit()).count();
            let number = std::str::from_utf8(&self.text[self.at..self.at + digits])?;
            dims.push(number.parse().map_err(|_| self.nonsense())?);
            self.at += digits;
            // Python 2 wrote long integers as `3L`.
            if self.text.get(self.at) == Some(&b'L') {
                self.at += 1;
            }
            if self.peek() != Some(b')') {
                self.expect(b',')?;
            }
        }
        self.expect(b')')?;
        Ok(dims)
    }

    /// The next byte that is no white space, which stays where it is.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.iter().take_while(|c| c.is_ascii_whitespace()).count();
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> anyhow::Result<()> {
        ensure!(self.peek() == Some(byte), self.nonsense());
        self.at += 1;
        Ok(())
    }

    fn nonsense(&self) -> anyhow::Error {
        anyhow!("the .npy header makes no sense at its byte {}; save the array again with numpy.save", self.at)
    }
}
