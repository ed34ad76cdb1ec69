//! What the user should know before trusting the rest, as values: each says one thing, with its data, and its sentence stands
//! here only. The report's `warnings` are these sentences, in the order of the journey.

mod arithmetic;

pub use arithmetic::{Arithmetic, Beyond};

use std::fmt;

use super::fitted::{Fitted, list, some};
use super::placement::short;
use crate::names::few;
use crate::spec::Precision;
use crate::tensor::DType;

/// Of an optimizer search where nothing is optimised.
const PLAIN_FAILS: &str = "the plain session, which optimises nothing and packs no weights, fails alike, so no optimizer is to blame: look for the node, without --by optimizer";

/// Of a file of half precision on the CPU.
const ROUNDED_LESS: &str = "on this CPU ONNX Runtime leaves out roundings to half precision and the file agrees; rounded after every node it diverges, and so it may on a device: see ort:fp16@FILE";
const ROUNDED_MORE: &str = "on this CPU ONNX Runtime leaves out roundings to half precision and the file diverges; rounded after every node, as on a device, it agrees";

/// Names in one sentence.
const NAMED: usize = 3;

/// Remarks of the stages before the cure, which has its own ([`CureNote`](super::CureNote)).
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// What was left out when a model was read, in the loader's words.
    Model(String),
    /// No real data was given.
    Synthetic,
    /// An input holds NaN or infinities: what agrees behind them may agree by them alone.
    NotFinite {
        /// Of the input.
        input: String,
        /// Elements that are NaN or infinite, in all samples.
        count: usize,
    },
    /// What was done so that the two sides' tensors stand against each other.
    Fitted(Fitted),
    /// The reference's model computes in half precision itself.
    HalfReference {
        /// float16 or bfloat16, whichever it has more of.
        dtype: DType,
        /// Tensors of half precision that its nodes make.
        half: usize,
        /// Float tensors that its nodes make.
        floats: usize,
    },
    /// Functions whose bodies an emulation, or a conversion, of this precision leaves in float32.
    WholeFunctions(Precision, Vec<String>),
    /// Element types that an emulation, or a conversion, of this precision leaves as they are.
    OtherTypes(Precision, Vec<DType>),
    /// The first run was ended by ONNX Runtime, in these words; this is the second.
    RunAgain(String),
    /// A side gives slightly other values when it is asked again.
    Moves(Who, String),
    /// Equal rows of a batch get different answers: which.
    UnevenRows(String),
    /// Products of float32 were seen to be TF32's, which nobody had asked for.
    UnaskedTf32 {
        /// What was asked for.
        precision: Precision,
        /// What the test gave.
        seen: String,
    },
    /// TF32 was asked for and is not used.
    UnusedTf32,
    /// So many classes have names, and no output has as many values in a row, nor labels.
    UnusedLabels(usize),
    /// The search stopped at this many culprits.
    MoreCulprits(usize),
    /// With the culprits put right these nodes diverge from inputs that agree, by name; as the candidate is, they do not.
    Besides(Vec<String>),
    /// With this many culprits put right the outputs still diverge, and no other was found.
    Rest(usize),
    /// Everything agrees, and in these nodes it does so because the emulation computes inside of them in float32.
    StatisticsInside {
        /// The first of them, by name.
        node: String,
        /// Its operator.
        op_type: String,
        /// Others.
        more: usize,
        /// What of it the low precision does not hold, in words and numbers.
        why: String,
    },
    /// What an emulation of FP16 adds up in, and what it makes of weights.
    Arithmetic(Arithmetic),
    /// The optimizers were asked about, and the plain session fails as the deployed one does.
    PlainFailsAlike,
    /// A file of half precision on the CPU is one thing, and rounded after every node another.
    RoundedOtherwise {
        /// What the CPU does with the file agrees.
        agrees: bool,
    },
    /// The candidate's file has other names for the same things, which were paired by structure.
    Renamed {
        /// Inside.
        tensors: usize,
        /// Inputs and outputs: the file's name, and the model's.
        ends: Vec<(String, String)>,
    },
    /// Nodes of the candidate's model were run by another execution provider than the one that was asked for.
    FellBack {
        /// By the runtime's name.
        provider: String,
        /// How many.
        nodes: usize,
        /// Of how many.
        of: usize,
        /// Of which operators, each once.
        operators: Vec<String>,
    },
    /// Why it could not be told which execution provider ran what.
    NotPlaced(String),
    /// Why the host compared what the GPU could have compared.
    Copied(String),
    /// Marking changed the final outputs, where nothing else can be looked at.
    Perturbed,
    /// Builds of an engine that marking changed: nothing was concluded from them.
    Disturbed(usize),
    /// Ranking takes one more build of an engine, and none is allowed.
    RankingNeedsBuild,
    /// Why the nodes could not be ranked.
    NotRanked(String),
    /// Stored tensors cannot be cut out.
    StoredOnly,
    /// Why there is no reproducer for the culprit that makes this tensor.
    NoReproducer {
        /// As the culprit names it.
        tensor: String,
        /// In words.
        why: String,
    },
    /// Of the model that a check fails on nothing could be cut out.
    NothingToCut,
    /// Reproducers were made for the first culprits only.
    FewerReproducers {
        /// Reproducers at most.
        most: usize,
        /// Culprits.
        of: usize,
    },
    /// Why the reference has no values to feed cuts with.
    NoValues(String),
    /// The run had not ended when the report was written.
    Unfinished,
    /// A sweep is not over.
    Swept {
        /// Sizes that both sides ran.
        done: usize,
        /// All that were asked for.
        of: usize,
    },
}

