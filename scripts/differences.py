#!/usr/bin/env python3
"""Does `layerdiff bisect A -c ort@B` name what differs between two files and matters, and only that?

A case is a model (real, or put together of small blocks in some opset), another file of it that differs in many ways that
change nothing (scripts/diff_harmless.py: defaults, Identity nodes, names, Constants, another opset, an optimiser), and one or
two planted differences (scripts/diff_plants.py). Kept if what is planted shows at the outputs, alone and together, and the
rest does not, measured by ONNX Runtime without optimisation.

layerdiff is right if it exits with 1, the rows with role "cause" are all about what was planted and leave nothing of it out,
the first shown diagnosis is one of them, no code is "kernel-or-fusion", and cure/patched.onnx is the second file but for that
and agrees with the first one, measured here.

usage: scripts/differences.py LAYERDIFF [--cases 320] [--seed N] [--case N] [--kind TEXT] [--keep DIR] [--out FILE.json]
Exit status: 0 when 99 % of the cases are right.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx

import diff_graphs
import diff_harmless
import diff_plants
import planted
import truth

ATTEMPTS = 60
TWO_EVERY = 8
NEEDED = 0.99
# Healthy: agrees this well, in dB and in parts of the largest value. A planted difference is seen by far.
SAME_DB, SAME_PART, SHOWS_DB, SHOWS_PART = 105.0, 1e-4, 60.0, 4e-3
# What is stored in codes is judged by INT8's tolerance.
QUANTISED_DB = 10.0
# Rounding is small, but beyond FP32's tolerance.
HALF_DB = 80.0
# Nodes by which the patched file may differ from B, for each planted difference.
FEW = 8
LARGEST = 16 << 20
# Not healthy as they are, or seconds per run.
SLOW = {"luscinia_trees", "kokoro", "dnsmos_sig", "silero_vad", "spindle_eeg", "seizure_lstm", "timer", "aecmos_48k"}


@dataclass
class Case:
    number: int
    kind: str
    source: str = ""
    harmless: list = field(default_factory=list)
    planted: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    said: list = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Pair:
    """Two files, and what was planted into the second."""

    mine: onnx.ModelProto
    theirs: onnx.ModelProto
    feeds: dict
    plants: list = field(default_factory=list)


def main():
    options = arguments()
    numbers = range(options.cases) if options.case is None else [options.case]
    kinds = list(diff_plants.KINDS)
    numbers = [n for n in numbers if options.kind in kinds[n % len(kinds)]]
    done = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for case in pool.map(functools.partial(one, options=options), numbers):
            if case is None:
                continue
            done.append(case)
            print(line(case), flush=True)
            if options.out:
                options.out.write_text(json.dumps([asdict(c) for c in done], indent=1) + "\n")
    sys.exit(0 if totals(done, len(numbers)) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layerdiff", type=Path)
    parser.add_argument("--cases", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one only")
    parser.add_argument("--kind", default="", help="only kinds with this in their name")
    parser.add_argument("--models", type=Path, nargs="*", default=[venv.ROOT / "target/models"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="keep every pair of files and report in this folder")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plant-only", action="store_true")
    return parser.parse_args()


# ---- making a case


def one(number, options):
    rng = random.Random(f"{options.seed}/{number}")
    kinds = list(diff_plants.KINDS)
    case = Case(number, kinds[number % len(kinds)])
    for _ in range(ATTEMPTS):
        case.harmless, case.planted = [], []
        pair = made(case, rng, options)
        if pair is not None:
            return case if options.plant_only else asked(case, pair, options)
    return None


def made(case, rng, options):
    """The pair of files, or None where this draw gave none."""
    wanted = [case.kind]
    if case.number % TWO_EVERY == TWO_EVERY - 1:
        wanted.append(rng.choice([k for k in diff_plants.KINDS if k != "opset"]))
    _, blocks, opsets, real = diff_plants.KINDS[case.kind]
    if real and rng.random() < 0.45:
        mine, theirs, feeds = real_model(case, rng, options)
    else:
        mine, theirs, feeds = generated(case, rng, blocks, opsets)
    expected = outputs_of(mine, feeds)
    if expected is None:
        return None
    theirs = with_harmless(case, rng, theirs, feeds, expected)
    if theirs is None:
        return None
    plants, spoilt = planted_into(case, rng, wanted, mine, theirs, feeds, expected)
    if spoilt is None:
        return None
    tensors, nodes = diff_harmless.renamed(spoilt, rng) if rng.random() < 0.5 else ({}, {})
    if nodes and outputs_of(spoilt, feeds) is None:
        return None
    case.harmless += [f"{len(tensors)} tensors and {len(nodes)} nodes renamed"] if nodes else []
    for plant in plants:
        plant.theirs = {nodes.get(name, name) for name in plant.nodes}
    return Pair(mine, spoilt, feeds, plants)


@functools.lru_cache(maxsize=1)
def real_files(folders):
    found = [f for folder in folders for f in sorted(folder.glob("*.onnx"))]
    return [f for f in found if f.stat().st_size < LARGEST and f.stem not in SLOW and not quantised(f)]


def quantised(path):
    """Its tolerance is that of its codes, which some of what is planted stays below."""
    marks = ("Quantize", "Integer", "QLinear")
    return any(m in node.op_type for node in onnx.load(path).graph.node for m in marks)


def real_model(case, rng, options):
    path = rng.choice(real_files(tuple(options.models)))
    model = onnx.load(path)
    named(model)
    theirs = onnx.load(path)
    case.source = path.stem
    variant = path.parent.parent / "variants" / f"{path.stem}.{rng.choice(['basic', 'slim'])}.onnx"
    if variant.exists() and rng.random() < 0.25:
        theirs = onnx.load(variant)
        case.harmless.append(f"optimised ({variant.suffixes[-2][1:]})")
    named(theirs)
    return model, theirs, dict(truth.Reference(path, path.with_suffix(".npz"), 1).feeds)


def named(model):
    """Every node has a name of its own."""
    seen = set()
    for graph in diff_harmless.holders(model):
        for node in graph.node:
            if not node.name or node.name in seen:
                base = f"{node.op_type}_{node.output[0]}"
                node.name = base if base not in seen else f"{base}_{len(seen)}"
            seen.add(node.name)


def generated(case, rng, blocks, opsets):
    opset = rng.randint(*opsets)
    kind, chosen = diff_graphs.plan(rng, opset, blocks)
    seed = rng.randrange(1 << 30)
    mine, feeds = diff_graphs.build(seed, opset, kind, chosen)
    other = opset
    if case.kind == "setting" or case.kind != "opset" and rng.random() < 0.3:
        since = max(diff_graphs.SETS[kind][b] for b in chosen)
        other = rng.randint(max(since, opsets[0]), 23)
    theirs, _ = diff_graphs.build(seed, other, kind, chosen)
    case.source = f"{kind} {opset}: " + ", ".join(b.__name__ for b in chosen)
    if other != opset:
        case.harmless.append(f"built for opset {other}")
    named(mine), named(theirs)
    return mine, theirs, feeds


def with_harmless(case, rng, theirs, feeds, expected):
    able = [diff_harmless.optimised] if rng.random() < 0.12 and case.kind != "opset" else []
    able += [h for h in diff_harmless.KINDS if rng.random() < 0.35 and not (case.kind == "opset" and h is diff_harmless.opset_raised)]
    if not same_everywhere(expected, outputs_of(theirs, feeds)):
        return None
    for change in able:
        tried = copied(theirs)
        try:
            what = change(tried, rng)
        except Exception as e:
            what = None
        if what and same_everywhere(expected, outputs_of(tried, feeds)):
            named(tried)
            theirs = tried
            case.harmless.append(what)
    return theirs


def copied(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def planted_into(case, rng, wanted, mine, theirs, feeds, expected):
    """Everything that is wanted, each seen alone as well; (None, None) where it is not."""
    try:
        values = truth.run_marked(theirs, feeds, 1)
    except Exception:
        return None, None
    common = {n for n, v in values.items() if n in mine_values(mine, feeds)}
    plants, spoilt = [], theirs
    for kind in wanted:
        before = copied(spoilt)
        state = rng.getstate()
        after = copied(before)
        plant = diff_plants.plant(kind, diff_plants.File(after, values, feeds, rng))
        seen = plant and outputs_of(after, feeds)
        least = HALF_DB if kind == "half weight" else SHOWS_DB
        least = QUANTISED_DB if any(n.op_type == "DequantizeLinear" for n in after.graph.node) else least
        if not seen or not shows(expected, seen, least):
            return None, None
        if plants:
            if not shows(seen, outputs_of(before, feeds), least):
                return None, None
            rng.setstate(state)
            alone = copied(theirs)
            again = diff_plants.plant(kind, diff_plants.File(alone, values, feeds, rng))
            seen = again and outputs_of(alone, feeds)
            if not seen or again.what != plant.what or not shows(expected, seen, least) or again.nodes & plants[0].nodes:
                return None, None
        plant.kind = kind
        stored = any(n.op_type == "DequantizeLinear" and n.name in plant.nodes for n in after.graph.node)
        if plant.codes == diff_plants.MORE or stored:
            plant.nodes |= readers(after, plant)
        plant.mine = plant.nodes | region(mine, after, plant, common)
        plants.append(plant)
        case.planted.append(f"{kind}: {plant.what} ({', '.join(sorted(plant.nodes))[:160]})")
        spoilt = after
    return plants, spoilt


def readers(model, plant):
    """Who reads what is planted, seen through Identity: a node more or less is a wire that differs there."""
    found, stack = set(), [n for g in diff_harmless.holders(model) for n in g.node if n.name in plant.nodes]
    names = set(plant.tensors)
    while stack:
        names |= set(stack.pop().output)
        for graph in diff_harmless.holders(model):
            for node in graph.node:
                if node.name not in found and names & set(node.input):
                    found.add(node.name)
                    stack += [node] if node.op_type in ("Identity", "Dropout") else []
    return found


def mine_values(model, feeds):
    return {o for n in model.graph.node for o in n.output if o}


def region(mine, theirs, plant, common):
    """Names of the first file's nodes between tensors that both have, at and above the planted place."""
    made = {o: n for n in mine.graph.node for o in n.output if o}
    touched = [n for n in theirs.graph.node if n.name in plant.nodes]
    ends = {t for t in plant.tensors if t in made}
    for node in touched:
        ends |= {t for t in planted.nearest_below(theirs.graph, node, common) if t in made}
    found, stack = set(), [made[t] for t in ends]
    while stack:
        node = stack.pop()
        if node.name in found:
            continue
        found.add(node.name)
        stack += [made[n] for n in truth.node_inputs(node) if n in made and n not in common]
    return found


