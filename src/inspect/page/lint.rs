//! Findings on the terminal, the worst first.

use super::headed;
use super::table::some;
use crate::found::words::{clean, count, plural};
use crate::inspect::facts::{Finding, Severity};
use crate::show::page::{Block, Fact, Role};

/// Places told of one finding; JSON has all.
const PLACES: usize = 6;

/// Everything that was found.
pub fn blocks(findings: &[Finding]) -> Vec<Block> {
    let of = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Info].map(of);
    let (role, head) = match findings.len() {
        0 => (Role::Good, "nothing found".to_string()),
        _ => {
            let parts = [(errors, "error"), (warnings, "warning"), (notes, "note")];
            let parts = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| plural(n, word));
            let role = if errors > 0 { Role::Bad } else { Role::Strong };
            (role, parts.collect::<Vec<_>>().join(", "))
        }
    };
    let mut blocks = vec![Block::Gap, headed(role, "lint", head, Vec::new())];
    blocks.extend(findings.iter().map(|finding| Block::facts(told(finding))));
    blocks
}

fn told(finding: &Finding) -> Vec<Fact> {
    let (role, word) = match finding.severity {
        Severity::Error => (Role::Bad, "error"),
        Severity::Warning => (Role::Doubt, "warning"),
        Severity::Info => (Role::Dim, "note"),
    };
    let mut facts = vec![Fact { role, ..Fact::new(word, format!("{}: {}", finding.code, clean(&finding.why))) }];
    if !finding.places.is_empty() {
        let n = count(finding.places.len() as u64);
        let many = if finding.places.len() > 1 { format!("{n} of them: ") } else { String::new() };
        facts.push(Fact::new("", format!("at {many}{}", some(&finding.places, PLACES))));
    }
    facts.push(Fact::new("", format!("do: {}", finding.advice)));
    facts
}
