//! The last place of every text on its way to a terminal: made harmless, cut to a length that somebody reads, and written
//! so that a reader who has left is no error. Knows nothing of what is said.
//!
//! Names come from models that nobody vouches for: control characters would drive the terminal, and marks that turn the
//! direction of text, or that nobody sees, would show another name than the one in the file.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write};
use std::sync::OnceLock;

/// Characters of one word, or of a whole text, that are shown. Paths are shorter, and so is what layerdiff says.
const WORD: usize = 300;
const TEXT: usize = 1000;

/// The user's standard error, where this process's own is another.
static USER: OnceLock<File> = OnceLock::new();

/// From now on the user's standard error is this one: what libraries print is kept away from it.
pub fn use_stderr(file: File) {
    drop(USER.set(file));
}

/// What standard error was replaced by, if it was.
pub fn stderr() -> Option<&'static File> {
    USER.get()
}

/// Does anybody see colours on stdout?
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Columns of the terminal; 120 where there is none.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    columns.filter(|c| *c >= 60).unwrap_or(120)
}

/// One line on stderr, under the program's name. Nobody may be listening there: that changes nothing.
pub fn say(message: impl Display) {
    tell(&format!("layerdiff: {}\n", shown(&message.to_string())));
}

/// Several lines on stderr, as they are but for what a terminal would obey. Nobody may be listening there either.
pub fn print(text: &str) {
    tell(&harmless(text, false));
}

/// Our own control sequence, on a terminal.
pub fn raw(sequence: &str) {
    tell(sequence);
}

fn tell(text: &str) {
    drop(match stderr() {
        Some(mut user) => user.write_all(text.as_bytes()),
        None => io::stderr().write_all(text.as_bytes()),
    });
}

/// Standard output, behind a [`Guard`].
pub fn stdout() -> Guard<StdoutLock<'static>> {
    let colours = io::stdout().is_terminal();
    Guard::new(io::stdout().lock(), colours)
}

/// Harmless and short.
pub fn shown(text: &str) -> String {
    short(&clean(text))
}

/// The text with every harmful character written out, as in `\u{1b}`.
pub fn clean(text: &str) -> String {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// JSON with its harmful characters written out, as in `\u202e`: they stand inside strings only, which stay what they are.
/// The line ends and indents of pretty JSON are no part of a string.
pub fn json(text: String) -> String {
    let plain = |b: u8| b == b'\n' || (b' '..0x7f).contains(&b);
    match !text.bytes().all(plain) && text.chars().any(|c| harmful(c) && c != '\n') {
        true => text.chars().fold(String::with_capacity(text.len() + 64), escaped),
        false => text,
    }
}

/// Words and texts of a length that nobody reads lose their middle, because names differ at their ends.
pub fn short(text: &str) -> String {
    if text.len() <= WORD {
        return text.to_string();
    }
    let words: Vec<String> = text.split(' ').map(|word| elide(word, WORD)).collect();
    elide(&words.join(" "), TEXT)
}

/// At most `width` characters; what is left out is in the middle.
pub fn elide(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.into();
    }
    let keep = width.saturating_sub(1);
    let (head, tail) = (keep / 2, keep - keep / 2);
    let mut out: String = text.chars().take(head).collect();
    if width > 0 {
        out.push('…');
    }
    out.extend(text.chars().skip(length - tail));
    out
}

/// Would a terminal obey it, or not show it where it stands?
pub fn harmful(c: char) -> bool {
    let unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || unseen
}

/// A writer for whole lines. Whatever was overlooked on the way is made harmless here, and when the reader has left
/// (`layerdiff ... | head -1`), the rest is dropped without an error: the exit status is that of the answer.
pub struct Guard<W: Write> {
    out: W,
    /// Nobody else's terminal is told colours.
    colours: bool,
    pending: Vec<u8>,
    left: bool,
}

impl<W: Write> Guard<W> {
    fn new(out: W, colours: bool) -> Guard<W> {
        Guard { out, colours, pending: Vec::new(), left: false }
    }

    /// Passes on the first `end` pending bytes, which end where a character ends.
    fn pass(&mut self, end: usize) -> io::Result<()> {
        let lines: Vec<u8> = self.pending.drain(..end).collect();
        if self.left {
            return Ok(());
        }
        let text = harmless(&String::from_utf8_lossy(&lines), self.colours);
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.left = written.as_ref().is_err_and(|e| e.kind() == ErrorKind::BrokenPipe);
        if self.left { Ok(()) } else { written }
    }
}

