#!/usr/bin/env python3
"""No false alarm: healthy real models against runs of them that are different but right, default tolerances.

Candidates are the FP16 and BF16 emulations, what ONNX Runtime's optimiser makes of the model at each level, and
OpenVINO. layerdiff must say "agreed" unless an output really degrades: that is measured here, from the tensors that
layerdiff saved, by other code (cosine under 0.999, a changed arg-max, a value that is no longer finite). Where one
degrades the report must say so, by its verdict or in a warning; only an arg-max over something else than a distribution
(pixels, box coordinates) may pass in silence. "inconclusive" is right where OpenVINO itself refuses the model.

Exit status: 0 when every verdict is right.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

import corpus

MODELS = [*corpus.MODELS, "silero_vad", "silero_ifless"]
LEVELS = {
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
CANDIDATES = ["ort:fp16", "ort:bf16", *LEVELS, "ort-openvino"]
COSINE = 0.999
TIE = 1e-3
ARG_MAX = "changed arg-max"


@dataclass
class Finding:
    verdict: str
    # What layerdiff says besides: the first culprit, a warning, an error.
    remark: str
    # How an output is really worse, by the measurement here; empty when none is.
    degraded: str
    right: bool


def main():
    options = arguments()
    environment = corpus.environment()
    if "ort-openvino" in options.candidates:
        environment.setdefault("LAYERDIFF_ORT_OPENVINO", openvino_library())
    print("| model | candidate | verdict | output degraded | right | remark |")
    print("|---|---|---|---|---|---|")
    wrong = total = 0
    for name in options.only:
        for candidate in options.candidates:
            found = examine(name, candidate, options, environment)
            total += 1
            wrong += not found.right
            right = "yes" if found.right else "NO"
            cells = [name, candidate, found.verdict, found.degraded or "no", right, found.remark]
            print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\n{total - wrong} of {total} verdicts are right")
    sys.exit(1 if wrong else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS, help="these models only")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=CANDIDATES)
    parser.add_argument("--models", default=os.environ.get("LAYERDIFF_MODELS", venv.ROOT / "target/models"))
    parser.add_argument("--layerdiff", default=venv.ROOT / "target/release/layerdiff")
    options = parser.parse_args()
    options.models = Path(options.models)
    if not Path(options.layerdiff).exists():
        parser.error(f"{options.layerdiff} is not there; run cargo build --release")
    return options


def openvino_library():
    """The ONNX Runtime of the package onnxruntime-openvino; layerdiff runs it in a process of its own."""
    python = Path(venv.python("openvino"))
    found = python.parent.parent.glob("lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
    return str(next(found))


def openvino_refuses(model):
    """Does a bare session of onnxruntime-openvino fail on this model too?"""
    bare = """if True:
        import numpy, onnxruntime, sys
        session = onnxruntime.InferenceSession(sys.argv[1], providers=["OpenVINOExecutionProvider"])
        session.run(None, dict(numpy.load(sys.argv[2])))
    """
    command = [venv.python("openvino"), "-c", bare, str(model), str(model.with_suffix(".npz"))]
    return subprocess.run(command, capture_output=True).returncode != 0


def examine(name, candidate, options, environment):
    model = options.models / f"{name}.onnx"
    with tempfile.TemporaryDirectory() as temporary:
        spec, saved, report = candidate, Path(temporary) / "tensors.npz", Path(temporary) / "report"
        if candidate in LEVELS:
            spec = f"ort@{optimised(model, LEVELS[candidate], Path(temporary) / 'optimised.onnx')}"
        command = [str(options.layerdiff), "bisect", str(model), "--candidate", spec, "--quiet"]
        command += ["--inputs", str(model.with_suffix(".npz")), "--save-tensors", str(saved), "-o", str(report)]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment)
        try:
            found = json.loads((report / "report.json").read_text())
            names = [output["name"] for output in found["outputs"]]
            degraded = degradation(np.load(saved), names) if found["verdict"] != "inconclusive" else ""
        except (OSError, ValueError, KeyError) as error:
            said = (ran.stderr.strip().splitlines() or [str(error)])[-1]
            return Finding(f"none, exit status {ran.returncode}", said, "", False)
    refused = found["verdict"] == "inconclusive" and candidate == "ort-openvino" and openvino_refuses(model)
    return judged(found, degraded, refused)


def optimised(model, level, path):
    """What ONNX Runtime's optimiser makes of the model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return path


def degradation(saved, outputs):
    """Why a final output of the candidate is really worse than the reference's; empty when none is."""
    pairs = {name: (saved[f"reference/{name}"], saved[f"candidate/{name}"]) for name in outputs}
    return "; ".join(f"{name}: {why}" for name, pair in pairs.items() if (why := worse(*pair)))


def worse(r, c):
    if r.shape != c.shape:
        return f"shape {r.shape} -> {c.shape}"
    if r.dtype.kind != "f" or r.size == 0:
        return "" if np.array_equal(r, c) else "other values"
    r, c = r.astype(np.float64), c.astype(np.float64)
    if not np.array_equal(np.isfinite(r), np.isfinite(c)):
        return "a non-finite value"
    kept = np.isfinite(r)
    cosine = similarity(r[kept], c[kept])
    if cosine < COSINE:
        return f"cosine {cosine:.6f}"
    # Where the last axis is a distribution, each row has an arg-max that counts: the letters of a line of text.
    is_distribution = r.shape and r.shape[-1] > 1 and r.min() >= 0 and np.allclose(r.sum(-1), 1, atol=1e-3)
    if is_distribution and not np.array_equal(r.argmax(-1), c.argmax(-1)):
        return "changed arg-max of a distribution"
    # Among equals, as in a saturated map, the arg-max is a toss-up: only a really lower place counts.
    if r.flat[np.argmax(c)] < r.max() - TIE * (r.max() - r.min()):
        return ARG_MAX
    return ""


def similarity(r, c):
    lengths = np.linalg.norm(r) * np.linalg.norm(c)
    return float(r @ c / lengths) if lengths else float(np.linalg.norm(r) == np.linalg.norm(c))


def judged(report, degraded, refused):
    verdict, warnings = report["verdict"], report.get("warnings", [])
    culprits = [f"{c['node']['op_type']} '{c['node']['name']}'" for c in report["culprits"]]
    said_so = verdict == "diverged" or any("degrade" in w or "arg-max" in w or "cosine" in w for w in warnings)
    grave = [why for why in degraded.split("; ") if why and not why.endswith(f": {ARG_MAX}")]
    silence = verdict == "agreed" and not grave
    right = refused or silence or bool(degraded and said_so)
    remark = "; ".join([*culprits[:1], *warnings, *([report["why"]] if report.get("why") else [])])
    return Finding(verdict, remark, degraded, right)


if __name__ == "__main__":
    main()
