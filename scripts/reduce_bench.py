#!/usr/bin/env python3
"""`layerdiff reduce` and Polygraphy's `debug reduce` at the same job, side by side: an encoder of 323 nodes and 91 MB
whose Erf of one layer is 5 % off in the candidate; which part of it shows the failure alone? Prints a Markdown table.

Polygraphy has a check command for its only eye. layerdiff does the job twice: by comparing values with the candidate,
and with the very same check. The floor is two bare sessions, created and run once (benches/floor.rs). Every time is
the wall time of whole processes; all take turns. The check counts its own starts; `--thorough` makes it ask the
candidate about every piece, also where it could know beforehand that the fault is not in there.

Exit status: 0 when every result is a single node that fails, layerdiff is 30 times faster by values, and it needs at
most 2 checks more than Polygraphy with the check.
"""

import venv

if __name__ == "__main__":
    venv.inside("peer")

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import numpy_helper
import polygraphy

import bench
import corpus
import encoder

PEER, VALUES, CHECK, FLOOR = "Polygraphy", "layerdiff, by values", "layerdiff, the same check", "floor"
NEEDED_GAIN, CHECKS_MORE = 30, 2
SCRIPT = venv.ROOT / "scripts/erf_check.py"


@dataclass
class Job:
    command: list
    status: int
    # Where the reduced model is then, in the job's folder; None for the floor, which reduces nothing.
    result: str | None


@dataclass
class Turn:
    """What one tool did once."""

    seconds: float
    checks: int
    nodes: int


def main():
    options = arguments()
    if not (encoder.FOLDER / "inputs.npz").exists():
        encoder.write()
    print(f"{bench.machine()}, ONNX Runtime {onnxruntime.__version__}, Polygraphy {polygraphy.__version__}, ", end="")
    print(f"medians of {options.repeats}\n")
    turns = {name: [] for name in jobs(options)}
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(options.repeats + 1):
            for name, job in jobs(options).items():
                turn = one_turn(name, job, Path(temporary) / "job")
                # The first turn only warms the file cache.
                if number:
                    turns[name].append(turn)
                print(f"{name}: {turn.seconds:.3f} s", file=sys.stderr, flush=True)
    sys.exit(0 if summary(turns, options) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--thorough", action="store_true", help="let the check ask the candidate every time")
    parser.add_argument("--only", nargs="+", choices=[PEER, VALUES, CHECK, FLOOR], help="these alone, judging nothing")
    parser.add_argument("--release", default=venv.ROOT / "target/release", help="folder of the built programs")
    options = parser.parse_args()
    options.release = Path(options.release).absolute()
    return options


def jobs(options):
    model, bad, inputs = (encoder.FOLDER / name for name in ("encoder.onnx", "encoder_bad.onnx", "inputs.npz"))
    check = [sys.executable, SCRIPT, *(["--thorough"] if options.thorough else [])]
    # Bisection is its faster mode. Its shape inference stays on: without it every step is slower.
    debug = [Path(sys.executable).with_name("polygraphy"), "debug", "reduce", model, "-o", "reduced.onnx"]
    debug += ["--mode", "bisect", "--fail-code", "1", "--check", *check, "polygraphy_debug.onnx"]
    reduce = [options.release / "layerdiff", "reduce", model, "--quiet", "-o", "report"]
    reduced = "report/reduced/model.onnx"
    command = f"{shlex.join(map(str, check))} {{model}}"
    known = {
        PEER: Job(debug, 0, "reduced.onnx"),
        VALUES: Job([*reduce, "--candidate", f"ort@{bad}", "--inputs", inputs], 1, reduced),
        CHECK: Job([*reduce, "--check", command], 1, reduced),
        FLOOR: Job([options.release / "examples/floor", model, bad, inputs], 0, None),
    }
    return {name: job for name, job in known.items() if name in (options.only or known)}


# ---- one turn


def one_turn(name, job, folder):
    """Runs the job in an empty folder; an unexpected end, or a result that does not fail, stops the benchmark."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    count = folder / "checks"
    count.touch()
    environment = {**corpus.environment(), "ERF_CHECK_COUNT": str(count)}
    started = time.perf_counter()
    ran = subprocess.run(list(map(str, job.command)), cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if ran.returncode != job.status:
        said = f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        sys.exit(f"{name} ended with {ran.returncode}, not {job.status}:\n{said}")
    checks = len(count.read_text().splitlines())
    if job.result is None:
        return Turn(seconds, 0, 0)
    if (report := folder / "report/report.json").exists():
        checks = examined(name, json.loads(report.read_text())["reduced"], checks)
    result = folder / job.result
    # By values, the model is cut from the candidate's file: it fails where its outputs are not the stored ones.
    fails = differs(result) if name == VALUES else subprocess.run([sys.executable, SCRIPT, result]).returncode == 1
    if not fails:
        sys.exit(f"{name}: the reduced model does not fail")
    # A candidate of its own model may need several nodes for one of the model under debugging.
    own = {node.name for node in onnx.load(encoder.FOLDER / "encoder.onnx").graph.node}
    return Turn(seconds, checks, sum(node.name in own for node in onnx.load(result).graph.node))


def differs(model):
    """Does ONNX Runtime give something else than the reference's stored outputs?"""
    stored = lambda kind, i: numpy_helper.to_array(
        onnx.load_tensor(model.parent / f"test_data_set_0/{kind}_{i}.pb")
    )
    graph = onnx.load(model).graph
    feeds = {value.name: stored("input", i) for i, value in enumerate(graph.input)}
    got = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)
    pairs = [(stored("output", i), got[i]) for i, value in enumerate(graph.output)]
    return any(not numpy.allclose(have, want, rtol=1e-3, atol=1e-3) for want, have in pairs)


def examined(name, reduced, checks):
    """How often layerdiff asked: the check's own count, or without a check the probes of the report."""
    if not reduced or not reduced["reproduces"]:
        sys.exit(f"{name}: the report says that nothing reproduces: {reduced}")
    return checks or reduced["probes"]


# ---- the table


def summary(turns, options):
    """Prints the table and the failures; says whether all of it is good enough."""
    seconds = {name: statistics.median(t.seconds for t in done) for name, done in turns.items()}
    checks = {name: max(t.checks for t in done) for name, done in turns.items()}
    nodes = {name: max(t.nodes for t in done) for name, done in turns.items()}
    gain = {name: seconds[PEER] / took for name, took in seconds.items() if PEER in seconds}
    print("| | seconds | checks | nodes left | Polygraphy / this |")
    print("|---|---|---|---|---|")
    for name in turns:
        counts = f"{checks[name] or ''} | {nodes[name] or ''}"
        ratio = f"{gain[name]:.1f}" if name in gain and name != PEER else ""
        print(f"| {name} | {seconds[name]:.3f} | {counts} | {ratio} |")
    if options.only:
        return True
    wrong = [f"{name} leaves {nodes[name]} nodes" for name in (VALUES, CHECK) if nodes[name] != 1]
    if gain[VALUES] < NEEDED_GAIN:
        wrong.append(f"{VALUES}: {gain[VALUES]:.1f} times faster, not {NEEDED_GAIN}")
    if checks[CHECK] > checks[PEER] + CHECKS_MORE:
        wrong.append(f"{CHECK}: {checks[CHECK]} checks, more than {checks[PEER]} + {CHECKS_MORE}")
    print("\n" + ("; ".join(wrong) or "good: one node, fast enough, few enough checks"))
    return not wrong


if __name__ == "__main__":
    main()
