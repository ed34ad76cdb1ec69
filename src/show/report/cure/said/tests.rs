//! The sentences on overrides, case by case.

use super::*;
use crate::found::words::clean;
use crate::found::{CureKind, Real};
use crate::found::{Latency, Price};
use crate::show::page::Span;
use crate::show::sample::{hostile_report, overrides, sample_report};
use crate::spec::Precision;

#[track_caller]
fn check(change: impl FnOnce(&mut Overrides), say: impl Fn(&Overrides) -> String, want: &str) {
    let mut o = overrides();
    change(&mut o);
    assert_eq!(say(&o), want);
}

/// Every file and its purpose.
fn listed(o: &Overrides) -> Vec<(String, String)> {
    let told = |fact: Fact| match fact.value.0.as_slice() {
        [Span::Text(purpose)] => (fact.name, purpose.clone()),
        other => panic!("{other:?}"),
    };
    files(o).into_iter().map(told).collect()
}

#[test]
fn claims_are_no_larger_than_what_was_seen() {
    check(|_| (), claim, "2 of 139 nodes in FP32; verified: yes; none can be given back");
    check(|o| o.minimal = false, claim, "2 of 139 nodes in FP32; verified: yes; perhaps fewer would do");
    check(|o| o.verified = false, claim, "2 of 139 nodes in FP32; verified: NO");
    let most = "no cure: 2 of 139 nodes in FP32, the fewest that were seen to agree";
    check(|o| o.limited = true, claim, most);
    check(|o| (o.limited, o.verified) = (true, false), claim, "no cure: 2 of 139 nodes in FP32, not verified");
    check(|o| o.nodes.clear(), claim, "none needed: the outputs agree with no node in FP32");
    check(
        |o| {
            o.nodes.clear();
            o.verified = false;
        },
        claim,
        "none found",
    );
    check(|o| (o.of, o.nodes) = (0, vec!["a".into()]), claim, "1 node in FP32; verified: yes; none can be given back");
}

/// The same of a QDQ model.
fn unquantised(o: &mut Overrides) {
    o.kind = CureKind::Unquantised;
    let files =
        [("nodes", "nodes.json"), ("onnx", "model.mixed.onnx"), ("onnxruntime", "q.json"), ("qdq_loss", "l.json")];
    o.files = files.map(|(consumer, file)| (consumer.to_string(), format!("m/{file}"))).into();
}

#[test]
fn nodes_of_a_qdq_model_are_left_unquantised() {
    check(unquantised, claim, "2 of 139 nodes left unquantised; verified: yes; none can be given back");
    let nothing = |verified: bool| {
        move |o: &mut Overrides| {
            unquantised(o);
            o.nodes.clear();
            o.verified = verified;
        }
    };
    check(nothing(true), claim, "none needed: the outputs agree with no node left unquantised");
    check(
        nothing(false),
        price,
        "relative RMS error of the worst output: NaN or Inf with nothing left unquantised; 11 trials",
    );
    let said = |o: &Overrides| location(o).unwrap_or_default();
    check(unquantised, said, "files in m: model.mixed.onnx, the model with these nodes left unquantised, and 3 more");
    let (report, mut o) = (sample_report(), overrides());
    assert_eq!((rest(&report, &o).starts_with("in "), fate(o.kind)), (true, "in FP32"));
    unquantised(&mut o);
    assert_eq!((rest(&report, &o), fate(o.kind)), ("quantised".into(), "left unquantised"));
    let listed = listed(&o);
    assert_eq!(
        listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["model.mixed.onnx", "q.json", "l.json", "nodes.json"]
    );
    assert!(listed.iter().all(|(_, purpose)| !purpose.contains("float16") && !purpose.contains("Casts")), "{listed:?}");
}

#[test]
fn files_against_tf32_are_no_casts() {
    let mut o = overrides();
    for consumer in ["modelopt", "onnxruntime", "polygraphy", "trtexec"] {
        o.files.remove(consumer);
    }
    o.kind = CureKind::Split;
    let listed = listed(&o);
    assert_eq!(
        listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["model.mixed.onnx", "nodes.json", "README.md"]
    );
    assert!(listed[0].1.contains("three products") && listed[2].1.contains("TF32 off"), "{listed:?}");
    assert_eq!(fate(o.kind), "in FP32");
}

#[test]
fn errors_before_and_after() {
    check(|_| (), price, "relative RMS error of the worst output: NaN or Inf before, 2.10e-4 after; 11 trials");
    check(
        |o| (o.error_before, o.builds) = (Real(0.5), 1),
        price,
        "relative RMS error of the worst output: 0.500 before, 2.10e-4 after; 1 trial",
    );
    check(
        |o| (o.error_before, o.nodes) = (Real(f64::NAN), Vec::new()),
        price,
        "relative RMS error of the worst output: NaN or Inf with nothing in FP32; 11 trials",
    );
}

