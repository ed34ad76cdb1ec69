//! Arguments of `--profile` with sizes that are usual for such an input: a start, to be filled with the sizes of the user's data.

use crate::inspect::facts::{Dim, Port};
use crate::inspect::port::sizes_text;

/// Does it hold what earlier steps of a decoder left?
pub fn is_cache(port: &Port) -> bool {
    let name = port.name.to_ascii_lowercase();
    let open =
        port.shape.as_ref().is_some_and(|s| s.len() >= 3 && s.iter().skip(1).any(|d| !matches!(d, Dim::Fixed(_))));
    (name.contains("past") || name.contains("cache")) && open
}

/// `NAME=MIN:OPT:MAX` with sizes that are usual in such a place, of a model that may be a decoder.
pub fn profile(port: &Port, decoder: bool) -> Option<String> {
    let shape = port.shape.as_ref()?;
    let sizes = |which: usize| {
        let size = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(n) => *n,
            _ => match usual(at, shape) {
                LENGTH if decoder => step(dim, port)[which],
                sizes => sizes[which],
            },
        };
        sizes_text(&shape.iter().enumerate().map(size).collect::<Vec<_>>())
    };
    Some(format!("{}={}:{}:{}", port.name, sizes(0), sizes(1), sizes(2)))
}

/// Tokens, or frames.
const LENGTH: [i64; 3] = [1, 128, 512];

/// A length of a decoder with a cache: it begins with none of the past, goes on by one token, and a mask covers both.
fn step(dim: &Dim, port: &Port) -> [i64; 3] {
    let [past, total, tokens] = [[0, 128, 512], [1, 129, 1024], [1, 1, 512]];
    let symbol = if let Dim::Symbol(name) = dim { name.to_ascii_lowercase() } else { String::new() };
    match () {
        () if symbol.contains('+') || symbol.contains("total") => total,
        () if is_cache(port) || symbol.contains("past") => past,
        () if port.name.to_ascii_lowercase().contains("mask") => total,
        () => tokens,
    }
}

/// By the symbol where it says something; else the first open dimension is the batch, unless a batch of one stands before it; of an
/// image, the last two are its sides; any other is a length.
fn usual(at: usize, shape: &[Dim]) -> [i64; 3] {
    let [batch, side, length] = [[1, 1, 8], [32, 224, 640], LENGTH];
    let symbol = match &shape[at] {
        Dim::Symbol(name) => name.to_ascii_lowercase(),
        _ => String::new(),
    };
    let image = shape.len() == 4 && matches!(shape[1], Dim::Fixed(1 | 3 | 4));
    let first = shape.iter().position(|d| !matches!(d, Dim::Fixed(_))) == Some(at);
    match () {
        () if symbol.contains("batch") => batch,
        () if ["seq", "len", "time", "frame", "token"].iter().any(|word| symbol.contains(word)) => length,
        () if image && at >= 2 => side,
        () if first && (at == 0 || shape[0] != Dim::Fixed(1)) => batch,
        () => length,
    }
}
