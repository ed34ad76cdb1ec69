//! Processes that others of ours started and left behind: found because they become this process's children, and ended
//! with what they started in turn. On Linux; elsewhere a process group is all that is known of them.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process};

/// From now on, what a descendant leaves behind becomes ours, even if it left its process group.
pub fn adopt() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends all children, and theirs as they become ours.
pub fn end() {
    // Each round reaches one generation further down.
    const ROUNDS: usize = 64;
    for _ in 0..ROUNDS {
        let left = children();
        if left.is_empty() {
            return;
        }
        for orphan in left {
            let _ = kill_process(orphan, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::waitpid(None, WaitOptions::NOHANG) {}
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// This process's children, where the system tells.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let listed: Vec<String> = lists.collect();
    listed.iter().flat_map(|list| list.split_whitespace()).filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}
