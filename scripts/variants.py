#!/usr/bin/env python3
"""Variants of every model of a folder: what optimisers, quantisers and converters make of it, and how healthy each is.

Writes NAME.KIND.onnx for each NAME.onnx + NAME.npz, and health.json ({NAME: {KIND: {"healthy", "sqnr_db", "why"}}}),
measured by ONNX Runtime with graph optimisation off against the original. Healthy: labels and integers equal, NaN and
infinities in their places, each part of each output within the bound of its kind (BOUNDS, in dB), the top-1 of rows of
a matrix unchanged unless it was a near-tie. "grey" is what people may call either way: only a top-1 changed; an
optimiser between 70 and 90 dB; an optimised file of a model that is quantised already, where one step goes a long way.
Each variant is made and measured in a process of its own: tools crash and hang.

usage: PYTHON scripts/variants.py MODELS OUT [--only NAME ...] [--kinds KIND ...] [--again]
PYTHON is that of an environment with onnx, onnxruntime, onnxslim, onnxsim, onnxconverter-common and sympy.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import truth
import verdicts

OPTIMISERS = ["basic", "extended", "all", "slim", "sim"]
QUANTISERS = ["dynamic", "qdq", "qoperator"]
KINDS = [*OPTIMISERS, *QUANTISERS, "fp16"]
# Decibels per part of an output; a precision that is emulated on the original has one as well.
BOUNDS = {**dict.fromkeys(OPTIMISERS, 90.0), **dict.fromkeys(QUANTISERS, 14.0)}
BOUNDS |= {"fp16": 27.0, "bf16": 20.0, "tf32": 27.0}
QUANTISED = {"DynamicQuantizeLinear", "QuantizeLinear", "DequantizeLinear", "MatMulInteger", "ConvInteger", "QGemm"}
QUANTISABLE = {"Conv", "MatMul", "Gemm", "LSTM", "Gather", "ConvTranspose"}
# An optimised file below its bound is grey down to here; of a quantised model, down to INT8's bound.
GREY_DB = 70.0
SECONDS = 400


class NotMade(Exception):
    """The tool has nothing to do here, or said no."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", help="these models only")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--again", action="store_true", help="make and measure what is there already")
    parser.add_argument("--deployed", action="store_true", help="only add how healthy ones fare in a default session")
    parser.add_argument("--health", type=Path, help="where the health goes; beside OUT's folder else")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.health or options.out.parent / "health.json"
    health = json.loads(record.read_text()) if record.exists() else {}
    if options.deployed:
        return deployed(options, record, health)
    for model in sorted(options.models.glob("*.onnx")):
        if options.only and model.stem not in options.only:
            continue
        for kind in options.kinds:
            if kind in health.get(model.stem, {}) and not options.again:
                continue
            found = apart(model, kind, options.out / f"{model.stem}.{kind}.onnx")
            health.setdefault(model.stem, {})[kind] = found
            record.write_text(json.dumps(health, indent=1, sort_keys=True) + "\n")
            print(model.stem, kind, json.dumps({k: found.get(k) for k in ("healthy", "sqnr_db", "why")}), flush=True)


def deployed(options, record, health):
    """Adds "deployed" to each healthy variant: "healthy", "unhealthy" or "crash" with ONNX Runtime's default
    optimisation, which is how people run it, and how layerdiff must."""
    for name, kinds in sorted(health.items()):
        for kind, found in kinds.items():
            if found["healthy"] and (not options.only or name in options.only):
                model, path = options.models / f"{name}.onnx", options.out / f"{name}.{kind}.onnx"
                now = apart(model, kind, path, make_it=False)
                found["deployed"] = {True: "healthy", False: "unhealthy", None: "crash"}[now["healthy"]]
                if found["deployed"] != "healthy":
                    print(name, kind, found["deployed"], now["why"], flush=True)
        record.write_text(json.dumps(health, indent=1, sort_keys=True) + "\n")


