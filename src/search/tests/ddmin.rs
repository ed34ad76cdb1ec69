//! [`ddmin`] against predicates over sets: what it finds, how many tests that takes, and what other jobs change.

use std::collections::HashSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// Runs [`ddmin`] on the items 0..n and checks what must hold for every predicate.
fn minimal(n: usize, guesses: &[Vec<usize>], jobs: usize, truth: &dyn Fn(&[usize]) -> Answer) -> (Minimal, usize) {
    let all: Vec<usize> = (0..n).collect();
    let (mut tested, mut batches) = (HashSet::new(), 0);
    let Ok(found) = ddmin(&all, guesses, jobs, |sets| {
        batches += 1;
        assert!(!sets.is_empty() && sets.len() <= jobs, "{} sets for {jobs} jobs", sets.len());
        for set in sets {
            assert!(!set.is_empty() && set.len() < n, "what is known is tested: {set:?}");
            assert!(set.is_sorted_by(|a, b| a < b) && set.iter().all(|i| *i < n));
            assert!(tested.insert(set.clone()), "{set:?} is tested again");
        }
        Ok::<_, Infallible>(sets.iter().map(|set| truth(set)).collect())
    });
    assert_eq!(found.probes, tested.len());

    let is = |set: &[usize]| match set.len() {
        0 => Good,
        len if len == n => Bad,
        _ => truth(set),
    };
    assert_eq!(is(&found.items), Bad);
    let removals: Vec<Answer> = found.items.iter().map(|i| is(&less(&found.items, &[*i]))).collect();
    assert!(!removals.contains(&Bad), "{:?} is not minimal", found.items);
    assert_eq!(found.unknown, removals.iter().filter(|&&answer| answer == Unknown).count());
    (found, batches)
}

fn less(set: &[usize], removed: &[usize]) -> Vec<usize> {
    set.iter().copied().filter(|i| !removed.contains(i)).collect()
}

fn has(set: &[usize], wanted: &[usize]) -> bool {
    wanted.iter().all(|i| set.contains(i))
}

fn bad_if(bad: bool) -> Answer {
    if bad { Bad } else { Good }
}

/// Bad if all `necessary` items are there: they are found, in no more than `most` tests.
fn check(n: usize, necessary: &[usize], most: usize) {
    let (found, _) = minimal(n, &[], 1, &|set| bad_if(has(set, necessary)));
    assert_eq!(found.items, necessary);
    assert!(found.probes <= most, "{necessary:?} of {n} took {} tests", found.probes);
}

/// n5 = n1 + n3 feeds n7 and n9; here n1 is item 0, n9 is item 4.
#[test]
fn faults_of_a_small_graph() {
    for single in 0..5 {
        check(5, &[single], 4);
    }
    check(5, &[0, 1], 3);
    check(5, &[3, 4], 6);
    check(5, &[0, 4], 9);
}

#[test]
fn one_item() {
    check(1, &[0], 0);
    check(2, &[0], 1);
    check(2, &[1], 2);
    for item in 0..323 {
        check(323, &[item], 10);
    }
    check(300, &[0], 9);
}

#[test]
fn two_items() {
    for i in 0..322 {
        check(323, &[i, i + 1], 12);
        check(323, &[i, (i + 7).min(322)], 18);
    }
    for last in 1..323 {
        check(323, &[0, last], 25);
    }
}

#[test]
fn three_items() {
    for i in 0..321 {
        check(323, &[i, i + 1, i + 2], 15);
        let mut spread = [i, (i + 100) % 323, (i + 200) % 323];
        spread.sort_unstable();
        check(323, &spread, 42);
    }
}

#[test]
fn many_items() {
    for start in 0..11 {
        let run: Vec<usize> = (start..start + 30).collect();
        check(40, &run, 45);
    }
    let all: Vec<usize> = (0..40).collect();
    check(40, &all, 54);
    let every_other: Vec<usize> = (0..40).step_by(2).collect();
    check(40, &every_other, 75);
    let two_runs: Vec<usize> = (100..105).chain(200..205).collect();
    check(323, &two_runs, 48);
    for start in 0..27 {
        // One item in every layer.
        let layers: Vec<usize> = (start..323).step_by(27).collect();
        check(323, &layers, 75);
    }
}

#[test]
fn a_guess_that_is_bad_is_where_it_starts() {
    let tests = |guesses: &[Vec<usize>], necessary: &[usize]| {
        let (found, _) = minimal(323, guesses, 1, &|set| bad_if(has(set, necessary)));
        assert_eq!(found.items, necessary);
        found.probes
    };
    assert_eq!(tests(&[vec![77]], &[77]), 1);
    assert_eq!(tests(&[vec![77], vec![77, 76]], &[76, 77]), 3);
    let alone = tests(&[], &[77]);
    assert_eq!(tests(&[vec![12], vec![12, 13]], &[77]), alone + 2);
    // Nothing and everything are known, and items that do not exist are no items.
    assert_eq!(tests(&[vec![], vec![999], (0..400).collect()], &[77]), alone);
}

#[test]
fn an_inconclusive_removal_is_counted_and_never_taken_for_a_failure() {
    // Without item 3 nothing can be said.
    let truth = |set: &[usize]| if has(set, &[3]) { bad_if(has(set, &[5])) } else { Unknown };
    let (found, _) = minimal(12, &[], 1, &truth);
    assert_eq!((found.items, found.unknown), (vec![3, 5], 1));
    let (found, _) = minimal(6, &[], 1, &|_| Unknown);
    assert_eq!((found.items, found.unknown), (vec![0, 1, 2, 3, 4, 5], 6));
}

