//! The last step of every reduction: the smallest case that still failed is written, read again by a new process, and
//! must fail there too. If it does not, the step before is written, and so on.

use std::path::Path;

use crate::found::Reduced;
use crate::load::{Lean, folder};
use crate::onnx::ModelProto;
use crate::reduce::bundle::{self, Bundle};
use crate::reduce::story::Story;
use crate::reduce::{self, Case, Smaller, Step};
use crate::run::RunError;
use crate::tensor::Tensors;

/// Reproducers of one run: a model with more faults than this has one cause that is no single node's.
pub const MOST: usize = 8;

/// Where commands and processes are slow, data below this many bytes is small enough: it fits into a ticket.
pub const FITS: u64 = 1 << 20;

/// What is delivered, and how it is proved.
pub struct Delivery<'a> {
    /// The folder of the report.
    pub dir: &'a Path,
    /// The reproducer's own, inside it.
    pub folder: &'a str,
    /// All values of a case, by name; none where nothing could run it.
    pub values: &'a dyn Fn(&Case) -> Result<Tensors, RunError>,
    /// What is right for its outputs; `None` where nobody can tell.
    pub expected: &'a dyn Fn(&Case) -> Result<Option<Tensors>, RunError>,
    /// A model of the reduction, ready to be written.
    pub lean: &'a dyn Fn(&ModelProto) -> Lean,
    /// The words for a case; the strings are notes that its reader must know.
    pub story: &'a dyn Fn(&Case, &[String]) -> Story,
    /// Reads the written model in a new process and runs it there.
    pub proof: &'a dyn Fn(&Path) -> Result<Proof, RunError>,
}

/// What is said where the written model passes.
pub const LOST: &str = "the failure was lost: read again from the files, ";
/// And where it was not told whether it does.
pub const UNPROVED: &str = "it was not proved from its files: ";

/// The written model fails, or what happened instead.
pub type Proof = Result<(), String>;

/// `reduced`, `reduced_2`, ...
pub fn folder_name(number: usize) -> String {
    if number == 0 { "reduced".to_string() } else { format!("reduced_{}", number + 1) }
}

/// A folder of the user's in the reproducer's place is never replaced: better said before the search than after it.
pub fn check(dir: &Path) -> anyhow::Result<()> {
    folder::ensure_free(&dir.join(folder_name(0)), bundle::SCRIPT)
}

/// Removes the reproducers of an earlier run, which the new report does not know.
pub fn clear(dir: &Path) {
    let folders = (0..).map(|number| dir.join(folder_name(number)));
    for folder in folders.take_while(|folder| bundle::is_reproducer(folder)) {
        // One that cannot be removed cannot be replaced either, and that is said then.
        drop(folder::remove(&folder));
    }
}

/// Writes and proves; the numbers of the search are the caller's.
pub fn deliver(smaller: Smaller, delivery: &Delivery) -> Result<Reduced, RunError> {
    let mut lost: Option<String> = None;
    let mut reduced = Reduced::default();
    for Step { mut case, mut notes } in smaller.steps.into_iter().rev() {
        notes.extend(lost.clone());
        case.expected = (delivery.expected)(&case)?;
        let case = reduce::finished(&(delivery.values)(&case)?, case);
        let written = bundle::write(
            &delivery.dir.join(delivery.folder),
            &Bundle { case: &case, lean: (delivery.lean)(&case.model), story: (delivery.story)(&case, &notes) },
        );
        let written = written.map_err(|e| RunError::UnwrittenReproducer { reason: format!("{e:#}") })?;
        let names = reduce::names(&case.model);
        reduced = Reduced {
            path: written.model.display().to_string(),
            nodes: names.len(),
            names,
            bytes: written.bytes,
            ..Reduced::default()
        };
        match (delivery.proof)(&written.model)? {
            Ok(()) => {
                reduced.reproduces = true;
                reduced.why = (!notes.is_empty()).then(|| notes.join("; "));
                return Ok(reduced);
            }
            Err(why) => {
                reduced.why = Some(why);
                lost = Some("a smaller form of it did not fail again from its files".to_string());
            }
        }
    }
    Ok(reduced)
}
