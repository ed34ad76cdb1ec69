"""What the session of ONNX Runtime that people deploy makes of a model, and the plain one does not: graph optimisation, and the
packing of weights."""

import numpy as np

from .case import Case, against_file, introduces, region
from .graph import Graph, Random, model

CONTRIB = [("com.microsoft", 1)]


def cases():
    return [fused_division(), packed_four_bits()]


def fused_division():
    """1/x * y becomes y/x: where 1/x overflows, the fused one does not."""
    rng, g = Random(91), Graph("fused_division")
    x, y = g.input("x", [1, 8]), g.input("y", [1, 8])
    before = g.node("before", "Abs", x)
    inverse = g.node("inverse", "Div", g.weight("one", 1.0), before)
    g.node("times", "Mul", y, inverse, out="z")
    g.output("z", [1, 8])
    tiny = rng.uniform(0.5, 1.5, 1, 8)
    tiny[0, 3] = 1e-40
    other = rng.uniform(0.5, 1.5, 1, 8)
    other[0, 3] = 1e-40
    return Case(
        "fused_division",
        "Wrong outputs: in the session that is deployed 1/x * y is y/x, and what overflows in the model does not there.",
        model(g),
        [{"x": tiny, "y": other}],
        [region(["inverse", "times"])],
        candidate="ort",
    )


def packed_four_bits():
    """accuracy_level 4 quantises activations, in a kernel that exists only for packed weights."""
    rng = Random(92)
    packed = np.floor(rng.uniform(0, 256, 16, 2, 16)).astype(np.uint8)
    scales = rng.uniform(0.01, 0.02, 32)
    weight = rng.uniform(-0.5, 0.5, 16, 8)

    def built(candidate):
        g = Graph("packed_four_bits")
        x = g.node("relu", "Relu", g.input("x", [4, 64]))
        operands = [g.weight("fc_q", packed, np.uint8), g.weight("fc_s", scales)]
        level = {"accuracy_level": 4} if candidate else {}
        shape = {"K": 64, "N": 16, "bits": 4, "block_size": 32}
        fc = g.node("fc", "MatMulNBits", x, *operands, domain="com.microsoft", **shape, **level)
        g.output(g.node("head", "MatMul", fc, g.weight("head_w", weight), out="y"), [4, 8])
        return model(g, domains=CONTRIB)

    return against_file(
        "packed_four_bits",
        "Wrong outputs: a 4-bit product with accuracy_level 4, whose kernel only the session that is deployed has.",
        built,
        {"x": rng.uniform(-1, 1, 4, 64)},
        [introduces("fc")],
        args=["--atol", "1e-3", "--rtol", "1e-3"],
    )
