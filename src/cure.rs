//! The smallest set of nodes to keep in FP32, or to leave unquantised, so that the outputs agree. Driven by closures: no
//! backend is known here. [`drive`] is where models run.
//!
//! The journey, the same for both kinds of cure:
//!
//! ```text
//! rank -> grow -> shrink -> sensitivity -> price -> export
//! ```
//!
//! - **rank**: the caller knows how much each node matters (its local error, its effect on the outputs); [`groups()`] knows
//!   which nodes are one thing to an engineer. [`Units`] holds both.
//! - **grow**: [`search()`] keeps more and more of the highest ranked units, until the outputs agree.
//! - **shrink**: it gives back what is not needed: whole groups, then the same part of all groups, then single nodes.
//! - **sensitivity** and **price** belong to the caller, who gets a [`Smallest`].
//! - **[`export`]**: one file for each program that can be told, in a folder with a page about them.
//!
//! Errors do not add up node by node: an Add that leaves the range of FP16 is not cured alone, because its value is
//! rounded again where a low-precision node reads it. So nodes of infinite rank grow together with their readers, and
//! what [`search()`] believes is only ever what was tried: a set is verified when a trial of exactly this set was good.

pub mod drive;
pub mod export;
mod groups;
mod limit;
pub mod margin;
mod search;
mod trial;
mod units;

pub use groups::{Group, Kind, groups};
pub use limit::{Limited, is_too_many, most};
pub use search::{Smallest, search};
pub use trial::Trial;
pub use units::Units;