def apart(model, kind, path, make_it=True):
    """Makes and measures in another process."""
    queue = multiprocessing.SimpleQueue()
    process = multiprocessing.Process(target=work, args=(model, kind, path, queue, make_it))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    found = {"healthy": None, "why": f"not made: the tool crashed or took more than {SECONDS} s"}
    if not queue.empty():
        found = queue.get()
    if found["healthy"] is None and make_it:
        path.unlink(missing_ok=True)
    return found


def work(model, kind, path, queue, make_it):
    os.nice(5)
    sys.stdout = open(os.devnull, "w")
    try:
        if make_it:
            make(model, kind, path)
        queue.put(measure(model, path, kind, optimised=not make_it))
    except NotMade as e:
        queue.put({"healthy": None, "why": f"not made: {e}"})
    except Exception as e:
        traceback.print_exc()
        queue.put({"healthy": None, "why": f"not made: {type(e).__name__}: {str(e)[:200]}"})


# ---- making


def make(model, kind, path):
    if kind in ("basic", "extended", "all"):
        ort_optimised(model, kind, path)
    elif kind == "slim":
        import onnxslim

        onnx.save(onnxslim.slim(onnx.load(model)), path)
    elif kind == "sim":
        import onnxsim

        simple, right = onnxsim.simplify(onnx.load(model))
        if not right:
            raise NotMade("onnxsim's own check failed")
        onnx.save(simple, path)
    elif kind == "fp16":
        if any(n.op_type in QUANTISED for n in onnx.load(model).graph.node):
            raise NotMade("the model is quantised")
        half(model, path)
    else:
        quantise(model, kind, path)


def half(model, path):
    """By onnxconverter-common, or by ONNX Runtime's copy of it where what that one writes does not load."""
    import onnxruntime.transformers.float16
    from onnxconverter_common import float16

    if not any(n.op_type in QUANTISABLE for n in onnx.load(model).graph.node):
        raise NotMade("nothing in it computes in FP16")
    for tool in (float16, onnxruntime.transformers.float16):
        try:
            onnx.save(tool.convert_float_to_float16(onnx.load(model), keep_io_types=True), path)
            truth.plain_session(path, 1)
            return
        except Exception as e:
            said = e
    raise NotMade(f"{type(said).__name__}: {str(said)[:160]}")


