//! One array read in other orders: axes added, taken away, exchanged and reversed. A view copies nothing; what it stands for is told
//! as steps. Knows no values.

use std::collections::HashSet;

use crate::inspect::facts::Step;

/// More axes than this stay where they are.
const MOST_AXES: usize = 5;
/// Steps of one view.
const MOST_STEPS: usize = 3;

/// A way to read an array in the order of another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Of what is read.
    pub shape: Vec<usize>,
    /// How far apart neighbours along each axis lie in the array.
    strides: Vec<isize>,
    /// Where the first element lies.
    offset: isize,
    /// What makes it of the array.
    pub steps: Vec<Step>,
}

impl View {
    /// An array as it is.
    pub fn of(shape: &[usize]) -> View {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis] as isize;
        }
        View { shape: shape.to_vec(), strides, offset: 0, steps: Vec::new() }
    }

    /// Where the element at this index lies in the array.
    pub fn at(&self, index: &[usize]) -> usize {
        let moved: isize = index.iter().zip(&self.strides).map(|(i, stride)| *i as isize * stride).sum();
        (self.offset + moved) as usize
    }

    fn with(&self, step: Step) -> View {
        let mut view = self.clone();
        view.steps.push(step);
        view
    }

    fn without_axis(&self, axis: usize) -> View {
        let mut view = self.with(Step::new("squeeze", format!("axis {axis} of one taken away")));
        view.shape.remove(axis);
        view.strides.remove(axis);
        view
    }

    fn with_axis(&self, axis: usize) -> View {
        let mut view = self.with(Step::new("unsqueeze", format!("an axis of one put in as axis {axis}")));
        view.shape.insert(axis, 1);
        view.strides.insert(axis, 0);
        view
    }

    fn in_order(&self, order: &[usize]) -> View {
        let Some(steps) = exchanged(order) else { return self.clone() };
        let mut view = self.clone();
        view.steps.extend(steps);
        view.shape = order.iter().map(|from| self.shape[*from]).collect();
        view.strides = order.iter().map(|from| self.strides[*from]).collect();
        view
    }

    fn reversed(&self, axis: usize) -> View {
        let step = match self.shape[axis] {
            3 | 4 => Step::new("channels", format!("channels reversed on axis {axis}")),
            _ => Step::new("flip", format!("flipped on axis {axis}")),
        };
        let mut view = self.with(step);
        view.offset += view.strides[axis] * (view.shape[axis] as isize - 1);
        view.strides[axis] = -view.strides[axis];
        view
    }

    /// Views of the same elements in the same order are one.
    fn key(&self) -> (isize, Vec<isize>) {
        let moves = self.shape.iter().zip(&self.strides).map(|(size, stride)| if *size > 1 { *stride } else { 0 });
        (self.offset, moves.collect())
    }
}

/// The next index of the row-major order.
pub fn advance(index: &mut [usize], shape: &[usize]) {
    for (i, size) in index.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < *size {
            return;
        }
        *i = 0;
    }
}

/// Every way to read an array of `from` as one of `to`, those of fewer steps first.
pub fn views(from: &[usize], to: &[usize]) -> Vec<View> {
    let mut all: Vec<View> = Vec::new();
    for ranked in of_rank(View::of(from), to.len()) {
        for order in orders(to.len()) {
            let view = ranked.in_order(&order);
            if view.shape == to {
                all.extend(turned(&view));
            }
        }
    }
    all.retain(|view| view.steps.iter().filter(|step| !is_free(step)).count() <= MOST_STEPS);
    all.sort_by_key(|view| view.steps.len());
    let mut seen = HashSet::new();
    all.retain(|view| seen.insert(view.key()));
    all
}

/// An axis of one changes nothing, and the shapes tell of it.
fn is_free(step: &Step) -> bool {
    matches!(step.code, "squeeze" | "unsqueeze")
}

/// With axes of one put in or taken away, until there are so many.
fn of_rank(view: View, rank: usize) -> Vec<View> {
    if view.shape.len() == rank {
        return vec![view];
    }
    if view.shape.len().abs_diff(rank) > 2 {
        return Vec::new();
    }
    let next: Vec<View> = match view.shape.len() > rank {
        true => {
            (0..view.shape.len()).filter(|axis| view.shape[*axis] == 1).map(|axis| view.without_axis(axis)).collect()
        }
        false => (0..=view.shape.len()).map(|axis| view.with_axis(axis)).collect(),
    };
    next.into_iter().flat_map(|view| of_rank(view, rank)).collect()
}

