//! The tensors, told to those who build the engine: a list, the model with them as outputs, and Polygraphy, by a command and by a
//! script that marks them. One folder, complete or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use super::trials::Trials;
use crate::cure::export::{Content, Export, Folder, coded, line, plain_path};
use crate::found::words::{number, shell};
use crate::found::{Fusion, Price};
use crate::lab::{Lowering, Side};
use crate::load::folder;
use crate::onnx::ModelProto;
use crate::show::page::{Block, Words};
use crate::spec::Precision;

/// In the folder of the report.
const FOLDER: &str = "fusion";
/// The file that shows that the folder was written here.
const LIST: &str = "tensors.txt";
const MODEL: &str = "model.onnx";
const COMMAND: &str = "polygraphy.sh";
const SCRIPT: &str = "mark_outputs.py";

/// What the files say.
struct Told<'a> {
    side: &'a Side,
    found: &'a Fusion,
    /// Outputs of the model itself.
    own: Vec<String>,
    /// With the tensors as outputs, as the candidate ran it.
    marked: ModelProto,
}

/// Removes what an earlier run wrote, which the new report does not know.
pub fn clear(dir: &Path) {
    let older = dir.join(FOLDER);
    if older.join(LIST).is_file() {
        // What cannot be removed cannot be replaced either, and that is said then.
        drop(folder::remove(&older));
    }
}

/// Writes the folder beside the report, and gives back its files by consumer.
pub(super) fn write(trials: &Trials, set: &[usize], found: &Fusion) -> anyhow::Result<BTreeMap<String, String>> {
    let side = &trials.request.lab.candidate;
    let told = Told { side, found, own: trials.own_outputs(), marked: trials.model(set)? };
    files().write(&trials.request.dir.join(FOLDER), &told)
}

/// The files in the order of the page.
fn files<'a>() -> Folder<Told<'a>> {
    let model = Export {
        consumer: "onnx",
        file: MODEL,
        content: |told: &Told| Ok(Some(Content::Model(told.side.model.written(&told.marked)))),
        section: |_| {
            vec![line("**model.onnx** has them as outputs behind its own: for every program. Leave them unread.")]
        },
    };
    let command = Export {
        consumer: "polygraphy",
        file: COMMAND,
        content: |told: &Told| Ok(told.for_tensorrt().then(|| Content::Text(told.command()))),
        section: |told| {
            let why = "**polygraphy.sh** builds and runs the engine with them, and with the model's own outputs, which --trt-outputs would drop else:";
            vec![line(why), Block::Code(format!("sh {COMMAND}"))].into_iter().chain(told.refused()).collect()
        },
    };
    let script = Export {
        consumer: "polygraphy_script",
        file: SCRIPT,
        content: |told: &Told| Ok(told.for_tensorrt().then(|| told.script()).transpose()?.map(Content::Text)),
        section: |told| {
            let words = [
                vec!["polygraphy".to_string(), "run".to_string()],
                told.model_and_flags(),
                vec!["--trt-network-postprocess-script".to_string(), SCRIPT.to_string()],
            ];
            vec![
                line("**mark_outputs.py** marks them in the network, whatever they are called:"),
                Block::Code(shell(&words.concat())),
            ]
        },
    };
    let list = Export {
        consumer: "tensors",
        file: LIST,
        content: |told: &Told| Ok(Some(Content::Text(listed(&told.found.tensors)?))),
        section: |_| {
            vec![line("**tensors.txt**: their names, one a line; a name with control characters as a JSON string.")]
        },
    };
    Folder { sign: LIST, exports: vec![model, command, script], lists: vec![list], title, head, note: |_| Vec::new() }
}

fn title(_: &Told) -> Words {
    "Tensors that must be outputs".into()
}

/// What was found.
fn head(told: &Told) -> Vec<Block> {
    let found = told.found;
    let built = told.side.built();
    let proof = match found.verified {
        true => {
            format!("With these outputs what the model puts out agrees, and built again without them {built} diverges.")
        }
        false => "Not verified: see the report.".to_string(),
    };
    let fewer = match (found.minimal, found.tensors.len()) {
        (true, 1) => "",
        (true, _) => " None of them can be left out.",
        (false, _) => " Perhaps fewer would do.",
    };
    let cost = found.latency.as_ref().and_then(Price::added).filter(|added| *added > 0.0);
    let cost = cost.map_or(String::new(), |added| format!(" They add {} ms to a run.", number(added * 1e3)));
    let tensors = Words::from(format!("{} of {}: ", found.tensors.len(), found.of)).then(coded(&found.tensors));
    vec![line(tensors), line(proof + fewer + &cost)]
}

/// One a line.
fn listed(names: &[String]) -> anyhow::Result<String> {
    let one = |name: &String| match name.contains(char::is_control) {
        true => serde_json::to_string(name),
        false => Ok(name.clone()),
    };
    let lines: Vec<String> = names.iter().map(one).collect::<Result<_, _>>()?;
    Ok(lines.join("\n") + "\n")
}

