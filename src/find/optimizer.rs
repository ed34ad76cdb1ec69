//! `--by optimizer`: what ONNX Runtime makes of a model is to blame, where the plain session agrees and the deployed one does
//! not. An optimizer, or the prepacking of weights, is turned off, the session is built again, and the outputs tell.

use std::collections::HashSet;

use crate::found::{Culprit, Diagnosis, MadeNode, Optimizers, Sure};
use crate::lab::Lab;
use crate::lab::first::inner;
use crate::progress::Progress;
use crate::run::{Optimised, OptimisedNode, RunError, SessionOptions};
use crate::search::{Answer, smallest_cure};
use crate::tensor::Tensors;

/// The switch that is no optimizer.
pub const PREPACKING: &str = "prepacking";

/// Its entry in the configuration of a session, and the value that turns it off.
const PREPACKING_OFF: &str = "session.disable_prepacking=1";

/// How the names of optimizers end that are many rules, each of which has a name and a switch of its own.
const OF_RULES: &str = "_RuleBasedTransformer";

/// Those rules. A name that a version does not know switches nothing.
const RULES: [&str; 22] = [
    "EliminateIdentity",
    "EliminateSlice",
    "EliminateDropout",
    "UnsqueezeElimination",
    "ExpandElimination",
    "CastElimination",
    "CastChainElimination",
    "PreShapeNodeElimination",
    "NoopElimination",
    "DivMulFusion",
    "FuseReluClip",
    "GemmSumFusion",
    "GemmTransposeFusion",
    "NotWhereFusion",
    "ConvAddFusion",
    "ConvMulFusion",
    "ConvBNFusion",
    "Pad_Fusion",
    "MatMul_BatchNormalization_Fusion",
    "LabelEncoderFusion",
    "ClipQuantRewrite",
    "ReluQuantRewrite",
];

/// Optimizers of ONNX Runtime on the CPU, by the names of its log. A name that a version does not know switches nothing.
const OPTIMIZERS: [&str; 36] = [
    "ConstantSharing",
    "CommonSubexpressionElimination",
    "ConstantFolding",
    "MatMulAddFusion",
    "ReshapeFusion",
    "SliceConcatToSpaceToDepthFusion",
    "GeluFusionL1",
    "GeluFusionL2",
    "LayerNormFusionL1",
    "LayerNormFusionL2",
    "SimplifiedLayerNormFusion",
    "QDQPropagationTransformer",
    "WeightBiasQuantization",
    "EnsureUniqueDQForNodeUnit",
    "WhereDummyDq",
    "DoubleQDQPairsRemover",
    "TransposeOptimizer",
    "QDQS8ToU8Transformer",
    "QDQSelectorActionTransformer",
    "QDQFinalCleanupTransformer",
    "GemmActivationFusion",
    "MatMulIntegerToFloatFusion",
    "DynamicQuantizeMatMulFusion",
    "ConvActivationFusion",
    "ConvAddActivationFusion",
    "AttentionFusion",
    "EmbedLayerNormFusion",
    "GatherToSplitFusion",
    "GatherToSliceFusion",
    "MatmulTransposeFusion",
    "BiasGeluFusion",
    "SkipLayerNormFusion",
    "FastGeluFusion",
    "QuickGeluFusion",
    "MatMulScaleFusion",
    "NchwcTransformer",
];

/// Does only what is deployed fail? Then tensors are looked at in that session.
pub fn is_to_blame(lab: &Lab) -> bool {
    lab.candidate.fuses() && !lab.candidate.is_engine()
}

/// Tells the culprits what was found: those that a made node stands for, or all where nobody knows.
pub fn explain(culprits: &mut [Culprit], found: &Optimizers) {
    let is_in = |culprit: &Culprit, made: &MadeNode| {
        let of = |name: &String| *name == culprit.node.name || culprit.region.contains(name);
        made.outputs.contains(&culprit.tensor) || made.from.iter().any(of) || of(&made.node)
    };
    let known = culprits.iter().any(|culprit| found.made.iter().any(|made| is_in(culprit, made)));
    for culprit in culprits {
        let concerned = found.made.iter().any(|made| is_in(culprit, made));
        let told = cause(found, |made| is_in(culprit, made)).filter(|_| concerned || !known);
        if let Some(told) = told {
            culprit.diagnosis.retain(|known| known.sure != Sure::Unknown);
            culprit.diagnosis.push(told);
        }
    }
}

