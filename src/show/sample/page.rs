//! A page of every block and every span, with the same text wherever a page takes one from elsewhere.

use proptest::prelude::*;

use crate::found::Status;
use crate::show::page::*;

/// Texts of markup, quotes, line breaks and control characters.
pub fn attack() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<script>",
        "</p>",
        "&lt;",
        "\"",
        "'",
        "`",
        "```",
        "|",
        "\\|",
        "\\",
        "*",
        "**",
        "_",
        "a_b",
        "[x](y)",
        "<!--",
        "-->",
        "\n",
        "\n\n# ",
        "\n| a |\n|---|\n",
        "\u{1b}[31m",
        "\u{202e}",
        "\t",
        "~~~",
        " ",
        "x",
        "é",
        "]]>",
        "<details>",
        "=\"y\" ",
        "- ",
        "1. ",
        "    ",
    ]);
    let pieces = prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => pieces, 1 => any::<String>()].prop_filter("says something", |text| !text.trim().is_empty())
}

/// For the tests of the writers.
pub fn every_block(text: &str) -> Page {
    let own = || text.to_string();
    let words = || Words::from(own());
    let blocks = vec![
        Block::Banner(Banner { role: Role::Bad, word: "fails", rest: own(), lines: vec![words()], chips: vec![own()] }),
        Block::Warnings(vec![own()]),
        Block::Gap,
        Block::Section(Section {
            id: Some("part"),
            title: words(),
            about: spans(text),
            blocks: vec![Block::Line(spans(text)), Block::List(vec![words(), spans(text)])],
        }),
        Block::Cards(vec![card(text, Some(1)), card(text, None)]),
        Block::Facts(Facts { kind: FactsKind::Files, title: words(), rows: facts(text) }),
        Block::Columns(vec![Facts { kind: FactsKind::Values, title: words(), rows: facts(text) }]),
        Block::Tables(vec![table(text, None), table(text, Some("every row"))]),
        Block::Command(own()),
        Block::Code(own()),
        Block::Fold(words(), vec![Block::Line(words())]),
        Block::Figure(Figure::Bars(bars(text), "of 1")),
        Block::Figure(Figure::Depth(vec![point(text, None), point(text, Some(1))])),
        Block::Figure(Figure::Curve(Curve {
            points: vec![(0, 1.0), (2, 0.5)],
            chosen: Some((2, 0.5)),
            fate: "in FP32",
        })),
    ];
    Page { title: spans(text), blocks, footer: Some(own()) }
}

fn spans(text: &str) -> Words {
    let own = || text.to_string();
    let all = [
        Span::Text(own()),
        Span::Own(" it's "),
        Span::Name(own()),
        Span::Own(", "),
        Span::Code(own()),
        Span::Own(", "),
        Span::Term(own()),
        Span::Own(", "),
        Span::Strong(own()),
        Span::Own(", "),
        Span::Emphasis("so"),
        Span::Own(", "),
        Span::Bad(own()),
        Span::Own(" "),
        Span::Operator(own()),
        Span::Own(", "),
        Span::Plain(own()),
        Span::Tag(Role::Good, own()),
        Span::Small(own()),
    ];
    Words(all.into())
}

fn card(text: &str, number: Option<usize>) -> Card {
    Card {
        role: Role::Doubt,
        label: "thing".into(),
        number,
        head: Span::Name(text.into()).into(),
        within: Some(text.into()),
        deed: Some(text.into()),
        blocks: vec![Block::facts(facts(text))],
    }
}

fn facts(text: &str) -> Vec<Fact> {
    let folded = Some(text.to_string());
    vec![Fact { folded, ..Fact::strong(text, spans(text)) }, Fact::doubtful("", Span::Code(text.into()))]
}

fn table(text: &str, all: Option<&'static str>) -> Table {
    let kinds = [ColumnKind::Name, ColumnKind::Words, ColumnKind::Number, ColumnKind::State];
    let columns = kinds.map(|kind| Column { meaning: "a \"meaning\"", ..Column::new(kind, text.to_string()) });
    let cells = || vec![Span::Name(text.into()).into(), spans(text), text.to_string().into(), text.to_string().into()];
    let row = |status, marked| Some(Row { status: Some(status), marked, cells: cells() });
    let rows = vec![row(Status::Agrees, false), None, row(Status::Diverges, true), Row::plain(cells())];
    Table { columns: columns.into(), rows, all }
}

fn bars(text: &str) -> Vec<Bar> {
    let bar = |error| Bar { role: Role::Good, name: "Error".into(), error, text: text.into() };
    vec![bar(Some(1e-4)), bar(None)]
}

fn point(text: &str, culprit: Option<usize>) -> Point {
    Point { name: text.into(), status: Status::Diverges, error: Some(0.1), nonfinite: false, culprit }
}
