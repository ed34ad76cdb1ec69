#!/usr/bin/env python3
"""The fault corpus once more: `layerdiff reduce` must cut every planted fault out, as small as it goes.

The cases are those of corpus.py. Every culprit that layerdiff names needs a reproducer. Each is read from disk here and
judged without layerdiff: ONNX Runtime must get a diverging output from the written model on the written data, and the
expected values must be the reference's. What counts are nodes of the original model: the planted fault is often
several nodes, between which the reference has no value. Each of them is left out in turn, its outputs fed with the
reference's values; the rest must agree.

Exit status: 0 when 95 % of the single faults leave one node, and all reproducers are minimal and fail again.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import collections
import concurrent.futures
import json
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import helper, numpy_helper

import corpus
import truth

NEEDED = 0.95


@dataclass
class Reproducer:
    """One bundle, as layerdiff describes it and as it was found on disk."""

    culprit: str
    op: str
    kind: str
    nodes: int
    covered: int
    bytes: int
    probes: int
    seconds: float
    minimal: bool
    reproduces: bool
    # Left out one by one here: without so many the rest agrees.
    needed: int = 0
    wrong: list = field(default_factory=list)

    @property
    def proven(self):
        return self.minimal and self.reproduces and not self.wrong


@dataclass
class Reduction:
    """What `layerdiff reduce` made of a case."""

    seconds: float = 0
    reproducers: list = field(default_factory=list)
    # Culprits without a reproducer, warnings about it, and everything else that should not be.
    wrong: list = field(default_factory=list)

    @property
    def one_node(self):
        return bool(self.reproducers) and all(r.covered == 1 for r in self.reproducers) and not self.wrong


def main():
    options = corpus.arguments()
    started = time.monotonic()
    numbers = [options.case] if options.case is not None else range(options.cases)
    # Neighbours share a model, so that a worker measures each reference once or twice.
    ordered = sorted(numbers, key=lambda n: (n % len(corpus.MODELS), n))
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


# ---- one case


def run_chunk(numbers, options):
    done = []
    for number in numbers:
        case = corpus.make_case(number, options)
        if case.candidate is not None:
            reduction = reduce(case, options)
            case.candidate = None
            done.append((case, reduction))
    return done


def reduce(case, options):
    ref = corpus.reference(case.model, options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary).absolute() / f"case{case.number}"
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(case.candidate, folder / "candidate.onnx")
        command = [str(options.layerdiff), "reduce", str(ref.path), "--candidate", f"ort@{folder / 'candidate.onnx'}"]
        command += ["--inputs", str(ref.inputs), "--atol", str(truth.ATOL), "--rtol", str(truth.RTOL)]
        command += ["-o", str(folder / "reduce"), "--json"]
        if options.keep:
            (folder / "reduce.sh").write_text(shlex.join(command) + "\n")
        started = time.monotonic()
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=600, env=corpus.environment())
            report = json.loads((folder / "reduce/report.json").read_text())
        except subprocess.TimeoutExpired:
            return Reduction(wrong=["no answer within 600 s"])
        except (OSError, ValueError):
            said = ran.stderr.strip().splitlines() or ["nothing on stderr"]
            return Reduction(wrong=[f"exit status {ran.returncode}, no report: {said[-1]}"])
        seconds = time.monotonic() - started
        return examined(case, ref, ran, report, seconds)


def examined(case, ref, ran, report, seconds):
    result = Reduction(seconds)
    if report["verdict"] != "diverged" or ran.returncode != 1:
        said = (ran.stderr.strip().splitlines() or [""])[-1]
        result.wrong.append(f"verdict {report['verdict']}, exit status {ran.returncode}: {said}")
    made = report.get("reproducers") or [r for r in [report.get("reduced")] if r]
    known = {r["culprit"]: r for r in made}
    original = makers(ref.model.graph)
    for culprit in report["culprits"]:
        if (bundle := known.get(culprit["tensor"])) is None:
            result.wrong.append(f"no reproducer of {culprit['kind']} '{culprit['tensor']}'")
        else:
            result.reproducers.append(reproducer(culprit, bundle, ref, original))
    if result.wrong:
        result.wrong += report.get("warnings", [])
    return result


def reproducer(culprit, bundle, ref, original):
    model = onnx.load(bundle["path"])
    parts = stand_ins(model.graph, original)
    found = Reproducer(
        culprit["tensor"],
        culprit["node"]["op_type"],
        culprit["kind"],
        nodes=len(model.graph.node),
        covered=len(parts),
        **{key: bundle[key] for key in ("bytes", "probes", "seconds", "minimal", "reproduces")},
    )
    # What was kept of the data is good to know; all other words are about something lost.
    found.wrong += [why for why in (bundle.get("why") or "").split("; ") if why and not why.startswith("kept ")]
    if bundle["nodes"] != found.nodes or not Path(bundle["path"]).with_name("repro.sh").exists():
        found.wrong.append(f"the report counts {bundle['nodes']} nodes, or there is no repro.sh")
    try:
        judge(found, Path(bundle["path"]).parent, model, parts, ref)
    except truth.ShapesChanged:
        found.wrong.append("the candidate's output has another shape than the reference's")
    except Exception as e:
        found.wrong.append(f"what is on disk cannot be judged: {type(e).__name__}: {(str(e).splitlines() or ['?'])[0]}")
    return found


def makers(graph, path=()):
    """Which node makes a tensor, in bodies too: its name -> where the node is."""
    made = {}
    for i, node in enumerate(graph.node):
        made.update((name, (*path, i)) for name in node.output if name)
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                made.update(makers(body, (*path, i, attribute.name)))
    return made


def stand_ins(graph, original):
    """Which nodes stand for one of the original: those that make its tensors, and what only serves them."""
    parts, served = collections.defaultdict(list), {}
    for node in reversed(graph.node):
        known = [original[name] for name in node.output if name in original]
        known += [served[name] for name in node.output if name in served]
        part = known[0] if known else node.output[0]
        parts[part].append(node)
        served.update((name, part) for name in truth.node_inputs(node) if name not in original)
    return list(parts.values())


# ---- what is on disk, judged without layerdiff


def judge(found, folder, model, parts, ref):
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as e:
        found.wrong.append(f"the ONNX checker: {(str(e).splitlines() or ['?'])[0]}")
    feeds = stored(folder, "input", model.graph.input)
    expected = stored(folder, "output", model.graph.output)
    whole = {**ref.feeds, **ref.values}
    for name, value in feeds.items():
        if name not in whole or (value.shape == whole[name].shape and truth.diverges(whole[name], value)):
            found.wrong.append(f"the stored '{name}' is not the reference's")
    right = right_values(model, feeds, expected, ref)
    if any(truth.diverges(right[name], value) for name, value in expected.items()):
        found.wrong.append("the stored outputs are not the reference's")
    if not wrong(model, feeds, expected):
        found.wrong.append("ONNX Runtime gets the expected values from the written model")
    for part in parts:
        what = f"{part[0].op_type} '{part[0].name}'"
        rest = without(model, part, expected, right)
        if rest is None:
            found.wrong.append(f"{what} cannot be left out: the reference lacks a value")
        elif rest[0].graph.node and wrong(*rest, expected):
            found.wrong.append(f"it fails without {what} too")
        else:
            found.needed += 1


def right_values(model, feeds, expected, ref):
    """Every tensor between the written data and the outputs, as the reference's own nodes make it. Of the data, and of
    the weights with it, a slice may be left: such weights are taken from the written model."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    cut = onnx.ModelProto()
    cut.CopyFrom(ref.model)
    del cut.graph.node[:], cut.graph.value_info[:], cut.graph.input[:], cut.graph.initializer[:], cut.graph.output[:]
    nodes, wanted, given = [], set(expected), dict(feeds)
    for node in reversed(ref.model.graph.node):
        if wanted.intersection(node.output).difference(given, ref.constants.keys() - expected.keys()):
            nodes.insert(0, node)
            wanted.update(truth.node_inputs(node))
    made = {name for node in nodes for name in node.output}
    for name in dict.fromkeys(n for node in nodes for n in truth.node_inputs(node) if n not in made and n not in given):
        sliced = name in values and values[name].shape != ref.constants[name].shape
        given[name] = values[name] if sliced else ref.constants[name]
    cut.graph.node.extend(nodes)
    declare(cut, given)
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in expected)
    return {**given, **truth.run_marked(cut, given, 1)}


