#!/usr/bin/env python3
"""Are the smallest failing size and the node right? Models of open batch and length with faults of tests/sizes/faults.py.

Usage: scripts/size_faults.py LAYERDIFF [--cases 21] [--seed 0] [-v]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(venv.ROOT / "tests/sizes"))
import fault_corpus
import faults

def judge(layerdiff, kind, seed):
    """What is wrong in the answer; empty where nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        victim = subprocess.run(
            [sys.executable, faults.__file__, kind, str(seed), folder], check=True, capture_output=True, text=True
        ).stdout.strip()
        rows = kind in ("row2", "alone")
        sweep = {
            "odd": ["--sweep", "seq=2..24", "--sweep", "batch=2"],
            "batch": ["--sweep", "batch=1,2,3,4", "--shape", "x=2x6x8"],
            "both": ["--sweep", "batch=1,2", "--sweep", "seq=2..24/2"],
        }.get(kind, ["--batch-check", "--shape", "x=4x6x8"] if rows else ["--sweep", "seq=1..24", "--sweep", "batch=1"])
        command = [layerdiff, "bisect", folder / "model.onnx", "-c", f"ort@{folder}/candidate.onnx", *sweep]
        ran = subprocess.run([*command, "--no-reduce", "--no-overrides", "-q", "-o", folder / "out"], capture_output=True, text=True)
        if ran.returncode != 1:
            return f"exit status {ran.returncode}: {ran.stderr.strip()}"
        report = json.loads((folder / "out/report.json").read_text())
        names = [culprit["node"]["name"] for culprit in report["culprits"]]
        if names[:1] != [victim]:
            return f"culprits {names}, not {victim}"
        if rows:
            bad = report["batch"]["first_bad_row"]
            # A row alone that is wrong makes every row of a batch another one.
            want = 2 if kind == "row2" else 0
            return "" if bad == want else f"first bad row {bad}, not {want}"
        want = smallest(folder, sweep)
        got = report.get("first_bad_size")
        return "" if got == want else f"first bad size {got}, not {want}"


def smallest(folder, sweep):
    """By running both models with plain sessions at every size."""
    sizes = {}
    for text in (s for s in sweep if s.startswith(("seq=", "batch="))):
        dim, values = text.split("=")
        if ".." in values:
            first, last = values.split("..")
            last, step = last.split("/") if "/" in last else (last, 1)
            sizes[dim] = sorted({*range(int(first), int(last) + 1, int(step)), int(last)})
        else:
            sizes[dim] = [int(v) for v in values.split(",")]
    a, b = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("model", "candidate"))
    every = [dict(zip(sizes, values)) for values in itertools.product(*sizes.values())]
    for size in sorted(every, key=lambda s: np.prod(list(s.values()))):
        x = np.random.default_rng(0).random((size.get("batch", 2), size.get("seq", 6), faults.WIDTH), np.float32)
        right, got = (s.run(None, {"x": x})[0] for s in (a, b))
        if np.abs(right - got).max() > 1e-3 * np.abs(right).max():
            return size
    return None


if __name__ == "__main__":
    fault_corpus.run(__doc__, faults.KINDS, 21, judge)
