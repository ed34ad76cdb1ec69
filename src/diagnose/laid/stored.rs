//! Parameters of a weight that is stored quantised, by its integers and the float weight that they stand for: the scale of some
//! groups, scales of other groups, a zero point that was lost, integers that were cut off or are too coarse.

use super::fitted::{Line, anew, lines, scales, zero_point};
use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::num;
use crate::qdq::{Grid, Parameters};
use crate::tensor::Tensor;

/// Codes that were rounded leave 0.29 steps; a few more where some were cut off.
const ROUNDED: f64 = 0.5;
/// A scale that is further off than this was not the one that the codes were made with.
const OFF: f64 = 1.25;
/// Groups whose codes go less far say little of their scale.
const TELLING: f64 = 3.0;
/// Of two lists of scales, sorted, how far apart those of one place may be for them to be the same scales.
const SAME: f64 = 1.1;
/// A scale this many times too small cuts values off, one this many times too large leaves few bits.
const SIZES: (f64, f64) = (0.25, 8.0);
/// A weight that loses more than this is not the one that was quantised.
const OTHER: f64 = 0.3;

/// The first thing that is wrong.
pub fn parameters(seen: &Seen, codes: &Tensor) -> Option<Suspicion> {
    let (pair, weight) = (seen.laid.pair, seen.laid.value);
    if pair.dtype == crate::tensor::DType::Int32 || codes.shape != weight.shape {
        return None;
    }
    let grid = Grid::dequantizer(pair, &weight.shape)?;
    let lines = lines(&grid, &to_f64(codes), &to_f64(weight));
    let of = Stored { seen, grid, lines };
    of.axis().or_else(|| of.scale()).or_else(|| of.zero()).or_else(|| of.size()).or_else(|| of.other())
}

struct Stored<'a> {
    seen: &'a Seen<'a>,
    grid: Grid,
    lines: Vec<Option<Line>>,
}

