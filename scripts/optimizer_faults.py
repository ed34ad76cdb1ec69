#!/usr/bin/env python3
"""Are the verdict and the optimizers right where only the session that is deployed fails? Models of tests/deployed/models.py.

Usage: scripts/optimizer_faults.py LAYERDIFF [--cases 24] [--seed 0] [-v]

The truth is ONNX Runtime's own, from Python: a plain and a deployed session, and every optimizer (then every two of them) turned
off by its name. A model whose two sessions are alike says nothing and is left out."""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/deployed"))
import models  # noqa: E402

PACKING = "prepacking"
SOURCE = Path(__file__).resolve().parents[1] / "src/find/optimizer.rs"
LEVEL = ort.GraphOptimizationLevel


def names():
    """Those that the program may name, rules and optimizers; turned off here one by one, whatever the program does."""
    lines = SOURCE.read_text().split("];")[:2]
    return [line.strip().strip('",') for part in lines for line in part.splitlines() if line.strip().startswith('"')]


def run(model, feeds, level=LEVEL.ORT_ENABLE_ALL, off=()):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    if PACKING in off or level == LEVEL.ORT_DISABLE_ALL:
        options.add_session_config_entry("session.disable_prepacking", "1")
    switches = ";".join(name for name in off if name != PACKING)
    if switches:
        options.add_session_config_entry("optimization.disable_specified_optimizers", switches)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def alike(right, got):
    def one(a, b):
        a, b = np.float64(a), np.float64(b)
        finite = a[np.isfinite(a)]
        scale = np.sqrt(np.mean(finite**2)) if finite.size else 0
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3 * scale, equal_nan=True)

    return all(one(a, b) for a, b in zip(right, got))


def truth(model, feeds):
    """The smallest sets whose turning off makes the deployed session agree with the plain one; none where both agree."""
    right = run(model, feeds, LEVEL.ORT_DISABLE_ALL)

    def cured(off=()):
        try:
            return alike(right, run(model, feeds, off=off))
        except Exception:
            return None

    whole = cured()
    if whole:
        return None, True
    switches = [*names(), PACKING]
    for size in (1, 2):
        found = [set(off) for off in itertools.combinations(switches, size) if cured(off)]
        if found:
            return found, whole is not None
    return [], whole is not None


def told(layerdiff, folder):
    command = [layerdiff, "bisect", folder / "model.onnx", "-c", "ort", "-i", folder / "in.npz", "-o", folder / "out"]
    done = subprocess.run([*map(str, command), "--atol", "1e-3", "--rtol", "1e-3"], capture_output=True, text=True)
    report = json.loads((folder / "out/report.json").read_text()) if done.returncode != 2 else {}
    found = ((report.get("session") or {}).get("optimizers") or {}).get("names", [])
    causes = {d["code"] for c in report.get("culprits", []) for d in c["diagnosis"] if d["sure"] == "shown"}
    return done.returncode, set(found), causes, (report.get("reduced") or {}).get("reproduces"), done.stderr.strip()[-200:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layerdiff")
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    rng, right, asked = np.random.default_rng(args.seed), 0, 0
    for number in range(args.cases):
        kind = models.KINDS[number % len(models.KINDS)]
        model, feeds = kind(rng)
        feeds = {name: np.asarray(value, np.float32) for name, value in feeds.items()}
        sets, runs = truth(model, feeds)
        if sets is None:
            print(f"{kind.__name__}: both sessions agree, left out")
            continue
        asked += 1
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            onnx.save(model, folder / "model.onnx")
            np.savez(folder / "in.npz", **feeds)
            status, names_told, causes, reproduces, last = told(args.layerdiff, folder)
        shown = status == 1 and "optimizer" in causes and reproduces
        good = names_told in sets and (shown if runs else status == 3)
        right += good
        if args.v or not good:
            print(f"{'right' if good else 'WRONG'} {kind.__name__}: {status} {names_told} of {sets}; {causes} {reproduces} {last}")
    print(f"{right} of {asked} are right")
    return 0 if right == asked else 1


if __name__ == "__main__":
    sys.exit(main())
