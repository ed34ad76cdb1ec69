//! What a run has told: the report, and the same in words, three times.

use std::fs;
use std::path::{Path, PathBuf};

use layerdiff::found::Report;

/// A run's answer.
pub struct Told {
    /// The facts.
    pub report: Report,
    /// The pages in plain words, one space between them: the terminal's, the ticket, the browser's.
    pub pages: [(&'static str, String); 3],
    /// A file of one side quantises something, or a side computes in integers.
    pub quantised: bool,
}

/// Operators of quantised models, as they stand in a file.
const QUANTISED: [&str; 6] =
    ["QuantizeLinear", "DequantizeLinear", "QLinear", "MatMulInteger", "ConvInteger", "MatMulNBits"];

impl Told {
    /// Of the folder that a run left; `None` where there is no report in it.
    pub fn read(out: &Path, stdout: String, models: Vec<PathBuf>) -> Option<Told> {
        let report: Report = serde_json::from_str(&fs::read_to_string(out.join("report.json")).ok()?).ok()?;
        let text = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
        // With --json the terminal has the report itself.
        let json = stdout.starts_with('{');
        let pages = [
            ("text", if json { plain(&text("report.md")) } else { plain(&stdout) }),
            ("report.md", plain(&text("report.md").replace(['*', '`', '\\'], ""))),
            ("report.html", plain(&untagged(&text("report.html")))),
        ];
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            QUANTISED.iter().any(|op| bytes.windows(op.len()).any(|window| window == op.as_bytes()))
        };
        let integers = [&report.candidate, &report.reference].iter().any(|side| side.precision.contains('8'));
        let quantised = integers || models.iter().any(holds);
        Some(Told { report, pages, quantised })
    }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without scripts, styles and tags; a tag parts nothing.
fn untagged(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text += &rest[..at];
        let tag = &rest[at..];
        let skipped = ["script", "style"].into_iter().find(|name| tag[1..].starts_with(name));
        let end = match skipped {
            Some(name) => tag.find(&format!("</{name}>")).map(|end| end + name.len() + 3),
            None => tag.find('>').map(|end| end + 1),
        };
        // Cells and paragraphs are words of their own.
        text.push_str(if tag.starts_with("</") || tag.starts_with("<br") { " " } else { "" });
        rest = &tag[end.unwrap_or(tag.len())..];
    }
    text += rest;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, plain)| text.replace(entity, plain))
}
