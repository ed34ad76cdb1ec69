#!/usr/bin/env python3
"""Writes every file of this folder: small ONNX models for the tests of `layerdiff reduce`, and their inputs.

    python3 testdata/reduce/make.py            write the files
    python3 testdata/reduce/make.py --check    write nothing; exit 1 if a file on disk differs from what would be written

Needs numpy 2.4.6 and onnx 1.18.0; other versions may write other bytes. A tensor is never called like a node, so that
`grep` for a node's name tells whether a model file holds the node.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np

from maker.case import npz
from maker.graph import Graph, Random, model


def main() -> int:
    files = {name: content for part in (graph_r, constants, chain, amplified, batch) for name, content in part()}
    if "--check" in sys.argv[1:]:
        stale = [n for n, content in files.items() if not (HERE / n).is_file() or (HERE / n).read_bytes() != content]
        for name in stale:
            print(f"testdata/reduce/{name} is not what make.py writes", file=sys.stderr)
        return 1 if stale else 0
    for name, content in files.items():
        (HERE / name).write_bytes(content)
    print(f"{len(files)} files, {sum(map(len, files.values())) // 1024} KiB")
    return 0


def graph_r():
    """X0 -> n1; Y0 -> n3; n5 adds them; n5 -> n7 and n5 -> n9. Two samples: the second one is the larger."""
    g = Graph("graph_r")
    left = g.node("n1", "Identity", g.input("X0", [2, 3]), out="a")
    right = g.node("n3", "Neg", g.input("Y0", [2, 3]), out="b")
    both = g.node("n5", "Add", left, right, out="c")
    g.output(g.node("n7", "Identity", both, out="d"), [2, 3])
    g.output(g.node("n9", "Abs", both, out="e"), [2, 3])
    yield "graph_r.onnx", model(g).SerializeToString()
    rng = Random(70)
    for sample, scale in enumerate([1, 100]):
        x, y = rng.uniform(scale, 2 * scale, 2, 3), rng.uniform(scale, 2 * scale, 2, 3)
        yield f"graph_r_{sample}.npz", npz({"X0": x, "Y0": y})


def constants():
    """`faulty` reads a Constant node, `folded` an initialiser; neither reads an input."""
    g = Graph("constants")
    x = g.node("first", "Relu", g.input("x", [4]), out="r")
    three = g.node("source", "Constant", out="k", value_floats=[0.5, 1.0, 1.5, 2.0])
    made = g.node("faulty", "Exp", three, out="m")
    stored = g.node("folded", "Sqrt", g.weight("w", [1, 4, 9, 16]), out="s")
    total = g.node("total", "Add", g.node("sum", "Add", x, made, out="t"), stored, out="u")
    g.output(g.node("final", "Tanh", total, out="y"), [4])
    yield "constants.onnx", model(g).SerializeToString()


def chain():
    """300 nodes in a row, `link000` to `link299`."""
    g = Graph("chain")
    tensor = g.input("x", [2])
    for i in range(300):
        tensor = g.node(f"link{i:03}", ["Relu", "Neg", "Abs"][i % 3], tensor, out="y" if i == 299 else f"t{i}")
    g.output(tensor, [2])
    yield "chain.onnx", model(g).SerializeToString()


def amplified():
    """The candidate multiplies by 1.00001, which agrees, until `cancel` takes nearly all of it away: two nodes."""

    def built(factor):
        g = Graph("amplified")
        x = g.node("before", "Abs", g.input("x", [2, 4]), out="p")
        scaled = g.node("scale", "Mul", x, g.weight("k", factor), out="q")
        left = g.node("cancel", "Sub", scaled, g.weight("ten", 10.0), out="r")
        g.output(g.node("after", "Mul", left, g.weight("hundred", 100.0), out="y"), [2, 4])
        return model(g).SerializeToString()

    yield "amplified.onnx", built(1.0)
    yield "amplified_candidate.onnx", built(1.00001)
    yield "amplified.npz", npz({"x": 10 + Random(71).uniform(0.0005, 0.002, 2, 4)})


def batch():
    """`square` overflows FP16 in sample 5 of 8 only, and its matrix is needed to get there."""
    rng, g = Random(72), Graph("batch")
    x = g.node("dense", "MatMul", g.input("x", [8, 6]), g.weight("w", np.eye(6) * 2), out="h")
    square = g.node("square", "Mul", x, x, out="hh")
    g.output(g.node("root", "Sqrt", square, out="y"), [8, 6])
    yield "batch.onnx", model(g).SerializeToString()
    data = rng.uniform(-2, 2, 8, 6)
    data[5, 3] = 200
    yield "batch.npz", npz({"x": data})


if __name__ == "__main__":
    sys.exit(main())