def outputs_of(model, feeds):
    """The outputs by name, or None where it cannot be run."""
    try:
        data = model if isinstance(model, str) else model.SerializeToString()
        session = truth.plain_session(data, 1)
        taken = {i.name: feeds[i.name] for i in session.get_inputs()}
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, taken)))
    except Exception as e:
        if "onnxruntime" in type(e).__module__ or isinstance(e, (KeyError, RuntimeError)):
            return None
        raise


def apart(r, c):
    """(dB, part of the largest value) between two arrays; (None, None) where they cannot be compared."""
    if not isinstance(r, np.ndarray) or r.shape != c.shape or r.dtype != c.dtype:
        return None, None
    if r.dtype.kind not in "f":
        return (1000.0, 0.0) if np.array_equal(r, c) else (0.0, 1.0)
    r, c = r.astype(np.float64), c.astype(np.float64)
    kept = np.isfinite(r)
    if not np.array_equal(kept, np.isfinite(c)):
        return 0.0, 1.0
    if not kept.any():
        return 1000.0, 0.0
    r, c = r[kept], c[kept]
    largest = np.max(np.abs(r)) or 1.0
    return truth.sqnr_db(r, c), float(np.max(np.abs(r - c)) / largest)


def same_everywhere(expected, found):
    if found is None or set(found) != set(expected):
        return False
    for name, value in expected.items():
        if not isinstance(value, np.ndarray):
            continue
        decibels, part = apart(value, found[name])
        if decibels is None or (decibels < SAME_DB and np.any(value != found[name])) or part > SAME_PART:
            return False
    return True


