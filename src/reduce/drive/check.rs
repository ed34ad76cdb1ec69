//! A command that decides what fails: the full model fails and goes on failing, an empty one does not; then fewer and fewer
//! nodes, and in the end the written files. Knows no tolerance.

mod faults;

pub use faults::reproducers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cli::{CheckArgs, ReduceArgs};
use crate::load::guest::Guest;
use crate::load::own::Desk;
use crate::load::testset::tensor_to_proto;
use crate::load::{Model, npz};
use crate::onnx::{GraphProto, ModelProto, ValueInfoProto};
use crate::reduce::drive::attempts::Attempts;
use crate::reduce::{self, Case};
use crate::run::RunError;
use crate::run::check::{self, Check, Rules};
use crate::tensor::{DType, Tensor, Tensors};

/// Smaller models may take this many times as long as the full one, and this long at least, unless the user says.
const SLOWER: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, and what it is asked about.
pub struct Question<'a> {
    args: &'a ReduceArgs,
    check: Check,
    model: Model,
    samples: Vec<Tensors>,
    /// Of the report, and of what is cut out.
    dir: PathBuf,
}

impl<'a> Question<'a> {
    /// About `model`, on `samples`.
    pub fn new(args: &'a ReduceArgs, check: Check, model: Model, samples: Vec<Tensors>, dir: PathBuf) -> Question<'a> {
        Question { args, check, model, samples, dir }
    }

    /// The command of the arguments, which say what counts as a failure.
    pub fn check(command: &str, args: &CheckArgs) -> anyhow::Result<Check> {
        let rules = Rules {
            fail_codes: args.fail_code.clone(),
            pass_codes: args.pass_code.clone(),
            fail_regexes: args.fail_regex.clone(),
        };
        Check::new(command, rules, args.check_timeout)
    }

    /// The sample on which the full model fails every time. From here on, a check has a time limit.
    pub fn full_model_fails(&mut self, attempts: &mut Attempts) -> anyhow::Result<usize> {
        let times = self.args.reproducer.stability;
        let candidates = if self.check.wants_inputs() { self.samples.len() } else { 1 };
        let mut slowest = Duration::ZERO;
        let mut guest = Guest::new(&self.model);
        for sample in 0..candidates {
            let said = self.ask_full_model(&mut guest, sample, times, attempts, &mut slowest)?;
            let fails = said.iter().filter(|s| matches!(s, check::Verdict::Fails)).count();
            if let Some(why) = said.iter().find_map(|s| match s {
                check::Verdict::Inconclusive(why) => Some(why),
                _ => None,
            }) {
                bail!(RunError::CheckUndecided { why: why.clone() });
            }
            if fails == said.len() {
                if self.args.check.check_timeout.is_none() {
                    self.check.limit((slowest * SLOWER).max(PATIENCE));
                }
                return Ok(sample);
            }
            if fails > 0 {
                bail!(RunError::CheckFlaps { fails, runs: said.len() });
            }
        }
        bail!(
            "the full model does not fail: the check passes on {}, so there is nothing to reduce; try it by hand: {}",
            self.args.set.model.display(),
            self.check.line(&self.args.set.model, Path::new("inputs.npz"))?
        )
    }

    fn ask_full_model(
        &self,
        guest: &mut Guest,
        sample: usize,
        times: u64,
        attempts: &mut Attempts,
        slowest: &mut Duration,
    ) -> anyhow::Result<Vec<check::Verdict>> {
        let desk = Desk::new()?;
        let inputs = desk.path().join("inputs.npz");
        let mut said = Vec::new();
        for time in 1..=times {
            let model = guest.path()?;
            if self.check.wants_inputs() {
                npz::write(&inputs, &self.samples[sample])?;
            }
            attempts.step(&format!("the full model, {time} of {times}"));
            attempts.count += 1;
            let started = Instant::now();
            said.push(self.check.run(&model, Some(&inputs))?);
            *slowest = started.elapsed().max(*slowest);
        }
        Ok(said)
    }

    /// A check that fails on nothing says nothing.
    pub fn empty_model_does_not(&self, sample: usize, attempts: &mut Attempts) -> anyhow::Result<()> {
        attempts.step("an empty model");
        attempts.count += 1;
        let case = empty(&self.model.proto, &self.samples[sample]);
        if let check::Verdict::Fails = self.check.run_case(&self.model.lean(&case.model), &case.feeds)? {
            bail!(
                "the check fails on an empty model too, so it says nothing about this one; try it by hand: {}",
                self.check.line(&self.args.set.model, Path::new("inputs.npz"))?
            );
        }
        Ok(())
    }
}

/// A model without nodes: it takes the same inputs, and hands out one number.
fn empty(model: &ModelProto, feeds: &Tensors) -> Case {
    let nothing = "layerdiff_nothing";
    let graph = GraphProto {
        name: Some("empty".to_string()),
        input: model.graph.iter().flat_map(|g| &g.input).filter(|v| feeds.contains_key(v.name())).cloned().collect(),
        initializer: vec![tensor_to_proto(nothing, &Tensor::f32(&[1], &[0.0]))],
        output: vec![ValueInfoProto::tensor(nothing, DType::Float32, &[1])],
        ..Default::default()
    };
    let ir_version = Some(model.ir_version().max(reduce::OWN_INITIALIZERS));
    let model = ModelProto { ir_version, graph: Some(graph), functions: Vec::new(), ..model.clone_without_graph() };
    Case { model, feeds: feeds.clone(), expected: None }
}
