//! What ONNX Runtime says of a failure, in one line.

/// Why ONNX Runtime refused, and what it may have missed.
pub fn reason<T>(error: &ort::Error<T>, lacks: Option<&str>) -> String {
    let why = one_line(&error.to_string());
    lacks.map_or(why.clone(), |lacks| format!("{why} ({lacks})"))
}

/// The first line of a foreign message; of one that a C++ compiler wrote, the two ends.
pub fn one_line(message: &str) -> String {
    const ENDS: usize = 140;
    let line = message.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("no reason given");
    let line = line.trim_end_matches(['.', ':', ' ']);
    let length = line.chars().count();
    if length <= 2 * ENDS {
        return line.to_string();
    }
    let (start, end): (String, String) =
        (line.chars().take(ENDS).collect(), line.chars().skip(length - ENDS).collect());
    format!("{start} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_messages_become_one_line() {
        assert_eq!(one_line("\n  the model is bad.\nat x.cc:12"), "the model is bad");
        assert_eq!(one_line(""), "no reason given");
        let long = one_line(&format!("start{}end", "ä".repeat(1000)));
        assert!(long.starts_with("startä") && long.ends_with("äend") && long.chars().count() == 283, "{long}");
    }
}
