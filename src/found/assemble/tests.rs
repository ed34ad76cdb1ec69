//! From findings to the report: the verdict and its reason as a table, what goes where, and what holds for all findings.

mod always;

use super::*;
use crate::found::experiment::Source;
use crate::found::{
    Counts, Crash, Culprit, Cure, CureNote, Distrust, Kind, Measured, Metrics, OfCompiler, OfFirst, OfReference,
    Opening, Overrides, PrecisionLimited, Ranked, Ranking, ReferenceTrust, Routes, Sensitivity,
};
use crate::show::sample::sample_report;

fn output(name: &str, status: Status, why: Option<&str>) -> TensorResult {
    TensorResult {
        name: name.to_string(),
        node: "make".to_string(),
        dtype: "float32".to_string(),
        shape: vec![2],
        status,
        why: why.map(str::to_string),
        metrics: (status != Status::NotCompared).then(Metrics::default),
    }
}

/// Outputs compared, the question about culprits.
fn of(statuses: &[Status]) -> Findings {
    let named = |(i, status): (usize, &Status)| output(&format!("y{i}"), *status, None);
    Findings { outputs: Some(statuses.iter().enumerate().map(named).collect()), ..Findings::default() }
}

fn agreed() -> Findings {
    of(&[Status::Agrees, Status::Agrees])
}

fn diverged() -> Findings {
    of(&[Status::Agrees, Status::Diverges])
}

fn wanted(wanted: Wanted, findings: Findings) -> Findings {
    Findings { opening: Opening { wanted, ..findings.opening }, ..findings }
}

fn culprit() -> Culprit {
    sample_report().culprits[0].clone()
}

fn searched(culprits: Option<Vec<Culprit>>) -> Option<Found> {
    Some(Found { strategy: "bisect".to_string(), seconds: 0.5, culprits, ..Found::default() })
}

fn unsure(broken: Option<Distrust>) -> (Option<OfReference>, Option<OfCandidate>) {
    let reference = OfReference { broken: broken.clone(), ..OfReference::default() };
    (Some(reference), Some(OfCandidate { broken, ..OfCandidate::default() }))
}

fn reduced(nodes: usize, reproduces: bool, why: Option<&str>) -> Reduced {
    Reduced { nodes, reproduces, why: why.map(str::to_string), ..Reduced::default() }
}

fn cut(made: Vec<Reduced>, notes: Vec<Note>) -> Findings {
    let reproducers = Reproducers { made, of: 9, notes };
    wanted(Wanted::Check, Findings { reproducers, ..Findings::default() })
}

fn cured(nodes: usize, verified: bool) -> Findings {
    let nodes = (0..nodes).map(|n| format!("n{n}")).collect();
    let overrides = Some(Overrides { nodes, verified, of: 7, ..Overrides::default() });
    let cure = Cure { overrides, ..Cure::default() };
    wanted(Wanted::Precision, Findings { cure, ..diverged() })
}

fn of_knobs(routes: Option<Routes>) -> OfCompiler {
    OfCompiler { routes, fusion: None }
}

fn turned(knobs: &[&str]) -> Findings {
    let knobs = knobs.iter().map(|knob| knob.to_string()).collect();
    wanted(Wanted::Routes, Findings { compiler: of_knobs(Some(Routes { knobs, ..Routes::default() })), ..diverged() })
}

#[track_caller]
fn check(findings: Findings, verdict: Verdict, why: Option<&str>) {
    let report = assemble(&Experiment::default(), &findings);
    assert_eq!((report.verdict, report.why.as_deref()), (verdict, why));
    assert_eq!(super::verdict(&findings), (report.verdict, report.why));
}

use Verdict::{Agreed, Diverged, Inconclusive};

