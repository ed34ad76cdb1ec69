#!/usr/bin/env python3
"""Low precision in numpy, for the truth of precision_kinds.py: nothing of layerdiff is used here.

ONNX's own reference evaluator runs the model, node by node, in bodies and functions too; what every node reads and makes is
rounded. One thing of the rounding can be left out (`undo`): the largest value ("range"), the smallest ones ("small"), or both.
What then comes right was broken by that; where neither helps, it is the digits.
"""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference import op_run, ops  # noqa: F401

LIMITS = {"fp16": (2.0**-14, 11), "bf16": (2.0**-126, 8)}


def digits(x, low):
    """x with the digits of the precision, and its own exponent."""
    _, bits = LIMITS[low]
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 2.0**bits) / 2.0**bits, exponent)


def stored(x, low):
    """x as the precision stores it."""
    least, bits = LIMITS[low]
    if low == "fp16":
        return x.astype(np.float16).astype(np.float32)
    with np.errstate(over="ignore"):
        rounded = digits(x, low)
    # One exponent less than the largest of float32.
    top = (2 - 2.0**-7) * 2.0**127
    rounded = np.where(np.abs(rounded) > top, np.copysign(np.inf, rounded), rounded)
    return rounded.astype(np.float32)


def rounded(x, low, undo):
    """x in the precision, but for what is undone."""
    if not isinstance(x, np.ndarray | np.generic) or x.dtype != np.float32:
        return x
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        y, least = stored(x, low), LIMITS[low][0]
        wide = digits(x, low).astype(np.float32)
        wide = np.where(np.isfinite(wide), wide, x)
        if undo in ("range", "both"):
            y = np.where(np.isfinite(x) & ~np.isfinite(y), wide, y)
        if undo in ("small", "both"):
            y = np.where((x != 0) & (np.abs(x) < least), wide, y)
    return y.astype(np.float32)


class Rounding:
    """While it is entered, every node of the reference evaluator rounds."""

    def __init__(self, low, undo=None, keep=()):
        self.low, self.undo, self.keep = low, undo, set(keep)

    def __enter__(self):
        # Unary and binary operators have a `run` of their own.
        self.before = {owner: owner.__dict__["run"] for owner in runners()}
        for owner, plain in self.before.items():
            owner.run = self.rounding(plain)
        return self

    def rounding(self, plain):
        def run(node, *args, **kwargs):
            kept = node.onnx_node.name in self.keep or self.low is None
            each = lambda x: x if kept else rounded(x, self.low, self.undo)
            return tuple(each(y) for y in plain(node, *[each(a) for a in args], **kwargs))

        return run

    def __exit__(self, *_):
        for owner, plain in self.before.items():
            owner.run = plain


def runners(owner=op_run.OpRun):
    """The classes that say how a node runs."""
    own = [owner] if "run" in owner.__dict__ else []
    return own + [found for sub in owner.__subclasses__() for found in runners(sub)]


def outputs(model, feeds, low=None, undo=None, keep=()):
    """What the model makes of the feeds; None where numpy cannot run it."""
    try:
        with Rounding(low, undo, keep), np.errstate(all="ignore"):
            return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feeds)]
    except Exception as e:  # a kernel that the evaluator does not have, an index out of range
        outputs.why = f"{type(e).__name__}: {e}"
        return None


def off(right, got, low):
    """Do they differ by more than a few roundings of the precision?"""
    if got is None:
        return True
    unit = 2.0 ** -LIMITS[low][1]
    for r, g in zip(right, got, strict=True):
        if r.dtype.kind in "biu":
            if not np.array_equal(r, g):
                return True
            continue
        r, g = r.astype(np.float64), g.astype(np.float64)
        if not np.array_equal(np.isfinite(r), np.isfinite(g)):
            return True
        live = np.isfinite(r)
        scale = np.sqrt(np.mean(r[live] ** 2)) if live.any() else 0.0
        if np.any(np.abs(r - g)[live] > 16 * unit * scale + 16 * unit * np.abs(r[live])):
            return True
    return False


def truth(path, feeds, low):
    """What breaks the model: "range", "small", "both", "digits", or None where it is right or numpy cannot say."""
    model = onnx.load(path)
    right = outputs(model, feeds)
    if right is None:
        return f"unknown ({outputs.why})"
    if not off(right, outputs(model, feeds, low), low):
        return None
    for undo in ("range", "small", "both"):
        if not off(right, outputs(model, feeds, low, undo), low):
            return undo
    return "digits"