impl<W: Write> Write for Guard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if let Some(last) = bytes.iter().rposition(|b| *b == b'\n') {
            self.pass(self.pending.len() - bytes.len() + last + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass(self.pending.len())
    }
}

/// The text without what a terminal would obey, but for line ends, tabs and, if they are wanted, colours.
fn harmless(text: &str, colours: bool) -> String {
    if text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~')) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let whole = escape(rest).filter(|_| colours).unwrap_or(c.len_utf8());
        match whole > c.len_utf8() || c == '\t' {
            true => out.push_str(&rest[..whole]),
            false => out = escaped(out, c),
        }
        rest = &rest[whole..];
    }
    out
}

/// The length of the sequence that sets a colour, if the text begins with one.
fn escape(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    codes[end..].starts_with('m').then_some(2 + end + 1)
}

/// As strict JSON escapes it, so that JSON stays JSON.
fn escaped(mut out: String, c: char) -> String {
    if harmful(c) && c != '\n' {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
    } else {
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let check = |text: &str, want: &str| assert_eq!(clean(text), want);
        check("a\u{1b}[31m\n\u{202e}é", r"a\u{1b}[31m\n\u{202e}é");
        check("\u{9b}2J\u{7f}\u{85}", r"\u{9b}2J\u{7f}\u{85}");
        check("a\u{200b}b\u{2028}c\u{2066}d\u{feff}e\u{61c}", r"a\u{200b}b\u{2028}c\u{2066}d\u{feff}e\u{61c}");
        check("/encoder/Привет/层.0:0 🙂", "/encoder/Привет/层.0:0 🙂");
    }

    #[test]
    fn what_nobody_reads_is_cut() {
        let long = "x".repeat(100_000);
        let check = |text: &str, longest: usize| {
            let cut = shown(text);
            assert!(cut.chars().count() <= longest && cut.contains('…'), "{} characters", cut.chars().count());
            assert_eq!((cut.chars().next(), cut.chars().last()), (text.chars().next(), text.chars().last()));
        };
        check(&format!("initializer '{long}' is damaged"), 350);
        check("a b ".repeat(30_000).trim_end(), TEXT);
        check(&format!("a{}b", "\u{1b}".repeat(70_000)), WORD);
        let sentence = "a sentence of common words ".repeat(30);
        assert_eq!(shown(&sentence), sentence);
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = serde_json::json!({ "a\u{202e}\u{7f}": "\u{e0041}\u{1b}é\n" });
        let text = json(serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| harmful(c) && c != '\n'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_guard_lets_lines_and_colours_through() {
        let check = |colours: bool, pieces: &[&[u8]], want: &str| {
            let mut out = Vec::new();
            let mut guard = Guard::new(&mut out, colours);
            pieces.iter().for_each(|piece| guard.write_all(piece).unwrap());
            guard.flush().unwrap();
            drop(guard);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check(true, &[b"\x1b[1;31mdiverged:\x1b[0m\n\tend"], "\u{1b}[1;31mdiverged:\u{1b}[0m\n\tend");
        check(true, &[b"\x1b]0;title\x07\x1b[2J\x1b[", b"31", b"m\n"], "\\u001b]0;title\\u0007\\u001b[2J\u{1b}[31m\n");
        check(true, &["é\u{202e}".as_bytes().split_at(1).0, "é\u{202e}".as_bytes().split_at(1).1], "é\\u202e");
        check(true, &[b"a\xffb"], "a\u{fffd}b");
        check(false, &[b"\x1b[1mbold\n"], "\\u001b[1mbold\n");
    }

    /// A reader who takes `room` bytes.
    struct Reader {
        room: usize,
        then: ErrorKind,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken > 0 { Ok(taken) } else { Err(self.then.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_leaves_is_no_error_and_a_full_disk_is() {
        let write = |then| {
            let mut guard = Guard::new(Reader { room: 3, then }, false);
            guard.write_all(b"first\n").and_then(|()| guard.write_all(b"second\n")).and_then(|()| guard.flush())
        };
        assert!(write(ErrorKind::BrokenPipe).is_ok());
        assert_eq!(write(ErrorKind::StorageFull).unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
