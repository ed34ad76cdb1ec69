//! What the inputs of a side's model must be, and how a model that decodes goes on from step to step.

use anyhow::{Context, bail, ensure};

use crate::cli::SetArgs;
use crate::lab::Side;
use crate::load::decode::{Decode, wiring};
use crate::load::samples::InputSpec;
use crate::names::did_you_mean;
use crate::onnx::ValueInfoProto;

/// What the model's inputs must be.
pub fn input_specs(side: &Side) -> anyhow::Result<Vec<InputSpec>> {
    let declared = side.model.proto.graph.iter().flat_map(|g| &g.input);
    let fed = declared.filter(|v| side.graph.inputs.iter().any(|n| n == v.name()));
    let spec = |v: &ValueInfoProto| {
        let (model, name) = (side.model.path.display(), v.name());
        InputSpec::of(v).with_context(|| {
            format!("{model}: input '{name}' is not a tensor of a known type; layerdiff cannot feed it")
        })
    };
    fed.map(spec).collect()
}

/// How the side's model goes on from step to step, where that is asked for.
pub fn decode(args: &SetArgs, side: &Side) -> anyhow::Result<Option<Decode>> {
    let Some(steps) = args.steps else { return Ok(None) };
    let specs = input_specs(side)?;
    let outputs: Vec<String> = side.graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    let path = side.model.path.display();
    for (flag, (output, input)) in
        args.feedback.iter().map(|pair| ("--feedback", pair)).chain(args.token.iter().map(|p| ("--token", p)))
    {
        if !outputs.contains(output) {
            let near = did_you_mean(output, outputs.iter().map(String::as_str));
            bail!("{flag} {output}={input}: {path} has no output '{output}'{near}; there are {}", outputs.join(", "));
        }
        if !specs.iter().any(|spec| spec.name == *input) {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let near = did_you_mean(input, names.iter().copied());
            bail!("{flag} {output}={input}: {path} has no input '{input}'{near}; there are {}", names.join(", "));
        }
    }
    let (feedback, token) = (args.feedback.clone(), args.token.clone());
    let given = Decode { steps: steps as usize, feedback, token, rules: Vec::new() };
    let decode = wiring(&specs, &outputs, given);
    ensure!(
        !decode.feedback.is_empty() || decode.token.is_some(),
        "--steps: no output of {path} is known by its name to become an input; say so with --feedback OUT=IN or --token LOGITS=IDS"
    );
    Ok(Some(decode))
}
