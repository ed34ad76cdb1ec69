//! The worker's side: take an order, run it, reply, until the parent has gone.

use std::cell::Cell;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Task;
use super::steps::{self, Step};
use super::wire::{Order, Packed, Reply, Results};
use crate::interrupt;
use crate::run::{Backend, Job, Question, RunError};

/// How long a worker may take to end by itself once its parent has gone.
const GRACE: Duration = Duration::from_millis(500);
/// The least time between two steps of a build that the parent is told of.
const PACE: Duration = Duration::from_millis(100);

/// Replies, and steps from the builder's threads between them.
type Socket = Arc<Mutex<UnixStream>>;

/// The main loop of a worker process, whose standard input is the socket to its parent. `backend` makes what the task
/// names. Returns when the parent has gone; does not return if a run keeps it busy then.
pub fn serve(backend: impl FnOnce(Task) -> Result<Box<dyn Backend>, RunError>) -> ExitCode {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    match socket.and_then(|socket| converse(socket, backend)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

fn converse(socket: UnixStream, backend: impl FnOnce(Task) -> Result<Box<dyn Backend>, RunError>) -> io::Result<()> {
    let orders = listen(socket.try_clone()?);
    let socket = Socket::new(Mutex::new(socket));
    let Ok(Order::Start { task, rooms }) = orders.recv() else { return Ok(()) };
    let name = task.what.name();
    let backend = match backend(task) {
        Ok(backend) => backend,
        Err(e) => return send(&socket, &Reply::Failed(e)),
    };
    send(&socket, &Reply::Ready(backend.about().clone()))?;
    let _steps = steps::hear(hand_on(socket.clone()));
    while let Ok(order) = orders.recv() {
        let reply = match order {
            Order::Start { .. } => break,
            Order::Run(job) => perform(&*backend, job, &rooms, &name),
            Order::Ask(question) => tell(&*backend, question, &name),
        };
        send(&socket, &reply.unwrap_or_else(Reply::Failed))?;
    }
    Ok(())
}

/// Reads orders in a thread of its own, so that the end of the parent is noticed in the middle of a run.
fn listen(socket: UnixStream) -> Receiver<Order> {
    let (tell, orders) = channel();
    thread::spawn(move || {
        let mut used = Vec::new();
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { break };
            if let Order::Start { rooms, .. } = &order {
                used.clone_from(rooms);
            }
            if tell.send(order).is_err() {
                break;
            }
        }
        // The parent has gone, so nobody tidies up but us.
        for room in used {
            let _ = fs::remove_dir_all(room);
        }
        drop(tell);
        // A build that asks whether to go on stops here.
        interrupt::request();
        thread::sleep(GRACE);
        end();
    });
    orders
}

/// A vendor's library in the middle of a run cannot be asked to stop, and must not hang in its own tidying up.
fn end() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}

fn send(socket: &Mutex<UnixStream>, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    socket.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
}

/// Tells the parent how far a build is. Not every step: a builder may take thousands a second.
fn hand_on(socket: Socket) -> impl Fn(Option<&Step>) + Send {
    let last: Cell<Option<Instant>> = Cell::new(None);
    move |step| {
        let Some(step) = step.filter(|_| last.get().is_none_or(|last| last.elapsed() >= PACE)) else { return };
        last.set(Some(Instant::now()));
        // That the parent has gone is noticed by who listens.
        let _ = send(&socket, &Reply::Progress(step.clone()));
    }
}

fn perform(backend: &dyn Backend, job: Packed, rooms: &[PathBuf], name: &str) -> Result<Reply, RunError> {
    let answer = backend.run(&unpack(job, name)?)?;
    let full = |e: io::Error| RunError::Exchange {
        backend: name.to_string(),
        reason: format!("no room for its results: {e}"),
    };
    Ok(Reply::Done(Results::pack(answer, rooms).map_err(full)?))
}

fn tell(backend: &dyn Backend, question: Question<Packed>, name: &str) -> Result<Reply, RunError> {
    backend.ask(&question.with(|job| unpack(job, name))?).map(Reply::Told)
}

fn unpack(job: Packed, name: &str) -> Result<Job, RunError> {
    job.open().map_err(|e| RunError::Exchange {
        backend: name.to_string(),
        reason: format!("its inputs did not arrive: {e:#}"),
    })
}
