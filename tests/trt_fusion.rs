//! `bisect --by fusion` on the test doubles of TensorRT: which tensors, made outputs, cure an engine that is wrong where nodes are
//! fused; and on real sessions of ONNX Runtime that are wrong by what their optimizers fuse.

mod common;
#[path = "trt_search/network.rs"]
mod network;
#[path = "trt_search/on_double.rs"]
mod on_double;

use common::{Run, case, testdata};
use layerdiff::found::{Fusion, FusionAnswer, Sure};
use layerdiff::load::Model;
use on_double::run;

const BY_FUSION: &str = "bisect --candidate trt --by fusion";

/// The run of a fault that outputs cure, and what was found.
fn cured(version: u32, fault: &str, folder: &tempfile::TempDir) -> (Run, Fusion) {
    let (model, data) = network::deep(folder.path(), 60);
    let run = run(version, fault, BY_FUSION, &model, &data);
    assert_eq!(run.status, 1, "TensorRT {version}, {fault}: {}{}", run.stdout, run.stderr);
    let found = run.report().fusion.unwrap();
    assert_eq!((found.answer, found.verified, found.minimal), (FusionAnswer::Cured, true, true), "{fault}: {found:?}");
    (run, found)
}

#[test]
fn the_tensors_between_what_must_not_be_fused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |version: u32, fault: &str, sets: &[&[&str]]| {
        let (run, found) = cured(version, fault, &folder);
        assert!(sets.iter().any(|set| found.tensors == *set), "TensorRT {version}, {fault}: {found:?}");
        assert!(found.trials < 30 && found.of == 59, "{found:?}");
        let price = found.latency.as_ref().expect("an engine has a time of its own");
        assert!(price.before.median.0 > 0.0 && price.after.median.0 > 0.0);
        let report = run.report();
        assert!(report.culprits.is_empty() && report.tensors.len() <= 1, "no tensor inside is looked at");
        let told = "it agrees, and built again without it diverges";
        assert!(run.stdout.starts_with("diverged: with ") && run.stdout.contains("latency"), "{}", run.stdout);
        for page in ["report.html", "report.md"] {
            let text = std::fs::read_to_string(run.dir.path().join("out").join(page)).unwrap();
            assert!(text.contains(told), "{page}: {text}");
        }
    };
    for version in [10, 11] {
        check(version, "wrong_pair=matmul_3+add_3", &[&["matmul_out_3"]]);
        // Between the first and the last of a layer either tensor keeps them apart.
        check(version, "wrong_pair=matmul_3+relu_3", &[&["matmul_out_3"], &["add_out_3"]]);
    }
    check(11, "wrong_pair=matmul_3+add_3;wrong_pair=matmul_12+add_12", &[&["matmul_out_3", "matmul_out_12"]]);
}

#[test]
fn the_model_that_was_written_is_right_in_the_same_engine() {
    let folder = tempfile::tempdir().unwrap();
    let fault = "wrong_pair=matmul_3+add_3;wrong_pair=matmul_12+add_12";
    let (first, found) = cured(11, fault, &folder);
    let file = |consumer: &str| first.dir.path().join(&found.files[consumer]);
    let read = |consumer: &str| std::fs::read_to_string(file(consumer)).unwrap();
    assert_eq!(read("tensors"), "matmul_out_3\nmatmul_out_12\n");
    let command = read("polygraphy");
    assert!(
        command.contains("deep.onnx --trt --trt-outputs relu_out_19 matmul_out_3 matmul_out_12 \"$@\""),
        "{command}"
    );
    assert!(read("polygraphy_script").contains("def postprocess(network):"));
    assert!(read("readme").contains("`matmul_out_3`, `matmul_out_12`"), "{}", read("readme"));
    let marked = Model::load(&file("onnx")).unwrap();
    let outputs: Vec<&str> = marked.proto.graph.as_ref().unwrap().output.iter().map(|output| output.name()).collect();
    assert_eq!(outputs, ["relu_out_19", "matmul_out_3", "matmul_out_12"]);
    let data = folder.path().join("deep.npz");
    let again = run(11, fault, "compare --candidate trt", &file("onnx"), &data);
    assert_eq!(again.status, 0, "{}{}", again.stdout, again.stderr);
}

