//! What is the user's stays as it is: programs that are given a file get a copy, in folders that a shell cannot misread, and
//! nothing is written over what is read. Runs nothing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use prost::Message;
use tempfile::TempDir;

use super::{Model, materialise};
use crate::onnx::ModelProto;
use crate::scratch;

/// Do both paths lead to one file, by whatever links?
pub fn same_file(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (identity(a), identity(b)) else { return false };
    a == b
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// A temporary folder whose path is one plain word, in whatever quotes a command of the user's puts it: where TMPDIR is no
/// such word, a link that is one leads there.
pub struct Desk {
    dir: TempDir,
    link: Option<TempDir>,
}

impl Desk {
    pub fn new() -> anyhow::Result<Desk> {
        let dir = scratch::folder().context("cannot make a temporary folder")?;
        let link = if is_plain(dir.path()) { None } else { linked(dir.path()) };
        Ok(Desk { dir, link })
    }

    pub fn path(&self) -> PathBuf {
        self.link.as_ref().map_or_else(|| self.dir.path().to_path_buf(), |link| link.path().join(LINK))
    }
}

const LINK: &str = "files";

fn is_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    path.to_str().is_some_and(|text| text.chars().all(plain))
}

/// `None` where there is no better place: then the path is quoted as well as can be.
#[cfg(unix)]
fn linked(dir: &Path) -> Option<TempDir> {
    let link = scratch::folder_in(Path::new("/tmp")).ok()?;
    std::os::unix::fs::symlink(dir, link.path().join(LINK)).ok()?;
    Some(link)
}

#[cfg(not(unix))]
fn linked(_: &Path) -> Option<TempDir> {
    None
}

/// How a file was when it was made: whoever writes to it changes one of these.
#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Stamp> {
        let meta = fs::metadata(path)?;
        Ok(Stamp { bytes: meta.len(), modified: meta.modified()? })
    }
}

/// One copy of each large file for all the programs of a run, made when it is first asked for (on file systems that share
/// blocks, for nothing), and again once a program has changed it.
#[derive(Debug, Default)]
pub struct Copies(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    dir: Option<TempDir>,
    count: usize,
    files: HashMap<PathBuf, (PathBuf, Stamp)>,
}

impl Copies {
    /// The path of a copy of `file`.
    pub fn of(&self, file: &Path) -> io::Result<PathBuf> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, stamp)) = made.files.get(file)
            && Stamp::of(path).is_ok_and(|now| now == *stamp)
        {
            return Ok(path.clone());
        }
        if made.dir.is_none() {
            made.dir = Some(scratch::folder()?);
        }
        made.count += 1;
        let name = made.count.to_string();
        // Under a new name: programs may still read the older one.
        let path = made.dir.as_ref().map(|dir| dir.path().join(name)).unwrap_or_default();
        fs::copy(file, &path)?;
        let stamp = Stamp::of(&path)?;
        if let Some((older, _)) = made.files.insert(file.to_path_buf(), (path.clone(), stamp)) {
            drop(fs::remove_file(older));
        }
        Ok(path)
    }
}

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

    #[test]
    fn a_copy_is_made_once_and_again_when_it_was_changed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("weights");
        fs::write(&file, "weights").unwrap();
        let copies = Copies::default();
        let first = copies.of(&file).unwrap();
        assert_eq!(copies.of(&file).unwrap(), first);
        fs::write(&first, "other").unwrap();
        let second = copies.of(&file).unwrap();
        assert_ne!(first, second);
        assert_eq!((fs::read(&second).unwrap(), fs::read(&file).unwrap()), (b"weights".to_vec(), b"weights".to_vec()));
        assert!(!first.exists());
        drop(copies);
        assert!(!second.exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_one_file() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("b"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        std::os::unix::fs::symlink("a", at("soft")).unwrap();
        assert!(same_file(&at("a"), &at("hard")) && same_file(&at("soft"), &at("hard")));
        assert!(!same_file(&at("a"), &at("b")) && !same_file(&at("a"), &at("absent")));
        assert!(!same_file(&at("absent"), &at("absent")));
    }

    #[cfg(unix)]
    #[test]
    fn a_desk_in_an_odd_place_has_a_plain_path() {
        let odd = tempfile::Builder::new().prefix("a b$(x)'").tempdir().unwrap();
        let (plain, link) = (linked(odd.path()).unwrap(), odd.path().join("file"));
        fs::write(&link, "x").unwrap();
        assert!(!is_plain(odd.path()) && is_plain(&plain.path().join(LINK)));
        assert_eq!(fs::read(plain.path().join(LINK).join("file")).unwrap(), b"x");
        assert!(is_plain(&Desk::new().unwrap().path()));
    }
}