fn statistics_inside(node: &str, op_type: &str, more: usize, why: &str) -> String {
    let more = if more > 0 { format!(" (so for {more} nodes more)") } else { String::new() };
    format!("that '{node}' ({op_type}) agrees holds only where the device keeps its statistics in FP32{more}: {why}")
}

fn renamed(tensors: usize, ends: &[(String, String)]) -> String {
    let inside = match tensors {
        0 => None,
        1 => Some("a tensor inside".to_string()),
        n => Some(format!("{n} tensors inside")),
    };
    let pairs = few(ends.iter().map(|(theirs, mine)| format!("'{theirs}' is '{mine}'")), NAMED);
    let ends = (!pairs.is_empty()).then(|| format!("of its inputs and outputs {pairs}"));
    let what: Vec<String> = inside.into_iter().chain(ends).collect();
    format!(
        "the candidate's file has other names, paired by structure and weights: {}; they are told by the model's names",
        what.join("; ")
    )
}

fn whole_functions(precision: Precision, names: &[String]) -> String {
    let (of, its) = match names.len() {
        1 => ("body of the function", "its"),
        _ => ("bodies of the functions", "their"),
    };
    format!(
        "the {of} {} could not be put in the place of {its} calls (operators of another opset than the model's, a function that calls itself, calls nested too deeply): what is inside is not rounded to {precision}",
        list(names)
    )
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The run that is believed.
    Reference,
    /// The run under suspicion.
    Candidate,
}

