#!/usr/bin/env python3
"""capture against real PyTorch: scripts/capture_test.sh runs this. LAYERDIFF names the program; arguments choose tests by name.

Every model by both exporters: all tensors that capture stored agree with ONNX Runtime's, and enough of them were stored. Then one
weight of the ONNX file is changed, and bisect, told PyTorch's tensors, names the node that reads it.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import models
from layerdiff.capture import CaptureError, capture

PROGRAM = os.environ.get("LAYERDIFF", str(Path(__file__).resolve().parents[2] / "target/debug/layerdiff"))
BOTH = ("torchscript", "dynamo")

# How many tensors must have a value at least, of all that are computed. Seen with PyTorch 2.15.
STORED = {
    ("mlp", "torchscript"): 5, ("mlp", "dynamo"): 5,
    ("cnn", "torchscript"): 11, ("cnn", "dynamo"): 11,
    ("encoder", "torchscript"): 34, ("encoder", "dynamo"): 51,
    ("torch_encoder", "dynamo"): 30,
    ("swaps", "torchscript"): 5, ("swaps", "dynamo"): 5,
    ("shared", "torchscript"): 7, ("shared", "dynamo"): 15,
    ("norms", "torchscript"): 9, ("norms", "dynamo"): 8,
    ("twice", "torchscript"): 9, ("twice", "dynamo"): 9,
    ("recurrent", "torchscript"): 3, ("recurrent", "dynamo"): 2,
    ("keyed", "torchscript"): 3, ("keyed", "dynamo"): 4,
}  # fmt: skip

# By model and exporter, the node whose weight is changed and the module that the report names.
PLANTED = {
    ("mlp", "torchscript"): ("/fc2/Gemm", "fc2", None),
    ("mlp", "dynamo"): ("node_linear_1", "fc2", "Linear"),
    ("cnn", "torchscript"): ("/conv2/Conv", "conv2", None),
    # The BatchNorm behind it was folded in, and it bears that one's words.
    ("cnn", "dynamo"): ("conv2.weight", "bn2", "BatchNorm2d"),
    ("encoder", "torchscript"): ("/layer.1/ff/ff.3/MatMul", "layer.1.ff.3", None),
    ("encoder", "dynamo"): ("layer.1.attention.query.bias", "layer.1.attention.query", "Linear"),
    ("torch_encoder", "dynamo"): ("linear2.bias", "linear2", "Linear"),
}


def exported(name, exporter, folder, **options):
    module, args, kwargs, outputs = models.each()[name]
    path = folder / "model.onnx"
    dynamo = exporter == "dynamo"
    torch.onnx.export(
        module.eval(), args, path, kwargs=kwargs, dynamo=dynamo, output_names=outputs, verbose=False, **options
    )
    return module, args, kwargs


def captured(folder, module, args, kwargs=None, **options):
    return capture(
        module, args, folder / "model.onnx", folder / "framework.npz", folder / "inputs.npz", kwargs, **options
    )


def layerdiff(folder, command, model="model.onnx"):
    argv = [PROGRAM, command, model, "-c", "saved:framework.npz", "-i", "inputs.npz", "-q", "--json", "-o", "out"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"exit status {done.returncode}: {done.stderr[-500:]}"
    return json.loads(done.stdout)


def agrees(folder, got):
    """All that was stored was compared, and agrees."""
    report = layerdiff(folder, "compare")
    wrong = [tensor["name"] for tensor in report["tensors"] if tensor["status"] == "diverges"]
    assert report["verdict"] == "agreed" and not wrong, f"{report['verdict']}, {wrong}\n{got}"
    compared = {tensor["name"] for tensor in report["tensors"] + report["outputs"] if tensor["status"] == "agrees"}
    assert set(got.stored) <= compared, f"stored and not compared: {set(got.stored) - compared}"


def healthy(name, exporter, folder):
    got = captured(folder, *exported(name, exporter, folder))
    assert got.exporter == exporter, got.exporter
    assert len(got.stored) >= STORED[name, exporter], str(got)
    assert not got.notes, got.notes
    agrees(folder, got)


def planted(name, exporter, folder):
    """One number of one weight of the file is changed: told PyTorch's tensors, bisect names who reads it."""
    captured(folder, *exported(name, exporter, folder))
    what, scope, module = PLANTED[name, exporter]
    model = onnx.load(folder / "model.onnx")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if what == node.name or what in node.input)
    weight = next(weights[name] for name in node.input if name in weights)
    values = numpy_helper.to_array(weight).copy()
    values.flat[3] += 1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, folder / "planted.onnx")

    report = layerdiff(folder, "bisect", "planted.onnx")
    assert report["verdict"] == "diverged" and len(report["culprits"]) == 1, report["culprits"]
    culprit = report["culprits"][0]
    assert node.name in culprit["region"] and len(culprit["region"]) <= 2, culprit["region"]
    told = culprit["node"]["torch"]
    assert (told["scope"], told["module"]) == (scope, module), told
    assert module is None or ".py:" in told["source"], told


