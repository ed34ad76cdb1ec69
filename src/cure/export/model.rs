//! A model under a name of its own, its weights beside it where it is large.

use std::fs;
use std::path::Path;

use anyhow::Context;
use prost::Message;

use crate::load::{Lean, map, materialise};
use crate::onnx::ModelProto;

/// Writes `at/name`; a large model keeps its weights in `at/name.data`.
pub fn write(lean: &Lean, at: &Path, name: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write {name}");
    let part = tempfile::tempdir_in(at).with_context(failed)?;
    let path = materialise::write_model(lean, part.path())?;
    let data = path.with_extension("onnx.data");
    if !data.exists() {
        return fs::rename(path, at.join(name)).with_context(failed);
    }
    let place = format!("{name}.data");
    let mut model = ModelProto::decode(map(&path)?).with_context(failed)?;
    if let Some(graph) = model.graph.as_mut() {
        graph.each_initializer_mut(&mut |t| {
            for entry in t.external_data.iter_mut().filter(|e| e.key() == "location") {
                entry.value = Some(place.clone());
            }
        });
    }
    fs::write(at.join(name), model.encode_to_vec()).with_context(failed)?;
    fs::rename(data, at.join(&place)).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Model;
    use crate::onnx::{EXTERNAL, StringStringEntryProto};
    use crate::onnx::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
    use crate::tensor::DType;

    fn model(weight: TensorProto) -> ModelProto {
        let graph = GraphProto {
            node: vec![NodeProto::new("Neg", "n", &["w"], &["y"])],
            initializer: vec![weight],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        };
        ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
    }

    fn written(model: &ModelProto, folder: &Path) -> Vec<String> {
        let to = tempfile::tempdir_in(folder).unwrap();
        let lean = Lean { bytes: model.encode_to_vec(), folder: folder.to_path_buf() };
        write(&lean, to.path(), "a.onnx").unwrap();
        let loaded = Model::load(&to.path().join("a.onnx")).unwrap();
        let weight = &loaded.proto.graph.as_ref().unwrap().initializer[0];
        assert_eq!(loaded.payload(weight).map(|b| b.len()), weight.payload_len());
        let mut names: Vec<String> =
            fs::read_dir(to.path()).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_small_one_is_one_file() {
        let raw_data = Some(vec![0u8; 8].into());
        let weight =
            TensorProto { name: Some("w".into()), dims: vec![2], data_type: Some(1), raw_data, ..Default::default() };
        assert_eq!(written(&model(weight), tempfile::tempdir().unwrap().path()), ["a.onnx"]);
    }

    #[test]
    fn a_large_one_finds_its_weights_under_their_new_name() {
        let home = tempfile::tempdir().unwrap();
        // Holes: the file takes no room on the disk.
        let floats = 400_000_000;
        fs::File::create(home.path().join("w.bin")).unwrap().set_len(floats * 4).unwrap();
        let weight = TensorProto {
            name: Some("w".into()),
            dims: vec![floats as i64],
            data_type: Some(DType::Float32.onnx()),
            data_location: Some(EXTERNAL),
            external_data: vec![StringStringEntryProto::new("location", "w.bin")],
            ..Default::default()
        };
        assert_eq!(written(&model(weight), home.path()), ["a.onnx", "a.onnx.data"]);
    }
}
