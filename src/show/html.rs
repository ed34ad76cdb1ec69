//! Pages as one self-contained HTML file: no other resource is ever loaded, and no script but its own can run. This is the
//! frame, and how words become harmless; the blocks are laid out by submodules. Knows no report.

mod blocks;
mod chart;
mod curve;
mod scale;
mod table;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::page::{Page, Role, Span, Words};
use crate::terminal::shown;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The whole file.
pub fn write(page: &Page) -> String {
    let mut out = head(&esc(&page.title));
    blocks::all(&mut out, &page.blocks);
    if let Some(footer) = &page.footer {
        out += &format!("<p class=\"about\">{}</p>\n", text(footer));
    }
    out + &format!("</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

/// The policy allows the one script by its hash: text that slipped through the escaping could still not run.
fn head(title: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>layerdiff: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// Words without any markup, for an element that takes none.
pub(super) fn esc(words: &Words) -> String {
    let span = |span: &Span| match span {
        Span::Own(text) | Span::Emphasis(text) => own(text),
        Span::Operator(op) => format!("({})", text(op)),
        Span::Tag(..) | Span::Small(_) => String::new(),
        other => text(other.text()),
    };
    words.0.iter().map(span).collect()
}

/// Words inside of an element.
fn inline(words: &Words) -> String {
    let span = |span: &Span| match span {
        Span::Name(raw) => format!("<code>{}</code>", text(raw)),
        Span::Term(raw) | Span::Strong(raw) => format!("<b>{}</b>", text(raw)),
        Span::Emphasis(raw) => format!("<i>{}</i>", own(raw)),
        Span::Operator(op) => format!("<span class=\"op\">{}</span>", text(op)),
        Span::Small(raw) => format!("<small>{}</small>", text(raw)),
        Span::Tag(role, raw) => {
            let class = match role {
                Role::Good => " good",
                Role::Doubt => " warn",
                _ => "",
            };
            format!(" <span class=\"tag{class}\">{}</span>", text(raw))
        }
        Span::Own(_) | Span::Text(_) | Span::Plain(_) | Span::Code(_) | Span::Bad(_) => esc(&span.clone().into()),
    };
    words.0.iter().map(span).collect()
}

/// Text for an element or a quoted attribute. Names come from models that nobody vouches for.
fn text(raw: &str) -> String {
    entities(&shown(raw))
}

/// Words of our own stand in elements alone, where an apostrophe is one.
fn own(raw: &str) -> String {
    entities(raw).replace("&#39;", "'")
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