def declare(model, feeds):
    for name, value in feeds.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.input.append(helper.make_tensor_value_info(name, kind, value.shape))


def stored(folder, which, infos):
    files = [folder / "test_data_set_0" / f"{which}_{i}.pb" for i in range(len(infos))]
    return {i.name: numpy_helper.to_array(onnx.load_tensor(f)) for i, f in zip(infos, files) if f.exists()}


def wrong(model, feeds, expected):
    session = truth.plain_session(model.SerializeToString(), 1)
    taken = {i.name for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    got = dict(zip(names, session.run(names, {n: v for n, v in feeds.items() if n in taken})))
    return any(truth.diverges(expected[name], got[name]) for name in names)


def without(model, left_out, expected, right):
    """The model without these nodes, and without what only served them; None where the reference lacks a value."""
    kept, wanted = [], set(expected)
    for node in reversed(model.graph.node):
        if node not in left_out and wanted.intersection(node.output):
            kept.insert(0, node)
            wanted.update(truth.node_inputs(node))
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    del rest.graph.node[:], rest.graph.value_info[:], rest.graph.input[:]
    rest.graph.node.extend(kept)
    made = {name for node in kept for name in node.output} | {t.name for t in model.graph.initializer}
    needed = dict.fromkeys(n for node in kept for n in truth.node_inputs(node) if n not in made)
    if any(name not in right for name in needed):
        return None
    feeds = {name: right[name] for name in needed}
    declare(rest, feeds)
    return rest, feeds


# ---- the summary


def summary(done, options):
    singles = [(c, r) for c, r in done if corpus.is_single(c)]
    bundles = [b for _, r in done for b in r.reproducers]
    rows = [("all", done), *grouped("model", done, lambda c: c.model), *grouped("fault", done, lambda c: c.kind)]
    columns = "cases, single, one node, bundles, minimal, fail again, proven here, most nodes, most bytes, slowest (s)"
    print(f"| | {columns.replace(', ', ' | ')} |\n|{'---|' * 11}")
    for title, group in rows:
        print("| " + " | ".join(map(str, row(title, group))) + " |")
    for case, result in done:
        print_case(case, result, options)
    one = sum(r.one_node for _, r in singles)
    print(f"\none node: {one}/{len(singles)} single faults")
    proven = sum(b.proven for b in bundles)
    print(f"minimal, and fail again from disk, proven here: {proven}/{len(bundles)} reproducers")
    several = [b for b in bundles if b.covered > 1]
    needed, covered = sum(b.needed for b in bundles), sum(b.covered for b in bundles)
    most = max((b.covered for b in several), default=1)
    print(f"left out one by one: {needed}/{covered} nodes are needed; ", end="")
    print(f"{len(several)} reproducers have several, {most} at most")
    lost = [c.number for c, r in done if r.wrong]
    print(f"cases with something wrong besides: {', '.join(map(str, lost)) or 'none'}")
    return bool(singles) and one >= NEEDED * len(singles) and proven == len(bundles) and not lost


def grouped(what, done, key):
    groups = collections.defaultdict(list)
    for case, result in done:
        groups[key(case)].append((case, result))
    return [(f"{what} {name}", groups[name]) for name in sorted(groups)]


def row(title, group):
    singles = [r for c, r in group if corpus.is_single(c)]
    bundles = [b for _, r in group for b in r.reproducers]
    most = lambda values: max(values, default=0)
    return [title, len(group), len(singles), sum(r.one_node for r in singles), len(bundles),
            sum(b.minimal for b in bundles), sum(b.reproduces for b in bundles), sum(b.proven for b in bundles),
            most(b.nodes for b in bundles), most(b.bytes for b in bundles), f"{most(r.seconds for _, r in group):.1f}"]


def print_case(case, result, options):
    """A case that is not perfect."""
    imperfect = [b for b in result.reproducers if b.covered != 1 or not b.proven]
    if not imperfect and not result.wrong:
        return
    single = "single" if corpus.is_single(case) else f"{len(case.culprits)} true culprits"
    print(f"\ncase {case.number} ({single}, {result.seconds:.1f} s): {case.model}: {'; '.join(case.faults)}")
    for why in result.wrong:
        print(f"  {why}")
    for b in imperfect:
        proof = f"minimal {b.minimal}, reproduces {b.reproduces}"
        counts = f"{b.covered} nodes of the model, {b.nodes} in the file, {b.probes} probes, {b.seconds:.1f} s"
        print(f"  {b.op} '{b.culprit}' {b.kind}: {counts}, {proof}" + "".join(f"; {w}" for w in b.wrong))
    again = f"scripts/reduce_corpus.py --seed {options.seed} --case {case.number} --keep target/corpus"
    print(f"  again: {again}; then: bash target/corpus/case{case.number}/reduce.sh")


if __name__ == "__main__":
    main()
