//! `layerdiff reduce --check`: the full model fails and goes on failing, an empty one does not; then fewer and fewer nodes,
//! and in the end the written files. Knows no tolerance: the command decides.

mod faults;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cli::{CheckArgs, GlobalArgs, ReduceArgs};
use crate::find::verdict::{self, Shown};
use crate::found::{BackendInfo, Report, Verdict};
use crate::lab::journal::Journal;
use crate::load::guest::Guest;
use crate::load::own::Desk;
use crate::load::testset::tensor_to_proto;
use crate::load::{Model, npz};
use crate::onnx::{GraphProto, ModelProto, ValueInfoProto};
use crate::open::asked::{self, Asked, Found};
use crate::open::{opening, prepare, sides, untouched};
use crate::progress::Progress;
use crate::reduce::drive::attempts::Attempts;
use crate::reduce::drive::deliver;
use crate::reduce::{self, Case};
use crate::run::RunError;
use crate::run::check::{self, Check, Rules};
use crate::run::ort::{Runtime, library};
use crate::tensor::{DType, Tensor, Tensors};

/// Smaller models may take this many times as long as the full one, and this long at least, unless the user says.
const SLOWER: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, and what it is asked about.
struct Question<'a> {
    args: &'a ReduceArgs,
    check: Check,
    model: Model,
    samples: Vec<Tensors>,
    dir: PathBuf,
}

pub fn run(command: &str, args: &ReduceArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Report> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    let model = Model::open(&args.set.model, global.links())?;
    let check = Check::new(command, rules(&args.check), args.check.check_timeout)?;
    sides::check_devices(&[&args.set.reference], global, &args.set.engine)?;
    let mut reference = sides::side(&args.set.reference, &model, global, &args.set)?;
    let (samples, inputs) = prepare::feeds(&args.set, &reference)?;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let mut report = opening::report(&model, &reference, &ort, inputs.clone());
    let asked = Asked { args: &args.set, global, model: &model, feeds: &samples, inputs: &inputs, outputs: &[] };
    let reading = asked.read(&reference, Found::check(command), None);
    report.model.sha256 = model.sha256();
    if !check.wants_inputs() {
        report.warnings.retain(|w| w != opening::SYNTHETIC);
    }
    report.candidate = BackendInfo {
        spec: format!("check:{command}"),
        backend: "check".to_string(),
        check: Some(command.to_string()),
        ..Default::default()
    };
    report.tolerance.why =
        ["the command decides".to_string()].into_iter().chain(args.check.flags()).collect::<Vec<_>>().join(" ");
    report.search.strategy = "ddmin".to_string();
    let mut question = Question { args, check, model, samples, dir: prepare::dir(&args.set) };

    untouched::folders(&args.set, &[&reference], &question.dir)?;
    deliver::check(&question.dir)?;
    opening::so_far(&question.dir, &report);
    let path = prepare::journal(&question.dir)?;
    let mut experiment = reading.done(&report.model);
    experiment.flags.extend(asked::of_check(&args.check));
    experiment.flags.extend(asked::of_reproducer(&args.reproducer));
    let open = |resume| Journal::open(&path, &experiment, resume);
    let (journal, known) = if args.search.resume { open(true)? } else { Default::default() };
    let mut attempts = Attempts::new(journal, known.attempts, &progress);
    let sample = question.full_model_fails(&mut attempts)?;
    question.empty_model_does_not(sample, &mut attempts)?;
    if !args.search.resume {
        attempts.journal = open(false)?.0;
    }
    deliver::clear(&question.dir);
    let found = faults::reproducers(&question, &mut reference, sample, &ort, &mut report, &mut attempts);
    report.seconds = started.elapsed().as_secs_f64();
    if let Err(e) = &found {
        report.verdict = Verdict::Inconclusive;
        report.why = Some(e.to_string());
    }
    drop(progress);
    let written = verdict::write(&report, &args.set, &question.dir, None, Shown::Answer, out);
    verdict::first(found.map_err(Into::into), written)?;
    Ok(report)
}

fn rules(args: &CheckArgs) -> Rules {
    Rules {
        fail_codes: args.fail_code.clone(),
        pass_codes: args.pass_code.clone(),
        fail_regexes: args.fail_regex.clone(),
    }
}

impl Question<'_> {
    /// The sample on which the full model fails every time. From here on, a check has a time limit.
    fn full_model_fails(&mut self, attempts: &mut Attempts) -> anyhow::Result<usize> {
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
                bail!(RunError::Unclear(format!(
                    "the check says nothing about the full model: {why}; it must exit with 0 when the model passes and with 1 when it fails (see --fail-code, --fail-regex, --check-timeout)"
                )));
            }
            if fails == said.len() {
                if self.args.check.check_timeout.is_none() {
                    self.check.limit((slowest * SLOWER).max(PATIENCE));
                }
                return Ok(sample);
            }
            if fails > 0 {
                bail!(RunError::Unclear(format!(
                    "the check flaps: {fails} of {} runs on the full model fail, the others pass; make it say the same every time (seeds, one thread, no shared files)",
                    said.len()
                )));
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
    fn empty_model_does_not(&self, sample: usize, attempts: &mut Attempts) -> anyhow::Result<()> {
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
