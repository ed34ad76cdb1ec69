"""Quantises a model as users do, and spoils one scale: quantise.py MODEL INPUTS.npz OUT.onnx channel|tensor TENSOR FACTOR [OPTIONS.json]

The calibration data are the recorded inputs and shifted forms of them. TENSOR is an activation, or "" to spoil none.
OPTIONS.json holds keywords of quantize_static. Prints the tensors whose values are quantised, one a line.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Recorded(CalibrationDataReader):
    def __init__(self, path):
        feed = dict(np.load(path))
        forms = [feed] + [{k: v * f if v.dtype == np.float32 else v for k, v in feed.items()} for f in (0.9, 0.5)]
        self.left = iter(forms)

    def get_next(self):
        return next(self.left, None)


def main(model, inputs, out, per_channel, tensor, factor, options=None):
    keywords = json.load(open(options)) if options else {}
    # The quantiser writes beside the model that it reads.
    model = shutil.copy(model, Path(out).with_suffix(".float.onnx"))
    quantize_static(
        model, out, Recorded(inputs), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, per_channel=per_channel == "channel", **keywords,
    )  # fmt: skip
    proto = onnx.load(out)
    quantisers = [n for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    if tensor:
        scale = next(n.input[1] for n in quantisers if n.input[0] == tensor)
        readers = [n for n in proto.graph.node if scale in n.input]
        assert all(n.op_type in ("QuantizeLinear", "DequantizeLinear") for n in readers)
        stored = next(t for t in proto.graph.initializer if t.name == scale)
        value = onnx.numpy_helper.to_array(stored)
        stored.CopyFrom(onnx.numpy_helper.from_array((value * np.float32(factor)).astype(value.dtype), scale))
        onnx.save(proto, out)
    print("\n".join(n.input[0] for n in quantisers))


main(*sys.argv[1:])
