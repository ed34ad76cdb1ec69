//! An array that is a tensor with its axes elsewhere: channels last for channels first, or the reverse; axes of one element more
//! or less. Shapes only: whether the values agree then is for others to say.

use std::fmt;

use super::{Tensor, shape_text};

/// Where the channels of an array are, against those of the tensor that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// At the same place.
    #[default]
    Kept,
    /// Behind everything: NHWC for NCHW.
    ChannelsLast,
    /// Behind the batch: NCHW for NHWC.
    ChannelsFirst,
}

/// How an array becomes the tensor: a batch axis in front, then the channels moved, then axes of one element dropped and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The array has no batch axis, and the tensor has one.
    pub unbatched: bool,
    /// Where the array's channels are.
    pub order: Order,
    /// Axes of one element that the array has too many, the last one first.
    pub dropped: Vec<usize>,
    /// Axes of one element that it lacks, the first one first, as the tensor counts.
    pub added: Vec<usize>,
}

impl Moved {
    /// Every way in which an array of shape `from` is a tensor of shape `to`, the simplest first; as it stands among them, where
    /// the shapes are equal. Ways that give the same elements in the same order are one.
    pub fn ways(from: &[usize], to: &[usize]) -> Vec<Moved> {
        let orders = [Order::Kept, Order::ChannelsLast, Order::ChannelsFirst];
        let unbatched = to.len() == from.len() + 1 && to.first() == Some(&1);
        let way = |order: Order| {
            // A batch axis that is only put in front is an axis that is added.
            let way = Moved { unbatched: unbatched && order != Order::Kept, order, ..Moved::default() };
            let (dropped, added) = units(&way.before_units(from)?, to)?;
            // Channels and axes of one element that change places are no layout.
            let plain = order == Order::Kept || dropped.is_empty() || added.is_empty();
            plain.then_some(Moved { dropped, added, ..way })
        };
        orders.into_iter().filter_map(way).collect()
    }

    /// Is there nothing to do?
    pub fn is_nothing(&self) -> bool {
        *self == Moved::default()
    }

    /// The tensor that `array` is; `None` where this cannot be done with an array of its shape or type.
    pub fn undo(&self, array: &Tensor) -> Option<Tensor> {
        let mut tensor = array.clone();
        if self.unbatched {
            tensor.shape.insert(0, 1);
        }
        if let Some(perm) = self.perm(tensor.shape.len())? {
            tensor = tensor.permuted(&perm)?;
        }
        for axis in &self.dropped {
            if tensor.shape.get(*axis) != Some(&1) {
                return None;
            }
            tensor.shape.remove(*axis);
        }
        for axis in &self.added {
            if *axis > tensor.shape.len() {
                return None;
            }
            tensor.shape.insert(*axis, 1);
        }
        Some(tensor)
    }

    /// In words, of an array of this shape for a tensor of that.
    pub fn told(&self, from: &[usize], to: &[usize]) -> String {
        match from == to {
            true => format!("{self}, {}", shape_text(from)),
            false => format!("{self}, {} for {}", shape_text(from), shape_text(to)),
        }
    }

    /// The shape after the channels have moved; `None` where moving them changes nothing, or there are none.
    fn before_units(&self, from: &[usize]) -> Option<Vec<usize>> {
        let mut shape = from.to_vec();
        if self.unbatched {
            shape.insert(0, 1);
        }
        let Some(perm) = self.perm(shape.len())? else { return Some(shape) };
        let inner: usize = shape[1..].iter().product();
        let channels = if self.order == Order::ChannelsLast { shape[shape.len() - 1] } else { shape[1] };
        let moves = channels > 1 && inner > channels;
        moves.then(|| perm.iter().map(|axis| shape[*axis]).collect())
    }

    /// The order of the axes of the tensor among those of an array of `rank`; `None` inside: as they are. `None`: too few.
    fn perm(&self, rank: usize) -> Option<Option<Vec<usize>>> {
        match self.order {
            Order::Kept => Some(None),
            _ if rank < 3 => None,
            // Of three axes both are the same exchange.
            Order::ChannelsFirst if rank == 3 => None,
            Order::ChannelsLast => Some(Some([0, rank - 1].into_iter().chain(1..rank - 1).collect())),
            Order::ChannelsFirst => Some(Some([0].into_iter().chain(2..rank).chain([1]).collect())),
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let order = match self.order {
            Order::Kept => None,
            Order::ChannelsLast => Some("channels last"),
            Order::ChannelsFirst => Some("channels first"),
        };
        let missing = self.unbatched || !self.added.is_empty();
        let units = match (missing, !self.dropped.is_empty()) {
            (true, true) => Some("an axis of one element elsewhere"),
            (true, false) => Some("an axis of one element missing"),
            (false, true) => Some("an axis of one element too many"),
            (false, false) => None,
        };
        let parts: Vec<&str> = order.into_iter().chain(units).collect();
        f.write_str(if parts.is_empty() { "as it is" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// Axes of one element that `from` has too many (the last first) and those that it lacks (the first first), so that it becomes
/// `to`; `None` where the rest differs.
fn units(from: &[usize], to: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let (mut dropped, mut added) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        match (from.get(i), to.get(j)) {
            (Some(a), Some(b)) if a == b => (i, j) = (i + 1, j + 1),
            (Some(1), _) => {
                dropped.push(i);
                i += 1;
            }
            (_, Some(1)) => {
                added.push(j);
                j += 1;
            }
            _ => return None,
        }
    }
    dropped.reverse();
    Some((dropped, added))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(from: &[usize], to: &[usize]) -> Vec<String> {
        Moved::ways(from, to).iter().map(Moved::to_string).collect()
    }

    #[test]
    fn shapes_that_fit() {
        let check = |from: &[usize], to: &[usize], expected: &[&str]| assert_eq!(ways(from, to), expected, "{from:?}");
        check(&[1, 6, 6, 5], &[1, 5, 6, 6], &["channels last"]);
        check(&[1, 5, 6, 6], &[1, 6, 6, 5], &["channels first"]);
        check(&[1, 6, 6, 6], &[1, 6, 6, 6], &["as it is", "channels last", "channels first"]);
        check(&[6, 7, 5], &[1, 5, 6, 7], &["channels last, an axis of one element missing"]);
        check(&[6, 5], &[1, 5, 6], &["channels last, an axis of one element missing"]);
        check(&[5, 6, 7], &[1, 5, 6, 7], &["an axis of one element missing"]);
        check(&[1, 10], &[10], &["an axis of one element too many"]);
        check(&[10], &[1, 10, 1, 1], &["an axis of one element missing"]);
        check(&[2, 3], &[3, 2], &[]);
        check(&[1, 5], &[1, 6], &[]);
        // Nothing moves where there is one channel, or one place.
        check(&[1, 6, 6, 1], &[1, 1, 6, 6], &["an axis of one element elsewhere"]);
        check(&[1, 1, 1, 9], &[1, 9, 1, 1], &["an axis of one element elsewhere"]);
        check(&[], &[1], &["an axis of one element missing"]);
        check(&[0, 3], &[0, 3], &["as it is"]);
    }

    #[test]
    fn elements_go_where_they_belong() {
        let first = Tensor::f32(&[1, 2, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let last = Tensor::f32(&[1, 3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let way = &Moved::ways(&last.shape, &first.shape)[0];
        let undone = way.undo(&last).unwrap();
        assert!(undone.identical(&first), "{way:?} {undone:?}");
        // What fitted one array need not fit another.
        assert!(way.undo(&Tensor::f32(&[2], &[1.0, 2.0])).is_none());
    }
}
