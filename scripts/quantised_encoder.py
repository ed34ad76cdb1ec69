#!/usr/bin/env python3
"""The encoder of encoder.py as Hugging Face exports it, quantised by ONNX Runtime's quantiser with its defaults.

(1 - attention_mask) * -3.4e38 is added to the scores, and the samples have padding: the quantiser takes the range of the
scores from the mask. Calibrated (MinMax) on the samples that are written beside the models.

Usage: scripts/quantised_encoder.py [FOLDER] [--far X] [--pre-process] [--samples N] [--planted]
Writes encoder.onnx, encoder.qdq.onnx, samples/*.npz; with --planted also encoder.planted.onnx, in which one activation
scale of layer 3 is 20 times as large. Runs ONNX Runtime to calibrate. target/quantised_encoder unless said.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import encoder

FAR = -3.4028234663852886e38
FOLDER = venv.ROOT / "target/quantised_encoder"
PLANTED, TIMES = "/layer.3/intermediate/Add_output_0_scale", 20


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    options.add_argument("--far", type=float, default=FAR)
    options.add_argument("--pre-process", action="store_true")
    options.add_argument("--samples", type=int, default=4)
    options.add_argument("--planted", action="store_true")
    write(**vars(options.parse_args()))


def write(folder=FOLDER, far=FAR, pre_process=False, samples=4, planted=False):
    """The paths of the model and the quantised one, and the samples."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    model, quantised = folder / "encoder.onnx", folder / "encoder.qdq.onnx"
    onnx.save(encoder.encoder(far), model)
    source = model
    if pre_process:
        source = folder / "encoder.pre.onnx"
        quant_pre_process(str(model), str(source))
    feeds = [sample(number) for number in range(samples)]
    for number, feed in enumerate(feeds):
        np.savez(folder / f"samples/{number}.npz", **feed)
    quantize_static(str(source), str(quantised), Reader(feeds))
    if planted:
        onnx.save(spoilt(onnx.load(quantised)), folder / "encoder.planted.onnx")
    return model, quantised, feeds


def sample(number):
    """Token ids of a length of its own, and padding behind them."""
    rng = np.random.default_rng(100 + number)
    ids = rng.integers(0, encoder.VOCABULARY, (1, encoder.SEQUENCE), dtype=np.int64)
    mask = np.ones_like(ids)
    mask[:, encoder.SEQUENCE - 16 * (number % 4 + 1) :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def spoilt(quantised, name=PLANTED, times=TIMES):
    """With one scale so many times as large."""
    scale = next(t for t in quantised.graph.initializer if t.name == name)
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(times), name))
    return quantised


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.rows = iter(feeds)

    def get_next(self):
        return next(self.rows, None)


if __name__ == "__main__":
    main()
