//! Both searches on random DAGs, against brute force.

use proptest::prelude::*;

use super::*;

/// Most parents are near, as in networks; some are anywhere above.
fn any_dag() -> impl Strategy<Value = Dag> {
    let parents =
        |i: usize| prop::collection::vec(prop_oneof![3 => i.saturating_sub(4)..i.max(1), 1 => 0..i.max(1)], 0..4);
    (1..60usize).prop_flat_map(move |n| (0..n).map(parents).collect::<Vec<_>>()).prop_map(|mut parents| {
        parents[0].clear();
        Dag::new(parents)
    })
}

fn sinks(dag: &Dag) -> Vec<usize> {
    (0..dag.len()).filter(|&i| dag.children(i).is_empty()).collect()
}

/// A DAG with a truth made by `truth` from random words, one an item, and limits of a search.
fn any_truth(truth: impl Fn(&Dag, &[u32]) -> Vec<Answer>) -> impl Strategy<Value = (Dag, Vec<Answer>, Limits)> {
    let words = |dag: &Dag| prop::collection::vec(any::<u32>(), dag.len());
    let limits = (1..10usize, 1..5usize).prop_map(|(marks, builds)| Limits { marks, builds, ..AMPLE });
    let case = any_dag().prop_flat_map(move |dag| (words(&dag), Just(dag), limits.clone()));
    case.prop_map(move |(words, dag, limits)| (dag.clone(), truth(&dag, &words), limits))
}

/// One to three faults that spread.
fn spreading(dag: &Dag, words: &[u32]) -> Vec<Answer> {
    let faults: Vec<usize> = words.iter().take(1 + words[0] as usize % 3).map(|&w| w as usize % dag.len()).collect();
    spread(dag, &faults)
}

/// The same, where one item in ten cannot be observed, outputs excepted.
fn spreading_unseen(dag: &Dag, words: &[u32]) -> Vec<Answer> {
    let mut truth = spreading(dag, words);
    for i in (0..dag.len()).filter(|&i| !dag.children(i).is_empty() && words[i] < u32::MAX / 10) {
        truth[i] = Unknown;
    }
    truth
}

/// Any answers at all.
fn any_answers(_: &Dag, words: &[u32]) -> Vec<Answer> {
    words.iter().map(|&w| [Good, Bad, Unknown][w as usize % 3]).collect()
}

/// Badness that comes and goes.
fn masked(_: &Dag, words: &[u32]) -> Vec<Answer> {
    words.iter().map(|w| if w % 3 == 0 { Bad } else { Good }).collect()
}

/// Brute force: bad items where no path up through unknown items ends in a bad one. First those from which a path of items that
/// are not good leads to a bad target, then those from which none does, and a good item stands below.
fn by_force(dag: &Dag, truth: &[Answer], targets: &[usize]) -> (Vec<usize>, Vec<(usize, Vec<usize>)>) {
    fn reaches_bad(dag: &Dag, truth: &[Answer], item: usize) -> bool {
        let through = |&p: &usize| truth[p] == Bad || truth[p] == Unknown && reaches_bad(dag, truth, p);
        dag.parents(item).iter().any(through)
    }
    fn leads_to_bad(dag: &Dag, truth: &[Answer], targets: &[usize], item: usize) -> bool {
        let passable = |&&c: &&usize| truth[c] != Good;
        targets.contains(&item) && truth[item] == Bad
            || dag.children(item).iter().filter(passable).any(|&c| leads_to_bad(dag, truth, targets, c))
    }
    fn nearest_good(dag: &Dag, truth: &[Answer], item: usize) -> Vec<usize> {
        let below = |&c: &usize| if truth[c] == Good { vec![c] } else { nearest_good(dag, truth, c) };
        dag.children(item).iter().flat_map(below).collect()
    }
    let wrong = (0..dag.len()).filter(|&i| truth[i] == Bad && !reaches_bad(dag, truth, i));
    let (suspects, masked): (Vec<usize>, Vec<usize>) = wrong.partition(|&i| leads_to_bad(dag, truth, targets, i));
    let lost = |i: usize| {
        let mut by = nearest_good(dag, truth, i);
        by.sort_unstable();
        by.dedup();
        (i, by)
    };
    (suspects, masked.into_iter().map(lost).filter(|(_, by)| !by.is_empty()).collect())
}

