//! Each note's sentence: users read them, and so do their scripts.

use super::*;

/// Of every kind, with its sentence.
fn all() -> Vec<(Note, &'static str)> {
    let words = |text: &str| text.to_string();
    vec![
        (Note::Model(words("fields were dropped")), "fields were dropped"),
        (Note::Synthetic, "the input data is synthetic; real data may show another first culprit"),
        (
            Note::HalfReference { dtype: DType::Bfloat16, half: 2, floats: 3 },
            "the model computes in bfloat16 itself (2 of 3 float tensors), so the reference is no FP32 truth: its values are rounded, and ONNX Runtime's CPU computes such nodes in float32, between casts of its own; where there is a float32 export, take that for MODEL",
        ),
        (
            Note::WholeFunctions(Precision::Fp16, vec![words("F")]),
            "the body of the function 'F' could not be put in the place of its calls (operators of another opset than the model's, a function that calls itself, calls nested too deeply): what is inside is not rounded to fp16",
        ),
        (
            Note::WholeFunctions(Precision::Bf16, vec![words("F"), words("G")]),
            "the bodies of the functions 'F', 'G' could not be put in the place of their calls (operators of another opset than the model's, a function that calls itself, calls nested too deeply): what is inside is not rounded to bf16",
        ),
        (
            Note::OtherTypes(Precision::Fp16, vec![DType::Float64, DType::Complex64]),
            "tensors of float64 and complex64 are computed as they are, not in fp16, which few devices do",
        ),
        (
            Note::RunAgain(words("SIGSEGV")),
            "ONNX Runtime ended the process of the first run (SIGSEGV); everything was run again with it in processes of its own, where its crashes end nothing else",
        ),
        (
            Note::Moves(Who::Reference, words("output 'y' moved by up to 1.00e-6")),
            "the reference does not answer the same twice (output 'y' moved by up to 1.00e-6)",
        ),
        (
            Note::Moves(Who::Candidate, words("output 'y' moved by up to 1.00e-6")),
            "the candidate does not answer the same twice (output 'y' moved by up to 1.00e-6)",
        ),
        (
            Note::UnevenRows(words("output 'y', row 1 against row 0")),
            "equal rows of a batch get different answers: output 'y', row 1 against row 0",
        ),
        (
            Note::UnaskedTf32 { precision: Precision::Fp32, seen: words("MatMul gave 1") },
            "the candidate multiplies float32 in TF32, although fp32 was asked for: MatMul gave 1; set NVIDIA_TF32_OVERRIDE=0",
        ),
        (
            Note::UnusedTf32,
            "the candidate was asked to use TF32 and multiplies in FP32: this GPU or its libraries do not use it",
        ),
        (Note::MoreCulprits(3), "there are more culprits than --max-culprits 3"),
        (
            Note::Renamed { tensors: 124, ends: vec![(words("a"), words("b"))] },
            "the candidate's file has other names, paired by structure and weights: 124 tensors inside; of its inputs and outputs 'a' is 'b'; they are told by the model's names",
        ),
        (
            Note::PlainFailsAlike,
            "the plain session, which optimises nothing and packs no weights, fails alike, so no optimizer is to blame: look for the node, without --by optimizer",
        ),
        (
            Note::RoundedOtherwise { agrees: true },
            "on this CPU ONNX Runtime leaves out roundings to half precision and the file agrees; rounded after every node it diverges, and so it may on a device: see ort:fp16@FILE",
        ),
        (
            Note::RoundedOtherwise { agrees: false },
            "on this CPU ONNX Runtime leaves out roundings to half precision and the file diverges; rounded after every node, as on a device, it agrees",
        ),
        (
            Note::Copied(words("NVRTC is missing")),
            "the GPU's values were copied to the host and compared there: NVRTC is missing",
        ),
        (
            Note::Perturbed,
            "marking tensors changed the candidate's own outputs: what was measured may differ from what the unmarked model does",
        ),
        (
            Note::Disturbed(1),
            "marking tensors changed the candidate's own outputs in one build; nothing was concluded from it",
        ),
        (
            Note::Disturbed(2),
            "marking tensors changed the candidate's own outputs in 2 builds; nothing was concluded from them",
        ),
        (
            Note::RankingNeedsBuild,
            "the nodes are not ranked: it takes one more build of the engine; leave --no-overrides out",
        ),
        (Note::NotRanked(words("out of memory")), "the nodes could not be ranked: out of memory"),
        (
            Note::FellBack {
                provider: words("CUDAExecutionProvider"),
                nodes: 2,
                of: 6,
                operators: vec![words("Unique")],
            },
            "2 of 6 nodes (Unique) fell back to the CPU: CUDA did not take them",
        ),
        (
            Note::FellBack {
                provider: words("OpenVINOExecutionProvider"),
                nodes: 4,
                of: 4,
                operators: ["Unique", "If", "Loop", "Scan"].map(words).to_vec(),
            },
            "OpenVINO took none of the 4 nodes (Unique, If, Loop and 1 more): all fell back to the CPU",
        ),
        (Note::NotPlaced(words("it crashed")), "which execution provider ran what is not known: it crashed"),
        (Note::StoredOnly, "stored tensors cannot be run again, so there is no reproducer"),
        (
            Note::NoReproducer { tensor: words("y"), why: words("it passes alone") },
            "no reproducer for 'y': it passes alone",
        ),
        (Note::NothingToCut, "no reproducer: something crosses its boundary whose type or shape nobody knows"),
        (Note::FewerReproducers { most: 8, of: 12 }, "there are reproducers for 8 of 12 culprits"),
        (
            Note::NoValues(words("no kernel")),
            "the reference cannot run the model, so cuts are fed with nothing: no kernel",
        ),
        (
            Note::Unfinished,
            "the run had not ended when this was written: what came later is missing, and so may be the table of tensors (it is in journal.jsonl)",
        ),
        (Note::Swept { done: 3, of: 40 }, "3 of 40 sizes were tried when this was written"),
        (Note::Besides(vec![words("ln_pow")]), "with the culprits put right, 'ln_pow' is wrong too"),
        (
            Note::Besides(["a", "b", "c", "d", "e"].map(words).to_vec()),
            "with the culprits put right, 'a', 'b', 'c' and 2 more are wrong too",
        ),
        (
            Note::Rest(1),
            "the outputs still diverge with the culprit put right: more is wrong, and --strategy scan measures everything",
        ),
        (
            Note::Rest(2),
            "the outputs still diverge with the 2 culprits put right: more is wrong, and --strategy scan measures everything",
        ),
        (
            Note::NotFinite { input: words("x"), count: 2 },
            "input 'x' holds 2 NaN or Inf: what agrees behind them may agree by them alone; give data that is a number everywhere",
        ),
        (
            Note::StatisticsInside { node: words("n"), op_type: words("LpNormalization"), more: 0, why: words("why") },
            "that 'n' (LpNormalization) agrees holds only where the device keeps its statistics in FP32: why",
        ),
        (
            Note::StatisticsInside { node: words("n"), op_type: words("LpNormalization"), more: 2, why: words("why") },
            "that 'n' (LpNormalization) agrees holds only where the device keeps its statistics in FP32 (so for 2 nodes more): why",
        ),
        (
            Note::Arithmetic(Arithmetic::SumInside {
                node: words("mm"),
                op_type: words("MatMul"),
                reaches: 81234.0,
                more: 0,
            }),
            "this agrees with FP32 accumulation; in FP16 the sum inside 'mm' (MatMul) reaches 8.12e4, beyond its largest value, 65504: try --accumulate fp16",
        ),
        (
            Note::Arithmetic(Arithmetic::SumInside {
                node: words("mm"),
                op_type: words("MatMul"),
                reaches: 81234.0,
                more: 2,
            }),
            "this agrees with FP32 accumulation; in FP16 the sum inside 'mm' (MatMul) reaches 8.12e4, beyond its largest value, 65504, and so do those of 2 other nodes: try --accumulate fp16",
        ),
        (
            Note::Arithmetic(Arithmetic::SumsLeft { nodes: 1, operators: vec![words("LSTM")] }),
            "1 node (LSTM) sums in FP32 as without --accumulate fp16: it is not emulated otherwise",
        ),
        (
            Note::Arithmetic(Arithmetic::SumsLeft { nodes: 3, operators: vec![words("LSTM"), words("Einsum")] }),
            "3 nodes (LSTM, Einsum) sum in FP32 as without --accumulate fp16: they are not emulated otherwise",
        ),
        (
            Note::Arithmetic(Arithmetic::Clamped(vec![Beyond { weight: words("w"), values: 1, furthest: 1e9 }])),
            "1 weight has values beyond FP16's range, which were clamped to 65504 as TensorRT does: 'w' (1 value, up to 1.00e9)",
        ),
        (
            Note::Fitted(Fitted::Infinite(words(
                "input 'x' is float16 in b.onnx: its value 70000 is out of the range of float16",
            ))),
            "input 'x' is float16 in b.onnx: its value 70000 is out of the range of float16: the candidate is given infinities there, and the reference is not",
        ),
        (
            Note::UnusedLabels(3),
            "--labels names 3 classes, and no output is made of labels or has rows of 3 values: nothing is told by these names",
        ),
    ]
}