#[test]
fn the_outputs_decide() {
    check(agreed(), Agreed, None);
    check(diverged(), Diverged, None);
    check(Findings::default(), Inconclusive, Some("not finished"));
    let unseen = output("y", Status::NotCompared, Some("the candidate gave no value for it"));
    let some = Findings { outputs: Some(vec![output("x", Status::Agrees, None), unseen.clone()]), ..agreed() };
    let why = "output 'y' was not compared: the candidate gave no value for it";
    check(some.clone(), Inconclusive, Some(why));
    // One that diverges is enough.
    let both = Findings { outputs: Some(vec![unseen, output("x", Status::Diverges, None)]), ..agreed() };
    check(both, Diverged, None);
    // Tables are judged alike, and need no culprits.
    for findings in [agreed(), diverged(), some] {
        let (verdict, why) = super::verdict(&findings);
        check(wanted(Wanted::Table, findings), verdict, why.as_deref());
    }
    check(Findings { outputs: Some(Vec::new()), ..agreed() }, Inconclusive, Some("no output was compared"));
}

#[test]
fn a_provider_that_ran_nothing_agrees_with_nobody() {
    let placed = |took: usize, findings: Findings| {
        let asked = "OpenVINOExecutionProvider".to_string();
        let placement = Some(crate::found::Placement {
            asked,
            nodes: 2,
            took,
            reference_on_cpu: true,
            ..crate::found::Placement::default()
        });
        let first = OfFirst { placement, ..OfFirst::default() };
        Findings { opening: Opening { first, ..findings.opening }, ..findings }
    };
    let why = "OpenVINO took no node of the model (2 nodes fell back to the CPU): the CPU was compared with itself";
    check(placed(0, agreed()), Verdict::Inconclusive, Some(why));
    check(placed(1, agreed()), Verdict::Agreed, None);
    // What is deployed is wrong, whoever ran it.
    assert_eq!(verdict(&placed(0, diverged())).0, Verdict::Diverged);
}

#[test]
fn what_ended_the_run_wins() {
    let halted = Some(RunError::Interrupted);
    let found = searched(Some(vec![culprit()]));
    let (reference, candidate) = unsure(Some(Distrust::CandidateMoves("y".into())));
    for findings in [
        Findings { halted: halted.clone(), ..agreed() },
        Findings { halted: halted.clone(), ..Findings::default() },
        Findings { halted: halted.clone(), found, ..diverged() },
        Findings { halted: halted.clone(), reference, candidate, ..diverged() },
        Findings { halted: halted.clone(), ..cut(vec![reduced(1, true, None)], Vec::new()) },
        Findings { halted: halted.clone(), ..cured(2, true) },
        Findings { halted, ..turned(&["-a=off"]) },
    ] {
        check(findings, Inconclusive, Some("interrupted"));
    }
    let crash = RunError::Crash { backend: "trt".into(), reason: "SIGSEGV".into() };
    check(Findings { halted: Some(crash), ..diverged() }, Inconclusive, Some("trt crashed: SIGSEGV"));
}

#[test]
fn nothing_is_built_on_a_side_that_moves() {
    let mine = Distrust::ReferenceMoves("output 'y' moved by up to 1.00e0".to_string());
    let theirs = Distrust::CandidateMoves("output 'y' moved by up to 1.00e0".to_string());
    let moves = "the reference does not answer the same twice (output 'y' moved by up to 1.00e0), so nothing can be compared with it; use --reference ort";
    let short = "the reference multiplies in TF32: MatMul gave 1; nothing small can be judged by it: set NVIDIA_TF32_OVERRIDE=0, or use --reference ort";
    let flaps = "the candidate does not answer the same twice (output 'y' moved by up to 1.00e0), so no tensor can be accused; look for a race or an uninitialised buffer";
    let reference = |broken: &Distrust, findings| Findings { reference: unsure(Some(broken.clone())).0, ..findings };
    let candidate = |findings| Findings { candidate: unsure(Some(theirs.clone())).1, ..findings };
    // Agreement with a reference that moves is chance.
    check(reference(&mine, agreed()), Inconclusive, Some(moves));
    check(reference(&mine, diverged()), Inconclusive, Some(moves));
    check(reference(&Distrust::ReferenceInTf32("MatMul gave 1".into()), agreed()), Inconclusive, Some(short));
    check(reference(&mine, candidate(diverged())), Inconclusive, Some(moves));
    // Agreement of a candidate that moves is chance.
    check(candidate(agreed()), Inconclusive, Some(flaps));
    check(candidate(diverged()), Inconclusive, Some(flaps));
    check(candidate(Findings { found: searched(Some(vec![culprit()])), ..diverged() }), Inconclusive, Some(flaps));
    let sound = unsure(None);
    check(Findings { reference: sound.0, candidate: sound.1, ..diverged() }, Diverged, None);
    // Before there are outputs, nothing was tested.
    check(reference(&mine, Findings::default()), Inconclusive, Some("not finished"));
}

