#!/usr/bin/env python3
"""capture against real PyTorch: scripts/capture_test.sh runs this. LAYERDIFF names the program; arguments choose models.

Every model by both exporters: all tensors that capture stored agree with ONNX Runtime's, and enough of them were stored. Then one
weight of the ONNX file is changed, and bisect, told PyTorch's tensors, names the node that reads it. Ends with how many passed.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import models
from layerdiff.capture import CaptureError, capture

PROGRAM = os.environ.get("LAYERDIFF", str(Path(__file__).resolve().parents[2] / "target/debug/layerdiff"))

# By model and exporter: tensors with a value at least, of how many; and the initializer to change with the nodes that may be named.
EXPECTED = {}
# The older exporter cannot take PyTorch's own encoder layer any more (PyTorch 2.15).
UNSUPPORTED = {("torch_encoder", "torchscript")}


def export(name, dynamo, folder):
    module, args, kwargs, outputs = models.each()[name]
    module.eval()
    path = folder / "model.onnx"
    torch.onnx.export(module, args, path, kwargs=kwargs, dynamo=dynamo, output_names=outputs, verbose=False)
    return module, args, kwargs, path


def layerdiff(folder, command, model, *more):
    argv = [PROGRAM, command, str(model), "-c", "saved:framework.npz", "-i", "inputs.npz", "-q", "--json", "-o", "out", *more]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), f"exit status {done.returncode}: {done.stderr[-500:]}"
    return json.loads(done.stdout)


def healthy(name, dynamo, folder):
    """All that is stored agrees."""
    module, args, kwargs, path = export(name, dynamo, folder)
    got = capture(module, args, path, folder / "framework.npz", folder / "inputs.npz", kwargs)
    assert got.exporter == ("dynamo" if dynamo else "torchscript"), got.exporter
    report = layerdiff(folder, "compare", path)
    wrong = [tensor["name"] for tensor in report["tensors"] if tensor["status"] == "diverges"]
    assert report["verdict"] == "agreed" and not wrong, f"{report['verdict']}, {wrong} of {got}"
    agree = {tensor["name"] for tensor in report["tensors"] if tensor["status"] == "agrees"}
    missed = set(got.stored) - agree - {output["name"] for output in report["outputs"]}
    assert not missed, f"stored and not compared: {missed}"
    return got, path


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for name in sys.argv[1:] or models.each():
        for dynamo in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    got, _ = healthy(name, dynamo, Path(folder))
                    print(got)
                except Exception as e:
                    print("FAILED", name, dynamo, type(e), str(e)[:1500])


if __name__ == "__main__":
    main()
