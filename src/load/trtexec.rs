//! The outputs that `trtexec --exportOutput` writes: a JSON array of name, dimensions ("6x5") and values. Its numbers are text of
//! six digits, and it names no element type.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Number;

use crate::tensor::{DType, Tensor, Tensors};

/// Is this text what trtexec writes? By its first object.
pub fn is_export(json: &[u8]) -> bool {
    let start = &json[..json.len().min(4096)];
    let text = String::from_utf8_lossy(start);
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    plain.starts_with("[{\"name\":") && plain.contains("\"dimensions\":\"")
}

/// The tensors of one run.
pub fn parse(json: &[u8], path: &Path) -> anyhow::Result<Tensors> {
    let parsed = || -> anyhow::Result<Tensors> {
        let text = words_quoted(json);
        let arrays: Vec<Array> = serde_json::from_slice(&text)
            .map_err(|e| anyhow::anyhow!("what trtexec --exportOutput wrote is not complete ({e}); export it again"))?;
        arrays.into_iter().map(Array::tensor).collect()
    };
    parsed().with_context(|| path.display().to_string())
}

#[derive(Deserialize)]
struct Array {
    name: String,
    dimensions: String,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(Number),
    Truth(bool),
    /// `nan`, `inf`
    Word(String),
}

impl Array {
    fn tensor(self) -> anyhow::Result<(String, Tensor)> {
        let Array { name, dimensions, values } = self;
        let whose = || format!("trtexec's '{name}'");
        let shape = shape(&dimensions).with_context(|| format!("{}: its dimensions are '{dimensions}'", whose()))?;
        let elements: usize = shape.iter().product();
        ensure!(
            elements == values.len(),
            "{}: {dimensions} has {elements} elements, and there are {} values; export it again",
            whose(),
            values.len()
        );
        let tensor = match large(&values) {
            Some(whole) => Tensor::from_vec(DType::Int64, shape, whole),
            None => {
                let values: Option<Vec<f32>> = values.iter().map(Value::real).collect();
                let values = values.with_context(|| format!("{}: a value is no number; export it again", whose()))?;
                Tensor::from_vec(DType::Float32, shape, values)
            }
        };
        Ok((name, tensor))
    }
}

impl Value {
    fn real(&self) -> Option<f32> {
        match self {
            Value::Number(number) => Some(number.as_f64()? as f32),
            Value::Truth(truth) => Some(f32::from(u8::from(*truth))),
            Value::Word(word) => word.parse().ok(),
        }
    }
}

/// Whole numbers, where one of them is too large to be exact in float32: ids, not floats that happen to be whole.
fn large(values: &[Value]) -> Option<Vec<i64>> {
    let whole = |value: &Value| if let Value::Number(number) = value { number.as_i64() } else { None };
    let whole: Vec<i64> = values.iter().map(whole).collect::<Option<_>>()?;
    whole.iter().any(|n| n.unsigned_abs() > 1 << 24).then_some(whole)
}

/// `6x5`; of a scalar nothing.
fn shape(text: &str) -> Option<Vec<usize>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split('x').map(|size| size.trim().parse().ok()).collect()
}

/// With `nan` and `inf`, which are no JSON, in quotes.
fn words_quoted(json: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted = Vec::new();
    let (mut inside, mut escaped, mut from, mut at) = (false, false, 0, 0);
    while at < json.len() {
        let c = json[at];
        match (inside, c) {
            (true, b'\\') => escaped = !escaped,
            (_, b'"') if !escaped => inside = !inside,
            (false, b'n' | b'i' | b'-') => {
                let end = at + json[at..].iter().take_while(|c| c.is_ascii_alphabetic() || **c == b'-').count();
                let word = json[at..end].to_ascii_lowercase();
                if matches!(&word[..], b"nan" | b"-nan" | b"inf" | b"-inf" | b"infinity" | b"-infinity") {
                    quoted.extend_from_slice(&json[from..at]);
                    quoted.extend([&b"\""[..], &word, b"\""].concat());
                    (from, at) = (end, end);
                    continue;
                }
            }
            _ => {}
        }
        escaped = escaped && c == b'\\';
        at += 1;
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    quoted.extend_from_slice(&json[from..]);
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tensors, String> {
        parse(text.as_bytes(), Path::new("out.json")).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn what_trtexec_writes() {
        let text = "[\n  { \"name\" : \"y\",\n    \"dimensions\" : \"2x2\"\n  , \"values\" : [ 0.5, -1, nan, -inf ]\n  }\n  , \
                    { \"name\" : \"n\\\"inf\", \"dimensions\" : \"\", \"values\" : [ 3000000000 ] }\n]";
        assert!(is_export(text.as_bytes()));
        let tensors = read(text).unwrap();
        let y = &tensors["y"];
        assert_eq!((y.dtype, y.shape.as_slice()), (DType::Float32, &[2, 2][..]));
        let values = y.view::<f32>();
        assert!(values[0] == 0.5 && values[1] == -1.0 && values[2].is_nan() && values[3] == f32::NEG_INFINITY);
        let ids = &tensors["n\"inf"];
        assert_eq!((ids.dtype, ids.shape.len(), ids.view::<i64>()[0]), (DType::Int64, 0, 3_000_000_000));
        assert!(!is_export(b"[{\"x\": {\"array\": \"\"}}]"));
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, why: &str| {
            let told = read(text).unwrap_err();
            assert!(told.contains(why) && told.starts_with("out.json: "), "{told}");
        };
        check(r#"[{"name": "y", "dimensions": "2x2", "values": [1]}]"#, "2x2 has 4 elements, and there are 1 values");
        check(r#"[{"name": "y", "dimensions": "2x2", "values": [1"#, "is not complete");
        check(r#"[{"name": "y", "dimensions": "axb", "values": []}]"#, "its dimensions are 'axb'");
        check(r#"[{"name": "y", "dimensions": "1", "values": ["no"]}]"#, "a value is no number");
    }
}
