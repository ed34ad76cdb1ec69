"""Tiny models that kill ONNX Runtime 1.31.1, and where the crash sits: () -> Crash. Runs nothing; crashers.py asks layerdiff.

Most were found by giving each operator that the library knows odd attributes, shapes and absent inputs, thousands a minute, in
processes that may die. The node that crashes is called `crash`.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LOWEST = -(2**63)


@dataclass
class Crash:
    name: str
    # reference, candidate, or a trial: culprit, reduction, cure. Which run of layerdiff dies.
    place: str
    model: onnx.ModelProto
    feeds: dict
    # The candidate's model, where it is another one.
    other: onnx.ModelProto | None = None
    # What the library dies of; `panic` where it is the Rust crate around it.
    signal: str = "SIGABRT"
    # The node that the sentence must name: none where the library dies while it loads.
    node: str | None = "crash"
    candidate: str = "ort"
    # Who is to blame all the same, where only a trial dies.
    culprit: str = "crash"


def catalogue():
    yield from references()
    yield from candidates()
    yield from trials()


# ---- the user's model


def references():
    x = lambda value: {"x": value}
    w = lambda value, name="w": weight(name, value)
    # Integer division traps where the quotient does not fit.
    yield reference("div int64", node("Div", "x w"), x(ints(LOWEST, 7)), [w(ints(-1, 2))], "SIGFPE")
    yield reference("mod int64", node("Mod", "x w"), x(ints(LOWEST, 7)), [w(ints(-1, 2))], "SIGFPE")
    empty = node("QuantizeLinear", "x w", block_size=1)
    yield reference("quantise empty blocks", empty, x(floats(1, 0)), [w(floats(1, 0))], "SIGFPE", opset=23)
    # While the model loads: shape inference, constant folding, inlining.
    huge = node("DepthToSpace", "x", blocksize=2**62)
    yield reference("depth to huge space", huge, x(floats(1, 2, 4, 4)), [], "SIGFPE", loading=True)
    before = node("GatherND", "x w", batch_dims=-(2**31))
    indices = [w(ints(0, 1, 2, 3).reshape(1, 4))]
    yield reference("gather nd from before", before, x(floats(2, 3, 4)), indices, "SIGSEGV", 12, loading=True)
    nothing = [w(floats(1, 0), "depth"), w(floats(0))]
    yield reference(
        "one hot of nothing", node("OneHot", "x depth w", axis=1), x(floats(1)), nothing, opset=9, loading=True
    )
    sigmoid = contrib("QLinearSigmoid", "x scale zero scale")
    given = [w(np.float32(1), "scale"), w(codes(1), "zero")]
    yield reference("quantised sigmoid of three", sigmoid, x(codes(1, 4)), given, loading=True)
    yield Crash("functions 3000 deep", "reference", calls(3000), x(floats(2)), None, "SIG", None, "ort:fp16")
    # While it runs.
    yield reference("max of an absent one", node("Max", ["x", ""]), x(floats(2, 3)), [], "SIGSEGV")
    yield reference("mean of an absent one", node("Mean", ["x", ""]), x(floats(2, 3)), [], "SIGSEGV")
    yield reference("uniform upside down", node("RandomUniformLike", "x", low=1.0, high=-1.0), x(floats(1, 4)))
    yield reference("normal of negative width", node("RandomNormalLike", "x", scale=-1.0), x(floats(4)))
    yield reference(
        "affine grid of no sizes",
        node("AffineGrid", "x w"),
        x(floats(1, 1, 4)),
        [w(np.int64(2))],
        opset=20,
        known=False,
    )
    yield reference(
        "sequence of a scalar",
        node("ReverseSequence", "x w"),
        x(np.float32(1)),
        [w(ints(64).reshape([1] * 5))],
        known=False,
    )


def reference(name, crash, feeds, weights=(), how="SIGABRT", opset=17, loading=False, known=True):
    model = graph([crash], feeds, weights, opset, known=known)
    return Crash(name, "reference", model, feeds, None, how, None if loading else "crash", "ort:fp16")


# ---- the candidate alone


def candidates():
    yield candidate("candidate: min of an absent one", node("Min", ["h", ""]), how="SIGSEGV")
    yield candidate("candidate: sum of an absent one", node("Sum", ["h", ""]), how="SIGSEGV")
    grid = node("AffineGrid", "h w")
    yield candidate("candidate: affine grid", grid, [weight("w", np.int64(2))], floats(1, 1, 4), opset=20)
    window = [weight("w", ints(64, 2)), weight("length", ints(0))]
    yield candidate("candidate: spectrum", node("STFT", ["h", "w", "", "length"]), window, np.float32(0.5))
    where = contrib("QLinearWhere", "c h one zero k one zero one zero")
    given = [weight("c", np.ones((1, 8, 4, 4), bool)), weight("one", np.ones((1, 0), np.float32))]
    given += [weight("zero", np.ones(1, np.int8)), weight("k", np.ones((1, 8, 4, 4), np.int8))]
    yield candidate("candidate: quantised where", where, given, np.ones((1, 4), np.int8), "SIGSEGV")
    channels = node("ConvInteger", ["h", "w", ""], group=4, auto_pad="")
    yield candidate("candidate: convolution of no axes", channels, [weight("w", codes(16))], codes(1))
    # In FP16 the product is infinite, and the integer made of it is the lowest: only the candidate divides that.
    feeds = {"x": np.float32([300.0, 2.0])}
    steps = [step("Mul", "x x", "h", "square"), step("Cast", "h", "whole", "whole", to=TensorProto.INT64)]
    steps += [
        step("Div", "whole minus", "quotient", "crash"),
        step("Cast", "quotient", "y", "back", to=TensorProto.FLOAT),
    ]
    model = graph(steps, feeds, [weight("minus", ints(-1))])
    yield Crash("candidate: overflow in FP16", "candidate", model, feeds, None, "SIGFPE", "crash", "ort:fp16")


def candidate(name, crash, weights=(), value=None, how="SIGABRT", opset=17):
    """x -> Identity -> h -> Identity -> y in the reference; the last node of the candidate is another."""
    feeds = {"x": floats(2, 3) if value is None else value}
    first = step("Identity", "x", "h", "first")
    good = graph([first, node("Identity", "h")], feeds, opset=opset, known=False)
    return Crash(name, "candidate", good, feeds, graph([first, crash], feeds, weights, opset, known=False), how)


# ---- what only a part of the model does, or the model with other data


def trials():
    yield alone()
    yield window_of_convolution()
    yield from resized()
    yield cut_sequence()
    yield cut_spectrum()
    yield guarded_division()
    yield half_cured()


def alone():
    """A function that divides what is nearly the lowest integer; the reference's is exactly that. Each is fine in its own
    model; the candidate's node on the reference's input is not."""
    feeds = {"x": np.float32([-1.0, 0.25])}
    name = lambda body, last: [*body, step("Mul", f"{last} slope", "b", "out")]
    exact = [step("Neg", "a", "n", "n")]
    divided = [
        step("Cast", "a", "i", "i", to=TensorProto.INT64),
        step("Div", "i minus", "q", "q"),
        step("Cast", "q", "n", "n", to=TensorProto.FLOAT),
    ]
    value = lambda n, v: helper.make_node("Constant", [], [n], n, value=numpy_helper.from_array(np.asarray(v)))
    consts = lambda slope: [value("minus", ints(-1)), value("slope", np.float32(slope))]

    def model(factor, body, slope):
        ops = [helper.make_opsetid("", 17)]
        function = helper.make_function("own", "F", ["a"], ["b"], name([*consts(slope), *body], "n"), ops)
        nodes = [step("Mul", "x factor", "h", "large"), helper.make_node("F", ["h"], ["y"], "crash", domain="own")]
        return graph(nodes, feeds, [weight("factor", np.float32(factor))], functions=[function])

    good, bad = model(2.0**63, exact, 1.0), model(2.0**63 * (1 - 2**-22), divided, 1.5)
    return Crash("culprit on the reference's input", "culprit", good, feeds, bad, "SIGFPE")


def window_of_convolution():
    """Other weights in a convolution whose window is large: pictures cut smaller than it have negative shapes."""
    feeds = {"x": spread(1, 2, 9, 9)}
    kernel = spread(2, 2, 5, 5)
    model = lambda k: graph([step("Relu", "x", "h", "relu"), node("Conv", "h w")], feeds, [weight("w", k)])
    return Crash("picture below the window", "reduction", model(kernel), feeds, model(kernel * 1.5), "panic")


def resized():
    """Scales are as many as axes: one that is cut away ends the process in shape inference."""
    feeds = {"x": spread(1, 2, 6, 6)}
    scales = [weight("w", np.float32([1, 1, 2, 2]))]
    for op, inputs, opset in [("Resize", ["h", "", "w"], 13), ("Upsample", ["h", "w"], 9)]:
        model = lambda mode: graph([step("Relu", "x", "h", "relu"), node(op, inputs, mode=mode)], feeds, scales, opset)
        yield Crash(f"scales of {op}", "reduction", model("nearest"), feeds, model("linear"))


def cut_sequence():
    """As many lengths as sequences: cut apart, the library's own assertion fails."""
    feeds = {"x": spread(8, 6, 3), "w": ints(8, 7, 6, 5, 4, 3)}
    model = lambda factor: graph(
        [step("Mul", "x f", "h", "scale"), step("ReverseSequence", "h w", "r", "reverse"), node("Mul", "r g")],
        feeds,
        [weight("f", np.float32(1)), weight("g", np.float32(factor))],
    )
    return Crash("lengths of sequences", "reduction", model(1.0), feeds, model(1.5))


