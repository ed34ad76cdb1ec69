"""Plant a fault into one node of an ONNX model: model -> model, in place. Knows no layerdiff and judges nothing.

Most kinds put the fault behind the victim: its output t becomes t__raw, and nodes that spoil it make t again, so every
tensor keeps its name. `weight`, `attribute` and `operator` change the victim itself. Shapes are kept where that can be
known beforehand; whoever plants must measure whether the fault does anything.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

# ---- what can be planted


def kinds():
    return list(PLANTERS)


def victims(reference, kind):
    """The nodes that can carry this fault. Constants are rarer victims than in the graph: see `choose`."""
    nodes = enumerate(reference.model.graph.node)
    return [i for i, node in nodes if has_float_output(reference, node) and FITS.get(kind, anything)(reference, node)]


def choose(rng, reference, candidates):
    """One of the candidates. Half of the nodes in Paddle's models are Constants: one draw in twenty is enough."""
    constant = [i for i in candidates if reference.model.graph.node[i].op_type == "Constant"]
    others = [i for i in candidates if i not in set(constant)]
    pool = constant if constant and (not others or rng.random() < 0.05) else others
    return rng.choice(pool) if pool else None


def plant(model, reference, victim, kind, rng):
    """Plants the fault and says what it is, or gives None where it cannot be planted. `victim` counts nodes of the
    reference; the model may already carry another fault, in another node."""
    output = reference.model.graph.node[victim].output[0]
    node = next(n for n in model.graph.node if output in n.output)
    where = f"{node.op_type} '{node.name}' -> '{output}'"
    what = PLANTERS[kind](model.graph, node, reference, rng)
    return what and f"{kind} ({what}) at {where}"


# ---- behind the victim


def scale(graph, node, _, rng):
    factor = rng.choice([-1.0, 0.5, 0.9, 0.97, 1.03, 1.1, 2.0])
    behind(graph, node, [("Mul", [np.float32(factor)])])
    return f"times {factor}"


def bias(graph, node, reference, rng):
    amount = rng.choice([0.01, 0.05, 0.3, 1.0]) * rms(reference, node)
    behind(graph, node, [("Add", [np.float32(amount)])])
    return f"plus {amount:.3g}"


def nan(graph, node, reference, rng):
    """One position of the last axis turns to NaN."""
    value = reference.values[node.output[0]]
    width = value.shape[-1] if value.ndim else 1
    poison = np.zeros(width, np.float32)
    poison[rng.randrange(width)] = np.nan
    behind(graph, node, [("Add", [poison if value.ndim else poison[0]])])
    return f"one of {width} columns"


def overflow(graph, node, reference, rng):
    """Through FP16 at such a scale that the largest values become infinite."""
    peak = float(np.max(np.abs(reference.values[node.output[0]])))
    if not 1e-20 < peak < 1e20:
        return None
    up = np.float32(65504.0 / peak * rng.choice([1.1, 2.0, 8.0]))
    half, single = {"to": TensorProto.FLOAT16}, {"to": TensorProto.FLOAT}
    behind(graph, node, [("Mul", [up]), ("Cast", [], half), ("Cast", [], single), ("Mul", [np.float32(1) / up])])
    return f"FP16 at {up:.3g} times"


def clip(graph, node, reference, rng):
    percent = rng.choice([1, 5, 20])
    low, high = np.percentile(reference.values[node.output[0]], [percent, 100 - percent])
    behind(graph, node, [("Max", [np.float32(low)]), ("Min", [np.float32(high)])])
    return f"to {low:.3g} .. {high:.3g}"


def rounding(graph, node, reference, rng):
    step = np.float32(rng.choice([0.02, 0.1, 0.5]) * rms(reference, node))
    if not step > 1e-20:
        return None
    half = np.float32(0.5)
    behind(graph, node, [("Div", [step]), ("Add", [half]), ("Floor", []), ("Mul", [step])])
    return f"to multiples of {step:.3g}"


