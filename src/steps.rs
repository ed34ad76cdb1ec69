//! What commands are put together from, in the order of the journey; each step says what it takes for granted.
//!
//! Nothing here knows which command it serves.

// Before the first run.
pub mod choose;
pub mod engine;
pub mod opening;
pub mod prepare;
pub mod progress;
pub mod sides;

// To the culprits.
pub mod explain;
pub mod narrow;
pub mod rank;
pub mod route;
pub mod scan;
pub mod trust;

// To the reproducer.
pub mod attempts;
pub mod checked;
pub mod deliver;
pub mod judge;
pub mod reproduce;
pub mod story;

// To the cure.
pub mod cure;
pub mod price;
pub mod trials;
pub mod unquantise;

// To the user.
pub mod verdict;
