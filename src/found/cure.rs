//! What a search for a cure gives back, as a value: the cure itself, what single nodes do, and what a reader should be told
//! besides. How it is found and written is not known here.

use std::fmt;

use super::{Overrides, Sensitivity};

/// What was found out about a cure.
#[derive(Clone, Debug, Default)]
pub struct Cure {
    /// The smallest set; `None` where no search came to its end, or none was to be made.
    pub overrides: Option<Overrides>,
    /// The nodes with the largest errors of their own, the largest first.
    pub sensitivity: Vec<Sensitivity>,
    /// In the order in which they came up.
    pub notes: Vec<CureNote>,
}

/// What the user should know of a cure; the sentence is its `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CureNote {
    /// Nothing was sought: this candidate multiplies in TF32 as a whole.
    WholeTf32 {
        /// Its spec.
        candidate: String,
    },
    /// The builder was told to keep a node in FP32, and did not.
    Ignored {
        /// The node's name.
        node: String,
        /// The type that it ran in, as the builder says it.
        ran: String,
        /// The layer that it became part of.
        layer: String,
    },
    /// The overrides are there; their folder is not, or lacks a file.
    NotAllWritten {
        /// With all its causes.
        why: String,
    },
    /// The nodes to leave unquantised are there, their folder is not.
    NotWritten {
        /// With all its causes.
        why: String,
    },
}

impl fmt::Display for CureNote {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CureNote::WholeTf32 { candidate } => write!(
                f,
                "no overrides were sought: '{candidate}' multiplies in TF32 as a whole; switch TF32 off \
                 (NVIDIA_TF32_OVERRIDE=0, trtexec --noTF32), or seek them with ort:tf32"
            ),
            CureNote::Ignored { node, ran, layer } => {
                write!(f, "'{node}': requested FP32, ran {ran} (layer '{layer}')")
            }
            CureNote::NotAllWritten { why } => {
                write!(f, "the overrides were found, but not all could be written: {why}")
            }
            CureNote::NotWritten { why } => {
                write!(f, "the search is done, but its files could not be written: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let check = |note: CureNote, want: &str| assert_eq!(note.to_string(), want);
        check(
            CureNote::WholeTf32 { candidate: "ort-cuda:tf32".into() },
            "no overrides were sought: 'ort-cuda:tf32' multiplies in TF32 as a whole; switch TF32 off (NVIDIA_TF32_OVERRIDE=0, trtexec --noTF32), or seek them with ort:tf32",
        );
        let (node, ran, layer) = ("b".into(), "FP16".into(), "a + b".into());
        check(CureNote::Ignored { node, ran, layer }, "'b': requested FP32, ran FP16 (layer 'a + b')");
        let why = || "no room".to_string();
        check(
            CureNote::NotAllWritten { why: why() },
            "the overrides were found, but not all could be written: no room",
        );
        check(CureNote::NotWritten { why: why() }, "the search is done, but its files could not be written: no room");
    }
}
