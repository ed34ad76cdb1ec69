//! A process that layerdiff started: what it said last, how it ended, and how to end it with all its descendants.
//! Knows no model and no protocol.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of output that are remembered.
const TAIL: usize = 4096;

/// A running process in a process group of its own. It is killed when dropped.
pub struct Running {
    child: Arc<Mutex<Child>>,
    stdout: Tail,
    stderr: Tail,
}

/// How a process ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
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
        own_group(command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = Tail::of(child.stdout.take());
        let stderr = Tail::of(child.stderr.take());
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
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if limit.is_some_and(|l| start.elapsed() >= l) {
                return None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// How it ended, with the last line it wrote.
    pub fn ending(&self, status: ExitStatus) -> Ending {
        let words = || match self.stderr.last_line().or_else(|| self.stdout.last_line()) {
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

/// The last bytes of a stream, read by a thread so that the writer never blocks.
struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: Mutex<Receiver<()>>,
}

impl Tail {
    fn of(stream: Option<impl Read + Send + 'static>) -> Tail {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (tell, closed) = channel();
        let kept = bytes.clone();
        if let Some(stream) = stream {
            thread::spawn(move || {
                keep_tail(stream, &kept);
                let _ = tell.send(());
            });
        }
        Tail { bytes, closed: Mutex::new(closed) }
    }

    /// The last line with words in it, cut to a length that fits a message.
    fn last_line(&self) -> Option<String> {
        // A descendant may hold the stream open for ever: what has not arrived soon is not waited for.
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = closed.recv_timeout(Duration::from_millis(200));
        last_line(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn keep_tail(mut stream: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; TAIL];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..n]);
                let surplus = kept.len().saturating_sub(TAIL);
                kept.drain(..surplus);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    // A Rust panic ends with a note on backtraces, which explains nothing.
    let line = text.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.starts_with("note: "))?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    Some(clean).filter(|l| !l.is_empty())
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

/// The shell's own `kill` is everywhere; the program of that name is not.
fn kill_group(leader: u32) {
    if cfg!(unix) {
        let kill = format!("kill -s KILL -- -{leader}");
        let quiet = || Stdio::null();
        let _ = Command::new("sh").args(["-c", &kill]).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    }
}

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
    fn only_the_tail_of_the_output_is_kept() {
        let kept = Mutex::new(Vec::new());
        let long: Vec<u8> = (0..3 * TAIL + 5).map(|i| (i % 251) as u8).collect();
        keep_tail(&long[..], &kept);
        assert_eq!(*kept.lock().unwrap(), long[long.len() - TAIL..]);
    }

    #[test]
    fn last_lines() {
        let check = |text: &str, want: Option<&str>| assert_eq!(last_line(text.as_bytes()).as_deref(), want);
        check("", None);
        check("\n \n", None);
        check("a\nb\r\n\n", Some("b"));
        check("thread panicked at x:\nwhy\nnote: run with `RUST_BACKTRACE=1`\n", Some("why"));
        check("\u{1b}[31mred", Some("[31mred"));
    }

    #[test]
    fn a_kill_reaches_the_descendants() {
        // The grandchild keeps stdout open: the tail closes only when it is dead too.
        let child = Running::spawn(Command::new("sh").args(["-c", "sleep 60 & wait"])).unwrap();
        assert_eq!(child.wait(Some(Duration::from_millis(20))), None);
        child.killer()();
        let closed = child.stdout.closed.lock().unwrap();
        assert_eq!(closed.recv_timeout(Duration::from_secs(20)), Ok(()));
        assert!(child.wait(None).is_some());
    }
}
