//! The terminal's summary: goldens for the whole, assertions for what must never be lost.

use crate::found::{Masked, NodeRef, Real, Report, Status, Verdict};
use crate::show::report::{browser, every_tensor, markdown, summary};
use crate::show::sample::{
    agreed_report, check_golden, check_report, hostile_report, limited_report, partial_report, sample_report,
};

#[test]
fn goldens() {
    check_golden("diverged.txt", &summary(&sample_report(), false, 120));
    check_golden("diverged_80.txt", &summary(&sample_report(), false, 80));
    check_golden("agreed.txt", &summary(&agreed_report(), false, 100));
    check_golden("inconclusive.txt", &summary(&partial_report(), false, 100));
    check_golden("check.txt", &summary(&check_report(), false, 100));
    check_golden("limited.txt", &summary(&limited_report(), false, 120));
    check_golden("tensors.txt", &every_tensor(&sample_report(), false, 120));
}

#[test]
fn the_first_five_lines_are_the_answer() {
    let text = summary(&sample_report(), false, 150);
    let head: Vec<&str> = text.lines().take(5).collect();
    for (line, want) in [
        (0, "diverged: 2 culprits in bert.onnx, ort:fp16 against ort"),
        (1, "culprit: node \"/norm/Pow\" (Pow) introduces the divergence"),
        (2, "local error  12 NaN or Inf (reference: 0), max abs Inf"),
        (3, "12 of 4,096 elements beyond tolerance, the first at [0,3,17]"),
        (4, "proof        1 of its 2 inputs was measured and agrees"),
    ] {
        assert!(head[line].contains(want), "line {line}: {}", head[line]);
    }
}

#[test]
fn a_ranking_is_shown_where_it_tells_something() {
    let mut report = limited_report();
    report.precision_limited = None;
    let title = "worst in this precision";
    let shown = |report: &Report| summary(report, false, 120).contains(title);
    assert!(shown(&report), "rho is not 1 everywhere");
    report.ranking.iter_mut().for_each(|row| row.rho = Some(Real(1.0)));
    assert!(!shown(&report), "an emulation's culprits say it all");
}

#[test]
fn outputs_that_agree_may_have_layers_that_lose() {
    let report = Report {
        ranking: limited_report().ranking,
        sensitivity: crate::show::sample::sensitivity(),
        ..agreed_report()
    };
    let text = summary(&report, false, 150);
    assert!(text.starts_with("agreed") && text.contains("worst in this precision"), "{text}");
    assert!(text.contains("each alone") && text.contains("/norm/Pow") && text.contains("0.31"), "{text}");
    assert!(!summary(&agreed_report(), false, 150).contains("each alone"));
    for page in [markdown(&report), browser(&report)] {
        assert!(page.contains("The nodes that the precision hurts most") && page.contains("Sensitivity"), "{page}");
        assert!(!page.contains("<details><summary>Sensitivity"), "it is the answer");
    }
}

#[test]
fn a_culprit_inside_a_subgraph_says_so() {
    assert!(
        summary(&sample_report(), false, 200)
            .contains("(Softmax) in subgraph \"/if/then_branch\" hands on what it is given")
    );
}

#[test]
fn a_region_names_its_nodes() {
    let mut report = sample_report();
    report.culprits.truncate(1);
    let culprit = &mut report.culprits[0];
    culprit.kind = crate::found::Kind::Region;
    culprit.local = None;
    culprit.why = Some("the session refused the node alone".into());
    culprit.region = ["/norm/Sub", "/norm/Pow"].map(String::from).into();
    let text = summary(&report, false, 200);
    for want in [
        "ends a region of 2 nodes: agreeing inputs, diverging output, no single node to blame (it could not be run alone)",
        "region       \"/norm/Sub\", \"/norm/Pow\"",
        "because      the session refused the node alone",
        "local error  not measured",
    ] {
        assert!(text.contains(want), "lacks '{want}':\n{text}");
    }
}

#[test]
fn masked_nodes_get_a_line_behind_the_culprits_and_are_counted() {
    let mut report = sample_report();
    let masked = |n: usize| Masked {
        node: NodeRef { name: format!("/noise{n}"), op_type: "Add".into(), ..NodeRef::default() },
        masked_by: vec!["/mean_output_0".into()],
        ..Masked::default()
    };
    report.masked = (0..5).map(masked).collect();
    let text = summary(&report, false, 200);
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("lacks '{words}':\n{text}"));
    assert!(text.rfind("culprit: ") < text.find("masked "), "culprits come first");
    let lines = text.lines().filter(|line| line.contains("its error is lost in \"/mean_output_0\""));
    assert_eq!(lines.count(), 3, "{text}");
    at("\"/noise0\" (Add) is wrong");
    at("and 2 more");
    for whole in [markdown(&report), browser(&report)] {
        assert!(whole.contains("/noise0") && whole.contains("its error is lost in"), "{whole}");
    }
    report.precision_limited = limited_report().precision_limited;
    assert!(!summary(&report, false, 200).contains("its error is lost in"), "nobody is to blame");
}

#[test]
fn many_culprits_are_all_named() {
    let mut report = sample_report();
    report.culprits = (0..11)
        .map(|i| {
            let mut culprit = report.culprits[0].clone();
            culprit.node.name = format!("/n{i}");
            culprit
        })
        .collect();
    let text = summary(&report, false, 120);
    assert_eq!(text.matches("culprit: node").count(), 8);
    assert!(text.contains("3 more: \"/n8\", \"/n9\", \"/n10\""), "{text}");
}

