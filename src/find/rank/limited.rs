//! Is anybody to blame? Where every culprit is as wrong as the candidate's precision makes it, and no more, the answer of the
//! whole report is the precision itself. Decides; measures no more than the culprits that the ranking does not have.

use super::{gain, is_emulation, rho, unit};
use crate::diagnose::{NEAR, PRECISION_LIMITED};
use crate::find::isolate;
use crate::found::words::number;
use crate::found::{Culprit, Kind, Metrics, PrecisionLimited, Ranked, Real};
use crate::lab::Probe;

/// Said of nodes that enlarge what came in.
const GAIN: &str = "gain";

/// What is known besides the report.
pub struct Facts {
    /// `FP16`
    precision: String,
    /// The candidate is the emulation of its precision.
    emulation: bool,
    /// Every node was measured, not only the culprits.
    complete: bool,
    /// Errors against the emulation, by tensor.
    rhos: Vec<(String, f64)>,
    /// A node alone, or a side as a whole, makes NaN or infinities of its own.
    broken: bool,
    /// By culprit.
    gains: Vec<Option<f64>>,
}

impl Facts {
    /// What is known without a ranking; `complete` once [`Facts::add_rows`] was called.
    pub fn of(probe: &Probe, culprits: &[Culprit]) -> Facts {
        let measured = probe.finals.results.iter().chain(probe.results.all());
        Facts {
            precision: probe.lab.candidate.spec.precision.to_string().to_uppercase(),
            emulation: is_emulation(probe),
            complete: false,
            rhos: Vec::new(),
            broken: measured.filter_map(|t| t.metrics.as_ref()).any(Metrics::breaks),
            gains: culprits.iter().map(|c| gain(probe, &c.tensor)).collect(),
        }
    }

    /// The rows of a ranking of all nodes.
    pub fn add_rows(&mut self, rows: &[Ranked]) {
        self.complete = true;
        self.broken |= rows.iter().any(|row| !row.local.0.is_finite());
        self.rhos.extend(rows.iter().filter_map(|row| Some((row.tensor.clone(), row.rho?.0))));
    }

    /// Constants, nodes in bodies, and all where there is no ranking.
    pub fn add_culprits(&mut self, probe: &Probe, culprits: &[Culprit]) {
        for culprit in culprits {
            if self.rho(culprit).is_none()
                && let Some(rho) = alone(probe, culprit)
            {
                self.rhos.push((culprit.tensor.clone(), rho));
            }
        }
    }

    fn rho(&self, culprit: &Culprit) -> Option<f64> {
        self.rhos.iter().find(|(tensor, _)| *tensor == culprit.tensor).map(|(_, rho)| *rho)
    }
}

/// The culprit's error against the emulation's, from its run alone.
fn alone(probe: &Probe, culprit: &Culprit) -> Option<f64> {
    let local = culprit.local.as_ref()?;
    if is_emulation(probe) {
        return Some(1.0);
    }
    let tensor = probe.lab.reference.graph.tensor(&culprit.tensor)?;
    let emulated = isolate::emulated(probe, tensor, local.sample, probe.lab.candidate.lowering.low()?)?;
    Some(rho(local.relative(), emulated.relative(), unit(probe.lab.candidate.spec.precision)))
}

/// The whole report's answer, if no node is to blame.
pub fn limited(culprits: &[Culprit], facts: &Facts) -> Option<PrecisionLimited> {
    let largest = facts.rhos.iter().map(|(_, rho)| *rho).reduce(f64::max)?;
    let innocent = culprits.iter().zip(&facts.gains).all(|(c, gain)| is_innocent(c, *gain, facts));
    if culprits.is_empty() || facts.broken || !innocent || largest > NEAR {
        return None;
    }
    let who = if facts.complete { "every node" } else { "every culprit" };
    let how = match (facts.emulation, facts.complete) {
        (true, _) => ": the candidate is the emulation itself",
        (false, true) => "",
        (false, false) => "; the other nodes were not measured alone",
    };
    let why = format!("{who} is as wrong as {} makes it (largest rho {}{how})", facts.precision, number(largest));
    Some(PrecisionLimited { largest_rho: Real(largest), why })
}

