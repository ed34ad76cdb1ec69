"""Faults inside one node of an optimised model, as a slip of an optimiser would make them: model -> model, in place.

Kinds: `weight` (times 1.3), `sign` (a weight negated), `bias` (dropped or shifted), `attribute` (axis, epsilon, alpha,
pads and the like, shape kept), `activation` (another one, in a node or fused into it), `swap` (two operands). Other
than scripts/faults.py nothing is put behind the node, and operators of ONNX Runtime's own are victims as well.
"""

import numpy as np
from onnx import numpy_helper

import faults
from faults import add_constant, get, put

WEIGHTED = {"Conv", "ConvTranspose", "MatMul", "Gemm", "FusedConv", "FusedMatMul", "FusedGemm", "LSTM", "GRU"}
WEIGHTED |= {"Attention", "LayerNormalization", "SkipLayerNormalization", "BatchNormalization", "Mul"}
WEIGHTED |= {"BiasGelu", "NhwcFusedConv"}
# Where the bias is: operator -> slot.
BIAS = {"Conv": 2, "FusedConv": 2, "ConvTranspose": 2, "Gemm": 2, "FusedGemm": 2, "BatchNormalization": 2, "Add": 1}
BIAS |= {"LayerNormalization": 2, "SkipLayerNormalization": 3, "LSTM": 3, "GRU": 3, "BiasGelu": 1, "Attention": 2}
ACTIVATIONS = {"Relu": "Abs", "Sigmoid": "Tanh", "Tanh": "Sigmoid", "Gelu": "Relu", "Erf": "Tanh", "HardSwish": "Relu"}
ACTIVATIONS |= {"QuickGelu": "Sigmoid", "LeakyRelu": "Relu", "HardSigmoid": "Sigmoid", "Softmax": "LogSoftmax"}
FUSED = {b"Relu": b"Tanh", b"Sigmoid": b"Tanh", b"Tanh": b"Sigmoid", b"LeakyRelu": b"Relu", b"HardSigmoid": b"Sigmoid"}
ORDERED = {"Sub", "Div", "Pow", "MatMul", "FusedMatMul", "Concat", "Where", "Less", "Greater"}
MORE_ATTRIBUTES = {
    "SkipLayerNormalization": faults.factor_of("epsilon", 1e-5, [1e4, 1e5]),
    "LayerNormalization": faults.factor_of("epsilon", 1e-5, [1e4, 1e5]),
    "FusedConv": faults.shift_pads,
    "FusedMatMul": faults.factor_of("alpha", 1.0, [0.5, 1.3]),
    "QuickGelu": faults.factor_of("alpha", 1.702, [0.6]),
    "LRN": faults.factor_of("alpha", 1e-4, [100.0]),
    "InstanceNormalization": faults.factor_of("epsilon", 1e-5, [1e4, 1e5]),
}


def slip(model, node, values, kind, rng):
    """Changes the node and says how, or gives None where this kind does not fit."""
    return KINDS[kind](model.graph, node, values, rng)


def operands(graph, node, values, slots):
    """Constant float operands: (slot, value)."""
    stored = {t.name: t for t in graph.initializer}
    for slot in slots:
        name = node.input[slot] if slot < len(node.input) else ""
        if name in stored:
            value = numpy_helper.to_array(stored[name])
        elif name and is_constant(graph, name):
            value = values.get(name)
        else:
            continue
        if value is not None and value.dtype.kind == "f" and value.size:
            yield slot, value


def is_constant(graph, name):
    return any(n.op_type == "Constant" and name in n.output for n in graph.node)


def reads_anew(graph, node, slot, value):
    node.input[slot] = add_constant(graph, f"{node.output[0]}__slip{slot}", value)


def weight(graph, node, values, rng, factor=1.3):
    found = list(operands(graph, node, values, [1, 0])) if node.op_type in WEIGHTED else []
    if not found:
        return None
    slot, value = found[0]
    reads_anew(graph, node, slot, (value * value.dtype.type(factor)).astype(value.dtype))
    return f"operand {slot} times {factor}"


def sign(graph, node, values, rng):
    return weight(graph, node, values, rng, -1.0)


def bias(graph, node, values, rng):
    slot = BIAS.get(node.op_type)
    found = list(operands(graph, node, values, [slot])) if slot is not None else []
    if not found or found[0][1].ndim > 2:
        return None
    value = found[0][1]
    if np.any(value) and rng.random() < 0.5:
        reads_anew(graph, node, slot, np.zeros_like(value))
        return f"bias {slot} dropped"
    out = values[node.output[0]]
    amount = 0.5 * float(np.sqrt(np.mean(np.square(out, dtype=np.float64)))) + 1e-3
    reads_anew(graph, node, slot, (value + value.dtype.type(amount)).astype(value.dtype))
    return f"bias {slot} plus {amount:.3g}"


def attribute(graph, node, values, rng):
    change = MORE_ATTRIBUTES.get(node.op_type) or faults.ATTRIBUTES.get(node.op_type)
    return change and change(graph, node, Values(graph, values), rng)


class Values:
    """What faults.py asks of a reference."""

    def __init__(self, graph, values):
        self.values = values
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer if len(t.dims) < 2}


def activation(graph, node, values, rng):
    old = get(node, "activation", None)
    if old in FUSED:
        put(node, "activation", FUSED[old])
        return f"fused {old.decode()} -> {FUSED[old].decode()}"
    if node.op_type not in ACTIVATIONS or len(node.input) != 1:
        return None
    old, node.op_type, node.domain = node.op_type, ACTIVATIONS[node.op_type], ""
    kept = [a for a in node.attribute if a.name == "axis" and node.op_type == "LogSoftmax"]
    del node.attribute[:]
    node.attribute.extend(kept)
    return f"{old} -> {node.op_type}"


def swap(graph, node, values, rng):
    if node.op_type not in ORDERED or len(node.input) < 2:
        return None
    a, b = (1, 2) if node.op_type == "Where" else (0, 1)
    shapes = [values[name].shape if name in values else None for name in (node.input[a], node.input[b])]
    if None in shapes or shapes[0] != shapes[1] or node.input[a] == node.input[b]:
        return None
    node.input[a], node.input[b] = node.input[b], node.input[a]
    return f"inputs {a} and {b} swapped"


KINDS = {"weight": weight, "sign": sign, "bias": bias, "attribute": attribute, "activation": activation, "swap": swap}
