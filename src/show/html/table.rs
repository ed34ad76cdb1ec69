//! Tables of tensors. Rows are plain HTML, so that the file says everything without its script too.

use super::esc;
use crate::found::{Culprit, Metrics, Report, Status, TensorResult};
use crate::show::text::story;
use crate::show::text::words::{cosine, count, decibels, number, type_of};

/// A column of numbers: its title, its meaning, and how a number is written.
type Figure = (&'static str, &'static str, fn(&Metrics) -> String);

const FIGURES: [Figure; 7] = [
    ("max abs", "largest |c - r|", |m| number(m.max_abs.0)),
    ("max rel", "largest |c - r| / |r|", |m| number(m.max_rel.0)),
    ("RMSE", "root mean square of c - r", |m| number(m.rmse.0)),
    ("cosine", "cosine of the angle between r and c", |m| cosine(m.cosine.0)),
    ("SQNR dB", "20 log10(|r| / |r - c|)", |m| decibels(m.sqnr_db.0)),
    ("max ULP", "largest |c - r| in units of the last place", |m| number(m.max_ulp.0)),
    ("beyond tol.", "elements beyond the tolerance, of all elements", |m| {
        if m.mismatched == 0 { "0".into() } else { format!("{} / {}", count(m.mismatched), count(m.elements)) }
    }),
];

/// Every tensor measured, to be sorted and filtered.
pub fn tensors(out: &mut String, report: &Report) {
    if report.tensors.is_empty() {
        return;
    }
    let total = count(report.tensors.len() as u64);
    *out += &format!("<section><h2>Every tensor measured ({total})</h2>\n");
    *out += "<form class=\"filter\" id=\"filter\" hidden><label>Name, node, type <input type=\"search\" id=\"find\" \
             placeholder=\"filter\" autocomplete=\"off\"></label> <label>Status <select id=\"status\">\
             <option value=\"\">all</option><option value=\"culprit\">culprits</option>\
             <option value=\"diverges\">diverges</option><option value=\"agrees\">agrees</option>\
             <option value=\"not_compared\">not compared</option></select></label> \
             <output id=\"shown\"></output> <button type=\"button\" id=\"all\" hidden>Show all</button></form>\n";
    *out += "<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Every tensor measured\">\
             <table id=\"tensors\">\n";
    titles(out, "tensor");
    *out += "<tbody>\n";
    for (at, tensor) in report.tensors.iter().enumerate() {
        row(out, report, tensor, &format!(" id=\"t{at}\""), at + 1);
    }
    *out += "</tbody></table></div></section>\n";
}

pub fn outputs(out: &mut String, report: &Report) {
    if report.outputs.is_empty() {
        return;
    }
    *out += "<section><h2>The model's outputs</h2>\n";
    plain(out, report, "output", &report.outputs.iter().collect::<Vec<_>>());
    *out += "</section>\n";
}

/// The measured inputs of a culprit: the proof, in numbers.
pub fn inputs(out: &mut String, report: &Report, culprit: &Culprit) {
    let rows = story::inputs_of(report, culprit);
    if !rows.is_empty() {
        plain(out, report, "measured input", &rows);
    }
}

fn plain(out: &mut String, report: &Report, title: &str, rows: &[&TensorResult]) {
    *out += "<div class=\"scroll\"><table>\n";
    titles(out, title);
    *out += "<tbody>\n";
    for (at, tensor) in rows.iter().enumerate() {
        row(out, report, tensor, "", at + 1);
    }
    *out += "</tbody></table></div>\n";
}

fn titles(out: &mut String, first: &str) {
    *out += &format!(
        "<thead><tr><th scope=\"col\" class=\"n\">#</th><th scope=\"col\">status</th><th scope=\"col\">{first}</th>\
         <th scope=\"col\">type</th>"
    );
    for (title, meaning, _) in FIGURES {
        *out += &format!("<th scope=\"col\" class=\"n\" title=\"{}\">{title}</th>", esc(meaning));
    }
    *out += "</tr></thead>\n";
}

fn row(out: &mut String, report: &Report, tensor: &TensorResult, id: &str, number: usize) {
    let guilty = story::is_culprit(report, &tensor.name);
    let (class, sign) = match tensor.status {
        Status::Agrees => ("agrees", "✓"),
        Status::Diverges => ("diverges", "✗"),
        Status::NotCompared => ("not_compared", "–"),
    };
    let culprit = if guilty { " culprit" } else { "" };
    let mut status =
        format!("<span class=\"sign\" aria-hidden=\"true\">{sign}</span> {}", story::status(tensor.status));
    if guilty {
        status += " <span class=\"tag\">culprit</span>";
    }
    let nonfinite = tensor.metrics.as_ref().filter(|m| m.cand_nonfinite != m.ref_nonfinite);
    if let Some(metrics) = nonfinite {
        status += &format!("<small>{} NaN or Inf</small>", count(metrics.cand_nonfinite));
    }
    if let Some(why) = &tensor.why {
        status += &format!("<small>{}</small>", esc(why));
    }
    *out += &format!("<tr{id} class=\"{class}{culprit}\"><td class=\"n\">{number}</td><td class=\"s\">{status}</td>");
    // The exporter of PyTorch names tensors after their nodes: the node's name would say everything twice.
    let telling = !tensor.node.is_empty() && !tensor.name.starts_with(&tensor.node);
    let node = if telling { format!("<small>{}</small>", esc(&tensor.node)) } else { String::new() };
    let kind = esc(&type_of(&tensor.dtype, &tensor.shape));
    *out += &format!("<th scope=\"row\">{}{node}</th><td>{kind}</td>", esc(&tensor.name));
    for (_, _, write) in FIGURES {
        *out += &format!("<td class=\"n\">{}</td>", tensor.metrics.as_ref().map_or("-".into(), |m| esc(&write(m))));
    }
    *out += "</tr>\n";
}
