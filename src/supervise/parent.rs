//! The parent's side: start the child, hand signals on, and start it again when it dies.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{AFTER, Ended, child, orphans, signals};
use crate::run::child::{Ending, Keep, Output, PARENT, own_program};
use crate::terminal;

/// How long the child may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_millis(900);

/// The exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// ONNX Runtime opens a database for telemetry as soon as it is loaded, unless the environment said otherwise when the
/// process started. Nobody's model is told on.
const SILENT: &str = "ORT_DISABLE_TELEMETRY";

/// The process that does the work now; 0 where there is none.
static CHILD: AtomicI32 = AtomicI32::new(0);
static ASKED: AtomicBool = AtomicBool::new(false);

/// Runs this very command line in a child. `None` where this process is the child, or where none can be started: then the
/// work is to be done here.
pub fn run() -> Option<Ended> {
    if child::parent().is_some() {
        return None;
    }
    let program = program()?;
    signals::keep_children();
    orphans::adopt();
    hand_on_signals();
    let first = start(&program, None).ok()?;
    let died = match first.end() {
        Ok(ended) => return Some(ended),
        Err(words) => words,
    };
    clear_line();
    Some(match start(&own_program().unwrap_or(program), Some(&died)).map(Attempt::end) {
        Ok(Ok(ended)) => ended,
        Ok(Err(words)) => Ended::Crashed(words),
        Err(_) => Ended::Crashed(died),
    })
}

/// This program's file; where the system does not tell it, as the user called it.
fn program() -> Option<PathBuf> {
    own_program().ok().or_else(|| std::env::args_os().next().map(PathBuf::from))
}

/// The child died in the middle of a line of progress.
fn clear_line() {
    if io::stderr().is_terminal() {
        terminal::raw("\r\x1b[2K");
    }
}

/// A child at work, and what it says that is not for the user.
struct Attempt {
    process: Child,
    noise: Output,
}

fn start(program: &Path, after: Option<&str>) -> io::Result<Attempt> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).stdin(Stdio::from(writer));
    command.arg0(std::env::args_os().next().unwrap_or_else(|| program.as_os_str().to_os_string()));
    command.env(PARENT, std::process::id().to_string()).env_remove(AFTER);
    if std::env::var_os(SILENT).is_none() {
        command.env(SILENT, "1");
    }
    if let Some(after) = after {
        command.env(AFTER, after);
    }
    let process = command.spawn()?;
    CHILD.store(process.id() as i32, Ordering::SeqCst);
    Ok(Attempt { process, noise: Output::of(Some(reader), Keep::LAST_WORDS) })
}

impl Attempt {
    /// Waits for it. `Err`: what it died of.
    fn end(mut self) -> Result<Ended, String> {
        let status = self.process.wait();
        CHILD.store(0, Ordering::SeqCst);
        let Ok(status) = status else { return Err("nobody knows how its process ended".to_string()) };
        if ASKED.load(Ordering::SeqCst) {
            orphans::end();
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(Ended::Stopped, Ended::Status));
        }
        self.words(status).inspect_err(|_| orphans::end())
    }

    fn words(&self, status: ExitStatus) -> Result<Ended, String> {
        let last = || self.noise.last_line();
        match status.code() {
            Some(PANICKED) => Err(last().unwrap_or_else(|| "panicked".to_string())),
            Some(code) => Ok(Ended::Status(u8::try_from(code).unwrap_or(u8::MAX))),
            None => match Ending::of(status, last) {
                Ending::Well => Ok(Ended::Status(0)),
                Ending::Failed(words) | Ending::Died(words) => Err(words),
            },
        }
    }
}

/// Who asks the parent to end asks the child; one that does not listen is ended.
fn hand_on_signals() {
    let Ok(mut signals) = signals::listen() else { return };
    thread::spawn(move || {
        for _ in signals.forever() {
            ASKED.store(true, Ordering::SeqCst);
            tell(Signal::TERM);
            thread::sleep(PATIENCE);
            tell(Signal::KILL);
        }
    });
}

fn tell(signal: Signal) {
    if let Some(child) = Pid::from_raw(CHILD.load(Ordering::SeqCst)) {
        let _ = kill_process(child, signal);
    }
}
