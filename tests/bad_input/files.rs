//! What is no file, or no file of this model, is refused before it is opened: a pipe would be waited for until the end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use layerdiff::onnx::{EXTERNAL, GraphProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto};
use layerdiff::tensor::DType;
use prost::Message;

use crate::common::{model_of, program, testdata};
use crate::outcome;

const MODEL: &str = "layernorm_overflow/model.onnx";

/// `layerdiff WORDS...` ends with `exit` and one sentence that mentions `want`.
#[track_caller]
fn refused(words: &[&dyn AsRef<OsStr>], exit: i32, want: &str) {
    let (status, said) = outcome(program().args(words));
    assert!(status == exit && said.contains(want) && said.lines().count() == 1, "status {status}: {said}");
}

fn pipe(at: &Path) {
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}

#[test]
fn only_files_are_opened() {
    let home = tempfile::tempdir().unwrap();
    let (model, out) = (testdata(MODEL), home.path().join("out"));
    let (fifo, link) = (home.path().join("fifo"), home.path().join("link.onnx"));
    pipe(&fifo);
    symlink(&fifo, &link).unwrap();
    for (other, what) in [(fifo.as_path(), "a pipe"), (&link, "a pipe"), (Path::new("/dev/zero"), "a device")] {
        let saved = format!("saved:{}", other.display());
        let named = format!("x={}", other.display());
        let at = format!("ort@{}", other.display());
        refused(&[&"bisect", &other, &"-o", &out], 2, what);
        refused(&[&"inspect", &other], 2, what);
        refused(&[&"convert", &other, &"--to", &"fp16"], 2, what);
        refused(&[&"report", &other], 2, what);
        refused(&[&"bisect", &model, &"-c", &"ort:fp16", &"-i", &other, &"-o", &out], 2, what);
        refused(&[&"bisect", &model, &"-c", &"ort:fp16", &"-i", &named, &"-o", &out], 2, what);
        refused(&[&"bisect", &model, &"-c", &saved, &"-o", &out], 2, what);
        refused(&[&"bisect", &model, &"-c", &at, &"-o", &out], 2, what);
    }
    refused(&[&"inspect", &home.path()], 2, "a folder");
    assert!(!out.exists());
}

#[test]
fn nothing_is_written_over_what_is_no_file() {
    let home = tempfile::tempdir().unwrap();
    let (model, inputs) = (testdata(MODEL), testdata("layernorm_overflow/inputs.npz"));
    let (out, fifo) = (home.path().join("out"), home.path().join("out/journal.jsonl"));
    fs::create_dir(&out).unwrap();
    pipe(&fifo);
    let start: [&dyn AsRef<OsStr>; 8] = [&"bisect", &model, &"-c", &"ort:fp16", &"-i", &inputs, &"-o", &out];
    refused(&start, 2, "journal.jsonl is a pipe");
    refused(&[&start[..], &[&"--resume"]].concat(), 2, "journal.jsonl is a pipe");
    refused(&[&"convert", &model, &"--to", &"fp16", &"-o", &fifo], 2, "a pipe");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

/// Writes `folder/m.onnx`, y = x + w, whose w is in the file `w.bin` beside it.
fn with_external_data(folder: &Path) {
    let entries = [("location", "w.bin"), ("offset", "0"), ("length", "8")];
    let weight = TensorProto {
        name: Some("w".to_string()),
        dims: vec![2],
        data_type: Some(DType::Float32.onnx()),
        data_location: Some(EXTERNAL),
        external_data: entries.map(|(key, value)| StringStringEntryProto::new(key, value)).into(),
        ..Default::default()
    };
    let value = |name: &str| ValueInfoProto::tensor(name, DType::Float32, &[2]);
    let graph = GraphProto {
        name: Some("g".to_string()),
        node: vec![NodeProto::new("Add", "add", &["x", "w"], &["y"])],
        initializer: vec![weight],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    fs::write(folder.join("m.onnx"), model_of(graph).encode_to_vec()).unwrap();
}

#[test]
fn external_data_stays_in_the_folder_of_the_model() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    ["blobs", "snapshot", "leaving", "waiting"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
    with_external_data(&at("blobs"));
    fs::write(at("blobs/w.bin"), [0; 8]).unwrap();
    // As the cache of a hub has it: both are links into one folder.
    symlink("../blobs/m.onnx", at("snapshot/m.onnx")).unwrap();
    symlink("../blobs/w.bin", at("snapshot/w.bin")).unwrap();
    with_external_data(&at("leaving"));
    symlink("../blobs/w.bin", at("leaving/w.bin")).unwrap();
    with_external_data(&at("waiting"));
    pipe(&at("waiting/w.bin"));

    let bisect = |model: &str, flags: &[&str]| {
        let mut command = program();
        command.arg("bisect").arg(at(model)).args(["-c", "ort:fp16", "-o"]).arg(at("out")).args(flags);
        outcome(&mut command)
    };
    for (model, flags) in
        [("blobs/m.onnx", &[][..]), ("snapshot/m.onnx", &[]), ("leaving/m.onnx", &["--allow-outside"])]
    {
        let (status, said) = bisect(model, flags);
        assert_eq!(status, 0, "{model}: {said}");
    }
    for (model, want) in [("leaving/m.onnx", "outside the model's folder"), ("waiting/m.onnx", "w.bin is a pipe")] {
        let (status, said) = bisect(model, &[]);
        assert!(status == 2 && said.contains(want) && said.lines().count() == 1, "{model}: {status}, {said}");
    }
}

#[test]
fn limits_are_named() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    // Branches inside branches, from the inside out.
    let field = |number: u8, inner: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encode_length_delimiter(inner.len(), &mut out).unwrap();
        [out.as_slice(), inner].concat()
    };
    let branch = |graph: Vec<u8>, _| field(1, &[field(4, b"If"), field(5, &field(6, &graph))].concat());
    let graph = (0..10_000).fold(Vec::new(), branch);
    fs::write(at("deep.onnx"), [&[8, 8][..], &field(7, &graph)].concat()).unwrap();
    fs::write(at("deep.json"), r#"{"schema": "#.repeat(10_000)).unwrap();
    let start = r#"{"lst": [["r", [{"outputs": {"y": "#.to_string();
    fs::write(at("data.json"), start + &r#"{"values": "#.repeat(10_000)).unwrap();
    refused(&[&"inspect", &at("deep.onnx")], 2, "is nested deeper");
    refused(&[&"bisect", &at("deep.onnx"), &"-o", &at("out")], 2, "is nested deeper");
    refused(&[&"report", &at("deep.json")], 2, "is nested deeper");

    let (model, inputs, out) = (testdata(MODEL), testdata("layernorm_overflow/inputs.npz"), at("out"));
    let saved = format!("saved:{}", at("data.json").display());
    refused(&[&"bisect", &model, &"-c", &saved, &"-i", &inputs, &"-o", &out], 2, "is nested deeper");
    let packed = layerdiff::load::npz::read(&inputs).unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(at("packed.npz")).unwrap());
    for (name, tensor) in &packed {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file(format!("{name}.npy"), options).unwrap();
        layerdiff::load::npy::write(tensor).write_to(&mut archive).unwrap();
    }
    archive.finish().unwrap();
    let start: [&dyn AsRef<OsStr>; 8] = [&"bisect", &model, &"-c", &"ort:fp16", &"-i", &at("packed.npz"), &"-o", &out];
    refused(&[&start[..], &[&"--memory", &"100"]].concat(), 2, "--memory leaves 100 for it");
}
