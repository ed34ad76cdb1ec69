//! What is said of a candidate's precision itself: that no node is to blame, and how much each node is hurt by it. All
//! strings are cleaned of control characters.

use std::borrow::Cow;

use super::{backend, cure};
use crate::found::{Culprit, Ranked, Real, Report};
use crate::show::text::words::{clean, file_name, number};

/// What stands over the columns of [`figures`].
pub const FIGURES: [&str; 4] = ["local", "emulated", "rho", "gain"];

/// What the figures of the ranking are, for whoever reads them first.
pub const ABOUT: &str = "Relative RMS errors: local is the node alone, fed with reference inputs; emulated is the same in an \
                         emulation of the precision; rho is the one over the other, above 4 the node is worse than its \
                         precision; gain is the error of the output in the whole model over the largest one among its inputs.";

/// The rest of the headline where no node is to blame.
pub fn limited(report: &Report) -> Option<String> {
    let why = clean(&report.precision_limited.as_ref()?.why);
    let model = clean(file_name(&report.model.path));
    let pair = format!("{} against {}", backend(&report.candidate), backend(&report.reference));
    let cured = match &report.overrides {
        None => String::new(),
        Some(o) if o.verified && !o.nodes.is_empty() => format!("; {} cure it", cure::kept(o)),
        Some(o) if o.nodes.is_empty() => "; no set of nodes in FP32 was found that cures it".into(),
        Some(o) => format!("; {} are the best so far, not verified", cure::kept(o)),
    };
    Some(format!("precision-limited, no single culprit in {model}, {pair}: {why}{cured}"))
}

/// What a node at the beginning of the divergence is called.
pub fn label(report: &Report) -> &'static str {
    if report.precision_limited.is_some() { "first beyond the tolerance" } else { "culprit" }
}

/// The culprits in the order in which they are told: that of the graph, and where none is to blame the worst first, those that
/// compute before constants.
pub fn ordered(report: &Report) -> Cow<'_, [Culprit]> {
    if report.precision_limited.is_none() {
        return Cow::Borrowed(&report.culprits);
    }
    let decibels = |c: &Culprit| c.local.as_ref().unwrap_or(&c.accumulated).sqnr_db.0;
    let mut culprits = report.culprits.clone();
    culprits.sort_by(|a, b| {
        let constant = |c: &Culprit| c.node.inputs.is_empty();
        constant(a).cmp(&constant(b)).then(decibels(a).total_cmp(&decibels(b)))
    });
    Cow::Owned(culprits)
}

/// Does the ranking tell something that the culprits do not? Under an emulation every rho is 1.
pub fn telling(report: &Report) -> bool {
    report.precision_limited.is_some() || report.ranking.iter().any(|row| row.rho.is_some_and(|rho| rho.0 != 1.0))
}

/// The node's name, or its tensor's where it has none.
pub fn node(row: &Ranked) -> String {
    clean(if row.node.is_empty() { &row.tensor } else { &row.node })
}

/// As [`FIGURES`] has them; a dash where something was not measured.
pub fn figures(row: &Ranked) -> [String; 4] {
    let ratio = |x: Option<Real>| x.map_or("-".into(), |x| if x.0.is_finite() { number(x.0) } else { "Inf".into() });
    let error = |x: Option<Real>| x.map_or("-".into(), cure::error);
    [error(Some(row.local)), error(row.emulated), ratio(row.rho), ratio(row.gain)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::text::sample::limited_report;

    #[test]
    fn the_headline_ends_with_the_cure() {
        let mut report = limited_report();
        let said = |report: &Report| limited(report).unwrap();
        let start = "precision-limited, no single culprit in bert.onnx, ort-cuda:fp16 against ort: every node is as wrong \
                     as FP16 makes it (largest rho 1.30)";
        assert_eq!(said(&report), format!("{start}; 2 of 139 nodes in FP32 cure it"));
        let overrides = report.overrides.as_mut().unwrap();
        overrides.verified = false;
        assert_eq!(said(&report), format!("{start}; 2 of 139 nodes in FP32 are the best so far, not verified"));
        report.overrides.as_mut().unwrap().nodes.clear();
        assert!(said(&report).ends_with("; no set of nodes in FP32 was found that cures it"));
        report.overrides = None;
        assert_eq!(said(&report), start);
        report.precision_limited = None;
        assert_eq!(limited(&report), None);
    }

    #[test]
    fn the_worst_is_told_first_where_none_is_to_blame() {
        let mut report = limited_report();
        for (culprit, (tensor, db)) in
            report.culprits.iter_mut().zip([("a", 40.0), ("c", 10.0), ("b", 30.0), ("d", 50.0)])
        {
            culprit.tensor = tensor.into();
            culprit.local.as_mut().unwrap().sqnr_db = Real(db);
        }
        report.culprits[1].node.inputs.clear();
        let order = |report: &Report| ordered(report).iter().map(|c| c.tensor.clone()).collect::<String>();
        assert_eq!(order(&report), "badc");
        report.precision_limited = None;
        assert_eq!(order(&report), "acbd");
    }

    #[test]
    fn figures_that_are_not_there_are_dashes() {
        let (inf, none) = (Some(Real(f64::INFINITY)), None);
        let row = Ranked { local: Real(1e-3), rho: inf, emulated: none, gain: none, ..Ranked::default() };
        assert_eq!(figures(&row), ["1.00e-3", "-", "Inf", "-"]);
        let row = Ranked { local: Real(f64::INFINITY), emulated: Some(Real(0.0)), gain: Some(Real(2.0)), ..row };
        assert_eq!(figures(&row), ["NaN or Inf", "0", "Inf", "2.00"]);
    }
}