def cut_spectrum():
    """A signal that is shorter than its window."""
    feeds = {"x": spread(1, 64, 1)}
    model = lambda factor: graph(
        [node("STFT", ["x", "hop", "w", "length"])],
        feeds,
        [weight("hop", np.int64(8)), weight("w", np.float32(np.hanning(16) * factor)), weight("length", np.int64(16))],
    )
    return Crash("window of a spectrum", "reduction", model(1.0), feeds, model(1.5))


def guarded_division():
    """The lowest integer is never divided by -1, as long as nobody takes the operands apart."""
    feeds = {"x": ints(LOWEST, 9, 12), "d": ints(1, -1, 3)}
    steps = lambda factor: [
        step("Div", "x d", "q", "divide"),
        step("Cast", "q", "f", "cast", to=TensorProto.FLOAT),
        node("Mul", "f g"),
    ]
    model = lambda factor: graph(steps(factor), feeds, [weight("g", np.float32(factor))])
    return Crash("operands taken apart", "reduction", model(1.0), feeds, model(1.5), "SIGFPE")


def half_cured():
    """Two sums that FP16 rounds alike: their difference is 0. With one of them in FP32 it is 1, and that makes a divisor -1."""
    feeds = {"x": np.float32([1.0, 1.0])}
    steps = [
        step("Add", "x c", "p", "sum"),
        step("Add", "x c2", "q", "other"),
        step("Sub", "p q", "difference", "difference"),
        step("Cast", "difference", "whole", "whole", to=TensorProto.INT64),
        step("Mul", "whole two", "twice", "twice"),
        step("Sub", "one twice", "divisor", "divisor"),
        step("Div", "lowest divisor", "quotient", "crash"),
        step("Cast", "quotient", "z", "back", to=TensorProto.FLOAT),
        step("Sub", "p c", "y", "rest"),
        step("Sub", "q c2", "v", "rest2"),
    ]
    weights = [weight("c", np.float32(2048)), weight("c2", np.float32([2048, 2048])), weight("two", ints(2))]
    weights += [weight("one", ints(1)), weight("lowest", ints(LOWEST))]
    return Crash(
        "half of a cure",
        "cure",
        graph(steps, feeds, weights, outputs="y v z"),
        feeds,
        None,
        "SIGFPE",
        "crash",
        "ort:fp16",
        "back",
    )