#[test]
fn what_is_missing_where_outputs_diverge_is_told() {
    let with = |culprits| Findings { found: searched(culprits), ..diverged() };
    check(with(None), Diverged, Some("the outputs diverge; the search was not finished"));
    check(with(Some(vec![])), Diverged, Some("the outputs diverge, but no tensor above them could be compared"));
    check(with(Some(vec![culprit()])), Diverged, None);
    check(wanted(Wanted::Table, with(None)), Diverged, None);
    check(Findings { found: searched(None), ..agreed() }, Agreed, None);

    let none = "the outputs diverge, and no set of nodes in FP32 was found that cures them";
    check(cured(0, false), Diverged, Some(none));
    check(cured(0, true), Diverged, Some(none));
    let cures = "the outputs diverge, and agree with 2 of 7 nodes in FP32; no tensor inside was looked at";
    check(cured(2, true), Diverged, Some(cures));
    let best = "the outputs diverge; 2 nodes in FP32 are the best set so far, and it is not verified";
    check(cured(2, false), Diverged, Some(best));
    check(wanted(Wanted::Precision, diverged()), Diverged, None);
    check(Findings { outputs: agreed().outputs, ..cured(2, true) }, Agreed, None);

    check(turned(&[]), Diverged, Some("the outputs diverge with every knob of the compiler"));
    check(turned(&["-a=off"]), Diverged, None);
    check(wanted(Wanted::Routes, diverged()), Diverged, None);
}

#[test]
fn outputs_that_cure_are_an_answer_where_they_were_proved() {
    use FusionAnswer::*;
    let fusion = |answer, tensors: &[&str], verified, why: Option<&str>| {
        let tensors = tensors.iter().map(|name| name.to_string()).collect();
        let found = Fusion { answer, tensors, verified, why: why.map(str::to_string), ..Fusion::default() };
        wanted(Wanted::Fusion, Findings { compiler: OfCompiler { fusion: Some(found), routes: None }, ..diverged() })
    };
    check(fusion(Cured, &["a"], true, None), Diverged, None);
    check(fusion(Cured, &["a"], true, Some("no room on the disk")), Diverged, None);
    let unproved = "outputs that cure were found, and not proved: it flaps";
    check(fusion(Cured, &["a"], false, Some("it flaps")), Diverged, Some(unproved));
    let other = "not a matter of fusion: with every tensor an output, as far as tensors can be, the model's outputs still diverge";
    check(fusion(Diverges, &[], false, None), Diverged, Some(other));
    let unknown = "whether fusion is to blame is not known: no room";
    check(fusion(Unknown, &[], false, Some("no room")), Diverged, Some(unknown));
}

#[test]
fn a_check_decides_by_what_was_cut_out() {
    check(cut(vec![], vec![]), Inconclusive, Some("not finished"));
    let nothing = "no reproducer: something crosses its boundary whose type or shape nobody knows";
    check(cut(vec![], vec![Note::Synthetic, Note::NothingToCut]), Inconclusive, Some(nothing));
    check(cut(vec![], vec![Note::Synthetic]), Inconclusive, Some("not finished"));
    let one = "the check fails; the failure needs 2 of 9 nodes";
    check(cut(vec![reduced(2, true, None)], vec![]), Diverged, Some(one));
    let several = "the check fails; 2 independent faults; the first needs 2 of 9 nodes";
    check(cut(vec![reduced(2, true, None), reduced(1, true, None)], vec![]), Diverged, Some(several));
    let lost = vec![reduced(2, true, None), reduced(1, false, Some("it passes now"))];
    check(cut(lost, vec![]), Inconclusive, Some("it passes now"));
    let unsaid = "a reproducer does not show the failure again";
    check(cut(vec![reduced(1, false, None)], vec![]), Inconclusive, Some(unsaid));
    // There are no outputs to compare.
    check(Findings { outputs: agreed().outputs, ..cut(vec![], vec![]) }, Inconclusive, Some("not finished"));
}

