//! What each tensor may be off by: from both graphs, from what the first runs gave, and from what the candidate's values show.

use std::collections::HashMap;

use crate::judge::above::{Wires, above};
use crate::judge::allowance::looser;
use crate::judge::noise::Beside;
use crate::judge::parts::parts;
use crate::judge::{Allowance, Rules, seen};
use crate::lab::first::First;
use crate::lab::{Side, Survey};
use crate::mark;
use crate::spec::Precision;
use crate::tensor::{Tensor, Tensors};

/// What is known when both sides have run for the first time.
pub struct Known<'a> {
    /// The run that is believed.
    pub reference: &'a Side,
    /// The run under suspicion.
    pub candidate: &'a Side,
    /// Of the reference's model.
    pub survey: &'a Survey,
    /// What they gave.
    pub first: &'a First,
    /// One set of inputs a sample.
    pub feeds: &'a [Tensors],
    /// Names of the tensors that decide the verdict.
    pub outputs: &'a [String],
}

impl Known<'_> {
    /// The rules with all that they can know of single tensors.
    pub fn rules(&self, rules: Rules) -> Rules {
        let same = self.reference.on_cpu() && self.candidate.on_cpu();
        self.of(rules, if same { Beside::Same } else { Beside::Elsewhere })
    }

    /// The same of a candidate whose session optimises.
    pub fn optimised(&self, rules: Rules) -> Rules {
        Rules { optimised: true, ..self.of(rules, Beside::Optimised) }
    }

    fn of(&self, mut rules: Rules, beside: Beside) -> Rules {
        if rules.watch
            && let Some(precision) = self.seen()
        {
            rules.precision = looser(rules.precision, precision);
            rules.because = Some(format!("every value that the candidate hands out is a number of {precision}"));
        }
        rules.of = self.allowances(beside);
        rules
    }

    /// What the candidate computes in, by its outputs: all that can tell it must.
    fn seen(&self) -> Option<Precision> {
        let (right, got) = (self.first.reference.as_ref()?, self.first.unmarked.as_ref().ok()?);
        let pairs = right.iter().zip(got).flat_map(|(r, c)| self.outputs.iter().map(move |o| (r.get(o), c.get(o))));
        let mut least = None;
        for (r, c) in pairs {
            let (r, c): (&Tensor, &Tensor) = (r?, c?);
            match seen::precision(r, c) {
                Some(precision) => least = Some(least.map_or(precision, |known| looser(known, precision))),
                None if r.dtype.is_float() && seen::tells(r) => return None,
                None => {}
            }
        }
        least
    }

    /// By tensor of the reference's graph that has any.
    fn allowances(&self, beside: Beside) -> HashMap<String, Allowance> {
        let (reference, candidate) = (self.reference, self.candidate);
        let mine = Wires { graph: &reference.graph, model: &reference.model };
        let theirs = Wires { graph: &candidate.graph, model: &candidate.model };
        let (own, other) = (above(mine, theirs, beside), above(theirs, mine, beside));
        let mut parts = parts(&reference.graph, &reference.model.proto, &|key| self.shape(key));
        let allowance = |tensor: usize, parts: &mut Vec<_>| {
            let key = &reference.graph.tensors[tensor].key;
            let stands = mark::counterpart(&candidate.graph, key);
            let allowed = own[tensor].clone().or(stands.map(|t| other[t].clone()).unwrap_or_default());
            let allowance = Allowance { parts: std::mem::take(&mut parts[tensor]), ..allowed };
            (allowance != Allowance::default()).then(|| (key.clone(), allowance))
        };
        (0..reference.graph.tensors.len()).filter_map(|tensor| allowance(tensor, &mut parts)).collect()
    }

    /// Of a tensor, an input or a weight of the reference, in the first sample.
    fn shape(&self, key: &str) -> Option<Vec<usize>> {
        let value = self.first.reference.as_ref().and_then(|values| values.first()?.get(key));
        let fed = self.feeds.first().and_then(|feeds| feeds.get(key));
        if let Some(tensor) = value.or(fed) {
            return Some(tensor.shape.clone());
        }
        if let Some(shape) = self.survey.shape(key) {
            return Some(shape.clone());
        }
        let main = self.reference.model.proto.graph.as_ref()?;
        let weight = main.initializer.iter().find(|t| t.name() == key)?;
        weight.dims.iter().map(|d| usize::try_from(*d).ok()).collect()
    }
}