def behind(graph, node, steps):
    """Renames the node's first output t to t__raw and makes t of it again, step by step."""
    target = node.output[0]
    previous = node.output[0] = f"{target}__raw"
    position = next(i for i, n in enumerate(graph.node) if previous in n.output) + 1
    for i, (op, constants, *attributes) in enumerate(steps):
        result = target if i == len(steps) - 1 else f"{target}__step{i}"
        names = [add_constant(graph, f"{target}__with{i}", value) for value in constants]
        spoiler = helper.make_node(op, [previous, *names], [result], name=f"{target}__{op}{i}", **dict(*attributes))
        graph.node.insert(position + i, spoiler)
        previous = result


# ---- in the victim


WEIGHTED = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "BatchNormalization", "Gather", "Add", "Mul"}


def weight(graph, node, reference, rng):
    """Noise on the constant operand. An initializer changes where it is, and hits all its readers; a Constant node
    mostly stays as it is while the victim reads a noisy copy."""
    slots = [s for s, name in enumerate(node.input) if noisy_operand(reference, name)]
    if not slots:
        return None
    slot = rng.choice(slots[:2])
    name, sigma = node.input[slot], rng.choice([0.02, 0.1, 0.5])
    value = reference.constants.get(name)
    noise = np.random.default_rng(rng.randrange(2**32)).standard_normal(value.shape)
    noisy = (value * (1 + sigma * noise)).astype(value.dtype)
    stored = next((t for t in graph.initializer if t.name == name), None)
    if stored is None and rng.random() < 0.1:
        maker = next(n for n in graph.node if name in n.output)
        stored = next(a.t for a in maker.attribute if a.name == "value")
    if stored is not None:
        stored.CopyFrom(numpy_helper.from_array(noisy, stored.name))
    else:
        node.input[slot] = add_constant(graph, f"{node.output[0]}__noisy{slot}", noisy)
    return f"noise of {sigma:.0%} on input {slot}"


def noisy_operand(reference, name):
    value = reference.constants.get(name)
    return value is not None and value.dtype.kind == "f" and value.size >= 4


def attribute(graph, node, reference, rng):
    return ATTRIBUTES[node.op_type](graph, node, reference, rng)


def factor_of(name, default, choices):
    def change(_graph, node, _reference, rng):
        old = get(node, name, default)
        new = old * rng.choice(choices)
        put(node, name, new)
        return f"{name} {old:.3g} -> {new:.3g}"

    return change


def one_of(**values):
    def change(_graph, node, _reference, rng):
        name = rng.choice(sorted(values))
        old = get(node, name, b"")
        new = rng.choice([v for v in values[name] if v != old])
        put(node, name, new)
        return f"{name} {old} -> {new}"

    return change


def shift_pads(_graph, node, _reference, rng):
    """The window moves by one: as much padding, but elsewhere."""
    pads = list(get(node, "pads", []))
    half = len(pads) // 2
    axes = [a for a in range(half) if pads[a] > 0]
    if not axes:
        return None
    axis = rng.choice(axes)
    old = list(pads)
    pads[axis] -= 1
    pads[axis + half] += 1
    put(node, "pads", pads)
    return f"pads {old} -> {pads}"


def other_axis(_graph, node, reference, rng):
    rank = reference.values[node.output[0]].ndim
    old = get(node, "axis", -1) % rank
    if rank < 2:
        return None
    new = rng.choice([a for a in range(rank) if a != old])
    put(node, "axis", new)
    return f"axis {old} -> {new}"


def swap_axes(_graph, node, reference, rng):
    """Two axes of equal length change places."""
    shape = reference.values[node.output[0]].shape
    perm = list(get(node, "perm", range(len(shape))[::-1]))
    pairs = [(i, j) for i in range(len(shape)) for j in range(i) if shape[i] == shape[j] > 1]
    if not pairs:
        return None
    i, j = rng.choice(pairs)
    old = list(perm)
    perm[i], perm[j] = perm[j], perm[i]
    put(node, "perm", perm)
    return f"perm {old} -> {perm}"


def operand(slot, choices):
    """Since opset 11 many attributes are constant inputs."""

    def change(graph, node, reference, rng):
        old = reference.constants.get(node.input[slot]) if len(node.input) > slot else None
        if old is None or old.dtype != np.float32:
            return None
        new = (old * rng.choice(choices)).astype(np.float32)
        node.input[slot] = add_constant(graph, f"{node.output[0]}__operand{slot}", new)
        return f"input {slot}: {old.ravel()[0]:.3g} -> {new.ravel()[0]:.3g}"

    return change