# ---- small tools


def graph(nodes, feeds, weights=(), opset=17, functions=(), outputs="y", known=True):
    """`known`: the model says the shapes of its inputs, so that shape inference sees what is odd."""
    kind = lambda v: helper.np_dtype_to_tensor_dtype(np.asarray(v).dtype)
    inputs = [helper.make_tensor_value_info(n, kind(v), np.shape(v) if known else None) for n, v in feeds.items()]
    handed_out = [onnx.ValueInfoProto(name=o) for o in outputs.split()]
    body = helper.make_graph(nodes, "crash", inputs, handed_out, list(weights))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9, functions=list(functions))


def step(op, inputs, output, name, domain="", **attributes):
    inputs = inputs.split() if isinstance(inputs, str) else inputs
    return helper.make_node(op, inputs, [output], name, domain=domain, **attributes)


def node(op, inputs, **attributes):
    return step(op, inputs, "y", "crash", **attributes)


def contrib(op, inputs, **attributes):
    return node(op, inputs, domain="com.microsoft", **attributes)


def calls(depth):
    """A function that calls a function that calls ..."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = lambda i: step(f"F{i + 1}", "a", "b", "call", domain="own") if i < depth else step("Relu", "a", "b", "call")
    functions = [helper.make_function("own", f"F{i}", ["a"], ["b"], [body(i)], opsets) for i in range(depth + 1)]
    return graph([node("F0", "x", domain="own")], {"x": floats(2)}, functions=functions)


def weight(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def floats(*shape):
    return np.full(shape, 0.5, np.float32)


def spread(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def codes(*shape):
    return np.ones(shape, np.uint8)
