//! The cure: which nodes to keep in FP32 or to leave unquantised, what that is worth, the files for every consumer, and
//! how much single nodes matter.

use std::collections::HashSet;

use super::page::{self, item, track};
use super::{curve, esc};
use crate::found::{Overrides, Real, Report, Sensitivity};
use crate::show::text::story::{self, cure};
use crate::show::text::words::{count, plural};

/// Groups in sight; the rest unfolds.
const IN_SIGHT: usize = 12;

pub fn card(out: &mut String, report: &Report) {
    let Some(o) = &report.overrides else { return };
    let class = if o.verified { "cured" } else { "unsure" };
    *out += &format!("<section id=\"cure\"><h2>Cure</h2>\n<article class=\"card {class}\">\n");
    *out += &format!("<h3>{}</h3>\n<p class=\"deed\">{}</p>\n", title(o), esc(&deed(report, o)));
    if let Some(why) = &o.why {
        *out += &format!("<p class=\"deed\"><b>Note:</b> {}</p>\n", esc(why));
    }
    groups(out, &cure::groups(o));
    errors(out, o);
    *out += "<dl>\n";
    // Without groups, the names are above.
    if !o.groups.is_empty() && !o.nodes.is_empty() {
        nodes(out, o);
    }
    item(out, "Search", &plural(o.builds, "trial"));
    *out += "</dl>\n";
    files(out, o);
    curve::draw(out, o);
    *out += "</article></section>\n";
}

/// The nodes with the largest local errors.
pub fn sensitivity(out: &mut String, report: &Report) {
    if report.sensitivity.is_empty() {
        return;
    }
    let quantised = report.overrides.as_ref().is_some_and(cure::unquantised);
    let fate = report.overrides.as_ref().map_or("in FP32", cure::fate);
    let low = esc(&cure::low(report));
    *out += "<section id=\"sensitivity\"><h2>Sensitivity</h2>\n<p class=\"about\">";
    *out += &match quantised {
        true => "Relative RMS errors: <i>local</i> is what quantisation alone does to the tensor that loses most among those \
                 that the node reads; the other one is the model's worst output with this node alone left unquantised."
            .to_string(),
        false => format!(
            "Relative RMS errors: <i>local</i> is the node's own output, fed with reference inputs; the other two are the \
             model's worst output with this node alone in FP32 (all others in {low}), and with this node alone in {low} \
             (all others in FP32)."
        ),
    };
    *out +=
        "</p>\n<div class=\"scroll\"><table class=\"sensitivity\">\n<thead><tr><th scope=\"col\" class=\"n\">#</th>";
    *out += "<th scope=\"col\">node</th><th scope=\"col\">op</th><th scope=\"col\" class=\"n\">local</th>";
    *out += &format!("<th scope=\"col\" class=\"n\">outputs, this node alone {fate}</th>");
    if !quantised {
        *out += &format!("<th scope=\"col\" class=\"n\">outputs, this node alone in {low}</th>");
    }
    *out += "</tr></thead>\n<tbody>\n";
    let kept: HashSet<&str> = report.overrides.iter().flat_map(|o| &o.nodes).map(String::as_str).collect();
    for (at, one) in report.sensitivity.iter().enumerate() {
        let fate = kept.contains(one.node.as_str()).then_some(fate);
        row(out, report, one, at + 1, fate, quantised);
    }
    *out += "</tbody></table></div></section>\n";
}

fn title(o: &Overrides) -> String {
    let tag = |class: &str, text: &str| format!(" <span class=\"tag {class}\">{text}</span>");
    match (o.nodes.is_empty(), o.verified) {
        (true, true) => "None needed".into(),
        (true, false) => "None found".into(),
        (false, true) => cure::kept(o) + &tag("good", "verified"),
        (false, false) => cure::kept(o) + &tag("warn", "NOT verified"),
    }
}

