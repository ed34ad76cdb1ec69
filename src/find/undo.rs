//! Two files that do not agree: their differences are undone in the candidate's, alone and together, until the outputs agree. The smallest
//! set that does it is the cause, and the file without it is written and run again from the disk.

mod told;
mod trials;

use std::path::Path;

use crate::cure::export::model;
use crate::differ::{self, Difference, File, Two};
use crate::found::words::file_name;
use crate::found::{Culprit, Differences, Patched};
use crate::graph::inline::inline;
use crate::lab::{Lab, Probe, Side};
use crate::load::Model;
use crate::mark;
use crate::onnx::ModelProto;
use crate::progress::Progress;
use crate::run::RunError;
use trials::{Goal, Trials};

/// The folder of the file that agrees, in that of the report.
pub const FOLDER: &str = "cure";
/// The file.
pub const FILE: &str = "patched.onnx";

/// Bytes of weights up to which the files are compared as a whole where that is not needed to find the cause.
const SMALL: u64 = 1 << 29;

/// Which differences of the two files make the outputs differ. `None` where the candidate has no file of its own to be edited.
pub fn undo(
    probe: &mut Probe,
    culprits: &[Culprit],
    dir: &Path,
    progress: &Progress,
) -> Result<Option<Differences>, RunError> {
    let lab = probe.lab;
    let own = dir.join(FOLDER).join(FILE);
    let _ = std::fs::remove_file(&own);
    if !lab.relation.is_own_model()
        || !lab.candidate.runs()
        || lab.candidate.spec.model.is_none()
        || culprits.is_empty()
    {
        return Ok(None);
    }
    progress.step("undoing differences");
    let forms = [form(&lab.reference), form(&lab.candidate)];
    let names = names(&lab.reference.model.path, &lab.candidate.model.path);
    let [mine, theirs] = [(&lab.reference, 0), (&lab.candidate, 1)].map(|(side, at)| File {
        model: &side.model,
        proto: &forms[at],
        name: &names[at],
    });
    let two = Two::new(mine, theirs, &renamed(lab));
    let near: Vec<Vec<Difference>> = culprits.iter().map(|c| differ::at(&two, &places(lab, c))).collect();
    let marks: Vec<usize> = culprits.iter().filter_map(|c| lab.reference.graph.tensor(&c.tensor)).collect();
    let mut trials = Trials::of(probe, &two, near, marks);
    let mut cause = trials.smallest(&trials.near(), Goal::Outputs)?;
    let weights = lab.reference.model.initializer_bytes + lab.candidate.model.initializer_bytes;
    if cause.is_none() || weights < SMALL {
        trials.widen(differ::all(&two));
    }
    if cause.is_none() {
        cause = trials.smallest(&trials.everything(), Goal::Outputs)?;
    }
    let mut of_one = vec![None; culprits.len()];
    if cause.is_none() {
        for (number, found) in of_one.iter_mut().enumerate() {
            *found = trials.smallest(&trials.near_to(number), Goal::Tensor(number))?;
        }
    }
    let patched = match &cause {
        Some(cause) => trials.model(cause).map(|model| write(trials.probe, &model, dir)).transpose()?.flatten(),
        None => None,
    };
    Ok(Some(told::told(&trials, culprits, cause.as_deref(), &of_one, patched)))
}

/// The model of a side, with the bodies of its functions where they are called.
fn form(side: &Side) -> ModelProto {
    let file = side.deployed.as_ref().unwrap_or(&side.model.proto);
    inline(file).map_or_else(|| file.clone(), |inlined| inlined.model)
}

/// What sentences call the two files: as much of their paths as tells them apart.
fn names(mine: &Path, theirs: &Path) -> [String; 2] {
    let last = |path: &Path| file_name(&path.to_string_lossy()).to_string();
    let longer = |path: &Path| {
        let folder = path.parent().map(|p| p.to_path_buf()).unwrap_or_default();
        match folder.as_os_str().is_empty() {
            true => last(path),
            false => format!("{}/{}", last(&folder), last(path)),
        }
    };
    match last(mine) == last(theirs) {
        true => [longer(mine), longer(theirs)],
        false => [last(mine), last(theirs)],
    }
}

/// Tensors of the main graphs that stand for each other under different names.
fn renamed(lab: &Lab) -> Vec<(String, String)> {
    let (mine, theirs) = (&lab.reference.graph, &lab.candidate.graph);
    let pair = |t: usize| {
        let (key, own) = (lab.key(t), lab.counterpart(t)?);
        let same = theirs.tensor(key)?;
        let quantised = mark::behind_quantizer(theirs, same) == Some(own);
        let main = mine.producer(t).scope.is_empty() && theirs.producer(own).scope.is_empty();
        (main && same != own && !quantised).then(|| (key.to_string(), theirs.tensors[own].key.clone()))
    };
    (0..lab.tensors()).filter_map(pair).collect()
}

/// Tensors of the main graph at which a culprit's differences show: what its node makes, or the nodes of its region.
fn places(lab: &Lab, culprit: &Culprit) -> Vec<String> {
    let graph = &lab.reference.graph;
    let of_region = |n: &&crate::graph::Node| culprit.region.contains(&n.name);
    let own = graph.tensor(&culprit.tensor).map(|t| graph.producer(t));
    let nodes = graph.nodes.iter().filter(of_region).chain(own);
    let holder = |index: usize| graph.nodes.iter().find(|n| n.scope.is_empty() && n.index == index);
    let main = nodes.filter_map(|n| n.scope.first().map_or(Some(n), |step| holder(step.node)));
    let mut names: Vec<String> =
        main.flat_map(|n| n.writes.iter().chain(&n.results).map(|t| graph.tensors[*t].name.clone())).collect();
    // The culprit's own tensor first: what it says is the nearest.
    names.sort_by_key(|name| *name != culprit.tensor);
    names.dedup();
    names
}

/// Writes the file, reads it again and runs it. What cannot be written is no cure.
fn write(probe: &mut Probe, model: &ModelProto, dir: &Path) -> Result<Option<Patched>, RunError> {
    let folder = dir.join(FOLDER);
    let lean = probe.lab.candidate.model.written(model);
    let written = std::fs::create_dir_all(&folder).map_err(anyhow::Error::from);
    let Ok(file) =
        written.and_then(|()| model::write(&lean, &folder, FILE)).and_then(|()| Model::load(&folder.join(FILE)))
    else {
        return Ok(None);
    };
    let verified = probe.agrees_from_disk(&file)?;
    Ok(Some(Patched { path: format!("{FOLDER}/{FILE}"), edits: Vec::new(), verified }))
}
