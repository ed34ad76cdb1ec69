//! Empty: the package only names a crate to fetch.