#[test]
fn items_that_need_each_other_go_together() {
    // Half a pair is inconclusive, and no single item can go.
    let truth = |set: &[usize]| match set.iter().all(|i| set.contains(&(i ^ 1))) {
        true => bad_if(has(set, &[0, 11])),
        false => Unknown,
    };
    let (found, _) = minimal(12, &[], 1, &truth);
    assert_eq!(found.items, [0, 1, 10, 11]);
}

#[test]
fn jobs_save_batches() {
    for item in 0..323 {
        let (found, batches) = minimal(323, &[], 7, &|set| bad_if(has(set, &[item])));
        assert_eq!(found.items, [item]);
        assert!(batches <= 4, "{batches} batches");
    }
    // The proof of ten items far apart, eight at a time.
    let far: Vec<usize> = (0..320).step_by(32).collect();
    let batches = |jobs| minimal(323, &[], jobs, &|set| bad_if(has(set, &far))).1;
    assert!(batches(8) * 2 < batches(1), "{} of {}", batches(8), batches(1));
}

#[test]
fn speculation_may_stay_unanswered() {
    let all: Vec<usize> = (0..50).collect();
    let found = ddmin(&all, &[], 4, |sets| Ok::<_, Infallible>(vec![bad_if(has(&sets[0], &[7, 30]))]));
    let Ok(found) = found;
    let (alone, _) = minimal(50, &[], 1, &|set| bad_if(has(set, &[7, 30])));
    assert_eq!(found, alone);
    let Ok(found) = ddmin(&[1, 2], &[], 1, |_| Ok::<_, Infallible>(vec![]));
    assert_eq!((found.items, found.unknown), (vec![1, 2], 2));
}

#[test]
fn an_error_ends_it() {
    let mut tests = 0;
    let found = ddmin(&[0, 1, 2, 3], &[], 1, |_| {
        tests += 1;
        if tests == 2 { Err("no memory left") } else { Ok(vec![Good]) }
    });
    assert_eq!((found, tests), (Err("no memory left"), 2));
}

/// Growing sets of items below n.
fn any_guesses(n: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let steps = prop::collection::vec(prop::collection::vec(0..n, 0..4), 0..4);
    steps.prop_map(|steps| (1..=steps.len()).map(|len| steps[..len].concat()).collect())
}

/// A number of items, bad sets of them, guesses.
type Monotone = (usize, Vec<Vec<usize>>, Vec<Vec<usize>>);

fn any_monotone() -> impl Strategy<Value = Monotone> {
    let set = |n| prop::collection::btree_set(0..n, 1..8).prop_map(|set| set.into_iter().collect());
    (1..60usize).prop_flat_map(move |n| (Just(n), prop::collection::vec(set(n), 1..4), any_guesses(n)))
}

/// A number of items, a seed, guesses.
fn any_predicate() -> impl Strategy<Value = (usize, u64, Vec<Vec<usize>>)> {
    (1..24usize).prop_flat_map(|n| (Just(n), any::<u64>(), any_guesses(n)))
}

/// An answer out of nowhere, always the same one for a set; `of` is what it is drawn from.
fn drawn(set: &[usize], seed: u64, of: &[Answer]) -> Answer {
    let mix = |hash: u64, &i: &usize| (hash ^ (i as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    of[(set.iter().fold(seed, mix) >> 32) as usize % of.len()]
}

/// The same set, whatever the number of jobs, and never in more batches.
fn same_with_more_jobs(n: usize, guesses: &[Vec<usize>], truth: &dyn Fn(&[usize]) -> Answer) -> Minimal {
    let (alone, tests) = minimal(n, guesses, 1, truth);
    for jobs in [2, 3, 8] {
        let (found, batches) = minimal(n, guesses, jobs, truth);
        assert_eq!((&found.items, found.unknown), (&alone.items, alone.unknown), "{jobs} jobs");
        assert_eq!(found.asked, alone.asked, "{jobs} jobs");
        assert!(batches <= tests, "{batches} batches with {jobs} jobs, {tests} with one");
    }
    alone
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn one_of_several_causes_is_found((n, causes, guesses) in any_monotone()) {
        let truth = |set: &[usize]| bad_if(causes.iter().any(|cause| has(set, cause)));
        let found = same_with_more_jobs(n, &guesses, &truth);
        prop_assert!(causes.contains(&found.items), "{:?} of {causes:?}", found.items);
    }

    #[test]
    fn a_single_cause_takes_few_tests((n, causes, _) in any_monotone()) {
        let bits = n.next_power_of_two().ilog2() as usize;
        check(n, &causes[0], bits + 1 + (causes[0].len() - 1) * (2 * bits + 3));
    }

    #[test]
    fn nothing_can_go_whatever_the_predicate((n, seed, guesses) in any_predicate()) {
        same_with_more_jobs(n, &guesses, &|set| drawn(set, seed, &[Bad, Good, Good]));
    }

    #[test]
    fn nothing_can_go_when_answers_are_missing((n, seed, guesses) in any_predicate()) {
        same_with_more_jobs(n, &guesses, &|set| drawn(set, seed, &[Bad, Good, Unknown, Unknown]));
    }
}

#[test]
fn what_cures_is_made_small_too() {
    let cures = |needed: &'static [usize]| {
        move |set: &[usize]| {
            Ok::<_, ()>(if needed.iter().all(|n| set.contains(n)) { Answer::Good } else { Answer::Bad })
        }
    };
    for needed in [&[3][..], &[0, 9], &[2, 5, 6]] {
        let found = smallest_cure(&(0..10).collect::<Vec<_>>(), cures(needed)).unwrap();
        assert_eq!((found.items.as_slice(), found.unknown), (needed, 0));
    }
}
