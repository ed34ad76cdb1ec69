//! What became of a search for nodes to leave unquantised, behind the list of them: the same words for every kind of quantisation.

use serde_json::{Value, json};

use crate::found::Overrides;

/// The list with what was found behind its own keys.
pub fn with_outcome(mut list: Value, found: &Overrides) -> Value {
    let outcome = json!({
        "settings": found.settings,
        "verified": found.verified,
        "limited": found.limited,
        "minimal": found.minimal,
        "why": found.why,
        "measure": "relative RMS error of the worst output",
        "error_before": found.error_before,
        "error_after": found.error_after,
    });
    if let (Value::Object(list), Value::Object(outcome)) = (&mut list, outcome) {
        list.extend(outcome);
    }
    list
}
