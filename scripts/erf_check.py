#!/usr/bin/env python3
"""usage: erf_check.py [--thorough] MODEL     Is this piece of the encoder wrong when the faulty Erf is 5 % off?

The external check of reduce_bench.py, the same for both tools: exit status 0 when the model and its spoilt copy agree
on seeded random inputs, 1 when they differ, 2 when that could not be found out. Knows neither tool. A piece without
that Erf is its own spoilt copy: it passes without a run, unless --thorough, as real hardware could not know that.
Counts itself: a line is added to the file $ERF_CHECK_COUNT.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime

import encoder

# Erf off by 5 % moves what follows by 1e-2 and more; the same model run twice does not differ at all.
TOLERANCE = 1e-3


def main():
    arguments = [a for a in sys.argv[1:] if a != "--thorough"]
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    [path], thorough = arguments, "--thorough" in sys.argv
    if log := os.environ.get("ERF_CHECK_COUNT"):
        with open(log, "a") as file:
            print(path, file=file)
    try:
        return 1 if differs(onnx.load(path), thorough) else 0
    except Exception as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2


def differs(model, thorough):
    if not thorough and not any(node.name in encoder.erf_names() for node in model.graph.node):
        return False
    feeds = random_feeds(model.graph)
    healthy, spoilt = run(model, feeds), run(encoder.spoilt(model), feeds)
    pairs = zip(healthy, spoilt, strict=True)
    return not all(np.allclose(s, h, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True) for h, s in pairs)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def random_feeds(graph):
    rng = np.random.default_rng(0)
    weights = {tensor.name for tensor in graph.initializer}
    return {i.name: random_values(rng, i.type.tensor_type) for i in graph.input if i.name not in weights}


def random_values(rng, tensor):
    """Within [0, 1): good for a mask, an index, a divisor and a root alike."""
    shape = [size(axis, dim) for axis, dim in enumerate(tensor.shape.dim)]
    if not tensor.HasField("shape"):
        shape = [1, encoder.SEQUENCE, encoder.WIDTH]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return rng.random(shape).astype(dtype) if dtype.kind == "f" else rng.integers(0, 2, shape).astype(dtype)


def size(axis, dim):
    """What a dimension without a number is in the whole encoder: first the batch, then the tokens."""
    return dim.dim_value if dim.HasField("dim_value") else (encoder.SEQUENCE if axis else 1)


if __name__ == "__main__":
    sys.exit(main())
