#!/usr/bin/env python3
"""Are the causes of quantised failures the true ones? Failures of known cause, made by ONNX Runtime's own quantiser with its defaults.

Each is a float model, what `quantize_static` makes of it, the code of the cause that bisect has to name, and where. Some come
from the model or its calibration alone (a mask, channels of different size, data that is too small); in others one parameter is
changed behind the quantiser, at a place that is drawn, where ONNX Runtime alone shows that it matters. `right`: a culprit or a
finding has the code, shown, with the tensor's name; `false`: a cause that is shown or likely and is not allowed, or a sentence
that cannot be true of two files in one ONNX Runtime. Models without a fault have no cause but their precision.

Usage: scripts/quantised_causes.py LAYERDIFF [FILTER] [--keep FOLDER] [--seed N]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import functools
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_dynamic, quantize_static

MODELS = venv.ROOT / "target/models"
REAL = ["cls", "det", "rec", "nudenet", "opennsfw"]
SENTENCES = ["neither its values nor its attributes", "report the reproducer"]
# True of any quantised model that is too coarse as a whole, and of what such a node does to its neighbours.
BESIDE = {"quantisation-error", "gain"}
# A relative error that passes for no rounding of 8 bits.
FAILS = 0.15
F32 = TensorProto.FLOAT


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("layerdiff")
    options.add_argument("filter", nargs="?", default="")
    options.add_argument("--keep", type=Path)
    options.add_argument("--seed", type=int, default=0)
    options = options.parse_args()
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        for name, make in cases(options.seed):
            if options.filter in name:
                rows.append(judged(options.layerdiff, folder / name, make))
                print("{verdict:<8} {name:<32} wanted {wanted}; got {got}".format(**rows[-1]), flush=True)
    made = [row for row in rows if row["verdict"] != "agreed" and row["wanted"] != "no cause"]
    right = sum(row["verdict"] == "right" for row in made)
    false = sum(bool(row["false"]) for row in rows)
    real = sum(row["real"] for row in made)
    print(f"{right} of {len(made)} right ({real} on real models), {false} of {len(rows)} with a false sentence")
    print(f"{len(rows) - len(made)} without a fault, or whose fault does not show")
    sys.exit(right * 20 < len(made) * 19 or false > 0)


def judged(binary, folder, make):
    folder.mkdir(parents=True, exist_ok=True)
    case = make(folder)
    np.savez(folder / "in.npz", **case.feeds)
    real = folder.name.split("-")[-1] in REAL
    argv = [binary, "bisect", case.model, "-c", f"ort@{case.quantised}", "-i", folder / "in.npz", "-o", folder / "out", "--no-reduce"]
    run = subprocess.run([str(a) for a in argv] + ["--no-overrides"] * real, capture_output=True, text=True)
    (folder / "out.txt").write_text(run.stdout)
    row = dict(name=folder.name, wanted="|".join(sorted(case.wanted)) or "no cause", real=real)
    if case.place:
        row["wanted"] += f" at {case.place}"
    if run.returncode > 1:
        return dict(row, verdict="broken", got=run.stderr[-300:], false=["broken"])
    report = json.loads((folder / "out/report.json").read_text())
    causes = [cause for culprit in report["culprits"] for cause in culprit["diagnosis"]]
    causes += [group["cause"] for group in report.get("groups", []) if group.get("cause")]
    known = [c for c in causes if c["sure"] != "unknown"]
    # That of nudenet has boxes and scores in one output.
    allowed = case.wanted | BESIDE | ({"part-ranges"} if folder.name.endswith("nudenet") else set())
    # The quantiser's operators in the place of the model's are the difference that there is.
    allowed |= {"operator-differs"} if folder.name.startswith("dynamic") else set()
    false = [c["code"] for c in known if c["code"] not in allowed]
    false += [s for s in SENTENCES if s in run.stdout]
    if "'DynamicQuantizeLinear'" in json.dumps(causes):
        false.append("DynamicQuantizeLinear")
    sure = ["shown", "likely"] if case.limited else ["shown"]
    right = [c for c in causes if c["code"] in case.wanted and c["sure"] in sure and f"'{case.place}'" in (c["evidence"] if case.place else "''")]
    verdict = "FALSE" if false else "agreed" if run.returncode == 0 else "right" if right or not case.wanted else "WRONG"
    got = ", ".join(f"{c['code']} ({c['sure']})" for c in causes) or "nothing"
    return dict(row, verdict=verdict, got=got, false=false)


# ---- what fails, and why


class Case(NamedTuple):
    model: Path
    quantised: Path
    feeds: dict
    # Codes of which one is right; none of a model without a fault.
    wanted: set
    # The tensor whose parameters are changed.
    place: str = ""
    # Without the fault it fails too: nothing can be shown to be the cause alone.
    limited: bool = False


def cases(seed):
    """By name, each with random numbers of its own."""
    for number, (name, make) in enumerate(listed()):
        yield name, lambda folder, n=number, m=make: m(folder, np.random.default_rng([seed, n]))


def listed():
    for mask in [-3.4e38, -1e9, -1e5, -1e4]:
        yield f"mask-{mask:.0e}", lambda f, r, m=mask: default(f, *encoder(r, int(r.integers(1, 5)), m), {"sentinel-range"})
    for kind in ["matmul", "gemm", "conv", "depthwise"]:
        yield f"channels-{kind}", lambda f, r, k=kind: default(f, *uneven(r, k), {"channel-ranges"}, "w")
    for kind in ["matmul", "gemm", "conv", "cls"]:
        yield f"small_data-{kind}", lambda f, r, k=kind: small_data(f, *any_model(r, k))
    both = ["matmul", "gemm", "conv", *REAL]
    for kind in both:
        yield f"weight_scale-{kind}", lambda f, r, k=kind: spoilt(f, r, k, weight_scale, {"scale-mismatch"})
    for kind in both:
        yield f"activation_scale-{kind}", lambda f, r, k=kind: spoilt(f, r, k, activation_scale, {"scale-mismatch", "int8-saturation"})
    for kind in ["matmul", "gemm", "conv", "cls", "det", "nudenet", "opennsfw"]:
        yield f"zero_point-{kind}", lambda f, r, k=kind: spoilt(f, r, k, zero_point, {"zero-point", "scale-mismatch", "int8-saturation"})
    for kind in ["gemm", "conv", "cls", "opennsfw"]:
        yield f"bias_scale-{kind}", lambda f, r, k=kind: spoilt(f, r, k, bias_scale, {"bias-scale"})
    for kind in ["gemm", "conv", "cls", "nudenet"]:
        yield f"other_scale-{kind}", lambda f, r, k=kind: spoilt(f, r, k, other_scale, {"scale-mismatch", "block-scales"})
    for kind in ["matmul", "conv"]:
        options = dict(quant_format=QuantFormat.QOperator)
        yield f"operators-{kind}", lambda f, r, k=kind, o=options: spoilt(f, r, k, operand_scale, {"scale-mismatch"}, o)
    for kind in ["matmul", "conv", "det", "cls"]:
        yield f"shifted-{kind}", lambda f, r, k=kind: spoilt(f, r, k, shifted, {"block-scales", "scale-mismatch"}, dict(per_channel=True))
    yield "blocks-4-bits", four_bits
    yield "blocks-8-bits", blocked
    yield "half-scales", lambda f, r: half(f, r, 100.0, {"scale-mismatch"})
    yield "healthy-half", lambda f, r: half(f, r, 1.0, set())
    for kind in both:
        yield f"healthy-{kind}", lambda f, r, k=kind: default(f, *any_model(r, k), set(), per_channel=True)
    for kind in ["matmul", "gemm", "cls", "rec"]:
        yield f"dynamic-{kind}", dynamic(kind)


def any_model(rng, kind):
    return real(kind) if kind in REAL else plain(rng, kind)


def default(folder, model, feeds, wanted, place="", **options):
    return Case(*quantised(folder, model, feeds, **options), feeds, wanted, place)


def small_data(folder, model, feeds):
    """Calibrated with a hundredth of what the model sees."""
    small = {k: v / 100 if v.dtype == np.float32 else v for k, v in feeds.items()}
    return Case(*quantised(folder, model, small), feeds, {"scale-mismatch", "int8-saturation"})


def spoilt(folder, rng, kind, change, wanted, options=None):
    """The first of a few places where the change makes the outputs half again as wrong as the quantiser did."""
    model, feeds = any_model(rng, kind) if change not in GRADED or kind in REAL else graded(rng, kind)
    options = options or (dict(per_channel=True) if kind in REAL else {})
    paths = quantised(folder, model, feeds, **options)
    healthy = onnx.load(paths[1])
    right = outputs(model, feeds)
    before, place = error(right, outputs(healthy, feeds)), ""
    for _ in range(12):
        edited = onnx.ModelProto.FromString(healthy.SerializeToString())
        place = change(edited.graph, rng)
        if place and error(right, outputs(edited, feeds)) > max(1.5 * before, 0.25):
            onnx.save(edited, paths[1])
            return Case(*paths, feeds, wanted, place, before > FAILS)
    # Nothing shows: as the quantiser made it.
    return Case(*paths, feeds, set())


def outputs(model, feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def error(right, got):
    """Relative RMS of the worst output."""
    right, got = ([np.asarray(a, np.float32) if a.dtype.kind == "f" else a for a in side] for side in (right, got))
    each = [np.sqrt(np.mean((a - b) ** 2) / max(np.mean(a**2), 1e-30)) for a, b in zip(right, got) if a.dtype.kind == "f"]
    return max(map(float, each), default=0.0)


def four_bits(folder, rng):
    """A MatMulNBits by hand (the quantiser needs a package of its own): blocks of 16 along a weight that grows along them."""
    weight = normal(rng, 64, 32) * np.geomspace(0.05, 3, 64)[:, None].astype(np.float32)
    model, feeds = head("matmul", weight, {"x": normal(rng, 8, 64)})
    blocks = weight.T.reshape(32, 4, 16)
    scales = np.abs(blocks).max(axis=2) / np.float32(7)
    codes = (np.rint(blocks / scales[..., None]) + 8).clip(0, 15).astype(np.uint8)
    edited = onnx.ModelProto.FromString(model.SerializeToString())
    edited.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    del edited.graph.initializer[:]
    moved = np.roll(scales.reshape(-1), int(rng.integers(1, 4)))
    tensors = {"w4": codes[..., 0::2] | codes[..., 1::2] << 4, "s4": moved}
    edited.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in tensors.items())
    sizes = dict(K=64, N=32, bits=4, block_size=16, domain="com.microsoft")
    edited.graph.node[0].CopyFrom(helper.make_node("MatMulNBits", ["x", "w4", "s4"], ["h"], "product", **sizes))
    return saved(folder, model, edited, feeds, {"block-scales"})


def blocked(folder, rng):
    """A weight of 8 bits in blocks of 16 along its first axis, with the scales of the blocks before."""
    weight = normal(rng, 64, 32) * np.geomspace(0.05, 3, 64)[:, None].astype(np.float32)
    model, feeds = head("matmul", weight, {"x": normal(rng, 8, 64)})
    model.opset_import[0].version, model.ir_version = 21, 10
    blocks = weight.reshape(4, 16, 32)
    scales = np.abs(blocks).max(axis=1) / np.float32(127)
    codes = np.rint(blocks / scales[:, None]).clip(-127, 127).astype(np.int8).reshape(64, 32)
    edited = onnx.ModelProto.FromString(model.SerializeToString())
    del edited.graph.initializer[:]
    moved = np.roll(scales, int(rng.integers(1, 4)), axis=0)
    edited.graph.initializer.extend([numpy_helper.from_array(codes, "w8"), numpy_helper.from_array(moved, "s8")])
    widen = helper.make_node("DequantizeLinear", ["w8", "s8"], ["w"], "widen", axis=0, block_size=16)
    edited.graph.node.insert(0, widen)
    return saved(folder, model, edited, feeds, {"block-scales", "scale-mismatch"})


def half(folder, rng, factor, wanted):
    """All of FP16, the scales too; the one of the middle activation `factor` times as large."""
    width = int(rng.integers(16, 64))
    weights = {f"w{i}": normal(rng, width, width, scale=width**-0.5).astype(np.float16) for i in range(3)}
    feeds = {"x": normal(rng, 8, width).astype(np.float16)}

    def made(at, quantise):
        nodes, extra = [], {}
        for i in range(3):
            nodes.append(helper.make_node("MatMul", [at, f"w{i}"], [f"h{i}"], f"fc{i}"))
            nodes.append(helper.make_node("Relu", [f"h{i}"], [f"a{i}" if i < 2 else "y"], f"act{i}"))
            at = f"a{i}"
            if quantise and i < 2:
                scale = np.float16(extra_range[i] / 255 * (factor if i == 1 else 1))
                extra.update({f"s{i}": scale, f"z{i}": np.uint8(0)})
                nodes.append(helper.make_node("QuantizeLinear", [at, f"s{i}", f"z{i}"], [f"q{i}"], f"q{i}"))
                nodes.append(helper.make_node("DequantizeLinear", [f"q{i}", f"s{i}", f"z{i}"], [f"d{i}"], f"d{i}"))
                at = f"d{i}"
        model = built(nodes, {**weights, **extra}, feeds, ["y"], TensorProto.FLOAT16)
        model.opset_import[0].version = 19
        return model

    extra_range, x = [], feeds["x"].astype(np.float32)
    for i in range(2):
        x = np.maximum(x @ weights[f"w{i}"].astype(np.float32), 0)
        extra_range.append(x.max())
    return saved(folder, made("x", False), made("x", True), feeds, wanted, "a1" if wanted else "")


def dynamic(kind):
    """quantize_dynamic: no scale of an activation is in the file, and none can be wrong."""

    def make(folder, rng):
        model, feeds = any_model(rng, kind)
        paths = folder / "model.onnx", folder / "quantised.onnx"
        onnx.save(model, paths[0])
        quantize_dynamic(str(paths[0]), str(paths[1]), per_channel=True)
        return Case(*paths, feeds, set())

    return make


def saved(folder, model, edited, feeds, wanted, place=""):
    onnx.save(model, folder / "model.onnx")
    onnx.save(edited, folder / "quantised.onnx")
    return Case(folder / "model.onnx", folder / "quantised.onnx", feeds, wanted, place)


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.rows = iter([feeds])

    def get_next(self):
        return next(self.rows, None)


def quantised(folder, model, calibration, **options):
    paths = folder / "model.onnx", folder / "quantised.onnx"
    onnx.save(model, paths[0])
    quantize_static(str(paths[0]), str(paths[1]), Reader(calibration), calibrate_method=CalibrationMethod.MinMax, **options)
    return paths


# ---- what is changed behind the quantiser


def value(graph, name):
    return next((numpy_helper.to_array(t) for t in graph.initializer if t.name == name), None)


def put(graph, name, array):
    at = next(i for i, t in enumerate(graph.initializer) if t.name == name)
    graph.initializer[at].CopyFrom(numpy_helper.from_array(array, name))


def stored(graph, dtype, dims=2):
    """The DequantizeLinear nodes of stored integers of this type, the largest in the middle of the model first."""
    found = [n for n in graph.node if n.op_type == "DequantizeLinear" and value(graph, n.input[0]) is not None]
    found = [n for n in found if value(graph, n.input[0]).dtype == dtype and value(graph, n.input[0]).ndim >= dims]
    return sorted(found, key=lambda n: -value(graph, n.input[0]).size)


def name_of(node):
    """Of a stored tensor as the float model calls it."""
    return node.input[0].removesuffix("_quantized")


def drawn(rng, found):
    return found[int(rng.integers(len(found)))] if found else None


def factor(rng):
    return np.float32(rng.choice([0.1, 0.05, 10.0, 12.0]))


def scaled(graph, name, by):
    put(graph, name, np.asarray(value(graph, name) * by, np.float32))


def weight_scale(graph, rng):
    node = drawn(rng, stored(graph, np.int8)[:6])
    scaled(graph, node.input[1], factor(rng))
    return name_of(node)


def quantizers(graph, fits=lambda node: True):
    return [n for n in graph.node if n.op_type == "QuantizeLinear" and value(graph, n.input[1]) is not None and fits(n)]


def activation_scale(graph, rng):
    """Of an activation that has its scale for itself."""
    uses = [i for n in graph.node for i in n.input]
    node = drawn(rng, quantizers(graph, lambda n: uses.count(n.input[1]) == 2 and np.all(value(graph, n.input[1]) > 1e-6)))
    if node is None:
        return ""
    scaled(graph, node.input[1], factor(rng))
    return behind(graph, node)


def behind(graph, node):
    """What is quantised, as the float model calls it: an output has its name behind the pair."""
    outputs = {o.name for o in graph.output}
    read = [n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] == node.output[0]]
    return next((name for name in read if name in outputs), node.input[0])


def zero_point(graph, rng):
    """Lost, or another's."""
    node = drawn(rng, quantizers(graph, lambda n: value(graph, n.input[2]) is not None and abs(int(value(graph, n.input[2]).reshape(-1)[0])) > 60))
    if node is None:
        return ""
    own = value(graph, node.input[2])
    put(graph, node.input[2], np.full_like(own, rng.choice([0, 128 if int(own.reshape(-1)[0]) < 90 else 0]) % 128 if own.dtype == np.int8 else rng.choice([0, 30])))
    return behind(graph, node)


