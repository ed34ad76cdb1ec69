//! What users write behind flags becomes numbers, paths and patterns; a mistake is one sentence.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::files;
use crate::run::check;
use crate::run::tensorrt::Range;
use crate::spec::{Spec, runner_of};

/// A SPEC, whose paths may be no UTF-8.
pub fn spec() -> impl TypedValueParser<Value = Spec> {
    OsStringValueParser::new().try_map(|text| Spec::parse(&text))
}

/// `NAME=PATH`; the path may be no UTF-8.
pub fn library() -> impl TypedValueParser<Value = (String, PathBuf)> {
    OsStringValueParser::new().try_map(|text| parse_library(&text))
}

/// A file, by its whole path: who opens it looks elsewhere otherwise.
pub fn operators() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| {
        let path = PathBuf::from(text);
        let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        if path.is_file() { Ok(absolute) } else { Err(format!("{} is no file", path.display())) }
    })
}

fn parse_library(text: &OsStr) -> Result<(String, PathBuf), String> {
    let equals = text.as_encoded_bytes().iter().position(|b| *b == b'=').filter(|at| (1..text.len() - 1).contains(at));
    let parts = equals.map(|at| (files::part(text, 0..at).into_string(), files::part(text, at + 1..text.len())));
    let Some((Ok(name), path)) = parts else { return Err(format!("'{}' is not NAME=PATH", text.to_string_lossy())) };
    let path = PathBuf::from(path);
    if path.is_file() { Ok((name, path)) } else { Err(format!("{} is no file", path.display())) }
}

/// Nobody can give another file in this place: it is there to say where it belongs.
#[derive(Clone, Debug)]
pub enum Misplaced {}

/// `bisect a.onnx b.onnx`
pub fn second_of_two(text: &str) -> Result<Misplaced, String> {
    Err(format!(
        "one model is under debugging, and the run under suspicion is told by its backend; write -c {}",
        runner_of(text)
    ))
}

/// `inspect a.onnx b.onnx`
pub fn second_to_inspect(text: &str) -> Result<Misplaced, String> {
    Err(format!("one file is inspected; to set another against it, write --against {text}"))
}

/// `convert a.onnx b.onnx`
pub fn second_to_convert(text: &str) -> Result<Misplaced, String> {
    Err(format!("one model is converted; to name the file to write, write -o {text}"))
}

/// `X` or `TENSOR=X`; the number stands behind the last '='.
pub fn parse_bound(text: &str) -> Result<(Option<String>, f64), String> {
    let (name, number) = match text.rsplit_once('=') {
        Some((name, number)) => (Some(name.to_string()), number),
        None => (None, text),
    };
    match number.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.is_finite() => Ok((name, x)),
        _ => Err(format!("'{number}' is not a tolerance; use a number such as 1e-3, or TENSOR=1e-3")),
    }
}

/// GPUs by number, each once: one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices(Vec<usize>);

impl Devices {
    /// In the order in which they were named; at least one, each once.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }
}

impl std::fmt::Display for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

/// `0,1,2`: an error for what is no number, and for one that stands there twice.
pub fn parse_devices(text: &str) -> Result<Devices, String> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut numbers: Vec<usize> = Vec::new();
    for part in text.split(',') {
        let number = part.parse().ok().filter(|_| digits(part));
        let number = number.filter(|number| *number < MOST_DEVICES);
        let number = number.ok_or_else(|| format!("'{part}' is no number of a GPU; write numbers such as 0,1,2"))?;
        if numbers.contains(&number) {
            return Err(format!("{number} is there twice; name each GPU once"));
        }
        numbers.push(number);
    }
    Ok(Devices(numbers))
}

/// No machine has as many.
const MOST_DEVICES: usize = 1024;

/// An error says in one line what is wrong with the expression.
pub fn parse_pattern(text: &str) -> Result<regex::Regex, String> {
    check::pattern(text).map_err(|e| no_pattern(&e))
}

/// The library draws where the mistake is, over several lines; the last one says what it is.
pub fn no_pattern(error: &regex::Error) -> String {
    let text = error.to_string();
    format!("no regular expression: {}", text.lines().last().unwrap_or_default().trim_start_matches("error: "))
}

