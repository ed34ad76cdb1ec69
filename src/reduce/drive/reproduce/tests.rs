//! Culprits of fake candidates are cut out. What comes after it, files and a new process that reads them, is no matter of
//! fakes.

use super::*;
use crate::cli::{SearchArgs, Strategy};
use crate::found::experiment::Experiment;
use crate::lab::fake::{World, Wrong};
use crate::lab::journal::{Journal, Known};

const GRAPH: &str = "a = MatMul(x, left); b = Add(a, bias); c = Relu(b); d = MatMul(c, right); e = Add(d, a)";

const ONCE: ReproducerArgs = ReproducerArgs { freeze: false, shrink_weights: false, stability: 1 };

fn culprits(probe: &mut Probe) -> Vec<Culprit> {
    let args = SearchArgs::by_tensors(Strategy::Scan, None);
    let found = crate::find::find(&args, probe, &Progress::new(true), |_| {});
    found.value.culprits.unwrap_or_default()
}

/// What is left of the first culprit of a world.
struct Left {
    nodes: Vec<String>,
    outputs: Vec<String>,
    /// That the candidate was asked.
    jobs: usize,
    minimal: bool,
    flaps: Option<String>,
    case: Case,
}

fn left(world: World, args: &ReproducerArgs) -> Result<Left, String> {
    left_knowing(world, args, Known::default(), Journal::default())
}

/// The same with what an earlier run knows.
fn left_knowing(world: World, args: &ReproducerArgs, known: Known, journal: Journal) -> Result<Left, String> {
    let set = world.set_up();
    let mut probe = set.probe();
    let culprit = culprits(&mut probe).remove(0);
    let progress = Progress::new(true);
    let mut attempts = Attempts::new(journal, known.attempts, &progress);
    let before = set.candidate.count();
    let cut = cut(&mut probe, &culprit, args, &mut attempts).unwrap()?;
    let jobs = set.candidate.count() - before;
    assert!(jobs <= attempts.count, "one job an attempt, if it was not known");
    let case = cut.smaller.steps.last().unwrap().case.clone();
    let answer = cut.judge.answer(&Attempt { what: "the last".to_string(), case: case.clone() });
    assert!(cut.flaps.is_some() || answer == Ok(Answer::Bad), "what is left fails");
    let graph = case.model.graph.as_ref().unwrap();
    Ok(Left {
        nodes: reduce::names(&case.model),
        outputs: graph.output.iter().map(|o| o.name().to_string()).collect(),
        jobs,
        minimal: cut.smaller.minimal,
        flaps: cut.flaps,
        case,
    })
}

#[test]
fn every_culprit_is_cut_to_one_node() {
    for node in World::of(GRAPH).nodes {
        for engine in [false, true] {
            let world = World::of(GRAPH).wrong(&node, Wrong::Off(0.5));
            let left = left(if engine { world.engine(&[]) } else { world }, &ONCE).unwrap();
            assert_eq!((left.nodes.as_slice(), left.minimal), (&[node.clone()][..], true));
            assert_eq!(left.outputs, [node.replace("make_", "")]);
        }
    }
}

#[test]
fn what_only_a_fusion_shows_is_cut_to_the_nodes_of_it() {
    let world = World::of(GRAPH).wrong("make_c", Wrong::Fused(0.5, "b")).engine(&[]);
    let left = left(world.with(|w| w.candidate.blind.push("b")), &ONCE).unwrap();
    assert_eq!((left.nodes.as_slice(), left.minimal), (&["make_b", "make_c"].map(String::from)[..], true));
}

#[test]
fn what_is_known_of_attempts_is_not_tried_again() {
    let world = || World::of(GRAPH).wrong("make_c", Wrong::Off(0.5)).with(|w| w.candidate_spec = "ort");
    let home = tempfile::tempdir().unwrap();
    let open = |resume| Journal::open(&home.path().join("journal.jsonl"), &Experiment::default(), resume).unwrap();
    let (journal, nothing) = open(false);
    let first = left_knowing(world(), &ONCE, nothing, journal).unwrap();
    let (journal, known) = open(true);
    let again = left_knowing(world(), &ONCE, known, journal).unwrap();
    assert!(first.jobs > 0 && again.jobs == 0, "{} jobs, then {}", first.jobs, again.jobs);
    assert_eq!((again.nodes, again.case.model == first.case.model), (first.nodes, true));
}

#[test]
fn less_data_is_left_where_less_shows_it() {
    let world = World::of(GRAPH).wrong("make_c", Wrong::Off(0.5)).with(|w| w.candidate_spec = "ort");
    let left = left(world, &ONCE).unwrap();
    let elements: usize = left.case.feeds.values().map(|t| t.elements()).sum();
    assert_eq!((left.nodes.len(), elements), (1, 1), "one number is enough");
}

#[test]
fn a_failure_that_comes_and_goes_is_told() {
    // Off by more with each job, in turns.
    let world = World::of(GRAPH).wrong("make_c", Wrong::Off(0.5)).with(|w| w.candidate.tires = true);
    let thrice = ReproducerArgs { stability: 3, ..ONCE };
    let left = left(world, &thrice).unwrap();
    let flaps = left.flaps.unwrap_or_default();
    assert!(flaps.starts_with("it does not fail every time: run "), "{flaps}");
}

#[test]
fn what_does_not_fail_apart_has_no_reproducer() {
    // Wrong in the whole model only, whoever is there.
    let world = World::of(GRAPH).wrong("make_c", Wrong::Whole(0.5));
    let why = left(world, &ONCE).err();
    assert_eq!(
        why.as_deref(),
        Some("cut out of the model it does not fail, not even with everything it is computed from")
    );
}

#[test]
fn at_most_so_many_are_chosen_and_constants_last() {
    let culprit = |name: &str, reads: bool| {
        let set = World::of("a = Neg(x)").wrong("make_a", Wrong::Off(0.5)).set_up();
        let mut culprit = culprits(&mut set.probe()).remove(0);
        culprit.tensor = name.to_string();
        culprit.node.inputs.truncate(usize::from(reads));
        culprit
    };
    let all: Vec<Culprit> = (0..12).map(|i| culprit(&format!("t{i}"), i % 3 != 0)).collect();
    let tensors: Vec<&str> = chosen(&all).iter().map(|c| c.tensor.as_str()).collect();
    assert_eq!(tensors, ["t1", "t2", "t4", "t5", "t7", "t8", "t10", "t11"]);
    let tensors: Vec<&str> = chosen(&all[..10]).iter().map(|c| c.tensor.as_str()).collect();
    assert_eq!(tensors, ["t0", "t1", "t2", "t3", "t4", "t5", "t7", "t8"]);
}
