#!/usr/bin/env python3
"""Give layerdiff files that are spoilt, thousands of them, and see that it answers every time.

Each case takes one of the project's files (models, .npz, .npy, Polygraphy's JSON, a test_data_set folder, a report.json, a
journal), spoils it (mutations.py: bytes, wire format; structures.py: graphs) and gives it to the command that reads such a
file: inspect, bisect, compare, convert, `--inputs`, `saved:`, report, --resume. An answer is a status from 0 to 3, one
sentence where the status is 2 or 3, within 10 s and 1 GB, and no process or temporary file left behind (answers.py).

Usage: scripts/mutate.py [--count 20000] [--seed 1]        the long run: about two hours on two cores
       scripts/mutate.py --count 2000 --small              what the tests run: small files of the repository alone
       scripts/mutate.py --seed 1 --case 4711 --keep DIR   one case again; its files and command stay in DIR
       scripts/mutate.py --only npz --count 500            one kind of file

Prints a table of kinds, then what was no answer, each with the seed that makes it again. Files of failures are kept under
target/mutate. Exit status: 0 when all were answers.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import base64
import collections
import concurrent.futures
import json
import random
import shutil
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import answers
import mutations
import structures

# How often each kind of file comes; models have the most to go wrong.
SHARES = {
    "model": 10,
    "graph": 12,
    "candidate": 3,
    "npz": 4,
    "npy": 3,
    "polygraphy": 3,
    "dataset": 2,
    "report": 4,
    "journal": 2,
}
TESTDATA = venv.ROOT / "testdata"
REAL = ["cls", "silero_16k", "silero_ifless"]
COMMANDS = ["inspect", "inspect", "bisect", "bisect", "compare", "convert", "convert", "against"]


@dataclass
class Case:
    number: int
    kind: str
    source: str
    what: str = ""
    command: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    seconds: float = 0.0
    status: int | None = None


@dataclass
class Material:
    """What is spoilt: made once by layerdiff and NumPy from the project's own files."""

    models: list
    # A healthy model, its input as .npz, and files made from them by kind.
    model: Path
    sample: Path
    files: dict


def main():
    options = arguments()
    if not options.layerdiff.exists():
        sys.exit(f"{options.layerdiff} is missing: run cargo build, or name it with --layerdiff")
    answers.bounded()
    warnings.simplefilter("ignore")  # zipfile, of names that are there twice
    with tempfile.TemporaryDirectory() as home:
        material = prepare(options, Path(home))
        started, done = time.monotonic(), []
        numbers = range(options.count) if options.case is None else [options.case]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            cases = pool.map(lambda n: run(n, material, options, Path(home)), numbers)
            for case in cases:
                done.append(case)
                if len(done) % 1000 == 0:
                    failed = sum(bool(c.problems) for c in done)
                    print(f"{len(done)} done, {failed} without an answer", file=sys.stderr, flush=True)
        sys.exit(0 if summary(done, time.monotonic() - started, options) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--only", choices=sorted(SHARES), help="this kind of file alone")
    parser.add_argument("--small", action="store_true", help="no real models of target/models")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--keep", type=Path, help="where cases stay: all with --case, else those that fail (target/mutate)"
    )
    parser.add_argument(
        "--layerdiff", help="the program; target/release/layerdiff or target/debug/layerdiff unless said"
    )
    options = parser.parse_args()
    options.layerdiff = answers.program(options)
    options.keep = (options.keep or venv.ROOT / "target/mutate").absolute()
    return options


# ---- what is spoilt


def prepare(options, home):
    models = sorted(TESTDATA.glob("*/model.onnx")) + [TESTDATA / "bad/valid.onnx"]
    real = [venv.ROOT / f"target/models/{name}.onnx" for name in REAL]
    if not options.small and (missing := [p for p in real if not p.exists()]):
        sys.exit(f"{missing[0]} is missing: run scripts/models.sh, or give --small")
    model, sample = TESTDATA / "layernorm_overflow/model.onnx", TESTDATA / "layernorm_overflow/inputs.npz"
    arrays = dict(np.load(sample))
    files = {"npz": sample, "npy": home / "x.npy", "polygraphy": home / "feeds.json", "dataset": home / "set"}
    np.save(files["npy"], next(iter(arrays.values())))
    files["polygraphy"].write_text(json.dumps([{n: encoded(a) for n, a in arrays.items()}]))
    files["dataset"].mkdir()
    for i, (name, array) in enumerate(arrays.items()):
        onnx.save_tensor(numpy_helper.from_array(array, name), files["dataset"] / f"input_{i}.pb")
    ran = answers.ask([options.layerdiff, *question(model, sample), "-o", home / "made"], home / "making", 60)
    if ran.status != 1:
        sys.exit(f"the case that gives a report and a journal ended with {ran.status}: {ran.stderr}")
    files |= {"report": home / "made/report.json", "journal": home / "made/journal.jsonl"}
    # Real models are larger and slower, so they come rarer.
    return Material(models * 4 + (real if not options.small else []), model, sample, files)


def question(model, sample, *more):
    return ["bisect", model, "-c", "ort:fp16", "-i", sample, "-q", *more]


def encoded(array):
    """As Polygraphy writes an array."""
    with tempfile.TemporaryFile() as out:
        np.save(out, array)
        out.seek(0)
        return {"array": base64.b64encode(out.read()).decode(), "polygraphy_class": "ndarray"}


