//! The folder as a whole, and every file of it to the byte.

use std::fs;
use std::process::Command;

use prost::Message;

use super::*;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use crate::tensor::DType;

/// A decomposed LayerNorm, a TopK behind it; `names` in place of the nodes' own.
fn proto(names: &[(&str, &str)]) -> ModelProto {
    let name = |n: &str| names.iter().find(|(old, _)| *old == n).map_or(n.to_string(), |(_, new)| new.to_string());
    let node = |op: &str, n: &str, inputs: &[&str], outputs: &[&str]| NodeProto::new(op, &name(n), inputs, outputs);
    let nodes = vec![
        node("ReduceMean", "mean", &["x"], &["m"]),
        node("Sub", "sub", &["x", "m"], &["s"]),
        node("Pow", "pow", &["s", "two"], &["p"]),
        node("ReduceMean", "var", &["p"], &["v"]),
        node("Add", "add", &["v", "eps"], &["a"]),
        node("Sqrt", "sqrt", &["a"], &["r"]),
        node("Div", "div", &["s", "r"], &["d"]),
        node("TopK", "top", &["d", "k"], &["values", "indices"]).with(AttributeProto::int("axis", 1)),
    ];
    let input = ["x", "two", "eps"].map(|n| ValueInfoProto::tensor(n, DType::Float32, &[1, 4]));
    let input = [&input[..], &[ValueInfoProto::tensor("k", DType::Int64, &[1])]].concat();
    let output = ["values", "indices"].map(ValueInfoProto::bare).to_vec();
    let graph = GraphProto { node: nodes, input, output, ..Default::default() };
    ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
}

/// Writes the overrides of `proto(names)`: pow, add and top; gives the folder of everything.
fn written(names: &[(&str, &str)], low: Precision) -> (tempfile::TempDir, BTreeMap<String, String>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.onnx");
    fs::write(&path, proto(names).encode_to_vec()).unwrap();
    let source = Model::load(&path).unwrap();
    let graph = Graph::new(&source.proto).unwrap();
    let types = [("p", DType::Float32), ("values", DType::Float32), ("indices", DType::Int64)];
    let types = types.into_iter().map(|(t, d)| (t.to_string(), d)).collect();
    let group = Group { title: "LayerNorm\n`mean`".into(), nodes: vec![2, 4] };
    let story = Story {
        verified: true,
        limited: false,
        measure: "max abs".into(),
        error_before: f64::INFINITY,
        error_after: 0.5,
        groups: vec![group],
    };
    let o = Override {
        source: &source,
        model: &source.proto,
        graph: &graph,
        types: &types,
        kept: &[7, 2, 4, 2],
        low,
        mixed: Some(source.proto.clone()),
        story,
    };
    let files = write(&home.path().join("overrides"), &o).unwrap();
    (home, files)
}

/// A file, with the model's folder as HOME.
fn read(home: &tempfile::TempDir, file: &str) -> String {
    let text = fs::read_to_string(home.path().join("overrides").join(file)).unwrap();
    text.replace(home.path().canonicalize().unwrap().to_str().unwrap(), "HOME")
}

fn listed(home: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(home.path().join("overrides")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn goldens() {
    let (home, files) = written(&[], Precision::Fp16);
    let want = [
        "README.md",
        "model.mixed.onnx",
        "modelopt_autocast.args",
        "nodes.json",
        "ort_float16.json",
        "trt_network.py",
        "trtexec.args",
    ];
    assert_eq!(listed(&home), want);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["modelopt", "nodes", "onnx", "onnxruntime", "polygraphy", "readme", "trtexec"]
    );
    assert!(files.values().all(|f| Path::new(f).is_file()));
    assert_eq!(read(&home, "nodes.json"), include_str!("golden/nodes.json"));
    assert_eq!(read(&home, "trtexec.args"), include_str!("golden/trtexec.args"));
    assert_eq!(read(&home, "modelopt_autocast.args"), include_str!("golden/modelopt_autocast.args"));
    assert_eq!(read(&home, "ort_float16.json"), include_str!("golden/ort_float16.json"));
    assert_eq!(read(&home, "trt_network.py"), include_str!("golden/trt_network.py"));
    assert_eq!(read(&home, "README.md"), include_str!("golden/README.md"));
    assert!(Model::load(&home.path().join("overrides/model.mixed.onnx")).is_ok());
}

#[test]
fn bfloat16_has_no_float16_list() {
    let (home, files) = written(&[], Precision::Bf16);
    assert!(!files.contains_key("onnxruntime") && !listed(&home).contains(&"ort_float16.json".to_string()));
    assert!(read(&home, "trtexec.args").contains("\n--bf16\n"));
    assert!(read(&home, "modelopt_autocast.args").contains("--low_precision_type=bf16"));
}

#[test]
fn tf32_has_a_model_and_a_page_and_no_arguments() {
    let (home, files) = written(&[], Precision::Tf32);
    assert_eq!(listed(&home), ["README.md", "model.mixed.onnx", "nodes.json"]);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["nodes", "onnx", "readme"]);
    let page = read(&home, "README.md");
    for want in ["others run in tf32", "three products", "`use_tf32=0`", "`--noTF32`", "`NVIDIA_TF32_OVERRIDE=0`"] {
        assert!(page.contains(want), "lacks {want}:\n{page}");
    }
    assert!(!page.contains("trtexec.args") && read(&home, "nodes.json").contains("\"low\": \"tf32\""), "{page}");
    let (home, _) = written(&[("pow", "")], Precision::Tf32);
    assert!(read(&home, "README.md").contains("`model.named.onnx` is the same model"));
}