def other_weights(exporter, folder):
    """A file of other weights than the module's: everything from there on diverges, nothing was matched by values."""
    _, args, _ = exported("mlp", exporter, folder)
    torch.manual_seed(1)
    got = captured(folder, models.Mlp().eval(), args)
    assert any("4 weights of" in note and "fc1.weight, fc1.bias, fc2.weight, ..." in note for note in got.notes), (
        got.notes
    )
    report = layerdiff(folder, "bisect")
    assert [culprit["node"]["index"] for culprit in report["culprits"]] == [0], report["culprits"]


def dynamic(exporter, folder):
    """Another batch than the file was exported with."""
    batch = {"x": {0: "batch"}}
    if exporter == "dynamo":
        shapes = {"x": {0: torch.export.Dim("batch")}}
        module, _, _ = exported("mlp", exporter, folder, dynamic_shapes=shapes)
        got = captured(folder, module, (torch.randn(7, 16),), dynamic_shapes=shapes)
    else:
        module, _, _ = exported("mlp", exporter, folder, input_names=["x"], dynamic_axes=batch)
        got = captured(folder, module, (torch.randn(7, 16),))
    assert len(got.stored) == 5, str(got)
    agrees(folder, got)


def half(exporter, folder):
    """A module in FP16."""
    module, args, _, _ = models.each()["mlp"]
    module, args = module.half().eval(), (args[0].half(),)
    torch.onnx.export(module, args, folder / "model.onnx", dynamo=exporter == "dynamo", verbose=False)
    got = captured(folder, module, args)
    assert len(got.stored) >= 4, str(got)
    assert all(value.dtype == np.float16 for value in np.load(folder / "framework.npz").values())


def another_program(_, folder):
    """The file was made of another program than the module is now: what is below the difference has no value."""
    _, args, _ = exported("mlp", "dynamo", folder)

    class Other(models.Mlp):
        def forward(self, x):
            return torch.softmax(self.fc2(self.act(self.fc1(x * 2)) + 1.0), -1)

    got = captured(folder, Other().eval(), args)
    assert got.stored == ["softmax"] or got.stored == ["y"], str(got)
    assert any("another linear than the model was made from" in why for why in got.not_stored.values()), str(got)


def refused(_, folder):
    """What would say nothing is told in a sentence."""
    module, args, _ = exported("cnn", "torchscript", folder)

    def error(*call, **options):
        try:
            captured(folder, *call, **options)
        except CaptureError as error:
            return str(error)
        raise AssertionError("no error")

    module.train()
    assert error(module, args).endswith("call module.eval() first") and "(Cnn) is in training mode" in error(
        module, args
    )
    module.eval()
    module.head[1].train()
    assert error(module, args).startswith("head.1 (Dropout): in training mode"), error(module, args)
    module.eval()
    assert "float32 [2, 3, 16, 16], and the module was given float32 [2, 3, 8, 8]" in error(
        module, (torch.randn(2, 3, 8, 8),)
    )
    assert "float64" in error(module.double(), (args[0].double(),))
    assert "was given a, b" in error(Pair().eval(), (args[0], args[0]))


class Pair(torch.nn.Module):
    def forward(self, a, b):
        return a + b


def tests():
    """By name a function of a folder."""
    for name, exporter in STORED:
        yield f"healthy {name} {exporter}", lambda folder, n=name, e=exporter: healthy(n, e, folder)
    for name, exporter in PLANTED:
        yield f"planted {name} {exporter}", lambda folder, n=name, e=exporter: planted(n, e, folder)
    for test in (other_weights, dynamic, half):
        for exporter in BOTH:
            yield f"{test.__name__} {exporter}", lambda folder, t=test, e=exporter: t(e, folder)
    for test in (another_program, refused):
        yield test.__name__, lambda folder, t=test: t(None, folder)


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    passed, failed = 0, 0
    for name, test in tests():
        if not all(word in name for word in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Path(folder))
                passed += 1
                print(f"ok      {name}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()[-3000:]}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
