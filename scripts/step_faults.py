#!/usr/bin/env python3
"""Are the first bad step and the node right? Decoders with faults of tests/steps/decoders.py.

Usage: scripts/step_faults.py LAYERDIFF [--cases 32] [--seed 0] [-v]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(venv.ROOT / "tests/steps"))
import decoders
import fault_corpus

STEPS = 16


def judge(layerdiff, kind, seed):
    """What is wrong in the answer; empty where nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        made = [sys.executable, decoders.__file__, kind, str(seed), folder]
        step, node = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip().split(" ", 1)
        command = [layerdiff, "bisect", folder / "model.onnx", "-c", f"ort@{folder}/candidate.onnx"]
        command += ["-i", folder / "prompt.npz", "--steps", str(STEPS), "--no-reduce", "--no-overrides", "-q"]
        ran = subprocess.run([*command, "-o", folder / "out"], capture_output=True, text=True)
        if ran.returncode != 1:
            return f"exit status {ran.returncode}: {ran.stderr.strip()}"
        report = json.loads((folder / "out/report.json").read_text())
        names = [culprit["node"]["name"] for culprit in report["culprits"]]
        if names[:1] != [node]:
            return f"culprits {names}, not {node}"
        if kind == "drift":
            forced = [row["step"] for row in report["steps"] if row["verdict"] != "agreed"]
            drifts = report["decoding"]["drifts_from"]
            return "" if not forced and drifts else f"drifts from {drifts}, and steps {forced} diverge alone"
        got = report.get("first_bad_step")
        return "" if got == int(step) else f"first bad step {got}, not {step}"


if __name__ == "__main__":
    fault_corpus.run(__doc__, decoders.KINDS, 32, judge)
