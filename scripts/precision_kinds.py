#!/usr/bin/env python3
"""More failures of FP16 and BF16 whose cause is known, beside those of precision_causes.py, and what `layerdiff bisect` says.

    target/venv/bin/python scripts/precision_kinds.py BIN [--seed 1] [--each 4] [--only WORD] [--half] [--keep FOLDER] [-v]

Every graph is drawn in an opset from 11 to 21, with names of several styles, and sometimes put into the body of an If or a
Loop or into a local function. Whether it breaks, and by the range, the small values or the digits, is found in numpy
(precision_truth.py); what makes no difference there is not asked. With --half the candidate is the file that
onnxruntime.transformers' converter makes, not the emulation.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import precision_causes as first
from precision_causes import values
from precision_truth import truth

OVER, SMALL, EPS = "fp16-overflow", "fp16-subnormal", "eps-vanishes"
NORM, MASK, NAN = "normalization-statistics", "mask-sentinel", "nan-source"
CANCEL, SUM, ANGLE, TIE, TOP, IDS = "cancellation", "large-reduction", "large-angle", "near-tie", "topk-tie", "integer-rounding"


class Net(first.Net):
    """As there, in any opset, with names of three styles."""

    def __init__(self, rng):
        super().__init__(rng, opset=rng.choice([11, 12, 13, 15, 17, 18, 20, 21]))
        self.style = rng.choice(["{0}/{1}_{2}", "{1}_{2}", "/{0}.{2}/{1}"])

    def name(self, what):
        self.n += 1
        return self.style.format(self.rng.choice(first.WORDS), what, self.n)

    def mean(self, x, axis=-1, op="ReduceMean"):
        axes = axis if isinstance(axis, list) else [axis]
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.op(op, x, self.weight(axes, np.int64), keepdims=1)
        return self.op(op, x, axes=axes, keepdims=1)

    def at_least(self, opset):
        self.opset = max(self.opset, opset)

    def save(self, folder, out, wrap=None):
        nodes, functions, imports = list(self.nodes), [], [helper.make_opsetid("", self.opset)]
        if wrap == "if":
            # Weights stay outside: bodies read what is around them.
            then = helper.make_graph(nodes, "then", [], [helper.make_empty_tensor_value_info(out)])
            self.weights.append(numpy_helper.from_array(np.zeros(3, np.float32), "nothing"))
            other = helper.make_graph(
                [helper.make_node("Identity", ["nothing"], ["other_out"], name="other")], "else", [],
                [helper.make_empty_tensor_value_info("other_out")])
            self.weights.append(numpy_helper.from_array(np.array(True), "take"))
            nodes = [helper.make_node("If", ["take"], ["picked"], name="choose", then_branch=then, else_branch=other)]
            out = "picked"
        elif wrap == "loop":
            i = helper.make_tensor_value_info("i", TensorProto.INT64, [])
            go = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
            inner = nodes + [helper.make_node("Identity", ["go"], ["go_on"], name="more")]
            body = helper.make_graph(inner, "body", [i, go], [
                helper.make_tensor_value_info("go_on", TensorProto.BOOL, []), helper.make_empty_tensor_value_info(out)])
            self.weights.append(numpy_helper.from_array(np.array(2, np.int64), "trips"))
            self.weights.append(numpy_helper.from_array(np.array(True), "going"))
            nodes = [helper.make_node("Loop", ["trips", "going"], ["scanned"], name="repeat", body=body)]
            out = "scanned"
        elif wrap == "function":
            reads = [i.name for i in self.inputs] + [w.name for w in self.weights]
            functions = [helper.make_function("own", "Block", reads, [out], nodes, list(imports))]
            nodes = [helper.make_node("Block", reads, ["done"], name="block_0", domain="own")]
            imports.append(helper.make_opsetid("own", 1))
            out = "done"
        nodes.append(helper.make_node("Identity", [out], ["y"], name="last"))
        kind = self.kind or TensorProto.FLOAT
        graph = helper.make_graph(nodes, "g", self.inputs, [helper.make_tensor_value_info("y", kind, None)], self.weights)
        model = helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=10)
        onnx.save(model, str(folder / "model.onnx"))
        np.savez(folder / "in.npz", **self.feeds)

    kind = None


def pick(n, i, *ways):
    return ways[i % len(ways)]


def normalised(n, x, axes, eps, centred=True, square="Mul"):
    """LayerNorm, RMSNorm or InstanceNorm, spelt out."""
    d = n.op("Sub", x, n.mean(x, axes)) if centred else x
    s = n.op("Mul", d, d) if square == "Mul" else n.op("Pow", d, n.const(2.0))
    v = n.op("Add", n.mean(s, axes), n.const(eps))
    if n.rng.random() < 0.5:
        return n.op("Div", d, n.op("Sqrt", v))
    return n.op("Mul", d, n.op("Reciprocal", n.op("Sqrt", v)))


def norm_overflows(n, i):
    r = n.rng
    shape, axes = pick(n, i, ((2, 5, 32), [-1]), ((2, 4, 6, 6), [2, 3]), ((1, 8, 24), [1]), ((2, 3, 40), [2]))
    x = n.input("x", values(r, *shape, scale=r.uniform(250, 900)))
    return normalised(n, x, axes, 1e-5, centred=i % 2 == 0, square=r.choice(["Mul", "Pow"])), "fp16", {OVER, NORM}


def norm_vanishes(n, i):
    """The squares are what vanishes: the epsilon is far below them."""
    r = n.rng
    shape, axes = pick(n, i, ((2, 5, 32), [-1]), ((2, 4, 6, 6), [2, 3]), ((1, 8, 24), [1]))
    x = n.input("x", values(r, *shape, scale=10 ** r.uniform(-4.6, -4.0)))
    return normalised(n, x, axes, 1e-13, centred=i % 2 == 0, square=r.choice(["Mul", "Pow"])), "fp16", {SMALL, NORM, NAN}


def eps_of_norm(n, i):
    """A constant row: only the epsilon keeps the quotient finite."""
    r = n.rng
    value = values(r, 3, 16)
    value[1] = 0.0
    x = n.input("x", value)
    # Behind 1e-14 stands 1e7, which is too large as well.
    return normalised(n, x, [-1], 10 ** r.uniform(-14, -9), centred=i % 2 == 0), "fp16", {EPS, OVER}


def eps_beside(n, i):
    """An epsilon that bounds a cosine or a norm."""
    r = n.rng
    value = values(r, 3, 16)
    value[2] = 0.0
    x = n.input("x", value)
    eps = 10 ** r.uniform(-13, -8)
    if i % 4 == 0:
        length = n.op("Sqrt", n.mean(n.op("Mul", x, x), op="ReduceSum"))
        return n.op("Div", x, n.op("Max", length, n.const(eps))), "fp16", {EPS}
    if i % 4 == 1:
        total = n.mean(n.op("Abs", x), op="ReduceSum")
        return n.op("Div", x, n.op("Clip", total, n.const(eps))), "fp16", {EPS}
    if i % 4 == 2:
        return n.op("Log", n.op("Max", n.op("Relu", x), n.const(eps))), "fp16", {EPS}
    return n.op("Pow", n.op("Add", n.op("Abs", x), n.const(eps)), n.const(-0.5)), "fp16", {EPS}


def zero_times_infinity(n, i):
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    big = 3.4028234663852886e38 if low == "bf16" else r.choice([3.4028234663852886e38, 1e9, 1e5])
    m = n.input("m", np.tile(np.array([1, 1, 1, 0, 0], np.float32), (2, 3, 1)))
    scores = n.input("s", values(r, 2, 3, 5))
    if i % 3 == 0:
        bias = n.op("Mul", n.op("Sub", n.const(1.0), m), n.const(-big))
    elif i % 3 == 1:
        bias = n.op("Mul", n.op("Sub", m, n.const(1.0)), n.const(big))
    else:
        inverted = n.op("Cast", n.op("Not", n.op("Cast", m, to=TensorProto.BOOL)), to=TensorProto.FLOAT)
        bias = n.op("Mul", n.const(-big), inverted)
    return n.op("Softmax", n.op("Add", bias, scores) if i % 2 else n.op("Add", scores, bias), axis=-1), low, {MASK}


def masked_rows(n, i):
    """A row that is masked from end to end: NaN only there."""
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    big = -3.4028234663852886e38 if low == "bf16" else r.choice([-3.4028234663852886e38, -1e9, -1e6])
    keep = np.ones((2, 4, 6), bool)
    keep[1, 2] = False
    keep[0, 0, 3:] = False
    scores = n.op("Mul", n.input("s", values(r, 2, 4, 6)), n.const(0.5))
    if i % 3 == 0:
        masked = n.op("Where", n.input("k", keep), scores, n.const(big))
    elif i % 3 == 1:
        masked = n.op("Add", scores, n.op("Where", n.input("k", keep), n.const(0.0), n.const(big)))
    else:
        # The mask as a weight, as decoders export it.
        masked = n.op("Add", scores, n.weight(np.where(keep, 0, big)))
    return n.op("Softmax", masked, axis=-1), low, {MASK}


def subnormal_weights(n, i):
    r = n.rng
    if i % 3 == 2:
        x = n.input("x", values(r, 1, 3, 8, 8, scale=2000))
        y = n.op("Conv", x, n.weight(values(r, 4, 3, 3, 3, scale=10 ** r.uniform(-7.6, -7.0))), kernel_shape=[3, 3])
    else:
        x = n.input("x", values(r, 4, 24, scale=2000))
        w = values(r, 24, 6, scale=10 ** r.uniform(-7.6, -7.0))
        y = n.op("MatMul", x, n.weight(w)) if i % 3 == 0 else n.op("Gemm", x, n.weight(w), n.weight(np.zeros(6)))
    return n.op("Mul", y, n.const(100.0)), "fp16", {SMALL}


def subnormal_values(n, i):
    r = n.rng
    x = n.input("x", values(r, 4, 16, scale=1.0))
    if i % 3 == 0:
        # Softmax over many, then scaled up.
        wide = n.input("v", values(r, 2, 4000, scale=4.0))
        return n.op("Mul", n.op("Softmax", wide, axis=-1), n.const(3000.0)), "fp16", {SMALL}
    if i % 3 == 1:
        e = n.op("Exp", n.op("Sub", x, n.const(14.0)))
        return n.op("Log", n.op("Mul", e, n.const(1000.0))), "fp16", {SMALL, NAN}
    p = n.op("Sigmoid", n.op("Sub", n.op("Mul", x, n.const(2.0)), n.const(12.0)))
    return n.op("Log", p), "fp16", {SMALL, NAN}


def running_sums(n, i):
    r = n.rng
    if i % 3 == 0:
        x = n.input("x", np.abs(values(r, 1, 3000, scale=3, offset=30)))
        c = n.op("CumSum", x, n.weight(1, np.int64))
        return n.op("Mul", c, n.const(1e-4)), "fp16", {OVER, SUM}
    if i % 3 == 1:
        x = n.input("x", np.abs(values(r, 1, 4, 40, 40, scale=3, offset=60)))
        return n.op("Mul", n.mean(x, [2, 3], op="ReduceSum"), n.const(1e-3)), "fp16", {OVER, SUM}
    x = n.input("x", np.abs(values(r, 1, 4, 40, 40, scale=3, offset=60)))
    y = n.op("Conv", x, n.weight(np.ones((2, 4, 30, 30)) * 0.5), kernel_shape=[30, 30])
    return n.op("Mul", y, n.const(1e-3)), "fp16", {OVER, SUM}


def differences(n, i):
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    much = r.uniform(1000, 3000) if low == "fp16" else r.uniform(150, 400)
    x = n.input("x", values(r, 3, 16))
    if i % 4 == 0:
        # E[x^2] - E[x]^2
        a = n.op("Add", x, n.const(60.0 if low == "fp16" else 20.0))
        m = n.mean(a)
        return n.op("Sub", n.mean(n.op("Mul", a, a)), n.op("Mul", m, m)), low, {CANCEL, NORM}
    if i % 4 == 1:
        # log(1 + x) of a small x
        small = n.op("Mul", n.op("Abs", x), n.const(3e-4 if low == "fp16" else 3e-3))
        return n.op("Mul", n.op("Log", n.op("Add", small, n.const(1.0))), n.const(1000.0)), low, {CANCEL, "gain"}
    if i % 4 == 2:
        # exp(x) - 1 of a small x
        small = n.op("Mul", x, n.const(3e-4 if low == "fp16" else 3e-3))
        return n.op("Mul", n.op("Sub", n.op("Exp", small), n.const(1.0)), n.const(1000.0)), low, {CANCEL}
    y = n.input("z", values(r, 3, 16))
    left = n.op("Add", n.op("Relu", x), n.const(much))
    right = n.op("Add", n.op("Relu", y), n.const(much))
    return n.op("Sub", left, right), low, {CANCEL}


def rotary(n, i):
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    start = r.randrange(1500, 6000) if low == "fp16" else r.randrange(150, 900)
    positions = n.input("p", np.arange(start, start + 24, dtype=np.int64)[:, None])
    t = n.op("Cast", positions, to=TensorProto.FLOAT)
    frequencies = n.weight((10000.0 ** (-np.arange(4) / 4.0))[None])
    angle = n.op("MatMul", t, frequencies) if i % 2 else n.op("Mul", t, frequencies)
    return n.op(pick(n, i, "Sin", "Cos"), angle), low, {ANGLE, IDS}


def big_angles(n, i):
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    x = n.input("x", values(r, 4, 20))
    scale = r.uniform(500, 1500) if low == "fp16" else r.uniform(60, 200)
    angle = n.op("Mul", x, n.const(scale)) if i % 2 else n.op("Gemm", x, n.weight(values(r, 20, 8, scale=scale / 4)), n.weight(np.zeros(8)))
    return n.op(pick(n, i // 2, "Sin", "Cos"), angle), low, {ANGLE}


def choices(n, i):
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    base = r.uniform(600, 1800) if low == "fp16" else r.uniform(60, 250)
    s = n.op("Add", n.input("x", values(r, 6, 12, scale=0.1)), n.const(base))
    table = n.weight(values(r, 12, 4))
    if i % 6 == 0:
        chosen = n.op("ArgMin", s, axis=-1, keepdims=0)
        return n.op("Gather", table, chosen), low, {TOP}
    if i % 6 == 1:
        n.op("TopK", s, n.weight([3], np.int64), axis=-1)
        best = n.nodes.pop()
        best.output.append(best.output[0] + "_at")
        n.nodes.append(best)
        return n.op("Gather", table, best.output[1]), low, {TOP}
    if i % 6 == 2:
        hit = n.op("Equal", n.op("ReduceMax", s, axes=[-1], keepdims=1) if n.opset < 18 else n.op("ReduceMax", s, n.weight([-1], np.int64), keepdims=1), s)
        return n.op("Where", hit, n.const(1.0), n.const(-1.0)), low, {TIE}
    if i % 6 == 3:
        whole = n.op(r.choice(["Floor", "Ceil", "Round"]), n.op("Mul", n.op("Sigmoid", n.input("v", values(r, 6, 30))), n.const(300.0 if low == "fp16" else 60.0)))
        return n.op("Mul", whole, n.const(0.5)), low, {TIE}
    if i % 6 == 4:
        n.at_least(12)
        gate = n.op(r.choice(["GreaterOrEqual", "LessOrEqual"]), s, n.mean(s))
        return n.op("Where", gate, n.input("v", values(r, 6, 12)), n.const(0.0)), low, {TIE}
    sign = n.op("Sign", n.op("Sub", s, n.const(base)))
    return n.op("Mul", sign, n.input("v", values(r, 6, 12))), low, {TIE, CANCEL}


def whole_numbers(n, i):
    r = n.rng
    low = ["fp16", "bf16"][i % 2]
    most = 2048 if low == "fp16" else 256
    if i % 4 < 2:
        ids = n.input("ids", (most + np.array([[1.0, 3.0, 7.0, 12.0]])).astype(np.float32))
        at = n.op("Cast", ids if i % 8 < 2 else n.op("Floor", ids), to=TensorProto.INT64)
    else:
        # Rows and columns to flat positions.
        row = n.op("Floor", n.input("r", np.array([most // 60 + 1.5, most // 60 + 7.25, 3.5], np.float32)))
        column = n.op("Floor", n.input("c", np.array([13.75, 0.25, 41.5], np.float32)))
        at = n.op("Cast", n.op("Add", n.op("Mul", row, n.const(61.0)), column), to=TensorProto.INT64)
    return n.op("Gather", n.weight(values(r, 2 * most + 700, 3)), at), low, {IDS}


def ranges(n, i):
    r = n.rng
    low = ["fp16", "bf16"][i % 2]
    most = 2100 + r.randrange(500) if low == "fp16" else 270 + r.randrange(100)
    x = n.input("x", values(r, 2, most))
    grid = n.op("Range", n.const(0.0), n.input("n", np.array(most, np.float32)), n.const(1.0))
    if i % 4 < 2:
        at = n.op("Cast", n.op("Mul", grid, n.const(0.99)), to=TensorProto.INT64)
        return n.op("Gather", x, at, axis=1), low, {IDS, TIE}
    return n.op("Mul", n.op("Sub", grid, n.const(float(most - 40))), n.const(0.1)), low, {IDS, CANCEL}


def exponentials(n, i):
    r = n.rng
    x = n.input("x", values(r, 4, 24, scale=4.0, offset=6))
    if i % 4 == 0:
        e = n.op("Exp", x)
        return n.op("Div", e, n.mean(e, op="ReduceSum")), "fp16", {OVER}
    if i % 4 == 1:
        e = n.op("Exp", x)
        return n.op("Log", n.op("Add", e, n.const(1.0))), "fp16", {OVER}
    if i % 4 == 2:
        n.at_least(18)
        return n.op("Mul", n.op("Sigmoid", x), n.op("Reciprocal", n.op("Add", n.const(1.0), n.op("Exp", n.op("Mul", x, n.const(-2.0)))))), "fp16", {OVER}
    p, q = n.op("Exp", x), n.op("Exp", n.op("Neg", x))
    return n.op("Div", n.op("Sub", p, q), n.op("Add", p, q)), "fp16", {OVER}


def reciprocals(n, i):
    r = n.rng
    scale = 10 ** r.uniform(-6.6, -5.2)
    x = n.input("x", np.abs(values(r, 4, 16, scale=scale)) + np.float32(scale / 10))
    if i % 3 == 0:
        return n.op("Mul", n.op("Reciprocal", x), n.const(1e-6)), "fp16", {OVER, NAN, SMALL}
    if i % 3 == 1:
        return n.op("Mul", n.op("Div", n.const(1.0), x), n.const(1e-6)), "fp16", {OVER, NAN, SMALL}
    near = n.input("z", (np.abs(values(r, 4, 16, scale=1e-5)) + 1.7e-5).astype(np.float32))
    # Digits are lost below 2^-14, and what is behind fits.
    return n.op("Mul", n.op("Reciprocal", n.op("Mul", near, n.const(1.01))), n.const(0.01)), "fp16", {SMALL, "gain", NAN}


def powers(n, i):
    r = n.rng
    x = n.input("x", values(r, 4, 16, scale=30, offset=60))
    if i % 3 == 0:
        return n.op("Mul", n.op("Pow", x, n.const(3.0)), n.const(1e-4)), "fp16", {OVER}
    if i % 3 == 1:
        small = n.op("Mul", n.op("Abs", x), n.const(1e-4))
        return n.op("Mul", n.op("Pow", small, n.const(4.0)), n.const(1e5)), "fp16", {OVER, SMALL}
    y = n.op("Mul", n.op("Mul", x, x), x)
    return n.op("Tanh", n.op("Mul", y, n.const(1e-6))), "fp16", {OVER}


def one_node_norms(n, i):
    """Statistics are float32's in the emulation; what it reads is not."""
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    offset = 600.0 if low == "fp16" else 80.0
    ops = [("LayerNormalization", 17), ("InstanceNormalization", 11), ("GroupNormalization", 21), ("BatchNormalization", 11)]
    op, opset = ops[i % 4]
    n.at_least(opset)
    x = n.op("Add", n.input("x", values(r, 2, 8, 6, 6, scale=0.3)), n.const(offset))
    ones, zeros = n.weight(np.ones(6 if i % 4 == 0 else 8)), n.weight(np.zeros(6 if i % 4 == 0 else 8))
    if op == "LayerNormalization":
        return n.op(op, x, ones, zeros, axis=-1), low, {NORM, CANCEL}
    if op == "GroupNormalization":
        return n.op(op, x, ones, zeros, num_groups=4), low, {NORM, CANCEL}
    if op == "BatchNormalization":
        return n.op(op, x, ones, zeros, n.weight(np.full(8, offset)), n.weight(np.full(8, 0.09))), low, {NORM, CANCEL}
    return n.op(op, x, ones, zeros), low, {NORM, CANCEL}


