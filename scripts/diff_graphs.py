"""Small models of many operators, each in any opset from 9 on: the same seed gives the same names, wires and weights in every opset.

What became an input in a later opset is an attribute before it, and operators that a model of an older opset has not are
left out of it by `fitting`. Nothing is spoilt or judged here.
"""

import random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"
OWN = "local.blocks"
ROWS, STEPS, WIDTH, CHANNELS, SIDE = 3, 5, 8, 4, 6


class Builder:
    """A graph that grows; the names are those of some exporter."""

    def __init__(self, seed, opset):
        self.seed, self.opset = seed, opset
        self.style = random.Random(f"{seed}/style").choice(["torch", "plain", "keras", "fx"])
        self.nodes, self.stored, self.inputs, self.outputs, self.functions = [], [], [], [], []
        self.feeds, self.count, self.block, self.domains, self.taken = {}, 0, "in", set(), set()

    def rng(self, name):
        """Of this block and name, whatever was drawn before."""
        return random.Random(f"{self.seed}/{self.block}/{name}")

    def named(self, kind):
        self.count += 1
        n = self.count
        styles = {"torch": f"/{self.block}/{kind}_{n}", "plain": f"n{n}", "keras": f"model/{self.block}/{kind}_{n}"}
        return styles.get(self.style, f"{kind.lower()}_{n}")

    def op(self, kind, inputs, attributes=None, outputs=1, domain=""):
        """A node; its output, or a list of them."""
        name = self.named(kind)
        ends = {"torch": "_output_{}", "plain": "_t{}", "keras": ":{}"}.get(self.style, "_val_{}")
        names = [name + ends.format(i) for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **(attributes or {})))
        if domain:
            self.domains.add(domain)
        return names[0] if outputs == 1 else names

    def const(self, name, value):
        """A value of the file: mostly an initializer, else a Constant."""
        value = np.asarray(value)
        full = f"{self.block}.{name}.{self.count}"
        while full in self.taken:
            full += "b"
        self.taken.add(full)
        if self.rng(full).random() < 0.7:
            self.stored.append(numpy_helper.from_array(value, full))
        else:
            held = numpy_helper.from_array(value, "")
            self.nodes.append(helper.make_node("Constant", [], [full], name=f"{full}/Constant", value=held))
        return full

    def weight(self, name, shape, scale=None):
        rng = np.random.default_rng(self.rng(f"{name}{shape}").randrange(2**32))
        size = scale or (np.prod(shape[:-1]) ** -0.5 if len(shape) == 2 else 0.5)
        return self.const(name, (rng.standard_normal(shape) * size).astype(np.float32))

    def scalar(self, value, dtype=np.float32):
        return self.const("c", np.array(value, dtype))

    def settled(self, kind, x, since, settings, attributes=None, outputs=1):
        """A node whose settings became inputs in opset `since`: [(name, value)], None where it is left out."""
        if self.opset < since:
            one = {"k"}
            written = {name: value[0] if name in one else value for name, value in settings if value is not None}
            return self.op(kind, [x], {**written, **(attributes or {})}, outputs)
        names = []
        for name, value in settings:
            kept = "" if value is None else self.const(name, np.asarray(value, np.float32 if isinstance(value, float) else np.int64))
            names.append(kept)
        while names and not names[-1]:
            names.pop()
        return self.op(kind, [x, *names], attributes, outputs)

    def reduced(self, kind, x, axes):
        since = 13 if kind == "ReduceSum" else 18
        return self.settled(kind, x, since, [("axes", axes)], {"keepdims": 1})

    def given(self, name, value):
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
        self.feeds[name] = value
        return name

    def model(self):
        own = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in sorted(self.domains))]
        graph = helper.make_graph(self.nodes, "main", self.inputs, self.outputs, self.stored)
        ir = 8 if self.opset < 19 else 10
        return helper.make_model(graph, opset_imports=own, ir_version=ir, functions=self.functions, producer_name="blocks")


# ---- blocks of any shape: they keep it, and work on the last axis


def activation(g, x):
    able = [("Relu", {}), ("LeakyRelu", {"alpha": 0.2}), ("Elu", {}), ("Sigmoid", {}), ("Tanh", {}), ("Selu", {}), ("Softplus", {})]
    able += [("HardSigmoid", {"alpha": 0.25}), ("ThresholdedRelu", {"alpha": 0.1})]
    kind, attributes = g.rng("activation").choice(able)
    return g.op(kind, [x], attributes)


