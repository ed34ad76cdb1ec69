//! Names, folders and a TMPDIR that a shell would run if anybody let it: each would leave a file called `owned`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use layerdiff::load::{Model, npz};
use layerdiff::onnx::GraphProto;
use layerdiff::tensor::Tensors;
use prost::Message;

use crate::common::{program, testdata};

const NASTY: [&str; 8] = [
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    "\"; touch owned; \"",
    "\ntouch owned\n",
    "-o owned ",
    "{model}{inputs}$(touch owned)",
    "\\'$(touch owned)\\",
];

/// A folder whose name is as bad, with a model and its data in it, every name of which is as well.
struct Nasty {
    home: tempfile::TempDir,
    folder: PathBuf,
    model: PathBuf,
    inputs: PathBuf,
}

impl Nasty {
    fn new(case: &str) -> Nasty {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a b'$(touch owned)`touch owned`\"\ntouch owned\n#");
        std::fs::create_dir_all(folder.join("tmp $(touch owned)\ntouch owned\n'")).unwrap();
        let mut proto = Model::load(&testdata(case).join("model.onnx")).unwrap().proto;
        let source = Model::load(&testdata(case).join("model.onnx")).unwrap();
        proto.graph.as_mut().unwrap().each_initializer_mut(&mut |t| *t = source.inline(t));
        rename(proto.graph.as_mut().unwrap());
        let model = folder.join("-m$(touch owned)`touch owned`'.onnx");
        std::fs::write(&model, proto.encode_to_vec()).unwrap();
        let values = npz::read(&testdata(case).join("inputs.npz")).unwrap();
        let values: Tensors = values.into_iter().map(|(name, value)| (nasty(&name), value)).collect();
        let inputs = folder.join("in$(touch owned).npz");
        npz::write(&inputs, &values).unwrap();
        Nasty { home, folder, model, inputs }
    }

    fn run(&self, program: &mut Command, args: &[&OsStr]) -> Output {
        let tmp = self.folder.join("tmp $(touch owned)\ntouch owned\n'");
        program.current_dir(&self.folder).env("TMPDIR", tmp).args(args).output().unwrap()
    }

    fn layerdiff(&self, command: &str, args: &[&str]) -> i32 {
        let mut words: Vec<&OsStr> = vec![command.as_ref(), self.model.as_ref(), "-i".as_ref(), self.inputs.as_ref()];
        words.extend(args.iter().map(OsStr::new));
        let output = self.run(&mut program(), &words);
        self.nothing_ran(command);
        output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// `sh repro.sh`, with stand-ins for what is not installed.
    fn repro(&self, args: &[&str]) -> i32 {
        let script = self.folder.join("out/reduced/repro.sh");
        let mut sh = Command::new("sh");
        sh.env("LAYERDIFF", env!("CARGO_BIN_EXE_layerdiff"))
            .env("POLYGRAPHY", "true")
            .env("TRTEXEC", "true")
            .arg(&script);
        let words: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let output = self.run(&mut sh, &words);
        self.nothing_ran(&format!("repro.sh {args:?}"));
        output.status.code().unwrap()
    }

    #[track_caller]
    fn nothing_ran(&self, what: &str) {
        let found = owned(self.home.path());
        assert!(found.is_empty(), "{what}: {found:?}");
        assert!(!Path::new("owned").exists() && !Path::new("/tmp/owned").exists(), "{what}");
    }
}

fn nasty(name: &str) -> String {
    let which = name.bytes().map(usize::from).sum::<usize>() % NASTY.len();
    format!("{}{name}", NASTY[which])
}

fn rename(graph: &mut GraphProto) {
    let each = |names: &mut Vec<String>| names.iter_mut().filter(|n| !n.is_empty()).for_each(|n| *n = nasty(n));
    for node in &mut graph.node {
        each(&mut node.input);
        each(&mut node.output);
        node.name = Some(nasty(node.name()));
    }
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.for_each(|v| v.name = Some(nasty(v.name())));
    graph.initializer.iter_mut().for_each(|t| t.name = Some(nasty(t.name())));
}

fn owned(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => owned(&path),
            false => vec![path],
        })
        .filter(|path| path.file_name().is_some_and(|name| name == "owned"))
        .collect()
}

