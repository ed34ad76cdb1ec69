#!/usr/bin/env python3
"""Does layerdiff judge right? Its verdict on the zoo's healthy variants, unhealthy ones, broken ones and precisions.

`healthy` variants must end with exit status 0, `broken` candidates (scripts/broken.py) must not; `unhealthy` variants,
whose measured quality is below the bound of their kind, should not either (a "grey" one, where only a top-1 changed,
counts for nothing). `precision` runs each original as ort:fp16, ort:bf16 and ort:tf32; how good the emulation is is
measured here from the tensors that layerdiff saved. Health comes from scripts/variants.py, never from layerdiff.

usage: scripts/judgement_bench.py LAYERDIFF [--zoo DIR] [--suite healthy unhealthy broken precision] [--filter TEXT]
       [--jobs N] [--out FILE.json] [--baseline FILE.json]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import corpus
import truth
import variants

SUITES = ["healthy", "unhealthy", "broken", "precision"]
PRECISIONS = ["fp16", "bf16", "tf32"]
SAID = {0: "agreed", 1: "diverged", 2: "refused", 3: "inconclusive"}


@dataclass
class Case:
    """A run of layerdiff and what it should say: "agreed", "not agreed", "inconclusive", "either", or "measure",
    which is decided after the run."""

    name: str
    suite: str
    kind: str
    model: str
    candidate: str
    inputs: str
    want: str
    why: str = ""
    said: str = ""
    right: bool = True
    culprits: str = ""
    seconds: float = 0.0


def main():
    options = arguments()
    cases = [case for case in all_cases(options) if not options.filter or options.filter in f"{case.suite}/{case.name}"]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done, case in enumerate(pool.map(lambda c: ask(c, options), cases), 1):
            if not case.right or options.verbose:
                mark = "ok   " if case.right else "WRONG"
                line = f"{mark} {case.suite:9} {case.name:44} {case.said:12} {case.seconds:5.1f} s"
                print(f"{line}  {case.why[:70]} {case.culprits}", flush=True)
            if options.out and done % 20 == 0:
                save(cases, options.out)
    if options.out:
        save(cases, options.out)
    totals(cases)
    if options.baseline:
        compare(cases, options.baseline)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layerdiff", type=Path)
    parser.add_argument("--zoo", type=Path, default=Path(__file__).resolve().parent.parent / "target/zoo")
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--filter", help="only cases with this in SUITE/NAME")
    parser.add_argument("--skip", nargs="*", default=[], help="not these models")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=300)
    parser.add_argument("--out", type=Path, help="every case as JSON")
    parser.add_argument("--baseline", type=Path, help="an earlier --out: print what is better and what is worse")
    parser.add_argument("--verbose", action="store_true", help="right ones too")
    return parser.parse_args()


def all_cases(options):
    health = json.loads((options.zoo / "health.json").read_text())
    for name, kinds in sorted(health.items()):
        if name in options.skip:
            continue
        for kind in (k for k in variants.KINDS if kinds.get(k, {}).get("healthy") is not None):
            suite = "healthy" if kinds[kind]["healthy"] else "unhealthy"
            want = "agreed" if suite == "healthy" else "either" if kinds[kind]["grey"] else "not agreed"
            # Healthy without optimisation, but the session that people deploy is another.
            if suite == "healthy" and kinds[kind].get("deployed", "healthy") != "healthy":
                want = {"crash": "inconclusive", "unhealthy": "either"}[kinds[kind]["deployed"]]
            file = options.zoo / "variants" / f"{name}.{kind}.onnx"
            if suite in options.suite:
                why = f"{kinds[kind]['sqnr_db']} dB {kinds[kind]['why']}"
                yield case(options, name, suite, kind, f"ort@{file}", want, why)
        if "precision" in options.suite:
            for precision in PRECISIONS:
                yield case(options, name, "precision", precision, f"ort:{precision}", "measure", "")
    if "broken" in options.suite:
        for b in json.loads((options.zoo / "broken/broken.json").read_text()):
            if b["model"] not in options.skip:
                name = f"{b['model']}.{b['base']}.{b['kind']}"
                model, candidate = b["reference"], f"ort@{b['candidate']}"
                yield Case(name, "broken", b["kind"], model, candidate, b["inputs"], "not agreed", b["why"])


def case(options, name, suite, kind, candidate, want, why):
    model = options.zoo / "models" / f"{name}.onnx"
    inputs = str(model.with_suffix(".npz"))
    return Case(f"{name}.{kind}", suite, kind, str(model), candidate, inputs, want, why)


def ask(case, options):
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(options.layerdiff), "bisect", case.model, "-c", case.candidate, "-i", case.inputs]
        command += ["-o", f"{folder}/out", "--quiet", "--no-reduce", "--no-overrides"]
        if case.want == "measure":
            command += ["--save-tensors", f"{folder}/saved.npz"]
        try:
            environment = corpus.environment()
            ran = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout, env=environment)
            case.said = SAID.get(ran.returncode, f"status {ran.returncode}")
            case.culprits = named(Path(folder) / "out/report.json")
            if case.said not in ("agreed", "diverged") and not case.culprits:
                case.culprits = (ran.stderr.strip().splitlines() or [""])[-1][:160]
        except subprocess.TimeoutExpired:
            case.said = "no answer"
        if case.want == "measure":
            measure(case, Path(folder) / "saved.npz")
    case.seconds = time.monotonic() - started
    agreed = case.said == "agreed"
    wants = {"agreed": agreed, "not agreed": case.said in ("diverged", "inconclusive"), "either": True}
    wants["inconclusive"] = case.said == "inconclusive"
    case.right = wants[case.want]
    return case


def named(path):
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError):
        return ""
    culprits = [f"{c['node']['op_type']} '{c['node']['name'][:30]}'" for c in report["culprits"][:2]]
    return ", ".join(culprits) or report.get("why") or ""


def measure(case, saved):
    """What an emulation should be called, by the health of the outputs that it gave."""
    try:
        tensors = np.load(saved)
    except (OSError, ValueError):
        case.want, case.why = "either", "no tensors were saved"
        return
    reference = truth.Reference(case.model, case.inputs, 1)
    got = {n: tensors[f"candidate/{n}"] for n in reference.outputs if f"candidate/{n}" in tensors.files}
    reference.outputs = [n for n in reference.outputs if n in got]
    found = variants.health_of(reference, got, variants.BOUNDS[case.kind])
    case.want = "agreed" if found["healthy"] else "either" if found["grey"] else "not agreed"
    case.why = f"{found['sqnr_db']} dB {found['why']}"


def save(cases, path):
    path.write_text(json.dumps([asdict(c) for c in cases], indent=1) + "\n")


def totals(cases):
    groups = collections.defaultdict(list)
    for c in cases:
        groups[c.suite, "(every kind)"].append(c)
        groups[c.suite, c.kind].append(c)
    print("\n| suite | kind | cases | right | agreed | diverged | inconclusive | other |")
    print("|---|---|---|---|---|---|---|---|")
    for (suite, kind), group in sorted(groups.items()):
        counts = collections.Counter(c.said for c in group)
        three = [counts.pop(word, 0) for word in ("agreed", "diverged", "inconclusive")]
        row = [suite, kind, len(group), sum(c.right for c in group), *three, sum(counts.values())]
        print("| " + " | ".join(map(str, row)) + " |")
    print(f"\n{sum(c.right for c in cases)} of {len(cases)} verdicts are right")


def compare(cases, path):
    before = {(c["suite"], c["name"]): c for c in json.loads(path.read_text())}
    for c in cases:
        old = before.get((c.suite, c.name))
        if old and old["right"] != c.right:
            word = "better" if c.right else "WORSE"
            print(f"{word} {c.suite} {c.name}: {old['said']} -> {c.said}  {c.why[:60]} {c.culprits}")


if __name__ == "__main__":
    main()
