//! The frame with a fake for a kind of cure and a closure for the candidate: no model, no backend.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;

use super::*;
use Answer::{Bad, Good, Unknown};

type Files = BTreeMap<String, String>;

/// The nodes, whether they are verified, the reason.
type Exported = (Vec<usize>, bool, Option<String>);

/// A chain of five nodes with errors of their own.
struct Fake {
    kind: CureKind,
    units: Units,
    /// By node; NaN where it was not measured.
    errors: [f64; 5],
    price: fn(&mut Overrides) -> Result<Vec<CureNote>, RunError>,
    export: fn() -> anyhow::Result<Files>,
    /// What the export was told of.
    exported: RefCell<Vec<Exported>>,
}

impl Fake {
    fn new(errors: [f64; 5]) -> Fake {
        let names = (0..5).map(|n| (format!("n{n}"), "Op".to_string())).collect();
        let readers = (0..5).map(|n| if n < 4 { vec![n + 1] } else { vec![] }).collect();
        let rank = errors.map(|e| if e.is_nan() { 0.0 } else { e }).to_vec();
        Fake {
            kind: CureKind::Fp32,
            units: Units { nodes: (0..5).collect(), groups: Vec::new(), rank, readers, names },
            errors,
            price: |_| Ok(Vec::new()),
            export: || Ok(Files::from([("nodes".to_string(), "nodes.json".to_string())])),
            exported: RefCell::default(),
        }
    }
}

impl Remedy for Fake {
    fn low(&self) -> String {
        "FP16".into()
    }

    fn kind(&self) -> CureKind {
        self.kind
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn local(&self, node: usize) -> Option<(&str, f64)> {
        Some(("t", *self.errors.get(node)?)).filter(|(_, error)| !error.is_nan())
    }

    fn remark(&self, nodes: &[usize]) -> Option<String> {
        (!nodes.is_empty()).then(|| "a remark".to_string())
    }

    fn price(&self, _: &[usize], found: &mut Overrides, _: &Progress) -> Result<Vec<CureNote>, RunError> {
        (self.price)(found)
    }

    fn export(&self, dir: &Path, set: &Smallest, found: &Overrides) -> anyhow::Result<Files> {
        assert_eq!(dir, Path::new("out/overrides"));
        self.exported.borrow_mut().push((set.nodes.clone(), found.verified, found.why.clone()));
        (self.export)()
    }
}

fn ignored(node: &str) -> CureNote {
    CureNote::Ignored { node: node.to_string(), ran: "Half".to_string(), layer: "l".to_string() }
}

/// The outputs agree when all of these are cured; the error is smaller with each node more.
fn needs(nodes: &'static [usize]) -> impl Fn(&[usize]) -> Trial {
    move |set| {
        let answer = if nodes.iter().all(|n| set.contains(n)) { Good } else { Bad };
        Trial { answer, error: 1.0 - set.len() as f64 / 10.0 }
    }
}

fn run(fake: &Fake, builds: u64, trials: &Trials) -> (Cure, Result<(), RunError>) {
    let frame =
        Frame { builds, holdout: 0, sensitivity: 2, dir: Path::new("out"), progress: &Progress::new(true), part: None };
    let cured = frame.cure(fake, trials);
    (cured.value, cured.halted.map_or(Ok(()), Err))
}

/// One sample, one trial at a time.
fn trials<'a>(truth: impl Fn(&[usize]) -> Trial + Sync + 'a) -> Trials<'a> {
    Trials::new(1, 0, 1, move |set, _| Ok(truth(set)))
}

fn found(answer: (Cure, Result<(), RunError>)) -> (Cure, Overrides) {
    let (cure, ended) = answer;
    assert!(ended.is_ok());
    let overrides = cure.overrides.clone().unwrap();
    (cure, overrides)
}

