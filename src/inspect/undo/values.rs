//! What arithmetic makes the numbers of one array of those of another, place by place: nothing, a factor, a factor and an offset, the
//! same by channel, rounding. Fits by least squares. Knows no shape but the channel of each place.

use super::names;
use crate::inspect::facts::Step;

/// A fit explains what it is fitted to no worse than this.
const EXPLAINS: f64 = 0.999_999;
/// With fewer places, or fewer numbers among them, a line fits anything.
const FEWEST: usize = 8;
/// Rounding to whole numbers is told from noise by the spread of the numbers.
const SPREAD: f64 = 100.0;

/// Numbers of two arrays, in the same order.
pub struct Pairs {
    /// Of the first.
    pub a: Vec<f64>,
    /// Of the other.
    pub b: Vec<f64>,
    /// By axis that may be that of channels: the axis, its size, and the channel of each place.
    pub channels: Vec<(usize, usize, Vec<usize>)>,
    /// How far apart, relative, two numbers of these element types may be and still be one number.
    pub eps: f64,
    /// The other has whole numbers only.
    pub whole: bool,
}

/// A line for each channel, or one for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `None`: one for all.
    pub axis: Option<usize>,
    /// By channel: factor and offset.
    pub of: Vec<(f64, f64)>,
    /// Whole numbers are made of what it gives.
    pub rounds: Rounds,
}

/// How whole numbers are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounds {
    /// They are not.
    #[default]
    No,
    /// The nearest.
    Nearest,
    /// The next smaller one.
    Down,
}

impl Line {
    /// Changes nothing.
    pub fn same() -> Line {
        Line::all(1.0, 0.0)
    }

    fn all(factor: f64, offset: f64) -> Line {
        Line { axis: None, of: vec![(factor, offset)], rounds: Rounds::No }
    }

    /// What it makes of a number of this channel.
    pub fn of(&self, x: f64, channel: usize) -> f64 {
        let (factor, offset) = self.of[if self.axis.is_some() { channel } else { 0 }];
        let y = x * factor + offset;
        match self.rounds {
            Rounds::No => y,
            Rounds::Nearest => y.round(),
            Rounds::Down => (y + 1e-6).floor(),
        }
    }

    /// In words; nothing where it changes nothing.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = match (self.axis, self.of.as_slice()) {
            (None, [one]) => names::one(*one).into_iter().collect(),
            (axis, all) => vec![names::by_channel(axis.unwrap_or_default(), all)],
        };
        match self.rounds {
            Rounds::No => {}
            Rounds::Nearest => steps.push(Step::new("round", "rounded to whole numbers")),
            Rounds::Down => steps.push(Step::new("round", "cut to whole numbers")),
        }
        steps
    }
}

impl Pairs {
    /// The simplest that explains the other array, if any does.
    pub fn line(&self) -> Option<Line> {
        if self.fits(&Line::same()) {
            return Some(Line::same());
        }
        if self.whole
            && let Some(line) = self.rounded()
        {
            return Some(line);
        }
        let one = self.fitted(None);
        let by_axis = self.channels.iter().map(|(axis, ..)| self.fitted(Some(*axis)));
        let mut lines = std::iter::once(one).chain(by_axis).flatten();
        let line = lines.find(|line| self.fits(line))?;
        let nearest = Line { rounds: Rounds::Nearest, ..line.clone() };
        let rounds = self.whole && !self.left(&line).same && self.fits(&nearest);
        Some(if rounds { nearest } else { line })
    }

    /// Does what the line makes explain the other array?
    pub fn fits(&self, line: &Line) -> bool {
        let left = self.left(line);
        if *line == Line::same() {
            return left.same;
        }
        if line.rounds != Rounds::No {
            return left.off_by_one == 0;
        }
        left.same || (!self.whole && left.r2 > EXPLAINS) || (self.whole && left.max_abs <= 0.51 && left.spread > SPREAD)
    }

    /// How far what the line makes is from the other array.
    pub fn left(&self, line: &Line) -> Left {
        let channels = line.axis.and_then(|axis| self.channels.iter().find(|(a, ..)| *a == axis)).map(|(_, _, c)| c);
        let made = self.a.iter().enumerate().map(|(at, a)| line.of(*a, channels.map_or(0, |c| c[at])));
        let mut left = Left { same: true, ..Left::default() };
        let (mut sums, mut n) = ([0.0; 3], 0.0);
        for (made, b) in made.zip(&self.b) {
            if !made.is_finite() || !b.is_finite() {
                left.same &= (made.is_nan() && b.is_nan()) || made == *b;
                continue;
            }
            let off = (made - b).abs();
            left.max_abs = left.max_abs.max(off);
            left.off_by_one += usize::from(off > 0.5);
            left.same &= off <= self.eps * made.abs().max(b.abs());
            n += 1.0;
            sums[0] += b;
            sums[1] += b * b;
            sums[2] += off * off;
        }
        left.spread = (sums[1] - sums[0] * sums[0] / f64::max(n, 1.0)).max(0.0) / f64::max(n, 1.0);
        left.r2 = if sums[2] == 0.0 { 1.0 } else { 1.0 - sums[2] / n / left.spread };
        // A few numbers that are off by their last digit beside large ones are no difference.
        left.same |= sums[2] > 0.0 && n == self.b.len() as f64 && left.max_abs <= self.eps * (sums[1] / n).sqrt();
        left
    }

    /// Squared correlation of the two: how well the best line for all explains the other array.
    pub fn correlation(&self) -> f64 {
        self.fitted(None).map_or(0.0, |line| self.left(&line).r2)
    }

