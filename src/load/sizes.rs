//! One sample in many sizes: which dimension is asked for, which axes of which inputs have it, and the sample cut or repeated
//! along them. No backend, and no file.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};

use super::samples::{Dim, InputSpec};
use crate::found::sizes::{Size, order};
use crate::names::did_you_mean;
use crate::tensor::Tensors;

/// `--sweep DIM=1,2,4` or `DIM=1..512/8`: a dimension and its sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// A named dimension, or `INPUT:AXIS`.
    pub dim: String,
    /// Each once, the smallest first.
    pub sizes: Vec<usize>,
}

/// Rows of a batch at least: those that there are come again.
pub const ROWS: usize = 4;
/// Elements of an input at most.
const LARGEST: usize = 1 << 31;
/// Sizes of one dimension at most.
const MOST: usize = 10_000;

/// `batch=1,2,4`, `seq=1..512/8`: from 1 in steps of 8, and 512 itself.
pub fn parse_sweep(text: &str) -> Result<Sweep, String> {
    let wrong = || format!("'{text}' is no sweep; write DIM=1,2,4,8 or DIM=1..512/8 (from 1 to 512 in steps of 8)");
    let (dim, sizes) = text.rsplit_once('=').filter(|(dim, _)| !dim.is_empty()).ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    let mut all = Vec::new();
    for part in sizes.split(',') {
        let Some((first, last)) = part.split_once("..") else {
            all.push(number(part)?);
            continue;
        };
        let (last, step) = last.split_once('/').unwrap_or((last, "1"));
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if step == 0 || first > last || (last - first) / step > MOST {
            return Err(wrong());
        }
        all.extend((first..=last).step_by(step).chain([last]));
    }
    all.sort_unstable();
    all.dedup();
    if all.len() > MOST { Err(wrong()) } else { Ok(Sweep { dim: dim.to_string(), sizes: all }) }
}

/// Sizes of named dimensions that made-up data begins with: the largest of a sweep, or those of a small batch.
pub fn begin(specs: &[InputSpec], sweeps: &[Sweep], batch: bool) -> Vec<(String, usize)> {
    match batch {
        true => row_dimension(specs).into_iter().map(|dim| (dim, ROWS)).collect(),
        false => sweeps.iter().filter_map(|s| Some((s.dim.clone(), *s.sizes.last()?))).collect(),
    }
}

/// The named dimension of the rows: the one that is called batch, else the first axis of the first input that leaves it open
/// and names it.
pub fn row_dimension(specs: &[InputSpec]) -> Option<String> {
    let named = specs.iter().flat_map(|spec| &spec.dims).find_map(|dim| match dim {
        Dim::Named(name) if name.to_ascii_lowercase().contains("batch") && !name.contains('+') => Some(name.clone()),
        _ => None,
    });
    if named.is_some() {
        return named;
    }
    specs.iter().find_map(|spec| match spec.dims.first() {
        Some(Dim::Named(name)) => Some(name.clone()),
        _ => None,
    })
}

/// Does the model have such a dimension, and leave it open?
pub fn check(specs: &[InputSpec], sweeps: &[Sweep]) -> anyhow::Result<()> {
    let mut swept = Vec::new();
    for Sweep { dim, .. } in sweeps {
        ensure!(!dim.contains('+'), "--sweep {dim}: it follows from what it is made of; sweep one of those");
        for axis in axes(specs, dim)? {
            ensure!(!swept.contains(&axis), "--sweep {dim} is there twice; write its sizes in one list: {dim}=1,2,4");
            swept.push(axis);
        }
    }
    Ok(())
}

/// Every combination of sizes, the smallest sample first.
pub fn combinations(sweeps: &[Sweep]) -> Vec<Size> {
    let mut all = vec![Size::new()];
    for sweep in sweeps {
        let with = |size: &Size, n: &usize| {
            let mut size = size.clone();
            size.insert(sweep.dim.clone(), *n);
            size
        };
        all = all.iter().flat_map(|size| sweep.sizes.iter().map(move |n| with(size, n))).collect();
    }
    all.sort_by_key(order);
    all
}

