//! Where the payloads of a model are: locations as the model writes them, resolved to real files. Refuses what leaves the
//! model's folder. Parses nothing.
//!
//! A model is somebody else's text, and a location in it must not reach files that its user did not mean. What counts is
//! the real file behind all links. It must be in the folder of the model's real file, or in the folder that the user named
//! the model in, or deeper in one of them. So the cache of a model hub works: there the model is a link into `blobs`, which
//! holds the data too, and `blobs` is the folder of the model's real file. A link beside the model that leads anywhere else
//! is followed with `--allow-outside` only.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{anyhow, bail, ensure};
use bytes::Bytes;

use super::map;
use crate::onnx::{EXTERNAL, ModelProto, StringStringEntryProto, TensorProto};

/// Initializers smaller than this stay inline: shape inference reads them, and they cost nothing.
const INLINE_BELOW: usize = 1024;

/// Where links may lead to external data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// To files in the model's folder, or deeper; see the head of this file for what that is.
    #[default]
    Inside,
    /// To any file: the user says so.
    Anywhere,
}

/// The files that hold payloads.
pub struct Places {
    /// The common folder of all files.
    pub folder: PathBuf,
    /// The model file itself, relative to `folder`. A location is text: with a name that is none, payloads stay inline.
    pub own: Option<String>,
    /// Location as written -> (relative to `folder`, real path).
    files: HashMap<String, (String, PathBuf)>,
}

impl Places {
    /// Resolves every location of `proto`'s initializers. `canonical` is the real path of the model file, `given` the
    /// user's. Fails at the first location that leads nowhere or outside, and at names that are no UTF-8.
    pub fn new(canonical: &Path, given: &Path, proto: &ModelProto, links: Links) -> anyhow::Result<Places> {
        let search = Search::new(canonical, given, links);
        let mut real = HashMap::new();
        let mut problem = None;
        if let Some(graph) = &proto.graph {
            graph.each_initializer(&mut |t| {
                if t.is_external() && problem.is_none() {
                    let location = t.external("location").unwrap_or_default();
                    if !real.contains_key(location) {
                        match search.resolve(location) {
                            Ok(path) => drop(real.insert(location.to_string(), path)),
                            Err(why) => problem = Some((location, t.name(), why)),
                        }
                    }
                }
            });
        }
        if let Some((location, tensor, why)) = problem {
            bail!("{} keeps initializer '{tensor}' in the external data file '{location}': {why}", given.display());
        }
        // Caches of model hubs keep the model and its data in different folders behind links: take the folder above all.
        let mut folder = search.home;
        for path in real.values() {
            while !path.starts_with(&folder) {
                folder.pop();
            }
        }
        let relative = |p: &Path| p.strip_prefix(&folder).unwrap_or(p).to_str().map(str::to_string);
        let own = relative(canonical);
        let named = |(location, path): (String, PathBuf)| match relative(&path) {
            Some(relative) => Ok((location, (relative, path))),
            None => Err(anyhow!("{}: the name of this external data file is no UTF-8; rename it", path.display())),
        };
        let files = real.into_iter().map(named).collect::<anyhow::Result<_>>()?;
        Ok(Places { own, files, folder })
    }

    /// Every file of external data mapped, by its location relative to `folder`.
    pub fn map_all(&self) -> anyhow::Result<HashMap<String, Bytes>> {
        self.files.values().map(|(relative, path)| Ok((relative.clone(), map(path)?))).collect()
    }

    /// Makes the payload of `t` external, or, where it is already, checks and renames its location.
    pub fn move_out(&self, t: &mut TensorProto, file: &Bytes, weights: &HashMap<String, Bytes>) -> anyhow::Result<()> {
        if t.is_external() {
            let Some((relative, path)) = self.files.get(t.external("location").unwrap_or_default()) else {
                bail!("initializer '{}' has external data without a location", t.name());
            };
            let size = weights.get(relative).map_or(0, Bytes::len);
            let offset: usize = t.external("offset").unwrap_or("0").parse().unwrap_or(usize::MAX);
            let fits = t.payload_len().and_then(|n| offset.checked_add(n)).is_some_and(|end| end <= size);
            ensure!(
                fits,
                "{} ends at {size} bytes, before the data of initializer '{}'; copy the file again",
                path.display(),
                t.name()
            );
            for entry in t.external_data.iter_mut().filter(|e| e.key() == "location") {
                entry.value = Some(relative.clone());
            }
            return Ok(());
        }
        let Some(own) = &self.own else { return Ok(()) };
        let Some(raw) = t.raw_data.as_ref().filter(|raw| raw.len() >= INLINE_BELOW) else { return Ok(()) };
        let Some(want) = t.payload_len() else { return Ok(()) };
        ensure!(
            want == raw.len(),
            "initializer '{}' has {} bytes where its shape needs {want}; the model is damaged, export it again",
            t.name(),
            raw.len()
        );
        let offset = (raw.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
        if offset.checked_add(want).is_none_or(|end| end > file.len()) {
            return Ok(()); // not a slice of the map: leave it inline
        }
        t.external_data = vec![
            StringStringEntryProto::new("location", own),
            StringStringEntryProto::new("offset", offset.to_string()),
            StringStringEntryProto::new("length", want.to_string()),
        ];
        t.data_location = Some(EXTERNAL);
        t.raw_data = None;
        Ok(())
    }
}

/// Where locations are looked up.
pub struct Search {
    /// The folder that the user names the model in.
    beside: PathBuf,
    /// The folder of the real model file.
    home: PathBuf,
    links: Links,
}

impl Search {
    /// `canonical` is the real file behind `model`.
    pub fn new(canonical: &Path, model: &Path, links: Links) -> Search {
        let beside = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let home = canonical.parent().unwrap_or(Path::new("/")).to_path_buf();
        Search { beside: beside.to_path_buf(), home, links }
    }

    /// The real file of `location`, or why there is none.
    pub fn resolve(&self, location: &str) -> Result<PathBuf, String> {
        let escapes = Path::new(location).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir));
        if escapes || location.is_empty() {
            return Err("not a path beside the model: refused".to_string());
        }
        let found = self.beside.join(location).canonicalize().or_else(|_| self.home.join(location).canonicalize());
        let real = found.map_err(|e| match e.kind() {
            ErrorKind::NotFound => "missing; copy it beside the model".to_string(),
            _ => format!("cannot be found: {e}"),
        })?;
        match self.links == Links::Anywhere || self.inside(&real) {
            true => Ok(real),
            false => Err(format!(
                "a link to {}, outside the model's folder; copy the file there, or say --allow-outside",
                real.display()
            )),
        }
    }

    fn inside(&self, real: &Path) -> bool {
        let named = || self.beside.canonicalize().is_ok_and(|beside| real.starts_with(beside));
        real.starts_with(&self.home) || named()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_stay_beside_the_model() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap().join("m.onnx");
        std::fs::write(home.path().join("w.bin"), "1234").unwrap();
        let search = Search::new(&real, &real, Links::Inside);
        assert_eq!(search.resolve("./w.bin").unwrap(), real.with_file_name("w.bin"));
        for (location, words) in
            [("../w.bin", "refused"), ("/etc/passwd", "refused"), ("", "refused"), ("x", "missing")]
        {
            assert!(search.resolve(location).unwrap_err().contains(words), "{location}");
        }
        let anywhere = Search::new(&real, &real, Links::Anywhere);
        assert!(anywhere.resolve("../w.bin").is_err(), "a location is not a link");
    }
}
