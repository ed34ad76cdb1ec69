//! Error by depth, as inline SVG: where along the graph the error appears and how it travels.
//! x is the position among the measured tensors, y the relative RMS error on a logarithmic scale.

use super::scale::Scale;
use super::text;
use crate::found::Status;
use crate::found::words::number;
use crate::show::page::Point;

/// The drawing's size and the plot's edges in it.
const WIDTH: f64 = 1120.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 1104.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 226.0;
/// Lanes outside the scale, for values that no logarithm has.
const NONFINITE: f64 = 24.0;
const EXACT: f64 = 254.0;
const NOT_COMPARED: f64 = 278.0;

/// From this many tensors on, points are small.
const CROWD: usize = 500;

/// Where a tensor is drawn: on the scale, or in a lane.
enum Place {
    Error(f64),
    NonFinite,
    Exact,
    NotCompared,
}

/// Every measured tensor at its depth.
pub fn draw(out: &mut String, points: &[Point]) {
    let scale = scale(points);
    let diverging = points.iter().filter(|p| p.status == Status::Diverges).count();
    *out += &format!(
        "<figure>\n<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Relative error of {} measured \
         tensors in topological order; {diverging} diverge. The table below has the numbers.\">\n",
        points.len()
    );
    axes(out, &scale, points);
    let size = if points.len() > CROWD { 1.8 } else { 3.5 };
    // Culprits last, so that nothing hides them.
    for (at, one) in points.iter().enumerate().filter(|(_, one)| one.culprit.is_none()) {
        point(out, at, one, position(at, points.len()), y(&scale, &place(one)), size);
    }
    for (at, one) in points.iter().enumerate() {
        if let Some(number) = one.culprit {
            mark(out, at, number, one, position(at, points.len()), y(&scale, &place(one)));
        }
    }
    *out += "</svg>\n<figcaption>Each point is a measured tensor; hover for its name, click for its row. \
             <span class=\"agrees\">● agrees</span> <span class=\"diverges\">◆ diverges</span> \
             <span class=\"not_compared\">× not compared</span> <span class=\"culprit\">◎ culprit</span></figcaption>\n\
             </figure>";
}

fn scale(points: &[Point]) -> Scale {
    Scale::around(points.iter().filter_map(|one| match place(one) {
        Place::Error(error) => Some(error),
        _ => None,
    }))
}

fn y(scale: &Scale, place: &Place) -> f64 {
    match place {
        Place::Error(error) => BOTTOM - scale.share(*error) * (BOTTOM - TOP),
        Place::NonFinite => NONFINITE,
        Place::Exact => EXACT,
        Place::NotCompared => NOT_COMPARED,
    }
}

fn place(point: &Point) -> Place {
    match point.error {
        _ if point.status == Status::NotCompared => Place::NotCompared,
        _ if point.nonfinite => Place::NonFinite,
        Some(0.0) => Place::Exact,
        Some(error) => Place::Error(error),
        None => Place::NotCompared,
    }
}

fn position(at: usize, of: usize) -> f64 {
    let last = of.saturating_sub(1).max(1);
    LEFT + 10.0 + (RIGHT - LEFT - 20.0) * at as f64 / last as f64
}

fn axes(out: &mut String, scale: &Scale, points: &[Point]) {
    for decade in scale.decades() {
        lane(out, y(scale, &Place::Error(10f64.powi(decade))), &format!("1e{decade}"));
    }
    let places: Vec<Place> = points.iter().map(place).collect();
    if places.iter().any(|p| matches!(p, Place::NonFinite)) {
        lane(out, NONFINITE, "NaN, Inf");
    }
    if places.iter().any(|p| matches!(p, Place::Exact)) {
        lane(out, EXACT, "exact");
    }
    if places.iter().any(|p| matches!(p, Place::NotCompared)) {
        lane(out, NOT_COMPARED, "no value");
    }
    let (y, middle) = (HEIGHT - 10.0, (LEFT + RIGHT) / 2.0);
    *out += &format!(
        "<text x=\"{LEFT}\" y=\"{y}\">1</text><text x=\"{RIGHT}\" y=\"{y}\" class=\"end\">{}</text>",
        points.len()
    );
    *out += &format!("<text x=\"{middle}\" y=\"{y}\" class=\"middle\">measured tensors, in topological order</text>");
    let (x, y) = (14.0, (TOP + BOTTOM) / 2.0);
    *out += &format!("<text class=\"middle\" transform=\"translate({x} {y}) rotate(-90)\">relative RMS error</text>\n");
}

fn lane(out: &mut String, y: f64, name: &str) {
    let (x, baseline) = (LEFT - 8.0, y + 4.0);
    *out += &format!("<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    *out += &format!("<text x=\"{x}\" y=\"{baseline:.1}\" class=\"end\">{name}</text>\n");
}

/// Shapes differ as colours do: not every reader sees red and green.
fn point(out: &mut String, at: usize, one: &Point, x: f64, y: f64, size: f64) {
    let (class, shape) = match one.status {
        Status::Agrees => ("agrees", format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size}\"/>")),
        Status::Diverges => {
            let half = size * 1.4;
            let path =
                format!("M{x:.1} {:.1}l{half:.1} {half:.1}l-{half:.1} {half:.1}l-{half:.1}-{half:.1}z", y - half);
            ("diverges", format!("<path d=\"{path}\"/>"))
        }
        Status::NotCompared => ("not_compared", format!("<path d=\"M{:.1} {:.1}l6 6m0-6l-6 6\"/>", x - 3.0, y - 3.0)),
    };
    *out += &format!("<a href=\"#t{at}\" tabindex=\"-1\" class=\"{class}\"><title>{}</title>{shape}</a>\n", title(one));
}

fn mark(out: &mut String, at: usize, number: usize, one: &Point, x: f64, y: f64) {
    *out += &format!("<a href=\"#t{at}\" class=\"culprit\"><title>culprit {number}: {}</title>", title(one));
    *out += &format!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>", NOT_COMPARED + 10.0);
    *out += &format!(
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"core\"/>"
    );
    *out += &format!("<text x=\"{:.1}\" y=\"{:.1}\" class=\"middle\">{number}</text></a>\n", x + 15.0, y + 4.5);
}

fn title(one: &Point) -> String {
    let error = one.error.map_or(String::new(), |error| format!(", relative RMS error {}", number(error)));
    text(&format!("{}: {}{error}", one.name, one.status.told()))
}
