//! The drive of the two cures, precision and unquantising: what a trial is, and what it costs. The core around it runs nothing.

pub mod precision;
pub mod price;
pub mod trials;
pub mod unquantise;
