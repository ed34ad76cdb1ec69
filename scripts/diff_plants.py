"""One difference between two files, of every kind that conversions make: planted into a ModelProto in place.

A plant takes a `File` and gives `Planted`, or None where this kind finds no victim. Whether it shows is measured by who plants.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from diff_graphs import MS
from diff_harmless import holders, schema, value_of, version

OPERATOR = {"operator-differs", "wiring-differs"}
WIRING = {"wiring-differs", "operator-differs"}
ATTRIBUTE = {"attribute-differs", "opset-differs"}
INPUT = {"input-missing", "attribute-differs", "weights-differ"}
WEIGHT = {"weights-differ"}
# A node more or less may be read as another constant or wire of its neighbour.
MORE = WIRING | WEIGHT | {"input-missing"}
ANY = OPERATOR | ATTRIBUTE | INPUT | WEIGHT


@dataclass
class Planted:
    what: str
    codes: set
    # Of the spoilt file: the nodes that it is about.
    nodes: set = field(default_factory=set)
    # Tensors whose makers, in either file, it is about as well.
    tensors: set = field(default_factory=set)
    external: bool = False


class File:
    """The file that is spoilt; `values` of its main graph as long as it was healthy."""

    def __init__(self, model, values, feeds, rng):
        self.model, self.values, self.rng = model, {**feeds, **values}, rng
        self.graphs = holders(model)

    def places(self, fits):
        """(graph, node) in an order of chance, those in bodies and functions early."""
        found = [(g, n) for g in self.graphs for n in g.node if fits(n)]
        self.rng.shuffle(found)
        if self.rng.random() < 0.6:
            found.sort(key=lambda p: p[0] is self.model.graph)
        return found

    def stored(self, graph, name):
        """A constant of this graph, or of the main one."""
        for g in (graph, self.model.graph):
            for t in getattr(g, "initializer", []):
                if t.name == name and t.data_location != TensorProto.EXTERNAL:
                    return numpy_helper.to_array(t)
            for n in g.node:
                if n.op_type == "Constant" and name in n.output and n.attribute[0].name == "value":
                    return numpy_helper.to_array(n.attribute[0].t)
        return None

    def readers(self, name):
        return sum(list(n.input).count(name) for g in self.graphs for n in g.node)

    def put(self, graph, node, slot, value, name=None):
        """Another constant in this slot: in place where nobody else reads it, by chance, else a new one."""
        old = node.input[slot] if slot < len(node.input) else ""
        stored = next((t for t in getattr(graph, "initializer", []) if t.name == old), None)
        if stored is not None and self.readers(old) == 1 and self.rng.random() < 0.6:
            stored.CopyFrom(numpy_helper.from_array(value, old))
            return
        while len(node.input) <= slot:
            node.input.append("")
        node.input[slot] = self.constant(graph, f"{node.name or node.output[0]}.other{slot}", value)

    def constant(self, graph, name, value):
        if hasattr(graph, "initializer") and self.rng.random() < 0.7:
            graph.initializer.append(numpy_helper.from_array(value, name))
        else:
            held = numpy_helper.from_array(value, "")
            graph.node.insert(0, helper.make_node("Constant", [], [name], name=f"{name}/Constant", value=held))
        return name

    def behind(self, graph, node, kind, constants=(), attributes=None):
        """A node more: at one edge, or behind the tensor for all its readers."""
        target = node.output[0]
        new = f"{node.name or target}/{kind}_more"
        outputs = {o.name if hasattr(o, "name") else o for o in graph.output}
        readers = [n for n in graph.node if target in n.input]
        names = [self.constant(graph, f"{new}.c{i}", c) for i, c in enumerate(constants)]
        at = next(i for i, n in enumerate(graph.node) if n is node or n == node) + 1
        touched = {node.name, new}
        if target in outputs or self.rng.random() < 0.5 or not readers:
            node.output[0] = f"{target}_raw"
            more = helper.make_node(kind, [f"{target}_raw", *names], [target], name=new, **(attributes or {}))
        else:
            reader = self.rng.choice(readers)
            reader.input[list(reader.input).index(target)] = f"{new}_out"
            more = helper.make_node(kind, [target, *names], [f"{new}_out"], name=new, **(attributes or {}))
            touched.add(reader.name)
        graph.node.insert(at, more)
        return touched

    def shape(self, name):
        value = self.values.get(name)
        return None if value is None else value.shape

    def alike(self, a, b):
        x, y = self.values.get(a), self.values.get(b)
        return x is not None and y is not None and x.shape == y.shape and x.dtype == y.dtype and not np.array_equal(x, y)


def about(what, codes, node, *more):
    return Planted(what, codes, {node.name, *more}, set(node.output))


# ---- operators

REPLACED = {"Relu": ["LeakyRelu", "Abs", "Elu"], "LeakyRelu": ["Relu"], "Sigmoid": ["HardSigmoid", "Tanh"], "Tanh": ["Sigmoid", "Softsign"],
            "Elu": ["Selu", "Relu"], "Selu": ["Elu"], "Softplus": ["Relu"], "HardSwish": ["Relu", "Sigmoid"], "Add": ["Sub", "Mul"],
            "Sub": ["Add"], "Mul": ["Add", "Div"], "Div": ["Mul"], "Greater": ["Less"], "Less": ["Greater"], "Max": ["Min"], "Min": ["Max"],
            "ReduceMean": ["ReduceMax"], "ReduceMax": ["ReduceMean"], "ReduceSum": ["ReduceMean"], "ReduceL2": ["ReduceL1"],
            "Softmax": ["LogSoftmax"], "LogSoftmax": ["Softmax"], "ArgMax": ["ArgMin"], "Abs": ["Neg"], "Erf": ["Tanh"], "Exp": ["Sigmoid"],
            "Hardmax": ["Softmax"], "HardSigmoid": ["Sigmoid"], "GlobalAveragePool": ["GlobalMaxPool"], "Sqrt": ["Abs"], "Floor": ["Round"]}


def operator(f):
    for _, node in f.places(lambda n: n.op_type in REPLACED and not n.domain):
        old, new = node.op_type, f.rng.choice(REPLACED[node.op_type])
        node.op_type = new
        known = schema(f.model, node)
        for a in list(node.attribute):
            if known is None or a.name not in known.attributes:
                node.attribute.remove(a)
        return about(f"{old} -> {new}", OPERATOR, node)


def other_domain(f):
    swaps = {("Gelu", MS): ("FastGelu", MS), ("FastGelu", MS): ("Gelu", MS), ("QuickGelu", MS): ("Gelu", MS), ("Gelu", ""): ("QuickGelu", MS),
             ("HardSwish", ""): ("QuickGelu", MS), ("Sigmoid", ""): ("QuickGelu", MS), ("Relu", ""): ("Gelu", MS), ("Tanh", ""): ("FastGelu", MS)}
    for _, node in f.places(lambda n: (n.op_type, n.domain) in swaps):
        old = node.op_type
        node.op_type, node.domain = swaps[old, node.domain]
        del node.attribute[:]
        if not any(o.domain == MS for o in f.model.opset_import):
            f.model.opset_import.append(helper.make_opsetid(MS, 1))
        return about(f"{old} -> {node.domain}.{node.op_type}", OPERATOR, node)


# ---- attributes

TEXTS = {"mode": ["constant", "reflect", "edge", "nearest", "linear", "cubic", "DCR", "CRD", "bilinear"], "approximate": ["none", "tanh"],
         "coordinate_transformation_mode": ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"],
         "nearest_mode": ["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"], "padding_mode": ["zeros", "border", "reflection"],
         "direction": ["forward", "reverse"], "equation": []}
NEVER = {"to", "dtype", "kernel_shape", "hidden_size", "num_scan_inputs", "value", "consumed_inputs", "training_mode", "sorted", "seed", "spatial",
         "keepdims", "num_outputs", "storage_order", "stash_type", "activations", "auto_pad", "block_size", "saturate", "fmod", "batch_dims"}


def other_value(rng, name, a, rank):
    value = value_of(a)
    if isinstance(value, float):
        return value * rng.choice([1e4, 1e5]) if name in ("epsilon", "eps") else value * rng.choice([0.25, 3.0]) + rng.choice([0.0, 0.1])
    if isinstance(value, bytes):
        others = [t for t in TEXTS.get(name, []) if t != value.decode()]
        return rng.choice(others) if others else None
    if isinstance(value, int):
        if "axis" in name:
            return (value + 1) % max(rank, 1)
        return 1 - value if value in (0, 1) and name != "k" else max(value + rng.choice([-1, 1]), 0)
    values = list(value)
    if name in ("pads", "perm", "scan_input_axes", "split") and len(values) > 1:
        i, j = rng.sample(range(len(values)), 2)
        values[i], values[j] = values[j], values[i]
    elif name == "dilations":
        values = [v + 1 for v in values]
    elif values and isinstance(values[0], int):
        i = rng.randrange(len(values))
        values[i] += rng.choice([-1, 1])
    else:
        values = [v * 2.0 for v in values]
    return values


def attribute(f):
    """Written, or in place of its default."""
    for graph, node in f.places(lambda n: n.op_type not in ("Constant", "Cast")):
        if all(f.stored(graph, name) is not None for name in node.input):
            continue
        known = schema(f.model, node)
        written = {a.name: a for a in node.attribute if not a.HasField("g")}
        defaults = {n: a.default_value for n, a in (known.attributes if known else {}).items() if a.default_value.type and n not in written}
        able = [n for n in [*written, *defaults] if n not in NEVER]
        f.rng.shuffle(able)
        for name in able[:2]:
            new = other_value(f.rng, name, written.get(name) or defaults[name], len(f.shape(node.input[0]) or (1, 2)))
            if new is None:
                continue
            if name in written:
                node.attribute.remove(written[name])
            node.attribute.append(helper.make_attribute(name, new))
            return about(f"{name} {new}", ATTRIBUTE, node)


def attribute_left_out(f):
    for _, node in f.places(lambda n: n.op_type not in ("Constant", "Cast")):
        known = schema(f.model, node)
        able = [a for a in node.attribute if known and a.name in known.attributes and not known.attributes[a.name].required and not a.HasField("g")]
        able = [a for a in able if a.name not in NEVER - {"direction"}]
        for a in able:
            default = known.attributes[a.name].default_value
            if default.type and value_of(default) == value_of(a):
                continue
            node.attribute.remove(a)
            return about(f"{a.name} left out", ATTRIBUTE, node)


def opset_text(f):
    """The same text in another opset; the healthy file is of the older one."""
    changed = {"Softmax", "LogSoftmax", "Hardmax"}
    nodes = [n for g in f.graphs for n in g.node if n.op_type in changed]
    own = next((o for o in f.model.opset_import if o.domain == ""), None)
    if not nodes or own is None or not own.version < 13:
        return None
    own.version = 13
    return Planted("opset 13 with the same text", ATTRIBUTE, {n.name for n in nodes}, {o for n in nodes for o in n.output})


# ---- inputs

SETTINGS = {"Clip": (1, 2), "Pad": (1, 2), "Slice": (1, 2, 3), "TopK": (1,), "ReduceSum": (1,), "ReduceMean": (1,), "ReduceMax": (1,), "Split": (1,),
            "Squeeze": (1,), "Unsqueeze": (1,), "Resize": (2,), "CumSum": (1,), "ReduceL2": (1,)}


def setting(f):
    """A small constant that says what an operator does, or the attribute that it was before."""
    names = {"min", "max", "pads", "value", "starts", "ends", "axes", "k", "split"}
    for graph, node in f.places(lambda n: n.op_type in SETTINGS):
        slots = [s for s in SETTINGS[node.op_type] if s < len(node.input) and f.stored(graph, node.input[s]) is not None]
        written = [a for a in node.attribute if a.name in names]
        if slots:
            slot = f.rng.choice(slots)
            value = np.array(f.stored(graph, node.input[slot]))
            if value.dtype.kind == "f":
                value = (value * f.rng.choice([0.5, 2.0]) + f.rng.choice([0.1, -0.2])).astype(value.dtype)
            elif value.size > 1 and f.rng.random() < 0.7:
                value = np.roll(value, 1)
            else:
                value = (value + f.rng.choice([-1, 1])).astype(value.dtype)
            f.put(graph, node, slot, value)
            return about(f"input {slot} is {value.tolist()}", INPUT | ATTRIBUTE, node)
        if written:
            a = f.rng.choice(written)
            new = other_value(f.rng, a.name, a, 3)
            node.attribute.remove(a)
            node.attribute.append(helper.make_attribute(a.name, new))
            return about(f"{a.name} {new}", INPUT | ATTRIBUTE, node)


OPTIONAL = {"Conv": [2], "ConvTranspose": [2], "Gemm": [2], "Clip": [1, 2], "Pad": [2], "LayerNormalization": [2], "LSTM": [3, 5], "GRU": [3, 5],
            "RNN": [3], "DequantizeLinear": [2], "Slice": [3, 4], "SkipLayerNormalization": [3], "BiasGelu": [], "ReduceSum": [1], "FusedConv": [2]}


def input_lost(f):
    for _, node in f.places(lambda n: n.op_type in OPTIONAL):
        for slot in OPTIONAL[node.op_type]:
            if slot < len(node.input) and node.input[slot]:
                node.input[slot] = ""
                while node.input and not node.input[-1]:
                    node.input.pop()
                return about(f"input {slot} lost", INPUT, node)


def input_added(f):
    for graph, node in f.places(lambda n: n.op_type in ("Clip", "Conv", "Gemm", "ConvTranspose", "Pad") and n.input):
        slot = {"Clip": f.rng.choice([1, 2])}.get(node.op_type, 2)
        if slot < len(node.input) and node.input[slot] or version(f.model) < 11:
            continue
        width = 1
        if node.op_type in ("Conv", "Gemm", "ConvTranspose"):
            out = f.shape(node.output[0])
            if out is None or len(out) < 2:
                continue
            width = out[1]
        value = np.linspace(0.1, 0.3, width, dtype=np.float32)
        value = value.reshape(()) if node.op_type in ("Clip", "Pad") else value
        f.put(graph, node, slot, value)
        return about(f"input {slot} added", INPUT, node)


# ---- wires


def swapped(f):
    for graph, node in f.places(lambda n: n.op_type in ("Sub", "Div", "MatMul", "Pow", "Where", "Concat", "Less", "Greater", "Gemm")):
        a, b = (1, 2) if node.op_type == "Where" else (0, 1)
        if len(node.input) <= b or node.input[a] == node.input[b]:
            continue
        node.input[a], node.input[b] = node.input[b], node.input[a]
        return about(f"{node.op_type} swapped", WIRING | WEIGHT, node)


def other_tensor(f):
    graph = f.model.graph
    above = [n for n in f.values if f.values[n].dtype.kind in "fi" and f.values[n].size > 1]
    for _, node in f.places(lambda n: True):
        if not any(node is n for n in graph.node):
            continue
        before = set()
        for n in graph.node:
            if n is node:
                break
            before.update(n.output)
        for slot, name in enumerate(node.input):
            able = [o for o in above if (o in before or o in {i.name for i in graph.input}) and f.alike(name, o)]
            if able and f.stored(graph, name) is None:
                node.input[slot] = f.rng.choice(able[-6:])
                return about(f"input {slot} reads {node.input[slot]}", WIRING, node)


def node_more(f):
    for graph, node in f.places(lambda n: n.output and n.op_type not in ("Constant", "Shape")):
        value = f.values.get(node.output[0])
        main = any(node is n for n in f.model.graph.node)
        if main and (value is None or value.dtype.kind != "f" or not value.size):
            continue
        kinds = ["Relu", "Mul", "Neg", "Tanh", "Add"]
        if value is not None and value.ndim >= 2 and value.shape[-1] == value.shape[-2]:
            kinds += ["Transpose"] * 4
        kind = f.rng.choice(kinds)
        attributes = {"perm": [*range(value.ndim - 2), value.ndim - 1, value.ndim - 2]} if kind == "Transpose" else None
        dtype = value.dtype if value is not None else np.float32
        constants = [np.array(0.6, dtype)] if kind in ("Mul", "Add") else []
        touched = f.behind(graph, node, kind, constants, attributes)
        return Planted(f"{kind} more behind {node.name}", MORE, touched, {o.removesuffix("_raw") for o in node.output})


def node_missing(f):
    able = {"Relu", "Add", "Mul", "Sigmoid", "Tanh", "Transpose", "Cast", "Sub", "Div", "LayerNormalization", "Clip", "LeakyRelu", "Elu", "Selu",
            "Softmax", "Sqrt", "Abs", "BatchNormalization", "InstanceNormalization", "Neg", "Gelu", "HardSwish", "PRelu", "Erf", "Pow", "Exp"}
    for graph, node in f.places(lambda n: n.op_type in able):
        main = graph is f.model.graph
        slot = f.rng.choice([0, 1]) if node.op_type in ("Add", "Mul") and len(node.input) > 1 else 0
        source, target = node.input[slot], node.output[0]
        if main and (f.shape(source) != f.shape(target) or source not in f.values or f.values[source].dtype != f.values[target].dtype):
            continue
        if f.stored(graph, source) is not None or target in {getattr(o, "name", o) for o in graph.output}:
            continue
        touched = {node.name}
        for g in f.graphs:
            for n in g.node:
                if target in n.input:
                    touched.add(n.name)
                for i, name in enumerate(n.input):
                    n.input[i] = source if name == target else name
            for a in [a for n in g.node for a in n.attribute if a.HasField("g")]:
                for o in a.g.output:
                    o.name = source if o.name == target else o.name
        graph.node.remove(node)
        return Planted(f"{node.op_type} {node.name} missing", MORE, touched, {target})


def outputs_swapped(f):
    for _, node in f.places(lambda n: len([o for o in n.output if o]) > 1 and n.op_type in ("Split", "TopK", "Loop", "If", "LSTM", "GRU", "Scan")):
        if node.op_type in ("LSTM", "GRU"):
            continue
        node.output[0], node.output[1] = node.output[1], node.output[0]
        return about(f"outputs of {node.op_type} swapped", WIRING, node, *readers_of(f, node))


def readers_of(f, node):
    return {n.name for g in f.graphs for n in g.node if set(n.input) & set(node.output)}


def results_swapped(f):
    """What a body gives, in another order."""
    for _, node in f.places(lambda n: n.op_type in ("If", "Loop", "Scan")):
        bodies = [a.g for a in node.attribute if a.HasField("g") and len(a.g.output) > 1]
        if not bodies:
            continue
        body = f.rng.choice(bodies)
        i, j = (len(body.output) - 2, len(body.output) - 1)
        names = [body.output[i].name, body.output[j].name]
        body.output[i].name, body.output[j].name = names[1], names[0]
        inner = {n.name for n in body.node if set(n.output) & set(names)}
        return about("outputs of a body swapped", WIRING, node, *inner)


# ---- weights


def weighted(f, least=1, ranks=None):
    """(graph, node, slot, value) of constant float operands."""
    for graph, node in f.places(lambda n: n.op_type not in ("Constant", "Resize", "Clip", "Pad")):
        for slot, name in enumerate(node.input):
            value = f.stored(graph, name) if name else None
            if value is not None and value.dtype == np.float32 and value.size >= least and (ranks is None or value.ndim in ranks):
                yield graph, node, slot, np.array(value)


def one_element(f):
    for graph, node, slot, value in weighted(f, 4):
        flat = value.reshape(-1)
        i = f.rng.randrange(flat.size)
        flat[i] += np.float32(f.rng.choice([2.0, -3.0]) * (np.std(value) + 0.3))
        f.put(graph, node, slot, value)
        return about(f"element {i} of input {slot}", WEIGHT, node)


def row(f):
    for graph, node, slot, value in weighted(f, 4, {2, 3, 4}):
        i = f.rng.randrange(value.shape[0])
        if value.shape[0] > 1 and f.rng.random() < 0.5:
            value = np.roll(value, 1, 0)
        else:
            value[i] = 0
        f.put(graph, node, slot, value)
        return about(f"row {i} of input {slot}", WEIGHT, node)


def scaled(f):
    for graph, node, slot, value in weighted(f):
        f.put(graph, node, slot, (value * np.float32(f.rng.choice([0.5, 1.1, -1.0, 2.0]))).astype(np.float32))
        return about(f"input {slot} scaled", WEIGHT, node)


def turned(f):
    for graph, node, slot, value in weighted(f, 4, {2, 4}):
        if value.shape[-1] == value.shape[-2]:
            f.put(graph, node, slot, np.ascontiguousarray(np.swapaxes(value, -1, -2)))
            return about(f"input {slot} transposed", WEIGHT, node)


def external(f):
    planted = f.rng.choice([scaled, one_element])(f)
    if planted:
        planted.external = True
        planted.what += ", in external data"
    return planted


def sparse(f):
    """One value of a weight with many zeros is another; it is stored sparse."""
    for graph, node, slot, value in weighted(f, 8, {1, 2, 3, 4}):
        if not hasattr(graph, "initializer") or graph is not f.model.graph or version(f.model) < 11:
            continue
        flat = value.reshape(-1)
        i = f.rng.randrange(flat.size)
        flat[i] += np.float32(3 * (np.std(value) + 0.3))
        at = np.flatnonzero(flat)
        name = f"{node.name}.sparse{slot}"
        values = numpy_helper.from_array(flat[at], name)
        graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(at.astype(np.int64), ""), value.shape))
        node.input[slot] = name
        return about(f"element {i} of input {slot}, sparse", WEIGHT, node)


def other_store(f):
    """An initializer here, a Constant there, with another value."""
    for graph, node, slot, value in weighted(f):
        held = numpy_helper.from_array((value * np.float32(1.3)).astype(np.float32), "")
        name = f"{node.name}.k{slot}"
        graph.node.insert(0, helper.make_node("Constant", [], [name], name=f"{name}/Constant", value=held))
        node.input[slot] = name
        return about(f"input {slot} is a Constant", WEIGHT, node)


def folded(f):
    """Conv and BatchNormalization in one, with another eps."""
    graph = f.model.graph
    for _, bn in f.places(lambda n: n.op_type == "BatchNormalization"):
        conv = next((n for n in graph.node if bn.input[0] in n.output and n.op_type == "Conv"), None)
        if conv is None or f.readers(conv.output[0]) != 1:
            continue
        gamma, beta, mean, var = (f.stored(graph, n) for n in bn.input[1:5])
        w = f.stored(graph, conv.input[1])
        b = f.stored(graph, conv.input[2]) if len(conv.input) > 2 else np.zeros_like(mean)
        if any(v is None for v in (gamma, beta, mean, var, w, b)):
            continue
        eps = f.rng.choice([1e-2, 3e-2])
        factor = gamma / np.sqrt(var + np.float32(eps))
        weights = [(w * factor.reshape(-1, *[1] * (w.ndim - 1))).astype(np.float32), ((b - mean) * factor + beta).astype(np.float32)]
        names = [f.constant(graph, f"{conv.name}.fold{i}", v) for i, v in enumerate(weights)]
        del conv.input[1:]
        conv.input.extend(names)
        old, conv.output[0] = conv.output[0], bn.output[0]
        graph.node.remove(bn)
        return Planted(f"folded with eps {eps}", ANY, {conv.name, bn.name}, {old, conv.output[0]})


def fused(f):
    """MatMul and Add in one Gemm that is said wrongly."""
    graph = f.model.graph
    for _, add in f.places(lambda n: n.op_type == "Add"):
        product = next((n for n in graph.node if n.op_type == "MatMul" and n.output[0] in add.input), None)
        if product is None or f.readers(product.output[0]) != 1:
            continue
        bias = next(i for i in add.input if i != product.output[0])
        if f.stored(graph, bias) is None or len(f.shape(product.input[0]) or ()) != 2:
            continue
        said = f.rng.choice([{"transB": 1}, {"alpha": 0.7}, {"beta": 0.5}])
        gemm = helper.make_node("Gemm", [*product.input, bias], [add.output[0]], name=f"{add.name}.gemm", **said)
        at = list(graph.node).index(add)
        graph.node.remove(add)
        graph.node.insert(at, gemm)
        graph.node.remove(product)
        return Planted(f"Gemm with {said}", ANY, {gemm.name, add.name, product.name}, {product.output[0], gemm.output[0]})


def codes_of(value, axis, block=0):
    """(codes, scale) on the grid of powers of two nearest above."""
    size = np.max(np.abs(value), axis=None if axis is None else 1 - axis)
    scale = np.exp2(np.ceil(np.log2(np.maximum(size, 1e-6) / 127))).astype(np.float32)
    return scale


def quantised(f):
    """What a quantised weight says of itself: a scale, or a zero point, is another one."""
    for graph, node in f.places(lambda n: n.op_type == "DequantizeLinear"):
        slot = f.rng.choice([1, 2]) if len(node.input) > 2 else 1
        value = f.stored(graph, node.input[slot])
        if value is None:
            continue
        value = np.array(value)
        flat = value.reshape(-1)
        i = f.rng.randrange(flat.size)
        if value.dtype.kind == "f":
            value *= np.float32(f.rng.choice([0.25, 4.0]))
        else:
            flat[i] += 60
        f.put(graph, node, slot, value)
        return about(f"input {slot} of a quantised weight", WEIGHT, node, *readers_of(f, node))


def stored_in_codes(f):
    """A float weight on a grid is stored in codes, with a wrong scale somewhere; in blocks from opset 21 on, by chance."""
    graph = f.model.graph
    if version(f.model) < 13:
        return None
    for g, node, slot, value in weighted(f, 16, {2}):
        if g is not graph or node.op_type not in ("MatMul", "Gemm") or slot != 1:
            continue
        grid = exact_codes(value)
        if grid is None:
            continue
        codes, scale = grid
        block = value.shape[0] // 2 if version(f.model) >= 21 and value.shape[0] % 2 == 0 and f.rng.random() < 0.6 else 0
        scales = np.full((2, value.shape[1]) if block else value.shape[1], scale, np.float32)
        scales.reshape(-1)[f.rng.randrange(scales.size)] *= 8
        names = [f.constant(graph, f"{node.name}.{n}", v) for n, v in (("codes", codes), ("scales", scales))]
        attributes = {"axis": 0, "block_size": block} if block else {"axis": 1}
        dq = helper.make_node("DequantizeLinear", names, [f"{node.name}.dq_out"], name=f"{node.name}.dq", **attributes)
        graph.node.insert(list(graph.node).index(node), dq)
        node.input[slot] = dq.output[0]
        return about(f"stored in codes, {'blocks of ' + str(block) if block else 'by channel'}", WEIGHT | WIRING, node, dq.name)


def exact_codes(value):
    """Codes and one scale that give the value exactly, or None."""
    scale = np.float32(2.0**-9)
    codes = value / scale
    if np.max(np.abs(codes)) > 127 or np.any(codes != np.round(codes)):
        return None
    return codes.astype(np.int8), scale


# ---- element types


def half_weight(f):
    """A weight went through float16."""
    for graph, node, slot, value in weighted(f, 4):
        half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            continue
        # Stored as such it would be judged by what float16 can hold.
        f.put(graph, node, slot, half.astype(np.float32))
        return about(f"input {slot} rounded to float16", WEIGHT, node)


def narrow(f):
    """A chain of integers, or a float, in a smaller type."""
    for graph, node in f.places(lambda n: n.op_type in ("Cast", "Add", "Mul", "Sub") and n.output):
        main = graph is f.model.graph
        value = f.values.get(node.output[0]) if main else None
        if value is None or value.dtype not in (np.int64, np.float32) or not value.size:
            continue
        back = helper.np_dtype_to_tensor_dtype(value.dtype)
        small = f.rng.choice([TensorProto.INT8, TensorProto.INT16] if value.dtype == np.int64 else [TensorProto.FLOAT16, TensorProto.INT32])
        target, name = node.output[0], f"{node.name}/narrow"
        node.output[0] = f"{target}_wide"
        at = list(graph.node).index(node) + 1
        graph.node.insert(at, helper.make_node("Cast", [f"{target}_wide"], [f"{target}_small"], name=name, to=small))
        graph.node.insert(at + 1, helper.make_node("Cast", [f"{target}_small"], [target], name=f"{name}_back", to=back))
        return Planted(f"{target} through type {small}", MORE, {node.name, name, f"{name}_back"}, {target})


def cast_to(f):
    able = {TensorProto.INT64: [TensorProto.INT32], TensorProto.INT32: [TensorProto.INT64]}
    for graph, node in f.places(lambda n: n.op_type == "Cast"):
        readers = [n for n in graph.node if node.output[0] in n.input]
        if len(readers) == 1 and readers[0].op_type == "Cast":
            node.attribute[0].i = TensorProto.INT8
            return about("Cast to int8", ATTRIBUTE, node)
    return None


# Kind: how it is planted, blocks that carry it (any where there are none), the opsets of the healthy file, and whether real models take part.
KINDS = {
    "operator": (operator, (), (9, 23), True),
    "other domain": (other_domain, ("gelu_node", "contrib", "hard_swish"), (9, 23), True),
    "attribute": (attribute, (), (9, 23), True),
    "attribute left out": (attribute_left_out, ("convolved", "depthwise", "gemm", "shuffled", "instance", "contrib", "layer_norm_node"), (9, 23), True),
    "opset": (opset_text, ("spread",), (9, 12), False),
    "setting": (setting, ("clip", "sums", "squeezed", "thirds", "parts", "top", "padded", "dropped"), (9, 23), False),
    "input lost": (input_lost, ("clip", "convolved", "gemm", "thirds", "recurrent", "layer_norm_node", "quantised", "transposed"), (11, 23), True),
    "input added": (input_added, ("clip", "normalised", "depthwise", "excited", "thirds"), (11, 23), True),
    "operands swapped": (swapped, ("residual", "powers", "chosen", "parts", "attention"), (9, 23), True),
    "other tensor": (other_tensor, (), (9, 23), True),
    "node more": (node_more, (), (9, 23), True),
    "node missing": (node_missing, (), (9, 23), True),
    "outputs swapped": (outputs_swapped, ("parts", "looped", "branches", "scanned"), (9, 23), False),
    "results swapped": (results_swapped, ("looped", "branches", "scanned"), (11, 23), False),
    "one element": (one_element, (), (9, 23), True),
    "row": (row, (), (9, 23), True),
    "scaled": (scaled, (), (9, 23), True),
    "transposed": (turned, ("dense", "residual", "convolved", "attention", "einsum"), (9, 23), True),
    "external": (external, (), (9, 23), True),
    "sparse": (sparse, (), (11, 23), False),
    "other store": (other_store, (), (9, 23), True),
    "folded": (folded, ("normalised",), (9, 23), True),
    "fused": (fused, ("dense", "gemm"), (9, 23), False),
    "quantised": (quantised, ("quantised",), (13, 23), False),
    "in codes": (stored_in_codes, ("on_grid",), (13, 23), False),
    "half weight": (half_weight, (), (9, 23), True),
    "narrow": (narrow, ("counted", "winner", "top"), (9, 23), True),
    "cast": (cast_to, ("counted",), (9, 23), False),
    "inside": (None, ("looped", "branches", "scanned", "called"), (11, 23), False),
}
INSIDE = [operator, scaled, swapped, node_more, node_missing, attribute, other_store]


def plant(kind, f):
    how = KINDS[kind][0]
    if how is not None:
        return how(f)
    # Only bodies and functions.
    main = f.graphs
    f.graphs = [g for g in main if g is not f.model.graph]
    return f.rng.choice(INSIDE)(f) if f.graphs else None