#[test]
fn warnings_come_in_the_order_of_the_journey() {
    let note = |text: &str| vec![Note::Model(text.to_string())];
    let found = Found { notes: note("search"), ..searched(None).unwrap() };
    let notes = vec![CureNote::NotWritten { why: "no room".to_string() }];
    let findings = Findings {
        opening: Opening { notes: note("opening"), ..Opening::default() },
        reference: Some(OfReference { notes: note("reference"), ..OfReference::default() }),
        candidate: Some(OfCandidate { notes: note("candidate"), ..OfCandidate::default() }),
        found: Some(found),
        measured: Measured { notes: note("measured"), ..Measured::default() },
        ranking: Ranking { notes: note("ranking"), ..Ranking::default() },
        reproducers: Reproducers { notes: note("reproducers"), ..Reproducers::default() },
        cure: Cure { notes: notes.clone(), ..Cure::default() },
        unfinished: true,
        ..diverged()
    };
    let warnings = assemble(&Experiment::default(), &findings).warnings;
    let stages = ["opening", "reference", "candidate", "search", "measured", "ranking", "reproducers"];
    assert_eq!(warnings[..7], stages);
    assert_eq!(warnings[7..], [notes[0].to_string(), Note::Unfinished.to_string()]);
    let ended = Findings { unfinished: false, ..findings };
    assert_eq!(assemble(&Experiment::default(), &ended).warnings.len(), 8);
}

#[test]
fn reproducers_are_listed_where_there_are_several() {
    let check = |made: usize, first: Option<usize>, listed: usize| {
        let made = (1..=made).map(|nodes| reduced(nodes, true, None)).collect();
        let findings = Findings { reproducers: Reproducers { made, ..Reproducers::default() }, ..diverged() };
        let report = assemble(&Experiment::default(), &findings);
        assert_eq!((report.reduced.map(|r| r.nodes), report.reproducers.len()), (first, listed));
    };
    check(0, None, 0);
    check(1, Some(1), 0);
    check(2, Some(1), 2);
    check(3, Some(1), 3);
}

#[test]
fn the_search_is_told_as_it_was() {
    let counts = Counts {
        candidate_builds: 1,
        candidate_runs: 2,
        recalled_runs: 3,
        reference_runs: 4,
        trust_builds: 5,
        proof_builds: 6,
        perturbed: true,
    };
    let tensors = vec![output("a", Status::Agrees, None), output("b", Status::NotCompared, Some("fused away"))];
    let opening = Opening { strategy: "ddmin".to_string(), ..Opening::default() };
    let measured = Measured { tensors, counts, observed: vec!["debug".to_string()], times: None, notes: Vec::new() };
    let findings = Findings { opening, measured, ..diverged() };
    let report = assemble(&Experiment::default(), &findings);
    let search = &report.search;
    assert_eq!((search.strategy.as_str(), search.seconds), ("ddmin", 0.0), "no search was begun");
    let numbers = [search.candidate_builds, search.candidate_runs, search.reference_runs];
    assert_eq!((numbers, search.trust_builds, search.proof_builds), ([1, 2, 4], 5, 6));
    assert_eq!((search.tensors_compared, search.tensors_not_compared, report.tensors.len()), (1, 1, 2));
    assert_eq!((search.perturbed, search.observed.as_slice()), (true, &["debug".to_string()][..]));
    let found = assemble(&Experiment::default(), &Findings { found: searched(None), ..findings }).search;
    assert_eq!((found.strategy.as_str(), found.seconds), ("bisect", 0.5));
}

