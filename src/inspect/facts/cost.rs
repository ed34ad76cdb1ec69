//! What running a model costs, by node: operations and bytes.

use serde::Serialize;

use crate::found::Real;

/// What one node costs. `None` where a shape is not known, or no formula.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Floating-point operations, a multiplication with its addition as two.
    pub flops: Option<u64>,
    /// Of the whole model's, where both are known.
    pub share: Option<Real>,
    /// Bytes of everything that it reads and makes, were nothing fused or cached.
    pub bytes: Option<u64>,
}

/// What the whole costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Total {
    /// Of nodes whose operations are known.
    pub flops: u64,
    /// Of nodes whose bytes are known.
    pub bytes: u64,
    /// Nodes whose operations are not known.
    pub unknown: usize,
    /// The shapes of inputs that this is for; empty where they are not known.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// By operator, the most expensive first.
    pub operators: Vec<OperatorCost>,
    /// Nodes that `--filter` leaves, and what those cost; `None` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered: Option<OperatorCost>,
}

/// What nodes of one operator cost together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperatorCost {
    /// The operator, or the filter.
    pub name: String,
    /// How many there are.
    pub nodes: usize,
    /// Of those whose operations are known.
    pub flops: u64,
    /// Of the whole.
    pub share: Real,
    /// Of those whose bytes are known.
    pub bytes: u64,
}
