//! One step of an autoregressive model after the other: what of the outputs of a step is an input of the next. The wiring is
//! the user's or guessed from names, as exporters for text generation give them; the rules by which other inputs grow are said
//! in words. Values only: runs nothing.

mod guess;
mod start;

use serde::{Deserialize, Serialize};

use crate::compare::to_f64;
use crate::tensor::{DType, Tensor, Tensors};

pub use guess::wiring;
pub use start::complete;

/// How a step follows from the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decode {
    /// Steps in all.
    pub steps: usize,
    /// An output, and the input that it becomes.
    pub feedback: Vec<(String, String)>,
    /// Scores of the next token, and the input of token ids.
    pub token: Option<(String, String)>,
    /// Other inputs that change from step to step.
    pub rules: Vec<(String, Rule)>,
}

/// How an input that is no output changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// An attention mask: a one more at the end of its last axis, or a zero where it is added to the scores.
    Mask,
    /// Positions of the tokens: the last one and one more, alone.
    Position,
    /// A number of tokens: one more.
    Count,
    /// Is there a cache? True from the second step on.
    Cached,
}

impl Rule {
    /// In words.
    pub fn told(self) -> &'static str {
        match self {
            Rule::Mask => "grows by what is seen at its end: a one, a zero where it is added to the scores",
            Rule::Position => "is the last position and one more",
            Rule::Count => "is one more",
            Rule::Cached => "is true from the second step on",
        }
    }
}

impl Decode {
    /// What is done from step to step, a sentence each; `first` is what the first one is fed with.
    pub fn told(&self, first: &Tensors) -> Vec<String> {
        let begins = |input: &String| match first.get(input) {
            Some(tensor) if tensor.elements() == 0 => ", which begins empty",
            Some(tensor) if tensor.shared().is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)) => {
                ", which begins with zeros"
            }
            _ => "",
        };
        let feedback = self
            .feedback
            .iter()
            .map(|(output, input)| format!("output '{output}' becomes input '{input}'{}", begins(input)));
        let how = if self.feedback.is_empty() { "is put behind" } else { "becomes" };
        let token =
            self.token.iter().map(|(scores, ids)| format!("the best of the last row of '{scores}' {how} '{ids}'"));
        let rules = self.rules.iter().map(|(input, rule)| format!("input '{input}' {}", rule.told()));
        token.chain(feedback).chain(rules).collect()
    }

    /// Does this input follow from the step before?
    pub fn follows(&self, input: &str) -> bool {
        self.feedback.iter().any(|(_, to)| to == input) || self.rules.iter().any(|(to, _)| to == input)
    }

    /// Outputs that the next step needs.
    pub fn needed(&self) -> impl Iterator<Item = &String> {
        self.feedback.iter().chain(&self.token).map(|(output, _)| output)
    }

    /// The tokens that these outputs say, by row of the batch; empty where there is no token.
    pub fn tokens(&self, outputs: &Tensors) -> Vec<i64> {
        let scores = self.token.as_ref().and_then(|(scores, _)| outputs.get(scores));
        scores.map(last_best).unwrap_or_default()
    }

    /// The inputs of the next step. `fresh` has the user's values for it, where there are any: they stand where no rule does.
    /// An error says which output is missing, or has an unexpected shape.
    pub fn next(&self, feed: &Tensors, outputs: &Tensors, fresh: Option<&Tensors>) -> Result<Tensors, String> {
        let mut next = feed.clone();
        for (name, value) in fresh.into_iter().flatten() {
            if let Some(slot) = next.get_mut(name) {
                *slot = value.clone();
            }
        }
        let tokens = self.token.as_ref().and_then(|(_, ids)| feed.get(ids)).and_then(|ids| ids.shape.last().copied());
        for (output, input) in &self.feedback {
            let made = outputs.get(output).ok_or_else(|| format!("there is no output '{output}' to go on with"))?;
            let before = feed.get(input).ok_or_else(|| format!("there is no input '{input}' to go on with"))?;
            next.insert(
                input.clone(),
                joined(before, made, tokens).map_err(|why| format!("'{output}' as '{input}': {why}"))?,
            );
        }
        if let Some((scores, ids)) = &self.token {
            let made = outputs.get(scores).ok_or_else(|| format!("there is no output '{scores}' to go on with"))?;
            let like = feed.get(ids).ok_or_else(|| format!("there is no input '{ids}' to go on with"))?;
            let new = integers(like.dtype, &last_best(made), like.shape.len())?;
            // Without a cache the model reads the whole text again.
            let ids_now = match self.feedback.is_empty() {
                true => Tensor::joined(&[like, &new], like.shape.len().saturating_sub(1))
                    .ok_or_else(|| format!("the token cannot be put behind '{ids}'"))?,
                false => new,
            };
            next.insert(ids.clone(), ids_now);
        }
        for (input, rule) in &self.rules {
            let Some(before) = feed.get(input) else { continue };
            let grown = match (self.feedback.is_empty(), rule) {
                (true, Rule::Position) => {
                    let last = before.shape.len().saturating_sub(1);
                    grown(before, *rule, 1).and_then(|one| Tensor::joined(&[before, &one], last))
                }
                _ => grown(before, *rule, tokens.unwrap_or(1)),
            };
            next.insert(
                input.clone(),
                grown.ok_or_else(|| format!("input '{input}' of {} {:?} cannot grow", before.dtype, before.shape))?,
            );
        }
        Ok(next)
    }
}

