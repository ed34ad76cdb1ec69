//! A page as a value: what is said, once, in blocks. Three writers lay it out: [`super::text`] for a terminal,
//! [`super::html`] for a browser, [`super::markdown`] for a ticket. Knows no report; no colour code, tag or escape of any
//! medium is here, and texts are made harmless by the writers, not by who puts them in.

mod words;

use crate::found::Status;
pub use words::{Role, Span, Words};

/// All of it.
#[derive(Debug, Default)]
pub struct Page {
    /// Nothing on a terminal, where the first block is the answer.
    pub title: Words,
    /// From top to bottom.
    pub blocks: Vec<Block>,
    /// Who wrote it, small and last.
    pub footer: Option<String>,
}

/// A part of a page. Each has a look in every medium.
#[derive(Debug)]
pub enum Block {
    /// The answer.
    Banner(Banner),
    /// What a reader must know before trusting the rest.
    Warnings(Vec<String>),
    /// A part under a title.
    Section(Section),
    /// Things told one by one, each under a head of its own.
    Cards(Vec<Card>),
    /// One sentence, or a few.
    Line(Words),
    /// Names and what is said of each.
    Facts(Facts),
    /// Several of them, side by side where there is room.
    Columns(Vec<Facts>),
    /// Tables one under the other. On a terminal their columns stand in line.
    Tables(Vec<Table>),
    /// One line each.
    List(Vec<Words>),
    /// A command in full, to be pasted.
    Command(String),
    /// Lines as they are.
    Code(String),
    /// A summary, and what is hidden behind it until somebody asks; a terminal is short and shows neither.
    Fold(Words, Vec<Block>),
    /// A drawing. Browsers alone show it: what it tells stands in numbers elsewhere.
    Figure(Figure),
    /// A line of air, on a terminal only.
    Gap,
}

/// The verdict.
#[derive(Debug, Default)]
pub struct Banner {
    /// Good, bad, or no answer.
    pub role: Role,
    /// `diverged`
    pub word: &'static str,
    /// The rest of the sentence.
    pub rest: String,
    /// What else belongs to the answer; on a terminal it is told as facts.
    pub lines: Vec<Words>,
    /// A few words each, for whoever only glances. Browsers alone show them.
    pub chips: Vec<String>,
}

/// A part under a title.
#[derive(Debug, Default)]
pub struct Section {
    /// By which a browser finds it.
    pub id: Option<&'static str>,
    /// Over it.
    pub title: Words,
    /// What the title means, small.
    pub about: Words,
    /// What is under the title.
    pub blocks: Vec<Block>,
}

/// One thing, and everything about it.
#[derive(Debug, Default)]
pub struct Card {
    /// Whether it is good news, and its look.
    pub role: Role,
    /// What it is: `culprit`.
    pub label: String,
    /// Among several.
    pub number: Option<usize>,
    /// Its name.
    pub head: Words,
    /// The subgraph that it is in.
    pub within: Option<String>,
    /// What it did, to be read after its name.
    pub deed: Option<String>,
    /// The rest of what there is to say.
    pub blocks: Vec<Block>,
}

/// Names and what is said of each.
#[derive(Debug, Default)]
pub struct Facts {
    /// What they are.
    pub kind: FactsKind,
    /// Over them; empty where none is needed.
    pub title: Words,
    /// One a line.
    pub rows: Vec<Fact>,
}

/// How facts differ in what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum FactsKind {
    /// Sentences.
    #[default]
    Sentences,
    /// Values to look up: a ticket has them as a grid.
    Values,
    /// Files, and what each is for.
    Files,
}

/// A name and what is said of it.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// The name's.
    pub role: Role,
    /// Empty where it goes on about the one before.
    pub name: String,
    /// What is said of it.
    pub value: Words,
    /// What stands for a long value in a browser until somebody asks for it.
    pub folded: Option<String>,
}

/// Rows under titles. Writers number them where there is room.
#[derive(Debug, Default)]
pub struct Table {
    /// From left to right; a browser has the state first.
    pub columns: Vec<Column>,
    /// `None`: rows were left out here.
    pub rows: Vec<Option<Row>>,
    /// Every row of it can be sorted, filtered and pointed at, in a browser; this says what they are.
    pub all: Option<&'static str>,
}

