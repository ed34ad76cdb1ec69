//! The user's standard error. It need not be this process's: what libraries print is kept away from it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

static USER: OnceLock<File> = OnceLock::new();

/// From now on, the user's standard error is this.
pub fn is(file: File) {
    drop(USER.set(file));
}

/// What it was changed into, if it was.
pub fn file() -> Option<&'static File> {
    USER.get()
}

/// A line for the user. Nobody may be listening.
pub fn say(text: &str) {
    let line = format!("{text}\n");
    let _ = match file() {
        Some(mut user) => user.write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}
