//! The child's side: what libraries and the runtime say goes to the parent, who tells it only when this process dies of it;
//! messages for the user go where they always went. It ends when the parent has.

use std::fs::File;
use std::io::{self, Write};
use std::panic;
use std::sync::Arc;
use std::thread;

use rustix::process::Pid;

use super::{AFTER, orphans, signals};
use crate::run::child::PARENT;
use crate::terminal;

/// Makes this process a child, if it is one, and has `end` called when it is asked to end. Gives back how the child before
/// it died, in words.
pub fn settle(end: fn()) -> Option<String> {
    let parent = parent();
    signals::keep_children();
    if parent.is_some() {
        // A noisy library is no reason not to run.
        let _ = silence();
        one_line_panics();
        orphans::adopt();
    }
    // A file beyond the user's limit is then an error of whoever writes it.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    if let Ok(mut signals) = signals::listen() {
        thread::spawn(move || {
            for _ in signals.forever() {
                end();
            }
        });
    }
    if let Some(parent) = parent {
        follow(parent, end);
    }
    parent.and_then(|_| std::env::var(AFTER).ok())
}

/// Is this process a parent's child?
pub(super) fn parent() -> Option<Pid> {
    let named: i32 = std::env::var(PARENT).ok()?.parse().ok()?;
    rustix::process::getppid().filter(|parent| parent.as_raw_nonzero().get() == named)
}

/// Standard error becomes the pipe that the parent gave us as standard input; what it was is kept for the user.
fn silence() -> io::Result<()> {
    let user = rustix::io::dup(io::stderr())?;
    let nothing = File::open("/dev/null")?;
    rustix::stdio::dup2_stderr(io::stdin())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    terminal::use_stderr(File::from(user));
    Ok(())
}

/// What it was in one line, which the parent repeats.
fn one_line_panics() {
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let payload = info.payload();
        let words = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let what = words.unwrap_or("no words").replace('\n', " ");
        let _ = writeln!(io::stderr(), "panicked{at}: {what}");
    }));
}

/// Ends this process when the parent has ended.
#[cfg(target_os = "linux")]
fn follow(parent: Pid, end: fn()) {
    let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    // It may have ended before we asked.
    if asked.is_ok() && rustix::process::getppid() != Some(parent) {
        end();
    }
}

/// The same by looking now and then.
#[cfg(not(target_os = "linux"))]
fn follow(parent: Pid, end: fn()) {
    thread::spawn(move || {
        while rustix::process::getppid() == Some(parent) {
            thread::sleep(std::time::Duration::from_millis(100));
        }
        end();
    });
}