/// All orders of so many axes, the usual one first.
fn orders(rank: usize) -> Vec<Vec<usize>> {
    if rank > MOST_AXES {
        return vec![(0..rank).collect()];
    }
    let mut all = vec![Vec::new()];
    for _ in 0..rank {
        let longer = |order: &Vec<usize>| {
            let free = (0..rank).filter(|axis| !order.contains(axis));
            free.map(|axis| order.iter().copied().chain([axis]).collect()).collect::<Vec<Vec<usize>>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// What an order does, in the words of whoever prepares images; `None` where it does nothing.
fn exchanged(order: &[usize]) -> Option<Vec<Step>> {
    let moved: Vec<usize> = (0..order.len()).filter(|axis| order[*axis] != *axis).collect();
    let layout = |text: &str| Step::new("layout", text);
    let swapped = |a: usize, b: usize| Step::new("transpose", format!("axes {a} and {b} swapped"));
    Some(match (order, moved.as_slice()) {
        (_, []) => return None,
        ([0, 2, 3, 1], _) => vec![layout("layout NCHW to NHWC")],
        ([0, 3, 1, 2], _) => vec![layout("layout NHWC to NCHW")],
        ([1, 2, 0], _) => vec![layout("layout CHW to HWC")],
        ([2, 0, 1], _) => vec![layout("layout HWC to CHW")],
        (_, [a, b]) => vec![swapped(*a, *b)],
        _ => {
            let text = order.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            vec![Step::new("transpose", format!("axes in the order {text}")); 2]
        }
    })
}

/// The view, and the view with one axis or two reversed.
fn turned(view: &View) -> Vec<View> {
    let axes: Vec<usize> = (0..view.shape.len()).filter(|axis| view.shape[*axis] > 1).collect();
    let once: Vec<View> = axes.iter().map(|axis| view.reversed(*axis)).collect();
    let twice = axes
        .iter()
        .enumerate()
        .flat_map(|(at, first)| axes[at + 1..].iter().map(move |second| view.reversed(*first).reversed(*second)));
    std::iter::once(view.clone()).chain(once.iter().cloned()).chain(twice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each element lies, in the order of the view.
    fn each(view: &View) -> Vec<usize> {
        let mut index = vec![0; view.shape.len()];
        let mut all = Vec::new();
        for _ in 0..view.shape.iter().product() {
            all.push(view.at(&index));
            advance(&mut index, &view.shape);
        }
        all
    }

    #[test]
    fn a_view_reads_the_same_elements_in_another_order() {
        // 0 1 2 / 3 4 5
        let check = |view: View, want: &[usize]| assert_eq!(each(&view), want, "{:?}", view.steps);
        let view = View::of(&[2, 3]);
        check(view.in_order(&[1, 0]), &[0, 3, 1, 4, 2, 5]);
        check(view.reversed(1), &[2, 1, 0, 5, 4, 3]);
        check(view.reversed(0).reversed(1), &[5, 4, 3, 2, 1, 0]);
        check(view.with_axis(0).in_order(&[2, 0, 1]).without_axis(1), &[0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn ways_from_shape_to_shape() {
        let first = |from: &[usize], to: &[usize]| -> Vec<&'static str> {
            views(from, to).first().map_or(vec!["none"], |view| view.steps.iter().map(|step| step.code).collect())
        };
        assert!(first(&[1, 3, 8, 6], &[1, 3, 8, 6]).is_empty());
        assert_eq!(first(&[1, 3, 8, 6], &[1, 8, 6, 3]), ["layout"]);
        assert_eq!(first(&[8, 6, 3], &[1, 3, 8, 6]), ["unsqueeze", "layout"]);
        assert_eq!(first(&[1, 3, 8, 6], &[1, 3, 6, 8]), ["transpose"]);
        assert_eq!(first(&[1, 5], &[5]), ["squeeze"]);
        assert_eq!(first(&[2, 5], &[5]), ["none"]);
        // No view is there twice.
        let all = views(&[1, 3, 4, 4], &[1, 3, 4, 4]);
        let keys: HashSet<_> = all.iter().map(View::key).collect();
        assert_eq!(keys.len(), all.len());
    }
}
