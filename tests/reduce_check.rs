//! `layerdiff reduce --check`: the acceptance cases of an external check, and every way in which a check can be useless.

mod common;

#[path = "reduce/check_bodies.rs"]
mod bodies;
#[path = "reduce/bundle.rs"]
mod bundle;
#[path = "reduce/check_data.rs"]
mod data;
#[path = "reduce/check_names.rs"]
mod names;
#[path = "reduce/check_runs.rs"]
mod runs;
#[path = "reduce/check_useless.rs"]
mod useless;

use std::path::{Path, PathBuf};

use bundle::{Bundle, onnx_accepts, reproducers};
use common::{Run, layerdiff, testdata};
use layerdiff::found::{Reduced, Verdict};
use layerdiff::load::Model;

/// The acceptance models of testdata/reduce/, in which no tensor is called like a node.
fn model(name: &str) -> PathBuf {
    testdata("reduce").join(name)
}

/// A check that fails where the model holds all these nodes.
fn all_of(nodes: &[&str]) -> String {
    let each: Vec<String> = nodes.iter().map(|n| format!("grep -q {n} {{model}}")).collect();
    format!("{} && exit 1; exit 0", each.join(" && "))
}

/// A shell command that is true where the model holds a node of this name, by the bytes of `NodeProto.name` and of the tag
/// behind: tensors may be called like it. (-z: a length of ten is a newline to grep.)
fn holds(node: &str) -> String {
    format!("LC_ALL=C grep -qazP '\\x1a\\x{:02x}{node}\\x22' {{model}}", node.len())
}

/// A check that evaluates an expression over the model's bytes and the data.
fn ask(expression: &str) -> String {
    format!("python3 '{}' {{model}} {{inputs}} '{expression}'", model("ask.py").display())
}

fn reduce(model: &Path, check: &str, more: &[&str]) -> Run {
    layerdiff("reduce", model, &[&["--check", check], more].concat())
}

/// What a run must leave behind: a minimal reproducer for each of `nodes`, all of them sound and true.
fn cut_out(source: &Path, run: &Run, nodes: &[&[&str]]) -> Vec<Bundle> {
    assert_eq!(run.status, 1, "{}\n{}", run.stdout, run.stderr);
    let report = run.report();
    assert_eq!((report.verdict, report.reproducers.len() == 1), (Verdict::Diverged, false));
    let made = reproducers(&report);
    let names: Vec<&Vec<String>> = made.iter().map(|r| &r.names).collect();
    assert_eq!(names, nodes, "{}", run.stdout);
    let source = Model::load(source).unwrap();
    let whole = |(number, told): (usize, &Reduced)| {
        let name = if number == 0 { "reduced".to_string() } else { format!("reduced_{}", number + 1) };
        let bundle = Bundle::read(&run.dir.path().join("out").join(name)).unwrap();
        bundle.is_told(told).unwrap();
        bundle.is_part_of(&source).unwrap();
        assert!(told.reproduces && told.minimal && told.culprit.is_none(), "{told:?}");
        let (status, text) = bundle.replay(&[]);
        assert_eq!(status, 1, "{text}");
        bundle
    };
    made.iter().enumerate().map(whole).collect()
}

/// The inputs and initializers of the reproducer's model, sorted.
fn given(bundle: &Bundle) -> Vec<&str> {
    let mut names: Vec<&str> = bundle.graph().given().collect();
    names.sort_unstable();
    names
}

#[test]
fn every_row_of_the_acceptance_table() {
    let source = model("graph_r.onnx");
    let rows: [&[&str]; 8] = [&["n1"], &["n3"], &["n5"], &["n9"], &["n7"], &["n1", "n3"], &["n7", "n9"], &["n1", "n9"]];
    let runs: Vec<Run> = rows.iter().map(|row| reduce(&source, &all_of(row), &[])).collect();
    let bundles: Vec<Bundle> = rows.iter().zip(&runs).flat_map(|(row, run)| cut_out(&source, run, &[row])).collect();
    for (row, run) in rows.iter().zip(&runs) {
        let checks = run.report().reduced.unwrap().probes;
        assert!(checks <= 19, "{checks} checks for {row:?}");
    }
    onnx_accepts(&bundles.iter().map(|b| b.folder.join("model.onnx")).collect::<Vec<_>>());
}