def dense(g, x, shape):
    y = g.op("Add", [g.op("MatMul", [x, g.weight("w", (shape[-1],) * 2)]), g.weight("b", (shape[-1],))])
    return activation(g, y)


def residual(g, x, shape):
    y = g.op("MatMul", [x, g.weight("w", (shape[-1],) * 2)])
    kind = g.rng("kind").choice(["Sub", "Add", "Mul", "Div"])
    if kind == "Div":
        y = g.op("Add", [g.op("Abs", [y]), g.scalar(1.0)])
    return g.op(kind, [x, y])


def layer_norm(g, x, shape):
    centred = g.op("Sub", [x, g.reduced("ReduceMean", x, [-1])])
    variance = g.reduced("ReduceMean", g.op("Mul", [centred, centred]), [-1])
    scaled = g.op("Div", [centred, g.op("Sqrt", [g.op("Add", [variance, g.scalar(1e-3)])])])
    return g.op("Add", [g.op("Mul", [scaled, g.weight("gamma", shape[-1:], 1.0)]), g.weight("beta", shape[-1:])])


def layer_norm_node(g, x, shape):
    return g.op("LayerNormalization", [x, g.weight("gamma", shape[-1:], 1.0), g.weight("beta", shape[-1:])], {"epsilon": 1e-3})


def gelu(g, x, _):
    half = g.op("Mul", [x, g.scalar(0.5)])
    return g.op("Mul", [half, g.op("Add", [g.op("Erf", [g.op("Div", [x, g.scalar(1.4142135)])]), g.scalar(1.0)])])


def gelu_node(g, x, _):
    return g.op("Gelu", [x], {"approximate": "tanh"} if g.rng("kind").random() < 0.5 else {})


def hard_swish(g, x, _):
    return g.op("HardSwish", [x])


def gate(g, x, shape):
    y = g.op(g.rng("kind").choice(["Softmax", "LogSoftmax"]), [g.op("Mul", [x, g.scalar(2.0)])], {"axis": len(shape) - 1})
    return g.op("Add", [x, y])


def spread(g, x, shape):
    """An operator whose text means something else from opset 13 on; only where that is wanted."""
    kind = g.rng("kind").choice(["Softmax", "LogSoftmax", "Hardmax"])
    return g.op("Add", [x, g.op(kind, [g.op("Mul", [x, g.scalar(2.0)])], g.rng("axis").choice([{}, {"axis": 1}]))])


def clip(g, x, _):
    low, high = g.rng("low").choice([(-1.0, 1.0), (0.0, 0.9), (-0.5, None), (None, 0.7)])
    return g.settled("Clip", x, 11, [("min", low), ("max", high)])


def sums(g, x, shape):
    kind = g.rng("kind").choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"])
    axis = g.rng("axis").choice([-1, len(shape) - 1])
    return g.op("Sub", [x, g.op("Mul", [g.reduced(kind, x, [axis]), g.scalar(0.3)])])


def parts(g, x, shape):
    half = shape[-1] // 2
    a, b = g.settled("Split", x, 13, [("split", [half, shape[-1] - half])], {"axis": len(shape) - 1}, 2)
    return g.op("Concat", [g.op("Tanh", [a]), g.op("Mul", [b, g.scalar(0.7)])], {"axis": len(shape) - 1})


def thirds(g, x, shape):
    axis, width = len(shape) - 1, shape[-1]
    cut = g.settled("Slice", x, 10, [("starts", [1]), ("ends", [width]), ("axes", [axis])])
    pads = [0] * len(shape) + [0] * axis + [1]
    mode = g.rng("mode").choice(["constant", "reflect", "edge"])
    return g.op("Add", [x, g.settled("Pad", cut, 11, [("pads", pads), ("value", 0.25)], {"mode": mode})])


def top(g, x, shape):
    best, at = g.settled("TopK", x, 10, [("k", [3])], {"axis": len(shape) - 1}, 2)
    y = g.op("Add", [best, g.op("Mul", [g.op("Cast", [at], {"to": 1}), g.scalar(0.1)])])
    return g.op("Add", [x, g.op("MatMul", [y, g.weight("w", (3, shape[-1]))])])


