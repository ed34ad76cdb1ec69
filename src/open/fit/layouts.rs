//! Where the axes of a candidate's arrays are, by their shapes and, where several ways would fit, by their values. Pure: tensors
//! in, ways out.

use std::collections::HashMap;

use crate::compare::to_f64;
use crate::tensor::Tensor;
use crate::tensor::moved::{Moved, Order};

/// Values this close are the same tensor, off by a candidate's roundings: the root of the mean square of the difference, as a
/// part of the reference's.
const SAME: f64 = 0.1;
/// Values closer than this are more alike than two tensors that have nothing to do with each other, whose difference has
/// about 1.4 times the size of either.
const ALIKE: f64 = 0.3;

/// An array, and how it becomes the tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Laid {
    /// Of the tensor.
    pub name: String,
    /// Not as it stands.
    pub way: Moved,
    /// The array's shape, and the tensor's.
    pub shapes: (Vec<usize>, Vec<usize>),
    /// Values agree then, or nothing but axes of one element moves, or somebody said so.
    pub shown: bool,
    /// It is only told, and left as it stands: axes that changed places in one tensor may be the candidate's fault.
    pub left: bool,
}

/// Of arrays under the names of the tensors that they are, each with the reference's value: those that are laid out otherwise.
/// `said`: where the user says the channels are.
pub fn laid(pairs: &[(String, &Tensor, &Tensor)], said: Option<Order>) -> Vec<Laid> {
    if let Some(said) = said {
        return pairs.iter().filter_map(|pair| by_order(pair, said, true)).collect();
    }
    let mut first: Vec<Option<Laid>> = pairs.iter().map(alone).collect();
    leave_doubtful(pairs, &mut first);
    let Some((usual, shown)) = usual(&first) else { return first.into_iter().flatten().collect() };
    let settled = pairs.iter().zip(first).filter_map(|(pair, laid)| match laid {
        Some(laid) if laid.shown => Some(laid),
        Some(laid) => Some(by_order(pair, usual, shown).unwrap_or(laid)),
        None => like_the_others(pair, usual, shown),
    });
    settled.collect()
}

/// By what this array alone says.
fn alone((name, reference, array): &(String, &Tensor, &Tensor)) -> Option<Laid> {
    let ways = Moved::ways(&array.shape, &reference.shape);
    let as_it_is = ways.first().filter(|way| way.is_nothing()).map(|way| error(reference, array, way));
    if as_it_is.is_some_and(|error| error < SAME) {
        return None;
    }
    let rated = ways.into_iter().filter(|way| !way.is_nothing()).map(|way| (error(reference, array, &way), way));
    let (error, way) = rated.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let shown = match as_it_is {
        Some(before) if error < ALIKE && error < before / 2.0 => true,
        Some(_) => return None,
        None => error < ALIKE || way.order == Order::Kept,
    };
    Some(made(name, way, (array, reference), shown))
}

/// An array whose shape fits as it stands has its axes elsewhere by convention only where others have, too, and none of those
/// whose shape leaves it open has them where the model has: else a transposition that is missing would be called a layout.
fn leave_doubtful(pairs: &[(String, &Tensor, &Tensor)], laid: &mut [Option<Laid>]) {
    let moved = |laid: &&Laid| laid.way.order != Order::Kept;
    let elsewhere = laid.iter().flatten().filter(moved).filter(|laid| laid.shown).count();
    let forced = laid.iter().flatten().filter(moved).any(|laid| laid.shapes.0 != laid.shapes.1);
    let as_it_stands = pairs.iter().zip(laid.iter()).any(|((_, reference, array), laid)| {
        laid.is_none()
            && array.shape == reference.shape
            && Moved::ways(&array.shape, &reference.shape).len() > 1
            && error(reference, array, &Moved::default()) < SAME
    });
    let convention = !as_it_stands && (forced || elsewhere > 1);
    let open = |laid: &&mut Laid| laid.shapes.0 == laid.shapes.1 && !convention;
    laid.iter_mut().flatten().filter(open).for_each(|laid| laid.left = true);
}

/// Where the channels of most of them are, if they are elsewhere; and whether the values of one agree then.
fn usual(laid: &[Option<Laid>]) -> Option<(Order, bool)> {
    let mut counts: HashMap<Order, (usize, bool)> = HashMap::new();
    for laid in laid.iter().flatten().filter(|laid| laid.way.order != Order::Kept && !laid.left) {
        let count = counts.entry(laid.way.order).or_default();
        *count = (count.0 + 1, count.1 || laid.shown);
    }
    let most =
        counts.into_iter().max_by_key(|(order, (count, shown))| (*shown, *count, *order == Order::ChannelsLast))?;
    Some((most.0, most.1.1))
}

/// With its channels where they are said to be, if that fits and moves anything.
fn by_order((name, reference, array): &(String, &Tensor, &Tensor), order: Order, shown: bool) -> Option<Laid> {
    let ways = Moved::ways(&array.shape, &reference.shape);
    let same = array.shape == reference.shape;
    // Which of two places of the same size is meant, only pictures tell, and who has them first has them as they are.
    let moved = ways
        .iter()
        .find(|way| way.order == order && !(same && (array.shape.len() < 4 || order == Order::ChannelsFirst)));
    let way = moved.or(ways.first()).filter(|way| !way.is_nothing())?.clone();
    Some(made(name, way, (array, reference), shown))
}

