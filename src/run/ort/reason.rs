//! What ONNX Runtime says of a failure, in one line.

/// How failures are told.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Libraries that a model may need and that are nowhere.
    pub lacks: Option<String>,
    /// Everything that is said, and not the first line: a provider names the node that it cannot do wherever it likes.
    pub whole: bool,
}

impl Words {
    /// Why ONNX Runtime refused, and what it may have missed.
    pub fn of<T>(&self, error: &ort::Error<T>) -> String {
        let why = error.to_string();
        let why = if self.whole { whole(&why) } else { one_line(&why) };
        self.lacks.as_ref().map_or(why.clone(), |lacks| format!("{why} ({lacks})"))
    }
}

/// The first line of a foreign message; of one that a C++ compiler wrote, the two ends.
pub fn one_line(message: &str) -> String {
    const ENDS: usize = 140;
    let line = message.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("no reason given");
    let line = line.trim_end_matches(['.', ':', ' ']);
    ends(line, ENDS)
}

/// All lines of a foreign message as one; only of a book the two ends.
pub fn whole(message: &str) -> String {
    const ENDS: usize = 2000;
    let lines: Vec<&str> =
        message.lines().map(|line| line.trim().trim_end_matches(['.', ':', ' '])).filter(|l| !l.is_empty()).collect();
    match lines.is_empty() {
        true => "no reason given".to_string(),
        false => ends(&lines.join("; "), ENDS),
    }
}

fn ends(line: &str, most: usize) -> String {
    let length = line.chars().count();
    if length <= 2 * most {
        return line.to_string();
    }
    let (start, end): (String, String) =
        (line.chars().take(most).collect(), line.chars().skip(length - most).collect());
    format!("{start} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_refusal_is_kept_whole() {
        let told =
            whole("Exception during initialization: Check failed\n  at x.cc:12:\n\nnode 'unique' is not supported.\n");
        assert_eq!(told, "Exception during initialization: Check failed; at x.cc:12; node 'unique' is not supported");
        assert_eq!(whole(" \n"), "no reason given");
        assert_eq!(whole(&"x".repeat(5000)).chars().count(), 4003);
    }

    #[test]
    fn foreign_messages_become_one_line() {
        assert_eq!(one_line("\n  the model is bad.\nat x.cc:12"), "the model is bad");
        assert_eq!(one_line(""), "no reason given");
        let long = one_line(&format!("start{}end", "ä".repeat(1000)));
        assert!(long.starts_with("startä") && long.ends_with("äend") && long.chars().count() == 283, "{long}");
    }
}
