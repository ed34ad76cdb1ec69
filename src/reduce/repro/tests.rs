//! The text of the scripts: goldens for the three kinds, and what every one of them must be.

use super::*;
use crate::reduce::story::Bound;
use crate::show::sample::check_golden;
use crate::tensor::DType;

const ODD: &str = "/enc/Erf'; rm -rf ~ #:0";

fn compare_story(reference: &str, candidate: &str, own_model: bool) -> Story {
    let bound = |output: &str, atol| Bound { output: output.into(), atol, rtol: 0.01 };
    Story {
        title: "Erf 'erf_3' gives wrong values in ort:fp16".into(),
        how: How::Compare {
            reference: reference.into(),
            candidate: candidate.into(),
            flags: vec!["--atol".into(), format!("{ODD}=0.005")],
            bounds: vec![bound(ODD, 0.005), bound("z", 0.0123456789)],
            own_model,
        },
        ..Story::default()
    }
}

fn values() -> [Tensor; 2] {
    [Tensor::f32(&[2, 3], &[0.5; 6]), Tensor::i64(&[], &[7])]
}

fn inputs(values: &[Tensor]) -> Vec<Input<'_>> {
    let input = |at: usize, name, file: &str| Input { name, value: &values[at], file: file.into(), open: at == 0 };
    vec![input(0, "x:0", "trtexec/x_0.bin"), input(1, "n", "trtexec/n.bin")]
}

fn outputs() -> Tensors {
    let y = Tensor::f32(&[1], &[f32::INFINITY]);
    Tensors::from_iter([(ODD.to_string(), y.clone()), ("z".to_string(), y)])
}

fn text(story: &Story) -> String {
    script(story, &inputs(&values()), Some(&outputs())).unwrap()
}

fn golden(name: &str, script: &str) {
    check_golden(name, &script.replace(concat!("layerdiff ", env!("CARGO_PKG_VERSION")), "layerdiff VERSION"));
}

#[test]
fn goldens() {
    golden("repro_trt.sh", &text(&compare_story("ort", "trt:fp16", false)));
    golden("repro_own_model.sh", &text(&compare_story("ort", "ort@other.onnx", true)));
    golden("repro_exec.sh", &text(&compare_story("ort", "exec:run it's {model} {inputs} {outputs}", false)));
    let flags = ["--fail-code", "3", "--fail-regex", "it's wrong"].map(String::from).into();
    let how = How::Check { command: "python 'my check.py' {model} {inputs}".into(), flags };
    golden("repro_check.sh", &text(&Story { how, ..compare_story("ort", "ort", false) }));
}

/// What the generated text of `by_polygraphy` must contain for a pair of specs.
#[track_caller]
fn check_polygraphy(reference: &str, candidate: &str, own_model: bool, want: &str) {
    let story = compare_story(reference, candidate, own_model);
    let text = text(&story).replace(" \\\n        ", " ");
    assert!(text.contains(want), "lacks '{want}':\n{text}");
    assert_eq!(needs_stored_outputs(&story.how).unwrap(), text.contains("--load-outputs"), "{candidate}");
}

#[test]
fn polygraphy_gets_the_runners_that_it_has() {
    const ORT: &str = "--onnxrt --providers cpu --graph-optimization-level ORT_DISABLE_ALL";
    let stored = "--load-outputs outputs.json --load-inputs inputs.json";
    check_polygraphy("ort", "trt", false, &format!("model.onnx --trt {ORT} --load-inputs inputs.json"));
    check_polygraphy("ort", "trt:int8", false, &format!("model.onnx --trt --int8 {ORT} --load-inputs"));
    check_polygraphy("ort", "trt:fp8@m.onnx", true, &format!("model.onnx --trt --fp8 {stored}"));
    check_polygraphy("ort:bf16", "trt", false, &format!("model.onnx --trt {stored}"));
    check_polygraphy("ort", "ort-tensorrt:fp16", false, &format!("model.onnx --trt --fp16 {ORT}"));
    check_polygraphy(
        "ort",
        "ort-openvino",
        false,
        "--providers openvino --graph-optimization-level ORT_DISABLE_ALL --load-outputs",
    );
    check_polygraphy("ort", "ort@m.onnx", true, &format!("model.onnx {ORT} {stored}"));
    check_polygraphy("ort", "ort-cuda:fp16", false, "# Polygraphy cannot set fp16 for the provider 'cuda'");
    check_polygraphy("ort", "ort:fp16", false, "# Polygraphy cannot emulate fp16 on the CPU.");
    check_polygraphy("ort", "exec:c {model} {inputs} {outputs}", false, "# Polygraphy cannot run the candidate.");
}

