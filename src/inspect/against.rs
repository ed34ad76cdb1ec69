//! Two models, two engines, or one of each: what differs, and whether what runs the one can run the other. The interface decides
//! the exit status; what differs inside is told as well.

mod data;
mod inside;
mod shapes;

use std::fmt;

use super::facts::{Differences, Facts, Mismatch, Port};
use super::file::File;
use crate::tensor::DType;

/// The parts of a file that others see.
struct Interface<'a> {
    /// As sentences call it.
    what: &'static str,
    inputs: &'a [Port],
    outputs: &'a [Port],
}

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Output,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Input => "input",
            Role::Output => "output",
        })
    }
}

/// Of two files of arrays; with `names` those arrays only.
pub use data::differences as of_data;
pub(super) use inside::dotted;

/// `files` are those that the facts come from: their weights are compared in place.
pub fn differences(subject: &Facts, other: &Facts, files: (&File, &File)) -> Differences {
    let (a, b) = interfaces(subject, other);
    let mut differences = Differences::default();
    for (role, left, right) in [(Role::Input, a.inputs, b.inputs), (Role::Output, a.outputs, b.outputs)] {
        ports(&mut differences, role, (a.what, left), (b.what, right));
    }
    differences.inside = inside::differences(subject, other, files);
    differences
}

fn interfaces<'a>(subject: &'a Facts, other: &'a Facts) -> (Interface<'a>, Interface<'a>) {
    let of = |facts: &'a Facts, what| match facts {
        Facts::Model(m) => Interface { what, inputs: &m.inputs, outputs: &m.outputs },
        Facts::Engine(e) => Interface { what, inputs: &e.inputs, outputs: &e.outputs },
        Facts::Data(_) => Interface { what, inputs: &[], outputs: &[] },
    };
    match (subject, other) {
        (Facts::Model(_), Facts::Engine(_)) => (of(subject, "the model"), of(other, "the engine")),
        (Facts::Engine(_), Facts::Model(_)) => (of(subject, "the engine"), of(other, "the model")),
        _ => (of(subject, "the first"), of(other, "the other")),
    }
}

type Side<'a> = (&'static str, &'a [Port]);

fn ports(found: &mut Differences, role: Role, (a, left): Side, (b, right): Side) {
    let by_name = |ports: &[Port], name: &str| ports.iter().any(|p| p.name == name);
    let mut lacking = |port: &Port, has: &str, lacks: &str, others: &[Port], own: &[Port]| {
        // One of the same place and type that is new there may be the same under another name.
        let place = own.iter().position(|p| p.name == port.name).and_then(|at| others.get(at));
        let twin = place.filter(|o| o.dtype == port.dtype && !by_name(own, &o.name));
        let twin = twin.map_or(String::new(), |o| format!("; in its place is '{}'", o.name));
        let text = format!("{role} '{}' of {has} is missing in {lacks}{twin}", port.name);
        found.mismatches.push(Mismatch { code: "missing", tensor: port.name.clone(), text });
    };
    left.iter().filter(|p| !by_name(right, &p.name)).for_each(|p| lacking(p, a, b, right, left));
    right.iter().filter(|p| !by_name(left, &p.name)).for_each(|p| lacking(p, b, a, left, right));
    for (one, two) in left.iter().filter_map(|p| Some((p, right.iter().find(|o| o.name == p.name)?))) {
        pair(found, role, (a, one), (b, two));
    }
}

fn pair(found: &mut Differences, role: Role, (a, one): (&str, &Port), (b, two): (&str, &Port)) {
    let mismatch =
        |code, text| Mismatch { code, tensor: one.name.clone(), text: format!("{role} '{}' {text}", one.name) };
    if let Some(text) = types(role, (a, one), (b, two)) {
        found.mismatches.push(mismatch("dtype", text));
    }
    match shapes::compare((a, one), (b, two)) {
        shapes::Fit::Same => {}
        shapes::Fit::Narrower(text) => found.narrower.push(mismatch("narrower", text)),
        shapes::Fit::Never(code, text) => found.mismatches.push(mismatch(code, text)),
    }
}

/// Unknown types (outputs that nobody inferred) are no mismatch.
fn types(role: Role, (a, one): (&str, &Port), (b, two): (&str, &Port)) -> Option<String> {
    let known = |p: &Port| p.dtype.map(|d| d.to_string()).or(p.other.clone());
    let (left, right) = (known(one)?, known(two)?);
    let verb = match role {
        Role::Input => "read",
        Role::Output => "written",
    };
    let harm = match (one.dtype, two.dtype) {
        (Some(DType::Int64), Some(DType::Int32)) | (Some(DType::Int32), Some(DType::Int64)) => {
            let (wide, narrow) = if one.dtype == Some(DType::Int64) { (a, b) } else { (b, a) };
            let cure = match role {
                Role::Input => "; `layerdiff convert --int32-inputs` makes the model's int32, too",
                Role::Output => "",
            };
            format!(": what is 64-bit for {wide} is {verb} as 32-bit by {narrow}{cure}")
        }
        (Some(l), Some(r)) if l.bits() != r.bits() => {
            format!(": a buffer of the one is {verb} with the wrong size by the other")
        }
        _ => ": the same bytes mean other values".to_string(),
    };
    (left != right).then(|| format!("is {left} in {a} and {right} in {b}{harm}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::facts::Dim;

    fn port(name: &str, dtype: DType, shape: &[i64]) -> Port {
        let dim = |d: &i64| if *d < 0 { Dim::Symbol("n".into()) } else { Dim::Fixed(*d) };
        Port { name: name.into(), dtype: Some(dtype), shape: Some(shape.iter().map(dim).collect()), ..Port::default() }
    }

    fn check(left: &[Port], right: &[Port], want: &[&str]) {
        let mut found = Differences::default();
        ports(&mut found, Role::Input, ("the model", left), ("the engine", right));
        let texts: Vec<&str> = found.mismatches.iter().map(|m| m.text.as_str()).collect();
        assert_eq!(texts.len(), want.len(), "{texts:?}");
        for (text, want) in texts.iter().zip(want) {
            assert!(text.contains(want), "{text} lacks {want}");
        }
    }

    #[test]
    fn mismatches_are_told_from_both_sides() {
        let (f32, i64) = (DType::Float32, DType::Int64);
        check(&[port("x", f32, &[1, 3])], &[port("x", f32, &[1, 3])], &[]);
        check(&[port("x", f32, &[-1, 3])], &[port("x", f32, &[1, 3])], &[]);
        let renamed = [
            "'x' of the model is missing in the engine; in its place is 'y'",
            "'y' of the engine is missing in the model",
        ];
        check(&[port("x", f32, &[1])], &[port("y", f32, &[1])], &renamed);
        check(&[port("x", f32, &[1])], &[], &["'x' of the model is missing in the engine"]);
        let ids = "64-bit for the model is read as 32-bit by the engine";
        check(&[port("x", i64, &[1])], &[port("x", DType::Int32, &[1])], &[ids]);
        check(&[port("x", f32, &[1])], &[port("x", DType::Float16, &[1])], &["wrong size"]);
        check(&[port("x", f32, &[1])], &[port("x", DType::Int32, &[1])], &["mean other values"]);
        check(&[port("x", f32, &[1, 3])], &[port("x", f32, &[3])], &["2 dimensions in the model and 1 in the engine"]);
        check(&[port("x", f32, &[1, 3])], &[port("x", f32, &[1, 4])], &["[1,3]"]);
    }
}
