//! The folder as a whole: complete, in the model's order, replaced in one piece, and its script run with stand-ins.

use std::process::{Command, Output};

use prost::Message;

use tempfile::TempDir;

use super::*;
use crate::onnx::{ModelProto, NodeProto};
use crate::reduce::story::Bound;
use crate::tensor::DType;

const ODD: &str = "x:0 \"a/b$(touch owned)";

/// Two inputs, one with an odd name; the feeds are in another order than the model's.
fn case() -> Case {
    let float = |name: &str| ValueInfoProto::tensor(name, DType::Float32, &[2]);
    let graph = GraphProto {
        node: vec![NodeProto::new("Add", "n", &[ODD, "b"], &["y"])],
        input: vec![float(ODD), float("b")],
        output: vec![float("y")],
        ..Default::default()
    };
    let model = ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() };
    let feeds = [("b", 3.0), (ODD, 1.0), ("stranger", 0.0)];
    let feeds = feeds.map(|(name, x)| (name.to_string(), Tensor::f32(&[2], &[x, 2.0])));
    Case { model, feeds: Tensors::from_iter(feeds), expected: Some(outputs()) }
}

fn outputs() -> Tensors {
    Tensors::from_iter([("y".to_string(), Tensor::f32(&[2], &[4.0, 4.0]))])
}

fn compare(candidate: &str) -> How {
    How::Compare {
        reference: "ort".into(),
        candidate: candidate.into(),
        flags: vec!["--atol".into(), "1e-3".into()],
        bounds: vec![Bound { output: "y".into(), atol: 1e-3, rtol: 0.0 }],
        own_model: candidate.contains('@'),
    }
}

fn check(command: &str, flags: &[String]) -> How {
    How::Check { command: command.into(), flags: flags.into() }
}

fn story(how: How) -> Story {
    Story {
        title: "Add 'n' gives wrong values\n$(touch owned) <b>".into(),
        how,
        culprit: Some("Node n is 5 % off.".into()),
        error: vec![("max abs".into(), "0.2 | 0.3".into())],
        environment: vec![("OS".into(), "Linux".into())],
        nodes: vec!["Add 'n`|'".into()],
        notes: vec!["weights are generated".into()],
    }
}

fn write_to(dir: &Path, how: How) -> anyhow::Result<Written> {
    let case = case();
    let lean = Lean { bytes: case.model.encode_to_vec(), folder: std::env::temp_dir() };
    write(dir, &Bundle { case: &case, lean, story: story(how) })
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_folder_is_complete() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("out.layerdiff/reduced");
    let written = write_to(&dir, compare("ort@other.onnx")).unwrap();
    let files = ["README.md", "inputs.json", "model.onnx", "outputs.json", "repro.sh", "test_data_set_0", "trtexec"];
    assert_eq!(names(&dir), files);
    assert_eq!(written.model, dir.join("model.onnx"));
    let total: u64 = names(&dir)
        .iter()
        .map(|n| dir.join(n))
        .map(|p| if p.is_dir() { size(&p).unwrap() } else { p.metadata().unwrap().len() })
        .sum();
    assert!(written.bytes == total && total > 1000);
    assert!(ModelProto::decode(fs::read(&written.model).unwrap().as_slice()).unwrap() == case().model);

    let set = dir.join(TEST_SET);
    assert_eq!(names(&set), ["input_0.pb", "input_1.pb", "output_0.pb"]);
    let (name, first) = testset::read_tensor(&set.join("input_0.pb")).unwrap();
    assert_eq!((name.as_deref(), first.view::<f32>().as_ref()), (Some(ODD), &[1.0, 2.0][..]), "the model's order");
    let inputs = polygraphy::read_inputs(&dir.join(JSON_INPUTS)).unwrap();
    assert_eq!(inputs[0].keys().collect::<Vec<_>>(), [ODD, "b"]);
    assert!(polygraphy::read_outputs(&dir.join(JSON_OUTPUTS), None).unwrap()[0]["y"].identical(&outputs()["y"]));
    assert_eq!(names(&dir.join(RAW)), ["b.bin", "x_0__a_b__touch_owned_.bin"]);
    assert_eq!(fs::read(dir.join(RAW).join("b.bin")).unwrap(), [3.0f32, 2.0].map(f32::to_le_bytes).concat());
    assert_eq!(names(home.path().join("out.layerdiff").as_path()), ["reduced"], "nothing stays beside it");
}