#[test]
fn the_highest_ranked_goes_first_and_what_is_claimed_was_tried() {
    let tried = Mutex::new(Vec::new());
    let truth = needs(&[3]);
    let trials = Trials::new(1, 0, 1, |set: &[usize], _| {
        tried.lock().unwrap().push(set.to_vec());
        Ok(truth(set))
    });
    let fake = Fake::new([0.1, 0.2, 0.3, 0.9, 0.4]);
    let (cure, overrides) = found(run(&fake, 200, &trials));
    let tried = tried.lock().unwrap();
    assert_eq!(tried[..3], [vec![], vec![0, 1, 2, 3, 4], vec![3]], "nothing, everything, the worst");
    assert_eq!((overrides.nodes, overrides.groups), (vec!["n3".to_string()], vec!["Op 'n3'".to_string()]));
    assert!(overrides.verified && overrides.minimal && overrides.kind == CureKind::Fp32);
    assert_eq!((overrides.builds, overrides.of), (3, 5), "sensitivity is not counted among the builds");
    assert_eq!((overrides.error_before, overrides.error_after), (Real(1.0), Real(0.9)));
    assert_eq!((overrides.files["nodes"].as_str(), cure.notes.len()), ("nodes.json", 0));
    assert_eq!(*fake.exported.borrow(), [(vec![3], true, Some("a remark".to_string()))]);
}

#[test]
fn samples_that_were_held_back_refute() {
    let truth = needs(&[3]);
    let trials = Trials::new(3, 1, 1, |set: &[usize], samples: Range<usize>| match samples {
        Range { start: 0, end: 2 } => Ok(truth(set)),
        Range { start: 2, end: 3 } => Ok(Trial { answer: Bad, error: 0.5 }),
        other => panic!("samples {other:?}"),
    });
    let fake = Fake::new([0.1, 0.2, 0.3, 0.9, 0.4]);
    let (_, overrides) = found(run(&fake, 200, &trials));
    assert!(!overrides.verified && overrides.nodes == ["n3"]);
    let why = "the 1 held-back samples do not agree (error 5.00e-1); search with more of them; a remark";
    assert_eq!(overrides.why.as_deref(), Some(why));
    assert!(!fake.exported.borrow()[0].1, "the files claim no more");
}

#[test]
fn spent_builds_are_told_of() {
    let (_, overrides) = found(run(&Fake::new([0.5, 0.4, 0.3, 0.2, 0.1]), 4, &trials(needs(&[0, 1]))));
    assert_eq!((overrides.builds, overrides.verified, overrides.minimal), (4, true, false));
    let why = "the builds that --builds allows were spent before every node was tried; a remark";
    assert_eq!(overrides.why.as_deref(), Some(why));
    let (_, overrides) = found(run(&Fake::new([0.0; 5]), 1, &trials(needs(&[0]))));
    assert!(!overrides.verified && overrides.nodes.is_empty());
    let why = "1 trials are too few to find out; allow more of them";
    assert_eq!(overrides.why.as_deref(), Some(why), "nothing is remarked of no cure");
}

#[test]
fn files_that_cannot_be_written_are_a_note_and_lose_nothing() {
    let mut fake = Fake::new([0.1, 0.2, 0.3, 0.9, f64::NAN]);
    fake.export = || Err(anyhow::anyhow!("no room").context("cannot write overrides"));
    fake.price = |found| {
        found.latency_after = Some(Real(1e-3));
        Ok(vec![ignored("n3"), ignored("n4")])
    };
    let why = "cannot write overrides: no room".to_string();
    let (cure, overrides) = found(run(&fake, 200, &trials(needs(&[3]))));
    assert_eq!(cure.notes, [ignored("n3"), ignored("n4"), CureNote::NotAllWritten { why: why.clone() }]);
    assert!(overrides.verified && overrides.files.is_empty() && cure.sensitivity.len() == 2);
    assert_eq!(overrides.latency_after, Some(Real(1e-3)));
    fake.kind = CureKind::Unquantised;
    let (cure, overrides) = found(run(&fake, 200, &trials(needs(&[3]))));
    assert_eq!(cure.notes.last(), Some(&CureNote::NotWritten { why }));
    assert_eq!(overrides.kind, CureKind::Unquantised);
}