    /// Whole numbers of what the usual factors make.
    fn rounded(&self) -> Option<Line> {
        let ways = [(1.0, 0.0), (255.0, 0.0), (127.5, 127.5)];
        let rounds = [Rounds::Nearest, Rounds::Down];
        let mut lines = ways.into_iter().flat_map(|(factor, offset)| {
            rounds.into_iter().map(move |rounds| Line { rounds, ..Line::all(factor, offset) })
        });
        lines.find(|line| self.left(line).off_by_one == 0 && self.left(line).spread > 0.0)
    }

    fn fitted(&self, axis: Option<usize>) -> Option<Line> {
        let channels = self.channels.iter().find(|(a, ..)| Some(*a) == axis);
        let count = channels.map_or(1, |(_, count, _)| *count);
        let mut sums = vec![Sums::default(); count];
        for (at, (a, b)) in self.a.iter().zip(&self.b).enumerate() {
            sums[channels.map_or(0, |(_, _, c)| c[at])].add(*a, *b);
        }
        let of: Option<Vec<(f64, f64)>> = sums.iter().map(Sums::line).collect();
        Some(Line { axis, of: names::snapped(of?), rounds: Rounds::No })
    }
}

/// What is left between two arrays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    /// Nothing but last digits; NaN and infinities stand where they did.
    pub same: bool,
    /// Of the finite ones.
    pub max_abs: f64,
    /// One less the squares of what is left by those around the mean.
    pub r2: f64,
    /// Variance of the other array.
    pub spread: f64,
    /// Places that are off by more than a half.
    pub off_by_one: usize,
}

/// What a line by least squares is made of.
#[derive(Clone, Debug, Default)]
struct Sums {
    n: f64,
    /// The first numbers, which the others are taken relative to: squares of large numbers cancel badly.
    base: Option<(f64, f64)>,
    sums: [f64; 4],
    values: Vec<f64>,
}

impl Sums {
    fn add(&mut self, a: f64, b: f64) {
        if !a.is_finite() || !b.is_finite() {
            return;
        }
        let base = *self.base.get_or_insert((a, b));
        let (x, y) = (a - base.0, b - base.1);
        self.n += 1.0;
        for (sum, term) in self.sums.iter_mut().zip([x, y, x * x, x * y]) {
            *sum += term;
        }
        if self.values.len() < FEWEST / 2 && !self.values.contains(&a) {
            self.values.push(a);
        }
    }

    fn line(&self) -> Option<(f64, f64)> {
        let [x, y, xx, xy] = self.sums;
        let variance = xx - x * x / self.n;
        if self.n < FEWEST as f64 || self.values.len() < FEWEST / 2 || variance <= 0.0 {
            return None;
        }
        let factor = (xy - x * y / self.n) / variance;
        let base = self.base?;
        let offset = base.1 + y / self.n - factor * (base.0 + x / self.n);
        (factor != 0.0 && factor.is_finite()).then_some((factor, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(a: Vec<f64>, f: impl Fn(usize, f64) -> f64, channels: usize) -> Pairs {
        let b: Vec<f64> = a.iter().enumerate().map(|(at, x)| f(at, *x)).collect();
        let of = (0..a.len()).map(|at| at % channels).collect();
        Pairs { whole: b.iter().all(|b| b.fract() == 0.0), a, b, channels: vec![(1, channels, of)], eps: 1e-6 }
    }

    fn codes(pairs: Pairs) -> Vec<String> {
        let Some(line) = pairs.line() else { return vec!["nothing".into()] };
        line.steps().into_iter().map(|step| step.text).collect()
    }

    #[test]
    fn the_simplest_arithmetic_is_found() {
        let numbers = || (0..90).map(|i| f64::from(i * 37 % 256) / 255.0).collect::<Vec<_>>();
        let none: Vec<String> = Vec::new();
        assert_eq!(codes(pairs(numbers(), |_, x| x, 3)), none);
        assert_eq!(codes(pairs(numbers(), |_, x| x * (1.0 + 1e-8), 3)), none);
        assert_eq!(codes(pairs(numbers(), |_, x| 255.0 * x + 1e-9, 3)), ["times 255"]);
        assert_eq!(codes(pairs(numbers(), |_, x| 2.0 * x - 1.0, 3)), ["times 2, minus 1 (0..1 to -1..1)"]);
        assert_eq!(
            codes(pairs(numbers(), |_, x| (255.0 * x + 0.1).floor(), 3)),
            ["times 255", "rounded to whole numbers"]
        );
        let means = [0.485, 0.456, 0.406];
        let stds = [0.229, 0.224, 0.225];
        let got = codes(pairs(numbers(), |at, x| (x - means[at % 3]) / stds[at % 3], 3));
        assert_eq!(got, ["ImageNet's mean and standard deviation taken off on axis 1"]);
        assert_eq!(codes(pairs(numbers(), |_, x| x * x, 3)), ["nothing"]);
    }

    #[test]
    fn nan_stands_where_it_did() {
        let check = |a: Vec<f64>, b: Vec<f64>, want| {
            let pairs = Pairs { a, b, channels: vec![], eps: 1e-6, whole: false };
            assert_eq!(pairs.fits(&Line::same()), want);
        };
        let nan = f64::NAN;
        check(vec![1.0, nan], vec![1.0, nan], true);
        check(vec![1.0, nan], vec![1.0, 2.0], false);
        check(vec![f64::INFINITY], vec![f64::NEG_INFINITY], false);
    }
}
