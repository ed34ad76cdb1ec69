//! `layerdiff stages`: a pipeline on real runtimes; the first stage that breaks, what is said to run next, and what that finds.

mod common;

use std::path::Path;

use common::{Run, layerdiff, program, real_model, testdata};
use layerdiff::found::Verdict;
use layerdiff::found::stages::Stages;
use layerdiff::load::npz;
use layerdiff::tensor::{Tensor, Tensors};

fn stages(model: &Path, args: &[&str]) -> Run {
    layerdiff("stages", model, args)
}

fn found(run: &Run) -> Stages {
    let path = run.dir.path().join("out/stages.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{e}: {}", run.stderr))).unwrap()
}

fn verdicts(found: &Stages) -> Vec<(&str, Verdict, Option<Verdict>)> {
    let of = |s: &'_ layerdiff::found::stages::Stage| s.against_previous.as_ref().map(|against| against.verdict);
    found.stages.iter().map(|stage| (stage.name.as_str(), stage.verdict, of(stage))).collect()
}

/// The float model is good, its FP16 too, the quantised file has a scale that is off: bisect finds that node between the two.
#[test]
fn the_quantised_file_is_the_first_to_break() {
    let (model, inputs) = (testdata("qdq_bad_scale/model.onnx"), testdata("qdq_bad_scale/inputs.npz"));
    let qdq = format!("qdq=ort@{}", testdata("qdq_bad_scale/candidate.onnx").display());
    let inputs = inputs.to_str().unwrap();
    let run =
        stages(&model, &["--stage", "fp32=ort", "--stage", "fp16=ort:fp16", "--stage", &qdq, "-i", inputs, "--bisect"]);
    let found = found(&run);
    use Verdict::*;
    let want = [("fp32", Agreed, None), ("fp16", Agreed, Some(Agreed)), ("qdq", Diverged, Some(Diverged))];
    assert_eq!((run.status, verdicts(&found).as_slice()), (1, &want[..]), "{}", run.stderr);
    assert_eq!(found.first_broken.as_deref(), Some("qdq"));
    let next = found.next.join(" ");
    let spec = qdq.strip_prefix("qdq=").unwrap();
    let model = model.display();
    let said = format!("layerdiff bisect {model} --candidate {spec} --reference ort:fp16 --inputs {inputs}");
    assert_eq!(next, said);
    let bisected = found.bisect.unwrap();
    assert_eq!(bisected.verdict, Diverged);
    assert!(!bisected.culprits.is_empty() && bisected.cause.unwrap().starts_with("cause: "), "{}", run.stdout);
    assert!(Path::new(&bisected.report).is_file() && run.wrote("stages.html") && run.wrote("stages.md"));
    for want in ["stage 'qdq' is the first of 3 stages", "'fp16' before it still agrees", "culprit"] {
        assert!(run.stdout.contains(want), "{want} is missing in {}", run.stdout);
    }
}

/// What a framework saved is a stage as well; a wrong one breaks, and what follows it is compared with it too.
#[test]
fn saved_outputs_are_a_stage() {
    let model = testdata("wrong_axis/model.onnx");
    let inputs = testdata("wrong_axis/inputs.npz");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("framework.npz");
    let first = layerdiff("compare", &model, &["-c", "ort", "-i", inputs.to_str().unwrap()]);
    let outputs = first.report().outputs;
    let zeros = |o: &layerdiff::found::TensorResult| {
        let count: usize = o.shape.iter().product();
        (o.name.clone(), Tensor::f32(&o.shape, &vec![0.5; count]))
    };
    npz::write(&file, &outputs.iter().map(zeros).collect::<Tensors>()).unwrap();
    let framework = format!("framework=saved:{}", file.display());
    let run = stages(&model, &["--stage", &framework, "--stage", "onnx=ort", "-i", inputs.to_str().unwrap()]);
    let found = found(&run);
    use Verdict::*;
    let want = [("framework", Diverged, None), ("onnx", Agreed, Some(Diverged))];
    assert_eq!((run.status, verdicts(&found).as_slice()), (1, &want[..]), "{}", run.stderr);
    assert!(found.why.unwrap().contains("no stage before it agrees"));
}

