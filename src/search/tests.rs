//! Both searches on small drawn DAGs; `networks` counts probes, `random` has the properties.

mod ddmin;
mod networks;
mod random;

use std::convert::Infallible;

use Answer::{Bad, Good, Unknown};

use super::*;

/// Runs [`bisect`] against `truth`, with only the target known beforehand, and checks what must hold in every case.
fn search(dag: &Dag, truth: &[Answer], targets: &[usize], limits: Limits) -> Found {
    let free = |i: usize| targets.contains(&i) || truth[i] == Unknown;
    let known = (0..dag.len()).map(|i| free(i).then_some(truth[i])).collect();
    search_knowing(dag, truth, known, targets, limits)
}

fn search_knowing(dag: &Dag, truth: &[Answer], known: Vec<Option<Answer>>, targets: &[usize], limits: Limits) -> Found {
    let mut answered: Vec<bool> = known.iter().map(Option::is_some).collect();
    let mut probes = 0;
    let found = bisect(dag, known, targets, limits, |round| {
        probes += round.len();
        assert!(!round.is_empty() && round.len() <= limits.builds, "{} builds", round.len());
        for items in round {
            assert!(!items.is_empty() && items.len() <= limits.marks, "{} marks", items.len());
        }
        for &i in round.iter().copied().flatten() {
            assert!(!std::mem::replace(&mut answered[i], true), "item {i} is measured again");
        }
        Ok::<_, Infallible>(round.iter().copied().flatten().map(|&i| truth[i]).collect())
    });
    let Ok(found) = found;
    assert_eq!(found.probes, probes);
    for (i, answer) in found.answers.iter().enumerate() {
        assert_eq!(*answer, answered[i].then_some(truth[i]), "item {i}");
    }
    for suspect in &found.suspects {
        assert_eq!(found.answers[suspect.item], Some(Bad));
        assert!(suspect.inputs.iter().all(|&i| found.answers[i] == Some(Good)), "an assumed input: {suspect:?}");
        assert!(suspect.region.iter().all(|&i| i == suspect.item || truth[i] == Unknown));
        assert_eq!(suspect.region.last(), Some(&suspect.item));
    }
    assert!(found.suspects.is_sorted_by(|a, b| a.item < b.item));
    found
}

/// A fault spoils everything below it.
fn spread(dag: &Dag, faults: &[usize]) -> Vec<Answer> {
    dag.descendants(faults).into_iter().map(|spoiled| if spoiled { Bad } else { Good }).collect()
}

fn items(suspects: &[Suspect]) -> Vec<usize> {
    suspects.iter().map(|s| s.item).collect()
}

const AMPLE: Limits = Limits { marks: 8, builds: 1, max_suspects: usize::MAX };

/// `truth` in one letter an item (g, b, u); both searches name these items, with these regions. The target is the last.
fn check(parents: &[&[usize]], truth: &str, expected: &[(usize, &[usize])]) {
    let dag = Dag::new(parents.iter().map(|p| p.to_vec()).collect());
    let letter = |c| match c {
        'g' => Good,
        'b' => Bad,
        _ => Unknown,
    };
    let truth: Vec<Answer> = truth.chars().map(letter).collect();
    let target = [dag.len() - 1];
    let named = |suspects: &[Suspect]| suspects.iter().map(|s| (s.item, s.region.clone())).collect::<Vec<_>>();
    let expected: Vec<_> = expected.iter().map(|(item, region)| (*item, region.to_vec())).collect();
    assert_eq!(named(&classify(&dag, &truth, &target).suspects), expected, "classify");
    for (marks, builds) in [(1, 1), (2, 1), (8, 1), (1, 2), (2, 3)] {
        let found = search(&dag, &truth, &target, Limits { marks, builds, ..AMPLE });
        assert_eq!(named(&found.suspects), expected, "bisect with {builds} builds of {marks} marks");
        assert!(!found.unexplained);
    }
}

#[test]
fn chain() {
    check(&[&[], &[0], &[1], &[2], &[3]], "ggbbb", &[(2, &[2])]);
}

#[test]
fn fault_in_the_first_item() {
    check(&[&[], &[0], &[1]], "bbb", &[(0, &[0])]);
}

#[test]
fn fault_in_the_target() {
    check(&[&[], &[0], &[1]], "ggb", &[(2, &[2])]);
}

#[test]
fn diamond() {
    check(&[&[], &[0], &[0], &[1, 2]], "gbgb", &[(1, &[1])]);
    check(&[&[], &[0], &[0], &[1, 2]], "gggb", &[(3, &[3])]);
}

#[test]
fn two_branches_with_a_fault_each() {
    check(&[&[], &[0], &[1], &[0], &[3], &[2, 4]], "gbbgbb", &[(1, &[1]), (4, &[4])]);
}

#[test]
fn a_side_branch_below_good_items_is_looked_at() {
    // 1 joins late: no path from the fault 3 leads through it.
    check(&[&[], &[], &[0], &[2], &[3], &[1, 4]], "gbgbbb", &[(1, &[1]), (3, &[3])]);
}

