//! What a report says: for a terminal in short, for a ticket, and in full for a browser. Here are the three pages as orders
//! of their parts, and the writer of each; a part is said by one submodule, which takes the [`Density`] where the three
//! really differ, and knows nothing of colours, HTML or Markdown.

mod culprit;
pub mod cure;
mod differences;
mod engine;
mod findings;
mod fusion;
mod judged;
mod masked;
pub mod placement;
mod ranking;
mod run;
mod session;
mod tensors;
mod times;
mod verdict;

use super::page::{Block, Fact, Figure, Page};
use super::{html, markdown, sizes, steps, text};
use crate::found::words::{file_name, seconds};
use crate::found::{Culprit, Report, Verdict, ordered};
use Density::{Full, Short, Ticket};

/// How much a reader is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Density {
    /// A screen of a terminal.
    Short,
    /// A bug ticket: what another engineer needs.
    Ticket,
    /// Everything.
    Full,
}

/// Culprits told in detail where there is no room for all.
const IN_DETAIL: usize = 8;
/// The same where they are to blame for nothing.
const BLAMELESS: usize = 3;

/// The result of a run for a terminal of `width` columns.
pub fn summary(report: &Report, color: bool, width: usize) -> String {
    text::write(&short(report), color, width)
}

/// Every tensor measured, one row each, then the outputs: what `compare` shows.
pub fn every_tensor(report: &Report, color: bool, width: usize) -> String {
    let blocks = vec![tensors::around(report, (0..report.tensors.len()).map(Some), Short)];
    text::write(&Page { blocks, ..Page::default() }, color, width)
}

/// The last line of a summary: where the report is.
pub fn location(path: &str, color: bool, width: usize) -> String {
    let blocks = vec![Block::facts(vec![Fact::new("report", path.to_string())])];
    text::write(&Page { blocks, ..Page::default() }, color, width)
}

/// The report as one self-contained HTML file.
pub fn browser(report: &Report) -> String {
    html::write(&full(report))
}

/// The report as GitHub Markdown, to be pasted into a bug ticket.
pub fn markdown(report: &Report) -> String {
    markdown::write(&ticket(report), 2)
}

/// What to know in the first five lines, then the tensors around it, then how it was found.
fn short(report: &Report) -> Page {
    let mut blocks = vec![Block::Banner(verdict::banner(report, Short))];
    blocks.extend(sizes::short(report));
    blocks.extend(steps::short(report));
    match report.verdict {
        Verdict::Agreed => {
            blocks.push(Block::facts(verdict::agreed(report)));
            blocks.extend(ranking::short(report));
            blocks.extend(cure::sensitivity(report, Short).into_iter().flat_map(|table| [Block::Gap, table]));
        }
        Verdict::Diverged => diverged(&mut blocks, report),
        Verdict::Inconclusive => {
            blocks.push(Block::facts(verdict::inconclusive(report)));
            if !report.culprits.is_empty() {
                diverged(&mut blocks, report);
            } else if report.search.candidate_runs > 0 {
                surroundings(&mut blocks, report, &[]);
                blocks.extend(run::short(report));
            } else if report.session.as_ref().is_some_and(|session| session.plain.is_some()) {
                blocks.push(Block::facts(session::facts(report, Short)));
            }
        }
    }
    blocks.extend(times::blocks(report, Short));
    blocks.push(Block::Warnings(report.warnings.clone()));
    Page { blocks, ..Page::default() }
}

fn diverged(blocks: &mut Vec<Block>, report: &Report) {
    let limited = report.precision_limited.is_some();
    let culprits = ordered(report);
    let (detailed, more) = in_detail(report, &culprits);
    if limited {
        blocks.extend(ranking::short(report));
        blocks.push(Block::Gap);
    }
    blocks.push(Block::Cards(culprit::cards(report, detailed, Short)));
    blocks.extend(culprit::more(report, more));
    blocks.extend(findings::block(report, Short));
    blocks.extend(differences::block(report, Short));
    blocks.extend(masked::block(report, Short));
    if report.culprits.is_empty()
        && let Some(why) = &report.why
    {
        blocks.push(Block::facts(vec![Fact::new("because", why.clone())]));
    }
    surroundings(blocks, report, detailed);
    if !limited {
        blocks.extend(ranking::short(report));
    }
    blocks.extend(run::short(report));
}