/// Each row of the data beside its true class, in every stage.
#[test]
fn true_classes_are_counted() {
    let model = real_model("opennsfw.onnx");
    let inputs = real_model("opennsfw.npz");
    let dir = tempfile::tempdir().unwrap();
    let (labels, truth) = (dir.path().join("labels.txt"), dir.path().join("truth.txt"));
    std::fs::write(&labels, "safe\nother\n").unwrap();
    std::fs::write(&truth, "other\n").unwrap();
    let [labels, truth, inputs] = [&labels, &truth, &inputs].map(|path| path.to_str().unwrap());
    let args = ["--stage", "fp32=ort", "--stage", "bf16=ort:bf16", "-i", inputs, "--labels", labels, "--truth", truth];
    let run = stages(&model, &args);
    let found = found(&run);
    let told = found.truth.unwrap();
    assert_eq!(told.accuracy.iter().map(|a| a.stage.as_str()).collect::<Vec<_>>(), ["reference", "fp32", "bf16"]);
    assert_eq!((told.rows.len(), told.rows[0].truth.as_str(), told.parting.len()), (1, "other", 0));
    assert!(told.rows[0].said[0].seconds.is_some() && told.rows[0].said[2].seconds.is_none(), "{told:?}");
    assert!(run.stdout.contains("top-1"), "{}", run.stdout);
    // One class too many is a mistake.
    std::fs::write(truth, "other\nsafe\n").unwrap();
    let wrong = stages(&model, &args);
    assert_eq!(wrong.status, 2);
    assert!(wrong.stderr.contains("it has 2 true classes for 1 rows of"), "{}", wrong.stderr);
}

#[test]
fn what_is_no_pipeline_is_told() {
    let model = testdata("wrong_axis/model.onnx");
    for (args, want) in [
        (&["--stage", "ort", "--stage", "ort"][..], "two stages are called 'ort'"),
        (&["--stage", "ort", "-c", "ort:fp16"], "leave --candidate out"),
        (&["--stage", "a=ortt"], "ortt"),
        (&[], "--stage"),
    ] {
        let run = stages(&model, args);
        assert_eq!((run.status, run.stderr.contains(want)), (2, true), "{args:?}: {}", run.stderr);
    }
}

/// A stage that cannot run is no agreement, and the others are still told.
#[test]
fn a_stage_that_fails_is_told() {
    let model = testdata("wrong_axis/model.onnx");
    let inputs = testdata("wrong_axis/inputs.npz");
    let run = stages(
        &model,
        &[
            "--stage",
            "exec:false {model} {inputs} {outputs}",
            "--stage",
            "fp16=ort:fp16",
            "-i",
            inputs.to_str().unwrap(),
        ],
    );
    let found = found(&run);
    assert_eq!(
        (run.status, found.stages[0].verdict, found.stages[1].verdict),
        (3, Verdict::Inconclusive, Verdict::Agreed)
    );
    assert!(run.stdout.contains("no answer"), "{}", run.stdout);
}

/// A missing engine, a broken file, a provider that nobody knows, stored outputs that are absent or of another model: each is told
/// in its own row, and the others are compared.
#[test]
fn a_stage_that_cannot_be_loaded_is_told_in_its_row() {
    let (model, inputs) = (testdata("wrong_axis/model.onnx"), testdata("wrong_axis/inputs.npz"));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("broken.onnx"), "no model").unwrap();
    npz::write(Path::new(&at("other.npz")), &Tensors::from_iter([("other".to_string(), Tensor::f32(&[1], &[0.0]))]))
        .unwrap();
    let stages_of = [
        ("fp32", "ort".to_string()),
        ("missing", format!("ort@{}", at("missing.onnx"))),
        ("after", "ort".to_string()),
        ("broken", format!("ort@{}", at("broken.onnx"))),
        ("provider", "ort-cudda".to_string()),
        ("engine", format!("trt@{}", at("model.plan"))),
        ("absent", format!("saved:{}", at("absent.npz"))),
        ("other", format!("saved:{}", at("other.npz"))),
        ("fp16", "ort:fp16".to_string()),
    ];
    let mut args = vec!["-i".to_string(), inputs.display().to_string()];
    args.extend(stages_of.iter().flat_map(|(name, spec)| ["--stage".to_string(), format!("{name}={spec}")]));
    // No library of TensorRT, whatever this machine has.
    args.extend(["--trt-library".to_string(), at("libnvinfer.so")]);
    let run = stages(&model, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let told = found(&run);
    use Verdict::*;
    let row = |name, verdict| (name, verdict, None);
    let mut want: Vec<_> = stages_of.iter().map(|(name, _)| row(*name, Inconclusive)).collect();
    for agreed in [0, 2, 8] {
        want[agreed].1 = Agreed;
    }
    assert_eq!((run.status, verdicts(&told)), (3, want), "{}", run.stderr);
    let page = |name: &str| std::fs::read_to_string(run.dir.path().join("out").join(name)).unwrap();
    let (markdown, html) = (page("stages.md"), page("stages.html"));
    for (stage, want) in [
        ("missing", "correct its path in --stage"),
        ("broken", "broken.onnx"),
        ("provider", "did you mean 'ort-cuda'"),
        ("engine", "libnvinfer.so"),
        ("absent", "absent.npz"),
        ("other", "holds none of"),
    ] {
        let why = told.stages.iter().find(|one| one.name == stage).and_then(|one| one.why.clone()).unwrap();
        assert!(why.contains(want) && !why.contains('\n'), "{stage}: {why}");
        let words: String = run.stdout.split_whitespace().collect();
        assert!(words.contains(&format!("stage'{stage}':")), "{}", run.stdout);
        assert!(markdown.contains(&format!("'{stage}'")) && html.contains(stage), "{markdown}");
    }
    assert!(told.stages[1].backend.spec.contains("missing.onnx") && told.next.is_empty(), "{}", run.stdout);
}

