//! The user's own model for programs that may do with it what they like: a copy.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use prost::Message;

use super::own::{Desk, Stamp};
use super::{Model, materialise};
use crate::onnx::ModelProto;

/// The user's model, to the byte, in a folder of our own: for programs that may do with it what they like. It is copied
/// once, with its weights, and again when a program has changed it.
pub struct Guest<'a> {
    model: &'a Model,
    made: Option<Lent>,
}

/// The copies, as long as their folder is there.
struct Lent {
    _desk: Desk,
    model: PathBuf,
    files: Vec<(PathBuf, Stamp)>,
}

impl<'a> Guest<'a> {
    /// Nothing is copied before a path is asked for.
    pub fn new(model: &'a Model) -> Guest<'a> {
        Guest { model, made: None }
    }

    /// Where it is now, as it was given.
    pub fn path(&mut self) -> anyhow::Result<PathBuf> {
        let untouched = |(path, stamp): &(PathBuf, Stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp);
        if let Some(lent) = self.made.as_ref().filter(|lent| lent.files.iter().all(untouched)) {
            return Ok(lent.model.clone());
        }
        let desk = Desk::new()?;
        let failed = || format!("cannot copy {} to {}", self.model.path.display(), desk.path().display());
        let (path, files) = copied(self.model, &desk.path()).with_context(failed)?;
        let files = files.into_iter().map(|file| Ok((file.clone(), Stamp::of(&file)?))).collect::<io::Result<_>>();
        let files = files.with_context(failed)?;
        self.made = Some(Lent { _desk: desk, model: path.clone(), files });
        Ok(path)
    }
}

/// Copies a model and the files of its weights into `dir`, as they lie beside each other; the model's path, and all files.
fn copied(model: &Model, dir: &Path) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    let path = dir.join("model.onnx");
    let Some(weights) = beside(model)? else {
        return Ok((materialise::write_model(&model.lean(&model.proto), dir)?, vec![path]));
    };
    fs::copy(&model.path, &path)?;
    let mut files = vec![path.clone()];
    for (location, from) in weights {
        let to = dir.join(location);
        fs::create_dir_all(to.parent().unwrap_or(dir))?;
        fs::copy(from, &to)?;
        files.push(to);
    }
    Ok((path, files))
}

/// The files of a model's weights by location, as the file itself has it; `None` where they cannot lie so in another folder.
fn beside(model: &Model) -> anyhow::Result<Option<HashMap<String, PathBuf>>> {
    let real = model.path.canonicalize()?;
    let homes: Vec<&Path> = [model.path.parent(), real.parent()].into_iter().flatten().collect();
    let proto = ModelProto::decode(model.file.clone())?;
    let mut found: HashMap<String, PathBuf> = HashMap::new();
    let mut movable = true;
    if let Some(graph) = &proto.graph {
        graph.each_initializer(&mut |t| {
            let location = t.external("location").unwrap_or_default();
            if !t.is_external() || found.contains_key(location) {
                return;
            }
            let plain = Path::new(location).components().all(|c| matches!(c, Component::Normal(_)));
            let file = homes.iter().map(|home| home.join(location)).find(|file| file.is_file());
            match file.filter(|_| plain && location != "model.onnx") {
                Some(file) => drop(found.insert(location.to_string(), file)),
                None => movable = false,
            }
        });
    }
    Ok(movable.then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::own::same_file;
    use crate::onnx::{EXTERNAL, GraphProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto};

    /// A model whose weight is in `weights/w.bin`.
    fn model(folder: &Path) -> Model {
        let weight = TensorProto {
            name: Some("w".to_string()),
            dims: vec![512],
            data_type: Some(1),
            external_data: vec![StringStringEntryProto::new("location", "weights/w.bin")],
            data_location: Some(EXTERNAL),
            ..Default::default()
        };
        let graph = GraphProto {
            node: vec![NodeProto::new("Neg", "n", &["w"], &["y"])],
            initializer: vec![weight],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        };
        fs::create_dir_all(folder.join("weights")).unwrap();
        fs::write(folder.join("weights/w.bin"), [7; 2048]).unwrap();
        let path = folder.join("m $(x).onnx");
        fs::write(&path, ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }.encode_to_vec())
            .unwrap();
        Model::load(&path).unwrap()
    }

    #[test]
    fn a_guest_is_a_copy_and_comes_again() {
        let home = tempfile::tempdir().unwrap();
        let model = model(home.path());
        let mut guest = Guest::new(&model);
        let path = guest.path().unwrap();
        assert_eq!((fs::read(&path).unwrap(), guest.path().unwrap()), (model.file.to_vec(), path.clone()));
        let weights = path.with_file_name("weights").join("w.bin");
        assert!(!same_file(&path, &model.path) && !same_file(&weights, &home.path().join("weights/w.bin")));
        assert_eq!(fs::read(&weights).unwrap(), [7; 2048]);
        fs::remove_file(&path).unwrap();
        let second = guest.path().unwrap();
        assert!(second.is_file());
        fs::write(second.with_file_name("weights").join("w.bin"), [0; 1]).unwrap();
        let third = guest.path().unwrap();
        assert!(Model::load(&third).is_ok() && Model::load(&model.path).is_ok());
    }
}