#[test]
fn polygraphy_gets_numbers_and_no_nan() {
    let one = text(&compare_story("ort", "trt", false)).replace(" \\\n        ", " ");
    let odd = shell::quote(&format!("{ODD}:0.005"));
    assert!(one.contains(&format!("--atol {odd} z:1.235e-2 --rtol 0.01 --infinities-compare-equal")), "{one}");
    let nan = Tensors::from_iter([("y".to_string(), Tensor::f32(&[1], &[f32::NAN]))]);
    let two = script(&compare_story("ort", "trt", false), &inputs(&values()), Some(&nan)).unwrap();
    let no_bounds = Story {
        how: How::Compare {
            reference: "ort".into(),
            candidate: "trt".into(),
            flags: vec![],
            bounds: vec![],
            own_model: false,
        },
        ..Story::default()
    };
    assert!(text(&no_bounds).contains("no number that Polygraphy could be given"));
    assert!(two.contains("its verdict means nothing") && !two.contains("return \"$status\""), "{two}");
}

#[test]
fn what_a_tool_cannot_take_is_said() {
    let narrow = [Tensor::new(DType::Bfloat16, vec![1], vec![0u8, 0]).unwrap(), Tensor::i64(&[], &[7])];
    let all = script(&compare_story("ort", "trt", false), &inputs(&narrow), Some(&outputs())).unwrap();
    assert!(all.contains("cannot take 'x:0', which is bfloat16.\nby_polygraphy"), "{all}");
    let none = script(&compare_story("ort", "ort@m.onnx", true), &inputs(&values()), None).unwrap();
    assert!(none.contains("nothing to compare with") && none.contains("its outputs are in trtexec/outputs.json"));
    let strings = [Tensor::strings(vec![1], vec!["s".into()]).unwrap(), Tensor::i64(&[], &[7])];
    let all = script(&compare_story("ort", "trt", false), &inputs(&strings), Some(&outputs())).unwrap();
    assert!(all.contains("# trtexec cannot be given the input 'x:0'.") && !all.contains("--onnx="), "{all}");
}

#[test]
fn an_unreadable_spec_is_an_error() {
    let error = script(&compare_story("ort", "tvm", false), &[], None).unwrap_err().to_string();
    assert!(error.contains("how to run 'tvm': 'tvm' is no backend"), "{error}");
}

#[test]
fn a_model_without_inputs_gets_none() {
    let text = script(&compare_story("ort", "trt:tf32", false), &[], Some(&outputs())).unwrap();
    assert!(!text.contains("--loadInputs") && !text.contains("--inputs") && text.contains("--tf32"), "{text}");
}

/// No script is a mistake of grammar, whatever the names and commands in it.
#[cfg(unix)]
#[test]
fn every_script_is_one_to_a_shell() {
    let hostile =
        ["'", "\"", "`", "$(", "\\", "\nEND\n", ";;", "#", "{model}'{inputs}", "a\0b", "é\u{1b}[31m", "\u{202e}%s"];
    for text in hostile {
        let mut story = compare_story("ort", &format!("exec:{text} {{model}} {{inputs}} {{outputs}}"), false);
        story.title = text.into();
        let values = values();
        let inputs = [Input { name: text, value: &values[0], file: "trtexec/x.bin".into(), open: false }];
        let bad = Tensors::from_iter([(text.to_string(), values[0].clone())]);
        valid(&script(&story, &inputs, Some(&bad)).unwrap());
        story.how = How::Compare {
            reference: "ort".into(),
            candidate: format!("trt@{text}"),
            flags: vec![text.into()],
            bounds: vec![Bound { output: text.into(), atol: 1.0, rtol: 1.0 }],
            own_model: false,
        };
        valid(&script(&story, &inputs, Some(&bad)).unwrap());
        for code in ["--fail-code", "--pass-code"] {
            let flags = [code, "2", "--fail-regex", text].map(String::from).into();
            story.how = How::Check { command: text.into(), flags };
            valid(&script(&story, &[], None).unwrap());
        }
    }
}

#[cfg(unix)]
#[track_caller]
fn valid(script: &str) {
    assert!(!script.contains(|c| crate::terminal::harmful(c) && c != '\n'), "{script:?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repro.sh");
    std::fs::write(&path, script).unwrap();
    let output = std::process::Command::new("sh").arg("-n").arg(path).output().unwrap();
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
}

/// What a script shows is harmless, and is the word itself once it is pasted.
#[cfg(unix)]
#[test]
fn a_shown_command_can_be_pasted() {
    let word = "it's \u{1b}[31m\u{202e}%s\\n`id`\n$(id) Привет";
    let story = Story::default();
    let script = head(&story, "") + &format!("show printf '%s' {}\n", quote(word));
    let run = |script: &str| {
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&script);
    assert!(!shown.contains(|c| crate::terminal::harmful(c) && c != '\n'), "{shown:?}");
    assert_eq!(run(shown.strip_prefix("+ ").unwrap()), word);
}