/// A cache that the model hands out whole takes the place of the one before; one of the new tokens alone is put behind it.
fn joined(before: &Tensor, made: &Tensor, tokens: Option<usize>) -> Result<Tensor, String> {
    if made.dtype != before.dtype || made.shape.len() != before.shape.len() {
        return Err(format!(
            "it is {} {:?}, and the input is {} {:?}",
            made.dtype, made.shape, before.dtype, before.shape
        ));
    }
    let differ: Vec<usize> = (0..made.shape.len()).filter(|axis| made.shape[*axis] != before.shape[*axis]).collect();
    match (differ.as_slice(), tokens) {
        ([], _) => Ok(made.clone()),
        ([axis], Some(tokens)) if made.shape[*axis] == tokens && before.shape[*axis] > tokens => {
            Tensor::joined(&[before, made], *axis)
                .ok_or_else(|| "the new tokens cannot be put behind the old ones".to_string())
        }
        ([_], _) => Ok(made.clone()),
        _ => Err(format!("it has the shape {:?}, and the input had {:?}", made.shape, before.shape)),
    }
}

/// By row of the batch, the best of the last position: of `[batch, tokens, vocabulary]` or `[batch, vocabulary]`.
fn last_best(scores: &Tensor) -> Vec<i64> {
    let Some(width) = scores.shape.last().copied().filter(|width| *width > 0) else { return Vec::new() };
    let positions = if scores.shape.len() > 2 { scores.shape[scores.shape.len() - 2] } else { 1 };
    let values = to_f64(scores);
    let best = |row: &[f64]| {
        let last = &row[row.len() - width..];
        let best = (0..width).filter(|at| !last[*at].is_nan());
        best.reduce(|best, at| if last[at] > last[best] { at } else { best }).unwrap_or(0) as i64
    };
    values.chunks((width * positions).max(1)).filter(|row| row.len() >= width).map(best).collect()
}

/// A column of integers, one for each row.
fn integers(dtype: DType, values: &[i64], rank: usize) -> Result<Tensor, String> {
    let mut shape = vec![1; rank.max(1)];
    shape[0] = values.len();
    match dtype {
        DType::Int64 => Ok(Tensor::from_vec(dtype, shape, values.to_vec())),
        DType::Int32 => Ok(Tensor::from_vec(dtype, shape, values.iter().map(|x| *x as i32).collect::<Vec<_>>())),
        other => Err(format!("token ids of {other} cannot be made; they are int64 or int32")),
    }
}

/// What the input is in the next step; `tokens` were in this one.
fn grown(before: &Tensor, rule: Rule, tokens: usize) -> Option<Tensor> {
    let axis = before.shape.len().checked_sub(1);
    match rule {
        Rule::Mask => {
            let axis = axis?;
            let size = before.shape[axis];
            let mut grown = before.picked(axis, &(0..size).chain([size.checked_sub(1)?]).collect::<Vec<_>>())?;
            // The new token is seen, whatever was padded before it.
            let seen = number(before.dtype, if is_added(before) { 0.0 } else { 1.0 })?;
            set_last(&mut grown, axis, &seen)?;
            Some(grown)
        }
        Rule::Position => {
            let axis = axis?;
            let last = before.picked(axis, &[before.shape[axis].checked_sub(1)?])?;
            plus(&last, 1)
        }
        Rule::Count => plus(before, tokens as i64),
        Rule::Cached => (before.dtype == DType::Bool)
            .then(|| Tensor::new(DType::Bool, before.shape.clone(), vec![1u8; before.elements()]).ok())?,
    }
}

/// Is it a mask of floats that is added to the scores: zeros for what is seen, and far below zero for what is not? One that is
/// multiplied has a one somewhere.
fn is_added(mask: &Tensor) -> bool {
    mask.dtype.is_float() && to_f64(mask).iter().all(|x| *x <= 0.0)
}

/// One element's bytes.
fn number(dtype: DType, x: f64) -> Option<Vec<u8>> {
    Some(match dtype {
        DType::Int64 => (x as i64).to_le_bytes().to_vec(),
        DType::Int32 => (x as i32).to_le_bytes().to_vec(),
        DType::Float64 => x.to_le_bytes().to_vec(),
        DType::Float32 => (x as f32).to_le_bytes().to_vec(),
        DType::Float16 => half::f16::from_f64(x).to_le_bytes().to_vec(),
        DType::Bfloat16 => half::bf16::from_f64(x).to_le_bytes().to_vec(),
        DType::Bool | DType::Uint8 | DType::Int8 => vec![x as u8],
        _ => return None,
    })
}

/// Every element at the end of the last axis.
fn set_last(tensor: &mut Tensor, axis: usize, one: &[u8]) -> Option<()> {
    let (size, wide) = (tensor.shape[axis], one.len());
    let mut bytes = tensor.bytes().to_vec();
    for row in bytes.chunks_mut(size * wide) {
        let at = row.len().checked_sub(wide)?;
        row[at..].copy_from_slice(one);
    }
    *tensor = Tensor::new(tensor.dtype, tensor.shape.clone(), bytes).ok()?;
    Some(())
}

fn plus(tensor: &Tensor, more: i64) -> Option<Tensor> {
    let values = to_f64(tensor).into_iter().map(|x| x as i64 + more);
    Some(match tensor.dtype {
        DType::Int64 => Tensor::from_vec(DType::Int64, tensor.shape.clone(), values.collect::<Vec<i64>>()),
        DType::Int32 => {
            Tensor::from_vec(DType::Int32, tensor.shape.clone(), values.map(|x| x as i32).collect::<Vec<i32>>())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
