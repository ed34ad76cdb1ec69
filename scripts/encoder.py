#!/usr/bin/env python3
"""A transformer encoder of 323 nodes and 91 MB, and the same with every Erf of one layer 5 % off. Runs nothing.

The architecture is the small sentence encoder that many people ship: 6 layers, 384 wide, 12 heads, a vocabulary of
30522, GELU and layer normalisation in single operators as exporters write them at opset 17 and below, a pooler and a
classifier. The weights are drawn from a seed, scaled so that activations stay near 1.

Usage: scripts/encoder.py [FOLDER]     writes encoder.onnx, encoder_bad.onnx, inputs.npz; target/encoder unless said
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NODES = 323
LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
SEQUENCE, VOCABULARY, POSITIONS, CLASSES = 128, 30522, 512, 16
FAULTY_LAYER, FAULT = 3, 1.05
FAR = -10000
FOLDER = venv.ROOT / "target/encoder"


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    model = write(folder)
    weights = sum(len(t.raw_data) for t in model.graph.initializer)
    print(f"{folder}/encoder.onnx: {len(model.graph.node)} nodes, {weights / 1e6:.1f} MB of weights")


def write(folder=FOLDER):
    """The three files; gives the healthy model."""
    folder.mkdir(parents=True, exist_ok=True)
    model = encoder()
    if len(model.graph.node) != NODES:
        sys.exit(f"the encoder has {len(model.graph.node)} nodes, not {NODES}")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "encoder.onnx")
    onnx.save(spoilt(model), folder / "encoder_bad.onnx")
    np.savez(folder / "inputs.npz", **inputs())
    return model


def inputs():
    rng = np.random.default_rng(1)
    ids = rng.integers(0, VOCABULARY, (1, SEQUENCE), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def erf_names(layer=FAULTY_LAYER):
    """The names of the Erf nodes of a layer: in a graph that was cut, they still tell where a node came from."""
    return [f"/layer.{layer}/gelu/Erf"]


def spoilt(model, names=None, factor=FAULT):
    """A copy in which the output of each of these nodes is made by a Mul behind it, and keeps its name."""
    names = erf_names() if names is None else names
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = []
    for node in copy.graph.node:
        nodes.append(node)
        if node.name in names:
            output, raw, by = node.output[0], f"{node.output[0]}__raw", f"{node.output[0]}__factor"
            node.output[0] = raw
            copy.graph.initializer.append(numpy_helper.from_array(np.float32(factor), by))
            nodes.append(helper.make_node("Mul", [raw, by], [output], f"{node.name}__off"))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def with_large_input(model, factor=400):
    """The input of one LayerNorm is so many times as large: that changes nothing behind it, and FP16 breaks there."""
    name = f"/layer.{FAULTY_LAYER}/norm"
    nodes = {node.name: node for node in model.graph.node}
    mean, centred = nodes[f"{name}/ReduceMean"], nodes[f"{name}/Sub"]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), f"{name}/factor"))
    large = helper.make_node("Mul", [mean.input[0], f"{name}/factor"], [f"{name}/large"], f"{name}/scale")
    mean.input[0] = centred.input[0] = large.output[0]
    model.graph.node.insert(list(model.graph.node).index(mean), large)
    return model


# ---- the architecture


def encoder(far=FAR):
    """With `far` added to the scores where attention may not look."""
    g = Builder()
    mask = extended_mask(g, far)
    x = embeddings(g)
    for layer in range(LAYERS):
        x = norm(g, f"/layer.{layer}/attention/norm", attention(g, f"/layer.{layer}/attention", x, mask))
        x = norm(g, f"/layer.{layer}/norm", feed_forward(g, f"/layer.{layer}", x))
    first = g.node("Gather", "/pooler/Gather", [x, g.integers("/pooler/first", 0)], axis=1)
    pooled = g.node("Tanh", "/pooler/Tanh", [linear(g, "/pooler", first, WIDTH, WIDTH)])
    linear(g, "/classifier", pooled, WIDTH, CLASSES, output="logits")
    return g.model()


def extended_mask(g, far):
    """0 where attention may look, `far` where it may not."""
    mask = g.node("Unsqueeze", "/mask/Unsqueeze", ["attention_mask", g.integers("/mask/axis_1", [1])])
    mask = g.node("Unsqueeze", "/mask/Unsqueeze_1", [mask, g.integers("/mask/axis_2", [2])])
    mask = g.node("Cast", "/mask/Cast", [mask], to=TensorProto.FLOAT)
    mask = g.node("Sub", "/mask/Sub", [g.scalar("/mask/one", 1), mask])
    return g.node("Mul", "/mask/Mul", [mask, g.scalar("/mask/far", far)])


def embeddings(g):
    words = g.weight("/embeddings/words", (VOCABULARY, WIDTH), 0.05)
    positions = g.weight("/embeddings/positions", (POSITIONS, WIDTH), 0.05)
    words = g.node("Gather", "/embeddings/words/Gather", [words, "input_ids"])
    where = g.integers("/embeddings/position_ids", np.arange(SEQUENCE)[None])
    positions = g.node("Gather", "/embeddings/positions/Gather", [positions, where])
    return norm(g, "/embeddings/norm", g.node("Add", "/embeddings/Add", [words, positions]))


def attention(g, name, x, mask):
    size = WIDTH // HEADS
    split = g.integers(f"{name}/split", [1, SEQUENCE, HEADS, size])
    joined = g.integers(f"{name}/joined", [1, SEQUENCE, WIDTH])

    def head(kind, order):
        values = g.node("Reshape", f"{name}/{kind}/Reshape", [linear(g, f"{name}/{kind}", x, WIDTH, WIDTH), split])
        return g.node("Transpose", f"{name}/{kind}/Transpose", [values], perm=order)

    query, key, value = head("query", [0, 2, 1, 3]), head("key", [0, 2, 3, 1]), head("value", [0, 2, 1, 3])
    scores = g.node("MatMul", f"{name}/MatMul", [query, key])
    scores = g.node("Div", f"{name}/Div", [scores, g.scalar(f"{name}/root", np.sqrt(size))])
    scores = g.node("Add", f"{name}/Add", [scores, mask])
    shares = g.node("Softmax", f"{name}/Softmax", [scores], axis=-1)
    seen = g.node("MatMul", f"{name}/MatMul_1", [shares, value])
    seen = g.node("Transpose", f"{name}/Transpose", [seen], perm=[0, 2, 1, 3])
    seen = g.node("Reshape", f"{name}/Reshape", [seen, joined])
    return g.node("Add", f"{name}/residual/Add", [linear(g, f"{name}/output", seen, WIDTH, WIDTH), x])


def feed_forward(g, name, x):
    wide = gelu(g, f"{name}/gelu", linear(g, f"{name}/intermediate", x, WIDTH, INNER))
    return g.node("Add", f"{name}/residual/Add", [linear(g, f"{name}/output", wide, INNER, WIDTH), x])


def gelu(g, name, x):
    erf = g.node("Erf", f"{name}/Erf", [g.node("Div", f"{name}/Div", [x, g.scalar(f"{name}/root", np.sqrt(2))])])
    product = g.node("Mul", f"{name}/Mul", [x, g.node("Add", f"{name}/Add", [erf, g.scalar(f"{name}/one", 1)])])
    return g.node("Mul", f"{name}/Mul_1", [product, g.scalar(f"{name}/half", 0.5)])


def norm(g, name, x):
    mean = g.node("ReduceMean", f"{name}/ReduceMean", [x], axes=[-1])
    centred = g.node("Sub", f"{name}/Sub", [x, mean])
    squares = g.node("Pow", f"{name}/Pow", [centred, g.scalar(f"{name}/two", 2)])
    variance = g.node("ReduceMean", f"{name}/ReduceMean_1", [squares], axes=[-1])
    variance = g.node("Add", f"{name}/Add", [variance, g.scalar(f"{name}/epsilon", 1e-5)])
    unit = g.node("Div", f"{name}/Div", [centred, g.node("Sqrt", f"{name}/Sqrt", [variance])])
    scaled = g.node("Mul", f"{name}/Mul", [unit, g.weight(f"{name}/weight", (WIDTH,), 0.1, around=1)])
    return g.node("Add", f"{name}/Add_1", [scaled, g.weight(f"{name}/bias", (WIDTH,), 0.05)])


def linear(g, name, x, wide, out, output=None):
    product = g.node("MatMul", f"{name}/MatMul", [x, g.weight(f"{name}/weight", (wide, out), 1 / np.sqrt(wide))])
    return g.node("Add", f"{name}/Add", [product, g.weight(f"{name}/bias", (out,), 0.02)], output)


class Builder:
    """Collects nodes and initializers; every method gives the name of the tensor that it made."""

    def __init__(self):
        self.nodes, self.weights = [], []
        self.rng = np.random.default_rng(0)

    def node(self, op, name, reads, output=None, **attributes):
        output = output or f"{name}_output_0"
        self.nodes.append(helper.make_node(op, reads, [output], name, **attributes))
        return output

    def weight(self, name, shape, spread, around=0):
        drawn = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(spread) + np.float32(around)
        return self.constant(name, drawn)

    def scalar(self, name, value):
        return self.constant(name, np.float32(value))

    def integers(self, name, values):
        return self.constant(name, np.asarray(values, np.int64))

    def constant(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def model(self):
        reads = [helper.make_tensor_value_info(n, TensorProto.INT64, [1, SEQUENCE]) for n in inputs()]
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])
        graph = helper.make_graph(self.nodes, "encoder", reads, [logits], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
