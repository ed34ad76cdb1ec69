//! Sentences in pieces, so that every medium can set a name, a code or a word of weight in its own way.

/// What something is to the reader: a colour where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Role {
    /// Nothing of note.
    #[default]
    Plain,
    /// What a reader looks for.
    Strong,
    /// What stands back.
    Dim,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// Neither: not sure, not compared, not a number.
    Doubt,
}

/// A sentence, or the content of a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words(pub Vec<Span>);

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Words that are written in this program. A line end in them is a blank; in a sentence of its own, Markdown keeps it.
    Own(&'static str),
    /// Words from elsewhere, or with such in them.
    Text(String),
    /// The same for READMEs, which are read as they are and searched for names: nothing is cut, and no backslash comes in
    /// front of what would be markup. Who puts it in answers for that.
    Plain(String),
    /// The name of something: in quotes on a terminal, set as code elsewhere.
    Name(String),
    /// What somebody types: as it is, and set as code where punctuation would be markup.
    Code(String),
    /// A word with a meaning of its own: strong in a browser, code in a ticket.
    Term(String),
    /// Words of weight.
    Strong(String),
    /// A word that is spoken of.
    Emphasis(&'static str),
    /// A number that is none.
    Bad(String),
    /// The operator behind a node's name.
    Operator(String),
    /// A badge behind a name. Browsers alone show it.
    Tag(Role, String),
    /// A remark under what a cell says. Browsers alone show it.
    Small(String),
}

impl Words {
    /// The same with one more piece.
    pub fn and(mut self, span: Span) -> Words {
        self.0.push(span);
        self
    }

    /// The same with more words.
    pub fn then(mut self, more: impl Into<Words>) -> Words {
        self.0.extend(more.into().0);
        self
    }

    /// Names with commas between, at most so many.
    pub fn names<'n>(names: impl IntoIterator<Item = &'n String>, most: usize) -> Words {
        let mut words = Words::default();
        for (at, name) in names.into_iter().enumerate() {
            if at == most {
                return words.then(", …");
            }
            words = words.then(if at > 0 { ", " } else { "" }).and(Span::Name(name.clone()));
        }
        words
    }

    /// Says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|span| span.text().is_empty())
    }
}

impl Span {
    /// What it says, however it is set.
    pub fn text(&self) -> &str {
        match self {
            Span::Own(text) | Span::Emphasis(text) => text,
            Span::Text(text) | Span::Plain(text) => text,
            Span::Name(text) | Span::Code(text) | Span::Term(text) => text,
            Span::Strong(text) | Span::Bad(text) | Span::Operator(text) | Span::Tag(_, text) | Span::Small(text) => {
                text
            }
        }
    }
}

/// Words of this program may have `code`, **strong** words and *words that are spoken of* in them: never others' words.
impl From<&'static str> for Words {
    fn from(text: &'static str) -> Words {
        let Some(at) = text.find(['`', '*']) else { return Words(vec![Span::Own(text)]) };
        let fence = if text[at..].starts_with("**") { 2 } else { 1 };
        let (fence, inside) = text[at..].split_at(fence);
        let Some((inside, rest)) = inside.split_once(fence) else { return Words(vec![Span::Own(text)]) };
        let span = match fence {
            "`" => Span::Code(inside.into()),
            "*" => Span::Emphasis(inside),
            _ => Span::Strong(inside.into()),
        };
        Words(vec![Span::Own(&text[..at]), span]).then(rest)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Words {
        Words(vec![Span::Text(text)])
    }
}

impl From<Span> for Words {
    fn from(span: Span) -> Words {
        Words(vec![span])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_have_code_and_weight_and_others_have_none() {
        let own = |text| Span::Own(text);
        let code = |text: &str| Span::Code(text.into());
        let words = Words::from("**a.b** has `c` and *d*: e");
        let want = [
            own(""),
            Span::Strong("a.b".into()),
            own(" has "),
            code("c"),
            own(" and "),
            Span::Emphasis("d"),
            own(": e"),
        ];
        assert_eq!(words.0, want);
        assert_eq!(Words::from("a ` b"), Words(vec![own("a ` b")]));
        let others = "`a` **b**".to_string();
        assert_eq!(Words::from(others.clone()), Words(vec![Span::Text(others)]));
    }

    #[test]
    fn names_are_cut_after_so_many() {
        let names = ["a", "b", "c"].map(String::from);
        let name = |name: &str| Span::Name(name.into());
        let two = [Span::Own(""), name("a"), Span::Own(", "), name("b"), Span::Own(", …")];
        assert_eq!(Words::names(&names, 2).0, two);
        assert!(Words::names(&[], 2).is_empty() && !Words::names(&names, 3).is_empty());
    }
}
