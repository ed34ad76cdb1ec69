//! Several workers as one backend, each with a device of its own: as many calls run at a time as there are workers. One device
//! is a pool of one. Decides nothing about what is run.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{About, Answer, Backend, Job, Question, RunError, Told, at_the_same_time};

/// What a thread of one is called.
const WORKER: &str = "a worker";

/// Workers of one kind.
pub struct Pool<B> {
    workers: Vec<B>,
    about: About,
    /// By worker: does nobody use it now?
    idle: Mutex<Vec<bool>>,
    freed: Condvar,
}

impl<B: Backend> Pool<B> {
    /// A worker for each device, all started at the same time; if several cannot, the first one's reason.
    pub fn start(devices: &[usize], worker: impl Fn(usize) -> Result<B, RunError> + Sync) -> Result<Pool<B>, RunError> {
        if devices.is_empty() {
            return Err(RunError::Missing("no device was named to run on".to_string()));
        }
        let workers = at_the_same_time(WORKER, devices.iter().map(|device| || worker(*device)))?;
        let idle = Mutex::new(vec![true; workers.len()]);
        Ok(Pool { about: together(&workers, devices), workers, idle, freed: Condvar::new() })
    }

    /// An idle worker, waited for.
    fn hire(&self) -> Hired<'_, B> {
        let mut idle = self.idle();
        loop {
            match self.first_of(&mut idle) {
                Some(hired) => return hired,
                None => idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Up to `count` workers, as many of them as are idle, one at least.
    fn hire_some(&self, count: usize) -> Vec<Hired<'_, B>> {
        let mut hired = vec![self.hire()];
        let mut idle = self.idle();
        let more = std::iter::from_fn(|| self.first_of(&mut idle)).take(count.saturating_sub(1));
        hired.extend(more);
        hired
    }

    fn first_of(&self, idle: &mut [bool]) -> Option<Hired<'_, B>> {
        let number = idle.iter().position(|idle| *idle)?;
        idle[number] = false;
        Some(Hired { pool: self, number })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<bool>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that is ours until this is dropped: after a crash too, for its next run starts another process.
struct Hired<'p, B: Backend> {
    pool: &'p Pool<B>,
    number: usize,
}

impl<B: Backend> Deref for Hired<'_, B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.pool.workers[self.number]
    }
}

impl<B: Backend> Drop for Hired<'_, B> {
    fn drop(&mut self) {
        self.pool.idle()[self.number] = true;
        self.pool.freed.notify_one();
    }
}

impl<B: Backend> Backend for Pool<B> {
    fn about(&self) -> &About {
        &self.about
    }

    /// Spreads samples over the workers that are idle. Those of an engine are not: it is built for the shapes of its data, and
    /// two builds of one model may compute differently.
    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let samples = job.feeds.len();
        let apart = !self.about.is_engine() && job.decode.is_none();
        let hired = self.hire_some(if apart { samples } else { 1 });
        if let [only] = &hired[..] {
            return only.run(job);
        }
        let share = samples.div_ceil(hired.len());
        let parts = (0..samples).step_by(share).map(|start| start..samples.min(start + share)).zip(hired);
        let mut whole = Answer::default();
        for part in at_the_same_time(WORKER, parts.map(|(part, worker)| move || worker.run(&job.part(part))))? {
            whole.values.extend(part.values);
            whole.judged.extend(part.judged);
            whole.seconds.extend(part.seconds);
            whole.built = whole.built.or(part.built);
            whole.unjudged = whole.unjudged.or(part.unjudged);
        }
        Ok(whole)
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.hire().ask(question)
    }
}

/// They are all of one kind: what one can, each can; together they are several devices, as users number them.
fn together<B: Backend>(workers: &[B], devices: &[usize]) -> About {
    let mut about = workers[0].about().clone();
    about.width = workers.len();
    if workers.len() > 1 {
        let mut providers: Vec<&str> = workers.iter().map(|worker| worker.about().info.provider.as_str()).collect();
        providers.dedup();
        let numbers: Vec<String> = devices.iter().map(usize::to_string).collect();
        about.info.provider = format!("{}; devices {} side by side", providers.join(", "), numbers.join(", "));
    }
    about
}

#[cfg(test)]
mod tests;
