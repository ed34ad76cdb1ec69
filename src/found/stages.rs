//! `layerdiff.stages/1`: what became of a model on its way from the framework to the device, stage by stage. Values only; what
//! follows from them (which stage broke, which verdict the whole has) is said here once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shard::Shard;
use super::sizes::{Batch, Size, SizeVerdict, told};
use super::steps::{Decoding, StepVerdict};
use super::{
    BackendInfo, Decisions, Environment, InputsInfo, Latency, ModelInfo, Placement, Real, SampleVerdict, TensorResult,
    ToleranceInfo, Verdict,
};

/// The schema's name and version; an incompatible change gets a new number.
pub const STAGES: &str = "layerdiff.stages/1";

/// `layerdiff.stages/1`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stages {
    /// [`STAGES`].
    pub schema: String,
    /// layerdiff's version.
    pub layerdiff: String,
    /// The command line, program name included.
    pub command: Vec<String>,
    /// Of all stages together: the exit status follows it.
    pub verdict: Verdict,
    /// The model that all of them come from.
    pub model: ModelInfo,
    /// The run that is believed.
    pub reference: BackendInfo,
    /// What every stage was fed with.
    pub inputs: InputsInfo,
    /// In the order of the command line.
    pub stages: Vec<Stage>,
    /// The first stage that diverges from the reference.
    pub first_broken: Option<String>,
    /// What is known of its break, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command that finds the node; empty where no stage broke.
    pub next: Vec<String>,
    /// What it found, where it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bisect: Option<Bisected>,
    /// Beside the true classes, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
    /// It is one of several that share the samples, to be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The machine, and the libraries on it.
    pub environment: Environment,
    /// Of the whole run, wall time.
    pub seconds: f64,
    /// What the user should know before trusting the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// What the user calls it, else its SPEC.
    pub name: String,
    /// What runs it, as the user writes it.
    pub spec: String,
    /// Against the reference.
    pub verdict: Verdict,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What ran it.
    pub backend: BackendInfo,
    /// How far apart from the reference is too far.
    pub tolerance: ToleranceInfo,
    /// The model's outputs, against the reference.
    pub outputs: Vec<TensorResult>,
    /// The verdict of each sample, where there are several, or a batch of several rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SampleVerdict>,
    /// Of outputs that decide something: how many decisions are others than the reference's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decisions>,
    /// Against the stage before; null for the first one, and where one of both did not run.
    pub against_previous: Option<Against>,
    /// How long a run takes, where the backend has a time of its own: one of each sample, or with `--latency` repeated ones of the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Which execution provider ran what, where the stage has one besides the CPU's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The verdict of every size that was swept, the smallest sample first; `outputs` are those of one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<SizeVerdict>,
    /// The smallest size of a sweep that diverges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_size: Option<Size>,
    /// The rows of a batch, alone and together, where they were asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Of a model that decodes: every step; `outputs` are those of one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepVerdict>,
    /// The first step, from 0, that diverges, or from which on the stage drifts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_step: Option<usize>,
    /// How the steps follow from each other, and which of them `outputs` are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding: Option<Decoding>,
}

/// A stage against the one before.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Against {
    /// Name of the stage before.
    pub stage: String,
    /// Do the two agree?
    pub verdict: Verdict,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The model's outputs.
    pub outputs: Vec<TensorResult>,
    /// How many decisions are others than those of the stage before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decisions>,
}

/// What the command of `next` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Bisected {
    /// Its report.json.
    pub report: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its culprits, in topological order.
    pub culprits: Vec<String>,
    /// The first one is the end of so many nodes, of which nobody knows which is to blame; 0 where it is one node.
    #[serde(default)]
    pub region: usize,
    /// The first one's cause, as far as one was shown or is likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Every stage beside the true classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// The output that the classes were read from.
    pub output: String,
    /// The reference, then every stage that ran.
    pub accuracy: Vec<Accuracy>,
    /// One for each row of each sample.
    pub rows: Vec<TrueRow>,
    /// Those of `rows`, from 0, where stages part: not all have the same best class.
    pub parting: Vec<usize>,
}

/// How often a stage is right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// Name of the stage; "reference" for the run that is believed.
    pub stage: String,
    /// Rows whose best class is the true one.
    pub top1: usize,
    /// Rows with the true one among the five best.
    pub top5: usize,
    /// Rows in all.
    pub rows: usize,
}

/// One row of one sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrueRow {
    /// From 0.
    pub sample: usize,
    /// From 0; always 0 where a sample is one row.
    pub row: usize,
    /// The true class, by its name where it has one.
    pub truth: String,
    /// What each stage says, in the order of `accuracy`.
    pub said: Vec<Prediction>,
}

/// What a stage says of a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// Its best class, by its name where it has one.
    pub label: String,
    /// Of the best class: the output itself where its rows add up to one, else the softmax of the row.
    pub probability: Real,
    /// The five best classes, the best first.
    pub best: Vec<usize>,
    /// The best one is the true one.
    pub right: bool,
    /// Seconds that the whole sample took, where the backend has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Real>,
}

impl Stage {
    /// Were steps, sizes or rows tried?
    pub fn is_tried(&self) -> bool {
        self.decoding.is_some() || !self.sweep.is_empty() || self.batch.is_some()
    }

    /// The first step, size or row that diverges: `step 4`, `batch=2, seq=3`, `row 2`.
    pub fn first_bad(&self) -> Option<String> {
        let step = self.first_bad_step.map(|step| format!("step {step}"));
        let size = || self.first_bad_size.as_ref().map(told);
        let row = || self.batch.as_ref()?.first_bad_row.map(|row| format!("row {row}"));
        step.or_else(size).or_else(row)
    }

    /// The same at the end of a sentence: `, at step 4`, `, drifting from step 4 on`; nothing where none diverges.
    pub fn place(&self) -> String {
        let drifts = self.decoding.as_ref().is_some_and(|decoding| decoding.drifts_from.is_some());
        match self.first_bad() {
            Some(bad) if drifts => format!(", drifting from {bad} on"),
            Some(bad) => format!(", at {bad}"),
            None => String::new(),
        }
    }
}

/// Of all stages together: one that diverges decides; one without an answer is not an agreement.
pub fn together(stages: &[Stage]) -> Verdict {
    let any = |verdict: Verdict| stages.iter().any(|stage| stage.verdict == verdict);
    match (any(Verdict::Diverged), any(Verdict::Inconclusive) || stages.is_empty()) {
        (true, _) => Verdict::Diverged,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Agreed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stage_that_diverges_decides() {
        use Verdict::*;
        let check = |verdicts: &[Verdict], want: Verdict| {
            let stages: Vec<Stage> =
                verdicts.iter().map(|verdict| Stage { verdict: *verdict, ..Stage::default() }).collect();
            assert_eq!(together(&stages), want, "{verdicts:?}");
        };
        check(&[Agreed, Agreed], Agreed);
        check(&[Agreed, Inconclusive], Inconclusive);
        check(&[Inconclusive, Diverged, Agreed], Diverged);
        check(&[], Inconclusive);
    }

    #[test]
    fn the_median_of_an_even_number_of_runs() {
        let of = |seconds: &[f64]| Latency::of(seconds).map(|l| (l.median.0, l.least.0, l.most.0, l.runs));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0, 4)));
        assert_eq!(of(&[2.0, 1.0, 9.0]), Some((2.0, 1.0, 9.0, 3)));
        assert_eq!(of(&[]), None);
    }
}
