//! `--metric`: judges of final outputs in place of the tolerance. Which outputs they are for, and the verdict; what each of
//! them says of two tensors stands in `value`. No file, no backend.

mod flag;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use super::{Rules, is_exact};
use crate::compare::{self, Comparison, Tolerance};
use crate::found::words::{count, index};
use crate::found::{Status, ToleranceInfo};
use crate::tensor::Tensor;
pub use flag::NamedMetric;
use value::Said;

/// A judge of final outputs. Numbers are those of [`crate::found::Metrics`], over all elements of one output and sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputMetric {
    /// At least this cosine of the angle between both.
    Cosine(f64),
    /// A signal-to-noise ratio of at least this many dB: 20 log10(|r| / |r - c|).
    Sqnr(f64),
    /// A peak-signal-to-noise ratio of at least this many dB: 20 log10(largest |r| / RMSE).
    Psnr(f64),
    /// In every row (along the last axis) the K best are those of the reference.
    TopK(usize),
    /// |r - c| of at most this, as Polygraphy's L2 norm: absolute, it grows with the number of elements.
    L2(f64),
    /// 99 of 100 elements are off by at most this.
    P99(f64),
    /// Elements are off by at most this on average.
    Mean(f64),
    /// No element is off by more than this.
    Max(f64),
}

/// What final outputs are judged by in place of the tolerance. Empty: by the tolerance alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputMetrics {
    /// Of every output that has none of its own, as far as they say anything of it.
    pub all: Vec<OutputMetric>,
    /// By output: all of them must be satisfied.
    pub of: BTreeMap<String, Vec<OutputMetric>>,
}

impl OutputMetric {
    /// How many of the best it looks at; `None` where it does not rank.
    pub fn best(self) -> Option<usize> {
        if let OutputMetric::TopK(k) = self { Some(k) } else { None }
    }
}

impl OutputMetrics {
    /// As the flags have them.
    pub fn new(given: &[NamedMetric]) -> OutputMetrics {
        let mut metrics = OutputMetrics::default();
        for NamedMetric { output, metric } in given {
            match output {
                Some(name) => metrics.of.entry(name.clone()).or_default().push(*metric),
                None => metrics.all.push(*metric),
            }
        }
        metrics
    }

    /// Does the tolerance alone judge?
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.of.is_empty()
    }

    /// Those of one output, its own or those of all.
    pub fn of(&self, name: &str) -> &[OutputMetric] {
        self.of.get(name).unwrap_or(&self.all)
    }

    /// Is the order of this output's values what matters?
    pub fn ranks(&self, name: &str) -> bool {
        self.of(name).iter().any(|metric| metric.best().is_some())
    }
}

