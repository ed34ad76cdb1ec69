//! Names that are made to drive a terminal, to fill it, or to be no text at all.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use layerdiff::load::npz;
use layerdiff::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use layerdiff::terminal;
use prost::Message;

use crate::common::{model_of, program, testdata};

/// Escape sequences of seven and of eight bits, a bell, a line end, a turn of direction, a space without width.
const EVIL: &str = "\u{1b}[31m\u{1b}]0;t\u{7}\u{9b}2J\r\n\u{202e}\u{2066}\u{200b}\u{2028}";

/// y = exp(x * x), every name of which contains `part`.
fn model(part: &str) -> ModelProto {
    let name = |name: &str| format!("{name}{part}");
    let value = |n: &str| ValueInfoProto::tensor(&name(n), DType::Float32, &[2]);
    let nodes = [
        NodeProto::new("Mul", &name("mul"), &[&name("x"), &name("x")], &[&name("m")]),
        NodeProto::new("Exp", &name("exp"), &[&name("m")], &[&name("y")]),
    ];
    let graph = GraphProto {
        name: Some(name("graph")),
        node: nodes.into(),
        input: vec![value("x")],
        output: vec![value("y")],
        doc_string: Some(name("doc").into()),
        ..Default::default()
    };
    let entry = StringStringEntryProto::new(&name("key"), name("value"));
    ModelProto { producer_name: Some(name("maker")), metadata_props: vec![entry], ..model_of(graph) }
}

/// What a command leaves for a terminal to show.
fn shown(words: &[&dyn AsRef<OsStr>]) -> (i32, String) {
    let mut command = program();
    command.args(words);
    everything(&mut command)
}

fn everything(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn harmful(text: &str) -> Option<char> {
    text.chars().find(|c| terminal::harmful(*c) && *c != '\n')
}

#[test]
fn no_name_drives_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (evil, out) = (at(&format!("m{}.onnx", EVIL.replace('\u{9b}', ""))), at("out"));
    fs::write(&evil, model(EVIL).encode_to_vec()).unwrap();
    // What ONNX Runtime does not know it calls by name.
    let mut foreign = model(EVIL);
    foreign.graph.as_mut().unwrap().node[0].domain = Some(format!("d{EVIL}"));
    foreign.opset_import.push(OperatorSetIdProto { domain: Some(format!("d{EVIL}")), version: Some(1) });
    fs::write(at("foreign.onnx"), foreign.encode_to_vec()).unwrap();
    let array = |name: &str| Tensors::from([(format!("{name}{EVIL}"), Tensor::f32(&[2], &[0.3, 0.7]))]);
    npz::write(&at("x.npz"), &array("x")).unwrap();
    npz::write(&at("z.npz"), &array("z")).unwrap();

    let diverged: [&dyn AsRef<OsStr>; 12] =
        [&"bisect", &evil, &"-c", &"ort:fp16", &"-i", &at("x.npz"), &"-o", &out, &"--atol", &"0", &"--rtol", &"0"];
    let commands: [(&[&dyn AsRef<OsStr>], i32); 12] = [
        (&diverged, 1),
        (&[&"compare", &evil, &"-c", &"ort:fp16", &"-i", &at("x.npz"), &"-o", &at("other")], 0),
        (&[&"compare", &evil, &"-c", &"ort:fp16", &"-i", &at("x.npz"), &"-o", &at("other"), &"--json"], 0),
        (&[&"compare", &evil, &"-i", &at("z.npz"), &"-o", &at("other")], 2),
        (&[&"compare", &evil, &"-o", &at("other"), &"--outputs", &EVIL], 2),
        (&[&"compare", &at("foreign.onnx"), &"-o", &at("other")], 2),
        (&[&"inspect", &evil, &"--nodes"], 0),
        (&[&"inspect", &evil, &"--json"], 0),
        (&[&"convert", &evil, &"--to", &"fp16", &"-o", &at(&format!("{EVIL}.onnx"))], 0),
        (&[&"report", &out.join("report.json")], 0),
        (&[&"inspect", &at(EVIL)], 2),
        (&[&"inspect", &evil, &format!("--{EVIL}")], 2),
    ];
    for (words, want) in commands {
        let (status, text) = shown(words);
        assert_eq!((status, harmful(&text)), (want, None), "{} {text:?}", words[0].as_ref().display());
    }
    let report: serde_json::Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["outputs"][0]["name"], format!("y{EVIL}"), "JSON holds the name itself");
    for file in ["report.json", "report.md", "report.html", "reduced/README.md", "reduced/repro.sh"] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert_eq!(harmful(&text), None, "{file}");
    }
    let mut repro = Command::new("sh");
    repro.arg(out.join("reduced/repro.sh")).env("LAYERDIFF", env!("CARGO_BIN_EXE_layerdiff"));
    let (status, text) = everything(&mut repro);
    assert_eq!((status, harmful(&text)), (1, None), "{text:?}");
}

