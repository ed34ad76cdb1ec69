//! `layerdiff inspect`: what a model, an engine or data is made of, and whether two of them fit together. Runs none of them, but
//! a model whose shapes `--nodes` cannot have otherwise, once, and one whose `--placement` is asked for.

use std::ffi::OsString;
use std::io::Write;

use anyhow::{Context, bail, ensure};
use clap::Parser;

use crate::cli::{Cli, Command, GlobalArgs, InspectArgs};
use crate::found;
use crate::found::{Exit, Placement};
use crate::inspect::facts::{Differences, Facts, Inspection, Relation, SCHEMA, Severity};
use crate::inspect::file::File;
use crate::inspect::{against, cost, coverage, data, engine, heads, lint, model, page, parser, tensors, types};
use crate::load::labels;
use crate::open::placed;
use crate::spec::Spec;
use crate::terminal::{colour, width};

/// `layerdiff inspect`: says on `out` what the file is made of; the exit status says whether the two of `--against`
/// fit.
pub fn run(args: &InspectArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let file = File::open(&args.file, global.links())?;
    let other = args.against.as_deref().map(|path| File::open(path, global.links())).transpose()?;
    let mixed = other.as_ref().is_some_and(|other| other.samples().is_some() != file.samples().is_some());
    ensure!(!mixed, "--against: one is data and the other is not; name two models or engines, or two files of arrays");
    ensure!(
        args.placement.is_some() || args.session.words().is_empty(),
        "--optimization, --session-option, --provider-option and --candidate-ort-library are of a session: add --placement SPEC"
    );
    let subject = facts(&file, args, global)?;
    let against = other.as_ref().map(|other| facts(other, args, global)).transpose()?;
    let differences = match (&against, &other) {
        (_, Some(File::Data { samples, .. })) => file.samples().map(|own| against::of_data(own, samples, &args.tensor)),
        (Some(facts), Some(other)) => Some(against::differences(&subject, facts, (&file, other))),
        _ => None,
    };
    let fits = differences.as_ref().is_none_or(fit);
    let exit = if fits && loads(&subject) { Exit::Agreed } else { Exit::Diverged };
    let found = Inspection { schema: SCHEMA, layerdiff: env!("CARGO_PKG_VERSION"), subject, against, differences };
    let shown = match args.json {
        true => found::json::pretty(&found)?,
        false => page::render(&found, args.nodes, colour(), width()),
    };
    out.write_all(shown.as_bytes())?;
    Ok(exit)
}

fn facts(file: &File, args: &InspectArgs, global: &GlobalArgs) -> anyhow::Result<Facts> {
    Ok(match file {
        File::Model(source) => {
            let feeds = if args.nodes { cost::feeds(source, &args.shape)? } else { Vec::new() };
            let typing = types::typing(source, global.ort_library.as_deref(), &feeds);
            let mut facts = model::facts(source, &typing, args.nodes);
            facts.cost = facts.node_list.as_mut().map(|nodes| cost::costs(source, nodes, args.filter.as_ref(), &feeds));
            facts.heads = heads::heads(source, &typing, labels(args)?);
            facts.coverage = args.coverage.then(|| coverage::coverage(source, &typing));
            if args.lint {
                facts.tensorrt.parser = Some(parser::ask(source, &typing, args.trt_library.as_deref())?);
            }
            facts.lint = args.lint.then(|| lint::lint(source, &typing, &facts));
            facts.tensors = tensors::of_model(source, &args.tensor)?;
            facts.placement = args.placement.as_ref().map(|spec| placement(args, spec, global)).transpose()?;
            Facts::Model(Box::new(facts))
        }
        File::Data { path, samples } => Facts::Data(Box::new(data::facts(path, samples, &args.tensor)?)),
        File::Engine { path, bytes } => {
            let asked = !args.tensor.is_empty() || args.coverage || args.lint || args.filter.is_some();
            let asked = asked || args.placement.is_some();
            ensure!(
                !asked,
                "--tensor, --coverage, --lint, --placement and --filter are about models, and {} is an engine",
                path.display()
            );
            Facts::Engine(Box::new(engine::read(path, *bytes, args.trt_library.as_deref())?))
        }
    })
}

/// Who runs its nodes, as `compare` would run them.
fn placement(args: &InspectArgs, spec: &Spec, global: &GlobalArgs) -> anyhow::Result<Placement> {
    let mut words: Vec<OsString> = ["layerdiff", "compare", "--candidate"].map(OsString::from).into();
    words.push(spec.to_string().into());
    words.extend(args.inputs.iter().flat_map(|path| ["--inputs".into(), path.clone().into_os_string()]));
    for (name, shape) in &args.shape {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        words.extend(["--shape".into(), format!("{name}={}", sizes.join("x")).into()]);
    }
    words.extend(args.session.words().into_iter().map(OsString::from));
    words.extend(["--".into(), args.file.clone().into_os_string()]);
    let cli = Cli::try_parse_from(words).context("--placement")?;
    let Command::Compare(compare) = cli.command else { bail!("--placement takes what `compare` takes") };
    placed::of_model(&args.file, spec, &compare.set, global)
}

/// How many classes the file of `--labels` has names for.
fn labels(args: &InspectArgs) -> anyhow::Result<Option<usize>> {
    let read = args.labels.as_deref().map(labels::read).transpose()?;
    let last = |(last, _): (&i64, &String)| usize::try_from(*last).map_or(0, |last| last + 1);
    Ok(read.map(|names| names.last_key_value().map_or(0, last)))
}

/// Do both have what users bind to, and equal data?
fn fit(differences: &Differences) -> bool {
    let equal = differences.arrays.iter().all(|array| array.verdict == Relation::Equal);
    differences.mismatches.is_empty() && equal
}

/// Did `--lint` find no error?
fn loads(facts: &Facts) -> bool {
    let Facts::Model(model) = facts else { return true };
    !model.lint.iter().flatten().any(|finding| finding.severity == Severity::Error)
}
