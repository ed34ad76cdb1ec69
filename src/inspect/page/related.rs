//! Two files of arrays on the terminal: how each pair differs.

use super::headed;
use crate::found::words::{clean, plural};
use crate::inspect::facts::{Differences, Related, Relation};
use crate::show::page::{Block, Fact, Role};

/// The verdict, what is missing, then pair by pair.
pub fn blocks(found: &Differences) -> Vec<Block> {
    let unequal = found.arrays.iter().filter(|r| r.verdict != Relation::Equal).count();
    let unexplained = found.arrays.iter().filter(|r| r.verdict == Relation::Different).count();
    let missing = found.mismatches.len();
    let (role, word, rest) = match (unequal, missing) {
        (0, 0) => (Role::Good, "equal", plural(found.arrays.len(), "array")),
        (0, _) => (Role::Bad, "different", format!("{} in one of them only", plural(missing, "array"))),
        (n, _) => {
            let of = plural(found.arrays.len(), "array");
            let explained = n - unexplained;
            (Role::Bad, "different", format!("{n} of {of}, {explained} of them explained"))
        }
    };
    let mut facts: Vec<Fact> =
        found.mismatches.iter().map(|one| Fact { role: Role::Bad, ..Fact::new("missing", one.text.clone()) }).collect();
    facts.extend(found.arrays.iter().map(told));
    vec![headed(role, word, rest, facts)]
}

fn told(one: &Related) -> Fact {
    let role = match one.verdict {
        Relation::Equal => Role::Good,
        Relation::Explained => Role::Doubt,
        Relation::Different => Role::Bad,
    };
    let sample = one.sample.map_or(String::new(), |n| format!(" of sample {n}"));
    let name = match one.name == one.other {
        true => format!("'{}'{sample}", clean(&one.name)),
        false => format!("'{}'{sample} and '{}'", clean(&one.name), clean(&one.other)),
    };
    let word = match one.verdict {
        Relation::Equal => "equal",
        Relation::Explained => "explained",
        Relation::Different => "different",
    };
    Fact { role, ..Fact::new(word, format!("{name}: {}", clean(&one.text))) }
}
