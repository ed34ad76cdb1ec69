//! Shape arithmetic in floats stays in FP32: a dimension of 2049 is no FP16 number. What counts is a node that depends on
//! no data, and on whose result a shape, an integer or a scale depends.

use super::plan::{Origin, Plan, Takes, Why};

/// What a value depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Constant,
    Shape,
    Data,
}

/// Marks the nodes of `plan` that compute shapes.
pub fn keep_shapes(plan: &mut Plan) {
    let class = classes(plan);
    let mut consumers: Vec<Vec<(usize, usize)>> = vec![Vec::new(); plan.values.len()];
    for (id, op) in plan.ops.iter().enumerate() {
        for (slot, value) in op.reads.iter().enumerate() {
            if let Some(value) = value {
                consumers[*value].push((id, slot));
            }
        }
    }
    let mut shaping = vec![false; plan.ops.len()];
    loop {
        let mut changed = false;
        for id in (0..plan.ops.len()).rev() {
            if !shaping[id] && is_shaping(plan, id, &class, &consumers, &shaping) {
                (shaping[id], changed) = (true, true);
            }
        }
        if !changed {
            break;
        }
    }
    for (op, shaping) in plan.ops.iter_mut().zip(shaping) {
        if shaping && op.stays.is_none() {
            op.stays = Some(Why::Shape);
        }
    }
}

fn is_shaping(plan: &Plan, id: usize, class: &[Class], consumers: &[Vec<(usize, usize)>], shaping: &[bool]) -> bool {
    let op = &plan.ops[id];
    let made = op.writes.iter().flatten();
    if !plan.touches_float(op) || op.proto.is("Constant") || made.clone().any(|v| class[*v] == Class::Data) {
        return false;
    }
    let of_shape = op.reads.iter().flatten().any(|v| class[*v] == Class::Shape);
    if of_shape && made.clone().all(|v| !plan.values[*v].is_float()) {
        return true;
    }
    let mut floats = made.filter(|v| plan.values[**v].is_float());
    floats.any(|v| {
        consumers[*v].iter().any(|(reader, slot)| shaping[*reader] || plan.ops[*reader].takes[*slot] == Takes::Full)
    })
}

fn classes(plan: &Plan) -> Vec<Class> {
    let mut class: Vec<Class> = plan
        .values
        .iter()
        .map(|v| match v.origin {
            Origin::Input | Origin::Body => Class::Data,
            Origin::Initializer(_) | Origin::Sparse | Origin::Constant(_) | Origin::Made(..) => Class::Constant,
        })
        .collect();
    // Values only rise, so this ends; in a file in order, after the second round.
    loop {
        let mut changed = false;
        for op in &plan.ops {
            let random = op.proto.op_type().starts_with("Random");
            let own = match op.proto.op_type() {
                "Shape" | "Size" => Class::Shape,
                "Bernoulli" | "Multinomial" => Class::Data,
                _ if random || !op.bodies.is_empty() => Class::Data,
                _ => op.reads.iter().flatten().map(|v| class[*v]).max().unwrap_or(Class::Constant),
            };
            for value in op.writes.iter().flatten().filter(|_| !op.proto.is("Constant")) {
                changed |= class[*value] < own;
                class[*value] = class[*value].max(own);
            }
        }
        if !changed {
            return class;
        }
    }
}
