//! What the operators of ONNX, and of ONNX Runtime, take in each version: names of inputs, attributes, defaults. The table beside this
//! file is generated (`scripts/schemas.py`). What an operator computes is not here.

use std::collections::HashMap;

use super::held::Setting;

const TABLE: &str = include_str!("schemas.tsv");

/// All operators that are known.
pub struct Schemas(HashMap<String, Vec<Schema>>);

/// An operator from a version on.
#[derive(Debug)]
pub struct Schema {
    /// The version of the domain in which it came to be so.
    pub since: i64,
    /// By position.
    pub inputs: Vec<Input>,
    attributes: Vec<(&'static str, Option<Setting>)>,
}

/// What an operator reads.
#[derive(Debug)]
pub struct Input {
    /// As the operator calls it.
    pub name: &'static str,
    /// The first of any number.
    pub variadic: bool,
}

impl Schemas {
    /// Reads the table.
    pub fn new() -> Schemas {
        let mut all: HashMap<_, Vec<Schema>> = HashMap::new();
        for (domain, op_type, schema) in TABLE.lines().filter_map(line) {
            all.entry(key(domain, op_type)).or_default().push(schema);
        }
        all.values_mut().for_each(|versions| versions.sort_by_key(|schema| schema.since));
        Schemas(all)
    }

    /// What `op_type` is in this version of the domain; `None` for operators that are not known.
    pub fn of(&self, domain: &str, op_type: &str, version: i64) -> Option<&Schema> {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        let versions = self.0.get(&key(domain, op_type))?;
        versions.iter().rev().find(|schema| schema.since <= version)
    }
}

impl Default for Schemas {
    fn default() -> Schemas {
        Schemas::new()
    }
}

impl Schema {
    /// Is there an attribute of this name?
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|(name, _)| *name == attribute)
    }

    /// What the attribute is where it is left out, if the schema says so.
    pub fn default(&self, attribute: &str) -> Option<&Setting> {
        self.attributes.iter().find(|(name, _)| *name == attribute)?.1.as_ref()
    }

    /// Does it take the same, and say the same where it is left out? Then only element types were added in between.
    pub fn is_like(&self, other: &Schema) -> bool {
        let names =
            |schema: &Schema| schema.inputs.iter().map(|input| (input.name, input.variadic)).collect::<Vec<_>>();
        self.since == other.since || (names(self) == names(other) && self.attributes == other.attributes)
    }

    /// Names of all attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &'static str> {
        self.attributes.iter().map(|(name, _)| *name)
    }

    /// The name of the input at `slot`; inputs of any number are counted.
    pub fn input(&self, slot: usize) -> Option<String> {
        match self.inputs.get(slot) {
            Some(input) if !input.variadic => Some(input.name.to_string()),
            _ => {
                let last = self.inputs.last().filter(|input| input.variadic)?;
                Some(format!("{}[{}]", last.name, slot + 1 - self.inputs.len()))
            }
        }
    }

    /// The position of an input of this name, in whatever case.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| !input.variadic && same_name(input.name, name))
    }
}

fn key(domain: &str, op_type: &str) -> String {
    format!("{domain}\t{op_type}")
}

/// Attributes became inputs under their own name, in capitals (TopK) or under another (Pad).
pub fn same_name(a: &str, b: &str) -> bool {
    plain_name(a) == plain_name(b)
}

/// The one name of an attribute and of the input that it became.
pub fn plain_name(name: &str) -> String {
    match name {
        "constant_value" => "value".to_string(),
        other => other.to_lowercase(),
    }
}

fn line(text: &'static str) -> Option<(&'static str, &'static str, Schema)> {
    let mut fields = text.split('\t');
    let (domain, op_type, since) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
    let words = |text: Option<&'static str>| text.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let input = |word: &'static str| Input { name: word.trim_end_matches(['?', '*']), variadic: word.ends_with('*') };
    let attribute = |word: &'static str| match word.split_once('=') {
        Some((name, default)) => (name, Setting::read(default)),
        None => (word, None),
    };
    let inputs = words(fields.next()).map(input).collect();
    let attributes = words(fields.next()).map(attribute).collect();
    Some((domain, op_type, Schema { since, inputs, attributes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_defaults_of_their_own() {
        let schemas = Schemas::new();
        let axis = |version| schemas.of("", "Softmax", version).unwrap().default("axis").cloned();
        assert_eq!(axis(12), Some(Setting::Ints(vec![1])));
        assert_eq!(axis(13), Some(Setting::Ints(vec![-1])));
        let clip = schemas.of("ai.onnx", "Clip", 13).unwrap();
        assert_eq!((clip.slot("max"), clip.has("max")), (Some(2), false));
        assert!(schemas.of("", "Clip", 10).unwrap().has("max"));
        let mode = schemas.of("", "DepthToSpace", 17).unwrap().default("mode").cloned();
        assert_eq!(mode, Some(Setting::Text(vec!["DCR".into()])));
        assert_eq!(schemas.of("", "Concat", 13).unwrap().input(1).as_deref(), Some("inputs[1]"));
        assert!(schemas.of("com.microsoft", "MatMulNBits", 1).is_some());
        assert!(schemas.of("", "NoSuchOperator", 13).is_none());
    }
}
