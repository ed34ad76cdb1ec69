//! One scale for the parts of a tensor that was put together of tensors of different size: boxes in pixels and scores of a detector.

use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::num;
use crate::qdq::Grid;

/// Parts this much smaller than the largest are hurt by its scale: three bits are left of eight.
const RATIO: f64 = 16.0;
/// Codes that are as good as none.
const FEW: usize = 4;

/// Some part has next to no codes.
pub fn one_scale(seen: &Seen) -> Option<Suspicion> {
    let (pair, value) = (seen.laid.pair, seen.laid.value);
    let grid = Grid::quantizer(pair, &value.shape).filter(|grid| grid.groups() == 1)?;
    let values = to_f64(value);
    let cut = seen.laid.cuts.iter().find(|cut| cut.elements == values.len() && cut.parts.len() > 1)?;
    let part = |number: usize| {
        let mut reach = 0f64;
        let mut codes: Vec<i64> = Vec::new();
        for i in cut.ranges(number).into_iter().flatten().filter(|i| values[*i].is_finite()) {
            reach = reach.max(values[i].abs());
            codes.push(grid.code(i, values[i]) as i64);
        }
        codes.sort_unstable();
        codes.dedup();
        (number, reach, codes.len())
    };
    let parts: Vec<(usize, f64, usize)> = (0..cut.parts.len()).map(part).collect();
    let largest = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let hurt = parts.iter().filter(|(_, reach, codes)| *reach > 0.0 && reach * RATIO < largest.1 && *codes <= FEW);
    let worst = hurt.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Suspicion {
        code: "part-ranges",
        evidence: format!(
            "one scale, {}, for the parts of {}: {} reaches {}, and {} reaches {} and has {} left",
            num(grid.coarsest()),
            seen.laid.place,
            cut.told(largest.0),
            num(largest.1),
            cut.told(worst.0),
            num(worst.1),
            if worst.2 == 1 { "1 code".to_string() } else { format!("{} codes", worst.2) },
        ),
        advice: format!(
            "leave '{}' unquantised, or give the parts out each with a scale of its own (untried)",
            pair.tensor
        ),
        undo: Undo::Unquantised,
    })
}