/// An array whose shape fits as it is, among others that are laid out otherwise: as its values are nearer.
fn like_the_others(pair: &(String, &Tensor, &Tensor), order: Order, shown: bool) -> Option<Laid> {
    let (_, reference, array) = pair;
    let as_it_is = error(reference, array, &Moved::default());
    let laid = by_order(pair, order, shown)?;
    (as_it_is >= SAME && error(reference, array, &laid.way) < as_it_is).then_some(laid)
}

fn made(name: &str, way: Moved, (array, reference): (&Tensor, &Tensor), shown: bool) -> Laid {
    Laid { name: name.to_string(), way, shapes: (array.shape.clone(), reference.shape.clone()), shown, left: false }
}

/// How far the array is off in this way, as a part of the reference's own size; infinite where it cannot be set against it.
pub fn error(reference: &Tensor, array: &Tensor, way: &Moved) -> f64 {
    let Some(array) = way.undo(array).filter(|array| array.shape == reference.shape) else { return f64::INFINITY };
    if let (Some(r), Some(c)) = (reference.as_strings(), array.as_strings()) {
        return if r == c { 0.0 } else { f64::INFINITY };
    }
    let (r, c) = (to_f64(reference), to_f64(&array));
    let finite = || r.iter().zip(&c).filter(|(r, c)| r.is_finite() && c.is_finite());
    let off: f64 = finite().map(|(r, c)| (r - c).powi(2)).sum();
    let size: f64 = finite().map(|(r, _)| r.powi(2)).sum();
    match (off == 0.0, size == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY,
        (false, false) => (off / size).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(shape: &[usize], by: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * by).sin()).collect();
        Tensor::f32(shape, &values)
    }

    fn last(tensor: &Tensor) -> Tensor {
        tensor.permuted(&[0, 2, 3, 1]).unwrap()
    }

    fn told(pairs: &[(&str, &Tensor, &Tensor)], said: Option<Order>) -> Vec<(String, Order, bool)> {
        let pairs: Vec<(String, &Tensor, &Tensor)> = pairs.iter().map(|(n, r, c)| (n.to_string(), *r, *c)).collect();
        laid(&pairs, said).into_iter().map(|laid| (laid.name, laid.way.order, laid.shown)).collect()
    }

    fn row(name: &str, order: Order, shown: bool) -> (String, Order, bool) {
        (name.to_string(), order, shown)
    }

    #[test]
    fn shapes_and_values_tell() {
        let (wide, cube, other) = (wave(&[1, 5, 6, 6], 1.3), wave(&[1, 6, 6, 6], 0.7), wave(&[1, 6, 6, 6], 0.01));
        // As it is, healthy or not.
        assert!(told(&[("a", &wide, &wide), ("b", &cube, &cube), ("c", &cube, &other)], None).is_empty());
        assert_eq!(told(&[("a", &wide, &last(&wide))], None), [row("a", Order::ChannelsLast, true)]);
        assert_eq!(told(&[("a", &last(&wide), &wide)], None), [row("a", Order::ChannelsFirst, true)]);
        // Several ways fit: the values tell, where another array has its channels there.
        let both = told(&[("a", &wide, &last(&wide)), ("b", &cube, &last(&cube))], None);
        assert_eq!(both, [row("a", Order::ChannelsLast, true), row("b", Order::ChannelsLast, true)]);
        // Alone it may be a transposition that is missing: told, and left as it stands.
        let left = |pairs: &[(&str, &Tensor, &Tensor)]| {
            let pairs: Vec<(String, &Tensor, &Tensor)> =
                pairs.iter().map(|(n, r, c)| (n.to_string(), *r, *c)).collect();
            laid(&pairs, None).iter().map(|laid| laid.left).collect::<Vec<_>>()
        };
        assert_eq!(left(&[("b", &cube, &last(&cube))]), [true]);
        assert_eq!(left(&[("b", &cube, &last(&cube)), ("c", &other, &last(&other))]), [false, false]);
        assert_eq!(left(&[("b", &cube, &last(&cube)), ("c", &other, &other)]), [true]);
        // Whatever the way, the values diverge: likely, and no more.
        let wrong = wave(&[1, 6, 6, 5], 0.01);
        assert_eq!(told(&[("a", &wide, &wrong)], None), [row("a", Order::ChannelsLast, false)]);
        // Beside one whose values agree it is as good as shown.
        let both = told(&[("a", &wide, &wrong), ("b", &cube, &last(&cube))], None);
        assert_eq!(both, [row("a", Order::ChannelsLast, true), row("b", Order::ChannelsLast, true)]);
        // An axis of one element is no matter of taste.
        let squeezed = wave(&[5, 6, 6], 0.01);
        assert_eq!(told(&[("a", &wide, &squeezed)], None), [row("a", Order::Kept, true)]);
        // No way fits.
        assert!(told(&[("a", &wide, &wave(&[1, 5, 6, 7], 1.3))], None).is_empty());
    }

    #[test]
    fn what_the_user_says() {
        let (wide, cube) = (wave(&[1, 5, 6, 6], 1.3), wave(&[1, 6, 6, 6], 0.7));
        let (nhwc, nchw) = (Some(Order::ChannelsLast), Some(Order::ChannelsFirst));
        assert_eq!(told(&[("b", &cube, &cube)], nhwc), [row("b", Order::ChannelsLast, true)]);
        assert!(told(&[("a", &wide, &wide), ("b", &cube, &last(&cube))], nchw).is_empty());
        assert_eq!(told(&[("a", &last(&wide), &wide)], nchw), [row("a", Order::ChannelsFirst, true)]);
        // Rows have no channels.
        let rows = wave(&[1, 5, 5], 1.3);
        assert!(told(&[("r", &rows, &rows)], nhwc).is_empty());
    }
}