def bias_scale(graph, rng):
    node = drawn(rng, stored(graph, np.int32, 1)[:6])
    scaled(graph, node.input[1], np.float32(rng.choice([60.0, 200.0])))
    return name_of(node)


def other_scale(graph, rng):
    """The scale of a weight is another's of as many channels, or its integers are made with it."""
    nodes = stored(graph, np.int8)[:8]
    node, other = drawn(rng, nodes), drawn(rng, nodes)
    own, theirs = value(graph, node.input[1]), value(graph, other.input[1])
    ratio = np.median(own / theirs) if own.shape == theirs.shape else 1.0
    if 0.25 < ratio < 4:
        return ""
    put(graph, node.input[1], theirs)
    return name_of(node)


def operand_scale(graph, rng):
    """The scale of the stored weight of a QLinearConv or QLinearMatMul."""
    node = next(n for n in graph.node if n.op_type in ("QLinearConv", "QLinearMatMul"))
    scaled(graph, node.input[4], factor(rng))
    return node.input[3].removesuffix("_quantized")


def shifted(graph, rng):
    """The scales of some channels on."""
    node = drawn(rng, [n for n in stored(graph, np.int8) if value(graph, n.input[1]).size > 8][:6])
    put(graph, node.input[1], np.roll(value(graph, node.input[1]), int(rng.integers(1, 6))))
    return name_of(node)


