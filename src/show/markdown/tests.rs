//! The writer for tickets: every block, and no text that breaks a row or becomes markup.

use proptest::prelude::*;

use super::*;
use crate::show::sample::{attack, every_block};

/// Of a row: a pipe behind a backslash ends no cell, whatever stands before that.
fn cells(line: &str) -> usize {
    line.replace("\\|", "").matches('|').count()
}

/// What each line is: the number of its cells, or how it begins. What is between fences is code.
fn shape(page: &str) -> Vec<String> {
    let mut fence: Option<String> = None;
    let code = move |line: &&str| {
        let open = line.strip_suffix("sh").filter(|ticks| ticks.len() > 2 && ticks.chars().all(|c| c == '`'));
        let open = open.map(String::from);
        let closes = fence.as_deref() == Some(*line);
        let fenced = fence.is_some() || open.is_some();
        fence = if closes { None } else { fence.take().or(open) };
        !fenced && !line.starts_with("    ")
    };
    let line = |line: &str| match line.chars().next() {
        Some('|') => format!("row of {}", cells(line)),
        Some(first) if "#>-+=<".contains(first) => first.to_string(),
        Some(_) => "text".into(),
        None => String::new(),
    };
    page.lines().filter(code).map(line).collect()
}

#[test]
fn every_block_has_its_markup() {
    let spans = "x it's `x`, `x`, `x`, **x**, so, x (x), x";
    let want = format!(
        "## {spans}\n\n**fails**: x\n\nx\n\n> **warning**: x\n\n### x\n\n{spans}\n\n{spans}\n\n- x\n- {spans}\n\n\
         ### Thing 1: `x` in subgraph `x`\n\nIt x.\n\n- **x**: {spans}\n- `x`\n\n\
         ### Thing: `x` in subgraph `x`\n\nIt x.\n\n- **x**: {spans}\n- `x`\n\n\
         x:\n\n- `x`: {spans}\n- `x`\n\nx:\n\n| | |\n|---|---|\n| x | {spans} |\n|  | `x` |\n\n"
    );
    let page = write(&every_block("x"), 2);
    assert!(page.starts_with(&want), "{page}");
    let table = format!(
        "| | x | x | x | x |\n|---|---|---|--:|---|\n|  | `x` | {spans} | x | x |\n| | … | | | |\n| ▶ | `x` | {spans} | x | x |\n"
    );
    assert_eq!(page.matches(&table).count(), 2, "{page}");
    let end = "```sh\nx\n```\n\n    x\n\n<details><summary>x</summary>\n\nx\n\n</details>\n\n<sub>x</sub>\n";
    assert!(page.ends_with(end), "{page}");
}

#[test]
fn a_page_without_a_footer_ends_with_its_last_line() {
    let page = Page { title: "t".into(), blocks: vec![Block::Line("a_b_c".into())], footer: None };
    assert_eq!(write(&page, 1), "# t\n\na_b_c\n");
}

#[test]
fn own_words_are_wrapped_where_nothing_but_a_sentence_is() {
    let list = Block::list(["a\nb"]).unwrap();
    let page = Page { title: "t\nu".into(), blocks: vec![Block::Line("a\nb".into()), list], footer: None };
    assert_eq!(write(&page, 1), "# t u\n\na\nb\n\n- a b\n");
}

#[test]
fn code_spans_hold_backticks_and_pipes() {
    assert_eq!([code("a"), code("a`b"), code("``"), code("")], ["`a`", "``a`b``", "``` `` ```", ""]);
    assert_eq!(cell(&Span::Code("a|b".into()).into()), "`a\\|b`");
    let fenced = Page { blocks: vec![Block::Command("echo ```".into())], ..Page::default() };
    assert_eq!(write(&fenced, 1), "````sh\necho ```\n````\n");
}

#[test]
fn punctuation_stays_punctuation() {
    assert_eq!(escaped("<b>*_|`", true), r"\<b\>\*\_\|\`");
    let line = |text: &str| write(&Page { blocks: vec![Block::Line(text.to_string().into())], ..Page::default() }, 1);
    assert_eq!([line("- a"), line("12. a"), line("    a"), line("1 a")], ["\\- a\n", "12\\. a\n", "a\n", "1 a\n"]);
    let plain = |text: &str| Words::from("a ").and(Span::Plain(text.into()));
    assert_eq!(inline(&plain("_b_ *c*|\n")), "a _b_ *c*|\\n");
    assert_eq!(cell(&plain("b|c")), "a b\\|c");
    assert_eq!([escaped("a_b _c_", true), escaped("a_b _c_", false)], [r"a\_b \_c\_", r"a_b \_c\_"]);
}

proptest! {
    #[test]
    fn no_text_breaks_a_row_or_starts_a_line(text in attack()) {
        let page = write(&every_block(&text), 2);
        prop_assert_eq!(shape(&page), shape(&write(&every_block("x"), 2)), "{}", page);
        prop_assert!(!page.chars().any(|c| crate::terminal::harmful(c) && c != '\n'));
    }

    #[test]
    fn outside_of_code_no_markup_is_left(text in attack()) {
        let told = escaped(&text, true);
        let mut chars = told.chars();
        while let Some(c) = chars.next() {
            prop_assert!(c == '\\' || !MARKUP.contains(c), "{}", told);
            if c == '\\' {
                prop_assert!(chars.next().is_some_and(|c| MARKUP.contains(c)), "{}", told);
            }
        }
    }
}