#[test]
fn what_it_costs_in_milliseconds() {
    let of = |seconds: [f64; 3]| Latency::of(&seconds).unwrap();
    let priced = |before, after: [f64; 3]| {
        move |o: &mut Overrides| {
            o.nodes = vec!["a".into(), "b".into()];
            let nodes = vec![NodePrice { node: "a".into(), before: Real(1e-4), after: Real(3e-4) }];
            o.price = Some(Price { before: of(before), after: of(after), reference: None, nodes });
            (o.latency_before, o.latency_after) = (Some(Real(before[1])), Some(Real(after[1])));
        }
    };
    let say = |o: &Overrides| latency(o).unwrap_or_default();
    check(
        priced([2.3e-3, 2.4e-3, 2.5e-3], [2.7e-3, 2.8e-3, 2.9e-3]),
        say,
        "latency 2.40 ms (2.30 to 2.50 in 3 runs) before, 2.80 ms (2.70 to 2.90 in 3 runs) after: in FP32 they cost 0.400 ms of 2.80 (\"a\" 0.100 to 0.300 ms)",
    );
}

#[test]
fn the_low_precision_is_one_word() {
    let mut report = hostile_report();
    for (precision, want) in
        [(Some(Precision::Fp16), "FP16"), (Some(Precision::Bf16), "BF16"), (None, "the low precision")]
    {
        report.candidate.computes = precision;
        assert_eq!(low(&report), want);
    }
}

#[test]
fn long_lists_are_shortened() {
    let groups = |n: usize| Overrides { groups: (0..n).map(|i| format!("Add '{i}'")).collect(), ..overrides() };
    for (n, lines, last) in [(6, 6, "Add '5'"), (7, 7, "Add '6'"), (8, 7, "and 2 more"), (1006, 7, "and 1,000 more")] {
        let short = shortened(&groups(n));
        assert_eq!((short.len(), short.last().map(String::as_str)), (lines, Some(last)), "{n} groups");
    }
    check(|o| o.groups.clear(), |o| shortened(o).join("; "), "'/norm/Pow'; '/norm/ReduceMean'");
}

#[test]
fn where_the_files_are() {
    let said = |o: &Overrides| location(o).unwrap_or_default();
    let only = |path: &'static str, consumer: &'static str| {
        move |o: &mut Overrides| o.files = [(consumer.to_string(), path.to_string())].into()
    };
    check(
        |_| (),
        said,
        "files in bert.layerdiff/overrides: model.mixed.onnx, the model with these nodes in FP32, and 6 more (see \
         README.md)",
    );
    check(|o| _ = o.files.remove("onnx"), said, "files in bert.layerdiff/overrides: 6 files (see README.md)");
    check(only("m.onnx", "onnx"), said, "files in .: m.onnx, the model with these nodes in FP32");
    check(only("/a.args", "trtexec"), said, "files in /: 1 file");
    check(|o| o.files.clear(), said, "");
    check(|o| _ = o.files.insert("x".into(), "elsewhere/x".into()), said, "");
}

#[test]
fn every_file_is_listed_with_its_purpose() {
    let mut o = overrides();
    o.files.insert("abacus".into(), "bert.layerdiff/overrides/beads".into());
    let listed = listed(&o);
    let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    let want = [
        "model.mixed.onnx",
        "trtexec.args",
        "trt_network.py",
        "modelopt_autocast.args",
        "ort_float16.json",
        "nodes.json",
        "README.md",
        "beads",
    ];
    assert_eq!(names, want);
    assert_eq!(listed[7].1, "for abacus");
    o.files.insert("onnx".into(), "elsewhere/model.onnx".into());
    assert_eq!(
        self::listed(&o)[..2].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["elsewhere/model.onnx", "bert.layerdiff/overrides/trtexec.args"]
    );
}

#[test]
fn no_sentence_carries_a_control_character() {
    let report = hostile_report();
    let o = report.overrides.as_ref().unwrap();
    let files = listed(o).into_iter().flat_map(|(name, purpose)| [clean(&name), clean(&purpose)]);
    let sentences: Vec<String> = [claim(o), price(o), low(&report)].into_iter().chain(groups(o)).chain(files).collect();
    assert!(sentences.iter().all(|s| !s.contains(|c: char| c.is_control() || c == '\u{202e}')), "{sentences:?}");
    assert!(sentences.iter().filter(|s| s.contains("<script>")).count() > 2, "the names are there");
}
