//! The search against models that are predicates over sets: what it finds, what it claims, and how many trials it takes.

use std::collections::HashSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::cure::{Group, Kind};
use Answer::{Bad, Good, Unknown};

/// A chain of `count` lone nodes, all of the same rank.
fn chain(count: usize) -> Units {
    let names = (0..count).map(|i| (format!("n{i}"), "Op".to_string())).collect();
    let readers = (0..count).map(|i| if i + 1 < count { vec![i + 1] } else { vec![] }).collect();
    Units { nodes: (0..count).collect(), groups: vec![], rank: vec![], readers, names }
}

const NORM: [&str; 7] = ["ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div"];

/// A LayerNorm at each of these nodes.
fn with_norms(mut units: Units, starts: &[usize]) -> Units {
    for &start in starts {
        let nodes: Vec<usize> = (start..start + NORM.len()).collect();
        nodes.iter().zip(NORM).for_each(|(n, op)| units.names[*n].1 = op.to_string());
        units.groups.push(Group { name: format!("LayerNorm 'ln{start}'"), kind: Kind::LayerNorm, nodes });
    }
    units
}

fn trial(answer: Answer, error: f64) -> Trial {
    Trial { answer, error }
}

fn has(set: &[usize], wanted: &[usize]) -> bool {
    wanted.iter().all(|n| set.contains(n))
}

fn without(set: &[usize], node: usize) -> Vec<usize> {
    set.iter().copied().filter(|n| *n != node).collect()
}

/// Searches and checks everything that must hold for every model.
fn run(units: &Units, budget: usize, jobs: usize, truth: &dyn Fn(&[usize]) -> Trial) -> Smallest {
    let mut tried = HashSet::new();
    let Ok(cure) = search(units, budget, jobs, |sets| {
        assert!(!sets.is_empty() && sets.len() <= jobs, "{} sets for {jobs} jobs", sets.len());
        for set in sets {
            assert!(set.is_sorted_by(|a, b| a < b) && has(&units.nodes, set));
            assert!(tried.insert(set.clone()), "{set:?} is tried again");
        }
        Ok::<_, Infallible>(sets.iter().map(|set| truth(set)).collect())
    });
    assert_eq!(cure.trials, tried.len());
    assert!(cure.trials <= budget);
    assert!(!cure.budget_spent || cure.trials == budget);
    let is_good = |set: &[usize]| truth(set).answer == Good;
    if cure.verified {
        assert!(tried.contains(&cure.nodes) && is_good(&cure.nodes), "{cure:?} is not verified");
        assert_eq!(cure.why, None);
    } else {
        assert!(cure.nodes.is_empty() && cure.why.is_some() && !cure.minimal);
    }
    let removals: Vec<Vec<usize>> = cure.nodes.iter().map(|n| without(&cure.nodes, *n)).collect();
    let proven = removals.iter().all(|set| tried.contains(set) && !is_good(set));
    assert_eq!(cure.minimal, cure.verified && proven);
    if !cure.budget_spent {
        let curable = is_good(&[]) || is_good(&units.nodes);
        assert_eq!((cure.verified, cure.minimal), (curable, curable), "{cure:?}");
    }
    assert_eq!(cure.groups, units.describe(&cure.nodes));
    assert!(cure.curve.is_sorted_by(|a, b| a.0 < b.0) && !cure.error_before.is_nan() && !cure.error_after.is_nan());
    cure
}

/// The same cure with any number of jobs, where the budget is large enough for all of them.
fn same_with_more_jobs(units: &Units, truth: &dyn Fn(&[usize]) -> Trial) {
    let alone = run(units, usize::MAX, 1, truth);
    for jobs in [2, 3, 8] {
        let cure = run(units, usize::MAX, jobs, truth);
        assert!(cure.trials >= alone.trials, "{} trials with {jobs} jobs, {} with one", cure.trials, alone.trials);
        assert_eq!(Smallest { trials: alone.trials, ..cure }, alone, "{jobs} jobs");
    }
}

/// All of `needed` cure the model; found within `most` trials.
#[track_caller]
fn check(units: &Units, needed: &[usize], most: usize) {
    let truth = |set: &[usize]| if has(set, needed) { trial(Good, 0.0) } else { trial(Bad, 1.0) };
    let cure = run(units, usize::MAX, 1, &truth);
    assert_eq!(cure.nodes, needed);
    assert!(cure.trials <= most, "{needed:?} took {} trials", cure.trials);
    same_with_more_jobs(units, &truth);
}

