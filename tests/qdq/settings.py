"""Makes a float model and quantises it with a setting that breaks it: settings.py KIND FOLDER -> model.onnx, quantised.onnx, inputs.npz.

KIND channel: one scale for weights of which one channel reaches much further. KIND channels: the same of all channels, and what
they make has one scale too. KIND wide: an activation with one large
value beside many small ones, of which a product takes the difference. KIND integers, small_integers: a product of uint8 x int8 with
weights of 8 and of 7 bits, and no quantised.onnx.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

rng = np.random.default_rng(7)


def weight(name, value):
    return numpy_helper.from_array(value.astype(np.float32), name)


def channel():
    first, second = rng.normal(size=(16, 4, 3, 3)), rng.normal(size=(16, 10))
    # Of an input that is never there, and hardly read.
    first[0, 0], second[0] = 400, second[0] / 20
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w2"], ["y"], "fc"),
    ]
    weights = [weight("w1", first), weight("b1", rng.normal(size=16)), weight("w2", second)]
    return nodes, weights, [1, 4, 12, 12], [1, 10], ["Conv", "MatMul"]


def channels():
    sizes = 10.0 ** np.linspace(-4, 0, 16)
    first = rng.normal(size=(16, 4, 3, 3)) * sizes[:, None, None, None]
    # What is small is made large again: every channel counts alike in the end.
    second = rng.normal(size=(16, 10))
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["c", "gain"], ["g"], "gain_mul"),
        helper.make_node("GlobalAveragePool", ["g"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w2"], ["y"], "fc"),
    ]
    weights = [
        weight("w1", first), weight("b1", np.zeros(16)), weight("w2", second),
        weight("gain", 1 / sizes[None, :, None, None]),
    ]  # fmt: skip
    return nodes, weights, [1, 4, 12, 12], [1, 10], ["Conv"]


def wide():
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"], "first"),
        helper.make_node("MatMul", ["h", "w2"], ["y"], "second"),
    ]
    first = rng.normal(size=(32, 64))
    first[:, 0] *= 300
    second = rng.normal(size=(64, 8))
    second[0] = 0
    return nodes, [weight("w1", first), weight("w2", second)], [8, 32], [8, 8], ["MatMul"]


def integers(folder, largest):
    """No quantiser's: codes of all 8 bits, multiplied as integers."""
    value = helper.make_tensor_value_info
    right = rng.integers(-largest, largest, endpoint=True, size=(64, 8)).astype(np.int8)
    nodes = [
        helper.make_node("MatMulInteger", ["x", "w", "zero"], ["sums"], "product"),
        helper.make_node("Cast", ["sums"], ["floats"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "step"], ["y"], "scale"),
    ]
    weights = [
        numpy_helper.from_array(right, "w"), numpy_helper.from_array(np.uint8(100), "zero"), weight("step", np.float32(0.01)),
    ]  # fmt: skip
    inputs, outputs = [value("x", TensorProto.UINT8, [4, 64])], [value("y", TensorProto.FLOAT, [4, 8])]
    graph = helper.make_graph(nodes, "integers", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx")
    np.savez(folder / "inputs.npz", x=rng.integers(128, 255, endpoint=True, size=(4, 64)).astype(np.uint8))


class Once(CalibrationDataReader):
    def __init__(self, feed):
        self.left = iter([feed])

    def get_next(self):
        return next(self.left, None)


def main(kind, folder):
    folder = Path(folder)
    if kind in ("integers", "small_integers"):
        return integers(folder, 127 if kind == "integers" else 63)
    nodes, weights, shape, out, ops = {"channel": channel, "channels": channels, "wide": wide}[kind]()
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, kind, [value("x", TensorProto.FLOAT, shape)], [value("y", TensorProto.FLOAT, out)], weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    feed = {"x": rng.normal(size=shape).astype(np.float32)}
    if kind == "channel":
        feed["x"][:, 0] = 0
    np.savez(folder / "inputs.npz", **feed)
    quantize_static(
        str(folder / "model.onnx"), str(folder / "quantised.onnx"), Once(feed), quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=kind == "wide",
        op_types_to_quantize=ops,
    )  # fmt: skip


main(*sys.argv[1:])
