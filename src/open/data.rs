//! What both sides are fed with, which of their outputs are judged, and by which rules.

use anyhow::{Context, ensure};

use indexmap::IndexMap;

use super::{sides, specs};
use crate::cli::SetArgs;
use crate::compare;
use crate::found::{InputTensor, InputsInfo, Note};
use crate::judge::{Labels, OutputMetrics, Rules};
use crate::lab::Side;
use crate::load;
use crate::load::decode::{self, Decode};
use crate::load::samples::{self, InputSpec};
use crate::load::{images, labels, members, raw, synthetic};
use crate::run::metric::MetricCommand;
use crate::spec::Precision;
use crate::tensor::{Tensor, Tensors};

/// The samples that the arguments ask for, and how the report describes them.
pub fn feeds(args: &SetArgs, reference: &Side) -> anyhow::Result<(Vec<Tensors>, InputsInfo)> {
    let specs = specs::input_specs(reference)?;
    load::sizes::check(&specs, &args.sweep)?;
    let decode = specs::decode(args, reference)?;
    let names: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
    let synthetic = args.inputs.is_empty();
    let mut files = Vec::new();
    let (feeds, source) = if synthetic {
        (made_up(args, reference, &specs, decode.as_ref())?, format!("synthetic (seed {})", args.seed))
    } else {
        ensure!(
            args.shape.is_empty() && args.range.is_empty() && args.samples.is_none(),
            "--shape, --range and --samples are for synthetic data; leave them out, or leave --inputs out"
        );
        let mut all = Vec::new();
        let paths = members::expanded(&args.inputs)?;
        for path in &paths {
            let mut read = match images::is_picture(path) {
                true => vec![images::read(path, args.preprocess.as_ref(), &specs)?],
                false => match raw::named(path).or_else(|| raw::in_folder(path)) {
                    Some(files) => vec![raw::read_inputs(&files, &specs)?],
                    None => samples::read(path, &names, args.memory())?,
                },
            };
            complete(&mut read, &specs, decode.as_ref());
            samples::check(&mut read, &specs).with_context(|| path.display().to_string())?;
            files.extend(read.iter().map(|_| path.display().to_string()));
            all.extend(read);
        }
        if paths == args.inputs {
            files.clear();
        }
        let paths: Vec<String> = args.inputs.iter().map(|p| p.display().to_string()).collect();
        (all, paths.join(", "))
    };
    let first = feeds.first().context("the inputs hold no sample; give at least one")?;
    if let Some((_, ids)) = decode.as_ref().and_then(|decode| decode.token.as_ref()) {
        ensure!(feeds.len() == 1, "--steps decodes one prompt, and there are {}; give one", feeds.len());
        let tokens = first.get(ids).map_or(0, Tensor::elements);
        ensure!(tokens > 0, "--steps: the prompt '{ids}' is empty; give one token at least");
    }
    let info = InputsInfo { source, synthetic, samples: feeds.len(), tensors: described(first), files };
    Ok((feeds, info))
}

/// Synthetic data. What the first step of a decoder begins with is no noise: a state, even one of a shape that the user says, is
/// zeros.
fn made_up(
    args: &SetArgs,
    reference: &Side,
    specs: &[InputSpec],
    decode: Option<&Decode>,
) -> anyhow::Result<Vec<Tensors>> {
    let request = synthetic::Request {
        shapes: args.shape.clone(),
        ranges: args.range.clone(),
        dims: load::sizes::begin(specs, &args.sweep, args.batch_check),
        seed: args.seed,
        samples: args.samples.unwrap_or(1) as usize,
    };
    let of = |asked: &dyn Fn(&InputSpec) -> bool| {
        let asked: Vec<InputSpec> = specs.iter().filter(|spec| asked(spec)).cloned().collect();
        sides::named(&reference.model, synthetic::feeds(&asked, &request))
    };
    let shaped = |spec: &InputSpec| args.shape.iter().any(|(name, _)| *name == spec.name);
    let own = |spec: &InputSpec| decode.is_none_or(|decode| !decode.follows(&spec.name)) || shaped(spec);
    let mut feeds = of(&own)?;
    for feed in feeds.iter_mut() {
        let state = |name: &String| decode.is_some_and(|decode| decode.feedback.iter().any(|(_, to)| to == name));
        for (_, tensor) in feed.iter_mut().filter(|(name, _)| state(name)) {
            if let Ok(zeros) = Tensor::new(tensor.dtype, tensor.shape.clone(), vec![0u8; tensor.bytes().len()]) {
                *tensor = zeros;
            }
        }
    }
    complete(&mut feeds, specs, decode);
    // Of what is left nobody knows the size: that is told as of any other input.
    if feeds.iter().any(|feed| specs.iter().any(|spec| !feed.contains_key(&spec.name))) {
        return of(&|_| true);
    }
    Ok(feeds)
}

