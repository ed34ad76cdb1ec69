//! The smallest set of nodes to keep in FP32 so that the outputs agree. Driven by closures: no backend, no file and no
//! element type is known here.
//!
//! The journey:
//!
//! ```text
//! rank -> grow -> shrink -> price -> export
//! ```
//!
//! - **rank**: the caller knows how much each node matters (its local error, its effect on the outputs); [`groups()`] knows
//!   which nodes are one thing to an engineer. [`Units`] holds both.
//! - **grow**: [`search()`] keeps more and more of the highest ranked units, until the outputs agree.
//! - **shrink**: it gives back what is not needed: whole groups, then the same part of all groups, then single nodes.
//! - **price** and **export** belong to the caller, who gets a [`Cure`].
//!
//! Errors do not add up node by node: an Add that leaves the range of FP16 is not cured alone, because its value is
//! rounded again where a low-precision node reads it. So nodes of infinite rank grow together with their readers, and
//! what [`search()`] believes is only ever what was tried: a set is verified when a trial of exactly this set was good.

pub mod drive;
pub mod export;
mod groups;
mod search;
mod units;

pub use groups::{Group, Kind, groups};
pub use search::{Cure, Trial, search};
pub use units::Units;