def chosen(g, x, shape):
    y = g.op("Mul", [x, g.weight("s", shape[-1:])])
    over = g.op(g.rng("kind").choice(["Greater", "Less"]), [x, y])
    return g.op("Where", [over, x, g.op("Tanh", [y])])


def squeezed(g, x, shape):
    y = g.settled("Unsqueeze", x, 13, [("axes", [1])])
    y = g.op("Mul", [y, g.weight("m", (2,) + (1,) * (len(shape) - 1))])
    y = g.reduced("ReduceSum", y, [1])
    return g.settled("Squeeze", y, 13, [("axes", [1])])


def winner(g, x, shape):
    at = g.op("ArgMax", [x], {"axis": len(shape) - 1, "keepdims": 1})
    return g.op("Add", [x, g.op("Mul", [g.op("Cast", [at], {"to": 1}), g.scalar(0.2)])])


def counted(g, x, _):
    whole = g.op("Cast", [g.op("Mul", [x, g.scalar(300.0)])], {"to": TensorProto.INT64})
    if g.rng("more").random() < 0.5:
        whole = g.op("Add", [whole, g.scalar(7, np.int64)])
    return g.op("Add", [x, g.op("Mul", [g.op("Cast", [whole], {"to": 1}), g.scalar(1e-3)])])


def dropped(g, x, _):
    return g.op("Mul", [g.settled("Dropout", x, 12, [("ratio", 0.3)]), g.scalar(1.25)])


def powers(g, x, _):
    y = g.op("Add", [g.op("Abs", [x]), g.scalar(0.5)])
    return g.op("Pow", [y, g.op("Add", [g.op("Sigmoid", [x]), g.scalar(0.4)])])


def looked_up(g, x, shape):
    table = g.weight("table", (11, shape[-1]), 1.0)
    ids = g.given(f"ids_{g.block}", np.random.default_rng(3).integers(0, 11, shape[:-1]))
    return g.op("Add", [x, g.op("Gather", [table, ids])])


def running(g, x, shape):
    return g.op("Mul", [g.op("CumSum", [x, g.scalar(len(shape) - 1, np.int64)]), g.scalar(0.3)])


def einsum(g, x, shape):
    letters = "abcdef"[: len(shape)]
    text = f"{letters},{letters[-1]}z->{letters[:-1]}z"
    return g.op("Einsum", [x, g.weight("w", (shape[-1],) * 2)], {"equation": text})


def branches(g, x, _):
    total = g.op("ReduceSum", [g.op("Abs", [x])], {"keepdims": 0})
    over = g.op("Greater", [total, g.scalar(0.5)])
    then = body(g, [("Tanh", ["x"], "p"), ("Mul", ["p", "half"], "q"), ("Sub", ["x", "q"], "r")], x, ["q", "r"], "then")
    other = body(g, [("Relu", ["x"], "p"), ("Mul", ["p", "half"], "q"), ("Sub", ["q", "x"], "r")], x, ["q", "r"], "else")
    a, b = g.op("If", [over], {"then_branch": then, "else_branch": other}, 2)
    return g.op("Add", [a, g.op("Mul", [b, g.scalar(0.4)])])


def body(g, steps, x, outputs, name):
    """A body that reads `x` from outside, and a constant of its own."""
    own = lambda n: x if n == "x" else f"{g.block}.{name}.{n}"
    nodes = [helper.make_node(k, [own(i) for i in ins], [own(out)], name=own(f"{k}_{out}")) for k, ins, out in steps]
    half = numpy_helper.from_array(np.float32(0.45), own("half"))
    infos = [helper.make_tensor_value_info(own(o), 1, None) for o in outputs]
    return helper.make_graph(nodes, f"{g.block}.{name}", [], infos, [half])


