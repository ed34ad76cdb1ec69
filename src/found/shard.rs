//! Work that several machines share: what one of them did. How their reports become one: `merge`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of the work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shard {
    /// From 1.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// What was shared.
    pub what: Shared,
    /// Which of all, from 0, this one did, in order.
    pub members: Vec<usize>,
    /// Of all shards together.
    pub total: usize,
    /// What all shards of one run have in common: the flags, by their hash.
    pub run: String,
}

/// What was shared among shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shared {
    /// Samples of the data.
    #[default]
    Samples,
    /// Sizes of a sweep.
    Sizes,
    /// Nodes of which it is tried what each alone does.
    Nodes,
}

/// `--shard I/N`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

/// `2/4`
pub fn parse_part(text: &str) -> Result<Part, String> {
    let part = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match part {
        Some((index, of)) if (1..=of).contains(&index) => Ok(Part { index, of }),
        _ => Err(format!("'{text}' is no shard; write I/N, such as 1/4 for the first of four")),
    }
}

impl Part {
    /// Its own of `total`: every N-th, so that all shards have as much to do.
    pub fn shard(self, what: Shared, total: usize, run: &str) -> Shard {
        let members = (self.index - 1..total).step_by(self.of).collect();
        Shard { index: self.index, of: self.of, what, members, total, run: run.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_in_one_shard() {
        assert_eq!(parse_part("2/4"), Ok(Part { index: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "1", "a/b", "1/0"] {
            assert!(parse_part(wrong).unwrap_err().contains("is no shard"), "{wrong}");
        }
        let of = |index| Part { index, of: 3 }.shard(Shared::Samples, 5, "").members;
        assert_eq!([of(1), of(2), of(3)], [vec![0, 3], vec![1, 4], vec![2]]);
    }
}
