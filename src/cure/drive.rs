//! The drive of the cures, precision and two kinds of unquantising: what a trial is, and what it costs. The core around it runs nothing.
//!
//! ```text
//! precision, unquantise, undynamic (a Remedy each) -> frame (search -> sensitivity -> price -> export) -> found::Cure
//! ```
//!
//! [`frame`] and [`trials`] know closures alone; `bench`, `price` and the three kinds run the candidate. Nothing here writes
//! into a report: a cure is a value.

pub mod bench;
pub mod frame;
pub mod precision;
pub mod price;
pub mod trials;
pub mod undynamic;
pub mod unquantise;