def ort_optimised(model, level, path):
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, f"ORT_ENABLE_{level.upper()}")
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def quantise(model, kind, path):
    from onnxruntime import quantization as q

    operators = {n.op_type for n in onnx.load(model).graph.node}
    if any(op in QUANTISED or "Quantize" in op for op in operators):
        raise NotMade("the model is quantised already")
    if not operators & QUANTISABLE:
        raise NotMade("nothing in it can be quantised")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "prepared.onnx"
        prepare(model, source, kind)
        if kind == "dynamic":
            q.quantize_dynamic(source, path, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        else:
            form, activation = {
                "qdq": (q.QuantFormat.QDQ, q.QuantType.QInt8),
                "qoperator": (q.QuantFormat.QOperator, q.QuantType.QUInt8),
            }[kind]
            feeds = dict(np.load(model.with_suffix(".npz")))
            q.quantize_static(source, path, Feeds(feeds), quant_format=form, activation_type=activation)
    operators = [n.op_type for n in onnx.load(path).graph.node]
    if not any("Quantize" in op or "QLinear" in op or op in QUANTISED for op in operators):
        raise NotMade("nothing in it was quantised")


def prepare(model, path, kind):
    """Weights as initializers, which quantisers want; for calibration the graph simplified and shapes inferred."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if kind != "dynamic":
        return quant_pre_process(model, path, skip_symbolic_shape=True)
    loaded = onnx.load(model)
    for node in [n for n in loaded.graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]:
        tensor = loaded.graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        loaded.graph.node.remove(node)
    # What exporters write there is wrong at times, and the quantiser insists on it.
    del loaded.graph.value_info[:]
    onnx.save(loaded, path)
    return None


class Feeds:
    """The calibration data: the inputs themselves and three perturbed copies."""

    def __init__(self, feeds):
        rng = np.random.default_rng(0)
        self.left = [feeds]
        for _ in range(3):
            self.left.append({n: perturbed(rng, v) for n, v in feeds.items()})

    def get_next(self):
        return self.left.pop(0) if self.left else None

    def __iter__(self):
        return iter(self.left)


def perturbed(rng, value):
    if value.dtype.kind != "f":
        return value
    return (value * rng.uniform(0.9, 1.1) + rng.normal(0, 0.02 * (value.std() + 1e-6), value.shape)).astype(value.dtype)


# ---- measuring


def measure(model, path, kind, optimised=False):
    """The health of one variant."""
    reference = truth.Reference(model, model.with_suffix(".npz"), 1)
    session = truth.plain_session(path, 1) if not optimised else onnxruntime.InferenceSession(path)
    taken = {i.name for i in session.get_inputs()}
    values = session.run(None, {k: v for k, v in reference.feeds.items() if k in taken})
    got = dict(zip([o.name for o in session.get_outputs()], values))
    found = health_of(reference, got, BOUNDS[kind])
    quantised = any("Quantize" in n.op_type for n in reference.model.graph.node)
    grey_db = BOUNDS["qdq"] if quantised else GREY_DB
    if kind in OPTIMISERS and found["healthy"] is False and found["sqnr_db"] and found["sqnr_db"] >= grey_db:
        grave = found["nonfinite_moved"] or " differ" in found["why"] or "not there" in found["why"]
        found["grey"] = not grave
    return found


def health_of(reference, got, bound):
    """Compares outputs by name; the worst part counts."""
    wrong, grey, found = [], [], {"sqnr_db": float("inf"), "max_abs": 0.0, "top1_changed": 0, "nonfinite_moved": 0}
    for name in reference.outputs:
        r, c = reference.values.get(name), got.get(name)
        if r is None:
            continue
        if c is None or c.shape != r.shape or c.dtype != r.dtype:
            wrong.append(f"{name}: not there, or of another shape or type")
        elif r.dtype.kind != "f":
            changed = int(np.sum(r != c))
            wrong += [f"{name}: {changed} of {r.size} differ"] if changed else []
        else:
            judge_floats(reference, name, c, bound, wrong, grey, found)
    found["sqnr_db"] = None if np.isinf(found["sqnr_db"]) else round(found["sqnr_db"], 1)
    return {"healthy": not (wrong or grey), "grey": bool(grey and not wrong), "why": "; ".join(wrong + grey), **found}


def judge_floats(reference, name, c, bound, wrong, grey, found):
    r, c = reference.values[name].astype(np.float64), c.astype(np.float64)
    moved = verdicts.nonfinite_moved(r, c)
    found["nonfinite_moved"] += moved
    if moved:
        wrong.append(f"{name}: NaN or Inf moved in {moved} places")
        return
    for group in verdicts.groups(r, reference.parts(name)):
        db = verdicts.sqnr_db(r[group], c[group])
        found["sqnr_db"] = min(found["sqnr_db"], db)
        found["max_abs"] = max(found["max_abs"], float(np.max(np.abs(c[group] - r[group]))))
        if db < bound:
            wrong.append(f"{name}: {db:.1f} dB in {int(group.sum())} elements")
    if r.ndim == 2 and r.shape[1] > 1:
        rows = np.arange(len(r))
        first, now = r.argmax(1), c.argmax(1)
        margin = r[rows, first] - r[rows, now]
        allowed = 4 * np.sqrt(np.mean(r * r)) * 10 ** (-bound / 20)
        changed = int(np.sum((first != now) & (margin > allowed)))
        found["top1_changed"] += int(np.sum(first != now))
        if changed:
            grey.append(f"{name}: another top-1 in {changed} of {len(r)} rows")


if __name__ == "__main__":
    main()