/// One that diverges decides, whatever else could not be loaded; a reference or a flag that is wrong is a mistake.
#[test]
fn what_no_row_can_tell_is_a_mistake() {
    let (model, inputs) = (testdata("qdq_bad_scale/model.onnx"), testdata("qdq_bad_scale/inputs.npz"));
    let qdq = format!("qdq=ort@{}", testdata("qdq_bad_scale/candidate.onnx").display());
    let inputs = inputs.to_str().unwrap();
    let pipeline = ["--stage", "fp16=ort:fp16", "--stage", "gone=ort@gone.onnx", "--stage", &qdq, "-i", inputs];
    let run = stages(&model, &pipeline);
    let told = found(&run);
    assert_eq!((run.status, told.first_broken.as_deref()), (1, Some("qdq")), "{}", run.stderr);
    assert!(told.why.is_some_and(|why| why.contains("'gone' between them gave no answer")), "{}", run.stdout);
    for (args, want) in [
        (&["--reference", "ort@gone.onnx"][..], "gone.onnx"),
        (&["--outputs", "logitz"], "did you mean 'logits'"),
        (&["--labels", "gone.txt"], "gone.txt"),
    ] {
        let run = stages(&model, &[&pipeline, args].concat());
        assert_eq!((run.status, run.stderr.contains(want)), (2, true), "{args:?}: {}", run.stderr);
    }
}

/// The reason outlives the shards.
#[test]
fn a_stage_that_no_shard_can_load_is_told_in_the_whole() {
    let (model, inputs) = (testdata("wrong_axis/model.onnx"), testdata("wrong_axis/inputs.npz"));
    let inputs = inputs.to_str().unwrap();
    let pipeline = ["--stage", "gone=ort@gone.onnx", "--stage", "ort", "-i", inputs, "-i", inputs];
    let shards = ["1/2", "2/2"].map(|shard| stages(&model, &[&pipeline[..], &["--shard", shard]].concat()));
    let dir = tempfile::tempdir().unwrap();
    let mut merge = program();
    merge.arg("merge").args(shards.iter().map(|run| run.dir.path().join("out"))).arg("-o").arg(dir.path());
    let said = merge.output().unwrap();
    let said = (said.status.code(), String::from_utf8_lossy(&said.stdout).into_owned());
    assert!(said.0 == Some(3) && said.1.contains("stage 'gone': cannot open gone.onnx"), "{said:?}");
}

/// Before any model is loaded.
#[test]
fn a_folder_that_takes_no_report_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let run = program().args(["stages", "gone.onnx", "--stage", "ort", "-o", file.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!((run.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("name another folder with -o"), "{said}");
}

/// One run a sample tells little: repeated ones are of the first sample, and of what has a time of its own.
#[test]
fn repeated_runs_where_they_are_asked_for() {
    let (model, inputs) = (testdata("healthy_transformer/model.onnx"), testdata("healthy_transformer/inputs.npz"));
    let args = ["--stage", "fp32=ort", "--stage", "fp16=ort:fp16", "-i", inputs.to_str().unwrap()];
    let of = |more: &[&str]| found(&stages(&model, &[&args[..], more].concat())).stages;
    let asked = of(&["--latency=7"]);
    let own = asked[0].latency.as_ref().unwrap();
    assert!(own.runs == 7 && own.each.len() == 7 && own.least.0 > 0.0 && own.median.0 <= own.most.0, "{own:?}");
    assert_eq!(asked[1].latency, None, "an emulation has no time of its own");
    assert_eq!(of(&[])[0].latency.as_ref().unwrap().runs, 1, "its data is one sample");
    let split = stages(&model, &[&args[..], &["--latency", "--shard", "1/2"]].concat());
    assert!(split.status == 2 && split.stderr.contains("--latency repeats the runs of one sample"), "{}", split.stderr);
}