def shows(expected, found, least=SHOWS_DB):
    """Some output is another by far, and all have their shape."""
    if found is None or set(found) != set(expected):
        return False
    far = False
    for name, value in expected.items():
        if not isinstance(value, np.ndarray):
            return False
        decibels, part = apart(value, found[name])
        if decibels is None:
            return False
        far |= decibels < least and part > (SHOWS_PART if least < HALF_DB else SAME_PART)
    return far


# ---- asking


def asked(case, pair, options):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.keep:
            folder = options.keep / f"{case.number:04}"
            folder.mkdir(parents=True, exist_ok=True)
        onnx.save(pair.mine, folder / "a.onnx")
        if any(p.external for p in pair.plants):
            (folder / "b.bin").unlink(missing_ok=True)
            stored = {"save_as_external_data": True, "location": "b.bin", "size_threshold": 128}
            onnx.save(copied(pair.theirs), folder / "b.onnx", **stored)
            if outputs_of(str(folder / "b.onnx"), pair.feeds) is None:
                return None
        else:
            onnx.save(pair.theirs, folder / "b.onnx")
        np.savez(folder / "in.npz", **pair.feeds)
        (folder / "truth.json").write_text(json.dumps(asdict(case), indent=1))
        started = time.monotonic()
        argv = [options.layerdiff.resolve(), "bisect", "a.onnx", "-c", "ort@b.onnx", "-i", "in.npz", "-o", "out"]
        ran = subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=900)
        case.seconds = round(time.monotonic() - started, 1)
        (folder / "said.txt").write_text(ran.stdout + ran.stderr)
        judge(case, pair, ran, folder)
    return case


