//! Numbers, errors, names and command lines as a reader wants them, in whichever medium. Knows no report and no markup.

pub use crate::terminal::{clean, elide};

use super::Real;
use crate::terminal::harmful;

/// Three significant digits: `0`, `0.0123`, `4.56`, `123`, `1.23e-4`, `Inf`, `NaN`.
pub fn number(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Inf".into() } else { "-Inf".into() };
    }
    if x == 0.0 {
        return "0".into();
    }
    // Rounding first, so that 999.7 is written as 1.00e3 and not as 1000.
    let scientific = format!("{x:.2e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    match exponent {
        -2..=2 => format!("{x:.*}", (2 - exponent) as usize),
        _ => scientific,
    }
}

/// An error as a reader wants it: where there is no number, the values had NaN or infinities of their own.
pub fn error(error: Real) -> String {
    if error.0.is_finite() { number(error.0) } else { "NaN or Inf".into() }
}

/// As [`number`], but a value that the user typed keeps its own digits: `0.00001` is `1e-5`.
pub fn setting(x: f64) -> String {
    match x.abs() {
        size if !size.is_finite() => number(x),
        size if size == 0.0 || (1e-3..1e6).contains(&size) => format!("{x}"),
        _ => format!("{x:e}"),
    }
}

/// One decimal: decibels never need more.
pub fn decibels(x: f64) -> String {
    if x.is_finite() { format!("{x:.1}") } else { number(x) }
}

/// Six decimals, and never rounded up to a perfect 1.
pub fn cosine(x: f64) -> String {
    if (0.999_999_5..1.0).contains(&x) {
        ">0.999999".into()
    } else if x == 1.0 {
        "1".into()
    } else if x.is_finite() {
        format!("{x:.6}")
    } else {
        number(x)
    }
}

/// `4,096`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 node`, `2 nodes`.
pub fn plural(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// As a sentence begins.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// `118 ms`, `42.1 s`, `12 min 5 s`.
pub fn seconds(s: f64) -> String {
    if (0.0..0.9995).contains(&s) {
        return format!("{:.0} ms", s * 1e3);
    }
    if s >= 120.0 && s.is_finite() {
        let whole = s.round() as u64;
        return format!("{} min {} s", whole / 60, whole % 60);
    }
    format!("{} s", number(s))
}

/// `17.6 MB`.
pub fn bytes(n: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.iter().find(|(unit, _)| n >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", n as f64 / *unit as f64),
        None => format!("{n} B"),
    }
}

/// `[0,3,17]`, without spaces so that no line breaks inside it.
pub fn index(at: &[usize]) -> String {
    let parts: Vec<String> = at.iter().map(usize::to_string).collect();
    format!("[{}]", parts.join(","))
}

/// `float32[1,128]`.
pub fn type_of(dtype: &str, shape: &[usize]) -> String {
    if dtype.is_empty() {
        return "-".into();
    }
    format!("{}{}", clean(dtype), index(shape))
}

/// The last part of a path, whichever system wrote it.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or("model")
}

/// At most `width` characters; the end is left out, because sentences begin with what matters.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `width` characters, broken at spaces; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let size = word.chars().count();
        if used > 0 && used + 1 + size > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += size;
        }
    }
    lines
}

/// The command line, quoted so that it can be pasted into a POSIX shell.
pub fn shell(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false if word.contains(harmful) => format!("$'{}'", word.chars().map(ansi_c).collect::<String>()),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// A character of bash's `$'...'`, the only quoting that shows what a terminal would obey: its bytes in octal, which every
/// locale reads alike.
fn ansi_c(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        '\n' => "\\n".into(),
        c if harmful(c) => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (x, want) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1.00"),
            (0.012345, "0.0123"),
            (0.0099999, "0.0100"),
            (0.0099, "9.90e-3"),
            (123.4, "123"),
            (999.7, "1.00e3"),
            (65504.0, "6.55e4"),
            (-1.234e-4, "-1.23e-4"),
            (f64::INFINITY, "Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(x), want, "{x}");
        }
        for (x, want) in [(1e-5, "1e-5"), (0.005, "0.005"), (2.5e-4, "2.5e-4"), (0.0, "0"), (1.0, "1"), (1e9, "1e9")] {
            assert_eq!(setting(x), want, "{x}");
        }
    }

    #[test]
    fn cosine_never_rounds_up_to_one() {
        for (x, want) in
            [(1.0, "1"), (0.99999999, ">0.999999"), (0.9999, "0.999900"), (-0.5, "-0.500000"), (f64::NAN, "NaN")]
        {
            assert_eq!(cosine(x), want, "{x}");
        }
    }

    #[test]
    fn counts_sizes_and_times() {
        assert_eq!([count(7), count(4096), count(1_234_567)], ["7", "4,096", "1,234,567"]);
        assert_eq!([plural(1, "node"), plural(0, "node"), plural(1000, "node")], ["1 node", "0 nodes", "1,000 nodes"]);
        assert_eq!(
            [seconds(0.0), seconds(0.1184), seconds(4.0), seconds(725.2)],
            ["0 ms", "118 ms", "4.00 s", "12 min 5 s"]
        );
        assert_eq!([bytes(12), bytes(17_600_000), bytes(2_500_000_000)], ["12 B", "17.6 MB", "2.5 GB"]);
    }

    #[test]
    fn names_are_harmless_and_short() {
        assert_eq!(elide("/encoder/layer.0/MatMul_output_0", 16), "/encode…output_0");
        assert_eq!([cut("sentence", 8), cut("sentence", 4)], ["sentence", "sen…"]);
        assert_eq!([elide("abc", 3), elide("abcd", 1), elide("abcd", 0)], ["abc", "…", ""]);
        assert_eq!([file_name("a/b.onnx"), file_name(r"C:\m\b.onnx"), file_name("")], ["b.onnx", "b.onnx", "model"]);
    }

    #[test]
    fn commands_can_be_pasted() {
        let command = ["layerdiff", "my model.onnx", "exec:cmd {model}", "it's", "", "a\nb\u{1b}", "\u{202e}\u{e0041}"]
            .map(String::from);
        assert_eq!(
            shell(&command),
            r"layerdiff 'my model.onnx' 'exec:cmd {model}' 'it'\''s' '' $'a\nb\033' $'\342\200\256\363\240\201\201'"
        );
    }

    proptest! {
        #[test]
        fn elide_fits_and_keeps_both_ends(text in "\\PC{0,40}", width in 0usize..50) {
            let short = elide(&text, width);
            prop_assert!(short.chars().count() <= width);
            if width >= 3 {
                prop_assert_eq!(short.chars().next(), text.chars().next());
                prop_assert_eq!(short.chars().last(), text.chars().last());
            }
        }

        #[test]
        fn wrap_loses_nothing_and_fits(text in "[a-z ]{0,80}", width in 1usize..30) {
            let lines = wrap(&text, width);
            let words = |s: &str| s.split_whitespace().map(String::from).collect::<Vec<_>>();
            prop_assert_eq!(words(&lines.join(" ")), words(&text));
            for line in &lines {
                prop_assert!(line.chars().count() <= width || !line.trim().contains(' '), "{:?}", line);
            }
        }
    }
}
