//! The writer for terminals: lines that align, hang and give way, and nothing that a terminal would obey.

use proptest::prelude::*;

use super::*;
use crate::show::page::Facts;
use crate::show::page::FactsKind;
use crate::show::sample::every_block;
use crate::terminal::harmful;

fn page(blocks: Vec<Block>) -> Page {
    Page { blocks, ..Page::default() }
}

fn table(names: &[&str]) -> Block {
    let columns = [(ColumnKind::Name, "tensor"), (ColumnKind::Number, "max abs")];
    let row = |marked, name: &str, number: &str| {
        let cells = [name, number].map(|cell| Words::from(cell.to_string())).into();
        Some(Row { status: None, marked, cells })
    };
    let mut rows: Vec<Option<Row>> = names.iter().map(|name| row(false, name, "1.00")).collect();
    rows.extend([None, row(true, LONG, "1.23e-4")]);
    let columns = columns.map(|(kind, title)| Column::new(kind, title)).into();
    Block::Tables(vec![Table { columns, rows, all: None }])
}

const LONG: &str = "/encoder/layer.0/attention/self/query/MatMul_output_0";

#[test]
fn every_block_has_its_lines() {
    let want = "\
fails: x
warning: x


x
x it's \"x\", x, x, x, so, x (x), x
x it's \"x\", x, x, x, so, x (x), x
  - x
  - x it's \"x\", x, x, x, so, x (x), x
thing: \"x\" in subgraph \"x\" x
  x            x it's \"x\", x, x, x, so, x (x), x
               x

thing: \"x\" in subgraph \"x\" x
  x            x it's \"x\", x, x, x, so, x (x), x
               x
  x            x it's \"x\", x, x, x, so, x (x), x
               x
  x            x it's \"x\", x, x, x, so, x (x), x
               x
";
    let text = write(&every_block("x"), false, 100);
    assert!(text.starts_with(want), "{text}");
    let row = "> \"x\"  x it's \"x\", x, x, x, so, x (x), x  x  x";
    assert_eq!(text.lines().filter(|line| *line == row).count(), 2, "{text}");
    assert!(text.ends_with("    x\n    x\n") && text.contains("\n  …\n"), "{text}");
}

#[test]
fn columns_align_and_give_way() {
    let want = [
        "  tensor                         max abs",
        "  a                                 1.00",
        "  …",
        "> /encoder/layer…/MatMul_output_0  1.23e-4",
    ];
    let want = want.join("\n").replace("/encoder/layer…/MatMul_output_0", &elide(LONG, 29)) + "\n";
    let text = write(&page(vec![table(&["a"])]), false, 40);
    assert_eq!(text, want);
    assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
}

#[test]
fn colours_only_when_asked_for_and_never_in_the_alignment() {
    let banner = Banner { role: Role::Good, word: "agreed", rest: "all".into(), ..Banner::default() };
    let page = page(vec![
        Block::Banner(banner),
        Block::Facts(Facts {
            kind: FactsKind::Sentences,
            rows: vec![Fact::new("search", "one two")],
            ..Facts::default()
        }),
        table(&[]),
    ]);
    let plain = write(&page, false, 60);
    assert!(!plain.contains('\u{1b}'));
    let mut colored = write(&page, true, 60);
    assert!(colored.starts_with("\u{1b}[1;32magreed:\u{1b}[0m all\n"), "{colored:?}");
    for code in ["\u{1b}[0m", "\u{1b}[1;32m", "\u{1b}[1;31m", "\u{1b}[2m"] {
        colored = colored.replace(code, "");
    }
    assert_eq!(colored, plain);
}

#[test]
fn line_ends_of_own_words_are_blanks() {
    assert_eq!(write(&page(vec![Block::Line("a\nb".into())]), false, 100), "a b\n");
}

#[test]
fn long_bodies_hang() {
    let fact = Fact::new("help", "keep Pow and Sqrt in FP32 or export again");
    let text = write(&page(vec![Block::facts(vec![fact])]), false, 40);
    assert_eq!(text, "  help         keep Pow and Sqrt in FP32\n               or export again\n");
}

#[test]
fn columns_that_have_no_room_are_left_out() {
    let mut table = Table { columns: vec![Column::new(ColumnKind::Name, "a")], ..Table::default() };
    table.columns.push(Column { room: 90, ..Column::new(ColumnKind::Words, "b") });
    let page = page(vec![Block::Tables(vec![table])]);
    assert_eq!([write(&page, false, 89), write(&page, false, 90)], ["  a\n", "  a  b\n"]);
}

proptest! {
    #[test]
    fn nothing_is_obeyed(text in crate::show::sample::attack(), width in 0usize..200) {
        let shown = write(&every_block(&text), false, width);
        prop_assert!(!shown.chars().any(|c| harmful(c) && c != '\n'), "{:?}", shown);
    }
}
