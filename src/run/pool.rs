//! Several workers as one backend, each with a device of its own: as many calls run at a time as there are workers. One device
//! is a pool of one. Decides nothing about what is run.

use std::ops::{Deref, Range};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ort::Output;
use super::{Against, Answer, Backend, Engine, How, Observe, RunError, at_the_same_time};
use crate::found::BackendInfo;
use crate::load::Lean;
use crate::tensor::Tensors;

/// What a thread of one is called.
const WORKER: &str = "a worker";

pub struct Pool<B> {
    workers: Vec<B>,
    /// Their devices, as users number them.
    devices: Vec<usize>,
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
        Ok(Pool { workers, devices: devices.to_vec(), idle, freed: Condvar::new() })
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

    /// Spreads samples over the workers that are idle. Those of an engine are not: it is built for the shapes of its data, and
    /// two builds of one model may compute differently.
    fn spread(
        &self,
        samples: usize,
        work: impl Fn(&B, Range<usize>) -> Result<Answer, RunError> + Sync,
    ) -> Result<Answer, RunError> {
        let hired = self.hire_some(if self.is_engine() { 1 } else { samples });
        if let [only] = &hired[..] {
            return work(only, 0..samples);
        }
        let (work, share) = (&work, samples.div_ceil(hired.len()));
        let parts = (0..samples).step_by(share).map(|start| start..samples.min(start + share)).zip(hired);
        let mut whole = Answer::default();
        for part in at_the_same_time(WORKER, parts.map(|(part, worker)| move || work(&worker, part)))? {
            whole.values.extend(part.values);
            whole.judged.extend(part.judged);
            whole.built = whole.built.or(part.built);
            whole.unjudged = whole.unjudged.or(part.unjudged);
        }
        Ok(whole)
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

/// They are all of one kind: what one can, each can.
impl<B: Backend> Backend for Pool<B> {
    fn info(&self) -> BackendInfo {
        let mut info = self.workers[0].info();
        if self.workers.len() > 1 {
            let mut providers: Vec<String> = self.workers.iter().map(|worker| worker.info().provider).collect();
            providers.dedup();
            let numbers: Vec<String> = self.devices.iter().map(usize::to_string).collect();
            info.provider = format!("{}; devices {} side by side", providers.join(", "), numbers.join(", "));
        }
        info
    }

    fn stores(&self, tensor: &str) -> bool {
        self.workers[0].stores(tensor)
    }

    fn observes(&self, how: Observe) -> bool {
        self.workers[0].observes(how)
    }

    fn is_engine(&self) -> bool {
        self.workers[0].is_engine()
    }

    fn runs(&self) -> bool {
        self.workers[0].runs()
    }

    fn width(&self) -> usize {
        self.workers.len()
    }

    fn latency(&self, model: &Lean, feed: &Tensors, runs: usize) -> Result<Option<f64>, RunError> {
        self.hire().latency(model, feed, runs)
    }

    fn run(&self, model: &Lean, feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        Ok(self.build(model, feeds, outputs, &How::default())?.values)
    }

    fn build(&self, model: &Lean, feeds: &[Tensors], outputs: &[String], how: &How) -> Result<Answer, RunError> {
        self.spread(feeds.len(), |worker, part| worker.build(model, &feeds[part], outputs, how))
    }

    fn compares(&self) -> bool {
        self.workers[0].compares()
    }

    fn run_against(
        &self,
        model: &Lean,
        feeds: &[Tensors],
        outputs: &[String],
        against: &Against,
    ) -> Result<Answer, RunError> {
        self.spread(feeds.len(), |worker, part| {
            worker.run_against(model, &feeds[part.clone()], outputs, &against.part(part))
        })
    }

    fn engine(&self) -> Result<Option<Engine>, RunError> {
        self.hire().engine()
    }

    fn outputs(&self, model: &Lean) -> Result<Vec<Output>, RunError> {
        self.hire().outputs(model)
    }

    fn routes(&self) -> Result<Option<String>, RunError> {
        self.hire().routes()
    }
}

#[cfg(test)]
mod tests;
