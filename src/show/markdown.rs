//! The report as GitHub Markdown, to be pasted into a bug ticket: what is wrong, the proof, how to see it again.
//! No colours, no HTML but `<details>`.

mod cure;
mod ranking;
pub mod span;

use super::text::story;
use super::text::words::{bytes, cosine, decibels, file_name, number, plural, seconds, shell, type_of};
use crate::found::{Culprit, Metrics, Report, TensorResult, Verdict};
use span::{cell, code, fenced, text};

/// Culprits told in full.
const IN_DETAIL: usize = 8;
/// The same where they are to blame for nothing.
const BLAMELESS: usize = 3;

/// The whole ticket.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    headline(&mut out, report);
    let limited = report.precision_limited.is_some();
    let most = if limited { BLAMELESS } else { IN_DETAIL };
    if limited {
        ranking::table(&mut out, report);
    }
    let culprits = story::precision::ordered(report);
    let (detailed, more) = culprits.split_at(culprits.len().min(most));
    for (at, one) in detailed.iter().enumerate() {
        culprit(&mut out, report, at, one);
    }
    if !more.is_empty() {
        let names: Vec<String> = more.iter().map(|c| code(&story::node_name(&c.node))).collect();
        out += &format!("Also: {}\n\n", names.join(", "));
    }
    cure::nodes(&mut out, report);
    if !limited {
        ranking::table(&mut out, report);
    }
    cure::sensitivity(&mut out, report);
    surroundings(&mut out, report);
    outputs(&mut out, report);
    reproduce(&mut out, report);
    environment(&mut out, report);
    let version =
        if report.layerdiff.is_empty() { "layerdiff".into() } else { format!("layerdiff {}", text(&report.layerdiff)) };
    out += &format!("<sub>{version}, {}</sub>\n", seconds(report.seconds));
    out
}

fn headline(out: &mut String, report: &Report) {
    let model = code(file_name(&report.model.path));
    *out += &match (report.verdict, report.culprits.first()) {
        (Verdict::Diverged, _) if report.precision_limited.is_some() => {
            format!("## {model} diverges: precision-limited, no single culprit\n\n")
        }
        (Verdict::Diverged, Some(first)) => {
            let op = story::op(&first.node);
            format!("## {model} diverges at {} ({})\n\n", code(&story::node_name(&first.node)), text(&op))
        }
        (Verdict::Diverged, None) if story::check(report).is_some() => format!("## {model} fails a check\n\n"),
        (Verdict::Diverged, None) => format!("## {model} diverges\n\n"),
        (Verdict::Agreed, _) => format!("## {model} agrees\n\n"),
        (Verdict::Inconclusive, _) => format!("## {model}: inconclusive\n\n"),
    };
    let (word, rest) = story::headline(report);
    *out += &format!("**{word}**: {}\n\n", text(&rest));
    if let Some(why) = &report.why {
        *out += &format!("{}\n\n", text(why));
    }
    if report.verdict == Verdict::Inconclusive {
        *out += &format!("Next: {}\n\n", text(story::next_step(report)));
    }
    for warning in &report.warnings {
        *out += &format!("> **warning**: {}\n\n", text(warning));
    }
}

