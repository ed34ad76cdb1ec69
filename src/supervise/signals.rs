//! The signals by which users, shells and systems ask a run to end.

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// Who starts a program with SIGCHLD ignored takes the ends of its children from it: it is heard, and nothing is done.
pub fn keep_children() {
    let _ = signal_hook::flag::register(SIGCHLD, std::sync::Arc::default());
}

/// Those that were not ignored when the process started: `nohup` wants no hang-up, and a shell's background job no Ctrl-C.
pub fn listen() -> std::io::Result<Signals> {
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0))
}

/// The signals that a process ignores, as bits, from its status.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals() {
        assert_eq!(ignored("Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