impl Who {
    /// As reports and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Who::Reference => "reference",
            Who::Candidate => "candidate",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn joined(dtypes: &[DType]) -> String {
    dtypes.iter().map(DType::to_string).collect::<Vec<_>>().join(" and ")
}

fn besides(nodes: &[String]) -> String {
    let verb = if nodes.len() == 1 { "is" } else { "are" };
    format!("with the culprits put right, {} {verb} wrong too", some(nodes))
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Note::Model(words) => f.write_str(words),
            Note::NotFinite { input, count } => write!(
                f,
                "input '{input}' holds {count} NaN or Inf: what agrees behind them may agree by them alone; give data that is a number everywhere"
            ),
            Note::Fitted(fitted) => fitted.fmt(f),
            Note::Synthetic => f.write_str("the input data is synthetic; real data may show another first culprit"),
            Note::HalfReference { dtype, half, floats } => write!(
                f,
                "the model computes in {dtype} itself ({half} of {floats} float tensors), so the reference is no FP32 truth: its values are rounded, and ONNX Runtime's CPU computes such nodes in float32, between casts of its own; where there is a float32 export, take that for MODEL"
            ),
            Note::WholeFunctions(precision, names) => f.write_str(&whole_functions(*precision, names)),
            Note::OtherTypes(precision, dtypes) => write!(
                f,
                "tensors of {} are computed as they are, not in {precision}, which few devices do",
                joined(dtypes)
            ),
            Note::RunAgain(died) => write!(
                f,
                "ONNX Runtime ended the process of the first run ({died}); everything was run again with it in processes of its own, where its crashes end nothing else"
            ),
            Note::Moves(who, how) => write!(f, "the {who} does not answer the same twice ({how})"),
            Note::UnevenRows(which) => write!(f, "equal rows of a batch get different answers: {which}"),
            Note::UnaskedTf32 { precision, seen } => write!(
                f,
                "the candidate multiplies float32 in TF32, although {precision} was asked for: {seen}; set NVIDIA_TF32_OVERRIDE=0"
            ),
            Note::UnusedTf32 => f.write_str(
                "the candidate was asked to use TF32 and multiplies in FP32: this GPU or its libraries do not use it",
            ),
            Note::UnusedLabels(classes) => write!(
                f,
                "--labels names {classes} classes, and no output is made of labels or has rows of {classes} values: nothing is told by these names"
            ),
            Note::MoreCulprits(most) => write!(f, "there are more culprits than --max-culprits {most}"),
            Note::Besides(nodes) => f.write_str(&besides(nodes)),
            Note::Rest(1) => f.write_str(
                "the outputs still diverge with the culprit put right: more is wrong, and --strategy scan measures everything",
            ),
            Note::Rest(n) => write!(
                f,
                "the outputs still diverge with the {n} culprits put right: more is wrong, and --strategy scan measures everything"
            ),
            Note::StatisticsInside { node, op_type, more, why } => {
                f.write_str(&statistics_inside(node, op_type, *more, why))
            }
            Note::Arithmetic(note) => note.fmt(f),
            Note::PlainFailsAlike => f.write_str(PLAIN_FAILS),
            Note::RoundedOtherwise { agrees } => f.write_str(if *agrees { ROUNDED_LESS } else { ROUNDED_MORE }),
            Note::Renamed { tensors, ends } => f.write_str(&renamed(*tensors, ends)),
            Note::FellBack { provider, nodes, of, operators } => {
                f.write_str(&fell_back(provider, *nodes, *of, operators))
            }
            Note::NotPlaced(why) => write!(f, "which execution provider ran what is not known: {why}"),
            Note::Copied(why) => write!(f, "the GPU's values were copied to the host and compared there: {why}"),
            Note::Perturbed => f.write_str(
                "marking tensors changed the candidate's own outputs: what was measured may differ from what the unmarked model does",
            ),
            Note::Disturbed(1) => {
                f.write_str("marking tensors changed the candidate's own outputs in one build; nothing was concluded from it")
            }
            Note::Disturbed(n) => write!(
                f,
                "marking tensors changed the candidate's own outputs in {n} builds; nothing was concluded from them"
            ),
            Note::RankingNeedsBuild => f.write_str(
                "the nodes are not ranked: it takes one more build of the engine; leave --no-overrides out",
            ),
            Note::NotRanked(why) => write!(f, "the nodes could not be ranked: {why}"),
            Note::StoredOnly => f.write_str("stored tensors cannot be run again, so there is no reproducer"),
            Note::NoReproducer { tensor, why } => write!(f, "no reproducer for '{tensor}': {why}"),
            Note::NothingToCut => {
                f.write_str("no reproducer: something crosses its boundary whose type or shape nobody knows")
            }
            Note::FewerReproducers { most, of } => write!(f, "there are reproducers for {most} of {of} culprits"),
            Note::NoValues(why) => write!(f, "the reference cannot run the model, so cuts are fed with nothing: {why}"),
            Note::Swept { done, of } => write!(f, "{done} of {of} sizes were tried when this was written"),
            Note::Unfinished => f.write_str(
                "the run had not ended when this was written: what came later is missing, and so may be the table of tensors (it is in journal.jsonl)",
            ),
        }
    }
}

/// `OpenVINO did not take 1 of 6 nodes (Unique): they fell back to another provider, mostly the CPU`
fn fell_back(provider: &str, nodes: usize, of: usize, operators: &[String]) -> String {
    let provider = short(provider);
    let operators = few(operators, NAMED);
    match nodes == of {
        true => format!("{provider} took none of the {of} nodes ({operators}): all fell back to the CPU"),
        false => format!("{nodes} of {of} nodes ({operators}) fell back to the CPU: {provider} did not take them"),
    }
}

#[cfg(test)]
mod tests;
