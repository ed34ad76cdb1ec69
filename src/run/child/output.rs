//! What a process writes to a stream: the first and the last bytes of it, read by a thread so that the writer never
//! blocks, however much it writes. Knows no process.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Last words are looked for in this many bytes.
const TAIL: usize = 4096;

/// How many bytes of a stream are remembered. What lies between the first and the last ones is forgotten.
#[derive(Clone, Copy)]
pub struct Keep {
    /// Bytes from the start.
    pub first: usize,
    /// Bytes before the end.
    pub last: usize,
}

impl Keep {
    /// What [`Output::last_line`] needs.
    pub const LAST_WORDS: Keep = Keep { first: 0, last: TAIL };
}

/// A stream that is being read.
pub struct Output {
    kept: Arc<Mutex<Kept>>,
    closed: Mutex<Receiver<()>>,
}

impl Output {
    /// Reads `stream` in a thread of its own until it ends; without a stream there is nothing to read.
    pub fn of(stream: Option<impl Read + Send + 'static>, keep: Keep) -> Output {
        let output = Arc::new(Mutex::new(Kept::new(keep)));
        let (tell, closed) = channel();
        let kept = output.clone();
        if let Some(stream) = stream {
            thread::spawn(move || {
                read(stream, &kept);
                let _ = tell.send(());
            });
        }
        Output { kept: output, closed: Mutex::new(closed) }
    }

    /// Everything that is remembered, once the process has ended.
    pub fn bytes(&self) -> Vec<u8> {
        // A descendant may hold the stream open for ever: what has not arrived soon is not waited for. But on a busy
        // machine the reader may lag behind a process that has ended, and an answer may hang on the bytes.
        self.closes_within(Duration::from_secs(2));
        lock(&self.kept).bytes()
    }

    /// The last line with words in it, cut to a length that fits a message.
    pub fn last_line(&self) -> Option<String> {
        self.closes_within(Duration::from_millis(200));
        let bytes = lock(&self.kept).bytes();
        last_line(&bytes[bytes.len().saturating_sub(TAIL)..])
    }

    /// Waits until the stream is read to its end; `false` if that took longer than `limit`.
    pub fn closes_within(&self, limit: Duration) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.recv_timeout(limit) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A descendant that lives on may be read for long: without memory.
        *lock(&self.kept) = Kept::new(Keep { first: 0, last: 0 });
    }
}

/// The bytes of a stream that are remembered.
struct Kept {
    keep: Keep,
    first: Vec<u8>,
    last: VecDeque<u8>,
    gap: bool,
}

impl Kept {
    fn new(keep: Keep) -> Kept {
        Kept { keep, first: Vec::new(), last: VecDeque::new(), gap: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.keep.first - self.first.len()));
        self.first.extend_from_slice(first);
        let surplus = (self.last.len() + rest.len()).saturating_sub(self.keep.last);
        self.last.extend(rest);
        self.last.drain(..surplus);
        self.gap |= surplus > 0;
    }

    /// A gap looks like the end of a line, so that no line seems to be what it was not.
    fn bytes(&self) -> Vec<u8> {
        let gap: &[u8] = if self.gap { b"\n" } else { b"" };
        let (one, two) = self.last.as_slices();
        [&self.first, gap, one, two].concat()
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut stream: impl Read, kept: &Mutex<Kept>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => lock(kept).push(&buffer[..n]),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_bytes_are_kept() {
        let check = |first: usize, last: usize, want: &str| {
            // In pieces of any length it comes to the same.
            for piece in 1..=10 {
                let mut kept = Kept::new(Keep { first, last });
                b"0123456789".chunks(piece).for_each(|p| kept.push(p));
                assert_eq!(String::from_utf8(kept.bytes()).unwrap(), want, "{first} and {last} in pieces of {piece}");
            }
        };
        check(0, 3, "\n789");
        check(2, 3, "01\n789");
        check(3, 0, "012\n");
        check(0, 0, "\n");
        check(4, 6, "0123456789");
        check(20, 20, "0123456789");
    }

    #[test]
    fn a_long_stream_is_read_to_its_end() {
        let long: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let output = Output::of(Some(io::Cursor::new(long.clone())), Keep::LAST_WORDS);
        assert!(output.closes_within(Duration::from_secs(20)));
        assert_eq!(output.bytes()[1..], long[long.len() - TAIL..]);
        assert!(Output::of(None::<io::Empty>, Keep::LAST_WORDS).bytes().is_empty());
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
}