fn culprit(out: &mut String, report: &Report, at: usize, culprit: &Culprit) {
    let node = &culprit.node;
    let number = if report.culprits.len() > 1 { format!(" {}", at + 1) } else { String::new() };
    let within = node.subgraph.as_ref().map_or(String::new(), |s| format!(" in subgraph {}", code(s)));
    let name = format!("{} ({}){within}", code(&story::node_name(node)), text(&story::op(node)));
    let title = if report.precision_limited.is_some() { "First beyond the tolerance" } else { "Culprit" };
    *out += &format!("### {title}{number}: {name}\n\n");
    *out += &format!("It {}.\n\n", text(&story::deed(culprit)));
    let mut item = |label: &str, body: &str| *out += &format!("- **{label}**: {body}\n");
    item("output", &code(&culprit.tensor));
    let local = culprit.local.as_ref().map_or("not measured, the node could not be run alone".into(), story::error);
    item("local error", &text(&local));
    let extent = story::extent(&culprit.accumulated, report.inputs.samples);
    item("accumulated error", &text(&format!("{}; {extent}", story::error(&culprit.accumulated))));
    item("proof", &text(&story::proof(report, culprit)));
    if culprit.region.len() > 1 {
        item("region", &culprit.region.iter().map(|n| code(n)).collect::<Vec<_>>().join(", "));
    }
    if let Some(realised) = story::engine::realised(culprit) {
        item("engine", &text(&realised));
    }
    if let Some(why) = &culprit.why {
        item("because", &text(why));
    }
    for (advice, causes) in story::diagnoses(culprit) {
        for cause in causes {
            item("cause", &format!("{}: {}", code(&cause.code), text(&cause.evidence)));
        }
        item("help", &text(advice));
    }
    out.push('\n');
    let inputs = story::inputs_of(report, culprit);
    if !inputs.is_empty() {
        table(out, report, "measured input", inputs.into_iter().map(Some));
    }
}

fn surroundings(out: &mut String, report: &Report) {
    let detailed = &report.culprits[..report.culprits.len().min(IN_DETAIL)];
    let rows = story::surroundings(report, detailed, 3);
    if rows.is_empty() {
        return;
    }
    *out += "<details><summary>Tensors around the culprits (▶), in topological order</summary>\n\n";
    table(out, report, "tensor", rows.into_iter().map(|at| at.and_then(|at| report.tensors.get(at))));
    *out += "</details>\n\n";
}

fn outputs(out: &mut String, report: &Report) {
    if !report.outputs.is_empty() {
        *out += "### Outputs\n\n";
        table(out, report, "output", report.outputs.iter().map(Some));
    }
}

fn reproduce(out: &mut String, report: &Report) {
    *out += "### How to reproduce\n\n";
    if !report.command.is_empty() {
        *out += &format!("{}\n", fenced(&shell(&report.command)));
    }
    let mut item = |label: &str, body: String| *out += &format!("- **{label}**: {body}\n");
    let reproducers = story::reproducers::all(report);
    for reduced in reproducers {
        let worth = text(&story::reproducers::worth(reduced, reproducers.len()));
        let why = reduced.why.as_ref().map_or(String::new(), |why| format!(" ({})", text(why)));
        item("reduced model", format!("{}: {worth}{why}", code(&reduced.path)));
        item("shown by", code(&story::reproducers::command(reduced)));
    }
    item("inputs", text(&story::inputs(&report.inputs)));
    for input in &report.inputs.tensors {
        item("input", format!("{} {}", code(&input.name), text(&type_of(&input.dtype, &input.shape))));
    }
    item("tolerance", text(&story::tolerance(report)));
    if let Some(trust) = story::engine::trust(report) {
        item("trust", text(&trust));
    }
    if let Some(routes) = &report.routes {
        item("knobs", text(&story::engine::routes(routes)));
    }
    item("search", text(&story::search(report)));
    out.push('\n');
}

fn environment(out: &mut String, report: &Report) {
    let (model, e) = (&report.model, &report.environment);
    *out += "### Environment\n\n| | |\n|---|---|\n";
    let mut row = |label: &str, value: String| {
        if !value.is_empty() {
            *out += &format!("| {label} | {} |\n", text(&value));
        }
    };
    row("model", model.path.clone());
    row(
        "",
        format!(
            "opset {}, {}, {} of weights",
            model.opset,
            plural(model.nodes, "node"),
            bytes(model.initializer_bytes)
        ),
    );
    row("sha256", model.sha256.clone());
    row("reference", story::described(&report.reference));
    row("candidate", story::described(&report.candidate));
    row("os", e.os.clone());
    row("cpu", e.cpu.clone());
    row("gpu", e.gpu.clone().unwrap_or_default());
    row("ONNX Runtime", e.onnxruntime.clone());
    row("CUDA", e.cuda.clone().unwrap_or_default());
    row("TensorRT", e.tensorrt.clone().unwrap_or_default());
    out.push('\n');
}