/// The sample in this size. What `specs` declare decides which axes a named dimension has; a dimension whose name is a sum of
/// others (`past + seq`, `seq+1`) follows them.
pub fn sized(sample: &Tensors, specs: &[InputSpec], size: &Size) -> anyhow::Result<Tensors> {
    let mut sized = sample.clone();
    let known = bound(sample, specs, size);
    for (dim, n) in size {
        let axes = axes(specs, dim)?;
        for (input, axis) in axes {
            resize(&mut sized, input, axis, *n)?;
        }
    }
    for spec in specs {
        for (axis, dim) in spec.dims.iter().enumerate() {
            if let Dim::Named(name) = dim
                && let Some(n) = sum(name, &known)
            {
                resize(&mut sized, &spec.name, axis, n)?;
            }
        }
    }
    Ok(sized)
}

fn resize(sample: &mut Tensors, input: &str, axis: usize, size: usize) -> anyhow::Result<()> {
    let Some(tensor) = sample.get_mut(input) else { return Ok(()) };
    let own = tensor.shape.get(axis).copied().unwrap_or(1).max(1);
    let elements = (tensor.elements() / own).max(1).checked_mul(size);
    ensure!(
        elements.is_some_and(|n| n <= LARGEST),
        "--sweep: input '{input}' with axis {axis} of {size} does not fit into memory; give smaller sizes"
    );
    *tensor = tensor.resized(axis, size).with_context(|| {
        format!(
            "--sweep: input '{input}' has the shape {:?}, and axis {axis} of it cannot be made {size}",
            tensor.shape
        )
    })?;
    Ok(())
}

/// Named dimensions with their sizes: those of `size`, and of the sample where nothing else is asked.
fn bound(sample: &Tensors, specs: &[InputSpec], size: &Size) -> BTreeMap<String, usize> {
    let mut known = BTreeMap::new();
    for spec in specs {
        let shape = sample.get(&spec.name).map(|tensor| tensor.shape.as_slice()).unwrap_or_default();
        for (dim, n) in spec.dims.iter().zip(shape) {
            if let Dim::Named(name) = dim {
                known.insert(name.clone(), *n);
            }
        }
    }
    known.extend(size.iter().map(|(dim, n)| (dim.clone(), *n)));
    known
}

/// `a + b`, `a + 1`, of known dimensions; `None` for what is no sum.
fn sum(name: &str, known: &BTreeMap<String, usize>) -> Option<usize> {
    if !name.contains('+') {
        return None;
    }
    name.split('+').map(|part| part.trim().parse().ok().or_else(|| known.get(part.trim()).copied())).sum()
}

