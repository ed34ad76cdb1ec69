#!/usr/bin/env python3
"""The fault corpus: plants faults into real models, measures the truth, and asks `layerdiff bisect` for it.

A case is one model with a fault in one node, or in two. It is kept when a model output diverges and the planted node
is a culprit by the measured truth (of two, both if they stand side by side, else one at least). layerdiff passes a case
when it names every true culprit. Cases depend on the seed and their number alone.

Exit status: 0 when `scan` and `bisect` each pass 99 % of the cases and the bound on runs holds in 99 % of its cases.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import collections
import concurrent.futures
import json
import math
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import onnx

import faults
import truth

MODELS = "det rec cls opennsfw nudenet magika silero_16k silero_half silero_sequence silero_openvino".split()
TWO = "two faults"
# Each model meets each of these in turn.
PLAN = faults.kinds() + [TWO, TWO]
MARKS = 8
SEARCHES = {"scan": ["--strategy", "scan"], "bisect": ["--strategy", "bisect", "--marks", str(MARKS)]}
NEEDED = 0.99
ATTEMPTS = 80


@dataclass
class Case:
    """A planted model, or why there is none."""

    number: int
    model: str
    kind: str
    faults: list = field(default_factory=list)
    planted: list = field(default_factory=list)
    culprits: list = field(default_factory=list)
    tensors: int = 0
    candidate: onnx.ModelProto = None


@dataclass
class Answer:
    """What layerdiff said about a case."""

    missed: list = field(default_factory=list)
    extra: int = 0
    runs: int = 0
    error: str = ""

    @property
    def passed(self):
        return not self.missed and not self.error


def main():
    options = arguments()
    started = time.monotonic()
    numbers = [options.case] if options.case is not None else range(options.cases)
    # Neighbours share a model, so that a worker measures each reference once or twice.
    ordered = sorted(numbers, key=lambda n: (n % len(MODELS), n))
    done = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        chunks = [ordered[i : i + 10] for i in range(0, len(ordered), 10)]
        for finished in pool.map(run_chunk, chunks, [options] * len(chunks)):
            done += finished
            print(f"\r{len(done)}/{len(ordered)} cases", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    good = summary(sorted(done, key=lambda d: d[0].number), options)
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if good else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one only")
    parser.add_argument("--models", default=os.environ.get("LAYERDIFF_MODELS", venv.ROOT / "target/models"))
    parser.add_argument("--layerdiff", default=venv.ROOT / "target/release/layerdiff")
    parser.add_argument("--candidate", default="ort", help="what runs the planted model: ort-cuda, say")
    parser.add_argument("--reference", default="ort", help="what runs the healthy one")
    parser.add_argument("--keep", help="keep every candidate model and report in this folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--plant-only", action="store_true", help="plant and measure the truth, without layerdiff")
    options = parser.parse_args()
    options.models = Path(options.models)
    if missing := [m for m in MODELS if not (options.models / f"{m}.onnx").exists()]:
        parser.error(f"{options.models} has no {missing[0]}.onnx; run scripts/models.sh")
    if not options.plant_only and not Path(options.layerdiff).exists():
        parser.error(f"{options.layerdiff} is not there; run cargo build --release")
    return options


# ---- one case


loaded = {}


def reference(name, options):
    """The model's measured reference; one is held at a time."""
    if name not in loaded:
        loaded.clear()
        threads = max(1, os.cpu_count() // options.jobs)
        loaded[name] = truth.Reference(options.models / f"{name}.onnx", options.models / f"{name}.npz", threads)
    return loaded[name]


def run_chunk(numbers, options):
    done = []
    for number in numbers:
        case = make_case(number, options)
        answers = {}
        if case.candidate is not None and not options.plant_only:
            answers = {search: ask_layerdiff(case, search, options) for search in SEARCHES}
        case.candidate = None
        done.append((case, answers))
    return done


def make_case(number, options):
    model, kind = MODELS[number % len(MODELS)], PLAN[number // len(MODELS) % len(PLAN)]
    ref = reference(model, options)
    rng = random.Random(f"{options.seed}/{number}")
    for attempt in range(ATTEMPTS):
        # A kind that this model cannot carry makes room for another.
        if attempt >= ATTEMPTS // 2 and kind != TWO:
            kind = rng.choice(faults.kinds())
        case = attempted(Case(number, model, kind, tensors=ref.tensors), ref, rng)
        if case is not None:
            return case
    return Case(number, model, kind)


def attempted(case, ref, rng):
    """The case with its candidate, unless the fault does nothing or is not to blame."""
    case.candidate = onnx.ModelProto()
    case.candidate.CopyFrom(ref.model)
    apart = rng.random() < 0.7
    for kind in [rng.choice(faults.kinds()) for _ in range(2)] if case.kind == TWO else [case.kind]:
        able = [v for v in faults.victims(ref, kind) if v not in case.planted]
        if apart and case.planted:
            related = ref.ancestors(ref.model.graph.node[case.planted[0]].output) | ref.descendants(case.planted[0])
            able = [v for v in able if v not in related]
        victim = faults.choose(rng, ref, able)
        what = None if victim is None else faults.plant(case.candidate, ref, victim, kind, rng)
        if what is None:
            return None
        case.planted.append(victim)
        case.faults.append(what)
    try:
        values = truth.run_marked(case.candidate, ref.feeds, ref.threads)
        case.culprits, bad_outputs = truth.culprits(ref, values)
    except Exception as e:
        if not refused(e):
            raise
        return None
    blamed = set(case.planted) & set(case.culprits)
    enough = len(blamed) == len(case.planted) or (case.kind == TWO and not apart and blamed)
    return case if bad_outputs and enough else None


def refused(error):
    """Did the fault make a model that cannot be set against the reference?"""
    return isinstance(error, truth.ShapesChanged) or "onnxruntime" in type(error).__module__


# ---- layerdiff's answer


def ask_layerdiff(case, search, options):
    ref = reference(case.model, options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary).absolute() / f"case{case.number}"
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(case.candidate, folder / "candidate.onnx")
        candidate = f"{options.candidate}@{folder / 'candidate.onnx'}"
        command = [str(options.layerdiff), "bisect", str(ref.path), "--candidate", candidate]
        command += ["--reference", options.reference]
        command += ["--inputs", str(ref.inputs), "--atol", str(truth.ATOL), "--rtol", str(truth.RTOL)]
        command += [*SEARCHES[search], "-o", str(folder / search), "--json"]
        if options.keep:
            (folder / f"{search}.sh").write_text(shlex.join(command) + "\n")
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment())
            report = json.loads((folder / search / "report.json").read_text())
        except subprocess.TimeoutExpired:
            return Answer(error="no answer within 300 s")
        except (OSError, ValueError):
            said = ran.stderr.strip().splitlines() or ["nothing on stderr"]
            return Answer(error=f"exit status {ran.returncode}, no report: {said[-1]}")
    return judged(case, ref, ran.returncode, report)


def judged(case, ref, status, report):
    answer = Answer(runs=report["search"]["candidate_runs"])
    if report["verdict"] != "diverged" or status != 1:
        answer.error = f"verdict {report['verdict']}, exit status {status}"
    named = report["culprits"]
    for i in case.culprits:
        node = ref.model.graph.node[i]
        if not any(names(culprit, node) for culprit in named):
            origin = "planted" if i in case.planted else "a consequence"
            answer.missed.append(f"{node.op_type} '{node.name}' -> '{node.output[0]}' ({origin})")
    true_nodes = [ref.model.graph.node[i] for i in case.culprits]
    answer.extra = sum(not any(names(culprit, node) for node in true_nodes) for culprit in named)
    return answer


def names(culprit, node):
    """Is this the culprit? A node inside a subgraph stands for the If that holds it."""
    inside = culprit["node"]["subgraph"]
    if inside:
        return inside.startswith(f"{node.name}/")
    return bool(set(culprit["node"]["outputs"]) & set(node.output))


def environment():
    """layerdiff runs the very library that measured the truth, unless the user chose another."""
    import onnxruntime

    capi = Path(onnxruntime.__file__).parent / "capi"
    library = str(next(capi.glob("libonnxruntime.so.*"), ""))
    return {"ORT_DYLIB_PATH": library, **os.environ} if library else dict(os.environ)


# ---- the summary


def summary(done, options):
    """Prints tables, failures and the final lines; says whether all of it is good enough."""
    cases = [case for case, _ in done if case.planted]
    for title, key in [("model", lambda c: c.model), ("fault", lambda c: c.kind)]:
        print_table(title, key, done)
    several = sum(len(case.culprits) > len(case.planted) for case in cases)
    print(f"\n{len(cases)} of {len(done)} cases planted; more true culprits than planted ones in {several}")
    if options.case is not None or options.plant_only:
        for case in cases:
            print(f"case {case.number}: {case.model}, {case.tensors} tensors: {'; '.join(case.faults)}")
    if options.plant_only:
        return len(cases) == len(done)
    print_failures(done, options)
    return final_lines([d for d in done if d[0].planted]) and bool(cases)


def print_table(title, key, done):
    groups = collections.defaultdict(list)
    for case, answers in done:
        groups[key(case)].append((case, answers))
    print(f"\n| {title} | cases | culprits | scan | bisect | runs of bisect, mean and most | extra culprits |")
    print("|---|---|---|---|---|---|---|")
    for name in sorted(groups):
        group = [(c, a) for c, a in groups[name] if c.planted]
        asked = [a for _, a in group if a]
        passed = [sum(a[s].passed for a in asked) for s in SEARCHES]
        runs = [a["bisect"].runs for a in asked] or [0]
        extra = sum(a[s].extra for a in asked for s in SEARCHES)
        culprits = sum(len(c.culprits) for c, _ in group)
        shown = [name, len(group), culprits, *passed, f"{sum(runs) / len(runs):.1f}, {max(runs)}", extra]
        print("| " + " | ".join(map(str, shown)) + " |")


def print_failures(done, options):
    for case, answers in done:
        for search, answer in answers.items():
            if not answer.passed:
                print(f"\nFAILED case {case.number}, {search}: {case.model}: {'; '.join(case.faults)}")
                print("  " + (answer.error or f"missed {', '.join(answer.missed)}"))
                again = f"scripts/corpus.py --seed {options.seed} --case {case.number} --keep target/corpus"
                print(f"  again: {again}; then: bash target/corpus/case{case.number}/{search}.sh")


def is_single(case):
    return case.kind != TWO and len(case.culprits) == 1


def bound(case):
    """The unmarked run, the search, one run more in a wide graph, and one with the culprit put right."""
    return math.ceil(math.log(case.tensors, MARKS + 1)) + 3


def final_lines(done):
    print()
    good = True
    for search in SEARCHES:
        passed = sum(answers[search].passed for _, answers in done)
        good &= passed >= NEEDED * len(done)
        print(f"{search}: {passed}/{len(done)} cases with every culprit named")
    single = [(case, answers["bisect"]) for case, answers in done if is_single(case)]
    beyond = [f"{case.number} ({answer.runs} > {bound(case)})" for case, answer in single if answer.runs > bound(case)]
    within = len(single) - len(beyond)
    good &= within >= NEEDED * len(single)
    print(f"runs bound: {within}/{len(single)} single faults within ceil(log{MARKS + 1}(N))+3 candidate runs")
    if beyond:
        print(f"beyond it: case {', '.join(beyond)}")
    return good


if __name__ == "__main__":
    main()