#[test]
fn without_a_cure_there_is_no_price_and_still_something_to_write() {
    let mut fake = Fake::new([0.1, 0.2, 0.3, 0.9, 0.4]);
    fake.price = |_| panic!("the price of nothing");
    let (_, overrides) = found(run(&fake, 200, &trials(|_| Trial { answer: Bad, error: 2.0 })));
    assert!(!overrides.verified && overrides.why.unwrap().starts_with("the outputs diverge even with every node"));
    assert_eq!((fake.exported.borrow().len(), overrides.files.len()), (1, 1));
}

/// What the table has of the two nodes with the largest errors of their own, of which n4 was not measured.
#[track_caller]
fn check_rows(kind: CureKind, want: [(&str, f64, Option<f64>, Option<f64>); 2]) {
    let fake = Fake { kind, ..Fake::new([0.1, 0.2, 0.3, 0.9, f64::NAN]) };
    // A set with n2 alone does not run.
    let truth = |set: &[usize]| if set == [2] { Trial::FAILED } else { needs(&[3])(set) };
    let (cure, _) = found(run(&fake, 200, &trials(truth)));
    let rows = cure.sensitivity.iter().map(|row| {
        assert_eq!((row.op_type.as_str(), row.tensor.as_str()), ("Op", "t"));
        (row.node.as_str(), row.local.0, row.promoted.map(|r| r.0), row.demoted.map(|r| r.0))
    });
    assert_eq!(rows.collect::<Vec<_>>(), want);
}

#[test]
fn what_single_nodes_do() {
    let failed = Some(f64::INFINITY);
    check_rows(CureKind::Fp32, [("n3", 0.9, Some(0.9), Some(0.6)), ("n2", 0.3, failed, Some(0.6))]);
    check_rows(CureKind::Unquantised, [("n3", 0.9, Some(0.9), None), ("n2", 0.3, None, None)]);
}

#[test]
fn most_of_a_model_is_no_cure() {
    let mut fake = Fake::new([0.1; 5]);
    fake.price = |_| panic!("the price of no cure");
    let names = (0..30).map(|n| (format!("n{n}"), "Op".to_string())).collect();
    let rank = (0..30).map(f64::from).collect();
    fake.units = Units { nodes: (0..30).collect(), groups: Vec::new(), rank, readers: vec![vec![]; 30], names };
    // Every node above n9 has its share in the error.
    let truth = |set: &[usize]| {
        let left = 20 - set.iter().filter(|n| **n >= 10).count();
        Trial { answer: if left == 0 { Good } else { Bad }, error: 0.01 * left as f64 }
    };
    let (_, overrides) = found(run(&fake, 200, &trials(truth)));
    assert!(overrides.limited && overrides.verified && overrides.minimal && !overrides.is_cure(), "{overrides:?}");
    let want = "FP16 cannot do this at this tolerance: it reaches 0.200; 10 of 30 nodes in FP32 buy 0.100, and the fewest that were seen to agree are 20; a remark";
    assert_eq!(overrides.why.as_deref(), Some(want));
    assert!(overrides.curve.contains(&(10, Real(0.1))), "a third is among what was tried: {:?}", overrides.curve);

    let (_, overrides) = found(run(&Fake::new([0.1; 5]), 200, &trials(needs(&[0, 1, 2, 3, 4]))));
    assert!(!overrides.limited && overrides.is_cure(), "few nodes are read at a glance");
}

/// A cure of n3 alone, tried on changed inputs with this outcome.
#[track_caller]
fn check_margin(answer: Option<Answer>, error: f64, verified: bool, why: &str) {
    let fake = Fake::new([0.1, 0.1, 0.1, 0.9, 0.1]);
    let trials = trials(needs(&[3])).with_margin(move |set| {
        assert_eq!(set, [3], "the cure, and once");
        Ok(answer.map(|answer| Trial { answer, error }))
    });
    let (_, overrides) = found(run(&fake, 200, &trials));
    assert_eq!((overrides.verified, fake.exported.borrow()[0].1), (verified, verified));
    assert!(overrides.nodes == ["n3"] && overrides.why.as_ref().unwrap().contains(why), "{overrides:?}");
    let seen = answer.filter(|a| *a != Unknown).map(|_| Real(error));
    assert_eq!(overrides.margin, seen);
}