impl Stored<'_> {
    fn axis(&self) -> Option<Suspicion> {
        let why = self.seen.losses.axis_suspect.clone()?;
        Some(self.suspicion(
            "scale-mismatch",
            format!("{}: {why}", self.seen.laid.place),
            "a scale per channel must go along the output channels (axis 0 of Conv, 1 of ConvTranspose)".to_string(),
            Undo::Unquantised,
        ))
    }

    /// The integers are right, the scale of some of them is not.
    fn scale(&self) -> Option<Suspicion> {
        let off =
            |l: &Line| l.reach >= TELLING && l.left <= ROUNDED && (l.scale / l.fitted).abs().ln().abs() > OFF.ln();
        let wrong: Vec<(usize, Line)> =
            self.lines.iter().enumerate().filter_map(|(g, l)| Some((g, (*l)?))).filter(|(_, l)| off(l)).collect();
        let ratio = |l: &Line| l.scale / l.fitted;
        let (group, worst) = wrong.iter().max_by(|a, b| ratio(&a.1).ln().abs().total_cmp(&ratio(&b.1).ln().abs()))?;
        let fitted: Vec<f64> = (0..self.lines.len()).map(|g| self.right(g, &wrong)).collect();
        let undo = Undo::Parameters(Box::new(Parameters {
            scale: scales(self.seen.laid.pair.scale.as_ref()?, &fitted)?,
            zero_point: None,
            axis: None,
            stored: None,
        }));
        let place = &self.seen.laid.place;
        let (times, size) = match ratio(worst) {
            r if r >= 1.0 => (r, "large"),
            r => (1.0 / r, "small"),
        };
        if self.lines.len() == 1 {
            let text = format!(
                "the scale of {place} is {}, and its integers are the weight in steps of {}: it is {} times too {size}",
                num(worst.scale),
                num(worst.fitted),
                num(times)
            );
            return Some(self.suspicion("scale-mismatch", text, self.quantise(), undo));
        }
        let (count, all) = (wrong.len(), self.lines.len());
        if let Some(moved) = self.moved(&fitted) {
            let text = format!("{count} of {all} scales of {place} belong to other {}: {moved}", self.groups());
            return Some(self.suspicion("block-scales", text, self.order(), undo));
        }
        let text = format!(
            "{count} of {all} scales of {place} do not fit its integers; the worst, number {group}, is {} where {} fits: {} times too {size}",
            num(worst.scale),
            num(worst.fitted),
            num(times)
        );
        Some(self.suspicion("scale-mismatch", text, self.quantise(), undo))
    }

    fn right(&self, group: usize, wrong: &[(usize, Line)]) -> f64 {
        wrong.iter().find(|(g, _)| *g == group).map_or_else(|| self.grid.scale(group), |(_, l)| l.fitted)
    }

    fn groups(&self) -> &'static str {
        if self.seen.laid.pair.block > 0 { "blocks" } else { "channels" }
    }

    fn order(&self) -> String {
        format!("lay the scales of '{}' out in the order of its {}", self.seen.laid.pair.tensor, self.groups())
    }

    fn quantise(&self) -> String {
        format!(
            "quantise '{}' again, and store the scale with the integers that it was used for",
            self.seen.laid.pair.tensor
        )
    }

    /// How the scales in the file are those that fit, in another order; `None` where they are others.
    fn moved(&self, fitted: &[f64]) -> Option<String> {
        let own: Vec<f64> = (0..self.lines.len()).map(|g| self.grid.scale(g)).collect();
        let near = |a: f64, b: f64| (a / b).abs().ln().abs() < SAME.ln();
        let sorted = |of: &[f64]| {
            let mut of = of.to_vec();
            of.sort_by(f64::total_cmp);
            of
        };
        let (left, right) = (sorted(&own), sorted(fitted));
        let matching = left.iter().zip(&right).filter(|(a, b)| near(**a, **b)).count();
        if matching * 10 < own.len() * 9 {
            return None;
        }
        let n = own.len();
        let shift = (1..n).find(|k| (0..n).filter(|g| near(own[*g], fitted[(g + k) % n])).count() * 10 >= n * 9);
        Some(match shift {
            Some(k) if k <= n / 2 => format!("each has the scale of the one {k} further on"),
            Some(k) => format!("each has the scale of the one {} before", n - k),
            None => "the same scales in another order would fit".to_string(),
        })
    }

    /// The integers fit with another zero point.
    fn zero(&self) -> Option<Suspicion> {
        let pair = self.seen.laid.pair;
        let off = |l: &Line, zero: f64| (l.free.1 - zero).abs() > 1.5 && l.free.2 <= ROUNDED && l.left > 2.0 * l.free.2;
        let zeros: Vec<f64> = (0..self.lines.len()).map(|g| self.grid.zero(g)).collect();
        let wrong = |g: &usize| self.lines[*g].as_ref().is_some_and(|l| l.reach >= TELLING && off(l, zeros[*g]));
        let first = (0..self.lines.len()).find(wrong)?;
        let line = self.lines[first]?;
        let (scale, zero): (Vec<f64>, Vec<f64>) = (0..self.lines.len())
            .map(|g| match self.lines[g].filter(|_| wrong(&g)) {
                Some(l) => (l.free.0, l.free.1.round()),
                None => (self.grid.scale(g), zeros[g]),
            })
            .unzip();
        let own = pair.scale.as_ref()?;
        let text = format!(
            "the zero point of {} is {}, and its integers are the weight with {}",
            self.seen.laid.place,
            num(zeros[first]),
            num(line.free.1.round())
        );
        let undo = match zero_point(pair.dtype, &own.shape, &zero).filter(|_| own.elements() == zero.len()) {
            Some(zero) => Undo::Parameters(Box::new(Parameters {
                scale: scales(own, &scale)?,
                zero_point: Some(zero),
                axis: None,
                stored: None,
            })),
            None => Undo::Unquantised,
        };
        let advice =
            format!("store the zero point of '{}' with its integers, or quantise weights symmetrically", pair.tensor);
        Some(self.suspicion("zero-point", text, advice, undo))
    }

    /// The integers were made with the scale, and it is no scale for this weight.
    fn size(&self) -> Option<Suspicion> {
        let ratio = self.seen.losses.scale_ratio.filter(|r| *r > 0.0 && r.is_finite())?;
        let (times, what) = match ratio {
            r if r <= SIZES.0 => (1.0 / r, "small, and values are cut off"),
            r if r >= SIZES.1 => (r, "large, and few codes are left"),
            _ => return None,
        };
        let pair = self.seen.laid.pair;
        let axis = pair.axis.and_then(|a| usize::try_from(a).ok());
        let undo = anew(pair, self.seen.laid.value, axis).filter(|_| pair.block == 0);
        let text = format!("the scale of {} is {} times too {what}", self.seen.laid.place, num(times));
        Some(self.suspicion(
            "scale-mismatch",
            text,
            self.quantise(),
            undo.map_or(Undo::Unquantised, |p| Undo::Parameters(Box::new(p))),
        ))
    }

    /// No parameters make the weight of these integers.
    fn other(&self) -> Option<Suspicion> {
        let lost = self.seen.losses.quantisation.relative();
        (lost > OTHER).then(|| {
            let text = format!(
                "the integers of {} stand for another weight than the model's: it is off by {} of its size with any scale",
                self.seen.laid.place,
                num(lost)
            );
            let advice = format!("quantise '{}' from the weight of this model", self.seen.laid.pair.tensor);
            self.suspicion("weights-differ", text, advice, Undo::Unquantised)
        })
    }

    fn suspicion(&self, code: &'static str, evidence: String, advice: String, undo: Undo) -> Suspicion {
        Suspicion { code, evidence, advice, undo }
    }
}