/// DAGs small enough for a walk along every path.
fn is_small(dag: &Dag) -> bool {
    let mut paths = vec![1usize; dag.len()];
    for i in 0..dag.len() {
        paths[i] += dag.parents(i).iter().map(|&p| paths[p]).sum::<usize>();
    }
    paths.iter().sum::<usize>() < 100_000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn classify_is_brute_force((dag, truth, _) in any_truth(any_answers)) {
        prop_assume!(is_small(&dag));
        let targets = sinks(&dag);
        let all = classify(&dag, &truth, &targets);
        let (suspects, masked) = by_force(&dag, &truth, &targets);
        prop_assert_eq!(items(&all.suspects), suspects);
        prop_assert_eq!(all.masked.iter().map(|m| (m.suspect.item, m.by.clone())).collect::<Vec<_>>(), masked);
    }

    #[test]
    fn faults_that_spread_are_all_found((dag, truth, limits) in any_truth(spreading)) {
        let targets = sinks(&dag);
        let found = search(&dag, &truth, &targets, limits);
        prop_assert_eq!(found.suspects, classify(&dag, &truth, &targets).suspects);
        prop_assert!(!found.unexplained);
    }

    #[test]
    fn faults_are_all_found_around_unknown_items((dag, truth, limits) in any_truth(spreading_unseen)) {
        let targets = sinks(&dag);
        let expected = classify(&dag, &truth, &targets).suspects;
        let found = search(&dag, &truth, &targets, limits);
        prop_assert_eq!(&found.suspects, &expected);

        // The same when it only turns out on the way what cannot be observed.
        let known = (0..dag.len()).map(|i| targets.contains(&i).then_some(truth[i])).collect();
        let found = search_knowing(&dag, &truth, known, &targets, limits);
        prop_assert_eq!(&found.suspects, &expected);
    }

    #[test]
    fn a_suspect_whose_way_was_measured_is_one((dag, truth, limits) in any_truth(masked)) {
        let targets = sinks(&dag);
        let found = search(&dag, &truth, &targets, limits);
        let all = classify(&dag, &truth, &targets);
        let known = |s: &&Suspect| all.suspects.contains(s) || all.masked.iter().any(|m| m.suspect == **s);
        prop_assert!(found.suspects.iter().all(|s| known(&s)), "{:?} of {:?}", found.suspects, all);
        prop_assert_eq!(found.suspects.is_empty(), targets.iter().all(|&t| truth[t] == Good));

        // Ways are measured, and what they cut is searched again, until nothing is taken for granted.
        let mut answers = found.answers;
        loop {
            let found = search_knowing(&dag, &truth, answers, &targets, limits);
            answers = found.answers;
            let open = |s: &Suspect| open_way(&dag, &answers, &targets, s.item).expect("found ones have a way");
            let open: Vec<usize> = found.suspects.iter().flat_map(open).collect();
            if open.is_empty() {
                prop_assert!(found.suspects.iter().all(|s| all.suspects.contains(s)), "{:?} of {:?}", found.suspects, all);
                prop_assert_eq!(found.suspects.is_empty(), targets.iter().all(|&t| truth[t] == Good));
                let masked = all_masked(&dag, &answers, &targets);
                let is_one = |m: &Masked| all.masked.iter().any(|w| w.suspect == m.suspect);
                prop_assert!(masked.iter().all(is_one), "{:?} of {:?}", masked, all);
                break;
            }
            open.iter().for_each(|&i| answers[i] = Some(truth[i]));
        }
    }
}
