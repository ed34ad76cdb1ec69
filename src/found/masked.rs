//! Nodes that are wrong and to blame for nothing: their error is lost before it reaches an output that diverges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metrics, NodeRef};

/// A node whose output diverges while its inputs agree, as a culprit's does, but every way from there to a diverging output
/// leads through a tensor that agrees.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Masked {
    /// The node; it is not accused, cut out or cured.
    pub node: NodeRef,
    /// The output of the node that diverges.
    pub tensor: String,
    /// The error of `tensor` when the whole model runs in the candidate.
    pub accumulated: Metrics,
    /// The nearest agreeing tensors below it, by name: where the error is lost.
    pub masked_by: Vec<String>,
}