def judge(case, pair, ran, folder):
    say = case.problems.append
    if "panicked" in ran.stderr:
        say("panic")
    if ran.returncode != 1:
        return say(f"exit {ran.returncode}: {(ran.stderr.strip().splitlines() or [''])[-1][:200]}")
    report = json.loads((folder / "out/report.json").read_text())
    codes = {d["code"] for c in report["culprits"] for d in c["diagnosis"]}
    if "kernel-or-fusion" in codes:
        say("kernel-or-fusion")
    causes = [r for r in report.get("differences", []) if r["role"] == "cause"]
    case.said = [r["told"][:300] for r in causes]
    if not causes:
        return say("no cause; " + "; ".join(r["told"][:120] for r in report.get("differences", [])[:3]))
    met = set()
    for row in causes:
        of = [i for i, p in enumerate(pair.plants) if is_about(row, p)]
        met |= set(of)
        if not of:
            say(f"not planted: {row['told'][:200]}")
        elif not any(row["code"] in pair.plants[i].codes | fused(case) for i in of):
            say(f"code {row['code']}")
    if missed := set(range(len(pair.plants))) - met:
        say(f"missed: {[pair.plants[i].what for i in missed]}")
    first = next((d for c in report["culprits"] for d in c["diagnosis"] if d["sure"] == "shown"), None)
    if first is None or not any(r["told"] in first["evidence"] for r in causes):
        say(f"first shown: {first and first['code']}")
    patched_agrees(case, pair, report, folder)


def fused(case):
    """An optimiser makes other nodes of several: a fault in one of them is told of all."""
    return {"operator-differs"} if any(h.startswith("optimised") for h in case.harmless) else set()


def is_about(row, plant):
    def within(name, names):
        return any(name == n or name.endswith(n) or n.endswith("/" + name) for n in names if n)

    if row["code"] == "opset-differs" and plant.kind == "opset":
        return True
    # The nodes of a function's body are called by the tensor that its call makes.
    if any(row["node"].startswith(f"{t}/") for t in plant.tensors):
        return True
    # Of several nodes that are told as one difference any will do.
    if row["code"] == "operator-differs" and any(f"'{name}'" in row["told"] for name in plant.mine | plant.theirs):
        return True
    return within(row["node"], plant.mine) or within(row["their_node"], plant.theirs) or row["tensor"] in plant.tensors


def patched_agrees(case, pair, report, folder):
    say = case.problems.append
    path = folder / "out/cure/patched.onnx"
    if not path.exists():
        return say("no patched.onnx")
    if not (report.get("patched") or {}).get("verified"):
        say("patched.onnx is not verified")
    expected, found = outputs_of(pair.mine, pair.feeds), outputs_of(str(path), pair.feeds)
    if found is None:
        return say("patched.onnx does not run")
    for name, value in expected.items():
        decibels, _ = apart(value, found[name])
        if decibels is None or decibels < 80.0:
            say(f"patched.onnx: output '{name}' is at {decibels} dB")
    model = onnx.load(path, load_external_data=False)
    if not pair.theirs.functions:
        kept, had = ({n.output[0] for n in m.graph.node if n.op_type != "Constant"} for m in (model, pair.theirs))
        most = FEW * len(pair.plants)
        if len(had - kept) > most or len(kept - had) > most:
            say(f"patched.onnx lacks {len(had - kept)} nodes of B and has {len(kept - had)} others")


# ---- telling


def line(case):
    mark = "ok  " if not case.problems else "FAIL"
    text = f"{mark} {case.number:4} {case.kind:18} {case.source[:60]:60} {case.seconds:5.1f}s"
    if case.problems:
        text += f"\n       planted {case.planted}\n       with {case.harmless}\n       said {case.said}\n       {case.problems}"
    return text


def totals(done, asked_for):
    by = collections.defaultdict(list)
    for case in done:
        by[case.kind].append(not case.problems)
    for kind, right in sorted(by.items()):
        print(f"{kind:20} {sum(right):3} of {len(right)}")
    right = sum(not c.problems for c in done)
    said = collections.Counter(p.split(":")[0].split(";")[0] for c in done for p in c.problems)
    done = [c for c in done if c is not None]
    print(f"{right} of {len(done)} cases right ({asked_for} drawn), {sum(len(c.planted) > 1 for c in done)} of them with two planted")
    print(dict(said))
    return done and right >= NEEDED * len(done)


if __name__ == "__main__":
    main()