impl std::fmt::Display for OutputMetrics {
    /// `cosine=0.999, logits:topk=1`
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

impl OutputMetrics {
    /// Each as users write it.
    pub fn words(&self) -> Vec<String> {
        let named = |(name, metrics): (&String, &Vec<OutputMetric>)| {
            metrics.iter().map(|metric| format!("{name}:{metric}")).collect::<Vec<_>>()
        };
        self.all.iter().map(ToString::to_string).chain(self.of.iter().flat_map(named)).collect()
    }
}

impl Rules {
    /// A final output: by its metrics where it has some, else by the tolerance and by what it decides. NaN and infinities
    /// come first: no metric over the rest stands for a tensor that has others than the reference.
    pub fn judge_output(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Comparison {
        self.conclude_output(name, reference, candidate, self.judge(name, reference, candidate))
    }

    /// The last word on a final output, of which `verdict` is that of the tolerance.
    pub fn conclude_output(
        &self,
        name: &str,
        reference: &Tensor,
        candidate: &Tensor,
        verdict: Comparison,
    ) -> Comparison {
        let (mut verdict, broken) = in_places(verdict, (reference, candidate));
        if broken {
            return verdict;
        }
        if let Some(why) = vacuous(reference, candidate) {
            (verdict.status, verdict.why) = (Status::NotCompared, Some(why.to_string()));
            return verdict;
        }
        match self.metrics.of(name) {
            [] => self.decided(name, reference, candidate, verdict),
            metrics => self.by_metrics(name, metrics, (reference, candidate), verdict),
        }
    }

    /// By the tolerance alone, NaN and infinities in their places.
    pub fn judge_strictly(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Comparison {
        self.strictly(name, reference, candidate).0
    }

    /// Has the candidate other NaN or infinities than the reference? Of another shape: some, where the reference has none.
    pub fn breaks(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> bool {
        let finite = |tensor: &Tensor| compare::to_f64(tensor).iter().all(|x| x.is_finite());
        match reference.shape == candidate.shape {
            true => self.strictly(name, reference, candidate).1,
            false => finite(reference) && !finite(candidate),
        }
    }

    /// As [`Rules::judge_strictly`]; true: its NaN and infinities are others, whatever else there is to say.
    fn strictly(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> (Comparison, bool) {
        in_places(self.judge(name, reference, candidate), (reference, candidate))
    }

    /// For the report, metrics included.
    pub fn told(&self, outputs: &[String]) -> ToleranceInfo {
        let mut info = self.info(outputs);
        if !self.metrics.is_empty() {
            info.why += &format!("; final outputs are judged by {}", self.metrics);
        }
        info
    }

    /// `verdict` is that of the tolerance.
    fn by_metrics(
        &self,
        name: &str,
        metrics: &[OutputMetric],
        (reference, candidate): (&Tensor, &Tensor),
        verdict: Comparison,
    ) -> Comparison {
        let Some(measured) = &verdict.metrics else { return verdict };
        let own = self.metrics.of.contains_key(name);
        let said: Vec<Said> =
            metrics.iter().map(|metric| value::said(*metric, measured, reference, candidate)).collect();
        let with = |status: Status, words: Vec<String>| {
            let why = joined(other_type(reference, candidate), words.join("; "));
            Comparison { status, why: Some(why), metrics: verdict.metrics.clone() }
        };
        let words = |wanted: fn(&Said) -> Option<&String>| said.iter().filter_map(wanted).cloned().collect::<Vec<_>>();
        let fails = words(|said| if let Said::Fails(words) = said { Some(words) } else { None });
        let holds = words(|said| if let Said::Holds(words) = said { Some(words) } else { None });
        let nothing = words(|said| if let Said::Nothing(words) = said { Some(words) } else { None });
        let vacuous = words(|said| if let Said::Vacuous(words) = said { Some(words) } else { None });
        match (fails.is_empty(), vacuous.is_empty(), nothing.is_empty(), holds.is_empty()) {
            (false, ..) => with(Status::Diverges, fails),
            (_, false, ..) => with(Status::NotCompared, vacuous),
            // Who names an output wants this metric of it.
            (_, _, false, _) if own => with(Status::NotCompared, nothing),
            (.., false) => with(Status::Agrees, holds),
            _ => {
                let why = verdict.why.clone().map_or(String::new(), |why| format!("; {why}"));
                with(verdict.status, vec![format!("{}, so the tolerance judges{why}", nothing.join("; "))])
            }
        }
    }
}

/// Diverging where NaN and infinities are others; true: they are, whatever else there is to say.
fn in_places(mut verdict: Comparison, (reference, candidate): (&Tensor, &Tensor)) -> (Comparison, bool) {
    let other = other_places(&verdict, reference, candidate);
    let broken = other.is_some();
    if let Some(why) = other {
        verdict.status = Status::Diverges;
        verdict.why = Some(joined(verdict.why, why));
    }
    (verdict, broken)
}

/// Why two outputs show nothing, whatever they are.
fn vacuous(reference: &Tensor, candidate: &Tensor) -> Option<&'static str> {
    let nan = |t: &Tensor| t.elements() > 0 && !is_exact(t.dtype) && compare::to_f64(t).iter().all(|x| x.is_nan());
    if reference.shape != candidate.shape {
        return None;
    }
    if reference.elements() == 0 {
        return Some("it has no element");
    }
    (nan(reference) && nan(candidate)).then_some("it is NaN throughout, in the reference too")
}

/// Which elements are NaN or infinite on one side only, or of another kind or sign there, in words; `None` where all are
/// the same, or no element was set against another.
fn other_places(verdict: &Comparison, reference: &Tensor, candidate: &Tensor) -> Option<String> {
    let measured = verdict.metrics.as_ref()?;
    if measured.ref_nonfinite + measured.cand_nonfinite == 0 {
        return None;
    }
    // Under a tolerance that lets every finite pair pass, these are what is left.
    let open = Tolerance { atol: f64::INFINITY, rtol: 0.0 };
    let places = compare::compare(reference, candidate, open).metrics.filter(|places| places.mismatched > 0)?;
    let (n, first) = (count(places.mismatched), index(&places.first_mismatch));
    Some(format!(
        "{n} of {} elements are NaN or infinite on one side only, or otherwise there, the first at {first}",
        count(places.elements)
    ))
}

fn other_type(reference: &Tensor, candidate: &Tensor) -> Option<String> {
    let (mine, theirs) = (reference.dtype, candidate.dtype);
    (mine != theirs).then(|| format!("dtype: reference {mine}, candidate {theirs}"))
}

fn joined(first: Option<String>, then: String) -> String {
    first.map_or(then.clone(), |first| format!("{first}; {then}"))
}
