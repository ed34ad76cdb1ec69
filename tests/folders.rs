//! A folder of samples: arrays in their order, and pictures by a recipe; the worst of them is named.

mod common;

use common::{layerdiff, real_model, run_python};
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