#[test]
fn two_independent_faults_have_a_folder_each() {
    let source = model("graph_r.onnx");
    let check = "{ grep -q n1 {model} || grep -q n9 {model}; } && exit 1; exit 0";
    let run = reduce(&source, check, &[]);
    cut_out(&source, &run, &[&["n1"], &["n9"]]);
    assert!(!run.wrote("reduced_3"));
    assert!(run.stdout.contains("2 independent faults"), "{}", run.stdout);
}

#[test]
fn what_constants_feed_needs_no_inputs() {
    let source = model("constants.onnx");
    for (node, needs) in [("faulty", ["k"].as_slice()), ("folded", &["w"]), ("source", &[])] {
        let run = reduce(&source, &all_of(&[node]), &[]);
        let bundles = cut_out(&source, &run, &[&[node]]);
        assert!(bundles[0].graph().input.is_empty() && bundles[0].inputs.is_empty(), "{:?}", bundles[0].inputs);
        assert_eq!(given(&bundles[0]), needs);
    }
}

/// One node in the middle of every model of testdata/: of any type, with weights elsewhere, with open shapes, with strings.
#[test]
fn one_node_of_every_model() {
    let (mut runs, mut models) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let source = folder.join("model.onnx");
        if !source.exists() {
            continue;
        }
        let nodes = Model::load(&source).unwrap().proto.graph.unwrap().node;
        let named: Vec<&str> = nodes.iter().map(|n| n.name()).filter(|n| !n.is_empty()).collect();
        let Some(node) = named.get(named.len() / 2) else { continue };
        let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path().display().to_string());
        let mut samples: Vec<String> = files.filter(|p| p.ends_with(".npz")).collect();
        samples.sort();
        let inputs: Vec<&str> = samples.iter().flat_map(|s| ["-i", s.as_str()]).collect();
        let run = reduce(&source, &format!("{} && exit 1; exit 0", holds(node)), &inputs);
        models.extend(cut_out(&source, &run, &[&[node]]).iter().map(|b| b.folder.join("model.onnx")));
        runs.push(run);
    }
    assert!(models.len() >= 25, "only {} models were found", models.len());
    onnx_accepts(&models);
}

#[test]
fn the_first_of_three_hundred_nodes() {
    let source = model("chain.onnx");
    for (node, input) in [("link000", "x"), ("link150", "t149")] {
        let run = reduce(&source, &all_of(&[node]), &[]);
        let bundles = cut_out(&source, &run, &[&[node]]);
        assert_eq!(given(&bundles[0]), [input]);
        let checks = run.report().reduced.unwrap().probes;
        assert!(checks <= 20, "{checks} checks");
    }
}

#[test]
fn what_fails_can_be_told() {
    let source = model("graph_r.onnx");
    let here = "grep -q n5 {model}";
    let crash = format!("{here} && kill -SEGV $$; exit 0");
    cut_out(&source, &reduce(&source, &crash, &["--fail-code", "139"]), &[&["n5"]]);
    let words = format!("{here} && {{ echo 'Error 7: bad node' >&2; exit 9; }}; exit 9");
    let run = reduce(&source, &words, &["--fail-regex", "^Error [0-9]: bad", "--pass-code", "9"]);
    cut_out(&source, &run, &[&["n5"]]);
    let both = format!("{here} && {{ echo bad; exit 4; }}; grep -q n7 {{model}} && echo bad; exit 0");
    cut_out(&source, &reduce(&source, &both, &["--fail-regex", "bad", "--fail-code", "4"]), &[&["n5"]]);
    // 5 passes: without that, nothing would be proved to pass.
    let passing = format!("{here} && exit 1; exit 5");
    cut_out(&source, &reduce(&source, &passing, &["--pass-code", "5"]), &[&["n5"]]);
    let unknown = reduce(&source, &format!("{here} && exit 1; grep -q n {{model}} && exit 5; exit 0"), &[]);
    assert_eq!((unknown.status, unknown.report().reduced.unwrap().names), (1, vec!["n5".to_string()]));
}
