//! Somebody's data on the terminal.

use super::{headed, tensor};
use crate::found::words::{bytes, clean, plural};
use crate::inspect::facts::DataFacts;
use crate::show::page::{Block, Fact, Role};

/// Everything that is known of every array.
pub fn blocks(data: &DataFacts) -> Vec<Block> {
    let (arrays, size) = (plural(data.arrays.len(), "array"), bytes(data.bytes));
    let samples = (data.samples > 1).then(|| Fact::new("samples", plural(data.samples, "sample")));
    let head = format!("{}, {arrays}, {size}", clean(&data.path));
    let mut blocks = vec![headed(Role::Strong, "data", head, samples.into_iter().collect())];
    blocks.extend(data.arrays.iter().flat_map(tensor::blocks));
    blocks
}
