//! What was found, for people: as text on a terminal, as a page of HTML, as Markdown for a ticket.

#![allow(missing_docs)]

pub mod files;
pub mod html;
pub mod markdown;
pub mod text;