#[test]
fn faults_on_both_sides_of_a_masking_item() {
    // 3 hides the fault of 1 from 4, which has a fault of its own; 2 carries the first one to the target.
    let dag = Dag::new(vec![vec![], vec![0], vec![1], vec![1], vec![3], vec![2, 4]]);
    let truth = [Good, Bad, Bad, Good, Bad, Bad];
    assert_eq!(items(&classify(&dag, &truth, &[5]).suspects), [1, 4]);
    assert_eq!(items(&search(&dag, &truth, &[5], AMPLE).suspects), [1, 4]);
    // With one mark nobody looks at 3: 4 counts as spoiled by 1, as nearly always is true.
    assert_eq!(items(&search(&dag, &truth, &[5], Limits { marks: 1, ..AMPLE }).suspects), [1]);
}

#[test]
fn a_fault_that_is_masked_on_every_path_is_not_the_cause() {
    // 1 is bad, 2 hides it: what the target suffers from is 3. Only who measures everything sees 1.
    let dag = Dag::new(vec![vec![], vec![0], vec![1], vec![2], vec![3]]);
    let truth = [Good, Bad, Good, Bad, Bad];
    let all = classify(&dag, &truth, &[4]);
    assert_eq!(items(&all.suspects), [3]);
    let one = Suspect { item: 1, inputs: vec![0], region: vec![1] };
    assert_eq!(all.masked, [Masked { suspect: one, by: vec![2] }]);
    assert_eq!(items(&search(&dag, &truth, &[4], Limits { marks: 1, ..AMPLE }).suspects), [3]);
}

#[test]
fn a_good_item_below_does_not_stand_in_for_an_input() {
    // 2 is good and covers 1, but 1 is bad and feeds the target.
    check(&[&[], &[0], &[1], &[1, 2]], "gbgb", &[(1, &[1])]);
}

#[test]
fn unknown_in_the_middle_is_a_region() {
    check(&[&[], &[0], &[1], &[2], &[3]], "guubb", &[(3, &[1, 2, 3])]);
    check(&[&[], &[], &[0], &[1, 2], &[3]], "ggugb", &[(4, &[4])]);
}

#[test]
fn everything_unknown_is_one_region() {
    check(&[&[], &[0], &[0], &[1, 2]], "uuub", &[(3, &[0, 1, 2, 3])]);
}

#[test]
fn an_unknown_fault_shows_in_each_of_its_readers() {
    check(&[&[], &[0], &[1], &[1], &[2, 3]], "gubbb", &[(2, &[1, 2]), (3, &[1, 3])]);
}

#[test]
fn constants_are_good_inputs() {
    let dag = Dag::new(vec![vec![], vec![], vec![1], vec![0, 2], vec![3]]);
    let truth = [Good, Good, Good, Bad, Bad];
    let known = vec![Some(Good), Some(Good), None, None, Some(Bad)];
    let found = search_knowing(&dag, &truth, known, &[4], AMPLE);
    assert_eq!(found.suspects, [Suspect { item: 3, inputs: vec![0, 2], region: vec![3] }]);
}

#[test]
fn no_bad_target_no_suspect() {
    let dag = Dag::new(vec![vec![], vec![0], vec![1]]);
    let found = search(&dag, &[Good, Bad, Good], &[2], AMPLE);
    assert_eq!((found.suspects, found.probes, found.unexplained), (vec![], 0, false));
    assert_eq!(classify(&dag, &[Good, Bad, Good], &[2]).suspects, []);
}

#[test]
fn bad_items_that_lead_to_no_bad_target_are_not_suspects() {
    // 1 is bad but only feeds the good output 3.
    let dag = Dag::new(vec![vec![], vec![0], vec![0], vec![1], vec![2]]);
    let truth = [Good, Bad, Bad, Good, Bad];
    let found = search(&dag, &truth, &[3, 4], AMPLE);
    assert_eq!(found.suspects, classify(&dag, &truth, &[3, 4]).suspects);
    assert_eq!(items(&found.suspects), [2]);
}

#[test]
fn a_target_without_an_answer_is_measured() {
    let dag = Dag::new(vec![vec![], vec![0]]);
    let found = search_knowing(&dag, &[Good, Bad], vec![None, None], &[1, 1], AMPLE);
    assert_eq!(found.suspects.len(), 1);
}

#[test]
fn the_search_stops_at_max_suspects_and_says_so() {
    let dag = Dag::new(vec![vec![], vec![], vec![], vec![0, 1, 2]]);
    let stopped = |max_suspects| {
        let found = search(&dag, &[Bad, Bad, Bad, Bad], &[3], Limits { marks: 1, max_suspects, ..AMPLE });
        (found.suspects.len(), found.unexplained)
    };
    assert_eq!([0, 1, 2, 3, 4].map(stopped), [(0, true), (1, true), (2, true), (3, false), (3, false)]);
}

#[test]
fn an_error_of_the_probe_ends_the_search() {
    let dag = Dag::new(vec![vec![], vec![0]]);
    assert_eq!(bisect(&dag, vec![None, Some(Bad)], &[1], AMPLE, |_| Err("the backend died")), Err("the backend died"));
}

#[test]
fn a_missing_answer_is_unknown_and_not_asked_for_again() {
    let dag = Dag::new(vec![vec![], vec![0]]);
    let Ok(found) = bisect(&dag, vec![None, Some(Bad)], &[1], AMPLE, |_| Ok::<_, Infallible>(vec![]));
    assert_eq!(found.suspects, [Suspect { item: 1, inputs: vec![], region: vec![0, 1] }]);
    assert_eq!(found.probes, 1);
}
