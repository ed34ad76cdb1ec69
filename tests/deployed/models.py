"""Small models that ONNX Runtime's deployed session computes otherwise than their nodes, one by one: what each needs for that, with
data that shows it. Seeded; each function gives a model and its inputs."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F32 = TensorProto.FLOAT


def weight(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def node(op, inputs, output, domain="", **attributes):
    return helper.make_node(op, inputs, [output], name=f"{output}_{op}", domain=domain, **attributes)


def model(nodes, inputs, outputs, weights, opset=17):
    def value(name, shape, kind=F32):
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(nodes, "g", [value(*i) for i in inputs], [value(*o) for o in outputs], weights)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    built = helper.make_model(graph, opset_imports=imports)
    built.ir_version = 9
    return built


def reciprocal(rng):
    n = int(rng.integers(3, 9))
    nodes = [node("Relu", ["x"], "r"), node("Div", ["one", "r"], "i"), node("Mul", ["i", "z"], "y")]
    x, z = rng.uniform(0.5, 2, n), rng.uniform(0.5, 2, n)
    at = int(rng.integers(n))
    x[at] = z[at] = 1e-40
    return model(nodes, [("x", [n]), ("z", [n])], [("y", [n])], [weight("one", 1.0)]), {"x": x, "z": z}


def pooled_padding(rng):
    size = int(rng.integers(4, 8))
    nodes = [node("Pad", ["x", "pads"], "p"), node("MaxPool", ["p"], "m", kernel_shape=[3, 3]), node("Exp", ["m"], "y")]
    pads = weight("pads", [0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    return model(nodes, [("x", [1, 2, size, size])], [("y", None)], [pads]), {"x": -rng.uniform(0.1, 1, (1, 2, size, size))}


def gelu_of_the_largest(rng):
    nodes = [
        node("Div", ["x", "root"], "d"),
        node("Erf", ["d"], "e"),
        node("Add", ["e", "one"], "a"),
        node("Mul", ["x", "a"], "m"),
        node("Mul", ["m", "half"], "y"),
    ]
    weights = [weight("root", 1.4142135), weight("one", 1.0), weight("half", 0.5)]
    x = rng.uniform(-2, 2, 6)
    x[int(rng.integers(6))] = 3e38
    return model(nodes, [("x", [6])], [("y", [6])], weights), {"x": x}


def scaled_operand(rng):
    rows, inner, columns = (int(n) for n in rng.integers(2, 6, 3))
    nodes = [node("Mul", ["x", "s"], "m"), node("MatMul", ["m", "z"], "y")]
    feeds = {"x": rng.uniform(0.5, 1, (rows, inner)) * 1e30, "z": rng.uniform(0.5, 1, (inner, columns)) * 1e30}
    shapes = [("x", [rows, inner]), ("z", [inner, columns])]
    return model(nodes, shapes, [("y", [rows, columns])], [weight("s", 1e-30)]), feeds


def folded_scale(rng):
    nodes = [node("Conv", ["x", "k"], "c"), node("Mul", ["c", "s"], "y")]
    weights = [weight("k", rng.uniform(0.5, 1, (2, 2, 1, 1)) * 1e25), weight("s", np.full((1, 2, 1, 1), 1e20))]
    return model(nodes, [("x", [1, 2, 4, 4])], [("y", None)], weights), {"x": rng.uniform(0.5, 1, (1, 2, 4, 4)) * 1e-30}


def folded_norm(rng):
    nodes = [node("Conv", ["x", "k"], "c"), node("BatchNormalization", ["c", "g", "b", "m", "v"], "y", epsilon=0.0)]
    weights = [weight("k", rng.uniform(0.5, 1, (2, 2, 1, 1)) * 1e30)]
    weights += [weight(name, value) for name, value in zip("gbmv", ([1e15, 1], [0, 0], [0, 0], [1, 1]))]
    return model(nodes, [("x", [1, 2, 4, 4])], [("y", None)], weights), {"x": rng.uniform(0.5, 1, (1, 2, 4, 4)) * 1e-30}


def folded_small_scale(rng):
    nodes = [node("Conv", ["x", "k"], "c"), node("Mul", ["c", "s"], "m"), node("Mul", ["m", "z"], "y")]
    weights = [weight("k", rng.uniform(0.5, 1, (2, 2, 1, 1)) * 1e-25), weight("s", np.full((1, 2, 1, 1), 1e-20))]
    feeds = {"x": rng.uniform(0.5, 1, (1, 2, 4, 4)) * 1e38, "z": np.full((1, 2, 4, 4), 1e8)}
    return model(nodes, [("x", [1, 2, 4, 4]), ("z", [1, 2, 4, 4])], [("y", None)], weights), feeds


def steps_within_steps(rng):
    pair = [("s1", 0.05), ("s2", float(rng.uniform(0.25, 0.4)))]
    nodes, source = [], "x"
    for number, (scale, _) in enumerate(pair):
        nodes.append(node("QuantizeLinear", [source, scale, "zero"], f"q{number}"))
        nodes.append(node("DequantizeLinear", [f"q{number}", scale, "zero"], f"d{number}"))
        source = f"d{number}"
    nodes.append(node("Mul", [source, "k"], "y"))
    weights = [weight(name, value) for name, value in pair] + [weight("zero", 128, np.uint8), weight("k", 2.0)]
    return model(nodes, [("x", [12])], [("y", [12])], weights), {"x": rng.uniform(-7, 7, 12)}


def packed_kernel(rng):
    packed = rng.integers(0, 255, (16, 2, 16))
    product = node("MatMulNBits", ["x", "q", "s"], "y", "com.microsoft", K=64, N=16, bits=4, block_size=32, accuracy_level=4)
    weights = [weight("q", packed, np.uint8), weight("s", rng.uniform(0.01, 0.02, 32))]
    return model([product], [("x", [4, 64])], [("y", [4, 16])], weights), {"x": rng.uniform(-0.5, 0.5, (4, 64))}


def pool_of_nan(rng):
    nodes = [node("Conv", ["x", "k"], "c"), node("MaxPool", ["c"], "y", kernel_shape=[2, 2])]
    x = rng.uniform(0, 1, (1, 8, 4, 4))
    x[rng.uniform(0, 1, x.shape) > 0.9] = np.nan
    return model(nodes, [("x", [1, 8, 4, 4])], [("y", None)], [weight("k", rng.uniform(0, 1, (16, 8, 1, 1)))]), {"x": x}


def blocks_of_four_bits(rng):
    stored = helper.make_tensor("k", TensorProto.INT4, [64, 16], rng.integers(-8, 7, 64 * 16).tolist())
    nodes = [node("DequantizeLinear", ["k", "s"], "w", axis=0, block_size=32), node("MatMul", ["x", "w"], "y")]
    weights = [stored, weight("s", rng.uniform(0.01, 0.02, (2, 16)))]
    return model(nodes, [("x", [4, 64])], [("y", [4, 16])], weights, 21), {"x": rng.uniform(-0.5, 0.5, (4, 64))}


def one_among_many(rng):
    """The reciprocal again, in the middle of a model that other optimizers change too."""
    n = 8
    nodes = [
        node("MatMul", ["x", "a"], "m"),
        node("Add", ["m", "b"], "h"),
        node("Relu", ["h"], "r"),
        node("Div", ["one", "tiny"], "i"),
        node("Mul", ["i", "small"], "p"),
        node("Mul", ["p", "r"], "s"),
        node("Identity", ["s"], "t"),
        node("MatMul", ["t", "c"], "u"),
        node("Add", ["u", "d"], "y"),
    ]
    names = {"a": (n, n), "b": (n,), "c": (n, n), "d": (n,)}
    weights = [weight(name, rng.uniform(0.1, 1, shape)) for name, shape in names.items()] + [weight("one", 1.0)]
    tiny, small = rng.uniform(0.5, 1, (2, n)), rng.uniform(0.5, 1, (2, n))
    at = int(rng.integers(n))
    tiny[0, at] = small[0, at] = 1e-40
    shapes = [("x", [2, n]), ("tiny", [2, n]), ("small", [2, n])]
    return model(nodes, shapes, [("y", [2, n])], weights), {"x": rng.uniform(0.1, 1, (2, n)), "tiny": tiny, "small": small}


def of_one(middle):
    """A factor of one that is folded, behind a node that is left out: the session is refused (microsoft/onnxruntime#32413 and on)."""
    nodes = [
        middle,
        node("Div", ["one", "uno"], "f"),
        node("Mul", ["mid", "f"], "w"),
        node("Add", ["w", "zero"], "y"),
    ]
    return model(nodes, [("x", [4])], [("y", [4])], [weight("one", 1.0), weight("uno", 1.0), weight("zero", 0.0)])


def identity_of_one(rng):
    return of_one(node("Identity", ["x"], "mid")), {"x": rng.uniform(0, 1, 4)}


def dropout_of_one(rng):
    return of_one(node("Dropout", ["x"], "mid")), {"x": rng.uniform(0, 1, 4)}


def cast_of_one(rng):
    return of_one(node("Cast", ["x"], "mid", to=F32)), {"x": rng.uniform(0, 1, 4)}


KINDS = [
    reciprocal,
    pooled_padding,
    gelu_of_the_largest,
    scaled_operand,
    folded_scale,
    folded_norm,
    folded_small_scale,
    steps_within_steps,
    packed_kernel,
    pool_of_nan,
    blocks_of_four_bits,
    one_among_many,
    identity_of_one,
    dropout_of_one,
    cast_of_one,
]
