//! Two files on the terminal: whether they fit, then what differs inside.

use super::headed;
use super::table::some;
use crate::found::words::{bytes, clean, plural};
use crate::inspect::facts::{Differences, Facts, Mismatch};
use crate::show::page::{Block, Fact, Role};

/// Names told of each difference; `--nodes` tells all.
const NAMES: usize = 8;

/// The verdict on their interfaces, and the differences inside; `all` tells every name.
pub fn blocks(subject: &Facts, other: &Facts, found: &Differences, all: bool) -> Vec<Block> {
    let (role, word, rest) = match (found.mismatches.len(), found.narrower.len()) {
        (0, 0) => {
            (Role::Good, "same interface", "inputs and outputs have the same names, types and shapes".to_string())
        }
        (0, _) => {
            let text = "names and types agree, but not every shape of the one suits the other";
            (Role::Good, "same interface", text.to_string())
        }
        (n, _) => (Role::Bad, "mismatch", format!("{} of inputs and outputs", plural(n, "difference"))),
    };
    let told = |role, one: &Mismatch| Fact { role, ..Fact::new(label(one), one.text.clone()) };
    let mut facts: Vec<Fact> = found.mismatches.iter().map(|one| told(Role::Bad, one)).collect();
    facts.extend(found.narrower.iter().map(|one| told(Role::Doubt, one)));
    facts.extend([Fact::new("first", file(subject)), Fact::new("other", file(other))]);
    for inside in &found.inside {
        let most = if all { usize::MAX } else { NAMES };
        let names = if inside.names.is_empty() { String::new() } else { format!(": {}", some(&inside.names, most)) };
        facts.push(Fact::new("inside", format!("{}{names}", inside.text)));
    }
    if found.inside.is_empty() {
        facts.push(Fact::new("inside", "no difference found"));
    }
    vec![headed(role, word, rest, facts)]
}

fn label(mismatch: &Mismatch) -> &'static str {
    match mismatch.code {
        "missing" => "missing",
        "dtype" => "type",
        "narrower" => "limit",
        _ => "shape",
    }
}

fn file(facts: &Facts) -> String {
    match facts {
        Facts::Model(m) => format!("model {}, {}, {}", clean(&m.path), plural(m.nodes, "node"), bytes(m.bytes)),
        Facts::Engine(e) => {
            format!(
                "engine {}, {}, {}, read by {}",
                clean(&e.path),
                plural(e.layers.len(), "layer"),
                bytes(e.bytes),
                clean(&e.version)
            )
        }
        Facts::Data(d) => format!("data {}, {}, {}", clean(&d.path), plural(d.arrays.len(), "array"), bytes(d.bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::against::differences;
    use crate::inspect::engine::sample;
    use crate::inspect::file::File;
    use crate::show::page::Page;
    use crate::show::text;
    use crate::tensor::DType;

    #[test]
    fn an_engine_that_reads_other_ids_is_a_mismatch() {
        let file = || File::Engine { path: "model.plan".into(), bytes: 4096 };
        let profile = |max| [vec![1, 3], vec![1, 3], vec![max, 3]];
        let one = Facts::Engine(Box::new(sample::engine(DType::Int64, profile(8))));
        let two = Facts::Engine(Box::new(sample::engine(DType::Int32, profile(4))));
        let found = differences(&one, &two, (&file(), &file()));
        let page = Page { blocks: blocks(&one, &two, &found, false), ..Page::default() };
        let want = "\
mismatch: 1 difference of inputs and outputs
  type         input 'x' is int64 in the first and int32 in the other: what is 64-bit for the first
               is read as 32-bit by the other; `layerdiff convert --int32-inputs` makes the model's
               int32, too
  limit        input 'x' is 1x3 to 8x3 in the first and 1x3 to 4x3 in the other
  first        engine model.plan, 3 layers, 4.1 kB, read by TensorRT 10.16.0
  other        engine model.plan, 3 layers, 4.1 kB, read by TensorRT 10.16.0
  inside       no difference found
";
        assert_eq!(text::write(&page, false, 100), want);
    }
}
