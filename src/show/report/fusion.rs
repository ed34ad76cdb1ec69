//! The tensors that cure as outputs, in sentences. All strings are cleaned of control characters.

use super::times;
use crate::found::words::{clean, plural};
use crate::found::{Fusion, FusionAnswer, Report};
use crate::names::few;
use crate::show::page::{Fact, Span, Words};

/// Tensors that are named where there is no room for all.
const NAMED: usize = 4;

/// What was looked for and found, what it costs, and the files.
pub fn facts(report: &Report) -> Vec<Fact> {
    let Some(found) = &report.fusion else { return Vec::new() };
    let mut facts = vec![Fact::strong("fusion", said(found))];
    let several = found.tensors.len() != 1;
    facts.extend(found.latency.iter().map(|price| Fact::new("", times::priced(price, "as outputs", several))));
    // What is the verdict's reason is said there.
    let said = |why: &str| report.why.as_ref().is_some_and(|told| told.contains(why));
    facts.extend(found.why.iter().filter(|why| !said(why)).map(|why| Fact::doubtful("", clean(why))));
    let page = found.files.get("readme").map(|page| Words::from("how to build it so: ").and(Span::Code(page.clone())));
    facts.extend(page.map(|page| Fact::new("", page)));
    facts
}

/// The headline's beginning where it was shown: `with 1 more output ("r0")`.
pub fn cured(report: &Report) -> Option<String> {
    let found = report.fusion.as_ref().filter(|found| found.is_shown())?;
    Some(format!("with {} ({})", plural(found.tensors.len(), "more output"), names(found)))
}

/// `with "r0" made an output it agrees, built again without it it diverges; 9 builds, 12 tensors`.
fn said(found: &Fusion) -> String {
    let cost = format!("{}, {}", plural(found.trials, "build"), plural(found.of, "tensor"));
    let outputs = if found.tensors.len() == 1 { "an output" } else { "outputs" };
    match found.answer {
        FusionAnswer::Diverges => format!("with every tensor an output it still diverges; {cost}"),
        FusionAnswer::Unknown => format!("not known; {cost}"),
        FusionAnswer::Cured if !found.verified => {
            format!("with {} made {outputs} it agreed once; verified: NO; {cost}", names(found))
        }
        FusionAnswer::Cured => {
            let minimal = match (found.minimal, found.tensors.len()) {
                (true, 1) => "",
                (true, _) => "; none of them can be left out",
                (false, _) => "; perhaps fewer would do",
            };
            format!(
                "with {} made {outputs} it agrees, and built again without it diverges{minimal}; {cost}",
                names(found)
            )
        }
    }
}

fn names(found: &Fusion) -> String {
    few(found.tensors.iter().map(|name| format!("\"{}\"", clean(name))), NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Latency, Price};
    use crate::show::page::Page;
    use crate::show::{html, markdown, text};

    fn cured(tensors: &[&str]) -> Fusion {
        let tensors = tensors.iter().map(|name| name.to_string()).collect();
        let answer = FusionAnswer::Cured;
        Fusion { answer, tensors, verified: true, minimal: true, trials: 9, of: 12, ..Fusion::default() }
    }

    fn told(found: Fusion) -> [String; 3] {
        let report = Report { fusion: Some(found), ..Report::default() };
        let page = || Page { blocks: vec![crate::show::page::Block::facts(facts(&report))], ..Page::default() };
        [text::write(&page(), false, 200), html::write(&page()), markdown::write(&page(), 2)]
    }

    #[test]
    fn what_was_shown_is_told_everywhere() {
        for page in told(cured(&["a", "b"])) {
            assert!(page.contains("made outputs it agrees, and built again without it diverges"), "{page}");
            assert!(page.contains("none of them can be left out; 9 builds, 12 tensors"), "{page}");
        }
        let [one, ..] = told(cured(&["a"]));
        assert!(one.contains("with \"a\" made an output it agrees") && !one.contains("left out"), "{one}");
        let headline = super::cured(&Report { fusion: Some(cured(&["a"])), ..Report::default() });
        assert_eq!(headline.as_deref(), Some("with 1 more output (\"a\")"));
    }

    #[test]
    fn what_was_not_shown_is_not_claimed() {
        let unproved = Fusion { verified: false, why: Some("it flaps".into()), ..cured(&["a"]) };
        let [text, ..] = told(unproved.clone());
        assert!(text.contains("agreed once; verified: NO") && text.contains("it flaps"), "{text}");
        assert_eq!(super::cured(&Report { fusion: Some(unproved), ..Report::default() }), None);
        let [text, ..] = told(Fusion { answer: FusionAnswer::Diverges, ..cured(&[]) });
        assert!(text.contains("with every tensor an output it still diverges"), "{text}");
        let [text, ..] = told(Fusion { minimal: false, ..cured(&["a", "b"]) });
        assert!(text.contains("perhaps fewer would do"), "{text}");
    }

    #[test]
    fn the_price_is_told_where_there_is_one() {
        let of = |seconds: f64| Latency::of(&[seconds; 5]).unwrap();
        let latency = Some(Price { before: of(0.001), after: of(0.002), ..Price::default() });
        let [text, ..] = told(Fusion { latency, ..cured(&["a"]) });
        assert!(text.contains("1.00") && text.contains("2.00"), "{text}");
    }
}
