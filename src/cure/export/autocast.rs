//! Arguments for ModelOpt AutoCast, which takes node names as regular expressions of Python.

use std::fmt::Write;

use super::{Content, Export, Told, command, line};
use crate::graph::Graph;
use crate::spec::Precision;

/// For `python -m modelopt.onnx.autocast`, in FP16 and BF16.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "modelopt",
        file: "modelopt_autocast.args",
        content: |told| {
            let text = || arguments(&told.onnx, told.o.low, &patterns(told));
            Ok(told.has_arguments().then(|| Content::Text(text())))
        },
        section: |_| vec![line(SECTION), command("python -m modelopt.onnx.autocast", "modelopt_autocast.args")],
    }
}

const SECTION: &str = "**modelopt_autocast.args** (without the two lines that end in `=inf`, AutoCast's own rules keep more \
                       nodes; it reads nodes of the main graph only):";

/// A regular expression of Python for this name and nothing else. ASCII without blanks, quotes or wildcards: no shell
/// and no file of arguments can break it.
pub fn anchored(name: &str) -> String {
    let mut pattern = String::from("^");
    for c in name.chars() {
        // Writing to a String does not fail.
        let _ = match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '/' | ':' | '-' => write!(pattern, "{c}"),
            '.' => write!(pattern, "\\."),
            c if c <= '\u{ff}' => write!(pattern, "\\x{:02x}", c as u32),
            c if c <= '\u{ffff}' => write!(pattern, "\\u{:04x}", c as u32),
            c => write!(pattern, "\\U{:08x}", c as u32),
        };
    }
    // Python's `$` also matches in front of a newline.
    pattern + "\\Z"
}

/// One argument a line.
fn arguments(onnx: &str, low: Precision, patterns: &[String]) -> String {
    let mut lines = vec![
        format!("--onnx_path={onnx}"),
        "--output_path=model.autocast.onnx".to_string(),
        format!("--low_precision_type={low}"),
        "--keep_io_types".to_string(),
        // Its own rules, off: these nodes and no others.
        "--data_max=inf".to_string(),
        "--init_max=inf".to_string(),
    ];
    if !patterns.is_empty() {
        lines.push("--nodes_to_exclude".to_string());
        lines.extend_from_slice(patterns);
    }
    lines.join("\n") + "\n"
}

/// The kept nodes, and the LayerNormalization that AutoCast would first make of them and their neighbours: it calls that
/// `LayerNorm_` and the name of the first ReduceMean.
fn patterns(told: &Told) -> Vec<String> {
    let Told { o, named, kept, .. } = told;
    let fused = |mean: usize| {
        let members = layer_norm(o.graph, mean)?;
        let touched = kept.iter().any(|k| members.contains(&k.number));
        let name = o.graph.nodes[mean].proto(named)?.name();
        touched.then(|| anchored(&format!("LayerNorm_{name}")))
    };
    let own = kept.iter().map(|k| anchored(&k.name));
    own.chain((0..o.graph.nodes.len()).filter_map(fused)).collect()
}

/// The nodes of a decomposed LayerNorm that starts at this ReduceMean, as AutoCast sees one.
fn layer_norm(graph: &Graph, mean: usize) -> Option<Vec<usize>> {
    let next = |node: usize, op_type: &str| {
        let made = *graph.nodes[node].writes.first()?;
        let readers = graph.children(made).into_iter().map(|t| graph.tensors[t].node);
        readers.into_iter().find(|n| graph.nodes[*n].op_type == op_type)
    };
    if graph.nodes[mean].op_type != "ReduceMean" || !graph.nodes[mean].scope.is_empty() {
        return None;
    }
    let mut members = vec![mean];
    for op_type in ["Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div"] {
        members.push(next(*members.last()?, op_type)?);
    }
    for op_type in ["Mul", "Add"] {
        members.extend(next(*members.last()?, op_type));
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(anchored("/layers.0/attn:q-1/Add_2"), r"^/layers\.0/attn:q-1/Add_2\Z");
        assert_eq!(anchored("a b*é\u{4e2d}\u{1f600}\n"), r"^a\x20b\x2a\xe9\u4e2d\U0001f600\x0a\Z");
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_only(name in any::<String>(), other in any::<String>(), wild in "[.*+?^$()\\[\\]{}|\\\\ \n-]{0,8}") {
            for name in [name, wild.clone()] {
                let pattern = anchored(&name);
                prop_assert!(pattern.chars().all(|c| c.is_ascii_graphic() && !"'\"*?[]$`;&|<>(){}!#~".contains(c)), "{}", pattern);
                // Rust spells Python's \Z in lower case.
                let regex = Regex::new(&pattern.replace("\\Z", "\\z")).unwrap();
                prop_assert!(regex.is_match(&name));
                let longer = [format!("{name}x"), format!("x{name}"), format!("{name}\n"), format!("{name}_1")];
                for wrong in longer.iter().chain([&other, &wild]).filter(|n| **n != name) {
                    prop_assert!(!regex.is_match(wrong), "{:?} {:?}", pattern, wrong);
                }
            }
        }
    }
}