/// Those that are told in full, and those that are named.
fn in_detail<'c>(report: &Report, culprits: &'c [Culprit]) -> (&'c [Culprit], &'c [Culprit]) {
    let most = if report.precision_limited.is_some() { BLAMELESS } else { IN_DETAIL };
    culprits.split_at(culprits.len().min(most))
}

fn surroundings(blocks: &mut Vec<Block>, report: &Report, culprits: &[Culprit]) {
    let context = match culprits.len() {
        0..=1 => 3,
        2 => 2,
        _ => 1,
    };
    let rows = tensors::surroundings(report, culprits, context);
    if !rows.is_empty() || !report.outputs.is_empty() {
        blocks.extend([Block::Gap, tensors::around(report, rows.into_iter(), Short)]);
    }
}

/// What is wrong, the proof, how to see it again.
fn ticket(report: &Report) -> Page {
    let limited = report.precision_limited.is_some();
    let culprits = ordered(report);
    let (detailed, more) = in_detail(report, &culprits);
    let ranking = ranking::block(report, Ticket);
    let mut blocks = vec![Block::Banner(verdict::banner(report, Ticket)), Block::Warnings(report.warnings.clone())];
    blocks.extend(sizes::full(report));
    blocks.extend(steps::full(report));
    let (leads, follows) = if limited { (ranking, None) } else { (None, ranking) };
    blocks.extend(leads);
    blocks.push(Block::Cards(culprit::cards(report, detailed, Ticket)));
    blocks.extend(culprit::also(more));
    blocks.extend(findings::block(report, Ticket));
    blocks.extend(differences::block(report, Ticket));
    blocks.extend(masked::block(report, Ticket));
    blocks.extend(cure::ticket(report));
    blocks.extend(follows);
    blocks.extend(cure::sensitivity(report, Ticket));
    let first = &report.culprits[..report.culprits.len().min(IN_DETAIL)];
    let rows = tensors::surroundings(report, first, 3);
    if !rows.is_empty() {
        let around = "Tensors around the culprits (▶), in topological order";
        blocks.push(Block::Fold(around.into(), vec![tensors::at(report, &rows, Ticket)]));
    }
    blocks.extend(tensors::outputs(report, "Outputs", Ticket));
    blocks.extend(judged::section(report, Ticket));
    blocks.extend(placement::section(report, Ticket));
    blocks.extend(times::blocks(report, Ticket));
    blocks.push(run::reproduce(report));
    blocks.push(run::environment(report));
    let version = format!("layerdiff {}", report.layerdiff);
    let footer = Some(format!("{}, {}", version.trim_end(), seconds(report.seconds)));
    Page { title: verdict::title(report), blocks, footer }
}

/// The answer first, then everything.
fn full(report: &Report) -> Page {
    let mut blocks = vec![Block::Banner(verdict::banner(report, Full)), Block::Warnings(report.warnings.clone())];
    blocks.extend(sizes::full(report));
    blocks.extend(steps::full(report));
    let mut answer = [culprit::section(report), cure::card(report), ranking::block(report, Full)];
    if report.precision_limited.is_some() {
        answer.reverse();
    }
    blocks.extend(answer.into_iter().flatten());
    blocks.extend(findings::block(report, Full));
    blocks.extend(differences::block(report, Full));
    blocks.extend(masked::block(report, Full));
    blocks.extend(cure::sensitivity(report, Full));
    if report.tensors.len() > 1 {
        let depth = Block::Figure(Figure::Depth(tensors::points(report)));
        blocks.push(Block::section("Error by depth", vec![depth]));
    }
    blocks.extend(tensors::outputs(report, "The model's outputs", Full));
    blocks.extend(judged::section(report, Full));
    blocks.extend(placement::section(report, Full));
    blocks.extend(times::blocks(report, Full));
    blocks.extend(tensors::all(report));
    blocks.push(run::found(report));
    blocks.extend(run::again(report));
    let title = format!("{} in {}", verdict::headline(report).0, file_name(&report.model.path));
    Page { title: title.into(), blocks, footer: None }
}

#[cfg(test)]
mod tests;
