//! Drawn graphs with drawn faults: whoever is told to be wrong on its own is one of the planted, and somebody is told.

use super::*;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// Each node reads what stands before it, the nearest most often.
fn graph(dice: &mut Dice, nodes: usize) -> String {
    let mut names = vec!["x".to_string(), "y".to_string()];
    let mut lines = Vec::new();
    for number in 0..nodes {
        let read = |dice: &mut Dice| {
            let back = dice.below(3).min(dice.below(names.len())) + 1;
            names[names.len() - back].clone()
        };
        let (a, b) = (read(dice), read(dice));
        let call = match dice.below(5) {
            0 => format!("Neg({a})"),
            1 => format!("Relu({a})"),
            2 => format!("Mul({a}, scale)"),
            3 => format!("MatMul({a}, {b})"),
            _ => format!("Add({a}, {b})"),
        };
        lines.push(format!("t{number} = {call}"));
        names.push(format!("t{number}"));
    }
    lines.join("; ")
}

#[test]
fn only_the_planted_are_wrong_on_their_own() {
    let (mut dice, mut diverged) = (Dice(11), 0);
    for _ in 0..30 {
        let nodes = 3 + dice.below(8);
        let graph = graph(&mut dice, nodes);
        let faults: Vec<String> = (0..1 + dice.below(2)).map(|_| format!("make_t{}", dice.below(nodes))).collect();
        let engine = dice.below(2) == 0;
        for args in ways() {
            let mut world = World::of(&graph);
            for fault in &faults {
                world = world.wrong(fault, Wrong::Off(0.3));
            }
            let set = if engine { world.engine(&[]) } else { world }.set_up();
            let mut probe = set.probe();
            let found = found(&args, &mut probe);
            let what = format!("{faults:?} in {graph}, {args:?}");
            let diverges = probe.finals.results.iter().any(|output| output.status == Status::Diverges);
            assert_eq!(culprits(&found).is_empty(), !diverges, "{what}");
            for culprit in culprits(&found).iter().filter(|c| c.kind == Kind::Introduces) {
                assert!(faults.contains(&culprit.node.name), "{} is healthy: {what}", culprit.node.name);
            }
            check_counts(&set, &probe);
            diverged += usize::from(diverges);
        }
    }
    assert!(diverged > 80, "{diverged} of them tell something");
}
