//! The parent's side: start a worker, ask it, and turn its death into an answer.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::parcel::Rooms;
use super::wire::{Order, Packed, Reply};
use super::{SUBCOMMAND, Task, steps};
use crate::interrupt;
use crate::run::child::{Ending, Running, own_program};
use crate::run::{About, Answer, Backend, Job, Question, RunError, Told};

/// How often a waiting parent looks whether the worker still lives. Its death closes the socket, which is noticed at
/// once, unless a descendant of it holds the socket too.
const LOOK: Duration = Duration::from_millis(100);

/// A backend in a process of its own. The process lives as long as this, or until it crashes; then the next run starts
/// another.
pub struct Worker {
    task: Task,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    about: About,
    /// A run that takes longer is stopped and is an error.
    pub timeout: Option<Duration>,
    process: Mutex<Option<Process>>,
}

/// Fields are dropped in this order: the process dies before its folders go.
struct Process {
    running: Running,
    socket: BufReader<UnixStream>,
    rooms: Rooms,
}

impl Worker {
    /// Starts this very program as a worker for `task`.
    pub fn start(task: &Task) -> Result<Worker, RunError> {
        let exe =
            own_program().map_err(|e| RunError::Missing(format!("layerdiff cannot find its own program file: {e}")))?;
        Worker::start_with(&exe, task)
    }

    /// Starts `exe`, a layerdiff.
    pub fn start_with(exe: &Path, task: &Task) -> Result<Worker, RunError> {
        let exe = exe.to_path_buf();
        Worker::start_command(task, move || {
            let mut command = Command::new(&exe);
            command.arg(SUBCOMMAND);
            command
        })
    }

    fn start_command(task: &Task, command: impl Fn() -> Command + Send + Sync + 'static) -> Result<Worker, RunError> {
        let (process, about) = Process::start(command(), task)?;
        let (task, command, process) = (task.clone(), Box::new(command), Mutex::new(Some(process)));
        Ok(Worker { task, command, about, timeout: None, process })
    }
}

impl Backend for Worker {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        match self.order(|rooms| Ok(Order::Run(Packed::pack(job, rooms)?)))? {
            Reply::Done(results) => results
                .open()
                .map_err(|e| RunError::Garbage { backend: self.task.what.name(), reason: format!("{e:#}") }),
            _ => Err(confused(&self.task.what.name())),
        }
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        let order = |rooms: &[PathBuf]| Ok(Order::Ask(question.clone().with(|job| Packed::pack(&job, rooms))?));
        match self.order(order)? {
            Reply::Told(told) => Ok(told),
            _ => Err(confused(&self.task.what.name())),
        }
    }
}

impl Worker {
    /// Gives the process an order, a new process where the last one died; its reply, or why there is none.
    /// `order` packs what it needs into rooms that the process reads.
    fn order(&self, order: impl FnOnce(&[PathBuf]) -> io::Result<Order>) -> Result<Reply, RunError> {
        let mut slot = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        // One that died while nobody asked it anything is simply replaced.
        let mut process = match slot.take().filter(|p| p.running.ended().is_none()) {
            Some(process) => process,
            None => Process::start((self.command)(), &self.task)?.0,
        };
        let name = self.task.what.name();
        let order = order(&process.rooms.paths()).map_err(|e| RunError::Exchange {
            backend: name.clone(),
            reason: format!("no room for its inputs: {e}; free some disk space"),
        })?;
        let reply = process.ask(&order, &name, self.timeout)?;
        // Only a worker that answers is asked again.
        *slot = Some(process);
        match reply {
            Reply::Failed(e) => Err(e),
            reply => Ok(reply),
        }
    }
}

fn confused(name: &str) -> RunError {
    let reason = "its worker process does not speak the language of this layerdiff".to_string();
    RunError::Garbage { backend: name.to_string(), reason }
}

impl Process {
    fn start(mut command: Command, task: &Task) -> Result<(Process, About), RunError> {
        let name = task.what.name();
        let mut process = Process::spawn(&mut command, task)
            .map_err(|e| RunError::Missing(format!("no worker process could be started for {name}: {e}")))?;
        let start = Order::Start { task: task.clone(), rooms: process.rooms.paths() };
        // Loading a library is not a run: it has no time limit, and can be interrupted.
        match process.ask(&start, &name, None)? {
            Reply::Ready(about) => Ok((process, about)),
            Reply::Failed(e) => Err(e),
            _ => Err(confused(&name)),
        }
    }

    fn spawn(command: &mut Command, task: &Task) -> io::Result<Process> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(LOOK))?;
        // Its last words should be what went wrong, not where.
        command.env("RUST_BACKTRACE", "0").envs(task.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let rooms = Rooms::open()?;
        let running = Running::spawn(command)?;
        // The command must not keep their end of the socket open: the worker's death is to close it.
        command.stdin(Stdio::null());
        Ok(Process { running, socket: BufReader::new(ours), rooms })
    }

    /// Sends an order and waits for the reply, which may be the end of the worker.
    fn ask(&mut self, order: &Order, name: &str, timeout: Option<Duration>) -> Result<Reply, RunError> {
        let busy = interrupt::busy(self.running.killer());
        let answer = self.send(order).and_then(|()| self.receive(timeout));
        drop(busy);
        steps::tell(None);
        match answer {
            Ok(reply) => Ok(reply),
            Err(_) if interrupt::requested() => Err(RunError::Interrupted),
            Err(e) if e.kind() == ErrorKind::InvalidData => Err(confused(name)),
            Err(e) if e.kind() == ErrorKind::InvalidInput => {
                Err(RunError::Exchange { backend: name.to_string(), reason: e.to_string() })
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                let seconds = timeout.unwrap_or_default().as_secs_f64();
                let reason = format!("no answer within {seconds} s, so its process was stopped");
                Err(RunError::Run { backend: name.to_string(), reason })
            }
            Err(_) => Err(RunError::Crash { backend: name.to_string(), reason: self.last_words() }),
        }
    }

    fn send(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order).map_err(|_| {
            let why = "the path of a library, an engine or a folder is no UTF-8, and its worker process takes no other; rename it";
            io::Error::new(ErrorKind::InvalidInput, why)
        })?;
        line.push(b'\n');
        self.socket.get_mut().write_all(&line)
    }

    /// The reply; the steps of a build that come before it are told.
    fn receive(&mut self, timeout: Option<Duration>) -> io::Result<Reply> {
        let start = Instant::now();
        let mut line = Vec::new();
        loop {
            match self.socket.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => match serde_json::from_slice(&line)? {
                    Reply::Progress(step) => steps::tell(Some(&step)),
                    reply => return Ok(reply),
                },
                Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.running.ended().is_some() {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(e) => return Err(e),
            }
            if line.ends_with(b"\n") {
                line.clear();
            }
            if timeout.is_some_and(|limit| start.elapsed() >= limit) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    fn last_words(&self) -> String {
        // The socket closes a moment before the process has ended.
        match self.running.wait(Some(Duration::from_secs(2))).map(|status| self.running.ending(status)) {
            Some(Ending::Failed(words) | Ending::Died(words)) => words,
            Some(Ending::Well) => "its process ended without a reply".to_string(),
            None => "its process closed the connection".to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
