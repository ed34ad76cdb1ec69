//! What factors and offsets are called by those who prepare images: 255, ImageNet's means, a range of -1..1. Numbers in, words out.

use crate::found::words::number;
use crate::inspect::facts::Step;

/// How near, relative, a fitted number must be to one that has a name.
const NEAR: f64 = 1e-4;

/// A factor, an offset, and what they do.
type Named = (f64, f64, &'static str, &'static str);

const USUAL: [Named; 10] = [
    (255.0, 0.0, "factor", "times 255"),
    (1.0 / 255.0, 0.0, "factor", "divided by 255"),
    (127.5, 0.0, "factor", "times 127.5"),
    (1.0 / 127.5, 0.0, "factor", "divided by 127.5"),
    (1.0 / 127.5, -1.0, "affine", "divided by 127.5, minus 1 (0..255 to -1..1)"),
    (127.5, 127.5, "affine", "plus 1, times 127.5 (-1..1 to 0..255)"),
    (2.0, -1.0, "affine", "times 2, minus 1 (0..1 to -1..1)"),
    (0.5, 0.5, "affine", "plus 1, halved (-1..1 to 0..1)"),
    (1.0 / 128.0, -127.5 / 128.0, "affine", "minus 127.5, divided by 128"),
    (-1.0, 0.0, "factor", "times -1"),
];

/// Means and standard deviations by channel, in the order of red, green, blue; for numbers up to 1.
const MEANS: [(&str, [f64; 3], [f64; 3]); 2] = [
    ("ImageNet's", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ("CLIP's", [0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11]),
];
/// Means alone, for numbers up to 255.
const MEANS_ALONE: [(&str, [f64; 3]); 2] =
    [("VGG's means", [123.68, 116.779, 103.939]), ("Caffe's means", [123.0, 117.0, 104.0])];

/// A line for all elements; `None` where it changes nothing.
pub fn one((factor, offset): (f64, f64)) -> Option<Step> {
    if factor == 1.0 && offset == 0.0 {
        return None;
    }
    if let Some((_, _, code, text)) = USUAL.iter().find(|(f, o, ..)| near(*f, factor) && near(*o, offset)) {
        return Some(Step::new(code, *text));
    }
    let digits = |x: f64| format!("{}", rounded(x));
    Some(match (factor == 1.0, offset == 0.0) {
        (true, _) => Step::new("affine", format!("plus {} (fitted)", digits(offset))),
        (_, true) => Step::new("factor", format!("times {} (fitted)", digits(factor))),
        _ => Step::new("affine", format!("times {}, plus {} (fitted)", digits(factor), digits(offset))),
    })
}

/// A line for each channel.
pub fn by_channel(axis: usize, lines: &[(f64, f64)]) -> Step {
    let text = known(lines).unwrap_or_else(|| {
        let list = |f: fn(&(f64, f64)) -> f64| lines.iter().map(|l| number(f(l))).collect::<Vec<_>>().join(", ");
        // As whoever normalises writes it: minus the mean, by the standard deviation.
        format!("mean [{}] taken off, divided by [{}] (fitted)", list(|(f, o)| -o / f), list(|(f, _)| 1.0 / f))
    });
    Step::new("normalise", format!("{text} on axis {axis}"))
}

fn known(lines: &[(f64, f64)]) -> Option<String> {
    let lines: [(f64, f64); 3] = lines.try_into().ok()?;
    let mirrored = [lines[2], lines[1], lines[0]];
    let orders = [(lines, ""), (mirrored, " in the order of BGR")];
    let same = |a: f64, b: f64| (a - b).abs() <= 2e-3 * a.abs().max(1e-3);
    for (lines, order) in orders {
        for (name, means, stds) in MEANS {
            for (unit, of) in [(1.0, ""), (255.0, " of numbers up to 255")] {
                let is = |at: usize, f: f64, o: f64| same(lines[at].0, f) && same(lines[at].1, o);
                let off = |at: usize| is(at, 1.0 / (stds[at] * unit), -means[at] / stds[at]);
                let on = |at: usize| is(at, stds[at] * unit, means[at] * unit);
                let what = format!("{name} mean and standard deviation");
                if (0..3).all(off) {
                    return Some(format!("{what}{of} taken off{order}"));
                }
                if (0..3).all(on) {
                    return Some(format!("{what}{of} put back{order}"));
                }
            }
        }
        for (name, means) in MEANS_ALONE {
            let moved = |sign: f64| (0..3).all(|at| same(lines[at].0, 1.0) && same(lines[at].1, sign * means[at]));
            if moved(-1.0) {
                return Some(format!("{name} taken off{order}"));
            }
            if moved(1.0) {
                return Some(format!("{name} put back{order}"));
            }
        }
    }
    None
}

/// Fitted numbers that are a name's but for the last digits become the name's.
pub fn snapped(lines: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let usual = |(factor, offset): (f64, f64)| {
        let found = USUAL
            .iter()
            .find(|(f, o, ..)| near(*f, factor) && (near(*o, offset) || (o - offset).abs() < NEAR * factor.abs()));
        match found {
            Some((f, o, ..)) => (*f, *o),
            None if near(1.0, factor) && offset.abs() < NEAR => (1.0, 0.0),
            None if (factor - 1.0).abs() < 1e-6 => (1.0, offset),
            None => (factor, offset),
        }
    };
    if lines.len() == 1 { lines.into_iter().map(usual).collect() } else { lines }
}

fn near(name: f64, x: f64) -> bool {
    (name - x).abs() <= NEAR * name.abs().max(1e-6)
}

/// Six digits.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_have_names() {
        let text = |line| one(line).map_or(String::new(), |step| step.text);
        assert_eq!(text((1.0, 0.0)), "");
        assert_eq!(text((1.0 / 255.0, 0.0)), "divided by 255");
        assert_eq!(text((3.0, 0.0)), "times 3 (fitted)");
        assert_eq!(text((1.0, -0.5)), "plus -0.5 (fitted)");
        assert_eq!(snapped(vec![(255.001, 1e-7)]), [(255.0, 0.0)]);
        assert_eq!(snapped(vec![(254.0, 0.0)]), [(254.0, 0.0)]);
    }

    #[test]
    fn normalisations_in_either_direction_and_order() {
        let off = |order: [usize; 3], unit: f64| -> Vec<(f64, f64)> {
            let (_, means, stds) = MEANS[0];
            order.iter().map(|c| (1.0 / (stds[*c] * unit), -means[*c] / stds[*c])).collect()
        };
        let check = |lines: Vec<(f64, f64)>, want: &str| assert_eq!(by_channel(1, &lines).text, want);
        let name = "ImageNet's mean and standard deviation";
        check(off([0, 1, 2], 1.0), &format!("{name} taken off on axis 1"));
        check(off([2, 1, 0], 255.0), &format!("{name} of numbers up to 255 taken off in the order of BGR on axis 1"));
        check(
            off([0, 1, 2], 1.0).iter().map(|(f, o)| (1.0 / f, -o / f)).collect(),
            &format!("{name} put back on axis 1"),
        );
        check(vec![(2.0, -2.0), (1.0, 0.0)], "mean [1.00, 0] taken off, divided by [0.500, 1.00] (fitted) on axis 1");
    }
}
