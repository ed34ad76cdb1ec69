//! How two arrays differ, found by undoing it: one read in another order, moved, and put through a line, until it is the other. Pure.
//! What is told was tried on every element; the fewest steps win.

mod names;
mod shift;
mod values;
mod view;

use super::facts::{Related, Relation, Step};
use crate::compare::to_f64;
use crate::found::Real;
use crate::found::words::{count, number, plural};
use crate::tensor::{DType, Tensor, shape_text};
use shift::Shift;
use values::{Line, Pairs};
use view::{View, advance, views};

/// Places that every way is tried with before it is tried with all.
const PLACES: usize = 2048;
/// Views that moves are looked for in.
const MOVED: usize = 12;
/// Larger arrays are only compared.
const LARGEST: usize = 1 << 28;

/// One array and another that should be the same. The names stay empty.
pub fn relate(one: &Tensor, other: &Tensor) -> Related {
    let both = Both::new(one, other);
    let empty = Related { elements: other.elements() as u64, equal: both.equal(), ..Related::default() };
    if let (Some(a), Some(b)) = (one.as_strings(), other.as_strings()) {
        let same = a == b && one.shape == other.shape;
        let text = if same { "equal".to_string() } else { "different texts, which nothing was tried on".to_string() };
        return Related { verdict: if same { Relation::Equal } else { Relation::Different }, text, ..empty };
    }
    if one.as_strings().is_some() != other.as_strings().is_some() {
        return Related { text: format!("one is text and the other is not: {}", both.types()), ..empty };
    }
    // As numbers they are magnitudes, and 64-bit integers lose their last digits.
    if matches!(one.dtype, DType::Complex64 | DType::Complex128) || one.dtype == other.dtype && !one.dtype.is_float() {
        if one.identical(other) {
            return Related { verdict: Relation::Equal, max_abs: Some(Real(0.0)), text: "equal".to_string(), ..empty };
        }
        if one.dtype.bits() > 32 && both.found().is_some_and(|found| found.is_nothing()) {
            return Related { text: "they differ in digits that no float64 has".to_string(), ..empty };
        }
    }
    match both.found() {
        Some(found) => both.told(found, empty),
        None => both.unexplained(empty),
    }
}

/// Both arrays, as numbers.
struct Both<'a> {
    one: &'a Tensor,
    other: &'a Tensor,
    a: Vec<f64>,
    b: Vec<f64>,
    eps: f64,
    whole: bool,
}

/// What makes the other of the first.
struct Found {
    view: View,
    shift: Option<Shift>,
    line: Line,
}

impl Found {
    /// The two are one as they are.
    fn is_nothing(&self) -> bool {
        self.view.steps.is_empty() && self.shift.is_none() && self.line == Line::same()
    }
}

