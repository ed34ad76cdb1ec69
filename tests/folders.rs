//! A folder of samples: arrays in their order, and pictures by a recipe; the worst of them is named.

mod common;
#[path = "common/said.rs"]
mod said;

use common::{layerdiff, python, real_model, run_python, testdata};
use layerdiff::found::Verdict;

/// Four pictures of a real classifier; a candidate that is wrong on the third alone.
#[test]
fn a_folder_of_pictures_and_the_worst_one() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for (number, name) in ["p1.png", "p2.png", "p10.png"].iter().enumerate() {
        let of = |x: u32, y: u32| image::Rgb([(x * 3) as u8, (y * 2) as u8, (number * 100) as u8]);
        image::RgbImage::from_fn(80, 60, of).save(pictures.join(name)).unwrap();
    }
    let model = real_model("opennsfw.onnx");
    let pictures = pictures.to_str().unwrap();
    let recipe = "plain,size=224,layout=nhwc,channels=bgr,mean=104/117/123";
    let run = layerdiff("compare", &model, &["-c", "ort:bf16", "-i", pictures, "--preprocess", recipe]);
    let report = run.report();
    assert_eq!((run.status, report.inputs.samples), (0, 3), "{}", run.stderr);
    let names: Vec<&str> = report.inputs.files.iter().map(|f| f.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["p1.png", "p2.png", "p10.png"]);
    for (args, want) in [
        (&["-i", pictures][..], "say with --preprocess what the model wants"),
        (&["-i", pictures, "--preprocess", "plain,layout=nchw"], "224"),
    ] {
        let wrong = layerdiff("compare", &model, &[&["-c", "ort:bf16"], args].concat());
        assert_eq!((wrong.status, wrong.stderr.contains(want)), (2, true), "{args:?}: {}", wrong.stderr);
    }
}

/// Saved outputs stand in a folder as the inputs do, file by file; one of them is wrong.
#[test]
fn a_folder_of_saved_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let code = "import sys, numpy as np, onnxruntime as rt, pathlib\n\
                m, d, data = sys.argv[1:]\n\
                d = pathlib.Path(d); (d/'in').mkdir(); (d/'out').mkdir()\n\
                s = rt.InferenceSession(m); x = dict(np.load(data))\n\
                for i in range(12):\n\
                \x20   f = {k: (v * (1 + i / 20)).astype(v.dtype) for k, v in x.items()}\n\
                \x20   np.savez(d/'in'/f'{i}.npz', **f)\n\
                \x20   o = s.run(None, f)\n\
                \x20   if i == 10: o = [y + 0.1 for y in o]\n\
                \x20   np.savez(d/'out'/f'{i}.npz', **dict(zip([v.name for v in s.get_outputs()], o)))\n";
    let (model, data) = (real_model("opennsfw.onnx"), real_model("opennsfw.npz"));
    run_python(["-c", code, model.to_str().unwrap(), dir.path().to_str().unwrap(), data.to_str().unwrap()]);
    let inputs = dir.path().join("in");
    let saved = format!("saved:{}", dir.path().join("out").display());
    let run = layerdiff("compare", &model, &["-c", &saved, "-i", inputs.to_str().unwrap()]);
    let report = run.report();
    assert_eq!((run.status, report.verdict, report.samples.len()), (1, Verdict::Diverged, 12), "{}", run.stderr);
    assert!(run.stdout.contains("sample 10 (10.npz)"), "{}", run.stdout);
    // Each shard of the inputs has its own outputs.
    let inputs = inputs.to_str().unwrap();
    let status = |shard: &str| layerdiff("compare", &model, &["-c", &saved, "-i", inputs, "--shard", shard]).status;
    assert_eq!((status("1/2"), status("2/2")), (1, 0));
    // Outputs of other samples are no answer.
    std::fs::rename(dir.path().join("out/3.npz"), dir.path().join("out/33.npz")).unwrap();
    let run = layerdiff("compare", &model, &["-c", &saved, "-i", inputs]);
    assert!(run.status == 2 && run.stderr.contains("store them under the names of the samples"), "{}", run.stderr);
    std::fs::remove_file(dir.path().join("out/33.npz")).unwrap();
    let run = layerdiff("compare", &model, &["-c", &saved, "-i", inputs]);
    assert!(run.status == 2 && run.stderr.contains("11 files of outputs for 12 samples"), "{}", run.stderr);
    let run = layerdiff("compare", &model, &["-c", &saved, "-i", inputs, "--batch-check"]);
    assert!(run.status == 2 && run.stderr.contains("stores the outputs of one size"), "{}", run.stderr);
}

