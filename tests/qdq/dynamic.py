"""Makes a float model and a file of it that quantises without QDQ pairs: dynamic.py KIND FOLDER -> model.onnx, quantised.onnx,
inputs.npz. Weights of the layers have a few large columns, so that each layer loses much.

KIND dynamic: MatMul, Gemm with a transposed weight and a bias, a table of which rows are read; quantize_dynamic.
KIND conv: a Conv with a bias; ConvInteger. KIND lstm: DynamicQuantizeLSTM. KIND bits, bits8, bits2: MatMulNBits of so many bits.
KIND operators: Conv, Relu, MaxPool, Conv, Gemm; quantize_static with QOperator. KIND body: products in both branches of an If, which
share a weight. KIND shared: one weight and one DynamicQuantizeLinear for two products. KIND bare: no zero points, no names.
KIND deep: twelve layers beside a sum, of which each loses alike.
KIND again: as dynamic, quantised with the keywords of a third argument. KIND renamed: every tensor and node of the quantised file has another name. KIND attention: QAttention.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static,
)  # fmt: skip

rng = np.random.default_rng(11)
node = helper.make_node


def weight(name, *shape):
    value = rng.normal(size=shape) / np.sqrt(shape[0])
    value.flat[0] *= 12
    return numpy_helper.from_array(value.astype(np.float32), name)


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(folder, nodes, weights, inputs, output, values, opset=17, domains=()):
    graph = helper.make_graph(nodes, "g", inputs, [output], weights)
    opsets = [helper.make_opsetid("", opset), *[helper.make_opsetid(d, 1) for d in domains]]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / "model.onnx")
    np.savez(folder / "inputs.npz", **values)


def floats(*shape):
    return rng.normal(size=shape).astype(np.float32)


def dynamic(folder):
    nodes = [
        node("Gather", ["table", "ids"], ["e"], "rows"),
        node("MatMul", ["e", "w1"], ["a"], "first"),
        node("Relu", ["a"], ["r"], "relu"),
        node("Gemm", ["r", "w2", "b2"], ["g"], "second", transB=1),
        node("Tanh", ["g"], ["t"], "tanh"),
        node("MatMul", ["t", "w3"], ["y"], "third"),
    ]
    weights = [weight("table", 50, 32), weight("w1", 32, 48), weight("w2", 40, 48), weight("b2", 40), weight("w3", 40, 8)]
    ids = rng.integers(0, 50, size=6)
    save(folder, nodes, weights, [info("ids", [6], TensorProto.INT64)], info("y", [6, 8]), {"ids": ids})
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8)


def conv(folder):
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c"], "conv", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"], "relu"),
        node("Conv", ["r", "w2"], ["y"], "other"),
    ]
    weights = [weight("w1", 6, 3, 3, 3), weight("b1", 6), weight("w2", 4, 6, 3, 3)]
    save(folder, nodes, weights, [info("x", [1, 3, 9, 9])], info("y", [1, 4, 7, 7]), {"x": floats(1, 3, 9, 9)})
    # On the CPU, ConvInteger takes unsigned weights alone.
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QUInt8)


def lstm(folder):
    nodes = [
        node("LSTM", ["x", "w", "r", "b"], ["h", "", ""], "lstm", hidden_size=10, direction="bidirectional"),
        node("Reshape", ["h", "shape"], ["f"], "flat"),
        node("MatMul", ["f", "v"], ["y"], "out"),
    ]
    weights = [
        weight("w", 2, 40, 6), weight("r", 2, 40, 10), weight("b", 2, 80), weight("v", 20, 5),
        numpy_helper.from_array(np.array([7, 20]), "shape"),
    ]  # fmt: skip
    save(folder, nodes, weights, [info("x", [7, 1, 6])], info("y", [7, 5]), {"x": floats(7, 1, 6)})
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8)


def products(folder):
    nodes = [
        node("MatMul", ["x", "w1"], ["a"], "first"),
        node("Tanh", ["a"], ["t"], "tanh"),
        node("MatMul", ["t", "w2"], ["y"], "second"),
    ]
    weights = [weight("w1", 64, 48), weight("w2", 48, 16)]
    save(folder, nodes, weights, [info("x", [5, 64])], info("y", [5, 16]), {"x": floats(5, 64)})


def bits(folder, count=4, block=16):
    """As MatMulNBitsQuantizer packs them, which would need one more package: [N, blocks, bytes], asymmetric."""
    products(folder)
    model = onnx.load(folder / "model.onnx")
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    nodes, stored = [], []
    for n in model.graph.node:
        if n.op_type != "MatMul":
            nodes.append(n)
            continue
        depth, width = weights[n.input[1]].shape
        blocks = -(-depth // block)
        values = np.zeros((width, blocks * block), np.float32)
        values[:, :depth] = weights[n.input[1]].T
        values = values.reshape(width, blocks, block)
        low, high = np.minimum(values.min(-1), 0), np.maximum(values.max(-1), 0)
        scale = ((high - low) / (2**count - 1)).astype(np.float32)
        zero = np.clip(np.rint(-low / scale), 0, 2**count - 1)
        quantised = np.clip(np.rint(values / scale[..., None]) + zero[..., None], 0, 2**count - 1)
        name = f"{n.input[1]}_Q{count}"
        stored += [
            numpy_helper.from_array(packed(quantised, count), name),
            numpy_helper.from_array(scale.reshape(-1), f"{name}_scales"),
            numpy_helper.from_array(packed(zero, count).reshape(-1), f"{name}_zero_points"),
        ]
        nodes.append(node(
            "MatMulNBits", [n.input[0], *(w.name for w in stored[-3:])], list(n.output), f"{n.name}_Q{count}",
            domain="com.microsoft", K=depth, N=width, bits=count, block_size=block, accuracy_level=4,
        ))  # fmt: skip
    graph = helper.make_graph(nodes, "g", model.graph.input, model.graph.output, stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "quantised.onnx")


def packed(codes, count):
    """Several codes a byte along the last axis, the first in the lowest bits."""
    each = 8 // count
    codes = codes.astype(np.uint8)
    missing = -codes.shape[-1] % each
    codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, missing)])
    codes = codes.reshape(*codes.shape[:-1], -1, each)
    return np.bitwise_or.reduce(codes << (np.arange(each, dtype=np.uint8) * count), axis=-1).astype(np.uint8)


class Reader(CalibrationDataReader):
    def __init__(self, folder):
        self.values = iter([dict(np.load(folder / "inputs.npz"))])

    def get_next(self):
        return next(self.values, None)


def operators(folder):
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c"], "conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"], "relu1"),
        node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w2"], ["d"], "conv2"),
        node("Flatten", ["d"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "fc", transB=1),
    ]
    weights = [
        weight("w1", 6, 3, 3, 3), weight("b1", 6), weight("w2", 4, 6, 3, 3), weight("w3", 5, 36), weight("b3", 5),
    ]  # fmt: skip
    save(folder, nodes, weights, [info("x", [1, 3, 10, 10])], info("y", [1, 5]), {"x": floats(1, 3, 10, 10)})
    quantize_static(folder / "model.onnx", folder / "quantised.onnx", Reader(folder), quant_format=QuantFormat.QOperator)


def body(folder):
    branch = lambda name, w: helper.make_graph(
        [node("MatMul", ["h", w], [f"{name}_m"], f"{name}_mm"), node("Add", [f"{name}_m", "b"], [name], f"{name}_add")],
        name, [], [info(name, [4, 8])],
    )  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w1"], ["h"], "before"),
        node("If", ["c"], ["o"], "choose", then_branch=branch("t", "w2"), else_branch=branch("e", "w2")),
        node("MatMul", ["o", "w3"], ["y"], "after"),
    ]
    weights = [weight("w1", 16, 24), weight("w2", 24, 8), weight("w3", 8, 5), weight("b", 8)]
    inputs = [info("x", [4, 16]), info("c", [], TensorProto.BOOL)]
    save(folder, nodes, weights, inputs, info("y", [4, 5]), {"x": floats(4, 16), "c": np.array(True)})
    quantize_dynamic(
        folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8,
        extra_options={"EnableSubgraph": True},
    )  # fmt: skip


def shared(folder):
    nodes = [
        node("MatMul", ["x", "w1"], ["a"], "one"),
        node("MatMul", ["x", "w1"], ["b"], "two"),
        node("MatMul", ["x", "w2"], ["d"], "three"),
        node("Tanh", ["a"], ["t"], "tanh"),
        node("Mul", ["t", "b"], ["m"], "mul"),
        node("Add", ["m", "d"], ["y"], "add"),
    ]
    weights = [weight("w1", 32, 32), weight("w2", 32, 32)]
    save(folder, nodes, weights, [info("x", [4, 32])], info("y", [4, 32]), {"x": floats(4, 32)})
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8)


def codes(value):
    scale = np.float32(np.abs(value).max() / 127)
    return np.rint(value / scale).astype(np.int8), scale


def bare(folder):
    """By hand: symmetric weights without zero points, both scales one after the other, no name at all, a Cast to half."""
    products(folder)
    model = onnx.load(folder / "model.onnx")
    values = {w.name: codes(numpy_helper.to_array(w)) for w in model.graph.initializer}
    nodes, weights = [], []
    for number, (before, w, after) in enumerate([("x", "w1", "u0"), ("v1", "w2", "y")]):
        i = lambda name: f"{name}{number}"
        nodes += [
            node("DynamicQuantizeLinear", [before], [i("q"), i("s"), i("z")]),
            node("MatMulInteger", [i("q"), i("k"), i("z")], [i("m")]),
            node("Cast", [i("m")], [i("f")], to=TensorProto.FLOAT),
            node("Mul", [i("ws"), i("f")], [i("n")]),
            node("Mul", [i("n"), i("s")], [after]),
        ]
        stored, scale = values[w]
        weights += [numpy_helper.from_array(stored, i("k")), numpy_helper.from_array(scale, i("ws"))]
        if number == 0:
            nodes.append(node("Tanh", [after], ["v1"]))
    graph = helper.make_graph(nodes, "g", model.graph.input, model.graph.output, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "quantised.onnx")


def renamed(folder):
    dynamic(folder)
    model = onnx.load(folder / "quantised.onnx")
    keep = {v.name for v in [*model.graph.input, *model.graph.output]}
    new = {}
    name = lambda old: old if old in keep or not old else new.setdefault(old, f"t{len(new)}")
    for w in model.graph.initializer:
        w.name = name(w.name)
    for n in model.graph.node:
        n.name = f"n_{len(new)}_{n.op_type}"
        n.input[:], n.output[:] = [name(i) for i in n.input], [name(o) for o in n.output]
    del model.graph.value_info[:]
    onnx.save(model, folder / "quantised.onnx")


def attention(folder):
    nodes = [
        node("Attention", ["x", "w", "b"], ["a"], "attention", domain="com.microsoft", num_heads=2),
        node("MatMul", ["a", "v"], ["y"], "out"),
    ]
    weights = [weight("w", 16, 48), weight("b", 48), weight("v", 16, 4)]
    save(folder, nodes, weights, [info("x", [1, 6, 16])], info("y", [1, 6, 4]), {"x": floats(1, 6, 16)}, domains=["com.microsoft"])
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8)


def deep(folder):
    nodes, weights, last = [], [], "x"
    for i in range(12):
        nodes += [
            node("MatMul", [last, f"w{i}"], [f"m{i}"], f"layer{i}"),
            node("Add", [last, f"m{i}"], [f"y{i}" if i < 11 else "y"], f"sum{i}"),
        ]
        # What a layer adds is as large as what all before it made.
        weights.append(numpy_helper.from_array((rng.normal(size=(24, 24)) / 5).astype(np.float32), f"w{i}"))
        last = f"y{i}"
    save(folder, nodes, weights, [info("x", [8, 24])], info("y", [8, 24]), {"x": floats(8, 24)})
    quantize_dynamic(folder / "model.onnx", folder / "quantised.onnx", weight_type=QuantType.QInt8)


def again(folder):
    options = json.loads(Path(sys.argv[3]).read_text())
    quantize_dynamic(folder / "model.onnx", folder / "again.onnx", weight_type=QuantType.QInt8, **options)


KINDS = {
    "dynamic": dynamic, "conv": conv, "lstm": lstm, "operators": operators, "body": body, "shared": shared, "bare": bare,
    "renamed": renamed, "attention": attention, "deep": deep, "again": again, "bits": bits, "bits8": lambda f: bits(f, 8), "bits2": lambda f: bits(f, 2),
}  # fmt: skip

if __name__ == "__main__":
    KINDS[sys.argv[1]](Path(sys.argv[2]))
