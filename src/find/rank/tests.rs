//! Whom the precision hurts: the order of the table, and the stage in labs of fakes.

use super::*;
use crate::cli::{SearchArgs, Strategy};
use crate::find;
use crate::found::PrecisionLimited;
use crate::found::{Kind, Status};
use crate::judge::Rules;
use crate::lab::Lowering;
use crate::lab::fake::{SetUp, World, Wrong};
use crate::show::sample::sample_report;
use crate::tensor::DType;

fn row(node: &str, local: f64, rho: Option<f64>) -> Row {
    Row { node: node.into(), local: Real(local), rho: rho.map(Real), ..Row::default() }
}

#[test]
fn what_is_worse_than_the_precision_comes_first() {
    let mut rows = [
        row("rounding", 1e-2, Some(1.0)),
        row("kernel", 1e-4, Some(50.0)),
        row("unknown", 1e-3, None),
        row("broken", f64::INFINITY, Some(1.0)),
    ];
    rows.sort_by(worst_first);
    assert_eq!(rows.map(|r| r.node), ["kernel", "broken", "rounding", "unknown"]);
}

#[test]
fn what_only_moves_values_is_told_of_where_it_is_broken() {
    let moves = |rho| Row { op_type: "Transpose".into(), ..row("t", 1e-4, rho) };
    assert_eq!([None, Some(1.0), Some(5.0)].map(|rho| is_telling(&moves(rho))), [false, false, true]);
    assert!(is_telling(&row("conv", 1e-4, None)));
}

#[test]
fn errors_against_the_emulation() {
    let unit = unit(Precision::Fp16);
    assert_eq!(rho(3e-3, 1e-3, unit), 3.0);
    assert_eq!(rho(unit / 8.0, 0.0, unit), 1.0);
    assert_eq!(rho(f64::INFINITY, 1e-3, unit), f64::INFINITY);
    assert_eq!(rho(f64::INFINITY, f64::INFINITY, unit), 1.0);
    assert_eq!(rho(1e-3, f64::INFINITY, unit), 0.0);
    assert_eq!(super::unit(Precision::Bf16), 8.0 * unit);
}

#[test]
fn the_worst_that_computes_is_cut_out() {
    let off = |db: f64| Some(Metrics { sqnr_db: Real(db), ..Metrics::default() });
    let mut culprits = vec![sample_report().culprits[0].clone(); 3];
    for (culprit, (name, db)) in culprits.iter_mut().zip([("a", 60.0), ("b", 40.0), ("constant", 20.0)]) {
        (culprit.tensor, culprit.local) = (name.into(), off(db));
    }
    culprits[2].node.inputs.clear();
    assert_eq!(worth_cutting_out(&culprits, &Ranking::default()).len(), 3, "there is somebody to blame");
    let limited = Ranking { limited: Some(PrecisionLimited::default()), ..Ranking::default() };
    let worst = worth_cutting_out(&culprits, &limited);
    assert_eq!((worst.len(), worst[0].tensor.as_str()), (1, "b"));
}

const GRAPH: &str = "a = Mul(x, scale); b = MatMul(a, left); c = Relu(b); d = Add(c, bias); e = Mul(d, a)";

/// A candidate that computes in FP16 by itself, as far as this fake does: in float32.
fn lowered(lowering: Lowering) -> World {
    World::of(GRAPH).with(|w| {
        (w.lowering, w.candidate_spec) = (lowering, "ort-cuda:fp16");
        w.rules = Rules { precision: Precision::Fp16, ..Rules::default() };
    })
}

/// The culprits, and the ranking of everything.
fn ranked(set: &SetUp, builds: bool) -> (Vec<Culprit>, Ranked) {
    let (mut probe, progress) = (set.probe(), Progress::new(true));
    let args = SearchArgs::by_tensors(Strategy::Scan, None);
    let found = find::find(&args, &mut probe, &progress, |_| {});
    let culprits = found.value.culprits.unwrap_or_default();
    let ranked = rank(&mut probe, &culprits, builds, &progress).unwrap();
    (culprits, ranked)
}