ATTRIBUTES = {
    "AveragePool": shift_pads,
    "BatchNormalization": factor_of("epsilon", 1e-5, [1e3, 1e4, 1e5]),
    "Clip": operand(2, [0.25, 0.5]),
    "Conv": shift_pads,
    "ConvTranspose": shift_pads,
    "Elu": factor_of("alpha", 1.0, [0.5, 2.0]),
    "Gemm": factor_of("alpha", 1.0, [0.9, 1.1]),
    "HardSigmoid": factor_of("alpha", 0.2, [0.5, 0.9, 1.2]),
    "LSTM": one_of(direction=[b"forward", b"reverse"]),
    "LayerNormalization": factor_of("epsilon", 1e-5, [1e3, 1e4]),
    "LeakyRelu": factor_of("alpha", 0.01, [0.5, 3.0]),
    "MaxPool": shift_pads,
    "Pow": operand(1, [0.5, 2.0]),
    "Resize": one_of(
        mode=[b"nearest", b"linear"],
        coordinate_transformation_mode=[b"half_pixel", b"asymmetric", b"align_corners"],
        nearest_mode=[b"floor", b"ceil", b"round_prefer_floor"],
    ),
    "Softmax": other_axis,
    "Transpose": swap_axes,
}


# Operators with the same operands, and results of the same shape.
OPERATORS = {
    "Add": ["Sub"],
    "AveragePool": ["MaxPool"],
    "Clip": ["Relu"],
    "Div": ["Mul"],
    "Erf": ["Tanh"],
    "Exp": ["Softplus"],
    "GlobalAveragePool": ["GlobalMaxPool"],
    "HardSigmoid": ["Sigmoid"],
    "Max": ["Min"],
    "MaxPool": ["AveragePool"],
    "Min": ["Max"],
    "Mul": ["Add"],
    "Reciprocal": ["Neg"],
    "ReduceMean": ["ReduceMax"],
    "Relu": ["Sigmoid", "Tanh", "Abs"],
    "Sigmoid": ["Tanh", "HardSigmoid"],
    "Softmax": ["Sigmoid"],
    "Softplus": ["Relu"],
    "Sqrt": ["Abs"],
    "Sub": ["Add"],
    "Tanh": ["Sigmoid"],
}
KEPT_ATTRIBUTES = {"kernel_shape", "strides", "pads", "auto_pad", "axes", "keepdims"}


def operator(_graph, node, _reference, rng):
    old, new = node.op_type, rng.choice(OPERATORS[node.op_type])
    node.op_type = new
    kept = [a for a in node.attribute if a.name in KEPT_ATTRIBUTES]
    del node.attribute[:]
    node.attribute.extend(kept)
    if old == "Clip":
        del node.input[1:]
    return f"{old} -> {new}"


# ---- small tools


def anything(_reference, _node):
    return True


def has_float_output(reference, node):
    value = reference.values.get(node.output[0]) if node.output else None
    return value is not None and value.dtype == np.float32 and value.size > 0


FITS = {
    "weight": lambda reference, node: node.op_type in WEIGHTED and any(noisy_operand(reference, n) for n in node.input),
    "attribute": lambda _, node: node.op_type in ATTRIBUTES,
    "operator": lambda _, node: node.op_type in OPERATORS,
}
PLANTERS = {
    "scale": scale,
    "bias": bias,
    "nan": nan,
    "overflow": overflow,
    "clip": clip,
    "rounding": rounding,
    "weight": weight,
    "attribute": attribute,
    "operator": operator,
}


def rms(reference, node):
    value = reference.values[node.output[0]].astype(np.float64)
    return float(np.sqrt(np.mean(value**2)))


def add_constant(graph, name, value):
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def get(node, name, default):
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def put(node, name, value):
    for i, a in enumerate(node.attribute):
        if a.name == name:
            del node.attribute[i]
            break
    node.attribute.append(helper.make_attribute(name, value))
