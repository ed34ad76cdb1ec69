#!/usr/bin/env python3
"""Several faults at once: plants two or three into drawn graphs and into real models, measures the truth, and asks
`layerdiff bisect` with few marks for it.

A case is kept when the measured truth (scripts/truth.py) has two culprits at least. layerdiff passes it with so many marks
when it names every one. Drawn graphs lose errors on purpose: in reductions, pools, and where values saturate. Cases depend on
the seed and their number alone.

Exit status: 0 when every number of marks passes 98 % of the cases.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import concurrent.futures
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import corpus
import faults
import truth

MARKS = [4, 8, 16]
NEEDED = 0.98
REAL = "det rec cls opennsfw nudenet magika silero_16k silero_sequence".split()
ATTEMPTS = 60


def main():
    options = arguments()
    started = time.monotonic()
    corpus.SEARCHES = {f"{m} marks": ["--strategy", "bisect", "--marks", str(m)] for m in MARKS}
    numbers = [options.case] if options.case is not None else range(options.cases)
    done = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for finished in pool.map(run_case, numbers, [options] * len(numbers)):
            done.append(finished)
            print(f"\r{len(done)}/{len(numbers)} cases", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    good = summary([d for d in done if d], options)
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if good else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one only")
    parser.add_argument("--real", type=int, default=5, help="one case in so many is a real model; 0: none")
    parser.add_argument("--models", default=os.environ.get("LAYERDIFF_MODELS", venv.ROOT / "target/models"))
    parser.add_argument("--layerdiff", default=venv.ROOT / "target/release/layerdiff")
    parser.add_argument("--keep", help="keep every model and report in this folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.models, options.candidate, options.reference = Path(options.models), "ort", "ort"
    if not Path(options.layerdiff).exists():
        parser.error(f"{options.layerdiff} is not there; run cargo build --release")
    return options


# ---- one case


def run_case(number, options):
    corpus.SEARCHES = {f"{m} marks": ["--strategy", "bisect", "--marks", str(m)] for m in MARKS}
    rng = random.Random(f"{options.seed}/{number}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary).absolute() / f"several{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            case, reference = attempted(number, rng, folder, options)
            if case is not None:
                break
        else:
            return None
        corpus.loaded = {case.model: reference}
        answers = {search: corpus.ask_layerdiff(case, search, options) for search in corpus.SEARCHES}
        case.candidate = None
    return case, answers


def attempted(number, rng, folder, options):
    """A case with two true culprits at least, and its reference."""
    if options.real and number % options.real == 0:
        name = REAL[number // options.real % len(REAL)]
        reference = corpus.reference(name, options)
    else:
        name = "drawn"
        reference = drawn(rng, folder)
        if reference is None:
            return None, None
    case = corpus.Case(number, name, "several", tensors=reference.tensors)
    case.candidate = onnx.ModelProto()
    case.candidate.CopyFrom(reference.model)
    for _ in range(rng.choice([2, 2, 3])):
        kind = rng.choice(faults.kinds())
        able = [v for v in faults.victims(reference, kind) if v not in case.planted]
        victim = faults.choose(rng, reference, able)
        what = None if victim is None else faults.plant(case.candidate, reference, victim, kind, rng)
        if what is None:
            return None, None
        case.planted.append(victim)
        case.faults.append(what)
    try:
        values = truth.run_marked(case.candidate, reference.feeds, reference.threads)
        case.culprits, _ = truth.culprits(reference, values)
    except Exception as e:
        if not corpus.refused(e):
            raise
        return None, None
    return (case if len(case.culprits) > 1 else None), reference


# ---- drawn graphs

WIDTH = 12


def drawn(rng, folder):
    """A graph of 15 to 120 nodes over matrices of 6 rows; `None` where its values run away."""
    generator = np.random.default_rng(rng.randrange(2**32))
    nodes, weights, names = [], [], ["x", "z"]
    fresh = lambda shape: generator.standard_normal(shape).astype(np.float32)

    def weight(value):
        weights.append(numpy_helper.from_array(np.asarray(value, np.float32), f"w{len(weights)}"))
        return weights[-1].name

    for number in range(rng.randrange(15, 120)):
        near = lambda: names[-1 - min(int(rng.expovariate(0.5)), len(names) - 1)]
        a, b, out = near(), near(), f"t{number}"
        kind = rng.choice("add add mul matmul matmul relu relu sigmoid tanh clip softmax mean max norm gate".split())
        add = lambda op, inputs, output=out, **attributes: nodes.append(
            helper.make_node(op, inputs, [output], name=f"{op.lower()}_{output}", **attributes)
        )
        if kind == "add":
            add("Add", [a, b])
        elif kind == "mul":
            add("Mul", [a, weight(1 + 0.3 * fresh(WIDTH))])
        elif kind == "matmul":
            add("MatMul", [a, weight(fresh((WIDTH, WIDTH)) / np.sqrt(WIDTH))])
        elif kind in ("relu", "sigmoid", "tanh", "softmax"):
            add(kind.capitalize(), [a])
        elif kind == "clip":
            add("Clip", [a, weight(-0.8), weight(0.8)])
        elif kind in ("mean", "max"):
            axes = {"axes": [1], "keepdims": 1}
            add("ReduceMean" if kind == "mean" else "ReduceMax", [a], f"{out}_r", **axes)
            add("Add", [f"{out}_r", b])
        elif kind == "norm":
            add("LayerNormalization", [a, weight(1 + 0.1 * fresh(WIDTH)), weight(0.1 * fresh(WIDTH))])
        else:
            add("Sigmoid", [b], f"{out}_g")
            add("Mul", [a, f"{out}_g"])
        names.append(out)
    read = {name for node in nodes for name in node.input}
    ends = [name for node in nodes for name in node.output if name not in read]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [6, WIDTH])
    graph = helper.make_graph(nodes, "drawn", [value("x"), value("z")], [value(name) for name in ends], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "reference.onnx")
    np.savez(folder / "inputs.npz", x=fresh((6, WIDTH)), z=fresh((6, WIDTH)))
    reference = truth.Reference(folder / "reference.onnx", folder / "inputs.npz", 1)
    finite = all(np.isfinite(v).all() and np.abs(v).max(initial=0) < 1e6 for v in reference.values.values())
    return reference if finite else None


# ---- the summary


def summary(done, options):
    culprits = sum(len(case.culprits) for case, _ in done)
    print(f"{len(done)} cases with {culprits} culprits, {sum(case.model != 'drawn' for case, _ in done)} in real models")
    corpus.print_failures(done, options)
    print("\n| marks | every culprit named | culprits named | extra | runs, mean and most |\n|---|---|---|---|---|")
    good = bool(done)
    for search in [f"{m} marks" for m in MARKS]:
        answers = [answers[search] for _, answers in done]
        passed, missed = sum(a.passed for a in answers), sum(len(a.missed) for a in answers)
        runs, extra = [a.runs for a in answers] or [0], sum(a.extra for a in answers)
        shown = [search, f"{passed}/{len(done)}", f"{culprits - missed}/{culprits}", extra]
        print("| " + " | ".join(map(str, [*shown, f"{sum(runs) / len(runs):.1f}, {max(runs)}"])) + " |")
        good &= passed >= NEEDED * len(done)
    return good


if __name__ == "__main__":
    main()
