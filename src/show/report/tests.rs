//! What a report says, in every medium: goldens for the whole, assertions for what must never be lost.

mod html;
mod markdown;
mod text;
