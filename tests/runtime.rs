//! ONNX Runtime as layerdiff uses it: exact rounding, nothing changed by marks, the reference on the CPU.

mod common;

use std::path::PathBuf;

use common::testdata;
use layerdiff::load::{Lean, Model, npz, testset};
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use layerdiff::precision::{self, Kept, tf32};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, How, Job, Level, SessionOptions};
use layerdiff::spec::Low;
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

fn cpu() -> Ort {
    let found = library::find(None).expect("run `layerdiff setup` first");
    Ort::new(&found.path, Provider::Cpu).unwrap()
}

fn model(nodes: Vec<NodeProto>, input: ValueInfoProto, output: &str) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        name: Some("t".into()),
        input: vec![input],
        output: vec![ValueInfoProto::bare(output)],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(17) };
    ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

fn lean(model: &ModelProto) -> Lean {
    Lean { bytes: model.encode_to_vec(), folder: PathBuf::from("/") }
}

/// Every float16 and bfloat16 boundary, each with its neighbours, and a pseudo-random sweep of all bit patterns.
fn patterns() -> Vec<f32> {
    let edges = (0..=u16::MAX).map(|b| half::f16::from_bits(b).to_f32().to_bits());
    let near = edges.flat_map(|b| {
        [b.wrapping_sub(1), b, b.wrapping_add(1), b.wrapping_add(0x1000), b.wrapping_add(0xfff), b.wrapping_add(0x1001)]
    });
    let sweep = (0..1_000_000u32).map(|i| i.wrapping_mul(2_654_435_761));
    near.chain(sweep).map(f32::from_bits).collect()
}

fn y_of(ort: &Ort, model: &ModelProto, feeds: &[Tensors]) -> Tensor {
    ort.run(&Job::new(lean(model), feeds, &["y".to_string()])).unwrap().values[0]["y"].clone()
}

#[test]
fn rounding_is_what_casts_do_bit_by_bit() {
    let values = patterns();
    let input = ValueInfoProto::tensor("x", DType::Float32, &[values.len()]);
    let feeds = [Tensors::from([("x".to_string(), Tensor::from_vec(DType::Float32, vec![values.len()], values))])];
    for emulated in [Low::Float16, Low::Bfloat16] {
        let low = emulated.storage().unwrap();
        let cast = |from: &str, to: &str, dtype: DType| {
            NodeProto::new("Cast", to, &[from], &[to]).with(AttributeProto::int("to", dtype.onnx().into()))
        };
        let casts = model(vec![cast("x", "low", low), cast("low", "y", DType::Float32)], input.clone(), "y");
        let plain = model(vec![NodeProto::new("Identity", "i", &["x"], &["y"])], input.clone(), "y");
        let types = [("x".to_string(), DType::Float32), ("y".to_string(), DType::Float32)].into();
        let rounds = precision::emulate(&plain, &types, emulated, &Kept::new());
        let run = |m: &ModelProto| y_of(&cpu(), m, &feeds);
        let (want, got) = (run(&casts), run(&rounds));
        let mut nans = 0;
        for (i, (w, g)) in want.view::<f32>().iter().zip(got.view::<f32>().iter()).enumerate() {
            nans += usize::from(w.is_nan());
            assert!(w.to_bits() == g.to_bits() || (w.is_nan() && g.is_nan()), "{low}: {i}: {w:e} {g:e}");
        }
        assert!(nans > 0);
    }
}

#[test]
fn operands_of_tf32_are_rounded_bit_by_bit() {
    let values = patterns();
    let count = values.len();
    let input = ValueInfoProto::tensor("x", DType::Float32, &[count]);
    // By a factor of one, so that the results are the operands; -0 becomes 0 in any sum.
    let mut by_one = model(vec![NodeProto::new("Einsum", "e", &["x", "one"], &["y"])], input, "y");
    let graph = by_one.graph.as_mut().unwrap();
    graph.node[0].attribute.push(AttributeProto {
        name: Some("equation".into()),
        s: Some("i,->i".into()),
        r#type: Some(3),
        ..Default::default()
    });
    graph.initializer.push(testset::tensor_to_proto("one", &Tensor::f32(&[], &[1.0])));
    let feeds = [Tensors::from([("x".to_string(), Tensor::from_vec(DType::Float32, vec![count], values.clone()))])];
    let types = ["x", "one", "y"].map(|name| (name.to_string(), DType::Float32)).into();
    let run = |m: &ModelProto| y_of(&cpu(), m, &feeds);
    let got = run(&precision::emulate(&by_one, &types, Low::Tf32, &Kept::new()));
    let kept = run(&precision::emulate(&by_one, &types, Low::Tf32, &Kept::from(["y".to_string()])));
    for (x, (got, kept)) in values.iter().zip(got.view::<f32>().iter().zip(kept.view::<f32>().iter())) {
        let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
        assert!(same(*got, tf32::nearest(*x)) && same(*kept, *x), "{x:e}: {got:e}, kept {kept:e}");
    }
}

