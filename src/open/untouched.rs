//! Nothing is written over what is read: neither a file that a flag names, nor a folder of an earlier run that this one
//! replaces.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cli::SetArgs;
use crate::lab::Side;
use crate::load::own::same_file;
use crate::load::samples;
use crate::spec::Place;

/// Folders inside that of the report, which a run replaces.
const REPLACED: [&str; 2] = ["reduced", "overrides"];

/// The files that flags name are not among those that are read.
pub fn files(args: &SetArgs, sides: &[&Side]) -> anyhow::Result<()> {
    let written = [("--save-tensors", &args.save_tensors), ("--timing-cache", &args.engine.timing_cache)];
    for (flag, path) in written.into_iter().filter_map(|(flag, path)| Some((flag, path.as_ref()?))) {
        if let Some(read) = read(args, sides).into_iter().find(|read| same_file(read, path)) {
            bail!(
                "{flag} {} would be written over {}, which is read; name another file",
                path.display(),
                read.display()
            );
        }
    }
    Ok(())
}

/// What is read does not lie in a folder that the run replaces: the reproducers and overrides of an earlier one.
pub fn folders(args: &SetArgs, sides: &[&Side], dir: &Path) -> anyhow::Result<()> {
    let Ok(home) = dir.canonicalize() else { return Ok(()) };
    for read in read(args, sides) {
        let Ok(real) = read.canonicalize() else { continue };
        let Some(first) = real.strip_prefix(&home).ok().and_then(|inside| inside.iter().next()) else { continue };
        let first = first.to_string_lossy();
        if REPLACED.iter().any(|name| first == *name || first.starts_with(&format!("{name}_"))) {
            bail!(
                "{} lies in {}, which this run would replace; choose another folder for the report with -o",
                read.display(),
                dir.join(&*first).display()
            );
        }
    }
    Ok(())
}

fn read(args: &SetArgs, sides: &[&Side]) -> Vec<PathBuf> {
    let stored = |side: &Side| match &side.spec.place {
        Place::Saved(path) => Some(samples::of_runner(path).0),
        _ => side.spec.model.clone(),
    };
    let models = sides.iter().flat_map(|side| side.model.files().chain(stored(side)).collect::<Vec<_>>());
    models.chain(args.inputs.iter().chain(&args.labels).cloned()).chain(args.fit.file().map(Into::into)).collect()
}