impl<'a> Both<'a> {
    fn new(one: &'a Tensor, other: &'a Tensor) -> Both<'a> {
        let (a, b) = (to_f64(one), to_f64(other));
        let whole = b.iter().all(|x| x.fract() == 0.0);
        let digits = |dtype| match dtype {
            DType::Float16 => 1e-3,
            DType::Bfloat16 => 8e-3,
            DType::Float32 => 1e-6,
            DType::Float64 => 1e-12,
            d if d.is_float() => 0.07,
            _ => 0.0,
        };
        let eps = f64::max(digits(one.dtype), digits(other.dtype));
        Both { one, other, a, b, eps, whole }
    }

    /// Fewest steps first; moves last, as there are many of them.
    fn found(&self) -> Option<Found> {
        if self.b.is_empty() || self.a.len() != self.b.len() || self.b.len() > LARGEST {
            let empty = self.a.is_empty() && self.b.is_empty() && self.one.shape == self.other.shape;
            return empty.then(|| Found { view: View::of(&self.one.shape), shift: None, line: Line::same() });
        }
        let places = self.places();
        let views = views(&self.one.shape, &self.other.shape);
        let mut likely: Vec<(usize, &View, Line)> = Vec::new();
        for view in &views {
            if let Some(line) = self.pairs_at(view, places.iter().map(|place| (place, place))).line() {
                likely.push((view.steps.len() + line.steps().len(), view, line));
            }
        }
        likely.sort_by_key(|(steps, ..)| *steps);
        let still = likely.into_iter().map(|(_, view, _)| view);
        still.take(4).find_map(|view| self.confirmed(view, None)).or_else(|| {
            views.iter().filter(|view| view.steps.len() < 3).take(MOVED).find_map(|view| {
                let pairs =
                    |seen: &[(Vec<usize>, Vec<usize>)]| self.pairs_at(view, seen.iter().map(|(from, to)| (from, to)));
                let (shift, _) = shift::find(view, &places, pairs)?;
                self.confirmed(view, Some(shift))
            })
        })
    }

    /// With a line that holds everywhere.
    fn confirmed(&self, view: &View, shift: Option<Shift>) -> Option<Found> {
        let pairs = self.all(view, shift.as_ref());
        let line = pairs.line()?;
        Some(Found { view: view.clone(), shift, line })
    }

    /// Every place that both have.
    fn all(&self, view: &View, shift: Option<&Shift>) -> Pairs {
        let mut pairs = self.none(view);
        let straight = View::of(&view.shape);
        let mut index = vec![0; view.shape.len()];
        for _ in 0..self.b.len() {
            match shift.map(|shift| shift.from(&index, &view.shape)) {
                None => self.add(&mut pairs, (view, &index), (&straight, &index)),
                Some(Some(from)) => self.add(&mut pairs, (view, &from), (&straight, &index)),
                Some(None) => {}
            }
            advance(&mut index, &view.shape);
        }
        pairs
    }

    fn pairs_at<'i>(&self, view: &View, places: impl Iterator<Item = (&'i Vec<usize>, &'i Vec<usize>)>) -> Pairs {
        let mut pairs = self.none(view);
        let straight = View::of(&view.shape);
        places.for_each(|(from, to)| self.add(&mut pairs, (view, from), (&straight, to)));
        pairs
    }

    fn none(&self, view: &View) -> Pairs {
        let axes = (0..view.shape.len()).filter(|axis| matches!(view.shape[*axis], 2..=4));
        let channels = axes.map(|axis| (axis, view.shape[axis], Vec::new())).collect();
        Pairs { a: Vec::new(), b: Vec::new(), channels, eps: self.eps, whole: self.whole }
    }

    fn add(&self, pairs: &mut Pairs, (view, from): (&View, &[usize]), (straight, to): (&View, &[usize])) {
        pairs.a.push(self.a[view.at(from)]);
        pairs.b.push(self.b[straight.at(to)]);
        pairs.channels.iter_mut().for_each(|(axis, _, of)| of.push(to[*axis]));
    }

    /// Spread over all, the same every time.
    fn places(&self) -> Vec<Vec<usize>> {
        let n = self.b.len();
        let shape = &self.other.shape;
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) as usize) % n
        };
        let numbers: Vec<usize> = if n <= PLACES { (0..n).collect() } else { (0..PLACES).map(|_| next()).collect() };
        let index = |mut at: usize| {
            let mut index = vec![0; shape.len()];
            for (i, size) in index.iter_mut().zip(shape).rev() {
                (*i, at) = (at % size, at / size);
            }
            index
        };
        numbers.into_iter().map(index).collect()
    }

    fn equal(&self) -> Option<u64> {
        let same = |(a, b): &(&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        (self.one.shape == self.other.shape).then(|| self.a.iter().zip(&self.b).filter(same).count() as u64)
    }

    fn types(&self) -> String {
        let of = |t: &Tensor| format!("{} {}", t.dtype, shape_text(&t.shape));
        format!("{} and {}", of(self.one), of(self.other))
    }

    fn told(&self, found: Found, empty: Related) -> Related {
        let Found { view, shift, line } = found;
        let mut steps = view.steps.clone();
        // One order of axes may count as two steps, and is told once.
        steps.dedup();
        steps.extend(shift.as_ref().map(Shift::step));
        steps.extend(line.steps());
        let (from, to) = (self.one.dtype, self.other.dtype);
        if from != to {
            steps.push(Step::new("dtype", format!("{from} made {to}")));
        }
        let pairs = self.all(&view, shift.as_ref());
        let left = pairs.left(&line);
        let rest = self.outside(pairs.b.len(), &view, shift.as_ref());
        let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        let (verdict, text) = match steps.is_empty() {
            true if left.max_abs == 0.0 => (Relation::Equal, "equal".to_string()),
            true => (Relation::Equal, format!("equal but for last digits (max abs {})", number(left.max_abs))),
            false => {
                let text = format!("equal after: {} (max abs {}){rest}", texts.join(", then "), number(left.max_abs));
                (Relation::Explained, text)
            }
        };
        Related { verdict, steps, max_abs: Some(Real(left.max_abs)), r2: Some(Real(left.r2)), text, ..empty }
    }

    /// What a move brings in from outside.
    fn outside(&self, inside: usize, view: &View, shift: Option<&Shift>) -> String {
        let Some(shift) = shift else { return String::new() };
        let mut index = vec![0; view.shape.len()];
        let mut new = Vec::new();
        for b in &self.b {
            new.extend(shift.from(&index, &view.shape).is_none().then_some(*b));
            advance(&mut index, &view.shape);
        }
        let share = 100.0 * inside as f64 / self.b.len() as f64;
        match new.first().filter(|first| new.iter().all(|b| b == *first)) {
            Some(value) => {
                format!(", on the {share:.1} % that both have; what comes in is {} throughout", number(*value))
            }
            None => format!(", on the {share:.1} % that both have"),
        }
    }

    fn unexplained(&self, empty: Related) -> Related {
        if self.a.len() != self.b.len() {
            let text = format!("{}: not the same number of elements, and no step gives it", self.types());
            return Related { text, ..empty };
        }
        let all = views(&self.one.shape, &self.other.shape);
        let places = self.places();
        let near = |view: &&View| {
            let pairs = self.pairs_at(view, places.iter().map(|place| (place, place)));
            pairs.correlation()
        };
        let nearest = all.iter().max_by(|x, y| near(x).total_cmp(&near(y)));
        let Some(nearest) = nearest else {
            let text = format!("{}: no order of axes makes one of the other", self.types());
            return Related { text, ..empty };
        };
        let pairs = self.all(nearest, None);
        let left = pairs.left(&Line::same());
        let r2 = pairs.correlation();
        let steps: Vec<&str> = nearest.steps.iter().map(|step| step.text.as_str()).collect();
        let way = if steps.is_empty() { "as they are".to_string() } else { steps.join(", then ") };
        let equal = empty
            .equal
            .map_or(String::new(), |n| format!("{} of {} are equal; ", count(n), plural(self.b.len(), "element")));
        let text = format!(
            "nothing that was tried explains it; {equal}nearest {way}: correlation {:.4}, max abs {}",
            r2.max(0.0).sqrt(),
            number(left.max_abs)
        );
        Related { max_abs: Some(Real(left.max_abs)), r2: Some(Real(r2)), text, ..empty }
    }
}

#[cfg(test)]
mod tests;
