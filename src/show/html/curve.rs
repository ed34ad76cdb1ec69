//! Error against the number of nodes cured (in FP32, or left unquantised), as inline SVG: what each trial has shown.
//! Both axes are logarithmic: the cure is a handful of nodes, the model has thousands.

use super::scale::Scale;
use super::text;
use crate::found::Real;
use crate::found::words::{self, count, plural};
use crate::show::page::Curve;

/// The drawing's size and the plot's edges in it.
const WIDTH: f64 = 1120.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 100.0;
const RIGHT: f64 = 1090.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 206.0;
/// Lanes outside the scale, for values that no logarithm has.
const NONFINITE: f64 = 22.0;
const EXACT: f64 = 230.0;

/// Numbers under the axis keep this distance.
const APART: f64 = 34.0;

/// A number of nodes and the smallest error seen with it.
struct Point {
    kept: usize,
    error: f64,
}

struct Plot {
    points: Vec<Point>,
    scale: Scale,
    most: usize,
}

/// The curve, if it is one.
pub fn draw(out: &mut String, curve: &Curve) {
    let Some(plot) = Plot::of(curve) else { return };
    let top = if plot.leaves_the_scale() { 0.0 } else { NONFINITE };
    let (height, fate) = (HEIGHT - top, text(curve.fate));
    *out += &format!(
        "<figure><svg class=\"chart curve\" viewBox=\"0 {top} {WIDTH} {height}\" role=\"img\" aria-label=\"Error of the \
         worst output against the number of nodes {fate}, {}.\">\n",
        plural(plot.points.len(), "point")
    );
    plot.axes(out, &fate);
    plot.best(out);
    for point in &plot.points {
        let (x, y) = (plot.x(point.kept), plot.y(point.error));
        let title = title(point);
        *out += &format!("<g><title>{title}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/></g>\n");
    }
    if let Some((kept, error)) = curve.chosen {
        plot.chosen(out, &Point { kept, error });
    }
    *out += &format!(
        "</svg>\n<figcaption>Each point is the smallest error seen with that many nodes {fate}. Which nodes they are \
         counts for more than how many; the line is the best so far."
    );
    if curve.chosen.is_some() {
        *out += " <span class=\"cure\">◎ these nodes</span>";
    }
    *out += "</figcaption></figure>\n";
}

impl Plot {
    /// A single point is no curve.
    fn of(curve: &Curve) -> Option<Plot> {
        let mut points: Vec<Point> = curve.points.iter().map(|&(kept, error)| Point { kept, error }).collect();
        points.sort_by_key(|point| point.kept);
        let (chosen, after) = curve.chosen.unwrap_or((0, f64::NAN));
        let most = points.last()?.kept.max(chosen);
        let errors = points.iter().map(|p| p.error).chain([after]).filter(|e| on_scale(*e));
        let scale = Scale::around(errors);
        (points.len() > 1).then_some(Plot { points, scale, most })
    }

    fn x(&self, kept: usize) -> f64 {
        let log = |n: usize| (n as f64).ln_1p();
        LEFT + 14.0 + (RIGHT - LEFT - 28.0) * log(kept) / log(self.most.max(1))
    }

    fn y(&self, error: f64) -> f64 {
        match error {
            0.0 => EXACT,
            error if on_scale(error) => BOTTOM - (BOTTOM - TOP) * self.scale.share(error),
            _ => NONFINITE,
        }
    }

    fn leaves_the_scale(&self) -> bool {
        self.points.iter().any(|p| p.error != 0.0 && !on_scale(p.error))
    }

    fn axes(&self, out: &mut String, fate: &str) {
        for decade in self.scale.decades() {
            line(out, self.y(10f64.powi(decade)), &format!("1e{decade}"));
        }
        if self.leaves_the_scale() {
            line(out, NONFINITE, "NaN or Inf");
        }
        if self.points.iter().any(|p| p.error == 0.0) {
            line(out, EXACT, "exact");
        }
        let mut free = f64::NEG_INFINITY;
        for point in &self.points {
            let x = self.x(point.kept);
            if x >= free {
                let y = BOTTOM + 46.0;
                *out += &format!("<text x=\"{x:.1}\" y=\"{y}\" class=\"middle\">{}</text>\n", count(point.kept as u64));
                free = x + APART;
            }
        }
        let (middle, bottom) = ((LEFT + RIGHT) / 2.0, HEIGHT - 12.0);
        *out += &format!("<text x=\"{middle}\" y=\"{bottom}\" class=\"middle\">nodes {fate} (logarithmic)</text>\n");
        let (x, y) = (14.0, (TOP + BOTTOM) / 2.0);
        *out +=
            &format!("<text class=\"middle\" transform=\"translate({x} {y}) rotate(-90)\">relative RMS error</text>\n");
    }