def looped(g, x, shape):
    own = lambda n: f"{g.block}.loop.{n}"
    weight = g.weight("w", (shape[-1],) * 2)
    nodes = [("Identity", ["cond"], "go"), ("MatMul", ["s", weight], "m"), ("Tanh", ["m"], "t"), ("Sub", ["s", "t"], "u"),
             ("Mul", ["u", "k"], "next"), ("Add", ["v", "t"], "sum")]
    named = lambda i: i if i == weight else own(i)
    made = [helper.make_node(k, [named(i) for i in ins], [own(out)], name=own(f"{k}_{out}")) for k, ins, out in nodes]
    info = helper.make_tensor_value_info
    ins = [info(own("i"), 7, []), info(own("cond"), 9, []), info(own("s"), 1, None), info(own("v"), 1, None)]
    outs = [info(own("go"), 9, []), info(own("next"), 1, None), info(own("sum"), 1, None)]
    inner = helper.make_graph(made, own("body"), ins, outs, [numpy_helper.from_array(np.float32(0.8), own("k"))])
    start = g.op("Mul", [x, g.scalar(0.1)])
    a, b = g.op("Loop", [g.scalar(3, np.int64), g.scalar(True, np.bool_), x, start], {"body": inner}, 2)
    return g.op("Sub", [a, g.op("Mul", [b, g.scalar(0.3)])])


def called(g, x, shape):
    """A function of the model's own."""
    nodes = [("Mul", ["X", "W"], "a"), ("Sigmoid", ["a"], "b"), ("Mul", ["X", "b"], "c"), ("Sub", ["c", "a"], "Y")]
    made = [helper.make_node(k, ins, [out], name=f"{k}_{out}") for k, ins, out in nodes]
    kind = f"Swish_{g.block}"
    g.functions.append(helper.make_function(OWN, kind, ["X", "W"], ["Y"], made, [helper.make_opsetid("", g.opset)]))
    return g.op(kind, [x, g.weight("w", shape[-1:])], domain=OWN)


def contrib(g, x, shape):
    rng = g.rng("kind")
    kind = rng.choice(["Gelu", "FastGelu", "QuickGelu", "BiasGelu", "FusedMatMul", "SkipLayerNormalization"])
    if kind == "FusedMatMul":
        return g.op(kind, [x, g.weight("w", (shape[-1],) * 2)], {"alpha": 0.8, "transB": 1}, domain=MS)
    if kind == "SkipLayerNormalization" and len(shape) == 3:
        more = [g.op("Tanh", [x]), g.weight("gamma", shape[-1:], 1.0), g.weight("beta", shape[-1:])]
        return g.op(kind, [x, *more], {"epsilon": 1e-3}, domain=MS)
    if kind == "BiasGelu":
        return g.op(kind, [x, g.weight("b", shape[-1:])], domain=MS)
    return g.op(kind if "Skip" not in kind else "QuickGelu", [x], {"alpha": 1.3} if "Q" in kind or "Skip" in kind else {}, domain=MS)


def quantised(g, x, shape):
    """Codes on a grid that float32 holds exactly, per channel."""
    width = shape[-1]
    rng = np.random.default_rng(g.rng("codes").randrange(2**32))
    codes = rng.integers(-100, 100, (width, width)).astype(np.int8)
    scale = (2.0 ** rng.integers(-9, -7, width)).astype(np.float32)
    points = rng.integers(-5, 5, width).astype(np.int8)
    names = [g.const("codes", codes), g.const("scale", scale), g.const("zero", points)]
    return g.op("MatMul", [x, g.op("DequantizeLinear", names, {"axis": 1})])


def on_grid(g, x, shape):
    """A float weight whose values are multiples of 1 / 512."""
    rng = np.random.default_rng(g.rng("grid").randrange(2**32))
    w = g.const("w", (rng.integers(-120, 120, (shape[-1],) * 2) / 512).astype(np.float32))
    return g.op("MatMul", [x, w])


# ---- of sequences [rows, steps, width]


def attention(g, x, shape):
    q, k, v = (g.op("MatMul", [x, g.weight(n, (shape[-1],) * 2)]) for n in "qkv")
    scores = g.op("MatMul", [q, g.op("Transpose", [k], {"perm": [0, 2, 1]})])
    soft = g.op("Softmax", [g.op("Div", [scores, g.scalar(2.8)])], {"axis": 2})
    return g.op("Add", [x, g.op("MatMul", [soft, v])])


