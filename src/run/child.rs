//! A process that layerdiff started: what it said, how it ended, and how to end it with all its descendants.
//! Knows no model and no protocol.

mod output;

pub use self::output::{Keep, Output};

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::RunError;
use crate::interrupt;
use crate::load::own::same_file;

/// The variable that names the process which outlives a run of layerdiff, by its id: only its own child believes it.
pub const PARENT: &str = "LAYERDIFF_PARENT";

/// This program's own file. Where another has taken its place since it started, the system's link to it: another program
/// must not answer for this one.
pub fn own_program() -> io::Result<PathBuf> {
    let (program, link) = (std::env::current_exe()?, Path::new("/proc/self/exe"));
    Ok(if !link.exists() || same_file(link, &program) { program } else { link.to_path_buf() })
}

/// A running process in a process group of its own. It is killed when dropped.
pub struct Running {
    child: Arc<Mutex<Child>>,
    stdout: Output,
    stderr: Output,
}

/// How a process ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// With the exit status 0.
    Well,
    /// It said no, in words.
    Failed(String),
    /// It died of a signal, in words.
    Died(String),
}

impl Running {
    /// Starts `command`. Its output never reaches the user's terminal, and a Ctrl-C there never reaches the process:
    /// who waits for it registers [`Running::killer`].
    pub fn spawn(command: &mut Command) -> io::Result<Running> {
        Running::spawn_keeping(command, Keep::LAST_WORDS)
    }

    /// The same, with more of its output remembered than its last words.
    pub fn spawn_keeping(command: &mut Command, keep: Keep) -> io::Result<Running> {
        own_group(command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = Output::of(child.stdout.take(), keep);
        let stderr = Output::of(child.stderr.take(), keep);
        Ok(Running { child: Arc::new(Mutex::new(child)), stdout, stderr })
    }

    /// Kills the process and its descendants, from any thread.
    pub fn killer(&self) -> impl Fn() + Send + 'static {
        let child = self.child.clone();
        move || kill(&mut lock(&child))
    }

    /// Its status, if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Waits until it ends; `None` when `limit` passed before.
    pub fn wait(&self, limit: Option<Duration>) -> Option<ExitStatus> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut silent = false;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if limit.is_some_and(|l| start.elapsed() >= l) {
                return None;
            }
            // Its end closes its output, and is noticed at once; but it may close that before, or a descendant hold it.
            if silent {
                thread::sleep(pause);
            } else if self.stdout.closes_within(pause) {
                (silent, pause) = (true, Duration::ZERO);
            }
            pause = (pause * 2).clamp(Duration::from_millis(1), Duration::from_millis(20));
        }
    }

    /// The same, and it is killed at once when the user interrupts: that is an error.
    pub fn wait_interruptibly(&self, limit: Option<Duration>) -> Result<Option<ExitStatus>, RunError> {
        let busy = interrupt::busy(self.killer());
        let status = self.wait(limit);
        drop(busy);
        if interrupt::requested() { Err(RunError::Interrupted) } else { Ok(status) }
    }

    /// What is remembered of its standard output and its standard error.
    pub fn output(&self) -> [Vec<u8>; 2] {
        [&self.stdout, &self.stderr].map(Output::bytes)
    }

    /// How it ended, with the last line it wrote.
    pub fn ending(&self, status: ExitStatus) -> Ending {
        Ending::of(status, || self.stderr.last_line().or_else(|| self.stdout.last_line()))
    }
}

impl Ending {
    /// In words; `last` is the last line that the process wrote.
    pub fn of(status: ExitStatus, last: impl Fn() -> Option<String>) -> Ending {
        let words = || match last() {
            Some(line) => format!("; last words: {line}"),
            None => "; it said nothing".to_string(),
        };
        match (status.code(), fatal_signal(status)) {
            (Some(0), _) => Ending::Well,
            (_, Some(signal)) => Ending::Died(format!("killed by signal {}{}", signal_text(signal), words())),
            (Some(code), None) => Ending::Failed(format!("exit status {code}{}", words())),
            (None, None) => Ending::Died(format!("ended without a status{}", words())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        kill(&mut child);
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(child: &mut Child) {
    // The number of a process that has been waited for may belong to somebody else by now.
    if matches!(child.try_wait(), Ok(None)) {
        kill_group(child.id());
        let _ = child.kill();
    }
}

fn signal_text(signal: i32) -> String {
    match signal_name(signal) {
        Some("SIGKILL") => format!("{signal} (SIGKILL: often a lack of memory)"),
        Some(name) => format!("{signal} ({name})"),
        None => signal.to_string(),
    }
}

/// Names of the signals that end crashing processes, where all Unix systems agree on the number.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 if cfg!(target_os = "linux") => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 if cfg!(target_os = "macos") => "SIGBUS",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        _ => return None,
    })
}

/// The exit status as a shell gives it: 128 + N for signal N.
pub fn shell_code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| fatal_signal(status).map(|signal| 128 + signal))
}

/// The signal that ended it. A shell reports the signal of its last command as 128 + its number.
#[cfg(unix)]
fn fatal_signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let by_shell = || status.code().map(|code| code - 128).filter(|signal| signal_name(*signal).is_some());
    status.signal().or_else(by_shell)
}

#[cfg(not(unix))]
fn fatal_signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

#[cfg(unix)]
fn kill_group(leader: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn check(script: &str, want: Ending) {
        let child = Running::spawn(Command::new("sh").args(["-c", script])).unwrap();
        let status = child.wait(None).unwrap();
        assert_eq!(child.ending(status), want, "{script}");
    }

    #[test]
    fn endings_in_words() {
        let (failed, died) = (|s: &str| Ending::Failed(s.to_string()), |s: &str| Ending::Died(s.to_string()));
        check("exit 0", Ending::Well);
        check("exit 3", failed("exit status 3; it said nothing"));
        check("echo one; echo two; exit 1", failed("exit status 1; last words: two"));
        check("echo noise; echo ' why ' >&2; echo >&2; exit 1", failed("exit status 1; last words: why"));
        check("kill -SEGV $$", died("killed by signal 11 (SIGSEGV); it said nothing"));
        check("exit 134", died("killed by signal 6 (SIGABRT); it said nothing"));
        check("kill -KILL $$", died("killed by signal 9 (SIGKILL: often a lack of memory); it said nothing"));
        check("exit 255", failed("exit status 255; it said nothing"));
    }

    #[test]
    fn codes_are_those_of_the_shell() {
        let check = |script: &str, want: i32| {
            let child = Running::spawn(Command::new("sh").args(["-c", script])).unwrap();
            assert_eq!(shell_code(child.wait(None).unwrap()), Some(want), "{script}");
        };
        check("exit 0", 0);
        check("exit 255", 255);
        check("exit 139", 139);
        check("kill -SEGV $$", 139);
        check("sh -c 'kill -SEGV $$'; exit $?", 139);
    }

    #[test]
    fn a_kill_reaches_the_descendants() {
        // The grandchild keeps stdout open: it closes only when it is dead too.
        let child = Running::spawn(Command::new("sh").args(["-c", "sleep 60 & wait"])).unwrap();
        assert_eq!(child.wait(Some(Duration::from_millis(20))), None);
        child.killer()();
        assert!(child.stdout.closes_within(Duration::from_secs(20)));
        assert!(child.wait(None).is_some());
    }
}