impl Told<'_> {
    /// Polygraphy builds engines of TensorRT.
    fn for_tensorrt(&self) -> bool {
        self.side.is_engine()
    }

    /// Of the user's own file, where the candidate builds that; of the file here, where it was rewritten.
    fn model_and_flags(&self) -> Vec<String> {
        let rewritten = !matches!(self.side.lowering, Lowering::None | Lowering::Backend(_));
        let own = plain_path(&self.side.model.path).filter(|_| !rewritten);
        let low = match (self.side.lowering, self.side.spec.precision) {
            (Lowering::Backend(_), low) => Some(format!("--{low}")),
            (_, Precision::Tf32) => Some("--tf32".to_string()),
            _ => None,
        };
        let model = own.unwrap_or_else(|| MODEL.to_string());
        [model, "--trt".to_string()].into_iter().chain(low).collect()
    }

    /// `--trt-outputs` takes the place of the model's own outputs.
    fn command(&self) -> String {
        let tensors = self.found.tensors.iter().filter(|name| is_word(name));
        let outputs = self.own.iter().chain(tensors).map(|name| pattern(name));
        let words = ["polygraphy".to_string(), "run".to_string()].into_iter().chain(self.model_and_flags());
        let words: Vec<String> = words.chain(["--trt-outputs".to_string()]).chain(outputs).collect();
        format!(
            "#!/bin/sh\n# Written by layerdiff. More arguments are handed on.\ncd \"$(dirname \"$0\")\" || exit\nexec {} \"$@\"\n",
            shell(&words)
        )
    }

    /// Names that no command line has.
    fn refused(&self) -> Option<Block> {
        let refused: Vec<String> = self.found.tensors.iter().filter(|name| !is_word(name)).cloned().collect();
        let told = Words::from("A command line has no way to name these, which are left out; use mark_outputs.py: ");
        (!refused.is_empty()).then(|| line(told.then(coded(&refused))))
    }

    /// A list of strings in JSON is one in Python.
    fn script(&self) -> anyhow::Result<String> {
        Ok(PYTHON.replacen("{tensors}", &serde_json::to_string_pretty(&self.found.tensors)?, 1))
    }
}

/// Neither a flag nor more than one line.
fn is_word(name: &str) -> bool {
    !name.starts_with('-') && !name.contains(char::is_control)
}

/// Polygraphy reads wildcards as Python's fnmatch does.
fn pattern(name: &str) -> String {
    name.chars().map(|c| if "[*?".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}

const PYTHON: &str = r#""""Makes the tensors that layerdiff named outputs: a network postprocess script for Polygraphy.

    polygraphy run MODEL --trt --trt-network-postprocess-script mark_outputs.py
"""

import sys

TENSORS = {tensors}


def postprocess(network):
    wanted = set(TENSORS)
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        for output in (layer.get_output(at) for at in range(layer.num_outputs)):
            if output is None or output.name not in wanted:
                continue
            wanted.discard(output.name)
            if not output.is_network_output:
                network.mark_output(output)
    for name in sorted(wanted):
        print(f"mark_outputs.py: the network has no tensor {name!r}; is this the right model?", file=sys.stderr)
"#;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_is_no_pattern_and_no_flag() {
        assert_eq!(pattern("a[0]*?"), "a[[]0][*][?]");
        assert_eq!([is_word("a b"), is_word("-c"), is_word("a\nb")], [true, false, false]);
        assert_eq!(listed(&["a b".to_string(), "c\nd".to_string()]).unwrap(), "a b\n\"c\\nd\"\n");
    }

    /// A network of Python objects: what is marked is printed.
    const FAKE: &str = r#"
import types
from mark_outputs import postprocess
class Network:
    def __init__(self, layers):
        self.layers, self.num_layers, self.get_layer, self.marked = layers, len(layers), layers.__getitem__, []
    def mark_output(self, tensor):
        self.marked.append(tensor.name)
def layer(*names):
    outputs = [name and types.SimpleNamespace(name=name, is_network_output=name == "y") for name in names]
    return types.SimpleNamespace(num_outputs=len(outputs), get_output=outputs.__getitem__)
network = Network([layer("a"), layer("b\n", None), layer("y")])
postprocess(network=network)
print(network.marked)
"#;

    #[test]
    fn the_script_marks_what_is_no_output_yet() {
        let home = tempfile::tempdir().unwrap();
        let names = ["b\n", "y", "gone"].map(str::to_string);
        let text = PYTHON.replacen("{tensors}", &serde_json::to_string_pretty(&names).unwrap(), 1);
        fs::write(home.path().join(SCRIPT), text).unwrap();
        let done = Command::new("python3").arg("-c").arg(FAKE).current_dir(home.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        assert_eq!(text(&done.stdout), r"['b\n']", "{}", text(&done.stderr));
        assert_eq!(text(&done.stderr), "mark_outputs.py: the network has no tensor 'gone'; is this the right model?");
    }
}
