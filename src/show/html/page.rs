//! The sections that are not rows of tensors: banner, warnings, culprits, facts, command.

use super::{esc, whole};
use crate::found::{Culprit, Metrics, Report, Verdict};
use crate::show::text::story;
use crate::show::text::words::{bytes, count, plural, seconds, shell, type_of};

/// Bars are logarithmic: from this relative error (an exact match in effect) to 1 (nothing left of the signal).
const SMALLEST: f64 = 1e-8;

pub fn banner(out: &mut String, report: &Report) {
    let (word, rest) = story::headline(report);
    let (class, sign) = match report.verdict {
        Verdict::Agreed => ("agreed", "✓"),
        Verdict::Diverged => ("diverged", "✗"),
        Verdict::Inconclusive => ("inconclusive", "?"),
    };
    *out += &format!("<header class=\"banner {class}\"><div class=\"sign\" aria-hidden=\"true\">{sign}</div><div>\n");
    *out += &format!("<h1>{word}</h1><p class=\"lead\">{}</p>\n", esc(&rest));
    if let Some(why) = &report.why {
        *out += &format!("<p>{}</p>\n", esc(why));
    }
    if report.verdict == Verdict::Inconclusive {
        *out += &format!("<p><b>What to do:</b> {}</p>\n", esc(story::next_step(report)));
    }
    let inside = story::diverging_inside(report);
    if report.verdict == Verdict::Agreed && inside > 0 {
        *out += &format!("<p>{} out of tolerance without reaching an output.</p>\n", plural(inside, "inner tensor"));
    }
    *out += "<ul class=\"chips\">";
    for chip in chips(report) {
        *out += &format!("<li>{}</li>", esc(&chip));
    }
    *out += "</ul></div></header>\n";
}

pub fn warnings(out: &mut String, report: &Report) {
    if report.warnings.is_empty() {
        return;
    }
    *out += "<section class=\"warnings\" aria-label=\"Warnings\"><ul>";
    for warning in &report.warnings {
        *out += &format!("<li><b>Warning:</b> {}</li>", esc(warning));
    }
    *out += "</ul></section>\n";
}

pub fn culprits(out: &mut String, report: &Report) {
    if report.culprits.is_empty() {
        return;
    }
    let title = match (report.precision_limited.is_some(), report.culprits.len()) {
        (true, _) => "First beyond the tolerance, in topological order",
        (false, 1) => "Culprit",
        (false, _) => "Culprits, in topological order",
    };
    *out += &format!("<section><h2>{title}</h2>\n<div class=\"cards\">\n");
    for (at, culprit) in report.culprits.iter().enumerate() {
        card(out, report, at, culprit);
    }
    *out += "</div></section>\n";
}

pub fn facts(out: &mut String, report: &Report) {
    let (model, e) = (&report.model, &report.environment);
    *out += "<section><h2>How it was found</h2>\n<div class=\"facts\">\n";
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut run = vec![
        ("Search", story::search(report)),
        ("Tolerance", story::tolerance(report)),
        ("Inputs", story::inputs(&report.inputs)),
    ];
    for input in &report.inputs.tensors {
        run.push(("Input", format!("{} {}", input.name, type_of(&input.dtype, &input.shape))));
    }
    run.push(("Reference", story::described(&report.reference)));
    run.push(("Candidate", story::described(&report.candidate)));
    run.push(("Chosen because", optional(&report.candidate.why)));
    run.push(("Trust", story::engine::trust(report).unwrap_or_default()));
    run.push(("Knobs", report.routes.as_ref().map(story::engine::routes).unwrap_or_default()));
    run.push(("Whole run", seconds(report.seconds)));
    list(out, "Run", &run);
    list(
        out,
        "Model and machine",
        &[
            ("Model", model.path.clone()),
            ("SHA-256", model.sha256.clone()),
            ("Graph", format!("opset {}, {}", model.opset, plural(model.nodes, "node"))),
            ("Weights", bytes(model.initializer_bytes)),
            ("OS", e.os.clone()),
            ("CPU", e.cpu.clone()),
            ("GPU", optional(&e.gpu)),
            ("ONNX Runtime", e.onnxruntime.clone()),
            ("CUDA", optional(&e.cuda)),
            ("TensorRT", optional(&e.tensorrt)),
            ("layerdiff", report.layerdiff.clone()),
        ],
    );
    reproducers(out, report);
    *out += "</div></section>\n";
}

pub fn command(out: &mut String, report: &Report) {
    if report.command.is_empty() {
        return;
    }
    let command = whole(&shell(&report.command));
    *out += "<section><h2>Run it again</h2>\n<div class=\"command\">";
    *out += &format!("<pre><code id=\"command\">{command}</code></pre>");
    *out += "<button type=\"button\" id=\"copy\" hidden>Copy</button></div></section>\n";
}

