//! One array that is another one moved: a letterbox that pads elsewhere, ids padded on the other side. Moves are tried on a sample
//! of places; who asks measures the whole.

use super::values::{Line, Pairs};
use super::view::View;
use crate::inspect::facts::Step;

/// Axes shorter than this are no image's.
const SHORTEST: usize = 4;
/// Places that a move is tried with at first.
const FEW: usize = 64;
/// How far along two axes at once.
const BOTH: isize = 32;

/// How far along each axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// An axis, and how far the other array has what the first has.
    pub moves: Vec<(usize, isize)>,
}

impl Shift {
    /// Where the first array has what the other has at `index`; `None` where it has nothing.
    pub fn from(&self, index: &[usize], shape: &[usize]) -> Option<Vec<usize>> {
        let mut from = index.to_vec();
        for (axis, by) in &self.moves {
            from[*axis] = from[*axis].checked_add_signed(-by).filter(|at| *at < shape[*axis])?;
        }
        Some(from)
    }

    /// `moved by 80 along axis 2`
    pub fn step(&self) -> Step {
        let moves: Vec<String> = self.moves.iter().map(|(axis, by)| format!("by {by} along axis {axis}")).collect();
        Step::new("shift", format!("moved {}", moves.join(" and ")))
    }
}

/// The smallest move after which a line explains what both have. `places` are indices to try it with, `pairs` makes numbers of them.
pub fn find(
    view: &View,
    places: &[Vec<usize>],
    pairs: impl Fn(&[(Vec<usize>, Vec<usize>)]) -> Pairs,
) -> Option<(Shift, Line)> {
    shifts(&view.shape).into_iter().find_map(|shift| {
        let seen = |place: &Vec<usize>| Some((shift.from(place, &view.shape)?, place.clone()));
        let few: Vec<_> = places.iter().take((places.len() / 8).max(FEW)).filter_map(seen).collect();
        // Most moves fail at the first few places.
        explained(&pairs(&few))?;
        let all: Vec<_> = places.iter().filter_map(seen).collect();
        let line = explained(&pairs(&all))?;
        (all.len() * 4 >= places.len()).then_some((shift, line))
    })
}

fn explained(pairs: &Pairs) -> Option<Line> {
    // Places that are all the same number agree with any move.
    let varied = pairs.b.iter().any(|b| *b != pairs.b[0]);
    if varied && pairs.b.len() >= 8 { pairs.line() } else { None }
}

/// Those along one axis first, up to half of it; the shorter before the longer.
fn shifts(shape: &[usize]) -> Vec<Shift> {
    let axes: Vec<usize> = (0..shape.len()).filter(|axis| shape[*axis] >= SHORTEST).collect();
    let most = |axis: usize| (shape[axis] / 2) as isize;
    let along = |axis: usize, most: isize| (1..=most).flat_map(move |by| [(axis, by), (axis, -by)]);
    let mut one: Vec<Shift> =
        axes.iter().flat_map(|axis| along(*axis, most(*axis))).map(|m| Shift { moves: vec![m] }).collect();
    one.sort_by_key(|shift| shift.moves[0].1.abs());
    let mut two = Vec::new();
    for (at, first) in axes.iter().enumerate() {
        for second in &axes[at + 1..] {
            for a in along(*first, most(*first).min(BOTH)) {
                two.extend(along(*second, most(*second).min(BOTH)).map(|b| Shift { moves: vec![a, b] }));
            }
        }
    }
    two.sort_by_key(|shift| shift.moves.iter().map(|(_, by)| by.abs()).sum::<isize>());
    one.into_iter().chain(two).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_from_outside_has_no_source() {
        let shift = Shift { moves: vec![(1, 2)] };
        assert_eq!(shift.from(&[0, 2], &[4, 5]), Some(vec![0, 0]));
        assert_eq!(shift.from(&[0, 1], &[4, 5]), None);
        let back = Shift { moves: vec![(1, -1)] };
        assert_eq!((back.from(&[0, 3], &[4, 5]), back.from(&[0, 4], &[4, 5])), (Some(vec![0, 4]), None));
    }

    #[test]
    fn short_moves_come_first() {
        let all = shifts(&[3, 8, 6]);
        assert_eq!(all[0].moves, [(1, 1)]);
        // Four and three either way, and all pairs of them.
        assert_eq!(all.len(), 8 + 6 + 8 * 6);
    }
}