#[test]
fn names_are_made_first_where_they_lack() {
    let (home, files) = written(&[("pow", ""), ("add", "div")], Precision::Fp16);
    assert!(files["named"].ends_with("model.named.onnx"));
    let named = Model::load(Path::new(&files["named"])).unwrap();
    let names: Vec<&str> = named.proto.graph.as_ref().unwrap().node.iter().map(|n| n.name()).collect();
    assert_eq!(names, ["mean", "sub", "node_of_p", "var", "div", "sqrt", "div_1", "top"]);
    assert!(read(&home, "trtexec.args").starts_with("--onnx=model.named.onnx\n"));
    assert!(read(&home, "trtexec.args").contains("--layerPrecisions=node_of_p:fp32,div:fp32,top:fp32\n"));
    assert!(read(&home, "README.md").contains("2 nodes had no name"));
}

#[test]
fn hostile_names_break_no_file() {
    let (pow, add, top) = ("a'$(touch owned)\"\n\"\"\"", "b,c*\\", "`é\u{1f600}` ${x}");
    let (home, files) = written(&[("pow", pow), ("add", add), ("top", top)], Precision::Fp16);
    for file in ["nodes.json", "ort_float16.json"] {
        let json: serde_json::Value = serde_json::from_str(&read(&home, file)).unwrap();
        let list = json["node_block_list"].as_array().or(json["nodes"].as_array()).unwrap();
        let names: Vec<&str> = list.iter().map(|n| n.as_str().or(n["name"].as_str()).unwrap()).collect();
        assert_eq!(names, [pow, add, top], "{file}");
    }
    assert!(read(&home, "trtexec.args").contains("--layerPrecisions=`é\u{1f600}` ${x}:fp32\n"));
    let page = read(&home, "README.md");
    assert!(page.contains("It is not told of: `a'$(touch owned)\" \"\"\"`, `b,c*\\`."), "{page}");
    // Every line of arguments is one argument in the end, whatever is in it.
    let shell = "mapfile -t args < trtexec.args && printf '%s\\n' \"${args[@]}\"";
    let bash = Command::new("bash").args(["-c", shell]).current_dir(home.path().join("overrides")).output().unwrap();
    let given = fs::read_to_string(&files["trtexec"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout), given);
    assert!(!home.path().join("overrides/owned").exists());
}

#[test]
fn python_agrees_with_the_script_and_the_patterns() {
    let names = ["a.b", "a+b", "a\\d", "(a)", "a\n", "é 中\u{1f600}", "^a$", ""];
    let pairs: Vec<(String, String)> = names.iter().map(|n| (n.to_string(), anchored(n))).collect();
    let program = "import json, re, sys, py_compile\n\
                   py_compile.compile('trt_network.py', cfile='out.pyc', doraise=True)\n\
                   pairs = json.loads(sys.argv[1])\n\
                   names = [n for n, _ in pairs] + ['aXb', 'aab', 'a1', 'a', '^a$\\n', 'a.b.c']\n\
                   for name, pattern in pairs:\n    assert [n for n in names if re.match(pattern, n)] == [name], pattern\n\
                   print('right')";
    let (home, _) = written(&[("pow", "a'\"\\\n")], Precision::Fp16);
    let mut python = Command::new("python3");
    python.args(["-c", program, &serde_json::to_string(&pairs).unwrap()]).current_dir(home.path().join("overrides"));
    let done = python.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "right\n", "{}", String::from_utf8_lossy(&done.stderr));
}
