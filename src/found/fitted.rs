//! What was done so that the tensors of two sides stand against each other: other element types, names and layouts undone, and
//! what is left over. Each says one thing; the sentences stand here only.

use std::fmt;

use crate::names::few;
use crate::tensor::DType;

/// Names in one sentence.
const NAMED: usize = 3;

/// One thing that was done, or could not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// One of these, of a stage of this name.
    Stage(String, Box<Fitted>),
    /// Inputs that the candidate's file declares in another element type: it is given the same values in that.
    Retyped {
        /// By name.
        inputs: Vec<String>,
        /// What the data are.
        from: DType,
        /// What the candidate's file takes.
        to: DType,
    },
    /// The candidate's arrays have other names.
    Renamed {
        /// The array's name, and the tensor's.
        pairs: Vec<(String, String)>,
        /// How it is known which is which.
        by: Known,
    },
    /// The candidate's arrays that are no tensor of the model.
    Left {
        /// By name.
        names: Vec<String>,
        /// Arrays in all.
        of: usize,
    },
    /// The candidate's arrays whose axes are elsewhere.
    Moved {
        /// The tensors that they are, by name.
        tensors: Vec<String>,
        /// Where the axes are, in words.
        how: String,
        /// Values agree then, or the user says so.
        shown: bool,
    },
    /// Arrays that agree with their axes moved, and are left as they stand: it may be a layout, and it may be the fault.
    Exchanged {
        /// The tensors that they are, by name.
        tensors: Vec<String>,
        /// Where the axes are, in words.
        how: String,
    },
    /// The model is cut in front of operators that the reference cannot run.
    Cut {
        /// The operator of the first of them.
        op_type: String,
        /// Its name.
        node: String,
        /// Others in front of which it is cut.
        more: usize,
        /// Nodes that are left out, these included.
        without: usize,
        /// Tensors that are judged in place of what they make; empty where the user names some.
        judged: Vec<String>,
    },
    /// Values of the data are infinite in the element type that the candidate's file takes: which, in words.
    Infinite(String),
}

/// How it is known which array is which tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By their names, but for punctuation, or as the user says.
    Names,
    /// Their values agree, and with nothing else.
    Values,
    /// By their shapes and their order only.
    Order,
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fitted::Retyped { inputs, from, to } => {
                let (s, are) = if inputs.len() == 1 { ("", "is") } else { ("s", "are") };
                let names = some(inputs);
                write!(
                    f,
                    "input{s} {names} {are} {to} in the candidate's file: it is given the values of the {from} data as {to}"
                )
            }
            Fitted::Stage(name, fitted) => write!(f, "stage '{name}': {fitted}"),
            Fitted::Renamed { pairs, by } => write!(f, "{}", other_names(pairs, *by)),
            Fitted::Left { names, of } => write!(
                f,
                "{} of {of} arrays of the candidate {} no tensor of the model and left out: {}; pair them with --map FILE or --map auto",
                names.len(),
                if names.len() == 1 { "is" } else { "are" },
                some(names)
            ),
            Fitted::Moved { tensors, how, shown: true } => {
                write!(f, "compared with the axes moved ({how}): {}", some(tensors))
            }
            Fitted::Moved { tensors, how, shown: false } => write!(
                f,
                "compared with the axes moved ({how}), as the shapes suggest: {}; the values diverge all the same, so that another layout, or another tensor, may have been stored (--layout, --map)",
                some(tensors)
            ),
            Fitted::Exchanged { tensors, how } => write!(
                f,
                "the values agree with the axes moved ({how}) and not as they stand: {}; if that is the candidate's layout, say so with --layout, else a transposition is missing there",
                some(tensors)
            ),
            Fitted::Cut { op_type, node, more, without, judged } => {
                let more = if *more > 0 { format!(" and {more} more") } else { String::new() };
                let (s, are) = if *without == 1 { ("", "is") } else { ("s", "are") };
                write!(
                    f,
                    "cut in front of {op_type} '{node}'{more}, which ONNX Runtime cannot run: {without} node{s} {are} left out"
                )?;
                match judged.is_empty() {
                    true => Ok(()),
                    false => {
                        let are = if judged.len() == 1 { "is" } else { "are" };
                        write!(f, "; in place of what they make {are} judged {}", some(judged))
                    }
                }
            }
            Fitted::Infinite(which) => {
                write!(f, "{which}: the candidate is given infinities there, and the reference is not")
            }
        }
    }
}

