//! What an engine made of the model, in sentences: the layer that a node went into, whether its answers can be built on, and
//! which knobs of its compiler matter. All strings are cleaned of control characters.

use crate::found::words::{clean, plural};
use crate::found::{Culprit, Report};
use crate::show::page::Fact;

/// `fused with "b", "c" into layer "a + b + c"; its outputs are Half`. `None`: nobody tells.
pub fn realised(culprit: &Culprit) -> Option<String> {
    let engine = culprit.engine.as_ref()?;
    let others = engine.nodes.iter().filter(|name| **name != culprit.node.name);
    let others: Vec<String> = others.map(|name| format!("\"{}\"", clean(name))).collect();
    let layer = format!("layer \"{}\"", clean(&engine.layer));
    let place = match others.len() {
        0 => format!("{layer} of its own"),
        1..=4 => format!("fused with {} into {layer}", others.join(", ")),
        n => format!("fused with {n} other nodes into {layer}"),
    };
    match engine.types.is_empty() {
        true => Some(place),
        false => Some(format!("{place}; ran as {}", clean(&engine.types.join(", ")))),
    }
}

/// `the same input twice: identical; equal rows of a batch: identical; TF32 off (measured)`.
pub fn trust(report: &Report) -> Option<Fact> {
    let trust = report.trust.as_ref()?;
    let tf32 = |told: &Option<String>| told.as_ref().map(|told| format!("TF32 {}", clean(told)));
    let mut parts: Vec<String> = Vec::new();
    if !trust.repeat.is_empty() {
        parts.push(format!("the same input twice: {}", clean(&trust.repeat)));
    }
    if !trust.rows.is_empty() {
        parts.push(format!("equal rows of a batch: {}", clean(&trust.rows)));
    }
    parts.extend(tf32(&trust.tf32));
    if let Some(reference) = &trust.reference {
        parts.push(format!("the reference twice: {}", clean(&reference.repeat)));
        parts.extend(tf32(&reference.tf32).map(|told| format!("its {told}")));
    }
    Some(Fact::new("trust", parts.join("; ")))
}

/// `-fuse_pointwise=off makes the outputs agree; verified: yes; 3 builds, 4 knobs`.
pub fn routes(report: &Report) -> Option<Fact> {
    let routes = report.routes.as_ref()?;
    let cost = format!("{}, {}", plural(routes.builds, "build"), plural(routes.of, "knob"));
    let verified = if routes.verified { "yes" } else { "NO" };
    let text = match routes.knobs.is_empty() {
        true => format!("no knob of the compiler makes the outputs agree; {cost}"),
        false => {
            format!("{} makes the outputs agree; verified: {verified}; {cost}", clean(&routes.knobs.join(" ")))
        }
    };
    Some(Fact::strong("knobs", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Realised, ReferenceTrust, Routes, Trust};
    use crate::show::page::Words;
    use crate::show::sample;

    #[test]
    fn a_culprit_is_shown_in_its_layer() {
        let mut report = sample::sample_report();
        let culprit = &mut report.culprits[0];
        assert_eq!(realised(culprit), None);
        let own = culprit.node.name.clone();
        culprit.engine = Some(Realised { layer: "l".into(), types: vec!["Half".into()], nodes: vec![own.clone()] });
        assert_eq!(realised(culprit).unwrap(), "layer \"l\" of its own; ran as Half");
        culprit.engine.as_mut().unwrap().nodes.push("b".into());
        assert_eq!(realised(culprit).unwrap(), "fused with \"b\" into layer \"l\"; ran as Half");
    }

    #[test]
    fn trust_tells_what_was_tested() {
        let same = || "identical".to_string();
        let mut report = sample::sample_report();
        let trust = |report: &Report| trust(report).map(|fact| fact.value);
        let says = |text: String| Some(Words::from(text));
        assert_eq!(trust(&report), None);
        report.trust = Some(Trust { repeat: same(), rows: same(), ..Trust::default() });
        let candidate = "the same input twice: identical; equal rows of a batch: identical";
        assert_eq!(trust(&report), says(candidate.into()));
        let reference = ReferenceTrust { repeat: same(), tf32: Some("off (measured)".into()) };
        let tested = report.trust.as_mut().unwrap();
        (tested.tf32, tested.reference) = (Some("on (measured)".into()), Some(reference.clone()));
        let told = "the reference twice: identical; its TF32 off (measured)";
        assert_eq!(trust(&report), says(format!("{candidate}; TF32 on (measured); {told}")));
        report.trust = Some(Trust { reference: Some(reference), ..Trust::default() });
        assert_eq!(trust(&report), says(told.into()));
    }

    #[test]
    fn knobs_are_told_with_their_price() {
        let told = |knobs: &[&str]| {
            let knobs = knobs.iter().map(|knob| knob.to_string()).collect();
            let found = Routes { knobs, verified: true, builds: 3, of: 4, help: Vec::new() };
            routes(&Report { routes: Some(found), ..Report::default() }).unwrap().value
        };
        let cost = "3 builds, 4 knobs";
        assert_eq!(told(&["-a=off"]), format!("-a=off makes the outputs agree; verified: yes; {cost}").into());
        assert_eq!(told(&[]), format!("no knob of the compiler makes the outputs agree; {cost}").into());
        assert!(routes(&Report::default()).is_none());
    }
}
