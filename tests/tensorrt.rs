//! The bindings on the real TensorRT-RTX 1.7.1, which parses and builds without a GPU, and on the real lean runtime 11.4.
//! Both come from scripts/tensorrt.sh; without them a test says that it is skipped.

mod common;

#[path = "tensorrt/build.rs"]
mod build;
#[path = "tensorrt/converted.rs"]
mod converted;
#[path = "tensorrt/look.rs"]
mod look;
#[path = "tensorrt/parse.rs"]
mod parse;
#[path = "tensorrt/refuse.rs"]
mod refuse;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::{real_model, root, testdata};
use layerdiff::onnx::{DimValue, ModelProto, TypeValue};
use layerdiff::run::RunError;
use layerdiff::run::tensorrt::{Builder, Config, Family, Flag, Library, Network, Pool, Profile, Runtime, Typing};
use layerdiff::run::tensorrt::{ParseError, Plan, layers, library, refusal};
use layerdiff::tensor::DType;
use prost::Message;

/// TensorRT's log is one for the process: tests that read errors from it take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A loaded library, for one test at a time.
struct Loaded {
    library: Library,
    _turn: MutexGuard<'static, ()>,
}

fn load(test: &str, package: &str) -> Option<Loaded> {
    let folder = root().join("target/tensorrt").join(package);
    if !folder.is_dir() {
        eprintln!("skipped {test}: {} is not there; run scripts/tensorrt.sh", folder.display());
        return None;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = library::find(Some(&folder)).unwrap().unwrap();
    Some(Loaded { library: Library::open(&found).unwrap(), _turn: turn })
}

fn rtx(test: &str) -> Option<Loaded> {
    load(test, "onnxruntime_ep_nv_tensorrt_rtx")
}

impl Loaded {
    fn builder(&self) -> Builder {
        Builder::new(&self.library).unwrap()
    }

    /// The parsed model of a folder of testdata.
    fn parsed(&self, builder: &Builder, case: &str) -> Network {
        parse(builder, &testdata(case).join("model.onnx")).unwrap_or_else(|e| panic!("{}", refusal(&self.library, &e)))
    }
}

fn parse(builder: &Builder, path: &Path) -> Result<Network, Vec<ParseError>> {
    let mut network = builder.network(Typing::Strong).unwrap();
    network.parse(&std::fs::read(path).unwrap(), Some(path)).map(|()| network)
}

/// Level 0 builds fastest.
fn quick(builder: &Builder) -> Config {
    let mut config = builder.config().unwrap();
    config.optimisation_level(0);
    config
}

fn build(builder: &Builder, network: &Network) -> Result<Plan, RunError> {
    let mut config = quick(builder);
    config.detailed();
    builder.build(network, &config)
}

fn node_names(path: &Path) -> HashSet<String> {
    let model = ModelProto::decode(&*std::fs::read(path).unwrap()).unwrap();
    model.graph.unwrap().node.into_iter().map(|node| node.name().to_string()).collect()
}
