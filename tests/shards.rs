//! `--shard I/N` and `layerdiff merge`: the merged report is the one of a single run. The recipes of docs/shards.md are run as
//! they stand there.

mod common;

use std::path::Path;
use std::process::Command;

use common::{layerdiff, program, real_model, root, testdata};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Without what a run costs, and the words that started it.
fn plain(mut report: Value) -> Value {
    let keys = report.as_object_mut().unwrap();
    for key in ["command", "seconds", "search", "shard"] {
        keys.shift_remove(key);
    }
    for stage in keys.get_mut("stages").and_then(Value::as_array_mut).into_iter().flatten() {
        let runs = stage["latency"].as_object().map(|latency| latency["runs"].clone());
        stage["latency"] = runs.unwrap_or_default();
    }
    for row in keys.get_mut("truth").and_then(|truth| truth["rows"].as_array_mut()).into_iter().flatten() {
        row["said"].as_array_mut().unwrap().iter_mut().for_each(|said| said["seconds"] = Value::Null);
    }
    report
}

/// Runs all shards and merges them; the report beside that of a single run.
fn check(command: &str, model: &Path, args: &[&str], shards: usize, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut folders = Vec::new();
    for shard in 1..=shards {
        let part = format!("{shard}/{shards}");
        let run = layerdiff(command, model, &[args, &["--shard", &part]].concat());
        assert!([0, 1].contains(&run.status), "{part}: {}", run.stderr);
        let folder = dir.path().join(format!("shard{shard}"));
        std::fs::rename(run.dir.path().join("out"), &folder).unwrap();
        folders.push(folder);
    }
    let whole = layerdiff(command, model, args);
    let merged = dir.path().join("merged");
    let output = program().arg("merge").args(folders.iter().rev()).arg("-o").arg(&merged).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(whole.status), "{said}");
    let (a, b) = (plain(json(&merged.join(name))), plain(json(&whole.dir.path().join("out").join(name))));
    for (key, value) in b.as_object().unwrap() {
        assert_eq!(a.get(key), Some(value), "{command}: {key}");
    }
    assert_eq!(a.as_object().unwrap().len(), b.as_object().unwrap().len());
    // One is missing.
    let output = program().arg("merge").args(&folders[1..]).arg("-o").arg(&merged).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("shard 1/"), "{said}");
}

#[test]
fn samples_of_a_comparison() {
    let model = testdata("wrong_axis/model.onnx");
    let candidate = format!("ort@{}", testdata("wrong_axis/candidate.onnx").display());
    check("compare", &model, &["-c", &candidate, "--samples", "6"], 4, "report.json");
    let inputs = real_model("opennsfw.npz");
    let inputs = inputs.to_str().unwrap();
    check("compare", &real_model("opennsfw.onnx"), &["-c", "ort:fp16", "-i", inputs, "-i", inputs], 2, "report.json");
}

#[test]
fn samples_of_a_pipeline_with_true_classes() {
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.txt");
    std::fs::write(&truth, "0\n1\n0\n").unwrap();
    let model = real_model("opennsfw.onnx");
    let range = ["--range", "0..200", "--shape", "input:0=1x224x224x3"];
    let shape: Vec<&str> = range.to_vec();
    let truth = truth.to_str().unwrap();
    let args =
        [&["--stage", "a=ort", "--stage", "b=ort:bf16", "--samples", "3", "--truth", truth][..], &shape].concat();
    check("stages", &model, &args, 2, "stages.json");
}

#[test]
fn sizes_of_a_sweep_and_nodes_alone() {
    let model = testdata("dynamic_batch/model.onnx");
    let args = ["-c", "ort:fp16"];
    let dim = first_dimension(&model);
    let sweep = format!("{dim}=1,2,3,4,5");
    check("compare", &model, &[&args[..], &["--sweep", &sweep]].concat(), 3, "report.json");
    let (model, inputs) = (testdata("wrong_axis/model.onnx"), testdata("wrong_axis/inputs.npz"));
    let args = ["-c", "ort:fp16", "-i", inputs.to_str().unwrap()];
    check("bisect", &model, &[&args[..], &["--sensitivity", "4", "--no-reduce"]].concat(), 2, "report.json");
    let run = layerdiff("bisect", &model, &[&args[..], &["--shard", "1/2"]].concat());
    assert!(run.status == 2 && run.stderr.contains("not a search"), "{}", run.stderr);
}

