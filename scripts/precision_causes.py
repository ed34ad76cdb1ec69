#!/usr/bin/env python3
"""Failures of FP16 and BF16 whose cause is known, and what `layerdiff bisect` says of them.

    target/venv/bin/python scripts/precision_causes.py target/release/layerdiff [--seed 1] [--keep FOLDER] [-v]

Small graphs of varied operators, names and sizes come from a seeded generator; and real models (target/models) get a few
nodes spliced in behind one of their tensors, which compute next to nothing in FP32 and break in the low precision. Right is
a report whose first culprit has the expected code first, and no sentence that contradicts the kind (no kernel, no
quantisation, no gain of NaN, no BF16 advised to BF16). Prints one line a failure that is not right, and the share.
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

ROOT = Path(__file__).resolve().parent.parent
WORDS = ["enc", "body", "proj", "head", "layer0", "blk", "stem", "mix", "tail", "att"]
CONTRADICTIONS = {"kernel-or-fusion", "tf32", "int8-saturation", "scale-mismatch", "weights-differ", "attribute-differs"}


class Net:
    """A graph in the making: nodes, weights, one input 'x', one output 'y'."""

    def __init__(self, rng, opset=17):
        self.rng, self.opset, self.nodes, self.weights, self.n = rng, opset, [], [], 0
        self.inputs, self.feeds = [], {}

    def name(self, what):
        self.n += 1
        return f"{self.rng.choice(WORDS)}/{what}_{self.n}"

    def input(self, name, value):
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
        self.feeds[name] = value
        return name

    def const(self, value, dtype=np.float32):
        """An initializer or a Constant node, by chance."""
        name, value = self.name("k"), np.asarray(value, dtype)
        if self.rng.random() < 0.5:
            self.weights.append(numpy_helper.from_array(value, name))
        else:
            tensor = numpy_helper.from_array(value, name + "_v")
            self.nodes.append(helper.make_node("Constant", [], [name], name=name + "_node", value=tensor))
        return name

    def weight(self, value, dtype=np.float32):
        name = self.name("w")
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, op, *reads, out=None, **attrs):
        name = self.name(op.lower())
        out = out or name + "_out"
        self.nodes.append(helper.make_node(op, list(reads), [out], name=name, **attrs))
        return out

    def mean(self, x, axis=-1, op="ReduceMean"):
        if op == "ReduceSum":
            return self.op(op, x, self.weight([axis], np.int64), keepdims=1)
        return self.op(op, x, axes=[axis], keepdims=1)

    def save(self, folder, out):
        self.op("Identity", out, out="y")
        graph = helper.make_graph(self.nodes, "g", self.inputs, [helper.make_empty_tensor_value_info("y")], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(model)
        kind = next(v for v in inferred.graph.output).type.tensor_type.elem_type or TensorProto.FLOAT
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info("y", kind, None))
        onnx.save(model, str(folder / "model.onnx"))
        np.savez(folder / "in.npz", **self.feeds)


def values(rng, *shape, scale=1.0, offset=0.0):
    np_rng = np.random.default_rng(rng.randrange(1 << 30))
    return (np_rng.standard_normal(shape) * scale + offset).astype(np.float32)


# Each makes a net whose output breaks in a precision: (output, precision, expected codes of the first cause).

def large_constant(n, i):
    """A constant above 65504."""
    r = n.rng
    x = n.input("x", values(r, 3, 8, scale=1e-4))
    big = 10 ** r.uniform(5, 7)
    if i % 3 == 0:
        out = n.op("Mul", x, n.const(big))
    elif i % 3 == 1:
        out = n.op("Div", n.op("Add", x, n.const(900.0)), n.const(big))
    else:
        out = n.op("MatMul", x, n.const(np.full((8, 4), big)))
    return out, "fp16", {"fp16-overflow"}


def vanishing_eps(n, i):
    """An epsilon that FP16 does not have."""
    r = n.rng
    value = values(r, 4, 16)
    value[r.randrange(4)] = 0 if i % 4 else 1.5
    x = n.input("x", value)
    # What is behind it must fit: 1 / sqrt(1e-9) does.
    eps = n.const(10 ** (r.uniform(-9.2, -8.5) if i % 4 == 1 else r.uniform(-13, -8.5)))
    if i % 4 == 0:
        d = n.op("Sub", x, n.mean(x))
        v = n.op("Add", n.mean(n.op("Mul", d, d)), eps)
        out = n.op("Div", d, n.op("Sqrt", v))
    elif i % 4 == 1:
        v = n.op("Add", n.mean(n.op("Mul", x, x)), eps)
        out = n.op("Mul", x, n.op("Reciprocal", n.op("Sqrt", v)))
    elif i % 4 == 2:
        v = n.op("Max", n.mean(n.op("Abs", x), op="ReduceSum"), eps)
        out = n.op("Div", x, v)
    else:
        out = n.op("Log", n.op("Add", n.op("Abs", x), eps))
    return out, "fp16", {"eps-vanishes"}


def mask(n, i):
    """A mask of the lowest float32."""
    r = n.rng
    low = r.choice([-3.4028234663852886e38, -1e9, -1e10])
    scores = n.input("x", values(r, 2, 6, 6))
    if i % 3 == 0:
        m = n.input("m", np.ones((2, 1, 6), np.float32))
        bias = n.op("Mul", n.op("Sub", n.const(1.0), m), n.const(low))
    elif i % 3 == 1:
        m = n.input("m", np.ones((2, 1, 6), np.float32))
        bias = n.op("Mul", n.op("Sub", m, n.const(1.0)), n.const(-low))
    else:
        keep = np.ones((2, 6, 6), bool)
        keep[0, 3] = False
        bias = n.op("Where", n.input("m", keep), n.const(0.0), n.const(low))
    return n.op("Softmax", n.op("Add", scores, bias), axis=-1), "fp16", {"mask-sentinel"}


def squares(n, i):
    """A square, an exponential or a product above 65504."""
    r = n.rng
    x = n.input("x", values(r, 4, 32, scale=r.uniform(300, 900)))
    if i % 4 == 0:
        out = n.op("Sqrt", n.mean(n.op("Pow", x, n.const(2.0))))
    elif i % 4 == 1:
        out = n.op("Sqrt", n.op("Mul", x, x))
    elif i % 4 == 2:
        e = n.op("Exp", n.op("Div", x, n.const(60.0)))
        out = n.op("Log", n.op("Add", e, n.const(1.0)))
    else:
        out = n.op("MatMul", x, n.weight(values(r, 32, 8, scale=100)))
        out = n.op("Mul", out, n.const(1e-3))
    return out, "fp16", {"fp16-overflow"}


def sums(n, i):
    """Terms that fit, and a sum that does not."""
    r = n.rng
    width = r.choice([1024, 2048, 4096])
    x = n.input("x", np.abs(values(r, 3, width, scale=5, offset=70000 / width + 20)))
    if i % 2 == 0:
        out = n.op("Div", n.mean(x, op="ReduceSum"), n.const(float(width)))
    else:
        out = n.op("Mul", n.op("MatMul", x, n.weight(np.ones((width, 2)))), n.const(1.0 / width))
    return out, "fp16", {"fp16-overflow", "large-reduction"}


def cancels(n, i):
    """A small difference of large numbers."""
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    offset = 2000.0 if low == "fp16" else 300.0
    x = n.input("x", values(r, 4, 16, scale=0.5))
    if i % 3 == 0:
        k = n.const(offset)
        out = n.op("Sub", n.op("Add", x, k), k)
    elif i % 3 == 1:
        a = n.op("Add", x, n.const(offset))
        out = n.op("Sub", a, n.mean(a))
    else:
        w = values(r, 64, 8, scale=1.0)
        wide = n.input("v", (values(r, 2, 64, scale=0.02, offset=40)).astype(np.float32))
        out = n.op("MatMul", wide, n.weight(w - w.mean(axis=0)))
    return out, low, {"cancellation"}


def subnormals(n, i):
    """Values below 2^-14, or 2^-24."""
    r = n.rng
    x = n.input("x", values(r, 4, 16, scale=10 ** r.uniform(-4.2, -3.6)))
    if i % 3 == 0:
        s = n.op("Mul", x, x)
        out = n.op("Sqrt", n.op("Mul", s, n.const(3e4)))
    elif i % 3 == 1:
        s = n.op("Mul", x, n.const(2e-4))
        out = n.op("Mul", n.op("Mul", s, n.const(5e3)), n.const(1e3))
    else:
        s = n.op("Pow", x, n.const(2.0))
        out = n.op("Mul", n.mean(s, op="ReduceSum"), n.const(6e4))
    return out, "fp16", {"fp16-subnormal"}


def angles(n, i):
    """Sine and cosine of large arguments."""
    r = n.rng
    low = r.choice(["fp16", "bf16"])
    at = r.uniform(900, 4000) if low == "fp16" else r.uniform(60, 400)
    positions = (np.arange(12, dtype=np.float32) * r.uniform(0.9, 1.4) + at)[:, None]
    x = n.input("x", positions.astype(np.float32))
    op = ["Sin", "Cos", "Sin"][i % 3]
    angle = n.op("MatMul", x, n.weight(np.array([[1.0, 0.77, 0.61, 0.5]]))) if i % 2 else n.op("Mul", x, n.const([1.0, 0.77]))
    return n.op(op, angle), low, {"large-angle"}


def ties(n, i):
    """Choices between values that are as good as equal."""
    r = n.rng
    base = r.uniform(700, 1900)
    x = values(r, 3, 10, scale=0.1)
    if i % 3 == 0:
        s = n.op("Add", n.input("x", x), n.const(base))
        chosen = n.op("ArgMax", s, axis=-1, keepdims=0)
        return n.op("Gather", n.weight(values(r, 10, 4)), chosen), "fp16", {"topk-tie"}
    s = n.op("Add", n.input("x", x), n.const(base))
    gate = n.op(["Greater", "Less"][i % 2], s, n.const(base + 0.01))
    return n.op("Where", gate, n.input("v", values(r, 3, 10)), n.const(0.0)), "fp16", {"near-tie"}


def ids(n, i):
    """Whole numbers that the precision cannot count up to."""
    r = n.rng
    low = ["fp16", "bf16"][i % 2]
    width = 61 if low == "fp16" else 17
    rows = np.array([[3.0], [40.0], [52.0]], np.float32) if low == "fp16" else np.array([[3.0], [20.0], [23.0]], np.float32)
    flat = n.op("Add", n.op("Mul", n.input("x", rows), n.const(float(width))), n.const(np.arange(0, 9, 2) + 1.0))
    index = n.op("Cast", flat, to=TensorProto.INT64)
    size = 61 * 60 if low == "fp16" else 17 * 30
    return n.op("Gather", n.weight(values(r, size, 3)), index), low, {"integer-rounding"}


KINDS = [large_constant, vanishing_eps, mask, squares, sums, cancels, subnormals, angles, ties, ids]


# Spliced into a real model behind the tensor t: what comes out is t, or next to it, in FP32.

def spliced(kind, op, k):
    """`op(name, *reads, **attrs)` adds a node, `k(value)` a constant; both give back a name."""
    t = "t"
    if kind == "constant":
        return op("Mul", op("Mul", op("Mul", t, k(1e-4)), k(1e6)), k(1e-2)), {"fp16-overflow"}
    if kind == "eps":
        z = op("Sub", t, t)
        root = op("Sqrt", op("Add", op("Mul", z, z), k(1e-12)))
        return op("Add", t, op("Div", z, root)), {"eps-vanishes"}
    if kind == "mask":
        return op("Add", t, op("Mul", op("Sub", t, t), k(-3.4028234663852886e38))), {"mask-sentinel"}
    if kind == "squares":
        a = op("Add", op("Abs", t), k(300.0))
        return op("Mul", t, op("Div", op("Sqrt", op("Mul", a, a)), a)), {"fp16-overflow"}
    if kind == "cancels":
        return op("Sub", op("Add", t, k(3e4)), k(3e4)), {"cancellation"}
    if kind == "subnormals":
        return op("Mul", op("Mul", op("Mul", t, k(1e-8)), k(1e4)), k(1e4)), {"fp16-subnormal"}
    if kind == "angles":
        return op("Add", t, op("Sin", op("Add", t, k(3000.7)))), {"large-angle"}
    if kind == "ties":
        gate = op("Greater", op("Add", t, k(3e4)), k(3e4))
        return op("Where", gate, t, op("Mul", t, k(-1.0))), {"near-tie"}
    raise ValueError(kind)


SPLICES = ["constant", "eps", "mask", "squares", "cancels", "subnormals", "angles", "ties"]
# magika and det are left out: FP16 breaks them as they are.
MODELS = ["cls", "rec", "nudenet", "opennsfw"]


def real(model, kind, folder, rng):
    """The model with the kind spliced in; None where it has no place for it."""
    proto = onnx.load(ROOT / f"target/models/{model}.onnx")
    graph = proto.graph
    places = [i for i, node in enumerate(graph.node) if node.op_type in ("Conv", "MatMul", "Gemm", "Relu", "Add")]
    if not places:
        return None
    at = places[rng.randrange(len(places) // 2, len(places))]
    tensor = graph.node[at].output[0]
    nodes, counter = [], iter(range(100))

    def k(value):
        name = f"planted/k{next(counter)}"
        graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        return name

    def op(op_type, *reads, **attrs):
        out = f"planted/{op_type}{next(counter)}"
        reads = [tensor if read == "t" else read for read in reads]
        nodes.append(helper.make_node(op_type, reads, [out], name=out + "_node", **attrs))
        return out

    out, codes = spliced(kind, op, k)
    for node in graph.node[at + 1:]:
        for i, read in enumerate(node.input):
            if read == tensor:
                node.input[i] = out
    if not any(out in node.input for node in graph.node):
        return None
    for i, node in enumerate(nodes):
        graph.node.insert(at + 1 + i, node)
    onnx.save(proto, str(folder / "model.onnx"))
    (folder / "in.npz").write_bytes((ROOT / f"target/models/{model}.npz").read_bytes())
    return "fp16", codes


def accused(report):
    """The culprit that was planted, or the first."""
    planted = [c for c in report["culprits"] if c["node"]["name"].startswith("planted/")]
    return (planted or report["culprits"])[0]


def complaint(run, report, low, codes):
    """What is wrong with the answer, or nothing."""
    if run.returncode != 1 or not report or not report.get("culprits"):
        return f"exit {run.returncode}, {(report or {}).get('verdict')}: {run.stderr.strip()[-120:]}"
    of = [[d["code"] for d in c["diagnosis"]] for c in report["culprits"]]
    culprit = accused(report)
    first = [d["code"] for d in culprit["diagnosis"]]
    if not first or first[0] not in codes:
        return f"{first} at {culprit['node']['op_type']}, expected {'/'.join(sorted(codes))}"
    if bad := CONTRADICTIONS & {code for c in of for code in c}:
        return f"contradicts: {sorted(bad)}"
    for c in report["culprits"]:
        broken = c["accumulated"]["cand_nonfinite"] > c["accumulated"]["ref_nonfinite"]
        if broken and any(d["code"] == "gain" for d in c["diagnosis"]):
            return "a gain of NaN"
    if low == "bf16" and "use BF16" in run.stdout:
        return "advises BF16 to BF16"
    return None


def ask(binary, folder, low):
    argv = [binary, "bisect", "model.onnx", "-c", f"ort:{low}", "-i", "in.npz", "-o", "out", "--no-reduce", "--no-overrides"]
    run = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600)
    path = folder / "out/report.json"
    return run, json.loads(path.read_text()) if path.is_file() else None


def fails(binary, folder, low):
    """Do the outputs diverge at all?"""
    argv = [binary, "compare", "model.onnx", "-c", f"ort:{low}", "-i", "in.npz", "-o", "compared"]
    return subprocess.run(argv, cwd=folder, capture_output=True, timeout=600).returncode == 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=5, help="graphs of each kind")
    parser.add_argument("--real", type=int, default=16, help="real models, broken on purpose")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    binary, base = str(Path(args.binary).resolve()), args.keep or Path(tempfile.mkdtemp(prefix="precision-causes-"))
    right = shown = total = 0

    def judge(name, folder, low, codes):
        nonlocal right, shown, total
        run, report = ask(binary, folder, low)
        why = complaint(run, report, low, codes)
        total, right = total + 1, right + (why is None)
        sure = (accused(report)["diagnosis"] or [{}])[0].get("sure") if (report or {}).get("culprits") else None
        shown += why is None and sure == "shown"
        if why or args.v:
            print(f"{'wrong' if why else 'right'}  {name} ({low}): {why or sure}", flush=True)

    for kind in KINDS:
        for i in range(args.each):
            rng = random.Random(f"{args.seed}/{kind.__name__}/{i}")
            folder = base / f"{kind.__name__}-{i}"
            folder.mkdir(parents=True, exist_ok=True)
            net = Net(rng)
            out, low, codes = kind(net, i)
            net.save(folder, out)
            judge(folder.name, folder, low, codes)
    for i, kind in enumerate((SPLICES * 2)[:args.real]):
        rng = random.Random(f"{args.seed}/{kind}/{i}")
        model = MODELS[(i * 5 + args.seed) % len(MODELS)]
        folder = base / f"{model}-{kind}-{i}"
        folder.mkdir(parents=True, exist_ok=True)
        # A place from which the fault reaches an output.
        for _ in range(6):
            planted = real(model, kind, folder, rng)
            if planted and fails(binary, folder, planted[0]):
                judge(folder.name, folder, *planted)
                break
    print(f"{right} of {total} right ({100 * right / max(total, 1):.1f} %), {shown} of them shown")
    return 0 if right >= 0.95 * total else 1


if __name__ == "__main__":
    sys.exit(main())