/// The axes that have this dimension, by input. `INPUT:AXIS` is one of them.
fn axes<'a>(specs: &'a [InputSpec], dim: &str) -> anyhow::Result<Vec<(&'a str, usize)>> {
    let named = |spec: &'a InputSpec| {
        let axes = spec.dims.iter().enumerate().filter(|(_, own)| matches!(own, Dim::Named(name) if name == dim));
        axes.map(move |(axis, _)| (spec.name.as_str(), axis))
    };
    let known: Vec<_> = specs.iter().flat_map(named).collect();
    if !known.is_empty() {
        return Ok(known);
    }
    if let Some((input, axis)) = dim.rsplit_once(':')
        && let (Some(spec), Ok(axis)) = (specs.iter().find(|spec| spec.name == input), axis.parse::<usize>())
    {
        match spec.dims.get(axis) {
            // Others may share it.
            Some(Dim::Named(name)) => return axes(specs, name),
            Some(Dim::Fixed(n)) => bail!("--sweep {dim}: the model fixes that axis at {n}; nothing else can be fed"),
            None if !spec.dims.contains(&Dim::Rest) => bail!("--sweep {dim}: '{input}' has {} axes", spec.dims.len()),
            _ => return Ok(vec![(spec.name.as_str(), axis)]),
        }
    }
    let names = specs.iter().flat_map(|spec| &spec.dims).filter_map(|dim| match dim {
        Dim::Named(name) => Some(name.as_str()),
        _ => None,
    });
    let names: std::collections::BTreeSet<&str> = names.collect();
    let near = did_you_mean(dim, names.iter().copied());
    let listed: Vec<&str> = names.into_iter().collect();
    ensure!(
        !listed.is_empty(),
        "--sweep {dim}: no input has a named dimension; write INPUT:AXIS for one that the model leaves open"
    );
    bail!("--sweep: no input has a dimension '{dim}'{near}; there are {}; or write INPUT:AXIS", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Tensor};

    #[test]
    fn lists_and_ranges() {
        let sizes = |text: &str| parse_sweep(text).map(|sweep| (sweep.dim, sweep.sizes));
        assert_eq!(sizes("batch=4,1,2,2"), Ok(("batch".into(), vec![1, 2, 4])));
        assert_eq!(sizes("seq=1..20/8"), Ok(("seq".into(), vec![1, 9, 17, 20])));
        assert_eq!(sizes("x:2=1..3,8"), Ok(("x:2".into(), vec![1, 2, 3, 8])));
        for wrong in ["batch", "=1", "b=", "b=3..1", "b=1..4/0", "b=x", "b=1..999999999"] {
            assert!(sizes(wrong).unwrap_err().contains("is no sweep"), "{wrong}");
        }
    }

    fn spec(name: &str, dims: &[&str]) -> InputSpec {
        let dim = |dim: &&str| match dim.parse() {
            Ok(n) => Dim::Fixed(n),
            Err(_) if *dim == "?" => Dim::Unknown,
            Err(_) => Dim::Named(dim.to_string()),
        };
        InputSpec { name: name.into(), dtype: DType::Float32, dims: dims.iter().map(dim).collect() }
    }

    #[test]
    fn every_axis_of_a_dimension_follows() {
        let specs = [spec("x", &["batch", "seq"]), spec("m", &["batch", "past + seq"]), spec("w", &["?", "3"])];
        let sample = Tensors::from_iter([
            ("x".to_string(), Tensor::f32(&[2, 2], &[1., 2., 3., 4.])),
            ("m".to_string(), Tensor::f32(&[2, 2], &[1.; 4])),
            ("w".to_string(), Tensor::f32(&[1, 3], &[0.; 3])),
        ]);
        let shapes = |size: &[(&str, usize)]| {
            let size = size.iter().map(|(dim, n)| (dim.to_string(), *n)).collect();
            sized(&sample, &specs, &size).map(|sized| sized.values().map(|t| t.shape.clone()).collect::<Vec<_>>())
        };
        assert_eq!(shapes(&[("batch", 3)]).unwrap(), [vec![3, 2], vec![3, 2], vec![1, 3]]);
        assert_eq!(shapes(&[("w:0", 5)]).unwrap(), [vec![2, 2], vec![2, 2], vec![5, 3]]);
        let why = |size: &[(&str, usize)]| shapes(size).unwrap_err().to_string();
        assert!(why(&[("w:1", 5)]).contains("fixes that axis at 3"));
        assert!(why(&[("bath", 5)]).contains("did you mean 'batch'"), "{}", why(&[("bath", 5)]));
    }

    #[test]
    fn sums_follow_what_they_are_made_of() {
        let known = [("past".to_string(), 4), ("seq".to_string(), 2)].into();
        assert_eq!(sum("past + seq", &known), Some(6));
        assert_eq!(sum("seq+1", &known), Some(3));
        assert_eq!((sum("seq", &known), sum("other + 1", &known)), (None, None));
    }

    #[test]
    fn the_smallest_combination_comes_first() {
        let sweeps = [parse_sweep("a=4,1").unwrap(), parse_sweep("b=2,3").unwrap()];
        let all: Vec<Vec<usize>> = combinations(&sweeps).iter().map(|size| size.values().copied().collect()).collect();
        assert_eq!(all, [[1, 2], [1, 3], [4, 2], [4, 3]]);
    }
}