/// A new kind of note is missing in the table as long as it is missing here.
fn number(note: &Note) -> usize {
    match note {
        Note::Model(_) => 0,
        Note::Synthetic => 1,
        Note::NotFinite { .. } => 23,
        Note::Fitted(_) => 33,
        Note::RunAgain(_) => 2,
        Note::Moves(..) => 3,
        Note::UnevenRows(_) => 4,
        Note::UnaskedTf32 { .. } => 5,
        Note::UnusedTf32 => 6,
        Note::MoreCulprits(_) => 7,
        Note::Copied(_) => 8,
        Note::PlainFailsAlike => 27,
        Note::Renamed { .. } => 29,
        Note::FellBack { .. } => 31,
        Note::NotPlaced(_) => 32,
        Note::RoundedOtherwise { .. } => 28,
        Note::Perturbed => 9,
        Note::Disturbed(_) => 10,
        Note::RankingNeedsBuild => 11,
        Note::NotRanked(_) => 12,
        Note::StoredOnly => 13,
        Note::NoReproducer { .. } => 14,
        Note::NothingToCut => 15,
        Note::FewerReproducers { .. } => 16,
        Note::NoValues(_) => 17,
        Note::Unfinished => 18,
        Note::HalfReference { .. } => 19,
        Note::WholeFunctions(..) => 20,
        Note::OtherTypes(..) => 21,
        Note::Rest(_) => 22,
        Note::Besides(_) => 24,
        Note::UnusedLabels(_) => 25,
        Note::StatisticsInside { .. } => 26,
        Note::Arithmetic(Arithmetic::SumInside { .. }) => 34,
        Note::Arithmetic(Arithmetic::SumsLeft { .. }) => 35,
        Note::Arithmetic(Arithmetic::Clamped(_)) => 36,
        Note::Swept { .. } => 30,
    }
}

#[test]
fn every_note_is_one_sentence() {
    for (note, sentence) in all() {
        assert_eq!(note.to_string(), sentence);
        assert!(!sentence.contains('\n') && !sentence.ends_with('.'), "{sentence}");
    }
}

#[test]
fn every_kind_of_note_has_its_sentence_here() {
    let mut numbers: Vec<usize> = all().iter().map(|(note, _)| number(note)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..37).collect::<Vec<_>>());
}

#[test]
fn sides_by_name() {
    assert_eq!([Who::Reference, Who::Candidate].map(|who| who.to_string()), ["reference", "candidate"]);
}
