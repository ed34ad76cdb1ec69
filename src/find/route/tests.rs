//! Knobs of a compiler that is a fake: what is turned, and what is told.

use super::*;
use crate::lab::fake::{SetUp, World, Wrong};

const KNOBS: &str = r#"{"tuner_version": "2.19.15", "tuner_options": [
    {"option": "-a", "allowed_values": "-a=[on|off]", "default_value": "on", "help": "A."},
    {"option": "-b", "allowed_values": "-b=[on|off]", "default_value": "off", "help": "B."},
    {"option": "-c:d", "allowed_values": "-c:d=[0|1|2]", "default_value": "1", "help": "C."},
    {"option": "-e", "allowed_values": "-e=[1|2]", "default_value": "1"},
    {"option": "-f", "allowed_values": "-f=[on|off]", "default_value": "on", "help": "F."}]}"#;

fn engine() -> World {
    World::of("a = Neg(x); b = Neg(a); c = Mul(a, b)")
        .engine(&[])
        .with(|w| w.candidate.routes = Some(KNOBS.to_string()))
}

fn routed(set: &SetUp, builds: u64) -> Result<Routes, RunError> {
    route(&set.probe(), builds, &Progress::new(true))
}

#[test]
fn knobs_that_can_be_turned_off() {
    let off: Vec<String> = knobs(KNOBS).unwrap().into_iter().map(|k| k.off).collect();
    assert_eq!(off, ["-a=off", "-c:d=0", "-f=off"]);
    assert_eq!(knobs("no json"), None);
}

#[test]
fn the_smallest_set_that_cures_is_told() {
    let owned = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    let check = |world: World, knobs: &[&str], help: &[&str]| {
        let set = world.set_up();
        let routes = routed(&set, 200).unwrap();
        assert_eq!((&routes.knobs[..], &routes.help[..]), (&owned(knobs)[..], &owned(help)[..]));
        assert_eq!((routes.verified, routes.of), (!knobs.is_empty(), 3));
        assert_eq!(routes.builds, set.candidate.count() - 1, "every build is counted, but the first, unmarked one");
        let turned = set.candidate.all().into_iter().skip(1).map(|seen| seen.route);
        assert!(turned.into_iter().all(|route| route.is_some()), "each build has knobs of its own");
    };
    let unless = |knob| Wrong::Unless(0.5, knob);
    check(engine().wrong("make_a", unless("-f=off")), &["-f=off"], &["F."]);
    check(engine().wrong("make_a", unless("-c:d=0")), &["-c:d=0"], &["C."]);
    let two = engine().wrong("make_a", unless("-a=off")).wrong("make_b", unless("-f=off"));
    check(two, &["-a=off", "-f=off"], &["A.", "F."]);
    check(engine().wrong("make_a", Wrong::Off(0.5)), &[], &[]);
    // Not all together, but one alone.
    let apart = engine().wrong("make_a", unless("-f=off")).with(|w| w.candidate.unbuildable = vec!["-a=off", "-c:d=0"]);
    check(apart, &["-f=off"], &["F."]);
}

#[test]
fn what_cured_once_and_not_again_is_not_verified() {
    let world = || engine().wrong("make_a", Wrong::Unless(0.5, "-f=off"));
    let set = world().set_up();
    assert!(routed(&set, 200).unwrap().verified);
    let last = set.candidate.count() - 1;
    let routes = routed(&world().with(|w| w.candidate.relapses_at = Some(last)).set_up(), 200).unwrap();
    assert_eq!((routes.knobs.as_slice(), routes.verified), (&["-f=off".to_string()][..], false));
}

#[test]
fn no_more_is_built_than_is_allowed() {
    for builds in 1..8 {
        let set = engine().wrong("make_a", Wrong::Unless(0.5, "-f=off")).set_up();
        let routes = routed(&set, builds).unwrap();
        assert!(routes.builds as u64 <= builds + 1, "{} of {builds}, and one to verify", routes.builds);
        assert!(routes.knobs.iter().any(|knob| knob == "-f=off") && routes.verified);
    }
}

#[test]
fn who_has_no_knobs_is_told_so() {
    for routes in [None, Some("no json"), Some(r#"{"tuner_options": []}"#)] {
        let set = engine().with(|w| w.candidate.routes = routes.map(str::to_string)).set_up();
        let Err(RunError::Missing(why)) = routed(&set, 200) else { panic!("{routes:?}") };
        assert!(why.starts_with("--by build-route turns the knobs of TensorRT's compiler"), "{why}");
    }
}

#[test]
fn an_interruption_ends_the_search() {
    for at in 1..4 {
        let world = engine().wrong("make_a", Wrong::Unless(0.5, "-f=off")).with(|w| w.candidate.stops_at = Some(at));
        assert_eq!(routed(&world.set_up(), 200).err(), Some(RunError::Interrupted));
    }
}
