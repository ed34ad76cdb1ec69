#!/usr/bin/env python3
"""The nodes that layerdiff keeps in FP32, and those that ModelOpt AutoCast keeps by default, on models that FP16 breaks.
Prints a Markdown table.

Both get the same model and the same input. AutoCast runs as its command line does, with the input as calibration data.
Nodes are counted in the models that come out: those that make FP32 tensors, of those that make any float tensors, Casts
and Constants aside. AutoCast turns a decomposed LayerNorm into one node: that counts as the nodes that it replaces, and
the bare number stands in brackets. Errors are the relative RMS of the worst
output, by ONNX's reference evaluator as in the tests (tests/cure/evaluate.py). Seconds are the wall time of one process.

Exit status: 0 when layerdiff never keeps more nodes than AutoCast, fewer somewhere, and every model of it agrees.
"""

import sys

# ---- AutoCast, in the environment that has it


class Absent(type):
    """PyTorch, which AutoCast's package imports and AutoCast does not use: a class that has every attribute."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


def autocast(arguments):
    import importlib.abc
    import importlib.machinery
    import types

    class Nothing(metaclass=Absent):
        pass

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            missing = name.split(".")[0] in ("torch", "cppimport")
            return importlib.machinery.ModuleSpec(name, self, is_package=True) if missing else None

        def create_module(self, spec):
            module = types.ModuleType(spec.name)
            module.__getattr__ = lambda name: getattr(Nothing, name)
            return module

        def exec_module(self, module):
            pass

    sys.meta_path.insert(0, Finder())
    from modelopt.onnx.autocast.__main__ import main as command

    command(arguments)


if __name__ == "__main__" and sys.argv[1:2] == ["--as-autocast"]:
    autocast(sys.argv[2:])
    sys.exit()

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

import bench
import corpus
import encoder

sys.path.insert(0, str(venv.ROOT / "tests/cure"))
import evaluate

LAYERDIFF, AUTOCAST = "layerdiff", "AutoCast"
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass
class Subject:
    name: str
    model: Path
    sample: Path


@dataclass
class Result:
    kept: int
    # As they are in the converted model, where a fused node is one.
    bare: int
    floats: int
    # None where an output is not finite.
    error: float | None
    agrees: bool
    seconds: float


def main():
    options = arguments()
    np.seterr(all="ignore")
    print(f"{bench.machine()}, ModelOpt {version(options)}, medians of {options.repeats}\n")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for subject in subjects(options, Path(temporary)):
            if options.only and subject.name not in options.only:
                continue
            rows.append((subject, measure(subject, options, Path(temporary))))
            print(subject.name, rows[-1][1], file=sys.stderr, flush=True)
    sys.exit(0 if summary(rows) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="these models alone")
    parser.add_argument("--release", default=venv.ROOT / "target/release", help="folder of the built program")
    parser.add_argument("--autocast", default=venv.ROOT / "target/venv-modelopt/bin/python", help="Python with ModelOpt")
    options = parser.parse_args()
    options.release, options.autocast = Path(options.release).absolute(), Path(options.autocast).absolute()
    return options


def version(options):
    ask = "import importlib.metadata as m; print(m.version('nvidia-modelopt'))"
    return subprocess.run([options.autocast, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


# ---- the models


def subjects(options, folder):
    """Patterns of more than ten nodes, real models that FP16 breaks as they are, and models broken on purpose."""
    for path in sorted((venv.ROOT / "testdata").glob("*/case.json")):
        case, model = json.loads(path.read_text()), path.with_name("model.onnx")
        broken = case["verdict"] == "diverged" and case["candidate"] == "ort:fp16"
        if broken and len(onnx.load(model).graph.node) > 10:
            yield Subject(path.parent.name, model, path.with_name("inputs.npz"))
    real = venv.ROOT / "target/models"
    for name in ("magika", "det"):
        yield Subject(name, real / f"{name}.onnx", real / f"{name}.npz")
    subprocess.run([sys.executable, venv.ROOT / "tests/cure/break.py", real, folder], check=True)
    for model in sorted(folder.glob("*_in_*.onnx")):
        yield Subject(model.stem, model, model.with_suffix(".npz"))
    broken = folder / "encoder_large.onnx"
    onnx.save(encoder.with_large_input(onnx.load(encoder.FOLDER / "encoder.onnx")), broken)
    yield Subject(broken.stem, broken, encoder.FOLDER / "inputs.npz")


# ---- one model


def measure(subject, options, folder):
    """By tool: what it made of the model."""
    report, cast = folder / "report", folder / "autocast.onnx"
    find = [options.release / "layerdiff", "bisect", subject.model, "--inputs", subject.sample]
    find += ["--candidate", "ort:fp16", "--no-reduce", "--sensitivity", "0", "--quiet", "-o", report]
    guess = [options.autocast, __file__, "--as-autocast", "--onnx_path", subject.model, "--output_path", cast]
    guess += ["--keep_io_types", "--calibration_data", subject.sample, "--log_level", "ERROR"]
    seconds = {LAYERDIFF: wall_time(find, 1, options), AUTOCAST: wall_time(guess, 0, options)}
    found = json.loads((report / "report.json").read_text())
    made = {LAYERDIFF: report / "overrides/model.mixed.onnx", AUTOCAST: cast}
    tolerance = {key: found["tolerance"][key] for key in ("atol", "rtol")}
    job = {"reference": subject.model, "samples": [subject.sample], "auto": True, **tolerance, "models": made.values()}
    verdicts = dict(zip(made, evaluate.evaluate(job)))
    given = {node.name for node in onnx.load(subject.model).graph.node}
    return {tool: result(onnx.load(made[tool]), given, verdicts[tool], seconds[tool]) for tool in made}


def wall_time(command, status, options):
    times = []
    for _ in range(options.repeats):
        started = time.perf_counter()
        ran = subprocess.run(list(map(str, command)), env=corpus.environment(), capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        if ran.returncode != status:
            sys.exit(f"{command[0]} ended with {ran.returncode}:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    return sorted(times)[len(times) // 2]


def result(model, given, verdict, seconds):
    """`given`: the names of the nodes before the conversion."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    makes = lambda node: [types.get(name) for name in node.output if name]
    nodes = [node for node in graph.node if node.op_type not in ("Cast", "Constant")]
    if unknown := [node.name for node in nodes if None in makes(node)]:
        sys.exit(f"the types of these nodes are not known: {unknown}")
    floats = [node for node in nodes if any(kind in FLOATS for kind in makes(node))]
    kept = [node for node in floats if TensorProto.FLOAT in makes(node)]
    fused = [node for node in floats if node.op_type == "LayerNormalization" and node.name not in given]
    replaced = len(given - {node.name for node in graph.node}) // len(fused) if fused else 0
    count = lambda some: sum(replaced if node in fused else 1 for node in some)
    return Result(count(kept), len(kept), count(floats), verdict["error"], verdict["agrees"], seconds)


