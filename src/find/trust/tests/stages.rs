//! The two tests as stages, in labs of fakes.

use super::*;
use crate::lab::fake::{SetUp, World, Wrong};
use crate::run::{About, Doubt};

const GRAPH: &str = "a = Neg(x); b = Mul(a, a)";

fn elsewhere(about: &mut About) {
    about.doubt = Doubt::Always;
}

fn of_reference(set: &SetUp) -> Result<Option<OfReference>, RunError> {
    reference(&mut set.probe(), &Progress::new(true))
}

fn of_candidate(set: &SetUp) -> Result<Option<OfCandidate>, RunError> {
    candidate(&mut set.probe(), None, &Progress::new(true))
}

/// `share` is by how much it is off, a job later.
fn flaky(share: f32) -> World {
    World::of(GRAPH).with(|w| {
        elsewhere(&mut w.reference.about);
        elsewhere(&mut w.candidate.about);
        w.reference.spoil("make_a", Wrong::Flaky(share));
        w.candidate.spoil("make_a", Wrong::Flaky(share));
    })
}

#[test]
fn the_cpu_in_this_process_is_asked_nothing() {
    let set = World::of(GRAPH).wrong("make_b", Wrong::Flaky(0.5)).set_up();
    let mut probe = set.probe();
    let jobs = (set.reference.count(), set.candidate.count());
    assert!(reference(&mut probe, &Progress::new(true)).unwrap().is_none());
    assert!(candidate(&mut probe, None, &Progress::new(true)).unwrap().is_none());
    assert_eq!((set.reference.count(), set.candidate.count()), jobs);
}

#[test]
fn a_stored_reference_is_not_asked_again() {
    let set = flaky(0.5).with(|w| w.reference.store(&["a", "b"])).set_up();
    assert!(of_reference(&set).unwrap().is_none());
}

#[test]
fn what_answers_the_same_twice_can_be_built_on() {
    let set = flaky(0.0).set_up();
    let mut probe = set.probe();
    let mine = reference(&mut probe, &Progress::new(true)).unwrap().unwrap();
    assert_eq!((mine.trust.repeat.as_str(), mine.broken, mine.notes.as_slice()), ("identical", None, &[][..]));
    assert_eq!(mine.trust.tf32, None, "it is no question");
    let theirs = candidate(&mut probe, None, &Progress::new(true)).unwrap().unwrap();
    assert_eq!([theirs.repeat.as_str(), &theirs.rows], ["identical", "identical"]);
    assert_eq!((theirs.broken, theirs.notes.as_slice(), theirs.tf32), (None, &[][..], None));
    let counts = &probe.ledger.counts;
    assert_eq!((counts.reference_runs, set.reference.count()), (2, 2));
    assert_eq!((counts.candidate_builds, counts.trust_builds, set.candidate.count()), (1, 1, 2));
    assert_eq!(set.candidate.all()[1].samples, 2, "the same again, and equal rows");
}

#[test]
fn what_moves_beyond_the_tolerance_is_not_built_on() {
    let moved = |broken: Option<Distrust>| match broken {
        Some(Distrust::ReferenceMoves(how)) => ("reference", how),
        Some(Distrust::CandidateMoves(how)) => ("candidate", how),
        other => panic!("{other:?}"),
    };
    let set = flaky(0.5).set_up();
    let mine = of_reference(&set).unwrap().unwrap();
    assert!(mine.notes.is_empty());
    let (who, how) = moved(mine.broken);
    assert!(who == "reference" && how.starts_with("output 'b' moved by up to ") && how == mine.trust.repeat, "{how}");
    let set = flaky(0.5).set_up();
    let theirs = of_candidate(&set).unwrap().unwrap();
    assert!(theirs.notes.is_empty());
    let (who, how) = moved(theirs.broken);
    assert!(who == "candidate" && how.starts_with("output 'b' moved by up to ") && how == theirs.repeat, "{how}");
}

#[test]
fn what_moves_within_the_tolerance_is_told() {
    let set = flaky(1e-6).set_up();
    let mine = of_reference(&set).unwrap().unwrap();
    assert_eq!((mine.broken, mine.notes), (None, vec![Note::Moves(Who::Reference, mine.trust.repeat)]));
    let set = flaky(1e-6).set_up();
    let theirs = of_candidate(&set).unwrap().unwrap();
    assert_eq!((theirs.broken, theirs.notes), (None, vec![Note::Moves(Who::Candidate, theirs.repeat)]));
}

#[test]
fn equal_rows_with_unequal_answers_are_told() {
    let world =
        |share: f32| World::of(GRAPH).with(|w| elsewhere(&mut w.candidate.about)).wrong("make_a", Wrong::Rows(share));
    let theirs = of_candidate(&world(0.5).set_up()).unwrap().unwrap();
    assert_eq!(theirs.repeat, "identical");
    assert_eq!((theirs.broken, theirs.notes), (None, vec![Note::UnevenRows(theirs.rows.clone())]));
    assert_eq!(theirs.rows, "output 'b', row 1 against row 0");
}

