//! `layerdiff reduce --check`: the full model fails -> an empty one does not -> fewer and fewer nodes -> report. The command
//! decides what fails.

use std::io::Write;
use std::time::Instant;

use crate::cli::{GlobalArgs, ReduceArgs};
use crate::commands::frame::Frame;
use crate::commands::hand_over::Shown;
use crate::found::experiment::Experiment;
use crate::found::{BackendInfo, Findings, Note, Opening, ToleranceInfo, Wanted};
use crate::lab::journal::Journal;
use crate::load::Model;
use crate::open::opening::opening;
use crate::open::{Asked, Found, data, of_check, of_reproducer, places, sides, untouched};
use crate::progress::Progress;
use crate::reduce::drive::attempts::Attempts;
use crate::reduce::drive::check::{Question, reproducers};
use crate::reduce::drive::deliver;
use crate::reduce::drive::story::About;
use crate::run::ort::{Runtime, library};

/// `layerdiff reduce --check`: the smallest model that `command` fails on.
pub fn run(command: &str, args: &ReduceArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Findings> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    let mut model = Model::open(&args.set.model, global.links())?;
    model.bare = args.search.no_metadata;
    let check = Question::check(command, &args.check)?;
    sides::check_devices(&[&args.set.reference], global, &args.set.engine)?;
    sides::check_arithmetic(&[&args.set.reference], &args.set.arithmetic)?;
    let mut reference = sides::side(&args.set.reference, &model, global, &args.set)?;
    let (samples, inputs) = data::feeds(&args.set, &reference)?;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let asked = Asked { args: &args.set, global, model: &model, feeds: &samples, inputs: &inputs, outputs: &[] };
    let reading = asked.read(&reference, Found::check(command), None);
    let sha256 = model.sha256();
    let opening = opened(command, args, opening(&model, &reference, &ort, inputs), check.wants_inputs());
    let dir = places::dir(&args.set);
    untouched::folders(&args.set, &[&reference], &dir)?;
    deliver::check(&dir)?;
    let path = places::journal(&dir)?;
    let mut experiment = reading.done(&opening.model.path, sha256);
    experiment.flags.extend(of_check(&args.check));
    experiment.flags.extend(of_reproducer(&args.reproducer));
    let findings = Findings { opening, ..Findings::default() };
    let mut frame = Frame { set: &args.set, dir, experiment, findings, started };
    frame.tell();

    let open = |resume, experiment: &Experiment| Journal::open(&path, experiment, resume);
    let (journal, known) = if args.search.resume { open(true, &frame.experiment)? } else { Default::default() };
    let mut attempts = Attempts::new(journal, known.attempts, &progress);
    let mut question = Question::new(args, check, model, samples, frame.dir.clone());
    let sample = question.full_model_fails(&mut attempts)?;
    question.empty_model_does_not(sample, &mut attempts)?;
    if !args.search.resume {
        attempts.journal = open(false, &frame.experiment)?.0;
    }
    deliver::clear(&frame.dir);
    let (opening, experiment) = (frame.findings.opening.clone(), frame.experiment.clone());
    let about = About { opening: &opening, experiment: &experiment };
    let made = reproducers(&question, (&mut reference, &ort), sample, &about, &mut attempts, |made| {
        frame.findings.reproducers = made.clone();
        frame.tell();
    });
    frame.findings.halted = made.keep(&mut frame.findings.reproducers).err();
    drop(progress);
    frame.deliver(None, Shown::Answer, out)
}

/// The command is the candidate, and the judge.
fn opened(command: &str, args: &ReduceArgs, mut known: Opening, fed: bool) -> Opening {
    known.notes.retain(|note| fed || *note != Note::Synthetic);
    let rules = ["the command decides".to_string()].into_iter().chain(args.check.flags()).collect::<Vec<_>>();
    Opening {
        wanted: Wanted::Check,
        candidate: BackendInfo {
            spec: format!("check:{command}"),
            backend: "check".to_string(),
            check: Some(command.to_string()),
            ..BackendInfo::default()
        },
        tolerance: ToleranceInfo { why: rules.join(" "), ..ToleranceInfo::default() },
        strategy: "ddmin".to_string(),
        ..known
    }
}
