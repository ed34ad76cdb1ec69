//! From a set of kept nodes to the precision of every value, and to the Casts that this takes. Plan -> decision.

use std::collections::HashSet;

use super::Options;
use super::plan::{Op, Origin, Plan, Takes, Value};
use crate::graph::Node;
use crate::tensor::DType;

/// One way to convert the model of a plan.
pub struct Decision {
    /// For each node: does it compute in the low type?
    pub low: Vec<bool>,
    /// For each node: did the caller ask for FP32?
    pub kept: Vec<bool>,
    /// For each value: how it is held.
    pub values: Vec<Stored>,
}

/// How a value is held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// As its producer makes it.
    pub low: bool,
    /// It is an int64 input that callers now give as int32.
    pub narrowed: bool,
    /// Of the tensor in that precision.
    pub name: String,
    /// In the other type, where a reader wants that: the output of a Cast, or a second initializer.
    pub other: Option<String>,
}

/// What the readers of a value want.
#[derive(Clone, Copy, Default)]
struct Wanted {
    low: bool,
    full: bool,
}

impl Decision {
    /// What is low and what is not, where `keep` names the nodes that stay in FP32.
    pub fn new(plan: &Plan, options: &Options, keep: &dyn Fn(&Node) -> bool) -> Decision {
        let kept = kept(plan, keep);
        let is_low = |(id, op): (usize, &Op)| !kept[id] && op.stays.is_none() && plan.touches_float(op);
        let low: Vec<bool> = plan.ops.iter().enumerate().map(is_low).collect();
        let wanted = wanted(plan, options, &low);
        let mut names: HashSet<String> = plan.values.iter().map(|v| v.name.clone()).collect();
        let mut values: Vec<Stored> = Vec::with_capacity(plan.values.len());
        for (value, wanted) in plan.values.iter().zip(wanted) {
            let mut stored = Stored { name: value.name.clone(), ..Stored::default() };
            if options.int32_inputs && value.dtype == Some(DType::Int64) && narrows(value) {
                stored.narrowed = true;
                stored.other = Some(fresh(&mut names, &value.name, "int64"));
            }
            if value.is_float() {
                let outside = value.output.then_some(!options.keep_io);
                stored.low = match value.origin {
                    Origin::Input => !options.keep_io,
                    Origin::Body => plan.scopes[value.scope].holder.is_some_and(|h| low[h]),
                    Origin::Sparse => false,
                    Origin::Initializer(_) | Origin::Constant(_) => outside.unwrap_or(wanted.low && !wanted.full),
                    Origin::Made(op, slot) => low[op] && plan.ops[op].gives[slot],
                };
                let suffix = |low: bool| if low { short(options.low) } else { "fp32" };
                let renamed = outside.is_some_and(|low| low != stored.low);
                if renamed {
                    stored.name = fresh(&mut names, &value.name, suffix(stored.low));
                    stored.other = Some(value.name.clone());
                } else if if stored.low { wanted.full } else { wanted.low } {
                    stored.other = Some(fresh(&mut names, &value.name, suffix(!stored.low)));
                }
            }
            values.push(stored);
        }
        Decision { low, kept, values }
    }

    /// What the value is called for a reader that wants it low, or in FP32.
    pub fn name(&self, value: usize, low: bool) -> &str {
        let stored = &self.values[value];
        match &stored.other {
            Some(other) if stored.narrowed || stored.low != low => other,
            _ => &stored.name,
        }
    }

    /// What the reader of slot `slot` of node `op` calls the value it reads there.
    pub fn read(&self, plan: &Plan, op: usize, slot: usize, value: usize) -> &str {
        match plan.ops[op].takes[slot] {
            Takes::Either => self.name(value, self.values[value].low),
            Takes::Full => self.name(value, false),
            Takes::Mode => self.name(value, self.low[op]),
        }
    }
}

/// A node is kept if the caller says so, or if it is inside a node that is.
fn kept(plan: &Plan, keep: &dyn Fn(&Node) -> bool) -> Vec<bool> {
    let mut kept: Vec<bool> = plan.ops.iter().map(|op| keep(op.node.node())).collect();
    for scope in &plan.scopes {
        if scope.holder.is_some_and(|holder| kept[holder]) {
            scope.ops.iter().for_each(|op| kept[*op] = true);
        }
    }
    kept
}

fn wanted(plan: &Plan, options: &Options, low: &[bool]) -> Vec<Wanted> {
    let mut wanted = vec![Wanted::default(); plan.values.len()];
    let mut want = |value: usize, low: bool| match low {
        true => wanted[value].low = true,
        false => wanted[value].full = true,
    };
    for (id, op) in plan.ops.iter().enumerate() {
        for (slot, value) in op.reads.iter().enumerate() {
            match (value, op.takes[slot]) {
                (None, _) | (_, Takes::Either) => {}
                (Some(value), takes) => want(*value, low[id] && takes == Takes::Mode),
            }
        }
    }
    for scope in &plan.scopes {
        let outside = scope.holder.map_or(!options.keep_io, |holder| low[holder]);
        scope.outputs.iter().flatten().for_each(|value| want(*value, outside));
    }
    wanted
}

/// An output of the model keeps its type, and a default would have to be converted.
fn narrows(value: &Value) -> bool {
    value.origin == Origin::Input && value.scope == 0 && !value.output
}

/// As names of tensors have it.
pub fn short(dtype: DType) -> &'static str {
    match dtype {
        DType::Bfloat16 => "bf16",
        _ => "fp16",
    }
}

/// `name/suffix`, or the first such name that nobody has.
fn fresh(names: &mut HashSet<String>, name: &str, suffix: &str) -> String {
    let mut found = format!("{name}/{suffix}");
    let mut number = 1;
    while !names.insert(found.clone()) {
        found = format!("{name}/{suffix}_{number}");
        number += 1;
    }
    found
}
