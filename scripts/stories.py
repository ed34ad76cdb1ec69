#!/usr/bin/env python3
"""What deployment engineers do by hand around a bisection, in at most three commands each, on real models, with the time it took.

The encoder of scripts/encoder.py with a classification head and its QDQ file by ONNX Runtime's own quantiser, a decoder of four
layers with a cache, and a text recogniser of open width. Weights of encoder and decoder are drawn, those of the recogniser are
trained; the framework's outputs are ONNX Runtime's, saved sample by sample.

Usage: scripts/stories.py LAYERDIFF [--keep FOLDER]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(venv.ROOT / "tests/steps"))
import decoders
import quantised_encoder

MODELS = venv.ROOT / "target/models"


class Story:
    """Its commands, what they said, and how long they took."""

    def __init__(self, layerdiff, name, folder):
        self.layerdiff, self.name, self.folder, self.commands, self.seconds = layerdiff, name, folder, 0, 0.0

    def run(self, command, *words, name="report.json"):
        """Exit status and report of one command."""
        out = self.folder / f"{self.name}-{self.commands}"
        started = time.monotonic()
        words = [self.layerdiff, command, *words, "-q", "-o", out]
        ran = subprocess.run(list(map(str, words)), capture_output=True, text=True)
        self.seconds += time.monotonic() - started
        self.commands += 1
        if not (out / name).exists():
            sys.exit(f"{self.name}: {ran.stderr.strip() or ran.stdout.strip()}")
        return ran.returncode, json.loads((out / name).read_text())

    def end(self, said, right):
        print(f"{'right' if right else 'WRONG'}  {self.name}: {self.commands} commands, {self.seconds:.1f} s: {said}")
        return right


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("layerdiff")
    options.add_argument("--keep", type=Path)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or Path(folder)
        model, quantised, feeds = quantised_encoder.write(folder / "encoder", planted=True)
        story = lambda name: Story(args.layerdiff, name, folder)
        told = [
            wrong_logits(story("wrong logits"), model, feeds),
            accuracy_drop(story("INT8 accuracy drop"), model, quantised),
            decoder(story("autoregressive decoder")),
            lengths(story("FP16 at every size")),
            smaller_error(story("error about 1e-3")),
        ]
    sys.exit(0 if all(told) else 1)


def wrong_logits(story, model, feeds):
    """Which stage is the first to say something else, beside the true labels: FP16, for its mask of -3.4e38 is no number there."""
    folder = model.parent
    session = onnxruntime.InferenceSession(model)
    outputs = [dict(zip(["logits"], session.run(["logits"], feed))) for feed in feeds]
    (folder / "framework").mkdir(exist_ok=True)
    for number, output in enumerate(outputs):
        np.savez(folder / f"framework/{number}.npz", **output)
    (folder / "labels.txt").write_text("\n".join(f"class {n}" for n in range(outputs[0]["logits"].shape[-1])))
    (folder / "truth.txt").write_text("\n".join(f"class {output['logits'].argmax()}" for output in outputs))
    spoilt = folder / "encoder.planted.onnx"
    stages = [f"framework=saved:{folder}/framework", "onnx=ort", "fp16=ort:fp16", f"qdq=ort@{spoilt}"]
    words = [word for stage in stages for word in ("--stage", stage)]
    words += ["-i", folder / "samples", "--labels", folder / "labels.txt", "--truth", folder / "truth.txt", "--bisect"]
    status, found = story.run("stages", model, *words, name="stages.json")
    top1 = {row["stage"]: f"{row['top1']}/{row['rows']}" for row in found["truth"]["accuracy"]}
    said = f"first broken {found['first_broken']}, top-1 {top1}, culprits {found['bisect']['culprits'][:2]}"
    right = (status, found["first_broken"], found["bisect"]["culprits"][:1]) == (1, "fp16", ["/mask/Mul"])
    return story.end(said, right and (top1["onnx"], top1["fp16"]) == ("4/4", "0/4"))


def accuracy_drop(story, model, quantised):
    """Which nodes lose the accuracy, and the configuration of the quantiser that keeps it."""
    status, report = story.run("bisect", model, "-c", f"ort@{quantised}", "-i", model.parent / "samples", "--no-reduce")
    overrides = report["overrides"]
    settings = [f"{setting['setting']} = {setting['detail'][:40]}" for setting in overrides.get("settings", [])]
    codes = [cause["code"] for culprit in report["culprits"] for cause in culprit["diagnosis"]]
    right = status == 1 and "sentinel-range" in codes and (settings or overrides["verified"])
    return story.end(f"causes {sorted(set(codes))}, settings {settings}, {len(overrides['nodes'])} nodes", bool(right))


def decoder(story):
    """Wrong from some token on: which step, which node."""
    decoders.LAYERS, decoders.WIDTH = 4, 32
    model, rng = decoders.build(7)
    other, step, node = decoders.wrong(model, "late", rng)
    onnx.save(model, story.folder / "decoder.onnx")
    onnx.save(other, story.folder / "decoder.bad.onnx")
    prompt = np.random.default_rng(7).integers(0, decoders.VOCABULARY, (1, decoders.PROMPT))
    np.savez(story.folder / "prompt.npz", input_ids=prompt)
    words = ["-c", f"ort@{story.folder}/decoder.bad.onnx", "-i", story.folder / "prompt.npz", "--steps", "32"]
    status, report = story.run("bisect", story.folder / "decoder.onnx", *words, "--no-reduce", "--no-overrides")
    names = [culprit["node"]["name"] for culprit in report["culprits"]]
    right = status == 1 and report["first_bad_step"] == step and names[:1] == [node]
    return story.end(f"step {report['first_bad_step']} ({step}), node {names[:1]} ({node})", right)


def lengths(story):
    """Is the FP16 model right at every width?"""
    model = onnx.load(MODELS / "rec.onnx", load_external_data=False)
    picture = model.graph.input[0]
    sizes = ["--sweep", f"{picture.name}:3=32..352/32", "--shape", f"{picture.name}=1x3x48x352"]
    status, report = story.run("compare", MODELS / "rec.onnx", "-c", "ort:fp16", *sizes)
    agreed = [row["size"] for row in report["sweep"] if row["verdict"] == "agreed"]
    right = status in (0, 1) and len(report["sweep"]) == 11
    return story.end(f"{len(agreed)} of {len(report['sweep'])} widths agree, first bad {report.get('first_bad_size')}", right)


def smaller_error(story):
    """Which layers matter most, and is a row of a batch what it is alone?"""
    model, data = MODELS / "cls.onnx", MODELS / "cls.npz"
    status, report = story.run("bisect", model, "-c", "ort:fp16", "-i", data, "--sensitivity", "8", "--no-reduce")
    most = [row["node"] for row in report["sensitivity"]][:3]
    again, batch = story.run("compare", model, "-c", "ort:fp16", "-i", data, "--batch-check")
    verdicts = {side: batch["batch"][side]["verdict"] for side in ("reference", "candidate")}
    right = status in (0, 1) and again in (0, 1) and len(report["sensitivity"]) == 8
    return story.end(f"most: {most}; rows {verdicts}", right)


if __name__ == "__main__":
    main()
