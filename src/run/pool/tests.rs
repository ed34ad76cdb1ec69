//! A pool of workers that are fakes: calls meet inside it, or they never come back with an answer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::load::Lean;
use crate::run::Builder;
use crate::run::fake::Fake;
use crate::tensor::{Tensor, Tensors};

/// Where calls wait for each other.
#[derive(Default)]
struct Meeting {
    inside: Mutex<usize>,
    arrived: Condvar,
}

impl Meeting {
    /// Has it been `people` at last? Nobody leaves before.
    fn wait_for(&self, people: usize) -> bool {
        let mut inside = self.inside.lock().unwrap();
        *inside += 1;
        self.arrived.notify_all();
        let too_few = |inside: &mut usize| *inside < people;
        !self.arrived.wait_timeout_while(inside, Duration::from_secs(30), too_few).unwrap().1.timed_out()
    }
}

/// Gives back its device and the sample's number. The model's first byte says how many calls must be inside at the same time.
fn worker(device: usize, meeting: Arc<Meeting>) -> Fake {
    Fake::new(move |job| {
        match job.model.bytes.first() {
            Some(0) => return Err(RunError::Crash { backend: "fake".to_string(), reason: "on purpose".to_string() }),
            Some(people) if !meeting.wait_for(*people as usize) => {
                return Err(RunError::Missing("nobody else came".to_string()));
            }
            _ => {}
        }
        let device = Tensor::i64(&[], &[device as i64]);
        let told = |feed: &Tensors| feed.clone().into_iter().chain([("device".to_string(), device.clone())]).collect();
        Ok(job.feeds.iter().map(told).collect::<Vec<Tensors>>().into())
    })
}

fn pool(devices: &[usize], engine: bool) -> Pool<Fake> {
    let meeting = Arc::new(Meeting::default());
    let start =
        |device| Ok(worker(device, meeting.clone()).described(|about| about.builder = engine.then(Builder::default)));
    Pool::start(devices, start).unwrap()
}

fn run(pool: &Pool<Fake>, model: Lean, feeds: &[Tensors]) -> Result<Vec<Tensors>, RunError> {
    Ok(pool.run(&Job::new(model, feeds, &[]))?.values)
}

fn model(byte: u8) -> Lean {
    Lean { bytes: vec![byte], folder: Default::default() }
}

fn samples(count: i64) -> Vec<Tensors> {
    (0..count).map(|n| Tensors::from([("number".to_string(), Tensor::i64(&[], &[n]))])).collect()
}

fn numbers(values: &[Tensors], name: &str) -> Vec<i64> {
    values.iter().map(|tensors| tensors[name].view::<i64>()[0]).collect()
}

#[test]
fn as_many_calls_as_workers_run_at_a_time() {
    let pool = pool(&[4, 0, 2], true);
    assert_eq!((pool.about().width, pool.about().info.provider.as_str()), (3, "fake; devices 4, 0, 2 side by side"));
    let devices = thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| run(&pool, model(3), &samples(1)))).collect();
        calls.into_iter().map(|call| numbers(&call.join().unwrap().unwrap(), "device")[0]).collect::<Vec<_>>()
    });
    assert_eq!(devices.iter().sum::<i64>(), 6, "each took another worker: {devices:?}");
}

#[test]
fn more_calls_than_workers_wait_and_all_are_answered() {
    let pool = pool(&[0, 1], true);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| run(&pool, model(1), &samples(1)))).collect();
        assert!(calls.into_iter().all(|call| call.join().unwrap().is_ok()));
    });
    assert_eq!(*pool.idle(), [true, true]);
}

#[test]
fn samples_are_spread_and_come_back_in_order() {
    // Two parts, or they would not meet.
    let values = run(&pool(&[7, 9], false), model(2), &samples(5)).unwrap();
    assert_eq!(numbers(&values, "number"), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&values, "device"), [7, 7, 7, 9, 9]);
    // More workers than samples, and shares that need fewer workers than there are.
    for (devices, count) in [(8, 3), (4, 5), (3, 0)] {
        let devices: Vec<usize> = (0..devices).collect();
        let values = run(&pool(&devices, false), model(1), &samples(count)).unwrap();
        assert_eq!(numbers(&values, "number"), (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn an_engine_keeps_its_samples_together() {
    let values = run(&pool(&[7, 9], true), model(1), &samples(4)).unwrap();
    assert_eq!(numbers(&values, "device"), [7; 4]);
}

#[test]
fn one_device_is_a_pool_of_one() {
    let pool = pool(&[3], false);
    assert_eq!((pool.about().width, pool.about().info.provider.as_str()), (1, "fake"));
    assert_eq!(numbers(&run(&pool, model(1), &samples(3)).unwrap(), "device"), [3; 3]);
}

#[test]
fn a_failure_is_one_calls_own() {
    let pool = pool(&[0, 1], false);
    for _ in 0..3 {
        assert!(matches!(run(&pool, model(0), &samples(2)), Err(RunError::Crash { .. })));
    }
    assert_eq!(*pool.idle(), [true, true]);
    assert!(run(&pool, model(2), &samples(2)).is_ok());
}

#[test]
fn a_worker_that_does_not_start_says_why() {
    let worker = |device| Err::<Fake, _>(RunError::Missing(format!("no GPU number {device}")));
    let why = |devices: &[usize]| Pool::start(devices, worker).err().map(|e| e.to_string());
    assert_eq!(why(&[5, 6]).as_deref(), Some("no GPU number 5"));
    assert!(why(&[]).is_some());
}
