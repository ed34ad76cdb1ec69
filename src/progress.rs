//! Progress on stderr: a line that moves on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::worker::steps::{self, Hearing, Step};
use crate::terminal::{clean, shown};

/// A spinner with what is being done, and how far the build of an engine is.
pub struct Progress {
    bar: ProgressBar,
    _building: Option<Hearing>,
}

/// Characters of a phase's name that are shown.
const LENGTH: usize = 40;

/// Times a second that it is drawn, at most.
const HERTZ: u8 = 20;

impl Progress {
    /// Shows nothing if `quiet`, or if stderr is no terminal.
    pub fn new(quiet: bool) -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(if quiet { ProgressDrawTarget::hidden() } else { users_terminal() });
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}{prefix} ({elapsed})") {
            bar.set_style(style);
        }
        if bar.is_hidden() {
            return Progress { bar, _building: None };
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        let shown = bar.clone();
        let _building = Some(steps::hear(move |step| shown.set_prefix(step.map(building).unwrap_or_default())));
        Progress { bar, _building }
    }

    /// Says what is being done now, in place of what was said before.
    pub fn step(&self, what: impl Into<String>) {
        if !self.bar.is_hidden() {
            self.bar.set_message(shown(&what.into()));
        }
    }
}

/// indicatif draws nothing where it is no terminal.
fn users_terminal() -> ProgressDrawTarget {
    #[cfg(unix)]
    {
        use crate::terminal::stderr;
        if let Some((reading, writing)) = stderr().and_then(|f| Some((f.try_clone().ok()?, f.try_clone().ok()?))) {
            return ProgressDrawTarget::term(console::Term::read_write_pair(reading, writing), HERTZ);
        }
    }
    ProgressDrawTarget::stderr()
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `; building: tactics 12/40`, behind what is being done.
fn building(step: &Step) -> String {
    let phase: String = clean(&step.phase).chars().take(LENGTH).collect();
    match step.of {
        0 => format!("; building: {phase}"),
        of => format!("; building: {phase} {}/{of}", step.step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_in_words() {
        let check = |phase: &str, step: usize, of: usize, want: &str| {
            assert_eq!(building(&Step { phase: phase.to_string(), step, of }), want);
        };
        check("tactics", 12, 40, "; building: tactics 12/40");
        check("tactics", 12, 0, "; building: tactics");
        check(&"x".repeat(50), 1, 2, &format!("; building: {} 1/2", "x".repeat(LENGTH)));
    }
}
