//! The layouts of what a candidate gave for many samples, sizes or steps, put right before it is set against the reference. Runs
//! nothing.

use std::collections::HashMap;

use super::layouts::{Laid, laid};
use super::{has_own, moved};
use crate::cli::FitArgs;
use crate::found::fitted::Fitted;
use crate::open::gave::Values;
use crate::run::arranged::Arrangement;
use crate::spec::Spec;
use crate::tensor::Tensors;

/// What was put right.
#[derive(Default)]
pub struct Undone {
    /// In words.
    pub told: Vec<Fitted>,
    /// How, by tensor: as in the last sample that says so.
    pub how: Arrangement,
}

/// Moves the axes of what `spec` gave to where the model has them. The first sample says how all are laid out where all are
/// `alike`, and each for itself where they are of several sizes; where that leaves it open, as in the others.
pub fn undone(args: &FitArgs, spec: &Spec, right: &Values, gave: &mut Values, alike: bool) -> Undone {
    if !has_own(spec) {
        return Undone::default();
    }
    let both = right
        .iter()
        .zip(&*gave)
        .enumerate()
        .filter_map(|(n, (right, gave))| Some((n, right.as_ref().ok()?, gave.as_ref().ok()?)));
    let samples: Vec<(usize, &Tensors, &Tensors)> = both.take(if alike { 1 } else { usize::MAX }).collect();
    let pairs = samples.iter().flat_map(|(n, right, gave)| {
        let pair = move |(name, value)| Some(((*n, name), value, gave.get(name)?));
        right.iter().filter_map(pair)
    });
    let pairs: Vec<((usize, &String), _, _)> = pairs.collect();
    // One look at all of them: what a size leaves open, another one tells.
    let numbered: Vec<_> = pairs.iter().enumerate().map(|(n, (_, right, got))| (n.to_string(), *right, *got)).collect();
    let mut how: Vec<HashMap<String, _>> = vec![HashMap::new(); right.len()];
    let (mut all, mut last) = (Vec::new(), HashMap::new());
    for laid in laid(&numbered, args.order()) {
        let Some(((sample, name), ..)) = laid.name.parse::<usize>().ok().and_then(|n| pairs.get(n)) else { continue };
        let laid = Laid { name: name.to_string(), ..laid };
        if !laid.left {
            how[*sample].insert(laid.name.clone(), laid.way.clone());
            last.insert(laid.name.clone(), laid.way.clone());
        }
        all.push(laid);
    }
    let arrangement = |moves: HashMap<String, _>| Arrangement { moves, ..Arrangement::default() };
    for (n, gave) in gave.iter_mut().enumerate() {
        let moves = if alike { last.clone() } else { std::mem::take(&mut how[n]) };
        if let Ok(gave) = gave {
            arrangement(moves).put_all_right(gave);
        }
    }
    Undone { told: moved(all), how: arrangement(last) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Layout;
    use crate::run::RunError;
    use crate::tensor::Tensor;

    fn wave(shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 1.3).sin()).collect();
        Tensor::f32(shape, &values)
    }

    fn one(tensor: Tensor) -> Result<Tensors, RunError> {
        Ok([("y".to_string(), tensor)].into())
    }

    fn last(tensor: &Tensor) -> Tensor {
        tensor.permuted(&[0, 2, 3, 1]).unwrap()
    }

    /// Of each sample, the values; nothing where it failed.
    fn bits(values: &Values) -> Vec<Option<(Vec<usize>, Vec<f32>)>> {
        let bits = |tensors: &Tensors| (tensors["y"].shape.clone(), tensors["y"].view::<f32>().to_vec());
        values.iter().map(|value| value.as_ref().ok().map(bits)).collect()
    }

    fn told(undone: &Undone) -> Vec<String> {
        undone.told.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_size_is_moved_for_itself() {
        let right: Vec<Tensor> = [1, 2, 3].map(|rows| wave(&[rows, 3, 2, 5])).into();
        let squeezed = |tensor: &Tensor| {
            let mut moved = last(tensor);
            moved.shape.retain(|size| *size != 1);
            moved
        };
        let values = |all: &[Tensor]| all.iter().cloned().map(one).collect::<Values>();
        let mut gave = values(&right.iter().map(squeezed).collect::<Vec<_>>());
        gave[1] = Err(RunError::Interrupted);
        let spec: Spec = "exec:run {model} {inputs} {outputs}".parse().unwrap_or_else(|e| panic!("{e}"));
        let undone = undone(&FitArgs::default(), &spec, &values(&right), &mut gave, false);
        let expected = bits(&values(&right));
        assert_eq!(bits(&gave), [expected[0].clone(), None, expected[2].clone()]);
        assert_eq!(told(&undone).len(), 2, "{:?}", told(&undone));
    }

    #[test]
    fn the_first_of_many_pictures_tells_and_the_user_more() {
        let right = vec![one(wave(&[1, 3, 3, 3])), one(wave(&[1, 3, 3, 3]))];
        let given = || [0, 1].map(|_| one(last(&wave(&[1, 3, 3, 3])))).into_iter().collect::<Values>();
        let spec: Spec = "saved:y.npz".parse().unwrap_or_else(|e| panic!("{e}"));
        let mut gave = given();
        let alone = undone(&FitArgs::default(), &spec, &right, &mut gave, true);
        assert!(
            bits(&gave) == bits(&given()) && told(&alone)[0].contains("if that is the candidate's layout"),
            "{:?}",
            told(&alone)
        );
        let said = FitArgs { layout: Some(Layout::Nhwc), ..FitArgs::default() };
        assert_eq!(told(&undone(&said, &spec, &right, &mut gave, true)).len(), 1);
        assert_eq!(bits(&gave), bits(&right));
        let mut gave = given();
        let other: Spec = "ort".parse().unwrap_or_else(|e| panic!("{e}"));
        assert!(undone(&FitArgs::default(), &other, &right, &mut gave, true).told.is_empty());
        assert_eq!(bits(&gave), bits(&given()));
    }
}
