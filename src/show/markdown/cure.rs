//! The cure in a ticket: what to keep in FP32 or to leave unquantised, whether that was shown, the files, and the most sensitive nodes.

use super::span::{cell, code, text};
use crate::found::{Real, Report, Sensitivity};
use crate::show::text::story::cure;

/// Rows of the sensitivity table.
const ROWS: usize = 8;

pub fn nodes(out: &mut String, report: &Report) {
    let Some(o) = &report.overrides else { return };
    *out += &format!("### Cure\n\n**{}**\n\n", text(&cure::claim(o)));
    if let Some(why) = &o.why {
        *out += &format!("{}\n\n", text(why));
    }
    for group in cure::shortened(o) {
        *out += &format!("- {}\n", text(&group));
    }
    if !o.nodes.is_empty() {
        out.push('\n');
    }
    *out += &format!("{}\n\n", text(&capitalised(&cure::price(o))));
    let files = cure::files(o);
    if files.is_empty() {
        return;
    }
    *out += &cure::folder(o).map_or("Files:\n\n".into(), |folder| format!("Files in {}:\n\n", code(folder)));
    for file in files {
        *out += &format!("- {}: {}\n", code(&file.name), text(&file.purpose));
    }
    out.push('\n');
}

pub fn sensitivity(out: &mut String, report: &Report) {
    if report.sensitivity.is_empty() {
        return;
    }
    // Nothing of the report in the summaries: HTML knows no escapes of Markdown.
    if report.overrides.as_ref().is_some_and(cure::unquantised) {
        *out += "<details><summary>Sensitivity: relative RMS error that quantisation alone makes in what the node reads, and \
                 of the model's worst output with this node alone left unquantised</summary>\n\n";
        *out += "| node | op | local | outputs, alone left unquantised |\n|---|---|--:|--:|\n";
        rows(out, report, |row| vec![Some(row.local), row.promoted]);
    } else {
        let low = text(&cure::low(report));
        *out += "<details><summary>Sensitivity: relative RMS error of the node's own output, and of the model's worst output \
                 with this node alone in FP32 or in the low precision</summary>\n\n";
        *out += &format!(
            "| node | op | local | outputs, alone in FP32 | outputs, alone in {low} |\n|---|---|--:|--:|--:|\n"
        );
        rows(out, report, |row| vec![Some(row.local), row.promoted, row.demoted]);
    }
    *out += "\n</details>\n\n";
}

fn rows(out: &mut String, report: &Report, figures: fn(&Sensitivity) -> Vec<Option<Real>>) {
    for row in report.sensitivity.iter().take(ROWS) {
        let name = cell(if row.node.is_empty() { &row.tensor } else { &row.node });
        let figures = figures(row).into_iter().map(|error| error.map_or("-".into(), cure::error));
        let cells: Vec<String> = [name, text(&row.op_type)].into_iter().chain(figures).collect();
        *out += &format!("| {} |\n", cells.join(" | "));
    }
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Overrides, Sensitivity};
    use crate::show::text::sample::{overrides, sample_report};

    fn ticket(overrides: Overrides) -> String {
        let mut out = String::new();
        nodes(&mut out, &Report { overrides: Some(overrides), ..sample_report() });
        out
    }

    #[test]
    fn a_cure_in_short() {
        let out = ticket(overrides());
        for want in [
            "### Cure\n\n**2 of 139 nodes in FP32; verified: yes; none can be given back**\n\n- LayerNorm '/norm': Pow, ReduceMean\n\n",
            "Relative RMS error of the worst output: NaN or Inf before, 2.10e-4 after; 11 trials\n\n",
            "Files in `bert.layerdiff/overrides`:\n\n- `model.mixed.onnx`: the model with explicit Casts",
        ] {
            assert!(out.contains(want), "lacks '{want}':\n{out}");
        }
    }

    #[test]
    fn no_cure_says_why() {
        let why = Some("precision is not the cause".into());
        let out = ticket(Overrides { error_before: Real(0.5), builds: 2, why, ..Overrides::default() });
        let want = "### Cure\n\n**none found**\n\nprecision is not the cause\n\nRelative RMS error of the worst output: \
                    0.500 with nothing in FP32; 2 trials\n\n";
        assert_eq!(out, want);
    }

    #[test]
    fn the_table_is_short_and_names_every_row() {
        let mut report = sample_report();
        report.sensitivity[0].node.clear();
        report.sensitivity.resize(20, Sensitivity { node: "a|b".into(), ..Sensitivity::default() });
        let mut out = String::new();
        sensitivity(&mut out, &report);
        assert_eq!(out.lines().filter(|line| line.starts_with("| `")).count(), ROWS);
        assert!(out.contains("| `/norm/Pow_output_0` | Pow | NaN or Inf | 0.820 | NaN or Inf |"), "{out}");
        assert!(out.contains("| `a\\|b` |  | 0 | - | - |"), "{out}");
    }

    #[test]
    fn a_qdq_model_has_its_own_words() {
        let mut report = sample_report();
        let files = [("qdq_loss".to_string(), "m/qdq_loss.json".to_string())].into();
        report.overrides = report.overrides.map(|o| Overrides { files, ..o });
        let mut out = String::new();
        nodes(&mut out, &report);
        sensitivity(&mut out, &report);
        assert!(out.contains("**2 of 139 nodes left unquantised; verified: yes"), "{out}");
        assert!(out.contains("| node | op | local | outputs, alone left unquantised |\n|---|---|--:|--:|\n"), "{out}");
        assert!(out.contains("| `/norm/Pow` | Pow | NaN or Inf | 0.820 |\n"), "{out}");
        assert!(!out.contains("FP32") && !out.contains("FP16") && !out.contains("low precision"), "{out}");
    }
}