#[test]
fn trust_is_of_both_sides() {
    let trust = ReferenceTrust { repeat: "identical".to_string(), tf32: Some("off (measured)".to_string()) };
    let mine = Some(OfReference { trust, ..OfReference::default() });
    let (repeat, rows) = ("moved".to_string(), "uneven".to_string());
    let theirs = Some(OfCandidate { repeat, rows, tf32: Some("on (measured)".to_string()), ..OfCandidate::default() });
    let told = |reference: &Option<OfReference>, candidate: &Option<OfCandidate>| {
        let findings = Findings { reference: reference.clone(), candidate: candidate.clone(), ..diverged() };
        serde_json::to_value(assemble(&Experiment::default(), &findings).trust).unwrap()
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(told(&None, &None), json("null"));
    assert_eq!(told(&None, &theirs), json(r#"{"repeat": "moved", "rows": "uneven", "tf32": "on (measured)"}"#));
    let reference = r#"{"repeat": "identical", "tf32": "off (measured)"}"#;
    let alone = format!(r#"{{"repeat": "", "rows": "", "reference": {reference}}}"#);
    assert_eq!(told(&mine, &None), json(&alone));
    let both = format!(r#"{{"repeat": "moved", "rows": "uneven", "tf32": "on (measured)", "reference": {reference}}}"#);
    assert_eq!(told(&mine, &theirs), json(&both));
}

#[test]
fn the_model_is_named_by_its_contents() {
    let source = |contents: &str| Source { path: "m.onnx".to_string(), contents: contents.to_string() };
    let sha256 = |model: Vec<Source>| {
        let experiment = Experiment { model, ..Experiment::default() };
        let opening = Opening {
            model: ModelInfo { sha256: "of no account".to_string(), nodes: 3, ..ModelInfo::default() },
            ..Opening::default()
        };
        let model = assemble(&experiment, &Findings { opening, ..agreed() }).model;
        assert_eq!(model.nodes, 3);
        model.sha256
    };
    assert_eq!(sha256(vec![source("of the model"), source("of its weights")]), "of the model");
    assert_eq!(sha256(Vec::new()), "");
}

#[test]
fn a_report_of_a_run_that_died_keeps_what_was_known() {
    let findings = Findings { found: searched(Some(vec![culprit()])), unfinished: true, ..diverged() };
    let begun = assemble(&Experiment::default(), &findings);
    let died = RunError::Crash { backend: "layerdiff".into(), reason: "SIGKILL".into() };
    let ended = cut_short(begun.clone(), &died);
    assert_eq!((ended.verdict, ended.why.as_deref()), (Inconclusive, Some("layerdiff crashed: SIGKILL")));
    assert_eq!((ended.culprits.len(), ended.warnings), (1, begun.warnings));
}

#[test]
fn what_stages_gave_stands_in_its_place() {
    let row = Ranked { node: "n".to_string(), ..Ranked::default() };
    let limited = PrecisionLimited { why: "rounding".to_string(), ..PrecisionLimited::default() };
    let sensitivity = vec![Sensitivity { node: "s".to_string(), ..Sensitivity::default() }];
    let findings = Findings {
        found: searched(Some(vec![culprit()])),
        opening: Opening {
            first: OfFirst {
                crash: Some(Crash { side: "candidate".to_string(), ..Crash::default() }),
                ..OfFirst::default()
            },
            ..diverged().opening
        },
        ranking: Ranking { rows: vec![row], limited: Some(limited), notes: Vec::new() },
        cure: Cure { overrides: Some(Overrides::default()), sensitivity, notes: Vec::new() },
        compiler: of_knobs(Some(Routes { of: 3, ..Routes::default() })),
        seconds: 1.5,
        ..diverged()
    };
    let report = assemble(&Experiment { layerdiff: "1.2.3".to_string(), ..Experiment::default() }, &findings);
    assert_eq!((report.schema.as_str(), report.layerdiff.as_str()), (SCHEMA, "1.2.3"));
    assert_eq!((report.outputs.len(), report.culprits[0].kind), (2, Kind::Introduces));
    assert_eq!(report.crash.map(|crash| crash.side).as_deref(), Some("candidate"));
    assert_eq!(report.ranking[0].node, "n");
    assert_eq!(report.precision_limited.map(|limited| limited.why).as_deref(), Some("rounding"));
    assert_eq!((report.overrides.is_some(), report.sensitivity[0].node.as_str()), (true, "s"));
    assert_eq!((report.routes.map(|routes| routes.of), report.seconds), (Some(3), 1.5));
}
