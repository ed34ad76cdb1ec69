//! What the stages of a run gave, as values: each stage fills in its own, and [`assemble`](super::assemble) makes the report of
//! all of them. A stage that was never reached has left its default. No verdict stands here: it follows from these.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BackendInfo, Crash, Culprit, Cure, Differences, Environment, Fusion, Group, InputsInfo, Judged, Masked, ModelInfo,
    Note, PrecisionLimited, Ranked, Reduced, ReferenceTrust, Routes, TensorResult, Times, ToleranceInfo,
};
use crate::failure::RunError;

/// All that is known of a run by now.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Before the first run.
    pub opening: Opening,
    /// The final outputs, compared; `None` while the unmarked runs are not over.
    pub outputs: Option<Vec<TensorResult>>,
    /// What else they say: samples, rows, decisions.
    pub judged: Judged,
    /// Can the reference be built on? `None` where that is no question.
    pub reference: Option<OfReference>,
    /// Can the candidate be built on?
    pub candidate: Option<OfCandidate>,
    /// The search for culprits, if there was one.
    pub found: Option<Found>,
    /// What of the compiler is to blame, if that was asked.
    pub compiler: OfCompiler,
    /// Everything that was measured, and what it cost.
    pub measured: Measured,
    /// Whom the candidate's precision hurts.
    pub ranking: Ranking,
    /// What was cut out.
    pub reproducers: Reproducers,
    /// What makes the outputs agree.
    pub cure: Cure,
    /// Why the run ended before its end.
    pub halted: Option<RunError>,
    /// The run goes on.
    pub unfinished: bool,
    /// Since the start of the run.
    pub seconds: f64,
}

/// The culprits beside each other, and the files.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The culprits by finding; nothing before that stage.
    pub groups: Vec<Group>,
    /// What differs between the two files, where the candidate has its own.
    pub differences: Option<Differences>,
}

/// Searches for what of the candidate's compiler is to blame.
#[derive(Clone, Debug, Default)]
pub struct OfCompiler {
    /// For its knobs, if there was one.
    pub routes: Option<Routes>,
    /// For tensors that cure as outputs, if there was one.
    pub fusion: Option<Fusion>,
}

/// What a run is to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Which nodes are to blame?
    #[default]
    Culprits,
    /// How far apart is every tensor?
    Table,
    /// Which knobs of the compiler make the failure?
    Routes,
    /// Which nodes must stay in float32?
    Precision,
    /// Which optimizers of the runtime make the failure?
    Optimizers,
    /// Which tensors, made outputs, cure?
    Fusion,
    /// What is the smallest model that a command fails on?
    Check,
}

impl Wanted {
    /// Is it the question of most runs?
    pub fn is_culprits(&self) -> bool {
        *self == Wanted::Culprits
    }
}

/// The model, the machine, the data and the rules.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The command line, program name included.
    pub command: Vec<String>,
    /// The question.
    pub wanted: Wanted,
    /// The model under debugging; its hash is the experiment's.
    pub model: ModelInfo,
    /// The run that is believed.
    pub reference: BackendInfo,
    /// The run under suspicion.
    pub candidate: BackendInfo,
    /// What both sides are fed with.
    pub inputs: InputsInfo,
    /// How far apart is too far.
    pub tolerance: ToleranceInfo,
    /// The machine.
    pub environment: Environment,
    /// This run does a part of the work.
    pub shard: Option<super::shard::Shard>,
    /// Other sizes of the data, where they were asked about.
    pub sizes: super::sizes::Sizes,
    /// Step by step, of a model that decodes.
    pub steps: super::steps::Steps,
    /// What the first runs told besides values.
    pub first: OfFirst,
    /// How the search goes on, where that is clear before it begins: "scan", "ddmin".
    pub strategy: String,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

/// Of the first runs of both sides.
#[derive(Clone, Debug, Default)]
pub struct OfFirst {
    /// The session that gave the verdict, where it is ONNX Runtime's.
    pub session: Option<super::SessionInfo>,
    /// Which execution provider ran what of the candidate's model, where there are several.
    pub placement: Option<super::Placement>,
    /// The process of a side ended with the whole model.
    pub crash: Option<Crash>,
}

