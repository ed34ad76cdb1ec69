//! Engines that are fakes, wrong where two nodes are fused: which outputs are found, and what is claimed of them.

use super::*;
use crate::lab::fake::{SetUp, World, Wrong};
use crate::run::Observe;
use crate::show::sample::sample_report;

/// `wrong`: a node, and the tensor in front of it that must not be fused away.
fn engine(text: &str, wrong: &[(&str, &'static str)]) -> World {
    let world = World::of(text).engine(&[Observe::Outputs]);
    wrong.iter().fold(world, |world, (node, tensor)| world.wrong(node, Wrong::Fused(0.5, tensor)))
}

const CHAIN: &str = "a = Neg(x); b = Mul(a, a); c = Neg(b); d = Mul(c, a); e = Neg(d); f = Mul(e, e)";

fn searched_in(set: &SetUp, most: usize, dir: &Path) -> Result<Fusion, RunError> {
    let probe = set.probe();
    let progress = Progress::new(true);
    fusion(&Request { lab: &set.lab, right: &probe.finals.right, most, dir, progress: &progress })
}

fn found(world: World) -> Fusion {
    let home = tempfile::tempdir().unwrap();
    searched_in(&world.set_up(), 100, home.path()).unwrap()
}

#[test]
fn the_smallest_set_is_found_and_proved() {
    let check = |wrong: &[(&str, &'static str)], want: &[&str]| {
        let found = found(engine(CHAIN, wrong));
        assert_eq!((found.answer, found.tensors.as_slice()), (FusionAnswer::Cured, &want.map_owned()[..]), "{wrong:?}");
        assert!(found.verified && found.minimal && found.of == 5 && found.why.is_none(), "{found:?}");
    };
    check(&[("make_d", "c")], &["c"]);
    check(&[("make_b", "a")], &["a"]);
    check(&[("make_b", "a"), ("make_f", "e")], &["a", "e"]);
    check(&[("make_b", "a"), ("make_d", "c"), ("make_f", "e")], &["a", "c", "e"]);
}

#[test]
fn every_build_is_counted() {
    let set = engine(CHAIN, &[("make_d", "c")]).set_up();
    let home = tempfile::tempdir().unwrap();
    let found = searched_in(&set, 100, home.path()).unwrap();
    // But the first, unmarked one; a fake has no time of its own.
    assert_eq!(found.trials, set.candidate.count() - 1);
    assert_eq!(found.latency, None);
}

#[test]
fn what_every_output_does_not_cure_is_no_fusion() {
    let world = engine(CHAIN, &[]).wrong("make_d", Wrong::Off(0.5));
    let found = found(world);
    assert_eq!((found.answer, found.trials), (FusionAnswer::Diverges, 1));
    assert!(found.tensors.is_empty() && !found.verified && !found.is_shown() && found.files.is_empty(), "{found:?}");
}

#[test]
fn of_what_is_inside_of_branches_nothing_is_concluded() {
    let world = World::with_branches(true).engine(&[Observe::Outputs]).wrong("make_d", Wrong::Off(0.5));
    let found = found(world);
    assert_eq!((found.answer, found.of), (FusionAnswer::Unknown, 2));
    assert!(found.why.as_ref().is_some_and(|why| why.contains("inside of If, Loop and Scan")), "{found:?}");
}

#[test]
fn what_cannot_be_built_as_a_whole_is_tried_in_parts() {
    let found_without =
        |tensor| found(engine(CHAIN, &[("make_b", "a")]).with(|w| w.candidate.unmarkable = Some(tensor)));
    let found = found_without("e");
    assert_eq!((found.answer, found.tensors), (FusionAnswer::Cured, vec!["a".to_string()]));
    // The one that would cure cannot be an output.
    let found = found_without("a");
    assert_eq!(found.answer, FusionAnswer::Unknown);
    assert!(found.why.as_ref().is_some_and(|why| why.contains("it cannot be marked")), "{found:?}");
}

#[test]
fn what_cured_once_and_not_again_is_not_verified() {
    let set = engine(CHAIN, &[("make_b", "a")]).set_up();
    let home = tempfile::tempdir().unwrap();
    let at_first = searched_in(&set, 100, home.path()).unwrap();
    assert!(at_first.verified, "{at_first:?}");
    let last = set.candidate.count() - 1;
    let relapsing = engine(CHAIN, &[("make_b", "a")]).with(|w| w.candidate.relapses_at = Some(last)).set_up();
    let found = searched_in(&relapsing, 100, home.path()).unwrap();
    assert!(!found.verified && !found.is_shown(), "{found:?}");
    assert!(found.why.as_ref().is_some_and(|why| why.contains("does not agree when it is built again")), "{found:?}");
}

#[test]
fn no_more_is_built_than_is_allowed() {
    for most in 1..8 {
        let set = engine(CHAIN, &[("make_b", "a"), ("make_f", "e")]).set_up();
        let home = tempfile::tempdir().unwrap();
        let found = searched_in(&set, most, home.path()).unwrap();
        assert!(found.trials <= most + 2, "{} of {most}, and two to prove it", found.trials);
        assert!(found.verified && ["a", "e"].iter().all(|t| found.tensors.iter().any(|name| name == t)), "{found:?}");
        assert!(!found.minimal || found.tensors.len() == 2, "{found:?}");
    }
}

#[test]
fn an_interruption_ends_the_search() {
    for at in 1..4 {
        let world = engine(CHAIN, &[("make_d", "c")]).with(|w| w.candidate.stops_at = Some(at));
        let home = tempfile::tempdir().unwrap();
        assert_eq!(searched_in(&world.set_up(), 100, home.path()).err(), Some(RunError::Interrupted));
    }
}

#[test]
fn the_files_say_what_was_built() {
    let home = tempfile::tempdir().unwrap();
    let set = engine(CHAIN, &[("make_b", "a"), ("make_f", "e")]).set_up();
    let found = searched_in(&set, 100, home.path()).unwrap();
    let read = |consumer: &str| std::fs::read_to_string(&found.files[consumer]).unwrap();
    assert_eq!(read("tensors"), "a\ne\n");
    assert!(read("polygraphy").contains("--trt --trt-outputs f a e \"$@\""), "{}", read("polygraphy"));
    assert!(read("polygraphy_script").contains("TENSORS = [\n  \"a\",\n  \"e\"\n]"), "{}", read("polygraphy_script"));
    let model = crate::load::Model::load(Path::new(&found.files["onnx"])).unwrap();
    let outputs = model.proto.graph.as_ref().unwrap().output.iter().map(|output| output.name().to_string());
    assert_eq!(outputs.collect::<Vec<_>>(), ["f", "a", "e"]);
    // A folder of the user's is left alone.
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir(own.path().join("fusion")).unwrap();
    std::fs::write(own.path().join("fusion/mine"), "").unwrap();
    let refused = searched_in(&set, 100, own.path()).unwrap();
    assert!(refused.verified && refused.files.is_empty() && refused.why.unwrap().contains("not written by layerdiff"));
    clear(own.path());
    clear(home.path());
    assert!(own.path().join("fusion/mine").is_file() && !home.path().join("fusion").exists());
}

#[test]
fn a_culprit_whose_region_has_the_tensor_is_told() {
    let home = tempfile::tempdir().unwrap();
    let set = engine(CHAIN, &[("make_d", "c")]).set_up();
    let found = searched_in(&set, 100, home.path()).unwrap();
    let mut culprits = [culprit(Kind::Region, &["make_c", "make_d"]), culprit(Kind::Region, &["make_e", "make_f"])];
    explain(&mut culprits, &found, &set.lab);
    assert_eq!(culprits[1].diagnosis, []);
    let [told] = &culprits[0].diagnosis[..] else { panic!("{culprits:?}") };
    assert_eq!((told.code.as_str(), told.sure), ("fusion", Sure::Shown));
    assert!(told.evidence.starts_with("with 'c' made an output of the engine, and all else as it was"), "{told:?}");
    assert_eq!(cause(&Fusion { verified: false, ..found }, "the engine"), None);
}

#[test]
fn regions_alone_are_tried_where_nobody_asked() {
    let home = tempfile::tempdir().unwrap();
    let set = engine(CHAIN, &[("make_d", "c")]).set_up();
    let (probe, progress) = (set.probe(), Progress::new(true));
    let request =
        Request { lab: &set.lab, right: &probe.finals.right, most: 100, dir: home.path(), progress: &progress };
    let of = |culprit| of_regions(&request, &[culprit]).unwrap();
    let found = of(culprit(Kind::Region, &["make_c", "make_d"])).unwrap();
    assert_eq!((found.tensors.as_slice(), found.of), (&["c".to_string()][..], 2));
    assert_eq!(of(culprit(Kind::Region, &["make_e", "make_f"])), None);
    let before = set.candidate.count();
    assert_eq!(of(culprit(Kind::Introduces, &["make_c", "make_d"])), None);
    assert_eq!(set.candidate.count(), before, "nothing is built for a node that is to blame alone");
}

fn culprit(kind: Kind, region: &[&str]) -> Culprit {
    Culprit { kind, region: region.map_owned(), diagnosis: Vec::new(), ..sample_report().culprits[0].clone() }
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|word| word.to_string()).collect()
    }
}

impl<const N: usize> Owned for [&str; N] {
    fn map_owned(&self) -> Vec<String> {
        self.as_slice().map_owned()
    }
}
