"""When two tensors agree, by the text of the design ("Judgement") alone, with numpy alone: what the truth measures by.

Two rules: a tolerance that somebody gave (`GIVEN`), which is taken as it stands, and the automatic one for FP32
(`AUTO`): scaled by each group of elements for itself, with a floor for what FP32 cannot do better. A group is a part
of a Concat, and within it the elements of a size of their own (masks, suppressed logits) are apart from the rest.
Integers, truth values and strings are equal or not; NaN and infinities stand in the same places with the same sign.
"""

from dataclasses import dataclass

import numpy as np

ATOL, RTOL = 1e-5, 1e-3
# A sentinel is at least this large, and this many times what is largest among the rest.
SENTINEL, APART = 5e3, 100.0
EPSILON = 2.0**-23
# ONNX operators that only move elements: an output made so of a Concat is still put together of its parts.
VIEWS = {"Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Split", "Gather", "Expand"}
# Integers out of these may be one step off.
QUANTISING = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QLinearAdd", "QGemm"}
# The result of these is a difference of numbers near one, or a sum in which such numbers cancel.
BOUNDED = {"Sigmoid", "Softmax", "Tanh", "Erf", "HardSigmoid", "LSTM", "GRU", "RNN", "Softsign", "Cos", "Sin"}
CANCELLING = {"Add", "Sub", "Sum", "Gemm", "MatMul", "Conv", "ReduceMean", "ReduceSum", "GlobalAveragePool", "Mean"}


class ShapesChanged(Exception):
    """A tensor has another shape or type in the candidate, or is not there."""


@dataclass(frozen=True)
class Rule:
    """|c - r| <= atol + rtol |r|, where `scaled` says that atol is a fraction of the rms of the element's group."""

    atol: float
    rtol: float
    scaled: bool = False
    # A group this good agrees whatever single elements do.
    floor_db: float = float("inf")


GIVEN = Rule(ATOL, RTOL)
AUTO = Rule(1e-5, 1e-4, scaled=True, floor_db=100.0)


def diverges(r, c, rule=GIVEN, labels=None, noise=0.0, step=0):
    """Does the candidate's tensor differ? `labels` number the parts, `noise` is an absolute floor of FP32, `step` is
    how far integers may be apart."""
    if c is None or r.shape != c.shape or r.dtype != c.dtype:
        raise ShapesChanged
    if r.tobytes() == c.tobytes():
        return False
    if r.dtype.kind in "iu" and step:
        return bool(np.any(np.abs(r.astype(np.float64) - c.astype(np.float64)) > step))
    if r.dtype.kind != "f":
        return not np.array_equal(r, c)
    r, c = r.astype(np.float64), c.astype(np.float64)
    if nonfinite_moved(r, c):
        return True
    return any(group_diverges(r[g], c[g], rule, noise) for g in groups(r, labels))


def group_diverges(r, c, rule, noise):
    error = np.abs(c - r)
    atol = rule.atol * np.sqrt(np.mean(r * r)) if rule.scaled else rule.atol
    if np.all(error <= np.maximum(atol, noise) + rule.rtol * np.abs(r)):
        return False
    return sqnr_db(r, c) < rule.floor_db


def nonfinite_moved(r, c):
    """How many places hold NaN or an infinity on one side only, or of another kind or sign."""
    both_nan = np.isnan(r) & np.isnan(c)
    return int(np.sum((~np.isfinite(r) | ~np.isfinite(c)) & ~both_nan & (r != c)))


def groups(r, labels=None):
    """Boolean masks of finite elements that are judged for themselves: part by part, sentinels apart."""
    finite = np.isfinite(r)
    numbers = [0] if labels is None else np.unique(labels)
    for number in numbers:
        part = finite if labels is None else finite & (labels == number)
        large = sentinels(np.abs(r), part)
        for group in (part & ~large, large):
            if group.any():
                yield group


def sentinels(size, part):
    """The elements of a part that stand apart by their size: the smallest jump of APART from SENTINEL upwards."""
    values = np.unique(size[part])
    none = np.zeros(size.shape, bool)
    if len(values) < 2 or values[-1] < SENTINEL:
        return none
    jumps = np.flatnonzero((values[1:] >= SENTINEL) & (values[1:] >= APART * values[:-1]))
    return part & (size >= values[jumps[0] + 1]) if len(jumps) else none


def sqnr_db(r, c):
    """10 log10 of the power of the reference by that of the error, over finite values; infinite if they are equal."""
    error = np.sum((c - r) ** 2)
    if error == 0:
        return float("inf")
    return float(10 * np.log10(max(np.sum(r * r), 1e-300) / error))


def part_labels(node_of, values, constants, tensor, run_node, depth=40):
    """For a tensor put together by Concat, seen through views: which part each element is of; None for others.

    `node_of` gives the node that makes a tensor, `run_node(node, feeds, output)` runs one node alone.
    """
    node = node_of(tensor)
    if node is None or depth == 0 or tensor not in values:
        return None
    if node.op_type == "Concat":
        axis = next(a.i for a in node.attribute if a.name == "axis")
        pieces, first = [], 0
        for name in node.input:
            value = values.get(name, constants.get(name))
            if value is None:
                return None
            inner = part_labels(node_of, values, constants, name, run_node, depth - 1)
            piece = np.zeros(value.shape, np.int64) if inner is None else inner
            pieces.append(piece + first)
            first += 1 if inner is None else int(inner.max(initial=0)) + 1
        return np.concatenate(pieces, axis)
    if node.op_type not in VIEWS:
        return None
    labels = part_labels(node_of, values, constants, node.input[0], run_node, depth - 1)
    if labels is None:
        return None
    rest = {name: values.get(name, constants.get(name)) for name in node.input[1:] if name}
    if any(value is None for value in rest.values()):
        return None
    return run_node(node, {node.input[0]: labels, **rest}, tensor)