/// Shards of other flags are of another run.
#[test]
fn shards_of_different_runs_are_refused() {
    let model = testdata("wrong_axis/model.onnx");
    let args = ["-c", "ort:fp16", "--samples", "4"];
    let one = layerdiff("compare", &model, &[&args[..], &["--shard", "1/2"]].concat());
    let other = layerdiff("compare", &model, &[&args[..], &["--shard", "2/2", "--rtol", "5"]].concat());
    let folders = [one.dir.path().join("out"), other.dir.path().join("out")];
    let dir = tempfile::tempdir().unwrap();
    let output = program().arg("merge").args(&folders).arg("-o").arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("different flags"), "{said}");
    assert!(folders.iter().all(|folder| said.contains(&folder.display().to_string())), "{said}");
}

/// The shards are still there when the merge is made again.
#[test]
fn a_shard_is_not_written_over() {
    let model = testdata("wrong_axis/model.onnx");
    let args = ["-c", "ort:fp16", "--samples", "2"];
    let runs = ["1/2", "2/2"].map(|part| layerdiff("compare", &model, &[&args[..], &["--shard", part]].concat()));
    let folders = runs.each_ref().map(|run| run.dir.path().join("out"));
    let before = std::fs::read(folders[1].join("report.json")).unwrap();
    let elsewhere = folders[1].join("../out");
    let output = program().arg("merge").args(&folders).arg("-o").arg(&elsewhere).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && said.contains("would write over") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(std::fs::read(folders[1].join("report.json")).unwrap(), before);
    std::fs::write(folders[1].join("report.json"), "{").unwrap();
    let output = program().arg("merge").args(&folders).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("out/report.json: not JSON"), "{said}");
}

/// The name of the first open dimension.
fn first_dimension(model: &Path) -> String {
    let run = layerdiff("compare", model, &["-c", "ort:fp16", "--sweep", "nothing=1"]);
    let (_, rest) = run.stderr.split_once("there are ").unwrap_or_else(|| panic!("{}", run.stderr));
    rest.split([',', ';']).next().unwrap().to_string()
}

/// What stands in docs/shards.md in a block of this name, run by bash with these variables.
fn recipe(name: &str, dir: &Path, variables: &[(&str, String)]) {
    let page = std::fs::read_to_string(root().join("docs/shards.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```bash {name}\n")).unwrap();
    let (code, _) = rest.split_once("```").unwrap();
    let bin = dir.join("bin");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let mut bash = Command::new("bash");
    let output = bash.arg("-ec").arg(code).current_dir(dir).env("PATH", path).envs(variables).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn recipes_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_layerdiff"), bin.join("layerdiff")).unwrap();
    // Does what `parallel 'command with {}' ::: words` does, one after the other.
    let parallel =
        "#!/bin/bash\ncode=$1; shift 2; for w in \"$@\"; do bash -c \"${code//\\{\\}/$w}\" || exit 1; done\n";
    std::fs::write(bin.join("parallel"), parallel).unwrap();
    std::fs::set_permissions(bin.join("parallel"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy(testdata("wrong_axis/model.onnx"), dir.path().join("model.onnx")).unwrap();
    std::fs::create_dir(dir.path().join("samples")).unwrap();
    for number in 0..5 {
        let sample = dir.path().join(format!("samples/{number}.npz"));
        std::fs::copy(testdata("wrong_axis/inputs.npz"), sample).unwrap();
    }
    recipe("parallel", dir.path(), &[]);
    assert_eq!(json(&dir.path().join("merged.layerdiff/report.json"))["samples"].as_array().unwrap().len(), 5);
    for (name, variable, first) in [("slurm", "SLURM_ARRAY_TASK_ID", 1), ("kubernetes", "JOB_COMPLETION_INDEX", 0)] {
        (1..=4).for_each(|n| std::fs::remove_dir_all(dir.path().join(format!("shard{n}"))).unwrap());
        (first..first + 4).for_each(|n: usize| recipe(name, dir.path(), &[(variable, n.to_string())]));
        assert!((1..=4).all(|n| dir.path().join(format!("shard{n}/report.json")).is_file()), "{name}");
    }
}
