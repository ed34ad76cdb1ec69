//! The result on the terminal: what to know in the first five lines, then the tensors around it, then how it was found.
//! Makes a string; writes nothing.

pub mod paint;
mod ranking;
#[cfg(test)]
pub(crate) mod sample;
pub mod story;
mod table;
pub mod words;

use paint::{Ink, Page};
use words::{clean, plural};

use crate::found::{Culprit, Report, Status, TensorResult, Verdict};

/// Culprits told in full; more than that is a list of names.
const IN_DETAIL: usize = 8;
/// The same where they are to blame for nothing.
const BLAMELESS: usize = 3;

/// The result of a run for a terminal of `width` columns.
pub fn summary(report: &Report, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    let (word, rest) = story::headline(report);
    page.headline(verdict_ink(report.verdict), word, &rest);
    match report.verdict {
        Verdict::Agreed => agreed(&mut page, report),
        Verdict::Diverged => diverged(&mut page, report),
        Verdict::Inconclusive => inconclusive(&mut page, report),
    }
    for warning in &report.warnings {
        page.headline(Ink::Yellow, "warning", &clean(warning));
    }
    page.text
}

/// Every tensor measured, one row each, then the outputs: what `compare` shows.
pub fn tensors(report: &Report, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    let rows: Vec<Option<usize>> = (0..report.tensors.len()).map(Some).collect();
    table::draw(&mut page, report, &rows);
    page.text
}

/// The last line of a summary: where the report is.
pub fn location(path: &str, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    page.field(Ink::Dim, "report", &clean(path));
    page.text
}

fn agreed(page: &mut Page, report: &Report) {
    if let Some(why) = &report.why {
        page.field(Ink::Dim, "because", &clean(why));
    }
    let error = |row: &TensorResult| row.metrics.as_ref().map(|m| m.sqnr_db.0);
    let worst = report.outputs.iter().filter_map(|row| Some((row, error(row)?))).min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, _)) = worst
        && let Some(metrics) = &row.metrics
    {
        let which = if report.outputs.len() > 1 { "worst of the outputs" } else { "output" };
        page.field(Ink::Dim, "error", &format!("{which}: \"{}\", {}", clean(&row.name), story::error(metrics)));
    }
    let unseen: Vec<&TensorResult> = report.outputs.iter().filter(|row| row.status == Status::NotCompared).collect();
    for row in &unseen {
        let why = row.why.as_deref().map_or(String::new(), |why| format!(": {}", clean(why)));
        page.field(Ink::Yellow, "not compared", &format!("output \"{}\"{why}", clean(&row.name)));
    }
    let inside = story::diverging_inside(report);
    if inside > 0 {
        let verb = if inside == 1 { "diverges" } else { "diverge" };
        page.field(
            Ink::Yellow,
            "note",
            &format!("{} {verb} without reaching an output", plural(inside, "inner tensor")),
        );
    }
    page.field(Ink::Dim, "search", &story::search(report));
    page.field(Ink::Dim, "tolerance", &story::tolerance(report));
}

fn diverged(page: &mut Page, report: &Report) {
    let limited = report.precision_limited.is_some();
    let most = if limited { BLAMELESS } else { IN_DETAIL };
    let culprits = story::precision::ordered(report);
    let (detailed, more) = culprits.split_at(culprits.len().min(most));
    if limited {
        ranking::draw(page, report);
        page.blank();
    }
    for (at, one) in detailed.iter().enumerate() {
        if at > 0 {
            page.blank();
        }
        culprit(page, report, one);
    }
    if !more.is_empty() {
        let shown = more.iter().take(if limited { IN_DETAIL } else { more.len() });
        let names: Vec<String> = shown.map(|c| format!("\"{}\"", story::node_name(&c.node))).collect();
        let rest = if names.len() < more.len() { ", …" } else { "" };
        page.blank();
        page.headline(Ink::Red, &format!("{} more", more.len()), &(names.join(", ") + rest));
    }
    if report.culprits.is_empty()
        && let Some(why) = &report.why
    {
        page.field(Ink::Dim, "because", &clean(why));
    }
    surroundings(page, report, detailed);
    if !limited {
        ranking::draw(page, report);
    }
    footer(page, report);
}

fn inconclusive(page: &mut Page, report: &Report) {
    let why = report.why.as_deref().unwrap_or("no reason was given");
    page.field(Ink::Bold, "because", &clean(why));
    page.field(Ink::Bold, "help", story::next_step(report));
    if !report.culprits.is_empty() {
        page.field(
            Ink::Dim,
            "so far",
            &format!("{}, not confirmed to be all", plural(report.culprits.len(), "culprit")),
        );
        diverged(page, report);
    } else if report.search.candidate_runs > 0 {
        surroundings(page, report, &[]);
        footer(page, report);
    }
}