#[test]
fn what_only_just_agrees_is_not_verified() {
    check_margin(Some(Good), 9.0, true, "a remark");
    check_margin(Some(Bad), 2.5, false, "with the inputs changed by a thousandth they do not (error 2.50e0");
    // As wrong as without the change, and by chance on the other side of the tolerance.
    check_margin(Some(Bad), 1.1, true, "a remark");
    check_margin(Some(Unknown), 9.0, true, "a remark");
    check_margin(None, 9.0, true, "a remark");
    let asked = |samples, holdout| {
        let trials = Trials::new(samples, holdout, 1, |_: &[usize], _| Ok(Trial { answer: Good, error: 0.0 }));
        let trials = trials.with_margin(|_| Ok(Some(Trial { answer: Bad, error: 1.0 })));
        trials.margin(&[0]).unwrap().is_some()
    };
    assert!(asked(2, 0) && !asked(2, 1), "a sample that was held back says more");
}

#[test]
fn where_the_outputs_agree_single_nodes_are_all_that_is_tried() {
    let fake = Fake::new([0.1, 0.2, 0.3, 0.9, f64::NAN]);
    let tried = Mutex::new(Vec::new());
    let trials = Trials::new(1, 0, 1, |set: &[usize], _| {
        tried.lock().unwrap().push(set.to_vec());
        Ok(Trial { answer: Good, error: 1e-4 * (5 - set.len()) as f64 })
    });
    let frame = Frame {
        builds: 200,
        holdout: 0,
        sensitivity: 1,
        dir: Path::new("nowhere"),
        progress: &Progress::new(true),
        part: None,
    };
    let Ended { value, halted } = frame.reach(Goal::Sensitivity, &fake, &trials);
    assert!(halted.is_none() && value.overrides.is_none() && fake.exported.borrow().is_empty());
    let rows: Vec<_> = value.sensitivity.iter().map(|s| (s.node.as_str(), s.promoted, s.demoted)).collect();
    assert_eq!(rows, [("n3", Some(Real(4e-4)), Some(Real(1e-4)))]);
    assert_eq!(*tried.lock().unwrap(), [vec![3], vec![0, 1, 2, 4]]);
}

#[test]
fn an_interruption_keeps_what_was_found() {
    let truth = needs(&[3]);
    // Of n0 alone nothing is asked before the table of single nodes.
    let table = Trials::new(1, 0, 1, |set: &[usize], _| match set {
        [0] => Err(RunError::Interrupted),
        set => Ok(truth(set)),
    });
    let mut fake = Fake::new([0.2, 0.1, 0.1, 0.9, 0.1]);
    let (cure, ended) = run(&fake, 200, &table);
    assert!(matches!(ended, Err(RunError::Interrupted)) && cure.sensitivity.is_empty());
    let overrides = cure.overrides.unwrap();
    assert!(overrides.verified && overrides.files.is_empty() && fake.exported.borrow().is_empty());

    fake.price = |_| Err(RunError::Interrupted);
    let (cure, ended) = run(&fake, 200, &trials(needs(&[3])));
    assert!(matches!(ended, Err(RunError::Interrupted)) && cure.overrides.is_some_and(|o| o.verified));
    assert_eq!(cure.sensitivity.len(), 2);

    // In the search nothing is certain yet.
    let (cure, ended) = run(&fake, 200, &Trials::new(1, 0, 1, |_: &[usize], _| Err(RunError::Interrupted)));
    assert!(matches!(ended, Err(RunError::Interrupted)) && cure.overrides.is_none());
}

#[test]
fn trials_besides_some_nodes() {
    let all = trials(|set| Trial { answer: Unknown, error: set.iter().map(|n| 10f64.powi(*n as i32)).sum() });
    let first = [2, 0];
    let tried = all.besides(&first).ask_all(&[vec![], vec![1], vec![0, 3]]).unwrap();
    assert_eq!(tried.iter().map(|t| t.error).collect::<Vec<_>>(), [101.0, 111.0, 1101.0]);
}