#[test]
fn files_that_no_command_reads_are_left_out() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("reduced");
    write_to(&dir, compare("trt:fp16")).unwrap();
    assert!(!dir.join(JSON_OUTPUTS).exists());
    write_to(&dir, check("test -s {model}", &[])).unwrap();
    assert_eq!(names(&dir), ["README.md", "model.onnx", "repro.sh", "test_data_set_0"]);
    write_to(&dir, check("test -s {model} -a -s {inputs}", &[])).unwrap();
    assert_eq!(npz::read(&dir.join(NPZ_INPUTS)).unwrap().keys().collect::<Vec<_>>(), [ODD, "b"]);
}

#[test]
fn an_older_reproducer_gives_way_and_nothing_else_does() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("reduced");
    fs::create_dir(&dir).unwrap();
    write_to(&dir, compare("ort:fp16")).unwrap();
    fs::write(dir.join("stale"), "").unwrap();
    write_to(&dir, compare("ort:fp16")).unwrap();
    assert!(!dir.join("stale").exists());

    let mine = home.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("thesis.tex"), "years").unwrap();
    let error = write_to(&mine, compare("ort:fp16")).unwrap_err().to_string();
    assert!(error.contains("mine exists and was not written by layerdiff"), "{error}");
    assert_eq!(names(&mine), ["thesis.tex"]);
    assert_eq!(names(home.path()), ["mine", "reduced"]);
}

#[test]
fn a_failure_keeps_the_older_reproducer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("reduced");
    write_to(&dir, compare("ort:fp16")).unwrap();
    let before = fs::read(dir.join("README.md")).unwrap();
    let case = case();
    let lean = Lean { bytes: vec![0xff; 9], folder: std::env::temp_dir() };
    let bundle = Bundle { case: &case, lean, story: story(compare("ort:bf16")) };
    assert!(write(&dir, &bundle).is_err());
    assert_eq!(fs::read(dir.join("README.md")).unwrap(), before);
    assert_eq!(names(home.path()), ["reduced"]);
}

#[test]
fn what_is_compared_with_stored_outputs_needs_some() {
    let home = tempfile::tempdir().unwrap();
    let case = Case { expected: None, ..case() };
    for (how, works) in [(compare("ort@m.onnx"), false), (compare("ort:fp16"), true)] {
        let lean = Lean { bytes: case.model.encode_to_vec(), folder: std::env::temp_dir() };
        let bundle = Bundle { case: &case, lean, story: story(how) };
        assert_eq!(write(&home.path().join("reduced"), &bundle).is_ok(), works);
    }
    assert!(!home.path().join("reduced/test_data_set_0/output_0.pb").exists());
}

#[test]
fn the_page_is_text() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("reduced");
    write_to(&dir, check("grep -q '`x`' {model}", &[])).unwrap();
    let page = fs::read_to_string(dir.join("README.md")).unwrap();
    for want in [
        "# Add 'n' gives wrong values $(touch owned) \\<b\\>\n",
        "``grep -q '`x`' {model}``",
        "| max abs | 0.2 \\| 0.3 |",
        "**1 node**: Add 'n\\`\\|'",
        "| `model.onnx` | the model |",
        "- weights are generated",
    ] {
        assert!(page.contains(want), "lacks '{want}':\n{page}");
    }
    write_to(&dir, compare("exec:run `x` {model} {inputs} {outputs}")).unwrap();
    let page = fs::read_to_string(dir.join("README.md")).unwrap();
    assert!(page.contains("**Compared**: ``exec:run `x` {model} {inputs} {outputs}`` with `ort`"), "{page}");
}

#[test]
fn files_get_names_that_differ() {
    let mut taken = HashSet::new();
    let mut name = |tensor: &str| file_name(tensor, &mut taken);
    assert_eq!([name("a/b"), name("A:b"), name("a b"), name("..")], ["a_b", "A_b_2", "a_b_3", "input"]);
    assert_eq!([name("é"), name(""), name(&"n".repeat(300))], ["_", "input_2", &"n".repeat(80)]);
}

