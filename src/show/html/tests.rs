//! The writer for browsers: every block, and no text that becomes markup.

use proptest::prelude::*;

use super::*;
use crate::show::page::Block;
use crate::show::sample::{attack, every_block};

/// Every tag with its attributes, in order.
fn tags(page: &str) -> Vec<String> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default().to_string()).collect()
}

/// The page without its own style and script.
fn body(text: &str) -> String {
    write(&every_block(text)).replace(STYLE, "").replace(SCRIPT, "")
}

#[test]
fn every_block_has_its_markup() {
    let page = body("x");
    let spans = "x it's <code>x</code>, x, <b>x</b>, <b>x</b>, <i>so</i>, x <span class=\"op\">x</span>, x \
                 <span class=\"tag good\">x</span><small>x</small>";
    for want in [
        "<title>layerdiff: x it's x, x, x, x, so, x (x), x</title>",
        "<header class=\"banner diverged\"><div class=\"sign\" aria-hidden=\"true\">✗</div><div>\n<h1>fails</h1>\
         <p class=\"lead\">x</p>\n<p>x</p>\n<ul class=\"chips\"><li>x</li></ul></div></header>\n",
        "<section class=\"warnings\" aria-label=\"Warnings\"><ul><li><b>Warning:</b> x</li></ul></section>\n",
        &format!(
            "<section id=\"part\"><h2>x</h2>\n<p class=\"about\">{spans}</p>\n<p>{spans}</p>\n<ul class=\"groups\">"
        ),
        "<div class=\"cards\">\n<article class=\"card\" id=\"c0\"><h3><span class=\"number\">1</span> <code>x</code></h3>\n\
         <p>in subgraph <code>x</code></p>\n<p class=\"deed\">It x.</p>\n<dl>\n<dt>X</dt><dd><details><summary>x</summary>x it",
        "<article class=\"card unsure\">\n<h3><code>x</code></h3>\n",
        "<h4>x</h4>\n<dl class=\"files\">\n<dt><code>x</code></dt>",
        "<div class=\"facts\">\n<div><h3>x</h3><dl>\n<dt>X</dt>",
        "<tr class=\"diverges culprit\"><td class=\"n\">3</td><td class=\"s\"><span class=\"sign\" aria-hidden=\"true\">✗</span> x\
         </td><th scope=\"row\"><code>x</code></th>",
        "<table id=\"tensors\">",
        "<tr id=\"t2\" class=\"diverges culprit\">",
        "title=\"a &quot;meaning&quot;\"",
        "<tr><td colspan=\"5\">…</td></tr>",
        "<pre><code id=\"command\">x</code></pre>",
        "<pre><code>x</code></pre>\n",
        "<details><summary>x</summary><p>x</p>\n</details>\n",
        "<div class=\"bar\"><b>Error</b><span class=\"track\" aria-hidden=\"true\"><span class=\"fine\" style=\"width:50.0%\">\
         </span></span><span>x</span></div>\n<p><b>Error</b> x</p>\n<p class=\"scale\">of 1</p></div>\n",
        "<svg class=\"chart\"",
        "<title>culprit 1: x: diverges, relative RMS error 0.100</title>",
        "<svg class=\"chart curve\"",
        "<p class=\"about\">x</p>\n</main>",
    ] {
        assert!(page.contains(want), "lacks '{want}':\n{page}");
    }
}

#[test]
fn long_lists_unfold() {
    let items = |n: usize| Page {
        blocks: vec![Block::List((0..n).map(|i| i.to_string().into()).collect())],
        ..Page::default()
    };
    assert!(!write(&items(12)).contains("<details>"));
    assert!(write(&items(15)).contains("<li>11</li></ul>\n<details><summary>and 3 more</summary><ul"));
}

#[test]
fn the_policy_allows_this_script_only() {
    let page = write(&every_block("x"));
    let script = page.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(page.contains(&format!("script-src 'sha256-{hash}'")));
    assert!(!page.contains("onclick") && !page.contains("javascript:"));
}

proptest! {
    #[test]
    fn no_text_becomes_markup(text in attack()) {
        let page = body(&text);
        prop_assert_eq!(tags(&page), tags(&body("x")));
        prop_assert!(!page.chars().any(|c| crate::terminal::harmful(c) && c != '\n'));
    }
}
