//! How many probes a single fault takes in networks of ordinary shape.

use super::*;

fn chain_of(n: usize) -> Dag {
    Dag::new((0..n).map(|i: usize| i.checked_sub(1).into_iter().collect()).collect())
}

/// Bottlenecks as in ResNet: conv relu conv relu conv add relu, around a shortcut.
fn residual_of(n: usize) -> Dag {
    let mut parents: Vec<Vec<usize>> = vec![vec![], vec![0]];
    while parents.len() < n {
        let trunk = parents.len() - 1;
        (0..5).for_each(|i| parents.push(vec![trunk + i]));
        parents.push(vec![trunk, trunk + 5]);
        parents.push(vec![trunk + 6]);
    }
    parents.truncate(n);
    Dag::new(parents)
}

/// Modules as in Inception: four branches of 2, 4, 6 and 3 items, then a concat.
fn inception_of(n: usize) -> Dag {
    let mut parents: Vec<Vec<usize>> = vec![vec![], vec![0]];
    while parents.len() + 16 <= n {
        let trunk = parents.len() - 1;
        let ends = [2, 4, 6, 3].map(|length| {
            (0..length).for_each(|i| parents.push(vec![if i == 0 { trunk } else { parents.len() - 1 }]));
            parents.len() - 1
        });
        parents.push(ends.to_vec());
    }
    while parents.len() < n {
        parents.push(vec![parents.len() - 1]);
    }
    Dag::new(parents)
}

/// ceil(log_(marks+1) n)
fn ideal(n: usize, marks: usize) -> usize {
    (0..).find(|&probes| (marks + 1).pow(probes) >= n).unwrap() as usize
}

/// Probes for each single fault; each is found alone.
fn probes_of_each(dag: &Dag, marks: usize) -> Vec<usize> {
    let probes = |fault| {
        let found = search(dag, &spread(dag, &[fault]), &[dag.len() - 1], Limits { marks, ..AMPLE });
        assert_eq!(items(&found.suspects), [fault]);
        assert!(!found.unexplained);
        found.probes
    };
    (0..dag.len()).map(probes).collect()
}

#[test]
fn a_single_fault_in_a_chain_takes_the_ideal_number_of_probes() {
    for (n, marks) in [(1, 8), (2, 8), (9, 8), (10, 8), (81, 8), (82, 8), (440, 8), (64, 1), (65, 1), (100, 3)] {
        let probes = probes_of_each(&chain_of(n), marks);
        assert_eq!(probes.into_iter().max(), Some(ideal(n, marks)), "{n} items, {marks} marks");
    }
}

#[test]
fn builds_at_the_same_time_save_rounds() {
    let rounds = |dag: &Dag, fault: usize, limits: Limits| {
        let (truth, mut rounds) = (spread(dag, &[fault]), 0);
        let known = (0..dag.len()).map(|i| (i == dag.len() - 1).then_some(Bad)).collect();
        let found = bisect(dag, known, &[dag.len() - 1], limits, |round| {
            rounds += 1;
            Ok::<_, Infallible>(round.iter().copied().flatten().map(|&i| truth[i]).collect())
        });
        let Ok(found) = found;
        assert_eq!(items(&found.suspects), [fault]);
        (rounds, found.probes)
    };
    let dag = chain_of(440);
    for (marks, builds) in [(1, 2), (1, 8), (4, 4), (16, 4)] {
        for fault in 0..dag.len() {
            let (rounds, probes) = rounds(&dag, fault, Limits { marks, builds, ..AMPLE });
            assert!(rounds <= ideal(440, marks * builds), "{rounds} rounds of {builds} builds with {marks} marks");
            assert!(probes <= rounds * builds);
        }
    }
    // What fits into one build is one.
    assert_eq!(rounds(&chain_of(9), 3, Limits { marks: 8, builds: 4, ..AMPLE }), (1, 1));
}

#[test]
fn a_single_fault_in_a_network_takes_one_probe_more_at_most() {
    for n in [20, 100, 440, 729] {
        for (shape, dag) in [("residual", residual_of(n)), ("inception", inception_of(n))] {
            let worst = probes_of_each(&dag, 8).into_iter().max().unwrap();
            assert!(worst <= ideal(dag.len(), 8) + 1, "{shape} {n}: {worst}");
        }
    }
}

#[test]
fn ten_thousand_items_in_few_probes() {
    let parents = |i: usize| [1, 7, 100].iter().filter_map(|step| i.checked_sub(*step)).collect();
    let dag = Dag::new((0..10_000).map(parents).collect());
    for fault in [0, 1, 4_999, 5_000, 9_999] {
        let found = search(&dag, &spread(&dag, &[fault]), &[9_999], AMPLE);
        assert_eq!(items(&found.suspects), [fault]);
        assert!(found.probes <= ideal(dag.len(), 8) + 1, "{}", found.probes);
    }
}
