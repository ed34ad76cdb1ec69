//! The list against the real parser of TensorRT-RTX 1.7.1: one small model for each thing in it, and some that have nothing. Where
//! scripts/tensorrt.sh has not put the library, only what the list says is checked, and the tests say so.

mod cases;

use std::collections::HashSet;
use std::path::Path;

use prost::Message;

use self::cases::{Case, case, cases, plain, quantise, recurrent};
use super::entries::ENTRIES;
use super::operators::{all, refused_by};
use crate::inspect::facts::{Effect, Note};
use crate::inspect::file::File;
use crate::inspect::{model, types};
use crate::load::{Links, Model};
use crate::onnx::ModelProto;
use crate::run::tensorrt::library::{self, Found};
use crate::run::tensorrt::{Builder, Library, Network, Options, TensorRt, Typing};
use crate::run::{Complaint, Job, question};
use crate::tensor::DType;

const F32: DType = DType::Float32;
const RTX: &str = "TensorRT-RTX 1.7.1";

/// What the list says of it, and the file that it is in.
fn noted(model: &ModelProto, dir: &Path) -> (Vec<Note>, Model) {
    let path = dir.join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let File::Model(source) = File::open(&path, Links::Inside).unwrap() else { panic!("no model") };
    let typing = types::typing(&source, None, &[]);
    (model::facts(&source, &typing, false).tensorrt.notes, Model::load(&path).unwrap())
}

fn rtx() -> Option<Found> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tensorrt/onnxruntime_ep_nv_tensorrt_rtx");
    let found = folder.is_dir().then(|| library::find(Some(&folder)).unwrap().unwrap());
    if found.is_none() {
        eprintln!("skipped: {} is not there; run scripts/tensorrt.sh", folder.display());
    }
    found
}

fn complaints(backend: &TensorRt, model: &Model) -> Vec<Complaint> {
    question::parse(backend, Job::new(model.lean(&model.proto), &[], &[])).unwrap().unwrap()
}

fn rtx_refuses(notes: &[Note]) -> bool {
    // An operator that nobody knows has nobody who says so.
    let plugin = |note: &Note| note.code == "plugin";
    let said = |note: &Note| note.said.iter().any(|s| s.version == RTX && s.effect != Effect::Changed);
    notes.iter().any(|note| plugin(note) || said(note))
}

#[test]
fn the_list_and_the_parser_agree() {
    let (dir, found) = (tempfile::tempdir().unwrap(), rtx());
    let backend = found.as_ref().map(|found| TensorRt::start(Options::new(found)).unwrap());
    let mut met = HashSet::new();
    let with_code = cases().into_iter().map(|(code, case)| (Some(code), case));
    for (code, case) in with_code.chain(plain().into_iter().map(|case| (None, case))) {
        // Only some of the operators are in newer versions.
        let opset = if case.text.contains("Attention") { 23 } else { 21 };
        let (notes, model) = noted(&case.model(opset), dir.path());
        let of_nodes: Vec<&Note> = notes.iter().filter(|note| !note.places.is_empty()).collect();
        match code {
            Some(code) => assert!(of_nodes.iter().any(|note| note.code == code), "{code} {}: {notes:?}", case.text),
            None => assert!(of_nodes.is_empty(), "{}: {of_nodes:?}", case.text),
        }
        met.extend(code);
        if let Some(backend) = &backend {
            let complaints = complaints(backend, &model);
            assert_eq!(rtx_refuses(&notes), !complaints.is_empty(), "{code:?} {}: {complaints:?}", case.text);
        }
    }
    let untried: Vec<&str> = ENTRIES.iter().map(|entry| entry.code).filter(|code| !met.contains(code)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn the_parser_has_none_of_the_operators_that_it_is_said_to_lack() {
    let Some(found) = rtx() else { return };
    let (dir, backend) = (tempfile::tempdir().unwrap(), TensorRt::start(Options::new(&found)).unwrap());
    for op_type in all() {
        let said = refused_by(op_type).into_iter().find(|said| said.version == RTX);
        // What it reads matters to RoiAlign only, which is among the cases.
        let Some(said) = said.filter(|_| op_type != "RoiAlign") else { continue };
        let mut proto = case("y = Relu(x)").model(21);
        proto.graph.as_mut().unwrap().node[0].op_type = Some(op_type.to_string());
        let (_, model) = noted(&proto, dir.path());
        let words: Vec<String> = complaints(&backend, &model).into_iter().map(|c| c.words).collect();
        let fits = match said.effect {
            Effect::Plugin => words.iter().any(|words| words.to_lowercase().contains("plugin")),
            _ => words.iter().any(|words| words == "unsupported node"),
        };
        assert!(fits, "{op_type}: {words:?}");
    }
}

/// The parser takes these without a word: what it makes of them tells.
#[test]
fn what_is_said_to_be_changed_is_changed() {
    let Some(found) = rtx() else { return };
    let library = Library::open(&found).unwrap();
    let builder = Builder::new(&library).unwrap();
    let parsed = |case: Case| -> Network {
        let mut network = builder.network(Typing::Strong).unwrap();
        network.parse(&case.model(21).encode_to_vec(), None).unwrap();
        network
    };
    let network = parsed(quantise((DType::Uint8, 0), 0.1));
    assert_eq!(network.tensor("q").unwrap().dtype(), Some(DType::Int8));
    let network = parsed(case("y = Relu(x)").port("x", DType::Float64, &[2, 4]).port("y", DType::Float64, &[2, 4]));
    assert_eq!((network.inputs()[0].dtype(), network.outputs()[0].dtype()), (Some(F32), Some(F32)));
    let network = parsed(case("y = Relu(x)").in_domain("acme"));
    assert_eq!(network.layers()[0].kind(), "ACTIVATION");
    for (text, gates) in [("y = LSTM(x, ww, rr)", 4), ("y = GRU(x, ww, rr)", 3), ("y = RNN(x, ww, rr)", 1)] {
        let network = parsed(recurrent(text, gates, 1).int("layout", 1));
        // Two samples of five steps would be 2x5x1x4.
        assert_eq!(network.outputs()[0].shape(), Some(vec![2, 1, 5, 4]), "{text}");
    }
}

#[test]
fn sentences_name_nodes_and_versions() {
    let dir = tempfile::tempdir().unwrap();
    let (notes, _) = noted(&quantise((DType::Int8, 3), 0.1).model(21), dir.path());
    assert_eq!(
        notes[0].text,
        "nodes that quantise with a zero point that is not zero ('make_q', 'make_y'): refused by TensorRT 10.1, 10.15 and \
         11.2 (their lists of operators) and by TensorRT-RTX 1.7.1 (its parser); quantise symmetrically"
    );
}