#[test]
fn a_check_runs_its_command_and_nothing_else() {
    let nasty = Nasty::new("matmul_add_sub_65504");
    // In every kind of quotes, and in a comment.
    let check = "grep -qa Sub {model} && test -s '{inputs}' && test -s \"{model}\" && exit 1; exit 0 # {model}";
    assert_eq!(nasty.layerdiff("reduce", &["-o", "out", "--check", check]), 1);
    assert_eq!(nasty.repro(&[]), 1);
}

#[test]
fn a_wrong_tensor_of_any_name_is_shown_again() {
    let nasty = Nasty::new("matmul_add_sub_65504");
    let bound = format!("--atol={}=0.001", self::nasty("y"));
    assert_eq!(nasty.layerdiff("bisect", &["-c", "ort:fp16", "-o", "out", &bound]), 1);
    assert_eq!(nasty.repro(&["layerdiff"]), 1);
    assert_eq!((nasty.repro(&["polygraphy"]), nasty.repro(&["trtexec"])), (3, 3));
}

#[test]
fn an_exec_command_gets_paths_and_nothing_else() {
    let nasty = Nasty::new("matmul_add_sub_65504");
    let exec = "exec:test -s {model} && cp '{inputs}' \"{outputs}\" # {model} {inputs}";
    // It hands out the inputs, in place of outputs.
    assert_eq!(nasty.layerdiff("compare", &["-c", exec, "-o", "out"]), 3);
}

/// A check gets copies, of the weights beside the model too, and so does the script that repeats it.
#[test]
fn a_check_that_destroys_what_it_gets() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for name in ["model.onnx", "weights.bin"] {
        std::fs::copy(testdata("external_data").join(name), at(name)).unwrap();
    }
    let before = [std::fs::read(at("model.onnx")).unwrap(), std::fs::read(at("weights.bin")).unwrap()];
    let check = "grep -qa Softmax {model}; r=$?; \
                 for f in $(dirname {model})/*; do echo damaged >$f; done; rm -f {model} {inputs}; test $r -ne 0";
    let mut reduce = program();
    reduce.args(["reduce", "model.onnx", "-o", "out", "--check", check]).current_dir(home.path());
    let output = reduce.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let untouched = || [std::fs::read(at("model.onnx")).unwrap(), std::fs::read(at("weights.bin")).unwrap()] == before;
    assert!(untouched());
    let made = std::fs::read(at("out/reduced/model.onnx")).unwrap();
    let again = Command::new("sh").arg(at("out/reduced/repro.sh")).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(untouched() && std::fs::read(at("out/reduced/model.onnx")).unwrap() == made);
}

/// A reproducer is debugged in turn: the report's folder is not the one that holds it.
#[test]
fn what_is_read_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let reduced = home.path().join("out/reduced");
    std::fs::create_dir_all(&reduced).unwrap();
    std::fs::copy(testdata("reduce/graph_r.onnx"), reduced.join("model.onnx")).unwrap();
    std::fs::write(reduced.join("repro.sh"), "").unwrap();
    let refused = |args: &[&str], want: &str| {
        let output = program().current_dir(home.path()).args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(want) && stderr.lines().count() == 1, "{stderr}");
        assert!(reduced.join("model.onnx").is_file());
    };
    let model = "out/reduced/model.onnx";
    refused(&["reduce", model, "-o", "out", "--check", "exit 1 # {model}"], "which this run would replace");
    refused(&["bisect", model, "-c", "ort:fp16", "-o", "out"], "which this run would replace");
    refused(&["compare", model, "-c", "ort:fp16", "--save-tensors", model], "would be written over");
}