#[test]
fn a_long_name_is_cut_where_it_is_shown_only() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let long = "n".repeat(100_000);
    let mut given = model(&long);
    given.opset_import.push(OperatorSetIdProto { domain: Some(long.clone()), version: Some(1) });
    fs::write(at("m.onnx"), given.encode_to_vec()).unwrap();
    let (model, out) = (at("m.onnx"), at("out"));
    let commands: [(&[&dyn AsRef<OsStr>], i32); 5] = [
        (&[&"bisect", &model, &"-c", &"ort:fp16", &"-o", &out, &"--atol", &"0", &"--rtol", &"0"], 1),
        (&[&"compare", &model, &"-c", &"ort:fp16", &"-o", &at("other")], 0),
        (&[&"compare", &model, &"-o", &at("other"), &"--shape", &"x=2"], 2),
        (&[&"inspect", &model, &"--nodes"], 0),
        (&[&"report", &out.join("report.json")], 0),
    ];
    for (words, want) in commands {
        let (status, text) = shown(words);
        assert_eq!(status, want, "{} {}", words[0].as_ref().display(), terminal::short(&text));
        assert!(text.len() < 20_000, "{} shows {} bytes", words[0].as_ref().display(), text.len());
    }
    for page in ["report.md", "report.html", "reduced/README.md"] {
        let size = fs::metadata(out.join(page)).unwrap().len();
        assert!(size < 100_000, "{page} has {size} bytes");
    }
    let report: serde_json::Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["outputs"][0]["name"], format!("y{long}"), "JSON holds the name itself");
}

#[test]
fn paths_need_not_be_text() {
    let home = tempfile::tempdir().unwrap();
    let odd = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let folder = home.path().join(odd(b"f\xff"));
    fs::create_dir(&folder).unwrap();
    let case = |name: &str| testdata(&format!("layernorm_overflow/{name}"));
    let (model, inputs) = (folder.join(odd(b"m\xfe.onnx")), folder.join(odd(b"x\xfd.npz")));
    fs::copy(case("model.onnx"), &model).unwrap();
    fs::copy(case("inputs.npz"), &inputs).unwrap();
    let run = |words: &[&dyn AsRef<OsStr>], want: i32| {
        let mut command = program();
        let (status, text) = everything(command.current_dir(home.path()).args(words));
        assert_eq!(status, want, "{text}");
    };
    let joined = |head: &str, path: &Path| [OsStr::new(head), path.as_os_str()].concat_os();
    run(&[&"bisect", &model, &"-c", &"ort:fp16", &"-i", &inputs], 1);
    let out = home.path().join(odd(b"m\xfe.layerdiff"));
    assert!(out.join("reduced/repro.sh").is_file() && out.join("report.html").is_file());
    run(&[&"report", &out.join("report.json"), &"--html", &folder.join(odd(b"\xfa.html"))], 0);
    run(
        &[&"compare", &case("model.onnx"), &"-c", &joined("ort@", &model), &"-i", &inputs, &"-o", &folder.join("c")],
        0,
    );
    run(&[&"convert", &model, &"--to", &"fp16"], 0);
    assert!(home.path().join(odd(b"m\xfe.fp16.onnx")).is_file());
    run(&[&"inspect", &model, &"--json"], 0);
    let values = home.path().join("values.npz");
    let keep: [&dyn AsRef<OsStr>; 8] = [&"compare", &model, &"-c", &"ort", &"-i", &inputs, &"--save-tensors", &values];
    run(&[&keep[..], &[&"-o", &folder.join("k")]].concat(), 0);
    let command = [OsStr::new("exec:"), OsStr::from_bytes(b"\xff {model} {inputs} {outputs}")].concat_os();
    run(&[&"compare", &model, &"-i", &inputs, &"-c", &command], 2);
}

trait Concat {
    fn concat_os(&self) -> std::ffi::OsString;
}

impl Concat for [&OsStr] {
    fn concat_os(&self) -> std::ffi::OsString {
        self.iter().copied().collect()
    }
}