#[test]
fn what_every_output_does_not_cure_is_told_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let run = run(11, "wrong=relu_7", BY_FUSION, &model, &data);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    let found = report.fusion.unwrap();
    assert_eq!((found.answer, found.trials, found.tensors.len()), (FusionAnswer::Diverges, 1, 0));
    assert!(report.why.unwrap().starts_with("not a matter of fusion: with every tensor an output"));
    assert!(run.stdout.contains("not a matter of fusion"), "{}", run.stdout);
    assert!(!run.wrote("fusion"));
}

#[test]
fn a_search_that_marks_disturb_chooses_it_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let found = |fault: &str| run(10, fault, "bisect --candidate trt --no-reduce", &model, &data).report();
    let report = found("wrong_pair=matmul_3+add_3");
    let fusion = report.fusion.unwrap();
    assert!(fusion.is_shown() && fusion.tensors == ["matmul_out_3"], "{fusion:?}");
    assert!(fusion.trials < 8, "{fusion:?}");
    let [cause] = &report.culprits[0].diagnosis[..] else { panic!("{:?}", report.culprits) };
    assert_eq!((cause.code.as_str(), cause.sure), ("fusion", Sure::Shown));
    assert_eq!(found("wrong=relu_7").fusion, None, "marks disturb nothing");
}

#[test]
fn precisions_are_those_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    for (version, flag) in [(10, "--fp16"), (11, "")] {
        let run = run(version, "wrong_pair=matmul_3+add_3", "bisect --candidate trt:fp16 --by fusion", &model, &data);
        let found = run.report().fusion.unwrap();
        assert!(found.is_shown() && found.tensors == ["matmul_out_3"], "TensorRT {version}: {found:?} {}", run.stderr);
        let command = std::fs::read_to_string(run.dir.path().join("out/fusion/polygraphy.sh")).unwrap();
        // TensorRT 11 takes precisions from the model: the file that was written has them.
        let own =
            if flag.is_empty() { " model.onnx --trt --trt-outputs" } else { "deep.onnx --trt --fp16 --trt-outputs" };
        assert!(command.contains(own), "{command}");
    }
}

#[test]
fn who_fuses_nothing_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = network::deep(folder.path(), 60);
    let plain = run(10, "", "bisect --candidate ort:fp16 --by fusion", &model, &data);
    assert_eq!(plain.status, 2, "{}", plain.stdout);
    assert!(plain.stderr.contains("--by fusion builds the candidate again with more outputs"), "{}", plain.stderr);
}

/// An optimizer of ONNX Runtime that fuses two nodes: the tensor between them, made an output, cures.
#[test]
fn a_session_agrees_with_what_the_optimizers_say() {
    let file = testdata("fused_division/candidate.onnx");
    let candidate = if file.exists() { format!("ort@{}", file.display()) } else { "ort".to_string() };
    let run = case("fused_division", &["-c", &candidate, "--by", "fusion"]);
    let found = run.report().fusion.unwrap();
    assert!(found.is_shown() && found.minimal && found.tensors.len() == 1, "{found:?}\n{}", run.stderr);
    let optimizers = case("fused_division", &["-c", &candidate, "--by", "optimizer"]).report().session.unwrap();
    let made = &optimizers.optimizers.unwrap().made[0];
    let marked = Model::load(&run.dir.path().join("out/fusion/model.onnx")).unwrap();
    let graph = marked.proto.graph.as_ref().unwrap();
    let maker = graph.node.iter().find(|node| node.output.contains(&found.tensors[0])).unwrap();
    assert!(made.from.iter().any(|node| node == maker.name()), "{:?} of {made:?}", found.tensors);
    // Polygraphy builds engines of TensorRT.
    assert!(!run.wrote("fusion/polygraphy.sh") && run.wrote("fusion/tensors.txt"));
    // The model's own nodes are wrong: outputs cure nothing.
    let alike = case(
        "wrong_attribute",
        &["-c", &format!("ort@{}", testdata("wrong_attribute/candidate.onnx").display()), "--by", "fusion"],
    );
    assert_eq!(alike.report().fusion.unwrap().answer, FusionAnswer::Diverges);
}