/// As wrong as the precision makes it, and for no sharper reason.
fn is_innocent(culprit: &Culprit, gain: Option<f64>, facts: &Facts) -> bool {
    let mut codes = culprit.diagnosis.iter().map(|d| d.code.as_str());
    let rounding = codes.clone().any(|code| code == PRECISION_LIMITED);
    let explained = match culprit.kind {
        Kind::Introduces => rounding || (!facts.emulation && facts.rho(culprit).is_some_and(|rho| rho <= NEAR)),
        // A region of one node: its own rounding and what came in are tolerable, and together they are not.
        Kind::Amplifies | Kind::Region => culprit.region.len() <= 1 && gain.is_some_and(|gain| gain <= NEAR),
    };
    let broken = culprit.accumulated.breaks() || culprit.local.as_ref().is_some_and(Metrics::breaks);
    explained && !broken && codes.all(|code| code == PRECISION_LIMITED || code == GAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Diagnosis;
    use crate::show::sample::sample_report;

    /// A culprit of this kind with these codes.
    fn culprit(kind: Kind, codes: &[&str]) -> Culprit {
        let mut culprit = sample_report().culprits.remove(1);
        let told = |code: &&str| Diagnosis { code: code.to_string(), ..Diagnosis::default() };
        (culprit.kind, culprit.tensor, culprit.diagnosis) = (kind, "t".into(), codes.iter().map(told).collect());
        culprit
    }

    fn facts(emulation: bool, rho: f64) -> Facts {
        let rhos = vec![("t".to_string(), rho), ("other".to_string(), 0.5)];
        Facts { precision: "FP16".into(), emulation, complete: true, rhos, broken: false, gains: vec![Some(1.5)] }
    }

    fn answer(culprit: Culprit, facts: &Facts) -> Option<String> {
        limited(&[culprit], facts).map(|l| l.why)
    }

    const ROUNDING: &[&str] = &[PRECISION_LIMITED];

    #[test]
    fn rounding_blames_nobody() {
        let said = answer(culprit(Kind::Introduces, ROUNDING), &facts(false, 1.3)).unwrap();
        assert_eq!(said, "every node is as wrong as FP16 makes it (largest rho 1.30)");
        let said = answer(culprit(Kind::Introduces, ROUNDING), &facts(true, 1.0)).unwrap();
        assert!(said.ends_with("(largest rho 1.00: the candidate is the emulation itself)"), "{said}");
        assert!(answer(culprit(Kind::Introduces, &[]), &facts(false, 3.9)).is_some(), "rho is reason enough");
        assert!(answer(culprit(Kind::Amplifies, &[GAIN]), &facts(false, 1.0)).is_some());
        assert!(answer(culprit(Kind::Region, &[]), &facts(false, 1.0)).is_some(), "two tolerable errors together");
        let partly = Facts { complete: false, ..facts(false, 1.3) };
        let said = answer(culprit(Kind::Introduces, ROUNDING), &partly).unwrap();
        assert!(said.starts_with("every culprit is") && said.contains("not measured alone"), "{said}");
    }

    #[test]
    fn anything_sharper_blames_somebody() {
        let rounding = || culprit(Kind::Introduces, ROUNDING);
        assert!(answer(rounding(), &facts(false, 4.1)).is_none(), "a node is worse than its precision");
        assert!(answer(culprit(Kind::Introduces, &["fp16-overflow"]), &facts(false, 1.0)).is_none());
        assert!(answer(culprit(Kind::Amplifies, &["cancellation", GAIN]), &facts(false, 1.0)).is_none());
        assert!(answer(culprit(Kind::Region, &["kernel-or-fusion"]), &facts(false, 1.0)).is_none());
        let mut fused = culprit(Kind::Region, &[]);
        fused.region.push("another".into());
        assert!(answer(fused, &facts(false, 1.0)).is_none());
        assert!(answer(culprit(Kind::Introduces, &[]), &facts(true, 1.0)).is_none(), "an emulation explains nothing");
        let steep = Facts { gains: vec![Some(1000.0)], ..facts(false, 1.0) };
        assert!(answer(culprit(Kind::Amplifies, &[GAIN]), &steep).is_none());
        assert!(answer(rounding(), &Facts { broken: true, ..facts(false, 1.0) }).is_none());
        let mut nan = rounding();
        nan.accumulated.cand_nonfinite = 1;
        assert!(answer(nan, &facts(false, 1.0)).is_none());
        assert!(answer(rounding(), &Facts { rhos: Vec::new(), ..facts(false, 1.0) }).is_none(), "nothing is known");
        assert!(limited(&[], &facts(false, 1.0)).is_none(), "nobody was found");
    }
}