fn chips(report: &Report) -> Vec<String> {
    if story::check(report).is_some() {
        return vec![plural(story::checks(report), "check"), seconds(report.seconds)];
    }
    let compared = plural(report.search.tensors_compared, "tensor");
    let mut chips = vec![format!("{compared} compared")];
    if report.search.tensors_not_compared > 0 {
        chips.push(format!("{} not compared", count(report.search.tensors_not_compared as u64)));
    }
    chips.push(format!("{} of the candidate", plural(report.search.candidate_runs, "run")));
    chips.push(seconds(report.seconds));
    if report.inputs.synthetic {
        chips.push("synthetic inputs".into());
    }
    if let Some(overrides) = report.overrides.as_ref().filter(|o| o.verified && !o.nodes.is_empty()) {
        chips.push(format!("cured by {}", story::cure::kept(overrides)));
    }
    chips
}

fn card(out: &mut String, report: &Report, at: usize, culprit: &Culprit) {
    let node = &culprit.node;
    *out += &format!("<article class=\"card\" id=\"c{at}\"><h3><span class=\"number\">{}</span> ", at + 1);
    *out += &format!(
        "<code>{}</code> <span class=\"op\">{}</span></h3>\n",
        esc(&story::node_name(node)),
        esc(&story::op(node))
    );
    if let Some(subgraph) = &node.subgraph {
        *out += &format!("<p>in subgraph <code>{}</code></p>\n", esc(subgraph));
    }
    *out += &format!("<p class=\"deed\">It {}.</p>\n<div class=\"bars\">\n", esc(&story::deed(culprit)));
    match &culprit.local {
        Some(local) => bar(out, "Local error", local),
        None => *out += "<p><b>Local error</b> not measured: the node could not be run alone</p>\n",
    }
    bar(out, "Accumulated", &culprit.accumulated);
    *out += "<p class=\"scale\">relative RMS error, logarithmic: 1e-8 to 1</p></div>\n<dl>\n";
    item(out, "Output", &format!("<code>{}</code>", esc(&culprit.tensor)));
    item(out, "Extent", &esc(&story::extent(&culprit.accumulated, report.inputs.samples)));
    item(out, "Proof", &esc(&story::proof(report, culprit)));
    if culprit.region.len() > 1 {
        let names: Vec<String> = culprit.region.iter().map(|n| format!("<code>{}</code>", esc(n))).collect();
        item(out, "Region", &names.join(", "));
    }
    if let Some(realised) = story::engine::realised(culprit) {
        item(out, "Engine", &esc(&realised));
    }
    if let Some(why) = &culprit.why {
        item(out, "Because", &esc(why));
    }
    for (advice, causes) in story::diagnoses(culprit) {
        for cause in causes {
            item(out, "Cause", &format!("<b>{}</b>: {}", esc(&cause.code), esc(&cause.evidence)));
        }
        item(out, "Help", &esc(advice));
    }
    *out += "</dl>\n";
    super::table::inputs(out, report, culprit);
    *out += "</article>\n";
}

fn bar(out: &mut String, label: &str, metrics: &Metrics) {
    let bad = story::nonfinite(metrics);
    let width = match story::relative_rms(metrics) {
        Some(error) if !bad => share(error),
        _ => 100.0,
    };
    let class = match (bad, metrics.mismatched) {
        (true, _) => "nonfinite",
        (false, 0) => "fine",
        _ => "wrong",
    };
    track(out, label, width, class, &story::error(metrics));
}

/// How much of a bar a relative error fills, in percent.
pub(super) fn share(error: f64) -> f64 {
    100.0 * (1.0 - error.max(SMALLEST).log10() / SMALLEST.log10()).clamp(0.0, 1.0)
}

pub(super) fn track(out: &mut String, label: &str, share: f64, class: &str, text: &str) {
    let text = esc(text);
    *out += &format!("<div class=\"bar\"><b>{label}</b><span class=\"track\" aria-hidden=\"true\">");
    *out += &format!("<span class=\"{class}\" style=\"width:{share:.1}%\"></span></span><span>{text}</span></div>\n");
}

/// What reproduces the fault, if a run looked for it.
fn reproducers(out: &mut String, report: &Report) {
    let mut rows = Vec::new();
    let reproducers = story::reproducers::all(report);
    for reduced in reproducers {
        rows.push(("Reduced model", story::reproducers::worth(reduced, reproducers.len())));
        rows.push(("File", reduced.path.clone()));
        rows.push(("Shown by", story::reproducers::command(reduced)));
        rows.push(("Note", reduced.why.clone().unwrap_or_default()));
    }
    if !rows.is_empty() {
        list(out, if reproducers.len() == 1 { "Reproducer" } else { "Reproducers" }, &rows);
    }
}

fn list(out: &mut String, title: &str, rows: &[(&str, String)]) {
    *out += &format!("<div><h3>{title}</h3><dl>\n");
    for (label, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        item(out, &esc(label), &esc(value));
    }
    *out += "</dl></div>\n";
}

pub(super) fn item(out: &mut String, label: &str, html: &str) {
    *out += &format!("<dt>{label}</dt><dd>{html}</dd>\n");
}
