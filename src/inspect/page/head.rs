//! Classifier heads on the terminal, as facts about a model.

use crate::found::words::{clean, plural};
use crate::inspect::facts::{HeadFacts, Trained};
use crate::show::page::Fact;

/// Heads told in full; more are counted.
const MOST: usize = 6;

/// What each makes of what, and whether it was trained.
pub fn facts(heads: &[HeadFacts]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = heads.iter().take(MOST).flat_map(head).collect();
    if heads.len() > MOST {
        facts.push(Fact::new("", format!("and {} more", heads.len() - MOST)));
    }
    facts
}

fn head(head: &HeadFacts) -> Vec<Fact> {
    let through = match head.through.is_empty() {
        true => String::new(),
        false => format!(" through {}", head.through.iter().map(|op| clean(op)).collect::<Vec<_>>().join(", ")),
    };
    let bias = head.bias.as_ref().map_or(", no bias".to_string(), |bias| format!(" + {}", clean(bias)));
    let text = format!(
        "output '{}' has {} of {}: {} ({}), {}{bias}{through}",
        clean(&head.output),
        if head.classes == 1 { "1 column".to_string() } else { format!("{} columns", head.classes) },
        plural(head.features, "feature"),
        clean(&head.node),
        clean(&head.op_type),
        clean(&head.weight)
    );
    let (fact, word): (fn(&str, String) -> Fact, _) = match head.trained {
        Trained::Yes => (|n, v| Fact::new(n, v), "trained"),
        Trained::LikelyNot => (|n, v| Fact::doubtful(n, v), "likely untrained"),
        Trained::Unknown => (|n, v| Fact::new(n, v), "not told"),
    };
    let mut facts = vec![Fact::new("head", text), fact("", format!("{word}: {}", head.why))];
    match (head.fits_labels, head.labels) {
        (Some(true), Some(n)) => {
            facts.push(Fact::new("", format!("as many as the {} of --labels", plural(n, "label"))))
        }
        (Some(false), Some(n)) => {
            let text = format!("--labels has {}, and this output {}", plural(n, "label"), head.classes);
            facts.push(Fact::doubtful("", text));
        }
        _ => {}
    }
    facts
}
