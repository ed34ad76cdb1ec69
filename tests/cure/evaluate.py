"""An evaluator that shares nothing with layerdiff: ONNX's reference implementation, every operator in its own type.

Reads a JSON list of jobs from stdin: {"reference": model, "samples": [npz], "auto": is the tolerance scale-aware,
"atol", "rtol", "models": [paths]}. Prints a JSON list of lists, one verdict for each model:
{"agrees": bool, "error": relative RMS of the worst output, "why": text, "float32": [nodes of the main graph that make
FP32 tensors, Casts aside]}.

Sums and products are accumulated in FP32 and rounded once, as tensor cores do; NumPy alone is too slow at them in FP16.
"""

import json
import sys

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_conv, op_layer_normalization, op_matmul

# The precision's share of noise: see "Tolerances" of the README.
SQNR_DB, WORST = 27.0, 0.3


def main():
    np.seterr(all="ignore")
    print(json.dumps([evaluate(job) for job in json.load(sys.stdin)]))


def evaluate(job):
    samples = [dict(np.load(path)) for path in job["samples"]]
    right = run(onnx.load(job["reference"]), samples)
    return [verdict(job, path, samples, right) for path in job["models"]]


def run(model, samples):
    declared = {value.name for value in model.graph.input}
    evaluator = ReferenceEvaluator(model, new_ops=OPERATORS)
    names = evaluator.output_names
    feeds = ({name: value for name, value in sample.items() if name in declared} for sample in samples)
    return [dict(zip(names, evaluator.run(None, feed))) for feed in feeds]


def verdict(job, path, samples, right):
    model = onnx.load(path)
    onnx.checker.check_model(path, full_check=True)
    got = run(model, samples)
    pairs = [(name, np.asarray(r[name]), np.asarray(g[name])) for r, g in zip(right, got) for name in r]
    wrong = [name for name, r, g in pairs if not agrees(job, r, g)]
    worst = max(error(r, g) for _, r, g in pairs)
    return {"agrees": not wrong, "error": worst if np.isfinite(worst) else None, "why": f"{wrong} differ", "float32": wide_nodes(model)}


def wide_nodes(model):
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    wide = (n for n in graph.node if any(types.get(output) == onnx.TensorProto.FLOAT for output in n.output))
    return [node.name for node in wide if node.op_type not in ("Cast", "Constant")]


# ---- the rules


def agrees(job, right, got):
    if right.shape != got.shape or right.dtype != got.dtype:
        return False
    if right.dtype.kind not in "fiu":
        return np.array_equal(right, got)
    r, g = right.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(r)
    rms = np.sqrt(np.mean(r[finite] ** 2)) if finite.any() else 0.0
    bound = job["atol"] * (rms if job["auto"] else 1.0) + job["rtol"] * np.abs(r)
    same = (r == g) | (np.isnan(r) & np.isnan(g))
    if np.all(same | (finite & (np.abs(r - g) <= bound))):
        return True
    if not job["auto"] or right.dtype.kind != "f" or not np.array_equal(finite, np.isfinite(g)):
        return False
    noise = np.max(np.abs(r - g)[finite], initial=0.0)
    return error(right, got) <= 10 ** (-SQNR_DB / 20) and noise <= WORST * np.max(np.abs(r[finite]), initial=0.0)


def error(right, got):
    r, g = right.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(r)
    if not np.array_equal(finite, np.isfinite(g)):
        return np.inf
    noise, signal = np.sum((r - g)[finite] ** 2), np.sum(r[finite] ** 2)
    return float(np.sqrt(noise / signal)) if noise else 0.0


# ---- operators that accumulate, or that the reference has wrong


class MatMul(OpRun):
    def _run(self, a, b):
        return (op_matmul.numpy_matmul(wide(a), wide(b)).astype(a.dtype),)


class Conv(op_conv.Conv):
    def _run(self, x, w, b=None, **attributes):
        (result,) = super()._run(wide(x), wide(w), None if b is None else wide(b), **attributes)
        return (result.astype(x.dtype),)


class BatchNormalization(OpRun):
    def _run(self, x, scale, bias, mean, variance, epsilon=1e-5, **_):
        shape = (-1,) + (1,) * (x.ndim - 2)
        scale, bias, mean, variance = (wide(v).reshape(shape) for v in (scale, bias, mean, variance))
        return ((scale * (wide(x) - mean) / np.sqrt(variance + np.float32(epsilon)) + bias).astype(x.dtype),)


class LayerNormalization(op_layer_normalization.LayerNormalization):
    def _run(self, x, scale, bias=None, **attributes):
        result, *statistics = super()._run(wide(x), wide(scale), None if bias is None else wide(bias), **attributes)
        return result.astype(x.dtype), *statistics


class GlobalMaxPool(OpRun):
    """ONNX 1.23 has it right for two spatial dimensions only."""

    def _run(self, x):
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


def wide(x):
    return x.astype(np.float32) if x.dtype == np.float16 else x


OPERATORS = [MatMul, Conv, BatchNormalization, LayerNormalization, GlobalMaxPool]

if __name__ == "__main__":
    main()