#[test]
fn marking_everything_changes_no_bit_of_the_outputs() {
    let model = Model::load(&testdata("healthy_transformer/model.onnx")).unwrap();
    let graph = layerdiff::graph::Graph::new(&model.proto).unwrap();
    let feeds = [npz::read(&testdata("healthy_transformer/inputs.npz")).unwrap()];
    let outputs: Vec<String> = graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    let all: Vec<usize> = (0..graph.tensors.len()).collect();
    let marked = layerdiff::mark::mark(&model.proto, &graph, &all, &Default::default());
    let run = |m: &ModelProto| cpu().run(&Job::new(model.lean(m), &feeds, &outputs)).unwrap().values;
    let (plain, marked) = (run(&model.proto), run(&marked));
    for name in &outputs {
        assert!(plain[0][name].identical(&marked[0][name]), "{name}");
    }
}

#[test]
fn the_reference_stays_on_the_cpu_when_a_plugin_is_registered() {
    let plugin = common::plugin();
    let found = library::find(None).unwrap();
    let values: Vec<f32> = (0..64 * 64).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
    let feeds = [Tensors::from([("x".to_string(), Tensor::f32(&[64, 64], &values))])];
    let product = model(
        vec![NodeProto::new("MatMul", "m", &["x", "x"], &["p"]), NodeProto::new("Softmax", "s", &["p"], &["y"])],
        ValueInfoProto::tensor("x", DType::Float32, &[64, 64]),
        "y",
    );
    let run = |ort: &Ort| y_of(ort, &product, &feeds);
    let before = run(&cpu());
    let provider = Provider::Plugin { name: "ggml".to_string(), library: plugin };
    let with_plugin = Ort::new(&found.path, provider).unwrap();
    let on_plugin = run(&with_plugin);
    let after = run(&cpu());
    assert!(before.identical(&after), "the reference moved to the plug-in");
    assert!(!before.identical(&on_plugin), "the plug-in gives the same bits as the CPU: this test proves nothing");
    assert!(layerdiff::compare::Scale::of(&on_plugin).rms > 0.0);
}

/// A generator of random numbers goes on where it is in a session, and begins anew in another one.
#[test]
fn a_session_is_held_while_the_same_is_asked_for() {
    let ort = cpu();
    let input = || ValueInfoProto::tensor("x", DType::Float32, &[4]);
    let drawn = |seed: f32| {
        let node = NodeProto::new("RandomUniformLike", "r", &["x"], &["y"]);
        model(
            vec![node.with(AttributeProto {
                f: Some(seed),
                i: None,
                r#type: Some(1),
                ..AttributeProto::int("seed", 0)
            })],
            input(),
            "y",
        )
    };
    let feeds = [Tensors::from([("x".to_string(), Tensor::f32(&[4], &[0.0; 4]))])];
    let draw = |seed: f32, held: bool, level: Level| {
        let session = SessionOptions { level, ..SessionOptions::default() };
        let how = How { held, session, ..How::default() };
        let job = Job::new(lean(&drawn(seed)), &feeds, &["y".to_string()]).built(how);
        ort.run(&job).unwrap().values[0]["y"].view::<f32>().to_vec()
    };
    let first = draw(1.0, false, Level::Off);
    assert_eq!(draw(1.0, true, Level::Off), first);
    let (second, third) = (draw(1.0, true, Level::Off), draw(1.0, false, Level::Off));
    assert!(second != first && third != second, "the session is built again");
    assert_eq!(draw(1.0, true, Level::Off), first, "it is kept when nobody asked for it");
    assert_eq!(draw(1.0, true, Level::All), first, "it is kept for another one");
    assert_ne!(draw(2.0, true, Level::All), draw(1.0, true, Level::All));
}
