//! A command line of the user's: files take the places of its placeholders, the shell runs it, and it is stopped when it
//! takes too long or the user does. Knows what files it names and how a shell reads; no model, no tensor, no meaning.

use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context;

use super::RunError;
use super::child::{Keep, Running};

/// Puts each file where its placeholder stands, as the shell must read it there. All other braces are the shell's.
pub fn fill(command: &str, files: &[(&str, &Path)]) -> anyhow::Result<String> {
    let mut line = String::new();
    let mut quotes = Quotes::default();
    let mut rest = command;
    while let Some(c) = rest.chars().next() {
        match files.iter().find(|(placeholder, _)| rest.starts_with(placeholder)) {
            Some((placeholder, path)) => {
                let text = path.to_str();
                let text = text.with_context(|| {
                    format!("{} is not UTF-8; use another folder (TMPDIR for temporary files)", path.display())
                })?;
                line.push_str(&quotes.word(text));
                rest = &rest[placeholder.len()..];
            }
            None => {
                quotes.read(c);
                line.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Ok(line)
}

/// Before a command line runs, its shell leaves a watch behind that reads a pipe which we hold: however we end, the pipe
/// closes, and the command ends with all of its process group. A line in the pipe calls the watch off.
const LEASH: &str = r#"
exec 3<&0 </dev/null
(read -r _ <&3 || kill -s KILL 0) >/dev/null 2>&1 &
exec 3<&-
exec sh -c "$1""#;

/// Runs a command line to its end, whatever that is; `None` when `limit` passed before, and it was stopped.
pub fn execute(line: &str, keep: Keep, limit: Option<Duration>) -> Result<Option<(Running, ExitStatus)>, RunError> {
    let did_not = |e: io::Error| RunError::Missing(format!("a command needs the shell 'sh', which did not start: {e}"));
    let (theirs, mut ours) = io::pipe().map_err(did_not)?;
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "sh", line]).stdin(theirs);
    let running = Running::spawn_keeping(&mut command, keep).map_err(did_not)?;
    let status = running.wait_interruptibly(limit)?;
    // What the command leaves behind on purpose may go on.
    drop(ours.write_all(b"\n"));
    Ok(status.map(|status| (running, status)))
}

/// That the time limit of a command passed; `name` is where the user sets it.
pub fn overdue(limit: Option<Duration>, name: &str) -> String {
    format!("not done within {} s ({name}), so it was stopped", limit.unwrap_or_default().as_secs_f64())
}

/// Which quotes a place in a command line is in: the innermost last, none at its start.
#[derive(Default)]
struct Quotes {
    within: Vec<Quote>,
    /// The character before was a backslash that counts.
    escaped: bool,
    /// The character before was a dollar sign that counts.
    dollar: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    Single,
    Double,
    /// `(...)` and `$(...)`: within them quoting starts anew.
    Parentheses,
}

impl Quotes {
    fn read(&mut self, c: char) {
        let (escaped, dollar) = (mem::take(&mut self.escaped), mem::take(&mut self.dollar));
        if escaped {
            return;
        }
        let within = self.within.last().copied();
        match (within, c) {
            (Some(Quote::Single), '\'') | (Some(Quote::Double), '"') | (Some(Quote::Parentheses), ')') => {
                self.within.pop();
            }
            (Some(Quote::Single), _) => {}
            (_, '\\') => self.escaped = true,
            (_, '$') => self.dollar = true,
            (_, '(') if dollar || within != Some(Quote::Double) => self.within.push(Quote::Parentheses),
            (Some(Quote::Double), _) => {}
            (_, '\'') => self.within.push(Quote::Single),
            (_, '"') => self.within.push(Quote::Double),
            _ => {}
        }
    }

    /// `text` as a part of one word at this place. Ordinary paths stay as they are, for whoever reads the line.
    fn word(&self, text: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
        if text.chars().all(plain) {
            return text.to_string();
        }
        let closed = text.replace('\'', r"'\''");
        match self.within.last() {
            Some(Quote::Single) => closed,
            Some(Quote::Double) => {
                let escape = |c: char| if r#"\"$`"#.contains(c) { format!("\\{c}") } else { c.to_string() };
                text.chars().map(escape).collect()
            }
            Some(Quote::Parentheses) | None => format!("'{closed}'"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// What the shell makes of it.
    fn printed(line: &str) -> String {
        let (running, status) = execute(line, Keep::LAST_WORDS, None).unwrap().unwrap();
        assert!(status.success(), "{line}: {:?}", running.ending(status));
        String::from_utf8(running.output()[0].clone()).unwrap()
    }

    #[test]
    fn paths_are_one_word_each() {
        let (model, inputs, outputs) = (Path::new("/t/m.onnx"), Path::new("/a b"), Path::new("/i's"));
        let files = [("{model}", model), ("{inputs}", inputs), ("{outputs}", outputs)];
        let line = fill("run '{model}' {inputs} {outputs}", &files);
        assert_eq!(line.unwrap(), r"run '/t/m.onnx' '/a b' '/i'\''s'");
    }

    #[test]
    fn the_shell_reads_the_path_that_was_put_in() {
        let paths =
            ["/t/m.onnx", "/a b", "/i's", r#"/q"q"#, "/$HOME", "/`x`", r"/b\s", "/a;b&c|d", "/*", "/(p)", "/é\n"];
        let places = [
            "printf %s {model}",
            "printf %s '{model}'",
            r#"printf %s "{model}""#,
            r#"printf %s "$(printf %s {model}; echo ' ')" | tr -d ' '; : {model}"#,
            r#"printf '%s' "$(printf %s "{model}")""#,
            r#"(printf %s {model}; printf '')"#,
            r#": \" \' "\"" "it's" '"' '\' ')'; printf %s {model}"#,
            r#": "it's \" $(echo ')' \) ")")"; printf %s "{model}""#,
            "{ printf %s {model}; }",
        ];
        for path in paths {
            for place in places {
                let line = fill(place, &[("{model}", Path::new(path))]).unwrap();
                // `$(...)` drops the last line break, and `tr` the blanks.
                let want = if place.contains("tr -d") { path.replace(' ', "") } else { path.to_string() };
                let want = if place.contains("%s' \"$(") { want.trim_end().to_string() } else { want };
                assert_eq!(printed(&line), want, "{path} in {place}: {line}");
            }
        }
    }

    #[test]
    fn only_the_placeholders_are_filled_in() {
        let files = [("{model}", Path::new("/{inputs}")), ("{inputs}", Path::new("/i"))];
        let line = fill("awk '{print $1}' ${X:-{a,b}} {outputs} {model} {inputs}{inputs}", &files).unwrap();
        assert_eq!(line, "awk '{print $1}' ${X:-{a,b}} {outputs} '/{inputs}' /i/i");
    }

    #[test]
    fn a_path_that_is_no_text_is_refused() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let error = fill("run {model}", &[("{model}", Path::new(OsStr::from_bytes(b"/\xff")))]).unwrap_err();
        assert!(error.to_string().contains("is not UTF-8"), "{error}");
    }
}