#[test]
fn what_is_not_lowered_is_not_ranked() {
    let set = World::of(GRAPH).wrong("make_c", Wrong::Off(0.5)).set_up();
    let (mut probe, jobs) = (set.probe(), 2);
    let ranked = rank(&mut probe, &[], true, &Progress::new(true)).unwrap();
    assert!(ranked.ranking.rows.is_empty() && ranked.ranking.notes.is_empty() && ranked.locals.is_none());
    assert_eq!(set.candidate.count() + set.reference.count(), jobs, "nothing is run");
}

#[test]
fn an_engine_is_not_built_for_a_ranking_that_nobody_pays_for() {
    let set = lowered(Lowering::Backend(DType::Float16)).engine(&[]).wrong("make_c", Wrong::Off(0.5)).set_up();
    let (culprits, ranked) = ranked(&set, false);
    assert_eq!((culprits.len(), ranked.ranking.notes.as_slice()), (1, &[Note::RankingNeedsBuild][..]));
    assert!(ranked.ranking.rows.is_empty() && ranked.locals.is_none() && ranked.ranking.limited.is_none());
}

#[test]
fn a_node_that_is_worse_than_its_precision_is_first() {
    for node in World::of(GRAPH).nodes {
        for engine in [false, true] {
            let world = lowered(Lowering::Backend(DType::Float16)).wrong(&node, Wrong::Off(0.5));
            let set = if engine { world.engine(&[]) } else { world }.set_up();
            let (culprits, ranked) = ranked(&set, true);
            assert_eq!(culprits.iter().map(|c| c.node.name.as_str()).collect::<Vec<_>>(), [node.as_str()]);
            let worst = &ranked.ranking.rows[0];
            assert_eq!(worst.node, node);
            assert!(worst.rho.is_some_and(|rho| rho.0 > NEAR), "{worst:?}");
            assert!(ranked.ranking.limited.is_none() && ranked.ranking.notes.is_empty(), "somebody is to blame");
            let locals = ranked.locals.unwrap();
            let off = |number: usize| locals.get(&number).is_some_and(|local| local.error > 0.0);
            let graph = &set.lab.candidate.graph;
            let wrong = (0..graph.nodes.len()).filter(|n| off(*n)).map(|n| graph.nodes[n].name.as_str());
            assert_eq!(wrong.collect::<Vec<_>>(), [node.as_str()], "every node alone, and only one is off");
        }
    }
}

#[test]
fn where_every_node_only_rounds_nobody_is_to_blame() {
    // The emulation itself, judged as if it were float32: everything is beyond the tolerance.
    let world = lowered(Lowering::Emulate(crate::spec::Low::Float16));
    let set = world.with(|w| (w.candidate_spec, w.rules) = ("ort:fp16", Rules::default())).set_up();
    let (culprits, ranked) = ranked(&set, true);
    assert!(!culprits.is_empty() && culprits.iter().all(|c| c.kind == Kind::Introduces));
    assert!(ranked.ranking.rows.iter().all(|row| row.rho == Some(Real(1.0))));
    assert!(ranked.ranking.limited.is_some(), "{:?}", culprits.iter().map(|c| &c.diagnosis).collect::<Vec<_>>());
    assert_eq!(worth_cutting_out(&culprits, &ranked.ranking).len(), 1);
}

#[test]
fn nodes_that_cannot_be_run_alone_are_told_and_the_culprits_stay() {
    let world = lowered(Lowering::Backend(DType::Float16)).wrong("make_c", Wrong::Off(0.5));
    let set = world.with(|w| w.candidate.islands = false).set_up();
    let (culprits, ranked) = ranked(&set, true);
    assert_eq!(culprits.len(), 1);
    let why = "fake could not build the model: no islands here";
    assert_eq!(ranked.ranking.notes, [Note::NotRanked(why.to_string())]);
    assert!(ranked.ranking.rows.is_empty() && ranked.locals.is_some_and(|locals| locals.is_empty()));
}

#[test]
fn an_interruption_ends_the_ranking() {
    let set = lowered(Lowering::Backend(DType::Float16)).with(|w| w.candidate.stops_at = Some(1)).set_up();
    let mut probe = set.probe();
    assert!(probe.finals.results.iter().all(|output| output.status == Status::Agrees));
    assert_eq!(rank(&mut probe, &[], true, &Progress::new(true)).err(), Some(RunError::Interrupted));
}