/// More than none; parts of a second too.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|t| !t.is_zero());
    time.ok_or_else(|| format!("'{text}' is not a time; use seconds, such as 300 or 0.5"))
}

/// `4096`, `500M`, `1.5G`: powers of 1024.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, factor) =
        match text.trim_end_matches('B').split_at_checked(text.trim_end_matches('B').len().saturating_sub(1)) {
            Some((n, "K" | "k")) => (n, 1u64 << 10),
            Some((n, "M")) => (n, 1 << 20),
            Some((n, "G")) => (n, 1 << 30),
            _ => (text, 1),
        };
    match number.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok((x * factor as f64) as u64),
        _ => Err(format!("'{text}' is not a size; use bytes, or 500M, or 2G")),
    }
}

/// `OUT=IN`, names of tensors.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let pair = pair.ok_or_else(|| format!("'{text}' is no pair of names; write OUTPUT=INPUT"))?;
    Ok((pair.0.to_string(), pair.1.to_string()))
}

/// `NAME=MIN:OPT:MAX`, shapes as `1x3x224x224`.
pub fn parse_profile(text: &str) -> Result<Range, String> {
    let wrong =
        || format!("'{text}' is no profile; write NAME=MIN:OPT:MAX, such as x=1x3x224x224:8x3x224x224:32x3x224x224");
    let (input, shapes) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let shape =
        |part: &str| part.split('x').map(|d| d.parse::<i64>().ok().filter(|d| *d >= 0)).collect::<Option<Vec<_>>>();
    let shapes: Option<Vec<Vec<i64>>> = shapes.split(':').map(shape).collect();
    let Some([min, opt, max]) = shapes.and_then(|s| <[Vec<i64>; 3]>::try_from(s).ok()) else { return Err(wrong()) };
    let ordered = min.len() == opt.len() && opt.len() == max.len();
    let ordered = ordered && min.iter().zip(&opt).zip(&max).all(|((a, b), c)| a <= b && b <= c);
    if !ordered {
        return Err(format!(
            "'{text}': MIN, OPT and MAX must have one rank, and no dimension may shrink from one to the next"
        ));
    }
    Ok(Range { input: input.to_string(), min, opt, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_sizes() {
        assert_eq!(parse_bound("a=b=1e-3"), Ok((Some("a=b".into()), 1e-3)));
        assert_eq!(parse_bound("0"), Ok((None, 0.0)));
        assert!(parse_bound("-1").is_err() && parse_bound("t=x").is_err());
        assert_eq!(parse_bytes("1.5G"), Ok(3 << 29));
        assert_eq!(parse_bytes("500MB"), Ok(500 << 20));
        assert_eq!(parse_bytes("12"), Ok(12));
        assert!(parse_bytes("many").is_err() && parse_bytes("0").is_err());
    }

    #[test]
    fn devices() {
        let check = |text: &str, want: &[usize]| assert_eq!(parse_devices(text).unwrap().numbers(), want);
        check("0", &[0]);
        check("3,0,12", &[3, 0, 12]);
        assert_eq!(parse_devices("3,0,12").unwrap().to_string(), "3,0,12");
        for wrong in ["", ",", "0,", "0,,1", "a", "-1", "+1", "0 ,1", "1.5", "1024", "99999999999999999999999"] {
            assert!(parse_devices(wrong).unwrap_err().contains("no number of a GPU"), "{wrong}");
        }
        for wrong in ["0,0", "1,2,01"] {
            assert!(parse_devices(wrong).unwrap_err().contains("twice"), "{wrong}");
        }
    }

    #[test]
    fn profiles() {
        let range = parse_profile("a=b=1x3:2x3:8x3").unwrap();
        assert_eq!((range.input.as_str(), range.min, range.max), ("a=b", vec![1, 3], vec![8, 3]));
        for wrong in ["x", "=1:1:1", "x=1:2", "x=1:2:3:4", "x=ax1:1x1:1x1", "x=-1:1:1"] {
            assert!(parse_profile(wrong).unwrap_err().contains("is no profile"), "{wrong}");
        }
        for wrong in ["x=1:1x2:1x2", "x=4:2:8"] {
            assert!(parse_profile(wrong).unwrap_err().contains("one rank"), "{wrong}");
        }
    }
}