fn table<'r>(out: &mut String, report: &Report, title: &str, rows: impl Iterator<Item = Option<&'r TensorResult>>) {
    *out += &format!("| | {title} | node | type | max abs | max rel | cosine | SQNR dB | status |\n");
    *out += "|---|---|---|---|--:|--:|--:|--:|---|\n";
    for row in rows {
        let Some(row) = row else {
            *out += "| | … | | | | | | | |\n";
            continue;
        };
        let figure = |get: fn(&Metrics) -> String| row.metrics.as_ref().map_or("-".into(), get);
        let mark = if story::is_culprit(report, &row.name) { "▶" } else { "" };
        let why = row.why.as_ref().map_or(String::new(), |why| format!(": {}", text(why)));
        let cells = [
            mark.into(),
            cell(&row.name),
            cell(&row.node),
            text(&type_of(&row.dtype, &row.shape)),
            figure(|m| number(m.max_abs.0)),
            figure(|m| number(m.max_rel.0)),
            figure(|m| text(&cosine(m.cosine.0))),
            figure(|m| decibels(m.sqnr_db.0)),
            format!("{}{why}", story::status(row.status)),
        ];
        *out += &format!("| {} |\n", cells.join(" | "));
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Status;
    use crate::show::text::sample::{
        agreed_report, check_golden, check_report, hostile_report, limited_report, partial_report, sample_report,
    };

    #[test]
    fn goldens() {
        check_golden("diverged.md", &render(&sample_report()));
        check_golden("agreed.md", &render(&agreed_report()));
        check_golden("inconclusive.md", &render(&partial_report()));
        check_golden("check.md", &render(&check_report()));
        check_golden("limited.md", &render(&limited_report()));
    }

    #[test]
    fn a_ticket_has_what_a_reader_asks_for() {
        let ticket = render(&sample_report());
        for want in [
            "## `bert.onnx` diverges at `/norm/Pow` (Pow)\n",
            "### Culprit 2: `/attn/Softmax` (Softmax) in subgraph `/if/then_branch`\n",
            "| measured input | node |",
            "layerdiff bisect 'my models/bert.onnx' --candidate ort:fp16\n```",
            "| ▶ | `/norm/Pow_output_0` |",
            "| ONNX Runtime | 1.23.0 |",
            "- **tolerance**: atol 0.005, rtol 0.01",
        ] {
            assert!(ticket.contains(want), "lacks '{want}':\n{ticket}");
        }
    }

    #[test]
    fn every_table_row_has_as_many_cells_as_its_title() {
        let ticket = render(&hostile_report());
        assert!(!ticket.contains('\u{1b}') && !ticket.contains('\u{202e}'));
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut rows = 0;
        let mut title: Option<usize> = None;
        for line in ticket.lines() {
            let is_row = line.starts_with('|');
            assert!(!is_row || title.is_none_or(|want| want == cells(line)), "{line}");
            title = is_row.then(|| cells(line));
            rows += usize::from(is_row);
        }
        assert!(rows > 20);
    }

    #[test]
    fn html_outside_code_is_escaped() {
        let ticket = render(&hostile_report());
        let plain: String = ticket.lines().filter(|l| !l.contains('`')).collect();
        assert!(!plain.replace("\\<", "").contains("<script"), "{plain}");
        assert_eq!(text("<b>*_|`"), r"\<b\>\*\_\|\`");
    }

    #[test]
    fn default_and_odd_reports_render() {
        assert!(render(&Report::default()).contains("inconclusive"));
        let mut report = sample_report();
        report.culprits = vec![report.culprits[0].clone(); 10];
        assert!(render(&report).contains("Also: `/norm/Pow`, `/norm/Pow`\n"));
        report.tensors[6].status = Status::NotCompared;
        report.tensors[6].metrics = None;
        assert!(render(&report).contains("| - | - | - | - | not compared |"));
    }
}