def softmaxes(n, i):
    """Logits of a size at which the digits of the precision are gone."""
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    offset = r.uniform(2000, 6000) if low == "fp16" else r.uniform(300, 900)
    x = n.op("Add", n.input("x", values(r, 4, 12, scale=1.5)), n.const(offset))
    n.at_least(13)
    if i % 2 == 0:
        return n.op(r.choice(["Softmax", "LogSoftmax"]), x, axis=-1), low, {CANCEL, "gain", NORM}
    top = n.op("ReduceMax", x, axes=[-1], keepdims=1) if n.opset < 18 else n.op("ReduceMax", x, n.weight([-1], np.int64), keepdims=1)
    e = n.op("Exp", n.op("Sub", x, top))
    return n.op("Div", e, n.mean(e, op="ReduceSum")), low, {CANCEL}


def conv_net(n, x, channels):
    w = n.weight(values(n.rng, 6, channels, 3, 3, scale=0.2))
    return n.op("Relu", n.op("Conv", x, w, n.weight(values(n.rng, 6, scale=0.1)), kernel_shape=[3, 3], pads=[1, 1, 1, 1]))


def convolutions(n, i):
    """A healthy convolution, and what breaks behind it."""
    r = n.rng
    x = n.input("x", values(r, 1, 3, 12, 12))
    f = conv_net(n, x, 3)
    if i % 4 == 0:
        big = n.op("Conv", f, n.weight(np.abs(values(r, 4, 6, 3, 3, scale=9000))), kernel_shape=[3, 3])
        return n.op("Mul", big, n.const(1e-4)), "fp16", {OVER}
    if i % 4 == 1:
        s = n.op("Mul", f, n.const(700.0))
        return n.op("GlobalAveragePool", n.op("Sqrt", n.op("Mul", s, s))), "fp16", {OVER}
    if i % 4 == 2:
        tiny = n.op("Conv", f, n.weight(values(r, 4, 6, 1, 1, scale=1e-8)), kernel_shape=[1, 1])
        return n.op("Mul", tiny, n.const(5e4)), "fp16", {SMALL}
    shifted = n.op("Add", f, n.const(3000.0))
    return n.op("InstanceNormalization", shifted, n.weight(np.ones(6)), n.weight(np.zeros(6))), "fp16", {NORM, CANCEL}