# ---- one case


def run(number, material, options, home):
    rng = random.Random(f"{options.seed}/{number}")
    kinds = [options.only] if options.only else [k for k, share in SHARES.items() for _ in range(share)]
    kind = rng.choice(kinds)
    folder = home / f"case{number}"
    (folder / "work").mkdir(parents=True)
    case = make(number, kind, material, folder / "work", rng)
    answer = answers.ask([options.layerdiff, *case.command], folder)
    case.status, case.seconds, case.problems = answer.status, answer.seconds, answers.complaints(answer)
    if options.case is not None or case.problems:
        kept = options.keep / f"{options.seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, symlinks=True)
        (kept / "again.sh").write_text(f"cd {kept}/work && {answer.shell()}\n")
    shutil.rmtree(folder, ignore_errors=True)
    return case


def make(number, kind, material, work, rng):
    """Writes the spoilt file into `work` and says which command reads it."""
    if kind in ("model", "graph", "candidate"):
        return spoilt_model(number, kind, material, work, rng)
    source = material.files[kind]
    endings = {"npz": "npz", "npy": "npy", "polygraphy": "json", "report": "json", "journal": "jsonl", "dataset": "pb"}
    ending = endings[kind]
    if kind == "dataset":
        shutil.copytree(source, work / "set")
        source = work / "set/input_0.pb"
    what, data = mutations.spoilt(source.read_bytes(), ending, rng)
    case = Case(number, kind, source.name, what)
    if kind == "report":
        form = rng.choice([[], ["--html", "out.html"], ["--markdown", "out.md"]])
        (work / "report.json").write_bytes(data)
        case.command = ["report", "report.json", *form]
    elif kind == "journal":
        (work / "out").mkdir()
        (work / "out/journal.jsonl").write_bytes(data)
        case.command = question(
            material.model, material.sample, "-o", "out", "--resume", "--no-reduce", "--no-overrides"
        )
    elif kind == "dataset":
        source.write_bytes(data)
        case.command = question(material.model, "set", "-o", "out", "--no-reduce", "--no-overrides")
    else:
        (work / f"data.{ending}").write_bytes(data)
        case.command = question(material.model, f"data.{ending}", "-o", "out", "--no-reduce", "--no-overrides")
        if rng.random() < 0.3:
            case.command = [
                "compare",
                material.model,
                "-c",
                f"saved:data.{ending}",
                "-i",
                material.sample,
                "-q",
                "-o",
                "out",
            ]
    return case


def spoilt_model(number, kind, material, work, rng):
    source = rng.choice(material.models)
    data = source.read_bytes()
    if kind == "model":
        what, data = mutations.spoilt(data, "onnx", rng)
    else:
        model = onnx.load_from_string(data)
        ways = [structures.spoil(model, rng) for _ in range(rng.choice([1, 1, 1, 2]))]
        try:
            what, data = " + ".join(ways), model.SerializeToString()
        except Exception:  # a name that is no text: nothing to write
            what = "nothing"
    (work / "model.onnx").write_bytes(data)
    weights = source.with_name("weights.bin")
    if weights.exists():
        shutil.copy(weights, work)
    case = Case(number, kind, str(source.relative_to(venv.ROOT)), what)
    common, command = ["-q", "-o", "out"], rng.choice(COMMANDS)
    if kind == "candidate":
        case.command = ["bisect", source, "-c", "ort@model.onnx", *common]
    elif command == "bisect":
        case.command = ["bisect", "model.onnx", "-c", "ort:fp16", *common]
    elif command == "compare":
        case.command = ["compare", "model.onnx", "-c", "ort:fp16", *common]
    elif command == "convert":
        case.command = ["convert", "model.onnx", "--to", rng.choice(["fp16", "bf16"]), "-q", "-o", "out.onnx"]
    elif command == "against":
        case.command = ["inspect", source, "--against", "model.onnx"]
    else:
        case.command = ["inspect", "model.onnx", *rng.choice([[], ["--nodes"], ["--json"]])]
    return case


# ---- the summary


def summary(done, seconds, options):
    by_kind = collections.defaultdict(list)
    for case in done:
        by_kind[case.kind].append(case)
    print(f"\nseed {options.seed}, {len(done)} cases, {seconds:.0f} s\n")
    print("| file | cases | status 0 | 1 | 2 | 3 | no answer | slowest |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, cases in sorted(by_kind.items()):
        statuses = collections.Counter(c.status for c in cases)
        failed = sum(bool(c.problems) for c in cases)
        counts = " | ".join(str(statuses[s]) for s in range(4))
        print(f"| {kind} | {len(cases)} | {counts} | {failed} | {max(c.seconds for c in cases):.1f} s |")
    failed = [case for case in done if case.problems]
    reasons = collections.Counter(kind for case in failed for kind, _ in case.problems)
    print("\n" + (", ".join(f"{kind}: {count}" for kind, count in reasons.most_common()) or "all were answers"))
    for case in failed:
        for kind, detail in case.problems:
            where = f"--seed {options.seed} --case {case.number}" + (f" --only {options.only}" if options.only else "")
            words = f"{case.command[0]} of {case.source}, {case.what}"
            print(
                f"{kind}: {words}: {detail}\n    again: scripts/mutate.py {where}{' --small' if options.small else ''}"
            )
    return not failed


if __name__ == "__main__":
    main()
