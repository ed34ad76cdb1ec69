#!/usr/bin/env python3
"""Are the causes of quantised failures the true ones? Failures of known cause, made by ONNX Runtime's own quantiser with its defaults.

Each is a float model, what `quantize_static` makes of it, and the code of the cause that bisect has to name first. Some come from
the model or its calibration alone (a mask, channels of different size, data that is too small); in others one parameter is
changed behind the quantiser. `right`: a culprit has the code, shown; `false`: a cause that is shown or likely and is not
allowed, or a sentence that cannot be true of two files in one ONNX Runtime.

Usage: scripts/quantised_causes.py LAYERDIFF [FILTER] [--keep FOLDER]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static

MODELS = venv.ROOT / "target/models"
SENTENCES = ["neither its values nor its attributes", "report the reproducer"]
# True of any quantised model that is too coarse as a whole, and of what such a node does to its neighbours.
BESIDE = {"quantisation-error", "gain"}
F32 = TensorProto.FLOAT


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("layerdiff")
    options.add_argument("filter", nargs="?", default="")
    options.add_argument("--keep", type=Path)
    options = options.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        rows = [judged(options.layerdiff, folder / name, make) for name, make in cases() if options.filter in name]
    for row in rows:
        print("{verdict:<8} {name:<44} wanted {wanted}; got {got}".format(**row))
    made = [row for row in rows if row["verdict"] != "agreed"]
    right = sum(row["verdict"] == "right" for row in made)
    false = sum(bool(row["false"]) for row in rows)
    print(f"{right} of {len(made)} right, {false} with a false sentence, {len(rows) - len(made)} did not fail at all")
    sys.exit(right * 20 < len(made) * 19 or false > 0)


def judged(binary, folder, make):
    folder.mkdir(parents=True, exist_ok=True)
    model, quantised, feeds, wanted = make(folder)
    np.savez(folder / "in.npz", **feeds)
    argv = [binary, "bisect", model, "-c", f"ort@{quantised}", "-i", folder / "in.npz", "-o", folder / "out", "--no-reduce"]
    run = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if run.returncode > 1:
        return dict(name=folder.name, verdict="broken", wanted=wanted, got=run.stderr[-300:], false=["broken"])
    report = json.loads((folder / "out/report.json").read_text())
    causes = [cause for culprit in report["culprits"] for cause in culprit["diagnosis"]]
    got = [f"{c['code']} ({c['sure']})" for c in causes]
    known = [c for c in causes if c["sure"] != "unknown"]
    false = [c["code"] for c in known if c["code"] not in wanted | BESIDE]
    false += [s for s in SENTENCES if s in run.stdout]
    shown = [c for c in causes if c["code"] in wanted and c["sure"] == "shown"]
    verdict = "agreed" if run.returncode == 0 else "right" if shown and not false else "FALSE" if false else "WRONG"
    return dict(name=folder.name, verdict=verdict, wanted="|".join(sorted(wanted)), got=", ".join(got) or "nothing", false=false)


# ---- what fails, and why


def cases():
    for layers, mask in [(1, -3.4e38), (2, -3.4e38), (2, -1e9), (1, -1e5), (4, -3.4e38)]:
        yield f"mask-{mask:.0e}-{layers}-layers", lambda f, n=layers, m=mask: default(f, *encoder(n, m), {"sentinel-range"})
    for kind in ["matmul", "gemm", "conv", "depthwise"]:
        yield f"channels-{kind}", lambda f, k=kind: default(f, *uneven(k), {"channel-ranges"})
    for kind in ["matmul", "gemm", "conv"]:
        yield f"small-data-{kind}", lambda f, k=kind: small_data(f, *plain(k))
    for kind, factor in [("matmul", 12.0), ("gemm", 0.1), ("conv", 7.0)]:
        yield f"weight-scale-{kind}", lambda f, k=kind, x=factor: spoilt(f, *plain(k), weight_scale(x), {"scale-mismatch"})
    for name, factor in [("cls", 200.0), ("rec", 25.0)]:
        yield f"weight-scale-{name}", lambda f, n=name, x=factor: spoilt(f, *real(n), weight_scale(x), {"scale-mismatch"})
    for kind in ["matmul", "gemm", "conv"]:
        yield f"activation-scale-{kind}", lambda f, k=kind: spoilt(f, *plain(k), activation_scale(0.05), {"scale-mismatch"})
    yield "activation-scale-cls", lambda f: spoilt(f, *real("cls"), activation_scale(0.002), {"scale-mismatch"})
    for kind in ["matmul", "gemm", "conv"]:
        yield f"zero-point-{kind}", lambda f, k=kind: spoilt(f, *plain(k), zero_point_lost, {"zero-point"})
    yield "zero-point-cls", lambda f: spoilt(f, *real("cls"), zero_point_lost, {"zero-point"})
    for kind in ["gemm", "conv"]:
        yield f"bias-scale-{kind}", lambda f, k=kind: spoilt(f, *plain(k), bias_scale(60.0), {"bias-scale"})
    for kind, factor in [("matmul", 9.0), ("conv", 0.1)]:
        change, options = operand_scale(factor), dict(quant_format=QuantFormat.QOperator)
        yield f"operators-scale-{kind}", lambda f, k=kind, c=change, o=options: spoilt(f, *graded(k), c, {"scale-mismatch"}, o)
    yield "4-bits-shifted-blocks", four_bits
    for kind in ["matmul", "conv"]:
        change, options = channel_scales_shifted, dict(per_channel=True)
        yield f"shifted-scales-{kind}", lambda f, k=kind: spoilt(f, *graded(k), change, {"block-scales"}, options)


def default(folder, model, feeds, wanted):
    return quantised(folder, model, feeds) + (feeds, wanted)


def small_data(folder, model, feeds):
    """Calibrated with a thirtieth of what the model sees."""
    small = {k: v / 30 if v.dtype == np.float32 else v for k, v in feeds.items()}
    return quantised(folder, model, small) + (feeds, {"scale-mismatch", "int8-saturation"})


def spoilt(folder, model, feeds, change, wanted, options=None):
    paths = quantised(folder, model, feeds, **(options or {}))
    edited = onnx.load(paths[1])
    change(edited.graph)
    onnx.save(edited, paths[1])
    return paths + (feeds, wanted)


def four_bits(folder):
    """A MatMulNBits by hand (the quantiser needs a package of its own): blocks of 16 along a weight that grows along them."""
    rng = np.random.default_rng(13)
    weight = normal(rng, 64, 32) * np.geomspace(0.05, 3, 64)[:, None].astype(np.float32)
    model, feeds = head("matmul", weight, {"x": normal(rng, 8, 64)})
    blocks = weight.T.reshape(32, 4, 16)
    scales = np.abs(blocks).max(axis=2) / np.float32(7)
    codes = (np.rint(blocks / scales[..., None]) + 8).clip(0, 15).astype(np.uint8)
    edited = onnx.ModelProto.FromString(model.SerializeToString())
    edited.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    del edited.graph.initializer[:]
    tensors = {"w4": codes[..., 0::2] | codes[..., 1::2] << 4, "s4": np.roll(scales.reshape(-1), 1)}
    edited.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in tensors.items())
    sizes = dict(K=64, N=32, bits=4, block_size=16, domain="com.microsoft")
    edited.graph.node[0].CopyFrom(helper.make_node("MatMulNBits", ["x", "w4", "s4"], ["h"], "product", **sizes))
    onnx.save(model, folder / "model.onnx")
    onnx.save(edited, folder / "quantised.onnx")
    return folder / "model.onnx", folder / "quantised.onnx", feeds, {"block-scales"}


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


def weight_scale(factor):
    def change(graph):
        node = stored(graph, np.int8)[0]
        put(graph, node.input[1], (value(graph, node.input[1]) * np.float32(factor)).astype(np.float32))

    return change


def middle_activation(graph, fits):
    found = [n for n in graph.node if n.op_type == "QuantizeLinear" and fits(n)]
    return found[len(found) // 2]


def activation_scale(factor):
    def change(graph):
        node = middle_activation(graph, lambda n: True)
        put(graph, node.input[1], (value(graph, node.input[1]) * np.float32(factor)).astype(np.float32))

    return change


def zero_point_lost(graph):
    node = middle_activation(graph, lambda n: abs(int(value(graph, n.input[2]))) > 60)
    put(graph, node.input[2], np.zeros_like(value(graph, node.input[2])))


def bias_scale(factor):
    def change(graph):
        node = stored(graph, np.int32, 1)[0]
        put(graph, node.input[1], (value(graph, node.input[1]) * np.float32(factor)).astype(np.float32))

    return change


def operand_scale(factor):
    """The scale of the stored weight of a QLinearConv or QLinearMatMul."""

    def change(graph):
        node = next(n for n in graph.node if n.op_type in ("QLinearConv", "QLinearMatMul"))
        put(graph, node.input[4], (value(graph, node.input[4]) * np.float32(factor)).astype(np.float32))

    return change


def channel_scales_shifted(graph):
    node = next(n for n in stored(graph, np.int8) if value(graph, n.input[1]).size > 1)
    put(graph, node.input[1], np.roll(value(graph, node.input[1]), 3))


# ---- models


def real(name):
    """Weights of Constant nodes become initializers, which the quantiser stores as integers."""
    model = onnx.load(MODELS / f"{name}.onnx")
    for node in [n for n in model.graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]:
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        model.graph.node.remove(node)
    return model, dict(np.load(MODELS / f"{name}.npz"))


def built(nodes, weights, feeds, outputs):
    inputs = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
    outputs = [helper.make_tensor_value_info(k, F32, None) for k in outputs]
    weights = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def normal(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def plain(kind, seed=5):
    """Three layers and an output whose ranges are all positive in places, so that zero points matter."""
    rng = np.random.default_rng(seed)
    nodes, weights, at = [], {}, "x"
    feeds = {"x": normal(rng, 8, 16) if kind != "conv" else normal(rng, 2, 16, 12, 12)}
    for i in range(3):
        name, shape = f"fc{i}", (16, 16) if kind != "conv" else (16, 16, 3, 3)
        weights[f"{name}.w"] = normal(rng, *shape, scale=(1 / np.prod(shape[1:])) ** 0.5)
        operands = [at, f"{name}.w"]
        if kind != "matmul":
            weights[f"{name}.b"] = normal(rng, 16, scale=0.7)
            operands.append(f"{name}.b")
        op = dict(matmul="MatMul", gemm="Gemm", conv="Conv")[kind]
        nodes.append(helper.make_node(op, operands, [f"{name}.out"], name))
        nodes.append(helper.make_node("Sigmoid" if i == 1 else "Relu", [f"{name}.out"], [f"act{i}"], f"act{i}"))
        at = f"act{i}"
    weights["out.w"] = normal(rng, 16, 4) if kind != "conv" else normal(rng, 4, 16, 1, 1)
    nodes.append(helper.make_node("MatMul" if kind != "conv" else "Conv", [at, "out.w"], ["y"], "out"))
    return built(nodes, weights, feeds, ["y"]), feeds


def uneven(kind):
    """One weight is a hundred times larger than all others, and multiplies an input that is hardly ever there."""
    rng = np.random.default_rng(11)
    conv = kind in ("conv", "depthwise")
    x = normal(rng, 2, 16, 10, 10) if conv else normal(rng, 8, 16)
    x[:, 15] *= 0 if kind == "depthwise" else 1e-3
    shape = dict(matmul=(16, 16), gemm=(16, 16), conv=(16, 16, 3, 3), depthwise=(16, 1, 3, 3))[kind]
    weight = normal(rng, *shape, scale=0.3)
    weight[dict(matmul=(15, 2), gemm=(15, 2), conv=(2, 15), depthwise=15)[kind]] = 60.0
    return head(kind, weight, {"x": x})


def graded(kind):
    """A weight whose output channels have sizes of 1 to 50."""
    rng = np.random.default_rng(12)
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


def encoder(layers, mask, width=32, heads=4, length=16):
    """A transformer with a padding mask that is added to the scores; the last quarter of the tokens is padding."""
    rng = np.random.default_rng(3)
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
