//! What was found, for people. [`report`] says it as a [`page`], once; [`text`] lays a page out on a terminal, [`html`] in a
//! browser, [`markdown`] in a ticket. [`files`] writes them.

mod around;
mod compared;
pub mod files;
pub mod html;
pub mod markdown;
pub mod page;
pub mod report;
#[cfg(test)]
pub(crate) mod sample;
mod sizes;
pub mod stages;
mod steps;
pub mod text;
