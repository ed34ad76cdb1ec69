#!/usr/bin/env python3
"""Models of open batch and length, and the same with a fault that shows at some sizes only.

Usage: tests/sizes/faults.py KIND SEED FOLDER    writes model.onnx, candidate.onnx; prints the node that is wrong

Kinds: odd (odd lengths), above (lengths above a size), batch (more than one row), row2 (the third row of a batch), length
(exactly one length), both (long sequences in a batch), alone (a batch of one row).
"""

import random
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = ["odd", "above", "batch", "row2", "length", "both", "alone"]
WIDTH = 8


class Net:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.values = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name + "_out"], name=name, **attributes))
        return name + "_out"

    def block(self, x, number):
        """A residual block: a projection, sometimes attention along the sequence, an activation."""
        name = f"layer{number}"
        w = self.weight(f"{name}.w", (self.values.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32))
        y = self.node("MatMul", [x, w], f"{name}/proj")
        if self.rng.random() < 0.5:
            t = self.node("Transpose", [y], f"{name}/turn", perm=[0, 2, 1])
            s = self.node("MatMul", [x, t], f"{name}/scores")
            p = self.node("Softmax", [s], f"{name}/probs", axis=-1)
            y = self.node("MatMul", [p, y], f"{name}/mix")
        y = self.node(self.rng.choice(["Tanh", "Sigmoid", "Relu"]), [y], f"{name}/act")
        return self.node("Add", [x, y], f"{name}/add")


def build(kind, seed):
    net = Net(seed)
    x = "x"
    for number in range(net.rng.randint(2, 4)):
        x = net.block(x, number)
    out = net.node("ReduceMean", [x], "pool", axes=[1], keepdims=0)
    head = net.weight("head.w", net.values.standard_normal((WIDTH, 3)).astype(np.float32))
    out = net.node("MatMul", [out, head], "head")
    model = lambda nodes, weights: helper.make_model(
        helper.make_graph(
            nodes,
            "sizes",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "seq", WIDTH])],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", 3])],
            weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    right = model(net.nodes, net.weights)
    victims = [n.name for n in net.nodes if n.op_type in ("Tanh", "Sigmoid", "Relu", "MatMul") and "layer" in n.name]
    victim = net.rng.choice([v for v in victims if "scores" not in v])
    return right, wrong(right, victim, kind, net.rng), victim


def wrong(model, victim, kind, rng):
    """The output of `victim` is off by a third where the sizes say so."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    at = next(i for i, n in enumerate(graph.node) if n.name == victim)
    out = graph.node[at].output[0]
    graph.node[at].output[0] = out + "/right"
    new = []

    def node(op, inputs, name, **attributes):
        name = f"fault/{name}"
        new.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(name, value):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"fault.{name}"))
        return f"fault.{name}"

    shape = node("Shape", ["x"], "shape")
    dim = lambda which, name: node("Gather", [shape, constant(name, np.int64(which))], name, axis=0)
    number = lambda name, n: constant(name, np.int64(n))
    if kind == "odd":
        rest = node("Mod", [dim(1, "seq"), number("two", 2)], "rest")
        when = node("Equal", [rest, number("one", 1)], "when")
    elif kind == "above":
        when = node("Greater", [dim(1, "seq"), number("size", rng.randint(4, 20))], "when")
    elif kind == "length":
        when = node("Equal", [dim(1, "seq"), number("size", rng.randint(4, 20))], "when")
    elif kind == "batch":
        when = node("Greater", [dim(0, "batch"), number("one", 1)], "when")
    elif kind == "alone":
        when = node("Equal", [dim(0, "batch"), number("one", 1)], "when")
    elif kind == "both":
        long = node("Greater", [dim(1, "seq"), number("size", rng.randint(4, 12))], "long")
        when = node("And", [long, node("Greater", [dim(0, "batch"), number("one", 1)], "many")], "when")
    elif kind == "row2":
        rows = node("Range", [number("zero", 0), dim(0, "batch"), number("step", 1)], "rows")
        third = node("Equal", [rows, number("two", 2)], "third")
        when = node("Reshape", [third, constant("column", np.array([-1, 1, 1], np.int64))], "when")
    factor = node("Where", [when, constant("off", np.float32(1.33)), constant("as_is", np.float32(1))], "factor")
    new.append(helper.make_node("Mul", [out + "/right", factor], [out], name="fault/out"))
    # What the fault is made of comes in front of its reader.
    for offset, one in enumerate(new):
        graph.node.insert(at + 1 + offset, one)
    onnx.checker.check_model(model)
    return model


def main(kind, seed, folder):
    right, other, victim = build(kind, int(seed))
    Path(folder).mkdir(parents=True, exist_ok=True)
    onnx.save(right, Path(folder) / "model.onnx")
    onnx.save(other, Path(folder) / "candidate.onnx")
    print(victim)


if __name__ == "__main__":
    main(*sys.argv[1:])
