//! The HTML: nothing is loaded, nothing in a name becomes markup, every section is there.

use crate::found::{Report, Status};
use crate::show::report::browser;
use crate::show::sample::{
    agreed_report, check_golden, check_report, hostile_report, limited_report, partial_report, sample_report,
};

const STYLE: &str = include_str!("../../html/style.css");
const SCRIPT: &str = include_str!("../../html/script.js");

/// The page without its own style and script.
fn body(report: &Report) -> String {
    browser(report).replace(STYLE, "").replace(SCRIPT, "")
}

#[test]
fn the_ranking_leads_where_nobody_is_to_blame() {
    let at = |page: &str, what: &str| page.find(what).unwrap_or_else(|| panic!("lacks '{what}':\n{page}"));
    let (ranking, first) = ("<section id=\"ranking\">", "<h2>First beyond the tolerance");
    let mut report = limited_report();
    let page = body(&report);
    assert!(at(&page, ranking) < at(&page, "<section id=\"cure\">"));
    assert!(at(&page, "<section id=\"cure\">") < at(&page, first));
    assert!(page.contains("</th><td>Softmax</td><td class=\"n\">4.10e-3</td><td class=\"n\">3.15e-3</td>"), "{page}");
    report.precision_limited = None;
    let page = body(&report);
    assert!(at(&page, "<h2>Culprits") < at(&page, ranking) && !page.contains(first));
    report.ranking.clear();
    assert!(!body(&report).contains(ranking));
}

#[test]
fn golden() {
    check_golden("diverged.html", &body(&sample_report()));
}

#[test]
fn every_section_is_there() {
    let page = body(&sample_report());
    for want in [
        "<h1>diverged</h1>",
        "2 culprits in bert.onnx, ort:fp16 against ort",
        "<b>Warning:</b> inputs are synthetic",
        "<code>/norm/Pow</code> <span class=\"op\">Pow</span>",
        "in subgraph <code>/if/then_branch</code>",
        "<dt>Proof</dt><dd>1 of its 2 inputs was measured and agrees",
        "<svg class=\"chart\"",
        "<h2>Cure</h2>",
        "<h2>Sensitivity</h2>",
        "<li>cured by 2 of 139 nodes in FP32</li>",
        "The model&#39;s outputs",
        "Every tensor measured (13)",
        "atol 0.005, rtol 0.01",
        "<dt>Reduced model</dt>",
        "layerdiff bisect &#39;my models/bert.onnx&#39; --candidate ort:fp16",
    ] {
        assert!(page.contains(want) || page.contains(&want.replace("&#39;s", "'s")), "lacks '{want}'");
    }
}

#[test]
fn a_check_has_its_command_and_no_tensors() {
    let page = body(&check_report());
    for want in [
        "<header class=\"banner diverged\">",
        "<h1>fails</h1><p class=\"lead\">the check on bert.onnx: python &#39;my check.py&#39; {model} {inputs}</p>",
        "<p>the check fails; the failure needs 1 of 214 nodes</p>",
        "<li>19 checks</li>",
        "<dt>Tolerance</dt><dd>the command decides</dd>",
        "<dt>Shown by</dt><dd>sh bert.layerdiff/reduced/repro.sh</dd>",
        "<dt>Note</dt><dd>weights give way to generators</dd>",
    ] {
        assert!(page.contains(want), "lacks '{want}':\n{page}");
    }
    assert!(!page.contains("<table") && !page.contains("compared</li>") && !page.contains("atol"));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for page in [browser(&sample_report()), browser(&hostile_report())] {
        assert!(!page.contains("://") && !page.contains("@import") && !page.contains("url("));
        assert_eq!(page.matches("src=").count(), 0);
        assert_eq!(page.matches("<link").count(), 1, "only the empty icon");
    }
}

#[test]
fn hostile_names_stay_text() {
    let page = body(&hostile_report());
    assert_eq!(page.matches("<script").count(), 1, "only our own");
    assert_eq!(page.matches("</title>").count(), browser(&sample_report()).matches("</title>").count());
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}') && !page.contains("alert('x')"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;|`\\u{1b}[31m"));
}

#[test]
fn a_row_and_a_point_for_every_tensor() {
    let report = sample_report();
    let page = body(&report);
    for at in 0..report.tensors.len() {
        assert_eq!(page.matches(&format!("id=\"t{at}\"")).count(), 1);
        assert_eq!(page.matches(&format!("href=\"#t{at}\"")).count(), 1);
    }
    let chart = page.split_once("<svg class=\"chart\"").and_then(|(_, rest)| rest.split_once("</svg>")).unwrap().0;
    assert_eq!(chart.matches("class=\"culprit\"").count(), 2);
    assert!(!chart.contains("NaN\"") && !chart.contains("inf"), "coordinates are numbers");
}

#[test]
fn other_verdicts_and_empty_reports_render() {
    let page = body(&partial_report());
    assert!(page.contains("interrupted after 2") && page.contains("What to do:") && !page.contains("<svg"));
    let mut report = agreed_report();
    assert!(!body(&report).contains("without reaching an output"));
    report.tensors[0].status = Status::Diverges;
    assert!(body(&report).contains("1 inner tensor out of tolerance without reaching an output"));
    assert!(body(&Report::default()).ends_with("</html>\n"));
}
