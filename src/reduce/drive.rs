//! The drive of the reduction: whom it asks (both sides, or a command of the user's), what it writes, how that is proved.
//! The core around it knows neither.

pub mod attempts;
pub mod check;
pub mod deliver;
pub mod judge;
pub mod reproduce;
pub mod story;
