//! A backend for tests: what it is, what it gives for a job and what it tells are values and closures of the test.

use super::{About, Answer, Backend, Job, Question, RunError, Told};
use crate::found::BackendInfo;
use crate::tensor::Tensors;

type Run = dyn Fn(&Job) -> Result<Answer, RunError> + Send + Sync;
type Tell = dyn Fn(&Question) -> Result<Told, RunError> + Send + Sync;

/// Runs no model.
pub struct Fake {
    about: About,
    run: Box<Run>,
    tell: Box<Tell>,
}

impl Fake {
    /// Gives for a job what `run` makes of it, and has nothing to tell.
    pub fn new(run: impl Fn(&Job) -> Result<Answer, RunError> + Send + Sync + 'static) -> Fake {
        let info = BackendInfo { backend: "fake".to_string(), provider: "fake".to_string(), ..BackendInfo::default() };
        Fake { about: About::plain(info), run: Box::new(run), tell: Box::new(|_| Ok(Told::Nothing)) }
    }

    /// Gives back the feeds.
    pub fn echo() -> Fake {
        Fake::new(|job| Ok(job.feeds.clone().into()))
    }

    /// Fails whatever it is asked.
    pub fn broken(why: RunError) -> Fake {
        let told = why.clone();
        Fake::new(move |_| Err(why.clone())).telling(move |_| Err(told.clone()))
    }

    /// With this description, or a part of it.
    pub fn described(mut self, change: impl FnOnce(&mut About)) -> Fake {
        change(&mut self.about);
        self
    }

    /// Says to a question what `tell` makes of it.
    pub fn telling(mut self, tell: impl Fn(&Question) -> Result<Told, RunError> + Send + Sync + 'static) -> Fake {
        self.tell = Box::new(tell);
        self
    }
}

impl Backend for Fake {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        (self.run)(job)
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        (self.tell)(question)
    }
}

/// One of each kind, about this job.
pub fn every_question(job: &Job) -> Vec<Question> {
    let all = vec![
        Question::Outputs(job.clone()),
        Question::Latency { job: job.clone(), runs: 3, by_node: true },
        Question::Optimised(job.clone()),
        Question::Placement(job.clone()),
        Question::Parse(job.clone()),
        Question::Offers,
        Question::Engine,
        Question::Routes,
    ];
    // A new kind of question is missing above as long as it is missing here.
    for question in &all {
        match question {
            Question::Outputs(_)
            | Question::Latency { .. }
            | Question::Optimised(_)
            | Question::Placement(_)
            | Question::Parse(_)
            | Question::Offers
            | Question::Engine
            | Question::Routes => {}
        }
    }
    all
}

/// What [`talkative`] tells.
pub fn told(question: &Question) -> Told {
    let feeds = |job: &Job| job.feeds.iter().map(Tensors::len).sum::<usize>();
    match question {
        Question::Outputs(job) => {
            let output = |name: &String| super::Output { name: name.clone(), dtype: None, shape: Vec::new() };
            Told::Outputs(job.outputs.iter().map(output).collect())
        }
        Question::Latency { job, runs, by_node } => {
            let nodes = if *by_node { vec![super::NodeTime::default()] } else { Vec::new() };
            Told::Time(super::Timed { runs: vec![(runs * 10 + feeds(job)) as f64], nodes })
        }
        Question::Optimised(job) => {
            Told::Optimised(super::Optimised { applied: job.outputs.clone(), ..super::Optimised::default() })
        }
        Question::Placement(job) => {
            Told::Placement(super::Placement { log: job.outputs.clone(), ..super::Placement::default() })
        }
        Question::Parse(job) => {
            Told::Parsed(job.outputs.iter().map(|name| super::Complaint { node: None, words: name.clone() }).collect())
        }
        Question::Offers => Told::Offers(vec!["SomeExecutionProvider".to_string()]),
        Question::Engine => Told::Engine(super::Engine { device_memory: Some(7), ..super::Engine::default() }),
        Question::Routes => Told::Routes("-a=[on|off]".to_string()),
    }
}

/// Has something to tell to every question, of what is in it, and every ability.
pub fn talkative() -> Fake {
    let able = |about: &mut About| {
        about.builder = Some(super::Builder { rtx: true, weakly_typed: true, strongly_typed: true });
        about.observes = vec![super::Observe::Debug, super::Observe::Unfused];
        about.compares = true;
        about.tf32 = super::Tf32::Told;
        about.doubt = super::Doubt::Always;
    };
    Fake::echo().described(able).telling(|question| Ok(told(question)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Lean;
    use crate::run::pool::Pool;
    use crate::run::ready::Ready;
    use crate::run::{Builder, Gives};
    use crate::tensor::Tensor;

    fn job() -> Job {
        let feed = Tensors::from([("x".to_string(), Tensor::f32(&[1], &[2.0]))]);
        Job::new(Lean { bytes: b"m".to_vec(), folder: "/models".into() }, &[feed], &["x".to_string(), "y".to_string()])
    }

    /// Says to every question what the fake inside says, and gives the same values.
    fn check(wrapped: &dyn Backend) {
        for question in every_question(&job()) {
            assert_eq!(wrapped.ask(&question).unwrap(), told(&question), "{question:?}");
        }
        assert_eq!(wrapped.run(&job()).unwrap().values[0]["x"].view::<f32>().as_ref(), [2.0]);
    }

    #[test]
    fn what_wraps_a_backend_hands_everything_on() {
        let able = talkative().about().clone();
        let pool = Pool::start(&[0], |_| Ok(talkative())).unwrap();
        check(&pool);
        assert_eq!(pool.about(), &able);

        let ready = Ready::new(talkative(), vec!["y".to_string()]);
        check(&ready);
        // A ready engine cannot be run in parts, nor looked into; all else is the engine's.
        let gives = Gives::Only(["y".to_string()].into());
        assert_eq!(ready.about(), &About { gives, observes: Vec::new(), ..able.clone() });

        let both = Ready::new(Pool::start(&[1, 3], |_| Ok(talkative())).unwrap(), vec!["y".to_string()]);
        check(&both);
        assert_eq!((both.about().width, both.about().builder), (2, able.builder));
    }

    #[test]
    fn whatever_is_ready_is_an_engine() {
        let ready = Ready::new(Fake::echo(), Vec::new());
        assert_eq!(ready.about().builder, Some(Builder::default()));
        assert!(!ready.about().runs() && !ready.about().stores("x"));
    }
}
