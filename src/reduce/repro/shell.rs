//! Text that a POSIX shell reads back as it was: words, comments, calls over several lines. Knows no tool.

use crate::terminal::{clean, harmful};

/// One word of the shell, whatever is in it; nothing can carry a NUL. The script itself may be shown on a terminal: what
/// that would obey is left to printf, bytes in octal.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    let text = text.replace('\0', "");
    if text.chars().any(|c| harmful(c) && c != '\n') {
        // A shell takes line ends at the end of what a command prints away.
        let (body, ends) = text.split_at(text.trim_end_matches('\n').len());
        let ends = if ends.is_empty() { String::new() } else { format!("'{ends}'") };
        return format!("\"$(printf '{}')\"{ends}", body.chars().map(for_printf).collect::<String>());
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A character in the format of printf, between single quotes.
fn for_printf(c: char) -> String {
    match c {
        '%' => "%%".to_string(),
        '\\' | '\'' => format!("\\{:03o}", u32::from(c)),
        '\n' => "\\n".to_string(),
        c if harmful(c) => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        c => c.to_string(),
    }
}

/// Comment lines. No text of the user's can end one early.
pub fn comment(text: &str) -> String {
    text.split('\n').map(|line| format!("# {}\n", clean(line))).collect()
}

/// Words of a command, each quoted.
pub fn words<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|w| quote(w.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A statement inside a function that calls `run`, each part on a line of its own; empty parts are left out.
pub fn call(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    format!("    run {}\n", parts.join(" \\\n        "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_one_word() {
        for (text, want) in [
            ("ort:fp16", "ort:fp16"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("$(rm -rf ~)`id`\n", "'$(rm -rf ~)`id`\n'"),
            ("a\0b", "'ab'"),
            ("~", "'~'"),
            ("a\u{1b}[31m'%\\\n", "\"$(printf 'a\\033[31m\\047%%\\134')\"'\n'"),
            ("\u{202e}Привет", "\"$(printf '\\342\\200\\256Привет')\""),
        ] {
            assert_eq!(quote(text), want);
        }
    }

    #[test]
    fn a_comment_ends_where_its_line_ends() {
        assert_eq!(comment("a\nb\u{1b}[31m"), "# a\n# b\\u{1b}[31m\n");
        assert_eq!(comment("a\rrm b\u{85}c"), "# a\\rrm b\\u{85}c\n");
    }

    #[test]
    fn a_call_is_broken_into_lines() {
        let parts = ["\"$tool\" run 'a b'".to_string(), String::new(), words(&["--x", "it's"])];
        assert_eq!(call(&parts), "    run \"$tool\" run 'a b' \\\n        --x 'it'\\''s'\n");
    }
}