#[test]
fn add_and_sub_of_65504_are_needed_together() {
    let inf = f64::INFINITY;
    for rank in [[0.1, inf, 0.0, 0.1], [0.1, f64::NAN, 0.0, 0.1], [0.1, inf, inf, 0.1], [0.1, 5.0, 0.0, 0.2], [0.0; 4]]
    {
        check(&Units { rank: rank.to_vec(), ..chain(4) }, &[1, 2], 9);
    }
    // The ranking gets it right: nothing, everything, the pair, and each of the two alone.
    check(&Units { rank: vec![0.1, inf, 0.0, 0.1], ..chain(4) }, &[1, 2], 5);
}

#[test]
fn a_model_that_agrees_needs_no_cure() {
    let cure = run(&chain(9), 40, 1, &|set| trial(Good, set.len() as f64));
    assert_eq!((cure.nodes.len(), cure.trials, cure.verified, cure.minimal), (0, 1, true, true));
    assert_eq!((cure.error_before, cure.error_after), (0.0, 0.0));
}

#[test]
fn a_model_that_fp32_does_not_cure() {
    let cure = run(&chain(9), 40, 1, &|_| trial(Bad, f64::NAN));
    assert_eq!((cure.trials, cure.verified, cure.error_before), (2, false, f64::INFINITY));
    assert!(cure.why.unwrap().contains("even with every node in FP32"));
    let cure = run(&chain(9), 40, 1, &|set| trial(if set.len() == 9 { Unknown } else { Bad }, 1.0));
    assert!(cure.why.unwrap().contains("inconclusive"));
    let cure = run(&chain(0), 40, 1, &|_| trial(Bad, 1.0));
    assert!(cure.why.unwrap().contains("no node"));
}

#[test]
fn an_inconclusive_start_is_no_obstacle() {
    let truth = |set: &[usize]| match (set.is_empty(), set.contains(&7)) {
        (true, _) => trial(Unknown, f64::NAN),
        (_, true) => trial(Good, 0.5),
        (_, false) => trial(Bad, 2.0),
    };
    let cure = run(&chain(20), usize::MAX, 1, &truth);
    assert_eq!((cure.nodes, cure.unknown, cure.error_before, cure.error_after), (vec![7], 1, f64::INFINITY, 0.5));
}

#[test]
fn single_nodes_and_sets_in_a_big_model() {
    let flat = chain(323);
    for node in [0, 1, 2, 100, 255, 256, 322] {
        check(&flat, &[node], 40);
    }
    check(&flat, &[3, 200], 60);
    check(&flat, &[10, 11, 12, 250], 80);
    let ranked =
        |needed: &[usize]| Units { rank: (0..323).map(|n| f64::from(needed.contains(&n))).collect(), ..chain(323) };
    for needed in [vec![322], vec![3, 200], vec![10, 11, 12, 250]] {
        // Two for nothing and everything, the growth, and the proof.
        check(&ranked(&needed), &needed, 2 + 3 * needed.len());
    }
}

#[test]
fn a_layer_norm_is_found_whole_and_shrinks_to_what_matters() {
    let starts: Vec<usize> = (0..13).map(|i| i * 24).collect();
    let needed = [122, 123];
    let places = [(vec![], 1), (starts.clone(), 0), (starts.clone(), 1), (starts.clone(), 12)];
    for (_, better) in places {
        let mut units = with_norms(chain(323), &starts);
        units.rank = vec![0.0; 323];
        units.rank[121] = 1.0;
        // Some other LayerNorms have a larger local error, which does not reach the outputs.
        starts.iter().filter(|s| **s != 120).take(better).for_each(|s| units.rank[*s] = 2.0);
        check(&units, &needed, 29);
        let truth = |set: &[usize]| if has(set, &needed) { trial(Good, 0.0) } else { trial(Bad, 1.0) };
        assert_eq!(run(&units, 29, 1, &truth).groups, ["LayerNorm 'ln120': Pow, ReduceMean"]);
    }
    // No ranking at all.
    check(&with_norms(chain(323), &starts), &needed, 29);
    check(&with_norms(chain(323), &[120]), &needed, 29);
}

