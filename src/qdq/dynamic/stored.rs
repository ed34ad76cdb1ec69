//! Weights as quantised operators store them, and the floats that they stand for.

use crate::compare::to_f64;
use crate::precision::cast;
use crate::qdq::{Pair, dequantised};
use crate::tensor::{DType, Tensor};

/// A quantised weight with its scales.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name of the integers.
    pub name: String,
    /// How to read them.
    pub layout: Layout,
    /// The float operator reads it with its last two dimensions exchanged.
    pub turned: bool,
    /// Type of the floats: that of the scales.
    pub dtype: DType,
}

/// How integers stand for floats.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Codes with one scale, one a channel or one a block.
    Plain(Box<Pair>),
    /// Several codes a byte, with scales by block: MatMulNBits.
    Packed(Box<Packed>),
}

/// The weight of a MatMulNBits: `rows` of `length` codes in blocks, each block in bytes of its own.
#[derive(Clone, Debug)]
pub struct Packed {
    /// N.
    pub rows: usize,
    /// K.
    pub length: usize,
    /// Codes that share a scale.
    pub block: usize,
    /// 2, 4 or 8.
    pub bits: usize,
    /// The bytes: `[rows, blocks, block * bits / 8]`.
    pub codes: Tensor,
    /// `[rows * blocks]`.
    pub scales: Tensor,
    /// Packed as the codes are, each row in bytes of its own; floats as they are. `None`: the middle of the range.
    pub zeros: Option<Tensor>,
    /// By column, its block.
    pub groups: Option<Vec<usize>>,
}

impl Stored {
    /// Shape of the float weight.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = match &self.layout {
            Layout::Plain(pair) => pair.stored.as_ref().map(|s| s.shape.clone()).unwrap_or_default(),
            Layout::Packed(packed) => vec![packed.rows, packed.length],
        };
        if self.turned && shape.len() > 1 {
            let last = shape.len() - 1;
            shape.swap(last - 1, last);
        }
        shape
    }

    /// The floats that are stored; `None` where scales do not fit.
    pub fn floats(&self) -> Option<Tensor> {
        let floats = match &self.layout {
            Layout::Plain(pair) => dequantised(pair)?,
            Layout::Packed(packed) => cast(&packed.floats()?, self.dtype)?,
        };
        if self.turned { turned(&floats) } else { Some(floats) }
    }
}

impl Packed {
    /// (code - zero point) * scale, in float32, as `[rows, length]`.
    fn floats(&self) -> Option<Tensor> {
        let blocks = self.length.div_ceil(self.block);
        let blob = (self.block * self.bits).div_ceil(8);
        let (codes, scales) = (self.codes.bytes(), to_f64(&self.scales));
        let fits = codes.len() == self.rows * blocks * blob && scales.len() == self.rows * blocks;
        let zeros = self.zeros(blocks).filter(|_| fits)?;
        let mut floats = Vec::with_capacity(self.rows * self.length);
        for row in 0..self.rows {
            for column in 0..self.length {
                let (block, place) = (column / self.block, column % self.block);
                let code = self.code(&codes[(row * blocks + block) * blob..], place);
                let group = self.groups.as_ref().map_or(block, |groups| groups[column]);
                let at = row * blocks + group.min(blocks - 1);
                floats.push(((f64::from(code) - zeros[at]) * scales[at]) as f32);
            }
        }
        Some(Tensor::from_vec(DType::Float32, vec![self.rows, self.length], floats))
    }

    /// The code at `place`; the first one has the lowest bits.
    fn code(&self, bytes: &[u8], place: usize) -> u8 {
        let bit = place * self.bits;
        let mask = ((1u16 << self.bits) - 1) as u8;
        (bytes[bit / 8] >> (bit % 8)) & mask
    }

    fn zeros(&self, blocks: usize) -> Option<Vec<f64>> {
        let count = self.rows * blocks;
        let Some(zeros) = &self.zeros else { return Some(vec![f64::from(1u32 << (self.bits - 1)); count]) };
        if zeros.dtype != DType::Uint8 {
            return Some(to_f64(zeros)).filter(|zeros| zeros.len() == count);
        }
        let (bytes, row) = (zeros.bytes(), (blocks * self.bits).div_ceil(8));
        (bytes.len() == self.rows * row)
            .then(|| (0..count).map(|i| f64::from(self.code(&bytes[i / blocks * row..], i % blocks))).collect())
    }
}

/// The last two dimensions exchanged; `None` for fewer, and for codes of less than a byte.
pub fn turned(tensor: &Tensor) -> Option<Tensor> {
    let rank = tensor.shape.len();
    let width = tensor.dtype.byte_len(1).filter(|_| rank > 1 && tensor.dtype.bits() >= 8)?;
    let (rows, columns) = (tensor.shape[rank - 2], tensor.shape[rank - 1]);
    let mut bytes = Vec::with_capacity(tensor.bytes().len());
    for matrix in tensor.bytes().chunks((rows * columns * width).max(1)) {
        for column in 0..columns {
            for row in 0..rows {
                let at = (row * columns + column) * width;
                bytes.extend_from_slice(&matrix[at..at + width]);
            }
        }
    }
    let mut shape = tensor.shape.clone();
    shape.swap(rank - 2, rank - 1);
    Tensor::new(tensor.dtype, shape, bytes).ok()
}