#[test]
fn rows_are_a_question_of_batches_only() {
    let set = World::with_branches(true).with(|w| elsewhere(&mut w.candidate.about)).set_up();
    let theirs = of_candidate(&set).unwrap().unwrap();
    assert_eq!(theirs.rows, "not tested: the data has no batch of two");
    assert_eq!(set.candidate.all()[1].samples, 1);
}

#[test]
fn a_command_is_asked_again_where_its_outputs_diverge() {
    let command = |w: &mut World| {
        elsewhere(&mut w.candidate.about);
        w.candidate.about.doubt = Doubt::Repeats;
    };
    let steady = World::of(GRAPH).with(command).wrong("make_a", Wrong::Off(0.5)).set_up();
    let theirs = of_candidate(&steady).unwrap().unwrap();
    assert_eq!((theirs.repeat.as_str(), theirs.broken, steady.candidate.count()), ("identical", None, 2));
    assert_eq!((theirs.rows.as_str(), steady.candidate.all()[1].samples), ("identical", 2));
    // Of what was asked the same before, only rows are a question.
    let steady = World::of(GRAPH).with(command).wrong("make_a", Wrong::Off(0.5)).set_up();
    let mut probe = steady.probe();
    probe.again.same = probe.finals.unmarked.first().cloned();
    let known = twice(&mut probe, &Progress::new(true)).unwrap();
    assert_eq!(known.as_ref().map(|tests| tests.repeat.as_str()), Some("identical"));
    let both = candidate(&mut probe, known, &Progress::new(true)).unwrap().unwrap();
    assert_eq!((both.rows.as_str(), steady.candidate.all()[1].samples), ("identical", 1));
    let right = World::of(GRAPH).with(command).set_up();
    assert!(of_candidate(&right).unwrap().is_none() && right.candidate.count() == 1, "nothing is to be accused");
}

#[test]
fn the_sample_that_fails_is_asked_again() {
    let mut world = World::of(GRAPH).with(|w| elsewhere(&mut w.candidate.about)).wrong("make_a", Wrong::Flaky(0.5));
    let second = world.feeds[0].clone();
    world.feeds.push(second);
    assert!(of_candidate(&world.set_up()).unwrap().unwrap().broken.is_some());
}

#[test]
fn a_test_that_cannot_be_made_is_an_error() {
    let check = |at: usize, want: RunError| {
        let set = flaky(0.0).with(|w| w.reference.stops_at = Some(at)).set_up();
        assert_eq!(of_reference(&set).err(), Some(want.clone()));
        let set = flaky(0.0).with(|w| w.candidate.stops_at = Some(at)).set_up();
        assert_eq!(of_candidate(&set).err(), Some(want));
    };
    check(1, RunError::Interrupted);
}

#[test]
fn products_are_measured_where_hardware_may_cut_them_short() {
    // These fakes know no Conv: the test of the products says nothing, and fails nothing.
    let set = flaky(0.0).with(|w| w.candidate.about.tf32 = Tf32::Told).set_up();
    let tf32 = of_candidate(&set).unwrap().unwrap().tf32.unwrap_or_default();
    assert_eq!(tf32, "not known: fake failed while running the model: no Conv here");
    let set = flaky(0.0).with(|w| (w.candidate.about.tf32, w.candidate.stops_at) = (Tf32::Told, Some(2))).set_up();
    assert_eq!(of_candidate(&set).err(), Some(RunError::Interrupted));
}

#[test]
fn two_answers_that_differ_are_told_with_those_after_them() {
    let moved = |value: &Tensor, by: f32| {
        let values: Vec<f32> = value.view::<f32>().iter().map(|x| x + by).collect();
        Tensor::f32(&value.shape, &values)
    };
    let twice_of = |world: World, by: f32| {
        let set = world.set_up();
        let mut probe = set.probe();
        let first = probe.finals.unmarked[0].clone();
        probe.again.same = Some(first.iter().map(|(name, value)| (name.clone(), moved(value, by))).collect());
        let tests = twice(&mut probe, &Progress::new(true)).unwrap().unwrap();
        (tests, set.candidate.count())
    };
    let (tests, jobs) = twice_of(World::of(GRAPH), 0.0);
    assert_eq!((tests.repeat.as_str(), tests.broken, jobs), ("identical", None, 1));
    let (tests, jobs) = twice_of(World::of(GRAPH), 1e-6);
    assert_eq!((tests.broken, tests.notes, jobs), (None, vec![Note::Moves(Who::Candidate, tests.repeat)], 1));
    // Right, wrong, right, right: of four answers one is another one, and it is not the first.
    let (tests, jobs) = twice_of(World::of(GRAPH), 1.0);
    let Some(Distrust::CandidateWavers(words)) = tests.broken else { panic!("{tests:?}") };
    assert!(words.starts_with("agrees when it is asked first and diverges when it is asked the same again"), "{words}");
    assert!(words.ends_with("(output 'b' moved by up to 1.00e0)") && jobs == 2, "{words}");
    // Wrong each time, and never alike.
    let (tests, _) = twice_of(World::of(GRAPH).wrong("make_a", Wrong::Off(0.5)), 1.0);
    assert!(matches!(tests.broken, Some(Distrust::CandidateMoves(_))), "{tests:?}");
}
