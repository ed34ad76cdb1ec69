"""How quantised models are judged: Q/DQ on one or both sides, dynamic quantisation, and what INT8 noise may not hide.
The models of the static quantiser, names and all, are in `second_file`."""

import numpy as np

from .case import against_file, introduces
from .graph import F32, Graph, Random, model


def cases():
    return [
        same_qdq_scale_off(),
        dynamic_quantised(),
        row_lost_under_noise(),
    ]


def requantise(g, tensor, step):
    """`tensor` through an INT8 Q/DQ pair, symmetric, per tensor."""
    operands = [g.weight(f"{tensor}_scale", step), g.weight(f"{tensor}_zero_point", 0, np.int8)]
    quantised, target = f"{tensor}_QuantizeLinear_Output", f"{tensor}_DequantizeLinear_Output"
    g.node(f"{tensor}_QuantizeLinear", "QuantizeLinear", tensor, *operands, out=quantised)
    return g.node(f"{tensor}_DequantizeLinear", "DequantizeLinear", quantised, *operands, out=target)


def int8_weight(g, name, value, spoil=1.0):
    """`value` in INT8 with a step for each column; the file says `spoil` times these steps."""
    steps = np.abs(value).max(axis=0) / np.float32(127)
    stored = g.weight(f"{name}_quantized", np.rint(value / steps), np.int8)
    scales = g.weight(f"{name}_scale", steps * spoil)
    zeros = g.weight(f"{name}_zero_point", np.zeros(len(steps)), np.int8)
    out = f"{name}_DequantizeLinear_Output"
    return g.node(f"{name}_DequantizeLinear", "DequantizeLinear", stored, scales, zeros, out=out, axis=1)


def same_qdq_scale_off():
    rng = Random(82)
    weights = [rng.uniform(-0.5, 0.5, 8, 8) for _ in range(3)]

    def built(candidate):
        g = Graph("quantised_mlp")
        source = requantise(g, g.input("x", [4, 8]), 1 / 127)
        for i, weight in enumerate(weights):
            stored = int8_weight(g, f"fc{i}_w", weight, 1.1 if candidate and i == 1 else 1)
            source = requantise(g, g.node(f"relu{i}", "Relu", g.node(f"fc{i}", "MatMul", source, stored)), 2 / 127)
        g.output(g.node("last", "Identity", source, out="y"), [4, 8])
        return model(g)

    return against_file(
        "same_qdq_scale_off",
        "Wrong outputs: the same QDQ model on both sides, but one weight's scales are 10 % too large.",
        built,
        {"x": rng.uniform(-1, 1, 4, 8)},
        [introduces("fc1_w_DequantizeLinear")],
        outputs={"y": "diverges"},
    )


def dynamic_quantised():
    rng = Random(83)
    first, second = rng.uniform(-0.5, 0.5, 16, 24), rng.uniform(-0.5, 0.5, 24, 8)

    def dense(g, name, source, weight, candidate, out=None):
        """MatMul, or what dynamic quantisation makes of it."""
        if not candidate:
            return g.dense(name, source, weight, out=out)
        step = np.abs(weight).max() / np.float32(127)
        stored = g.weight(f"{name}_w_quantized", np.rint(weight / step), np.int8)
        parts = [f"{source}_quantized", f"{source}_scale", f"{source}_zero_point"]
        g.node(f"{name}_quantise", "DynamicQuantizeLinear", source, out=parts)
        zero = g.weight(f"{name}_w_zero_point", 0, np.int8)
        product = g.node(f"{name}_integer", "MatMulInteger", parts[0], stored, parts[2], zero)
        scale = g.node(f"{name}_scale", "Mul", parts[1], g.weight(f"{name}_w_scale", step))
        return g.node(f"{name}_float", "Mul", g.node(f"{name}_cast", "Cast", product, to=F32), scale, out=out)

    def built(candidate):
        g = Graph("dynamic_mlp")
        hidden = dense(g, "fc1", g.input("x", [4, 16]), first, candidate, out="fc1_out")
        dense(g, "fc2", g.node("relu", "Relu", hidden), second, candidate, out="y")
        g.output("y", [4, 8])
        return model(g)

    return against_file(
        "dynamic_quantised",
        "Right outputs: dynamic quantisation, recognised by its integer products; no Q/DQ pair is there.",
        built,
        {"x": rng.uniform(-1, 1, 4, 16)},
        [],
        outputs={"y": "agrees"},
    )


def row_lost_under_noise():
    rng = Random(84)
    weight, gains = rng.uniform(-0.5, 0.5, 16, 64), rng.uniform(0.5, 1.5, 64, 1)
    lost = np.where(np.arange(64) == 37, 0, gains[:, 0])[:, None]

    def built(candidate):
        g = Graph("one_row")
        x = g.input("x", [8, 16])
        if candidate:
            product = g.node("fc", "MatMul", requantise(g, x, 1 / 127), int8_weight(g, "fc_w", weight))
        else:
            product = g.dense("fc", x, weight)
        rows = g.node("rows", "Transpose", product, perm=[1, 0])
        scaled = g.node("gain", "Mul", rows, g.weight("gains", lost if candidate else gains))
        g.output(g.node("tanh", "Tanh", scaled, out="y"), [64, 8])
        return model(g)

    return against_file(
        "row_lost_under_noise",
        "Dead row: 1 of 64 is 0, and the error of the tensor as a whole is as small as that of a healthy INT8 model.",
        built,
        {"x": rng.uniform(-1, 1, 8, 16)},
        [introduces("gain")],
        outputs={"y": "diverges"},
    )
