//! Operators that draw random numbers: no two runs agree, and no backend has another's generator.

use super::case::Case;
use super::{Finding, Strength};

const DRAWING: [&str; 6] =
    ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"];

/// Does this operator give other numbers each time it runs?
pub fn draws(op_type: &str) -> bool {
    DRAWING.contains(&op_type)
}

/// An operator that draws numbers: no two backends draw the same.
pub fn rng(case: &Case) -> Option<Finding> {
    let dropout = case.is_any(&["Dropout"]) && training(case);
    if !draws(case.op()) && !dropout {
        return None;
    }
    let seed = match case.e.node.attr("seed") {
        Some(_) => "has a seed, but every backend has its own generator",
        None => "has no seed, so every run draws other numbers",
    };
    let what = if dropout { "Dropout in training mode" } else { case.op() };
    let evidence = format!("{} is {what}; it {seed}", case.name());
    let advice = if dropout {
        format!("export the model for inference: {} must not run in training mode", case.name())
    } else {
        format!("replace {} by a model input or a constant, so that both sides read the same numbers", case.name())
    };
    Some(Finding { code: "rng", strength: Strength::AtWork, evidence, advice })
}

fn training(case: &Case) -> bool {
    case.input(2).is_some_and(|s| s.max > 0.0)
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, float, without};

    #[test]
    fn draws() {
        let (y, c) = ([1.0, 2.0], [2.0, 1.0]);
        check(Sample::new("RandomNormal", &[]).fp16(&y, &c), "rng", "has no seed");
        check(Sample::new("Multinomial", &["x"]).attribute(float("seed", 1.0)).fp16(&y, &c), "rng", "has a seed");
        let dropout = |on: f32| Sample::new("Dropout", &["x", "ratio", "training"]).constant("training", &[on]);
        check(dropout(1.0).fp16(&y, &c), "rng", "Dropout in training mode");
        without(dropout(0.0).fp16(&y, &c), "rng");
        without(Sample::new("Dropout", &["x"]).fp16(&y, &c), "rng");
    }
}
