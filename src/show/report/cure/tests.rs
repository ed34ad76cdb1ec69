//! The card and the table: every claim is there, and none that was not seen.

use super::Density::Ticket;
use super::*;
use crate::show::page::Page;
use crate::show::sample::{overrides, sample_report};
use crate::show::{html, markdown};

/// The block in a browser, and nothing else.
fn browsed(block: Option<Block>) -> String {
    let page = html::write(&Page { blocks: block.into_iter().collect(), ..Page::default() });
    page.split_once("<main>\n").and_then(|(_, rest)| rest.split_once("</main>")).unwrap().0.to_string()
}

/// The blocks in a ticket.
fn written(blocks: impl IntoIterator<Item = Block>) -> String {
    let footer = Some(String::new());
    let page = markdown::write(&Page { blocks: blocks.into_iter().collect(), footer, ..Page::default() }, 2);
    page.strip_suffix("<sub></sub>\n").unwrap().to_string()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Overrides), wants: &[&str], lacks: &[&str]) {
    let mut report = sample_report();
    report.overrides.as_mut().map(change).unwrap();
    let out = browsed(card(&report));
    for want in wants {
        assert!(out.contains(want), "lacks '{want}':\n{out}");
    }
    for bad in lacks {
        assert!(!out.contains(bad), "has '{bad}':\n{out}");
    }
}

#[test]
fn a_cure_has_its_nodes_errors_files_and_curve() {
    check(
        |_| (),
        &[
            "<article class=\"card cured\">",
            "<h3>2 of 139 nodes in FP32 <span class=\"tag good\">verified</span></h3>",
            "None of them can be given back",
            "<li>LayerNorm &#39;/norm&#39;: Pow, ReduceMean</li>",
            "<dt>Nodes</dt><dd><code>/norm/Pow</code>, <code>/norm/ReduceMean</code></dd>",
            "<dt>Search</dt><dd>11 trials</dd>",
            "<h4>Files in <code>bert.layerdiff/overrides</code></h4>",
            "<dt><code>trtexec.args</code></dt><dd>arguments of trtexec",
            "<svg class=\"chart curve\"",
        ],
        &["NOT verified", "Perhaps fewer", "<details>"],
    );
}

#[test]
fn what_was_not_seen_is_not_claimed() {
    check(|o| o.minimal = false, &["seen to agree. Perhaps fewer would do"], &["None of them can be given back"]);
    check(
        |o| (o.verified, o.why) = (false, Some("1 held-back sample <b>".into())),
        &["card unsure", "NOT verified", "no run shows that they cure", "1 held-back sample &lt;b&gt;"],
        &["class=\"fine\"", "can be given back", "seen to agree"],
    );
    check(
        |o| o.limited = true,
        &["card unsure", "no cure</span>", "<h2>No cure</h2>", "so many are no cure"],
        &["tag good", "None of them can be given back"],
    );
    let none = |verified| move |o: &mut Overrides| *o = Overrides { verified, builds: 2, ..Overrides::default() };
    check(none(false), &["<h3>None found</h3>", "2 trials"], &["After", "<svg", "<h4>", "<ul", "Nodes"]);
    check(none(true), &["<h3>None needed</h3>", "every node in FP16"], &["After", "<svg", "<h4>", "<ul", "Nodes"]);
}

fn unquantised(o: &mut Overrides) {
    o.kind = CureKind::Unquantised;
    o.files = [("qdq_loss".to_string(), "m/qdq_loss.json".to_string())].into();
    o.curve.clear();
}

