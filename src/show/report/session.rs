//! The session that gave the verdict: how it was made, how the plain one stands beside it, and what of the runtime is to
//! blame where only it fails. All strings are cleaned of control characters.

use super::Density::{self, Short};
use crate::found::words::{clean, plural};
use crate::found::{Optimizers, Report, SessionInfo, Verdict};
use crate::names::few;
use crate::show::page::{Fact, Role};

/// Nodes that the optimizers made, named where there is no room for all.
const NAMED: usize = 4;

/// All that is known of it. On a terminal nothing, where it is as everybody has it and the plain one is no other.
pub fn facts(report: &Report, density: Density) -> Vec<Fact> {
    let Some(session) = &report.session else { return Vec::new() };
    let usual = session.optimization == "all" && session.options.is_empty() && session.plain_why.is_none();
    if density == Short && usual && parts(session, report.verdict).is_none() {
        return Vec::new();
    }
    let mut facts = vec![Fact::new("session", told(session))];
    facts.extend(parts(session, report.verdict).map(|text| Fact { role: Role::Doubt, ..Fact::new("", text) }));
    facts.extend(session.plain_why.iter().map(|why| Fact::new("", format!("the plain session: {}", clean(why)))));
    facts.extend(session.optimizers.iter().map(|found| Fact::strong("", switches(found))));
    facts
}

/// `deployed: optimisation all, weights packed`.
fn told(session: &SessionInfo) -> String {
    let plain = session.optimization == "off" && !session.prepacking;
    let mut text = match plain {
        true => "plain: nothing optimised, no weight packed".to_string(),
        false => {
            let packed = if session.prepacking { "weights packed" } else { "no weight packed" };
            format!("as deployed: optimisation {}, {packed}", clean(&session.optimization))
        }
    };
    if !session.options.is_empty() {
        text += &format!("; {}", clean(&session.options.join(", ")));
    }
    text
}

/// That the plain session says something else than the verdict.
fn parts(session: &SessionInfo, verdict: Verdict) -> Option<&'static str> {
    if session.hidden {
        return Some(
            "the verdict is of the plain session, in which both sides compute alike: what is deployed differs by no more than optimising explains, which hides it",
        );
    }
    match (session.plain?, verdict) {
        (Verdict::Agreed, Verdict::Diverged) => Some(
            "the plain session (nothing optimised, no weight packed) agrees: only what ONNX Runtime makes of the model diverges",
        ),
        (_, Verdict::Inconclusive) => Some("the plain session (nothing optimised, no weight packed) runs it"),
        (Verdict::Diverged, Verdict::Agreed) => {
            Some("the plain session (nothing optimised, no weight packed) diverges: what is deployed agrees")
        }
        _ => None,
    }
}

/// What of the runtime was seen to make the failure: `the optimizer DivMulFusion`.
pub fn blamed(report: &Report) -> Option<String> {
    let found = report.session.as_ref()?.optimizers.as_ref().filter(|found| found.verified)?;
    let names: Vec<String> = found.names.iter().map(|name| clean(name)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("{one} of ONNX Runtime")),
        _ => Some(format!("{} of ONNX Runtime together", names.join(", "))),
    }
}

/// `with DivMulFusion turned off the outputs agree; none can be left on; 9 sessions, 12 optimizers`.
fn switches(found: &Optimizers) -> String {
    let cost = format!("{}, {}", plural(found.trials, "session"), plural(found.of, "optimizer"));
    if found.names.is_empty() {
        return format!("no optimizer that can be turned off makes the outputs agree; {cost}");
    }
    let minimal = if found.minimal && found.names.len() > 1 { "; none of them can be left on" } else { "" };
    let made = found.made.iter().map(|made| format!("{} \"{}\"", clean(&made.op_type), clean(&made.node)));
    let made = if found.made.is_empty() { String::new() } else { format!("; it makes {}", few(made, NAMED)) };
    format!("with {} turned off the outputs agree{minimal}{made}; {cost}", clean(&found.names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::MadeNode;

    fn report(verdict: Verdict, plain: Option<Verdict>) -> Report {
        let session = SessionInfo { optimization: "all".into(), prepacking: true, plain, ..SessionInfo::default() };
        Report { verdict, session: Some(session), ..Report::default() }
    }

    fn text(report: &Report, density: Density) -> String {
        facts(report, density).into_iter().map(|fact| format!("{:?}", fact.value)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_usual_session_is_told_where_there_is_room() {
        let usual = report(Verdict::Agreed, None);
        assert_eq!(text(&usual, Short), "");
        assert!(text(&usual, Density::Full).contains("as deployed: optimisation all, weights packed"));
        assert_eq!(text(&report(Verdict::Diverged, Some(Verdict::Diverged)), Short), "");
    }

    #[test]
    fn a_plain_session_that_says_something_else_is_always_told() {
        let mut parted = report(Verdict::Diverged, Some(Verdict::Agreed));
        assert!(text(&parted, Short).contains("only what ONNX Runtime makes of the model diverges"));
        assert!(text(&report(Verdict::Agreed, Some(Verdict::Diverged)), Short).contains("what is deployed agrees"));
        let made = MadeNode { node: "y_mul".into(), op_type: "Div".into(), ..MadeNode::default() };
        let names = vec!["DivMulFusion".to_string()];
        let found = Optimizers { names, verified: true, minimal: true, trials: 9, of: 12, made: vec![made] };
        parted.session.as_mut().unwrap().optimizers = Some(found);
        let told = text(&parted, Short);
        assert!(told.contains("with DivMulFusion turned off the outputs agree; it makes"), "{told}");
        assert!(told.contains("9 sessions, 12 optimizers") && told.contains("Div \\\"y_mul\\\""), "{told}");
    }
}