#[test]
fn open_shapes_are_seen() {
    let open = |shape| open_shape(&ValueInfoProto::typed("x", DType::Float32, shape));
    let dim = |value| crate::onnx::TensorShapeProto { dim: vec![Dimension { value, denotation: None }] };
    assert!(open(None) && open(Some(dim(None))) && open(Some(dim(Some(DimValue::DimParam("n".into()))))));
    assert!(!open(Some(dim(Some(DimValue::DimValue(3))))));
}

/// Stand-ins that note how they were called and end with the status in their name's file.
#[cfg(unix)]
struct Shop {
    home: TempDir,
}

#[cfg(unix)]
impl Shop {
    fn new(how: How) -> Shop {
        let home = tempfile::tempdir().unwrap();
        write_to(&home.path().join("it's reduced"), how).unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        Shop { home }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("it's reduced")
    }

    /// A program of this name that writes its words, each on a line, to `NAME.argv`, and then does `rest`.
    fn with(self, name: &str, rest: &str) -> Shop {
        let argv = self.home.path().join(format!("{name}.argv"));
        let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n{rest}\n", argv.display());
        write_script(&self.home.path().join("bin").join(name), &text).unwrap();
        self
    }

    fn run(&self, words: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.home.path().join("bin").display());
        let mut command = Command::new("sh");
        command.arg(self.folder().join("repro.sh")).args(words).current_dir(self.home.path());
        for name in ["LAYERDIFF", "POLYGRAPHY", "TRTEXEC"] {
            command.env_remove(name);
        }
        command.env("PATH", path).output().unwrap()
    }

    fn argv(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(format!("{name}.argv"))).unwrap()
    }

    #[track_caller]
    fn gives(&self, words: &[&str], status: i32) -> String {
        let output = self.run(words);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(!self.folder().join("owned").exists() && !self.home.path().join("owned").exists());
        said
    }
}

#[cfg(unix)]
#[test]
fn the_script_runs_what_is_installed() {
    let shop = Shop::new(compare("ort@other.onnx"));
    let said = shop.gives(&[], 3);
    assert!(said.contains("none of layerdiff, polygraphy, trtexec is installed"), "{said}");
    let shop = shop.with("trtexec", "exit 0");
    let said = shop.gives(&[], 3);
    assert!(said.contains("+ trtexec --onnx=model.onnx --noTF32") && said.contains("trtexec judges nothing"), "{said}");
    let shop = shop.with("polygraphy", "echo 'Accuracy Summary' > polygraphy.log; exit 1");
    shop.gives(&[], 1);
    let want = "run\nmodel.onnx\n--onnxrt\n--providers\ncpu\n--graph-optimization-level\nORT_DISABLE_ALL\n\
                --load-outputs\noutputs.json\n--load-inputs\ninputs.json\n--atol\n0.001\n--rtol\n0\n--log-file\npolygraphy.log\n";
    assert_eq!(shop.argv("polygraphy"), want);
    let shop = shop.with("layerdiff", "exit 1");
    let said = shop.gives(&[], 1);
    assert!(
        said.starts_with("+ layerdiff compare model.onnx --candidate ort --reference saved:test_data_set_0"),
        "{said}"
    );
    let want = "compare\nmodel.onnx\n--candidate\nort\n--reference\nsaved:test_data_set_0\n--inputs\ntest_data_set_0\n\
                --atol\n1e-3\n-o\nlayerdiff-out\n";
    assert_eq!(shop.argv("layerdiff"), want);
    assert!(shop.gives(&["tensorflow"], 2).contains("usage:"));
}

#[cfg(unix)]
#[test]
fn each_end_of_a_tool_has_its_status() {
    let shop = Shop::new(compare("trt:fp16")).with("layerdiff", "exit 0");
    shop.gives(&["layerdiff"], 0);
    shop.with("layerdiff", "exit 3").gives(&[], 3);
    let shop = Shop::new(compare("trt:fp16")).with("polygraphy", "exit 1");
    // It failed before it compared.
    shop.gives(&["polygraphy"], 3);
    shop.with("polygraphy", "echo 'Accuracy Summary' > polygraphy.log").gives(&["polygraphy"], 0);
    // What cannot show the failure is not taken unasked.
    let shop = Shop::new(compare("ort:fp16")).with("polygraphy", "echo 'Accuracy Summary' > polygraphy.log");
    assert!(shop.gives(&[], 3).contains("none of layerdiff, trtexec"));
    assert!(shop.gives(&["polygraphy"], 3).contains("does not show the failure"));
}

