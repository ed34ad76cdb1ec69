//! Two files on the terminal: whether they fit, then what differs inside.

use super::table::some;
use crate::inspect::facts::{Differences, Facts, Mismatch};
use crate::show::text::paint::{Ink, Page};
use crate::show::text::words::{bytes, clean, plural};

/// Names told of each difference; `--nodes` tells all.
const NAMES: usize = 8;

pub fn draw(page: &mut Page, subject: &Facts, other: &Facts, found: &Differences, all: bool) {
    let (ink, word, rest) = match (found.mismatches.len(), found.narrower.len()) {
        (0, 0) => {
            (Ink::Green, "same interface", "inputs and outputs have the same names, types and shapes".to_string())
        }
        (0, _) => {
            let text = "names and types agree, but not every shape of the one suits the other";
            (Ink::Green, "same interface", text.to_string())
        }
        (n, _) => (Ink::Red, "mismatch", format!("{} of inputs and outputs", plural(n, "difference"))),
    };
    page.headline(ink, word, &rest);
    for mismatch in &found.mismatches {
        page.field(Ink::Red, label(mismatch), &clean(&mismatch.text));
    }
    for narrower in &found.narrower {
        page.field(Ink::Yellow, label(narrower), &clean(&narrower.text));
    }
    page.field(Ink::Dim, "first", &file(subject));
    page.field(Ink::Dim, "other", &file(other));
    for inside in &found.inside {
        let most = if all { usize::MAX } else { NAMES };
        let names = if inside.names.is_empty() { String::new() } else { format!(": {}", some(&inside.names, most)) };
        page.field(Ink::Dim, "inside", &format!("{}{names}", clean(&inside.text)));
    }
    if found.inside.is_empty() {
        page.field(Ink::Dim, "inside", "no difference found");
    }
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::against::differences;
    use crate::inspect::engine::sample;
    use crate::inspect::file::File;
    use crate::tensor::DType;

    #[test]
    fn an_engine_that_reads_other_ids_is_a_mismatch() {
        let file = || File::Engine { path: "model.plan".into(), bytes: 4096 };
        let profile = |max| [vec![1, 3], vec![1, 3], vec![max, 3]];
        let one = Facts::Engine(Box::new(sample::engine(DType::Int64, profile(8))));
        let two = Facts::Engine(Box::new(sample::engine(DType::Int32, profile(4))));
        let found = differences(&one, &two, (&file(), &file()));
        let mut page = Page::new(false, 100);
        draw(&mut page, &one, &two, &found, false);
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
        assert_eq!(page.text, want);
    }
}