def recurrent(g, x, shape):
    kind = g.rng("kind").choice(["LSTM", "GRU", "RNN"])
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    width = shape[-1]
    turned = g.op("Transpose", [x], {"perm": [1, 0, 2]})
    w, r = (g.weight(n, (1, gates * width, width), 0.3) for n in "wr")
    y = g.op(kind, [turned, w, r, g.weight("b", (1, 2 * gates * width))], {"hidden_size": width}, 2)[0]
    return g.op("Transpose", [g.settled("Squeeze", y, 13, [("axes", [1])])], {"perm": [1, 0, 2]})


def scanned(g, x, shape):
    own = lambda n: f"{g.block}.scan.{n}"
    made = [helper.make_node("Mul", [own("s"), own("k")], [own("d")], name=own("Mul_d")),
            helper.make_node("Add", [own("d"), own("e")], [own("next")], name=own("Add_next")),
            helper.make_node("Tanh", [own("next")], [own("y")], name=own("Tanh_y"))]
    info = helper.make_tensor_value_info
    flat = [ROWS, shape[-1]]
    ins, outs = [info(own(n), 1, flat) for n in "se"], [info(own(n), 1, flat) for n in ("next", "y")]
    inner = helper.make_graph(made, own("body"), ins, outs, [numpy_helper.from_array(np.float32(0.6), own("k"))])
    start = g.const("start", np.zeros(flat, np.float32))
    attributes = {"body": inner, "num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}
    last, all_ = g.op("Scan", [start, x], attributes, 2)
    return g.op("Add", [all_, g.settled("Unsqueeze", last, 13, [("axes", [1])])])


# ---- of rows [rows, width]


def gemm(g, x, shape):
    return g.op("Gemm", [x, g.weight("w", (shape[-1],) * 2), g.weight("b", shape[-1:])], {"alpha": 0.9, "beta": 1.1, "transB": 1})


def hard_max(g, x, shape):
    return g.op("Add", [x, g.op("Hardmax", [x], {"axis": 1})])


# ---- of pictures [1, channels, side, side]


def convolved(g, x, shape):
    c = shape[1]
    y = g.op("Conv", [x, g.weight("w", (c, c, 3, 3), 0.2), g.weight("b", (c,))], {"pads": [1] * 4, "kernel_shape": [3, 3]})
    return activation(g, y)


def normalised(g, x, shape):
    c = shape[1]
    y = g.op("Conv", [x, g.weight("w", (c, c, 1, 1), 0.4)], {"kernel_shape": [1, 1]})
    var = g.const("var", np.linspace(0.02, 1.5, c, dtype=np.float32))
    y = g.op("BatchNormalization", [y, g.weight("g", (c,)), g.weight("b", (c,)), g.weight("m", (c,)), var], {"epsilon": 1e-5})
    return g.op("Relu", [y])


def depthwise(g, x, shape):
    c = shape[1]
    attributes = {"pads": [2] * 4, "dilations": [2, 2], "group": c, "kernel_shape": [3, 3]}
    return g.op("Conv", [x, g.weight("w", (c, 1, 3, 3), 0.3)], attributes)


def pooled(g, x, shape):
    kind, more = g.rng("kind").choice([("MaxPool", {}), ("AveragePool", {"count_include_pad": 1}), ("AveragePool", {})])
    return g.op(kind, [x], {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1], **more})


def resized(g, x, shape):
    mode = g.rng("mode").choice(["nearest", "linear", "cubic"])
    attributes = {"mode": mode, "coordinate_transformation_mode": g.rng("how").choice(["half_pixel", "align_corners", "asymmetric"])}
    scales = g.const("scales", np.array([1, 1, 2, 2], np.float32))
    roi = g.const("roi", np.zeros(0, np.float32)) if g.opset < 13 else ""
    y = g.op("Resize", [x, roi, scales], attributes)
    return g.op("MaxPool", [y], {"kernel_shape": [2, 2], "strides": [2, 2]})


def shuffled(g, x, shape):
    y = g.op("SpaceToDepth", [x], {"blocksize": 2})
    y = g.op("Mul", [y, g.weight("s", (shape[1] * 4, 1, 1))])
    return g.op("DepthToSpace", [y], {"blocksize": 2, **({"mode": "CRD"} if g.rng("mode").random() < 0.5 else {})})


def instance(g, x, shape):
    return g.op("InstanceNormalization", [x, g.weight("g", shape[1:2]), g.weight("b", shape[1:2])], {"epsilon": 1e-2})