#[test]
fn what_all_layers_have_in_common_is_given_back_at_once() {
    let starts: Vec<usize> = (0..24).map(|i| i * 13).collect();
    let mut units = with_norms(chain(323), &starts);
    units.rank = (0..323).map(|n| f64::from(n < 312 && n % 13 == 2)).collect();
    let mut needed: Vec<usize> = starts.iter().flat_map(|s| [s + 2, s + 3]).collect();
    needed.sort_unstable();
    // 24 groups and 48 nodes are proven; 168 nodes one by one would be three times that.
    check(&units, &needed, 121);
}

#[test]
fn errors_that_add_up_to_a_threshold() {
    let share = |n: usize| 1.0 / (1.0 + n as f64);
    let error = |set: &[usize]| (0..40).filter(|n| !set.contains(n)).map(share).sum::<f64>();
    let truth = |set: &[usize]| trial(if error(set) < 1.5 { Good } else { Bad }, error(set));
    // With the right ranking the cure is the shortest there is.
    let best = (0..40).find(|len| error(&(0..*len).collect::<Vec<_>>()) < 1.5).unwrap();
    let cure = run(&Units { rank: (0..40).map(share).collect(), ..chain(40) }, usize::MAX, 1, &truth);
    assert_eq!(cure.nodes, (0..best).collect::<Vec<_>>());
    assert!(cure.error_after < 1.5 && cure.error_before > 4.0);
    // With the opposite one it is still minimal, which `run` checks.
    run(&Units { rank: (0..40).map(|n| -share(n)).collect(), ..chain(40) }, usize::MAX, 2, &truth);
}

#[test]
fn a_misleading_ranking_looks_around_the_first() {
    // 50 ranks highest, and is needed with its neighbours, which rank lowest.
    let rank = (0..200).map(|n| if n == 50 { 9.0 } else { f64::from(n != 49 && n != 51) }).collect();
    check(&Units { rank, ..chain(200) }, &[49, 50, 51], 20);
    // The same with all that is between two: not one of them may be missing.
    let rank = (0..200).map(|n| if n == 50 || n == 60 { 9.0 } else { f64::from(!(50..60).contains(&n)) }).collect();
    check(&Units { rank, ..chain(200) }, &(50..=60).collect::<Vec<_>>(), 35);
}

#[test]
fn inconclusive_trials_are_never_good() {
    // Every odd number of nodes breaks the converter.
    let truth = |set: &[usize]| match (set.len() % 2, has(set, &[4, 9])) {
        (1, _) => trial(Unknown, f64::NAN),
        (_, true) => trial(Good, 0.0),
        _ => trial(Bad, 1.0),
    };
    for jobs in 1..4 {
        run(&chain(20), usize::MAX, jobs, &truth);
    }
    let cure = run(&chain(20), usize::MAX, 1, &|set| {
        if set.len() == 20 { trial(Good, 0.0) } else { trial(Unknown, 0.0) }
    });
    assert_eq!((cure.nodes.len(), cure.unknown, cure.minimal), (20, 20, true));
}

#[test]
fn every_budget_gives_the_best_so_far() {
    let units = with_norms(Units { rank: (0..60).map(f64::from).collect(), ..chain(60) }, &[7, 30, 47]);
    type Truth<'a> = &'a dyn Fn(&[usize]) -> Trial;
    let truths: [Truth; 4] = [
        &|set| if has(set, &[9, 10, 32, 40]) { trial(Good, 0.0) } else { trial(Bad, 1.0) },
        &|set| if set.len() >= 13 { trial(Good, 0.0) } else { trial(Bad, 1.0 / set.len() as f64) },
        &|set| if set.len() % 3 == 0 && set.contains(&5) { trial(Good, 0.0) } else { trial(Unknown, f64::NAN) },
        &|set| if set.len() == 60 || set == [8, 9] { trial(Good, 0.0) } else { trial(Bad, 0.0) },
    ];
    for truth in truths {
        for jobs in 1..4 {
            let mut before = usize::MAX;
            for budget in 0..=40 {
                let cure = run(&units, budget, jobs, truth);
                assert_eq!(cure.verified, budget >= 2, "everything is good, and is tried second");
                if cure.verified && jobs == 1 {
                    assert!(cure.nodes.len() <= before, "budget {budget} is worse than less");
                    before = cure.nodes.len();
                }
            }
        }
    }
}

