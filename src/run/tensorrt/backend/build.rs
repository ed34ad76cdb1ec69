//! From a model to a plan: parse, mark, set precisions, choose shapes, build. Needs no GPU where TensorRT needs none.

use std::time::Instant;

use super::observe;
use super::precision;
use super::prepare::{Prepared, prepare};
use super::profiles::{Input, Ranges, Refusal};
use super::timings::Timings;
use crate::interrupt;
use crate::run::tensorrt::{Builder, Config, Flag, Library, Network, Options, Plan, Pool, Step, refusal};
use crate::run::worker::steps;
use crate::run::{Job, RunError};
use crate::tensor::DType;

/// What is to be built.
#[derive(Clone, Copy)]
pub struct Build<'a> {
    /// Who builds.
    pub library: &'a Library,
    /// Precisions, profiles, limits.
    pub options: &'a Options,
    /// Its model, for the shapes of its feeds.
    pub job: &'a Job,
}

/// What was built.
pub struct Made {
    /// The engine, serialised.
    pub plan: Plan,
    /// The shapes that it takes.
    pub ranges: Ranges,
    /// Wall time of the build.
    pub seconds: f64,
}

impl Build<'_> {
    /// One engine; a time-consuming step that asks whether to go on.
    pub fn build(&self, timings: &mut Timings) -> Result<Made, RunError> {
        let start = Instant::now();
        let builder = Builder::new(self.library)?;
        let mut network = builder.network(precision::typing(self.library, self.options))?;
        self.parse(&mut network)?;
        observe::mark(&network, &self.job.outputs, self.job.how.observe)?;
        let mut config = self.config(&builder)?;
        precision::ask(self.library, self.options, &self.job.how.float32, &network, &mut config)?;
        let ranges = self.add_profile(&builder, &network, &mut config)?;
        timings.lend(&mut config);
        let plan = build(&builder, &network, &config)?;
        timings.take_back(&config);
        Ok(Made { plan, ranges, seconds: start.elapsed().as_secs_f64() })
    }

    /// The model's bytes are in memory; TensorRT looks for its weights beside the path that it is told.
    fn parse(&self, network: &mut Network) -> Result<(), RunError> {
        let Prepared { bytes, marks } = prepare(&self.job.model, &self.job.feeds, &self.options.profiles);
        let path = self.job.model.folder.join("model.onnx");
        network.parse(&bytes, Some(&path)).map_err(|errors| refusal(self.library, &errors))?;
        for tensor in network.tensors() {
            if !tensor.is_output() && marks.contains(&tensor.name()) {
                network.mark_output(&tensor);
            }
        }
        Ok(())
    }

    fn config(&self, builder: &Builder) -> Result<Config, RunError> {
        let (options, library) = (self.options, self.library);
        let mut config = builder.config()?;
        config.detailed();
        // A build that nobody hears of is a build all the same.
        let _ = config.progress(go_on);
        config.set(Flag::Tf32, options.tf32)?;
        config.set(Flag::StrictNans, library.has_flag(Flag::StrictNans))?;
        if let Some(bytes) = options.workspace {
            config.pool(Pool::Workspace, usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(level) = options.level {
            config.optimisation_level(level);
        }
        if let Some(route) = &self.job.how.route {
            config.build_route(route)?;
        }
        Ok(config)
    }

    fn add_profile(&self, builder: &Builder, network: &Network, config: &mut Config) -> Result<Ranges, RunError> {
        let inputs: Vec<Input> = network
            .inputs()
            .iter()
            .map(|input| Input {
                name: input.name(),
                shape: input.shape().unwrap_or_default(),
                values: input.is_shape_tensor(),
            })
            .collect();
        let backend = self.library.name();
        let ranges =
            Ranges::new(&inputs, &self.job.feeds, &self.options.profiles).map_err(|refusal| match refusal {
                Refusal::Profile(reason) => RunError::Build { backend, reason },
                Refusal::Data(reason) => RunError::Run { backend, reason },
            })?;
        if ranges == Ranges::default() {
            return Ok(ranges);
        }
        let mut profile = builder.profile()?;
        for range in &ranges.shapes {
            profile.shape(&range.input, &range.min, &range.opt, &range.max)?;
        }
        for range in &ranges.values {
            profile.values(&range.input, &range.min, &range.opt, &range.max)?;
        }
        config.add_profile(profile)?;
        Ok(ranges)
    }
}

/// Tells how far the build is; does it go on?
fn go_on(step: &Step) -> bool {
    let Step { phase, step, of, .. } = *step;
    steps::tell(Some(&steps::Step { phase: phase.to_string(), step, of }));
    !interrupt::requested()
}

/// Some versions refuse outputs that are truth values or shapes: where the build fails and there are such, it is tried without them.
fn build(builder: &Builder, network: &Network, config: &Config) -> Result<Plan, RunError> {
    let first = builder.build(network, config);
    let outputs = network.outputs();
    let (odd, usual): (Vec<_>, Vec<_>) =
        outputs.iter().partition(|output| output.dtype() == Some(DType::Bool) || output.is_shape_tensor());
    let Err(error @ RunError::Build { .. }) = first else { return first };
    if odd.is_empty() || usual.is_empty() {
        return Err(error);
    }
    for output in odd {
        network.unmark_output(output);
    }
    // If that was not the reason, the first error is the one to tell.
    builder.build(network, config).map_err(|_| error)
}