#[cfg(unix)]
#[test]
fn odd_names_reach_the_tools_whole() {
    let shop = Shop::new(compare("trt:fp16")).with("trtexec", "");
    shop.gives(&["trtexec"], 3);
    let argv = shop.argv("trtexec");
    let want = format!("--loadInputs='{ODD}':trtexec/x_0__a_b__touch_owned_.bin,b:trtexec/b.bin\n");
    assert!(argv.contains(&want), "{argv}");
    let command = "exec:cd $(pwd) && it's {model} {inputs} {outputs}\n";
    let shop = Shop::new(compare(command)).with("layerdiff", "exit 1");
    let said = shop.gives(&[], 1);
    let argv = shop.argv("layerdiff");
    let folder = shop.folder();
    assert!(argv.contains(&format!("--candidate\n{command}\n")), "{argv}");
    assert!(argv.starts_with(&format!("compare\n{}/model.onnx\n", folder.display())), "{argv}");
    assert!(said.contains(r"it'\''s reduced/model.onnx'") && said.contains(r"it'\''s {model}"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_check_is_run_where_its_files_are() {
    // In the caller's folder, in quotes of any kind, from a folder whose name needs quotes.
    let command = r#"test -s here.txt || exit 9; sh -c 'test -s "{model}"' && test -s "{inputs}" && exit 1; exit 9"#;
    let shop = Shop::new(check(command, &[]));
    shop.gives(&[], 3);
    fs::write(shop.home.path().join("here.txt"), "x").unwrap();
    let said = shop.gives(&[], 1);
    assert!(said.starts_with("+ sh -c 'test -s here.txt"), "{said}");
}

#[cfg(unix)]
#[test]
fn the_rules_of_a_check_are_kept() {
    /// Command, codes that fail, codes that pass, regular expressions, exit status of the script.
    type Row = (&'static str, &'static [i32], &'static [i32], &'static [&'static str], i32);
    let table: [Row; 16] = [
        ("exit 0", &[], &[], &[], 0),
        ("exit 1", &[], &[], &[], 1),
        ("exit 2", &[], &[], &[], 3),
        ("kill -9 $$", &[], &[], &[], 3),
        ("kill -9 $$", &[137], &[], &[], 1),
        ("exit 1", &[7, 8], &[], &[], 3),
        ("exit 8", &[7, 8], &[], &[], 1),
        ("exit 5", &[], &[4, 5], &[], 0),
        ("exit 0", &[0], &[], &[], 1),
        ("echo BAD; exit 4", &[], &[], &["^GOOD", "^BAD$"], 1),
        ("echo BAD >&2", &[], &[], &["it's", "BAD"], 1),
        ("echo fine", &[], &[], &["BAD"], 0),
        // The command is shown, and is no part of what it prints.
        ("true BAD", &[], &[], &["BAD"], 0),
        ("echo fine; exit 1", &[], &[], &["BAD"], 3),
        ("echo BAD; exit 4", &[5], &[], &["BAD"], 3),
        ("echo 7; exit 4", &[4], &[], &[r"\d"], 3),
    ];
    for (command, fail, pass, regexes, want) in table {
        let codes = |flag: &str, codes: &[i32]| codes.iter().flat_map(|c| [flag.to_string(), c.to_string()]).collect();
        let mut flags: Vec<String> = codes("--fail-code", fail);
        flags.extend::<Vec<String>>(codes("--pass-code", pass));
        flags.extend(regexes.iter().flat_map(|r| ["--fail-regex".to_string(), r.to_string()]));
        Shop::new(check(&format!("test -s {{model}} && {command}"), &flags)).gives(&[], want);
    }
}

#[cfg(unix)]
#[test]
fn programs_may_be_elsewhere() {
    let shop = Shop::new(compare("ort:fp16")).with("my layerdiff", "exit 1");
    let absolute = shop.home.path().join("bin/my layerdiff");
    for program in [absolute.as_path(), Path::new("bin/my layerdiff"), Path::new("./bin/my layerdiff")] {
        let mut command = Command::new("sh");
        command.arg(shop.folder().join("repro.sh")).env("LAYERDIFF", program).current_dir(shop.home.path());
        assert_eq!(command.output().unwrap().status.code(), Some(1), "{}", program.display());
    }
}
