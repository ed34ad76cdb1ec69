//! Names and commands of others as Markdown that says what they say, and nothing else.

use crate::terminal::{clean, shown};

/// Text whose punctuation stays punctuation.
pub fn text(raw: &str) -> String {
    let mut out = String::new();
    for c in shown(raw).chars() {
        if "\\`*_[]<>|~&#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span: nothing in it is Markdown, and its fence is longer than any run of backticks inside.
pub fn code(raw: &str) -> String {
    let raw = shown(raw);
    if raw.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&raw) + 1);
    let pad = if raw.starts_with('`') || raw.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{raw}{pad}{fence}")
}

/// A code span in a table: there a pipe ends the cell, even inside code.
pub fn cell(raw: &str) -> String {
    code(raw).replace('|', "\\|")
}

/// A command, in full: it is for pasting.
pub fn fenced(raw: &str) -> String {
    let fence = "`".repeat(longest_run(raw).max(2) + 1);
    format!("{fence}sh\n{}\n{fence}\n", clean(raw))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_spans_hold_backticks_and_pipes() {
        assert_eq!([code("a"), code("a`b"), code("``"), code("")], ["`a`", "``a`b``", "``` `` ```", ""]);
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert_eq!(fenced("echo ```"), "````sh\necho ```\n````\n");
    }
}