/// The first step of a decoder needs no cache, state, mask or positions from the user.
fn complete(feeds: &mut [Tensors], specs: &[InputSpec], decode: Option<&Decode>) {
    for feed in feeds {
        decode.iter().for_each(|decode| decode::complete(feed, specs, decode));
    }
}

/// What a sample is made of.
pub fn described(sample: &Tensors) -> Vec<InputTensor> {
    let one = |(name, t): (&String, &Tensor)| InputTensor {
        name: name.clone(),
        dtype: t.dtype.to_string(),
        shape: t.shape.clone(),
    };
    sample.iter().map(one).collect()
}

/// Inputs that hold NaN or infinities.
pub fn not_finite(feeds: &[Tensors]) -> Vec<Note> {
    let mut counts: IndexMap<&str, usize> = IndexMap::new();
    for (name, tensor) in feeds.iter().flatten().filter(|(_, t)| t.dtype.is_float()) {
        *counts.entry(name).or_default() += compare::to_f64(tensor).iter().filter(|x| !x.is_finite()).count();
    }
    let odd = counts.into_iter().filter(|(_, count)| *count > 0);
    odd.map(|(input, count)| Note::NotFinite { input: input.to_string(), count }).collect()
}

/// Names of the tensors that decide the verdict: those that the user names, else the outputs of the reference's model.
pub fn outputs(args: &SetArgs, reference: &Side, candidate: &Side) -> anyhow::Result<Vec<String>> {
    let own: Vec<String> = reference.graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    if args.outputs.is_empty() {
        let theirs = |name: &String| candidate.graph.outputs.iter().any(|(o, _)| o == name);
        ensure!(
            own.iter().any(theirs),
            "{} and {} have no output of the same name; name tensors that both have with --outputs",
            reference.model.path.display(),
            candidate.model.path.display()
        );
        return Ok(own);
    }
    Ok(args.outputs.clone())
}

/// What classes are called; empty where nobody says so.
pub fn labels(args: &SetArgs) -> anyhow::Result<Labels> {
    Ok(args.labels.as_deref().map(labels::read).transpose()?.unwrap_or_default())
}

/// What judges all outputs together in place of the rules.
pub fn command(args: &SetArgs) -> anyhow::Result<Option<MetricCommand>> {
    args.metric_command.as_deref().map(MetricCommand::new).transpose()
}

/// How far apart is too far: the user's numbers, else those of the precision that the candidate computes in. What single
/// tensors may be off by besides is known after the first runs.
pub fn rules(args: &SetArgs, candidate: &Side) -> Rules {
    let (asked, stated) = (candidate.spec.precision, args.candidate_precision);
    let because = stated.map(|_| "given".to_string());
    let watch = stated.is_none() && asked == Precision::Fp32 && !candidate.on_cpu();
    let precision = stated.unwrap_or(asked);
    let mut rules = Rules { precision, because, watch, metrics: OutputMetrics::new(&args.metric), ..Rules::default() };
    for (given, all, named) in
        [(&args.atol, &mut rules.atol, &mut rules.atol_of), (&args.rtol, &mut rules.rtol, &mut rules.rtol_of)]
    {
        for (name, x) in given {
            match name {
                Some(name) => drop(named.insert(name.clone(), *x)),
                None => *all = Some(*x),
            }
        }
    }
    rules
}