/// Whatever Polygraphy writes of a run is data, and a candidate: files and folders, one runner and two, arrays and raw inputs. Its
/// results are those of ONNX Runtime, so that they agree with the very samples they belong to, and with no others.
#[test]
fn everything_that_polygraphy_writes() {
    let dir = tempfile::tempdir().unwrap();
    let model = testdata("dynamic_batch/model.onnx");
    let polygraphy = |words: &[&str]| {
        let mut command = std::process::Command::new(python().with_file_name("polygraphy"));
        let shown = command.arg("run").arg(&model).args(words).current_dir(dir.path()).output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stdout));
    };
    let run = ["--onnxrt", "--iterations", "3", "--input-shapes", "x:[2,8]"];
    polygraphy(&[&run[..], &["--save-inputs", "in", "--save-outputs", "out", "--save-input-blob", "raw"]].concat());
    polygraphy(&[&run[..], &["--save-inputs", "in.json", "--save-outputs", "out.json"]].concat());
    polygraphy(&[&["--onnxrt"], &run[..], &["--save-outputs", "two.json"]].concat());
    polygraphy(&[&["--onnxrt"], &run[..], &["--save-outputs", "two"]].concat());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let compare = |inputs: &str, saved: &str| {
        let saved = format!("saved:{}", path(saved));
        layerdiff("compare", &model, &["-c", &saved, "-i", &path(inputs)])
    };
    for inputs in ["in", "in.json", "raw"] {
        for saved in ["out", "out.json", "two.json@N1", "two@runner-N0"] {
            let run = compare(inputs, saved);
            let report = run.report();
            assert_eq!((run.status, report.samples.len()), (0, 3), "{inputs} {saved}: {}", run.stderr);
            assert_eq!(report.verdict, Verdict::Agreed, "{inputs} {saved}");
        }
    }
    // One of them.
    assert_eq!(compare("raw/0000000001", "out/0000000001.json").status, 0);
    assert_eq!(compare("raw/0000000001", "out/0000000002.json").status, 1);
    for (saved, want) in [
        ("two.json", "results of several runners"),
        ("two", "say whose with FILE@RUNNER"),
        ("two.json@runner", "is in the names of several runners"),
        ("two@trt", "no results of a runner 'trt'"),
        ("in.json@N0", "leave '@N0' out"),
    ] {
        let run = compare("in", saved);
        assert!(run.status == 2 && run.stderr.contains(want), "{saved}: {} {}", run.status, run.stderr);
    }
}

/// What is kept is read again, by Polygraphy too.
#[test]
fn kept_tensors_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let model = testdata("dynamic_batch/model.onnx");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let inputs = dir.path().join("in.npz");
    run_python([
        "-c",
        "import sys, numpy as np; np.savez(sys.argv[1], x=np.ones((2, 8), np.float32))",
        &path("in.npz"),
    ]);
    let inputs = inputs.to_str().unwrap();
    for kept in ["kept.npz", "kept.json", "kept.txt", "kept.safetensors"] {
        let run = layerdiff("compare", &model, &["-c", "ort:fp16", "-i", inputs, "--save-tensors", &path(kept)]);
        assert!(run.status <= 1 && dir.path().join(kept).is_file(), "{kept}: {}", run.stderr);
    }
    let inspected = |kept: &str, other: &str| {
        let said = said::inspect(&dir.path().join(kept), &["--against", &path(other)]);
        assert_eq!(said.status, 0, "{kept} {other}: {}", said.stdout);
    };
    inspected("kept.txt", "kept.npz");
    inspected("kept.safetensors", "kept.npz");
    inspected("kept.json", "kept.npz");
    let code = "import sys, numpy as np\n\
                from polygraphy.comparator import RunResults\n\
                [(name, (run,))] = RunResults.load(sys.argv[1]).items()\n\
                kept = np.load(sys.argv[2])\n\
                assert set(run.keys()) == set(kept.files), (run.keys(), kept.files)\n\
                assert all(np.array_equal(run[k], kept[k]) for k in kept.files)\n";
    run_python(["-c", code, &path("kept.json"), &path("kept.npz")]);
}