#[test]
fn a_qdq_model_has_its_own_words() {
    let wants = [
        "<h3>2 of 139 nodes left unquantised <span",
        "With these nodes left unquantised and all others quantised the outputs were seen to agree",
        "both errors of every quantised tensor",
    ];
    check(unquantised, &wants, &["FP32", "FP16"]);
    let none = |o: &mut Overrides| {
        unquantised(o);
        (o.verified, o.nodes, o.groups) = (false, Vec::new(), Vec::new());
    };
    check(none, &["No set of nodes was seen to cure the outputs when it is left unquantised."], &["FP32", "FP16"]);
    let mut report = sample_report();
    report.overrides.as_mut().map(unquantised).unwrap();
    let out = browsed(sensitivity(&report, Full));
    assert!(!out.contains("FP32") && !out.contains("FP16"), "{out}");
    assert!(out.contains("outputs, this node alone left unquantised</th></tr>"), "{out}");
    // Local and promoted; nothing was demoted.
    assert!(out.contains("<td>Gemm</td><td class=\"n\">3.10e-4</td><td class=\"n\">-</td></tr>"), "{out}");
    assert!(out.contains("<span class=\"tag good\">left unquantised</span>"), "{out}");
}

#[test]
fn long_lists_unfold() {
    check(
        |o| {
            o.groups = (0..15).map(|i| format!("Add g{i}")).collect();
            o.nodes = (0..15).map(|i| format!("n{i}")).collect();
        },
        &["<summary>and 3 more</summary>", "<li>Add g14</li>", "<summary>15 names</summary>", "<code>n14</code>"],
        &[],
    );
}

#[test]
fn rows_say_which_nodes_are_culprits_and_kept() {
    let out = browsed(sensitivity(&sample_report(), Full));
    for want in [
        "<th scope=\"row\">/norm/Pow <span class=\"tag\">culprit</span> <span class=\"tag good\">in FP32</span></th>",
        "<td>Pow</td><td class=\"n bad\">NaN or Inf</td><td class=\"n\">0.820</td><td class=\"n bad\">NaN or Inf</td>",
        "<td>Gemm</td><td class=\"n\">3.10e-4</td><td class=\"n\">-</td><td class=\"n\">-</td>",
        "this node alone in FP16",
    ] {
        assert!(out.contains(want), "lacks '{want}':\n{out}");
    }
    assert!(sensitivity(&Report { sensitivity: Vec::new(), ..sample_report() }, Full).is_none());
}

fn cure_in_a_ticket(overrides: Overrides) -> String {
    written(ticket(&Report { overrides: Some(overrides), ..sample_report() }))
}

#[test]
fn a_cure_in_short() {
    let out = cure_in_a_ticket(overrides());
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
    let out = cure_in_a_ticket(Overrides { error_before: Real(0.5), builds: 2, why, ..Overrides::default() });
    let want = "### Cure\n\n**none found**\n\nprecision is not the cause\n\nRelative RMS error of the worst output: \
                0.500 with nothing in FP32; 2 trials\n\n";
    assert_eq!(out, want);
}

#[test]
fn the_table_is_short_and_names_every_row() {
    let mut report = sample_report();
    report.sensitivity[0].node.clear();
    report.sensitivity.resize(20, Sensitivity { node: "a|b".into(), ..Sensitivity::default() });
    let out = written(sensitivity(&report, Ticket));
    assert_eq!(out.lines().filter(|line| line.starts_with("| `")).count(), ROWS);
    assert!(out.contains("| `/norm/Pow_output_0` | Pow | NaN or Inf | 0.820 | NaN or Inf |"), "{out}");
    assert!(out.contains("| `a\\|b` |  | 0 | - | - |"), "{out}");
}

#[test]
fn a_qdq_model_has_its_own_words_in_a_ticket() {
    let mut report = sample_report();
    let files = [("qdq_loss".to_string(), "m/qdq_loss.json".to_string())].into();
    report.overrides = report.overrides.map(|o| Overrides { kind: CureKind::Unquantised, files, ..o });
    let out = written(ticket(&report).into_iter().chain(sensitivity(&report, Ticket)));
    assert!(out.contains("**2 of 139 nodes left unquantised; verified: yes"), "{out}");
    assert!(out.contains("| node | op | local | outputs, alone left unquantised |\n|---|---|--:|--:|\n"), "{out}");
    assert!(out.contains("| `/norm/Pow` | Pow | NaN or Inf | 0.820 |\n"), "{out}");
    assert!(!out.contains("FP32") && !out.contains("FP16") && !out.contains("low precision"), "{out}");
}
