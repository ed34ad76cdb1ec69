//! What a reproducer is worth, and the command that shows the failure with it.

use crate::found::{Reduced, Report};
use crate::show::text::words::{bytes, clean, plural, seconds, shell};

/// Nodes that are named.
const NAMED: usize = 6;

/// One for each independent fault.
pub fn all(report: &Report) -> &[Reduced] {
    if report.reproducers.is_empty() { report.reduced.as_slice() } else { &report.reproducers }
}

/// `1 node ("erf_3"), 12.3 kB; reproduces from disk: yes; 1-minimal; 17 probes, 1.32 s`. Among several, each says of which
/// tensor it is.
pub fn worth(reduced: &Reduced, among: usize) -> String {
    let mut parts = vec![size(reduced)];
    parts.push(if reduced.reproduces { "reproduces from disk: yes" } else { "reproduces from disk: NO" }.to_string());
    if reduced.minimal {
        parts.push("1-minimal".to_string());
    }
    parts.push(format!("{}, {}", plural(reduced.probes, "probe"), seconds(reduced.seconds)));
    let which = reduced.culprit.as_ref().filter(|_| among > 1);
    which.map_or(String::new(), |tensor| format!("of \"{}\": ", clean(tensor))) + &parts.join("; ")
}

/// `sh model.layerdiff/reduced/repro.sh`
pub fn command(reduced: &Reduced) -> String {
    let folder = reduced.path.strip_suffix("model.onnx").unwrap_or(&reduced.path).trim_end_matches(['/', '\\']);
    let script = match folder {
        "" if reduced.path.starts_with('/') => "/repro.sh".to_string(),
        "" => "repro.sh".to_string(),
        folder => format!("{folder}/repro.sh"),
    };
    clean(&shell(&["sh".to_string(), script]))
}

fn size(reduced: &Reduced) -> String {
    let named: Vec<String> = reduced.names.iter().take(NAMED).map(|name| format!("\"{}\"", clean(name))).collect();
    let more = if reduced.names.len() > NAMED { ", …" } else { "" };
    let names = if named.is_empty() { String::new() } else { format!(" ({}{more})", named.join(", ")) };
    let size = if reduced.bytes > 0 { format!(", {}", bytes(reduced.bytes)) } else { String::new() };
    plural(reduced.nodes, "node") + &names + &size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced() -> Reduced {
        Reduced {
            path: "m.layerdiff/reduced/model.onnx".into(),
            nodes: 1,
            reproduces: true,
            probes: 17,
            seconds: 1.32,
            names: vec!["erf_3".into()],
            bytes: 12_300,
            minimal: true,
            culprit: Some("erf_out".into()),
            why: None,
        }
    }

    #[test]
    fn all_of_them_or_the_only_one() {
        let only = Report { reduced: Some(reduced()), ..Report::default() };
        assert_eq!(all(&only).len(), 1);
        assert_eq!(all(&Report { reproducers: vec![reduced(), reduced()], ..only }).len(), 2);
        assert!(all(&Report::default()).is_empty());
    }

    #[test]
    fn what_is_known_is_said() {
        let want = "1 node (\"erf_3\"), 12.3 kB; reproduces from disk: yes; 1-minimal; 17 probes, 1.32 s";
        assert_eq!(worth(&reduced(), 1), want);
        assert_eq!(worth(&reduced(), 2), format!("of \"erf_out\": {want}"));
        let lost = Reduced { reproduces: false, minimal: false, ..reduced() };
        assert_eq!(worth(&lost, 1), "1 node (\"erf_3\"), 12.3 kB; reproduces from disk: NO; 17 probes, 1.32 s");
        let many = Reduced { nodes: 9, names: (0..9).map(|n| n.to_string()).collect(), ..reduced() };
        assert!(worth(&many, 1).starts_with("9 nodes (\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", …), 12.3 kB;"));
        let old = Reduced { nodes: 2, ..Reduced::default() };
        assert_eq!(worth(&old, 1), "2 nodes; reproduces from disk: NO; 0 probes, 0 ms");
    }

    #[test]
    fn the_command_can_be_pasted() {
        let at = |path: &str| command(&Reduced { path: path.into(), ..Reduced::default() });
        assert_eq!(at("m.layerdiff/reduced/model.onnx"), "sh m.layerdiff/reduced/repro.sh");
        assert_eq!(
            [at("model.onnx"), at("/model.onnx"), at("old/reduced")],
            ["sh repro.sh", "sh /repro.sh", "sh old/reduced/repro.sh"]
        );
        assert_eq!(at("it's\n/model.onnx"), r"sh $'it\'s\n/repro.sh'");
    }
}