def recurrent(n, i):
    """An LSTM or a GRU, and what breaks behind it or in front of it."""
    r = n.rng
    x = n.input("x", values(r, 5, 2, 8))
    if i % 2:
        x = n.op("Mul", n.op("Mul", x, n.const(3e5)), n.const(1e-5))
    gates, op = pick(n, i, (4, "LSTM"), (3, "GRU"))
    w, u = n.weight(values(r, 1, gates * 6, 8, scale=0.4)), n.weight(values(r, 1, gates * 6, 6, scale=0.4))
    y = n.op(op, x, w, u, hidden_size=6)
    if i % 2:
        return y, "fp16", {OVER}
    big = n.op("Mul", y, n.const(9e4 if i % 4 else 8e4))
    return n.op("Mul", big, n.const(1e-4)), "fp16", {OVER}


KINDS = [
    norm_overflows, norm_vanishes, eps_of_norm, eps_beside, zero_times_infinity, masked_rows, subnormal_weights,
    subnormal_values, running_sums, differences, rotary, big_angles, choices, whole_numbers, ranges, exponentials,
    reciprocals, powers, one_node_norms, softmaxes, convolutions, recurrent,
]

# What each family of causes needs undone, in numpy.
NEEDS = {OVER: {"range", "both"}, SMALL: {"small", "both"}, EPS: {"small", "both"}}
DIGITS = {CANCEL, ANGLE, TIE, TOP, IDS, "precision-limited"}


