//! The folder for a bug ticket: the model, its data in the formats of all who read it, a script that shows the failure and
//! a page that tells of it. It appears complete or not at all. Runs nothing and judges nothing.

mod readme;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::Case;
use super::repro::{self, Input};
use super::story::{How, JSON_INPUTS, JSON_OUTPUTS, NPZ_INPUTS, RAW, Story, TEST_SET};
use crate::load::{Lean, folder, materialise, npz, polygraphy, testset};
use crate::onnx::{DimValue, Dimension, GraphProto, ValueInfoProto};
use crate::tensor::{Tensor, Tensors};

/// What goes into the folder. Where the case expects nothing, no reference could run.
pub struct Bundle<'a> {
    /// The model, its feeds, and what is right for its outputs.
    pub case: &'a Case,
    /// The case's model, ready to be written.
    pub lean: Lean,
    /// The words of the page and the script.
    pub story: Story,
}

/// What was written.
#[derive(Debug, PartialEq)]
pub struct Written {
    /// The model's file, in the folder.
    pub model: PathBuf,
    /// All files together.
    pub bytes: u64,
}

/// The script, by which a reproducer's folder is known.
pub const SCRIPT: &str = "repro.sh";
const MODEL: &str = "model.onnx";

/// Writes the folder `dir`, as a whole: it is built under another name beside, and an older reproducer gives way to it.
pub fn write(dir: &Path, bundle: &Bundle) -> anyhow::Result<Written> {
    let stored = matches!(&bundle.story.how, How::Compare { own_model: true, .. });
    ensure!(
        !stored || bundle.case.expected.is_some(),
        "the reproducer needs outputs of the reference, and no reference could run"
    );
    let mut bytes = 0;
    folder::replaced(dir, SCRIPT, |at| {
        fill(at, bundle)?;
        bytes = size(at)?;
        Ok(())
    })?;
    Ok(Written { model: dir.join(MODEL), bytes })
}

/// All files, the page last: it tells how large the others are.
fn fill(at: &Path, bundle: &Bundle) -> anyhow::Result<()> {
    let Bundle { case, lean, story } = bundle;
    let graph = case.model.graph.as_ref();
    let declared = |values: fn(&GraphProto) -> &Vec<ValueInfoProto>| graph.map(values).into_iter().flatten();
    let inputs = in_order(&case.feeds, declared(|g| &g.input));
    let outputs = case.expected.as_ref().map(|outputs| in_order(outputs, declared(|g| &g.output)));
    materialise::write_model(lean, at)?;
    let nothing = Tensors::new();
    let right = outputs.as_ref().unwrap_or(&nothing);
    // Where no reference could run, there may be nothing to store.
    if !(inputs.is_empty() && right.is_empty()) {
        testset::write(&at.join(TEST_SET), &inputs, right)?;
    }
    let script = match &story.how {
        How::Compare { .. } => {
            let described = describe(&inputs, declared(|g| &g.input));
            write_raw(at, &described)?;
            polygraphy::write_inputs(&at.join(JSON_INPUTS), std::slice::from_ref(&inputs))?;
            if let (Some(outputs), true) = (&outputs, repro::needs_stored_outputs(&story.how)?) {
                polygraphy::write_outputs(&at.join(JSON_OUTPUTS), "reference", std::slice::from_ref(outputs))?;
            }
            repro::script(story, &described, outputs.as_ref())?
        }
        How::Check { command, .. } => {
            if command.contains("{inputs}") {
                npz::write(&at.join(NPZ_INPUTS), &inputs)?;
            }
            repro::script(story, &[], outputs.as_ref())?
        }
    };
    write_script(&at.join(SCRIPT), &script)?;
    let page = readme::page(story, &readme::listed(at)?);
    fs::write(at.join("README.md"), page).context("cannot write README.md")
}

/// `tensors` in the order that the model declares them; what it does not declare is not wanted.
fn in_order<'a>(tensors: &Tensors, declared: impl Iterator<Item = &'a ValueInfoProto>) -> Tensors {
    declared
        .filter_map(|v| tensors.get_key_value(v.name()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Each input with the file of its bytes, and whether the model leaves its shape open.
fn describe<'a>(inputs: &'a Tensors, declared: impl Iterator<Item = &'a ValueInfoProto>) -> Vec<Input<'a>> {
    let open: HashSet<&str> = declared.filter(|v| open_shape(v)).map(|v| v.name()).collect();
    let mut taken = HashSet::new();
    let one = |(name, value): (&'a String, &'a Tensor)| Input {
        file: format!("{RAW}/{}.bin", file_name(name, &mut taken)),
        open: open.contains(name.as_str()),
        name,
        value,
    };
    inputs.iter().map(one).collect()
}

/// Does a dimension have no number?
fn open_shape(value: &ValueInfoProto) -> bool {
    let fixed = |d: &Dimension| matches!(d.value, Some(DimValue::DimValue(_)));
    let shape = value.as_tensor().and_then(|t| t.shape.as_ref());
    !shape.is_some_and(|shape| shape.dim.iter().all(fixed))
}

/// A name that every file system and trtexec's list of inputs can take, unlike all that are `taken`.
fn file_name(tensor: &str, taken: &mut HashSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    let short: String = tensor.chars().take(80).map(plain).collect();
    let short = match short.trim_start_matches('.') {
        "" => "input",
        name => name,
    };
    let numbered = (2..).map(|n| format!("{short}_{n}"));
    let free = std::iter::once(short.to_string()).chain(numbered).find(|name| taken.insert(name.to_lowercase()));
    free.unwrap_or_default()
}

fn write_raw(at: &Path, inputs: &[Input]) -> anyhow::Result<()> {
    fs::create_dir(at.join(RAW)).context("cannot make the folder of raw inputs")?;
    for input in inputs {
        fs::write(at.join(&input.file), input.value.bytes()).with_context(|| format!("cannot write {}", input.file))?;
    }
    Ok(())
}

fn write_script(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(())
    };
    written().context("cannot write repro.sh")
}

/// Bytes of all files in `dir` and below.
fn size(dir: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() { size(&entry.path())? } else { meta.len() };
    }
    Ok(total)
}

/// Was the folder written here?
pub fn is_reproducer(dir: &Path) -> bool {
    dir.join(SCRIPT).is_file()
}

#[cfg(test)]
mod tests;
