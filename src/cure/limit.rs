//! When is a set of nodes a cure, and what is said where it is none. A set that makes the outputs agree and keeps most of a
//! model is no cure of it: then the precision itself is the answer, with what a part of the nodes buys. Tries nothing.

use crate::found::Real;
use crate::found::words::{count, error};

/// A list of so many nodes is read at a glance, and worth having however small the model is.
const FEW: usize = 8;
/// A cure keeps one in so many of the nodes that compute in floats.
const PART: usize = 3;

/// Do `kept` of `of` nodes make a list that nobody would call a cure?
pub fn is_too_many(kept: usize, of: usize) -> bool {
    kept > FEW && kept * PART > of
}

/// The largest number of nodes that is still a cure.
pub fn most(of: usize) -> usize {
    (of / PART).max(FEW)
}

/// The best that a cure's number of nodes was seen to buy: of equal errors, the fewest nodes. `curve` is by number of nodes.
pub fn bought(curve: &[(usize, f64)], of: usize) -> Option<(usize, f64)> {
    let some = curve.iter().filter(|(kept, error)| (1..=most(of)).contains(kept) && error.is_finite());
    some.copied().min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}

/// A set that agrees and is too large.
pub struct Limited<'a> {
    /// What cannot do it: `FP16`.
    pub low: &'a str,
    /// What becomes of the nodes: `in FP32`.
    pub fate: &'a str,
    /// Nodes of the smallest set that was seen to agree.
    pub nodes: usize,
    /// Of how many.
    pub of: usize,
    /// Error of the outputs with nothing kept.
    pub before: f64,
    /// By number of nodes, the smallest error.
    pub curve: &'a [(usize, f64)],
    /// The search came to its end, and was not cut short by its budget.
    pub complete: bool,
}

impl Limited<'_> {
    /// `FP16 cannot do this at this tolerance: it reaches 0.0120; 14 of 139 nodes in FP32 buy 4.10e-3, and the fewest that
    /// were seen to agree are 90`.
    pub fn told(&self) -> String {
        let Limited { low, fate, nodes, of, before, curve, complete } = self;
        let does = if *complete { "cannot do" } else { "was not seen to do" };
        let number = |n: usize| count(n as u64);
        let buys = match bought(curve, *of).filter(|(_, error)| error < before) {
            Some((kept, e)) => format!("{} of {} nodes {fate} buy {}", number(kept), number(*of), error(Real(e))),
            None => format!("no {} of {} nodes {fate} were seen to buy anything", number(most(*of)), number(*of)),
        };
        format!(
            "{low} {does} this at this tolerance: it reaches {}; {buys}, and the fewest that were seen to agree are {}",
            error(Real(*before)),
            number(*nodes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_is_a_cure_and_few_nodes_always_are() {
        let cases = [(8, 8, false), (9, 10, true), (9, 26, true), (9, 27, false), (90, 272, false), (91, 272, true)];
        for (kept, of, want) in cases {
            assert_eq!(is_too_many(kept, of), want, "{kept} of {of}");
            assert_eq!(kept > most(of), want, "{kept} of {of}");
        }
    }

    #[test]
    fn what_a_part_buys() {
        let curve = [(0, 0.5), (1, 0.6), (5, 0.2), (10, 0.2), (20, f64::INFINITY), (60, 0.01), (100, 0.0)];
        assert_eq!(bought(&curve, 100), Some((5, 0.2)));
        assert_eq!(bought(&curve[..1], 100), None);
        let told = |before, curve: &[(usize, f64)]| {
            Limited { low: "FP16", fate: "in FP32", nodes: 60, of: 100, before, curve, complete: before != 0.3 }.told()
        };
        assert_eq!(
            told(0.5, &curve),
            "FP16 cannot do this at this tolerance: it reaches 0.500; 5 of 100 nodes in FP32 buy 0.200, and the fewest that were seen to agree are 60"
        );
        assert!(
            told(0.1, &curve).contains("it reaches 0.100; no 33 of 100 nodes in FP32 were seen to buy anything, and")
        );
        assert!(told(0.3, &curve).starts_with("FP16 was not seen to do this at this tolerance: it"));
        assert!(told(f64::INFINITY, &curve).contains("it reaches NaN or Inf; 5 of 100"));
    }
}
