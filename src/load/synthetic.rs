//! Made-up feeds: shapes and ranges asked for, values from a seed. The same on every machine. Reads no file.
//!
//! Values are uniform: floats in [0, 1), integers in 0..=1 (ids of every vocabulary), unless a range is given.

mod flags;
mod values;

use anyhow::{Context, bail, ensure};

use super::samples::{Bound, Dim, InputSpec, fit, no_such_input};
use crate::tensor::Tensors;

pub use flags::{parse_range, parse_shape};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// By input.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Lowest and highest value, for one input or for all; the last that fits counts, one for the input above all.
    pub ranges: Vec<(Option<String>, f64, f64)>,
    /// Sizes of named dimensions that no shape says.
    pub dims: Vec<(String, usize)>,
    /// Other values for another seed.
    pub seed: u64,
    /// How many; 0 is an error.
    pub samples: usize,
}

/// So many samples for `inputs`. Each tensor depends on the seed, its sample and its input's name, on nothing else.
pub fn feeds(inputs: &[InputSpec], request: &Request) -> anyhow::Result<Vec<Tensors>> {
    ensure!(request.samples > 0, "no samples were asked for; give --samples 1 or more");
    let shaped = request.shapes.iter().map(|(name, _)| ("--shape", name));
    let ranged = request.ranges.iter().filter_map(|(name, ..)| Some(("--range", name.as_ref()?)));
    for (flag, name) in shaped.chain(ranged) {
        if inputs.iter().all(|i| i.name != *name) {
            bail!("{flag}: {}", no_such_input(name, inputs));
        }
    }
    let shapes = shapes(inputs, request)?;
    let sample = |number: usize| {
        let tensors = inputs.iter().zip(&shapes).map(|(spec, shape)| {
            let mut random = values::Random::new(request.seed, number as u64, &spec.name);
            let tensor = values::tensor(spec.dtype, shape, range(spec, request), &mut random);
            Ok((spec.name.clone(), tensor.with_context(|| format!("input '{}'", spec.name))?))
        });
        tensors.collect()
    };
    (0..request.samples).map(sample).collect()
}

/// A shape for every input: the one asked for, or the declared one with the named dimensions that are known by then.
fn shapes(inputs: &[InputSpec], request: &Request) -> anyhow::Result<Vec<Vec<usize>>> {
    let mut bound = Bound::new();
    let given: Vec<Option<&Vec<usize>>> = inputs.iter().map(|spec| asked(spec, request)).collect();
    for (spec, shape) in inputs.iter().zip(&given) {
        if let Some(shape) = shape {
            fit(spec, shape, &mut bound).context("--shape")?;
        }
    }
    for (dim, n) in &request.dims {
        bound.entry(dim.clone()).or_insert_with(|| (*n, String::new()));
    }
    let mut open = Open::default();
    let mut shapes = Vec::with_capacity(inputs.len());
    for (spec, shape) in inputs.iter().zip(given) {
        let known = |dim: &Dim| match dim {
            Dim::Fixed(n) => Some(*n),
            Dim::Named(name) => bound.get(name).map(|(n, _)| *n),
            Dim::Unknown | Dim::Rest => None,
        };
        match shape.cloned().or_else(|| spec.dims.iter().map(known).collect()) {
            Some(shape) => shapes.push(shape),
            None if spec.dims.contains(&Dim::Rest) => open.add_rank(spec),
            None => open.add(spec, known),
        }
    }
    if !open.flags.is_empty() {
        bail!("{}; add {}", open.reasons.join(", "), open.flags.join(" "));
    }
    Ok(shapes)
}

fn asked<'a>(spec: &InputSpec, request: &'a Request) -> Option<&'a Vec<usize>> {
    request.shapes.iter().rev().find(|(name, _)| *name == spec.name).map(|(_, shape)| shape)
}

fn range(spec: &InputSpec, request: &Request) -> Option<(f64, f64)> {
    let own = request.ranges.iter().rev().find(|(name, ..)| name.as_ref() == Some(&spec.name));
    let all = || request.ranges.iter().rev().find(|(name, ..)| name.is_none());
    own.or_else(all).map(|(_, lo, hi)| (*lo, *hi))
}

/// Dimensions that nobody gave, and the flags that would give them.
#[derive(Default)]
struct Open {
    reasons: Vec<String>,
    flags: Vec<String>,
    /// Named dimensions that a flag asks for already.
    asked: Vec<String>,
}

impl Open {
    fn add_rank(&mut self, spec: &InputSpec) {
        self.reasons.push(format!("input '{}' has no declared shape", spec.name));
        self.flags.push(format!("--shape {}", quoted(&format!("{}=DIMxDIM", spec.name))));
    }

    fn add(&mut self, spec: &InputSpec, known: impl Fn(&Dim) -> Option<usize>) {
        let mut words: Vec<String> = Vec::new();
        let mut fresh = false;
        for (axis, dim) in spec.dims.iter().enumerate().filter(|(_, d)| known(d).is_none()) {
            let word = match dim {
                Dim::Named(name) => {
                    let asked = self.asked.contains(name);
                    fresh |= !asked;
                    if !asked {
                        self.asked.push(name.clone());
                    }
                    format!("'{name}'")
                }
                _ => {
                    fresh = true;
                    format!("number {axis}")
                }
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        if !fresh {
            return;
        }
        let s = if words.len() == 1 { "" } else { "s" };
        self.reasons.push(format!("input '{}' has the dynamic dimension{s} {}", spec.name, and(&words)));
        let dims: Vec<String> = spec.dims.iter().enumerate().map(|(axis, d)| placeholder(axis, d, known(d))).collect();
        self.flags.push(format!("--shape {}", quoted(&format!("{}={}", spec.name, dims.join("x")))));
    }
}

/// What stands for a dimension in a flag: its size, else its name in capitals.
fn placeholder(axis: usize, dim: &Dim, size: Option<usize>) -> String {
    match (size, dim) {
        (Some(size), _) => size.to_string(),
        (None, Dim::Named(name)) => {
            let capital = |c: char| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            name.chars().map(capital).collect()
        }
        (None, _) => format!("DIM{axis}"),
    }
}

/// As a shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=".contains(c);
    if word.chars().all(plain) { word.to_string() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// `a, b and c`
fn and(words: &[String]) -> String {
    match words {
        [init @ .., last] if !init.is_empty() => format!("{} and {last}", init.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests;
