#!/usr/bin/env python3
"""Does `layerdiff bisect` name the faulty node of an *optimised* model, and no healthy one?

Takes what optimisers made of real models (scripts/variants.py), plants one fault into one node (scripts/slips.py) and
asks `layerdiff bisect MODEL -c ort@PLANTED`. The truth is measured from marked runs of three files with numpy: the
original, the optimised and the planted one. A tensor is common if it has one name in original and optimised file and,
without the fault, one value (60 dB): an optimiser may keep a name for something else. The fault is in the *region* of
the original's nodes between the common tensors above the planted node and the nearest ones at or below it. A case is
kept if the fault shows at the region's end and at the outputs: under 60 dB to the healthy optimised file, or another
label. `clean` says that the culprits by scripts/truth.py, over common tensors, are within the region; in the others the
optimiser's own FP32 noise is above the automatic tolerance somewhere.

layerdiff is right if the first culprit (its node or its region) is in there; a culprit that is not in the region and
does not follow from it is a healthy node accused.

usage: scripts/planted.py LAYERDIFF [--cases N] [--seed N] [--case N] [--zoo DIR] [--keep DIR] [--out FILE.json]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import collections
import json
import random
import subprocess
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx

import corpus
import slips
import truth

OPTIMISERS = ["basic", "extended", "all", "slim", "sim"]
SAME_DB, SHOWS_DB = 60.0, 60.0
ATTEMPTS = 40
# Seconds per run, or gigabytes of marks: not for this.
SLOW = {"luscinia_trees", "kokoro", "dnsmos_sig"}


@dataclass
class Case:
    number: int
    model: str
    optimiser: str
    kind: str = ""
    fault: str = ""
    # Names of the region's nodes in the original, their outputs, and those of all that follows from them.
    nodes: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    following: list = field(default_factory=list)
    clean: bool = True
    said: str = ""
    named: list = field(default_factory=list)
    # A cause was shown by undoing it in the planted file; that file without it agrees, read again from the disk.
    shown: bool = False
    patched: bool = False
    causes: list = field(default_factory=list)
    first: bool = False
    found: bool = False
    consequences: int = 0
    healthy: int = 0
    seconds: float = 0.0


def main():
    options = arguments()
    files = sources(options)
    numbers = range(options.cases) if options.case is None else [options.case]
    cases, chosen = [], collections.defaultdict(list)
    for number in numbers:
        chosen[files[number % len(files)][0]].append(number)
    for model in sorted(chosen):
        original = truth.Reference(model, model.with_suffix(".npz"), 1)
        for number in chosen[model]:
            case = one(number, files[number % len(files)], original, options)
            if case is not None:
                cases.append(case)
                print(line(case), flush=True)
            if options.out:
                options.out.write_text(json.dumps([asdict(c) for c in cases], indent=1) + "\n")
    totals(cases, len(numbers))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layerdiff", type=Path)
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one only")
    parser.add_argument("--zoo", type=Path, default=venv.ROOT / "target/zoo")
    parser.add_argument("--filter", default="", help="only models with this in their name")
    parser.add_argument("--keep", type=Path, help="keep every planted file and report in this folder")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plant-only", action="store_true")
    return parser.parse_args()


def sources(options):
    """(original, optimiser, optimised file) of every healthy optimised variant, in an order that mixes models."""
    found = []
    for folder, name in [("models", "health.json"), ("old_models", "old_health.json")]:
        record = options.zoo / name
        for model, kinds in (json.loads(record.read_text()) if record.exists() else {}).items():
            for kind in OPTIMISERS:
                if kinds.get(kind, {}).get("healthy") and model not in SLOW and options.filter in model:
                    variants = options.zoo / ("variants" if folder == "models" else "old_variants")
                    found.append((options.zoo / folder / f"{model}.onnx", kind, variants / f"{model}.{kind}.onnx"))
    random.Random(options.seed).shuffle(found)
    return found


# ---- planting


def one(number, source, original, options):
    model, optimiser, file = source
    rng = random.Random(f"{options.seed}/{number}")
    optimised = onnx.load(file)
    healthy = truth.run_marked(optimised, taken(optimised, original.feeds), 1)
    common = common_tensors(original, healthy)
    kinds = list(slips.KINDS)
    for attempt in range(ATTEMPTS):
        kind = kinds[(number + attempt // 8) % len(kinds)]
        case = Case(number, model.stem, optimiser, kind)
        planted = onnx.ModelProto()
        planted.CopyFrom(optimised)
        node = rng.choice(planted.graph.node)
        if node.output[0] not in healthy:
            continue
        what = slips.slip(planted, node, healthy, kind, rng)
        if what is None:
            # Few nodes carry a rare kind: try each before giving up.
            node, what = any_victim(planted, healthy, kind, rng)
        if what is None:
            continue
        case.fault = f"{what} at {node.op_type} '{node.name}' -> '{node.output[0]}'"
        if locate(case, original, planted, node, healthy, common):
            return case if options.plant_only else asked(case, model, original, planted, options)
    return None


def any_victim(planted, healthy, kind, rng):
    nodes = list(planted.graph.node)
    rng.shuffle(nodes)
    for node in nodes:
        if node.output[0] in healthy and healthy[node.output[0]].dtype.kind == "f":
            what = slips.slip(planted, node, healthy, kind, rng)
            if what is not None:
                return node, what
    return None, None


def taken(model, feeds):
    names = {i.name for i in model.graph.input}
    return {name: value for name, value in feeds.items() if name in names}


def common_tensors(original, healthy):
    """Names that mean the same tensor in the original and in the optimised file."""
    common = set()
    for name in original.maker:
        r, c = original.values.get(name), healthy.get(name)
        if r is not None and c is not None and same(r, c, SAME_DB):
            common.add(name)
    return common


def same(r, c, least_db):
    if r.shape != c.shape or r.dtype != c.dtype:
        return False
    if r.dtype.kind != "f":
        return np.array_equal(r, c)
    r, c = r.astype(np.float64), c.astype(np.float64)
    kept = np.isfinite(r)
    if not np.array_equal(kept, np.isfinite(c)):
        return False
    return truth.sqnr_db(r[kept], c[kept]) >= least_db


def locate(case, original, planted, node, healthy, common):
    """Fills in the truth; says whether the case is worth asking about."""
    try:
        values = truth.run_marked(planted, taken(planted, original.feeds), 1)
    except Exception as e:
        if "onnxruntime" not in type(e).__module__:
            raise
        return False
    outputs = [name for name in original.outputs if name in healthy]
    shown = [name for name in outputs if name not in values or not same(healthy[name], values[name], SHOWS_DB)]
    if not shown or any(values[n].shape != healthy[n].shape for n in shown if n in values):
        return False
    ends = nearest_below(planted.graph, node, common)
    region = between(original, ends, common)
    if not region or all(name in values and same(healthy[name], values[name], SHOWS_DB) for name in ends):
        return False
    found = truth.judge(original, {name: values[name] for name in common if name in values}, truth.AUTO)
    case.clean = bool(found.culprits) and set(found.culprits) <= region
    nodes = original.model.graph.node
    after = set().union(*(original.descendants(i) for i in region)) - region
    case.nodes = [nodes[i].name for i in sorted(region)]
    case.outputs = [name for i in sorted(region) for name in nodes[i].output]
    case.following = [name for i in sorted(after) for name in nodes[i].output]
    return True


def nearest_below(graph, node, common):
    """The common tensors at the planted node's outputs or first below them."""
    readers = collections.defaultdict(list)
    for other in graph.node:
        for name in truth.node_inputs(other):
            readers[name].append(other)
    ends, seen, stack = set(), set(), [name for name in node.output if name]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in common:
            ends.add(name)
        else:
            stack += [out for reader in readers[name] for out in reader.output if out]
    return ends


