//! Scales and zero points of a candidate's file laid over the float values that they are for: which of them cannot be right,
//! and what would be right in their place. A suspicion is no cause yet: whoever can run models undoes it, alone, and looks.
//! Values in, values out.

mod activation;
mod bias;
mod channels;
mod fitted;
mod parts;
mod sentinel;
mod stored;
#[cfg(test)]
mod tests;

use crate::judge::parts::Cut;
use crate::qdq::{Losses, Pair, Parameters, loss};
use crate::tensor::Tensor;

/// One quantised tensor at a culprit.
pub struct Laid<'a> {
    /// As the candidate's file has it.
    pub pair: &'a Pair,
    /// The float values in the reference.
    pub value: &'a Tensor,
    /// `'fc2.w' (operand 1 of 'fc2')`
    pub place: String,
    /// Of an int32 bias whose scale is something else: input scale x weight scale.
    pub product: Option<Tensor>,
    /// The quantiser gives what makes it a range of its own, 0 to 1, whatever the data.
    pub fixed: bool,
    /// Of what it was put together, where it was.
    pub cuts: &'a [Cut],
}

/// What may be wrong with the parameters of one tensor.
pub struct Suspicion {
    /// Of the diagnosis.
    pub code: &'static str,
    /// What the numbers say.
    pub evidence: String,
    /// What to do.
    pub advice: String,
    /// What to put in its place to see whether it is the cause.
    pub undo: Undo,
}

/// How a suspicion is undone, alone.
#[derive(Clone, Debug)]
pub enum Undo {
    /// These parameters in place of the file's.
    Parameters(Box<Parameters>),
    /// No pair at all: the float values.
    Unquantised,
}

impl Undo {
    /// As it goes on after "with": `a scale of 0.02`.
    pub fn told(&self) -> &'static str {
        match self {
            Undo::Parameters(p) if p.stored.is_some() => "scales that fit and its integers made anew",
            Undo::Parameters(p) if p.zero_point.is_some() => "the scale and zero point that fit in their place",
            Undo::Parameters(_) => "the scale that fits in its place",
            Undo::Unquantised => "its pair left out",
        }
    }
}

/// Everything that looks wrong, the most telling first; empty where the parameters fit.
pub fn suspicions(laid: &Laid) -> Vec<Suspicion> {
    let Some(losses) = loss(laid.pair, laid.value) else { return Vec::new() };
    let seen = Seen { laid, losses };
    let found = match &laid.pair.stored {
        _ if laid.product.is_some() => vec![bias::scale(&seen)],
        Some(codes) => vec![stored::parameters(&seen, codes), channels::one_scale(&seen, codes)],
        None => vec![parts::one_scale(&seen), sentinel::range(&seen), activation::parameters(&seen)],
    };
    found.into_iter().flatten().collect()
}

/// Does one value of another order of magnitude set the scale of an activation, so that all others share a few codes?
pub fn has_sentinel(pair: &Pair, value: &Tensor) -> bool {
    pair.stored.is_none() && sentinel::alive(pair, value).is_some()
}

/// A tensor with what its pair does to it.
struct Seen<'a> {
    laid: &'a Laid<'a>,
    losses: Losses,
}

impl Seen<'_> {
    /// `again ...: quantise 'x' again`, for a scale that does not fit.
    fn again(&self) -> String {
        format!("calibrate '{}' again with data that covers its range", self.laid.pair.tensor)
    }
}
