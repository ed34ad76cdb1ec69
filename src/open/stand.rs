//! How one run that is over stands to another, judged by the rules that `compare` judges by. Runs nothing.

use super::{allow, data, sides};
use crate::cli::SetArgs;
use crate::found::{Counts, Judged, TensorResult, ToleranceInfo, Verdict, of_outputs};
use crate::judge::allowance::looser;
use crate::judge::{Labels, Rules};
use crate::lab::first::{First, Plan};
use crate::lab::{Finals, Lab, Side, Survey, Values};
use crate::tensor::Tensors;

/// Two sides before their first run, on all that is to be tried.
pub struct Both<'a> {
    /// The run that is believed.
    pub reference: &'a mut Side,
    /// The run under suspicion.
    pub candidate: &'a mut Side,
    /// The user's tolerance.
    pub args: &'a SetArgs,
    /// What classes are called.
    pub labels: &'a Labels,
    /// The data, and what is asked for.
    pub plan: Plan<'a>,
}

impl Both<'_> {
    /// Will the candidate run the reference's model rewritten by element type?
    pub fn rewritten(&self) -> bool {
        self.candidate.rewrites() && self.candidate.spec.model.is_none()
    }

    /// The same two, to be set against each other.
    pub fn pair<'b>(&'b self, survey: &'b Survey) -> Pair<'b> {
        let Both { reference, candidate, args, labels, plan } = self;
        Pair { reference, candidate, survey, args, labels, outputs: plan.outputs, share: None }
    }
}

/// Two sides that have run.
pub struct Pair<'a> {
    /// The one that is believed here.
    pub reference: &'a Side,
    /// The one under suspicion.
    pub candidate: &'a Side,
    /// Of the model under debugging.
    pub survey: &'a Survey,
    /// The user's tolerance.
    pub args: &'a SetArgs,
    /// What classes are called.
    pub labels: &'a Labels,
    /// Names of the tensors that decide.
    pub outputs: &'a [String],
    /// The part of the tolerance that may be used up: see [`crate::found::steps::Steps::share`].
    pub share: Option<f64>,
}

/// How the second stands to the first.
#[derive(Default)]
pub struct Stand {
    /// By the outputs.
    pub verdict: Verdict,
    /// Why there is no answer.
    pub why: Option<String>,
    /// Each output, compared.
    pub outputs: Vec<TensorResult>,
    /// What else they say.
    pub judged: Judged,
    /// How far apart was too far.
    pub tolerance: ToleranceInfo,
}

impl Stand {
    /// There is nothing to compare: why.
    pub fn without(why: String) -> Stand {
        Stand { why: Some(why), ..Stand::default() }
    }
}

impl Pair<'_> {
    /// With these outputs, by sample of `feeds`.
    pub fn stand(&self, feeds: &[Tensors], right: Vec<Tensors>, got: Vec<Tensors>) -> anyhow::Result<Stand> {
        let mut reference = self.reference.recorded(right.clone())?;
        let mut candidate = self.candidate.recorded(got.clone())?;
        sides::show(&mut reference, &mut candidate)?;
        let first = First { reference: Some(right), ..First::of(got) };
        let known = allow::Known {
            reference: &reference,
            candidate: &candidate,
            survey: self.survey,
            first: &first,
            feeds,
            outputs: self.outputs,
        };
        let rules = match self.candidate.deploys {
            Some(_) => known.optimised(self.rules()),
            None => known.rules(self.rules()),
        };
        let tolerance = rules.told(self.outputs);
        let survey = Survey::new(self.survey.types.clone(), Default::default());
        let data = (feeds.to_vec(), self.outputs.to_vec());
        let lab = Lab::new((reference, candidate), data, rules, survey, self.args.memory());
        let finals = Finals::of(&lab, first.unmarked, None, &Values::of(&lab, false), &mut Counts::default())?;
        let (verdict, why) = of_outputs(&finals.results);
        Ok(Stand { verdict, why, outputs: finals.results, judged: finals.judged, tolerance })
    }

    /// The looser of both precisions: what stands in the reference's place may be coarse itself.
    fn rules(&self) -> Rules {
        let rules = data::rules(self.args, self.candidate);
        let precision = looser(rules.precision, self.reference.spec.precision);
        Rules { labels: self.labels.clone(), precision, share: self.share, ..rules }
    }
}