    /// A step down wherever more nodes were seen to be better than all fewer ones.
    fn best(&self, out: &mut String) {
        let mut path = String::new();
        let mut low = f64::NEG_INFINITY;
        for point in &self.points {
            // Further down on the paper is better, and nowhere are there NaNs.
            let (x, y) = (self.x(point.kept), self.y(point.error));
            path += &if path.is_empty() { format!("M{x:.1} {y:.1}") } else { format!("H{x:.1}") };
            if y > low && low.is_finite() {
                path += &format!("V{y:.1}");
            }
            low = low.max(y);
        }
        *out += &format!("<path class=\"best\" d=\"{path}\"/>\n");
    }

    fn chosen(&self, out: &mut String, chosen: &Point) {
        let (x, y, title) = (self.x(chosen.kept), self.y(chosen.error), title(chosen));
        *out += &format!("<g class=\"cure\"><title>{title}</title>");
        *out += &format!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>", BOTTOM + 32.0);
        *out += &format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" class=\"core\"/>"
        );
        let (side, class) = if x < WIDTH * 0.8 { (15.0, "start") } else { (-15.0, "end") };
        let (x, y) = (x + side, y - 8.0);
        *out += &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{title}</text></g>\n");
    }
}

/// Has a logarithm: neither 0 nor NaN nor infinite, nor from a damaged file.
fn on_scale(error: f64) -> bool {
    error > 0.0 && error.is_finite()
}

/// `2 nodes: 4.95e-4`.
fn title(point: &Point) -> String {
    format!("{}: {}", plural(point.kept, "node"), words::error(Real(point.error)))
}

fn line(out: &mut String, y: f64, name: &str) {
    let (x, baseline) = (LEFT - 8.0, y + 4.0);
    *out += &format!("<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    *out += &format!("<text x=\"{x}\" y=\"{baseline:.1}\" class=\"end\">{name}</text>\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::found::Overrides;
    use crate::show::report::cure;
    use crate::show::sample::overrides;

    fn drawn(o: &Overrides) -> String {
        let mut out = String::new();
        draw(&mut out, &cure::curve(o));
        out
    }

    #[test]
    fn a_point_for_every_number_of_nodes_and_a_ring_around_the_cure() {
        let svg = drawn(&overrides());
        assert_eq!(svg.matches("r=\"4\"/>").count(), 8);
        assert_eq!(svg.matches("class=\"cure\"><title>2 nodes: 2.10e-4</title>").count(), 1);
        for want in ["<title>0 nodes: NaN or Inf</title>", ">NaN or Inf</text>", ">exact</text>", ">139</text>", "◎"]
        {
            assert!(svg.contains(want), "lacks '{want}'");
        }
        let uncured = drawn(&Overrides { nodes: Vec::new(), ..overrides() });
        assert!(uncured.contains("<svg") && !uncured.contains("◎"));
    }

    #[test]
    fn the_line_only_goes_down_the_page() {
        let svg = drawn(&overrides());
        let path = svg.split_once("class=\"best\" d=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
        let steps = path.split('V').skip(1);
        let heights: Vec<f64> = steps.map(|step| step.split('H').next().unwrap().parse().unwrap()).collect();
        assert_eq!(heights.len(), 6, "0.61 with three nodes is no improvement: {path}");
        assert!(heights.is_sorted(), "{path}");
    }

    #[test]
    fn one_point_is_no_curve() {
        assert_eq!(drawn(&Overrides { curve: vec![(0, Real(1.0))], ..overrides() }), "");
        assert_eq!(drawn(&Overrides { curve: Vec::new(), ..overrides() }), "");
    }

    proptest! {
        #[test]
        fn everything_is_inside_the_drawing(
            curve in prop::collection::vec((any::<usize>(), any::<f64>()), 0..9), after in any::<f64>(), few in 0usize..9,
        ) {
            let curve = curve.into_iter().enumerate();
            let curve = curve.map(|(at, (kept, error))| (if at < few { kept % 9 } else { kept }, Real(error))).collect();
            let svg = drawn(&Overrides { curve, error_after: Real(after), ..overrides() });
            for part in svg.split(" c").filter_map(|p| p.strip_prefix("x=\"").or_else(|| p.strip_prefix("y=\""))) {
                let at: f64 = part.split('"').next().unwrap().parse().unwrap();
                prop_assert!((0.0..=WIDTH).contains(&at), "{} in {}", at, svg);
            }
        }
    }
}
