//! The ticket: goldens, and names that attack Markdown.

use crate::found::{Report, Status};
use crate::show::report::markdown as render;
use crate::show::sample::{
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