#[test]
fn agreement_names_what_it_does_not_cover() {
    let mut report = agreed_report();
    assert_eq!(summary(&report, false, 200).lines().count(), 4);
    report.outputs[0].status = Status::NotCompared;
    report.outputs[0].metrics = None;
    report.outputs[0].why = Some("strings".into());
    report.tensors[1].status = Status::Diverges;
    let text = summary(&report, false, 120);
    assert!(text.contains("not compared output \"logits\": strings"), "{text}");
    assert!(text.contains("1 inner tensor diverges without reaching an output"), "{text}");
}

#[test]
fn every_reproducer_has_its_lines() {
    let mut report = sample_report();
    let first = report.reduced.clone().unwrap();
    let second = crate::found::Reduced {
        path: "bert.layerdiff/reduced_2/model.onnx".into(),
        reproduces: false,
        culprit: Some("/attn/x".into()),
        why: Some("both sides agree".into()),
        ..first.clone()
    };
    report.reproducers = vec![first, second];
    let text = summary(&report, false, 200);
    for want in [
        "reduced      of \"/norm/Pow_output_0\": 2 nodes (\"/norm/Sub\", \"/norm/Pow\"), 3.2 kB; reproduces from disk: yes; 1-minimal; 9 probes, 200 ms\n               sh bert.layerdiff/reduced/repro.sh\n",
        "reduced      of \"/attn/x\": 2 nodes",
        "reproduces from disk: NO",
        "sh bert.layerdiff/reduced_2/repro.sh\n               both sides agree\n",
    ] {
        assert!(text.contains(want), "lacks '{want}':\n{text}");
    }
}

#[track_caller]
fn check_overrides(change: impl FnOnce(&mut crate::found::Overrides), want: &str) {
    let mut report = sample_report();
    report.overrides.as_mut().map(change).unwrap();
    let text = summary(&report, false, 200);
    let field = text.split_once("  overrides    ").and_then(|(_, rest)| rest.split_once("\nwarning:")).unwrap().0;
    assert_eq!(field.lines().map(str::trim).collect::<Vec<_>>().join("\n"), want);
}

#[test]
fn overrides_say_what_to_keep_and_what_it_is_worth() {
    const FILES: &str = "files in bert.layerdiff/overrides: model.mixed.onnx, the model with these nodes in FP32, and 6 more (see README.md)";
    const PRICE: &str = "relative RMS error of the worst output: NaN or Inf before, 2.10e-4 after; 11 trials";
    const GROUP: &str = "LayerNorm '/norm': Pow, ReduceMean";
    check_overrides(
        |_| (),
        &format!("2 of 139 nodes in FP32; verified: yes; none can be given back\n{GROUP}\n{PRICE}\n{FILES}"),
    );
    check_overrides(
        |o| (o.verified, o.why) = (false, Some("the held-back samples do not agree".into())),
        &format!("2 of 139 nodes in FP32; verified: NO\nthe held-back samples do not agree\n{GROUP}\n{PRICE}\n{FILES}"),
    );
    check_overrides(
        |o| {
            let why = Some("precision is not the cause".into());
            *o = crate::found::Overrides { error_before: Real(0.5), builds: 2, of: 9, why, ..Default::default() };
        },
        "none found\nprecision is not the cause\nrelative RMS error of the worst output: 0.500 with nothing in FP32; 2 trials",
    );
}

#[test]
fn advice_that_two_causes_share_is_given_once() {
    let mut report = sample_report();
    let mut second = report.culprits[0].diagnosis[0].clone();
    second.code = "normalization-statistics".into();
    report.culprits[0].diagnosis.push(second);
    let text = summary(&report, false, 200);
    assert_eq!((text.matches("  cause ").count(), text.matches("  help ").count()), (2, 1), "{text}");
}

#[test]
fn an_interrupted_search_keeps_what_it_found() {
    let report = Report { verdict: Verdict::Inconclusive, why: Some("interrupted".into()), ..sample_report() };
    let text = summary(&report, false, 120);
    for want in
        ["inconclusive: no answer", "because      interrupted", "so far       2 culprits", "\"/norm/Pow\" (Pow)"]
    {
        assert!(text.contains(want), "lacks '{want}':\n{text}");
    }
}

#[test]
fn lines_fit_and_names_in_headlines_stay_whole() {
    for width in [60, 80, 100, 160] {
        let text = summary(&sample_report(), false, width);
        let widest = text.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} > {width}\n{text}");
    }
    let mut report = sample_report();
    report.culprits[0].node.name = report.tensors.last().unwrap().node.clone();
    let name = report.culprits[0].node.name.clone();
    assert!(summary(&report, false, 60).contains(&name));
}

#[test]
fn colour_is_the_only_escape_sequence() {
    assert!(!summary(&hostile_report(), false, 100).contains('\u{1b}'));
    let text = summary(&hostile_report(), true, 100);
    assert!(text.contains("\u{1b}[1;31mdiverged:\u{1b}[0m"));
    assert!(!text.contains('\u{202e}'));
    for part in text.split('\u{1b}').skip(1) {
        let code: String = part.chars().take_while(|c| *c != 'm').collect();
        assert!(["[0", "[1", "[2", "[33", "[1;31", "[1;32"].contains(&code.as_str()), "{part:?}");
    }
}

#[test]
fn default_reports_render() {
    for verdict in [Verdict::Agreed, Verdict::Diverged, Verdict::Inconclusive] {
        let text = summary(&Report { verdict, ..Report::default() }, false, 0);
        assert!(text.lines().count() >= 2, "{text}");
    }
}