fn other_names(pairs: &[(String, String)], by: Known) -> String {
    let pairs = few(pairs.iter().map(|(theirs, ours)| format!("'{theirs}' is '{ours}'")), NAMED);
    let how = match by {
        Known::Names => "found by their names",
        Known::Values => "found by their values, which agree with one tensor only",
        Known::Order => "guessed by their shapes and their order",
    };
    format!("arrays of the candidate under other names, {how}: {pairs}")
}

/// `'a', 'b'`
pub fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// `'a', 'b', 'c' and 2 more`
pub fn some(names: &[String]) -> String {
    few(names.iter().map(|name| format!("'{name}'")), NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let check = |fitted: Fitted, sentence: &str| assert_eq!(fitted.to_string(), sentence);
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        check(
            Fitted::Retyped { inputs: names(&["ids"]), from: DType::Int64, to: DType::Int32 },
            "input 'ids' is int32 in the candidate's file: it is given the values of the int64 data as int32",
        );
        check(
            Fitted::Retyped { inputs: names(&["a", "b", "c", "d"]), from: DType::Int64, to: DType::Int32 },
            "inputs 'a', 'b', 'c' and 1 more are int32 in the candidate's file: it is given the values of the int64 data as int32",
        );
        let pairs = ["a", "b", "c", "d"].map(|name| (format!("_{name}"), format!("/{name}"))).to_vec();
        check(
            Fitted::Renamed { pairs, by: Known::Names },
            "arrays of the candidate under other names, found by their names: '_a' is '/a', '_b' is '/b', '_c' is '/c' and 1 more",
        );
        check(
            Fitted::Left { names: names(&["junk"]), of: 4 },
            "1 of 4 arrays of the candidate is no tensor of the model and left out: 'junk'; pair them with --map FILE or --map auto",
        );
        let left = Fitted::Left { names: names(&["junk"]), of: 4 };
        check(
            Fitted::Stage("device".to_string(), Box::new(left)),
            "stage 'device': 1 of 4 arrays of the candidate is no tensor of the model and left out: 'junk'; pair them with --map FILE or --map auto",
        );
        let moved = |shown| Fitted::Moved { tensors: names(&["a"]), how: "channels last, 1x2x2x3".to_string(), shown };
        check(moved(true), "compared with the axes moved (channels last, 1x2x2x3): 'a'");
        check(
            moved(false),
            "compared with the axes moved (channels last, 1x2x2x3), as the shapes suggest: 'a'; the values diverge all the same, so that another layout, or another tensor, may have been stored (--layout, --map)",
        );
        check(
            Fitted::Exchanged { tensors: names(&["a"]), how: "channels last, 1x2x2x2".to_string() },
            "the values agree with the axes moved (channels last, 1x2x2x2) and not as they stand: 'a'; if that is the candidate's layout, say so with --layout, else a transposition is missing there",
        );
        let cut = |judged: &[&str]| Fitted::Cut {
            op_type: "EfficientNMS_TRT".to_string(),
            node: "nms".to_string(),
            more: 0,
            without: 2,
            judged: names(judged),
        };
        check(cut(&[]), "cut in front of EfficientNMS_TRT 'nms', which ONNX Runtime cannot run: 2 nodes are left out");
        check(
            cut(&["boxes", "scores"]),
            "cut in front of EfficientNMS_TRT 'nms', which ONNX Runtime cannot run: 2 nodes are left out; in place of what they make are judged 'boxes', 'scores'",
        );
    }
}
