#!/usr/bin/env python3
"""layerdiff, Polygraphy and bare ONNX Runtime at the same job, side by side: a model, the same model with a fault in
one node in its middle, and one input; which node is it? Prints Markdown tables of medians.

Polygraphy's job is two processes: `run` on the reference with every tensor marked, outputs saved; `run` on the
candidate against them, stopping at the first failure. The floor is two bare sessions, created and run once, nothing
compared (benches/floor.rs). Every time is the wall time of whole processes; the three take turns.
"""

import venv

if __name__ == "__main__":
    venv.inside("peer")

import argparse
import contextlib
import io
import json
import math
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polygraphy
from polygraphy.comparator import CompareFunc, IterationResult
from polygraphy.json import save_json

import corpus
import faults
import truth

# 100 to 450 nodes each: Paddle's without the Constants that hold their weights, Silero's with the nodes of subgraphs.
MODELS = "det rec cls opennsfw nudenet silero_16k silero_half silero_openvino".split()
PAIR_BYTES = 64 << 20


@dataclass
class Job:
    """One model's files, and the commands that solve it."""

    name: str
    nodes: str
    fault: str
    tensor: str
    commands: dict
    folder: Path


def main():
    options = arguments()
    print(f"{machine()}, ONNX Runtime {onnxruntime.__version__}, Polygraphy {polygraphy.__version__}, ", end="")
    print(f"medians of {options.repeats}\n")
    with tempfile.TemporaryDirectory() as temporary:
        jobs = [prepare(name, Path(temporary) / name, options) for name in options.only or MODELS]
        whole_jobs(jobs, options.repeats)
    if not options.no_compare:
        comparison(options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=MODELS, help="these models only")
    parser.add_argument("--models", default=os.environ.get("LAYERDIFF_MODELS", venv.ROOT / "target/models"))
    parser.add_argument("--release", default=venv.ROOT / "target/release", help="folder of the built programs")
    parser.add_argument("--no-compare", action="store_true", help="leave out the throughput of the comparison")
    options = parser.parse_args()
    options.models, options.release = Path(options.models).absolute(), Path(options.release).absolute()
    return options


def machine():
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        if found:
            return f"{os.cpu_count()} cores of {found[1]}"
    return f"{os.cpu_count()} cores, {platform.machine()}"


# ---- the job


def prepare(name, folder, options):
    """Plants the fault, writes the inputs in Polygraphy's format too, and says who runs what."""
    folder.mkdir()
    model, inputs = options.models / f"{name}.onnx", options.models / f"{name}.npz"
    reference = truth.Reference(model, inputs)
    candidate, fault, tensor = faulty_in_the_middle(reference)
    onnx.save(candidate, folder / "candidate.onnx")
    save_json([reference.feeds], str(folder / "inputs.json"))
    run = [Path(sys.executable).with_name("polygraphy"), "run"]
    marked = ["--onnxrt", "--onnx-outputs", "mark", "all", "--load-inputs", "inputs.json"]
    tolerance = ["--atol", str(truth.ATOL), "--rtol", str(truth.RTOL)]
    commands = {
        "Polygraphy": [
            ([*run, model, *marked, "--save-outputs", "reference.json"], 0),
            ([*run, "candidate.onnx", *marked, "--load-outputs", "reference.json", "--fail-fast", *tolerance], 1),
        ],
        "layerdiff": [
            (
                [options.release / "layerdiff", "bisect", model, "--candidate", "ort@candidate.onnx", "--quiet", "--no-reduce"]
                + ["--inputs", inputs, *tolerance, "-o", "report"],
                1,
            )
        ],
        "floor": [([options.release / "examples/floor", model, "candidate.onnx", inputs], 0)],
    }
    return Job(name, nodes_text(reference.model.graph), fault, tensor, commands, folder)