#[test]
fn too_small_a_budget_says_so() {
    let cure = run(&chain(5), 1, 1, &|_| trial(Bad, 3.0));
    assert_eq!((cure.budget_spent, cure.error_before, cure.error_after), (true, 3.0, 3.0));
    assert!(cure.why.unwrap().contains("too few"));
}

#[test]
fn the_curve_has_the_least_error_for_each_number_of_nodes() {
    let cure = run(&chain(4), usize::MAX, 1, &|set| {
        let error = if set == [1] { f64::NAN } else { 10.0 - set.iter().sum::<usize>() as f64 };
        trial(if set.contains(&3) { Good } else { Bad }, error)
    });
    assert_eq!(cure.nodes, [3]);
    assert_eq!((cure.curve.first(), cure.curve.last()), (Some(&(0, 10.0)), Some(&(4, 4.0))));
    assert!(cure.curve.contains(&(1, 7.0)));
}

#[test]
fn an_error_of_the_trial_ends_the_search() {
    let failed = search(&chain(3), 10, 1, |_| Err::<Vec<Trial>, _>("the backend died"));
    assert_eq!(failed.err(), Some("the backend died"));
    // No answer at all is inconclusive, and not asked for again.
    let Ok(cure) = search(&chain(3), 10, 1, |_| Ok::<_, Infallible>(vec![]));
    assert_eq!((cure.trials, cure.verified), (2, false));
}

#[test]
fn a_binary_search_is_foreseen() {
    assert_eq!(mids(0, 8, 1), [4]);
    assert_eq!(mids(0, 8, 3), [4, 2, 6]);
    assert_eq!(mids(0, 3, 9), [1, 2]);
    assert_eq!(mids(4, 5, 2), [0; 0]);
}

proptest! {
    /// Any predicate over at most 10 nodes, however it jumps: `run` checks the claims against the whole table.
    #[test]
    fn any_predicate(
        count in 1usize..=10,
        table in prop::collection::vec(prop_oneof![3 => Just(Bad), 1 => Just(Good), 1 => Just(Unknown)], 1024),
        rank in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), Just(2.0), Just(f64::INFINITY)], 10),
        grouped in prop::bool::ANY,
        jobs in 1usize..5,
        budget in prop_oneof![Just(usize::MAX), 0usize..60],
    ) {
        let mut units = Units { rank, ..chain(count) };
        if grouped {
            let half = (0..count / 2).collect();
            units.groups.push(Group { name: "g".to_string(), kind: Kind::Gelu, nodes: half });
        }
        let truth = |set: &[usize]| trial(table[set.iter().map(|n| 1usize << n).sum::<usize>()], set.len() as f64);
        run(&units, budget, jobs, &truth);
        same_with_more_jobs(&units, &truth);
    }

    /// If supersets of good sets are good, there may be several cures; the one found is one of the minimal ones.
    #[test]
    fn any_of_several_cures(
        count in 2usize..=10,
        cures in prop::collection::vec(prop::collection::btree_set(0usize..10, 1..5), 1..4),
        rank in prop::collection::vec(0.0..9.0, 10),
        jobs in 1usize..4,
    ) {
        let possible: Vec<Vec<usize>> =
            cures.into_iter().map(|c| set(c.into_iter().map(|n| n % count).collect())).collect();
        let truth = |set: &[usize]| trial(if possible.iter().any(|c| has(set, c)) { Good } else { Bad }, 0.0);
        let cure = run(&Units { rank, ..chain(count) }, usize::MAX, jobs, &truth);
        prop_assert!(possible.contains(&cure.nodes));
    }
}

/// Most of a large model is no cure, and the proof that none of it can be given back would take a trial a node.
#[test]
fn most_of_a_large_model_is_not_searched_node_by_node() {
    let units = chain(300);
    let needed: Vec<usize> = (0..200).collect();
    let left = |set: &[usize]| needed.iter().filter(|n| !set.contains(n)).count();
    let cure = run(&units, 2000, 1, &|set| trial(if left(set) == 0 { Good } else { Bad }, left(set) as f64));
    assert!(cure.verified && cure.nodes.len() >= 200, "{cure:?}");
    assert!(cure.curve.iter().any(|(kept, error)| (*kept, *error) == (100, 100.0)), "{:?}", cure.curve);
}
