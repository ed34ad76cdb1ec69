//! What commands are put together from, in the order of the journey. Commands choose steps; no step calls a command.

// Before the first run.
pub mod asked;
pub mod choose;
pub mod engine;
pub mod named;
pub mod opening;
pub mod prepare;
pub mod progress;
pub mod sides;
pub mod untouched;

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
pub mod autopsy;
pub mod crashed;
pub mod verdict;