fn culprit(page: &mut Page, report: &Report, culprit: &Culprit) {
    let node = &culprit.node;
    let within = node.subgraph.as_ref().map_or(String::new(), |s| format!(" in subgraph \"{}\"", clean(s)));
    let name = format!("node \"{}\" ({}){within} {}", story::node_name(node), story::op(node), story::deed(culprit));
    let ink = if report.precision_limited.is_some() { Ink::Yellow } else { Ink::Red };
    page.headline(ink, story::precision::label(report), &name);
    match &culprit.local {
        Some(local) => page.field(Ink::Bold, "local error", &story::error(local)),
        None => page.field(Ink::Bold, "local error", "not measured, the node could not be run alone"),
    }
    let accumulated = match culprit.local.as_ref().map(story::error) {
        Some(local) if local == story::error(&culprit.accumulated) => "the same".into(),
        _ => story::error(&culprit.accumulated),
    };
    let extent = story::extent(&culprit.accumulated, report.inputs.samples);
    page.field(Ink::Bold, "accumulated", &format!("{accumulated}; {extent}"));
    page.field(Ink::Bold, "proof", &story::proof(report, culprit));
    if culprit.region.len() > 1 {
        let names: Vec<String> = culprit.region.iter().take(IN_DETAIL).map(|n| format!("\"{}\"", clean(n))).collect();
        let more = if culprit.region.len() > IN_DETAIL { ", …" } else { "" };
        page.field(Ink::Bold, "region", &format!("{}{more}", names.join(", ")));
    }
    if let Some(realised) = story::engine::realised(culprit) {
        page.field(Ink::Dim, "engine", &realised);
    }
    if let Some(why) = &culprit.why {
        page.field(Ink::Dim, "because", &clean(why));
    }
    for (advice, causes) in story::diagnoses(culprit) {
        for cause in causes {
            page.field(Ink::Bold, "cause", &format!("{}: {}", clean(&cause.code), clean(&cause.evidence)));
        }
        page.field(Ink::Bold, "help", &clean(advice));
    }
}

fn surroundings(page: &mut Page, report: &Report, culprits: &[Culprit]) {
    let context = match culprits.len() {
        0..=1 => 3,
        2 => 2,
        _ => 1,
    };
    let rows = story::surroundings(report, culprits, context);
    if !rows.is_empty() || !report.outputs.is_empty() {
        page.blank();
        table::draw(page, report, &rows);
    }
}

fn footer(page: &mut Page, report: &Report) {
    page.blank();
    page.field(Ink::Dim, "search", &story::search(report));
    page.field(Ink::Dim, "tolerance", &story::tolerance(report));
    page.field(Ink::Dim, "inputs", &story::inputs(&report.inputs));
    if let Some(why) = &report.candidate.why {
        page.field(
            Ink::Dim,
            "candidate",
            &format!("{}, chosen because {}", story::backend(&report.candidate), clean(why)),
        );
    }
    if let Some(trust) = story::engine::trust(report) {
        page.field(Ink::Dim, "trust", &trust);
    }
    reproducers(page, report);
    overrides(page, report);
    if let Some(routes) = &report.routes {
        page.field(Ink::Bold, "knobs", &story::engine::routes(routes));
    }
}

fn reproducers(page: &mut Page, report: &Report) {
    let all = story::reproducers::all(report);
    for reduced in all {
        let ink = if reduced.reproduces { Ink::Dim } else { Ink::Yellow };
        page.field(ink, "reduced", &story::reproducers::worth(reduced, all.len()));
        page.field(Ink::Bold, "", &story::reproducers::command(reduced));
        if let Some(why) = &reduced.why {
            page.field(Ink::Dim, "", &clean(why));
        }
    }
}

fn overrides(page: &mut Page, report: &Report) {
    let Some(overrides) = &report.overrides else { return };
    let ink = if overrides.verified { Ink::Dim } else { Ink::Yellow };
    page.field(ink, "overrides", &story::cure::claim(overrides));
    if let Some(why) = &overrides.why {
        page.field(Ink::Dim, "", &clean(why));
    }
    if !overrides.nodes.is_empty() {
        page.field(Ink::Bold, "", &story::cure::shortened(overrides).join("; "));
    }
    page.field(Ink::Dim, "", &story::cure::price(overrides));
    if let Some(location) = story::cure::location(overrides) {
        page.field(Ink::Dim, "", &location);
    }
}

fn verdict_ink(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Agreed => Ink::Green,
        Verdict::Diverged => Ink::Red,
        Verdict::Inconclusive => Ink::Yellow,
    }
}

#[cfg(test)]
mod tests;
