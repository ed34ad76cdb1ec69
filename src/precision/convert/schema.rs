//! Which float types each operator takes, opset by opset: a table made from the ONNX schemas. Knows no model.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::tensor::DType;

/// Made by scripts/schema_types.py.
const TABLE: &str = include_str!("float_types.txt");

/// What one version of an operator takes and gives, a letter for each parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature {
    inputs: &'static str,
    outputs: &'static str,
}

/// Versions of an operator, oldest first.
type Versions = Vec<(i64, Signature)>;

static OPERATORS: LazyLock<HashMap<&'static str, Versions>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, versions)| (name, parse(versions))).collect()
});

/// The operator as `opset` has it; `None` if the table does not know it.
pub fn find(domain: &str, op_type: &str, opset: i64) -> Option<Signature> {
    let versions = match domain {
        "" | "ai.onnx" => OPERATORS.get(op_type)?,
        _ => OPERATORS.get(format!("{domain}:{op_type}").as_str())?,
    };
    versions.iter().rev().find(|(since, _)| *since <= opset).map(|(_, signature)| *signature)
}

impl Signature {
    /// May the input at this position be of type `low` (float16 or bfloat16)?
    pub fn takes(self, slot: usize, low: DType) -> bool {
        allows(self.inputs, slot, low)
    }

    /// May the output at this position be of type `low` (float16 or bfloat16)?
    pub fn gives(self, slot: usize, low: DType) -> bool {
        allows(self.outputs, slot, low)
    }
}

fn allows(letters: &str, slot: usize, low: DType) -> bool {
    let repeats = letters.ends_with('*');
    let letters = letters.trim_end_matches('*').as_bytes();
    let letter = letters.get(slot).or(letters.last().filter(|_| repeats));
    match low {
        DType::Float16 => matches!(letter, Some(b'h' | b'a')),
        DType::Bfloat16 => matches!(letter, Some(b'b' | b'a')),
        _ => false,
    }
}

/// `7 aa>a 13 ...`
fn parse(versions: &'static str) -> Versions {
    let words: Vec<&str> = versions.split(' ').collect();
    let version = |pair: &[&'static str]| {
        let (inputs, outputs) = pair.get(1)?.split_once('>')?;
        Some((pair[0].parse().ok()?, Signature { inputs, outputs }))
    };
    words.chunks(2).filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|l| !l.starts_with('#'));
        for line in lines {
            let (name, versions) = line.split_once(' ').unwrap();
            assert_eq!(OPERATORS[name].len() * 2, versions.split(' ').count(), "{line}");
        }
    }

    #[test]
    fn opsets_differ() {
        let (half, brain) = (DType::Float16, DType::Bfloat16);
        let check = |op: &str, opset: i64, slot: usize, low: DType, want: (bool, bool)| {
            let found = find("", op, opset).unwrap();
            assert_eq!((found.takes(slot, low), found.gives(0, low)), want, "{op} {opset} {slot} {low}");
        };
        check("Relu", 6, 0, half, (true, true));
        check("Relu", 12, 0, brain, (false, false));
        check("Relu", 13, 0, brain, (true, true));
        check("Relu", 99, 0, brain, (true, true));
        check("Resize", 13, 2, half, (false, true));
        check("DequantizeLinear", 13, 1, half, (false, false));
        check("DequantizeLinear", 19, 1, half, (true, true));
        check("Concat", 13, 7, brain, (true, true));
        check("Range", 11, 0, half, (false, false));
        assert_eq!(find("", "Relu", 0), None);
        assert_eq!(find("com.microsoft", "Relu", 13), None);
        assert!(!find("ai.onnx.ml", "Scaler", 1).unwrap().gives(0, half));
    }
}
