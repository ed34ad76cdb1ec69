"""Real models broken on purpose: in FP32 each still does its work, in FP16 it cannot. Judges nothing.

usage: break.py MODELS OUT     reads MODELS/NAME.onnx and .npz, writes OUT/KINDS_in_NAME.onnx and .npz for all of BROKEN
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

FLT_MAX = np.finfo(np.float32).max


def main():
    models, out = map(Path, sys.argv[1:])
    for name, kinds in BROKEN:
        model, sample = onnx.load(models / f"{name}.onnx"), dict(np.load(models / f"{name}.npz"))
        if name == "rec":
            # A third of the line of text: the reference evaluator is slow.
            sample = {"x": sample["x"][..., :96]}
        for kind in kinds:
            KINDS[kind](Victim(model, sample))
        onnx.checker.check_model(model)
        target = f"{'_'.join(kinds)}_in_{name}"
        onnx.save(model, out / f"{target}.onnx")
        np.savez(out / f"{target}.npz", **sample)


class Victim:
    """A graph, and how to put nodes into it."""

    def __init__(self, model, sample):
        self.model, self.graph, self.sample = model, model.graph, sample

    def all(self, op):
        return [node for node in self.graph.node if node.op_type == op]

    def reading(self, tensor):
        return [node for node in self.graph.node if tensor in node.input]

    def insert(self, tensor, readers, steps):
        """Between a tensor and some of its readers: steps of operator, name and constant."""
        before = min(i for i, node in enumerate(self.graph.node) if node in readers)
        old = tensor
        for op, name, value in steps:
            self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), f"{name}_by"))
            self.graph.node.insert(before, helper.make_node(op, [tensor, f"{name}_by"], [f"{name}_out"], name))
            tensor, before = f"{name}_out", before + 1
        for node in readers:
            for i, read in enumerate(node.input):
                if read == old:
                    node.input[i] = tensor

    def shape(self, tensor):
        """As ONNX Runtime measures it on the sample."""
        probe = onnx.ModelProto()
        probe.CopyFrom(self.model)
        probe.graph.output.append(helper.make_empty_tensor_value_info(tensor))
        session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run([tensor], self.sample)[0].shape


def norm(victim):
    """The input of a decomposed LayerNorm is 400 times as large, which changes nothing behind it."""
    power = victim.all("Pow")[1]
    centred = next(node for node in victim.all("Sub") if node.output[0] == power.input[0])
    mean = next(node for node in victim.all("ReduceMean") if node.output[0] == centred.input[1])
    victim.insert(centred.input[0], [mean, centred], [("Mul", "planted_scale", 400)])


def mask(victim):
    """The first query of an attention may look nowhere, and nobody may look at the last key."""
    softmax = victim.all("Softmax")[0]
    size = victim.shape(softmax.input[0])[-2:]
    values = np.zeros(size, np.float32)
    values[0, :] = values[:, -1] = -FLT_MAX
    victim.insert(softmax.input[0], [softmax], [("Add", "planted_mask", values)])


def pair(victim):
    """65504 is added behind the last convolution, and taken away again."""
    tensor = victim.all("Conv")[-1].output[0]
    steps = [("Add", "planted_add", 65504), ("Sub", "planted_sub", 65504)]
    victim.insert(tensor, victim.reading(tensor), steps)


KINDS = {"norm": norm, "mask": mask, "pair": pair}
BROKEN = [("rec", ["norm", "mask", "pair"]), ("cls", ["pair"])]

if __name__ == "__main__":
    main()