def between(original, ends, common):
    """The original's nodes that make these tensors out of other common ones."""
    region, stack = set(), [original.maker[name] for name in ends]
    while stack:
        i = stack.pop()
        if i not in region:
            region.add(i)
            open_ends = (n for n in original.reads[i] if n in original.maker and n not in common)
            stack += [original.maker[n] for n in open_ends]
    constant = {i for i in region if original.model.graph.node[i].op_type == "Constant"}
    return region - constant


# ---- asking


def asked(case, model, original, planted, options):
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)) / f"case{case.number}"
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(planted, folder / "planted.onnx")
        command = [options.layerdiff, "bisect", model, "-c", f"ort@{folder / 'planted.onnx'}"]
        command += ["-i", original.inputs, "-o", folder / "out", "--quiet", "--no-reduce", "--no-overrides"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=400, env=corpus.environment())
            report = json.loads((folder / "out/report.json").read_text())
            case.said, case.seconds = report["verdict"], report["seconds"]
        except subprocess.TimeoutExpired:
            case.said = "no answer in 400 s"
            return case
        except (OSError, ValueError):
            case.said = f"status {ran.returncode}: {(ran.stderr.strip().splitlines() or [''])[-1][:120]}"
            return case
    for place, culprit in enumerate(report["culprits"]):
        score(case, place, culprit)
    case.causes = [d["told"] for d in report.get("differences", []) if d["role"] == "cause"]
    case.shown = bool(case.causes)
    case.patched = report.get("patched", {}).get("verified", False)
    return case


def score(case, place, culprit):
    node = culprit["node"]
    case.named.append(f"{node['op_type']} '{node['name']}' -> '{node['outputs'][0]}' ({culprit['kind']})")
    inside = set(node["outputs"]) & set(case.outputs) or set(culprit["region"]) & set(case.nodes) - {""}
    inside = inside or any(node["subgraph"].startswith(f"{name}/") for name in case.nodes if name and node["subgraph"])
    if inside:
        case.found = True
        case.first |= place == 0
    elif set(node["outputs"]) & set(case.following):
        case.consequences += 1
    else:
        case.healthy += 1


def line(case):
    mark = "ok   " if case.first and not case.healthy else "WRONG"
    details = f"\n      fault: {case.fault}\n      region: {case.nodes[:4]}\n      named: {case.named[:3]}"
    told = "" if mark == "ok   " else details
    noisy = "" if case.clean else ", noisy"
    name = f"{case.number} {case.model}.{case.optimiser}"
    return f"{mark} {name:36} {case.kind:10} {case.said:10} {len(case.nodes)} nodes{noisy}, {case.seconds:.1f} s{told}"


def totals(cases, asked_for):
    print("\n| optimiser | cases | planted first | found | consequence named too | healthy accused | not diverged | cause shown | patched |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key in [*OPTIMISERS, *(f"fault: {k}" for k in slips.KINDS), "noisy", "all cases"]:
        keys = {c.number: (c.optimiser, f"fault: {c.kind}", "" if c.clean else "noisy", "all cases") for c in cases}
        group = [c for c in cases if key in keys[c.number]]
        row = [key + (" (optimiser)" if key in OPTIMISERS else ""), len(group)]
        row += [sum(c.first for c in group), sum(c.found for c in group), sum(c.consequences > 0 for c in group)]
        row += [sum(c.healthy > 0 for c in group), sum(c.said != "diverged" for c in group)]
        row += [sum(c.shown for c in group), sum(c.patched for c in group)]
        print("| " + " | ".join(map(str, row)) + " |")
    print(f"\n{len(cases)} of {asked_for} cases planted")


if __name__ == "__main__":
    main()
