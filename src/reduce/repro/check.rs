//! The script for a failure that a command of the user's shows: that command, on these files, and what its end means.

use super::head;
use super::shell::{comment, quote};
use crate::reduce::story::{NPZ_INPUTS, Story};

/// The whole script. The command may name files of the folder it is run in, so that folder is the caller's.
pub fn script(story: &Story, command: &str, flags: &[String]) -> String {
    let mut out = head(story, "usage: sh repro.sh    where the files are that the command below names");
    out +=
        "\n# The command gets copies, which it may change or remove, by paths that are one plain word in any quotes.\n";
    out += &format!("command={}\n", quote(command));
    out += r#"place=${TMPDIR:-/tmp}
case $place in
[!/]* | *[!A-Za-z0-9/._+-]*) place=/tmp ;;
esac
copy=$(mktemp -d "$place/repro.XXXXXX") || exit 3
trap 'rm -rf "$copy"' EXIT
for file in "$here"/model.onnx*; do
    cp "$file" "$copy" || exit 3
done
"#;
    let inputs = format!("; s|{{inputs}}|$copy/{NPZ_INPUTS}|g");
    let inputs = if command.contains("{inputs}") {
        out += &format!("cp \"$here\"/{NPZ_INPUTS} \"$copy\" || exit 3\n");
        inputs.as_str()
    } else {
        ""
    };
    out += &format!(
        "command=$(printf '%s' \"$command\" | sed \"s|{{model}}|$copy/model.onnx|g{inputs}\")\n\nshow sh -c \"$command\"\n"
    );
    out + &judged(&Rules::of(flags))
}

/// What the end of a check means. Without any: 0 passes, 1 fails, all else tells nothing.
#[derive(Default)]
struct Rules {
    pass_codes: Vec<i32>,
    fail_codes: Vec<i32>,
    /// What it prints decides.
    fail_regexes: Vec<String>,
}

impl Rules {
    /// Read from the words of a command line.
    fn of(flags: &[String]) -> Rules {
        let mut rules = Rules::default();
        for pair in flags.chunks_exact(2) {
            match pair[0].as_str() {
                "--pass-code" => rules.pass_codes.extend(pair[1].parse::<i32>().ok()),
                "--fail-code" => rules.fail_codes.extend(pair[1].parse::<i32>().ok()),
                "--fail-regex" => rules.fail_regexes.push(pair[1].clone()),
                _ => {}
            }
        }
        rules
    }
}

/// Runs the command, and says by the exit status what its end means.
fn judged(rules: &Rules) -> String {
    let passing =
        codes(std::iter::once(0).chain(rules.pass_codes.iter().copied()).filter(|c| !rules.fail_codes.contains(c)));
    let passes = if passing.is_empty() { String::new() } else { format!("{passing}) exit 0 ;;\n") };
    let failing = match rules.fail_codes.as_slice() {
        [] => "1".to_string(),
        given => codes(given.iter().copied()),
    };
    if rules.fail_regexes.is_empty() {
        return format!(
            "sh -c \"$command\" </dev/null\nstatus=$?\ncase $status in\n{failing}) exit 1 ;;\n{passes}*) exit 3 ;;\nesac\n"
        );
    }
    if let Some(foreign) = rules.fail_regexes.iter().find(|r| !portable(r)) {
        let remark = format!(
            "It fails when it prints what matches '{foreign}', which grep would read otherwise: see for yourself."
        );
        return format!("{}sh -c \"$command\" </dev/null\nexit 3\n", comment(&remark));
    }
    let patterns: Vec<String> = rules.fail_regexes.iter().map(|r| format!("-e {}", quote(r))).collect();
    let mut out = format!(
        "output=$(sh -c \"$command\" </dev/null 2>&1)\nstatus=$?\nprintf '%s\\n' \"$output\"\n\
         found() {{\n    printf '%s\\n' \"$output\" | grep -Eq {}\n}}\n",
        patterns.join(" ")
    );
    out += &match rules.fail_codes.is_empty() {
        true => format!("found && exit 1\ncase $status in\n{passes}*) exit 3 ;;\nesac\n"),
        false => format!("case $status in\n{failing}) found && exit 1; exit 3 ;;\n{passes}*) exit 3 ;;\nesac\n"),
    };
    out
}

fn codes(codes: impl Iterator<Item = i32>) -> String {
    let mut texts: Vec<String> = codes.map(|c| c.to_string()).collect();
    texts.dedup();
    texts.join(" | ")
}

/// Does grep -E read this regular expression as layerdiff does? Rather no than a wrong answer.
fn portable(regex: &str) -> bool {
    let chars: Vec<char> = regex.chars().collect();
    let foreign = |pair: &[char]| match pair {
        ['\\', c] => c.is_alphanumeric() || *c == '<' || *c == '>',
        ['(' | '*' | '+' | '?' | '}', '?'] => true,
        _ => false,
    };
    // Classes of characters have rules of their own for backslashes and sets.
    let classes =
        regex.contains('[') && (regex.contains('\\') || regex.contains("&&") || regex.matches('[').count() > 1);
    regex.is_ascii() && !regex.contains(char::is_control) && !classes && !chars.windows(2).any(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grep_reads_alike_is_portable() {
        for regex in ["mismatch", "^FAILED", "a|b+", r"err\.", "[0-9]+ NaN", "(x){2}", "$"] {
            assert!(portable(regex), "{regex}");
        }
        for regex in [r"\d+", r"\bx", "(?i)error", "a+?", "[[:alpha:]]x[0]", r"[\]]", "é", "a\nb", r"\<a"] {
            assert!(!portable(regex), "{regex}");
        }
    }
}