fn deed(report: &Report, o: &Overrides) -> String {
    let (rest, fate) = (cure::rest(report, o), cure::fate(o));
    match (o.nodes.is_empty(), o.verified) {
        (true, true) => format!("The outputs were seen to agree with every node {rest}."),
        (true, false) => format!("No set of nodes was seen to cure the outputs when it is {}.", of_a_set(o)),
        (false, false) => format!(
            "These nodes {fate} and all others {rest} are the best that was found, but no run shows that they cure the outputs."
        ),
        (false, true) => {
            let fewer = match o.minimal {
                true => "None of them can be given back: without any single one the outputs were not seen to agree.",
                false => "Perhaps fewer would do: the search ended before every node was seen to be needed.",
            };
            format!("With these nodes {fate} and all others {rest} the outputs were seen to agree. {fewer}")
        }
    }
}

fn of_a_set(o: &Overrides) -> &'static str {
    if cure::unquantised(o) { "left unquantised" } else { "kept in FP32" }
}

fn groups(out: &mut String, groups: &[String]) {
    let items = |groups: &[String]| groups.iter().map(|g| format!("<li>{}</li>", esc(g))).collect::<String>();
    let (seen, folded) = groups.split_at(groups.len().min(IN_SIGHT));
    if !seen.is_empty() {
        *out += &format!("<ul class=\"groups\">{}</ul>\n", items(seen));
    }
    if !folded.is_empty() {
        let more = count(folded.len() as u64);
        *out += &format!(
            "<details><summary>and {more} more</summary><ul class=\"groups\">{}</ul></details>\n",
            items(folded)
        );
    }
}

/// Without a cure there is no after.
fn errors(out: &mut String, o: &Overrides) {
    *out += "<div class=\"bars\">\n";
    let mut bar = |label: &str, error: Real| {
        let bad = !error.0.is_finite();
        let class = match (bad, label, o.verified) {
            (true, ..) => "nonfinite",
            (false, "After", true) => "fine",
            _ => "wrong",
        };
        track(out, label, if bad { 100.0 } else { page::share(error.0) }, class, &cure::error(error));
    };
    bar("Before", o.error_before);
    if !o.nodes.is_empty() {
        bar("After", o.error_after);
    }
    *out += "<p class=\"scale\">relative RMS error of the worst output, logarithmic: 1e-8 to 1</p></div>\n";
}

fn nodes(out: &mut String, o: &Overrides) {
    let names: Vec<String> = o.nodes.iter().map(|name| format!("<code>{}</code>", esc(name))).collect();
    let names = names.join(", ");
    let folded = format!("<details><summary>{}</summary>{names}</details>", plural(o.nodes.len(), "name"));
    item(out, "Nodes", if o.nodes.len() > IN_SIGHT { &folded } else { &names });
}

fn files(out: &mut String, o: &Overrides) {
    let files = cure::files(o);
    if files.is_empty() {
        return;
    }
    *out += "<h4>Files";
    if let Some(folder) = cure::folder(o) {
        *out += &format!(" in <code>{}</code>", esc(folder));
    }
    *out += "</h4>\n<dl class=\"files\">\n";
    for file in files {
        item(out, &format!("<code>{}</code>", esc(&file.name)), &esc(&file.purpose));
    }
    *out += "</dl>\n";
}

/// `fate` is what became of the node, where the cure has it.
fn row(out: &mut String, report: &Report, one: &Sensitivity, number: usize, fate: Option<&str>, quantised: bool) {
    let guilty = story::is_culprit(report, &one.tensor);
    let mut name = esc(if one.node.is_empty() { &one.tensor } else { &one.node });
    if guilty {
        name += " <span class=\"tag\">culprit</span>";
    }
    if let Some(fate) = fate {
        name += &format!(" <span class=\"tag good\">{fate}</span>");
    }
    let op = esc(&one.op_type);
    *out += &format!("<tr><td class=\"n\">{number}</td><th scope=\"row\">{name}</th><td>{op}</td>");
    // A node alone quantised is not tried.
    let errors = [Some(one.local), one.promoted, one.demoted];
    for error in errors.into_iter().take(if quantised { 2 } else { 3 }) {
        let (class, text) = match error {
            None => ("n", "-".into()),
            Some(error) if error.0.is_finite() => ("n", cure::error(error)),
            Some(error) => ("n bad", cure::error(error)),
        };
        *out += &format!("<td class=\"{class}\">{text}</td>");
    }
    *out += "</tr>\n";
}

#[cfg(test)]
mod tests;
