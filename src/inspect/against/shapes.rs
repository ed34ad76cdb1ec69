//! Do two declarations of a tensor have shapes in common? Sets of shapes as boxes; values in, a verdict out.

use crate::inspect::facts::{Dim, Port};
use crate::inspect::port::{shape_text, sizes_text};

/// Whether the shapes of two ports suit each other.
pub enum Fit {
    Same,
    /// There are shapes that only one of them takes.
    Narrower(String),
    /// No shape suits both: a code, and why.
    Never(&'static str, String),
}

/// The sizes that a dimension may have.
type Range = (i64, i64);

/// The strings are what sentences call the two files. Profiles count: an engine takes what any of them covers.
pub fn compare((a, one): (&str, &Port), (b, two): (&str, &Port)) -> Fit {
    // Unknown ranks (outputs that nobody inferred) are no mismatch.
    let (Some(left), Some(right)) = (&one.shape, &two.shape) else { return Fit::Same };
    if left.len() != right.len() {
        return Fit::Never("rank", format!("has {} dimensions in {a} and {} in {b}", left.len(), right.len()));
    }
    let (ours, theirs) = (boxes(one), boxes(two));
    let text = format!("is {} in {a} and {} in {b}", words(one), words(two));
    if ours == theirs {
        return Fit::Same;
    }
    match ours.iter().any(|x| theirs.iter().any(|y| meet(x, y))) {
        true => Fit::Narrower(text),
        false => Fit::Never("shape", format!("{text}: no shape suits both")),
    }
}

/// One box for each profile; a model, or an output, has one.
fn boxes(port: &Port) -> Vec<Vec<Range>> {
    if !port.profiles.is_empty() {
        let between = |[min, _, max]: &[Vec<i64>; 3]| min.iter().copied().zip(max.iter().copied()).collect();
        return port.profiles.iter().map(between).collect();
    }
    let range = |d: &Dim| if let Dim::Fixed(n) = d { (*n, *n) } else { (0, i64::MAX) };
    vec![port.shape.iter().flatten().map(range).collect()]
}

fn meet(x: &[Range], y: &[Range]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.0 <= y.1 && y.0 <= x.1)
}

fn words(port: &Port) -> String {
    let profiles = port.profiles.iter().map(|[min, _, max]| match min == max {
        true => sizes_text(min),
        false => format!("{} to {}", sizes_text(min), sizes_text(max)),
    });
    let profiles: Vec<String> = profiles.collect();
    match profiles.is_empty() {
        true => shape_text(port.shape.as_deref().unwrap_or_default()),
        false => profiles.join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(dims: &[Dim]) -> Port {
        Port { shape: Some(dims.to_vec()), ..Port::default() }
    }

    fn engine(profiles: &[[&[i64]; 3]]) -> Port {
        let rank = profiles[0][0].len();
        let profiles = profiles.iter().map(|p| p.map(<[i64]>::to_vec)).collect();
        Port { shape: Some(vec![Dim::Open; rank]), profiles, ..Port::default() }
    }

    fn check(one: &Port, two: &Port, want: &str) {
        for (one, two) in [(one, two), (two, one)] {
            let got = match compare(("the model", one), ("the engine", two)) {
                Fit::Same => "same",
                Fit::Narrower(_) => "narrower",
                Fit::Never(code, _) => code,
            };
            assert_eq!(got, want, "{one:?} {two:?}");
        }
    }

    #[test]
    fn shapes_meet_or_do_not() {
        let n = || Dim::Symbol("n".into());
        check(&model(&[n(), Dim::Fixed(3)]), &model(&[Dim::Open, Dim::Fixed(3)]), "same");
        check(&model(&[n(), Dim::Fixed(3)]), &model(&[Dim::Fixed(1), Dim::Fixed(3)]), "narrower");
        check(&model(&[Dim::Fixed(2)]), &model(&[Dim::Fixed(3)]), "shape");
        check(&model(&[Dim::Fixed(2)]), &model(&[]), "rank");
        let two = engine(&[[&[1], &[2], &[4]], [&[8], &[8], &[8]]]);
        check(&model(&[n()]), &two, "narrower");
        check(&model(&[Dim::Fixed(8)]), &two, "narrower");
        check(&model(&[Dim::Fixed(6)]), &two, "shape");
        check(&engine(&[[&[4], &[5], &[6]]]), &two, "narrower");
        check(&engine(&[[&[5], &[5], &[7]]]), &two, "shape");
    }
}