def against(why, code):
    """What numpy says against the code, or nothing."""
    if why.startswith("unknown"):
        return None
    if why != "both" and code in NEEDS and why not in NEEDS[code]:
        return f"{code}, and numpy says {why}"
    if code in DIGITS and why != "digits":
        return f"{code}, and numpy says {why}"
    return None


def half_file(folder):
    from onnxruntime.transformers.float16 import convert_float_to_float16
    model = convert_float_to_float16(onnx.load(folder / "model.onnx"), keep_io_types=True, max_finite_val=65504.0)
    onnx.save(model, str(folder / "half.onnx"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    binary, base = str(Path(args.binary).resolve()), args.keep or Path(tempfile.mkdtemp(prefix="precision-kinds-"))
    table, right, total, healthy = {}, 0, 0, 0
    for kind in (k for k in KINDS if args.only in k.__name__):
        for i in range(args.each):
            rng = random.Random(f"{args.seed}/{kind.__name__}/{i}")
            net = Net(rng)
            folder = base / f"{kind.__name__}-{args.seed}-{i}"
            folder.mkdir(parents=True, exist_ok=True)
            out, low, codes = kind(net, i + args.seed)
            wrap = rng.choice([None, None, None, "if", "loop", "function"])
            if net.opset < 15 and wrap == "function" or args.half and wrap in ("function", "loop"):
                wrap = "if"
            net.save(folder, out, wrap)
            why = truth(folder / "model.onnx", net.feeds, low)
            if why is None:
                healthy += 1
                continue
            if args.half:
                if low != "fp16":
                    continue
                half_file(folder)
                run, report = ask_half(binary, folder)
                # It agrees, or the converter has made no model of it.
                if run.returncode in (0, 2):
                    healthy += 1
                    continue
            else:
                run, report = first.ask(binary, folder, low)
                if run.returncode == 0:
                    # Within the tolerance, which is wider than 16 roundings.
                    healthy += 1
                    continue
            # Neither alone is enough: each is a cause.
            codes = codes | {OVER} if why == "both" else codes
            wrong = first.complaint(run, report, low, codes)
            accused = first.accused(report) if (report or {}).get("culprits") else None
            told = (accused or {}).get("diagnosis") or [{}]
            wrong = wrong or against(why, told[0].get("code", ""))
            total, right = total + 1, right + (wrong is None)
            seen = table.setdefault(kind.__name__, [0, 0])
            seen[0] += wrong is None
            seen[1] += 1
            if wrong or args.v:
                what = f"{net.opset}{f', {wrap}' if wrap else ''}, {low}; numpy: {why}"
                print(f"{'wrong' if wrong else 'right'}  {folder.name} ({what}): {wrong or told[0].get('code')} {told[0].get('sure')}", flush=True)
    print("\n".join(f"{name:22} {a} of {b}" for name, (a, b) in table.items()))
    print(f"{right} of {total} right ({100 * right / max(total, 1):.1f} %); {healthy} drawn were healthy")
    return 0 if right >= 0.95 * total else 1


def ask_half(binary, folder):
    argv = [binary, "bisect", "model.onnx", "-c", "ort@half.onnx", "-i", "in.npz", "-o", "out", "--no-reduce", "--no-overrides"]
    run = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600)
    path = folder / "out/report.json"
    return run, json.loads(path.read_text()) if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