/// A smallest set of optimizers that, turned off, makes the outputs of the session agree with what is `right`, by sample; at most
/// `most` sessions.
pub fn optimizers(lab: &Lab, right: &[Tensors], most: usize, progress: &Progress) -> Result<Optimizers, RunError> {
    let mut trials = Trials { lab, right, progress, left: most, tried: 0 };
    let session = &lab.candidate.session;
    // A session that is refused has no list of its own: then it is of all names.
    let (mut switches, with) = match made(lab, session) {
        Ok(made) => (made.applied, Some(made.nodes)),
        Err(RunError::Build { .. } | RunError::Crash { .. }) => (every_name(), None),
        Err(e) => return Err(e),
    };
    if session.prepack {
        switches.push(PREPACKING.to_string());
    }
    let of = switches.len();
    let Some(mut off) = trials.smallest(&switches)? else {
        return Ok(Optimizers { trials: trials.tried, of, ..Optimizers::default() });
    };
    if off.names.iter().any(|name| name.ends_with(OF_RULES)) {
        let others = off.names.iter().filter(|name| !name.ends_with(OF_RULES)).cloned();
        let rules: Vec<String> = RULES.iter().map(|rule| rule.to_string()).chain(others).collect();
        off = trials.smallest(&rules)?.unwrap_or(off);
    }
    let made = match with {
        Some(with) => apart(&with, &made(lab, &without(session, &off.names))?.nodes),
        // What is refused made nothing.
        None => Vec::new(),
    };
    Ok(Optimizers { names: off.names, verified: true, minimal: off.minimal, trials: trials.tried, of, made })
}

/// A set that was seen to cure.
struct Off {
    names: Vec<String>,
    minimal: bool,
}

/// Sessions with switches turned off.
struct Trials<'a> {
    lab: &'a Lab,
    right: &'a [Tensors],
    progress: &'a Progress,
    left: usize,
    tried: usize,
}

impl Trials<'_> {
    /// The smallest set of these that cures; `None` where all of them together do not.
    fn smallest(&mut self, switches: &[String]) -> Result<Option<Off>, RunError> {
        if self.cured(switches)? != Answer::Good {
            return Ok(None);
        }
        let all: Vec<usize> = (0..switches.len()).collect();
        let names = |set: &[usize]| -> Vec<String> { set.iter().map(|s| switches[*s].clone()).collect() };
        let found = smallest_cure(&all, |set| self.cured(&names(set)))?;
        Ok(Some(Off { names: names(&found.items), minimal: found.unknown == 0 }))
    }

    /// Good: without these every output of every sample agrees. A session that is not built is no answer.
    fn cured(&mut self, off: &[String]) -> Result<Answer, RunError> {
        if self.left == 0 {
            return Ok(Answer::Unknown);
        }
        (self.left, self.tried) = (self.left - 1, self.tried + 1);
        self.progress.step(format!("optimizers, session {}: {} off", self.tried, off.len()));
        let Lab { candidate: side, outputs, feeds, .. } = self.lab;
        let model = side.marked(&inner(side, outputs));
        let work = side.work(feeds, outputs).on(&model, &side.types).in_session(without(&side.session, off));
        match side.values(&work) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(Answer::Unknown),
            Ok(values) => Ok(self.lab.tried(outputs, self.right, &values, 0)?.answer),
        }
    }
}

/// The session with these turned off.
fn without(session: &SessionOptions, off: &[String]) -> SessionOptions {
    let (packing, optimizers): (Vec<String>, Vec<String>) = off.iter().cloned().partition(|name| name == PREPACKING);
    let without = session.without.iter().cloned().chain(optimizers).collect();
    SessionOptions { prepack: session.prepack && packing.is_empty(), without, ..session.clone() }
}

/// What such a session makes of the candidate's model.
fn made(lab: &Lab, session: &SessionOptions) -> Result<Optimised, RunError> {
    let side = &lab.candidate;
    side.optimised(&side.work(&[], &[]).in_session(session.clone()))
}

/// Of optimizers and rules, where nobody tells which change something.
fn every_name() -> Vec<String> {
    RULES.iter().chain(&OPTIMIZERS).map(|name| name.to_string()).collect()
}

/// Nodes of `with` that `without` has not, and for each what of the model it stands for: nodes of `without`.
fn apart(with: &[OptimisedNode], without: &[OptimisedNode]) -> Vec<MadeNode> {
    let only = |these: &[OptimisedNode], others: &[OptimisedNode]| -> Vec<OptimisedNode> {
        let same = |a: &OptimisedNode, b: &OptimisedNode| {
            (&a.op_type, &a.inputs, &a.outputs) == (&b.op_type, &b.inputs, &b.outputs)
        };
        these.iter().filter(|node| !others.iter().any(|other| same(node, other))).cloned().collect()
    };
    let (new, gone) = (only(with, without), only(without, with));
    new.into_iter()
        .map(|node| {
            let from = behind(&node, &gone).into_iter().map(|at| gone[at].name.clone()).collect();
            MadeNode { node: node.name, op_type: node.op_type, outputs: node.outputs, from }
        })
        .collect()
}