/// Why no verdict can be built on a side.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// It gives other values when it is asked again: which.
    #[error(
        "the reference does not answer the same twice ({0}), so nothing can be compared with it; use --reference ort"
    )]
    ReferenceMoves(String),
    /// It multiplies float32 in TF32: what was seen.
    #[error(
        "the reference multiplies in TF32: {0}; nothing small can be judged by it: set NVIDIA_TF32_OVERRIDE=0, or use --reference ort"
    )]
    ReferenceInTf32(String),
    /// It gives other values when it is asked again: which.
    #[error(
        "the candidate does not answer the same twice ({0}), so no tensor can be accused; look for a race or an uninitialised buffer"
    )]
    CandidateMoves(String),
    /// It agrees once and diverges once, on the same input: in which order, and what moved.
    #[error(
        "the candidate {0}, so there is no verdict; look for a race, an uninitialised buffer, or what its first run leaves behind"
    )]
    CandidateWavers(String),
}

/// Tests of the reference.
#[derive(Clone, Debug, Default)]
pub struct OfReference {
    /// What they gave.
    pub trust: ReferenceTrust,
    /// Nothing can be compared with it: why.
    pub broken: Option<Distrust>,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

/// Tests of the candidate; the words of the report's `trust`.
#[derive(Clone, Debug, Default)]
pub struct OfCandidate {
    /// The same input twice.
    pub repeat: String,
    /// Equal rows of one batch.
    pub rows: String,
    /// Does it multiply float32 with mantissas of 10 bits? `None` where that is no question.
    pub tf32: Option<String>,
    /// Nobody can be accused by it: why.
    pub broken: Option<Distrust>,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

impl OfCandidate {
    /// With what later tests gave.
    pub fn and(self, later: OfCandidate) -> OfCandidate {
        let told = |early: String, late: String| if early.is_empty() || early == "identical" { late } else { early };
        let new = later.notes.into_iter().filter(|note| !self.notes.contains(note)).collect::<Vec<_>>();
        OfCandidate {
            repeat: told(self.repeat, later.repeat),
            rows: later.rows,
            tf32: later.tf32.or(self.tf32),
            broken: self.broken.or(later.broken),
            notes: self.notes.into_iter().chain(new).collect(),
        }
    }
}

/// The search for culprits.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// "scan" or "bisect".
    pub strategy: String,
    /// Of the search, without the proof.
    pub seconds: f64,
    /// In topological order; `None` while the search is not over.
    pub culprits: Option<Vec<Culprit>>,
    /// Nodes whose error is lost before it reaches an output, as far as that was seen; in topological order.
    pub masked: Vec<Masked>,
    /// What the culprits have in common, and what the files have not: nothing before these stages.
    pub story: Story,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

impl Findings {
    /// What is told of the culprits together, if there was a search.
    pub fn story(&self) -> Option<&Story> {
        self.found.as_ref().map(|found| &found.story)
    }

    /// The culprits that are known by now.
    pub fn culprits(&self) -> &[Culprit] {
        self.found.as_ref().and_then(|found| found.culprits.as_deref()).unwrap_or_default()
    }
}

/// Everything that was measured, and what it cost; the counts are those of the report's `search`.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// In topological order.
    pub tensors: Vec<TensorResult>,
    /// Builds and runs.
    pub counts: Counts,
    /// How tensors were made visible, where that is a choice.
    pub observed: Vec<String>,
    /// What both sides take, where that was asked for.
    pub times: Option<Times>,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

/// What measuring cost. A build or a run is one of the whole model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Sessions or engines of the candidate.
    pub candidate_builds: usize,
    /// Runs of the candidate; the samples of one build count as one.
    pub candidate_runs: usize,
    /// Those of an earlier run, whose answers were taken over.
    pub recalled_runs: usize,
    /// Runs of the reference.
    pub reference_runs: usize,
    /// Of the candidate, before the search: does it answer the same twice?
    pub trust_builds: usize,
    /// Of parts of the candidate's model, after the search.
    pub proof_builds: usize,
    /// Marking changed the candidate's own outputs.
    pub perturbed: bool,
}

/// Whom the candidate's precision hurts.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    /// The worst first.
    pub rows: Vec<Ranked>,
    /// No node is to blame: why.
    pub limited: Option<PrecisionLimited>,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

/// What was cut out and written.
#[derive(Clone, Debug, Default)]
pub struct Reproducers {
    /// One for each fault.
    pub made: Vec<Reduced>,
    /// Nodes of the main graph that they were cut out of, where a command decides.
    pub of: usize,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

impl Reproducers {
    /// Why there is none, where that was said.
    pub fn missing(&self) -> Option<&Note> {
        self.notes.iter().find(|note| matches!(note, Note::NoReproducer { .. } | Note::NothingToCut))
    }
}