/// What stands over a column, and what it holds.
#[derive(Debug, Default)]
pub struct Column {
    /// What it holds.
    pub kind: ColumnKind,
    /// Stands over it.
    pub title: Words,
    /// For whoever points at the title.
    pub meaning: &'static str,
    /// The columns of the narrowest terminal that has room for it.
    pub room: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ColumnKind {
    /// Names: a terminal cuts them in their middle where it is too narrow.
    #[default]
    Name,
    /// Other words, never cut.
    Words,
    /// Set flush right.
    Number,
    /// Whether the row agrees, and why not: sentences that a terminal cuts at their end.
    State,
}

/// A row of a table.
#[derive(Debug, Default)]
pub struct Row {
    /// Where it is a tensor's row.
    pub status: Option<Status>,
    /// The reader looks for this one.
    pub marked: bool,
    /// As many as there are columns.
    pub cells: Vec<Words>,
}

/// A drawing.
#[derive(Debug)]
pub enum Figure {
    /// Errors as bars on a logarithmic scale, with what the scale is.
    Bars(Vec<Bar>, &'static str),
    /// The error of every measured tensor, by depth.
    Depth(Vec<Point>),
    /// The error against the size of a cure.
    Curve(Curve),
}

/// An error as a bar.
#[derive(Debug)]
pub struct Bar {
    /// Good, bad, or in doubt: not a number.
    pub role: Role,
    /// What it is the error of.
    pub name: String,
    /// Relative RMS; infinite without a number. `None`: nothing was measured, and the text says why.
    pub error: Option<f64>,
    /// The error in words.
    pub text: String,
}

/// A tensor as a point.
#[derive(Debug)]
pub struct Point {
    /// The tensor's.
    pub name: String,
    /// Its shape in the drawing.
    pub status: Status,
    /// Relative RMS error; `None` without a value.
    pub error: Option<f64>,
    /// The error is NaN, or infinite, whatever the finite rest says.
    pub nonfinite: bool,
    /// The number of the culprit that it is, from 1.
    pub culprit: Option<usize>,
}

/// Errors by number of cured nodes.
#[derive(Debug)]
pub struct Curve {
    /// How many, and the smallest relative RMS error seen with that many.
    pub points: Vec<(usize, f64)>,
    /// The cure that was chosen.
    pub chosen: Option<(usize, f64)>,
    /// What becomes of the nodes: `in FP32`.
    pub fate: &'static str,
}

impl Block {
    /// Facts that need no title.
    pub fn facts(rows: Vec<Fact>) -> Block {
        Block::Facts(Facts { rows, ..Facts::default() })
    }

    /// A part under a title that says all.
    pub fn section(title: impl Into<Words>, blocks: Vec<Block>) -> Block {
        Block::Section(Section { title: title.into(), blocks, ..Section::default() })
    }

    /// A table of its own.
    pub fn table(columns: Vec<Column>, rows: Vec<Option<Row>>) -> Block {
        Block::Tables(vec![Table { columns, rows, all: None }])
    }

    /// One line each, where there are any.
    pub fn list(items: impl IntoIterator<Item = impl Into<Words>>) -> Option<Block> {
        let items: Vec<Words> = items.into_iter().map(Into::into).collect();
        (!items.is_empty()).then_some(Block::List(items))
    }
}

impl Fact {
    /// One in the usual, quiet role.
    pub fn new(name: &str, value: impl Into<Words>) -> Fact {
        Fact { role: Role::Dim, name: name.into(), value: value.into(), folded: None }
    }

    /// One that a reader looks for.
    pub fn strong(name: &str, value: impl Into<Words>) -> Fact {
        Fact { role: Role::Strong, ..Fact::new(name, value) }
    }

    /// One that a reader should doubt.
    pub fn doubtful(name: &str, value: impl Into<Words>) -> Fact {
        Fact { role: Role::Doubt, ..Fact::new(name, value) }
    }
}

impl Column {
    /// One of this kind, wherever there is any room.
    pub fn new(kind: ColumnKind, title: impl Into<Words>) -> Column {
        Column { kind, title: title.into(), ..Column::default() }
    }
}

impl Row {
    /// A row that no tensor is behind.
    pub fn plain(cells: Vec<Words>) -> Option<Row> {
        Some(Row { cells, ..Row::default() })
    }
}