/// Of the nodes that are gone, those that make the same outputs, and what leads to them; numbers in order.
fn behind(node: &OptimisedNode, gone: &[OptimisedNode]) -> Vec<usize> {
    let mut wanted: HashSet<&str> = node.outputs.iter().map(String::as_str).collect();
    // What the new node reads as well is before it.
    let before: HashSet<&str> = node.inputs.iter().map(String::as_str).collect();
    let mut found: Vec<usize> = Vec::new();
    loop {
        let makes = |at: &usize| gone[*at].outputs.iter().any(|out| wanted.contains(out.as_str()));
        let Some(at) = (0..gone.len()).filter(|at| !found.contains(at)).find(makes) else { break };
        found.push(at);
        wanted.extend(gone[at].inputs.iter().map(String::as_str).filter(|input| !before.contains(input)));
    }
    found.sort_unstable();
    found
}

/// What was shown of a culprit, where turning these off made the outputs agree.
pub fn cause(found: &Optimizers, concerns: impl Fn(&MadeNode) -> bool) -> Option<Diagnosis> {
    if !found.verified || found.names.is_empty() {
        return None;
    }
    let packing = found.names.iter().any(|name| name == PREPACKING);
    let named: Vec<&str> = found.names.iter().map(String::as_str).filter(|name| *name != PREPACKING).collect();
    let concerned: Vec<&MadeNode> = found.made.iter().filter(|made| concerns(made)).collect();
    let what = match (named.is_empty(), packing) {
        (true, _) => "the prepacking of weights".to_string(),
        (false, false) => format!("{} {}", plural(&named), named.join(", ")),
        (false, true) => format!("{} {} and the prepacking of weights", plural(&named), named.join(", ")),
    };
    let makes: Vec<String> = concerned.iter().take(3).map(|made| told(made)).collect();
    let makes = if makes.is_empty() { String::new() } else { format!("; with it there is {}", makes.join(", ")) };
    let evidence = format!(
        "with {what} of ONNX Runtime turned off, and all else as deployed, the outputs agree; the model's own nodes, one by one, agree too{makes}"
    );
    Some(Diagnosis { code: "optimizer".to_string(), sure: Sure::Shown, evidence, advice: advice(&named, packing) })
}

fn plural(names: &[&str]) -> &'static str {
    if names.len() == 1 { "the optimizer" } else { "the optimizers" }
}

/// `Div 'y_mul' in place of 'd_div', 'y_mul'`.
fn told(made: &MadeNode) -> String {
    let names: Vec<String> = made.from.iter().take(6).map(|name| format!("'{name}'")).collect();
    let place = if names.is_empty() { String::new() } else { format!(" in place of {}", names.join(", ")) };
    format!("{} '{}'{place}", made.op_type, made.node)
}

fn advice(named: &[&str], packing: bool) -> String {
    let mut settings = Vec::new();
    if !named.is_empty() {
        settings.push(format!("optimization.disable_specified_optimizers={}", named.join(";")));
    }
    if packing {
        settings.push(PREPACKING_OFF.to_string());
    }
    format!("deploy with the session option {}, and send the reproducer to ONNX Runtime", settings.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op_type: &str, inputs: &[&str], output: &str) -> OptimisedNode {
        let inputs = inputs.iter().map(|input| input.to_string()).collect();
        OptimisedNode { name: name.into(), op_type: op_type.into(), inputs, outputs: vec![output.into()] }
    }

    #[test]
    fn a_fused_node_stands_for_what_it_was_made_of() {
        let plain = [
            node("a", "Relu", &["x"], "r"),
            node("d", "Div", &["one", "r"], "q"),
            node("m", "Mul", &["q", "z"], "y"),
            node("e", "Exp", &["y"], "w"),
        ];
        let fused = [node("a", "Relu", &["x"], "r"), node("m", "Div", &["z", "r"], "y"), node("e", "Exp", &["y"], "w")];
        let made = apart(&fused, &plain);
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].op_type.as_str(), made[0].from.clone()), ("Div", vec!["d".to_string(), "m".to_string()]));
        assert_eq!(told(&made[0]), "Div 'm' in place of 'd', 'm'");
        assert!(apart(&plain, &plain).is_empty());
    }

    #[test]
    fn switches_are_entries_of_a_session() {
        let session = SessionOptions::deployed();
        let off = without(&session, &["DivMulFusion".to_string(), PREPACKING.to_string()]);
        assert_eq!((off.without, off.prepack, off.level), (vec!["DivMulFusion".to_string()], false, session.level));
    }

    #[test]
    fn the_cause_names_the_switch() {
        let found = |names: &[&str]| Optimizers {
            names: names.iter().map(|name| name.to_string()).collect(),
            verified: true,
            ..Optimizers::default()
        };
        let told = cause(&found(&["DivMulFusion"]), |_| true).unwrap();
        assert!(told.evidence.starts_with("with the optimizer DivMulFusion of ONNX Runtime turned off"), "{told:?}");
        assert!(told.advice.contains("optimization.disable_specified_optimizers=DivMulFusion"));
        let told = cause(&found(&[PREPACKING]), |_| true).unwrap();
        assert!(told.evidence.contains("the prepacking of weights") && told.advice.contains(PREPACKING_OFF));
        assert_eq!(cause(&Optimizers::default(), |_| true), None);
    }
}