def faulty_in_the_middle(reference):
    """The model with the node nearest to its middle made 10 % too large, where that alone is to blame."""
    able = [i for i in faults.victims(reference, "scale") if reference.model.graph.node[i].op_type != "Constant"]
    middle = able[len(able) // 2]
    for victim in sorted(able, key=lambda i: abs(i - middle)):
        candidate = onnx.ModelProto()
        candidate.CopyFrom(reference.model)
        fault = faults.plant(candidate, reference, victim, "scale", TenPercent())
        with contextlib.suppress(truth.ShapesChanged):
            values = truth.run_marked(candidate, reference.feeds)
            if truth.culprits(reference, values)[0] == [victim]:
                return candidate, fault, reference.model.graph.node[victim].output[0]
    sys.exit(f"{reference.path}: no node can carry the fault")


class TenPercent(random.Random):
    """Takes the factor 1.1 where `scale` leaves the choice to chance."""

    def choice(self, _):
        return 1.1


def nodes_text(graph):
    total, constants = count_nodes(graph)
    return f"{total - constants} and {constants} Constants" if constants else str(total)


def count_nodes(graph):
    """Nodes of the graph and its subgraphs, and how many of them are Constants."""
    inner = [count_nodes(a.g) for node in graph.node for a in node.attribute if a.HasField("g")]
    here = len(graph.node), sum(node.op_type == "Constant" for node in graph.node)
    return tuple(map(sum, zip(here, *inner)))


def whole_jobs(jobs, repeats):
    print("| model | nodes | Polygraphy | layerdiff | floor | Polygraphy / layerdiff | layerdiff / floor |")
    print("|---|---|---|---|---|---|---|")
    gains, overheads = [], []
    for job in jobs:
        seconds = {who: [] for who in job.commands}
        for turn in range(repeats + 1):
            for who, commands in job.commands.items():
                took = timed(job, who, commands)
                # The first turn only warms the file cache.
                if turn:
                    seconds[who].append(took)
        peer, ours, floor = (statistics.median(seconds[who]) for who in job.commands)
        gains.append(peer / ours)
        overheads.append(ours / floor)
        times = f"{peer:.2f} s | {ours:.3f} s | {floor:.3f} s"
        print(f"| {job.name} | {job.nodes} | {times} | {gains[-1]:.1f} | {overheads[-1]:.2f} |", flush=True)
    best, worst = f"{min(gains):.1f} at least", f"{max(overheads):.2f} at most"
    print(f"| geometric mean | | | | | {mean(gains):.1f} ({best}) | {mean(overheads):.2f} ({worst}) |")
    print("\nThe faults: " + "; ".join(f"{job.name}: {job.fault}" for job in jobs) + ".")


def timed(job, who, commands):
    """Seconds of these processes, one after the other; an unexpected end or answer stops the benchmark."""
    for left in ("report", "reference.json"):
        path = job.folder / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    total, environment = 0.0, corpus.environment()
    for command, status in commands:
        started = time.perf_counter()
        ran = subprocess.run(list(map(str, command)), cwd=job.folder, env=environment, capture_output=True, text=True)
        total += time.perf_counter() - started
        said = f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        if ran.returncode != status:
            sys.exit(f"{job.name}: {who} ended with {ran.returncode}, not {status}:\n{said}")
    if who == "layerdiff":
        report = json.loads((job.folder / "report/report.json").read_text())
        if job.tensor not in [culprit["tensor"] for culprit in report["culprits"]]:
            sys.exit(f"{job.name}: layerdiff does not name '{job.tensor}':\n{said}")
    return total


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


# ---- the comparison alone


def comparison(options):
    """A pair of 64 MiB float32 tensors that differ by up to 1e-4 everywhere."""
    noise = np.random.default_rng(1)
    reference = noise.uniform(-1, 1, PAIR_BYTES // 4).astype(np.float32)
    candidate = reference + noise.uniform(-1e-4, 1e-4, PAIR_BYTES // 4).astype(np.float32)
    pair = [IterationResult({"x": values}) for values in (reference, candidate)]
    with warnings.catch_warnings(action="ignore"):
        simple = CompareFunc.simple(atol=truth.ATOL, rtol=truth.RTOL)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            simple(*pair)
        seconds.append(time.perf_counter() - started)
    peer = statistics.median(seconds)
    program = options.release / "examples/compare_throughput"
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    ours = float(re.search(r"every element differs: ([0-9.]+) s", said)[1])
    print("\n| a pair of 64 MiB float32 tensors | seconds | GB/s, both sides |")
    print("|---|---|---|")
    for who, took in [("Polygraphy, `CompareFunc.simple`", peer), ("layerdiff, all metrics", ours)]:
        print(f"| {who} | {took:.4f} | {2 * PAIR_BYTES / took / 1e9:.2f} |")
    print(f"| ratio | {peer / ours:.0f} | |")


if __name__ == "__main__":
    main()
