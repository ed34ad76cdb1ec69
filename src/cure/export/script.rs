//! A script for Polygraphy that sets layer precisions while TensorRT 10 builds. It sees more than trtexec: the layers that
//! TensorRT makes of one ONNX node all carry the node's name in their metadata.

use super::{Content, Export, Kept, Told, line};
use crate::found::words::shell;
use crate::show::page::Block;
use crate::spec::Precision;
use crate::terminal::harmful;

/// For Polygraphy, in FP16 and BF16.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "polygraphy",
        file: "trt_network.py",
        content: |told| match told.has_arguments() {
            true => Ok(Some(Content::Text(network(told.o.low, &told.kept)?))),
            false => Ok(None),
        },
        section,
    }
}

fn section(told: &Told) -> Vec<Block> {
    let run = format!(
        "polygraphy run {} --trt --{} --precision-constraints obey --trt-network-postprocess-script trt_network.py",
        quoted(&told.onnx),
        told.o.low
    );
    vec![line("**trt_network.py** (TensorRT 10, with Polygraphy):"), Block::Code(run)]
}

/// One word of bash. The page writes out what nobody sees in a path: there bash has to be told so.
fn quoted(text: &str) -> String {
    match text.contains(harmful) {
        true => shell(&[text.to_string()]),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn network(low: Precision, kept: &[Kept]) -> anyhow::Result<String> {
    // A list of strings in JSON is one in Python.
    let names: Vec<&str> = kept.iter().map(|k| k.name.as_str()).collect();
    let list = serde_json::to_string_pretty(&names)?;
    Ok(SCRIPT.replacen("{low}", &low.to_string(), 1).replacen("{nodes}", &list, 1))
}

const SCRIPT: &str = r#""""Keeps the nodes that layerdiff named in FP32: a network postprocess script for Polygraphy and TensorRT 10.

    polygraphy run MODEL --trt --{low} --precision-constraints obey --trt-network-postprocess-script trt_network.py

TensorRT 11, TensorRT-RTX and strongly typed networks take precisions from the model: build model.mixed.onnx there.
"""

import sys

import tensorrt as trt

NODES = {nodes}

PREFIX = "[ONNX Layer: "


def postprocess(network):
    if not hasattr(trt.ILayer, "set_output_type") or strongly_typed(network):
        raise RuntimeError(
            "this network is strongly typed (TensorRT 11, TensorRT-RTX or --strongly-typed), where layers have no "
            "precision of their own; build model.mixed.onnx, which has the Casts, without this script"
        )
    wanted, found = set(NODES), set()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        node = node_of(layer, wanted)
        if node is None:
            continue
        found.add(node)
        outputs = [i for i in range(layer.num_outputs) if is_float(layer.get_output(i))]
        if outputs or any(is_float(layer.get_input(i)) for i in range(layer.num_inputs)):
            layer.precision = trt.float32
        for output in outputs:
            layer.set_output_type(output, trt.float32)
    for name in NODES:
        if name not in found:
            print(f"trt_network.py: no layer was made from node {name!r}; is this the right model?", file=sys.stderr)


def strongly_typed(network):
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return flag is not None and network.get_flag(flag)


def node_of(layer, wanted):
    """The wanted ONNX node that the layer was made from, if any: several layers can be made from one node."""
    text = getattr(layer, "metadata", "") or ""
    told = []
    if text.startswith(PREFIX) and text.endswith("]"):
        told = [text[len(PREFIX) : -1], text[len(PREFIX) : -1].split(" | ")[0]]
    return next((name for name in told + [layer.name] if name in wanted), None)


def is_float(tensor):
    return tensor is not None and not tensor.is_shape_tensor and tensor.dtype in FLOATS


FLOATS = [getattr(trt.DataType, name) for name in ("FLOAT", "HALF", "BF16") if hasattr(trt.DataType, name)]
"#;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// A TensorRT of Python objects: a layer notes what is set on it. `told` prints that, for each layer.
    const FAKE: &str = r#"
import json, sys, types
trt = sys.modules["tensorrt"] = types.ModuleType("tensorrt")
trt.float32, trt.DataType = "FLOAT", types.SimpleNamespace(FLOAT="FLOAT", HALF="HALF", INT64="INT64")
trt.NetworkDefinitionCreationFlag = types.SimpleNamespace(STRONGLY_TYPED=1)

class ILayer:
    def __init__(self, name, inputs, outputs, metadata=""):
        self.name, self.inputs, self.outputs, self.metadata = name, inputs.split(), outputs.split(), metadata
        self.num_inputs, self.num_outputs, self.types = len(self.inputs), len(self.outputs), {}

    def tensor(self, dtype):
        return None if dtype == "-" else types.SimpleNamespace(dtype=dtype.strip("s"), is_shape_tensor="s" in dtype)

    def get_input(self, i):
        return self.tensor(self.inputs[i])

    def get_output(self, i):
        return self.tensor(self.outputs[i])

    def set_output_type(self, i, dtype):
        self.types[i] = dtype

class Network:
    def __init__(self, layers, typed=False):
        self.layers, self.num_layers, self.get_flag = layers, len(layers), lambda flag: typed
        self.get_layer = layers.__getitem__

trt.ILayer = ILayer

def told(layers):
    return [f"{l.name.splitlines()[0]}: {getattr(l, 'precision', '-')} {l.types}" for l in layers]
"#;

    /// What Python says of the script for `names`, followed by `then`: stdout, or the last line of stderr.
    fn python(names: &[&str], then: &str) -> (String, String) {
        let kept = |name: &&str| Kept {
            number: 0,
            name: name.to_string(),
            op_type: String::new(),
            outputs: Vec::new(),
            index: 0,
            subgraph: None,
            float: true,
        };
        let kept: Vec<Kept> = names.iter().map(kept).collect();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("trt_network.py"), network(Precision::Fp16, &kept).unwrap()).unwrap();
        let program = format!("{FAKE}\nfrom trt_network import *\n{then}");
        let done = Command::new("python3").arg("-c").arg(program).current_dir(home.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        (text(&done.stdout), text(&done.stderr))
    }

    #[test]
    fn every_float_layer_of_a_node_is_kept() {
        let layers = r#"
layers = [
    ILayer("ln", "HALF", "FLOAT", "[ONNX Layer: ln]"),
    ILayer("ln_1", "HALF sINT64", "HALF", "[ONNX Layer: ln | Local Function: f]"),
    ILayer("odd", "HALF", "HALF", "[ONNX Layer: a | b]"),
    ILayer("top", "HALF", "HALF INT64"),
    ILayer("less", "HALF HALF", "INT64"),
    ILayer("shape", "INT64 -", "sHALF"),
    ILayer("lnx", "HALF", "HALF", "[ONNX Layer: lnx]"),
]
postprocess(Network(layers))
print("\n".join(told(layers)))"#;
        let (told, warned) = python(&["ln", "a | b", "top", "less", "shape", "gone\n"], layers);
        let want = "ln: FLOAT {0: 'FLOAT'}\nln_1: FLOAT {0: 'FLOAT'}\nodd: FLOAT {0: 'FLOAT'}\ntop: FLOAT {0: 'FLOAT'}\n\
                    less: FLOAT {}\nshape: - {}\nlnx: - {}";
        assert_eq!(told, want, "{warned}");
        assert_eq!(warned, "trt_network.py: no layer was made from node 'gone\\n'; is this the right model?");
    }

    #[test]
    fn a_path_with_what_nobody_sees_can_be_pasted() {
        assert_eq!([quoted("it's"), quoted("a\u{200c}b")], [r"'it'\''s'", r"$'a\342\200\214b'"]);
    }

    #[test]
    fn typed_networks_are_refused() {
        let (_, error) = python(&["a"], "postprocess(Network([], typed=True))");
        assert!(error.contains("RuntimeError") && error.contains("build model.mixed.onnx"), "{error}");
        let (_, error) = python(&["a"], "del ILayer.set_output_type\npostprocess(Network([]))");
        assert!(error.contains("RuntimeError") && error.contains("build model.mixed.onnx"), "{error}");
    }

    #[test]
    fn hostile_names_stay_names() {
        let names = ["a'b", "a\"b\\", "a\n\"\"\"", "{nodes}", "\u{2028}\u{7f}\u{0}é\u{1f600}", "'); exit()"];
        let want = serde_json::to_string(&names).unwrap();
        let (told, error) = python(&names, "print(json.dumps(NODES, ensure_ascii=False, separators=(',', ':')))");
        assert_eq!(serde_json::from_str::<Vec<String>>(&told).ok(), serde_json::from_str(&want).ok(), "{error}");
    }
}