# ---- the table


def summary(rows):
    """Prints the table and says whether layerdiff is at least as good everywhere."""
    print("| model | FP32 nodes: layerdiff | AutoCast | error: layerdiff | AutoCast | seconds: layerdiff | AutoCast |")
    print("|---|---|---|---|---|---|---|")
    wrong = []
    for subject, results in rows:
        ours, theirs = results[LAYERDIFF], results[AUTOCAST]
        pair = [ours, theirs]
        cells = [counted(r) for r in pair] + [shown(r) for r in pair] + [f"{r.seconds:.2f}" for r in pair]
        print(f"| {subject.name} | {' | '.join(cells)} |")
        if not ours.agrees:
            wrong.append(f"{subject.name}: layerdiff's model does not agree")
        if ours.kept > theirs.kept and theirs.agrees:
            wrong.append(f"{subject.name}: layerdiff keeps more nodes")
    if not any(r[LAYERDIFF].kept < r[AUTOCAST].kept for _, r in rows):
        wrong.append("layerdiff keeps fewer nodes nowhere")
    print("\n" + ("; ".join(wrong) or "good: every model agrees, with no more nodes in FP32 than AutoCast keeps"))
    return not wrong


def counted(result):
    bare = f" ({result.bare})" if result.bare != result.kept else ""
    return f"{result.kept}{bare} of {result.floats}"


def shown(result):
    error = "not finite" if result.error is None else f"{result.error:.2e}"
    return error if result.agrees else f"{error}, fails"


if __name__ == "__main__":
    main()
