//! What a check says of smaller and smaller models: one reproducer for each fault that shows without the nodes of the others.

use std::path::Path;
use std::time::Instant;

use super::Question;
use crate::failure::Ended;
use crate::found::{Note, Reduced, Reproducers};
use crate::lab::Side;
use crate::lab::capture::Capture;
use crate::load::testset::tensor_from_proto;
use crate::reduce::drive::attempts::Attempts;
use crate::reduce::drive::deliver::{self, Delivery, FITS, MOST, Proof};
use crate::reduce::drive::story::{self, About};
use crate::reduce::nodes::{self, Found, Whole};
use crate::reduce::{self, Attempt, Case, Options, Outside};
use crate::run::RunError;
use crate::run::check;
use crate::run::ort::Runtime;
use crate::search::Answer;

/// A reproducer for each fault; `told` hears of each as it is there.
pub fn reproducers(
    question: &Question,
    (reference, ort): (&mut Side, &Runtime),
    sample: usize,
    about: &About,
    attempts: &mut Attempts,
    mut told: impl FnMut(&Reproducers),
) -> Ended<Reproducers> {
    let mut all = Reproducers::default();
    let halted = cut_out(question, (reference, ort), sample, about, attempts, &mut |step| {
        match step {
            Told::Made(reduced) => all.made.push(reduced),
            Told::Note(note) => all.notes.push(note),
            Told::Of(nodes) => all.of = nodes,
        }
        told(&all);
    });
    Ended { value: all, halted: halted.err() }
}

/// What comes of it, bit by bit.
enum Told {
    Of(usize),
    Made(Reduced),
    Note(Note),
}

fn cut_out(
    question: &Question,
    (reference, ort): (&mut Side, &Runtime),
    sample: usize,
    about: &About,
    attempts: &mut Attempts,
    tell: &mut dyn FnMut(Told),
) -> Result<(), RunError> {
    attempts.step("all values of the reference");
    let feeds = question.samples[sample].clone();
    let memory = question.args.set.memory();
    let (capture, refused) = Capture::new(reference, ort, &feeds, memory)?;
    if let Some(e) = refused {
        tell(Told::Note(Note::NoValues(e.to_string())));
    }
    let faults = Faults { question, side: capture.side, about };
    let (values, told) = (|keys: &[String]| capture.values(keys), |key: &str| capture.told(key));
    let whole = Whole {
        model: &faults.side.model.proto,
        graph: &faults.side.graph,
        values: &values,
        told: &told,
        target: None,
        label: String::new(),
    };
    let all = nodes::main_nodes(&faults.side.graph);
    let mut left = all.clone();
    tell(Told::Of(all.len()));
    let mut made = 0;
    let mut counted = 0;
    loop {
        let started = Instant::now();
        let Some(found) = nodes::among(&whole, &left, faults.jobs(), |asked| faults.ask(asked, attempts))? else {
            tell(Told::Note(Note::NothingToCut));
            break;
        };
        left.retain(|n| !found.nodes.contains(n));
        let mut reduced = faults.deliver(found, made, attempts)?;
        let enough = made + 1 == MOST || left.is_empty();
        let more = !enough && nodes::fails(&whole, &left, |asked| faults.ask(asked, attempts))? == Answer::Bad;
        // Reading it again from the files is one more.
        reduced.probes = attempts.count - counted + 1;
        reduced.seconds = started.elapsed().as_secs_f64();
        counted = attempts.count;
        made += 1;
        tell(Told::Made(reduced));
        if !more {
            break;
        }
    }
    Ok(())
}

/// The model, its captured values, and the command.
struct Faults<'a> {
    question: &'a Question<'a>,
    side: &'a Side,
    about: &'a About<'a>,
}

impl Faults<'_> {
    fn jobs(&self) -> usize {
        self.question.args.check.jobs as usize
    }

    fn ask(&self, asked: &[Attempt], attempts: &mut Attempts) -> Result<Vec<Answer>, RunError> {
        attempts.ask(asked, |attempt| {
            let lean = self.side.model.lean(&attempt.case.model);
            Ok(match self.question.check.run_case(&lean, &attempt.case.feeds)? {
                check::Verdict::Fails => Answer::Bad,
                check::Verdict::Passes => Answer::Good,
                check::Verdict::Inconclusive(_) => Answer::Unknown,
            })
        })
    }

    fn deliver(&self, found: Found, number: usize, attempts: &mut Attempts) -> Result<Reduced, RunError> {
        let reproducer = &self.question.args.reproducer;
        let options = Options {
            freeze: reproducer.freeze,
            shrink_weights: reproducer.shrink_weights,
            enough: FITS,
            jobs: self.jobs(),
            only_data: false,
            runs: false,
        };
        // Asked of the written model, with all other values.
        let expected = |case: &Case| Ok(case.expected.clone());
        let values = |case: &Case| self.side.all_values(&case.model, &case.feeds);
        // The cuts of the whole model go by their nodes, whichever fault they are about.
        let label = std::mem::replace(&mut attempts.label, format!("fault {}: ", number + 1));
        let mut test = |asked: &[Attempt]| self.ask(asked, attempts);
        let mut outside = Outside {
            test: &mut test,
            values: &values,
            expected: &expected,
            payload: &|t| tensor_from_proto(&self.side.model.inline(t)).ok(),
            wrong_at: None,
        };
        let smaller = reduce::smaller(found, &options, &mut outside)?;
        attempts.label = label;
        let minimal = smaller.minimal;
        let folder = deliver::folder_name(number);
        let delivery = Delivery {
            dir: &self.question.dir,
            folder: &folder,
            values: &values,
            expected: &expected,
            lean: &|model| self.side.model.written(model),
            story: &|case, notes| story::of_check(&self.question.args.check, self.about, case, notes),
            proof: &|model| self.prove(model),
        };
        Ok(Reduced { minimal, ..deliver::deliver(smaller, &delivery)? })
    }

    /// The command on the written files.
    fn prove(&self, model: &Path) -> Result<Proof, RunError> {
        let inputs = model.with_file_name("inputs.npz");
        Ok(match self.question.check.run_copy(model, &inputs)? {
            check::Verdict::Fails => Ok(()),
            check::Verdict::Passes => Err(format!("{}the check passes", deliver::LOST)),
            check::Verdict::Inconclusive(why) => Err(format!("{}the check says nothing: {why}", deliver::UNPROVED)),
        })
    }
}