def excited(g, x, shape):
    c = shape[1]
    y = g.op("Conv", [g.op("GlobalAveragePool", [x]), g.weight("w", (c, c, 1, 1), 1.0)])
    return g.op("Mul", [x, g.op("HardSigmoid", [y])])


def transposed(g, x, shape):
    c = shape[1]
    return g.op("ConvTranspose", [x, g.weight("w", (c, c, 3, 3), 0.2), g.weight("b", (c,))], {"pads": [1] * 4})


def slopes(g, x, shape):
    return g.op("PRelu", [x, g.weight("slope", (shape[1], 1, 1))])


def padded(g, x, shape):
    mode = g.rng("mode").choice(["constant", "reflect", "edge"])
    y = g.settled("Pad", x, 11, [("pads", [0, 0, 1, 1, 0, 0, 1, 1]), ("value", 0.4)], {"mode": mode})
    return g.op("Conv", [y, g.weight("w", (shape[1], shape[1], 3, 3), 0.2)])


def sampled(g, x, shape):
    rng = np.random.default_rng(g.rng("grid").randrange(2**32))
    grid = g.const("grid", rng.uniform(-1.1, 1.1, (1, SIDE, SIDE, 2)).astype(np.float32))
    return g.op("GridSample", [x, grid], {"align_corners": 1})


# Block: the opset it is there from.
ANY = {dense: 9, residual: 9, layer_norm: 9, layer_norm_node: 17, gelu: 9, gelu_node: 20, hard_swish: 14, clip: 9, sums: 9,
       parts: 9, thirds: 9, chosen: 9, winner: 9, counted: 9, dropped: 9, powers: 12, running: 11, branches: 11, looped: 11}
FLAT = {gate: 9, top: 9, squeezed: 9, looked_up: 9, einsum: 12, called: 9, contrib: 9, quantised: 13, on_grid: 9}
SETS = {"rows": {**ANY, **FLAT, gemm: 9, hard_max: 9}, "steps": {**ANY, **FLAT, attention: 9, recurrent: 9, scanned: 11},
        "picture": {**ANY, convolved: 9, normalised: 9, depthwise: 9, pooled: 9, resized: 11, shuffled: 11, instance: 9,
                    excited: 9, transposed: 9, slopes: 9, padded: 9, sampled: 16}}
# Never there unless wanted.
ONLY = {"rows": {}, "steps": {spread: 9}, "picture": {spread: 9}}
SHAPES = {"rows": (ROWS, WIDTH), "steps": (ROWS, STEPS, WIDTH), "picture": (1, CHANNELS, SIDE, SIDE)}


def plan(rng, opset, wanted=()):
    """What kind of model, and which blocks one after the other. `wanted` names one that is among them."""
    kinds = [k for k in SETS if not wanted or any(b.__name__ in wanted for b in {**SETS[k], **ONLY[k]})]
    kind = rng.choice(kinds)
    able = [b for b, since in SETS[kind].items() if since <= opset]
    must = [b for b, since in {**SETS[kind], **ONLY[kind]}.items() if since <= opset and b.__name__ in wanted]
    chosen_ones = [rng.choice(must)] if must else []
    chosen_ones += [rng.choice(able) for _ in range(rng.randint(2, 5))]
    rng.shuffle(chosen_ones)
    return kind, chosen_ones


def build(seed, opset, kind, blocks):
    """(model, feeds)."""
    g = Builder(seed, opset)
    shape = SHAPES[kind]
    values = np.random.default_rng(g.rng("x").randrange(2**32)).standard_normal(shape).astype(np.float32)
    x = g.given(g.rng("input").choice(["x", "input", "data:0"]), values)
    made = []
    for number, block in enumerate(blocks):
        g.block = f"{block.__name__}{number}"
        x = block(g, x, shape)
        made.append(x)
    g.block = "head"
    if kind == "picture" and g.rng("flat").random() < 0.5:
        flat = g.op("Flatten", [x])
        x = g.op("Gemm", [flat, g.weight("w", (CHANNELS * SIDE * SIDE, 5)), g.weight("b", (5,))])
    outputs = [x] + [t for t in made[:-1] if g.rng(f"out{t}").random() < 0.15]
    g.outputs = [helper.make_tensor_value_info(name, 1, None) for name in outputs]
    return g.model(), g.feeds
