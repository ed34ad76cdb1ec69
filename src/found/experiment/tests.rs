use super::*;

fn source(path: &str, contents: &str) -> Source {
    Source { path: path.into(), contents: contents.into() }
}

fn experiment() -> Experiment {
    let side = |place: &str, precision: &str| Participant {
        place: place.into(),
        precision: precision.into(),
        version: "1.31.1".into(),
        libraries: vec![source("libonnxruntime.so", "l")],
        ..Participant::default()
    };
    Experiment {
        layerdiff: "0.1.0".into(),
        model: vec![source("m.onnx", "m"), source("m.data", "d")],
        reference: side("ort", "fp32"),
        candidate: Participant { files: vec![source("c.onnx", "c")], ..side("ort", "fp32") },
        data: Data { source: "in.npz".into(), samples: 2, contents: "x".into() },
        outputs: vec!["y".into()],
        flags: BTreeMap::from([("--seed".to_string(), "0".to_string())]),
        ..Experiment::default()
    }
}

#[test]
fn what_differs_is_named() {
    let check = |change: fn(&mut Experiment), want: &str| {
        let (before, mut now) = (experiment(), experiment());
        change(&mut now);
        assert_eq!(now.differs(&before).as_deref(), Some(want));
        assert_ne!(now.id(), before.id(), "{want}");
    };
    check(|e| e.model[0].contents = "other".into(), "the model has other contents now (m.onnx)");
    check(|e| e.model[1].contents = "other".into(), "the model (number 2) has other contents now (m.data)");
    check(
        |e| e.candidate.files[0].contents = "other".into(),
        "a file of the candidate has other contents now (c.onnx)",
    );
    check(|e| e.candidate.files.clear(), "a file of the candidate was 'c.onnx' and is not given now");
    check(|e| e.candidate.place = "trt".into(), "the backend of the candidate was 'ort' and is 'trt' now");
    check(
        |e| e.candidate.command = Some("run".into()),
        "the command of the candidate is 'run' now and was not given before",
    );
    check(|e| e.reference.version = "1.23".into(), "the version of the reference was '1.31.1' and is '1.23' now");
    check(
        |e| e.reference.libraries[0].contents = "other".into(),
        "a library of the reference has other contents now (libonnxruntime.so)",
    );
    check(|e| e.data.contents = "other".into(), "the data has other contents now (in.npz)");
    check(|e| e.data.samples = 3, "the number of samples was '2' and is '3' now");
    check(|e| e.outputs.push("z".into()), "the list of judged outputs was 'y' and is 'y, z' now");
    check(|e| drop(e.flags.insert("--seed".into(), "1".into())), "--seed was '0' and is '1' now");
    check(|e| drop(e.tolerance.insert("--atol".into(), "1".into())), "--atol is '1' now and was not given before");
    check(
        |e| drop(e.environment.insert("OMP_NUM_THREADS".into(), "1".into())),
        "OMP_NUM_THREADS is '1' now and was not given before",
    );
    check(|e| e.layerdiff = "0.2.0".into(), "the version of layerdiff was '0.1.0' and is '0.2.0' now");
}

#[test]
fn where_the_files_are_does_not_matter() {
    let mut moved = experiment();
    moved.model[0].path = "elsewhere/m.onnx".into();
    moved.candidate.files[0].path = "c2.onnx".into();
    moved.candidate.libraries[0].path = "/opt/libonnxruntime.so".into();
    moved.data.source = "copy.npz".into();
    assert_eq!(moved.differs(&experiment()), None);
    assert_eq!(moved.id(), experiment().id());
}

#[test]
fn it_is_read_as_it_was_written() {
    let text = serde_json::to_string(&experiment()).unwrap();
    let read: Experiment = serde_json::from_str(&text).unwrap();
    assert_eq!((&read, read.id()), (&experiment(), experiment().id()));
}