GRADED = {shifted, operand_scale}


# ---- models


@functools.lru_cache(maxsize=2)
def real(name):
    """Weights of Constant nodes become initializers, which the quantiser stores as integers; scales by channel need opset 13."""
    model = onnx.load(MODELS / f"{name}.onnx")
    for node in [n for n in model.graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]:
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        model.graph.node.remove(node)
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < 13:
        model = onnx.version_converter.convert_version(model, 13)
    return model, dict(np.load(MODELS / f"{name}.npz"))


def built(nodes, weights, feeds, outputs, dtype=F32):
    inputs = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
    outputs = [helper.make_tensor_value_info(k, dtype, None) for k in outputs]
    weights = [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def normal(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def plain(rng, kind):
    """A few layers and an output whose ranges are all positive in places, so that zero points matter."""
    nodes, weights, at = [], {}, "x"
    width, layers = int(rng.integers(12, 40)), int(rng.integers(3, 6))
    feeds = {"x": normal(rng, 8, width) if kind != "conv" else normal(rng, 2, width, 12, 12)}
    for i in range(layers):
        name, shape = f"fc{i}", (width, width) if kind != "conv" else (width, width, 3, 3)
        size = rng.choice([0.2, 1.0, 5.0]) if kind != "matmul" else 1.0
        weights[f"{name}.w"] = normal(rng, *shape, scale=size * (1 / np.prod(shape[1:])) ** 0.5)
        operands = [at, f"{name}.w"]
        if kind != "matmul":
            weights[f"{name}.b"] = normal(rng, width, scale=0.7)
            operands.append(f"{name}.b")
        op = dict(matmul="MatMul", gemm="Gemm", conv="Conv")[kind]
        nodes.append(helper.make_node(op, operands, [f"{name}.out"], name))
        nodes.append(helper.make_node("Sigmoid" if i == 1 else "Relu", [f"{name}.out"], [f"act{i}"], f"act{i}"))
        at = f"act{i}"
    weights["out.w"] = normal(rng, width, 4) if kind != "conv" else normal(rng, 4, width, 1, 1)
    nodes.append(helper.make_node("MatMul" if kind != "conv" else "Conv", [at, "out.w"], ["y"], "out"))
    return built(nodes, weights, feeds, ["y"]), feeds


def uneven(rng, kind):
    """One weight is a hundred times larger than all others, and multiplies an input that is hardly ever there."""
    conv = kind in ("conv", "depthwise")
    x = normal(rng, 2, 16, 10, 10) if conv else normal(rng, 8, 16)
    x[:, 15] *= 0 if kind == "depthwise" else 1e-3
    shape = dict(matmul=(16, 16), gemm=(16, 16), conv=(16, 16, 3, 3), depthwise=(16, 1, 3, 3))[kind]
    weight = normal(rng, *shape, scale=0.3)
    # Nothing else is in its output channel, or in its own scale it would be lost as well.
    weight[dict(matmul=(slice(None), 2), gemm=(slice(None), 2), conv=2, depthwise=15)[kind]] = 0
    weight[dict(matmul=(15, 2), gemm=(15, 2), conv=(2, 15), depthwise=15)[kind]] = 60.0
    return head(kind, weight, {"x": x})


def graded(rng, kind):
    """A weight whose output channels have sizes of 1 to 50."""
    sizes = rng.permutation(np.geomspace(1.0, 0.02, 16)).astype(np.float32)
    conv = kind == "conv"
    weight = normal(rng, *((16, 16, 3, 3) if conv else (16, 16)), scale=0.3)
    weight *= sizes.reshape((16, 1, 1, 1) if conv else (1, 16))
    return head(kind, weight, {"x": normal(rng, 2, 16, 10, 10) if conv else normal(rng, 8, 16)})


def head(kind, weight, feeds):
    more = dict(group=16) if kind == "depthwise" else {}
    op = dict(matmul="MatMul", gemm="Gemm").get(kind, "Conv")
    nodes = [helper.make_node(op, ["x", "w"], ["h"], "product", **more), helper.make_node("Relu", ["h"], ["y"], "act")]
    return built(nodes, {"w": weight}, feeds, ["y"]), feeds


def encoder(rng, layers, mask, width=32, heads=4, length=16):
    """A transformer with a padding mask that is added to the scores; the last quarter of the tokens is padding."""
    head = width // heads
    padding = np.zeros((1, 1, 1, length), np.float32)
    padding[..., length * 3 // 4 :] = 1
    feeds = {"x": normal(rng, 1, length, width), "padding": padding}
    weights = {"low": np.float32(mask), "split": np.array([1, length, heads, head]), "join": np.array([1, length, width])}
    weights["root"] = np.float32(head**-0.5)
    nodes, at = [helper.make_node("Mul", ["padding", "low"], ["mask"], "mask")], "x"

    def node(op, inputs, out, **more):
        nodes.append(helper.make_node(op, inputs, [out], out, **more))
        return out

    def linear(source, name, inside, outside):
        weights[f"{name}.w"] = normal(rng, inside, outside, scale=inside**-0.5)
        weights[f"{name}.b"] = normal(rng, outside, scale=0.1)
        return node("Add", [node("MatMul", [source, f"{name}.w"], f"{name}.mm"), f"{name}.b"], f"{name}.add")

    def norm(source, name):
        weights[f"{name}.g"], weights[f"{name}.b"] = np.ones(width, np.float32), np.zeros(width, np.float32)
        return node("LayerNormalization", [source, f"{name}.g", f"{name}.b"], f"{name}.norm")

    for i in range(layers):
        parts = {}
        for part in "qkv":
            cut = node("Reshape", [linear(at, f"{i}.{part}", width, width), "split"], f"{i}.{part}.cut")
            parts[part] = node("Transpose", [cut], f"{i}.{part}.t", perm=[0, 2, 3, 1] if part == "k" else [0, 2, 1, 3])
        scores = node("Mul", [node("MatMul", [parts["q"], parts["k"]], f"{i}.qk"), "root"], f"{i}.scores")
        weighed = node("Softmax", [node("Add", [scores, "mask"], f"{i}.masked")], f"{i}.probs", axis=-1)
        context = node("Transpose", [node("MatMul", [weighed, parts["v"]], f"{i}.ctx")], f"{i}.back", perm=[0, 2, 1, 3])
        mixed = linear(node("Reshape", [context, "join"], f"{i}.joined"), f"{i}.o", width, width)
        at = norm(node("Add", [at, mixed], f"{i}.res"), f"{i}.n1")
        inner = node("Relu", [linear(at, f"{i}.up", width, 2 * width)], f"{i}.act")
        at = norm(node("Add", [at, linear(inner, f"{i}.down", 2 * width, width)], f"{i}.res2"), f"{i}.n2")
    linear(at, "head", width, 8)
    return built(nodes, weights, feeds, ["head.add"]), feeds


if __name__ == "__main__":
    main()
